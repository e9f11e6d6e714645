package group

import (
	"fluxmq/broker/coordinator"
	"fluxmq/broker/partition"
	"fluxmq/broker/record"
)

// Log is what a shard needs of its partition of __consumer_offsets.
// Of a batch or marker of a transaction INVALID_PRODUCER_EPOCH,
// INVALID_TXN_STATE, TRANSACTION_COORDINATOR_FENCED and INVALID_REQUEST say that
// it was not taken; any other error of an append is final.
type Log interface {
	coordinator.Log
	// AppendMarker writes the marker of a transaction, as Append does.
	AppendMarker(end TransactionEnd) (after int64, err error)
}

// PartitionLog is the Log of a real partition.
func PartitionLog(p *partition.Partition) Log {
	return partitionLog{coordinator.PartitionLog{Partition: p}}
}

type partitionLog struct{ coordinator.PartitionLog }

func (l partitionLog) Append(batch record.Batch) (int64, error) {
	if !batch.IsTransactional() {
		return l.PartitionLog.Append(batch)
	}
	// The transaction was verified, and its marker can only come through the
	// shard that appends now.
	guard, err := l.BeginVerification(batch.ProducerID(), batch.ProducerEpoch(), batch.BaseSequence(), false)
	if err != nil {
		return 0, err
	}
	return l.AppendGuarded(batch, guard)
}

func (l partitionLog) AppendMarker(end TransactionEnd) (int64, error) {
	r, err := l.Partition.AppendMarker(partition.Marker{
		ProducerID: end.ProducerID, ProducerEpoch: end.ProducerEpoch, CoordinatorEpoch: end.CoordinatorEpoch,
		TransactionVersion: end.Version, Commit: end.Commit,
	})
	if err != nil {
		return 0, err
	}
	return r.LastOffset + 1, nil
}
