package handler

import (
	"context"

	"fluxmq/broker/group"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleOffsetCommit refuses topics and partitions that do not exist here and
// commits the rest; the reply waits until the offsets are durable.
func handleOffsetCommit(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.OffsetCommitRequest)
	response := kmsg.NewPtrOffsetCommitResponse()
	commit := group.Commit{
		Group: q.Group, MemberID: q.MemberID, InstanceID: q.InstanceID, Generation: q.Generation,
		RetentionMs: q.RetentionTimeMillis, Version: r.Version,
	}
	var known [][2]int // where in response the code of each of commit.Offsets goes
	for _, t := range q.Topics {
		if len(t.Partitions) == 0 {
			continue
		}
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		name, refusal := h.commitTopic(r.Version, t)
		for j, p := range t.Partitions {
			rp := kmsg.NewOffsetCommitResponseTopicPartition()
			rp.Partition = p.Partition
			switch {
			case refusal != nil:
				rp.ErrorCode = refusal.Code
			case h.Partitions.Find([]byte(name), p.Partition) == nil:
				rp.ErrorCode = protocol.ErrUnknownTopicOrPartition.Code
			default:
				known = append(known, [2]int{len(response.Topics), j})
				commit.Offsets = append(commit.Offsets, commitOffset(name, t.TopicID, p))
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		response.Topics = append(response.Topics, rt)
	}
	if len(commit.Offsets) == 0 {
		return Answer{Response: response}
	}
	reply := h.Groups.Commit(ctx, commit)
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		for i, code := range reply.Wait(ctx) {
			at := known[i]
			response.Topics[at[0]].Partitions[at[1]].ErrorCode = code
		}
		return response
	}}
}

// commitTopic returns the name of a topic that version 10 names by id.
func (h *Handler) commitTopic(version int16, t kmsg.OffsetCommitRequestTopic) (string, *protocol.Error) {
	if version < 10 {
		return t.Topic, nil
	}
	name, known := h.Partitions.TopicName(t.TopicID)
	if !known {
		return "", protocol.ErrUnknownTopicID
	}
	return name, nil
}

func commitOffset(topic string, id [16]byte, p kmsg.OffsetCommitRequestTopicPartition) group.CommitOffset {
	o := group.CommitOffset{Topic: topic, TopicID: id, Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch}
	if p.Metadata != nil {
		o.Metadata = *p.Metadata
	}
	return o
}
