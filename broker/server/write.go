package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"fluxmq/broker/handler"
)

// sendfileMin is the smallest file range that is sent by sendfile(2). Below
// it, one pread and one write of the whole response are cheaper.
const sendfileMin = 32 << 10

// writeTimeout is how long a response may take to leave: a client that does
// not read for that long is gone. Moved like the idle deadline, rarely.
const writeTimeout = 5 * time.Minute

// responseWriter writes responses to one socket. One goroutine uses it at a
// time: the second one while slots are pending, else the reader.
type responseWriter struct {
	tcp         *net.TCPConn
	raw         syscall.RawConn
	sent        atomic.Int64 // bytes
	deadlineSet time.Time
	scratch     []byte // a response whose small ranges were read into it
	file        fileSender

	// What writeReady writes; here, so that no closure is made per call.
	pending  []byte
	writable func(fd uintptr) bool
	err      error
}

func (w *responseWriter) init(tcp *net.TCPConn, raw syscall.RawConn) {
	w.tcp, w.raw = tcp, raw
	w.writable = w.writeReady
	w.file.init(raw)
}

// write sends a response's bytes and ranges in order, exactly as many bytes
// as its frames declare, and empties it. After an error the stream is broken.
func (w *responseWriter) write(r *handler.Response) error {
	defer r.Reset()
	defer r.Release()
	if now := time.Now(); now.Sub(w.deadlineSet) > writeTimeout/16 {
		w.deadlineSet = now
		if err := w.tcp.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
			return err
		}
	}
	if len(r.Ranges) == 0 {
		return w.bytes(r.Bytes)
	}
	return w.ranges(r)
}

func (w *responseWriter) bytes(b []byte) error {
	w.pending, w.err = b, nil
	err := w.raw.Write(w.writable)
	w.sent.Add(int64(len(b) - len(w.pending)))
	w.pending = nil
	if err != nil {
		return err
	}
	return w.err
}

// writeReady writes as much as the socket takes. It runs under RawConn.Write,
// which waits for room when it returns false.
func (w *responseWriter) writeReady(fd uintptr) bool {
	for len(w.pending) > 0 {
		n, err := writeSocket(fd, w.pending)
		switch {
		case wouldBlock(err):
			return false
		case err != nil:
			w.err = os.NewSyscallError("write", err)
			return true
		}
		w.pending = w.pending[n:]
	}
	return true
}

// ranges gathers bytes and small ranges, and sends what is gathered before
// each large one, announcing to the kernel that more follows.
func (w *responseWriter) ranges(r *handler.Response) error {
	gathered := w.scratch[:0]
	defer func() {
		if cap(gathered) > 2*flushSize {
			gathered = nil
		}
		w.scratch = gathered[:0]
	}()
	sent := 0 // of r.Bytes
	for i := range r.Ranges {
		g := &r.Ranges[i]
		gathered = append(gathered, r.Bytes[sent:g.At]...)
		sent = g.At
		switch {
		case g.File == nil:
			gathered = append(gathered, g.Memory...)
		case g.Size < sendfileMin || !canSendfile:
			var err error
			if gathered, err = appendRange(gathered, g); err != nil {
				return err
			}
		default:
			if err := w.file.more(gathered); err != nil {
				return fmt.Errorf("before a file range: %w", err)
			}
			w.sent.Add(int64(len(gathered)))
			gathered = gathered[:0]
			if err := w.sendRange(g); err != nil {
				return err
			}
			continue
		}
		if len(gathered) >= flushSize {
			if err := w.bytes(gathered); err != nil {
				return err
			}
			gathered = gathered[:0]
		}
	}
	gathered = append(gathered, r.Bytes[sent:]...)
	if len(gathered) == 0 {
		return nil
	}
	return w.bytes(gathered)
}

// sendRange sends a large file range, by copying where the file system of the
// log does not do sendfile(2).
func (w *responseWriter) sendRange(g *handler.Range) error {
	sent, err := w.file.send(g.File, g.Position, g.Size)
	w.sent.Add(sent)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	copied, err := io.Copy(struct{ io.Writer }{w.tcp}, io.NewSectionReader(g.File, g.Position+sent, g.Size-sent))
	w.sent.Add(copied)
	return err
}

// appendRange reads a file range behind dst.
func appendRange(dst []byte, g *handler.Range) ([]byte, error) {
	start := len(dst)
	need := start + int(g.Size)
	if cap(dst) < need {
		grown := make([]byte, start, max(need, 2*cap(dst)))
		copy(grown, dst)
		dst = grown
	}
	dst = dst[:need]
	if _, err := io.ReadFull(io.NewSectionReader(g.File, g.Position, g.Size), dst[start:]); err != nil {
		return dst[:start], fmt.Errorf("reading %d bytes at %d of %s: %w", g.Size, g.Position, g.File.Name(), err)
	}
	return dst, nil
}
