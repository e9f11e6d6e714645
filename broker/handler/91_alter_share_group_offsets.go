package handler

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleAlterShareGroupOffsets lets a share group without members begin
// elsewhere.
func handleAlterShareGroupOffsets(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.AlterShareGroupOffsetsRequest)
	if !h.servesShareGroups() {
		response := kmsg.NewPtrAlterShareGroupOffsetsResponse()
		response.ErrorCode, response.ErrorMessage = stateWords(errNoShareGroups)
		return Answer{Response: response}
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response { return h.Groups.AlterShareOffsets(ctx, q) }}
}
