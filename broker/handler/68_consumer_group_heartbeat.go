package handler

import (
	"context"

	"fluxmq/broker/group"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleConsumerGroupHeartbeat is all that a member of a consumer group
// (KIP-848) says and hears.
func handleConsumerGroupHeartbeat(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	from := group.Client{ID: string(r.ClientID), Host: r.Peer}
	reply := h.Groups.ConsumerHeartbeat(ctx, from, in.(*kmsg.ConsumerGroupHeartbeatRequest))
	return Answer{Wait: func(ctx context.Context) kmsg.Response { return reply.Wait(ctx) }}
}
