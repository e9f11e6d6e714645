package handler

import (
	"context"
	"slices"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDescribeTopicPartitions answers DescribeTopicPartitions (API key 75,
// KIP-966): topics in the order of their names, at most as many partitions as
// the request and max.request.partition.size.limit allow, and a cursor where
// to go on.
func handleDescribeTopicPartitions(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DescribeTopicPartitionsRequest)
	response := request.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	if err := checkDescribed(request); err != nil {
		for _, t := range request.Topics {
			response.Topics = append(response.Topics, kmsg.DescribeTopicPartitionsResponseTopic{ErrorCode: err.Code, Topic: &t.Topic, AuthorizedOperations: notAsked})
		}
		return Answer{Response: response}
	}
	image := h.Metadata.Image()
	left := max(1, min(request.ResponsePartitionLimit, h.Config.MaxDescribedPartitions))
	for _, name := range namesAsked(image, request) {
		first := int32(0)
		if request.Cursor != nil && request.Cursor.Topic == name {
			first = request.Cursor.Partition
		}
		t := image.Topics[name]
		if t == nil {
			response.Topics = append(response.Topics, noTopicPartitions(name, whyMissing(name, nil)))
			continue
		}
		if left == 0 {
			response.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: first}
			break
		}
		end := first + min(left, max(0, t.Partitions-first))
		response.Topics = append(response.Topics, h.topicPartitions(t, first, end))
		left -= end - first
		if end < t.Partitions {
			response.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: end}
			break
		}
	}
	return Answer{Response: response}
}

// checkDescribed is why a request fails as a whole: a cursor that points
// nowhere, or a topic without a name, at which Kafka fails inside.
func checkDescribed(request *kmsg.DescribeTopicPartitionsRequest) *protocol.Error {
	found := request.Cursor == nil || len(request.Topics) == 0
	for _, t := range request.Topics {
		found = found || t.Topic == request.Cursor.Topic
	}
	if !found || request.Cursor != nil && request.Cursor.Partition < 0 {
		return protocol.ErrInvalidRequest
	}
	for _, t := range request.Topics {
		if t.Topic == "" {
			return protocol.ErrUnknownServerError
		}
	}
	return nil
}

// namesAsked are the topics of a request, all when it names none, sorted, each
// once, from the cursor's on.
func namesAsked(image *cluster.Image, request *kmsg.DescribeTopicPartitionsRequest) []string {
	var names []string
	for _, t := range request.Topics {
		names = append(names, t.Topic)
	}
	if len(names) == 0 {
		names = image.Names()
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if request.Cursor != nil {
		from, _ := slices.BinarySearch(names, request.Cursor.Topic)
		names = names[from:]
	}
	return names
}

func noTopicPartitions(name string, err error) kmsg.DescribeTopicPartitionsResponseTopic {
	return kmsg.DescribeTopicPartitionsResponseTopic{
		ErrorCode: protocol.CodeOf(err), Topic: &name, IsInternal: cluster.Reserved(name), AuthorizedOperations: topicOperations,
	}
}

// topicPartitions describes the partitions [first, end) of a topic.
func (h *Handler) topicPartitions(t *cluster.Topic, first, end int32) kmsg.DescribeTopicPartitionsResponseTopic {
	out := kmsg.DescribeTopicPartitionsResponseTopic{Topic: &t.Name, TopicID: t.ID, IsInternal: t.Internal, AuthorizedOperations: topicOperations}
	node := []int32{h.Config.NodeID}
	for index := first; index < end; index++ {
		leader := h.leaderOf([]byte(t.Name), index)
		p := kmsg.DescribeTopicPartitionsResponseTopicPartition{
			ErrorCode: protocol.CodeOf(leader.err), Partition: index, LeaderID: leader.node, LeaderEpoch: leader.epoch,
			Replicas: node, ISR: node, EligibleLeaderReplicas: []int32{}, LastKnownELR: []int32{},
		}
		if leader.err != nil {
			p.OfflineReplicas = node
		}
		out.Partitions = append(out.Partitions, p)
	}
	return out
}
