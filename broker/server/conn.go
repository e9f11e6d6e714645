package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"fluxmq/broker/handler"
	"fluxmq/broker/protocol"
)

const (
	lengthSize = 4
	// flushSize is how many response bytes are gathered before a write even
	// though more whole requests are buffered.
	flushSize = 64 << 10
	// peekSize is what is read of a large frame before its own buffer is taken;
	// small, because it is copied.
	peekSize = 4 << 10
	// frameGrace and frameRate bound how long a started frame may take to arrive.
	frameGrace = 30 * time.Second
	frameRate  = 64 << 10 // bytes per second
)

// Errors that end a connection from this side.
var (
	errStopping = errors.New("the broker is stopping")
	errIdle     = errors.New("idle for longer than connections.max.idle.ms")
	errSlow     = errors.New("a request did not arrive in full in time")
	errTooMany  = errors.New("its address opens connections faster than connection_creation_rate")
)

// conn is one connection. The reader goroutine owns every field but slots'
// receiving end; fields used by both goroutines are atomic or channels.
type conn struct {
	s   *Server
	tcp *net.TCPConn
	raw syscall.RawConn

	// ctx ends when the client is gone or the broker stops: what waits returns.
	ctx    context.Context
	cancel context.CancelCauseFunc

	// in holds bytes read and not yet served: in.b[start:end]. It is nil while
	// the connection idles, so that an idle connection costs no buffer.
	in         *buffer
	start, end int
	// into is where the next read(2) goes when it is a large frame's buffer.
	into     []byte
	count    int // result of the read
	readErr  error
	readable func(fd uintptr) bool // readReady, bound once
	// proven is the largest large buffer that this client has filled a frame in:
	// a frame up to that size gets its buffer at once, a larger one grows.
	proven    int
	busy      bool      // a read has filled the small buffer: use a larger one
	lastLarge bool      // the last frame was a large one
	idleSet   time.Time // when the idle deadline was last moved
	midFrame  bool      // the deadline set is that of a started frame

	clientID []byte // of the last request, for log lines

	// received counts bytes read. Each connection has counters of its own, so
	// that cores do not share their cache line; TrafficOf sums them.
	received atomic.Int64

	req handler.Request
	out handler.Response // the responses that the reader writes itself
	w   responseWriter

	// Slots, see slots.go.
	slots     chan *slot
	writer    chan struct{} // closed when the second goroutine has ended
	pending   atomic.Int32  // slots not yet written
	serial    bool          // the last slot must be answered before the next request is served
	drained   chan struct{} // signalled, capacity 1, when pending fell to 0
	stopping  atomic.Bool
	writeFail atomic.Pointer[error]

	// mutedUntil is until when nothing is read, see mute.go; nil: read.
	mutedUntil atomic.Pointer[time.Time]

	// beats counts the heartbeats since another request, see park.go.
	beats int
	held  held
	// socket guards tcp against those that end the connection from outside: it is
	// another one after parking, and nil meanwhile.
	socket sync.Mutex
}

func newConn(s *Server, tcp *net.TCPConn, listener int) (*conn, error) {
	c := &conn{s: s, drained: make(chan struct{}, 1)}
	err := c.attach(tcp)
	if s.SendBuffer > 0 {
		err = errors.Join(err, tcp.SetWriteBuffer(s.SendBuffer))
	}
	if s.ReceiveBuffer > 0 {
		err = errors.Join(err, tcp.SetReadBuffer(s.ReceiveBuffer))
	}
	if err != nil {
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.readable = c.readReady
	c.req.Peer, c.req.PeerPort = peerOf(tcp)
	c.req.Listener, c.req.Connection = listener, s.connections.Add(1)
	return c, nil
}

// attach makes tcp the connection's socket.
func (c *conn) attach(tcp *net.TCPConn) error {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	c.socket.Lock()
	c.tcp = tcp
	c.socket.Unlock()
	c.raw = raw
	c.w.init(tcp, raw)
	c.midFrame, c.idleSet = false, time.Time{}
	return nil
}

// peerOf is the client's host as Kafka shows it, and its port.
func peerOf(tcp *net.TCPConn) (host, port string) {
	host, port, err := net.SplitHostPort(tcp.RemoteAddr().String())
	if err != nil {
		return "/" + tcp.RemoteAddr().String(), ""
	}
	return "/" + host, port
}

// remote is the client's address, for log lines.
func (c *conn) remote() string { return net.JoinHostPort(c.req.Peer[1:], c.req.PeerPort) }

// run serves the connection until the client leaves, misbehaves or the broker
// stops. It returns when both goroutines are done and the socket is closed, or
// with errParked when the connection has been given to the parking lot.
func (c *conn) run() error {
	err := c.read()
	if err == errParked {
		return err
	}
	if !errors.Is(err, errStopping) {
		c.cancel(err)
	}
	c.endSlots()
	c.cancel(err)
	if closeErr := c.tcp.Close(); err == nil {
		err = closeErr
	}
	if c.in != nil {
		c.s.frames.put(c.in, false)
		c.in = nil
	}
	return err
}

// drain makes the connection end after what it has read in full: the next
// read fails at once, and what waits returns.
func (c *conn) drain() {
	c.stopping.Store(true)
	c.cancel(errStopping)
	c.socket.Lock()
	defer c.socket.Unlock()
	if c.tcp != nil {
		// An error means that the connection has ended already.
		_ = c.tcp.SetReadDeadline(time.Unix(1, 0))
	}
}

// abort closes the socket under those who use it.
func (c *conn) abort() {
	c.socket.Lock()
	defer c.socket.Unlock()
	if c.tcp != nil {
		_ = c.tcp.Close() // the connection's goroutines notice and end
	}
}

// read is the loop of the connection's own goroutine.
func (c *conn) read() error {
	if err := c.takeUp(); err != nil {
		return errors.Join(err, c.flush())
	}
	for {
		frame, large, err := c.next()
		if err == errParked {
			return err
		}
		if err != nil {
			return errors.Join(err, c.flush())
		}
		err = c.serve(frame)
		if large != nil {
			c.s.frames.put(large, false)
		}
		if err != nil {
			return errors.Join(err, c.flush())
		}
	}
}

// next returns the next whole frame without its length. It aliases c.in, or
// large, which the caller gives back. What was answered is written before the
// connection waits for bytes.
func (c *conn) next() (frame []byte, large *buffer, err error) {
	for {
		if err := c.awaitUnmuted(); err != nil {
			return nil, nil, err
		}
		if c.stopping.Load() {
			return nil, nil, errStopping
		}
		have := c.end - c.start
		size := 0
		if have >= lengthSize {
			declared := int32(binary.BigEndian.Uint32(c.in.b[c.start:]))
			if declared < minFrame || declared > c.s.MaxRequestBytes {
				return nil, nil, fmt.Errorf("a request of %d bytes: must be %d to %d (socket.request.max.bytes)", declared, minFrame, c.s.MaxRequestBytes)
			}
			size = int(declared)
			if have-lengthSize >= size {
				frame = c.in.b[c.start+lengthSize : c.start+lengthSize+size]
				c.start += lengthSize + size
				c.lastLarge = false
				return frame, nil, nil
			}
			// Memory follows bytes that arrived, not the length declared: a frame
			// gets a large buffer when it has filled the small one, or when this
			// client has sent one of its class before.
			if lengthSize+size > classSizes[readClass] && (have >= classSizes[readClass] || size <= c.proven) {
				return c.nextLarge(size)
			}
		}
		if err := c.flush(); err != nil {
			return nil, nil, err
		}
		if have == 0 && c.park() {
			return nil, nil, errParked
		}
		c.makeRoom(lengthSize + size)
		if err := c.setDeadline(have > 0, size); err != nil {
			return nil, nil, err
		}
		if err := c.fill(nil); err != nil {
			if have > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, nil, err
		}
	}
}

// minFrame is the smallest request header: key, version, correlation id.
const minFrame = 8

// makeRoom makes room behind the unread bytes, for need bytes of them in all
// or, when the buffer is smaller than that, for as much as it holds.
func (c *conn) makeRoom(need int) {
	if c.in == nil {
		return // readReady takes one when there is something to read
	}
	switch {
	case c.start == c.end:
		c.start, c.end = 0, 0
	case c.busy && c.in.class < readClass:
		b := c.s.frames.small(readClass)
		c.end = copy(b.b, c.in.b[c.start:c.end])
		c.start = 0
		c.s.frames.put(c.in, false)
		c.in = b
	case c.start > 0 && c.start+need > len(c.in.b):
		c.end = copy(c.in.b, c.in.b[c.start:c.end])
		c.start = 0
	}
}

// nextLarge reads a frame that has a buffer of its own, directly into it.
func (c *conn) nextLarge(size int) ([]byte, *buffer, error) {
	if err := c.flush(); err != nil {
		return nil, nil, err
	}
	if err := c.setDeadline(true, size); err != nil {
		return nil, nil, err
	}
	deadline := time.Now().Add(frameTime(size))
	have := c.in.b[c.start+lengthSize : c.end]
	b, err := c.s.frames.take(c.ctx, classFor(max(classSizes[readClass]+1, min(size, c.proven))), false, deadline)
	if err != nil {
		return nil, nil, err
	}
	n := copy(b.b, have)
	c.start, c.end = 0, 0
	for n < size {
		if n == len(b.b) {
			larger, err := c.s.frames.take(c.ctx, min(b.class+1, classFor(size)), b.over, deadline)
			if err != nil {
				c.s.frames.put(b, false)
				return nil, nil, err
			}
			copy(larger.b, b.b[:n])
			c.s.frames.put(b, larger.over)
			b = larger
		}
		if err := c.fill(b.b[n:min(size, len(b.b))]); err != nil {
			c.s.frames.put(b, false)
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, nil, err
		}
		n += c.count
	}
	c.proven = max(c.proven, len(b.b))
	c.lastLarge = true
	return b.b[:size], b, nil
}

// frameTime is how long a frame of that size may take.
func frameTime(size int) time.Duration {
	return frameGrace + time.Duration(size/frameRate)*time.Second
}

// setDeadline bounds the next read: by the frame that has begun, or by the
// idle time. The idle deadline is moved only when a sixteenth of it has passed,
// because moving it costs more than reading the clock.
func (c *conn) setDeadline(begun bool, size int) error {
	now := time.Now()
	switch {
	case begun && !c.midFrame:
		c.midFrame = true
		if err := c.tcp.SetReadDeadline(now.Add(frameTime(size))); err != nil {
			return err
		}
	case !begun && (c.midFrame || now.Sub(c.idleSet) > c.s.MaxIdle/16):
		c.midFrame = false
		c.idleSet = now
		if err := c.tcp.SetReadDeadline(now.Add(c.s.MaxIdle)); err != nil {
			return err
		}
	default:
		return nil
	}
	// Stop sets a deadline in the past; it must not be lost to the one above.
	if c.stopping.Load() {
		return errStopping
	}
	return nil
}

// fill does one successful read(2), into the given memory or, when nil, behind
// the unread bytes of c.in.
func (c *conn) fill(into []byte) error {
	c.into = into
	for {
		err := c.raw.Read(c.readable)
		if err == nil {
			err = c.readErr
		}
		c.readErr = nil
		if err == nil && c.count == 0 {
			err = io.EOF
		}
		if err == nil {
			c.received.Add(int64(c.count))
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		switch {
		case c.stopping.Load():
			return errStopping
		case c.midFrame:
			return errSlow
		case c.pending.Load() == 0:
			return errIdle
		}
		// Something is still to be answered: not idle.
		c.idleSet = time.Now()
		if err := c.tcp.SetReadDeadline(c.idleSet.Add(c.s.MaxIdle)); err != nil {
			return err
		}
	}
}

// readReady reads once from the socket. It runs under RawConn.Read, which
// waits for the socket when it returns false; then the connection holds no
// buffer unless half a frame is in it.
func (c *conn) readReady(fd uintptr) bool {
	target := c.into
	if target == nil {
		if c.in == nil {
			class := smallClass
			if c.busy {
				class = readClass
			}
			c.in = c.s.frames.small(class)
			c.start, c.end = 0, 0
		}
		target = c.in.b[c.end:]
		if c.lastLarge && len(target) > peekSize {
			target = target[:peekSize]
		}
	}
	n, err := readSocket(fd, target)
	if wouldBlock(err) {
		if c.into == nil && c.start == c.end {
			c.s.frames.put(c.in, false)
			c.in = nil
		}
		return false
	}
	c.count, c.readErr = max(n, 0), err
	if c.into == nil {
		c.end += c.count
		if c.count == len(target) {
			c.busy = true
		}
	}
	return true
}

// serve answers one frame: directly, or through a slot when the request must
// wait or an earlier one does.
func (c *conn) serve(frame []byte) error {
	if c.serial {
		// The order of control-plane requests has a meaning: as in Kafka, the
		// next one is served when the last one was answered.
		if err := c.awaitSlots(); err != nil {
			return err
		}
	}
	if err := c.parse(frame); err != nil {
		return err
	}
	if c.pending.Load() > 0 {
		return c.serveSlot(c.s.newSlot())
	}
	before, begin := len(c.out.Bytes), time.Now()
	c.s.Handler.Serve(c.ctx, &c.req, &c.out)
	return c.finish(before, begin)
}

// parse makes a frame the connection's request.
func (c *conn) parse(frame []byte) (err error) {
	c.req.Header, c.req.Body, err = protocol.ParseHeader(frame)
	if err != nil {
		return fmt.Errorf("a request header: %w", err)
	}
	c.req.Size = len(frame)
	if !bytes.Equal(c.clientID, c.req.ClientID) {
		c.clientID = append(c.clientID[:0], c.req.ClientID...)
	}
	return nil
}

// finish does what follows from serving c.req into c.out, which had before bytes.
func (c *conn) finish(before int, begin time.Time) error {
	c.mute(&c.out)
	switch {
	case c.out.Close != nil:
		err := c.out.Close
		c.out.Release()
		c.out.Bytes = c.out.Bytes[:before]
		c.out.Close = nil
		return err
	case c.out.Wait != nil:
		c.beats = 0
		s := c.s.newSlot()
		s.key, s.begin = c.req.Key, begin
		s.response.Wait, s.response.Ready, s.response.Serial = c.out.Wait, c.out.Ready, c.out.Serial
		c.out.Wait, c.out.Ready, c.out.Serial = nil, nil, false
		if err := c.flush(); err != nil {
			s.abandon()
			return err
		}
		return c.enqueue(s)
	}
	c.countBeat()
	c.s.Metrics.RequestTime(c.req.Key, time.Since(begin))
	if len(c.out.Ranges) > 0 || len(c.out.Bytes) >= flushSize {
		return c.flush()
	}
	return nil
}

// flush writes what the reader itself has answered.
func (c *conn) flush() error {
	if len(c.out.Bytes) == 0 {
		return nil
	}
	return c.w.write(&c.out)
}
