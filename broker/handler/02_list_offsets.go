package handler

import (
	"context"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Timestamps with a meaning of their own in ListOffsets.
const (
	latestTimestamp       = -1
	earliestTimestamp     = -2
	maxTimestamp          = -3 // KIP-734
	earliestLocal         = -4 // KIP-405: without tiered storage the same as earliest
	latestTieredTimestamp = -5 // KIP-1005: nothing is tiered
	earliestPendingUpload = -6 // KIP-1023: nothing is to be tiered
)

// consumerReplica is the replica id of who is no replica.
const consumerReplica = -1

// readCommitted is the isolation level of clients that see no transaction
// before it is committed; it is 0 for the others.
const readCommitted = 1

// handleListOffsets answers ListOffsets (API key 2). To those who read
// committed records the log ends at the last stable offset. A partition that is
// asked for twice is answered once, with INVALID_REQUEST, as in Kafka.
func handleListOffsets(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.ListOffsetsRequest)
	response := request.ResponseKind().(*kmsg.ListOffsetsResponse)
	if !isolationKnown(request.IsolationLevel) {
		response.Topics = unknownOffsets(request)
		return Answer{Response: response}
	}
	times := map[sessionKey]int{}
	for _, t := range request.Topics {
		for _, p := range t.Partitions {
			times[sessionKey{name: t.Topic, partition: p.Partition}]++
		}
	}
	places := map[string]int{} // of topics in the response
	for _, t := range request.Topics {
		for _, p := range t.Partitions {
			key := sessionKey{name: t.Topic, partition: p.Partition}
			asked := times[key]
			if times[key] = 0; asked == 0 {
				continue // answered already
			}
			answer := unknownOffset(p.Partition)
			err := error(protocol.ErrInvalidRequest) // named twice
			if asked == 1 {
				err = h.listOffset(r, request, t.Topic, &p, &answer)
			}
			answer.ErrorCode = protocol.CodeOf(err)
			place, is := places[t.Topic]
			if !is {
				place = len(response.Topics)
				places[t.Topic] = place
				topic := kmsg.NewListOffsetsResponseTopic()
				topic.Topic = t.Topic
				response.Topics = append(response.Topics, topic)
			}
			response.Topics[place].Partitions = append(response.Topics[place].Partitions, answer)
		}
	}
	return Answer{Response: response}
}

// unknownOffset is the answer for a partition of which nothing is known yet.
func unknownOffset(index int32) kmsg.ListOffsetsResponseTopicPartition {
	answer := kmsg.NewListOffsetsResponseTopicPartition()
	answer.Partition, answer.Offset, answer.Timestamp, answer.LeaderEpoch = index, -1, -1, -1
	return answer
}

// unknownOffsets answers a request of an isolation level that is not there:
// Kafka fails inside.
func unknownOffsets(request *kmsg.ListOffsetsRequest) []kmsg.ListOffsetsResponseTopic {
	var topics []kmsg.ListOffsetsResponseTopic
	for _, t := range request.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			answer := unknownOffset(p.Partition)
			answer.ErrorCode = protocol.ErrUnknownServerError.Code
			topic.Partitions = append(topic.Partitions, answer)
		}
		topics = append(topics, topic)
	}
	return topics
}

// listOffset fills one partition's answer.
func (h *Handler) listOffset(r *Request, request *kmsg.ListOffsetsRequest, topic string, in *kmsg.ListOffsetsRequestTopicPartition, out *kmsg.ListOffsetsResponseTopicPartition) error {
	p := h.Partitions.Find([]byte(topic), in.Partition)
	if p == nil {
		return protocol.ErrUnknownTopicOrPartition
	}
	if err := p.Offline(); err != nil {
		return err
	}
	if err := checkLeaderEpoch(p, in.CurrentLeaderEpoch); err != nil {
		return err
	}
	offsets := p.Offsets()
	committed := request.IsolationLevel == readCommitted && request.ReplicaID == consumerReplica
	switch {
	case in.Timestamp == latestTimestamp:
		out.Offset, out.LeaderEpoch = offsets.HighWatermark, p.LeaderEpoch()
		switch {
		case request.ReplicaID != consumerReplica:
			out.Offset = offsets.LogEnd // to a replica, or one who says so
		case committed:
			out.Offset = offsets.LastStable
		}
	case in.Timestamp == earliestTimestamp, in.Timestamp == earliestLocal && r.Version >= 8:
		out.Offset = offsets.LogStart
		out.LeaderEpoch = p.LeaderEpoch()
		if epoch, end := p.EpochEndOffset(0); epoch >= 0 && offsets.LogStart < end {
			out.LeaderEpoch = epoch
		}
	case in.Timestamp == latestTieredTimestamp && r.Version >= 9, in.Timestamp == earliestPendingUpload && r.Version >= 11:
		out.Offset = -1
	case in.Timestamp == maxTimestamp && r.Version >= 7:
		return fillOffset(out)(p.MaxTimestamp(committed))
	case in.Timestamp < 0:
		return protocol.ErrUnsupportedVersion
	default:
		return fillOffset(out)(p.OffsetForTimestamp(in.Timestamp, committed))
	}
	return nil
}

// fillOffset takes the four results of a look-up by timestamp.
func fillOffset(out *kmsg.ListOffsetsResponseTopicPartition) func(offset, timestamp int64, epoch int32, err error) error {
	return func(offset, timestamp int64, epoch int32, err error) error {
		if err == nil && offset >= 0 {
			out.Offset, out.Timestamp, out.LeaderEpoch = offset, timestamp, epoch
		}
		return err
	}
}

// checkLeaderEpoch compares the epoch a client knows, -1 for none, with the
// partition's (KIP-320). Any other negative one is fenced.
func checkLeaderEpoch(p *partition.Partition, known int32) error {
	switch epoch := p.LeaderEpoch(); {
	case known == -1 || known == epoch:
		return nil
	case known < epoch:
		return protocol.ErrFencedLeaderEpoch
	}
	return protocol.ErrUnknownLeaderEpoch
}
