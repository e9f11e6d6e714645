package txn

import (
	"math"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// state is where a transactional id stands. The numbers are Kafka's, stored in
// the log; the names are Kafka's, told in ListTransactions.
type state int8

const (
	// empty: a producer has its id, and no transaction yet.
	empty state = iota
	// ongoing: partitions were added.
	ongoing
	// prepareCommit and prepareAbort: the outcome is decided; markers are being written.
	prepareCommit
	prepareAbort
	// completeCommit and completeAbort: all markers are written.
	completeCommit
	completeAbort
	// dead and prepareEpochFence are states of Kafka's coordinator while it
	// waits for its log. They are never stored, and not needed here; filters name them.
	dead
	prepareEpochFence
)

var stateNames = [...]string{
	empty: "Empty", ongoing: "Ongoing", prepareCommit: "PrepareCommit", prepareAbort: "PrepareAbort",
	completeCommit: "CompleteCommit", completeAbort: "CompleteAbort", dead: "Dead", prepareEpochFence: "PrepareEpochFence",
}

func (s state) String() string { return stateNames[s] }

const (
	noProducerID = -1
	noEpoch      = -1
	maxEpoch     = math.MaxInt16
	noStart      = -1
)

// Transaction versions (KIP-890): the feature transaction.version.
const (
	// versionNone: the producer keeps its epoch from one transaction to the next.
	versionNone = 0
	// versionEpochBump: every transaction ends in an epoch of its own.
	versionEpochBump = 2
	// serverVersion is what the coordinator itself ends transactions with.
	serverVersion = versionEpochBump
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Producer is a producer id with its epoch.
type Producer struct {
	ID    int64
	Epoch int16
}

var noProducer = Producer{noProducerID, noEpoch}

// step carries one input's time in and its effects out: records to append, and
// whether the transaction's outcome was decided, so that its markers are to be
// written when the records are durable.
type step struct {
	nowMs   int64 // Unix milliseconds
	records []record.Record
	decided bool
	// nextProducerID hands out a producer id that nobody had; it is asked at
	// most once a step.
	nextProducerID func() (int64, error)
}

// transaction is one transactional id with its present or last transaction: a
// pure state machine without clock, goroutine or I/O. Every input gets a *step.
// It is owned by one shard and not safe for concurrent use. Kafka's
// TransactionMetadata; what is "pending" there does not exist here, because an
// input is carried out whole before the next one is looked at.
type transaction struct {
	transactionalID string
	// Producer is whom it belongs to now; Epoch is noEpoch before the first
	// InitProducerId was carried out.
	Producer
	// previousID is the producer id before the last change, nextID the one that
	// follows when this transaction ends because the epochs of ID are used up.
	previousID, nextID int64
	// lastEpoch is the epoch before the present one, where its holder may still
	// retry; noEpoch where another producer took over. It is not stored.
	lastEpoch          int16
	timeoutMs          int32
	state              state
	partitions         map[TopicPartition]struct{}
	startMs, updatedMs int64 // Unix milliseconds; startMs is noStart before the first transaction
	version            int16 // transaction version of the last change
}

func newTransaction(transactionalID string, producerID int64, nowMs int64) *transaction {
	return &transaction{
		transactionalID: transactionalID, Producer: Producer{producerID, noEpoch}, previousID: noProducerID, nextID: noProducerID,
		lastEpoch: noEpoch, startMs: noStart, updatedMs: nowMs, partitions: map[TopicPartition]struct{}{},
	}
}

// exhausted tells that no producer may be given the epoch after this one: the
// very last is kept for fencing.
func exhausted(epoch int16) bool { return epoch >= maxEpoch-1 }

// preparing tells that the outcome is decided and markers are missing.
func (t *transaction) preparing() bool { return t.state == prepareCommit || t.state == prepareAbort }

// become is one transition: it notes the producer id before it and stores the result.
func (t *transaction) become(s *step, next state, producer Producer) {
	t.previousID = t.ID
	t.Producer, t.state, t.updatedMs = producer, next, s.nowMs
	s.records = append(s.records, transactionRecord(t, s.nowMs))
}

// addPartitions is AddPartitionsToTxn, by which a transaction begins. version
// is the client's transaction version.
func (t *transaction) addPartitions(s *step, producer Producer, partitions []TopicPartition, version int16) error {
	switch {
	case t.preparing():
		// First: the producer may know an id already that is only its own when
		// the markers are written (KAFKA-18660).
		return protocol.ErrConcurrentTransactions
	case producer.ID != t.ID:
		return protocol.ErrInvalidProducerIDMapping
	case producer.Epoch != t.Epoch:
		return protocol.ErrProducerFenced
	case t.state == ongoing && t.includes(partitions):
		return nil
	}
	if t.state != ongoing {
		t.startMs = s.nowMs
	}
	for _, p := range partitions {
		t.partitions[p] = struct{}{}
	}
	t.version = version
	t.become(s, ongoing, t.Producer)
	return nil
}

func (t *transaction) includes(partitions []TopicPartition) bool {
	for _, p := range partitions {
		if _, is := t.partitions[p]; !is {
			return false
		}
	}
	return true
}

// verify is AddPartitionsToTxn with verifyOnly (KIP-890): one verdict for each
// partition, or an error for all. TRANSACTION_ABORTABLE: it was not added.
func (t *transaction) verify(producer Producer, partitions []TopicPartition) ([]error, error) {
	switch {
	case producer.ID != t.ID:
		return nil, protocol.ErrInvalidProducerIDMapping
	case producer.Epoch != t.Epoch:
		return nil, protocol.ErrProducerFenced
	case t.preparing():
		return nil, protocol.ErrConcurrentTransactions
	}
	verdicts := make([]error, len(partitions))
	for i, p := range partitions {
		if _, is := t.partitions[p]; !is {
			verdicts[i] = protocol.ErrTransactionAbortable
		}
	}
	return verdicts, nil
}

// timedOut tells that the producer had its time for this transaction.
func (t *transaction) timedOut(nowMs int64) bool {
	return t.state == ongoing && t.startMs+int64(t.timeoutMs) < nowMs
}

// expired tells that the transactional id was not used for so long that it may
// be forgotten (transactional.id.expiration.ms).
func (t *transaction) expired(nowMs, afterMs int64) bool {
	switch t.state {
	case empty, completeCommit, completeAbort:
		return t.updatedMs <= nowMs-afterMs
	}
	return false
}
