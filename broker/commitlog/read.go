package commitlog

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
)

// Range is a piece of one segment's file that holds whole batches. Release
// must be called once; the file stays open and readable until then, even when
// retention deletes the segment meanwhile. An empty Range has no file and
// needs no Release.
type Range struct {
	handle         *handle
	Position, Size int64
}

// OS is the file to send from, nil for an empty range or a log in memory.
func (r Range) OS() *os.File {
	if r.handle == nil {
		return nil
	}
	return r.handle.file.OS()
}

// Bytes reads the range into memory.
func (r Range) Bytes() ([]byte, error) {
	if r.handle == nil {
		return nil, nil
	}
	b := make([]byte, r.Size)
	n, err := r.handle.file.ReadAt(b, r.Position)
	if n == len(b) {
		return b, nil
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %s ends at %d, expected %d bytes more", ErrCorrupt, r.handle.seg.path(".log"), r.Position+int64(n), r.Size-int64(n))
	}
	return b[:n], err
}

// Release returns the function that gives the file back, nil for an empty range.
func (r Range) Release() func() {
	if r.handle == nil {
		return nil
	}
	return r.handle.release
}

// spot is what a look-up under mu learned about a segment; the files are read after.
type spot struct {
	seg   *segment
	next  int64   // base offset of the following segment, MaxInt64 for the active one
	size  int64   // bytes that may be read
	mem   bool    // in was answered from memory
	in    bracket // around the offset
	exact found   // set when the batch was among the last ones
}

// at finds the segment of an offset; mu is held. Below the first segment it is the first.
func (l *Log) at(offset int64) int {
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].base > offset })
	return max(i-1, 0)
}

// spotOf is what memory knows about offset in segment i; mu is held.
func (l *Log) spotOf(i int, offset int64) spot {
	s := l.segments[i]
	p := spot{seg: s, next: math.MaxInt64, size: s.size}
	if i+1 < len(l.segments) {
		p.next = l.segments[i+1].base
	}
	if s.mem == nil {
		return p
	}
	p.mem = true
	if b, ok := s.mem.findRecent(offset); ok {
		p.exact = found{position: b.position, size: b.size, baseOffset: b.baseOffset, lastOffset: offset}
		return p
	}
	if offset <= s.base {
		p.in = bracket{0, 0}
	} else {
		p.in = s.mem.bracket(uint32(min(offset-s.base, math.MaxUint32)))
	}
	return p
}

// errRetry means that the segment went away between look-up and open: deleted,
// or exchanged for a cleaned one.
var errRetry = errors.New("segment is gone")

// find places an offset in a segment's file: the first batch that ends at or
// after it. io.EOF when every batch of the segment ends before it.
func (l *Log) find(p spot, offset int64) (*handle, found, error) {
	h, err := p.seg.acquire()
	if err != nil {
		if notExist(err) && p.seg.gone() {
			err = errRetry
		}
		return nil, found{}, err
	}
	if p.exact.size > 0 {
		return h, p.exact, nil
	}
	f, err := l.findIn(h, p, offset)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, errIndex) {
		// The index may have led astray: build it anew from the log, once.
		mem, rebuilt := l.rebuildIndex(h, p.seg)
		if rebuilt != nil {
			h.unref()
			return nil, found{}, rebuilt
		}
		p.in, p.mem = bracket{0, 0}, true
		if offset > p.seg.base {
			l.mu.Lock()
			p.in = mem.bracket(uint32(min(offset-p.seg.base, math.MaxUint32)))
			l.mu.Unlock()
		}
		f, err = l.findIn(h, p, offset)
	}
	if err != nil {
		h.unref()
		return nil, found{}, err
	}
	return h, f, nil
}

func (l *Log) findIn(h *handle, p spot, offset int64) (found, error) {
	in := p.in
	if !p.mem && offset > p.seg.base {
		x, err := h.offsetIndex()
		if err != nil {
			return found{}, err
		}
		if in, err = x.bracket(uint32(min(offset-p.seg.base, math.MaxUint32))); err != nil {
			return found{}, err
		}
		if in.below >= p.size || in.above >= p.size || in.above >= 0 && in.above < in.below {
			return found{}, fmt.Errorf("%w: it points to %d and %d of %d bytes", errIndex, in.below, in.above, p.size)
		}
		if in.below > 0 {
			// An index that points past the offset would hide records; an entry
			// names the last offset of its batch, so this proves it.
			var header [headerSize]byte
			f, err := readHeader(h.file, in.below, p.size, header[:])
			if err != nil || f.lastOffset >= offset || f.baseOffset < p.seg.base {
				return found{}, fmt.Errorf("%w: no batch below offset %d at %d", errIndex, offset, in.below)
			}
		}
	}
	return locate(h.file, in, p.size, offset)
}

// Read returns the range that starts with the batch containing offset, ends
// below limit (an offset at a batch boundary) and at the end of its segment,
// and holds at most maxBytes, cut at a batch boundary. With minOne the first
// batch is returned whole even when it is larger. Any goroutine.
func (l *Log) Read(offset, limit int64, maxBytes int, minOne bool) (Range, error) {
	for {
		l.mu.Lock()
		if err := l.usableLocked(); err != nil {
			l.mu.Unlock()
			return Range{}, err
		}
		if offset < l.logStart || offset > l.logEnd {
			start, end := l.logStart, l.logEnd
			l.mu.Unlock()
			return Range{}, fmt.Errorf("%w: %d is not within [%d, %d]", ErrOffsetOutOfRange, offset, start, end)
		}
		limit = min(limit, l.logEnd)
		if offset >= limit || maxBytes <= 0 && !minOne {
			l.mu.Unlock()
			return Range{}, nil
		}
		i := l.at(offset)
		p := l.spotOf(i, offset)
		l.mu.Unlock()

		r, err := l.readSpot(p, offset, limit, int64(max(maxBytes, 0)), minOne)
		switch {
		case errors.Is(err, errRetry), err != nil && !errors.Is(err, io.EOF) && p.seg.gone():
			continue
		case errors.Is(err, io.EOF) && p.next != math.MaxInt64:
			// A gap at the segment's end (compaction): go on in the next one.
			offset = p.next
			continue
		case errors.Is(err, io.EOF):
			err = fmt.Errorf("%w: no batch for offset %d in %s", ErrCorrupt, offset, p.seg.path(".log"))
		}
		return r, err
	}
}

func (l *Log) readSpot(p spot, offset, limit, maxBytes int64, minOne bool) (Range, error) {
	h, first, err := l.find(p, offset)
	if err != nil {
		return Range{}, err
	}
	end := p.size
	if limit < p.next {
		if end, err = l.limitPosition(p, h, limit); err != nil {
			h.unref()
			return Range{}, err
		}
	}
	size, err := l.bounded(p.seg, h, first, end, maxBytes, minOne)
	if err != nil || size == 0 {
		h.unref()
		return Range{}, err
	}
	return Range{handle: h, Position: first.position, Size: size}, nil
}

// limitPosition is where the batch that contains limit begins: all before it
// may be read. Costs a look-up only where the limit is below the log end.
func (l *Log) limitPosition(p spot, h *handle, limit int64) (int64, error) {
	l.mu.Lock()
	end := l.logEnd
	sp := p
	if limit < end {
		for i, s := range l.segments {
			if s == p.seg {
				sp = l.spotOf(i, limit)
			}
		}
	}
	l.mu.Unlock()
	if limit >= end {
		return p.size, nil
	}
	if sp.exact.size > 0 {
		return min(sp.exact.position, p.size), nil
	}
	f, err := l.findIn(h, sp, limit)
	if errors.Is(err, io.EOF) {
		return p.size, nil
	}
	return min(f.position, p.size), err
}

// bounded is how many bytes from first on to return, whole batches only.
func (l *Log) bounded(s *segment, h *handle, first found, end, maxBytes int64, minOne bool) (int64, error) {
	if first.end() > end {
		return 0, nil // the limit lies inside the first batch
	}
	if first.size >= maxBytes {
		if first.size > maxBytes && !minOne {
			return 0, nil
		}
		return first.size, nil
	}
	if first.position+maxBytes >= end {
		return end - first.position, nil
	}
	cut, err := l.boundary(s, h, first, first.position+maxBytes)
	if err != nil {
		return 0, err
	}
	return max(cut, first.end()) - first.position, nil
}

// boundary is a batch start behind first and at or below position that the
// index knows, or 0.
func (l *Log) boundary(s *segment, h *handle, first found, position int64) (int64, error) {
	l.mu.Lock()
	mem := s.mem
	if mem != nil {
		cut := mem.boundary(position)
		l.mu.Unlock()
		return cut, nil
	}
	size := s.size
	l.mu.Unlock()
	cut, err := h.boundary(first, position, size)
	if !errors.Is(err, errIndex) {
		return cut, err
	}
	if mem, err = l.rebuildIndex(h, s); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return mem.boundary(position), nil
}

// boundary asks the index file, and the log file whether that is true.
func (h *handle) boundary(first found, position, size int64) (int64, error) {
	x, err := h.offsetIndex()
	if err != nil {
		return 0, err
	}
	cut, err := x.boundary(position)
	if err != nil || cut <= first.position {
		return 0, err
	}
	var header [headerSize]byte
	f, err := readHeader(h.file, cut, size, header[:])
	if err != nil || cut < first.end() || f.baseOffset <= first.lastOffset {
		return 0, fmt.Errorf("%w: no batch begins at %d", errIndex, cut)
	}
	return cut, nil
}
