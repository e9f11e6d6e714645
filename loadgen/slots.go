package loadgen

import (
	"context"
	"sync/atomic"
)

// Slot is one record in flight: a buffer whose payload stays, whose header
// is rewritten for every record, and the place where its acknowledgement
// goes. Slots are recycled, so that sending allocates nothing.
type Slot struct {
	Value []byte
	Key   []byte // nil: null
	// Attachment is the client adapter's own record, made on first use and kept.
	Attachment any

	worker     *worker
	sequence   uint64
	intendedNs int64
	measured   bool
}

// Done ends the slot's flight: partition as the client was told (negative:
// unknown), err nil when acknowledged. The slot belongs to the worker again
// when it returns.
func (s *Slot) Done(partition int32, err error) { s.worker.done(s, partition, err) }

// slotRing hands free slots from the one goroutine that completes them to the
// one that sends. Its size bounds the records in flight of a worker.
type slotRing struct {
	ring    []*Slot
	mask    uint64
	head    uint64        // next to take; the sender's
	_       [48]byte      // keeps both sides on their own cache lines
	tail    atomic.Uint64 // next to give
	waiting atomic.Bool
	wake    chan struct{}
}

// newSlotRing makes room for count slots, rounded up to a power of two.
func newSlotRing(count int) *slotRing {
	size := 1
	for size < count {
		size *= 2
	}
	return &slotRing{ring: make([]*Slot, size), mask: uint64(size - 1), wake: make(chan struct{}, 1)}
}

// give returns a slot. Only one goroutine at a time may call it.
func (r *slotRing) give(s *Slot) {
	tail := r.tail.Load()
	r.ring[tail&r.mask] = s
	r.tail.Store(tail + 1)
	if r.waiting.Load() && r.waiting.CompareAndSwap(true, false) {
		select {
		case r.wake <- struct{}{}:
		default: // one wake-up is already on its way
		}
	}
}

// take waits for a free slot; only the sender calls it.
func (r *slotRing) take(ctx context.Context) (*Slot, error) {
	for r.head == r.tail.Load() {
		r.waiting.Store(true)
		if r.head != r.tail.Load() {
			break
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s := r.ring[r.head&r.mask]
	r.head++
	return s, nil
}
