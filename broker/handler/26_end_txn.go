package handler

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleEndTxn commits or aborts a transaction; the reply waits until the
// outcome is durable, not until readers see it.
func handleEndTxn(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	reply := h.Transactions.End(ctx, in.(*kmsg.EndTxnRequest))
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := reply.Wait(ctx)
		response.ErrorCode = fencedCode(response.ErrorCode, r.Version, 2)
		return response
	}}
}
