package handler

import (
	"context"

	"fluxmq/broker/group"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleConsumerGroupDescribe describes consumer groups (KIP-848); a group of
// another type is an error.
func handleConsumerGroupDescribe(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.ConsumerGroupDescribeRequest)
	if !h.consumerGroups() {
		response := kmsg.NewPtrConsumerGroupDescribeResponse()
		for _, id := range q.Groups {
			d := kmsg.NewConsumerGroupDescribeResponseGroup()
			d.Group, d.ErrorCode = id, protocol.ErrUnsupportedVersion.Code
			response.Groups = append(response.Groups, d)
		}
		return Answer{Response: response}
	}
	replies := make([]*group.Reply[kmsg.ConsumerGroupDescribeResponseGroup], len(q.Groups))
	for i, id := range q.Groups {
		replies[i] = h.Groups.DescribeConsumer(ctx, id)
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrConsumerGroupDescribeResponse()
		for _, reply := range replies {
			d := reply.Wait(ctx)
			if q.IncludeAuthorizedOperations && d.ErrorCode == 0 {
				d.AuthorizedOperations = groupOperations
			}
			response.Groups = append(response.Groups, d)
		}
		return response
	}}
}
