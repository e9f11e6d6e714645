package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lot holds the parked connections. One goroutine reads their sockets, which the
// runtime's poller does not know: an epoll instance of their own tells which have
// something. The zero value is an empty lot.
//
// That instance stands in a second one, the gate, which tells of it once until
// it is armed again, and only the gate is known to the runtime's poller: while
// the lot pauses, heartbeats that come do not wake a thread.
type lot struct {
	mu     sync.Mutex // guards what follows
	closed bool
	stop   chan struct{} // closed by close
	ended  chan struct{} // closed when the goroutine has ended; nil: it was not started
	parked map[int]*parkedConn
	epoll  int
	gate   *os.File

	// The goroutine's own.
	gateFD    int
	raw       syscall.RawConn // of gate
	opened    func(uintptr) bool
	events    []unix.EpollEvent
	buffer    []byte
	pause     time.Duration
	maxIdle   time.Duration
	nextSweep time.Time
	deadline  time.Time // of gate
}

// parkedConn is a connection in the lot, which owns it.
type parkedConn struct {
	*conn
	fd   int
	seen time.Time // when it was parked or read last
}

const (
	// lotEvents is how many sockets are read before the lot looks again.
	lotEvents = 256
	// sweeps is how often idle connections are looked for within the idle time.
	sweeps = 16
)

// reserve makes room for one more connection; false when the server stops or
// the kernel refuses. enter follows.
func (l *lot) reserve(s *Server) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if l.ended == nil {
		if err := l.open(s); err != nil {
			if s.quiet.allow() {
				s.Log.Warn("Heartbeats are not coalesced", "error", err)
			}
			return false
		}
	}
	return true
}

// open makes the two instances and starts the goroutine. The mutex is held.
func (l *lot) open(s *Server) (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if l.gateFD, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		closeSocket(l.epoll)
		return fmt.Errorf("epoll_create1: %w", err)
	}
	err = errors.Join(unix.SetNonblock(l.gateFD, true), l.arm(unix.EPOLL_CTL_ADD))
	l.gate = os.NewFile(uintptr(l.gateFD), "gate")
	if err == nil {
		l.raw, err = l.gate.SyscallConn()
	}
	if err != nil {
		closeSocket(l.epoll)
		return errors.Join(err, l.gate.Close())
	}
	l.opened = func(uintptr) bool { return l.ready(l.gateFD, l.events[:1]) > 0 }
	l.stop, l.ended = make(chan struct{}), make(chan struct{})
	l.parked = map[int]*parkedConn{}
	l.events, l.buffer = make([]unix.EpollEvent, lotEvents), make([]byte, classSizes[smallClass])
	l.pause, l.maxIdle = s.HeartbeatCoalescing, s.MaxIdle
	l.nextSweep = time.Now().Add(l.maxIdle / sweeps)
	go l.run() // ends when close is called, which waits for it
	return nil
}

// arm makes the gate tell, once, that a socket has something.
func (l *lot) arm(operation int) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.gateFD, operation, l.epoll, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT}))
}

// enter takes a connection over.
func (l *lot) enter(c *conn, fd int) {
	p := &parkedConn{c, fd, time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		p.drive()
		return
	}
	l.parked[fd] = p
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}); err != nil {
		c.held.err = os.NewSyscallError("epoll_ctl", err)
		l.leave(p)
	}
}

// leave makes a connection an ordinary one again. The mutex is held.
func (l *lot) leave(p *parkedConn) {
	delete(l.parked, p.fd)
	// An error means that it did not get in.
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, p.fd, nil)
	p.drive()
}

// drive lets the connection go on, on a goroutine of its own.
func (p *parkedConn) drive() {
	c, fd := p.conn, p.fd
	go c.s.carry(c, func() error { return c.unpark(fd) }) // ends as any connection does; Server.running has counted it
}

// close ends the lot: all that is parked leaves, and nothing more comes in.
func (l *lot) close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		if l.ended != nil {
			close(l.stop)
			_ = l.gate.SetReadDeadline(time.Unix(1, 0)) // wakes the goroutine
		}
	}
	ended := l.ended
	l.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// size is the number of parked connections.
func (l *lot) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.parked)
}

// run is the lot's goroutine.
func (l *lot) run() {
	defer close(l.ended)
	pause := time.NewTimer(l.pause)
	defer pause.Stop()
	for {
		n := l.ready(l.epoll, l.events)
		now := time.Now()
		for _, e := range l.events[:n] {
			l.serve(int(e.Fd), now)
		}
		if !now.Before(l.nextSweep) {
			l.sweep(now)
		}
		// After a crowd the next one is likely: it gathers while nobody listens.
		if n <= 1 && !l.await() {
			break
		}
		left := l.pause - time.Since(now)
		if n == 0 || n == len(l.events) || left <= 0 {
			continue
		}
		pause.Reset(left)
		select {
		case <-pause.C:
		case <-l.stop:
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, p := range l.parked {
		l.leave(p)
	}
	closeSocket(l.epoll)
	_ = l.gate.Close() // nothing was written to it
}

// ready asks an epoll instance what is ready now.
func (l *lot) ready(epoll int, events []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0 // a signal came in between
	}
	return int(n)
}

// await returns when a socket has something or a sweep is due; false when the
// lot was closed.
func (l *lot) await() bool {
	l.mu.Lock()
	if !l.closed && !l.deadline.Equal(l.nextSweep) {
		l.deadline = l.nextSweep
		_ = l.gate.SetReadDeadline(l.deadline)
	}
	closed := l.closed
	l.mu.Unlock()
	if closed || l.arm(unix.EPOLL_CTL_MOD) != nil {
		return false
	}
	err := l.raw.Read(l.opened)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return !l.closed
	}
	return err == nil
}

// serve reads one socket.
func (l *lot) serve(fd int, now time.Time) {
	l.mu.Lock()
	p := l.parked[fd]
	l.mu.Unlock()
	if p == nil {
		return
	}
	p.seen = now
	n, err := readSocket(uintptr(fd), l.buffer)
	switch {
	case wouldBlock(err):
		return
	case err != nil:
		p.held.err = os.NewSyscallError("read", err)
	case n > 0 && p.serveParked(uintptr(fd), l.buffer[:n], now):
		return
	}
	l.mu.Lock()
	l.leave(p)
	l.mu.Unlock()
}

// sweep ends connections that were idle for too long.
func (l *lot) sweep(now time.Time) {
	l.nextSweep = now.Add(l.maxIdle / sweeps)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.parked {
		if now.Sub(p.seen) > l.maxIdle {
			p.held.err = errIdle
			l.leave(p)
		}
	}
}

// duplicate makes a second descriptor of a socket.
func duplicate(raw syscall.RawConn) (fd int, err error) {
	controlErr := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(controlErr, err)
}

// reopen makes a TCPConn of a descriptor, which it closes.
func reopen(fd int) (*net.TCPConn, error) {
	file := os.NewFile(uintptr(fd), "socket")
	connection, err := net.FileConn(file)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("a connection that only sent heartbeats cannot go on: %w", err)
	}
	return connection.(*net.TCPConn), nil
}

func closeSocket(fd int) { _ = unix.Close(fd) }
