package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"fluxmq/broker/record"
)

// segment is one .log file and its indexes. While mem is not nil the indexes
// live in memory (the active segment, and rolled ones until Seal); after that
// in the index files.
type segment struct {
	log  *Log
	base int64

	// fileMu guards h, the names of the segment's files, and the writing of its
	// index files.
	fileMu     sync.Mutex
	h          *handle
	fileSuffix string // of the log file while the segment takes the place of others
	retired    bool   // a cleaned segment has its place, and its files' names
	// unsynced says that the file holds bytes no fdatasync has covered.
	unsynced atomic.Bool

	// The rest is guarded by Log.mu.

	size int64 // bytes of whole batches; the file is longer when preallocated
	mem  *memoryIndex
	// fromFile: mem was read from index files that only its ends vouch for; a
	// look-up that it leads astray has it built anew.
	fromFile bool
	// maxTimestamp is the largest in the segment and maxTimestampOffset the last
	// offset of its batch; -1 none, unknownTimestamp not read from disk yet.
	maxTimestamp, maxTimestampOffset int64
	firstTimestamp                   int64 // of the first batch, for rolling by age; -1 none
	created                          int64 // unix ms
	bytesSinceIndex                  int64
	rollSnapshot                     []byte // producer snapshot taken where the next segment begins, until Seal writes it
	// aborted are the aborted transactions whose markers lie in the segment, in
	// that order; empty when the .txnindex file, described by inFile, has them.
	// rebuilt: that file is damaged, and aborted was found anew.
	aborted []transaction
	inFile  txnIndexSum
	rebuilt bool
	// scanned by a recovery, whose replay finds the aborted transactions anew.
	scanned bool
}

const unknownTimestamp = -2

// fileName is Kafka's name of a segment's files: the base offset in 20 digits.
func fileName(base int64, suffix string) string { return fmt.Sprintf("%020d%s", base, suffix) }

func (s *segment) path(suffix string) string {
	return filepath.Join(s.log.dir, fileName(s.base, suffix))
}

// write puts bytes at the end of the segment in chunks: one large write costs
// two to three times as much per byte as several of this size. Only the
// writer calls it; what was written counts only once publish ran.
func (s *segment) write(b []byte) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.unref()
	at := s.size // only the writer changes it, so reading it needs no lock
	s.unsynced.Store(true)
	for len(b) > 0 {
		n := min(len(b), writeChunk)
		if _, err := h.file.WriteAt(b[:n], at); err != nil {
			return err
		}
		b, at = b[n:], at+int64(n)
	}
	return nil
}

// publish makes a written batch part of the segment: index entries as Kafka
// makes them, size, timestamps. Log.mu is held.
func (s *segment) publish(b record.Batch) {
	s.unsynced.Store(true)
	s.mem.note(recentBatch{b.BaseOffset(), s.size, int64(len(b))})
	s.index(found{position: s.size, size: int64(len(b)), baseOffset: b.BaseOffset(), lastOffset: b.LastOffset()}, b.MaxTimestamp(), s.log.cfg.IndexIntervalBytes)
}

// index makes the index entries of the batch that follows what the segment
// holds, by Kafka's rule: an entry before the first batch after more than
// interval bytes without one.
func (s *segment) index(f found, maxTimestamp, interval int64) {
	if s.size == 0 {
		s.firstTimestamp = maxTimestamp
	}
	if maxTimestamp > s.maxTimestamp {
		s.maxTimestamp, s.maxTimestampOffset = maxTimestamp, f.lastOffset
	}
	if s.bytesSinceIndex > interval {
		s.mem.offsets = append(s.mem.offsets, offsetEntry{uint32(f.lastOffset - s.base), uint32(s.size)})
		s.mem.addTime(timeEntry{s.maxTimestamp, uint32(s.maxTimestampOffset - s.base)})
		s.bytesSinceIndex = 0
	}
	s.size += f.size
	s.bytesSinceIndex += f.size
}

// found is where a batch lies.
type found struct {
	position, size         int64
	baseOffset, lastOffset int64
}

func (f found) end() int64 { return f.position + f.size }

// scanBuffers serve locate; one holds what lies between two index entries of
// small batches.
var scanBuffers = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

// locate finds the first batch that ends at or after offset by walking batch
// headers. end bounds the walk. ErrCorrupt when what stands there is no header.
func locate(file File, in bracket, end, offset int64) (found, error) {
	buffer := scanBuffers.Get().(*[]byte)
	defer scanBuffers.Put(buffer)
	// A batch of its own index entry, the rule with batches above the index
	// interval, is checked first: one read instead of two.
	if in.above > in.below && in.above-in.below > int64(len(*buffer)) {
		f, err := readHeader(file, in.above, end, (*buffer)[:record.HeaderSize])
		if err == nil && f.baseOffset <= offset && f.lastOffset >= offset {
			return f, nil
		}
	}
	position := in.below
	for position < end {
		n, err := readUpTo(file, (*buffer)[:min(int64(len(*buffer)), end-position)], position)
		if err != nil {
			return found{}, err
		}
		chunk := (*buffer)[:n]
		if len(chunk) < record.HeaderSize {
			return found{}, fmt.Errorf("%w: %d bytes are left at position %d", ErrCorrupt, len(chunk), position)
		}
		at := 0
		for at+record.HeaderSize <= len(chunk) {
			f, err := parseHeader(chunk[at:], position, end)
			if err != nil || f.lastOffset >= offset {
				return f, err
			}
			at += int(f.size)
			position += f.size
		}
	}
	return found{}, io.EOF
}

func readHeader(file File, position, end int64, buffer []byte) (found, error) {
	if _, err := readUpTo(file, buffer, position); err != nil {
		return found{}, err
	}
	return parseHeader(buffer, position, end)
}

// readUpTo reads as much as there is; the end of the file is no error.
func readUpTo(file File, b []byte, position int64) (int, error) {
	n, err := file.ReadAt(b, position)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// parseHeader reads the fields that placing a batch needs and refuses what
// cannot be a batch header.
func parseHeader(b []byte, position, end int64) (found, error) {
	if len(b) < record.HeaderSize {
		return found{}, fmt.Errorf("%w: %d bytes at position %d are no batch header", ErrCorrupt, len(b), position)
	}
	h := record.Batch(b)
	f := found{
		position:   position,
		size:       12 + int64(int32(binary.BigEndian.Uint32(b[8:]))),
		baseOffset: h.BaseOffset(),
	}
	f.lastOffset = f.baseOffset + int64(h.LastOffsetDelta())
	if b[16] != record.Magic || f.size < record.HeaderSize || f.position+f.size > end || f.baseOffset < 0 || f.lastOffset < f.baseOffset {
		return found{}, fmt.Errorf("%w: no batch header at position %d", ErrCorrupt, position)
	}
	return f, nil
}

// writeIndexes writes the index files of a rolled segment: temporary file,
// then rename. The content is only fsynced when sync is set: lost index files
// are rebuilt. A segment that was replaced has none any more.
func (s *segment) writeIndexes(offsets []offsetEntry, times []timeEntry, sync bool) error {
	s.fileMu.Lock()
	defer s.fileMu.Unlock()
	if s.retired {
		return nil
	}
	return s.writeIndexesAs("", offsets, times, sync)
}

// writeIndexesAs is writeIndexes with a suffix behind the files' names.
func (s *segment) writeIndexesAs(suffix string, offsets []offsetEntry, times []timeEntry, sync bool) error {
	b := make([]byte, 0, len(offsets)*offsetEntrySize)
	for _, e := range offsets {
		b = e.append(b)
	}
	if err := replaceFileLazily(s.log.fs, s.path(".index"+suffix), b, sync); err != nil {
		return err
	}
	b = make([]byte, 0, len(times)*timeEntrySize)
	for _, e := range times {
		b = e.append(b)
	}
	return replaceFileLazily(s.log.fs, s.path(".timeindex"+suffix), b, sync)
}

// openIndex opens one of a sealed segment's index files.
func (s *segment) openIndex(suffix string, entrySize int) (*fileIndex, error) {
	s.fileMu.Lock()
	defer s.fileMu.Unlock()
	if s.retired { // the file of that name is another segment's
		return nil, fmt.Errorf("%w: %w", errIndex, errReplaced)
	}
	return openFileIndex(s.log.fs, s.path(suffix), entrySize)
}

// offsetIndex opens the sealed segment's offset index, once a handle.
func (h *handle) offsetIndex() (*fileIndex, error) {
	h.indexMu.Lock()
	defer h.indexMu.Unlock()
	if h.offsets == nil {
		x, err := h.seg.openIndex(".index", offsetEntrySize)
		if err != nil {
			return nil, err
		}
		h.offsets = x
	}
	return h.offsets, nil
}

func (h *handle) timeIndex() (*fileIndex, error) {
	h.indexMu.Lock()
	defer h.indexMu.Unlock()
	if h.times == nil {
		x, err := h.seg.openIndex(".timeindex", timeEntrySize)
		if err != nil {
			return nil, err
		}
		h.times = x
	}
	return h.times, nil
}

// createSegment makes the file of a new segment. The caller syncs the
// directory before anything in it counts as durable.
func (l *Log) createSegment(base int64) (*segment, error) {
	s := &segment{log: l, base: base, mem: &memoryIndex{}, maxTimestamp: -1, maxTimestampOffset: -1, firstTimestamp: -1, created: l.now()}
	f, err := l.fs.OpenFile(s.path(".log"), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	// A file of that name can only be a remnant of a crash that recovery judged
	// empty; a preallocated one is all zeros behind the last batch.
	size := int64(0)
	if l.cfg.Preallocate {
		size = l.cfg.SegmentBytes
	}
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.adopt(f)
	return s, nil
}
