package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/cluster"
	"fluxmq/broker/config"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleCreateTopics answers CreateTopics (API key 19). Topics are judged one
// by one and those that can be are created together; a topic's partitions
// exist when the reply is sent, so the request's timeout has nothing to bound.
// A request for too many partitions fails as a whole. With validateOnly the topic
// id is one that the topic would not have, as in Kafka.
//
// Before version 6 a client over its quota for partitions is not refused (KIP-599).
func handleCreateTopics(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.CreateTopicsRequest)
	response := request.ResponseKind().(*kmsg.CreateTopicsResponse)
	asked := map[string]int{}
	for _, t := range request.Topics {
		asked[t.Topic]++
	}
	tooMany := h.tooManyPartitions(request.Topics, asked)
	var news []cluster.NewTopic
	var places []int // of each of news in response.Topics
	for n := range request.Topics {
		t := &request.Topics[n]
		if asked[t.Topic] == 0 {
			continue // a duplicate that is answered already
		}
		new, err := newTopic(t)
		if asked[t.Topic] > 1 {
			err = fmt.Errorf("%w: topic %s is given %d times", protocol.ErrInvalidRequest, t.Topic, asked[t.Topic])
		}
		if tooMany != nil {
			err = tooMany
		}
		asked[t.Topic] = 0
		response.Topics = append(response.Topics, createdTopic(nil, t.Topic, nil, err))
		if err == nil {
			news = append(news, new)
			places = append(places, len(response.Topics)-1)
		}
	}
	allowance := h.Quotas.Mutations(anonymous, r.ClientID, r.Version >= 6)
	topics, errs := h.Metadata.AdmitTopics(news, request.ValidateOnly, func(t *cluster.Topic) error { return mutate(&allowance, t.Partitions) })
	for n, place := range places {
		response.Topics[place] = createdTopic(h.Metadata.Image().Settings, news[n].Name, topics[n], errs[n])
	}
	return Answer{Response: response, Throttle: allowance.Throttle()}
}

// tooManyPartitions is the error of a request that asks for more partitions
// than one may, those of topics that cannot be created for another reason included.
func (h *Handler) tooManyPartitions(topics []kmsg.CreateTopicsRequestTopic, times map[string]int) error {
	total := int64(0)
	for n := range topics {
		t := &topics[n]
		switch {
		case times[t.Topic] > 1:
		case len(t.ReplicaAssignment) > 0:
			total += int64(len(t.ReplicaAssignment))
		case t.NumPartitions == -1:
			total += int64(h.Config.NumPartitions)
		default:
			total += int64(max(t.NumPartitions, 0))
		}
	}
	if total > cluster.MaxPartitionsPerRequest {
		return fmt.Errorf("%w: %d partitions in one request; at most %d are created", protocol.ErrPolicyViolation, total, cluster.MaxPartitionsPerRequest)
	}
	return nil
}

// newTopic reads one topic of the request.
func newTopic(t *kmsg.CreateTopicsRequestTopic) (cluster.NewTopic, error) {
	new := cluster.NewTopic{Name: t.Topic, Partitions: t.NumPartitions, Replicas: t.ReplicationFactor}
	for _, c := range t.Configs {
		if c.Value == nil {
			return new, fmt.Errorf("%w: %s has no value", protocol.ErrInvalidConfig, c.Name)
		}
		if new.Configs == nil {
			new.Configs = map[string]string{}
		}
		new.Configs[c.Name] = *c.Value
	}
	for _, a := range t.ReplicaAssignment {
		if new.Assignment == nil {
			new.Assignment = map[int32][]int32{}
		}
		if _, twice := new.Assignment[a.Partition]; twice {
			return new, fmt.Errorf("%w: partition %d is assigned twice", protocol.ErrInvalidReplicaAssignment, a.Partition)
		}
		new.Assignment[a.Partition] = a.Replicas
	}
	return new, nil
}

// createdTopic is one topic's answer; the counts and settings are in it from version 5 on.
func createdTopic(settings *config.Node, name string, t *cluster.Topic, err error) kmsg.CreateTopicsResponseTopic {
	out := kmsg.CreateTopicsResponseTopic{
		Topic: name, ErrorCode: protocol.CodeOf(err), ErrorMessage: errorWords(err),
		NumPartitions: -1, ReplicationFactor: -1,
	}
	if t == nil {
		out.Configs = []kmsg.CreateTopicsResponseTopicConfig{} // empty, not null
		return out
	}
	out.TopicID, out.NumPartitions, out.ReplicationFactor = t.ID, t.Partitions, 1
	for _, e := range config.DescribeTopic(settings, t.Overrides) {
		out.Configs = append(out.Configs, kmsg.CreateTopicsResponseTopicConfig{
			Name: e.Setting.Name, Value: e.Value, ReadOnly: e.ReadOnly, Source: int8(e.Source), IsSensitive: e.Setting.Sensitive(),
		})
	}
	return out
}
