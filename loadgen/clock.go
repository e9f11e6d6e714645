package loadgen

import "time"

// Clock tells Unix nanoseconds from one wall-clock reading plus the monotonic
// clock, so that intervals never jump. It may be used concurrently.
type Clock struct {
	base       time.Time
	baseUnixNs int64
}

// NewClock reads the wall clock once.
func NewClock() *Clock {
	now := time.Now()
	return &Clock{base: now, baseUnixNs: now.UnixNano()}
}

// Now is the present time in Unix nanoseconds.
func (c *Clock) Now() int64 { return c.baseUnixNs + int64(time.Since(c.base)) }
