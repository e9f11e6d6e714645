package coordinator

import "time"

// Timer is the part of time.Timer that shards use; tests have others.
type Timer interface {
	Chan() <-chan time.Time
	Reset(time.Duration)
	Stop()
}

// NewWallTimer is a Timer of the real time.
func NewWallTimer(d time.Duration) Timer { return wallTimer{time.NewTimer(d)} }

type wallTimer struct{ *time.Timer }

func (t wallTimer) Chan() <-chan time.Time { return t.C }
func (t wallTimer) Reset(d time.Duration)  { t.Timer.Reset(d) }
func (t wallTimer) Stop()                  { t.Timer.Stop() }

// Alarm is a Timer that fires at the earliest of the moments it was set to, or
// too early: who is woken looks what is due, and sets it anew. One goroutine at a time.
type Alarm struct {
	Timer
	now func() time.Time
	at  time.Time // when it fires, zero while it is not set
}

// NewAlarm returns an alarm over a timer that may be running.
func NewAlarm(t Timer, now func() time.Time) *Alarm { return &Alarm{Timer: t, now: now} }

// Fired notes that Chan gave a value.
func (a *Alarm) Fired() { a.at = time.Time{} }

// Set makes the alarm fire at next, if it would fire later than that.
func (a *Alarm) Set(next time.Time) {
	if !a.at.IsZero() && !a.at.After(next) {
		return
	}
	a.at = next
	a.Reset(max(next.Sub(a.now()), 0))
}
