package handler

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleListGroups lists the groups of this node.
func handleListGroups(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.ListGroupsRequest)
	return Answer{Response: h.Groups.List(ctx, q.StatesFilter, q.TypesFilter)}
}
