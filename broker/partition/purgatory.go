package partition

import "slices"

// Waiter is one long-polling fetch. Several partitions may hold it.
type Waiter struct {
	// C receives once (capacity 1) when a watched partition's readable end moved,
	// or when the partition was deleted or went offline.
	C chan struct{}
}

// NewWaiter makes a waiter that no partition holds yet.
func NewWaiter() *Waiter { return &Waiter{C: make(chan struct{}, 1)} }

// Watch registers w until Forget. Look at the partition again after Watch:
// what moved before it is not told.
func (p *Partition) Watch(w *Waiter) {
	p.waitMu.Lock()
	defer p.waitMu.Unlock()
	p.waiters = append(p.waiters, w)
	p.waiting.Store(int32(len(p.waiters)))
}

// Forget removes w; one that is not registered is no error. Callers drain C
// before they use w again.
func (p *Partition) Forget(w *Waiter) {
	p.waitMu.Lock()
	defer p.waitMu.Unlock()
	if i := slices.Index(p.waiters, w); i >= 0 {
		last := len(p.waiters) - 1
		p.waiters[i] = p.waiters[last]
		p.waiters[last] = nil
		p.waiters = p.waiters[:last]
	}
	p.waiting.Store(int32(len(p.waiters)))
}

// wake tells everybody who watches. It costs one atomic load when nobody does.
// No wake-up is lost: what moved was published before waiting is read here,
// and a watcher looks again after it has raised waiting.
func (p *Partition) wake() {
	if p.waiting.Load() == 0 {
		return
	}
	p.waitMu.Lock()
	defer p.waitMu.Unlock()
	for _, w := range p.waiters {
		select {
		case w.C <- struct{}{}:
		default:
		}
	}
}

// durableWait is a reply that waits for its records to be on stable storage.
type durableWait struct {
	end  int64
	done func(error)
}

// WhenDurable calls done once (from the syncer's goroutine, or at once) when
// everything below endOffset is on stable storage or the log failed. done must not block.
func (p *Partition) WhenDurable(endOffset int64, done func(error)) {
	if err := p.Offline(); err != nil {
		done(err)
		return
	}
	if p.log().Durable() >= endOffset {
		done(nil)
		return
	}
	p.waitMu.Lock()
	p.pending = append(p.pending, durableWait{endOffset, done})
	p.awaited.Store(int32(len(p.pending)))
	p.waitMu.Unlock()
	// A failure or a sync that came in between settled the others without this one.
	if err := p.Offline(); err != nil {
		p.settle(-1, err)
		return
	}
	p.set.syncer.enqueue(p)
}

// releasedAtOnce is how many waiters settle releases without an allocation.
const releasedAtOnce = 16

// settle releases those whose records are durable, or everybody when err is set.
func (p *Partition) settle(durable int64, err error) {
	if p.awaited.Load() == 0 {
		return
	}
	p.waitMu.Lock()
	var few [releasedAtOnce]durableWait
	released := few[:0]
	kept := p.pending[:0]
	for _, w := range p.pending {
		if err != nil || w.end <= durable {
			released = append(released, w)
		} else {
			kept = append(kept, w)
		}
	}
	clear(p.pending[len(kept):])
	p.pending = kept
	p.awaited.Store(int32(len(kept)))
	p.waitMu.Unlock()
	for _, w := range released {
		w.done(err)
	}
}
