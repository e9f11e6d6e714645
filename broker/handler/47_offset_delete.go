package handler

import (
	"context"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleOffsetDelete deletes committed offsets of partitions that exist here.
func handleOffsetDelete(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.OffsetDeleteRequest)
	known := kmsg.NewPtrOffsetDeleteRequest()
	known.Group = q.Group
	var unknown []kmsg.OffsetDeleteResponseTopic
	for _, t := range q.Topics {
		there := kmsg.NewOffsetDeleteRequestTopic()
		missing := kmsg.NewOffsetDeleteResponseTopic()
		there.Topic, missing.Topic = t.Topic, t.Topic
		for _, p := range t.Partitions {
			if h.Partitions.Find([]byte(t.Topic), p.Partition) != nil {
				there.Partitions = append(there.Partitions, p)
				continue
			}
			e := kmsg.NewOffsetDeleteResponseTopicPartition()
			e.Partition, e.ErrorCode = p.Partition, protocol.ErrUnknownTopicOrPartition.Code
			missing.Partitions = append(missing.Partitions, e)
		}
		if len(there.Partitions) > 0 {
			known.Topics = append(known.Topics, there)
		}
		if len(missing.Partitions) > 0 {
			unknown = append(unknown, missing)
		}
	}
	reply := h.Groups.DeleteOffsets(ctx, known)
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := reply.Wait(ctx)
		if response.ErrorCode == 0 {
			response.Topics = merge(response.Topics, unknown)
		}
		return response
	}}
}

// merge joins the partitions of topics that appear in both lists: a client
// reads each topic once.
func merge(known, unknown []kmsg.OffsetDeleteResponseTopic) []kmsg.OffsetDeleteResponseTopic {
	at := map[string]int{}
	for i, t := range known {
		at[t.Topic] = i
	}
	for _, t := range unknown {
		if i, both := at[t.Topic]; both {
			known[i].Partitions = append(known[i].Partitions, t.Partitions...)
			continue
		}
		at[t.Topic] = len(known)
		known = append(known, t)
	}
	return known
}
