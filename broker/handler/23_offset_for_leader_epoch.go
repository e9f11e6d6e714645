package handler

import (
	"context"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleOffsetForLeaderEpoch answers OffsetForLeaderEpoch (API key 23): where
// a leader epoch ended, by which clients find out that what they read was
// truncated (KIP-320).
func handleOffsetForLeaderEpoch(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.OffsetForLeaderEpochRequest)
	response := request.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for _, t := range request.Topics {
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			answer := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			answer.Partition, answer.LeaderEpoch, answer.EndOffset = p.Partition, -1, -1
			answer.ErrorCode = protocol.CodeOf(h.epochEnd(t.Topic, &p, &answer))
			topic.Partitions = append(topic.Partitions, answer)
		}
		response.Topics = append(response.Topics, topic)
	}
	return Answer{Response: response}
}

func (h *Handler) epochEnd(topic string, in *kmsg.OffsetForLeaderEpochRequestTopicPartition, out *kmsg.OffsetForLeaderEpochResponseTopicPartition) error {
	p := h.Partitions.Find([]byte(topic), in.Partition)
	if p == nil {
		return protocol.ErrUnknownTopicOrPartition
	}
	if err := checkLeaderEpoch(p, in.CurrentLeaderEpoch); err != nil {
		return err
	}
	out.LeaderEpoch, out.EndOffset = p.EpochEndOffset(in.LeaderEpoch)
	return nil
}
