package coordinator

import (
	"context"
	"sync/atomic"
	"time"

	"fluxmq/broker/protocol"
)

// QueueLength is how many commands wait for a shard at most.
const QueueLength = 1024

const (
	drainLength = 256 // commands whose records share one batch
	// loadWait is how long a request waits for its shard's replay before it is
	// told COORDINATOR_LOAD_IN_PROGRESS.
	loadWait = time.Second
)

// Command is one request to a shard of the type S. The shard runs it, or
// refuses it when its log has failed.
type Command[S any] struct {
	Run    func(S)
	Refuse func(error)
}

// Queue is the commands that wait for a shard, and the moments of the shard's
// life. A shard embeds it. Send, Idle and AwaitLoaded may be called concurrently; the
// rest belongs to the shard's goroutine, and stopping it to Shards.
type Queue[S any] struct {
	commands chan Command[S]
	// waiting counts commands that are in the queue, or on the way into it or
	// out of it.
	waiting atomic.Int32
	timeout time.Duration

	loaded chan struct{} // closed when the partition was replayed, or could not be
	stop   chan struct{} // closed by Shards.Close
	done   chan struct{} // closed when the shard's goroutine has ended
}

// NewQueue returns the queue of a shard. The timeout is how long a command
// waits for room, and a Reply for its answer.
func NewQueue[S any](timeout time.Duration) *Queue[S] {
	return &Queue[S]{
		commands: make(chan Command[S], QueueLength), timeout: timeout,
		loaded: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// Send puts a command into the queue, waiting for room at most the timeout.
func (q *Queue[S]) Send(ctx context.Context, c Command[S]) error {
	q.waiting.Add(1)
	err := q.enqueue(ctx, c)
	if err != nil {
		q.waiting.Add(-1)
	}
	return err
}

func (q *Queue[S]) enqueue(ctx context.Context, c Command[S]) error {
	select {
	case q.commands <- c:
		return nil
	case <-q.done:
		return protocol.ErrNotCoordinator
	default:
	}
	deadline := time.NewTimer(q.timeout)
	defer deadline.Stop()
	select {
	case q.commands <- c:
		return nil
	case <-q.done:
		return protocol.ErrNotCoordinator
	case <-deadline.C:
	case <-ctx.Done():
	}
	return protocol.ErrCoordinatorNotAvailable
}

// Idle tells that no command waits, which another would overtake.
func (q *Queue[S]) Idle() bool { return q.waiting.Load() == 0 }

// AwaitLoaded waits a moment for the replay.
func (q *Queue[S]) AwaitLoaded(ctx context.Context) error {
	select {
	case <-q.loaded:
		return nil
	default:
	}
	deadline := time.NewTimer(loadWait)
	defer deadline.Stop()
	select {
	case <-q.loaded:
		return nil
	case <-deadline.C:
		return protocol.ErrCoordinatorLoadInProgress
	case <-ctx.Done():
		return protocol.ErrCoordinatorNotAvailable
	}
}

// Commands is where the shard takes commands from, each for Serve.
func (q *Queue[S]) Commands() <-chan Command[S] { return q.commands }

// Stopping is closed when the shard is to end.
func (q *Queue[S]) Stopping() <-chan struct{} { return q.stop }

// Loaded tells that the replay is over, Ended that the shard's goroutine is;
// each is called once.
func (q *Queue[S]) Loaded() { close(q.loaded) }
func (q *Queue[S]) Ended()  { close(q.done) }

// Serve has s run a command.
func (q *Queue[S]) Serve(s S, j *Journal, c Command[S]) {
	defer q.waiting.Add(-1)
	if j.failure != nil {
		c.Refuse(protocol.ErrNotCoordinator)
		return
	}
	c.Run(s)
}

// Drain serves commands that wait already, so that their records share a batch.
func (q *Queue[S]) Drain(s S, j *Journal) {
	for range drainLength {
		if j.Full() {
			return
		}
		select {
		case c := <-q.commands:
			q.Serve(s, j, c)
		default:
			return
		}
	}
}

// Request is a command and the reply to it: run gives the answer, now or later.
func Request[S, T any](q *Queue[S], refuse func(error) T, run func(S, *Reply[T])) (Command[S], *Reply[T]) {
	r := &Reply[T]{answer: make(chan T, 1), refuse: refuse, done: q.done, timeout: q.timeout}
	return Command[S]{
		Run:    func(s S) { run(s, r) },
		Refuse: func(failure error) { r.answer <- refuse(failure) },
	}, r
}

// Ask sends a request to a shard.
func Ask[S, T any](ctx context.Context, q *Queue[S], refuse func(error) T, run func(S, *Reply[T])) *Reply[T] {
	c, r := Request(q, refuse, run)
	if err := q.Send(ctx, c); err != nil {
		return Answered(refuse(err))
	}
	return r
}
