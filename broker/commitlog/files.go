package commitlog

import (
	"os"
	"sync"
	"sync/atomic"
)

// Files bounds how many segment files of a log directory are open at once. A
// file in use is never closed under its user: handles are counted, and one
// pushed out of the cache closes when its last user releases it. Replacement
// is the clock algorithm, so that using a cached file touches no shared lock.
type Files struct {
	capacity int

	// mu guards ring and hand.
	mu   sync.Mutex
	ring []*handle
	hand int
}

// NewFiles makes a cache of so many open segments, each with up to four descriptors.
func NewFiles(capacity int) *Files { return &Files{capacity: max(capacity, 1)} }

// handle is a counted reference to a segment's open log file. The cache holds
// one reference, every user one more.
type handle struct {
	seg     *segment
	file    File
	refs    atomic.Int32
	used    atomic.Bool
	slot    int    // index in Files.ring, -1 when not there; guarded by Files.mu
	release func() // bound once, so that handing it out does not allocate

	// indexMu guards the opening of the sealed segment's index files.
	indexMu sync.Mutex
	offsets *fileIndex
	times   *fileIndex
	aborted *fileIndex
}

func newHandle(s *segment, f File) *handle {
	h := &handle{seg: s, file: f, slot: -1}
	h.release = h.unref
	return h
}

// unref gives one reference back; the last one closes the files. Closing
// errors are dropped: what matters was written and synced before, and reads
// have nothing to lose.
func (h *handle) unref() {
	switch n := h.refs.Add(-1); {
	case n > 0:
	case n < 0:
		panic("commitlog: segment file released more often than acquired")
	default:
		h.offsets.close()
		h.times.close()
		h.aborted.close()
		_ = h.file.Close()
	}
}

// add puts a handle into the cache and pushes others out when it is full.
func (c *Files) add(h *handle) {
	c.mu.Lock()
	var victim *handle
	if len(c.ring) >= c.capacity {
		victim = c.victim()
	}
	h.slot = len(c.ring)
	c.ring = append(c.ring, h)
	c.mu.Unlock()
	if victim != nil {
		victim.seg.drop(victim)
	}
}

// victim takes the first handle that was not used since the hand last passed.
// Segments with unsynced data are spared in the first two rounds: their
// descriptor is the one that learns of a failed writeback.
func (c *Files) victim() *handle {
	for step := 0; ; step++ {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		h := c.ring[c.hand]
		spared := h.used.Swap(false) || h.seg.unsynced.Load()
		if !spared || step >= 2*len(c.ring) {
			c.take(h)
			return h
		}
		c.hand++
	}
}

// take removes h from the ring; c.mu is held.
func (c *Files) take(h *handle) {
	last := len(c.ring) - 1
	c.ring[h.slot] = c.ring[last]
	c.ring[h.slot].slot = h.slot
	c.ring[last] = nil
	c.ring = c.ring[:last]
	h.slot = -1
}

func (c *Files) remove(h *handle) {
	c.mu.Lock()
	if h.slot >= 0 {
		c.take(h)
	}
	c.mu.Unlock()
}

// Open counts the cached files.
func (c *Files) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ring)
}

// acquire returns the segment's open file with one reference more; the caller
// calls release once.
func (s *segment) acquire() (*handle, error) {
	s.fileMu.Lock()
	if s.retired {
		s.fileMu.Unlock()
		return nil, errReplaced
	}
	if h := s.h; h != nil {
		h.refs.Add(1)
		s.fileMu.Unlock()
		h.used.Store(true)
		return h, nil
	}
	f, err := s.log.fs.OpenFile(s.path(".log"+s.fileSuffix), os.O_RDWR)
	if err != nil {
		s.fileMu.Unlock()
		return nil, err
	}
	h := newHandle(s, f)
	h.refs.Store(2)
	s.h = h
	s.fileMu.Unlock()
	s.log.files.add(h)
	return h, nil
}

// openForBackground opens the segment's log file once more, for the caller, who
// closes it. It stays readable when the segment is removed or replaced meanwhile.
func (s *segment) openForBackground() (File, error) {
	s.fileMu.Lock()
	defer s.fileMu.Unlock()
	if s.retired { // the file of that name is another segment's
		return nil, errReplaced
	}
	return s.log.fs.OpenForBackground(s.path(".log" + s.fileSuffix))
}

// adopt gives the segment the file that its creation opened.
func (s *segment) adopt(f File) {
	h := newHandle(s, f)
	h.refs.Store(1)
	s.fileMu.Lock()
	s.h = h
	s.fileMu.Unlock()
	s.log.files.add(h)
}

// drop takes back the cache's reference to h, if h is still the segment's handle.
func (s *segment) drop(h *handle) {
	s.fileMu.Lock()
	current := s.h == h
	if current {
		s.h = nil
	}
	s.fileMu.Unlock()
	if current {
		h.unref()
	}
}

// close drops the segment's file from the cache; users keep theirs until they release it.
func (s *segment) close() {
	s.fileMu.Lock()
	h := s.h
	s.fileMu.Unlock()
	if h != nil {
		s.log.files.remove(h)
		s.drop(h)
	}
}

// forgetIndexes makes the next handle of the segment open its index files
// anew: those that h has open are damaged. Users of h keep reading the log file.
func (c *Files) forgetIndexes(h *handle) {
	c.remove(h)
	h.seg.drop(h)
}
