package share

import (
	"sync"
	"time"
)

// testClock stands still until a test lets time pass.
type testClock struct {
	mu     sync.Mutex
	at     time.Duration
	timers []*testTimer
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.UnixMilli(1_000_000_000).Add(c.at)
}

// newTimer makes a timer that fires whenever time passes: too early at worst,
// as those who use one must expect.
func (c *testClock) newTimer(time.Duration) Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &testTimer{fire: make(chan time.Time, 1)}
	c.timers = append(c.timers, t)
	return t
}

func (c *testClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at += d
	for _, t := range c.timers {
		select {
		case t.fire <- time.Time{}:
		default:
		}
	}
}

type testTimer struct{ fire chan time.Time }

func (t *testTimer) Chan() <-chan time.Time { return t.fire }
func (t *testTimer) Reset(time.Duration)    {}
func (t *testTimer) Stop()                  {}
