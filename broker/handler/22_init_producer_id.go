package handler

import (
	"context"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleInitProducerID answers InitProducerId (API key 22) for idempotent
// producers: each gets a fresh id with epoch 0, also one that names the id it
// had (as in Kafka, where only transactional producers keep theirs).
//
// Transactions are not built. A transactional id gets UNSUPPORTED_VERSION,
// which every client takes as final: it fails at once instead of trying again.
func handleInitProducerID(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.InitProducerIDRequest)
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
