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
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/coordinator"
)

// StateTopic is where the state of share partitions is stored.
const StateTopic = "__share_group_state"

const (
	// maxIDBytes is the longest string the formats of __share_group_state hold.
	maxIDBytes = math.MaxInt16
)

// Timer and Reply are the coordinators' common ones.
type (
	Timer        = coordinator.Timer
	Reply[T any] = coordinator.Reply[T]
)

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
	shards     *coordinator.Shards[*shard]
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
		partitions: c.Partitions,
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
		s.newTimer = coordinator.NewWallTimer
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	co.shards = coordinator.NewShards(c.Partitions, c.Log, func(index int32, l Log) *shard {
		sh := newShard(index, s, l)
		go sh.loop() // stopped and awaited by Close
		return sh
	})
	return co
}

// Start starts a shard for every partition of __share_group_state that exists
// and waits until all are loaded or ctx ends; they go on loading then. Without
// Start a shard begins with the first request to it.
func (c *Coordinator) Start(ctx context.Context) error {
	if err := c.shards.Start(ctx); err != nil {
		return fmt.Errorf("load share partitions: %w", err)
	}
	return nil
}

// Close stops all shards and waits for them. Requests that wait, and later
// ones, are answered NOT_COORDINATOR.
func (c *Coordinator) Close() { c.shards.Close() }
