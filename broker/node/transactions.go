package node

import (
	"context"
	"errors"
	"slices"

	"fluxmq/broker/handler"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/txn"
)

func (n *Node) openTransactions() {
	n.transactions = txn.New(txn.Config{
		Node: n.settings, Logger: n.logger("txn"),
		Partitions: func() int32 {
			if t := n.metadata.Image().Topics[txn.StateTopic]; t != nil {
				return t.Partitions
			}
			return 0
		},
		Log: func(index int32) txn.Log {
			if p := n.partitions.Find([]byte(txn.StateTopic), index); p != nil {
				return txn.PartitionLog(p)
			}
			return nil
		},
		NextProducerID: n.metadata.NextProducerID,
		WriteMarkers:   n.writeMarkers,
	})
	n.handler.Transactions, n.handler.VerifyTransaction = n.transactions, n.verifyTransaction
}

// writeMarkers starts all markers, and then waits for all to be durable, so
// that they share their fdatasyncs. A partition that was deleted needs none.
func (n *Node) writeMarkers(ctx context.Context, markers []txn.Marker) []error {
	finish := make([]func(context.Context) error, len(markers))
	for i, m := range markers {
		finish[i] = n.handler.StartMarker(m.Topic, m.Partition, partition.Marker{
			ProducerID: m.ID, ProducerEpoch: m.Epoch, CoordinatorEpoch: m.CoordinatorEpoch, TransactionVersion: m.Version, Commit: m.Commit,
		})
	}
	errs := make([]error, len(markers))
	for i, finish := range finish {
		if err := finish(ctx); !errors.Is(err, protocol.ErrUnknownTopicOrPartition) {
			errs[i] = err
		}
	}
	return errs
}

// verifyTransaction answers what a Produce request wants to know.
func (n *Node) verifyTransaction(ctx context.Context, q handler.TransactionPartitions) []error {
	producer := txn.Producer{ID: q.ProducerID, Epoch: q.ProducerEpoch}
	partitions := make([]txn.TopicPartition, len(q.Partitions))
	for i, p := range q.Partitions {
		partitions[i] = txn.TopicPartition{Topic: p.Topic, Partition: p.Index}
	}
	if q.Add {
		err := n.transactions.AddPartitions(ctx, q.TransactionalID, producer, partitions, true).Wait(ctx)
		return slices.Repeat([]error{err}, len(partitions))
	}
	return n.transactions.Verify(ctx, q.TransactionalID, producer, partitions).Wait(ctx)
}
