package group

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"fluxmq/broker/coordinator"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// checkStreamsHeartbeat refuses a StreamsGroupHeartbeat that no group could
// take, and reads its topology. What Kafka 4.3 does not support comes first.
func checkStreamsHeartbeat(from Client, in *kmsg.StreamsGroupHeartbeatRequest) (told *topology, no *refusal) {
	for _, check := range []func(*kmsg.StreamsGroupHeartbeatRequest) string{unsupportedInStreams, invalidInStreams} {
		if message := check(in); message != "" {
			return nil, &refusal{protocol.ErrInvalidRequest.Code, message}
		}
	}
	if slices.ContainsFunc(textsOf(from, in), func(text string) bool { return len(text) > maxIDBytes }) {
		return nil, &refusal{protocol.ErrInvalidRequest.Code, "A name is too long to be stored."}
	}
	if in.Topology != nil {
		return readTopology(in.Topology)
	}
	return nil, nil
}

// unsupportedInStreams names what Kafka 4.3 refuses to all groups; "": nothing.
func unsupportedInStreams(in *kmsg.StreamsGroupHeartbeatRequest) string {
	switch {
	case in.InstanceID != nil:
		return "Static membership is not yet supported."
	case in.TaskOffsets != nil:
		return "TaskOffsets are not supported yet."
	case in.TaskEndOffsets != nil:
		return "TaskEndOffsets are not supported yet."
	case len(in.WarmupTasks) > 0:
		return "WarmupTasks are not supported yet."
	}
	if t := in.Topology; t != nil && slices.ContainsFunc(t.Subtopologies, func(p kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) bool { return len(p.SourceTopicRegex) > 0 }) {
		return "Regular expressions for source topics are not supported yet."
	}
	return ""
}

// invalidInStreams says what is wrong with a request; "": nothing.
func invalidInStreams(in *kmsg.StreamsGroupHeartbeatRequest) string {
	blank := func(text string) bool { return strings.TrimSpace(text) == "" }
	empty := func(tasks []kmsg.TaskIDs) bool { return tasks != nil && len(tasks) == 0 }
	joining := in.MemberEpoch == joinEpoch
	switch {
	case blank(in.MemberID):
		return "MemberId can't be empty."
	case blank(in.Group):
		return "GroupId can't be empty."
	case in.RackID != nil && blank(*in.RackID):
		return "RackId can't be empty."
	case joining && in.RebalanceTimeoutMillis == -1:
		return "RebalanceTimeoutMs must be provided in first request."
	case joining && !empty(in.ActiveTasks):
		return "ActiveTasks must be empty when (re-)joining."
	case joining && !empty(in.StandbyTasks):
		return "StandbyTasks must be empty when (re-)joining."
	case joining && !empty(in.WarmupTasks):
		return "WarmupTasks must be empty when (re-)joining."
	case joining && in.Topology == nil:
		return "Topology must be non-null when (re-)joining."
	case in.MemberEpoch == leaveStaticEpoch:
		return "InstanceId can't be null."
	case in.MemberEpoch < leaveStaticEpoch:
		return fmt.Sprintf("MemberEpoch is %d, but must be greater than or equal to -2.", in.MemberEpoch)
	case (in.ActiveTasks == nil) != (in.StandbyTasks == nil) || (in.ActiveTasks == nil) != (in.WarmupTasks == nil):
		return "If one task-type is non-null, all must be non-null."
	case !joining && in.Topology != nil:
		return "Topology can only be provided when (re-)joining."
	}
	if len(in.ClientTags) > maxClientTags {
		return fmt.Sprintf("ClientTags has %d keys; at most %d may be.", len(in.ClientTags), maxClientTags)
	}
	for i, t := range in.ClientTags {
		if slices.ContainsFunc(in.ClientTags[:i], func(o kmsg.StreamsGroupHeartbeatRequestClientTag) bool { return o.Key == t.Key }) {
			return "ClientTags has a key more than once."
		}
	}
	return ""
}

// maxClientTags bounds what is stored of a member; Kafka Streams allows its users 5.
const maxClientTags = 100

// textsOf lists the names of a request that go into keys and values of records
// of which Kafka's tools read at most maxIDBytes each.
func textsOf(from Client, in *kmsg.StreamsGroupHeartbeatRequest) []string {
	texts := []string{in.Group, in.MemberID, from.ID}
	for _, text := range []*string{in.RackID, in.ProcessID} {
		if text != nil {
			texts = append(texts, *text)
		}
	}
	if in.UserEndpoint != nil {
		texts = append(texts, in.UserEndpoint.Host)
	}
	for _, t := range in.ClientTags {
		texts = append(texts, t.Key, t.Value)
	}
	if in.Topology != nil {
		for _, p := range in.Topology.Subtopologies {
			texts = append(texts, p.SubtopologyID)
		}
	}
	return texts
}

// StreamsHeartbeat is StreamsGroupHeartbeat. What it tells a member is durable.
func (c *Coordinator) StreamsHeartbeat(ctx context.Context, from Client, in *kmsg.StreamsGroupHeartbeatRequest) *Reply[StreamsAnswer] {
	refuseWith := func(code int16) StreamsAnswer { return streamsError(&refusal{code: code}) }
	told, no := checkStreamsHeartbeat(from, in)
	if no != nil {
		return coordinator.Answered(streamsError(no))
	}
	return ask(ctx, c, in.Group, refuseWith, func(s *shard, r *Reply[StreamsAnswer]) {
		g := s.groups[in.Group]
		if g == nil && in.MemberEpoch != joinEpoch {
			message := "Streams group %s not found."
			if in.MemberEpoch == leaveEpoch {
				message = "Group %s not found."
			}
			r.Give(s, streamsError(refuse(protocol.ErrGroupIDNotFound, message, in.Group)), false)
			return
		}
		g = s.groupOf(in.Group)
		var answer StreamsAnswer
		wrote := s.do(g, func(st *step) { answer = g.streamsHeartbeat(st, streamsHeartbeatInput{in, from, told}) })
		r.Give(s, answer, wrote || answer.Response.ActiveTasks != nil)
	})
}

// DescribeStreams describes one streams group (StreamsGroupDescribe); ErrorCode is
// GROUP_ID_NOT_FOUND for one that does not exist or is of another type.
func (c *Coordinator) DescribeStreams(ctx context.Context, group string) *Reply[kmsg.StreamsGroupDescribeResponseGroup] {
	refusedWith := func(no *refusal) kmsg.StreamsGroupDescribeResponseGroup {
		d := kmsg.NewStreamsGroupDescribeResponseGroup()
		if d.Group, d.ErrorCode = group, no.code; no.message != "" {
			d.ErrorMessage = &no.message
		}
		return d
	}
	refuseWith := func(code int16) kmsg.StreamsGroupDescribeResponseGroup { return refusedWith(&refusal{code: code}) }
	if code := checkGroup(group, false); code != 0 {
		return coordinator.Answered(refuseWith(code))
	}
	return ask(ctx, c, group, refuseWith, func(s *shard, r *Reply[kmsg.StreamsGroupDescribeResponseGroup]) {
		switch g := s.groups[group]; {
		case g == nil:
			r.Give(s, refusedWith(refuse(protocol.ErrGroupIDNotFound, "Group %s not found.", group)), false)
		case g.streams == nil:
			r.Give(s, refusedWith(notStreams(group)), false)
		default:
			r.Give(s, g.describeStreams(), false)
		}
	})
}
