package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"sort"

	"fluxmq/broker/record"
)

// A .txnindex file is an array of entries, big endian, in the order of the markers:
//
//	| version int16 = 0 | producer id int64 | first offset int64 | last offset int64 | last stable offset int64 |
//
// There is one for each aborted transaction that had records and whose marker,
// at last offset, lies in the segment; the transaction may have begun in an
// earlier one. The last stable offset is that of the moment after the marker:
// whatever begins below it was decided by then, so that a search for what
// overlaps offsets below it need not go on (Kafka's TransactionIndex and
// AbortedTxn). A segment without such transactions has no file.
const abortedSize = 2 + 4*8

// txnIndexSuffix is Kafka's.
const txnIndexSuffix = ".txnindex"

// txnSumsFile holds, in the format of Kafka's checkpoints, a line for each
// segment with a .txnindex file: base offset, entries, CRC-32C of the file.
// Kafka's index has no check of its own, and one that lost an entry would show
// aborted records to those who asked for committed ones. Kafka passes over
// the file; without it an index is believed when its entries are in order.
const txnSumsFile = "transaction-index-checkpoint"

// transaction is one that a marker has ended.
type transaction struct {
	producerID              int64
	firstOffset, lastOffset int64 // of its first record, of its marker
	// lastStable is the first offset of the oldest transaction that was open
	// after it, the offset after its marker when none was.
	lastStable int64
}

func (t transaction) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(t.producerID))
	b = binary.BigEndian.AppendUint64(b, uint64(t.firstOffset))
	b = binary.BigEndian.AppendUint64(b, uint64(t.lastOffset))
	return binary.BigEndian.AppendUint64(b, uint64(t.lastStable))
}

// parseAborted reads an entry of abortedSize bytes.
func parseAborted(b []byte) (transaction, error) {
	if version := int16(binary.BigEndian.Uint16(b)); version != 0 {
		return transaction{}, fmt.Errorf("%w: an aborted transaction of version %d", errIndex, version)
	}
	return transaction{
		producerID:  int64(binary.BigEndian.Uint64(b[2:])),
		firstOffset: int64(binary.BigEndian.Uint64(b[10:])),
		lastOffset:  int64(binary.BigEndian.Uint64(b[18:])),
		lastStable:  int64(binary.BigEndian.Uint64(b[26:])),
	}, nil
}

// follows tells whether an index can hold t behind last, in a segment that
// ends before the offset end.
func (t transaction) follows(last transaction, end int64) bool {
	return t.producerID >= 0 && t.firstOffset >= 0 && t.firstOffset < t.lastOffset &&
		t.lastOffset > last.lastOffset && t.lastOffset < end &&
		t.lastStable >= last.lastStable && t.lastStable <= t.lastOffset+1
}

// txnIndexSum is what is known of a segment's .txnindex file.
type txnIndexSum struct {
	entries int    // 0: there is none; -1: there is one of which nothing is known
	crc     uint32 // CRC-32C of the file
}

// hasAborted tells whether aborted transactions end in the segment; Log.mu is held.
func (s *segment) hasAborted() bool { return len(s.aborted) > 0 || !s.inMemory() }

// inMemory tells whether aborted is all of them, or the file has them; Log.mu is held.
func (s *segment) inMemory() bool { return s.rebuilt || s.inFile.entries == 0 }

// openTxnIndex opens the segment's .txnindex file and checks all of it: that
// the segment, which ends before the offset end, can hold what it says, and
// its sum where that is known. errIndex when it must be built anew.
func (s *segment) openTxnIndex(want txnIndexSum, end int64) (*fileIndex, error) {
	x, err := s.openIndex(txnIndexSuffix, abortedSize)
	if err != nil {
		return nil, err
	}
	if err := x.checkAborted(s.base, end, want); err != nil {
		x.close()
		return nil, fmt.Errorf("%s: %w", s.path(txnIndexSuffix), err)
	}
	return x, nil
}

func (x *fileIndex) checkAborted(base, end int64, want txnIndexSum) error {
	var scratch [abortedSize]byte
	crc := uint32(0)
	last := transaction{lastOffset: base - 1}
	for i := range x.entries {
		b, err := x.entry(i, scratch[:])
		if err != nil {
			return err
		}
		crc = crc32.Update(crc, castagnoli, b)
		t, err := parseAborted(b)
		if err != nil {
			return err
		}
		if !t.follows(last, end) {
			return fmt.Errorf("%w: aborted transaction %d, %+v, cannot follow %+v", errIndex, i, t, last)
		}
		last = t
	}
	if want.entries >= 0 && (x.entries != want.entries || crc != want.crc) {
		return fmt.Errorf("%w: %d entries with sum %08x, %d with %08x were written", errIndex, x.entries, crc, want.entries, want.crc)
	}
	return nil
}

func (x *fileIndex) abortedEntry(i int, scratch []byte) (transaction, error) {
	b, err := x.entry(i, scratch)
	if err != nil {
		return transaction{}, err
	}
	return parseAborted(b)
}

// txnIndex opens and checks the sealed segment's transaction index, once a handle.
func (h *handle) txnIndex(want txnIndexSum, end int64) (*fileIndex, error) {
	h.indexMu.Lock()
	defer h.indexMu.Unlock()
	if h.aborted == nil {
		x, err := h.seg.openTxnIndex(want, end)
		if err != nil {
			return nil, err
		}
		h.aborted = x
	}
	return h.aborted, nil
}

// AbortedTransaction is one that a reader of committed records must leave
// out: what it meets of the producer from FirstOffset on, up to the marker.
type AbortedTransaction struct{ ProducerID, FirstOffset int64 }

// overlapping appends those of an index's n entries that overlap the offsets
// [from, to) to dst. done says that no later segment has any.
func overlapping(dst []AbortedTransaction, from, to int64, n int, at func(i int) (transaction, error)) (_ []AbortedTransaction, done bool, err error) {
	var failed error
	i := sort.Search(n, func(i int) bool {
		t, err := at(i)
		failed = errors.Join(failed, err)
		return t.lastOffset >= from
	})
	if failed != nil {
		return dst, false, failed
	}
	for ; i < n; i++ {
		t, err := at(i)
		if err != nil {
			return dst, false, err
		}
		if t.firstOffset < to {
			dst = append(dst, AbortedTransaction{t.producerID, t.firstOffset})
		}
		if t.lastStable >= to {
			return dst, true, nil
		}
	}
	return dst, false, nil
}

// ReadCommitted is Read with the aborted transactions that overlap what it
// returns. What the cleaner exchanged in between is read again: the old file
// holds aborted records, the new one neither them nor a list of them.
func (l *Log) ReadCommitted(offset, limit int64, maxBytes int, minOne bool) (Range, []AbortedTransaction, error) {
	for {
		r, err := l.Read(offset, limit, maxBytes, minOne)
		if err != nil || r.handle == nil {
			return r, nil, err
		}
		aborted, err := l.Aborted(r, offset, limit)
		if err == nil {
			return r, aborted, nil
		}
		r.Release()()
		if !errors.Is(err, errRetry) {
			return Range{}, nil, err
		}
	}
}

// Aborted returns the aborted transactions that overlap what Read returned for
// an offset and a limit, in the order of their markers; r is not released yet.
// It allocates nothing where there is none. ErrOffsetOutOfRange when retention
// or the cleaner has taken the segment meanwhile. Any goroutine.
func (l *Log) Aborted(r Range, offset, limit int64) ([]AbortedTransaction, error) {
	if r.handle == nil {
		return nil, nil
	}
	l.mu.Lock()
	if err := l.usableLocked(); err != nil {
		l.mu.Unlock()
		return nil, err
	}
	i := slices.Index(l.segments, r.handle.seg)
	if i < 0 {
		l.mu.Unlock()
		return nil, l.taken(offset)
	}
	segments := l.segments[i:]
	size, to := segments[0].size, limit
	if len(segments) > 1 {
		to = min(to, segments[1].base)
	}
	some := slices.ContainsFunc(segments, (*segment).hasAborted)
	l.mu.Unlock()
	if !some {
		return nil, nil
	}
	if end := r.Position + r.Size; end < size {
		var header [headerSize]byte
		f, err := readHeader(r.handle.file, end, size, header[:])
		if err != nil {
			return nil, err
		}
		to = min(to, f.baseOffset)
	}
	var found []AbortedTransaction
	for _, s := range segments {
		var done bool
		var err error
		if found, done, err = l.abortedOf(s, found, offset, to); errors.Is(err, errRetry) {
			return nil, l.taken(offset)
		}
		if err != nil || done {
			return found, err
		}
	}
	return found, nil
}

// taken says that the segment which an offset was read from is not there any more.
func (l *Log) taken(offset int64) error {
	return fmt.Errorf("%w: %d was deleted or cleaned: %w", ErrOffsetOutOfRange, offset, errRetry)
}

// abortedOf is overlapping for one segment, from memory or from its file; a
// file that is damaged is built anew. errRetry when the segment is gone.
func (l *Log) abortedOf(s *segment, dst []AbortedTransaction, from, to int64) ([]AbortedTransaction, bool, error) {
	l.mu.Lock()
	aborted, inMemory, inFile, end := s.aborted, s.inMemory(), s.inFile, int64(math.MaxInt64)
	if next := l.baseAfter(s); next >= 0 {
		end = next
	}
	l.mu.Unlock()
	if inMemory {
		// The writer only appends to the slice: what it had under mu stays as it is.
		return overlapping(dst, from, to, len(aborted), func(i int) (transaction, error) { return aborted[i], nil })
	}
	h, err := s.acquire()
	if err != nil {
		if notExist(err) && s.gone() {
			err = errRetry
		}
		return dst, false, err
	}
	defer h.unref()
	x, err := h.txnIndex(inFile, end)
	if errors.Is(err, errIndex) {
		if err := l.rebuildAborted(s); err != nil {
			return dst, false, err
		}
		return l.abortedOf(s, dst, from, to) // from memory, this time
	}
	if err != nil {
		return dst, false, err
	}
	var scratch [abortedSize]byte
	return overlapping(dst, from, to, x.entries, func(i int) (transaction, error) { return x.abortedEntry(i, scratch[:]) })
}

// rebuildAborted finds the aborted transactions of a sealed segment from the
// log again and keeps them in memory; Close writes them. errRetry when the
// segment is gone. Any goroutine.
func (l *Log) rebuildAborted(s *segment) error {
	l.rebuildMu.Lock()
	defer l.rebuildMu.Unlock()
	for {
		l.mu.Lock()
		segments := l.segments
		i := slices.Index(segments, s)
		known := s.inMemory()
		l.mu.Unlock()
		switch {
		case i < 0:
			return errRetry
		case known:
			return nil // another reader was faster
		}
		aborted, err := l.scanAborted(segments[:i+1])
		if errors.Is(err, errRetry) {
			continue // a segment before it was deleted: without that one, then
		}
		if err != nil {
			return err
		}
		l.mu.Lock()
		// The sum stays: should this process die, the next one needs to know that
		// the file is not what it was.
		s.aborted, s.rebuilt = aborted, true
		l.changed = true
		l.mu.Unlock()
		return nil
	}
}

// scanAborted replays the log from the last producer snapshot before the last
// of the segments on, and returns the aborted transactions that end in it.
func (l *Log) scanAborted(segments []*segment) ([]transaction, error) {
	var state producerState
	last := len(segments) - 1
	from := 0
	for k := last; k > 0; k-- {
		b, err := readFile(l.fs, l.Path(fileName(segments[k].base, ".snapshot")), maxSidecarBytes)
		if err == nil && state.loadSnapshot(b) == nil {
			from = k
			break
		}
		// One that is missing or cannot be used is no loss: the log has it all.
	}
	var aborted []transaction
	for k := from; k <= last; k++ {
		err := l.eachBatch(segments[k], segments[k].base, func(b record.Batch) {
			if t, abort, ended := state.apply(b, 0); ended && abort && k == last {
				aborted = append(aborted, t)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return aborted, nil
}

// eachBatch calls visit with every batch of s that ends at or after an offset:
// the header alone, or the whole of a control batch of a producer. What visit
// gets is not kept. errRetry when the segment is gone. Any goroutine.
func (l *Log) eachBatch(s *segment, offset int64, visit func(b record.Batch)) error {
	l.mu.Lock()
	i := slices.Index(l.segments, s)
	if i < 0 {
		l.mu.Unlock()
		return errRetry
	}
	p := l.spotOf(i, offset)
	l.mu.Unlock()
	h, f, err := l.find(p, offset)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.unref()
	in := scanner{file: h.file, size: p.size}
	for position := f.position; position < p.size; {
		b, f, err := in.header(position)
		if err != nil {
			return errors.Join(err, in.failed)
		}
		if b.IsControl() && b.ProducerID() >= 0 {
			b = slices.Clone(in.bytes(position, int(min(f.size, scanWindow))))
		}
		visit(b)
		position = f.end()
	}
	return nil
}

// storeAborted moves a segment's aborted transactions from memory to its
// .txnindex file; with sync, file, sum and names are durable when it returns.
// Writer only.
func (l *Log) storeAborted(s *segment, sync bool) error {
	l.mu.Lock()
	aborted := s.aborted
	l.mu.Unlock()
	if len(aborted) == 0 {
		return nil // nor was there any, unless sum and file are wrong both
	}
	b := make([]byte, 0, len(aborted)*abortedSize)
	for _, t := range aborted {
		b = t.append(b)
	}
	if err := replaceFileLazily(l.fs, s.path(txnIndexSuffix), b, sync); err != nil {
		return err
	}
	l.mu.Lock()
	s.aborted, s.rebuilt, s.inFile = nil, false, txnIndexSum{len(aborted), crc32.Checksum(b, castagnoli)}
	l.mu.Unlock()
	if err := l.writeTxnSums(sync); err != nil || !sync {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// writeTxnSums writes the sums of the transaction indexes, if they changed. Writer only.
func (l *Log) writeTxnSums(sync bool) error {
	l.mu.Lock()
	var lines []string
	for _, s := range l.segments {
		if s.inFile.entries > 0 {
			lines = append(lines, fmt.Sprintf("%d %d %d", s.base, s.inFile.entries, s.inFile.crc))
		}
	}
	l.mu.Unlock()
	content := string(checkpointBytes(lines))
	if content == l.sums || len(lines) == 0 && l.sums == "" {
		return nil
	}
	if err := replaceFileLazily(l.fs, l.Path(txnSumsFile), []byte(content), sync); err != nil {
		return err
	}
	l.sums = content
	return nil
}

// findTxnIndexes notes, while the log is opened, which segments have a
// .txnindex file and what it should be.
func (l *Log) findTxnIndexes(found listing) {
	sums := map[int64]txnIndexSum{}
	if found.sums {
		var err error
		if sums, l.sums, err = readTxnSums(l.fs, l.Path(txnSumsFile)); err != nil {
			// Lost: the indexes are believed when they are in order.
			sums, l.sums = nil, "lost"
		}
	}
	for _, s := range l.segments {
		if sum, ok := sums[s.base]; ok {
			s.inFile = sum // a file that is missing is found out, and made, when it is read
		} else if found.txnIndexes[s.base] {
			s.inFile = txnIndexSum{entries: -1}
		}
	}
}

// readTxnSums reads the sums of a log's transaction indexes and what the file
// holds. Any damage is an error.
func readTxnSums(fsys FS, name string) (map[int64]txnIndexSum, string, error) {
	lines, err := readCheckpoint(fsys, name)
	if err != nil {
		return nil, "", err
	}
	sums := map[int64]txnIndexSum{}
	for _, line := range lines {
		var base int64
		var sum txnIndexSum
		if _, err := fmt.Sscanf(line, "%d %d %d", &base, &sum.entries, &sum.crc); err != nil {
			return nil, "", fmt.Errorf("%s: %q: %w", name, line, err)
		}
		if sum.entries <= 0 {
			return nil, "", fmt.Errorf("%s: %q: no entries", name, line)
		}
		sums[base] = sum
	}
	return sums, string(checkpointBytes(lines)), nil
}

// loadAborted brings the active segment's aborted transactions into memory,
// where the writer goes on with them. errIndex when they must be found anew.
func (l *Log) loadAborted(s *segment) error {
	if s.inFile.entries == 0 {
		return nil
	}
	x, err := s.openTxnIndex(s.inFile, l.logEnd)
	if err != nil {
		return err
	}
	defer x.close()
	aborted := make([]transaction, 0, x.entries)
	var scratch [abortedSize]byte
	for i := range x.entries {
		t, err := x.abortedEntry(i, scratch[:])
		if err != nil {
			return err
		}
		aborted = append(aborted, t)
	}
	s.aborted, s.inFile = aborted, txnIndexSum{}
	return nil
}

// restoreTxnIndexes makes the transaction indexes of the scanned segments what
// the replay of the log found, on disk as well. It comes before their other indexes are
// written: those say that a segment needs no scan.
func (l *Log) restoreTxnIndexes(found listing) error {
	last := len(l.segments) - 1
	for i, s := range l.segments {
		if !s.scanned {
			continue
		}
		if found.txnIndexes[s.base] && (i == last || len(s.aborted) == 0) {
			if err := l.removeFiles(s.path(txnIndexSuffix)); err != nil {
				return err
			}
		}
		if i < last {
			if err := l.storeAborted(s, true); err != nil {
				return err
			}
		}
	}
	return l.writeTxnSums(true)
}
