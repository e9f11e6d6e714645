package commitlog

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"fluxmq/broker/record"
)

// maxScanBytes bounds what decoding one batch for a time look-up may take.
const maxScanBytes = record.MaxDecompressedBytes

// Stamped is a record's place in time. Offset -1 says that there is none.
type Stamped struct {
	Offset, Timestamp int64
	LeaderEpoch       int32
}

var nothing = Stamped{-1, -1, -1}

// OffsetForTimestamp returns the first record at or after unixMs with an offset in
// [log start, limit). Any goroutine. It reads index entries, then batch
// headers, and decodes one batch.
func (l *Log) OffsetForTimestamp(unixMs, limit int64) (Stamped, error) {
	return l.undisturbed(func() (Stamped, error) { return l.offsetForTimestamp(unixMs, limit) })
}

// MaxTimestamp returns the first record that has the largest timestamp below limit.
func (l *Log) MaxTimestamp(limit int64) (Stamped, error) {
	return l.undisturbed(func() (Stamped, error) { return l.findMaxTimestamp(limit) })
}

// undisturbed repeats a look-up over all segments when the cleaner exchanged some
// meanwhile: it may have passed over what moved. Exchanges are rarer than look-ups by far.
func (l *Log) undisturbed(find func() (Stamped, error)) (Stamped, error) {
	for {
		l.mu.Lock()
		before := l.exchanges
		l.mu.Unlock()
		got, err := find()
		l.mu.Lock()
		after := l.exchanges
		l.mu.Unlock()
		if before == after {
			return got, err
		}
	}
}

func (l *Log) offsetForTimestamp(unixMs, limit int64) (Stamped, error) {
	l.mu.Lock()
	if err := l.usableLocked(); err != nil {
		l.mu.Unlock()
		return nothing, err
	}
	start := l.logStart
	segments := l.segments
	l.mu.Unlock()
	for _, s := range segments {
		max, _, err := l.segmentMax(s)
		if errors.Is(err, errRetry) {
			continue
		}
		if err != nil {
			return nothing, err
		}
		if max < unixMs {
			continue
		}
		from, err := l.timeFloor(s, unixMs)
		if err != nil {
			return nothing, err
		}
		got, err := l.searchTime(s, from, unixMs, start, limit)
		if err != nil || got.Offset >= 0 {
			return got, err
		}
	}
	return nothing, nil
}

func (l *Log) findMaxTimestamp(limit int64) (Stamped, error) {
	l.mu.Lock()
	if err := l.usableLocked(); err != nil {
		l.mu.Unlock()
		return nothing, err
	}
	start := l.logStart
	segments := l.segments
	l.mu.Unlock()
	var best *segment
	bestTime, bestOffset := int64(-1), int64(-1)
	for _, s := range segments {
		t, offset, err := l.segmentMax(s)
		if errors.Is(err, errRetry) {
			continue
		}
		if err != nil {
			return nothing, err
		}
		if t > bestTime {
			best, bestTime, bestOffset = s, t, offset
		}
	}
	if best == nil {
		return nothing, nil
	}
	return l.searchTime(best, bestOffset, bestTime, start, limit)
}

// segmentMax is the largest timestamp of a segment and the last offset of its batch.
func (l *Log) segmentMax(s *segment) (timestamp, offset int64, err error) {
	l.mu.Lock()
	timestamp, offset = s.maxTimestamp, s.maxTimestampOffset
	size := s.size
	l.mu.Unlock()
	if timestamp != unknownTimestamp {
		return timestamp, offset, nil
	}
	h, err := s.acquire()
	if err != nil {
		if notExist(err) && s.gone() {
			err = errRetry
		}
		return 0, 0, err
	}
	defer h.unref()
	timestamp, offset, err = h.lastTime(s.base, size)
	if errors.Is(err, errIndex) {
		if _, err = l.rebuildIndex(h, s); err != nil {
			return 0, 0, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		return s.maxTimestamp, s.maxTimestampOffset, nil
	}
	if err != nil {
		return 0, 0, err
	}
	l.mu.Lock()
	if s.maxTimestamp == unknownTimestamp {
		s.maxTimestamp, s.maxTimestampOffset = timestamp, offset
	}
	l.mu.Unlock()
	return timestamp, offset, nil
}

// lastTime reads the last entry of the time index: a sealed segment's largest timestamp.
func (h *handle) lastTime(base, size int64) (timestamp, offset int64, err error) {
	x, err := h.timeIndex()
	if err != nil {
		return 0, 0, err
	}
	if x.entries == 0 {
		if size > 0 {
			return 0, 0, fmt.Errorf("%w: time index of a segment with %d bytes is empty", errIndex, size)
		}
		return -1, -1, nil
	}
	var scratch [timeEntrySize]byte
	e, err := x.timeEntry(x.entries-1, scratch[:])
	if err == nil {
		err = h.proveTime(e, size)
	}
	return e.timestamp, base + int64(e.relative), err
}

// proveTime checks that a time index entry tells of a batch that is there.
func (h *handle) proveTime(e timeEntry, size int64) error {
	offset := h.seg.base + int64(e.relative)
	f, err := h.seg.log.findIn(h, spot{seg: h.seg, size: size}, offset)
	var header [headerSize]byte
	if err == nil {
		_, err = readHeader(h.file, f.position, size, header[:])
	}
	if err != nil || f.lastOffset != offset || record.Batch(header[:]).MaxTimestamp() != e.timestamp {
		return fmt.Errorf("%w: no batch ends at offset %d with timestamp %d", errIndex, offset, e.timestamp)
	}
	return nil
}

// timeFloor is an offset of s before which no record is as young as unixMs.
func (l *Log) timeFloor(s *segment, unixMs int64) (int64, error) {
	l.mu.Lock()
	if s.mem != nil {
		r := s.mem.timeFloor(unixMs)
		l.mu.Unlock()
		return s.base + int64(r), nil
	}
	size := s.size
	l.mu.Unlock()
	h, err := s.acquire()
	if err != nil {
		if notExist(err) && s.gone() {
			return s.base, nil // searchTime finds out
		}
		return 0, err
	}
	defer h.unref()
	offset, err := h.timeFloor(unixMs, size)
	if !errors.Is(err, errIndex) {
		return offset, err
	}
	mem, err := l.rebuildIndex(h, s)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.base + int64(mem.timeFloor(unixMs)), nil
}

// timeFloor asks the time index file, and the log file whether that is true.
func (h *handle) timeFloor(unixMs, size int64) (int64, error) {
	x, err := h.timeIndex()
	if err != nil {
		return 0, err
	}
	e, ok, err := x.timeFloor(unixMs)
	if err != nil || !ok {
		return h.seg.base, err
	}
	return h.seg.base + int64(e.relative), h.proveTime(e, size)
}

// searchTime walks the batches of s from an offset on for the first record
// that is at least as young as unixMs and lies in [start, limit).
func (l *Log) searchTime(s *segment, from, unixMs, start, limit int64) (Stamped, error) {
	l.mu.Lock()
	var p spot
	for i := range l.segments {
		if l.segments[i] == s {
			p = l.spotOf(i, max(from, start))
		}
	}
	l.mu.Unlock()
	if p.seg == nil { // deleted meanwhile
		return nothing, nil
	}
	h, f, err := l.find(p, max(from, start))
	if errors.Is(err, io.EOF) || errors.Is(err, errRetry) {
		return nothing, nil
	}
	if err != nil {
		return nothing, err
	}
	defer h.unref()
	var header [headerSize]byte
	for position := f.position; position < p.size; {
		f, err := readHeader(h.file, position, p.size, header[:])
		if err != nil {
			return nothing, err
		}
		if f.baseOffset >= limit {
			break
		}
		if record.Batch(header[:]).MaxTimestamp() >= unixMs && f.lastOffset >= start {
			got, err := recordAt(h.file, f, unixMs, start, limit)
			if err != nil || got.Offset >= 0 {
				return got, err
			}
		}
		position = f.end()
	}
	return nothing, nil
}

var errFound = errors.New("found")

// recordAt decodes one batch for the first record at or after unixMs within [start, limit).
func recordAt(file File, f found, unixMs, start, limit int64) (Stamped, error) {
	b := make(record.Batch, f.size) // bounded by the file: parseHeader checked it
	if _, err := file.ReadAt(b, f.position); err != nil && !errors.Is(err, io.EOF) {
		return nothing, err
	}
	if err := record.Verify(b); err != nil {
		return nothing, fmt.Errorf("%w: batch at offset %d: %w", ErrCorrupt, f.baseOffset, err)
	}
	got := nothing
	err := record.Records(b, maxScanBytes, func(r record.Record) error {
		timestamp := r.Timestamp
		if b.IsLogAppendTime() {
			timestamp = b.MaxTimestamp()
		}
		if timestamp >= unixMs && r.Offset >= start && r.Offset < limit {
			got = Stamped{r.Offset, timestamp, b.PartitionLeaderEpoch()}
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return nothing, err
	}
	return got, nil
}

// rebuildIndex builds a sealed segment's indexes in memory from its log file
// and has Seal write them again.
func (l *Log) rebuildIndex(h *handle, s *segment) (*memoryIndex, error) {
	l.mu.Lock()
	size, interval := s.size, l.cfg.IndexIntervalBytes
	l.mu.Unlock()
	fresh := &segment{log: l, base: s.base, mem: &memoryIndex{}, maxTimestamp: -1, maxTimestampOffset: -1, firstTimestamp: -1}
	var header [headerSize]byte
	for fresh.size < size {
		f, err := readHeader(h.file, fresh.size, size, header[:])
		if err != nil {
			return nil, err
		}
		if f.baseOffset < s.base || f.lastOffset-s.base > math.MaxInt32 {
			return nil, fmt.Errorf("%w: offsets %d to %d in %s", ErrCorrupt, f.baseOffset, f.lastOffset, s.path(".log"))
		}
		fresh.index(f, record.Batch(header[:]).MaxTimestamp(), interval)
	}
	fresh.finishIndex()
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.mem != nil && !s.fromFile {
		return s.mem, nil
	}
	if s.mem != nil {
		fresh.mem.keepTail(s.mem, size)
		s.mem, s.fromFile = fresh.mem, false
		return s.mem, nil
	}
	s.maxTimestamp, s.maxTimestampOffset, s.firstTimestamp = fresh.maxTimestamp, fresh.maxTimestampOffset, fresh.firstTimestamp
	if slices.Contains(l.segments, s) { // else retention took it, index files and all
		s.mem = fresh.mem
		l.unsealed = append(l.unsealed, s)
		l.changed = true
		l.files.forgetIndexes(h)
	}
	return fresh.mem, nil
}

const headerSize = record.HeaderSize
