package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/protocol"
	"fluxmq/broker/telemetry"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// errNoTelemetry ends the connection of a client that asks what is not
// advertised: without an admin HTTP nobody could see its metrics.
var errNoTelemetry = fmt.Errorf("%w: client metrics are off, as fluxmq.admin.listener is empty", protocol.ErrUnsupportedVersion)

// handlePushTelemetry answers PushTelemetry (API key 72, KIP-714): the metrics
// that a client was asked for.
func handlePushTelemetry(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.PushTelemetryRequest)
	response := request.ResponseKind().(*kmsg.PushTelemetryResponse)
	if h.Telemetry == nil {
		return Answer{Err: errNoTelemetry}
	}
	err := h.Telemetry.Push(telemetry.Push{
		InstanceID: request.ClientInstanceID, SubscriptionID: request.SubscriptionID, Terminating: request.Terminating,
		Compression: request.CompressionType, Metrics: request.Metrics,
	}, telemetryClient(r))
	response.ErrorCode = protocol.CodeOf(err)
	return Answer{Response: response}
}
