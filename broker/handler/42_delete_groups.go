package handler

import (
	"context"

	"fluxmq/broker/group"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDeleteGroups deletes empty groups with their offsets, each once. Of
// share groups the states of their partitions go first: a group that is gone
// could not be asked for them any more.
func handleDeleteGroups(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	var groups []string
	asked := map[string]bool{}
	for _, id := range in.(*kmsg.DeleteGroupsRequest).Groups {
		if !asked[id] {
			asked[id] = true
			groups = append(groups, id)
		}
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrDeleteGroupsResponse()
		replies := make([]*group.Reply[int16], len(groups))
		for i, id := range groups {
			g := kmsg.NewDeleteGroupsResponseGroup()
			if g.Group, g.ErrorCode = id, h.Groups.DeleteShareState(ctx, id); g.ErrorCode == 0 {
				replies[i] = h.Groups.Delete(ctx, id)
			}
			response.Groups = append(response.Groups, g)
		}
		for i, reply := range replies {
			if reply != nil {
				response.Groups[i].ErrorCode = reply.Wait(ctx)
			}
		}
		return response
	}}
}
