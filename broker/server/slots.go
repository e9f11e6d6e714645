package server

import (
	"context"
	"fmt"
	"time"

	"fluxmq/broker/handler"
)

// maxSlots bounds the responses of one connection that wait for their turn;
// then the connection reads no further request.
const maxSlots = 128

// slot is one response's place in the order of a connection.
type slot struct {
	response handler.Response
	key      int16     // of the request, for its time
	begin    time.Time // when it was read
}

// newSlot takes a slot from the server's pool.
func (s *Server) newSlot() *slot {
	if sl, _ := s.slots.Get().(*slot); sl != nil {
		return sl
	}
	return new(slot)
}

// freeSlot gives a slot back; a large one is left to the collector.
func (s *Server) freeSlot(sl *slot) {
	sl.response.Reset()
	if cap(sl.response.Bytes) <= flushSize {
		s.slots.Put(sl)
	}
}

// serveSlot serves c.req while earlier responses wait: the response, ready or
// not, takes its place behind them.
func (c *conn) serveSlot(s *slot) error {
	c.beats = 0
	s.key, s.begin = c.req.Key, time.Now()
	c.s.Handler.Serve(c.ctx, &c.req, &s.response)
	c.mute(&s.response)
	if err := s.response.Close; err != nil {
		s.response.Release()
		return err
	}
	if s.response.Wait == nil && len(s.response.Bytes) == 0 {
		c.s.freeSlot(s) // acks=0: nothing to send
		return nil
	}
	return c.enqueue(s)
}

// enqueue appends a slot, starting the second goroutine when it is the
// first. It blocks while maxSlots are waiting; the second goroutine always
// takes them, even when the client is gone.
func (c *conn) enqueue(s *slot) error {
	if c.slots == nil {
		c.slots = make(chan *slot, maxSlots)
		c.writer = make(chan struct{})
		go c.writeSlots() // ends when endSlots closes c.slots; endSlots waits for it
	}
	c.pending.Add(1)
	c.serial = s.response.Serial
	c.slots <- s
	return nil
}

// awaitSlots waits until every slot is written.
func (c *conn) awaitSlots() error {
	for c.pending.Load() > 0 {
		<-c.drained // the second goroutine signals whenever pending reaches 0
	}
	c.serial = false
	return c.failure()
}

// endSlots lets the second goroutine write what is left, and waits for it.
func (c *conn) endSlots() {
	if c.slots != nil {
		close(c.slots)
		<-c.writer
	}
}

// failure is the error that ended writing, or nil.
func (c *conn) failure() error {
	if err := c.writeFail.Load(); err != nil {
		return *err
	}
	return nil
}

// writeSlots is the second goroutine: it completes slots in order, putting
// those that are ready together into one write.
func (c *conn) writeSlots() {
	defer close(c.writer)
	var out handler.Response // gathered, not yet written
	gathered := int32(0)
	for s := range c.slots {
		r := &s.response
		if r.Wait != nil && len(out.Bytes) > 0 && (r.Ready == nil || !r.Ready()) {
			c.writeGathered(&out, &gathered)
		}
		c.complete(r)
		c.s.Metrics.RequestTime(s.key, time.Since(s.begin))
		gathered++
		switch {
		case r.Close != nil || c.failure() != nil:
			if r.Close != nil {
				c.fail(r.Close)
			}
			r.Release()
			c.writeGathered(&out, &gathered)
		case len(r.Ranges) > 0:
			// Ranges are not gathered: their positions are relative to their own bytes.
			c.writeGathered(&out, nil)
			if err := c.w.write(r); err != nil {
				c.fail(err)
			}
			c.done(&gathered)
		default:
			out.Bytes = append(out.Bytes, r.Bytes...)
			if len(c.slots) == 0 || len(out.Bytes) >= flushSize {
				c.writeGathered(&out, &gathered)
			}
		}
		c.s.freeSlot(s)
	}
	c.writeGathered(&out, &gathered)
}

// complete runs a slot's Wait, if it has one.
func (c *conn) complete(r *handler.Response) {
	if wait := r.Wait; wait != nil {
		r.Wait, r.Ready = nil, nil
		wait(c.ctx, r)
		c.mute(r)
	}
}

// writeGathered writes out and, unless nil, counts its slots as done.
func (c *conn) writeGathered(out *handler.Response, slots *int32) {
	if len(out.Bytes) > 0 {
		if c.failure() == nil {
			if err := c.w.write(out); err != nil {
				c.fail(err)
			}
		}
		out.Reset()
	}
	if slots != nil {
		c.done(slots)
	}
}

// done takes n slots off the pending ones.
func (c *conn) done(n *int32) {
	if c.pending.Add(-*n) == 0 {
		select {
		case c.drained <- struct{}{}:
		default: // already signalled
		}
	}
	*n = 0
}

// fail remembers why writing ended and wakes the reader by shutting the
// socket down; the reader closes it.
func (c *conn) fail(err error) {
	err = fmt.Errorf("writing a response: %w", err)
	if c.writeFail.CompareAndSwap(nil, &err) {
		c.cancel(err)
		// The reader gets an end of file; an error here means it has one already.
		_ = c.tcp.CloseRead()
	}
}

// abandon runs the wait of a slot that will not be sent, so that what it
// holds is given back.
func (s *slot) abandon() {
	if wait := s.response.Wait; wait != nil {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		wait(gone, &s.response)
	}
	s.response.Release()
}
