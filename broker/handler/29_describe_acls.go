package handler

import (
	"context"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What Kafka says where nothing authorizes; tools show it, and look for it.
const (
	noAuthorizer         = "No Authorizer is configured."
	noAuthorizerOnBroker = "No Authorizer is configured on the broker"
)

// handleDescribeACLs answers DescribeAcls (API key 29): nothing authorizes
// here, and there are no ACLs. As in Kafka without an authorizer, that is an
// error, so that nobody takes it for an empty list.
func handleDescribeACLs(_ *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	response := in.ResponseKind().(*kmsg.DescribeACLsResponse)
	text := noAuthorizerOnBroker
	response.ErrorCode, response.ErrorMessage = protocol.ErrSecurityDisabled.Code, &text
	return Answer{Response: response}
}
