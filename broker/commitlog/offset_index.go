package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"

	"github.com/edsrzf/mmap-go"
)

// An .index file is an array of entries, sorted, big endian:
//
//	| relative offset int32 | position int32 |
//
// The offset is the last offset of the batch that starts at position, relative
// to the segment's base offset (Kafka writes it so, and DumpLogSegments checks it).
const offsetEntrySize = 8

type offsetEntry struct{ relative, position uint32 }

func (e offsetEntry) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, e.relative)
	return binary.BigEndian.AppendUint32(b, e.position)
}

// memoryIndex holds both indexes of a segment that is not sealed yet, and the
// place of its last batches, where nearly all reads of a keeping-up consumer land.
// Guarded by Log.mu.
type memoryIndex struct {
	offsets []offsetEntry
	times   []timeEntry
	recent  [recentBatches]recentBatch
	appends uint64 // batches ever put into recent
}

const recentBatches = 64

type recentBatch struct {
	baseOffset     int64
	position, size int64
}

func (m *memoryIndex) note(b recentBatch) {
	m.recent[m.appends%recentBatches] = b
	m.appends++
}

// findRecent returns the batch that starts at offset, if it is one of the last.
func (m *memoryIndex) findRecent(offset int64) (recentBatch, bool) {
	for i := m.appends; i > 0 && i+recentBatches > m.appends; i-- {
		switch b := m.recent[(i-1)%recentBatches]; {
		case b.baseOffset == offset:
			return b, true
		case b.baseOffset < offset:
			return recentBatch{}, false
		}
	}
	return recentBatch{}, false
}

// bracket is where the batch of an offset lies: from below (a batch that ends
// at or before it) up to above (the start of a batch that ends at or after it;
// -1 when the index does not know one).
type bracket struct{ below, above int64 }

func (m *memoryIndex) bracket(relative uint32) bracket {
	i := sort.Search(len(m.offsets), func(i int) bool { return m.offsets[i].relative >= relative })
	b := bracket{0, -1}
	if i > 0 {
		b.below = int64(m.offsets[i-1].position)
	}
	if i < len(m.offsets) {
		b.above = int64(m.offsets[i].position)
	}
	return b
}

// boundary is the largest indexed batch start at or below position.
func (m *memoryIndex) boundary(position int64) int64 {
	i := sort.Search(len(m.offsets), func(i int) bool { return int64(m.offsets[i].position) > position })
	if i == 0 {
		return 0
	}
	return int64(m.offsets[i-1].position)
}

// keepTail takes over what older knows of batches at or above position.
func (m *memoryIndex) keepTail(older *memoryIndex, position int64) {
	m.recent, m.appends = older.recent, older.appends
	for _, e := range older.offsets {
		if int64(e.position) >= position {
			m.offsets = append(m.offsets, e)
		}
	}
	for _, e := range older.times {
		if n := len(m.times); n == 0 || e.relative > m.times[n-1].relative {
			m.addTime(e)
		}
	}
}

// fileIndex reads an index file of a sealed segment: through a mapping where
// there is an operating system's file, else by ReadAt. Read-only after open,
// so it is safe for concurrent use. A nil *fileIndex may be closed.
type fileIndex struct {
	file      File
	mapped    mmap.MMap
	entries   int
	entrySize int
}

// errIndex means that an index file is missing, short or makes no sense; it is rebuilt.
var errIndex = errors.New("index is damaged")

func openFileIndex(fsys FS, name string, entrySize int) (*fileIndex, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	if notExist(err) {
		return nil, fmt.Errorf("%w: %s is missing", errIndex, name)
	}
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err == nil && size%int64(entrySize) != 0 {
		err = fmt.Errorf("%w: %s has %d bytes, not a multiple of %d", errIndex, name, size, entrySize)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	x := &fileIndex{file: f, entries: int(size) / entrySize, entrySize: entrySize}
	if o := f.OS(); o != nil && size > 0 {
		// A failed mapping is no error: ReadAt serves.
		if m, err := mmap.MapRegion(o, int(size), mmap.RDONLY, 0, 0); err == nil {
			x.mapped = m
		}
	}
	return x, nil
}

func (x *fileIndex) close() {
	if x == nil {
		return
	}
	if x.mapped != nil {
		_ = x.mapped.Unmap() // read-only: nothing can be lost
	}
	_ = x.file.Close()
}

// entry returns entry i; scratch is used when there is no mapping.
func (x *fileIndex) entry(i int, scratch []byte) ([]byte, error) {
	at := i * x.entrySize
	if x.mapped != nil {
		return x.mapped[at : at+x.entrySize], nil
	}
	b := scratch[:x.entrySize]
	if n, err := x.file.ReadAt(b, int64(at)); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = errIndex
		}
		return nil, err
	}
	return b, nil
}

func (x *fileIndex) offsetEntry(i int, scratch []byte) (offsetEntry, error) {
	b, err := x.entry(i, scratch)
	if err != nil {
		return offsetEntry{}, err
	}
	return offsetEntry{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}, nil
}

// search is sort.Search over the file's entries, which may fail to be read.
func (x *fileIndex) search(reached func(i int) (bool, error)) (int, error) {
	low, high := 0, x.entries
	for low < high {
		middle := int(uint(low+high) >> 1)
		ok, err := reached(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}

func (x *fileIndex) bracket(relative uint32) (bracket, error) {
	var scratch [offsetEntrySize]byte
	i, err := x.search(func(i int) (bool, error) {
		e, err := x.offsetEntry(i, scratch[:])
		return e.relative >= relative, err
	})
	if err != nil {
		return bracket{}, err
	}
	b := bracket{0, -1}
	if i > 0 {
		e, err := x.offsetEntry(i-1, scratch[:])
		if err != nil {
			return bracket{}, err
		}
		b.below = int64(e.position)
	}
	if i < x.entries {
		e, err := x.offsetEntry(i, scratch[:])
		if err != nil {
			return bracket{}, err
		}
		b.above = int64(e.position)
	}
	return b, nil
}

func (x *fileIndex) boundary(position int64) (int64, error) {
	var scratch [offsetEntrySize]byte
	i, err := x.search(func(i int) (bool, error) {
		e, err := x.offsetEntry(i, scratch[:])
		return int64(e.position) > position, err
	})
	if err != nil || i == 0 {
		return 0, err
	}
	e, err := x.offsetEntry(i-1, scratch[:])
	return int64(e.position), err
}
