package server

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestLimitsChangeWhileServing: what is open stays, what comes is held to the
// new limits, and an exception of an address goes before the limit of all.
func TestLimitsChangeWhileServing(t *testing.T) {
	f := start(t, nil)
	open := func() net.Conn {
		c := f.dial(t)
		send(t, c, frame(1, doEcho))
		receive(t, c)
		return c
	}
	a, b := open(), open()
	for _, step := range []struct {
		why    string
		limits Limits
		room   bool
	}{
		{"one connection, and two are open", Limits{Connections: 1, Rate: -1}, false},
		{"no limit", Limits{Rate: -1}, true},
		{"one of an address", Limits{PerIP: 1, Rate: -1}, false},
		{"but more of this one", Limits{PerIP: 1, Of: map[string]int{"127.0.0.1": 100}, Rate: -1}, true},
		{"none of this one", Limits{Of: map[string]int{"127.0.0.1": 0}, Rate: -1}, false},
		{"none of another", Limits{Of: map[string]int{"10.0.0.1": 0}, Rate: -1}, true},
	} {
		f.SetLimits(step.limits)
		if step.room {
			open()
		} else {
			wantClosed(t, f.dial(t))
		}
		for _, c := range []net.Conn{a, b} {
			send(t, c, frame(2, doEcho))
			receive(t, c)
		}
		if t.Failed() {
			t.Fatal(step.why)
		}
	}
}

// TestPace wants the rate over a time, at most one second's worth at once.
func TestPace(t *testing.T) {
	now := time.Unix(1000, 0)
	var p pace
	if p.wait(now) != 0 {
		t.Error("the zero pace waits")
	}
	p.set(unlimitedRate)
	if p.wait(now) != 0 {
		t.Error("the default waits")
	}
	p.set(0)
	if p.wait(now) <= 0 {
		t.Error("a rate of 0 lets one pass")
	}
	p.set(10)
	passed := 0
	for end := now.Add(5 * time.Second); now.Before(end); {
		wait := p.wait(now)
		if wait == 0 {
			passed++
			continue
		}
		if wait > 100*time.Millisecond {
			t.Fatalf("waits %v for one of ten a second", wait)
		}
		now = now.Add(wait + time.Microsecond)
	}
	if passed < 59 || passed > 60 {
		t.Errorf("%d passed in 5 s at 10 a second with 10 at once", passed)
	}
}

// TestPaceHoldsConnections: connections wait for their turn, and a higher rate lets
// them in at once.
func TestPaceHoldsConnections(t *testing.T) {
	var ended atomic.Int64
	f := start(t, func(s *Server) { s.Ended = func(uint64) { ended.Add(1) } })
	f.SetLimits(Limits{Rate: 0})
	c := f.dial(t) // the system accepts it
	send(t, c, frame(1, doEcho))
	if n := f.Connections(); n != 0 {
		t.Fatalf("%d connections are served at a rate of 0", n)
	}
	f.SetLimits(Limits{Rate: -1})
	receive(t, c)
	c.Close()
	for deadline := time.Now().Add(10 * time.Second); ended.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody was told that the connection ended")
		}
	}
}
