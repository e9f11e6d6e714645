package handler

import (
	"context"

	"fluxmq/broker/protocol"
	"fluxmq/broker/txn"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleAddPartitionsToTxn adds partitions to one transaction (to version 3,
// from clients) or to several, or only verifies that they were added (from
// version 4 on, from brokers: KIP-890). One partition that cannot be added
// keeps all of its transaction out.
func handleAddPartitionsToTxn(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.AddPartitionsToTxnRequest)
	transactions := q.Transactions
	if r.Version < 4 {
		transactions = []kmsg.AddPartitionsToTxnRequestTransaction{oneTransaction(q)}
	}
	waits := make([]func(context.Context) []int16, len(transactions))
	for i, t := range transactions {
		waits[i] = h.addPartitions(ctx, r.Version, t)
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrAddPartitionsToTxnResponse()
		for i, t := range transactions {
			response.Transactions = append(response.Transactions, addedTransaction(t, waits[i](ctx)))
		}
		if r.Version < 4 {
			flattenTransaction(response)
		}
		return response
	}}
}

// oneTransaction gives a request to version 3 the form of later ones.
func oneTransaction(q *kmsg.AddPartitionsToTxnRequest) kmsg.AddPartitionsToTxnRequestTransaction {
	t := kmsg.NewAddPartitionsToTxnRequestTransaction()
	t.TransactionalID, t.ProducerID, t.ProducerEpoch = q.TransactionalID, q.ProducerID, q.ProducerEpoch
	for _, topic := range q.Topics {
		one := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
		one.Topic, one.Partitions = topic.Topic, topic.Partitions
		t.Topics = append(t.Topics, one)
	}
	return t
}

// addPartitions asks for one transaction; what it returns gives a code for
// each of its partitions, in order.
func (h *Handler) addPartitions(ctx context.Context, version int16, t kmsg.AddPartitionsToTxnRequestTransaction) func(context.Context) []int16 {
	var partitions []txn.TopicPartition
	var codes []int16
	refused := false
	for _, topic := range t.Topics {
		for _, p := range topic.Partitions {
			code := protocol.ErrOperationNotAttempted.Code
			switch {
			case version < 4 && isInternal([]byte(topic.Topic)):
				code = protocol.ErrTopicAuthorizationFailed.Code
			case h.Partitions.Find([]byte(topic.Topic), p) == nil:
				code = protocol.ErrUnknownTopicOrPartition.Code
			}
			refused = refused || code != protocol.ErrOperationNotAttempted.Code
			codes = append(codes, code)
			partitions = append(partitions, txn.TopicPartition{Topic: topic.Topic, Partition: p})
		}
	}
	producer := txn.Producer{ID: t.ProducerID, Epoch: t.ProducerEpoch}
	switch {
	case refused:
		return func(context.Context) []int16 { return codes }
	case t.VerifyOnly:
		reply := h.Transactions.Verify(ctx, t.TransactionalID, producer, partitions)
		return func(ctx context.Context) []int16 {
			for i, err := range reply.Wait(ctx) {
				codes[i] = protocol.CodeOf(err)
			}
			return codes
		}
	}
	reply := h.Transactions.AddPartitions(ctx, t.TransactionalID, producer, partitions, version >= 4)
	return func(ctx context.Context) []int16 {
		code := fencedCode(protocol.CodeOf(reply.Wait(ctx)), version, 2)
		for i := range codes {
			codes[i] = code
		}
		return codes
	}
}

func addedTransaction(t kmsg.AddPartitionsToTxnRequestTransaction, codes []int16) kmsg.AddPartitionsToTxnResponseTransaction {
	out := kmsg.NewAddPartitionsToTxnResponseTransaction()
	out.TransactionalID = t.TransactionalID
	for _, topic := range t.Topics {
		rt := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
		rt.Topic = topic.Topic
		for _, p := range topic.Partitions {
			rp := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
			rp.Partition, rp.ErrorCode = p, codes[0]
			codes = codes[1:]
			rt.Partitions = append(rt.Partitions, rp)
		}
		out.Topics = append(out.Topics, rt)
	}
	return out
}

// flattenTransaction gives the one transaction of a response the form of versions to 3.
func flattenTransaction(response *kmsg.AddPartitionsToTxnResponse) {
	for _, topic := range response.Transactions[0].Topics {
		rt := kmsg.NewAddPartitionsToTxnResponseTopic()
		rt.Topic = topic.Topic
		for _, p := range topic.Partitions {
			rp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, p.ErrorCode
			rt.Partitions = append(rt.Partitions, rp)
		}
		response.Topics = append(response.Topics, rt)
	}
}
