package commitlog

import (
	"context"
	"math"
	"time"
)

// Pace holds work to so many bytes a second on average; the zero value is ready.
// What is done in less than paceStep of that time is not waited for: a sleep is
// longer than it asks. One goroutine at a time.
type Pace struct {
	owed float64   // bytes let through whose time has not passed yet
	paid time.Time // up to when time was counted
}

const (
	paceStep = 5 * time.Millisecond
	// paceLook is how long a wait may take to notice another limit.
	paceLook = 500 * time.Millisecond
)

// Wait lets so many bytes through, after the time that they and those before them
// need. The limit, in bytes a second, is asked again while it waits; MaxFloat64 is
// none, and an error of it ends the wait, as ctx does.
func (p *Pace) Wait(ctx context.Context, bytes int64, limit func() (perSecond float64, err error)) error {
	return p.wait(ctx, nil, bytes, limit)
}

// wait ends with ErrClosed when stop is closed.
func (p *Pace) wait(ctx context.Context, stop <-chan struct{}, bytes int64, limit func() (float64, error)) error {
	for {
		perSecond, err := limit()
		if err != nil {
			return err
		}
		now := time.Now()
		p.owed = max(0, p.owed-now.Sub(p.paid).Seconds()*perSecond) + float64(bytes)
		p.paid, bytes = now, 0
		if perSecond == math.MaxFloat64 {
			p.owed = 0
		}
		ahead := p.owed / perSecond // seconds
		if ahead < paceStep.Seconds() {
			return nil
		}
		timer := time.NewTimer(time.Duration(min(ahead, paceLook.Seconds()) * float64(time.Second)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-stop:
			timer.Stop()
			return ErrClosed
		}
	}
}
