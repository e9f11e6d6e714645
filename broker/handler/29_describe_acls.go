package handler

import (
	"context"
	"fmt"

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
	q := in.(*kmsg.DescribeACLsRequest)
	if unknownACL(q.ResourceType, q.ResourcePatternType, q.Operation, q.PermissionType) {
		return Answer{Err: errUnknownACL}
	}
	response := in.ResponseKind().(*kmsg.DescribeACLsResponse)
	text := noAuthorizerOnBroker
	response.ErrorCode, response.ErrorMessage = protocol.ErrSecurityDisabled.Code, &text
	return Answer{Response: response}
}

// errUnknownACL closes the connection, as in Kafka, whose requests with an
// element UNKNOWN (0) are none.
var errUnknownACL = fmt.Errorf("%w: an ACL of an unknown kind", protocol.ErrMalformed)

// unknownACL tells whether an element of an ACL, or of a filter for ACLs, is UNKNOWN.
func unknownACL(resource kmsg.ACLResourceType, pattern kmsg.ACLResourcePatternType, operation kmsg.ACLOperation, permission kmsg.ACLPermissionType) bool {
	return resource == kmsg.ACLResourceTypeUnknown || pattern == kmsg.ACLResourcePatternTypeUnknown ||
		operation == kmsg.ACLOperationUnknown || permission == kmsg.ACLPermissionTypeUnknown
}
