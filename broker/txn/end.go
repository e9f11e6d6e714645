package txn

import "fluxmq/broker/protocol"

// end is EndTxn: it decides the transaction's outcome, and returns what the
// producer goes on with. A retry gets the answer of the first request.
func (t *transaction) end(s *step, producer Producer, commit bool, version int16) (Producer, error) {
	if version < versionEpochBump {
		return noProducer, t.endKeepingEpoch(s, producer, commit)
	}
	return t.endRaisingEpoch(s, producer, commit)
}

// endKeepingEpoch is EndTxn up to version 4. A late request of the transaction
// before cannot be told from one of this transaction: clients that do not know
// transaction version 2 stay exposed to that (KAFKA-17754).
func (t *transaction) endKeepingEpoch(s *step, producer Producer, commit bool) error {
	switch {
	case producer.ID != t.ID:
		return protocol.ErrInvalidProducerIDMapping
	case producer.Epoch != t.Epoch:
		return protocol.ErrProducerFenced
	case t.preparing():
		return protocol.ErrConcurrentTransactions
	case t.state == ongoing:
		return t.prepare(s, commit, versionNone)
	case t.ended(commit):
		return nil
	}
	return protocol.ErrInvalidTxnState
}

// ended tells that the last transaction ended this way.
func (t *transaction) ended(commit bool) bool {
	return commit && t.state == completeCommit || !commit && t.state == completeAbort
}

// endRaisingEpoch is EndTxn from version 5 on. The request names the epoch of
// its transaction, and every transaction has its own, so a retry is known by
// the epoch before the present one:
//
//	              | abort, retry | abort, present | commit, retry | commit, present
//	Empty         | fenced       | aborts nothing | fenced        | invalid state
//	CompleteAbort | the answer   | aborts nothing | invalid state | invalid state
//	CompleteCommit| invalid state| aborts nothing | the answer    | invalid state
func (t *transaction) endRaisingEpoch(s *step, producer Producer, commit bool) (Producer, error) {
	// The retry of a transaction whose end used up the epochs of its producer id.
	rotated := t.previousID == producer.ID && producer.Epoch == maxEpoch-1 && t.Epoch == 0
	retry := rotated || producer.ID == t.ID && producer.Epoch != maxEpoch && t.Epoch == producer.Epoch+1
	// Where the last transaction did not raise the epoch, InitProducerId did:
	// what looks like a retry comes from a producer that was replaced. (Kafka
	// 4.3 takes it for a retry, and so tells two producers the same epoch.)
	retry = retry && t.version >= versionEpochBump
	complete := t.state == completeCommit || t.state == completeAbort
	switch {
	case t.preparing():
		// First, see addPartitions; the epochs are looked at when the markers are written.
		return noProducer, protocol.ErrConcurrentTransactions
	case producer.ID != t.ID && !rotated:
		return noProducer, protocol.ErrInvalidProducerIDMapping
	case producer.Epoch != t.Epoch && !(complete && retry):
		return noProducer, protocol.ErrProducerFenced
	case complete && retry:
		if !t.ended(commit) {
			return noProducer, protocol.ErrInvalidTxnState
		}
		return t.Producer, nil
	case t.state != ongoing && commit:
		return noProducer, protocol.ErrInvalidTxnState
	}
	if err := t.prepare(s, commit, versionEpochBump); err != nil {
		return noProducer, err
	}
	return t.successor(), nil
}

// successor is what the producer goes on with after the transaction.
func (t *transaction) successor() Producer {
	if t.nextID != noProducerID {
		return Producer{t.nextID, 0}
	}
	return t.Producer
}

// prepare decides the outcome: from its record on the markers are written,
// whatever happens. Where no partition was added there is no marker to wait for.
func (t *transaction) prepare(s *step, commit bool, version int16) error {
	ended := t.Producer
	if version >= versionEpochBump {
		if exhausted(t.Epoch) {
			// Also when the coordinator fences (KAFKA-20090), or the id could
			// never be used again.
			id, err := s.nextProducerID()
			if err != nil {
				return err
			}
			t.nextID = id
		}
		t.lastEpoch = t.Epoch
		ended.Epoch = min(t.Epoch, maxEpoch-1) + 1
	}
	if t.state != ongoing {
		t.startMs = s.nowMs
		clear(t.partitions)
	}
	t.version = version
	next := prepareAbort
	if commit {
		next = prepareCommit
	}
	t.become(s, next, ended)
	if len(t.partitions) == 0 {
		t.complete(s)
		return nil
	}
	s.decided = true
	return nil
}

// complete notes that all markers are written. The producer id changes only
// now: until then the markers, which name the old one, may be written again.
func (t *transaction) complete(s *step) {
	next := completeAbort
	if t.state == prepareCommit {
		next = completeCommit
	}
	producer := t.successor()
	t.nextID = noProducerID
	clear(t.partitions)
	t.become(s, next, producer)
}
