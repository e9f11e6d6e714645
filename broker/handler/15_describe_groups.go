package handler

import (
	"context"

	"fluxmq/broker/group"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupOperations is the bit field of what may be done with a group: all that
// Kafka knows (read 3, delete 6, describe 8, describe configs 10, alter
// configs 11), for there is no authorisation yet.
const groupOperations = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11

// handleDescribeGroups describes classic groups. A group that does not exist, or
// is of another type, is an error from version 6 on (KIP-1043), a Dead group before.
func handleDescribeGroups(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.DescribeGroupsRequest)
	replies := make([]*group.Reply[kmsg.DescribeGroupsResponseGroup], len(q.Groups))
	for i, id := range q.Groups {
		replies[i] = h.Groups.Describe(ctx, id)
	}
	response := kmsg.NewPtrDescribeGroupsResponse()
	for i := range q.Groups {
		d := replies[i].Wait(ctx)
		if d.ErrorCode == protocol.ErrGroupIDNotFound.Code && r.Version < 6 {
			d.ErrorCode, d.ErrorMessage = 0, nil
		}
		if q.IncludeAuthorizedOperations && d.ErrorCode == 0 {
			d.AuthorizedOperations = groupOperations
		}
		response.Groups = append(response.Groups, d)
	}
	return Answer{Response: response}
}
