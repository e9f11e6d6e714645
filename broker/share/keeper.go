package share

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// lockKeeper knows when locks are over: one time for each share partition that
// has any, which may be too early. Safe for concurrent use.
type lockKeeper struct {
	mu    sync.Mutex
	heap  lockHeap
	moved chan struct{} // capacity 1: the first time is another
}

// watch makes the keeper come to p at a time (Unix milliseconds), if it does not sooner.
func (k *lockKeeper) watch(p *Partition, atMs int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case p.place < 0:
		p.lockAt = atMs
		heap.Push(&k.heap, p)
	case atMs < p.lockAt:
		p.lockAt = atMs
		heap.Fix(&k.heap, p.place)
	default:
		return
	}
	if k.heap[0] == p {
		select {
		case k.moved <- struct{}{}:
		default:
		}
	}
}

// due takes out the partitions whose time has come.
func (k *lockKeeper) due(nowMs int64) []*Partition {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []*Partition
	for len(k.heap) > 0 && k.heap[0].lockAt <= nowMs {
		list = append(list, heap.Pop(&k.heap).(*Partition))
	}
	return list
}

// idleWait is how long the keeper sleeps when nothing is locked.
const idleWait = time.Hour

// wait is how long nothing is due.
func (k *lockKeeper) wait(nowMs int64) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.heap) == 0 {
		return idleWait
	}
	return max(time.Duration(k.heap[0].lockAt-nowMs)*time.Millisecond, 0)
}

// keepLocks is the keeper's goroutine.
func (s *Set) keepLocks() {
	defer close(s.done)
	timer := s.newTimer(idleWait)
	defer timer.Stop()
	for {
		timer.Reset(s.keeper.wait(s.now().UnixMilli()))
		select {
		case <-timer.Chan():
		case <-s.keeper.moved:
		case <-s.ctx.Done():
			return
		}
		s.expireLocks()
	}
}

// expireLocks takes back what members had for too long, and stores that. What
// cannot be stored is delivered all the same; only its number of deliveries is
// one too low after a restart.
func (s *Set) expireLocks() {
	now := s.now()
	due := s.keeper.due(now.UnixMilli())
	if len(due) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
	defer cancel()
	finish := make([]func(context.Context) error, len(due))
	for i, p := range due {
		finish[i] = p.startExpiry(ctx, now)
	}
	for i, p := range due {
		if err := finish[i](ctx); err != nil && err != errGone {
			s.logger.Warn("the end of locks was not stored", "key", p.key.String(), "error", err)
		}
	}
}

type lockHeap []*Partition

func (h lockHeap) Len() int           { return len(h) }
func (h lockHeap) Less(i, j int) bool { return h[i].lockAt < h[j].lockAt }
func (h lockHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *lockHeap) Push(x any) {
	p := x.(*Partition)
	p.place = len(*h)
	*h = append(*h, p)
}

func (h *lockHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	last.place = -1
	return last
}
