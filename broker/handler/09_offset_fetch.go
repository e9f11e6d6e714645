package handler

import (
	"context"

	"fluxmq/broker/group"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleOffsetFetch reads committed offsets of one group (to version 7) or
// several. From version 7 on the client may ask for stable ones (KIP-447): an
// offset that an open transaction has committed too is then an error.
func handleOffsetFetch(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer {
	q := in.(*kmsg.OffsetFetchRequest)
	groups := q.Groups
	if r.Version < 8 {
		groups = []kmsg.OffsetFetchRequestGroup{oneGroup(q)}
	}
	replies := make([]*group.Reply[group.Fetched], len(groups))
	for i, g := range groups {
		replies[i] = h.Groups.Fetch(ctx, g.Group, g.MemberID, g.MemberEpoch, h.fetchTopics(r.Version, g.Topics), q.RequireStable)
	}
	return Answer{Wait: func(ctx context.Context) kmsg.Response {
		response := kmsg.NewPtrOffsetFetchResponse()
		for i, g := range groups {
			response.Groups = append(response.Groups, h.fetchedGroup(r.Version, g, replies[i].Wait(ctx)))
		}
		if r.Version < 8 {
			flatten(r.Version, response, groups[0])
		}
		return response
	}}
}

// oneGroup gives a request to version 7 the form of later ones.
func oneGroup(q *kmsg.OffsetFetchRequest) kmsg.OffsetFetchRequestGroup {
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = q.Group
	if q.Topics != nil {
		g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for _, t := range q.Topics {
		gt := kmsg.NewOffsetFetchRequestGroupTopic()
		gt.Topic, gt.Partitions = t.Topic, t.Partitions
		g.Topics = append(g.Topics, gt)
	}
	return g
}

// fetchTopics names the topics; null asks for all. Ids that are not known are left out.
func (h *Handler) fetchTopics(version int16, in []kmsg.OffsetFetchRequestGroupTopic) []group.FetchTopic {
	if in == nil {
		return nil
	}
	topics := []group.FetchTopic{}
	for _, t := range in {
		name := t.Topic
		if version >= 10 {
			known := false
			if name, known = h.Partitions.TopicName(t.TopicID); !known {
				continue
			}
		}
		topics = append(topics, group.FetchTopic{Topic: name, Partitions: t.Partitions})
	}
	return topics
}

// fetchedGroup is one group of a response; its topics come in the order of the request.
func (h *Handler) fetchedGroup(version int16, in kmsg.OffsetFetchRequestGroup, f group.Fetched) kmsg.OffsetFetchResponseGroup {
	out := kmsg.NewOffsetFetchResponseGroup()
	out.Group, out.ErrorCode = in.Group, f.ErrorCode
	if f.ErrorCode != 0 {
		return out
	}
	for rest := f.Offsets; len(rest) > 0; {
		topic := rest[0].Topic
		t := kmsg.NewOffsetFetchResponseGroupTopic()
		t.Topic = topic
		known := true
		if version >= 10 {
			t.TopicID, known = h.Partitions.TopicID([]byte(topic))
		}
		for len(rest) > 0 && rest[0].Topic == topic {
			p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = rest[0].Partition, rest[0].Offset, rest[0].LeaderEpoch, &rest[0].Metadata
			p.ErrorCode = rest[0].ErrorCode
			t.Partitions = append(t.Partitions, p)
			rest = rest[1:]
		}
		if known { // a topic deleted since has no id any more
			out.Topics = append(out.Topics, t)
		}
	}
	if version >= 10 {
		for _, t := range in.Topics {
			if _, known := h.Partitions.TopicName(t.TopicID); !known {
				out.Topics = append(out.Topics, unknownTopicID(t))
			}
		}
	}
	return out
}

func unknownTopicID(t kmsg.OffsetFetchRequestGroupTopic) kmsg.OffsetFetchResponseGroupTopic {
	out := kmsg.NewOffsetFetchResponseGroupTopic()
	out.TopicID = t.TopicID
	for _, p := range t.Partitions {
		out.Partitions = append(out.Partitions, noOffset(p, protocol.ErrUnknownTopicID.Code))
	}
	return out
}

func noOffset(partition int32, code int16) kmsg.OffsetFetchResponseGroupTopicPartition {
	p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	p.Partition, p.Offset, p.ErrorCode, p.Metadata = partition, -1, code, kmsg.StringPtr("")
	return p
}

// flatten gives the one group of a response the form of versions to 7. Before
// version 2 a group's error is told at every partition.
func flatten(version int16, response *kmsg.OffsetFetchResponse, in kmsg.OffsetFetchRequestGroup) {
	g := response.Groups[0]
	response.ErrorCode = g.ErrorCode
	topics := g.Topics
	if version < 2 && g.ErrorCode != 0 {
		for _, t := range in.Topics {
			gt := kmsg.NewOffsetFetchResponseGroupTopic()
			gt.Topic = t.Topic
			for _, p := range t.Partitions {
				gt.Partitions = append(gt.Partitions, noOffset(p, g.ErrorCode))
			}
			topics = append(topics, gt)
		}
	}
	for _, t := range topics {
		rt := kmsg.NewOffsetFetchResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetFetchResponseTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata, rp.ErrorCode = p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode
			rt.Partitions = append(rt.Partitions, rp)
		}
		response.Topics = append(response.Topics, rt)
	}
}
