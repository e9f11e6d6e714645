// Package share keeps what share groups (KIP-932) know of the records of
// partitions. It has two halves.
//
// Coordinator is the durable one (Kafka's share coordinator, its persister):
// one shard per __share_group_state partition, each a goroutine that owns the
// stored state of its keys (state.go), in Kafka's formats (records.go). A
// restart replays them (shard.go).
//
// Set is the live one: a Partition for each partition that members of a group
// fetch from, made of the stored state (partition.go). Which record is
// available, acquired, acknowledged or archived is a pure state machine
// (inflight.go, and the files named after what happens to records: acquire.go,
// acknowledge.go, expiry.go).
//
// Handlers call both; node builds, starts and closes them. Group membership
// and assignment are the group room's.
//
// Words: a key names a partition as one group sees it; the start is the first
// offset that is not finished for good; a lock is a member's exclusive, timed
// right to a record; a change is a new state of records that is being stored.
package share

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/protocol"
)

// StateTopic is where the state of share partitions is stored.
const StateTopic = "__share_group_state"

const (
	// loadWait is how long a request waits for its shard's replay before it is
	// told COORDINATOR_LOAD_IN_PROGRESS.
	loadWait = time.Second
	// maxIDBytes is the longest string the formats of __share_group_state hold.
	maxIDBytes = math.MaxInt16
)

// Timer is the part of time.Timer that the room uses.
type Timer interface {
	Chan() <-chan time.Time
	Reset(time.Duration)
	Stop()
}

// Config is what a Coordinator is made of.
type Config struct {
	// Node holds the share coordinator's settings; it is read once.
	Node *config.Node
	// Partitions returns how many partitions __share_group_state has, 0 while
	// it does not exist. It is called for every request.
	Partitions func() int32
	// Log returns the log of one of them, nil when it is not hosted here.
	Log func(index int32) Log
	// Exists tells whether a partition that a key names exists. It is called by
	// the shards, concurrently, and must not wait for one.
	Exists func(topic [16]byte, partition int32) bool
	// Logger, Now and NewTimer default to slog.Default, the wall clock and real timers.
	Logger   *slog.Logger
	Now      func() time.Time
	NewTimer func(time.Duration) Timer
}

// Coordinator is safe for concurrent use. Every request is answered through a
// Reply, whose Wait returns when the answer is there and durable, or when its
// context ends.
type Coordinator struct {
	settings   settings
	partitions func() int32
	openLog    func(int32) Log

	// mutex guards the fields below.
	mutex  sync.Mutex
	shards map[int32]*shard
	closed bool
}

// settings are the coordinator's, shared by its shards; read-only.
type settings struct {
	exists       func(topic [16]byte, partition int32) bool
	updates      int // between two snapshots of a key
	coldSnapshot time.Duration
	prune        time.Duration
	timeout      time.Duration // of an answer
	now          func() time.Time
	newTimer     func(time.Duration) Timer
	logger       *slog.Logger
}

// New returns a coordinator without shards: Start makes them, or the first request.
func New(c Config) *Coordinator {
	n := c.Node
	co := &Coordinator{
		partitions: c.Partitions, openLog: c.Log, shards: map[int32]*shard{},
		settings: settings{
			exists: c.Exists, updates: int(n.ShareSnapshotUpdates), coldSnapshot: n.ShareColdSnapshot,
			prune: n.SharePrune, timeout: n.ShareWriteTimeout,
			now: c.Now, newTimer: c.NewTimer, logger: c.Logger,
		},
	}
	s := &co.settings
	if s.now == nil {
		s.now = time.Now
	}
	if s.newTimer == nil {
		s.newTimer = newWallTimer
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	return co
}

func newWallTimer(d time.Duration) Timer { return wallTimer{time.NewTimer(d)} }

type wallTimer struct{ *time.Timer }

func (t wallTimer) Chan() <-chan time.Time { return t.C }
func (t wallTimer) Reset(d time.Duration)  { t.Timer.Reset(d) }
func (t wallTimer) Stop()                  { t.Timer.Stop() }

// Start starts a shard for every partition of __share_group_state that exists
// and waits until all are loaded or ctx ends; they go on loading then. Without
// Start a shard begins with the first request to it.
func (c *Coordinator) Start(ctx context.Context) error {
	shards, err := c.allShards()
	if err != nil {
		return err
	}
	for _, s := range shards {
		select {
		case <-s.loaded:
		case <-ctx.Done():
			return fmt.Errorf("load share partitions: %w", context.Cause(ctx))
		}
	}
	return nil
}

// Close stops all shards and waits for them. Requests that wait, and later
// ones, are answered NOT_COORDINATOR.
func (c *Coordinator) Close() {
	c.mutex.Lock()
	stopped := c.closed
	c.closed = true
	c.mutex.Unlock()
	if !stopped {
		for _, s := range c.shards { // no shard is added once closed is set
			close(s.stop)
		}
	}
	for _, s := range c.shards {
		<-s.done
	}
}

// PartitionOf returns the partition of __share_group_state that a key lives
// in, of count.
func PartitionOf(key Key, count int32) int32 {
	return protocol.CoordinatorPartition(key.String(), count)
}

// shardAt returns the shard of one partition, started if it was not.
func (c *Coordinator) shardAt(index int32) (*shard, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return nil, protocol.ErrNotCoordinator
	}
	s := c.shards[index]
	if s == nil {
		l := c.openLog(index)
		if l == nil {
			return nil, protocol.ErrNotCoordinator
		}
		s = newShard(index, &c.settings, l)
		c.shards[index] = s
		go s.loop() // stopped and awaited by Close
	}
	return s, nil
}

// allShards returns the shards of all partitions.
func (c *Coordinator) allShards() ([]*shard, error) {
	var list []*shard
	for i := range c.partitions() {
		s, err := c.shardAt(i)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// shardOf returns the loaded shard of a key.
func (c *Coordinator) shardOf(ctx context.Context, key Key) (*shard, error) {
	count := c.partitions()
	if count <= 0 {
		return nil, protocol.ErrNotCoordinator // who writes first makes the topic
	}
	s, err := c.shardAt(PartitionOf(key, count))
	if err != nil {
		return nil, err
	}
	return s, s.awaitLoaded(ctx)
}

// awaitLoaded waits a moment for the replay.
func (s *shard) awaitLoaded(ctx context.Context) error {
	select {
	case <-s.loaded:
		return nil
	default:
	}
	deadline := time.NewTimer(loadWait)
	defer deadline.Stop()
	select {
	case <-s.loaded:
		return nil
	case <-deadline.C:
		return protocol.ErrCoordinatorLoadInProgress
	case <-ctx.Done():
		return protocol.ErrCoordinatorNotAvailable
	}
}
