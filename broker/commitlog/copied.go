package commitlog

import (
	"fmt"
	"math"
	"slices"

	"fluxmq/broker/record"
)

// AppendCopied writes whole batches of another log of the same partition, as
// they are: offsets, leader epochs and sequences stay. Offsets may be missing
// between them, as in the log they come from. A batch whose checksum is wrong,
// or that begins below the log end, is ErrCorrupt and is not written. Writer
// only. An error of the file system takes the log offline.
func (l *Log) AppendCopied(batches []byte) error {
	for rest := batches; len(rest) > 0; {
		b, after, err := record.Next(rest)
		if err != nil {
			return err
		}
		rest = after
		if b.CRC() != b.ComputeCRC() {
			return fmt.Errorf("%w: the checksum of the batch at offset %d is wrong", ErrCorrupt, b.BaseOffset())
		}
		if err := l.appendCopy(b); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) appendCopy(b record.Batch) error {
	active, err := l.active()
	if err != nil {
		return err
	}
	if b.BaseOffset() < l.logEnd || b.LastOffset() < b.BaseOffset() {
		return fmt.Errorf("%w: the batch [%d, %d] cannot follow offset %d", ErrCorrupt, b.BaseOffset(), b.LastOffset(), l.logEnd-1)
	}
	info := AppendInfo{BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), MaxTimestamp: b.MaxTimestamp(), Records: b.Count()}
	if l.mustRoll(active, int64(len(b)), info) {
		l.skipTo(b.BaseOffset()) // a segment begins with its first batch: entries of its index are relative to that
		if active, err = l.roll(); err != nil {
			return l.fail(err)
		}
	}
	if err := active.write(b); err != nil {
		return l.fail(err)
	}
	nowMs := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epochs.assign(b.PartitionLeaderEpoch(), b.BaseOffset())
	active.publish(b)
	if t, aborted := l.track(b, nowMs); aborted {
		active.aborted = append(active.aborted, t)
	}
	l.logEnd = b.LastOffset() + 1
	l.size += int64(len(b))
	l.changed = true
	l.publish()
	if n := len(l.unsynced); n == 0 || l.unsynced[n-1] != active {
		l.unsynced = append(l.unsynced, active)
	}
	return nil
}

// skipTo moves the log end up over offsets that no batch has.
func (l *Log) skipTo(offset int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logEnd = max(l.logEnd, offset)
	l.publish()
}

// TakeOver makes l, which holds copies of all of from's batches, know what
// from knows besides: the log end where nothing is written, the log start, the
// leader epochs, and the producers with their transactions and verifications.
// Both share them afterwards: nothing may be appended to from any more. Writer only, of both.
func (l *Log) TakeOver(from *Log) error {
	from.mu.Lock()
	if err := from.usableLocked(); err != nil {
		from.mu.Unlock()
		return err
	}
	start, end, epochs := from.logStart, from.logEnd, slices.Clone(from.epochs.entries)
	from.mu.Unlock()
	if l.logEnd > end {
		return fmt.Errorf("%w: the copy ends at offset %d, the log at %d", ErrCorrupt, l.logEnd, end)
	}
	l.skipTo(end) // the last batches may have been cleaned away
	l.mu.Lock()
	l.producers = from.producers
	l.firstOpen = l.producers.firstOpen(math.MaxInt64)
	l.epochs = epochCache{entries: epochs, dirty: true}
	l.logStart = max(l.logStart, start)
	l.epochs.trim(l.logStart)
	l.changed = true
	l.publish()
	active := l.segments[len(l.segments)-1]
	l.mu.Unlock()
	if active.size == 0 && active.base == end {
		return nil
	}
	// The snapshot before an empty segment tells a recovery all of this, also of
	// producers that have no batch left; the segment's name tells where the log ends.
	if _, err := l.roll(); err != nil {
		return l.fail(err)
	}
	return nil
}
