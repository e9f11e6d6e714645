package handler

import (
	"context"
	"errors"

	"fluxmq/broker/group"
	"fluxmq/broker/protocol"
	"fluxmq/broker/txn"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleTxnOffsetCommit commits offsets of partitions that exist here as a part
// of a transaction. Up to version 4 the group's partition was added to the
// transaction before (AddOffsetsToTxn), and that is verified; from version 5 on
// the commit adds it (KIP-890).
func handleTxnOffsetCommit(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.TxnOffsetCommitRequest)
	response := kmsg.NewPtrTxnOffsetCommitResponse()
	commit := group.TransactionalCommit{
		Commit: group.Commit{
			Group: q.Group, MemberID: q.MemberID, InstanceID: q.InstanceID, Generation: q.Generation,
			RetentionMs: -1, Version: r.Version,
		},
		ProducerID: q.ProducerID, ProducerEpoch: q.ProducerEpoch,
	}
	var known [][2]int // where in response the code of each of commit.Offsets goes
	for i, t := range q.Topics {
		rt := kmsg.NewTxnOffsetCommitResponseTopic()
		rt.Topic = t.Topic
		for j, p := range t.Partitions {
			rp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			rp.Partition = p.Partition
			if h.Partitions.Find([]byte(t.Topic), p.Partition) == nil {
				rp.ErrorCode = protocol.ErrUnknownTopicOrPartition.Code
			} else {
				known = append(known, [2]int{i, j})
				commit.Offsets = append(commit.Offsets, transactionalOffset(t.Topic, p))
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		response.Topics = append(response.Topics, rt)
	}
	if len(commit.Offsets) == 0 {
		return Answer{Response: response}
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		codes := h.Groups.CommitTransactional(ctx, commit, func(ctx context.Context, index int32) error {
			return h.inTransaction(ctx, r.Version, q, index)
		})
		for i, code := range codes {
			at := known[i]
			response.Topics[at[0]].Partitions[at[1]].ErrorCode = commitCode(code, r.Version)
		}
		return response
	}}
}

func transactionalOffset(topic string, p kmsg.TxnOffsetCommitRequestTopicPartition) group.CommitOffset {
	o := group.CommitOffset{Topic: topic, Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch}
	if p.Metadata != nil {
		o.Metadata = *p.Metadata
	}
	return o
}

// inTransaction asks the transaction coordinator whether the sender's
// transaction includes a partition of __consumer_offsets, or adds it.
func (h *Handler) inTransaction(ctx context.Context, version int16, q *kmsg.TxnOffsetCommitRequest, index int32) error {
	producer := txn.Producer{ID: q.ProducerID, Epoch: q.ProducerEpoch}
	partitions := []txn.TopicPartition{{Topic: group.OffsetsTopic, Partition: index}}
	var err error
	if version >= 5 {
		err = h.Transactions.AddPartitions(ctx, q.TransactionalID, producer, partitions, true).Wait(ctx)
	} else {
		err = h.Transactions.Verify(ctx, q.TransactionalID, producer, partitions).Wait(ctx)[0]
	}
	switch {
	case errors.Is(err, protocol.ErrProducerFenced):
		return protocol.ErrInvalidProducerEpoch // what the log would say
	case errors.Is(err, protocol.ErrTransactionAbortable) && version < 4:
		return protocol.ErrInvalidTxnState // clients before KIP-890 do not know the other
	}
	return err
}

// commitCode spares clients before version 2 a code on which they fail (KAFKA-7296).
func commitCode(code, version int16) int16 {
	if code == protocol.ErrCoordinatorLoadInProgress.Code && version < 2 {
		return protocol.ErrCoordinatorNotAvailable.Code
	}
	return code
}
