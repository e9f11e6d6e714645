package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleCreatePartitions answers CreatePartitions (API key 37). The count is
// of all partitions that the topic has afterwards. Before version 3 a client
// over its quota for partitions is not refused (KIP-599).
func handleCreatePartitions(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.CreatePartitionsRequest)
	response := request.ResponseKind().(*kmsg.CreatePartitionsResponse)
	times := map[string]int{}
	for _, t := range request.Topics {
		times[t.Topic]++
	}
	allowance := h.Quotas.Mutations(anonymous, r.ClientID, r.Version >= 3)
	created := int64(0)
	for n := range request.Topics {
		t := &request.Topics[n]
		err := h.createPartitions(t, times[t.Topic], &created, &allowance, request.ValidateOnly)
		if times[t.Topic] == 0 {
			continue // a duplicate that is answered already
		}
		times[t.Topic] = 0
		response.Topics = append(response.Topics, kmsg.CreatePartitionsResponseTopic{Topic: t.Topic, ErrorCode: protocol.CodeOf(err), ErrorMessage: ownWords(err)})
	}
	return Answer{Response: response, Throttle: allowance.Throttle()}
}

// createPartitions grows one topic. created counts what the request has made so far.
func (h *Handler) createPartitions(t *kmsg.CreatePartitionsRequestTopic, times int, created *int64, allowance *quota.Mutations, validateOnly bool) error {
	if times != 1 {
		return fmt.Errorf("%w: topic %s is given %d times", protocol.ErrInvalidRequest, t.Topic, times)
	}
	image := h.Metadata.Image()
	topic := image.Topics[t.Topic]
	if topic == nil {
		return protocol.ErrUnknownTopicOrPartition // whatever the name is like
	}
	added := int64(t.Count) - int64(topic.Partitions)
	if added > 0 && *created+added > cluster.MaxPartitionsPerRequest {
		return protocol.ErrUnknownServerError // Kafka's controller has no record left, and no words for it
	}
	if added > 0 && t.Assignment != nil {
		if int64(len(t.Assignment)) != added {
			return fmt.Errorf("%w: %d partitions are added, %d are assigned", protocol.ErrInvalidReplicaAssignment, added, len(t.Assignment))
		}
		byHand := map[int32][]int32{}
		for n, a := range t.Assignment {
			byHand[topic.Partitions+int32(n)] = a.Replicas
		}
		if err := cluster.CheckAssignment(image, byHand, topic.Partitions); err != nil {
			return err
		}
	}
	err := h.Metadata.CreatePartitions(t.Topic, t.Count, true)
	if err == nil {
		err = mutate(allowance, int32(added)) // what cannot be done anyway uses no quota
	}
	if err == nil && !validateOnly {
		err = h.Metadata.CreatePartitions(t.Topic, t.Count, false)
	}
	if err != nil {
		return err
	}
	*created += added
	return nil
}
