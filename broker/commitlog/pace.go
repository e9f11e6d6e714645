package commitlog

import (
	"context"
	"math"
	"time"
)

// pace holds work to so many bytes a second on average. What is done in less
// than paceStep of that time is not waited for: a sleep is longer than it asks.
type pace struct {
	perSecond float64   // MaxFloat64: no limit
	free      time.Time // when all that was let through so far is paid for
}

const paceStep = 5 * time.Millisecond

// wait lets so many bytes through, after the time that they and those before
// them need. It ends early with ctx's error, or ErrClosed when stop is closed.
func (p *pace) wait(ctx context.Context, stop <-chan struct{}, bytes int64) error {
	if p.perSecond == math.MaxFloat64 {
		return nil
	}
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(bytes) / p.perSecond * float64(time.Second)))
	ahead := p.free.Sub(now)
	if ahead < paceStep {
		return nil
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-stop:
		return ErrClosed
	}
}

// Pace holds work of another room to so many bytes a second; the zero value has
// no limit. One goroutine at a time.
type Pace struct{ pace }

// Limit sets how many bytes a second, more than 0, may pass from the next Wait on.
func (p *Pace) Limit(bytesPerSecond float64) { p.perSecond = bytesPerSecond }

// Wait lets so many bytes through, after the time that they need. It ends early with ctx's error.
func (p *Pace) Wait(ctx context.Context, bytes int64) error {
	if p.perSecond == 0 {
		return nil
	}
	return p.wait(ctx, nil, bytes)
}
