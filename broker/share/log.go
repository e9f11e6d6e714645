package share

import (
	"fluxmq/broker/coordinator"
	"fluxmq/broker/partition"
)

// Log is what a shard needs of its partition of __share_group_state.
type Log interface {
	coordinator.Log
	// Prune deletes what lies below an offset, when that is durable.
	Prune(before int64) error
}

// PartitionLog is the Log of a real partition.
func PartitionLog(p *partition.Partition) Log {
	return partitionLog{coordinator.PartitionLog{Partition: p}}
}

type partitionLog struct{ coordinator.PartitionLog }

func (l partitionLog) Prune(before int64) error {
	// Above the high watermark nothing is durable yet.
	_, err := l.Partition.DeleteRecords(min(before, l.Offsets().HighWatermark))
	return err
}
