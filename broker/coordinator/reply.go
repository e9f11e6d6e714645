package coordinator

import (
	"context"
	"time"

	"fluxmq/broker/protocol"
)

// Reply is an answer that may come later. One goroutine waits for it, once.
type Reply[T any] struct {
	answer  chan T // capacity 1, sent to once
	refuse  func(error) T
	done    <-chan struct{} // the shard has stopped
	timeout time.Duration   // 0: none
}

// Answered is a Reply that is there.
func Answered[T any](v T) *Reply[T] {
	r := &Reply[T]{answer: make(chan T, 1)}
	r.answer <- v
	return r
}

// Held takes the time limit away: something else sees to it that an answer comes.
func (r *Reply[T]) Held() { r.timeout = 0 }

// Ready tells that the answer is there: Wait would return at once.
func (r *Reply[T]) Ready() bool { return len(r.answer) > 0 }

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
// answer takes longer than the coordinator's time limit. After
// COORDINATOR_NOT_AVAILABLE the request may have been carried out, or may yet be.
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
			return r.refuse(protocol.ErrNotCoordinator)
		}
	case <-deadline:
	case <-ctx.Done():
	}
	return r.refuse(protocol.ErrCoordinatorNotAvailable)
}

// Outbox is where answers wait until they may leave: a Journal.
type Outbox interface {
	Answer(durable bool, deliver func(failure error))
}

// Give answers through the outbox of the shard that was asked.
func (r *Reply[T]) Give(to Outbox, v T, durable bool) {
	to.Answer(durable, func(failure error) {
		if failure != nil {
			v = r.refuse(failure)
		}
		r.answer <- v
	})
}
