package cluster

import (
	"fmt"
	"slices"

	"fluxmq/broker/protocol"
)

// CheckReassignment judges the move of one partition to these replicas, or
// with cancel the end of a move (KIP-455, Kafka's ReplicationControlManager).
// On one node nothing ever moves: the one assignment that can be is the present
// one, and it is no error to ask for it. Errors: UNKNOWN_TOPIC_OR_PARTITION,
// NO_REASSIGNMENT_IN_PROGRESS, INVALID_REPLICA_ASSIGNMENT.
func CheckReassignment(image *Image, topic string, partition int32, replicas []int32, cancel bool) error {
	if err := CheckPartition(image, topic, partition); err != nil {
		return err
	}
	if cancel {
		return protocol.ErrNoReassignmentInProgress // which says it all: the reply has no message
	}
	if len(replicas) == 0 {
		return fmt.Errorf("%w: %s-%d would have no replica", protocol.ErrInvalidReplicaAssignment, topic, partition)
	}
	sorted := slices.Sorted(slices.Values(replicas))
	for n, id := range sorted {
		switch {
		case id != image.Node.NodeID:
			return fmt.Errorf("%w: there is no node %d", protocol.ErrInvalidReplicaAssignment, id)
		case n > 0 && sorted[n-1] == id:
			return fmt.Errorf("%w: node %d is named twice", protocol.ErrInvalidReplicaAssignment, id)
		}
	}
	return nil
}

// CheckPartition wants a partition that exists: UNKNOWN_TOPIC_OR_PARTITION.
func CheckPartition(image *Image, topic string, partition int32) error {
	t := image.Topics[topic]
	switch {
	case t == nil:
		return unknownTopic(topic)
	case partition < 0 || partition >= t.Partitions:
		return fmt.Errorf("%w: topic %s has no partition %d", protocol.ErrUnknownTopicOrPartition, topic, partition)
	}
	return nil
}
