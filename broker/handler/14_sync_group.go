package handler

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleSyncGroup syncs; the reply is held until the leader's assignment is stored.
func handleSyncGroup(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	reply := h.Groups.Sync(ctx, in.(*kmsg.SyncGroupRequest))
	return Answer{Wait: func(ctx context.Context) kmsg.Response { return reply.Wait(ctx) }}
}
