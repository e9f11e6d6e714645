package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDeleteRecords answers DeleteRecords (API key 21, KIP-107): it moves the
// log start offset of partitions forward. Offset -1 is the high watermark. Of a
// partition that is named twice the last offset holds, as in Kafka's map.
func handleDeleteRecords(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DeleteRecordsRequest)
	response := request.ResponseKind().(*kmsg.DeleteRecordsResponse)
	image := h.Metadata.Image()
	for _, t := range mergeDeleteRecords(request.Topics) {
		out := kmsg.DeleteRecordsResponseTopic{Topic: t.Topic}
		err := mayDeleteRecords(image.Topics[t.Topic], t.Topic)
		for _, p := range t.Partitions {
			low, partitionErr := int64(-1), err
			if err == nil {
				low, partitionErr = h.deleteRecords(t.Topic, p.Partition, p.Offset)
			}
			out.Partitions = append(out.Partitions, kmsg.DeleteRecordsResponseTopicPartition{
				Partition: p.Partition, LowWatermark: low, ErrorCode: protocol.CodeOf(partitionErr),
			})
		}
		response.Topics = append(response.Topics, out)
	}
	return Answer{Response: response}
}

// mergeDeleteRecords leaves every topic once, without those of no partition,
// and every partition once, with the offset that came last.
func mergeDeleteRecords(topics []kmsg.DeleteRecordsRequestTopic) []kmsg.DeleteRecordsRequestTopic {
	var merged []kmsg.DeleteRecordsRequestTopic
	topicAt, partitionAt := map[string]int{}, map[sessionKey]int{}
	for _, t := range topics {
		for _, p := range t.Partitions {
			n, is := topicAt[t.Topic]
			if !is {
				n = len(merged)
				topicAt[t.Topic] = n
				merged = append(merged, kmsg.DeleteRecordsRequestTopic{Topic: t.Topic})
			}
			into, key := &merged[n], sessionKey{name: t.Topic, partition: p.Partition}
			if at, is := partitionAt[key]; is {
				into.Partitions[at].Offset = p.Offset
				continue
			}
			partitionAt[key] = len(into.Partitions)
			into.Partitions = append(into.Partitions, p)
		}
	}
	return merged
}

// mayDeleteRecords: not from the broker's own topics, and not where
// cleanup.policy does not delete.
func mayDeleteRecords(t *cluster.Topic, name string) error {
	switch {
	case t == nil:
		return fmt.Errorf("%w: topic %s does not exist", protocol.ErrUnknownTopicOrPartition, name)
	case t.Internal:
		return fmt.Errorf("%w: %s is the broker's own topic", protocol.ErrInvalidTopicException, name)
	case !t.Config.CleanupDelete:
		return fmt.Errorf("%w: cleanup.policy of topic %s does not delete", protocol.ErrPolicyViolation, name)
	}
	return nil
}

func (h *Handler) deleteRecords(topic string, index int32, before int64) (low int64, err error) {
	p := h.Partitions.Find([]byte(topic), index)
	if p == nil {
		return -1, protocol.ErrUnknownTopicOrPartition
	}
	if low, err = p.DeleteRecords(before); err != nil {
		return -1, err
	}
	return low, nil
}
