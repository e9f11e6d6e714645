package txn

import (
	"context"
	"time"

	"fluxmq/broker/protocol"
)

// send puts a command into the queue, waiting for room at most the answer timeout.
func (s *shard) send(ctx context.Context, c command) error {
	select {
	case s.queue <- c:
		return nil
	case <-s.done:
		return protocol.ErrNotCoordinator
	default:
	}
	deadline := time.NewTimer(answerTimeout)
	defer deadline.Stop()
	select {
	case s.queue <- c:
		return nil
	case <-s.done:
		return protocol.ErrNotCoordinator
	case <-deadline.C:
	case <-ctx.Done():
	}
	return protocol.ErrCoordinatorNotAvailable
}

// Reply is an answer that may come later. Wait is called once.
type Reply[T any] struct {
	answer chan T // capacity 1, sent to once
	refuse func(error) T
	done   <-chan struct{} // the shard has stopped
}

// answered is a Reply that is there.
func answered[T any](v T) *Reply[T] {
	r := &Reply[T]{answer: make(chan T, 1)}
	r.answer <- v
	return r
}

// Wait returns the answer, or a refusal when ctx ends, the shard stops or the
// answer takes too long. After COORDINATOR_NOT_AVAILABLE the request may have
// been carried out, or may yet be.
func (r *Reply[T]) Wait(ctx context.Context) T {
	select {
	case v := <-r.answer:
		return v
	default:
	}
	deadline := time.NewTimer(answerTimeout)
	defer deadline.Stop()
	select {
	case v := <-r.answer:
		return v
	case <-r.done:
		select {
		case v := <-r.answer: // it was answered before the shard stopped
			return v
		default:
			return r.refuse(protocol.ErrNotCoordinator)
		}
	case <-deadline.C:
	case <-ctx.Done():
	}
	return r.refuse(protocol.ErrCoordinatorNotAvailable)
}

// give puts the answer into the shard's outbox.
func (r *Reply[T]) give(s *shard, v T, durable bool) {
	s.outbox = append(s.outbox, outgoing{durable: durable, deliver: func(failure error) {
		if failure != nil {
			v = r.refuse(failure)
		}
		r.answer <- v
	}})
}

// ask sends a request to the shard of a transactional id.
func ask[T any](ctx context.Context, c *Coordinator, transactionalID string, refuse func(error) T, run func(*shard, *Reply[T])) *Reply[T] {
	s, err := c.shardOf(ctx, transactionalID)
	if err != nil {
		return answered(refuse(err))
	}
	return askShard(ctx, s, refuse, run)
}

func askShard[T any](ctx context.Context, s *shard, refuse func(error) T, run func(*shard, *Reply[T])) *Reply[T] {
	r := &Reply[T]{answer: make(chan T, 1), refuse: refuse, done: s.done}
	err := s.send(ctx, command{
		run:    func(s *shard) { run(s, r) },
		refuse: func(failure error) { r.answer <- refuse(failure) },
	})
	if err != nil {
		return answered(refuse(err))
	}
	return r
}

// each asks all shards at once and collects what they answer; it returns the
// first error.
func each[T any](ctx context.Context, c *Coordinator, read func(*shard) []T, collect func([]T)) error {
	type part struct {
		list []T
		err  error
	}
	shards, err := c.allShards()
	if err != nil {
		return err
	}
	replies := make([]*Reply[part], len(shards))
	for i, s := range shards {
		refuse := func(err error) part { return part{err: err} }
		if err := s.awaitLoaded(ctx); err != nil {
			replies[i] = answered(refuse(err))
			continue
		}
		replies[i] = askShard(ctx, s, refuse, func(s *shard, r *Reply[part]) { r.give(s, part{list: read(s)}, false) })
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
