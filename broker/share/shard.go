package share

import (
	"time"

	"fluxmq/broker/coordinator"
	"fluxmq/broker/record"
)

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

// shard owns the keys of one partition of __share_group_state. What it
// knows belongs to its goroutine (loop).
type shard struct {
	*coordinator.Queue[*shard]
	*coordinator.Journal
	index  int32
	config *settings
	log    Log

	states    map[Key]*stored
	nextPrune time.Time // of the next look for records that nobody needs
	pruned    int64     // what lies below is deleted
	snapshots []*stored // of each of the journal's records: whose snapshot it is, nil for no snapshot
}

func newShard(index int32, c *settings, l Log) *shard {
	s := &shard{
		Queue: coordinator.NewQueue[*shard](c.timeout),
		index: index, config: c, log: l,
		states: map[Key]*stored{},
	}
	s.Journal = coordinator.NewJournal(coordinator.JournalConfig{
		Log: l, Logger: c.logger, Coordinator: "share coordinator", Partition: index,
		Written: s.written,
		Failed:  func() { s.states, s.snapshots = map[Key]*stored{}, nil },
	})
	return s
}

// written notes where the snapshots of a batch lie, which ends at end.
func (s *shard) written(end int64) {
	for i, st := range s.snapshots {
		if st != nil {
			st.snapshotAt = end - int64(len(s.snapshots)-i)
		}
	}
	s.snapshots = nil
}

// loop replays the partition, then serves commands until stop closes.
func (s *shard) loop() {
	defer s.Ended()
	alarm := coordinator.NewAlarm(s.config.newTimer(time.Hour), s.config.now)
	defer alarm.Stop()
	s.load()
	s.Loaded()
	for {
		alarm.Set(s.nextPrune)
		select {
		case c := <-s.Commands():
			s.Serve(s, s.Journal, c)
			s.Drain(s, s.Journal)
		case <-alarm.Chan():
			alarm.Fired()
		case <-s.Stopping():
			return
		}
		s.Flush()
		s.fire()
	}
}

// load brings the keys back from the log.
func (s *shard) load() {
	began := s.config.now()
	s.nextPrune = began.Add(s.config.prune)
	records, skipped, ok := s.Load(errUnknownRecord, func(b record.Batch, r record.Record) error {
		if b.IsControl() {
			return nil
		}
		return s.replay(r)
	})
	if !ok {
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
	s.snapshots = append(s.snapshots, snapshot)
	s.Add(r)
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
		st.snapshotAt = s.End()
	}
	s.states[k] = st
	s.put(snapshotRecord(k, st, nowMs), st)
}

// fire deletes, from time to time, what no key needs any more. So that keys
// which do not change do not keep the whole log, their state is written anew first.
func (s *shard) fire() {
	now := s.config.now()
	if s.Failure() != nil || now.Before(s.nextPrune) {
		return
	}
	s.nextPrune = now.Add(s.config.prune)
	s.snapshotCold(now.UnixMilli())
	if s.Flush(); s.Failure() != nil {
		return
	}
	before := s.End()
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
		if s.Full() {
			if s.Flush(); s.Failure() != nil {
				return
			}
		}
	}
}
