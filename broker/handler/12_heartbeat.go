package handler

import (
	"context"
	"time"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// heartbeatCall is the memory of one Heartbeat; it is used again.
type heartbeatCall struct {
	request  kmsg.HeartbeatRequest
	response kmsg.HeartbeatResponse
}

// heartbeatNow serves a Heartbeat, the request that idle clients are made of, without
// memory of its own. It reports false when it cannot, and has done nothing then.
func (h *Handler) heartbeatNow(r *Request, out *Response) bool {
	call, _ := h.heartbeatCalls.Get().(*heartbeatCall)
	if call == nil {
		call = new(heartbeatCall)
	}
	defer h.heartbeatCalls.Put(call)
	call.request = kmsg.HeartbeatRequest{Version: r.Version}
	if protocol.DecodeInto(&call.request, r.Body) != nil {
		return false // handleHeartbeat's caller tells it
	}
	var begin time.Time
	charged := h.Quotas.Active()
	if charged {
		begin = time.Now()
	}
	code, served := h.Groups.HeartbeatNow(&call.request)
	call.request = kmsg.HeartbeatRequest{} // it aliases the frame
	if !served {
		return false
	}
	call.response = kmsg.HeartbeatResponse{ErrorCode: code}
	if charged {
		out.Mute = h.chargeControl(r, &call.response, 0, time.Since(begin))
	}
	out.Bytes = encode(out.Bytes, r, &call.response)
	return true
}

// handleHeartbeat keeps a member's session.
func handleHeartbeat(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	reply := h.Groups.Heartbeat(ctx, in.(*kmsg.HeartbeatRequest))
	if code, is := reply.Now(); is {
		return Answer{Response: heartbeatAnswer(code)}
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response { return heartbeatAnswer(reply.Wait(ctx)) }}
}

func heartbeatAnswer(code int16) kmsg.Response {
	response := kmsg.NewPtrHeartbeatResponse()
	response.ErrorCode = code
	return response
}
