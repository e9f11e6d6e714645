package handler

import (
	"context"

	"fluxmq/broker/share"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleWriteShareGroupState stores what changed of share partitions. Before
// version 1 nobody tells how many records are finished.
func handleWriteShareGroupState(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.WriteShareGroupStateRequest)
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrWriteShareGroupStateResponse()
		if !h.servesShareState(q.GroupID) {
			return response
		}
		var list []statePartition[share.Write]
		for _, t := range q.Topics {
			for _, p := range t.Partitions {
				w := share.Write{StateEpoch: p.StateEpoch, LeaderEpoch: p.LeaderEpoch, Start: p.StartOffset, Complete: p.DeliveryCompleteCount}
				if r.Version < 1 {
					w.Complete = -1
				}
				for _, b := range p.StateBatches {
					w.Batches = append(w.Batches, share.Batch{First: b.FirstOffset, Last: b.LastOffset, State: share.DeliveryState(b.DeliveryState), Count: b.DeliveryCount})
				}
				list = append(list, statePartition[share.Write]{share.Key{Group: q.GroupID, Topic: t.TopicID, Partition: p.Partition}, w})
			}
		}
		errs := stateReplies(ctx, list, func(k share.Key, w share.Write) *share.Reply[error] { return h.ShareState.Write(ctx, k, w) })
		next := 0
		for _, t := range q.Topics {
			topic := kmsg.NewWriteShareGroupStateResponseTopic()
			topic.TopicID = t.TopicID
			for _, p := range t.Partitions {
				one := kmsg.NewWriteShareGroupStateResponseTopicPartition()
				one.Partition = p.Partition
				one.ErrorCode, one.ErrorMessage = stateWords(errs[next])
				next++
				topic.Partitions = append(topic.Partitions, one)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response
	}}
}
