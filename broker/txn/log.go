package txn

import (
	"fluxmq/broker/coordinator"
	"fluxmq/broker/partition"
)

// Log is what a shard needs of its partition of __transaction_state.
type Log interface {
	coordinator.Log
	// LeaderEpoch is the coordinator epoch that markers carry.
	LeaderEpoch() int32
}

// PartitionLog is the Log of a real partition.
func PartitionLog(p *partition.Partition) Log { return coordinator.PartitionLog{Partition: p} }
