package handler

import (
	"context"

	"fluxmq/broker/group"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleShareGroupHeartbeat is all that a member of a share group (KIP-932)
// says and hears of its group.
func handleShareGroupHeartbeat(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	if !h.servesShareGroups() {
		response := in.ResponseKind().(*kmsg.ShareGroupHeartbeatResponse)
		response.ErrorCode = protocol.ErrUnsupportedVersion.Code
		return Answer{Response: response}
	}
	from := group.Client{ID: string(r.ClientID), Host: r.Peer}
	reply := h.Groups.ShareHeartbeat(ctx, from, in.(*kmsg.ShareGroupHeartbeatRequest))
	if response, is := reply.Now(); is {
		return Answer{Response: response} // most heartbeats change nothing
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response { return reply.Wait(ctx) }}
}
