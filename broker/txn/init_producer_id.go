package txn

import "fluxmq/broker/protocol"

// initInput is one InitProducerId of a transactional producer.
type initInput struct {
	timeoutMs int32
	// expected is what the producer believes to hold (KIP-360), nil for one
	// that starts.
	expected *Producer
}

// initProducerID makes the sender the only owner of the transactional id: it
// gets an epoch that nobody had. An ongoing transaction is aborted first, and
// the sender told CONCURRENT_TRANSACTIONS, as while markers are written: it
// asks again until they are.
func (t *transaction) initProducerID(s *step, in initInput) (Producer, error) {
	switch {
	case t.preparing():
		return noProducer, protocol.ErrConcurrentTransactions
	case in.expected != nil && !t.knows(*in.expected):
		return noProducer, protocol.ErrProducerFenced
	case t.state == ongoing:
		if err := t.fence(s); err != nil {
			return noProducer, err
		}
		return noProducer, protocol.ErrConcurrentTransactions
	case exhausted(t.Epoch) && (in.expected == nil || in.expected.Epoch == t.Epoch):
		return t.rotate(s, in)
	}
	return t.raise(s, in)
}

// knows tells whether the sender's producer id may be the present one, or the
// one before whose epochs were used up: then the answer to its last request
// was lost. The epoch is looked at later. A transactional id that was only just
// made for this request knows everybody.
func (t *transaction) knows(p Producer) bool {
	return t.Epoch == noEpoch || p.ID == t.ID || p.ID == t.previousID && exhausted(p.Epoch)
}

// raise gives the next epoch of the same producer id, or again the present one
// to a producer that did not get its last answer.
func (t *transaction) raise(s *step, in initInput) (Producer, error) {
	next, last := Producer{t.ID, t.Epoch + 1}, int16(noEpoch)
	switch {
	case in.expected == nil:
	case t.Epoch == noEpoch || in.expected.Epoch == t.Epoch:
		last = t.Epoch
	case in.expected.Epoch == t.lastEpoch:
		next, last = t.Producer, t.lastEpoch
	default:
		return noProducer, protocol.ErrProducerFenced
	}
	t.begin(s, in, next, last)
	return t.Producer, nil
}

// rotate gives a fresh producer id, because the epochs of this one are used up.
func (t *transaction) rotate(s *step, in initInput) (Producer, error) {
	id, err := s.nextProducerID()
	if err != nil {
		return noProducer, err
	}
	last := int16(noEpoch)
	if in.expected != nil {
		last = t.Epoch
	}
	t.begin(s, in, Producer{id, 0}, last)
	return t.Producer, nil
}

func (t *transaction) begin(s *step, in initInput, producer Producer, lastEpoch int16) {
	t.lastEpoch, t.timeoutMs, t.startMs = lastEpoch, in.timeoutMs, noStart
	clear(t.partitions)
	t.become(s, empty, producer)
}

// fence aborts the ongoing transaction without its producer, and raises the
// epoch once, so that whatever the producer still sends is refused
// (KAFKA-19367). Under transaction version 2 a producer that was only slow may
// go on: its EndTxn or InitProducerId counts as the retry of this abort.
func (t *transaction) fence(s *step) error { return t.prepare(s, false, serverVersion) }
