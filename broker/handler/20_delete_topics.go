package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDeleteTopics answers DeleteTopics (API key 20), by name and, from
// version 6 on, by id. Before version 5 a client over its quota for partitions
// is not refused (KIP-599).
func handleDeleteTopics(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DeleteTopicsRequest)
	response := request.ResponseKind().(*kmsg.DeleteTopicsResponse)
	asked := request.Topics
	if request.Version < 6 {
		asked = nil
		for _, name := range request.TopicNames {
			asked = append(asked, kmsg.DeleteTopicsRequestTopic{Topic: &name})
		}
	}
	image := h.Metadata.Image()
	times := timesAsked(image, asked)
	allowance := h.Quotas.Mutations(anonymous, r.ClientID, r.Version >= 5)
	var ids [][16]byte
	var places []int // of each of ids in response.Topics
	for _, t := range asked {
		topic, err := h.topicToDelete(image, t, times, request.Version)
		if err == nil && !topic.Internal { // an internal one is refused below
			err = mutate(&allowance, topic.Partitions)
		}
		out := kmsg.DeleteTopicsResponseTopic{Topic: t.Topic, TopicID: t.TopicID, ErrorCode: protocol.CodeOf(err), ErrorMessage: errorWords(err)}
		if err == nil {
			out.Topic, out.TopicID = &topic.Name, topic.ID
			ids = append(ids, topic.ID)
			places = append(places, len(response.Topics))
		}
		if out.Topic == nil && request.Version < 6 {
			out.Topic = new(string)
		}
		response.Topics = append(response.Topics, out)
	}
	for n, err := range h.Metadata.DeleteTopics(ids) {
		out := &response.Topics[places[n]]
		out.ErrorCode, out.ErrorMessage = protocol.CodeOf(err), errorWords(err)
	}
	return Answer{Response: response, Throttle: allowance.Throttle()}
}

// timesAsked counts how often a request means each topic, by whatever word.
func timesAsked(image *cluster.Image, asked []kmsg.DeleteTopicsRequestTopic) map[*cluster.Topic]int {
	times := map[*cluster.Topic]int{}
	for _, t := range asked {
		if t.Topic != nil {
			times[image.Topics[*t.Topic]]++
		}
		if t.TopicID != [16]byte{} {
			times[image.ByID[t.TopicID]]++
		}
	}
	return times
}

// topicToDelete finds the topic that one entry means.
func (h *Handler) topicToDelete(image *cluster.Image, t kmsg.DeleteTopicsRequestTopic, times map[*cluster.Topic]int, version int16) (*cluster.Topic, error) {
	byID := t.TopicID != [16]byte{}
	var topic *cluster.Topic
	switch {
	case !h.Config.DeleteTopics && version < 3:
		return nil, fmt.Errorf("%w: delete.topic.enable is false", protocol.ErrInvalidRequest)
	case !h.Config.DeleteTopics:
		return nil, fmt.Errorf("%w: delete.topic.enable is false", protocol.ErrTopicDeletionDisabled)
	case t.Topic == nil && !byID:
		return nil, fmt.Errorf("%w: neither a topic's name nor its id is given", protocol.ErrInvalidRequest)
	case t.Topic != nil && byID:
		return nil, fmt.Errorf("%w: a topic's name and its id are both given", protocol.ErrInvalidRequest)
	case byID:
		if topic = image.ByID[t.TopicID]; topic == nil {
			return nil, fmt.Errorf("%w: no topic has this id", protocol.ErrUnknownTopicID)
		}
	default:
		if topic = image.Topics[*t.Topic]; topic == nil {
			return nil, fmt.Errorf("%w: topic %s does not exist", protocol.ErrUnknownTopicOrPartition, *t.Topic)
		}
	}
	if times[topic] > 1 {
		return nil, fmt.Errorf("%w: topic %s is given %d times", protocol.ErrInvalidRequest, topic.Name, times[topic])
	}
	return topic, nil
}
