package handler

import (
	"context"

	"fluxmq/broker/share"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDeleteShareGroupState forgets the states of share partitions.
func handleDeleteShareGroupState(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.DeleteShareGroupStateRequest)
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrDeleteShareGroupStateResponse()
		if !h.servesShareState(q.GroupID) {
			return response
		}
		var list []statePartition[struct{}]
		for _, t := range q.Topics {
			for _, p := range t.Partitions {
				list = append(list, statePartition[struct{}]{key: share.Key{Group: q.GroupID, Topic: t.TopicID, Partition: p.Partition}})
			}
		}
		errs := stateReplies(ctx, list, func(k share.Key, _ struct{}) *share.Reply[error] { return h.ShareState.Delete(ctx, k) })
		next := 0
		for _, t := range q.Topics {
			topic := kmsg.NewDeleteShareGroupStateResponseTopic()
			topic.TopicID = t.TopicID
			for _, p := range t.Partitions {
				one := kmsg.NewDeleteShareGroupStateResponseTopicPartition()
				one.Partition = p.Partition
				if one.ErrorCode, one.ErrorMessage = stateWords(errs[next]); errs[next] == nil {
					h.Shares.Drop(list[next].key)
				}
				next++
				topic.Partitions = append(topic.Partitions, one)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response
	}}
}
