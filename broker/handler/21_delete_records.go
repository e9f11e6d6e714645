package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDeleteRecords answers DeleteRecords (API key 21, KIP-107): it moves the
// log start offset of partitions forward. Offset -1 is the high watermark.
func handleDeleteRecords(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DeleteRecordsRequest)
	response := request.ResponseKind().(*kmsg.DeleteRecordsResponse)
	image := h.Metadata.Image()
	for _, t := range request.Topics {
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
