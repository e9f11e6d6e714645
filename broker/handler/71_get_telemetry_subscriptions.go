package handler

import (
	"context"
	"strings"

	"fluxmq/broker/protocol"
	"fluxmq/broker/telemetry"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// telemetryCodecs are what clients may compress their metrics with, the best
// first: zstd, lz4, gzip, snappy.
var telemetryCodecs = []int8{4, 3, 1, 2}

// handleGetTelemetrySubscriptions answers GetTelemetrySubscriptions (API key
// 71, KIP-714): which metrics this client is to push, and how often.
func handleGetTelemetrySubscriptions(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.GetTelemetrySubscriptionsRequest)
	response := request.ResponseKind().(*kmsg.GetTelemetrySubscriptionsResponse)
	if h.Telemetry == nil {
		return Answer{Err: errNoTelemetry}
	}
	granted, err := h.Telemetry.Get(request.ClientInstanceID, telemetryClient(r))
	if err != nil {
		response.ErrorCode = protocol.CodeOf(err)
		return Answer{Response: response}
	}
	response.ClientInstanceID, response.SubscriptionID = granted.InstanceID, granted.SubscriptionID
	response.AcceptedCompressionTypes, response.DeltaTemporality = telemetryCodecs, true
	response.PushIntervalMillis, response.TelemetryMaxBytes = int32(granted.Interval.Milliseconds()), granted.MaxBytes
	response.RequestedMetrics = granted.Metrics
	return Answer{Response: response}
}

// telemetryClient is who asks, as subscriptions match it.
func telemetryClient(r *Request) telemetry.Client {
	c := telemetry.Client{
		SoftwareName: r.SoftwareName, SoftwareVersion: r.SoftwareVersion,
		Address: strings.TrimPrefix(r.Peer, "/"), Port: r.PeerPort, Connection: r.Connection,
	}
	if r.ClientID != nil {
		id := string(r.ClientID)
		c.ID = &id
	}
	return c
}
