package partition

import (
	"fmt"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// Guard stands for one verification of a producer's transaction; the zero
// Guard is none. See commitlog.
type Guard = commitlog.Guard

// BeginVerification is what comes before a transactional batch (KIP-890): with
// a guard the caller asks the transaction coordinator whether the partition
// belongs to the producer's transaction, or adds it, and passes the guard to
// Append when the answer is yes. Without one the transaction is open here
// already. sequence is the batch's first; bumps says that every transaction of
// the producer has an epoch of its own (transaction version 2). Errors are
// *protocol.Error (INVALID_PRODUCER_EPOCH, KAFKA_STORAGE_ERROR).
func (p *Partition) BeginVerification(producerID int64, epoch int16, sequence int32, bumps bool) (Guard, error) {
	if err := p.Offline(); err != nil {
		return 0, err
	}
	p.mu.Lock()
	g, err := p.log().BeginVerification(producerID, epoch, sequence, bumps)
	p.mu.Unlock()
	return g, p.translate(err)
}

// AbandonVerification forgets a verification that was refused for good.
func (p *Partition) AbandonVerification(producerID int64, g Guard) {
	if p.log() == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log().AbandonVerification(producerID, g)
}

// Marker ends a producer's transaction in a partition.
type Marker struct {
	ProducerID       int64
	ProducerEpoch    int16
	CoordinatorEpoch int32
	// TransactionVersion is 2 where the producer's epoch was bumped for the
	// marker; 0 and 1 are the same.
	TransactionVersion int16
	Commit             bool // else abort
}

// AppendMarker writes m as a control batch, also where no transaction is open.
// The caller waits for durability as for any acks=all (MustWait, WhenDurable).
// Errors are *protocol.Error: INVALID_PRODUCER_EPOCH for a marker that comes
// too late, TRANSACTION_COORDINATOR_FENCED for one of a former coordinator.
// The same marker again is no error, so that its writer may retry.
func (p *Partition) AppendMarker(m Marker) (AppendResult, error) {
	if m.ProducerID < 0 || m.ProducerEpoch < 0 {
		return AppendResult{}, fmt.Errorf("%w: a marker for producer %d with epoch %d", protocol.ErrInvalidRequest, m.ProducerID, m.ProducerEpoch)
	}
	kind := record.Abort
	if m.Commit {
		kind = record.Commit
	}
	b, err := record.EndTransaction(kind, m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch, p.set.nowMs())
	if err != nil {
		return AppendResult{}, fmt.Errorf("%w: %w", protocol.ErrInvalidRecord, err)
	}
	return p.Append(b, AppendOptions{Acks: acksAll, CurrentLeaderEpoch: -1, Internal: true, TransactionVersion: m.TransactionVersion})
}

// acksAll is what markers are written with.
const acksAll = -1

// Producer is what a partition knows of a producer id.
type Producer = commitlog.Producer

// Producers lists the producers that the partition remembers, by id.
func (p *Partition) Producers() ([]Producer, error) {
	if err := p.Offline(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log().DescribeProducers(), nil
}
