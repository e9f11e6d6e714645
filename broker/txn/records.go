package txn

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The layout of __transaction_state is Kafka's, so that its tools read ours:
//
//	key   int16 version 0; transactional id
//	value int16 version, then the fields of TransactionLogValue; null is a tombstone
//
// Written is value version 1 (KIP-890), whose tagged fields hold the previous
// and the next producer id and the client's transaction version; version 0 is
// what brokers before 3.5 wrote.
const (
	keyVersion         = 0
	valueVersion       = 1
	newestValueVersion = 1
)

// errUnknownRecord says that a record is of a kind or version that this
// coordinator does not know; replay skips it.
var errUnknownRecord = errors.New("unknown kind of transaction record")

func recordKey(transactionalID string) []byte {
	k := kmsg.TxnMetadataKey{Version: keyVersion, TransactionalID: transactionalID}
	return k.AppendTo(nil)
}

// transactionRecord stores a transactional id as it is.
func transactionRecord(t *transaction, nowMs int64) record.Record {
	v := kmsg.NewTxnMetadataValue()
	v.Version, v.ProducerID, v.ProducerEpoch, v.TimeoutMillis = valueVersion, t.ID, t.Epoch, t.timeoutMs
	v.State, v.LastUpdateTimestamp, v.StartTimestamp = kmsg.TransactionState(t.state), t.updatedMs, t.startMs
	v.PreviousProducerID, v.NextProducerID, v.ClientTransactionVersion = t.previousID, t.nextID, t.version
	if t.state != empty {
		v.Topics = []kmsg.TxnMetadataValueTopic{}
	}
	for _, p := range t.sorted() {
		if n := len(v.Topics); n == 0 || v.Topics[n-1].Topic != p.Topic {
			topic := kmsg.NewTxnMetadataValueTopic()
			topic.Topic = p.Topic
			v.Topics = append(v.Topics, topic)
		}
		last := &v.Topics[len(v.Topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
	return record.Record{Timestamp: nowMs, Key: recordKey(t.transactionalID), Value: v.AppendTo(nil)}
}

func tombstone(transactionalID string, nowMs int64) record.Record {
	return record.Record{Timestamp: nowMs, Key: recordKey(transactionalID)}
}

// decodeRecord reads one record; the transaction is nil in a tombstone. It
// returns errUnknownRecord for versions it does not know and another error for
// bytes that do not decode; it never panics.
func decodeRecord(key, value []byte) (transactionalID string, t *transaction, err error) {
	if len(key) < 2 {
		return "", nil, fmt.Errorf("transaction record key of %d bytes", len(key))
	}
	if version := int16(binary.BigEndian.Uint16(key)); version != keyVersion {
		return "", nil, fmt.Errorf("%w: key version %d", errUnknownRecord, version)
	}
	var k kmsg.TxnMetadataKey
	if err := k.ReadFrom(key); err != nil {
		return "", nil, fmt.Errorf("key of a transaction: %w", err)
	}
	if value == nil {
		return k.TransactionalID, nil, nil
	}
	t, err = decodeValue(k.TransactionalID, value)
	if err != nil {
		return "", nil, fmt.Errorf("transactional id %q: %w", k.TransactionalID, err)
	}
	return k.TransactionalID, t, nil
}

func decodeValue(transactionalID string, value []byte) (*transaction, error) {
	if len(value) < 2 {
		return nil, fmt.Errorf("value of %d bytes", len(value))
	}
	if v := int16(binary.BigEndian.Uint16(value)); v < 0 || v > newestValueVersion {
		return nil, fmt.Errorf("%w: value version %d", errUnknownRecord, v)
	}
	v := kmsg.NewTxnMetadataValue()
	if err := v.ReadFrom(value); err != nil {
		return nil, err
	}
	if state(v.State) < empty || state(v.State) > completeAbort {
		return nil, fmt.Errorf("%w: state %d is never stored", errUnknownRecord, v.State)
	}
	if v.ProducerID < 0 || v.ProducerEpoch < 0 {
		return nil, fmt.Errorf("producer id %d and epoch %d", v.ProducerID, v.ProducerEpoch)
	}
	t := &transaction{
		transactionalID: transactionalID,
		Producer:        Producer{v.ProducerID, v.ProducerEpoch},
		previousID:      v.PreviousProducerID, nextID: v.NextProducerID, lastEpoch: noEpoch,
		timeoutMs: v.TimeoutMillis, state: state(v.State), startMs: v.StartTimestamp, updatedMs: v.LastUpdateTimestamp,
		version: v.ClientTransactionVersion, partitions: map[TopicPartition]struct{}{},
	}
	if t.state == empty {
		return t, nil
	}
	for _, topic := range v.Topics {
		for _, p := range topic.Partitions {
			t.partitions[TopicPartition{topic.Topic, p}] = struct{}{}
		}
	}
	return t, nil
}

// sorted lists the partitions of the transaction, by topic and index.
func (t *transaction) sorted() []TopicPartition {
	list := make([]TopicPartition, 0, len(t.partitions))
	for p := range t.partitions {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return list
}
