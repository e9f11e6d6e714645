package handler

import (
	"context"

	"fluxmq/broker/share"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleReadShareGroupStateSummary tells how far groups have come in share partitions.
func handleReadShareGroupStateSummary(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.ReadShareGroupStateSummaryRequest)
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrReadShareGroupStateSummaryResponse()
		if !h.servesShareState(q.GroupID) {
			return response
		}
		var list []statePartition[struct{}]
		for _, t := range q.Topics {
			for _, p := range t.Partitions {
				list = append(list, statePartition[struct{}]{key: share.Key{Group: q.GroupID, Topic: t.TopicID, Partition: p.Partition}})
			}
		}
		read := stateReplies(ctx, list, func(k share.Key, _ struct{}) *share.Reply[share.SummaryRead] { return h.ShareState.Summary(ctx, k) })
		next := 0
		for _, t := range q.Topics {
			topic := kmsg.NewReadShareGroupStateSummaryResponseTopic()
			topic.TopicID = t.TopicID
			for _, p := range t.Partitions {
				s := read[next]
				next++
				one := kmsg.NewReadShareGroupStateSummaryResponseTopicPartition()
				one.Partition = p.Partition
				one.ErrorCode, one.ErrorMessage = stateWords(s.Err)
				one.StateEpoch, one.LeaderEpoch, one.StartOffset, one.DeliveryCompleteCount = s.StateEpoch, s.LeaderEpoch, s.Start, s.Complete
				topic.Partitions = append(topic.Partitions, one)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response
	}}
}
