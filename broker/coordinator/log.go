package coordinator

import (
	"fluxmq/broker/partition"
	"fluxmq/broker/record"
)

// Log is what a Journal needs of a partition of the coordinator's topic.
type Log interface {
	// Append writes one batch and returns the offset after it. An error is
	// final: the log is offline.
	Append(batch record.Batch) (end int64, err error)
	// MustWait tells whether acknowledged means durable.
	MustWait() bool
	// WhenDurable calls done once when all below end is durable or the log
	// failed; done does not block.
	WhenDurable(end int64, done func(error))
	// Replay visits every record from the log's start with the batch it lies in,
	// control records too; what visit gets is not kept.
	Replay(visit func(record.Batch, record.Record) error) error
}

// PartitionLog is the Log of a real partition. What is decided is what would
// survive what acks=all survives.
type PartitionLog struct{ *partition.Partition }

const acksAll = -1

// Append implements Log.
func (l PartitionLog) Append(batch record.Batch) (end int64, err error) {
	return l.AppendGuarded(batch, 0)
}

// AppendGuarded appends a batch of a transaction that was verified; guard 0: of none.
func (l PartitionLog) AppendGuarded(batch record.Batch, guard partition.Guard) (end int64, err error) {
	r, err := l.Partition.Append(batch, partition.AppendOptions{Acks: acksAll, CurrentLeaderEpoch: -1, Internal: true, Guard: guard})
	if err != nil {
		return 0, err
	}
	return r.LastOffset + 1, nil
}

// MustWait implements Log.
func (l PartitionLog) MustWait() bool { return l.Partition.MustWait(acksAll) }
