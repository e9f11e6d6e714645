package handler

import (
	"fmt"
	"regexp"
	"time"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// feature is one of Kafka's features (KIP-584) that clients look for, with the
// levels there are and the one that holds.
type feature struct {
	name                string
	min, max, finalized int16
}

// features are those that are real here, and no others. group.version 1 is the
// consumer group protocol of KIP-848; transaction.version 2 is KIP-890: every
// transaction has an epoch of its own, and producers need not add partitions.
var features = [...]feature{
	{"group.version", 0, 1, 1},
	{"transaction.version", 0, 2, 2},
}

// addFeatures lists the features. Clients that know the response only to
// version 3 refuse a least level of 0, so such features are left out of those
// supported (KAFKA-17492).
func addFeatures(response *kmsg.ApiVersionsResponse) {
	response.FinalizedFeaturesEpoch = 0
	response.SupportedFeatures, response.FinalizedFeatures = nil, nil
	for _, f := range features {
		if f.min > 0 || response.Version >= 4 {
			response.SupportedFeatures = append(response.SupportedFeatures,
				kmsg.ApiVersionsResponseSupportedFeature{Name: f.name, MinVersion: f.min, MaxVersion: f.max})
		}
		response.FinalizedFeatures = append(response.FinalizedFeatures,
			kmsg.ApiVersionsResponseFinalizedFeature{Name: f.name, MaxVersionLevel: f.finalized, MinVersionLevel: f.finalized})
	}
}

// apiVersions holds the bodies of the ApiVersions response, encoded once.
type apiVersions struct {
	byVersion [][]byte // the answer to each version
	unknown   []byte   // version 0 with UNSUPPORTED_VERSION, to any other
	malformed [][]byte // INVALID_REQUEST by version
}

func newAPIVersions(apis []protocol.API) apiVersions {
	response := kmsg.NewPtrApiVersionsResponse()
	for _, api := range apis {
		key := kmsg.NewApiVersionsResponseApiKey()
		key.ApiKey, key.MinVersion, key.MaxVersion = api.Key, api.MinVersion, api.MaxVersion
		response.ApiKeys = append(response.ApiKeys, key)
	}
	var a apiVersions
	for version := int16(0); protocol.Supported(protocol.KeyApiVersions, version); version++ {
		response.Version = version
		addFeatures(response)
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
	begin, body := time.Now(), h.apis.unknown
	if int(r.Version) < len(h.apis.byVersion) {
		in, err := protocol.DecodeRequest(r.Key, r.Version, r.Body)
		if err != nil {
			out.Close = fmt.Errorf("ApiVersions: %w", err)
			return
		}
		request := in.(*kmsg.ApiVersionsRequest)
		body = h.apis.byVersion[r.Version]
		if r.Version >= 3 && !(software.MatchString(request.ClientSoftwareName) && software.MatchString(request.ClientSoftwareVersion)) {
			body = h.apis.malformed[r.Version]
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
