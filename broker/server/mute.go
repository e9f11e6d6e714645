package server

import (
	"context"
	"net/netip"
	"time"

	"fluxmq/broker/handler"
)

// mute notes for how long a response silences its client. Both goroutines
// call it; what lasts longest holds.
func (c *conn) mute(r *handler.Response) {
	if r.Mute <= 0 {
		return
	}
	until := time.Now().Add(r.Mute)
	r.Mute = 0
	for {
		before := c.mutedUntil.Load()
		if before != nil && !before.Before(until) || c.mutedUntil.CompareAndSwap(before, &until) {
			return
		}
	}
}

// awaitUnmuted returns when the connection may be read: before the next
// frame, so that no buffer is held meanwhile for one that is not served yet.
// What was answered leaves first. A client that is silenced for longer than a
// connection may be idle is treated as idle, as in Kafka. The reader calls it.
func (c *conn) awaitUnmuted() error {
	if c.mutedUntil.Load() == nil {
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	for until := c.mutedUntil.Load(); until != nil; until = c.mutedUntil.Load() {
		left := time.Until(*until)
		if err := c.pause(min(left, c.s.MaxIdle)); err != nil {
			return err
		}
		if left > c.s.MaxIdle {
			return errIdle
		}
		c.mutedUntil.CompareAndSwap(until, nil) // else it was made longer meanwhile
	}
	// The deadline of the next read may have passed in silence.
	c.midFrame, c.idleSet = false, time.Time{}
	return nil
}

// pause waits; it fails when the connection ends meanwhile.
func (c *conn) pause(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

// admitAndRun serves the connection, unless its address opens too many: then
// it is left waiting, as long as it counts among the open ones, and closed.
func (c *conn) admitAndRun() error {
	if c.s.Admit == nil {
		return c.run()
	}
	from, err := netip.ParseAddrPort(c.tcp.RemoteAddr().String())
	if err != nil {
		return c.run() // no address to count
	}
	wait := c.s.Admit(from.Addr())
	if wait <= 0 {
		return c.run()
	}
	if err = c.pause(wait); err == nil {
		err = errTooMany
	}
	c.cancel(err)
	_ = c.tcp.Close() // nothing was sent on it
	return err
}
