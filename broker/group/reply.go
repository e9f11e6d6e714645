package group

import (
	"context"
	"time"

	"fluxmq/broker/protocol"
)

// send puts a command into the queue, waiting for room at most the answer timeout.
func (s *shard) send(ctx context.Context, c command) error {
	s.waiting.Add(1)
	err := s.enqueue(ctx, c)
	if err != nil {
		s.waiting.Add(-1)
	}
	return err
}

func (s *shard) enqueue(ctx context.Context, c command) error {
	select {
	case s.queue <- c:
		return nil
	case <-s.done:
		return protocol.ErrNotCoordinator
	default:
	}
	deadline := time.NewTimer(s.config.answerTimeout)
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
	refuse  func(code int16) T
	done    <-chan struct{} // the shard has stopped
	timeout time.Duration   // 0: held as long as the group says (join, sync)
}

// answered is a Reply that is there.
func answered[T any](v T) *Reply[T] {
	r := &Reply[T]{answer: make(chan T, 1)}
	r.answer <- v
	return r
}

// Now returns the answer if it is there already; then Wait is not called.
func (r *Reply[T]) Now() (v T, is bool) {
	select {
	case v = <-r.answer:
		return v, true
	default:
		return v, false
	}
}

// Wait returns the answer, or a refusal when ctx ends, the shard stops or the
// answer takes longer than offsets.commit.timeout.ms (held joins and syncs
// excepted, which the group's own timers end).
func (r *Reply[T]) Wait(ctx context.Context) T {
	select {
	case v := <-r.answer:
		return v
	default:
	}
	var deadline <-chan time.Time
	if r.timeout > 0 {
		t := time.NewTimer(r.timeout)
		defer t.Stop()
		deadline = t.C
	}
	select {
	case v := <-r.answer:
		return v
	case <-r.done:
		select {
		case v := <-r.answer: // it was answered before the shard stopped
			return v
		default:
			return r.refuse(protocol.ErrNotCoordinator.Code)
		}
	case <-deadline:
	case <-ctx.Done():
	}
	return r.refuse(protocol.ErrCoordinatorNotAvailable.Code)
}

// give puts the answer into the shard's outbox.
func (r *Reply[T]) give(s *shard, v T, durable bool) {
	s.outbox = append(s.outbox, outgoing{durable: durable, deliver: func(code int16) {
		if code != 0 {
			v = r.refuse(code)
		}
		r.answer <- v
	}})
}

// ask sends a request to the shard of a group.
func ask[T any](ctx context.Context, c *Coordinator, group string, refuse func(int16) T, run func(*shard, *Reply[T])) *Reply[T] {
	s, err := c.shardOf(ctx, group)
	if err != nil {
		return answered(refuse(protocol.CodeOf(err)))
	}
	return askShard(ctx, s, refuse, run)
}

func askShard[T any](ctx context.Context, s *shard, refuse func(int16) T, run func(*shard, *Reply[T])) *Reply[T] {
	r := &Reply[T]{answer: make(chan T, 1), refuse: refuse, done: s.done, timeout: s.config.answerTimeout}
	c := command{
		run:    func(s *shard) { run(s, r) },
		refuse: func(code int16) { r.answer <- refuse(code) },
	}
	if s.serveHere(c) {
		return r
	}
	if err := s.send(ctx, c); err != nil {
		return answered(refuse(protocol.CodeOf(err)))
	}
	return r
}
