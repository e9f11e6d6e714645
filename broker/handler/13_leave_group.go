package handler

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleLeaveGroup removes members. To version 2 a request names one member,
// whose code is the response's.
func handleLeaveGroup(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.LeaveGroupRequest)
	if r.Version < 3 {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = q.MemberID
		q.Members = []kmsg.LeaveGroupRequestMember{m}
	}
	reply := h.Groups.Leave(ctx, q)
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := reply.Wait(ctx)
		if r.Version < 3 && response.ErrorCode == 0 {
			response.ErrorCode = response.Members[0].ErrorCode
		}
		return response
	}}
}
