package coordinator

import (
	"context"
	"fmt"
	"testing"
	"time"

	"fluxmq/broker/coordinator/memlog"
	"fluxmq/broker/protocol"
)

// oneLog is logs of which only that of the key "a" is there.
func oneLog(l *memlog.Log) *[counterPartitions]*memlog.Log {
	var logs [counterPartitions]*memlog.Log
	logs[protocol.CoordinatorPartition("a", counterPartitions)] = l
	return &logs
}

// awaitBatches waits until a shard has written so many.
func awaitBatches(t *testing.T, l *memlog.Log, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); l.Count() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d batches after a minute, want %d", l.Count(), n)
		}
	}
}

func TestAnswersWaitForTheDisk(t *testing.T) {
	l := &memlog.Log{Waits: true}
	c := counters(t, time.Minute, oneLog(l))
	first := count(t.Context(), c, "a")
	awaitBatches(t, l, 1)
	if _, is := first.Now(); is {
		t.Error("it was answered before the disk had it")
	}
	l.Sync(nil)
	expectCount(t, "when the disk has it", first.Wait(t.Context()), 1, nil)
	second := count(t.Context(), c, "a")
	awaitBatches(t, l, 2)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		l.Sync(memlog.ErrDisk) // refuses who waits already
		if got, is := second.Now(); is {
			expectCount(t, "when the disk failed", got, 0, protocol.ErrNotCoordinator)
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody heard of the disk's failure")
		}
	}
}

func TestALogThatFailsIsGivenUp(t *testing.T) {
	l := &memlog.Log{}
	c := counters(t, time.Minute, oneLog(l))
	expectCount(t, "before", count(t.Context(), c, "a").Wait(t.Context()), 1, nil)
	l.Set(func() { l.Fail = memlog.ErrDisk })
	expectCount(t, "while it fails", count(t.Context(), c, "a").Wait(t.Context()), 0, protocol.ErrNotCoordinator)
	l.Set(func() { l.Fail = nil })
	expectCount(t, "later", count(t.Context(), c, "a").Wait(t.Context()), 0, protocol.ErrNotCoordinator)
	if n := l.Count(); n != 1 {
		t.Errorf("%d batches were written, want 1", n)
	}
}

func TestRecordsShareABatch(t *testing.T) {
	l := &memlog.Log{AppendAt: make(chan struct{})}
	c := counters(t, time.Minute, oneLog(l))
	const commands = 100
	var replies []*Reply[counted]
	for range commands {
		replies = append(replies, count(t.Context(), c, "a"))
	}
	close(l.AppendAt)
	for i, r := range replies {
		expectCount(t, fmt.Sprint("command ", i), r.Wait(t.Context()), i+1, nil)
	}
	if n := l.Count(); n > 3 { // one while the queue filled, and one for the rest; a third if the shard was quick
		t.Errorf("%d commands made %d batches", commands, n)
	}
}

// TestTheQueueIsBounded: what finds no room is refused in time, and has not
// been carried out.
func TestTheQueueIsBounded(t *testing.T) {
	l := &memlog.Log{AppendAt: make(chan struct{})}
	c := counters(t, 20*time.Millisecond, oneLog(l))
	var taken []*Reply[counted]
	for {
		r := count(t.Context(), c, "a")
		if got, is := r.Now(); is {
			expectCount(t, "without room", got, 0, protocol.ErrCoordinatorNotAvailable)
			break
		}
		if taken = append(taken, r); len(taken) > 2*QueueLength {
			t.Fatal("the queue has no bound")
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	expectCount(t, "who left", count(gone, c, "a").Wait(gone), 0, protocol.ErrCoordinatorNotAvailable)
	expectCount(t, "who waited too long", taken[0].Wait(t.Context()), 0, protocol.ErrCoordinatorNotAvailable)
	close(l.AppendAt)
	for _, r := range taken[1:] {
		r.Held() // without the short time limit
	}
	for i, r := range taken[1:] {
		expectCount(t, fmt.Sprint("command ", i+1), r.Wait(t.Context()), i+2, nil)
	}
	expectCount(t, "the next", func() counted { r := count(t.Context(), c, "a"); r.Held(); return r.Wait(t.Context()) }(), len(taken)+1, nil)
}
