package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"fluxmq/broker/handler"
	"fluxmq/broker/metrics"
)

// Handler answers requests; *handler.Handler does.
type Handler interface {
	// Serve answers one request, appending to out (see handler.Handler.Serve).
	Serve(ctx context.Context, r *handler.Request, out *handler.Response)
}

// Server accepts connections on listeners and serves them. Its fields are set
// before Listen and read-only afterwards; SetLimits alters those that bound
// connections.
type Server struct {
	Handler Handler
	Log     *slog.Logger
	// Metrics counts connections and times requests.
	Metrics *metrics.Registry
	// MaxRequestBytes is socket.request.max.bytes, in bytes.
	MaxRequestBytes int32
	// MaxConnections is max.connections; more are closed at once.
	MaxConnections int
	// MaxIdle is connections.max.idle.ms; negative is for ever.
	MaxIdle time.Duration
	// SendBuffer and ReceiveBuffer are the socket's buffers in bytes; -1 is the kernel's choice.
	SendBuffer, ReceiveBuffer int
	// MaxConnectionsPerIP is max.connections.per.ip.
	MaxConnectionsPerIP int
	// Ended, unless nil, is told the number of every connection that has ended
	// (handler.Request.Connection), once. The connection counts until it returns.
	// It is called concurrently.
	Ended func(connection uint64)
	// FrameMemory bounds the memory of large request frames being read or
	// served, over all connections, in bytes. A client waits when it is reached.
	FrameMemory int64
	// Admit, unless nil, is asked about every new connection; above 0 it is too
	// much, and the connection is left without service for that long and then
	// closed (KIP-612).
	Admit func(from netip.Addr) time.Duration

	// HeartbeatCoalescing is fluxmq.heartbeat.coalescing.ms: how long a connection
	// with nothing but heartbeats may wait to be read. 0: it is read at once.
	HeartbeatCoalescing time.Duration

	frames *framePool
	lot    lot
	slots  sync.Pool // *slot
	quiet  limiter   // for log lines that clients can cause

	connections atomic.Uint64 // numbers them

	mu        sync.Mutex     // guards what follows, MaxConnections and MaxConnectionsPerIP
	perHost   map[string]int // exceptions to MaxConnectionsPerIP, by client host
	pace      pace
	listeners []*net.TCPListener
	conns     map[*conn]struct{}
	byHost    map[string]int // connections by client host
	stopped   bool
	ended     []Traffic // of connections that have ended, by listener

	running sync.WaitGroup // accept loops and connections
}

// Traffic is what went over sockets, in bytes.
type Traffic struct{ In, Out int64 }

func (t *Traffic) add(c *conn) {
	t.In += c.received.Load()
	t.Out += c.w.sent.Load()
}

// largestFrame is what the largest buffer holds.
const largestFrame = 128 << 20

// Listen opens one listener. address is host:port; port 0 takes a free one.
// Connections are accepted when Serve is called.
func (s *Server) Listen(address string) (*net.TCPAddr, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, listenError(address, err)
	}
	tcp := l.(*net.TCPListener)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns, s.byHost = map[*conn]struct{}{}, map[string]int{}
		s.frames = newFramePool(max(s.FrameMemory, 4<<20))
		s.MaxRequestBytes = min(s.MaxRequestBytes, largestFrame)
		s.MaxConnections, s.MaxConnectionsPerIP = unlessZero(s.MaxConnections), unlessZero(s.MaxConnectionsPerIP)
		if s.MaxIdle < 0 {
			s.MaxIdle = 10 * 365 * 24 * time.Hour
		}
	}
	s.listeners = append(s.listeners, tcp)
	s.ended = append(s.ended, Traffic{})
	return tcp.Addr().(*net.TCPAddr), nil
}

// listenError says in one sentence why a listener cannot be opened.
func listenError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("the address %s is in use by another process", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("the address %s is not one of this machine", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listening on %s is not permitted", address)
	}
	return fmt.Errorf("listening on %s: %w", address, err)
}

// Serve accepts connections until Stop; then it returns nil when all of them
// have ended. An error ends the accept loops but not the connections.
func (s *Server) Serve() error {
	s.mu.Lock()
	listeners := s.listeners
	ended := make(chan error, len(listeners))
	if s.stopped {
		listeners = nil
	}
	s.running.Add(len(listeners))
	s.mu.Unlock()
	for i, l := range listeners {
		// Ends when Stop closes the listener; awaited below.
		go func() {
			defer s.running.Done()
			ended <- s.accept(l, i)
		}()
	}
	var err error
	for range listeners {
		err = errors.Join(err, <-ended)
	}
	s.running.Wait()
	return err
}

// accept is one listener's loop.
func (s *Server) accept(l *net.TCPListener, index int) error {
	for pause := time.Duration(0); ; {
		tcp, err := l.AcceptTCP()
		switch {
		case err == nil:
			pause = 0
			if !s.awaitTurn() {
				_ = tcp.Close() // the server stops; nothing was sent on it
				return nil
			}
			s.start(tcp, index)
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			// Out of file descriptors, or the client left already. The listener
			// stays; a pause keeps it from spinning.
			pause = min(max(2*pause, time.Millisecond), time.Second)
			if s.quiet.allow() {
				s.Log.Error("Accepting a connection failed", "listener", l.Addr().String(), "error", err)
			}
			if !s.pause(pause) {
				return nil
			}
		}
	}
}

// pause waits; false when the server stops meanwhile.
func (s *Server) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.stopped
}

// start serves one connection on a goroutine of its own, unless there are
// too many or the server stops.
func (s *Server) start(tcp *net.TCPConn, listener int) {
	c, err := newConn(s, tcp, listener)
	if err != nil {
		_ = tcp.Close() // it is of no use
		return
	}
	s.mu.Lock()
	ofHost, excepted := s.perHost[c.req.Peer]
	if !excepted {
		ofHost = s.MaxConnectionsPerIP
	}
	full := len(s.conns) >= s.MaxConnections || s.byHost[c.req.Peer] >= ofHost
	if full || s.stopped {
		s.mu.Unlock()
		c.cancel(errStopping)
		_ = tcp.Close() // nothing was sent on it
		s.Metrics.ConnectionsRefused.Add(1)
		if full && s.quiet.allow() {
			s.Log.Warn("A connection was refused: max.connections or max.connections.per.ip is reached", "peer", c.req.Peer)
		}
		return
	}
	s.conns[c] = struct{}{}
	s.byHost[c.req.Peer]++
	s.running.Add(1)
	s.mu.Unlock()
	s.Metrics.ConnectionsAccepted.Add(1)
	// Ends when the client leaves or Stop drains it; Serve waits for it.
	go s.carry(c, c.admitAndRun)
}

// carry runs a connection until it ends, or until it is parked: then its next
// run comes from the lot.
func (s *Server) carry(c *conn, run func() error) {
	err := run()
	if err == errParked {
		return
	}
	defer s.running.Done()
	if s.Ended != nil {
		s.Ended(c.req.Connection)
	}
	s.mu.Lock()
	delete(s.conns, c)
	s.ended[c.req.Listener].add(c)
	if s.byHost[c.req.Peer]--; s.byHost[c.req.Peer] == 0 {
		delete(s.byHost, c.req.Peer)
	}
	s.mu.Unlock()
	s.logEnd(c, err)
}

// logEnd logs why a connection ended, unless that is its normal end.
func (s *Server) logEnd(c *conn, err error) {
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, errStopping), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return
	case errors.Is(err, errIdle), errors.Is(err, errTooMany):
		s.Log.Debug("A connection was closed", "peer", c.remote(), "reason", err)
		return
	}
	s.Metrics.MalformedRequests.Add(1)
	if s.quiet.allow() {
		s.Log.Warn("A connection was closed", "peer", c.remote(), "client_id", string(c.clientID), "reason", err)
	}
}

// Connections is the number of open connections.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Parked is the number of open connections that carry nothing but heartbeats
// (HeartbeatCoalescing).
func (s *Server) Parked() int { return s.lot.size() }

// ConnectionsOf is the number of open connections by listener, in the order
// in which they were opened.
func (s *Server) ConnectionsOf() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make([]int, len(s.listeners))
	for c := range s.conns {
		counts[c.req.Listener]++
	}
	return counts
}

// TrafficOf is what went over the connections of each listener, open ones
// included, in the order in which listeners were opened. It only grows.
func (s *Server) TrafficOf() []Traffic {
	s.mu.Lock()
	defer s.mu.Unlock()
	sums := slices.Clone(s.ended)
	for c := range s.conns {
		sums[c.req.Listener].add(c)
	}
	return sums
}

// Stop closes the listeners, lets every connection finish what it has read
// in full, and closes those that have not when ctx ends. It returns when all
// of them have ended.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	var err error
	for _, l := range s.listeners {
		if closeErr := l.Close(); closeErr != nil && !errors.Is(closeErr, net.ErrClosed) {
			err = errors.Join(err, closeErr)
		}
	}
	open := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		open = append(open, c)
	}
	s.mu.Unlock()
	s.lot.close()
	for _, c := range open {
		c.drain()
	}
	drained := make(chan struct{})
	// Ends when the connections have; awaited below in both cases.
	go func() {
		s.running.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-ctx.Done():
		for _, c := range open {
			c.abort()
		}
		<-drained
	}
	return err
}

// limiter allows ten log lines a second: clients must not be able to fill the
// log. Safe for concurrent use.
type limiter struct {
	second atomic.Int64
	lines  atomic.Int64
}

func (l *limiter) allow() bool {
	now := time.Now().Unix()
	if l.second.Swap(now) != now {
		l.lines.Store(0)
	}
	return l.lines.Add(1) <= 10
}
