package coordinator

import (
	"slices"
	"testing"
	"time"
)

// timerLog notes what a timer is set to.
type timerLog struct{ resets []time.Duration }

func (*timerLog) Chan() <-chan time.Time  { return nil }
func (l *timerLog) Reset(d time.Duration) { l.resets = append(l.resets, d) }
func (*timerLog) Stop()                   {}
func second(n int64) time.Time            { return time.Unix(n, 0) }
func seconds(n ...int) (d []time.Duration) {
	for _, n := range n {
		d = append(d, time.Duration(n)*time.Second)
	}
	return d
}

func TestAnAlarmFiresAtTheEarliestMoment(t *testing.T) {
	l, now := &timerLog{}, second(100)
	a := NewAlarm(l, func() time.Time { return now })
	a.Set(second(110))
	a.Set(second(120)) // later: it fires early
	a.Set(second(110))
	a.Set(second(105))
	now = second(106)
	a.Fired()
	a.Set(second(120))
	a.Fired()
	a.Set(second(50)) // over already
	if want := seconds(10, 5, 14, 0); !slices.Equal(l.resets, want) {
		t.Errorf("the timer was set to %v, want %v", l.resets, want)
	}
}
