package handler

import (
	"context"
	"errors"
	"slices"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleMetadata answers Metadata (API key 3): the node under the address of
// the listener that was asked, and topics by name, by id (v12) or all of them.
//
// A topic that does not exist is created when the request and
// auto.create.topics.enable allow it, and is in this same reply: Kafka creates
// behind its reply and lets the client ask again. Where one topic is asked for
// by id, those asked for by name are ignored, as in Kafka.
func handleMetadata(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.MetadataRequest)
	response := request.ResponseKind().(*kmsg.MetadataResponse)
	image := h.Metadata.Image()
	broker := h.advertised(image, r)
	response.Brokers = []kmsg.MetadataResponseBroker{{NodeID: broker.NodeID, Host: broker.Host, Port: broker.Port, Rack: rackOf(broker)}}
	response.ClusterID = &image.ClusterID
	response.ControllerID = broker.NodeID
	response.AuthorizedOperations = operations(request.IncludeClusterAuthorizedOperations, clusterOperations)
	if request.Topics == nil || request.Version == 0 && len(request.Topics) == 0 {
		for _, name := range image.Names() {
			response.Topics = append(response.Topics, h.topicMetadata(image.Topics[name], request))
		}
		return Answer{Response: response}
	}
	byID := slices.ContainsFunc(request.Topics, hasTopicID)
	if err := checkMetadataTopics(request, byID); err != nil {
		return Answer{Response: failedMetadata(request, err)}
	}
	if byID {
		request.Topics = slices.DeleteFunc(request.Topics, func(t kmsg.MetadataRequestTopic) bool { return !hasTopicID(t) })
	}
	failed := h.createAsked(image, request)
	image = h.Metadata.Image()
	h.describeAsked(image, request, failed, response)
	return Answer{Response: response}
}

// advertised is this node as clients of the request's listener reach it.
func (h *Handler) advertised(image *cluster.Image, r *Request) cluster.Broker {
	broker := image.Node
	if r.Listener >= 0 && r.Listener < len(h.Config.AdvertisedListeners) {
		l := h.Config.AdvertisedListeners[r.Listener]
		broker.Host, broker.Port = l.Host, int32(l.Port)
	}
	return broker
}

func rackOf(b cluster.Broker) *string {
	if b.Rack == "" {
		return nil
	}
	return &b.Rack
}

func hasTopicID(t kmsg.MetadataRequestTopic) bool { return t.TopicID != [16]byte{} }

// checkMetadataTopics: topic ids may be asked for from version 12 on, though
// version 10 has the field, and so may names be missing. Where no topic has an
// id Kafka fails inside at a name that is missing.
func checkMetadataTopics(request *kmsg.MetadataRequest, byID bool) *protocol.Error {
	for _, t := range request.Topics {
		switch {
		case request.Version < 12 && (t.Topic == nil || hasTopicID(t)):
			return protocol.ErrInvalidRequest
		case t.Topic == nil && !byID:
			return protocol.ErrUnknownServerError
		}
	}
	return nil
}

// failedMetadata is the reply to a request that fails as a whole: it tells
// nothing of the cluster. The error has a field of its own from version 13 on.
func failedMetadata(request *kmsg.MetadataRequest, err *protocol.Error) kmsg.Response {
	response := request.ResponseKind().(*kmsg.MetadataResponse)
	response.ErrorCode, response.ControllerID, response.AuthorizedOperations = err.Code, -1, notAsked
	for _, t := range request.Topics {
		if t.Topic == nil {
			t.Topic = new(string)
		}
		response.Topics = append(response.Topics, kmsg.MetadataResponseTopic{ErrorCode: err.Code, Topic: t.Topic, TopicID: t.TopicID, AuthorizedOperations: notAsked})
	}
	return response
}

// createAsked creates the topics that are asked for by name and do not exist,
// all in one command, and returns why one could not be.
func (h *Handler) createAsked(image *cluster.Image, request *kmsg.MetadataRequest) map[string]error {
	allowed := request.Version < 4 || request.AllowAutoTopicCreation
	if !allowed || !h.Config.AutoCreateTopics {
		return nil
	}
	var missing []cluster.NewTopic
	seen := map[string]bool{}
	for _, t := range request.Topics {
		if t.Topic == nil || t.TopicID != [16]byte{} || image.Topics[*t.Topic] != nil || seen[*t.Topic] {
			continue
		}
		seen[*t.Topic] = true
		switch name := *t.Topic; {
		case name == cluster.OffsetsTopic && h.Config.GroupsEnabled:
			missing = append(missing, cluster.NewOffsetsTopic(h.Config))
		case !cluster.Reserved(name):
			missing = append(missing, cluster.NewTopic{Name: name, Partitions: -1, Replicas: -1})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	failed := map[string]error{}
	_, errs := h.Metadata.CreateTopics(missing, false)
	for n, err := range errs {
		if err != nil && !errors.Is(err, protocol.ErrTopicAlreadyExists) { // another request was faster
			failed[missing[n].Name] = err
		}
	}
	return failed
}

// describeAsked fills in what was asked for, each topic once, in the order of the request.
func (h *Handler) describeAsked(image *cluster.Image, request *kmsg.MetadataRequest, failed map[string]error, response *kmsg.MetadataResponse) {
	type asked struct {
		name string
		id   [16]byte
	}
	seen := map[asked]bool{}
	for _, t := range request.Topics {
		var topic *cluster.Topic
		var err error
		key := asked{id: t.TopicID}
		if t.TopicID != [16]byte{} {
			t.Topic = nil // the id decides
			if topic = image.ByID[t.TopicID]; topic == nil {
				err = protocol.ErrUnknownTopicID
			}
		} else {
			key.name = *t.Topic
			if topic = image.Topics[*t.Topic]; topic == nil {
				err = whyMissing(*t.Topic, failed)
			}
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		if err != nil {
			response.Topics = append(response.Topics, noTopicMetadata(t.Topic, t.TopicID, err, request))
			continue
		}
		response.Topics = append(response.Topics, h.topicMetadata(topic, request))
	}
}

// whyMissing is the error of a topic that does not exist and was not created.
func whyMissing(name string, failed map[string]error) error {
	if err := failed[name]; err != nil {
		return err
	}
	if err := cluster.CheckTopicName(name); err != nil {
		return err
	}
	return protocol.ErrUnknownTopicOrPartition
}

func noTopicMetadata(name *string, id [16]byte, err error, request *kmsg.MetadataRequest) kmsg.MetadataResponseTopic {
	if name == nil && request.Version < 12 {
		name = new(string) // the field cannot be null yet
	}
	return kmsg.MetadataResponseTopic{
		ErrorCode: protocol.CodeOf(err), Topic: name, TopicID: id,
		IsInternal: name != nil && cluster.Reserved(*name), AuthorizedOperations: notAsked,
	}
}

func (h *Handler) topicMetadata(t *cluster.Topic, request *kmsg.MetadataRequest) kmsg.MetadataResponseTopic {
	out := kmsg.MetadataResponseTopic{
		Topic: &t.Name, TopicID: t.ID, IsInternal: t.Internal,
		Partitions:           make([]kmsg.MetadataResponseTopicPartition, t.Partitions),
		AuthorizedOperations: operations(request.IncludeTopicAuthorizedOperations, topicOperations),
	}
	node := []int32{h.Config.NodeID}
	name := []byte(t.Name)
	for index := range out.Partitions {
		p := &out.Partitions[index]
		leader := h.leaderOf(name, int32(index))
		p.ErrorCode, p.Partition, p.Leader, p.LeaderEpoch = protocol.CodeOf(leader.err), int32(index), leader.node, leader.epoch
		p.Replicas, p.ISR = node, node
		if leader.err != nil {
			p.OfflineReplicas = node
		}
	}
	return out
}

// leadership is who leads a partition.
type leadership struct {
	node, epoch int32 // -1 when there is none or it is not known
	err         error // LEADER_NOT_AVAILABLE while the one replica is offline
}

// leaderOf tells who leads a partition of a topic that exists.
func (h *Handler) leaderOf(topic []byte, index int32) leadership {
	p := h.Partitions.Find(topic, index)
	switch {
	case p == nil:
		return leadership{-1, -1, protocol.ErrLeaderNotAvailable}
	case p.Offline() != nil:
		return leadership{-1, p.LeaderEpoch(), protocol.ErrLeaderNotAvailable}
	}
	return leadership{h.Config.NodeID, p.LeaderEpoch(), nil}
}
