// Package sarama is the sarama client of the load generator: an AsyncProducer
// per producer thread and literal Kafka properties mapped to its Config.
// loadgen calls it.
package sarama

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"fluxmq/loadgen"
	"fluxmq/scenarios"
)

// closeLimit bounds how long Close waits for a producer that was not flushed.
const closeLimit = 2 * time.Second

// Client implements loadgen.Client.
type Client struct {
	job      scenarios.Job
	mapping  *loadgen.Mapping
	producer *sarama.Config
	consumer *sarama.Config

	mu        sync.Mutex // guards producers
	producers []*producer
}

// New maps the job's properties. max.request.size and fetch.max.bytes are
// settings of the whole process in sarama, so one process runs one job.
func New(job scenarios.Job) (loadgen.Client, error) {
	c := &Client{job: job, mapping: loadgen.NewMapping(loadgen.WithKafkaDefaults(job.Producer))}
	c.producer = producerConfig(c.mapping, job)
	consumer := loadgen.NewMapping(job.Consumer)
	c.consumer = consumerConfig(consumer)
	c.mapping.Absorb(consumer, "consumer ")
	for _, err := range []error{c.mapping.Err(), c.producer.Validate(), c.consumer.Validate()} {
		if err != nil {
			return nil, fmt.Errorf("sarama: %w", err)
		}
	}
	return c, nil
}

// Version implements loadgen.Client.
func (c *Client) Version() string {
	version := "of unknown version"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/IBM/sarama" {
				version = m.Version
			}
		}
	}
	return "sarama " + version
}

// Mapping implements loadgen.Client.
func (c *Client) Mapping() *loadgen.Mapping { return c.mapping }

// Batches implements loadgen.Client. The ratio is a mean over sarama's sample of the latest batches, each with the same weight.
func (c *Client) Batches() loadgen.BatchStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	var stats loadgen.BatchStats
	for _, p := range c.producers {
		sizes, ratios := p.metrics()
		if sizes != nil {
			stats.Batches += sizes.Count()
		}
		if ratios != nil && ratios.Mean() > 0 {
			stats.Compressed += float64(ratios.Count())
			stats.Raw += float64(ratios.Count()) * ratios.Mean() / 100
			stats.Source = "mean over a sample of the batches written (sarama metric)"
		}
	}
	return stats
}

// NewProducer implements loadgen.Client.
func (c *Client) NewProducer(context.Context) (loadgen.Producer, error) {
	config := *c.producer
	config.MetricRegistry = sarama.NewConfig().MetricRegistry // its own: a producer that closes empties its registry
	client, err := connect(c.job.Bootstrap, c.job.Topic, &config)
	if err != nil {
		return nil, fmt.Errorf("sarama: %w", err)
	}
	async, err := sarama.NewAsyncProducerFromClient(client)
	if err != nil {
		return nil, fmt.Errorf("sarama: %w", errors.Join(err, client.Close()))
	}
	p := &producer{client: client, async: async, topic: c.job.Topic, config: &config, drained: make(chan struct{})}
	c.mu.Lock()
	c.producers = append(c.producers, p)
	c.mu.Unlock()
	go p.collect() // ends when async is closed and drained; Flush and Close await it
	return p, nil
}

type producer struct {
	client  sarama.Client // collect closes it
	async   sarama.AsyncProducer
	topic   string
	config  *sarama.Config
	closing bool
	drained chan struct{}

	mu            sync.Mutex // guards what follows
	sizes, ratios histogram  // nil until there is a batch
}

// histogram is what we read of sarama's metrics.
type histogram interface {
	Count() int64
	Mean() float64
}

// metrics are the producer's batch sizes and compression ratios. They are
// kept from the first batch on, because closing removes them from the registry.
func (p *producer) metrics() (sizes, ratios histogram) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sizes == nil {
		p.sizes, _ = p.config.MetricRegistry.Get("batch-size").(histogram)
	}
	if p.ratios == nil {
		p.ratios, _ = p.config.MetricRegistry.Get("compression-ratio").(histogram)
	}
	return p.sizes, p.ratios
}

// flight is a slot's message, made once a slot.
type flight struct {
	message    sarama.ProducerMessage
	key, value bytesEncoder
	slot       *loadgen.Slot
}

// bytesEncoder is sarama.ByteEncoder behind a pointer, which costs no allocation a record.
type bytesEncoder struct{ bytes []byte }

func (e *bytesEncoder) Encode() ([]byte, error) { return e.bytes, nil }
func (e *bytesEncoder) Length() int             { return len(e.bytes) }

// Send implements loadgen.Producer. It blocks while sarama's channels are full.
func (p *producer) Send(ctx context.Context, slot *loadgen.Slot) error {
	f, ok := slot.Attachment.(*flight)
	if !ok {
		f = &flight{slot: slot}
		slot.Attachment = f
	}
	f.value.bytes, f.key.bytes = slot.Value, slot.Key
	f.message = sarama.ProducerMessage{Topic: p.topic, Value: &f.value, Metadata: f}
	if slot.Key != nil {
		f.message.Key = &f.key
	}
	select {
	case p.async.Input() <- &f.message:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// collect hands every outcome to its slot, from one goroutine.
func (p *producer) collect() {
	defer close(p.drained)
	defer p.client.Close() // all is answered
	successes, failures := p.async.Successes(), p.async.Errors()
	first := true
	for successes != nil || failures != nil {
		select {
		case m, ok := <-successes:
			if !ok {
				successes = nil
				continue
			}
			if first {
				p.metrics()
				first = false
			}
			m.Metadata.(*flight).slot.Done(m.Partition, nil)
		case failure, ok := <-failures:
			if !ok {
				failures = nil
				continue
			}
			failure.Msg.Metadata.(*flight).slot.Done(-1, failure.Err)
		}
	}
}

// Flush implements loadgen.Producer: sarama flushes by closing.
func (p *producer) Flush(ctx context.Context) error {
	p.close()
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close implements loadgen.Producer.
func (p *producer) Close() {
	p.close()
	select {
	case <-p.drained:
	case <-time.After(closeLimit):
	}
}

func (p *producer) close() {
	if !p.closing {
		p.closing = true
		p.async.AsyncClose()
	}
}

// NewConsumer implements loadgen.Client.
func (c *Client) NewConsumer(context.Context) (loadgen.Consumer, error) {
	reader, err := sarama.NewConsumer([]string{c.job.Bootstrap}, c.consumer)
	if err != nil {
		return nil, fmt.Errorf("sarama: %w", err)
	}
	return &consumer{reader: reader, topic: c.job.Topic}, nil
}

type consumer struct {
	reader     sarama.Consumer
	topic      string
	partitions []sarama.PartitionConsumer
	arrived    *arrivals
}

// Assign implements loadgen.Consumer.
func (c *consumer) Assign(_ context.Context, offsets map[int32]int64) error {
	if err := c.release(); err != nil {
		return err
	}
	for p, offset := range offsets {
		partition, err := c.reader.ConsumePartition(c.topic, p, offset)
		if err != nil {
			return fmt.Errorf("sarama: partition %d: %w", p, err)
		}
		c.partitions = append(c.partitions, partition)
	}
	c.arrived = newArrivals(c.partitions)
	return nil
}

// Poll implements loadgen.Consumer.
func (c *consumer) Poll(ctx context.Context, visit func(partition int32, offset int64, key, value []byte)) error {
	see := func(m *sarama.ConsumerMessage) { visit(m.Partition, m.Offset, m.Key, m.Value) }
	if !c.drain(see) {
		if first := c.arrived.wait(ctx, loadgen.PollWait); first != nil {
			see(first)
			c.drain(see)
		}
	}
	for _, partition := range c.partitions {
		select {
		case failure := <-partition.Errors():
			if failure != nil {
				return fmt.Errorf("sarama: %w", failure)
			}
		default:
		}
	}
	return nil
}

// drain visits what has arrived already, a bounded number of records a partition.
func (c *consumer) drain(see func(*sarama.ConsumerMessage)) (some bool) {
	const most = 4096
	for _, partition := range c.partitions {
	partition:
		for range most {
			select {
			case m, ok := <-partition.Messages():
				if !ok {
					break partition
				}
				see(m)
				some = true
			default:
				break partition
			}
		}
	}
	return some
}

// release ends the assignment.
func (c *consumer) release() error {
	var errs []error
	for _, partition := range c.partitions {
		partition.AsyncClose()
	}
	for _, partition := range c.partitions {
		errs = append(errs, partition.Close()) // drains what is left
	}
	c.partitions = nil
	return errors.Join(errs...)
}

// Close implements loadgen.Consumer.
func (c *consumer) Close() {
	_ = c.release()      // what was left unread is of no interest any more
	_ = c.reader.Close() // likewise
}
