package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of elections: to the first replica of a partition, or to any.
const (
	preferredElection int8 = 0
	uncleanElection   int8 = 1
)

// handleElectLeaders answers ElectLeaders (API key 43, KIP-460). A partition's
// one replica leads it already; where it is offline there is nobody to elect.
// Asked about all partitions (null), those that need no election are left out;
// their topics are not.
func handleElectLeaders(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.ElectLeadersRequest)
	response := request.ResponseKind().(*kmsg.ElectLeadersResponse)
	topics, all := request.Topics, request.Topics == nil
	if !all && len(topics) == 0 {
		return Answer{Response: response}
	}
	image, refused := h.Metadata.Image(), refuseElection(request)
	response.ErrorCode = protocol.CodeOf(refused)
	if all && refused == nil {
		topics = everyPartition(image)
	}
	for _, t := range topics {
		out := kmsg.ElectLeadersResponseTopic{Topic: t.Topic}
		for _, index := range t.Partitions {
			err := refused
			if err == nil {
				err = h.elect(image, t.Topic, index, request.ElectionType)
			}
			if code := protocol.CodeOf(err); !all || code != protocol.ErrElectionNotNeeded.Code {
				out.Partitions = append(out.Partitions, kmsg.ElectLeadersResponseTopicPartition{Partition: index, ErrorCode: code, ErrorMessage: ownWords(err)})
			}
		}
		response.Topics = append(response.Topics, out)
	}
	return Answer{Response: response}
}

// refuseElection tells what is wrong of the whole request. Who gives no time
// gets none: Kafka's controller does not begin what is late already.
func refuseElection(q *kmsg.ElectLeadersRequest) error {
	switch {
	case q.TimeoutMillis <= 0:
		return protocol.ErrRequestTimedOut
	case q.ElectionType != preferredElection && q.ElectionType != uncleanElection:
		return fmt.Errorf("%w: there is no election type %d", protocol.ErrInvalidRequest, q.ElectionType)
	}
	return nil
}

// everyPartition names all partitions of a cluster.
func everyPartition(image *cluster.Image) []kmsg.ElectLeadersRequestTopic {
	var topics []kmsg.ElectLeadersRequestTopic
	for _, name := range image.Names() {
		t := kmsg.ElectLeadersRequestTopic{Topic: name}
		for index := range image.Topics[name].Partitions {
			t.Partitions = append(t.Partitions, index)
		}
		topics = append(topics, t)
	}
	return topics
}

// elect tells why no leader is elected for a partition; there is always a reason.
func (h *Handler) elect(image *cluster.Image, topic string, index int32, kind int8) error {
	if err := cluster.CheckPartition(image, topic, index); err != nil {
		return err
	}
	switch {
	case h.leaderOf([]byte(topic), index).err == nil:
		return fmt.Errorf("%w: node %d leads %s-%d, its one replica", protocol.ErrElectionNotNeeded, h.Config.NodeID, topic, index)
	case kind == preferredElection:
		return fmt.Errorf("%w: the one replica of %s-%d is offline", protocol.ErrPreferredLeaderNotAvailable, topic, index)
	}
	return fmt.Errorf("%w: the one replica of %s-%d is offline", protocol.ErrEligibleLeadersNotAvailable, topic, index)
}
