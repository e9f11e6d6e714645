package handler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/group"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// missingInternalTopics is the status of a streams group whose internal topics
// are not there (Kafka's StreamsGroupHeartbeatResponse.Status).
const missingInternalTopics int8 = 3

// servesStreamsGroups tells whether there are groups of Kafka Streams.
func (h *Handler) servesStreamsGroups() bool {
	return h.Metadata.Image().FeatureLevel(cluster.StreamsVersion) > 0
}

// handleStreamsGroupHeartbeat is all that a member of a streams group (KIP-1071)
// says and hears of its group. The internal topics that the application waits
// for are there when the reply is sent, which still says that they are missing:
// Kafka makes them behind its reply. Why one could not be made is in the reply.
func handleStreamsGroupHeartbeat(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.StreamsGroupHeartbeatRequest)
	refuse := func(err *protocol.Error, message string) Answer {
		response := kmsg.NewPtrStreamsGroupHeartbeatResponse()
		response.ErrorCode, response.Status = err.Code, []kmsg.StreamsGroupHeartbeatResponseStatus{}
		if message != "" {
			response.ErrorMessage = &message
		}
		return Answer{Response: response}
	}
	if !h.servesStreamsGroups() {
		return refuse(protocol.ErrUnsupportedVersion, "")
	}
	if why := refuseTopologyTopics(q.Topology); why != "" {
		return refuse(protocol.ErrStreamsInvalidTopology, why)
	}
	from := group.Client{ID: string(r.ClientID), Host: r.Peer}
	reply := h.Groups.StreamsHeartbeat(ctx, from, q)
	answer, is := reply.Now()
	if is && len(answer.Create) == 0 {
		return Answer{Response: answer.Response} // most heartbeats change nothing
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		if !is {
			answer = reply.Wait(ctx)
		}
		if len(answer.Create) == 0 {
			return answer.Response
		}
		backoff := 2 * time.Duration(answer.Response.HeartbeatIntervalMillis) * time.Millisecond
		if why := h.streamsTopics.create(h, r.ClientID, answer.Create, backoff, time.Now()); why != "" {
			for i := range answer.Response.Status {
				if s := &answer.Response.Status[i]; s.StatusCode == missingInternalTopics {
					s.StatusDetail += "; Creation failed: " + why + "."
				}
			}
		}
		return answer.Response
	}}
}

// refuseTopologyTopics says why topics of a topology cannot be, or may not be
// used; "": nothing is wrong with them.
func refuseTopologyTopics(t *kmsg.StreamsGroupHeartbeatRequestTopology) string {
	if t == nil {
		return ""
	}
	var reserved, invalid []string
	check := func(name string) {
		switch {
		case slices.Contains(reserved, name), slices.Contains(invalid, name):
		case name != cluster.MetadataTopic && cluster.Reserved(name):
			reserved = append(reserved, name)
		case cluster.CheckTopicName(name) != nil:
			if len(invalid) < 100 { // enough to tell
				invalid = append(invalid, name)
			}
		}
	}
	for _, p := range t.Subtopologies {
		for _, names := range [][]string{p.SourceTopics, p.RepartitionSinkTopics} {
			for _, name := range names {
				check(name)
			}
		}
		for _, topics := range [][]kmsg.TopicInfo{p.RepartitionSourceTopics, p.StateChangelogTopics} {
			for _, topic := range topics {
				check(topic.Topic)
			}
		}
	}
	switch {
	case len(reserved) > 0:
		return fmt.Sprintf("Use of Kafka internal topics %s in a Kafka Streams topology is prohibited.", strings.Join(reserved, ","))
	case len(invalid) > 0:
		return fmt.Sprintf("Topic names %s are not valid topic names.", strings.Join(invalid, ","))
	}
	return ""
}
