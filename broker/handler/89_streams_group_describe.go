package handler

import (
	"context"

	"fluxmq/broker/group"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleStreamsGroupDescribe describes streams groups (KIP-1071); a group of
// another type is an error.
func handleStreamsGroupDescribe(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.StreamsGroupDescribeRequest)
	if !h.servesStreamsGroups() {
		response := kmsg.NewPtrStreamsGroupDescribeResponse()
		for _, id := range q.Groups {
			d := kmsg.NewStreamsGroupDescribeResponseGroup()
			d.Group, d.ErrorCode = id, protocol.ErrUnsupportedVersion.Code
			response.Groups = append(response.Groups, d)
		}
		return Answer{Response: response}
	}
	replies := make([]*group.Reply[kmsg.StreamsGroupDescribeResponseGroup], len(q.Groups))
	for i, id := range q.Groups {
		replies[i] = h.Groups.DescribeStreams(ctx, id)
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrStreamsGroupDescribeResponse()
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
