package handler

import (
	"context"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleCreateACLs answers CreateAcls (API key 30): none is created, as nothing
// would obey it.
func handleCreateACLs(_ *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.CreateACLsRequest)
	response := request.ResponseKind().(*kmsg.CreateACLsResponse)
	text := noAuthorizer
	for _, c := range request.Creations {
		if unknownACL(c.ResourceType, c.ResourcePatternType, c.Operation, c.PermissionType) {
			return Answer{Err: errUnknownACL}
		}
		response.Results = append(response.Results, kmsg.CreateACLsResponseResult{ErrorCode: protocol.ErrSecurityDisabled.Code, ErrorMessage: &text})
	}
	return Answer{Response: response}
}
