package commitlog

import (
	"errors"
	"math"
	"time"

	"fluxmq/broker/record"
)

// Cleanable is the part of a log that the cleaner may compact now (Kafka's
// LogToClean and OffsetsToClean). A log is clean up to FirstDirty, where the
// last cleaning ended; from there to End it is dirty and cleanable. End is the
// first offset of a segment; beyond it lie the active segment, what is
// younger than min.compaction.lag.ms, and open transactions.
type Cleanable struct {
	FirstDirty, End int64
	// CleanBytes and DirtyBytes are those of the segments below FirstDirty and of
	// those that hold any of [FirstDirty, End).
	CleanBytes, DirtyBytes int64
	// Overdue is how much longer than max.compaction.lag.ms the oldest dirty
	// segment has waited.
	Overdue time.Duration
	// Due says that cleaning is worth it: enough of the log is dirty, or it is overdue.
	Due bool
}

// DirtyRatio is the dirty share of what a cleaning would read, 0 to 1.
func (c Cleanable) DirtyRatio() float64 {
	if c.DirtyBytes == 0 {
		return 0
	}
	return float64(c.DirtyBytes) / float64(c.CleanBytes+c.DirtyBytes)
}

// extent is a segment and what was true of it while Log.mu was held.
type extent struct {
	*segment
	end       int64 // base offset of the next segment, the log end for the active one
	bytes     int64
	createdMs int64
	firstMs   int64 // timestamp of the first batch, -1 unknown
}

// extents describes all segments; mu is held.
func (l *Log) extents() []extent {
	all := make([]extent, len(l.segments))
	for i, s := range l.segments {
		all[i] = extent{segment: s, end: l.logEnd, bytes: s.size, createdMs: s.created, firstMs: s.firstTimestamp}
		if i > 0 {
			all[i-1].end = s.base
		}
	}
	return all
}

// Cleanable tells what of the log may be cleaned. checkpoint is the offset that
// the last cleaning reported, -1 none; stable is the last stable offset. Any goroutine.
func (l *Log) Cleanable(checkpoint, stable int64) (Cleanable, error) {
	l.mu.Lock()
	if err := l.usableLocked(); err != nil {
		l.mu.Unlock()
		return Cleanable{}, err
	}
	cfg := l.cfg
	c := Cleanable{FirstDirty: checkpoint}
	if checkpoint < l.logStart || checkpoint > l.logEnd {
		// Retention or a cut tail was there meanwhile: all of the log counts as dirty.
		c.FirstDirty = l.logStart
	}
	sealed := l.extents()
	l.mu.Unlock()
	sealed = sealed[:len(sealed)-1]

	limit, err := l.firstTooYoung(sealed, c.FirstDirty, cfg.MinCompactionLag)
	if err != nil {
		return c, err
	}
	limit = min(limit, stable)
	c.End = c.FirstDirty
	for _, e := range sealed {
		if e.end > limit {
			break
		}
		if e.base < c.FirstDirty {
			c.CleanBytes += e.bytes
		}
		if e.end > c.FirstDirty {
			c.DirtyBytes += e.bytes
			c.End = e.end
		}
	}
	if c.Overdue, err = l.overdue(sealed, c.FirstDirty, cfg.MaxCompactionLag); err != nil {
		return c, err
	}
	c.Due = c.DirtyBytes > 0 && (c.DirtyRatio() > cfg.MinDirtyRatio || c.Overdue > 0)
	return c, nil
}

// firstTooYoung is where the first dirty segment begins that holds a record
// younger than the lag, MaxInt64 when none does.
func (l *Log) firstTooYoung(sealed []extent, firstDirty int64, lag time.Duration) (int64, error) {
	if lag <= 0 {
		return math.MaxInt64, nil
	}
	oldEnough := l.now() - lag.Milliseconds()
	for _, e := range sealed {
		if e.end <= firstDirty {
			continue
		}
		newest, _, err := l.segmentMax(e.segment)
		if errors.Is(err, errRetry) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if newest < 0 {
			newest = e.createdMs
		}
		if newest > oldEnough {
			return e.base, nil
		}
	}
	return math.MaxInt64, nil
}

// overdue is how much longer than the lag the oldest dirty segment has waited,
// by the timestamp of its first batch.
func (l *Log) overdue(sealed []extent, firstDirty int64, lag time.Duration) (time.Duration, error) {
	if lag <= 0 || lag == math.MaxInt64 {
		return 0, nil
	}
	oldest := int64(math.MaxInt64)
	for _, e := range sealed {
		if e.end <= firstDirty || e.bytes == 0 {
			continue
		}
		first, err := l.firstTimestampOf(e)
		if errors.Is(err, errRetry) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if first > 0 {
			oldest = min(oldest, first)
		}
	}
	waited := l.now() - lag.Milliseconds() - oldest
	if oldest == math.MaxInt64 || waited <= 0 {
		return 0, nil
	}
	return time.Duration(waited) * time.Millisecond, nil
}

// firstTimestampOf is the timestamp of a sealed segment's first batch, read once.
func (l *Log) firstTimestampOf(e extent) (int64, error) {
	if e.firstMs >= 0 {
		return e.firstMs, nil
	}
	h, err := e.acquire()
	if err != nil {
		if notExist(err) && e.gone() {
			err = errRetry
		}
		return 0, err
	}
	defer h.unref()
	var header [headerSize]byte
	if _, err := readHeader(h.file, 0, e.bytes, header[:]); err != nil {
		return 0, err
	}
	first := record.Batch(header[:]).MaxTimestamp()
	l.mu.Lock()
	e.firstTimestamp = first
	l.mu.Unlock()
	return first, nil
}
