package share

import (
	"context"
	"fmt"

	"fluxmq/broker/coordinator"
	"fluxmq/broker/protocol"
)

// maxBatches bounds the batches of one key: far more than the records that
// share.partition.max.record.locks lets be in flight.
const maxBatches = 100_000

// Write is what WriteShareGroupState says of one key.
type Write struct {
	StateEpoch, LeaderEpoch int32 // LeaderEpoch -1: not told
	Start                   int64 // -1: as it is
	Complete                int32 // of Start, -1: not told
	// Batches are those that changed, in any order.
	Batches []Batch
}

// Summary is what ReadShareGroupStateSummary says of one key.
type Summary struct {
	StateEpoch, LeaderEpoch int32
	Start                   int64 // -1: there is none
	Complete                int32 // -1: not known
}

// Read is the answer of Coordinator.Read.
type Read struct {
	State
	Err error
}

// SummaryRead is the answer of Coordinator.Summary.
type SummaryRead struct {
	Summary
	Err error
}

func itself(err error) error { return err }

// checkKey refuses what cannot be a key.
func checkKey(k Key) error {
	switch {
	case k.Partition < 0:
		return fmt.Errorf("%w: partition %d", protocol.ErrInvalidRequest, k.Partition)
	case k.Group == "" || len(k.Group) > maxIDBytes:
		return fmt.Errorf("%w: a group id of %d bytes", protocol.ErrInvalidRequest, len(k.Group))
	}
	return nil
}

// known refuses a key whose partition does not exist.
func (c *settings) known(k Key) error {
	if !c.exists(k.Topic, k.Partition) {
		return fmt.Errorf("%w: there is no partition %d of that topic", protocol.ErrUnknownTopicOrPartition, k.Partition)
	}
	return nil
}

// initialized returns the state of a key, or the error of one that has none.
func (s *shard) initialized(k Key) (*stored, error) {
	st := s.states[k]
	if st == nil {
		return nil, fmt.Errorf("%w: the share partition is not initialized", protocol.ErrInvalidRequest)
	}
	return st, nil
}

// checkLeader refuses a leader that is not the newest any more; -1 is none.
func (st *stored) checkLeader(epoch int32) error {
	if epoch != -1 && st.fenceLeader > epoch {
		return fmt.Errorf("%w: %d is known, not %d", protocol.ErrFencedLeaderEpoch, st.fenceLeader, epoch)
	}
	return nil
}

// checkState refuses a state that was replaced by a newer one; -1 is none.
func (st *stored) checkState(epoch int32) error {
	if epoch != -1 && st.fenceState > epoch {
		return fmt.Errorf("%w: %d is known, not %d", protocol.ErrFencedStateEpoch, st.fenceState, epoch)
	}
	return nil
}

// Initialize makes a key's state new: it begins at start, or where the first
// leader says when start is -1. The error of an older state epoch is
// FENCED_STATE_EPOCH. (ShareCoordinatorShard.initializeState.)
func (c *Coordinator) Initialize(ctx context.Context, k Key, stateEpoch int32, start int64) *Reply[error] {
	if err := checkKey(k); err != nil {
		return coordinator.Answered(err)
	}
	return ask(ctx, c, k, itself, func(s *shard) error { return s.initialize(k, stateEpoch, start) })
}

func (s *shard) initialize(k Key, stateEpoch int32, start int64) error {
	next := &stored{State: State{Epoch: stateEpoch, Start: start, Complete: 0}}
	if start == -1 {
		next.Complete = unknownComplete
	}
	st := s.states[k]
	if st != nil {
		if err := st.checkState(stateEpoch); err != nil {
			return err
		}
	}
	if err := s.config.known(k); err != nil {
		return err
	}
	if next.fenceState = stateEpoch; st != nil {
		next.snapshotEpoch, next.fenceLeader = st.snapshotEpoch+1, st.fenceLeader
		next.fenceState = max(stateEpoch, st.fenceState)
	}
	s.snapshot(k, next, true)
	return nil
}

// Write stores what changed of a key. Writes of one leader may come in any
// order: of what two say about a record the stronger holds, and the start never
// goes back. (ShareCoordinatorShard.writeState.)
func (c *Coordinator) Write(ctx context.Context, k Key, w Write) *Reply[error] {
	if err := checkWrite(k, w); err != nil {
		return coordinator.Answered(err)
	}
	return ask(ctx, c, k, itself, func(s *shard) error { return s.writeState(k, w) })
}

func checkWrite(k Key, w Write) error {
	if err := checkKey(k); err != nil {
		return err
	}
	if len(w.Batches) > maxBatches {
		return fmt.Errorf("%w: %d batches", protocol.ErrInvalidRequest, len(w.Batches))
	}
	for _, b := range w.Batches {
		if err := b.check(); err != nil {
			return fmt.Errorf("%w: %w", protocol.ErrInvalidRequest, err)
		}
	}
	return nil
}

func (s *shard) writeState(k Key, w Write) error {
	st, err := s.initialized(k)
	if err != nil {
		return err
	}
	if err := st.checkLeader(w.LeaderEpoch); err != nil {
		return err
	}
	if err := st.checkState(w.StateEpoch); err != nil {
		return err
	}
	if err := s.config.known(k); err != nil {
		return err
	}
	start, complete := max(st.Start, w.Start), st.Complete
	switch {
	case w.Start > st.Start:
		complete = w.Complete
	case w.Start == st.Start && w.Start != -1:
		complete = max(st.Complete, w.Complete)
	}
	changed := combine(start, nil, w.Batches)
	merged := combine(start, st.Batches, changed)
	if len(merged) > maxBatches {
		return fmt.Errorf("%w: the share partition would have %d batches", protocol.ErrInvalidRequest, len(merged))
	}
	if st.updates >= s.config.updates {
		next := *st
		next.Start, next.Complete, next.Batches = start, complete, merged
		next.snapshotEpoch++
		s.snapshot(k, &next, true)
		return nil
	}
	st.Start, st.Complete, st.Batches = start, complete, merged
	st.updates++
	s.put(updateRecord(k, st, changed, s.config.now().UnixMilli()), nil)
	return nil
}

// Read gives a key's state to the leader of its partition, which is remembered:
// older leaders are fenced from then on. -1 is nobody in particular.
// (ShareCoordinatorShard.readStateAndMaybeUpdateLeaderEpoch.)
func (c *Coordinator) Read(ctx context.Context, k Key, leaderEpoch int32) *Reply[Read] {
	refuse := func(err error) Read { return Read{Err: err} }
	if err := checkKey(k); err != nil {
		return coordinator.Answered(refuse(err))
	}
	return ask(ctx, c, k, refuse, func(s *shard) Read {
		state, err := s.read(k, leaderEpoch)
		return Read{state, err}
	})
}

func (s *shard) read(k Key, leaderEpoch int32) (State, error) {
	st, err := s.initialized(k)
	if err != nil {
		return State{}, err
	}
	if err := st.checkLeader(leaderEpoch); err != nil {
		return State{}, err
	}
	if err := s.config.known(k); err != nil {
		return State{}, err
	}
	if leaderEpoch != -1 && leaderEpoch != st.fenceLeader {
		if st.LeaderEpoch, st.fenceLeader = leaderEpoch, leaderEpoch; st.updates >= s.config.updates {
			next := *st
			next.snapshotEpoch++
			s.snapshot(k, &next, true)
		} else {
			st.updates++
			s.put(updateRecord(k, st, nil, s.config.now().UnixMilli()), nil)
		}
	}
	return st.State, nil // its batches are never changed in place
}

// Summary tells how far a key has come; of one that nobody knows, that it has
// no start.
func (c *Coordinator) Summary(ctx context.Context, k Key) *Reply[SummaryRead] {
	refuse := func(err error) SummaryRead { return SummaryRead{Summary{Start: -1, Complete: unknownComplete}, err} }
	if err := checkKey(k); err != nil {
		return coordinator.Answered(refuse(err))
	}
	if c.partitions() == 0 {
		return coordinator.Answered(refuse(c.settings.known(k))) // nothing is stored yet
	}
	return ask(ctx, c, k, refuse, func(s *shard) SummaryRead {
		if err := s.config.known(k); err != nil {
			return refuse(err)
		}
		st := s.states[k]
		if st == nil {
			return refuse(nil)
		}
		return SummaryRead{Summary{st.Epoch, st.LeaderEpoch, st.Start, st.Complete}, nil}
	})
}

// Delete forgets a key; one that nobody knows is no error.
func (c *Coordinator) Delete(ctx context.Context, k Key) *Reply[error] {
	if err := checkKey(k); err != nil {
		return coordinator.Answered(err)
	}
	if c.partitions() == 0 {
		return coordinator.Answered(c.settings.known(k)) // nothing is stored yet
	}
	return ask(ctx, c, k, itself, func(s *shard) error {
		if err := s.config.known(k); err != nil {
			return err
		}
		s.forget(k)
		return nil
	})
}

func (s *shard) forget(k Key) {
	if s.states[k] != nil {
		delete(s.states, k)
		s.put(tombstone(k, s.config.now().UnixMilli()), nil)
	}
}

// TopicDeleted forgets the keys of a deleted topic. It does not wait for the
// shards to do so. What is lost by a crash in between stays stored: nobody asks
// for it again, for the topic's id is gone.
func (c *Coordinator) TopicDeleted(ctx context.Context, topic [16]byte) {
	shards, err := c.shards.All()
	if err != nil {
		return // stopping: nothing to forget
	}
	for _, s := range shards {
		err := s.Send(ctx, coordinator.Command[*shard]{
			Run: func(s *shard) {
				for k := range s.states {
					if k.Topic == topic {
						s.forget(k)
					}
				}
			},
			Refuse: func(error) {},
		})
		if err != nil {
			c.settings.logger.Warn("states of a deleted topic's share partitions stay stored", "partition", s.index, "error", err)
		}
	}
}
