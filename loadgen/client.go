package loadgen

import (
	"context"

	"fluxmq/scenarios"
)

// Client is one Kafka client library under one job. NewProducer and
// NewConsumer may be called concurrently; everything else by one goroutine.
type Client interface {
	// Version names library and version: "franz-go v1.22.2".
	Version() string
	// Mapping says what each property of the job became. Complete once NewClient returned.
	Mapping() *Mapping
	// NewProducer makes one producer with its own connections. Its slots are those of one worker.
	NewProducer(ctx context.Context) (Producer, error)
	// NewConsumer makes one consumer with nothing assigned.
	NewConsumer(ctx context.Context) (Consumer, error)
	// Batches is what all producers wrote so far.
	Batches() BatchStats
}

// NewClient makes the client of a job. Implementations refuse properties whose values they cannot express.
type NewClient func(job scenarios.Job) (Client, error)

// Producer sends records. Send and Flush are called by one goroutine.
type Producer interface {
	// Send hands a slot's record to the client. It blocks while the client's
	// buffers are full. Unless it returns an error, the producer calls
	// slot.Done exactly once, and never two slots of one producer
	// concurrently; until then the slot's bytes are the producer's.
	Send(ctx context.Context, slot *Slot) error
	// Flush returns when every slot is done, or with ctx's error. Nothing may be sent after it.
	Flush(ctx context.Context) error
	// Close gives everything back. Slots that are not done by then never will be.
	Close()
}

// Consumer reads plainly assigned partitions, without a group. Not for concurrent use.
type Consumer interface {
	// Assign replaces the partitions and the offsets to read next.
	Assign(ctx context.Context, offsets map[int32]int64) error
	// Poll waits for records until ctx ends or PollWait passed and visits
	// those it got, per partition in order. Keys and values are valid during visit only.
	Poll(ctx context.Context, visit func(partition int32, offset int64, key, value []byte)) error
	Close()
}

// Admin is the little that the phases need beside the load.
type Admin interface {
	// CreateTopic creates the topic and waits until every partition has a leader. An existing topic is an error.
	CreateTopic(ctx context.Context, topic string, partitions int32, replicationFactor int16, configs map[string]string) error
	// EndOffsets lists the log end offset (read_uncommitted) of partitions 0..partitions-1.
	EndOffsets(ctx context.Context, topic string, partitions int32) ([]int64, error)
	Close()
}

// BatchStats counts produce batches. Raw and Compressed are bytes of records before and after compression.
type BatchStats struct {
	Batches         int64
	Raw, Compressed float64
	Source          string // where the numbers come from; "": there are none
}

// Minus is what was added since earlier.
func (b BatchStats) Minus(earlier BatchStats) BatchStats {
	return BatchStats{Batches: b.Batches - earlier.Batches, Raw: b.Raw - earlier.Raw, Compressed: b.Compressed - earlier.Compressed, Source: b.Source}
}
