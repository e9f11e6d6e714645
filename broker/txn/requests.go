package txn

import (
	"context"
	"slices"

	"fluxmq/broker/coordinator"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// checkID refuses transactional ids that are none, or cannot be stored.
func checkID(id string) error {
	if id == "" || len(id) > maxIDBytes {
		return protocol.ErrInvalidRequest
	}
	return nil
}

// InitProducerID is InitProducerId of a transactional producer: in names its
// transactional id. The reply is as in version 4 and up, where a producer that
// lost its transactional id to another gets PRODUCER_FENCED; the handler
// answers older versions.
func (c *Coordinator) InitProducerID(ctx context.Context, in *kmsg.InitProducerIDRequest) *Reply[*kmsg.InitProducerIDResponse] {
	refuse := func(err error) *kmsg.InitProducerIDResponse {
		r := kmsg.NewPtrInitProducerIDResponse()
		r.ProducerID, r.ProducerEpoch, r.ErrorCode = noProducerID, noEpoch, protocol.CodeOf(err)
		return r
	}
	id, input, err := c.initInput(in)
	if err != nil {
		return coordinator.Answered(refuse(err))
	}
	return ask(ctx, c, id, refuse, func(s *shard, r *Reply[*kmsg.InitProducerIDResponse]) {
		t, err := s.transactionOf(id)
		if err != nil {
			r.Give(s, refuse(err), false)
			return
		}
		var producer Producer
		wrote := s.do(t, func(st *step) { producer, err = t.initProducerID(st, input) })
		if t.Epoch != noEpoch {
			s.transactions[id] = t
		}
		response := refuse(err)
		response.ProducerID, response.ProducerEpoch = producer.ID, producer.Epoch
		r.Give(s, response, wrote)
	})
}

// initInput checks what needs no transaction to be known.
func (c *Coordinator) initInput(in *kmsg.InitProducerIDRequest) (id string, input initInput, err error) {
	if in.TransactionalID != nil {
		id = *in.TransactionalID
	}
	if err := checkID(id); err != nil {
		return "", input, err
	}
	if in.TransactionTimeoutMillis <= 0 || in.TransactionTimeoutMillis > c.settings.maxTimeoutMs {
		return "", input, protocol.ErrInvalidTransactionTimeout
	}
	input.timeoutMs = in.TransactionTimeoutMillis
	switch {
	case in.ProducerID == noProducerID && in.ProducerEpoch == noEpoch:
	case in.ProducerID == noProducerID || in.ProducerEpoch == noEpoch:
		return "", input, protocol.ErrInvalidRequest
	default:
		input.expected = &Producer{in.ProducerID, in.ProducerEpoch}
	}
	return id, input, nil
}

// transactionOf returns the transactional id's transaction, or one that is not
// kept yet.
func (s *shard) transactionOf(id string) (*transaction, error) {
	if t := s.transactions[id]; t != nil {
		return t, nil
	}
	producerID, err := s.config.nextProducerID()
	if err != nil {
		return nil, err
	}
	return newTransaction(id, producerID, s.config.now().UnixMilli()), nil
}

// AddPartitions is AddPartitionsToTxn and AddOffsetsToTxn. raisesEpoch tells
// that the sender knows transaction version 2 (AddPartitionsToTxn from version
// 4 on).
func (c *Coordinator) AddPartitions(ctx context.Context, id string, producer Producer, partitions []TopicPartition, raisesEpoch bool) *Reply[error] {
	if err := checkID(id); err != nil {
		return coordinator.Answered(err)
	}
	version := int16(versionNone)
	if raisesEpoch {
		version = versionEpochBump
	}
	return ask(ctx, c, id, itself, func(s *shard, r *Reply[error]) {
		err := error(protocol.ErrInvalidProducerIDMapping)
		if t := s.transactions[id]; t != nil {
			s.do(t, func(st *step) { err = t.addPartitions(st, producer, partitions, version) })
		}
		// Also what was added before must be durable when it is confirmed again.
		r.Give(s, err, err == nil)
	})
}

func itself(err error) error { return err }

// Verify is AddPartitionsToTxn with verifyOnly (KIP-890): whether the
// producer's transaction includes the partitions, nil or an error for each.
// What comes after a marker in the partition's log must be verified after that
// marker.
func (c *Coordinator) Verify(ctx context.Context, id string, producer Producer, partitions []TopicPartition) *Reply[[]error] {
	refuse := func(err error) []error { return slices.Repeat([]error{err}, len(partitions)) }
	if err := checkID(id); err != nil {
		return coordinator.Answered(refuse(err))
	}
	return ask(ctx, c, id, refuse, func(s *shard, r *Reply[[]error]) {
		err := error(protocol.ErrInvalidProducerIDMapping)
		var verdicts []error
		if t := s.transactions[id]; t != nil {
			verdicts, err = t.verify(producer, partitions)
		}
		if err != nil {
			verdicts = refuse(err)
		}
		r.Give(s, verdicts, err == nil)
	})
}

// End is EndTxn. in.Version tells what the producer knows of transaction
// version 2. The reply is as in version 2 and up, see InitProducerID; it comes
// when the outcome is durable, and does not wait for the markers.
func (c *Coordinator) End(ctx context.Context, in *kmsg.EndTxnRequest) *Reply[*kmsg.EndTxnResponse] {
	refuse := func(err error) *kmsg.EndTxnResponse {
		r := kmsg.NewPtrEndTxnResponse()
		r.ProducerID, r.ProducerEpoch, r.ErrorCode = noProducerID, noEpoch, protocol.CodeOf(err)
		return r
	}
	id := in.TransactionalID
	if err := checkID(id); err != nil {
		return coordinator.Answered(refuse(err))
	}
	version := int16(versionNone)
	if in.Version >= 5 {
		version = versionEpochBump
	}
	return ask(ctx, c, id, refuse, func(s *shard, r *Reply[*kmsg.EndTxnResponse]) {
		producer, err := noProducer, error(protocol.ErrInvalidProducerIDMapping)
		if t := s.transactions[id]; t != nil {
			s.do(t, func(st *step) {
				producer, err = t.end(st, Producer{in.ProducerID, in.ProducerEpoch}, in.Commit, version)
			})
		}
		response := refuse(err)
		response.ProducerID, response.ProducerEpoch = producer.ID, producer.Epoch
		r.Give(s, response, err == nil)
	})
}

// Describe is one transactional id of DescribeTransactions.
func (c *Coordinator) Describe(ctx context.Context, id string) *Reply[kmsg.DescribeTransactionsResponseTransactionState] {
	refuse := func(err error) kmsg.DescribeTransactionsResponseTransactionState {
		d := kmsg.NewDescribeTransactionsResponseTransactionState()
		d.TransactionalID, d.ErrorCode = id, protocol.CodeOf(err)
		return d
	}
	if err := checkID(id); err != nil {
		return coordinator.Answered(refuse(err))
	}
	return ask(ctx, c, id, refuse, func(s *shard, r *Reply[kmsg.DescribeTransactionsResponseTransactionState]) {
		if t := s.transactions[id]; t != nil {
			r.Give(s, t.describe(), false)
			return
		}
		r.Give(s, refuse(protocol.ErrTransactionalIDNotFound), false)
	})
}

// List is ListTransactions, in order of the ids. INVALID_REGULAR_EXPRESSION:
// the pattern is none. A shard that does not answer gives the response its
// error code and leaves its transactional ids out.
func (c *Coordinator) List(ctx context.Context, in *kmsg.ListTransactionsRequest) *kmsg.ListTransactionsResponse {
	out := kmsg.NewPtrListTransactionsResponse()
	f, err := newFilter(in, c.settings.now().UnixMilli())
	if err != nil {
		out.ErrorCode = protocol.CodeOf(err)
		return out
	}
	out.UnknownStateFilters = f.unknownStates
	out.ErrorCode = protocol.CodeOf(coordinator.Each(ctx, c.shards, func(s *shard) []kmsg.ListTransactionsResponseTransactionState {
		return s.list(f)
	}, func(list []kmsg.ListTransactionsResponseTransactionState) {
		out.TransactionStates = append(out.TransactionStates, list...)
	}))
	slices.SortFunc(out.TransactionStates, compareListed)
	return out
}
