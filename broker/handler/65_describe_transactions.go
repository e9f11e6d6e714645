package handler

import (
	"context"

	"fluxmq/broker/txn"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDescribeTransactions describes transactional ids.
func handleDescribeTransactions(h *Handler, ctx context.Context, _ *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.DescribeTransactionsRequest)
	replies := make([]*txn.Reply[kmsg.DescribeTransactionsResponseTransactionState], len(q.TransactionalIDs))
	for i, id := range q.TransactionalIDs {
		replies[i] = h.Transactions.Describe(ctx, id)
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrDescribeTransactionsResponse()
		for _, reply := range replies {
			response.TransactionStates = append(response.TransactionStates, reply.Wait(ctx))
		}
		return response
	}}
}
