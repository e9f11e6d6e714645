package group

import (
	"container/heap"
	"time"
)

// groupTimer is one running timer of a shard.
type groupTimer struct {
	group    *group
	key      timerKey
	deadline time.Time
	// at is where the timer stands in the heap, never after its deadline: one
	// that is only moved to later, as a session is by every heartbeat, stays where it is
	// until it comes to the top.
	at    time.Time
	index int // in the heap
}

// timers is the heap of a shard's running timers, earliest first. The shard's
// mutex guards it.
type timers struct{ heap timerHeap }

// apply sets, moves or cancels. It reports whether next may be earlier than before.
func (t *timers) apply(g *group, now time.Time, c timerChange) (earlier bool) {
	running := g.running[c.key]
	if c.afterMs < 0 {
		if running != nil {
			t.drop(running)
		}
		return false
	}
	deadline := now.Add(time.Duration(c.afterMs) * time.Millisecond)
	if running != nil {
		running.deadline = deadline
		if deadline.Before(running.at) {
			t.place(running)
			return true
		}
		return false
	}
	if g.running == nil {
		g.running = map[timerKey]*groupTimer{}
	}
	running = &groupTimer{group: g, key: c.key, deadline: deadline, at: deadline}
	g.running[c.key] = running
	heap.Push(&t.heap, running)
	return true
}

// place puts a timer where its deadline is.
func (t *timers) place(r *groupTimer) {
	r.at = r.deadline
	heap.Fix(&t.heap, r.index)
}

func (t *timers) drop(r *groupTimer) {
	heap.Remove(&t.heap, r.index)
	delete(r.group.running, r.key)
}

// forget cancels all timers of a group.
func (t *timers) forget(g *group) {
	for _, r := range g.running {
		t.drop(r)
	}
}

// next returns a time at which to look for one that is due, not after the
// earliest deadline, if any timer runs.
func (t *timers) next() (time.Time, bool) {
	if len(t.heap) == 0 {
		return time.Time{}, false
	}
	return t.heap[0].at, true
}

// due takes out one timer that is due at now.
func (t *timers) due(now time.Time) (*groupTimer, bool) {
	for len(t.heap) > 0 && !t.heap[0].at.After(now) {
		r := t.heap[0]
		if r.deadline.After(now) {
			t.place(r)
			continue
		}
		t.drop(r)
		return r, true
	}
	return nil, false
}

type timerHeap []*groupTimer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	r := x.(*groupTimer)
	r.index = len(*h)
	*h = append(*h, r)
}

func (h *timerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
