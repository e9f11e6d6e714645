package handler

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleListPartitionReassignments answers ListPartitionReassignments (API key
// 46, KIP-455): no partition moves on one node. As in Kafka, it is no error to
// ask about one that does not exist.
func handleListPartitionReassignments(_ *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	return Answer{Response: in.ResponseKind()}
}
