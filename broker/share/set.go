package share

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/coordinator"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
)

// SetConfig is what a Set is made of.
type SetConfig struct {
	// State is where the state of share partitions is stored.
	State *Coordinator
	// Find returns a partition, nil for one that is not here.
	Find func(topic [16]byte, index int32) *partition.Partition
	// Settings returns the settings of a group; called for every input.
	Settings func(group string) config.ShareGroup
	// Timeout bounds the reading of a state, and its storing where nobody waits.
	Timeout time.Duration
	// Logger, Now and NewTimer default to slog.Default, the wall clock and real timers.
	Logger   *slog.Logger
	Now      func() time.Time
	NewTimer func(time.Duration) Timer
}

// Set holds the share partitions that members fetch from. A goroutine of its
// own, from Start to Close, ends the locks that are over. Safe for concurrent use.
//
// Lock order: mu, Partition.mu, then those of the partition room and keeper.mu.
type Set struct {
	state    *Coordinator
	find     func([16]byte, int32) *partition.Partition
	settings func(string) config.ShareGroup
	timeout  time.Duration
	logger   *slog.Logger
	now      func() time.Time
	newTimer func(time.Duration) Timer

	keeper lockKeeper
	stop   context.CancelFunc
	ctx    context.Context // ends with stop
	done   chan struct{}   // closed when the keeper has ended; nil before Start

	mu         sync.Mutex
	partitions map[Key]*Partition
}

// NewSet returns an empty set. Nothing is locked for good before Start.
func NewSet(c SetConfig) *Set {
	s := &Set{
		state: c.State, find: c.Find, settings: c.Settings, timeout: c.Timeout,
		logger: c.Logger, now: c.Now, newTimer: c.NewTimer,
		keeper: lockKeeper{moved: make(chan struct{}, 1)}, partitions: map[Key]*Partition{},
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if s.logger == nil {
		s.logger = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.newTimer == nil {
		s.newTimer = coordinator.NewWallTimer
	}
	return s
}

// Start begins to end locks that are over. Call it once.
func (s *Set) Start() {
	s.done = make(chan struct{})
	go s.keepLocks() // stopped and awaited by Close
}

// Close stops what Start began. What members have is not taken back: their
// locks are not stored, so that the next start finds the records available.
func (s *Set) Close() {
	s.stop()
	if s.done != nil {
		<-s.done
	}
}

// Settings are the settings of a group.
func (s *Set) Settings(group string) config.ShareGroup { return s.settings(group) }

// Opened is what Open found of one key.
type Opened struct {
	*Partition
	Err error
}

// Open returns the share partitions of keys, in their order, after it has read
// the state of those that nobody has opened yet. It waits for all of them
// together, at most twice the timeout.
func (s *Set) Open(ctx context.Context, keys []Key) []Opened {
	opened := make([]Opened, len(keys))
	var fresh []*Partition
	s.mu.Lock()
	for i, k := range keys {
		p := s.partitions[k]
		if p == nil {
			log := s.find(k.Topic, k.Partition)
			if log == nil {
				opened[i].Err = protocol.ErrUnknownTopicOrPartition
				continue
			}
			p = &Partition{set: s, key: k, log: log, loaded: make(chan struct{}), place: -1}
			s.partitions[k] = p
			fresh = append(fresh, p)
		}
		opened[i].Partition = p
	}
	s.mu.Unlock()
	s.load(ctx, fresh)
	for i := range opened {
		p := opened[i].Partition
		if p == nil {
			continue
		}
		select {
		case <-p.loaded:
			opened[i].Err = p.loadErr
		case <-ctx.Done():
			opened[i].Err = protocol.ErrCoordinatorNotAvailable
		}
	}
	return opened
}

// load reads the states of partitions that are in the map and not loaded. It
// does not end with ctx, for others may wait for them too.
func (s *Set) load(ctx context.Context, list []*Partition) {
	if len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*s.timeout)
	defer cancel()
	reads := make([]*Reply[Read], len(list))
	for i, p := range list {
		reads[i] = s.state.Read(ctx, p.key, p.log.LeaderEpoch())
	}
	begun := make([]*Reply[error], len(list)) // of those that begin here
	for i, p := range list {
		r := reads[i].Wait(ctx)
		st, err := r.State, r.Err
		if err == nil {
			st, err = p.begin(r.State, s.settings(p.key.Group))
		}
		switch {
		case err != nil:
			begun[i] = coordinator.Answered(err)
		case r.Start == -1:
			// Where a group has begun it stays, also if nothing is acknowledged
			// before the next start: what is latest now must not be skipped then.
			begun[i] = s.state.Write(ctx, p.key, Write{StateEpoch: st.Epoch, LeaderEpoch: p.log.LeaderEpoch(), Start: st.Start})
		default:
			begun[i] = coordinator.Answered[error](nil)
		}
	}
	for i, p := range list {
		if err := begun[i].Wait(ctx); err != nil {
			p.loadErr = stateError(err)
			s.logger.Warn("a share partition could not be opened", "key", p.key.String(), "error", err)
			s.remove(p)
		}
		close(p.loaded)
	}
}

// Find returns a share partition that is open, or nil.
func (s *Set) Find(k Key) *Partition {
	s.mu.Lock()
	p := s.partitions[k]
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	select {
	case <-p.loaded:
		if p.loadErr == nil {
			return p
		}
	default:
	}
	return nil
}

// Drop forgets the share partition of a key, whose stored state is another now
// or gone. Who holds it is told NOT_LEADER_OR_FOLLOWER, and opens it again.
func (s *Set) Drop(k Key) {
	s.mu.Lock()
	p := s.partitions[k]
	delete(s.partitions, k)
	s.mu.Unlock()
	if p != nil {
		p.drop()
	}
}

// DropTopic forgets the share partitions of a deleted topic.
func (s *Set) DropTopic(topic [16]byte) {
	s.dropWhere(func(k Key) bool { return k.Topic == topic })
}

// DropAll forgets every share partition, and with it what members have: locks
// are not stored.
func (s *Set) DropAll() { s.dropWhere(func(Key) bool { return true }) }

func (s *Set) dropWhere(unwanted func(Key) bool) {
	s.mu.Lock()
	var gone []*Partition
	for k, p := range s.partitions {
		if unwanted(k) {
			delete(s.partitions, k)
			gone = append(gone, p)
		}
	}
	s.mu.Unlock()
	for _, p := range gone {
		p.drop()
	}
}

// remove forgets p, unless another has its place already.
func (s *Set) remove(p *Partition) {
	s.mu.Lock()
	if s.partitions[p.key] == p {
		delete(s.partitions, p.key)
	}
	s.mu.Unlock()
	p.drop()
}
