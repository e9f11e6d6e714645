package handler

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleListTransactions lists the transactional ids of this node.
func handleListTransactions(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.ListTransactionsRequest)
	return Answer{Wait: func(ctx context.Context) kmsg.Response { return h.Transactions.List(ctx, q) }}
}
