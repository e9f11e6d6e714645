// Package txn is the transaction coordinator: one shard per __transaction_state
// partition, each a goroutine that owns its transactional ids; a transactional
// id is a pure state machine (transaction.go, and the files named after what
// happens to one: init_producer_id.go, end.go).
//
// A transactional id belongs to the shard of the partition that Kafka would
// choose, its state is stored there in Kafka's format (records.go), and a
// restart replays it (shard.go). An outcome is decided by its record in the
// log; then the markers go to the transaction's partitions (markers.go), and
// when all are durable the transaction is complete. The room writes no
// partition but its own: node gives it the way to write markers. Handlers call
// it; node builds, starts and closes it.
//
// Words: a producer is a producer id with its epoch; an outcome is a decided
// transaction whose markers are not all written; a step is one input with all
// its effects.
package txn

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

// StateTopic is where transactional ids are stored.
const StateTopic = "__transaction_state"

const (
	// loadWait is how long a request waits for its shard's replay before it is
	// told COORDINATOR_LOAD_IN_PROGRESS.
	loadWait = time.Second
	// answerTimeout is how long a request may take: half of what clients wait
	// by default (request.timeout.ms).
	answerTimeout = 15 * time.Second
	// maxIDBytes is the longest string the formats of __transaction_state hold.
	maxIDBytes = math.MaxInt16
)

// Timer is the part of time.Timer that a shard uses.
type Timer interface {
	Chan() <-chan time.Time
	Reset(time.Duration)
	Stop()
}

// Config is what a Coordinator is made of.
type Config struct {
	// Node holds the transaction settings; it is read once.
	Node *config.Node
	// Partitions returns how many partitions __transaction_state has, 0 while
	// it does not exist. It is called for every request.
	Partitions func() int32
	// Log returns the log of one of them, nil when it is not hosted here.
	Log func(index int32) Log
	// NextProducerID hands out an id that nobody had, durably. It may be called
	// concurrently.
	NextProducerID func() (int64, error)
	// WriteMarkers appends control batches and returns one result for each: nil
	// when the marker is durable, or when its partition does not exist any more.
	// INVALID_PRODUCER_EPOCH and TRANSACTION_COORDINATOR_FENCED say that the
	// partition will never take it; after any other error it is called again. A
	// marker may come twice. It returns soon after ctx ends, and may be called
	// concurrently.
	WriteMarkers func(ctx context.Context, markers []Marker) []error
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

// New returns a coordinator without shards: Start makes them, or the first request.
func New(c Config) *Coordinator {
	n := c.Node
	co := &Coordinator{
		partitions: c.Partitions, openLog: c.Log, shards: map[int32]*shard{},
		settings: settings{
			maxTimeoutMs: int32(n.TransactionMaxTimeout.Milliseconds()), expirationMs: n.TransactionalIDExpiration.Milliseconds(),
			timeoutCheck: n.TransactionTimeoutCheck, expiryCheck: n.TransactionalIDExpiryCheck,
			writeMarkers: c.WriteMarkers, nextProducerID: c.NextProducerID,
			now: c.Now, newTimer: c.NewTimer, logger: c.Logger,
		},
	}
	s := &co.settings
	if s.now == nil {
		s.now = time.Now
	}
	if s.newTimer == nil {
		s.newTimer = func(d time.Duration) Timer { return wallTimer{time.NewTimer(d)} }
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	return co
}

type wallTimer struct{ *time.Timer }

func (t wallTimer) Chan() <-chan time.Time { return t.C }
func (t wallTimer) Reset(d time.Duration)  { t.Timer.Reset(d) }
func (t wallTimer) Stop()                  { t.Timer.Stop() }

// Start starts a shard for every partition of __transaction_state that exists
// and waits until all are loaded or ctx ends; they go on loading then. Without
// Start a shard begins with the first request to it, and the markers that a
// stop left unwritten are only written then.
func (c *Coordinator) Start(ctx context.Context) error {
	shards, err := c.allShards()
	if err != nil {
		return err
	}
	for _, s := range shards {
		select {
		case <-s.loaded:
		case <-ctx.Done():
			return fmt.Errorf("load transactions: %w", context.Cause(ctx))
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

// PartitionOf returns the partition of __transaction_state that a
// transactional id lives in, of count.
func PartitionOf(transactionalID string, count int32) int32 {
	return protocol.CoordinatorPartition(transactionalID, count)
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

// shardOf returns the loaded shard of a transactional id.
func (c *Coordinator) shardOf(ctx context.Context, transactionalID string) (*shard, error) {
	count := c.partitions()
	if count <= 0 {
		return nil, protocol.ErrNotCoordinator // FindCoordinator makes the topic
	}
	s, err := c.shardAt(PartitionOf(transactionalID, count))
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
