package commitlog

import (
	"fmt"

	"fluxmq/broker/record"
)

// Guard stands for one verification of a producer's transaction: it begins
// before the transaction coordinator is asked whether the partition belongs to the
// transaction, and ends with the first record that the transaction writes here
// or with a marker. An answer that comes after a marker therefore lets nothing
// in (KIP-890, Kafka's VerificationGuard). The zero Guard is none.
type Guard uint64

// verification is Kafka's VerificationStateEntry.
type verification struct {
	guard Guard
	// lowest is the smallest base sequence of epoch that was seen since. A
	// larger one is not let in: when the smaller one was answered with an error that the
	// client retries, it could never be written any more.
	lowest  int32
	epoch   int16
	bumps   bool  // transaction version 2: each transaction has an epoch of its own
	beganMs int64 // unix ms, for expiry
}

// beginVerification returns the guard of the verification of a producer's
// transaction, or none when the transaction is open here already.
func (s *producerState) beginVerification(id int64, epoch int16, sequence int32, bumps bool, nowMs int64) (Guard, error) {
	if p := s.entries[id]; p != nil {
		if epoch < p.epoch {
			return 0, fmt.Errorf("%w: producer %d has epoch %d, the log has seen %d", ErrInvalidProducerEpoch, id, epoch, p.epoch)
		}
		if p.inTransaction(epoch) {
			return 0, nil
		}
	}
	v := s.verifications[id]
	if v == nil {
		if s.verifications == nil {
			s.verifications = make(map[int64]*verification)
		}
		s.guards++
		v = &verification{guard: s.guards, lowest: sequence, epoch: epoch, beganMs: nowMs}
		s.verifications[id] = v
	}
	v.bumps = bumps
	switch {
	case epoch > v.epoch:
		v.epoch, v.lowest = epoch, sequence
	case epoch == v.epoch:
		v.lowest = min(v.lowest, sequence)
	}
	return v.guard, nil
}

// checkVerified lets a transactional data batch in when its transaction is open
// here, or verified by the guard that o has. p is nil for a producer that the
// log does not know. The log never holds records of a transaction that the coordinator
// does not know to be here: no marker would end it.
func (s *producerState) checkVerified(p *producerEntry, b record.Batch, o AppendOptions) error {
	if p != nil && p.inTransaction(b.ProducerEpoch()) {
		return nil
	}
	if p != nil && b.ProducerEpoch() < p.epoch {
		return staleEpoch(p, b)
	}
	v := s.verifications[b.ProducerID()]
	if v == nil || v.guard != o.Guard {
		return fmt.Errorf("%w: no transaction of producer %d is open here, nor verified", ErrInvalidTxnState, b.ProducerID())
	}
	if o.Trusted {
		return nil
	}
	first := b.BaseSequence()
	if v.bumps && first != 0 && (p == nil || p.count == 0) {
		return fmt.Errorf("%w: producer %d begins epoch %d with sequence %d, not 0", ErrOutOfOrderSequence, b.ProducerID(), b.ProducerEpoch(), first)
	}
	if first > v.lowest {
		return fmt.Errorf("%w: producer %d sends sequence %d, %d is still to come", ErrOutOfOrderSequence, b.ProducerID(), first, v.lowest)
	}
	return nil
}

// BeginVerification is the first step of a transactional batch: the caller
// asks the coordinator about the transaction only when it gets a guard, and
// passes that to Append. No guard means that the transaction is open here
// already. bumps says that the producer's epoch is bumped with every
// transaction (version 2). ErrInvalidProducerEpoch for an epoch older than the
// log has seen. Writer only.
func (l *Log) BeginVerification(id int64, epoch int16, sequence int32, bumps bool) (Guard, error) {
	if err := l.usable(); err != nil {
		return 0, err
	}
	return l.producers.beginVerification(id, epoch, sequence, bumps, l.now())
}

// AbandonVerification ends a verification that the coordinator refused for
// good; one that has ended already is no error. Writer only.
func (l *Log) AbandonVerification(id int64, g Guard) {
	if v := l.producers.verifications[id]; v != nil && v.guard == g {
		delete(l.producers.verifications, id)
	}
}
