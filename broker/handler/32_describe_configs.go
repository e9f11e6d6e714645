package handler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"fluxmq/broker/cluster"
	"fluxmq/broker/config"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDescribeConfigs answers DescribeConfigs (API key 32): every setting of
// a topic, a group, a client metrics subscription or this broker with its
// source, or those that are named; of loggers their levels. A resource of a type
// that Kafka does not have makes the whole request fail.
func handleDescribeConfigs(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DescribeConfigsRequest)
	response := request.ResponseKind().(*kmsg.DescribeConfigsResponse)
	image := h.Metadata.Image()
	unknown := unknownResourceType(request)
	for _, resource := range request.Resources {
		var entries []config.Entry
		var levels []kmsg.DescribeConfigsResponseResourceConfig
		err := unknown
		switch {
		case err != nil:
		case resource.ResourceType == kmsg.ConfigResourceTypeBrokerLogger:
			levels, err = h.describeLoggers(resource.ResourceName)
		default:
			entries, err = h.describeResource(image, resource.ResourceType, resource.ResourceName)
		}
		out := kmsg.DescribeConfigsResponseResource{
			ErrorCode: protocol.CodeOf(err), ErrorMessage: describedWords(err),
			ResourceType: resource.ResourceType, ResourceName: resource.ResourceName,
		}
		for _, e := range entries {
			if len(resource.ConfigNames) == 0 || slices.Contains(resource.ConfigNames, e.Setting.Name) {
				out.Configs = append(out.Configs, describedConfig(e, request))
			}
		}
		for _, l := range levels {
			if len(resource.ConfigNames) == 0 || slices.Contains(resource.ConfigNames, l.Name) {
				out.Configs = append(out.Configs, l)
			}
		}
		response.Resources = append(response.Resources, out)
	}
	return Answer{Response: response}
}

// unknownResourceType is the error of a request with a resource of a type that
// Kafka does not have.
func unknownResourceType(request *kmsg.DescribeConfigsRequest) error {
	for _, resource := range request.Resources {
		switch resource.ResourceType {
		case kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger,
			kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeGroupConfig:
		default:
			return fmt.Errorf("%w: resource %q has the type %d, which there is not", protocol.ErrInvalidRequest, resource.ResourceName, int8(resource.ResourceType))
		}
	}
	return nil
}

// describedWords is the message of a resource: empty where Kafka's is, for a
// success and for a topic that is not there.
func describedWords(err error) *string {
	if err == nil || errors.Is(err, protocol.ErrUnknownTopicOrPartition) {
		return new(string)
	}
	return errorWords(err)
}

func (h *Handler) describeResource(image *cluster.Image, kind kmsg.ConfigResourceType, name string) ([]config.Entry, error) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		t := image.Topics[name]
		if t == nil {
			return nil, whyMissing(name, nil)
		}
		return config.DescribeTopic(image.Settings, t.Overrides), nil
	case kmsg.ConfigResourceTypeBroker:
		every, err := h.brokerResource(name)
		if err != nil {
			return nil, err
		}
		if every {
			return config.DescribeEveryBroker(image.Settings), nil
		}
		return config.DescribeBroker(image.Settings), nil
	case kmsg.ConfigResourceTypeGroupConfig:
		if err := checkGroupResource(name); err != nil {
			return nil, err
		}
		var own map[string]string
		if g := image.Groups[name]; g != nil {
			own = g.Overrides
		}
		return config.DescribeGroup(image.Settings, own), nil
	case kmsg.ConfigResourceTypeClientMetrics:
		if err := checkSubscriptionName(name); err != nil {
			return nil, err
		}
		var own map[string]string
		if s := image.Subscriptions[name]; s != nil {
			own = s.Overrides
		}
		return config.DescribeClientMetrics(own), nil
	}
	return nil, unsupportedResource(kind)
}

// brokerResource tells whether a broker resource means every broker (an empty
// name) or this one (its id); any other is refused.
func (h *Handler) brokerResource(name string) (every bool, err error) {
	if name == "" {
		return true, nil
	}
	id, err := strconv.ParseInt(name, 10, 32)
	switch {
	case err != nil:
		return false, fmt.Errorf("%w: %q is not a node id", protocol.ErrInvalidRequest, name)
	case int32(id) != h.Config.NodeID:
		return false, fmt.Errorf("%w: this is node %d, not %d", protocol.ErrInvalidRequest, h.Config.NodeID, id)
	}
	return false, nil
}

// checkGroupResource refuses the one name that no group has. A group need not
// exist to have settings.
func checkGroupResource(name string) error {
	if name == "" {
		return fmt.Errorf("%w: a group has a name", protocol.ErrInvalidRequest)
	}
	return nil
}

// checkSubscriptionName refuses the one name that no client metrics
// subscription has. It need not exist to be described, by its defaults.
func checkSubscriptionName(name string) error {
	if name == "" {
		return fmt.Errorf("%w: a client metrics subscription has a name", protocol.ErrInvalidRequest)
	}
	return nil
}

func unsupportedResource(kind kmsg.ConfigResourceType) error {
	return fmt.Errorf("%w: there are no settings of resource type %s (%d)", protocol.ErrInvalidRequest, kind, int8(kind))
}

func describedConfig(e config.Entry, request *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	source := config.DefaultConfig // Kafka's is that of the first synonym
	if len(e.Chain) > 0 {
		source = e.Chain[0].Source
	}
	out := kmsg.DescribeConfigsResponseResourceConfig{
		Name: e.Setting.Name, Value: e.Value, ReadOnly: e.ReadOnly, IsSensitive: e.Setting.Sensitive(),
		IsDefault: source == config.DefaultConfig, Source: kmsg.ConfigSource(source), ConfigType: kmsg.ConfigType(e.Setting.Type),
	}
	if request.IncludeDocumentation {
		out.Documentation = &e.Setting.Doc
	}
	if request.IncludeSynonyms {
		for _, link := range e.Chain {
			out.ConfigSynonyms = append(out.ConfigSynonyms, kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{
				Name: link.Name, Value: link.Value, Source: kmsg.ConfigSource(link.Source),
			})
		}
	}
	return out
}
