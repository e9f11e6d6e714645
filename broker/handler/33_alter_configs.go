package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleAlterConfigs answers AlterConfigs (API key 33): what is given replaces
// all that was set. Only settings that take effect can be altered.
func handleAlterConfigs(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.AlterConfigsRequest)
	response := request.ResponseKind().(*kmsg.AlterConfigsResponse)
	once := alteration{h: h, times: map[resourceName]int{}, replace: true, validateOnly: request.ValidateOnly}
	for _, resource := range request.Resources {
		once.times[resourceName{resource.ResourceType, resource.ResourceName}]++
	}
	for _, resource := range request.Resources {
		var changes []cluster.ConfigChange
		for _, c := range resource.Configs {
			changes = append(changes, cluster.ConfigChange{Op: cluster.OpSet, Name: c.Name, Value: c.Value})
		}
		err := once.alter(resourceName{resource.ResourceType, resource.ResourceName}, changes)
		response.Resources = append(response.Resources, kmsg.AlterConfigsResponseResource{
			ErrorCode: protocol.CodeOf(err), ErrorMessage: errorWords(err),
			ResourceType: resource.ResourceType, ResourceName: resource.ResourceName,
		})
	}
	return Answer{Response: response}
}

// resourceName is what an alteration is about.
type resourceName struct {
	kind kmsg.ConfigResourceType
	name string
}

// alteration is one AlterConfigs or IncrementalAlterConfigs request.
type alteration struct {
	h            *Handler
	times        map[resourceName]int // how often each resource is given
	replace      bool
	validateOnly bool
}

// alter alters one resource, wholly or not at all. Levels of loggers can be
// altered, and not replaced.
func (a alteration) alter(of resourceName, changes []cluster.ConfigChange) error {
	if a.times[of] > 1 {
		return fmt.Errorf("%w: %s %q is given %d times", protocol.ErrInvalidRequest, of.kind, of.name, a.times[of])
	}
	var resource cluster.ConfigResource
	switch of.kind {
	case kmsg.ConfigResourceTypeTopic:
		if of.name == "" {
			return fmt.Errorf("%w: a topic has a name", protocol.ErrInvalidRequest)
		}
		if err := cluster.CheckTopicName(of.name); err != nil {
			return err
		}
		resource.Topic = of.name
	case kmsg.ConfigResourceTypeBroker:
		var err error
		if resource.EveryNode, err = a.h.brokerResource(of.name); err != nil {
			return err
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		if err := checkGroupResource(of.name); err != nil {
			return err
		}
		resource.Group = of.name
	case kmsg.ConfigResourceTypeClientMetrics:
		if err := checkSubscriptionName(of.name); err != nil {
			return err
		}
		resource.Subscription = of.name
	case kmsg.ConfigResourceTypeBrokerLogger:
		if a.replace {
			return unsupportedResource(of.kind)
		}
		return a.h.alterLoggers(of.name, changes, a.validateOnly)
	default:
		return unsupportedResource(of.kind)
	}
	return a.h.Metadata.AlterConfigs(resource, changes, a.replace, a.validateOnly)
}
