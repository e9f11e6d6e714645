package handler

import (
	"context"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleSyncGroup syncs; the reply is held until the leader's assignment is
// stored. From version 5 on a member must say what it speaks (KIP-559).
func handleSyncGroup(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.SyncGroupRequest)
	if r.Version >= 5 && (q.ProtocolType == nil || q.Protocol == nil) {
		response := kmsg.NewPtrSyncGroupResponse()
		response.ErrorCode = protocol.ErrInconsistentGroupProtocol.Code
		return Answer{Response: response}
	}
	reply := h.Groups.Sync(ctx, q)
	return Answer{Wait: func(ctx context.Context) kmsg.Response { return reply.Wait(ctx) }}
}
