package handler

import (
	"context"

	"fluxmq/broker/group"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDeleteGroups deletes empty groups with their offsets.
func handleDeleteGroups(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.DeleteGroupsRequest)
	replies := make([]*group.Reply[int16], len(q.Groups))
	for i, id := range q.Groups {
		replies[i] = h.Groups.Delete(ctx, id)
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrDeleteGroupsResponse()
		for i, id := range q.Groups {
			g := kmsg.NewDeleteGroupsResponseGroup()
			g.Group, g.ErrorCode = id, replies[i].Wait(ctx)
			response.Groups = append(response.Groups, g)
		}
		return response
	}}
}
