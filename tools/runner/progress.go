package runner

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Progress tells a person how a run is going. Its methods may be called
// concurrently. The zero value is silent.
type Progress struct {
	shared *progressState
}

type progressState struct {
	mu       sync.Mutex // guards what follows
	out      io.Writer
	terminal bool
	width    int // of the rewritten line, 0 when there is none
	last     time.Time
}

// NewProgress writes to out: one line that rewrites itself on a terminal, plain lines elsewhere.
func NewProgress(out io.Writer, terminal bool) Progress {
	return Progress{&progressState{out: out, terminal: terminal}}
}

// Line prints a line that stays.
func (p Progress) Line(format string, args ...any) {
	if p.shared == nil {
		return
	}
	s := p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// plainEvery is how often a changing line is repeated where it cannot be rewritten.
const plainEvery = 10 * time.Second

// Now shows the present state: rewritten on a terminal, else a line every ten seconds.
func (p Progress) Now(format string, args ...any) {
	if p.shared == nil {
		return
	}
	s := p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if !s.terminal {
		if time.Since(s.last) >= plainEvery {
			s.last = time.Now()
			fmt.Fprintln(s.out, text)
		}
		return
	}
	fmt.Fprintf(s.out, "\r%s%s", text, strings.Repeat(" ", max(0, s.width-len(text))))
	s.width = len(text)
}

// Done removes the rewritten line.
func (p Progress) Done() {
	if p.shared == nil {
		return
	}
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	p.shared.clear()
}

func (s *progressState) clear() {
	if s.width > 0 {
		fmt.Fprintf(s.out, "\r%s\r", strings.Repeat(" ", s.width))
		s.width = 0
	}
}
