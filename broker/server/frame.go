package server

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Sizes of pooled buffers. Those for large frames have some room above the
// power of two, because a 1 MiB record batch makes a frame a little larger.
const frameRoom = 4 << 10

var classSizes = [...]int{
	4 << 10,
	64 << 10,
	256<<10 + frameRoom,
	1<<20 + frameRoom,
	2<<20 + frameRoom,
	4<<20 + frameRoom,
	8<<20 + frameRoom,
	16<<20 + frameRoom,
	32<<20 + frameRoom,
	64<<20 + frameRoom,
	128<<20 + frameRoom,
}

const (
	// smallClass is what a new connection reads into.
	smallClass = 0
	// readClass is what a busy connection reads into: many small frames at once.
	readClass = 1
	// freeLimit is the most memory that the pool keeps for reuse.
	freeLimit = 32 << 20
)

// errNoFrameMemory says that no memory for a large frame became free in time.
var errNoFrameMemory = errors.New("no memory for a large request became free in time")

// buffer is pooled memory for frames; it has one owner at a time.
type buffer struct {
	b     []byte
	class int
	// over says that it was taken beyond the limit (see framePool.take).
	over bool
}

// framePool keeps buffers by size class, last in first out so that the next
// frame lands in memory that is still in the processor's cache. The sum of
// large buffers in use is bounded by limit: a connection that needs more
// waits, which is back-pressure on its client. Safe for concurrent use.
type framePool struct {
	limit int64 // bytes of large buffers in use at a time

	// overrun holds one token: its holder may take buffers beyond the limit, so
	// that connections that each hold half a frame cannot wait for each other
	// for ever.
	overrun chan struct{}

	mu        sync.Mutex // guards what follows
	free      [len(classSizes)][]*buffer
	freeBytes int64
	inUse     int64           // bytes of large buffers handed out
	waiting   []chan struct{} // connections that wait for inUse to fall
}

func newFramePool(limit int64) *framePool {
	return &framePool{limit: limit, overrun: make(chan struct{}, 1)}
}

// large tells whether a class counts against the limit. Smaller ones are
// bounded by the number of connections.
func large(class int) bool { return class > readClass }

// classFor returns the smallest class of at least size bytes, the largest one
// when there is none.
func classFor(size int) int {
	for class, s := range classSizes {
		if size <= s {
			return class
		}
	}
	return len(classSizes) - 1
}

// small takes a buffer of a class that is not limited.
func (p *framePool) small(class int) *buffer {
	p.mu.Lock()
	b := p.pop(class)
	p.mu.Unlock()
	if b == nil {
		b = &buffer{b: make([]byte, classSizes[class]), class: class}
	}
	return b
}

// pop returns a free buffer or nil. The mutex is held.
func (p *framePool) pop(class int) *buffer {
	free := p.free[class]
	if len(free) == 0 {
		return nil
	}
	b := free[len(free)-1]
	free[len(free)-1] = nil
	p.free[class] = free[:len(free)-1]
	p.freeBytes -= int64(len(b.b))
	return b
}

// take takes a large buffer, waiting while the limit is reached, at most until
// deadline. over says that the caller holds a buffer beyond the limit already.
func (p *framePool) take(ctx context.Context, class int, over bool, deadline time.Time) (*buffer, error) {
	size := int64(classSizes[class])
	var timer *time.Timer
	for {
		p.mu.Lock()
		if over || p.inUse+size <= p.limit {
			p.inUse += size
			b := p.pop(class)
			p.mu.Unlock()
			if timer != nil {
				timer.Stop()
			}
			if b == nil {
				b = &buffer{b: make([]byte, size), class: class}
			}
			b.over = over
			return b, nil
		}
		freed := make(chan struct{})
		p.waiting = append(p.waiting, freed)
		p.mu.Unlock()
		if timer == nil {
			timer = time.NewTimer(time.Until(deadline))
			defer timer.Stop()
		}
		select {
		case <-freed:
		case p.overrun <- struct{}{}:
			over = true
		case <-timer.C:
			return nil, errNoFrameMemory
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// put gives a buffer back. keepOver says that its owner goes on with a larger
// one and keeps the token.
func (p *framePool) put(b *buffer, keepOver bool) {
	if b == nil {
		return
	}
	if b.over && !keepOver {
		<-p.overrun
	}
	b.over = false
	size := int64(len(b.b))
	p.mu.Lock()
	if large(b.class) {
		p.inUse -= size
		for _, freed := range p.waiting {
			close(freed)
		}
		p.waiting = p.waiting[:0]
	}
	if p.freeBytes+size <= freeLimit {
		p.free[b.class] = append(p.free[b.class], b)
		p.freeBytes += size
	}
	p.mu.Unlock()
}
