package handler

import (
	"context"

	"fluxmq/broker/cluster"
	"fluxmq/broker/group"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleConsumerGroupHeartbeat is all that a member of a consumer group
// (KIP-848) says and hears. Where group.version is 0 there are no such groups.
func handleConsumerGroupHeartbeat(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	if h.Metadata.Image().FeatureLevel(cluster.GroupVersion) < 1 {
		response := in.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
		response.ErrorCode = protocol.ErrUnsupportedVersion.Code
		return Answer{Response: response}
	}
	from := group.Client{ID: string(r.ClientID), Host: r.Peer}
	reply := h.Groups.ConsumerHeartbeat(ctx, from, in.(*kmsg.ConsumerGroupHeartbeatRequest))
	if response, is := reply.Now(); is {
		return Answer{Response: response} // most heartbeats change nothing
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response { return reply.Wait(ctx) }}
}
