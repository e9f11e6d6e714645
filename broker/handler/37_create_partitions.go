package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleCreatePartitions answers CreatePartitions (API key 37). The count is
// of all partitions that the topic has afterwards.
func handleCreatePartitions(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.CreatePartitionsRequest)
	response := request.ResponseKind().(*kmsg.CreatePartitionsResponse)
	times := map[string]int{}
	for _, t := range request.Topics {
		times[t.Topic]++
	}
	created := int64(0)
	for n := range request.Topics {
		t := &request.Topics[n]
		err := h.createPartitions(t, times[t.Topic], &created, request.ValidateOnly)
		if times[t.Topic] == 0 {
			continue // a duplicate that is answered already
		}
		times[t.Topic] = 0
		response.Topics = append(response.Topics, kmsg.CreatePartitionsResponseTopic{Topic: t.Topic, ErrorCode: protocol.CodeOf(err), ErrorMessage: errorWords(err)})
	}
	return Answer{Response: response}
}

// createPartitions grows one topic. created counts what the request has made so far.
func (h *Handler) createPartitions(t *kmsg.CreatePartitionsRequestTopic, times int, created *int64, validateOnly bool) error {
	if times != 1 {
		return fmt.Errorf("%w: topic %s is given %d times", protocol.ErrInvalidRequest, t.Topic, times)
	}
	image := h.Metadata.Image()
	topic := image.Topics[t.Topic]
	if topic == nil {
		return whyMissing(t.Topic, nil)
	}
	added := int64(t.Count) - int64(topic.Partitions)
	if added > 0 && *created+added > cluster.MaxPartitionsPerRequest {
		return fmt.Errorf("%w: more than %d partitions in one request", protocol.ErrPolicyViolation, cluster.MaxPartitionsPerRequest)
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
	if err := h.Metadata.CreatePartitions(t.Topic, t.Count, validateOnly); err != nil {
		return err
	}
	*created += added
	return nil
}
