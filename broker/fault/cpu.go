//go:build faultinject

package fault

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// cpuInterval is how often the process's CPU clock is read; reading it takes about 1 µs.
	cpuInterval = 2 * time.Millisecond
	// cpuSlice is what one request burns at a time,
	cpuSlice = 50 * time.Microsecond
	// cpuBacklog of debt, above which a request burns several slices, and
	cpuBacklog = time.Millisecond
	// cpuMost slices, after which it is let go.
	cpuMost = 200
)

// cpu burns a share of what the whole process takes: socket reads, garbage
// collection and scheduler included, whatever the path of a request. The
// process's clock tells what is owed; requests pay it, in slices that a thread's
// clock measures, so that being preempted is no payment.
type cpu struct {
	percent float64
	perUs   int64         // iterations of spin a microsecond
	reading int64         // ns that reading a clock takes
	start   time.Time     // when it began
	base    time.Duration // of the process's clock then
	next    atomic.Int64  // when to read it again, ns after start
	allowed atomic.Int64  // ns that may have been burned by now
	burned  atomic.Int64  // ns that were, or are just being
}

// begin calibrates spin.
func (c *cpu) begin() error {
	if c.percent == 0 {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const iterations = 1 << 20
	before := clock(unix.CLOCK_THREAD_CPUTIME_ID)
	spin(iterations)
	took := clock(unix.CLOCK_THREAD_CPUTIME_ID) - before
	const readings = 100
	before = clock(unix.CLOCK_THREAD_CPUTIME_ID)
	for range readings {
		clock(unix.CLOCK_THREAD_CPUTIME_ID)
	}
	c.reading = int64(clock(unix.CLOCK_THREAD_CPUTIME_ID)-before) / readings
	c.start, c.base = time.Now(), clock(unix.CLOCK_PROCESS_CPUTIME_ID)
	if took <= 0 || c.base <= 0 {
		return fmt.Errorf("FLUXMQ_FAULT has cpu, but this system has no CPU clocks of processes and threads")
	}
	c.perUs = max(1, iterations*int64(time.Microsecond)/int64(took))
	return nil
}

// Burn pays what is owed, or a part of it. Call it once a request.
func (p *Plan) Burn() {
	c := &p.cpu
	if c.percent == 0 {
		return
	}
	c.look()
	for range cpuMost {
		owed := c.allowed.Load() - c.burned.Load()
		if owed <= 0 {
			return
		}
		c.slice(min(owed, int64(cpuSlice)))
		if owed <= int64(cpuBacklog) {
			return
		}
	}
}

// look reads the process's clock when it is time to.
func (c *cpu) look() {
	now, next := int64(time.Since(c.start)), c.next.Load()
	if now < next || !c.next.CompareAndSwap(next, now+int64(cpuInterval)) {
		return
	}
	work := int64(clock(unix.CLOCK_PROCESS_CPUTIME_ID)-c.base) - c.burned.Load()
	c.burned.Add(c.reading)
	c.allowed.Store(int64(c.percent / 100 * float64(work)))
}

// slice burns about ns of this thread's time and notes what it took. Of the
// two readings one lies outside of what they measure.
func (c *cpu) slice(ns int64) {
	c.burned.Add(ns)
	runtime.LockOSThread()
	before := clock(unix.CLOCK_THREAD_CPUTIME_ID)
	spin(ns * c.perUs / int64(time.Microsecond))
	took := clock(unix.CLOCK_THREAD_CPUTIME_ID) - before
	runtime.UnlockOSThread()
	c.burned.Add(int64(took) + c.reading - ns)
}

// clock is 0 where the system does not have it.
func clock(id int32) time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(id, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// spun keeps spin from being removed.
var spun atomic.Uint64

//go:noinline
func spin(iterations int64) {
	x := uint64(iterations)
	for range iterations {
		x = x*6364136223846793005 + 1442695040888963407
	}
	spun.Store(x)
}
