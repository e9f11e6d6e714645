package group

import (
	"context"
	"slices"
	"strings"

	"fluxmq/broker/coordinator"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// memberIDVersion is the first version of ConsumerGroupHeartbeat in which the
// client makes the member id (KIP-1082).
const memberIDVersion = 1

// checkHeartbeat refuses a ConsumerGroupHeartbeat that no group could take.
func (c *Coordinator) checkHeartbeat(from Client, in *kmsg.ConsumerGroupHeartbeatRequest) *refusal {
	invalid := func(message string) *refusal { return &refusal{protocol.ErrInvalidRequest.Code, message} }
	blank := func(text *string) bool { return text != nil && strings.TrimSpace(*text) == "" }
	switch {
	case (in.Version >= memberIDVersion || in.MemberEpoch > 0 || in.MemberEpoch == leaveEpoch) && blank(&in.MemberID):
		return invalid("MemberId can't be empty.")
	case blank(&in.Group):
		return invalid("GroupId can't be empty.")
	case blank(in.InstanceID):
		return invalid("InstanceId can't be empty.")
	case blank(in.RackID):
		return invalid("RackId can't be empty.")
	case in.MemberEpoch < leaveStaticEpoch:
		return invalid("MemberEpoch is invalid.")
	case in.MemberEpoch == leaveStaticEpoch && in.InstanceID == nil:
		return invalid("InstanceId can't be null.")
	}
	if in.MemberEpoch == joinEpoch {
		switch {
		case in.RebalanceTimeoutMillis == -1:
			return invalid("RebalanceTimeoutMs must be provided in first request.")
		case in.Topics == nil || len(in.Topics) > 0:
			return invalid("TopicPartitions must be empty when (re-)joining.")
		case in.SubscribedTopicNames == nil && in.SubscribedTopicRegex == nil:
			return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
		}
	}
	if enabled := c.settings.consumer.assignors; in.ServerAssignor != nil && !slices.Contains(enabled, *in.ServerAssignor) {
		return refuse(protocol.ErrUnsupportedAssignor, "ServerAssignor %s is not supported. Supported assignors: %s.", *in.ServerAssignor, strings.Join(enabled, ", "))
	}
	texts := append([]string{in.Group, in.MemberID, from.ID}, in.SubscribedTopicNames...)
	for _, text := range []*string{in.InstanceID, in.RackID, in.SubscribedTopicRegex} {
		if text != nil {
			texts = append(texts, *text)
		}
	}
	if slices.ContainsFunc(texts, func(text string) bool { return len(text) > maxIDBytes }) {
		return invalid("A name is too long to be stored.")
	}
	return nil
}

// ConsumerHeartbeat is ConsumerGroupHeartbeat. What it tells a member is durable.
func (c *Coordinator) ConsumerHeartbeat(ctx context.Context, from Client, in *kmsg.ConsumerGroupHeartbeatRequest) *Reply[*kmsg.ConsumerGroupHeartbeatResponse] {
	refuseWith := func(code int16) *kmsg.ConsumerGroupHeartbeatResponse { return heartbeatError(&refusal{code: code}) }
	if no := c.checkHeartbeat(from, in); no != nil {
		return coordinator.Answered(heartbeatError(no))
	}
	return ask(ctx, c, in.Group, refuseWith, func(s *shard, r *Reply[*kmsg.ConsumerGroupHeartbeatResponse]) {
		g := s.groups[in.Group]
		if g == nil && in.MemberEpoch != joinEpoch {
			r.Give(s, heartbeatError(refuse(protocol.ErrGroupIDNotFound, "There is no consumer group %s.", in.Group)), false)
			return
		}
		g = s.groupOf(in.Group)
		freshID := ""
		if in.MemberID == "" {
			freshID = s.config.newID()
		}
		var response *kmsg.ConsumerGroupHeartbeatResponse
		wrote := s.do(g, func(st *step) { response = g.consumerHeartbeat(st, heartbeatInput{in, from, freshID}) })
		r.Give(s, response, wrote || response.Assignment != nil)
	})
}

// DescribeConsumer describes one consumer group (ConsumerGroupDescribe);
// ErrorCode is GROUP_ID_NOT_FOUND for one that does not exist or is classic.
func (c *Coordinator) DescribeConsumer(ctx context.Context, group string) *Reply[kmsg.ConsumerGroupDescribeResponseGroup] {
	refuseWith := func(code int16) kmsg.ConsumerGroupDescribeResponseGroup {
		d := kmsg.NewConsumerGroupDescribeResponseGroup()
		d.Group, d.ErrorCode = group, code
		return d
	}
	if code := checkGroup(group, false); code != 0 {
		return coordinator.Answered(refuseWith(code))
	}
	return ask(ctx, c, group, refuseWith, func(s *shard, r *Reply[kmsg.ConsumerGroupDescribeResponseGroup]) {
		g := s.groups[group]
		switch {
		case g == nil:
			r.Give(s, notConsumer(group, "There is no group "+group+"."), false)
		case g.consumer == nil:
			r.Give(s, notConsumer(group, "Group "+group+" is not a consumer group."), false)
		default:
			r.Give(s, g.describeConsumer(s.config.topics()), false)
		}
	})
}

func notConsumer(group, message string) kmsg.ConsumerGroupDescribeResponseGroup {
	d := kmsg.NewConsumerGroupDescribeResponseGroup()
	d.Group, d.ErrorCode, d.ErrorMessage = group, protocol.ErrGroupIDNotFound.Code, &message
	return d
}
