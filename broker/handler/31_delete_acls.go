package handler

import (
	"context"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDeleteACLs answers DeleteAcls (API key 31): there are none.
func handleDeleteACLs(_ *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DeleteACLsRequest)
	response := request.ResponseKind().(*kmsg.DeleteACLsResponse)
	text := noAuthorizer
	for _, f := range request.Filters {
		if unknownACL(f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType) {
			return Answer{Err: errUnknownACL}
		}
		response.Results = append(response.Results, kmsg.DeleteACLsResponseResult{ErrorCode: protocol.ErrSecurityDisabled.Code, ErrorMessage: &text})
	}
	return Answer{Response: response}
}
