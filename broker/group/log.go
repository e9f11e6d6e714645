package group

import (
	"fluxmq/broker/partition"
	"fluxmq/broker/record"
)

// Log is what a shard needs of its partition of __consumer_offsets.
type Log interface {
	// Append writes one batch and returns the offset after it. Of a batch or
	// marker of a transaction INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE,
	// TRANSACTION_COORDINATOR_FENCED and INVALID_REQUEST say that it was not taken;
	// any other error is final: the log is offline.
	Append(batch record.Batch) (end int64, err error)
	// AppendMarker writes the marker of a transaction, as Append does.
	AppendMarker(end TransactionEnd) (after int64, err error)
	// MustWait tells whether acknowledged means durable.
	MustWait() bool
	// WhenDurable calls done once when all below end is durable or the log
	// failed; done does not block.
	WhenDurable(end int64, done func(error))
	// Replay visits every record from the log's start with the batch it lies in,
	// control records too; what visit gets is not kept.
	Replay(visit func(record.Batch, record.Record) error) error
}

// PartitionLog is the Log of a real partition.
func PartitionLog(p *partition.Partition) Log { return partitionLog{p} }

type partitionLog struct{ *partition.Partition }

// acksAll: an offset is committed when it would survive what acks=all survives.
const acksAll = -1

func (l partitionLog) Append(batch record.Batch) (int64, error) {
	o := partition.AppendOptions{Acks: acksAll, CurrentLeaderEpoch: -1, Internal: true}
	if batch.IsTransactional() {
		// The transaction was verified, and its marker can only come through the
		// shard that appends now.
		guard, err := l.BeginVerification(batch.ProducerID(), batch.ProducerEpoch(), batch.BaseSequence(), false)
		if err != nil {
			return 0, err
		}
		o.Guard = guard
	}
	r, err := l.Partition.Append(batch, o)
	if err != nil {
		return 0, err
	}
	return r.LastOffset + 1, nil
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

func (l partitionLog) MustWait() bool { return l.Partition.MustWait(acksAll) }
