package txn

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

const (
	queueLength = 1024      // commands that wait for a shard
	drainLength = 256       // commands whose records share one batch
	batchBytes  = 512 << 10 // records of a batch are written when they reach this size
)

// command is one request to a shard: run in its goroutine, or refuse from
// there when the shard has failed.
type command struct {
	run    func(s *shard)
	refuse func(error)
}

// outgoing is an answer that leaves when the shard's records are written, and,
// if durable, when they are on stable storage.
type outgoing struct {
	deliver func(failure error) // nil: as decided; else the request failed with it
	durable bool
}

// shard owns the transactional ids of one partition of __transaction_state.
// All fields but the channels belong to its goroutine (loop).
type shard struct {
	index  int32
	config *settings
	log    Log

	queue  chan command
	loaded chan struct{} // closed when the partition was replayed, or could not be
	stop   chan struct{} // closed by Coordinator.Close
	done   chan struct{} // closed when loop has returned

	transactions map[string]*transaction
	markers      *markers
	nextTimeouts time.Time // of the next look for transactions whose time is up
	nextExpiry   time.Time // of the next look for transactional ids that may go
	timer        Timer
	armed        time.Time // when timer fires, zero while it is not set

	records     []record.Record // of the commands since the last flush
	recordBytes int
	outbox      []outgoing
	end         int64 // log end after our last append, or after the replay
	// failure is set when the log cannot be read or written; the shard then
	// only refuses.
	failure error
}

func newShard(index int32, c *settings, l Log) *shard {
	return &shard{
		index: index, config: c, log: l,
		queue:        make(chan command, queueLength),
		loaded:       make(chan struct{}),
		stop:         make(chan struct{}),
		done:         make(chan struct{}),
		transactions: map[string]*transaction{},
		markers:      newMarkers(c, index, l.LeaderEpoch()),
	}
}

// loop replays the partition, then serves commands, timers and written markers
// until stop closes.
func (s *shard) loop() {
	defer close(s.done)
	s.timer = s.config.newTimer(time.Hour)
	defer s.timer.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	go s.markers.run(ctx) // stopped and awaited when the loop returns
	defer func() {
		cancel()
		<-s.markers.stopped
	}()
	s.load()
	close(s.loaded)
	s.flush()
	for {
		s.arm()
		select {
		case c := <-s.queue:
			s.serve(c)
			s.drain()
		case list := <-s.markers.written:
			s.complete(list)
		case <-s.timer.Chan():
			s.armed = time.Time{}
		case <-s.stop:
			return
		}
		s.fire()
		s.flush()
	}
}

// drain serves commands that wait already, so that their records share a batch.
func (s *shard) drain() {
	for range drainLength {
		if s.recordBytes >= batchBytes {
			return
		}
		select {
		case c := <-s.queue:
			s.serve(c)
		default:
			return
		}
	}
}

func (s *shard) serve(c command) {
	if s.failure != nil {
		c.refuse(protocol.ErrNotCoordinator)
		return
	}
	c.run(s)
}

// load brings the transactional ids back from the log, and hands over the
// outcomes whose markers may be missing.
func (s *shard) load() {
	began := s.config.now()
	s.nextTimeouts, s.nextExpiry = began.Add(s.config.timeoutCheck), began.Add(s.config.expiryCheck)
	records, skipped := 0, 0
	err := s.log.Replay(func(b record.Batch, r record.Record) error {
		s.end = b.LastOffset() + 1
		if b.IsControl() {
			return nil
		}
		records++
		if err := s.replay(r.Key, r.Value); err != nil {
			skipped++
			if !errors.Is(err, errUnknownRecord) || skipped == 1 {
				s.config.logger.Warn("skipped a record of the transaction coordinator's log",
					"partition", s.index, "offset", r.Offset, "error", err)
			}
		}
		return nil
	})
	if err != nil {
		s.fail("load", err)
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
	for _, r := range st.records {
		s.recordBytes += len(r.Key) + len(r.Value)
	}
	s.records = append(s.records, st.records...)
	if st.decided {
		s.handOver(t.outcome())
	}
	return len(st.records) > 0
}

// handOver lets the markers be written when the decision is durable: a marker
// of a decision that a crash undoes would split the transaction.
func (s *shard) handOver(o *outcome) {
	s.outbox = append(s.outbox, outgoing{durable: true, deliver: func(failure error) {
		if failure == nil {
			s.markers.add(o)
		}
	}})
}

// complete ends the transactions whose markers are written.
func (s *shard) complete(list []*outcome) {
	for _, o := range list {
		t := s.transactions[o.transactionalID]
		if s.failure != nil || t == nil || !t.preparing() || t.Producer != o.producer {
			continue
		}
		s.do(t, t.complete)
	}
}

// fire does what is due: aborts transactions whose time is up, and forgets
// transactional ids that nobody uses.
func (s *shard) fire() {
	now := s.config.now()
	if s.failure != nil {
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
		if s.flushFull(); s.failure != nil {
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
		r := tombstone(id, nowMs)
		s.records = append(s.records, r)
		s.recordBytes += len(r.Key)
		if s.flushFull(); s.failure != nil {
			return
		}
	}
}

// flushFull writes the records when they are enough for a batch.
func (s *shard) flushFull() {
	if s.recordBytes >= batchBytes {
		s.flush()
	}
}

// arm sets the timer to the earliest deadline, if it would fire later than that.
func (s *shard) arm() {
	next := s.nextTimeouts
	if s.nextExpiry.Before(next) {
		next = s.nextExpiry
	}
	if !s.armed.IsZero() && !s.armed.After(next) {
		return // fires early at worst, and is armed again then
	}
	s.armed = next
	s.timer.Reset(max(next.Sub(s.config.now()), 0))
}

// flush writes the records of the commands since the last one as one batch,
// then lets their answers go.
func (s *shard) flush() {
	if len(s.records) > 0 && s.failure == nil {
		if err := s.write(); err != nil {
			s.fail("append", err)
		}
	}
	out := s.outbox
	s.outbox = nil
	if len(out) == 0 {
		return
	}
	var failure error
	if s.failure != nil {
		failure = protocol.ErrNotCoordinator
	}
	var wait []outgoing
	for _, o := range out {
		if failure == nil && o.durable && s.end > 0 && s.log.MustWait() {
			wait = append(wait, o)
			continue
		}
		o.deliver(failure)
	}
	if len(wait) == 0 {
		return
	}
	s.log.WhenDurable(s.end, func(err error) {
		if err != nil {
			err = protocol.ErrNotCoordinator
		}
		for _, o := range wait {
			o.deliver(err)
		}
	})
}

func (s *shard) write() error {
	batch, err := record.Builder{ProducerID: -1}.Build(s.records)
	s.records, s.recordBytes = nil, 0
	if err != nil {
		return err
	}
	end, err := s.log.Append(batch)
	if err != nil {
		return err
	}
	s.end = end
	return nil
}

// fail gives the shard up: what was promised to the log's readers cannot be
// kept any more. Every request is refused.
func (s *shard) fail(what string, err error) {
	s.failure = err
	s.config.logger.Error("transaction coordinator gave a partition up", "partition", s.index, "operation", what, "error", err)
	s.transactions = map[string]*transaction{}
	s.records, s.recordBytes = nil, 0
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
