package handler

import (
	"context"

	"fluxmq/broker/share"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleReadShareGroupState gives the states of share partitions to their leader.
func handleReadShareGroupState(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.ReadShareGroupStateRequest)
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrReadShareGroupStateResponse()
		if !h.servesShareState(q.GroupID) {
			return response
		}
		var list []statePartition[int32]
		for _, t := range q.Topics {
			for _, p := range t.Partitions {
				list = append(list, statePartition[int32]{share.Key{Group: q.GroupID, Topic: t.TopicID, Partition: p.Partition}, p.LeaderEpoch})
			}
		}
		states := stateReplies(ctx, list, func(k share.Key, epoch int32) *share.Reply[share.Read] { return h.ShareState.Read(ctx, k, epoch) })
		next := 0
		for _, t := range q.Topics {
			topic := kmsg.NewReadShareGroupStateResponseTopic()
			topic.TopicID = t.TopicID
			for _, p := range t.Partitions {
				state := states[next]
				next++
				one := kmsg.NewReadShareGroupStateResponseTopicPartition()
				one.Partition = p.Partition
				if one.ErrorCode, one.ErrorMessage = stateWords(state.Err); state.Err == nil {
					one.StateEpoch, one.StartOffset = state.Epoch, state.Start
				}
				for _, b := range state.Batches {
					one.StateBatches = append(one.StateBatches, kmsg.ReadShareGroupStateResponseTopicPartitionStateBatch{
						FirstOffset: b.First, LastOffset: b.Last, DeliveryState: int8(b.State), DeliveryCount: b.Count,
					})
				}
				topic.Partitions = append(topic.Partitions, one)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response
	}}
}
