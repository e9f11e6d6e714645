package handler

import (
	"context"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleIncrementalAlterConfigs answers IncrementalAlterConfigs (API key 44,
// KIP-339): keys are set, deleted, appended to or subtracted from; the others
// stay as they are. Only settings that take effect can be altered; and the
// levels of loggers (KIP-412).
func handleIncrementalAlterConfigs(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.IncrementalAlterConfigsRequest)
	response := request.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	once := alteration{h: h, times: map[resourceName]int{}, validateOnly: request.ValidateOnly}
	for _, resource := range request.Resources {
		once.times[resourceName{resource.ResourceType, resource.ResourceName}]++
	}
	for _, resource := range request.Resources {
		var changes []cluster.ConfigChange
		for _, c := range resource.Configs {
			changes = append(changes, cluster.ConfigChange{Op: cluster.Operation(c.Op), Name: c.Name, Value: c.Value})
		}
		err := once.alter(resourceName{resource.ResourceType, resource.ResourceName}, changes)
		response.Resources = append(response.Resources, kmsg.IncrementalAlterConfigsResponseResource{
			ErrorCode: protocol.CodeOf(err), ErrorMessage: ownWords(err),
			ResourceType: resource.ResourceType, ResourceName: resource.ResourceName,
		})
	}
	return Answer{Response: response}
}
