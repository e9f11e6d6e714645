package handler

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDeleteShareGroupOffsets lets a share group without members forget topics.
func handleDeleteShareGroupOffsets(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.DeleteShareGroupOffsetsRequest)
	if !h.servesShareGroups() {
		response := kmsg.NewPtrDeleteShareGroupOffsetsResponse()
		response.ErrorCode, response.ErrorMessage = stateWords(errNoShareGroups)
		return Answer{Response: response}
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response { return h.Groups.DeleteShareOffsets(ctx, q) }}
}
