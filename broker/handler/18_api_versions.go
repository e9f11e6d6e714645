package handler

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// addFeatures lists the features that are real here, and their levels; one at
// level 0 is not finalized. Clients that know the response only to version 3
// refuse a least level of 0, so such features are left out of those supported
// (KAFKA-17492).
func addFeatures(response *kmsg.ApiVersionsResponse, image *cluster.Image) {
	response.FinalizedFeaturesEpoch = image.FeaturesEpoch()
	response.SupportedFeatures, response.FinalizedFeatures = nil, nil
	for _, f := range cluster.SupportedFeatures() {
		if f.Min > 0 || response.Version >= 4 {
			response.SupportedFeatures = append(response.SupportedFeatures,
				kmsg.ApiVersionsResponseSupportedFeature{Name: f.Name, MinVersion: f.Min, MaxVersion: f.Max})
		}
		if level := image.FeatureLevel(f.Name); level > 0 {
			response.FinalizedFeatures = append(response.FinalizedFeatures,
				kmsg.ApiVersionsResponseFinalizedFeature{Name: f.Name, MaxVersionLevel: level, MinVersionLevel: level})
		}
	}
}

// advertisedAPIs are those that this node serves: without telemetry, all but
// the two of client metrics.
func (h *Handler) advertisedAPIs() []protocol.API {
	return slices.DeleteFunc(protocol.APIs(), func(a protocol.API) bool {
		return h.Telemetry == nil && (a.Key == protocol.KeyGetTelemetrySubscriptions || a.Key == protocol.KeyPushTelemetry)
	})
}

// versions are the bodies for the features as they are now, encoded anew when
// they changed.
func (h *Handler) versions() *apiVersions {
	known, image := h.apis.Load(), h.Metadata.Image()
	if known.features == image.Features {
		return known
	}
	known = newAPIVersions(h.advertisedAPIs(), image)
	h.apis.Store(known)
	return known
}

// apiVersions holds the bodies of the ApiVersions response, encoded once for
// the features' levels. Immutable.
type apiVersions struct {
	features  *cluster.FeatureLevels
	byVersion [][]byte // the answer to each version
	unknown   []byte   // version 0 with UNSUPPORTED_VERSION, to any other
	malformed [][]byte // INVALID_REQUEST by version
}

func newAPIVersions(apis []protocol.API, image *cluster.Image) *apiVersions {
	response := kmsg.NewPtrApiVersionsResponse()
	for _, api := range apis {
		key := kmsg.NewApiVersionsResponseApiKey()
		key.ApiKey, key.MinVersion, key.MaxVersion = api.Key, api.MinVersion, api.MaxVersion
		response.ApiKeys = append(response.ApiKeys, key)
	}
	a := &apiVersions{features: image.Features}
	for version := int16(0); protocol.Supported(protocol.KeyApiVersions, version); version++ {
		response.Version = version
		addFeatures(response, image)
		a.byVersion = append(a.byVersion, response.AppendTo(nil))
		malformed := kmsg.NewPtrApiVersionsResponse()
		malformed.Version, malformed.ErrorCode = version, protocol.ErrInvalidRequest.Code
		malformed.FinalizedFeaturesEpoch = -1
		a.malformed = append(a.malformed, malformed.AppendTo(nil))
	}
	// KIP-511: the client reads which versions of ApiVersions there are and asks again.
	unknown := kmsg.NewPtrApiVersionsResponse()
	unknown.ErrorCode = protocol.ErrUnsupportedVersion.Code
	for _, key := range response.ApiKeys {
		if key.ApiKey == protocol.KeyApiVersions {
			unknown.ApiKeys = append(unknown.ApiKeys, key)
		}
	}
	a.unknown = unknown.AppendTo(nil)
	return a
}

// throttledAPIVersions is one of the bodies with a throttle time in it.
func throttledAPIVersions(body []byte, version int16, throttle time.Duration) []byte {
	response := kmsg.NewPtrApiVersionsResponse()
	if protocol.Supported(protocol.KeyApiVersions, version) { // any other gets the body of version 0, which tells no time
		response.Version = version
	}
	if err := response.ReadFrom(body); err != nil {
		panic("handler: its own ApiVersions response: " + err.Error())
	}
	response.ThrottleMillis = throttleMs(throttle)
	return response.AppendTo(nil)
}

// software is what Kafka accepts as a client's software name and version.
var software = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

// apiVersions answers an ApiVersions request (API key 18), the only one whose
// unknown versions get an answer.
func (h *Handler) apiVersions(r *Request, out *Response) {
	begin, apis := time.Now(), h.versions()
	body := apis.unknown
	if int(r.Version) < len(apis.byVersion) {
		in, err := protocol.DecodeRequest(r.Key, r.Version, r.Body)
		if err != nil {
			out.Close = fmt.Errorf("ApiVersions: %w", err)
			return
		}
		request := in.(*kmsg.ApiVersionsRequest)
		body = apis.byVersion[r.Version]
		switch {
		case r.Version < 3:
		case software.MatchString(request.ClientSoftwareName) && software.MatchString(request.ClientSoftwareVersion):
			r.SoftwareName, r.SoftwareVersion = request.ClientSoftwareName, request.ClientSoftwareVersion
		default:
			body = apis.malformed[r.Version]
		}
	}
	if out.Mute = h.Quotas.ChargeTime(anonymous, r.ClientID, time.Since(begin)); out.Mute > 0 {
		body = throttledAPIVersions(body, r.Version, out.Mute)
	}
	start := out.begin()
	out.Bytes = protocol.AppendResponseHeader(out.Bytes, r.Key, r.Version, r.CorrelationID)
	out.Bytes = append(out.Bytes, body...)
	out.end(start, 0)
}
