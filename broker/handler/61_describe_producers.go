package handler

import (
	"context"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDescribeProducers answers DescribeProducers (API key 61): the
// producers that a partition remembers, by which operators find a transaction
// that was left open.
func handleDescribeProducers(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DescribeProducersRequest)
	response := request.ResponseKind().(*kmsg.DescribeProducersResponse)
	for _, t := range request.Topics {
		topic := kmsg.NewDescribeProducersResponseTopic()
		topic.Topic = t.Topic
		refused := cluster.CheckTopicName(t.Topic)
		known := h.Metadata.Image().Topics[t.Topic] != nil
		for _, index := range t.Partitions {
			answer := kmsg.NewDescribeProducersResponseTopicPartition()
			answer.Partition = index
			err := refused
			if err == nil {
				answer.ActiveProducers, err = h.activeProducers(t.Topic, index)
			}
			if answer.ErrorCode = protocol.CodeOf(err); refused != nil || !known { // Kafka has no words for what is wrong of one partition
				answer.ErrorMessage = errorWords(err)
			}
			topic.Partitions = append(topic.Partitions, answer)
		}
		response.Topics = append(response.Topics, topic)
	}
	return Answer{Response: response}
}

func (h *Handler) activeProducers(topic string, index int32) ([]kmsg.DescribeProducersResponseTopicPartitionActiveProducer, error) {
	p := h.Partitions.Find([]byte(topic), index)
	if p == nil {
		return nil, protocol.ErrUnknownTopicOrPartition
	}
	known, err := p.Producers()
	if err != nil {
		return nil, err
	}
	active := make([]kmsg.DescribeProducersResponseTopicPartitionActiveProducer, len(known))
	for i, k := range known {
		active[i] = kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		active[i].ProducerID, active[i].ProducerEpoch = k.ID, int32(k.Epoch)
		active[i].LastSequence, active[i].LastTimestamp = k.LastSequence, k.LastTimestamp
		active[i].CoordinatorEpoch, active[i].CurrentTxnStartOffset = k.CoordinatorEpoch, k.TransactionStart
	}
	return active, nil
}
