package cluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/record"
)

// The metadata log's place under the log directory: Kafka's, so that
// DumpLogSegments --print-data-log reads it.
const (
	metadataDir  = MetadataTopic + "-0"
	metadataFile = "00000000000000000000.log"
)

const (
	// maxMetadataBytes bounds what is read of a metadata log.
	maxMetadataBytes = 1 << 30
	// A log is rewritten at open when it is larger than rewriteBytes and than
	// rewriteFactor times what its image needs.
	rewriteBytes  = 1 << 20
	rewriteFactor = 4
	// rewriteBatch is how many changes one batch of a rewritten log holds.
	rewriteBatch = 1000
)

// ErrDamaged is in the chain when a metadata log is damaged before its end.
// Nothing is cut away: what follows the damage was acknowledged.
var ErrDamaged = errors.New("damaged metadata log")

// Holds tells whether a log directory has a metadata log; an error is one of the file system.
func Holds(fsys commitlog.FS, dir string) (bool, error) {
	_, err := fsys.Stat(filepath.Join(dir, metadataDir, metadataFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// metadataLog is the open file. One goroutine at a time.
type metadataLog struct {
	name       string
	file       commitlog.File
	size       int64 // where the next batch goes
	nextOffset int64
}

// openMetadataLog opens or makes the log under dir and returns its changes.
// What a crash left of the last write is cut off, and said.
func openMetadataLog(fsys commitlog.FS, dir string, log *slog.Logger) (*metadataLog, []Change, error) {
	dir = filepath.Join(dir, metadataDir)
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, nil, err
	}
	l := &metadataLog{name: filepath.Join(dir, metadataFile)}
	// A rewrite that a crash interrupted; nothing refers to it.
	if err := fsys.Remove(l.name + ".tmp"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	var err error
	if l.file, err = fsys.OpenFile(l.name, os.O_RDWR|os.O_CREATE); err != nil {
		return nil, nil, err
	}
	changes, err := l.recover(log)
	if err == nil {
		// The file's name, and the directory's, must be durable before a change is.
		err = errors.Join(fsys.SyncDir(dir), fsys.SyncDir(filepath.Dir(dir)))
	}
	if err != nil {
		return nil, nil, errors.Join(err, l.file.Close())
	}
	return l, changes, nil
}

// recover reads the whole log and cuts a torn tail.
func (l *metadataLog) recover(log *slog.Logger) ([]Change, error) {
	content, err := readAll(l.file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.name, err)
	}
	changes, end, next, err := scan(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.name, err)
	}
	if torn := int64(len(content)) - end; torn > 0 {
		log.Warn("cut an unfinished write off the metadata log", "file", l.name, "position", end, "bytes", torn)
		if err := errors.Join(l.file.Truncate(end), l.file.Datasync()); err != nil {
			return nil, err
		}
	}
	l.size, l.nextOffset = end, next
	return changes, nil
}

func readAll(f commitlog.File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > maxMetadataBytes {
		return nil, fmt.Errorf("%d bytes, more than the %d expected at most", size, int64(maxMetadataBytes))
	}
	content := make([]byte, size)
	n, err := f.ReadAt(content, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return content[:n], err
}

// scan decodes the batches of a log. end is where the last whole one ends.
// What follows it is a torn write, unless a whole batch comes later: then the
// log is damaged in the middle, which is an error.
func scan(content []byte) (changes []Change, end, nextOffset int64, err error) {
	for at := 0; at < len(content); {
		b, ok := batchAt(content[at:])
		if !ok {
			if later, found := findBatch(content[at+1:], nextOffset); found {
				return nil, 0, 0, fmt.Errorf("%w at position %d: whole batches follow at %d", ErrDamaged, at, at+1+later)
			}
			break
		}
		if b.BaseOffset() != nextOffset {
			return nil, 0, 0, fmt.Errorf("%w at position %d: offset %d, want %d", ErrDamaged, at, b.BaseOffset(), nextOffset)
		}
		if changes, err = decodeChanges(b, changes); err != nil {
			return nil, 0, 0, fmt.Errorf("position %d: %w", at, err)
		}
		at += len(b)
		end, nextOffset = int64(at), b.LastOffset()+1
	}
	return changes, end, nextOffset, nil
}

// batchAt is the whole, undamaged batch at the beginning of content.
func batchAt(content []byte) (record.Batch, bool) {
	b, _, err := record.Next(content)
	return b, err == nil && record.Verify(b) == nil
}

// findBatch looks for a whole batch of an offset not before next.
func findBatch(content []byte, next int64) (int, bool) {
	for at := range max(0, len(content)-record.HeaderSize+1) {
		b, _, err := record.Next(content[at:])
		if err != nil || b.BaseOffset() < next || b.BaseOffset() > next+maxMetadataBytes {
			continue
		}
		if record.Verify(b) == nil {
			return at, true
		}
	}
	return 0, false
}

// append writes one command's changes and returns when they are durable. After
// an error the state of the file is not known: the caller must not append again.
func (l *metadataLog) append(changes []Change, unixMs int64) error {
	b, err := encodeChanges(changes, unixMs)
	if err != nil {
		return err
	}
	b.SetBaseOffset(l.nextOffset)
	if _, err := l.file.WriteAt(b, l.size); err != nil {
		return err
	}
	if err := l.file.Datasync(); err != nil {
		return err
	}
	l.size += int64(len(b))
	l.nextOffset += int64(len(changes))
	return nil
}

// rewrite replaces a log that is mostly history by what its image needs. A
// crash leaves the old or the new file.
func (l *metadataLog) rewrite(fsys commitlog.FS, image *Image, unixMs int64) error {
	if l.size <= rewriteBytes {
		return nil
	}
	var content []byte
	next := int64(0)
	for changes := image.changes(); len(changes) > 0; {
		n := min(rewriteBatch, len(changes))
		b, err := encodeChanges(changes[:n], unixMs)
		if err != nil {
			return err
		}
		b.SetBaseOffset(next)
		content = append(content, b...)
		next += int64(n)
		changes = changes[n:]
	}
	if int64(len(content))*rewriteFactor > l.size {
		return nil
	}
	if err := commitlog.ReplaceFile(fsys, l.name, content); err != nil {
		return err
	}
	file, err := fsys.OpenFile(l.name, os.O_RDWR)
	if err != nil {
		return err
	}
	err = l.file.Close()
	l.file, l.size, l.nextOffset = file, int64(len(content)), next
	return err
}
