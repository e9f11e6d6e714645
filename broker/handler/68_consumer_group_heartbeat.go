package handler

import (
	"context"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/group"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerHeartbeatCall is the memory of one ConsumerGroupHeartbeat; it is used again.
type consumerHeartbeatCall struct {
	request  kmsg.ConsumerGroupHeartbeatRequest
	response kmsg.ConsumerGroupHeartbeatResponse
}

// consumerHeartbeatNow serves a ConsumerGroupHeartbeat that only keeps a session,
// as heartbeatNow does.
func (h *Handler) consumerHeartbeatNow(r *Request, out *Response) bool {
	if !h.consumerGroups() {
		return false
	}
	call, _ := h.consumerHeartbeatCalls.Get().(*consumerHeartbeatCall)
	if call == nil {
		call = new(consumerHeartbeatCall)
	}
	defer h.consumerHeartbeatCalls.Put(call)
	in := &call.request
	*in = kmsg.ConsumerGroupHeartbeatRequest{Version: r.Version}
	if protocol.DecodeInto(in, r.Body) != nil {
		return false // handleConsumerGroupHeartbeat's caller tells it
	}
	var begin time.Time
	charged := h.Quotas.Active()
	if charged {
		begin = time.Now()
	}
	interval, served := h.Groups.ConsumerHeartbeatNow(group.Client{ID: string(r.ClientID), Host: r.Peer}, in)
	if served {
		call.response = kmsg.ConsumerGroupHeartbeatResponse{MemberID: &in.MemberID, MemberEpoch: in.MemberEpoch, HeartbeatIntervalMillis: interval}
		if charged {
			out.Mute = h.chargeControl(r, &call.response, 0, time.Since(begin))
		}
		out.Bytes = encode(out.Bytes, r, &call.response)
	}
	*in = kmsg.ConsumerGroupHeartbeatRequest{} // it aliases the frame
	return served
}

// consumerGroups tells whether there are any: not where group.version is 0.
func (h *Handler) consumerGroups() bool {
	return h.Metadata.Image().FeatureLevel(cluster.GroupVersion) >= 1
}

// handleConsumerGroupHeartbeat is all that a member of a consumer group
// (KIP-848) says and hears.
func handleConsumerGroupHeartbeat(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	if !h.consumerGroups() {
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
