package handler

import (
	"context"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleInitProducerID answers InitProducerId (API key 22). An idempotent
// producer gets a fresh id with epoch 0, also one that names the id it had (as
// in Kafka, where only transactional producers keep theirs); a transactional
// one becomes the only owner of its transactional id.
//
// Where no transactions are coordinated a transactional id gets
// UNSUPPORTED_VERSION, which every client takes as final: it fails at once
// instead of trying again.
func handleInitProducerID(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.InitProducerIDRequest)
	if request.TransactionalID != nil && *request.TransactionalID != "" && h.Transactions != nil {
		reply := h.Transactions.InitProducerID(ctx, request)
		return Answer{Wait: func(ctx context.Context) kmsg.Response {
			response := reply.Wait(ctx)
			response.ErrorCode = fencedCode(response.ErrorCode, r.Version, 4)
			return response
		}}
	}
	response := request.ResponseKind().(*kmsg.InitProducerIDResponse)
	response.ProducerID, response.ProducerEpoch = -1, -1
	id, err := h.initProducerID(request)
	if response.ErrorCode = protocol.CodeOf(err); err == nil {
		response.ProducerID, response.ProducerEpoch = id, 0
	}
	return Answer{Response: response}
}

func (h *Handler) initProducerID(request *kmsg.InitProducerIDRequest) (int64, error) {
	switch {
	case request.TransactionalID != nil && *request.TransactionalID == "":
		return -1, protocol.ErrInvalidRequest
	case request.TransactionalID != nil:
		return -1, protocol.ErrUnsupportedVersion
	case (request.ProducerID < 0) != (request.ProducerEpoch < 0):
		return -1, protocol.ErrInvalidRequest
	}
	return h.Metadata.NextProducerID()
}

// fencedCode gives clients that are older than PRODUCER_FENCED (KIP-588), which
// came with version first of their API, the code that they know.
func fencedCode(code, version, first int16) int16 {
	if code == protocol.ErrProducerFenced.Code && version < first {
		return protocol.ErrInvalidProducerEpoch.Code
	}
	return code
}
