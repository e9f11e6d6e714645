package commitlog

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"
)

// deletedSuffix marks files that nothing may use any more; Purge removes them.
const deletedSuffix = ".deleted"

type deletedFile struct {
	path  string
	dueMs int64
	bytes int64 // of a log file; of others, which are small, 0
}

// Retain deletes the oldest segments that time, size or the log start offset
// let go, none that reaches limit (the high watermark), and returns how many.
// The files are renamed now and unlinked by Purge after the delete delay.
// Writer only; it syncs only when it had to roll the active segment away. While
// the cleaner exchanges segments nothing goes: there is a next time.
func (l *Log) Retain(limit int64) (int, error) {
	if err := l.usable(); err != nil {
		return 0, err
	}
	if !l.exchangeMu.TryLock() {
		return 0, nil
	}
	defer l.exchangeMu.Unlock()
	n, err := l.countExpired(limit)
	if err != nil || n == 0 {
		return 0, err
	}
	if n == len(l.segments) {
		// The log end must survive the last segment: it and its successor are
		// durable before it goes, or a crash would give offsets out again.
		if _, err := l.roll(); err != nil {
			return 0, l.fail(err)
		}
		if _, err := l.Sync(); err != nil {
			return 0, err
		}
	}
	return n, l.deleteOldest(n)
}

// countExpired is how many segments, oldest first, may go.
func (l *Log) countExpired(limit int64) (int, error) {
	nowMs := l.now()
	surplus := int64(-1)
	if l.cfg.DeleteOld && l.cfg.RetentionBytes >= 0 {
		surplus = l.SizeBytes() - l.cfg.RetentionBytes
	}
	n := 0
	for i, s := range l.segments {
		end := l.logEnd
		if i+1 < len(l.segments) {
			end = l.segments[i+1].base
		}
		if end > limit || s.size == 0 && i+1 == len(l.segments) {
			break
		}
		expired := end <= l.logStart && i+1 < len(l.segments)
		if l.cfg.DeleteOld && l.cfg.Retention >= 0 && !expired {
			newest, _, err := l.segmentMax(s)
			if err != nil {
				return 0, err
			}
			if newest < 0 {
				newest = s.created
			}
			expired = nowMs-newest > l.cfg.Retention.Milliseconds()
		}
		// Kafka's rule: a segment goes when the log is still as large as wanted without it.
		if surplus >= s.size && i+1 < len(l.segments) {
			surplus -= s.size
			expired = true
		}
		if !expired {
			break
		}
		n++
	}
	return n, nil
}

func (l *Log) deleteOldest(n int) error {
	l.mu.Lock()
	old := l.segments[:n]
	l.segments = slices.Clone(l.segments[n:])
	l.logStart = max(l.logStart, l.segments[0].base)
	l.epochs.trim(l.logStart)
	l.unsealed = slices.DeleteFunc(slices.Clone(l.unsealed), func(s *segment) bool { return slices.Contains(old, s) })
	l.unsynced = slices.DeleteFunc(slices.Clone(l.unsynced), func(s *segment) bool { return slices.Contains(old, s) })
	for _, s := range old {
		l.size -= s.size
	}
	l.changed = true
	first, snapshot := l.segments[0].base, old[n-1].rollSnapshot
	l.publish()
	l.mu.Unlock()
	var errs []error
	if snapshot != nil {
		// Seal has not come to it: what producers did before the log start, and which
		// of their transactions are open, stands nowhere else any more.
		errs = append(errs, l.writeSnapshot(first, snapshot, false))
	}
	for _, s := range old {
		errs = append(errs, l.renameDeleted(s, append(slices.Clone(segmentSuffixes), ".snapshot")))
		s.close()
	}
	return errors.Join(errs...)
}

// renameDeleted renames those of a segment's files that are there; Purge
// unlinks them after the delete delay.
func (l *Log) renameDeleted(s *segment, suffixes []string) error {
	var errs []error
	for _, suffix := range suffixes {
		name := s.path(suffix)
		err := l.fs.Rename(name, name+deletedSuffix)
		if notExist(err) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d := deletedFile{path: name + deletedSuffix, dueMs: l.now() + l.cfg.FileDeleteDelay.Milliseconds()}
		l.mu.Lock()
		if suffix == ".log" {
			d.bytes = s.size
		}
		l.deleted = append(l.deleted, d)
		l.mu.Unlock()
	}
	return errors.Join(errs...)
}

// DueBytes is how much of the log Purge would remove now, without indexes. Any goroutine.
func (l *Log) DueBytes() (total int64) {
	nowMs := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.deleted {
		if d.dueMs <= nowMs {
			total += d.bytes
		}
	}
	return total
}

// Purge removes deleted files that are due, which may take long: wait is that of
// FS.Discard. When ctx ends the rest is left to the next start. Any goroutine.
func (l *Log) Purge(ctx context.Context, wait func(bytes int64) error) error {
	nowMs := l.now()
	l.mu.Lock()
	var due []string
	l.deleted = slices.DeleteFunc(l.deleted, func(d deletedFile) bool {
		if d.dueMs <= nowMs {
			due = append(due, d.path)
		}
		return d.dueMs <= nowMs
	})
	l.mu.Unlock()
	var errs []error
	for _, name := range due {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, l.fs.Discard(ctx, name, wait))
	}
	return errors.Join(errs...)
}

// SetLogStart moves the log start offset up; lower than it is changes nothing.
// Segments below it go with the next Retain. Writer only.
func (l *Log) SetLogStart(offset int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return err
	}
	if offset > l.logEnd {
		return ErrOffsetOutOfRange
	}
	if offset > l.logStart {
		l.logStart = offset
		l.epochs.trim(offset)
		l.changed = true
		l.publish()
	}
	return nil
}

// Tidy forgets producers that were not seen, and verifications that came to
// nothing, for producer.id.expiration.ms. Writer only.
func (l *Log) Tidy() error {
	if err := l.usable(); err != nil {
		return err
	}
	l.mu.Lock() // the cleaner looks at the producers
	defer l.mu.Unlock()
	l.producers.expire(l.now(), l.cfg.ProducerExpiration)
	return nil
}

// WriteEpochs writes the leader epoch checkpoint if it changed. Any goroutine, one at a time.
func (l *Log) WriteEpochs() error {
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.writeEpochs(true); err != nil {
		return l.fail(err)
	}
	return nil
}

// Dir is the log's directory.
func (l *Log) Dir() string { return l.dir }

// Path joins a name to the log's directory.
func (l *Log) Path(name string) string { return filepath.Join(l.dir, name) }

// SystemNowMs is the system's clock in unix ms.
func SystemNowMs() int64 { return time.Now().UnixMilli() }
