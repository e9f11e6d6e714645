package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const canSendfile = true

// fileSender sends file ranges with sendfile(2) at an explicit position (Go's
// TCPConn.ReadFrom would move the position that all readers of the file
// share). Its methods run under RawConn.Write, which waits for room in the
// socket; state lives here so that no closure is made per call.
type fileSender struct {
	raw      syscall.RawConn
	moreFn   func(fd uintptr) bool
	sendFn   func(fd uintptr) bool
	pending  []byte
	file     int
	position int64
	left     int64
	err      error
}

func (f *fileSender) init(raw syscall.RawConn) {
	f.raw = raw
	f.moreFn, f.sendFn = f.moreReady, f.sendReady
}

// more sends bytes with MSG_MORE, so that they share a segment with the file
// range that follows.
func (f *fileSender) more(b []byte) error {
	f.pending, f.err = b, nil
	err := f.raw.Write(f.moreFn)
	f.pending = nil
	if err != nil {
		return err
	}
	return f.err
}

func (f *fileSender) moreReady(fd uintptr) bool {
	for len(f.pending) > 0 {
		n, err := unix.SendmsgN(int(fd), f.pending, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return false
		case err != nil:
			f.err = err
			return true
		default:
			f.pending = f.pending[n:]
		}
	}
	return true
}

// send sends exactly size bytes from position. The count given to the kernel
// is exact as well: a larger one would make it hold back the last segment.
// errors.ErrUnsupported, with what was sent: the rest must be copied.
func (f *fileSender) send(file *os.File, position, size int64) (int64, error) {
	f.file, f.position, f.left, f.err = int(file.Fd()), position, size, nil
	if err := f.raw.Write(f.sendFn); err != nil {
		return size - f.left, err
	}
	if f.err == unix.EINVAL || f.err == unix.ENOSYS {
		return size - f.left, errors.ErrUnsupported
	}
	if f.err != nil {
		return size - f.left, fmt.Errorf("sending %d bytes at %d of %s: %w", size, position, file.Name(), f.err)
	}
	return size, nil
}

// sendChunk keeps one system call short enough for the scheduler.
const sendChunk = 1 << 20

func (f *fileSender) sendReady(fd uintptr) bool {
	for f.left > 0 {
		n, err := unix.Sendfile(int(fd), f.file, &f.position, int(min(f.left, sendChunk)))
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return false
		case err != nil:
			f.err = err
			return true
		case n == 0:
			f.err = io.ErrUnexpectedEOF // the file is shorter than its log says
			return true
		default:
			f.left -= int64(n)
		}
	}
	return true
}
