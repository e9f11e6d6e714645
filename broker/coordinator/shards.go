package coordinator

import (
	"context"
	"sync"

	"fluxmq/broker/protocol"
)

// Shard is what Shards need of a shard; one that embeds a *Queue of its own
// type and a *Journal has it.
type Shard[S any] interface {
	Outbox
	queue() *Queue[S]
}

func (q *Queue[S]) queue() *Queue[S] { return q }

// Shards are the shards of the partitions of a coordinator's topic, each
// started when it is first asked for. Safe for concurrent use.
type Shards[S Shard[S]] struct {
	partitions func() int32
	start      func(index int32) (s S, hosted bool)

	// mutex guards the fields below.
	mutex  sync.Mutex
	shards map[int32]S
	closed bool
}

// NewShards returns no shards yet. partitions tells how many partitions the
// topic has, 0 while it does not exist; log returns the log of one, nil when it is
// not hosted here; start makes its shard and starts the goroutine, which Close
// stops and awaits.
func NewShards[S Shard[S], L comparable](partitions func() int32, log func(index int32) L, start func(index int32, l L) S) *Shards[S] {
	return &Shards[S]{partitions: partitions, shards: map[int32]S{}, start: func(index int32) (s S, hosted bool) {
		var none L
		l := log(index)
		if l == none {
			return s, false
		}
		return start(index, l), true
	}}
}

// At returns the shard of one partition.
func (c *Shards[S]) At(index int32) (s S, err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return s, protocol.ErrNotCoordinator
	}
	s, is := c.shards[index]
	if is {
		return s, nil
	}
	s, hosted := c.start(index)
	if !hosted {
		return s, protocol.ErrNotCoordinator
	}
	c.shards[index] = s
	return s, nil
}

// Of returns the shard of a key: what Kafka hashes of a group, a transactional id, or a
// share partition.
func (c *Shards[S]) Of(key string) (s S, err error) {
	count := c.partitions()
	if count <= 0 {
		return s, protocol.ErrNotCoordinator // who asks for the coordinator makes the topic
	}
	return c.At(protocol.CoordinatorPartition(key, count))
}

// LoadedOf returns the shard of a key when it has replayed its partition. It waits for
// that a moment.
func (c *Shards[S]) LoadedOf(ctx context.Context, key string) (S, error) {
	s, err := c.Of(key)
	if err != nil {
		return s, err
	}
	return s, s.queue().AwaitLoaded(ctx)
}

// All returns the shards of all partitions.
func (c *Shards[S]) All() ([]S, error) {
	var list []S
	for i := range c.partitions() {
		s, err := c.At(i)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// Start starts all shards and waits until they are loaded or ctx ends; they go
// on loading then.
func (c *Shards[S]) Start(ctx context.Context) error {
	shards, err := c.All()
	if err != nil {
		return err
	}
	for _, s := range shards {
		select {
		case <-s.queue().loaded:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Close stops all shards and waits for them. What waits in them, and what is
// asked later, is answered NOT_COORDINATOR.
func (c *Shards[S]) Close() {
	c.mutex.Lock()
	stopped := c.closed
	c.closed = true
	c.mutex.Unlock()
	if !stopped {
		for _, s := range c.shards { // no shard is added once closed is set
			close(s.queue().stop)
		}
	}
	for _, s := range c.shards {
		<-s.queue().done
	}
}

// Each asks all shards at once and collects what they answer; it returns the
// first error.
func Each[S Shard[S], T any](ctx context.Context, c *Shards[S], read func(S) []T, collect func([]T)) error {
	type part struct {
		list []T
		err  error
	}
	shards, err := c.All()
	if err != nil {
		return err
	}
	refuse := func(err error) part { return part{err: err} }
	replies := make([]*Reply[part], len(shards))
	for i, s := range shards {
		if err := s.queue().AwaitLoaded(ctx); err != nil {
			replies[i] = Answered(refuse(err))
			continue
		}
		replies[i] = Ask(ctx, s.queue(), refuse, func(s S, r *Reply[part]) { r.Give(s, part{list: read(s)}, false) })
	}
	for _, r := range replies {
		p := r.Wait(ctx)
		collect(p.list)
		if err == nil {
			err = p.err
		}
	}
	return err
}
