package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Endpoint types of DescribeCluster (KIP-919).
const (
	endpointBroker     int8 = 1
	endpointController int8 = 2
)

// handleDescribeCluster answers DescribeCluster (API key 60): this node, which
// is its own controller. Controllers have no endpoint of their own here.
func handleDescribeCluster(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DescribeClusterRequest)
	response := request.ResponseKind().(*kmsg.DescribeClusterResponse)
	response.EndpointType, response.ControllerID = endpointBroker, -1
	response.ClusterAuthorizedOperations = notAsked
	if request.Version >= 1 && request.EndpointType != endpointBroker {
		err := fmt.Errorf("%w: endpoint type %d is not known", protocol.ErrUnsupportedEndpointType, request.EndpointType)
		if request.EndpointType == endpointController {
			err = fmt.Errorf("%w: this endpoint is a broker's", protocol.ErrMismatchedEndpointType)
		}
		response.ErrorCode, response.ErrorMessage = protocol.CodeOf(err), errorWords(err)
		return Answer{Response: response}
	}
	image := h.Metadata.Image()
	broker := h.advertised(image, r)
	response.ClusterID, response.ControllerID = image.ClusterID, broker.NodeID
	response.Brokers = []kmsg.DescribeClusterResponseBroker{{NodeID: broker.NodeID, Host: broker.Host, Port: broker.Port, Rack: rackOf(broker)}}
	response.ClusterAuthorizedOperations = operations(request.IncludeClusterAuthorizedOperations, clusterOperations)
	return Answer{Response: response}
}
