package share

import (
	"fluxmq/broker/partition"
	"fluxmq/broker/record"
)

// Log is what a shard needs of its partition of __share_group_state.
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
	// Prune deletes what lies below an offset, when that is durable.
	Prune(before int64) error
}

// PartitionLog is the Log of a real partition.
func PartitionLog(p *partition.Partition) Log { return partitionLog{p} }

type partitionLog struct{ *partition.Partition }

// acksAll: a state is stored when it would survive what acks=all survives.
const acksAll = -1

func (l partitionLog) Append(batch record.Batch) (int64, error) {
	r, err := l.Partition.Append(batch, partition.AppendOptions{Acks: acksAll, CurrentLeaderEpoch: -1, Internal: true})
	if err != nil {
		return 0, err
	}
	return r.LastOffset + 1, nil
}

func (l partitionLog) MustWait() bool { return l.Partition.MustWait(acksAll) }

func (l partitionLog) Prune(before int64) error {
	// Above the high watermark nothing is durable yet.
	_, err := l.Partition.DeleteRecords(min(before, l.Offsets().HighWatermark))
	return err
}
