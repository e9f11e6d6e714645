package commitlog

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/edsrzf/mmap-go"
)

// offsetMap remembers, for the dirty part of a log, the largest offset of each
// key (Kafka's SkimpyOffsetMap). Its size is fixed when it is made: keys are
// known by 16 bytes of their SHA-256, so an entry has 24 bytes however long
// the key is. Two keys with the same 16 bytes would cost the older one its
// records, hence a hash for which nobody can find such a pair. Open
// addressing, probed one after the other; nothing is ever taken out.
//
// Its memory is not of the garbage-collected heap, which would let as much
// again grow beside it before it collects.
type offsetMap struct {
	entries []offsetMapEntry // in memory
	memory  mmap.MMap
	size    int
	limit   int // entries that the load factor allows
	// latest is the offset up to which the log is in the map, -1 none.
	latest int64
}

type offsetMapEntry struct {
	hash [16]byte
	next int64 // offset + 1; 0 marks a free slot
}

const offsetMapEntrySize = 24

// reset makes the map empty with so many slots, at least two, reusing its
// memory when that is enough. loadFactor, in (0, 1], is how full it may get;
// one slot always stays free, which is what ends a probe. The error is the
// system's, when it has no more memory.
func (m *offsetMap) reset(slots int, loadFactor float64) error {
	slots = max(slots, 2)
	if cap(m.entries) < slots {
		if err := m.free(); err != nil {
			return err
		}
		memory, err := mmap.MapRegion(nil, slots*offsetMapEntrySize, mmap.RDWR, mmap.ANON, 0)
		if err != nil {
			return fmt.Errorf("%d bytes for the offset map: %w", slots*offsetMapEntrySize, err)
		}
		m.memory = memory
		m.entries = unsafe.Slice((*offsetMapEntry)(unsafe.Pointer(unsafe.SliceData(memory))), slots) // page-aligned, and no pointer in it
	} else {
		m.entries = m.entries[:slots]
		clear(m.entries)
	}
	m.size, m.latest = 0, -1
	m.limit = min(max(int(float64(slots)*loadFactor), 1), slots-1)
	return nil
}

// free gives the memory back; reset may follow.
func (m *offsetMap) free() error {
	memory := m.memory
	m.entries, m.memory, m.size, m.limit = nil, nil, 0, 0
	if memory == nil {
		return nil
	}
	return memory.Unmap()
}

func hashOf(key []byte) (hash [16]byte) {
	sum := sha256.Sum256(key)
	copy(hash[:], sum[:])
	return hash
}

// slot is where the entry of a hash is, or the free one where it would be.
func (m *offsetMap) slot(hash *[16]byte) *offsetMapEntry {
	at, _ := bits.Mul64(binary.BigEndian.Uint64(hash[:]), uint64(len(m.entries)))
	for {
		e := &m.entries[at]
		if e.next == 0 || e.hash == *hash {
			return e
		}
		if at++; at == uint64(len(m.entries)) {
			at = 0
		}
	}
}

// put notes the key's record at offset; false when the key is new and the map
// is full.
func (m *offsetMap) put(key []byte, offset int64) bool {
	hash := hashOf(key)
	e := m.slot(&hash)
	if e.next == 0 {
		if m.size >= m.limit {
			return false
		}
		m.size++
		e.hash = hash
	}
	e.next = max(e.next, offset+1)
	m.latest = max(m.latest, offset)
	return true
}

// get is the largest offset of a key, -1 when the map does not have it.
func (m *offsetMap) get(key []byte) int64 {
	hash := hashOf(key)
	return m.slot(&hash).next - 1
}
