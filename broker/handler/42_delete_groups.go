package handler

import (
	"context"

	"fluxmq/broker/group"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDeleteGroups deletes empty groups with their offsets, each once.
func handleDeleteGroups(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	var groups []string
	var replies []*group.Reply[int16]
	asked := map[string]bool{}
	for _, id := range in.(*kmsg.DeleteGroupsRequest).Groups {
		if asked[id] {
			continue
		}
		asked[id] = true
		groups = append(groups, id)
		replies = append(replies, h.Groups.Delete(ctx, id))
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrDeleteGroupsResponse()
		for i, id := range groups {
			g := kmsg.NewDeleteGroupsResponseGroup()
			g.Group, g.ErrorCode = id, replies[i].Wait(ctx)
			response.Groups = append(response.Groups, g)
		}
		return response
	}}
}
