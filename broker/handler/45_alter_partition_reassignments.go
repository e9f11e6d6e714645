package handler

import (
	"context"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleAlterPartitionReassignments answers AlterPartitionReassignments (API
// key 45, KIP-455): nothing moves on one node, so that a partition can be asked
// to be where it is, and a move cannot be cancelled.
func handleAlterPartitionReassignments(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.AlterPartitionAssignmentsRequest)
	response := request.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	if len(request.Topics) == 0 { // Kafka's controller is not asked, and the message stays as it is by default
		response.ErrorMessage = new(string)
		return Answer{Response: response}
	}
	response.AllowReplicationFactorChange = request.AllowReplicationFactorChange
	image := h.Metadata.Image()
	for _, t := range request.Topics {
		out := kmsg.AlterPartitionAssignmentsResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			err := cluster.CheckReassignment(image, t.Topic, p.Partition, p.Replicas, p.Replicas == nil)
			out.Partitions = append(out.Partitions, kmsg.AlterPartitionAssignmentsResponseTopicPartition{
				Partition: p.Partition, ErrorCode: protocol.CodeOf(err), ErrorMessage: ownWords(err),
			})
		}
		response.Topics = append(response.Topics, out)
	}
	return Answer{Response: response}
}
