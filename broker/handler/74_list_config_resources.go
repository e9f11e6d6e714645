package handler

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// listedResources are the types of resources that have settings, in the order
// in which they are listed, Kafka's. Version 0 knew the client metrics only.
var listedResources = []kmsg.ConfigResourceType{
	kmsg.ConfigResourceTypeGroupConfig, kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeBrokerLogger,
	kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeTopic,
}

// handleListConfigResources answers ListConfigResources (API key 74, KIP-1142):
// the names of the resources of the types asked for, of all types when none
// is named. Groups and subscriptions are those that have settings.
func handleListConfigResources(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.ListConfigResourcesRequest)
	response := request.ResponseKind().(*kmsg.ListConfigResourcesResponse)
	supported := listedResources
	if request.Version == 0 {
		supported = []kmsg.ConfigResourceType{kmsg.ConfigResourceTypeClientMetrics}
	}
	for _, kind := range request.ResourceTypes {
		if !slices.Contains(supported, kmsg.ConfigResourceType(kind)) {
			response.ErrorCode = protocol.ErrUnsupportedVersion.Code
			return Answer{Response: response}
		}
	}
	image := h.Metadata.Image()
	for _, kind := range supported {
		if len(request.ResourceTypes) > 0 && !slices.Contains(request.ResourceTypes, int8(kind)) {
			continue
		}
		for _, name := range resourceNames(image, kind) {
			response.ConfigResources = append(response.ConfigResources, kmsg.ListConfigResourcesResponseConfigResource{Name: name, Type: int8(kind)})
		}
	}
	return Answer{Response: response}
}

// resourceNames are the resources of a type, in order.
func resourceNames(image *cluster.Image, kind kmsg.ConfigResourceType) []string {
	switch kind {
	case kmsg.ConfigResourceTypeGroupConfig:
		return slices.Sorted(maps.Keys(image.Groups))
	case kmsg.ConfigResourceTypeClientMetrics:
		return slices.Sorted(maps.Keys(image.Subscriptions))
	case kmsg.ConfigResourceTypeTopic:
		return image.Names()
	}
	return []string{strconv.Itoa(int(image.Node.NodeID))}
}
