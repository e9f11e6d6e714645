package handler

import (
	"context"

	"fluxmq/broker/group"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleJoinGroup joins; the reply is held until the group's rebalance is over.
func handleJoinGroup(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	from := group.Client{ID: string(r.ClientID), Host: r.Peer}
	reply := h.Groups.Join(ctx, from, in.(*kmsg.JoinGroupRequest))
	return Answer{Wait: func(ctx context.Context) kmsg.Response { return reply.Wait(ctx) }}
}
