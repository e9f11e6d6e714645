package handler

import (
	"context"

	"fluxmq/broker/group"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleShareGroupDescribe describes share groups (KIP-932); a group of another
// type is an error.
func handleShareGroupDescribe(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.ShareGroupDescribeRequest)
	if !h.servesShareGroups() {
		response := kmsg.NewPtrShareGroupDescribeResponse()
		for _, id := range q.GroupIDs {
			d := kmsg.NewShareGroupDescribeResponseGroup()
			d.GroupID, d.ErrorCode = id, protocol.ErrUnsupportedVersion.Code
			response.Groups = append(response.Groups, d)
		}
		return Answer{Response: response}
	}
	replies := make([]*group.Reply[kmsg.ShareGroupDescribeResponseGroup], len(q.GroupIDs))
	for i, id := range q.GroupIDs {
		replies[i] = h.Groups.DescribeShare(ctx, id)
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrShareGroupDescribeResponse()
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
