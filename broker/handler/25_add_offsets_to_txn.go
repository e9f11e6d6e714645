package handler

import (
	"context"

	"fluxmq/broker/group"
	"fluxmq/broker/protocol"
	"fluxmq/broker/txn"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleAddOffsetsToTxn adds the partition of __consumer_offsets in which a
// group lives to a transaction. It comes before the client looks for the
// group's coordinator, so the topic may have to be made. Producers that know
// transaction version 2 do not send it.
func handleAddOffsetsToTxn(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.AddOffsetsToTxnRequest)
	response := kmsg.NewPtrAddOffsetsToTxnResponse()
	partition, err := h.offsetsPartition(q.Group)
	if err != nil {
		response.ErrorCode = protocol.CodeOf(err)
		return Answer{Response: response}
	}
	producer := txn.Producer{ID: q.ProducerID, Epoch: q.ProducerEpoch}
	reply := h.Transactions.AddPartitions(ctx, q.TransactionalID, producer, []txn.TopicPartition{partition}, false)
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response.ErrorCode = fencedCode(protocol.CodeOf(reply.Wait(ctx)), r.Version, 2)
		return response
	}}
}

// offsetsPartition is where a group's offsets are, or will be.
func (h *Handler) offsetsPartition(groupID string) (txn.TopicPartition, error) {
	if !h.Groups.Enabled() {
		return txn.TopicPartition{}, protocol.ErrCoordinatorNotAvailable
	}
	if err := h.ensureOffsetsTopic(); err != nil {
		return txn.TopicPartition{}, err
	}
	count := h.Metadata.Image().Topics[group.OffsetsTopic].Partitions
	return txn.TopicPartition{Topic: group.OffsetsTopic, Partition: group.PartitionOf(groupID, count)}, nil
}
