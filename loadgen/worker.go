package loadgen

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	maxSlotsInAll  = 1 << 18   // over all workers
	maxSlotBytes   = 256 << 20 // over all workers
	minSlots       = 64
	overrunSeconds = 5 // an open-loop worker that is late may send that long after the window
)

// worker is one producer thread: it paces, stamps and sends records and keeps
// their account.
type worker struct {
	Tally
	number   uint32
	runTag   uint64
	clock    *Clock
	gate     *Gate
	pacer    Pacer
	startNs  int64 // of the load, for the pacer
	quota    int64 // records of the window; 0: until the gate closes
	keys     [][]byte
	keyRNG   *rand.PCG
	slots    *slotRing
	ledger   *sentLog
	latency  *Recorder
	producer Producer
}

// slotsFor bounds the records in flight of one of workers threads: by the
// client's buffer.memory, and so that all threads together stay within
// maxSlotsInAll and maxSlotBytes.
func slotsFor(workers, valueBytes int, bufferMemory int64) int {
	count := min(maxSlotsInAll/workers, maxSlotBytes/workers/valueBytes)
	if bufferMemory > 0 {
		count = int(min(int64(count), bufferMemory/int64(valueBytes)))
	}
	return max(minSlots, count)
}

// fillSlots makes the slots of a worker, each with a body of the pool.
func (w *worker) fillSlots(count int, pool *Pool) {
	w.slots = newSlotRing(count)
	for i := range count {
		body := pool.Bodies[(i+int(w.number)*97)%len(pool.Bodies)]
		value := make([]byte, headerBytes+len(body))
		copy(value[headerBytes:], body)
		w.slots.give(&Slot{Value: value, worker: w})
	}
}

// run sends until the gate closes, the quota is reached or ctx ends. An error
// of ctx is none of the worker's.
func (w *worker) run(ctx context.Context) error {
	if w.pacer.Paced() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := SharpenTimers(); err != nil {
			return err
		}
	}
	for n := int64(0); ; n++ {
		intended := w.clock.Now()
		if w.pacer.Paced() {
			now := intended
			intended = w.startNs + w.pacer.Offset(n)
			if now >= w.overrunEnd() {
				return nil
			}
			if intended > now && !w.gate.Over(intended) {
				if err := SleepNs(ctx, intended-now); err != nil {
					return nil
				}
			}
		}
		if w.gate.Over(intended) {
			return nil
		}
		measured := w.gate.Measured(intended)
		if measured && w.quota > 0 && w.Tally.Measured() >= w.quota {
			return nil
		}
		if err := w.send(ctx, intended, measured); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("producer %d: %w", w.number, err)
		}
	}
}

// overrunEnd is when even a late open-loop worker gives up.
func (w *worker) overrunEnd() int64 {
	end := w.gate.end.Load()
	if end > math.MaxInt64-overrunSeconds*1e9 {
		return math.MaxInt64
	}
	return end + overrunSeconds*1e9
}

// send stamps one record and hands it to the client.
func (w *worker) send(ctx context.Context, intended int64, measured bool) error {
	slot, err := w.slots.take(ctx)
	if err != nil {
		return err
	}
	slot.sequence, err = w.ledger.reserve()
	if err != nil {
		return err
	}
	slot.intendedNs, slot.measured = intended, measured
	if len(w.keys) > 0 {
		slot.Key = w.keys[w.keyRNG.Uint64()%uint64(len(w.keys))]
	}
	PutHeader(slot.Value, ValueHeader{RunTag: w.runTag, Producer: w.number, Sequence: slot.sequence, IntendedUnixNs: intended})
	raw := int64(len(slot.Key) + len(slot.Value)) // the slot is not ours after Send
	w.Sent(1, raw, measured)
	return w.producer.Send(ctx, slot)
}

// done is where every slot lands: called by the client, never concurrently for one worker.
func (w *worker) done(s *Slot, partition int32, err error) {
	w.ledger.note(s.sequence, partition, err != nil)
	if err != nil {
		w.Failed(err, 1)
	} else {
		if s.measured {
			w.latency.Record(w.clock.Now()-s.intendedNs, 1)
		}
		w.Acknowledged(1)
	}
	w.slots.give(s)
}

// SharpenTimers makes sleeps of the calling thread, which the
// caller has locked, end within microseconds; Linux otherwise adds up to 50 µs.
func SharpenTimers() error {
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("pacer: timer slack: %w", err)
	}
	return nil
}

// SleepNs sleeps in the kernel, because Go's timers wake on whole
// milliseconds when the process is idle. Long sleeps look at ctx every 100 ms.
func SleepNs(ctx context.Context, ns int64) error {
	const slice = 100_000_000
	for ns > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		request := unix.NsecToTimespec(min(ns, slice))
		var left unix.Timespec
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &request, &left) == unix.EINTR {
			request = left
		}
		ns -= slice
	}
	return nil
}
