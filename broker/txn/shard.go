package txn

import (
	"context"
	"log/slog"
	"time"

	"fluxmq/broker/coordinator"
	"fluxmq/broker/record"
)

// shard owns the transactional ids of one partition of __transaction_state.
// What it knows belongs to its goroutine (loop).
type shard struct {
	*coordinator.Queue[*shard]
	*coordinator.Journal
	index  int32
	config *settings

	transactions map[string]*transaction
	markers      *markers
	nextTimeouts time.Time // of the next look for transactions whose time is up
	nextExpiry   time.Time // of the next look for transactional ids that may go
}

func newShard(index int32, c *settings, l Log) *shard {
	s := &shard{
		Queue: coordinator.NewQueue[*shard](answerTimeout),
		index: index, config: c,
		transactions: map[string]*transaction{},
		markers:      newMarkers(c, index, l.LeaderEpoch()),
	}
	s.Journal = coordinator.NewJournal(coordinator.JournalConfig{
		Log: l, Logger: c.logger, Coordinator: "transaction coordinator", Partition: index,
		Failed: func() { s.transactions = map[string]*transaction{} },
	})
	return s
}

// loop replays the partition, then serves commands, timers and written markers
// until stop closes.
func (s *shard) loop() {
	defer s.Ended()
	alarm := coordinator.NewAlarm(s.config.newTimer(time.Hour), s.config.now)
	defer alarm.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	go s.markers.run(ctx) // stopped and awaited when the loop returns
	defer func() {
		cancel()
		<-s.markers.stopped
	}()
	s.load()
	s.Loaded()
	s.Flush()
	for {
		alarm.Set(s.nextCheck())
		select {
		case c := <-s.Commands():
			s.Serve(s, s.Journal, c)
			s.Drain(s, s.Journal)
		case list := <-s.markers.written:
			s.complete(list)
		case <-alarm.Chan():
			alarm.Fired()
		case <-s.Stopping():
			return
		}
		s.fire()
		s.Flush()
	}
}

// load brings the transactional ids back from the log, and hands over the
// outcomes whose markers may be missing.
func (s *shard) load() {
	began := s.config.now()
	s.nextTimeouts, s.nextExpiry = began.Add(s.config.timeoutCheck), began.Add(s.config.expiryCheck)
	records, skipped, ok := s.Load(errUnknownRecord, func(b record.Batch, r record.Record) error {
		if b.IsControl() {
			return nil
		}
		return s.replay(r.Key, r.Value)
	})
	if !ok {
		return
	}
	unfinished := 0
	for _, t := range s.transactions {
		if t.preparing() {
			unfinished++
			s.handOver(t.outcome())
		}
	}
	if records > 0 {
		s.config.logger.Info("loaded transactions", "partition", s.index, "transactional_ids", len(s.transactions), "unfinished", unfinished,
			"records", records, "skipped", skipped, "duration_ms", s.config.now().Sub(began).Milliseconds())
	}
}

// replay applies one stored record. The last record of an id is the whole of
// it, so it does not matter which of the earlier ones compaction has left.
func (s *shard) replay(key, value []byte) error {
	id, t, err := decodeRecord(key, value)
	if err != nil {
		return err
	}
	if t == nil {
		delete(s.transactions, id)
		return nil
	}
	s.transactions[id] = t
	return nil
}

// do feeds one input to a transaction and carries out what it wants. It
// reports whether records were made, that is, whether an answer must wait for them.
func (s *shard) do(t *transaction, input func(*step)) (wrote bool) {
	st := step{nowMs: s.config.now().UnixMilli(), nextProducerID: s.config.nextProducerID}
	input(&st)
	s.Add(st.records...)
	if st.decided {
		s.handOver(t.outcome())
	}
	return len(st.records) > 0
}

// handOver lets the markers be written when the decision is durable: a marker
// of a decision that a crash undoes would split the transaction.
func (s *shard) handOver(o *outcome) {
	s.Answer(true, func(failure error) {
		if failure == nil {
			s.markers.add(o)
		}
	})
}

// complete ends the transactions whose markers are written.
func (s *shard) complete(list []*outcome) {
	for _, o := range list {
		t := s.transactions[o.transactionalID]
		if s.Failure() != nil || t == nil || !t.preparing() || t.Producer != o.producer {
			continue
		}
		s.do(t, t.complete)
	}
}

// fire does what is due: aborts transactions whose time is up, and forgets
// transactional ids that nobody uses.
func (s *shard) fire() {
	now := s.config.now()
	if s.Failure() != nil {
		return
	}
	if !now.Before(s.nextTimeouts) {
		s.nextTimeouts = now.Add(s.config.timeoutCheck)
		s.abortTimedOut(now.UnixMilli())
	}
	if !now.Before(s.nextExpiry) {
		s.nextExpiry = now.Add(s.config.expiryCheck)
		s.forgetExpired(now.UnixMilli())
	}
}

func (s *shard) abortTimedOut(nowMs int64) {
	for id, t := range s.transactions {
		if !t.timedOut(nowMs) {
			continue
		}
		var err error
		s.do(t, func(st *step) { err = t.fence(st) })
		if err != nil {
			s.config.logger.Error("a transaction that timed out could not be aborted", "transactional_id", id, "error", err)
			continue // tried again with the next check
		}
		s.config.logger.Info("a transaction timed out and is aborted", "transactional_id", id,
			"producer_id", t.ID, "timeout_ms", t.timeoutMs, "partitions", len(t.partitions))
		if s.flushFull(); s.Failure() != nil {
			return
		}
	}
}

func (s *shard) forgetExpired(nowMs int64) {
	for id, t := range s.transactions {
		if !t.expired(nowMs, s.config.expirationMs) {
			continue
		}
		delete(s.transactions, id)
		s.Add(tombstone(id, nowMs))
		if s.flushFull(); s.Failure() != nil {
			return
		}
	}
}

// flushFull writes the records when they are enough for a batch.
func (s *shard) flushFull() {
	if s.Full() {
		s.Flush()
	}
}

// nextCheck is when fire next has something to look for.
func (s *shard) nextCheck() time.Time {
	if s.nextExpiry.Before(s.nextTimeouts) {
		return s.nextExpiry
	}
	return s.nextTimeouts
}

// settings are the coordinator's, shared by its shards; read-only.
type settings struct {
	maxTimeoutMs   int32
	expirationMs   int64
	timeoutCheck   time.Duration
	expiryCheck    time.Duration
	writeMarkers   func(ctx context.Context, markers []Marker) []error
	nextProducerID func() (int64, error)
	now            func() time.Time
	newTimer       func(time.Duration) Timer
	logger         *slog.Logger
}
