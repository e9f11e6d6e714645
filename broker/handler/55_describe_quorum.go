package handler

import (
	"context"
	"fmt"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDescribeQuorum answers DescribeQuorum (API key 55, KIP-595): this node
// is the quorum's one voter and leads it, and what its metadata log holds is
// committed. The leader epoch begins at 1, as in Kafka, and rises with every
// start after an unclean stop. The controller has no listener of its own to name.
func handleDescribeQuorum(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DescribeQuorumRequest)
	response := request.ResponseKind().(*kmsg.DescribeQuorumResponse)
	response.ErrorMessage = new(string)
	if len(request.Topics) != 1 || request.Topics[0].Topic != cluster.MetadataTopic || len(request.Topics[0].Partitions) != 1 || request.Topics[0].Partitions[0].Partition != 0 {
		return Answer{Response: noQuorum(request, response)}
	}
	end, now := h.Metadata.EndOffset(), time.Now().UnixMilli()
	response.Topics = []kmsg.DescribeQuorumResponseTopic{{Topic: cluster.MetadataTopic, Partitions: []kmsg.DescribeQuorumResponseTopicPartition{{
		LeaderID: h.Config.NodeID, LeaderEpoch: 1 + h.Metadata.Image().LeaderEpochBase, HighWatermark: end,
		ErrorMessage: new(string), // none is not null
		CurrentVoters: []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{{
			ReplicaID: h.Config.NodeID, LogEndOffset: end, LastFetchTimestamp: now, LastCaughtUpTimestamp: now,
		}},
	}}}}
	response.Nodes = []kmsg.DescribeQuorumResponseNode{{NodeID: h.Config.NodeID}}
	return Answer{Response: response}
}

// noQuorum is the answer to anything but the one question there is, as in
// Kafka for each partition that was asked about.
func noQuorum(request *kmsg.DescribeQuorumRequest, response *kmsg.DescribeQuorumResponse) kmsg.Response {
	for _, t := range request.Topics {
		out := kmsg.DescribeQuorumResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			err := fmt.Errorf("%w: the quorum has %s-0 only", protocol.ErrUnknownTopicOrPartition, cluster.MetadataTopic)
			out.Partitions = append(out.Partitions, kmsg.DescribeQuorumResponseTopicPartition{
				Partition: p.Partition, ErrorCode: protocol.CodeOf(err), ErrorMessage: errorWords(err),
			})
		}
		response.Topics = append(response.Topics, out)
	}
	return response
}
