package handler

import (
	"context"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"
	"fluxmq/broker/share"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describedOffset is one partition of a DescribeShareGroupOffsets that may have
// an offset: where it is in the response, and what will be told of it.
type describedOffset struct {
	topic, partition int // indexes in the group's response
	key              share.Key
	reply            *share.Reply[share.SummaryRead]
}

// handleDescribeShareGroupOffsets tells where share groups stand: in the
// partitions named, or in all that they have begun. Where nothing is known, also
// because the partition does not exist or its state cannot be read, the offset is
// -1, which is no error: Kafka takes it for the absence of data.
func handleDescribeShareGroupOffsets(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.DescribeShareGroupOffsetsRequest)
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrDescribeShareGroupOffsetsResponse()
		for i := range q.Groups {
			response.Groups = append(response.Groups, h.describeShareOffsets(ctx, &q.Groups[i]))
		}
		return response
	}}
}

func (h *Handler) describeShareOffsets(ctx context.Context, q *kmsg.DescribeShareGroupOffsetsRequestGroup) kmsg.DescribeShareGroupOffsetsResponseGroup {
	g := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
	g.GroupID = q.GroupID
	switch {
	case !h.servesShareGroups():
		g.ErrorCode = protocol.CodeOf(errNoShareGroups)
		return g
	case q.GroupID == "":
		g.ErrorCode = protocol.ErrInvalidGroupID.Code
		return g
	}
	asked := q.Topics
	if asked == nil {
		if asked, g.ErrorCode = h.begunPartitions(ctx, q.GroupID); g.ErrorCode != 0 {
			return g
		}
	}
	image := h.Metadata.Image()
	var waits []describedOffset
	for _, t := range asked {
		topic := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic()
		topic.Topic = t.Topic
		known := image.Topics[t.Topic]
		if known != nil {
			topic.TopicID = known.ID
		}
		for _, p := range t.Partitions {
			one := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
			one.Partition, one.StartOffset, one.LeaderEpoch, one.Lag = p, -1, 0, -1
			if known != nil && p >= 0 && p < known.Partitions {
				key := share.Key{Group: q.GroupID, Topic: known.ID, Partition: p}
				waits = append(waits, describedOffset{len(g.Topics), len(topic.Partitions), key, h.ShareState.Summary(ctx, key)})
			}
			topic.Partitions = append(topic.Partitions, one)
		}
		g.Topics = append(g.Topics, topic)
	}
	for _, w := range waits {
		h.fillShareOffset(ctx, w, &g.Topics[w.topic].Partitions[w.partition])
	}
	return g
}

// begunPartitions lists the partitions that a share group has a state of, or
// says why it cannot.
func (h *Handler) begunPartitions(ctx context.Context, group string) ([]kmsg.DescribeShareGroupOffsetsRequestGroupTopic, int16) {
	all := h.Groups.SharePartitions(ctx, group).Wait(ctx)
	var list []kmsg.DescribeShareGroupOffsetsRequestGroupTopic
	image := h.Metadata.Image()
	at := map[*cluster.Topic]int{}
	for _, p := range all.Partitions {
		topic := image.ByID[p.Topic]
		if topic == nil {
			continue // deleted a moment ago
		}
		i, known := at[topic]
		if !known {
			i = len(list)
			at[topic] = i
			one := kmsg.NewDescribeShareGroupOffsetsRequestGroupTopic()
			one.Topic = topic.Name
			list = append(list, one)
		}
		list[i].Partitions = append(list[i].Partitions, p.Partition)
	}
	return list, all.ErrorCode
}

// fillShareOffset tells of one partition: where the group begins next, and how
// many records from there on are not finished.
func (h *Handler) fillShareOffset(ctx context.Context, w describedOffset, one *kmsg.DescribeShareGroupOffsetsResponseGroupTopicPartition) {
	s := w.reply.Wait(ctx)
	if s.Err != nil {
		return
	}
	one.StartOffset, one.LeaderEpoch = s.Start, s.LeaderEpoch
	if p, _ := h.Partitions.FindByID(w.key.Topic, w.key.Partition); p != nil && s.Start >= 0 && s.Complete >= 0 {
		one.Lag = max(p.Offsets().HighWatermark-s.Start-int64(s.Complete), 0)
	}
}
