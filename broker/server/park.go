package server

import (
	"encoding/binary"
	"errors"
	"time"

	"fluxmq/broker/protocol"
)

// Most connections of a broker with many groups carry a heartbeat now and then and
// nothing else. Waking a goroutine for each is a large part of what that costs. Such
// a connection is parked: its goroutine ends, and one goroutine reads the sockets of
// all parked connections together, at most once in HeartbeatCoalescing.
// What is not a heartbeat that can be answered at once makes it an ordinary
// connection again, before it is served.

// parkAfter is how many heartbeats in a row, each answered at once, park a
// connection: parking and returning cost more than a few heartbeats save.
const parkAfter = 8

// errParked says that a connection has been given to the lot.
var errParked = errors.New("parked")

// held is what a parked connection could not do itself, for its goroutine.
type held struct {
	err error // the connection ends with it
	// unfinished says that c.req was served and conn.finish is to be called.
	unfinished bool
	before     int
	begin      time.Time
}

// isHeartbeat tells whether a request keeps a membership and does nothing else.
func isHeartbeat(key int16) bool {
	switch key {
	case protocol.KeyHeartbeat, protocol.KeyConsumerGroupHeartbeat, protocol.KeyShareGroupHeartbeat, protocol.KeyStreamsGroupHeartbeat:
		return true
	}
	return false
}

// countBeat notes that c.req was answered at once.
func (c *conn) countBeat() {
	if isHeartbeat(c.req.Key) {
		c.beats++
	} else {
		c.beats = 0
	}
}

// park gives the connection to the lot, unless it is not one for it. Then it
// belongs to the lot. The reader calls it when nothing is read nor to be written.
func (c *conn) park() bool {
	if c.beats < parkAfter || c.s.HeartbeatCoalescing <= 0 || c.pending.Load() > 0 || c.failure() != nil || c.stopping.Load() {
		return false
	}
	c.beats = 0
	fd, err := duplicate(c.raw)
	if err != nil {
		return false
	}
	if !c.s.lot.reserve(c.s) {
		closeSocket(fd)
		return false
	}
	c.endSlots()
	c.slots, c.writer = nil, nil
	c.s.frames.put(c.in, false)
	c.in = nil
	c.socket.Lock()
	tcp := c.tcp
	c.tcp = nil
	c.socket.Unlock()
	_ = tcp.Close() // the other descriptor keeps the connection open
	c.s.lot.enter(c, fd)
	return true
}

// serveParked serves what was read from a parked connection's socket. It
// reports false when the connection has to leave the lot; what is left to do
// is in c then.
func (c *conn) serveParked(fd uintptr, in []byte, now time.Time) bool {
	c.received.Add(int64(len(in)))
	for len(in) > 0 {
		frame := heartbeatIn(in)
		if frame == nil {
			c.hold(in)
			return false
		}
		in = in[lengthSize+len(frame):]
		if c.held.err = c.parse(frame); c.held.err != nil {
			return false
		}
		before := len(c.out.Bytes)
		c.s.Handler.Serve(c.ctx, &c.req, &c.out)
		c.mute(&c.out)
		if c.out.Close != nil || c.out.Wait != nil || c.mutedUntil.Load() != nil || len(c.out.Ranges) > 0 {
			c.held.unfinished, c.held.before, c.held.begin = true, before, now
			c.hold(in)
			return false
		}
		c.s.Metrics.RequestTime(c.req.Key, time.Since(now))
	}
	if len(c.out.Bytes) == 0 {
		return true
	}
	n, err := writeSocket(fd, c.out.Bytes)
	n = max(n, 0)
	c.w.sent.Add(int64(n))
	if n < len(c.out.Bytes) {
		c.out.Bytes = c.out.Bytes[:copy(c.out.Bytes, c.out.Bytes[n:])]
		if err != nil && !wouldBlock(err) {
			c.held.err = err
		}
		return false
	}
	c.out.Reset()
	return true
}

// heartbeatIn returns the whole frame of a heartbeat that b begins with, or nil.
func heartbeatIn(b []byte) []byte {
	if len(b) < lengthSize+minFrame {
		return nil
	}
	size := int64(int32(binary.BigEndian.Uint32(b)))
	if size < minFrame || size > int64(len(b)-lengthSize) {
		return nil
	}
	frame := b[lengthSize : lengthSize+size]
	if !isHeartbeat(int16(binary.BigEndian.Uint16(frame))) {
		return nil
	}
	return frame
}

// hold keeps bytes that were read and not served.
func (c *conn) hold(in []byte) {
	if len(in) == 0 {
		return
	}
	class := smallClass
	if len(in) == classSizes[smallClass] {
		class, c.busy = readClass, true // there is more to come
	}
	c.in = c.s.frames.small(class)
	c.start, c.end = 0, copy(c.in.b, in)
}

// unpark makes the connection an ordinary one again, on a goroutine of its own.
func (c *conn) unpark(fd int) error {
	tcp, err := reopen(fd)
	if err == nil {
		err = c.attach(tcp)
	}
	if err != nil {
		c.cancel(err)
		c.s.frames.put(c.in, false)
		c.in = nil
		if c.out.Wait != nil {
			s := slot{response: c.out}
			s.abandon()
		}
		c.out.Release()
		return err
	}
	return c.run()
}

// takeUp does what the lot has left to do.
func (c *conn) takeUp() error {
	h := c.held
	c.held = held{}
	switch {
	case h.err != nil:
		return h.err
	case h.unfinished:
		return c.finish(h.before, h.begin)
	}
	return nil
}
