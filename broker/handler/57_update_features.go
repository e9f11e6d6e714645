package handler

import (
	"context"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// allFailed begins the answer to an update that fails: tools show it whole.
const allFailed = "No feature was updated, because of one: "

// handleUpdateFeatures answers UpdateFeatures (API key 57, KIP-584): all
// features are updated or none. Versions 0 and 1 name each that was.
func handleUpdateFeatures(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.UpdateFeaturesRequest)
	response := request.ResponseKind().(*kmsg.UpdateFeaturesResponse)
	updates := make([]cluster.FeatureUpdate, len(request.FeatureUpdates))
	for n, u := range request.FeatureUpdates {
		updates[n] = cluster.FeatureUpdate{Name: u.Feature, Level: u.MaxVersionLevel, Type: cluster.UpgradeType(u.UpgradeType)}
		if request.Version == 0 { // it knows only whether a downgrade is meant
			updates[n].Type = cluster.Upgrade
			if u.AllowDowngrade {
				updates[n].Type = cluster.SafeDowngrade
			}
		}
	}
	if err := h.Metadata.UpdateFeatures(updates, request.ValidateOnly); err != nil {
		text := allFailed + *errorWords(err)
		response.ErrorCode, response.ErrorMessage = protocol.CodeOf(err), &text
		return Answer{Response: response}
	}
	if request.Version < 2 {
		for _, u := range request.FeatureUpdates {
			response.Results = append(response.Results, kmsg.UpdateFeaturesResponseResult{Feature: u.Feature, ErrorMessage: kmsg.StringPtr("NONE")}) // Kafka's word for no error
		}
	}
	return Answer{Response: response}
}
