package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDescribeUserScramCredentials answers DescribeUserScramCredentials (API
// key 50, KIP-554): no user has any, as nothing authenticates.
func handleDescribeUserScramCredentials(_ *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DescribeUserSCRAMCredentialsRequest)
	response := request.ResponseKind().(*kmsg.DescribeUserSCRAMCredentialsResponse)
	response.ErrorMessage = new(string) // none is not null
	times := map[string]int{}
	for _, user := range request.Users {
		times[user.Name]++
	}
	for _, user := range request.Users {
		n := times[user.Name]
		if n == 0 {
			continue // answered
		}
		times[user.Name] = 0
		err := fmt.Errorf("%w: user %s has no SCRAM credentials", protocol.ErrResourceNotFound, user.Name)
		if n > 1 {
			err = fmt.Errorf("%w: user %s is named %d times", protocol.ErrDuplicateResource, user.Name, n)
		}
		response.Results = append(response.Results, kmsg.DescribeUserSCRAMCredentialsResponseResult{
			User: user.Name, ErrorCode: protocol.CodeOf(err), ErrorMessage: errorWords(err),
		})
	}
	return Answer{Response: response}
}
