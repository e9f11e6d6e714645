package share

import (
	"errors"
	"slices"
	"sync"

	"fluxmq/broker/partition"
	"fluxmq/broker/record"
)

// memoryLog is a Log whose disk a test controls.
type memoryLog struct {
	mutex    sync.Mutex
	batches  []record.Batch
	end      int64
	start    int64
	mustWait bool
	durable  int64
	waiters  []memoryWaiter
	fail     error         // of the next appends
	appendAt chan struct{} // when set, Append waits until it is closed
	replayAt chan struct{} // when set, Replay waits until it is closed
}

type memoryWaiter struct {
	end  int64
	done func(error)
}

func (l *memoryLog) Append(b record.Batch) (int64, error) {
	if l.appendAt != nil {
		<-l.appendAt
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.fail != nil {
		return 0, l.fail
	}
	b.SetBaseOffset(l.end)
	l.batches = append(l.batches, b)
	l.end = b.LastOffset() + 1
	return l.end, nil
}

func (l *memoryLog) MustWait() bool { return l.mustWait }

func (l *memoryLog) WhenDurable(end int64, done func(error)) {
	l.mutex.Lock()
	if l.durable < end {
		l.waiters = append(l.waiters, memoryWaiter{end, done})
		l.mutex.Unlock()
		return
	}
	l.mutex.Unlock()
	done(nil)
}

// sync makes all durable, or fails with err.
func (l *memoryLog) sync(err error) {
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

// crash is the log that a power cut leaves: what was not durable is gone.
func (l *memoryLog) crash() *memoryLog {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	left := &memoryLog{mustWait: l.mustWait, start: l.start}
	for _, b := range l.batches {
		if b.LastOffset() < l.durable {
			left.batches = append(left.batches, slices.Clone(b))
			left.end = b.LastOffset() + 1
		}
	}
	left.durable = left.end
	return left
}

func (l *memoryLog) Replay(visit func(record.Batch, record.Record) error) error {
	if l.replayAt != nil {
		<-l.replayAt
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

func (l *memoryLog) Prune(before int64) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if before < l.start || before > l.end {
		return errors.New("not an offset of the log")
	}
	l.start = before
	return nil
}

// bounds are where the log starts and ends.
func (l *memoryLog) bounds() (start, end int64) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.start, l.end
}

func (l *memoryLog) set(change func()) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	change()
}

var errDisk = errors.New("the disk is gone")
