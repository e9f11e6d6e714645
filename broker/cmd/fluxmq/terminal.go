package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// isTerminal tells that a stream is a person's terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progressEvery is how often a progress line is written anew.
const progressEvery = 200 * time.Millisecond

// progress is one line on a terminal that is written over again and again. On
// anything else than a terminal it is nothing.
type progress struct {
	out  io.Writer // nil: off
	last time.Time
}

// newProgress writes to out when that is a terminal and on says so.
func newProgress(out io.Writer, on bool) *progress {
	if !on || !isTerminal(out) {
		out = nil
	}
	return &progress{out: out}
}

// show writes the line when it is time to.
func (p *progress) show(records, bytes int64) {
	if p.out == nil || time.Since(p.last) < progressEvery {
		return
	}
	p.last = time.Now()
	_, _ = fmt.Fprintf(p.out, "\r\x1b[K%d records, %.1f MB", records, float64(bytes)/1e6) // a line that cannot be shown is not missed
}

// done takes the line away.
func (p *progress) done() {
	if p.out != nil && !p.last.IsZero() {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K") // as above
	}
}

// interruptible reads a file of which a read may last for ever, a terminal or
// a pipe, and ends with ctx. It waits with poll(2) instead of in read(2),
// which nothing could end.
type interruptible struct {
	ctx  context.Context
	file *os.File
}

// pollMs is how long an interrupt may go unnoticed.
const pollMs = 100

// Read implements io.Reader.
func (r *interruptible) Read(b []byte) (int, error) {
	waiting := []unix.PollFd{{Fd: int32(r.file.Fd()), Events: unix.POLLIN}}
	for {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := unix.Poll(waiting, pollMs)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("poll: %w", err)
		case n > 0:
			return r.file.Read(b)
		}
	}
}

// inputOf is a command's input that ends with ctx.
func inputOf(ctx context.Context, in io.Reader) io.Reader {
	if f, ok := in.(*os.File); ok {
		return &interruptible{ctx, f}
	}
	return in
}
