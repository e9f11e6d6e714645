package txn

import (
	"context"
	"errors"
	"sync"
	"time"

	"fluxmq/broker/invariant"
	"fluxmq/broker/protocol"
)

// Marker is one control batch to be written to one partition: the end of a
// producer's transaction there.
type Marker struct {
	TopicPartition
	Producer
	CoordinatorEpoch int32
	Commit           bool
	// Version is the transaction version: from version 2 on Epoch is above that
	// of the transaction's records, and a marker that is not is a late one (KIP-1228).
	Version int16
}

const (
	// firstRetry and longestRetry bound the pause before markers that could not
	// be written are tried again; it doubles from one to the other.
	firstRetry   = 100 * time.Millisecond
	longestRetry = 10 * time.Second
)

// outcome is a decided transaction whose markers are not all written.
type outcome struct {
	transactionalID string
	producer        Producer
	commit          bool
	version         int16
	partitions      []TopicPartition
}

// outcome returns what a transaction in PrepareCommit or PrepareAbort has to have written.
func (t *transaction) outcome() *outcome {
	return &outcome{t.transactionalID, t.Producer, t.state == prepareCommit, t.version, t.sorted()}
}

// markers writes what a shard has decided, in a goroutine of its own (run),
// because the partitions' disks take their time. It knows no transaction: what
// is written it tells the shard.
type markers struct {
	config           *settings
	shard            int32
	coordinatorEpoch int32
	written          chan []*outcome // taken by the shard's loop
	stopped          chan struct{}   // closed when run has returned
	wake             chan struct{}   // capacity 1

	// mutex guards fresh: outcomes that run has not taken yet. There are never
	// more than one for each transactional id of the shard.
	mutex sync.Mutex
	fresh []*outcome
}

func newMarkers(c *settings, shard, coordinatorEpoch int32) *markers {
	return &markers{
		config: c, shard: shard, coordinatorEpoch: coordinatorEpoch,
		written: make(chan []*outcome), stopped: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// add hands an outcome over whose record is durable. It does not block, and may
// be called by any goroutine.
func (m *markers) add(o *outcome) {
	m.mutex.Lock()
	m.fresh = append(m.fresh, o)
	m.mutex.Unlock()
	select {
	case m.wake <- struct{}{}:
	default: // run is about to look anyway
	}
}

func (m *markers) take() []*outcome {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	list := m.fresh
	m.fresh = nil
	return list
}

// run writes until ctx ends. What is not written then is written after the
// next start: the log says that it is missing.
func (m *markers) run(ctx context.Context) {
	defer close(m.stopped)
	timer := m.config.newTimer(longestRetry)
	timer.Stop()
	defer timer.Stop()
	var failed []*outcome
	pause := firstRetry
	retrying := false // timer runs
	for {
		var list []*outcome
		select {
		case <-m.wake:
			list = m.take()
		case <-timer.Chan():
			list, failed, retrying = failed, nil, false
		case <-ctx.Done():
			return
		}
		left := m.write(ctx, list)
		if ctx.Err() != nil {
			return
		}
		if len(left) == 0 && len(failed) == 0 {
			pause = firstRetry
		}
		failed = append(failed, left...)
		if len(failed) > 0 && !retrying {
			timer.Reset(pause)
			pause, retrying = min(2*pause, longestRetry), true
		}
	}
}

// write writes the markers of list, tells the shard which outcomes are wholly
// written, and returns the others with the partitions that are left. An outcome
// without partitions is written already.
func (m *markers) write(ctx context.Context, list []*outcome) (left []*outcome) {
	var all []Marker
	for _, o := range list {
		for _, p := range o.partitions {
			all = append(all, Marker{p, o.producer, m.coordinatorEpoch, o.commit, o.version})
		}
	}
	var errs []error
	if len(all) > 0 {
		errs = m.config.writeMarkers(ctx, all)
	}
	invariant.Check(len(errs) == len(all), "%d markers got %d results", len(all), len(errs))
	var done []*outcome
	var cause error
	for _, o := range list {
		var missing []TopicPartition
		for i, p := range o.partitions {
			if err := m.verdict(all[i], errs[i]); err != nil {
				missing, cause = append(missing, p), err
			}
		}
		all, errs = all[len(o.partitions):], errs[len(o.partitions):]
		if o.partitions = missing; len(missing) > 0 {
			left = append(left, o)
		} else {
			done = append(done, o)
		}
	}
	if len(left) > 0 && ctx.Err() == nil {
		m.config.logger.Warn("transaction markers could not be written and are tried again",
			"partition", m.shard, "transactions", len(left), "error", cause)
	}
	if len(done) > 0 {
		select {
		case m.written <- done:
		case <-ctx.Done():
		}
	}
	return left
}

// verdict is the error to try again for. A partition that has seen a later
// epoch of the producer has no use for the marker, now or ever.
func (m *markers) verdict(marker Marker, err error) error {
	if errors.Is(err, protocol.ErrInvalidProducerEpoch) || errors.Is(err, protocol.ErrTransactionCoordinatorFenced) {
		m.config.logger.Error("a partition refused a transaction marker for good", "topic", marker.Topic, "partition", marker.Partition,
			"producer_id", marker.ID, "producer_epoch", marker.Epoch, "error", err)
		return nil
	}
	return err
}
