package handler

import (
	"context"

	"fluxmq/broker/share"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// newState is what a share partition's state begins with.
type newState struct {
	epoch int32
	start int64
}

// handleInitializeShareGroupState makes the states of share partitions new.
func handleInitializeShareGroupState(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.InitializeShareGroupStateRequest)
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrInitializeShareGroupStateResponse()
		if !h.servesShareState(q.GroupID) {
			return response
		}
		var list []statePartition[newState]
		for _, t := range q.Topics {
			for _, p := range t.Partitions {
				list = append(list, statePartition[newState]{share.Key{Group: q.GroupID, Topic: t.TopicID, Partition: p.Partition}, newState{p.StateEpoch, p.StartOffset}})
			}
		}
		errs := stateReplies(ctx, list, func(k share.Key, n newState) *share.Reply[error] {
			return h.ShareState.Initialize(ctx, k, n.epoch, n.start)
		})
		next := 0
		for _, t := range q.Topics {
			topic := kmsg.NewInitializeShareGroupStateResponseTopic()
			topic.TopicID = t.TopicID
			for _, p := range t.Partitions {
				one := kmsg.NewInitializeShareGroupStateResponseTopicPartition()
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
