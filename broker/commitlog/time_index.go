package commitlog

import (
	"encoding/binary"
	"sort"
)

// A .timeindex file is an array of entries, sorted by both fields, big endian:
//
//	| timestamp int64, unix ms | relative offset int32 |
//
// It says that the largest timestamp up to and including that offset is
// timestamp. The offset is the last one of the batch that carried it.
const timeEntrySize = 12

type timeEntry struct {
	timestamp int64
	relative  uint32
}

func (e timeEntry) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(e.timestamp))
	return binary.BigEndian.AppendUint32(b, e.relative)
}

// addTime appends the entry when it moves time forward, as Kafka does.
func (m *memoryIndex) addTime(e timeEntry) {
	if n := len(m.times); e.timestamp >= 0 && (n == 0 || e.timestamp > m.times[n-1].timestamp) {
		m.times = append(m.times, e)
	}
}

// timeFloor is the relative offset of the last entry whose timestamp is
// smaller than the wanted one: every record up to that offset is older.
func (m *memoryIndex) timeFloor(timestamp int64) uint32 {
	i := sort.Search(len(m.times), func(i int) bool { return m.times[i].timestamp >= timestamp })
	if i == 0 {
		return 0
	}
	return m.times[i-1].relative
}

func (x *fileIndex) timeEntry(i int, scratch []byte) (timeEntry, error) {
	b, err := x.entry(i, scratch)
	if err != nil {
		return timeEntry{}, err
	}
	return timeEntry{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint32(b[8:])}, nil
}

// timeFloor is the last entry whose timestamp is smaller than the wanted one, if there is one.
func (x *fileIndex) timeFloor(timestamp int64) (e timeEntry, ok bool, err error) {
	var scratch [timeEntrySize]byte
	i, err := x.search(func(i int) (bool, error) {
		e, err := x.timeEntry(i, scratch[:])
		return e.timestamp >= timestamp, err
	})
	if err != nil || i == 0 {
		return timeEntry{}, false, err
	}
	e, err = x.timeEntry(i-1, scratch[:])
	return e, true, err
}
