package share

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
	deadline := time.NewTimer(s.config.timeout)
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
	answer  chan T // capacity 1, sent to once
	refuse  func(error) T
	done    <-chan struct{} // the shard has stopped
	timeout time.Duration
}

// answered is a Reply that is there.
func answered[T any](v T) *Reply[T] {
	r := &Reply[T]{answer: make(chan T, 1)}
	r.answer <- v
	return r
}

// Wait returns the answer, or a refusal when ctx ends, the shard stops or the
// answer takes longer than share.coordinator.write.timeout.ms. After
// COORDINATOR_NOT_AVAILABLE the request may have been carried out, or may yet be.
func (r *Reply[T]) Wait(ctx context.Context) T {
	select {
	case v := <-r.answer:
		return v
	default:
	}
	deadline := time.NewTimer(r.timeout)
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

// give puts the answer into the shard's outbox; it leaves when it is durable.
func (r *Reply[T]) give(s *shard, v T) {
	s.outbox = append(s.outbox, func(failure error) {
		if failure != nil {
			v = r.refuse(failure)
		}
		r.answer <- v
	})
}

// ask sends a request to the shard of a key.
func ask[T any](ctx context.Context, c *Coordinator, key Key, refuse func(error) T, run func(*shard) T) *Reply[T] {
	s, err := c.shardOf(ctx, key)
	if err != nil {
		return answered(refuse(err))
	}
	r := &Reply[T]{answer: make(chan T, 1), refuse: refuse, done: s.done, timeout: s.config.timeout}
	err = s.send(ctx, command{
		run:    func(s *shard) { r.give(s, run(s)) },
		refuse: func(failure error) { r.answer <- refuse(failure) },
	})
	if err != nil {
		return answered(refuse(err))
	}
	return r
}
