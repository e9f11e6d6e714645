package group

import (
	"fluxmq/broker/coordinator/memlog"
	"fluxmq/broker/record"
)

// memoryLog is a Log whose disk a test controls.
type memoryLog struct{ memlog.Log }

func (l *memoryLog) AppendMarker(end TransactionEnd) (int64, error) {
	kind := record.Abort
	if end.Commit {
		kind = record.Commit
	}
	batch, err := record.EndTransaction(kind, end.ProducerID, end.ProducerEpoch, end.CoordinatorEpoch, 0)
	if err != nil {
		return 0, err
	}
	return l.Append(batch)
}

var errDisk = memlog.ErrDisk
