package commitlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"fluxmq/broker/record"
)

// Exchanging segments for their cleaned successor, so that a crash at any
// point leaves the old ones or the new one, in Kafka's steps and with its names:
//
//  1. The new segment's files are written and synced as <base>.log.cleaned (and
//     .index, .timeindex). A crash until here: they are removed at the next start.
//  2. Renamed to .swap, the log file last, and the directory synced: from here on
//     the new segment counts.
//  3. The old segments' files are renamed to .deleted, and the directory synced,
//     so that no old index can meet the new log file.
//  4. The .swap suffix goes, and the directory is synced.
//
// A start that finds <base>.log.swap removes the old files and takes the suffix off.
// Which old files is told by the new file alone: the cleaner keeps
// the last batch of what it merges, at least as an empty one, so the new segment
// ends exactly where the old ones did.
//
// The new segment has no .txnindex: no record of an aborted transaction is left
// in it or before it, and an entry whose marker is gone would hide what the
// producer wrote after it. The line of the old file in the sums stays until they are
// written again; a start that meets it looks through the segment and finds the same.
const (
	cleanedSuffix = ".cleaned"
	swapSuffix    = ".swap"
)

// segmentSuffixes are those of the files that belong to a segment's records.
var segmentSuffixes = []string{".log", ".index", ".timeindex", txnIndexSuffix}

// errReplaced means that a cleaned segment took the place of this one; it is a
// fs.ErrNotExist, so that users look up the segment again.
var errReplaced = fmt.Errorf("segment was cleaned: %w", fs.ErrNotExist)

// errOvertaken means that retention took a segment which was being cleaned.
var errOvertaken = errors.New("a segment was deleted while it was cleaned")

// parseFileName splits the name of a segment's file into base offset and suffix.
func parseFileName(name string) (base int64, suffix string, ok bool) {
	if len(name) <= 20 || name[20] != '.' {
		return 0, "", false
	}
	base, err := strconv.ParseInt(name[:20], 10, 64)
	return base, name[20:], err == nil && base >= 0
}

// exchange puts a finished cleaned segment into the place of the old ones.
// errOvertaken leaves the log as it was; an error of the file system leaves it
// open on the disk which of them counts, and takes the log offline.
func (l *Log) exchange(cleaned *cleanedSegment, old []*segment) error {
	l.exchangeMu.Lock()
	defer l.exchangeMu.Unlock()
	l.mu.Lock()
	at, err := l.placeOf(old)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	s := cleaned.seg
	if err := l.forgetDecided(s.base); err != nil {
		return err
	}
	if err := l.swapIn(s); err != nil {
		return l.fail(err)
	}
	s.fileSuffix = swapSuffix
	s.adopt(cleaned.file)
	cleaned.file = nil
	l.publishCleaned(s, at, old)
	for _, replaced := range old {
		replaced.retire()
	}
	if err := l.deleteReplaced(old); err != nil {
		return l.fail(err)
	}
	if err := l.takeSuffixOff(s); err != nil {
		return l.fail(err)
	}
	return nil
}

// placeOf is the index of the first of some neighbouring segments; mu is held.
func (l *Log) placeOf(old []*segment) (int, error) {
	if err := l.usableLocked(); err != nil {
		return 0, err
	}
	at := slices.Index(l.segments, old[0])
	if at < 0 || at+len(old) >= len(l.segments) || !slices.Equal(l.segments[at:at+len(old)], old) {
		return 0, errOvertaken
	}
	return at, nil
}

// forgetDecided takes the open transactions out of the producer snapshot where a
// cleaned segment begins. They have been decided since, for the cleaner stays
// below the last stable offset, and once their markers are cleaned away, too, a
// replay that begins with the snapshot would wait for them for ever. Without them
// it finds what is left of those transactions just as well: the records behind
// the snapshot, and nothing is left before it that must be hidden.
func (l *Log) forgetDecided(base int64) error {
	b, err := readFile(l.fs, l.Path(fileName(base, ".snapshot")), maxSidecarBytes)
	if notExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var state producerState
	if state.loadSnapshot(b) != nil || len(state.open) == 0 {
		return nil // a damaged one is passed over by every replay
	}
	for _, p := range state.entries {
		p.transactionStart = -1
	}
	return l.writeSnapshot(base, state.snapshot(), true)
}

// swapIn is step 2.
func (l *Log) swapIn(cleaned *segment) error {
	for _, suffix := range []string{".index", ".timeindex", ".log"} {
		if err := l.fs.Rename(cleaned.path(suffix+cleanedSuffix), cleaned.path(suffix+swapSuffix)); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(l.dir)
}

// publishCleaned makes readers find the new segment. Its index stays in
// memory until the files have their names; at cannot have moved, because
// retention waits for exchangeMu and the writer only adds behind.
func (l *Log) publishCleaned(cleaned *segment, at int, old []*segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments = slices.Concat(l.segments[:at], []*segment{cleaned}, l.segments[at+len(old):])
	l.size += cleaned.size
	for _, s := range old {
		l.size -= s.size
	}
	isOld := func(s *segment) bool { return slices.Contains(old, s) }
	l.unsealed = slices.DeleteFunc(slices.Clone(l.unsealed), isOld)
	l.unsynced = slices.DeleteFunc(slices.Clone(l.unsynced), isOld)
	l.exchanges++
	l.changed = true
}

// retire ends a replaced segment for all but those who have its file open.
func (s *segment) retire() {
	s.fileMu.Lock()
	s.retired = true
	s.fileMu.Unlock()
	s.close()
}

// deleteReplaced is step 3. The producer snapshot at the first segment's base
// stays: the new segment begins there, too.
func (l *Log) deleteReplaced(old []*segment) error {
	for i, s := range old {
		suffixes := segmentSuffixes
		if i > 0 {
			suffixes = append(slices.Clone(suffixes), ".snapshot")
		}
		if err := l.renameDeleted(s, suffixes); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(l.dir)
}

// takeSuffixOff is step 4: the new segment is a sealed one like all others then.
func (l *Log) takeSuffixOff(cleaned *segment) error {
	for _, suffix := range []string{".index", ".timeindex"} {
		if err := l.fs.Rename(cleaned.path(suffix+swapSuffix), cleaned.path(suffix)); err != nil {
			return err
		}
	}
	cleaned.fileMu.Lock() // nobody opens the file under the old name meanwhile
	err := l.fs.Rename(cleaned.path(".log"+swapSuffix), cleaned.path(".log"))
	if err == nil {
		cleaned.fileSuffix = ""
	}
	cleaned.fileMu.Unlock()
	if err != nil {
		return err
	}
	l.mu.Lock()
	cleaned.mem = nil
	l.mu.Unlock()
	return l.fs.SyncDir(l.dir)
}

// finishExchanges ends, at a start, what a crash cut short: files that did
// not count yet go, a segment that did gets its name.
func (l *Log) finishExchanges() error {
	names, err := l.fileNames()
	if err != nil {
		return err
	}
	for _, name := range names {
		_, suffix, ok := parseFileName(name)
		last := filepath.Ext(suffix)
		if ok && (last == cleanedSuffix || last == swapSuffix && suffix != ".log"+swapSuffix) {
			if err := l.removeFiles(l.Path(name)); err != nil {
				return err
			}
		}
	}
	for _, name := range names {
		if base, suffix, ok := parseFileName(name); ok && suffix == ".log"+swapSuffix {
			if err := l.finishExchange(base, names); err != nil {
				return err
			}
		}
	}
	return nil
}

// fileNames lists the plain files of the log's directory.
func (l *Log) fileNames() ([]string, error) {
	entries, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// finishExchange removes what the .swap file at base has replaced, index
// files of any age included (they are rebuilt), and gives it its name.
func (l *Log) finishExchange(base int64, names []string) error {
	swap := l.Path(fileName(base, ".log"+swapSuffix))
	end, err := l.endOfSwap(base, swap)
	if err != nil {
		return err
	}
	for _, name := range names {
		at, suffix, ok := parseFileName(name)
		replaced := ok && at >= base && at < end && (slices.Contains(segmentSuffixes, suffix) || at > base && suffix == ".snapshot")
		if replaced {
			if err := l.removeFiles(l.Path(name)); err != nil {
				return err
			}
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	if err := l.fs.Rename(swap, l.Path(fileName(base, ".log"))); err != nil {
		return err
	}
	l.cleaned = max(l.cleaned, end)
	return l.fs.SyncDir(l.dir)
}

// endOfSwap is the offset after the last batch of a .swap file. The file was
// synced before it got that name: anything wrong with it is damage.
func (l *Log) endOfSwap(base int64, swap string) (int64, error) {
	file, err := l.fs.OpenFile(swap, os.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return 0, err
	}
	in := scanner{file: file, size: size}
	end := base
	for position := int64(0); position < size; {
		b, f, err := in.header(position)
		if err == nil && f.baseOffset < end {
			err = fmt.Errorf("%w: offset %d where at least %d was expected", ErrCorrupt, f.baseOffset, end)
		}
		if err == nil {
			var whole bool
			if whole, err = in.checksum(f, b.CRC()); err == nil && !whole {
				err = fmt.Errorf("%w: %w", ErrCorrupt, record.ErrChecksum)
			}
		}
		if err != nil {
			return 0, fmt.Errorf("%s at position %d: %w", swap, position, errors.Join(err, in.failed))
		}
		end, position = f.lastOffset+1, f.end()
	}
	if end == base {
		return 0, fmt.Errorf("%w: %s holds no batch: %w", ErrCorrupt, swap, io.ErrUnexpectedEOF)
	}
	return end, nil
}
