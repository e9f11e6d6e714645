// Package memlog is a coordinator.Log for tests, whose disk the test controls.
package memlog

import (
	"errors"
	"slices"
	"sync"

	"fluxmq/broker/partition"
	"fluxmq/broker/record"
)

// ErrDisk is an error to fail with.
var ErrDisk = errors.New("the disk is gone")

// Log holds batches in memory. The fields are set before its use, or by Set.
// Safe for concurrent use.
type Log struct {
	Waits    bool          // acknowledged means durable
	Fail     error         // of the next appends
	AppendAt chan struct{} // when set, Append waits until it is closed
	ReplayAt chan struct{} // when set, Replay waits until it is closed

	mutex      sync.Mutex
	batches    []record.Batch
	start, end int64
	durable    int64
	waiters    []waiter
}

type waiter struct {
	end  int64
	done func(error)
}

// Append implements coordinator.Log.
func (l *Log) Append(b record.Batch) (end int64, err error) {
	if l.AppendAt != nil {
		<-l.AppendAt
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.Fail != nil {
		return 0, l.Fail
	}
	b.SetBaseOffset(l.end)
	l.batches = append(l.batches, b)
	l.end = b.LastOffset() + 1
	return l.end, nil
}

// MustWait implements coordinator.Log.
func (l *Log) MustWait() bool { return l.Waits }

// LeaderEpoch is that of a partition which had some leaders.
func (l *Log) LeaderEpoch() int32 { return 5 }

// WhenDurable implements coordinator.Log.
func (l *Log) WhenDurable(end int64, done func(error)) {
	l.mutex.Lock()
	if l.durable < end {
		l.waiters = append(l.waiters, waiter{end, done})
		l.mutex.Unlock()
		return
	}
	l.mutex.Unlock()
	done(nil)
}

// Sync makes all durable, or fails with err.
func (l *Log) Sync(err error) {
	l.mutex.Lock()
	waiters := l.waiters
	l.waiters = nil
	if err == nil {
		l.durable = l.end
	}
	l.mutex.Unlock()
	for _, w := range waiters {
		w.done(err)
	}
}

// Crash returns the log that a power cut leaves: what was not durable is gone.
func (l *Log) Crash() *Log {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	left := &Log{Waits: l.Waits, start: l.start}
	for _, b := range l.batches {
		if b.LastOffset() < l.durable {
			left.batches = append(left.batches, slices.Clone(b))
			left.end = b.LastOffset() + 1
		}
	}
	left.durable = left.end
	return left
}

// Replay implements coordinator.Log.
func (l *Log) Replay(visit func(record.Batch, record.Record) error) error {
	if l.ReplayAt != nil {
		<-l.ReplayAt
	}
	l.mutex.Lock()
	var all []byte
	for _, b := range l.batches {
		if b.LastOffset() >= l.start { // as a log does: from the batch on that has the start
			all = append(all, b...)
		}
	}
	l.mutex.Unlock()
	_, err := partition.ReplayBatches(all, visit)
	return err
}

// Prune deletes what lies below an offset.
func (l *Log) Prune(before int64) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if before < l.start || before > l.end {
		return errors.New("not an offset of the log")
	}
	l.start = before
	return nil
}

// Bounds are where the log starts and ends.
func (l *Log) Bounds() (start, end int64) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.start, l.end
}

// Count is how many batches were appended.
func (l *Log) Count() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return len(l.batches)
}

// Set makes a change to the fields while the log is used.
func (l *Log) Set(change func()) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	change()
}
