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
//
// Before version 6 a client over its quota for partitions is not refused (KIP-599).
func handleCreateTopics(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.CreateTopicsRequest)
	response := request.ResponseKind().(*kmsg.CreateTopicsResponse)
	asked := map[string]int{}
	for _, t := range request.Topics {
		asked[t.Topic]++
	}
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
		if request.ValidateOnly {
			response.Topics[place].TopicID = [16]byte{}
		}
	}
	return Answer{Response: response, Throttle: allowance.Throttle()}
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
