package commitlog

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fluxmq/broker/record"
)

// Recovered tells what Open found and did.
type Recovered struct {
	ScannedBytes int64
	// CutBytes were behind the last whole batch and are no longer in the log.
	// CutAt is the offset they would have begun with.
	CutBytes, CutAt int64
	// Kept names the files that hold what was cut, when it was more than a torn tail.
	Kept []string
	// Rebuilt counts segments whose indexes were built anew.
	Rebuilt int
}

// Recovered tells what Open found and did.
func (l *Log) Recovered() Recovered { return l.recovered }

// Open opens or creates the log in a directory. After an unclean stop it scans
// what lies above the recovery point, cuts a torn tail, and fsyncs what it
// keeps; ErrCorrupt, with the log unusable and its files untouched, when the damage is
// not what a crash leaves. Sidecar files that are torn, empty or missing never
// fail it: they are built anew.
func Open(o Options) (*Log, error) {
	if o.FS == nil {
		o.FS = OS{}
	}
	if o.Files == nil {
		o.Files = NewFiles(16)
	}
	if o.NowMs == nil {
		o.NowMs = SystemNowMs
	}
	l := &Log{
		fs: o.FS, dir: o.Dir, files: o.Files, now: o.NowMs, cfg: o.Config.withDefaults(),
		logStart: o.LogStart, firstOpen: math.MaxInt64, cleaned: o.Cleaned, closing: make(chan struct{}),
		stableWhenDurable: o.StableWhenDurable,
	}
	found, err := l.list()
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", o.Dir, err)
	}
	if err := l.open(found, o); err != nil {
		for _, s := range l.segments {
			s.close()
		}
		return nil, fmt.Errorf("open log %s: %w", o.Dir, err)
	}
	l.publish() // nobody else knows the log yet
	return l, nil
}

// listing is what a partition's directory holds.
type listing struct {
	bases     []int64
	sizes     []int64
	created   []int64
	indexes   map[int64]int // how many of .index and .timeindex are there
	snapshots []int64
	// txnIndexes says which segments have a .txnindex file, sums whether their
	// sums are there.
	txnIndexes map[int64]bool
	sums       bool
}

// list reads the directory and removes remnants of deletions and replacements.
func (l *Log) list() (listing, error) {
	if err := l.fs.MkdirAll(l.dir); err != nil {
		return listing{}, err
	}
	if err := l.finishExchanges(); err != nil {
		return listing{}, err
	}
	entries, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return listing{}, err
	}
	found := listing{indexes: map[int64]int{}, txnIndexes: map[int64]bool{}}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			continue
		}
		suffix := filepath.Ext(name)
		if suffix == ".deleted" || suffix == ".tmp" {
			if err := l.fs.Remove(filepath.Join(l.dir, name)); err != nil && !notExist(err) {
				return listing{}, err
			}
			continue
		}
		if name == txnSumsFile {
			found.sums = true
			continue
		}
		digits := strings.TrimSuffix(name, suffix)
		base, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || len(digits) != 20 || base < 0 {
			continue
		}
		switch suffix {
		case ".log":
			info, err := e.Info()
			if err != nil {
				return listing{}, err
			}
			found.bases = append(found.bases, base)
			found.sizes = append(found.sizes, info.Size())
			found.created = append(found.created, info.ModTime().UnixMilli())
		case ".index", ".timeindex":
			found.indexes[base]++
		case txnIndexSuffix:
			found.txnIndexes[base] = true
		case ".snapshot":
			found.snapshots = append(found.snapshots, base)
		}
	}
	return found, l.removeOrphans(found)
}

// removeOrphans removes index files without a log file, as Kafka does.
func (l *Log) removeOrphans(found listing) error {
	for base := range found.indexes {
		if _, ok := slices.BinarySearch(found.bases, base); !ok {
			if err := l.removeFiles(l.Path(fileName(base, ".index")), l.Path(fileName(base, ".timeindex"))); err != nil {
				return err
			}
		}
	}
	for base := range found.txnIndexes {
		if _, ok := slices.BinarySearch(found.bases, base); !ok {
			if err := l.removeFiles(l.Path(fileName(base, txnIndexSuffix))); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Log) open(found listing, o Options) error {
	for i, base := range found.bases {
		l.segments = append(l.segments, &segment{
			log: l, base: base, size: found.sizes[i], created: found.created[i],
			maxTimestamp: unknownTimestamp, maxTimestampOffset: -1, firstTimestamp: -1,
		})
	}
	if len(l.segments) == 0 {
		return l.createFirst(o)
	}
	l.findTxnIndexes(found)
	epochs, epochsErr := readEpochs(l.fs, filepath.Join(l.dir, leaderEpochFile))
	l.epochs.entries = epochs
	clean := o.Clean && epochsErr == nil
	var err error
	if clean {
		err = l.openClean(found)
		if err == nil && l.logEnd < o.RecoveryPoint {
			err = ErrCorrupt
		}
		if err == nil {
			err = l.loadProducers(found.snapshots, false)
		}
	}
	if !clean || errors.Is(err, errIndex) || errors.Is(err, ErrCorrupt) {
		if epochsErr != nil {
			l.epochs = epochCache{dirty: true}
		}
		err = l.recover(found, o, epochsErr != nil)
	}
	if err != nil {
		return err
	}
	for _, s := range l.segments {
		l.size += s.size
	}
	l.logStart = max(l.logStart, l.segments[0].base)
	if l.logStart > l.logEnd {
		// DeleteRecords reached the log end, and a crash took the records above the
		// recovery point: offsets below the log start must not be given out again.
		if err := l.restart(l.logStart); err != nil {
			return err
		}
	}
	l.epochs.truncate(l.logEnd)
	l.durable = l.logEnd
	l.undurable = nil
	return nil
}

func (l *Log) createFirst(o Options) error {
	if o.RecoveryPoint > o.LogStart {
		return fmt.Errorf("%w: there is no segment, but offsets up to %d were synced", ErrCorrupt, o.RecoveryPoint)
	}
	s, err := l.createSegment(o.LogStart)
	if err != nil {
		return err
	}
	l.segments = []*segment{s}
	l.logEnd, l.durable = o.LogStart, o.LogStart
	l.dirDirty, l.newDir, l.changed = true, true, true
	return nil
}

// restart drops every segment and begins an empty one at offset.
func (l *Log) restart(offset int64) error {
	for _, s := range l.segments {
		if err := l.fs.Rename(s.path(".log"), s.path(".log.deleted")); err != nil {
			return err
		}
		s.close()
	}
	s, err := l.createSegment(offset)
	if err != nil {
		return err
	}
	l.segments = []*segment{s}
	l.size, l.logEnd = 0, offset
	l.dirDirty, l.changed = true, true
	return l.fs.SyncDir(l.dir)
}

// openClean loads the active segment from its index files and walks the few
// batches behind the last entry. errIndex or ErrCorrupt sends the caller to recovery.
func (l *Log) openClean(found listing) error {
	for _, s := range l.segments {
		if found.indexes[s.base] != 2 {
			return fmt.Errorf("%w: files of segment %d are missing", errIndex, s.base)
		}
	}
	active := l.segments[len(l.segments)-1]
	mem, err := l.loadIndex(active)
	if err != nil {
		return err
	}
	h, err := active.acquire()
	if err != nil {
		return err
	}
	defer h.unref()
	from := int64(0)
	if n := len(mem.offsets); n > 0 {
		from = int64(mem.offsets[n-1].position)
	}
	next := active.base
	var header [headerSize]byte
	for position := from; position < active.size; {
		f, err := readHeader(h.file, position, active.size, header[:])
		if err != nil {
			return err
		}
		if f.baseOffset < next {
			return fmt.Errorf("%w: offset %d after %d", ErrCorrupt, f.baseOffset, next)
		}
		if n := len(mem.offsets); position == from && n > 0 && f.lastOffset != active.base+int64(mem.offsets[n-1].relative) {
			return fmt.Errorf("%w: its last entry is not that of a batch", errIndex)
		}
		if position == 0 {
			active.firstTimestamp = record.Batch(header[:]).MaxTimestamp()
		}
		mem.note(recentBatch{f.baseOffset, f.position, f.size})
		next, position = f.lastOffset+1, f.end()
	}
	active.mem, active.fromFile = mem, true
	active.bytesSinceIndex = active.size - from
	active.maxTimestamp = -1
	if n := len(mem.times); n > 0 {
		active.maxTimestamp = mem.times[n-1].timestamp
		active.maxTimestampOffset = active.base + int64(mem.times[n-1].relative)
	}
	if from > 0 {
		if _, err := readHeader(h.file, 0, active.size, header[:]); err != nil {
			return err
		}
		active.firstTimestamp = record.Batch(header[:]).MaxTimestamp()
	}
	l.logEnd = next
	if err := l.loadAborted(active); err != nil {
		return err
	}
	return l.proveMaxTimestamp(h, active)
}

// proveMaxTimestamp checks what the time index says of a segment's largest timestamp.
func (l *Log) proveMaxTimestamp(h *handle, s *segment) error {
	if s.maxTimestamp < 0 {
		return nil
	}
	p := spot{seg: s, size: s.size, mem: true}
	if r := s.maxTimestampOffset - s.base; r > 0 && r <= math.MaxUint32 {
		p.in = s.mem.bracket(uint32(r))
	}
	f, err := l.findIn(h, p, s.maxTimestampOffset)
	var header [headerSize]byte
	if err == nil {
		_, err = readHeader(h.file, f.position, s.size, header[:])
	}
	if err != nil || f.lastOffset != s.maxTimestampOffset || record.Batch(header[:]).MaxTimestamp() != s.maxTimestamp {
		return fmt.Errorf("%w: no batch ends at offset %d with timestamp %d", errIndex, s.maxTimestampOffset, s.maxTimestamp)
	}
	return nil
}

// loadIndex reads both index files of a segment into memory, checking that
// entries are in order.
func (l *Log) loadIndex(s *segment) (*memoryIndex, error) {
	offsets, err := openFileIndex(l.fs, s.path(".index"), offsetEntrySize)
	if err != nil {
		return nil, err
	}
	defer offsets.close()
	times, err := openFileIndex(l.fs, s.path(".timeindex"), timeEntrySize)
	if err != nil {
		return nil, err
	}
	defer times.close()
	if int64(offsets.entries) > s.size/headerSize || int64(times.entries) > s.size/headerSize {
		return nil, fmt.Errorf("%w: more entries than batches", errIndex)
	}
	mem := &memoryIndex{}
	var scratch [timeEntrySize]byte
	for i := range offsets.entries {
		e, err := offsets.offsetEntry(i, scratch[:])
		if err != nil {
			return nil, err
		}
		if n := len(mem.offsets); int64(e.position) >= s.size || n > 0 && (e.relative <= mem.offsets[n-1].relative || e.position <= mem.offsets[n-1].position) {
			return nil, fmt.Errorf("%w: entry %d is out of order", errIndex, i)
		}
		mem.offsets = append(mem.offsets, e)
	}
	for i := range times.entries {
		e, err := times.timeEntry(i, scratch[:])
		if err != nil {
			return nil, err
		}
		if n := len(mem.times); n > 0 && (e.relative < mem.times[n-1].relative || e.timestamp <= mem.times[n-1].timestamp) {
			return nil, fmt.Errorf("%w: time entry %d is out of order", errIndex, i)
		}
		mem.times = append(mem.times, e)
	}
	if s.size > 0 && len(mem.times) == 0 {
		return nil, fmt.Errorf("%w: no time entry", errIndex)
	}
	return mem, nil
}

// recover scans the segments that may hold anything above the recovery point,
// and those whose indexes are missing.
func (l *Log) recover(found listing, o Options, epochsLost bool) error {
	l.changed = true
	next := l.segments[0].base
	for i := 0; i < len(l.segments); i++ {
		s := l.segments[i]
		last := i == len(l.segments)-1
		if i > 0 && s.base < next || i > 0 && s.base > next && !l.mayMiss(s.base) {
			return l.damaged(i, next, o, fmt.Errorf("%w: offset %d is followed by a segment that begins at %d", ErrCorrupt, next-1, s.base), nil, found)
		}
		next = max(next, s.base)
		if !last && l.segments[i+1].base <= o.RecoveryPoint && found.indexes[s.base] == 2 && !epochsLost {
			next = l.segments[i+1].base
			continue
		}
		end, err := l.scan(s, o.RecoveryPoint, epochsLost)
		if err != nil {
			return err
		}
		next = end.next
		if end.bad != nil && !last && l.segments[i+1].base == next {
			// A preallocated segment that was rolled and not trimmed yet misses no record.
			if err := l.trimZeros(s, &end); err != nil {
				return err
			}
		}
		if end.bad == nil {
			if !last {
				l.unsealed = append(l.unsealed, s)
			}
			continue
		}
		return l.damaged(i, next, o, fmt.Errorf("%w: %s at position %d: %w", ErrCorrupt, s.path(".log"), end.position, end.bad), &end, found)
	}
	return l.keep(next, o, found)
}

// mayMiss tells whether offsets just below this one may be missing without damage.
func (l *Log) mayMiss(offset int64) bool { return l.cfg.AllowGaps || offset <= l.cleaned }

// trimZeros cuts the rest of the file off, if it is all zeros; end.bad is nil then.
func (l *Log) trimZeros(s *segment, end *scanned) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.unref()
	size, err := h.file.Size()
	if err != nil {
		return err
	}
	in := scanner{file: h.file, size: size}
	for at := end.position; at < size; {
		b := in.bytes(at, int(min(size-at, scanWindow)))
		if in.failed != nil || len(b) == 0 {
			return errors.Join(io.ErrUnexpectedEOF, in.failed)
		}
		if len(bytes.TrimLeft(b, "\x00")) > 0 {
			return nil
		}
		at += int64(len(b))
	}
	end.bad = nil
	return h.file.Truncate(end.position)
}

// damaged decides what a bad place means: a crash's traces are cut, anything
// else is ErrCorrupt. end is where segment i goes bad, nil when the segment
// as a whole does not follow the one before it.
func (l *Log) damaged(i int, next int64, o Options, cause error, end *scanned, found listing) error {
	if next < o.RecoveryPoint {
		return fmt.Errorf("%w (offsets up to %d were synced)", cause, o.RecoveryPoint)
	}
	last := i == len(l.segments)-1
	if end == nil || !last && !o.HostCrash {
		if o.HostCrash {
			return l.cut(i, next, o, nil, found)
		}
		return cause
	}
	later, err := l.batchAfter(l.segments[i], end.position, next)
	if err != nil {
		return err
	}
	if later >= 0 {
		if !o.HostCrash {
			return fmt.Errorf("%w (a whole batch follows at position %d)", cause, later)
		}
		if err := l.setAside(l.segments[i], end.position); err != nil {
			return err
		}
	}
	return l.cut(i, next, o, end, found)
}

// setAside copies what follows position to a file of its own: it holds whole
// batches, and nobody but a person can say that none of them was promised.
func (l *Log) setAside(s *segment, position int64) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.unref()
	name := l.asideName(s)
	out, err := l.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	size, err := h.file.Size()
	in := scanner{file: h.file, size: size}
	for at := position; err == nil && at < size; {
		b := in.bytes(at, int(min(size-at, scanWindow)))
		if len(b) == 0 {
			err = errors.Join(io.ErrUnexpectedEOF, in.failed)
			break
		}
		_, err = out.WriteAt(b, at-position)
		at += int64(len(b))
	}
	l.recovered.Kept = append(l.recovered.Kept, name)
	return errors.Join(err, out.Datasync(), out.Close())
}

func (l *Log) asideName(s *segment) string {
	return fmt.Sprintf("%s.cut-%d", s.path(".log"), l.now())
}

// cut ends the log at next: what lies behind in segment i goes, later
// segments are set aside.
func (l *Log) cut(i int, next int64, o Options, end *scanned, found listing) error {
	keep := i
	if end != nil {
		keep = i + 1
	}
	for _, s := range l.segments[keep:] {
		aside := l.asideName(s)
		if err := l.fs.Rename(s.path(".log"), aside); err != nil {
			return err
		}
		// A later segment of that name must not meet it.
		if err := l.removeFiles(s.path(txnIndexSuffix)); err != nil {
			return err
		}
		if s.size > 0 {
			l.recovered.Kept = append(l.recovered.Kept, aside)
		}
		l.recovered.CutBytes += s.size
		s.close()
	}
	l.segments = l.segments[:keep]
	l.recovered.CutAt = next
	if end != nil {
		s := l.segments[i]
		if err := l.truncateSegment(s, end.position); err != nil {
			return err
		}
	}
	if l.unsealed = slices.DeleteFunc(l.unsealed, func(s *segment) bool { return s == l.segments[keep-1] }); l.segments[keep-1].mem == nil {
		if _, err := l.scan(l.segments[keep-1], o.RecoveryPoint, false); err != nil {
			return err
		}
	}
	return l.keep(next, o, found)
}

// truncateSegment cuts the file of s at a position. Zeros (preallocation, or
// blocks that never reached the disk) count as nothing.
func (l *Log) truncateSegment(s *segment, position int64) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.unref()
	size, err := h.file.Size()
	if err != nil {
		return err
	}
	if size > position {
		l.recovered.CutBytes += size - position
		if err := h.file.Truncate(position); err != nil {
			return err
		}
	}
	s.size = position
	return nil
}

// keep makes what recovery found durable before anything is served from it.
func (l *Log) keep(next int64, o Options, found listing) error {
	l.logEnd = next
	if next < o.RecoveryPoint {
		return fmt.Errorf("%w: the log ends at offset %d, but everything up to %d was synced", ErrCorrupt, next, o.RecoveryPoint)
	}
	for _, s := range l.segments {
		if s.mem != nil {
			if err := s.sync(); err != nil {
				return err
			}
		}
	}
	for _, s := range l.unsealed {
		s.finishIndex()
	}
	if err := l.loadProducers(found.snapshots, true); err != nil {
		return err
	}
	if err := l.restoreTxnIndexes(found); err != nil {
		return err
	}
	if err := l.seal(true); err != nil {
		return err
	}
	if err := l.writeEpochs(true); err != nil {
		return err
	}
	return errors.Join(l.fs.SyncDir(l.dir), l.fs.SyncDir(filepath.Dir(l.dir)))
}

// scanned is where a scan of a segment ended.
type scanned struct {
	position int64 // end of the last good batch
	next     int64 // offset that follows it
	bad      error // why the scan ended before the end of the file; nil at the end
}

// scan walks all batches of a segment, rebuilding its indexes in memory, and
// checks the CRC of those at or above verifyFrom. Epochs are noted when
// the checkpoint is lost or the batch lies above what it knows.
func (l *Log) scan(s *segment, verifyFrom int64, epochsLost bool) (scanned, error) {
	h, err := s.acquire()
	if err != nil {
		return scanned{}, err
	}
	defer h.unref()
	size, err := h.file.Size()
	if err != nil {
		return scanned{}, err
	}
	s.mem, s.scanned = &memoryIndex{}, true
	s.size, s.maxTimestamp, s.maxTimestampOffset, s.firstTimestamp, s.bytesSinceIndex = 0, -1, -1, -1, 0
	end := scanned{next: s.base}
	in := scanner{file: h.file, size: size}
	l.recovered.Rebuilt++
	var header [headerSize]byte // the window moves on while the checksum is computed
	for end.position < size {
		b, f, err := in.header(end.position)
		copy(header[:], b)
		b = header[:]
		if err == nil && (f.baseOffset < end.next || f.baseOffset > end.next && !l.mayMiss(f.baseOffset) || f.lastOffset-s.base > math.MaxInt32) {
			err = fmt.Errorf("offset %d where %d was expected", f.baseOffset, end.next)
		}
		if err == nil && f.lastOffset >= verifyFrom {
			var ok bool
			if ok, err = in.checksum(f, b.CRC()); err == nil && !ok {
				err = record.ErrChecksum
			}
		}
		if err != nil {
			if in.failed != nil {
				return scanned{}, in.failed
			}
			end.bad = err
			break
		}
		l.epochs.assign(b.PartitionLeaderEpoch(), f.baseOffset)
		s.mem.note(recentBatch{f.baseOffset, f.position, f.size})
		s.index(f, b.MaxTimestamp(), l.cfg.IndexIntervalBytes)
		end.position, end.next = f.end(), f.lastOffset+1
	}
	l.recovered.ScannedBytes += end.position
	return end, nil
}

// scanner reads a file front to back through one window, so that walking
// small batches costs one read per window. Nothing is allocated from a
// length that the file declares.
type scanner struct {
	file   File
	size   int64
	window []byte
	start  int64
	failed error // an I/O error, as opposed to bytes that make no sense
}

const scanWindow = 256 << 10

// bytes returns up to n bytes at position, fewer at the end of the file.
func (in *scanner) bytes(position int64, n int) []byte {
	if position >= in.start && position+int64(n) <= in.start+int64(len(in.window)) {
		return in.window[position-in.start:][:n]
	}
	if in.window == nil {
		in.window = make([]byte, min(scanWindow, in.size))
	}
	got, err := readUpTo(in.file, in.window[:cap(in.window)], position)
	if err != nil {
		in.failed = err
		return nil
	}
	in.window, in.start = in.window[:got], position
	return in.window[:min(n, got)]
}

func (in *scanner) header(position int64) (record.Batch, found, error) {
	b := in.bytes(position, headerSize)
	f, err := parseHeader(b, position, in.size)
	return b, f, err
}

// checksum tells whether the batch at f has the CRC that its header says.
func (in *scanner) checksum(f found, want uint32) (bool, error) {
	crc := uint32(0)
	for at := f.position + crcFrom; at < f.end(); {
		b := in.bytes(at, int(min(f.end()-at, scanWindow)))
		if len(b) == 0 {
			return false, errors.Join(io.ErrUnexpectedEOF, in.failed)
		}
		crc = crc32.Update(crc, castagnoli, b)
		at += int64(len(b))
	}
	return crc == want, nil
}

// crcFrom is where the bytes that a batch's CRC covers begin.
const crcFrom = 21

// batchAfter looks for a whole batch with a later offset behind a bad place:
// -1 when there is none, so that the bad place is a torn tail.
func (l *Log) batchAfter(s *segment, position, next int64) (int64, error) {
	h, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer h.unref()
	size, err := h.file.Size()
	if err != nil {
		return 0, err
	}
	in := scanner{file: h.file, size: size}
	for at := position + 1; at+headerSize <= size; at++ {
		b, f, err := in.header(at)
		if err == nil && f.baseOffset >= next && f.lastOffset-s.base <= math.MaxInt32 {
			probe := scanner{file: h.file, size: size}
			if ok, err := probe.checksum(f, b.CRC()); err == nil && ok {
				return at, nil
			}
			if probe.failed != nil {
				return 0, probe.failed
			}
		}
		if in.failed != nil {
			return 0, in.failed
		}
	}
	return -1, nil
}

// loadProducers loads the newest snapshot that makes sense and replays the
// batches behind it. Snapshots above the log end are removed. After a recovery it
// also finds the aborted transactions of the segments that were scanned, and begins
// early enough for that.
func (l *Log) loadProducers(snapshots []int64, recovered bool) error {
	from, newest := l.segments[0].base, l.logEnd
	l.producers, l.firstOpen = producerState{}, math.MaxInt64
	if recovered {
		for _, s := range slices.Backward(l.segments) {
			if s.scanned {
				newest = s.base
				s.aborted, s.inFile = nil, txnIndexSum{}
			}
		}
	}
	slices.Sort(snapshots)
	loaded := false
	for _, at := range slices.Backward(snapshots) {
		name := l.Path(fileName(at, ".snapshot"))
		if !loaded && at <= newest {
			b, err := readFile(l.fs, name, maxSidecarBytes)
			if err == nil {
				err = l.producers.loadSnapshot(b)
			}
			if err == nil {
				from, loaded = max(from, at), true
				continue
			}
			// One that cannot be used is no loss: the log has it all.
		}
		if i := l.at(at); l.segments[i].base != at || at > l.logEnd {
			if err := l.removeFiles(name); err != nil {
				return err
			}
		}
	}
	l.firstOpen = l.producers.firstOpen(math.MaxInt64)
	return l.replayProducers(from, recovered)
}

// replayProducers notes the producers of every batch from an offset on, from
// the headers alone, with a snapshot wherever a segment ends, and, after a
// recovery, the aborted transactions that end in the scanned segments.
func (l *Log) replayProducers(from int64, recovered bool) error {
	nowMs := l.now()
	for i, s := range l.segments {
		if i+1 < len(l.segments) && l.segments[i+1].base <= from || from >= l.logEnd {
			continue
		}
		err := l.eachBatch(s, max(from, s.base), func(b record.Batch) {
			if t, aborted := l.track(b, nowMs); aborted && recovered && s.scanned {
				s.aborted = append(s.aborted, t)
			}
		})
		if err != nil {
			return err
		}
		if i+1 == len(l.segments) || len(l.producers.entries) == 0 {
			continue
		}
		// The snapshot here is missing or damaged, or older than what was
		// scanned. It is made again while the log before it is there to tell.
		if err := l.writeSnapshot(l.segments[i+1].base, l.producers.snapshot(), true); err != nil {
			return err
		}
	}
	return nil
}

// removeFiles removes files; those that are not there are no error.
func (l *Log) removeFiles(names ...string) error {
	var errs []error
	for _, n := range names {
		if err := l.fs.Remove(n); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
