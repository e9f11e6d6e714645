package loadgen

import (
	"context"
	"errors"
	"sync"
	"time"

	"fluxmq/scenarios"
)

// memoryBroker keeps partitions in memory, so that faults can be put between
// an acknowledgement and the log. It is its own Client and Admin.
type memoryBroker struct {
	mu         sync.Mutex // guards partitions and sends
	partitions [][]storedRecord
	sends      int
	// fault sees the number of the record stored and says how often to store it (1 is sound) and with what error to answer.
	fault func(n int) (copies int, err error)
	hang  chan struct{} // not nil: Send blocks on it or ctx
}

type storedRecord struct{ key, value []byte }

func (b *memoryBroker) Version() string     { return "memory" }
func (b *memoryBroker) Mapping() *Mapping   { return NewMapping(nil) }
func (b *memoryBroker) Batches() BatchStats { return BatchStats{} }
func (b *memoryBroker) Close()              {}

func (b *memoryBroker) NewProducer(context.Context) (Producer, error) {
	p := &memoryProducer{broker: b, queue: make(chan *Slot, 16), drained: make(chan struct{})}
	go p.work() // ends when Flush or Close closes the queue
	return p, nil
}

func (b *memoryBroker) NewConsumer(context.Context) (Consumer, error) {
	return &memoryConsumer{broker: b}, nil
}

func (b *memoryBroker) CreateTopic(_ context.Context, _ string, partitions int32, _ int16, _ map[string]string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.partitions != nil {
		return errors.New("the topic exists")
	}
	b.partitions = make([][]storedRecord, partitions)
	return nil
}

func (b *memoryBroker) EndOffsets(context.Context, string, int32) ([]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []int64
	for _, p := range b.partitions {
		out = append(out, int64(len(p)))
	}
	return out, nil
}

func (b *memoryBroker) store(s *Slot) (int32, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.sends
	b.sends++
	copies, err := 1, error(nil)
	if b.fault != nil {
		copies, err = b.fault(n)
	}
	p := n / 10 % len(b.partitions) // sticky: ten records, then the next
	for range copies {
		b.partitions[p] = append(b.partitions[p], storedRecord{append([]byte(nil), s.Key...), append([]byte(nil), s.Value...)})
	}
	return int32(p), err
}

type memoryProducer struct {
	broker  *memoryBroker
	queue   chan *Slot
	drained chan struct{}
	once    sync.Once
}

func (p *memoryProducer) work() {
	defer close(p.drained)
	for s := range p.queue {
		s.Done(p.broker.store(s))
	}
}

func (p *memoryProducer) Send(ctx context.Context, s *Slot) error {
	if p.broker.hang != nil {
		select {
		case <-p.broker.hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case p.queue <- s:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *memoryProducer) Flush(context.Context) error { p.Close(); return nil }

func (p *memoryProducer) Close() {
	p.once.Do(func() { close(p.queue) })
	<-p.drained
}

type memoryConsumer struct {
	broker *memoryBroker
	next   map[int32]int64
}

func (c *memoryConsumer) Assign(_ context.Context, offsets map[int32]int64) error {
	c.next = map[int32]int64{}
	for p, offset := range offsets {
		c.next[p] = offset
	}
	return nil
}

func (c *memoryConsumer) Poll(ctx context.Context, visit func(partition int32, offset int64, key, value []byte)) error {
	got := false
	for p, from := range c.next {
		c.broker.mu.Lock()
		log := c.broker.partitions[p]
		c.broker.mu.Unlock()
		for offset := from; offset < int64(len(log)); offset++ {
			visit(p, offset, log[offset].key, log[offset].value)
			got = true
		}
		c.next[p] = int64(len(log))
	}
	if !got {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil
}

func (c *memoryConsumer) Close() {}

// memoryJob is a job that takes a fraction of a second.
func memoryJob() scenarios.Job {
	return scenarios.Job{
		Schema: 1, RunID: "r", RunTag: 1 << 63, Scenario: "s", Form: "honest", Client: scenarios.ClientFranz, Round: 1,
		Bootstrap: "memory", Topic: "t", Partitions: 4, ReplicationFactor: -1, Mode: "produce", Threads: 2,
		Payload:        scenarios.Payload{ValueBytes: 100, KeySpread: 5, CompressedRatio: 0.5, Seed: 1},
		MeasureRecords: 1000, DeliverTimeoutSeconds: 1, VerifyTimeoutSeconds: 10, VerifyFraction: 1,
	}
}
