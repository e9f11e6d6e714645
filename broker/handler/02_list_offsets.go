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
)

// readCommitted is the isolation level of clients that see no transaction
// before it is committed; it is 0 for the others.
const readCommitted = 1

// handleListOffsets answers ListOffsets (API key 2). To those who read
// committed records the log ends at the last stable offset.
func handleListOffsets(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.ListOffsetsRequest)
	response := request.ResponseKind().(*kmsg.ListOffsetsResponse)
	seen := map[sessionKey]int{}
	for _, t := range request.Topics {
		for _, p := range t.Partitions {
			seen[sessionKey{name: t.Topic, partition: p.Partition}]++
		}
	}
	for _, t := range request.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			answer := kmsg.NewListOffsetsResponseTopicPartition()
			answer.Partition = p.Partition
			answer.Offset, answer.Timestamp, answer.LeaderEpoch = -1, -1, -1
			err := error(protocol.ErrInvalidRequest) // named twice
			if seen[sessionKey{name: t.Topic, partition: p.Partition}] == 1 {
				err = h.listOffset(r, request, t.Topic, &p, &answer)
			}
			answer.ErrorCode = protocol.CodeOf(err)
			topic.Partitions = append(topic.Partitions, answer)
		}
		response.Topics = append(response.Topics, topic)
	}
	return Answer{Response: response}
}

// listOffset fills one partition's answer.
func (h *Handler) listOffset(r *Request, request *kmsg.ListOffsetsRequest, topic string, in *kmsg.ListOffsetsRequestTopicPartition, out *kmsg.ListOffsetsResponseTopicPartition) error {
	if request.ReplicaID >= 0 {
		return protocol.ErrTopicAuthorizationFailed // followers are brokers; there are none
	}
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
	committed := request.IsolationLevel == readCommitted
	switch {
	case in.Timestamp == latestTimestamp:
		out.Offset, out.LeaderEpoch = offsets.HighWatermark, p.LeaderEpoch()
		if committed {
			out.Offset = offsets.LastStable
		}
	case in.Timestamp == earliestTimestamp, in.Timestamp == earliestLocal && r.Version >= 8:
		out.Offset = offsets.LogStart
		out.LeaderEpoch = p.LeaderEpoch()
		if epoch, end := p.EpochEndOffset(0); epoch >= 0 && offsets.LogStart < end {
			out.LeaderEpoch = epoch
		}
	case in.Timestamp == latestTieredTimestamp && r.Version >= 9:
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
// partition's (KIP-320).
func checkLeaderEpoch(p *partition.Partition, known int32) error {
	switch epoch := p.LeaderEpoch(); {
	case known < 0 || known == epoch:
		return nil
	case known < epoch:
		return protocol.ErrFencedLeaderEpoch
	}
	return protocol.ErrUnknownLeaderEpoch
}
