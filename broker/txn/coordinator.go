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
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/coordinator"
)

// StateTopic is where transactional ids are stored.
const StateTopic = "__transaction_state"

const (
	// answerTimeout is how long a request may take: half of what clients wait
	// by default (request.timeout.ms).
	answerTimeout = 15 * time.Second
	// maxIDBytes is the longest string the formats of __transaction_state hold.
	maxIDBytes = math.MaxInt16
)

// Timer and Reply are the coordinators' common ones.
type (
	Timer        = coordinator.Timer
	Reply[T any] = coordinator.Reply[T]
)

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
	settings settings
	shards   *coordinator.Shards[*shard]
}

// New returns a coordinator without shards: Start makes them, or the first request.
func New(c Config) *Coordinator {
	n := c.Node
	co := &Coordinator{
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

// Start starts a shard for every partition of __transaction_state that exists
// and waits until all are loaded or ctx ends; they go on loading then. Without
// Start a shard begins with the first request to it, and the markers that a
// stop left unwritten are only written then.
func (c *Coordinator) Start(ctx context.Context) error {
	if err := c.shards.Start(ctx); err != nil {
		return fmt.Errorf("load transactions: %w", err)
	}
	return nil
}

// Close stops all shards and waits for them. Requests that wait, and later
// ones, are answered NOT_COORDINATOR.
func (c *Coordinator) Close() { c.shards.Close() }
