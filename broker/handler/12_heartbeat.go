package handler

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleHeartbeat keeps a member's session.
func handleHeartbeat(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	response := kmsg.NewPtrHeartbeatResponse()
	response.ErrorCode = h.Groups.Heartbeat(ctx, in.(*kmsg.HeartbeatRequest)).Wait(ctx)
	return Answer{Response: response}
}
