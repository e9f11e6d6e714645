// Package franz is the franz-go client of the load generator: a kgo client
// per producer thread, literal Kafka properties mapped to kgo's options, and
// the administration that all Go clients share. loadgen calls it.
package franz

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"fluxmq/loadgen"
	"fluxmq/scenarios"
)

// Client implements loadgen.Client.
type Client struct {
	job       scenarios.Job
	mapping   *loadgen.Mapping
	producer  []kgo.Opt
	consumer  []kgo.Opt
	pollBound int

	batches, raw, compressed atomic.Int64 // filled by the batch hook
}

// New maps the job's properties.
func New(job scenarios.Job) (loadgen.Client, error) {
	c := &Client{job: job, mapping: loadgen.NewMapping(loadgen.WithKafkaDefaults(job.Producer))}
	c.producer = append(producerOptions(c.mapping, job), kgo.SeedBrokers(job.Bootstrap), kgo.DefaultProduceTopic(job.Topic), kgo.WithHooks(c))
	consumer := loadgen.NewMapping(job.Consumer)
	c.consumer, c.pollBound = consumerOptions(consumer)
	c.consumer = append(c.consumer, kgo.SeedBrokers(job.Bootstrap))
	c.mapping.Absorb(consumer, "consumer ")
	if err := c.mapping.Err(); err != nil {
		return nil, fmt.Errorf("franz-go: %w", err)
	}
	return c, nil
}

// Version implements loadgen.Client.
func (c *Client) Version() string { return "franz-go " + moduleVersion("github.com/twmb/franz-go") }

// Mapping implements loadgen.Client.
func (c *Client) Mapping() *loadgen.Mapping { return c.mapping }

// OnProduceBatchWritten counts a batch; kgo calls it for every batch that succeeded.
func (c *Client) OnProduceBatchWritten(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.ProduceBatchMetrics) {
	c.batches.Add(1)
	c.raw.Add(int64(m.UncompressedBytes))
	c.compressed.Add(int64(m.CompressedBytes))
}

// Batches implements loadgen.Client.
func (c *Client) Batches() loadgen.BatchStats {
	return loadgen.BatchStats{Batches: c.batches.Load(), Raw: float64(c.raw.Load()), Compressed: float64(c.compressed.Load()), Source: "records of the batches written (franz-go hook)"}
}

// NewProducer implements loadgen.Client.
func (c *Client) NewProducer(ctx context.Context) (loadgen.Producer, error) {
	client, err := kgo.NewClient(c.producer...)
	if err != nil {
		return nil, fmt.Errorf("franz-go: %w", err)
	}
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("franz-go: %w", err)
	}
	return &producer{client: client}, nil
}

type producer struct{ client *kgo.Client }

// flight is a slot's record and its promise, made once a slot.
type flight struct {
	record  kgo.Record
	promise func(*kgo.Record, error)
}

// Send implements loadgen.Producer. It blocks in Produce while kgo's buffers are full.
func (p *producer) Send(ctx context.Context, slot *loadgen.Slot) error {
	f, ok := slot.Attachment.(*flight)
	if !ok {
		f = &flight{promise: func(r *kgo.Record, err error) {
			partition := r.Partition
			if err != nil {
				partition = -1
			}
			slot.Done(partition, err)
		}}
		slot.Attachment = f
	}
	f.record = kgo.Record{Key: slot.Key, Value: slot.Value}
	p.client.Produce(ctx, &f.record, f.promise)
	return nil
}

// Flush implements loadgen.Producer.
func (p *producer) Flush(ctx context.Context) error { return p.client.Flush(ctx) }

// Close implements loadgen.Producer.
func (p *producer) Close() { p.client.Close() }

// NewConsumer implements loadgen.Client.
func (c *Client) NewConsumer(context.Context) (loadgen.Consumer, error) {
	return &consumer{parent: c}, nil
}

// consumer makes a kgo client for each assignment: its direct consumer takes its partitions at birth.
type consumer struct {
	parent *Client
	client *kgo.Client
}

// Assign implements loadgen.Consumer.
func (c *consumer) Assign(_ context.Context, offsets map[int32]int64) error {
	c.Close()
	at := map[int32]kgo.Offset{}
	for p, offset := range offsets {
		at[p] = kgo.NewOffset().At(offset)
	}
	client, err := kgo.NewClient(append(c.parent.consumer[:len(c.parent.consumer):len(c.parent.consumer)],
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.parent.job.Topic: at}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()))...)
	if err != nil {
		return fmt.Errorf("franz-go: %w", err)
	}
	c.client = client
	return nil
}

// Poll implements loadgen.Consumer.
func (c *consumer) Poll(ctx context.Context, visit func(partition int32, offset int64, key, value []byte)) error {
	limit, cancel := context.WithTimeout(ctx, loadgen.PollWait)
	defer cancel()
	fetches := c.client.PollRecords(limit, c.parent.pollBound)
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		for _, r := range p.Records {
			visit(r.Partition, r.Offset, r.Key, r.Value)
		}
	})
	for _, failed := range fetches.Errors() {
		if limit.Err() == nil {
			return fmt.Errorf("franz-go: partition %d: %w", failed.Partition, failed.Err)
		}
	}
	return nil
}

// Close implements loadgen.Consumer.
func (c *consumer) Close() {
	if c.client != nil {
		c.client.Close()
		c.client = nil
	}
}

// moduleVersion is the version of a module in this binary.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "of unknown version"
}

// metadataRetry is how often the admin looks again for leaders.
const metadataRetry = 50 * time.Millisecond
