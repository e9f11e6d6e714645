package share

import (
	"errors"
	"time"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

const (
	queueLength  = 1024      // commands that wait for a shard
	drainLength  = 256       // commands whose records share one batch
	recordsBytes = 512 << 10 // records of a batch are written when they reach this size
)

// command is one request to a shard: run in its goroutine, or refuse from
// there when the shard has failed.
type command struct {
	run    func(s *shard)
	refuse func(error)
}

// stored is a key's state in a shard.
type stored struct {
	State
	// The highest epochs that were ever told: what is older is fenced.
	fenceLeader, fenceState int32

	snapshotEpoch int32 // counts snapshots of the key
	// createdMs is when the last snapshot was written for a change, writtenMs
	// when one was written at all: later, if nothing changed for long.
	createdMs, writtenMs int64
	updates              int   // since the last snapshot
	snapshotAt           int64 // offset of the last snapshot
}

// shard owns the keys of one partition of __share_group_state. All fields but
// the channels belong to its goroutine (loop).
type shard struct {
	index  int32
	config *settings
	log    Log

	queue  chan command
	loaded chan struct{} // closed when the partition was replayed, or could not be
	stop   chan struct{} // closed by Coordinator.Close
	done   chan struct{} // closed when loop has returned

	states    map[Key]*stored
	nextPrune time.Time // of the next look for records that nobody needs
	pruned    int64     // what lies below is deleted
	timer     Timer
	armed     time.Time // when timer fires, zero while it is not set

	records     []record.Record // of the commands since the last flush
	snapshots   []*stored       // of each of records: whose snapshot it is, nil for no snapshot
	recordBytes int
	outbox      []func(failure error) // answers; nil: as decided, else the request failed with it
	end         int64                 // log end after our last append, or after the replay
	// failure is set when the log cannot be read or written; the shard then
	// only refuses.
	failure error
}

func newShard(index int32, c *settings, l Log) *shard {
	return &shard{
		index: index, config: c, log: l,
		queue:  make(chan command, queueLength),
		loaded: make(chan struct{}),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
		states: map[Key]*stored{},
	}
}

// loop replays the partition, then serves commands until stop closes.
func (s *shard) loop() {
	defer close(s.done)
	s.timer = s.config.newTimer(time.Hour)
	defer s.timer.Stop()
	s.load()
	close(s.loaded)
	for {
		s.arm()
		select {
		case c := <-s.queue:
			s.serve(c)
			s.drain()
		case <-s.timer.Chan():
			s.armed = time.Time{}
		case <-s.stop:
			return
		}
		s.flush()
		s.fire()
	}
}

// drain serves commands that wait already, so that their records share a batch.
func (s *shard) drain() {
	for range drainLength {
		if s.recordBytes >= recordsBytes {
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

// load brings the keys back from the log.
func (s *shard) load() {
	began := s.config.now()
	s.nextPrune = began.Add(s.config.prune)
	records, skipped := 0, 0
	err := s.log.Replay(func(b record.Batch, r record.Record) error {
		s.end = b.LastOffset() + 1
		if b.IsControl() {
			return nil
		}
		records++
		if err := s.replay(r); err != nil {
			skipped++
			if !errors.Is(err, errUnknownRecord) || skipped == 1 {
				s.config.logger.Warn("skipped a record of the share coordinator's log",
					"partition", s.index, "offset", r.Offset, "error", err)
			}
		}
		return nil
	})
	if err != nil {
		s.fail("load", err)
		return
	}
	if records > 0 {
		s.config.logger.Info("loaded share partitions", "partition", s.index, "share_partitions", len(s.states),
			"records", records, "skipped", skipped, "duration_ms", s.config.now().Sub(began).Milliseconds())
	}
}

// replay applies one stored record. An update of a key whose snapshot is not
// there is of one that was deleted.
func (s *shard) replay(r record.Record) error {
	d, err := decodeRecord(r.Key, r.Value)
	if err != nil {
		return err
	}
	st := s.states[d.key]
	switch {
	case !d.present:
		delete(s.states, d.key)
	case d.kind == snapshotKey:
		next := &stored{
			State: d.state, fenceLeader: d.state.LeaderEpoch, fenceState: d.state.Epoch, snapshotEpoch: d.snapshotEpoch,
			createdMs: d.createdMs, writtenMs: d.writtenMs, snapshotAt: r.Offset,
		}
		next.Batches = combine(next.Start, nil, next.Batches) // ours are in order; another broker's need not be
		if st != nil {
			next.fenceLeader, next.fenceState = max(next.fenceLeader, st.fenceLeader), max(next.fenceState, st.fenceState)
		}
		s.states[d.key] = next
	case st != nil:
		if d.state.LeaderEpoch != -1 {
			st.LeaderEpoch = d.state.LeaderEpoch
			st.fenceLeader = max(st.fenceLeader, st.LeaderEpoch)
		}
		if d.state.Start != -1 {
			st.Start = d.state.Start
		}
		st.Complete = d.state.Complete
		st.Batches = combine(st.Start, st.Batches, d.state.Batches)
		st.updates++
	}
	return nil
}

// put appends a record of a key's state as st says it; snapshot tells that it
// is the whole of it.
func (s *shard) put(r record.Record, snapshot *stored) {
	s.records, s.snapshots = append(s.records, r), append(s.snapshots, snapshot)
	s.recordBytes += len(r.Key) + len(r.Value)
}

// snapshot makes st the state of a key and stores all of it. changed tells
// that it says something new.
func (s *shard) snapshot(k Key, st *stored, changed bool) {
	nowMs := s.config.now().UnixMilli()
	if st.writtenMs = nowMs; changed {
		st.createdMs = nowMs
	}
	st.updates = 0
	if there := s.states[k]; there != nil {
		// Until the snapshot is written, the one before is what must be kept.
		st.snapshotAt = there.snapshotAt
	} else {
		st.snapshotAt = s.end
	}
	s.states[k] = st
	s.put(snapshotRecord(k, st, nowMs), st)
}

// fire deletes, from time to time, what no key needs any more. So that keys
// which do not change do not keep the whole log, their state is written anew first.
func (s *shard) fire() {
	now := s.config.now()
	if s.failure != nil || now.Before(s.nextPrune) {
		return
	}
	s.nextPrune = now.Add(s.config.prune)
	s.snapshotCold(now.UnixMilli())
	if s.flush(); s.failure != nil {
		return
	}
	before := s.end
	for _, st := range s.states {
		before = min(before, st.snapshotAt)
	}
	if before <= s.pruned {
		return
	}
	if err := s.log.Prune(before); err != nil {
		s.config.logger.Warn("old states of share partitions could not be deleted", "partition", s.index, "error", err)
		return // tried again at the next time
	}
	s.pruned = before
}

// snapshotCold writes keys anew that have not been written for long. When none
// changed since the last time there is nothing to gain.
func (s *shard) snapshotCold(nowMs int64) {
	quiet := true
	for _, st := range s.states {
		quiet = quiet && st.createdMs != st.writtenMs && st.updates == 0
	}
	if quiet {
		return
	}
	for k, st := range s.states {
		if nowMs-st.writtenMs < s.config.coldSnapshot.Milliseconds() {
			continue
		}
		next := *st
		next.snapshotEpoch++
		s.snapshot(k, &next, false)
		if s.recordBytes >= recordsBytes {
			if s.flush(); s.failure != nil {
				return
			}
		}
	}
}

// arm sets the timer to the next deadline, if it would fire later than that.
func (s *shard) arm() {
	if !s.armed.IsZero() && !s.armed.After(s.nextPrune) {
		return // fires early at worst, and is armed again then
	}
	s.armed = s.nextPrune
	s.timer.Reset(max(s.nextPrune.Sub(s.config.now()), 0))
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
	deliver := func(err error) {
		if err != nil {
			err = protocol.ErrNotCoordinator
		}
		for _, answer := range out {
			answer(err)
		}
	}
	// What is answered may be of a command before, whose records are not durable yet.
	if s.failure != nil || s.end == 0 || !s.log.MustWait() {
		deliver(s.failure)
		return
	}
	s.log.WhenDurable(s.end, deliver)
}

func (s *shard) write() error {
	batch, err := record.Builder{ProducerID: -1}.Build(s.records)
	snapshots := s.snapshots
	s.records, s.snapshots, s.recordBytes = nil, nil, 0
	if err != nil {
		return err
	}
	end, err := s.log.Append(batch)
	if err != nil {
		return err
	}
	s.end = end
	for i, st := range snapshots {
		if st != nil {
			st.snapshotAt = end - int64(len(snapshots)-i)
		}
	}
	return nil
}

// fail gives the shard up: what was promised to the log's readers cannot be
// kept any more. Every request is refused.
func (s *shard) fail(what string, err error) {
	s.failure = err
	s.config.logger.Error("share coordinator gave a partition up", "partition", s.index, "operation", what, "error", err)
	s.states = map[Key]*stored{}
	s.records, s.snapshots, s.recordBytes = nil, nil, 0
}
