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
	repeated := repeatedDeletions(image, asked)
	allowance := h.Quotas.Mutations(anonymous, r.ClientID, r.Version >= 5)
	var ids [][16]byte
	var places []int // of each of ids in response.Topics
	for _, t := range asked {
		if repeated.answered(t) {
			continue
		}
		topic, err := h.topicToDelete(image, t, request.Version)
		if h.Config.DeleteTopics {
			if t, err = repeated.refuse(t, topic, err); err == nil && !topic.Internal { // an internal one is refused below
				err = mutate(&allowance, topic.Partitions)
			}
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

// deletionWord is how a request means a topic: by its name or by its id.
type deletionWord struct {
	byID bool
	name string
	id   [16]byte
}

// wordOf is the word of an entry; false for an entry that has none, or both.
func wordOf(t kmsg.DeleteTopicsRequestTopic) (deletionWord, bool) {
	byID := t.TopicID != [16]byte{}
	switch {
	case byID && t.Topic == nil:
		return deletionWord{byID: true, id: t.TopicID}, true
	case !byID && t.Topic != nil:
		return deletionWord{name: *t.Topic}, true
	}
	return deletionWord{}, false
}

// repetitions tells which topics a DeleteTopics request means more than once.
// Each of them is answered once, as in Kafka.
type repetitions struct {
	times map[deletionWord]int   // how often each word is given
	words map[*cluster.Topic]int // how many words that are given once mean a topic
	done  map[deletionWord]bool  // words that have their answer
}

func repeatedDeletions(image *cluster.Image, asked []kmsg.DeleteTopicsRequestTopic) repetitions {
	r := repetitions{map[deletionWord]int{}, map[*cluster.Topic]int{}, map[deletionWord]bool{}}
	for _, t := range asked {
		if word, is := wordOf(t); is {
			r.times[word]++
		}
	}
	for word, times := range r.times {
		topic := image.Topics[word.name]
		if word.byID {
			topic = image.ByID[word.id]
		}
		if topic != nil && times == 1 {
			r.words[topic]++
		}
	}
	return r
}

// answered tells whether an entry repeats one that was answered, and takes it
// for answered from now on.
func (r repetitions) answered(t kmsg.DeleteTopicsRequestTopic) bool {
	word, is := wordOf(t)
	if !is {
		return false
	}
	before := r.done[word]
	r.done[word] = true
	return before
}

// refuse turns an entry, the topic that it means and the error so far, if any,
// into what is answered of a topic that is meant more than once.
func (r repetitions) refuse(t kmsg.DeleteTopicsRequestTopic, topic *cluster.Topic, err error) (kmsg.DeleteTopicsRequestTopic, error) {
	word, is := wordOf(t)
	switch {
	case is && r.times[word] > 1:
		return t, fmt.Errorf("%w: the topic is given %d times", protocol.ErrInvalidRequest, r.times[word])
	case err == nil && r.words[topic] > 1:
		r.done[deletionWord{name: topic.Name}], r.done[deletionWord{byID: true, id: topic.ID}] = true, true
		t.Topic, t.TopicID = &topic.Name, topic.ID
		return t, fmt.Errorf("%w: topic %s is given by name and by id", protocol.ErrInvalidRequest, topic.Name)
	}
	return t, err
}

// topicToDelete finds the topic that one entry means.
func (h *Handler) topicToDelete(image *cluster.Image, t kmsg.DeleteTopicsRequestTopic, version int16) (*cluster.Topic, error) {
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
	return topic, nil
}
