package group

import (
	"context"
	"slices"
	"strings"

	"fluxmq/broker/coordinator"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// MaxShareMemberID is the longest member id of a share group, in bytes: that of
// a UUID as text, as in Kafka.
const MaxShareMemberID = 36

// checkShareHeartbeat refuses a ShareGroupHeartbeat that no group could take.
func checkShareHeartbeat(from Client, in *kmsg.ShareGroupHeartbeatRequest) *refusal {
	invalid := func(message string) *refusal { return &refusal{protocol.ErrInvalidRequest.Code, message} }
	blank := func(text string) bool { return strings.TrimSpace(text) == "" }
	switch {
	case in.MemberID == "", len(in.MemberID) > MaxShareMemberID:
		return invalid("") // Kafka refuses it before the group coordinator, without a word
	case blank(in.MemberID):
		return invalid("MemberId can't be empty.")
	case blank(in.GroupID):
		return invalid("GroupId can't be empty.")
	case in.RackID != nil && blank(*in.RackID):
		return invalid("RackId can't be empty.")
	case in.MemberEpoch == joinEpoch && len(in.SubscribedTopicNames) == 0:
		return invalid("SubscribedTopicNames must be set in first request.")
	case in.MemberEpoch < leaveEpoch:
		return invalid("MemberEpoch is invalid.")
	}
	texts := append([]string{in.GroupID, in.MemberID, from.ID}, in.SubscribedTopicNames...)
	if in.RackID != nil {
		texts = append(texts, *in.RackID)
	}
	if slices.ContainsFunc(texts, func(text string) bool { return len(text) > maxIDBytes }) {
		return invalid("A name is too long to be stored.")
	}
	return nil
}

// ShareHeartbeat is ShareGroupHeartbeat. What it tells a member is durable.
func (c *Coordinator) ShareHeartbeat(ctx context.Context, from Client, in *kmsg.ShareGroupHeartbeatRequest) *Reply[*kmsg.ShareGroupHeartbeatResponse] {
	refuseWith := func(code int16) *kmsg.ShareGroupHeartbeatResponse { return shareHeartbeatError(&refusal{code: code}) }
	if no := checkShareHeartbeat(from, in); no != nil {
		return coordinator.Answered(shareHeartbeatError(no))
	}
	return ask(ctx, c, in.GroupID, refuseWith, func(s *shard, r *Reply[*kmsg.ShareGroupHeartbeatResponse]) {
		g := s.groups[in.GroupID]
		if g == nil && in.MemberEpoch != joinEpoch {
			r.Give(s, shareHeartbeatError(noShareGroup(in.GroupID)), false)
			return
		}
		g = s.groupOf(in.GroupID)
		var response *kmsg.ShareGroupHeartbeatResponse
		wrote := s.do(g, func(st *step) { response = g.shareHeartbeat(st, shareHeartbeatInput{in, from}) })
		r.Give(s, response, wrote || response.Assignment != nil)
	})
}

// words is what a response says that has words for every error.
func (no *refusal) words() *string {
	text := no.message
	switch {
	case text != "":
	case no.code == protocol.ErrInvalidGroupID.Code:
		text = "The group id is empty or too long."
	default:
		text = "The group coordinator cannot take the request now."
	}
	return &text
}

func noShareGroup(groupID string) *refusal {
	return refuse(protocol.ErrGroupIDNotFound, "Group %s not found.", groupID)
}

// shareGroupOf finds a share group, or says why there is none.
func (s *shard) shareGroupOf(id string) (*group, *refusal) {
	switch g := s.groups[id]; {
	case g == nil:
		return nil, noShareGroup(id)
	case g.share == nil:
		return nil, notShare(id)
	default:
		return g, nil
	}
}

// refuseMembers refuses what may only be done to a share group without members.
func (g *group) refuseMembers() *refusal {
	if !g.vacant() {
		return refuse(protocol.ErrNonEmptyGroup, "Group %s is not empty.", g.id)
	}
	return nil
}

// DescribeShare describes one share group (ShareGroupDescribe); ErrorCode is
// GROUP_ID_NOT_FOUND for one that does not exist or is of another type.
func (c *Coordinator) DescribeShare(ctx context.Context, group string) *Reply[kmsg.ShareGroupDescribeResponseGroup] {
	refusedWith := func(no *refusal) kmsg.ShareGroupDescribeResponseGroup {
		d := kmsg.NewShareGroupDescribeResponseGroup()
		if d.GroupID, d.ErrorCode = group, no.code; no.message != "" {
			d.ErrorMessage = &no.message
		}
		return d
	}
	refuseWith := func(code int16) kmsg.ShareGroupDescribeResponseGroup { return refusedWith(&refusal{code: code}) }
	if code := checkGroup(group, false); code != 0 {
		return coordinator.Answered(refuseWith(code))
	}
	return ask(ctx, c, group, refuseWith, func(s *shard, r *Reply[kmsg.ShareGroupDescribeResponseGroup]) {
		g, no := s.shareGroupOf(group)
		if no != nil {
			r.Give(s, refusedWith(no), false)
			return
		}
		r.Give(s, g.describeShare(s.config.topics()), false)
	})
}

// SharePartitions is what Coordinator.SharePartitions answers.
type SharePartitions struct {
	ErrorCode  int16
	Partitions []SharePartition
}

// SharePartitions lists the partitions that a share group has a state of; none
// for a group that does not exist. The code is GROUP_ID_NOT_FOUND for one of
// another type.
func (c *Coordinator) SharePartitions(ctx context.Context, group string) *Reply[SharePartitions] {
	refuseWith := func(code int16) SharePartitions { return SharePartitions{ErrorCode: code} }
	if code := checkGroup(group, false); code != 0 {
		return coordinator.Answered(refuseWith(code))
	}
	return ask(ctx, c, group, refuseWith, func(s *shard, r *Reply[SharePartitions]) {
		switch g := s.groups[group]; {
		case g == nil:
			r.Give(s, SharePartitions{}, false)
		case g.share == nil:
			r.Give(s, refuseWith(protocol.ErrGroupIDNotFound.Code), false)
		default:
			r.Give(s, SharePartitions{Partitions: shareList(g.share.states.initialized)}, false)
		}
	})
}

// shareList lists what one of the maps holds, by topic id and partition.
func shareList(of map[[16]byte]shareTopic) []SharePartition {
	var list []SharePartition
	for _, id := range sortedTopics(of) {
		for _, p := range of[id].partitions {
			list = append(list, SharePartition{Topic: id, Name: of[id].name, Partition: p, Start: -1})
		}
	}
	return list
}

// sharePlan is what the first of the two steps of an admin's request decides:
// the states are changed between them, by another room.
type sharePlan struct {
	no         *refusal
	epoch      int32
	partitions []SharePartition
	topics     [][16]byte // that were found
}

func refusedPlan(code int16) sharePlan { return sharePlan{no: &refusal{code: code}} }

// plan does the first step in the shard.
func (c *Coordinator) plan(ctx context.Context, group string, decide func(s *shard) (sharePlan, bool)) sharePlan {
	if c.shareState == nil {
		return refusedPlan(protocol.ErrCoordinatorNotAvailable.Code)
	}
	return ask(ctx, c, group, refusedPlan, func(s *shard, r *Reply[sharePlan]) {
		p, wrote := decide(s)
		r.Give(s, p, wrote)
	}).Wait(ctx)
}

// conclude does the second step, if the group is still there; the code tells
// whether that is durable.
func (c *Coordinator) conclude(ctx context.Context, group string, end func(*group, *step)) int16 {
	return ask(ctx, c, group, itself, func(s *shard, r *Reply[int16]) {
		wrote := false
		if g := s.groups[group]; g != nil && g.share != nil {
			wrote = s.do(g, func(st *step) { end(g, st) })
		}
		r.Give(s, 0, wrote)
	}).Wait(ctx)
}

// AlterShareOffsets is AlterShareGroupOffsets: a share group without members,
// made if it is not there, begins in partitions where it is told to. It waits.
func (c *Coordinator) AlterShareOffsets(ctx context.Context, in *kmsg.AlterShareGroupOffsetsRequest) *kmsg.AlterShareGroupOffsetsResponse {
	response := kmsg.NewPtrAlterShareGroupOffsetsResponse()
	refused := func(no *refusal) *kmsg.AlterShareGroupOffsetsResponse {
		response.ErrorCode, response.ErrorMessage, response.Topics = no.code, no.words(), nil
		return response
	}
	if code := checkGroup(in.GroupID, false); code != 0 {
		return refused(&refusal{code: code})
	}
	topics := c.settings.topics()
	var wanted []SharePartition
	type place struct{ topic, partition int }
	var places []place // of each of wanted in the response
	for _, t := range in.Topics {
		topic := kmsg.NewAlterShareGroupOffsetsResponseTopic()
		known, exists := topics.Named(t.Topic)
		topic.Topic, topic.TopicID = t.Topic, known.ID
		for _, p := range t.Partitions {
			one := kmsg.NewAlterShareGroupOffsetsResponseTopicPartition()
			one.Partition = p.Partition
			switch {
			case !exists || p.Partition < 0 || p.Partition >= known.Partitions:
				tell(&one.ErrorCode, &one.ErrorMessage, protocol.ErrUnknownTopicOrPartition, "This server does not host this topic-partition.")
			case p.StartOffset < -1:
				tell(&one.ErrorCode, &one.ErrorMessage, protocol.ErrInvalidRequest, "The start offset is negative.")
			default:
				wanted = append(wanted, SharePartition{Topic: known.ID, Name: known.Name, Partition: p.Partition, Start: p.StartOffset})
				places = append(places, place{len(response.Topics), len(topic.Partitions)})
			}
			topic.Partitions = append(topic.Partitions, one)
		}
		response.Topics = append(response.Topics, topic)
	}
	plan := c.plan(ctx, in.GroupID, func(s *shard) (p sharePlan, wrote bool) {
		g := s.groupOf(in.GroupID)
		wrote = s.do(g, func(st *step) { p = g.alterShare(st, wanted) })
		return p, wrote
	})
	if plan.no != nil {
		return refused(plan.no)
	}
	if len(wanted) == 0 {
		return response
	}
	errs := c.shareState.Initialize(ctx, in.GroupID, plan.epoch, wanted)
	code := c.conclude(ctx, in.GroupID, func(g *group, st *step) { g.shareInitialized(st, wanted, errs) })
	for i, at := range places {
		one := &response.Topics[at.topic].Partitions[at.partition]
		if one.ErrorCode = code; errs[i] != nil {
			message := errs[i].Error()
			one.ErrorCode, one.ErrorMessage = protocol.CodeOf(errs[i]), &message
		}
	}
	return response
}

func tell(code *int16, message **string, err *protocol.Error, text string) {
	*code, *message = err.Code, &text
}

// alterShare begins to change where the group begins.
func (g *group) alterShare(s *step, wanted []SharePartition) sharePlan {
	c, no := g.asShare(true)
	if no == nil && g.share != nil {
		no = g.refuseMembers()
	}
	if no != nil {
		return sharePlan{no: no}
	}
	if len(wanted) == 0 {
		return sharePlan{}
	}
	g.share = c
	g.storeShareEpoch(s, c.epoch+1, c.hash) // what was read at the states before is fenced
	g.storeShareTargetEpoch(s, c.epoch, c.assignedAtMs)
	g.beginShare(s, wanted)
	return sharePlan{epoch: c.epoch}
}

// DeleteShareOffsets is DeleteShareGroupOffsets: a share group without members
// forgets topics. It waits.
func (c *Coordinator) DeleteShareOffsets(ctx context.Context, in *kmsg.DeleteShareGroupOffsetsRequest) *kmsg.DeleteShareGroupOffsetsResponse {
	response := kmsg.NewPtrDeleteShareGroupOffsetsResponse()
	refused := func(no *refusal) *kmsg.DeleteShareGroupOffsetsResponse {
		response.ErrorCode, response.ErrorMessage = no.code, no.words()
		return response
	}
	if code := checkGroup(in.GroupID, false); code != 0 {
		return refused(&refusal{code: code})
	}
	topics := c.settings.topics()
	wanted := map[[16]byte]bool{}
	for _, t := range in.Topics {
		if known, exists := topics.Named(t.Topic); exists {
			wanted[known.ID] = true
		}
	}
	plan := c.plan(ctx, in.GroupID, func(s *shard) (sharePlan, bool) {
		return s.planDeletion(in.GroupID, func(id [16]byte) bool { return wanted[id] })
	})
	if plan.no != nil {
		return refused(plan.no)
	}
	failed, code := c.deleteStates(ctx, in.GroupID, plan)
	var others []kmsg.DeleteShareGroupOffsetsResponseTopic
	for _, t := range in.Topics {
		one := kmsg.NewDeleteShareGroupOffsetsResponseTopic()
		known, exists := topics.Named(t.Topic)
		one.Topic, one.TopicID = t.Topic, known.ID
		switch err := failed[known.ID]; {
		case !exists:
			tell(&one.ErrorCode, &one.ErrorMessage, protocol.ErrUnknownTopicOrPartition, "This server does not host this topic-partition.")
		case !slices.Contains(plan.topics, known.ID):
			tell(&one.ErrorCode, &one.ErrorMessage, protocol.ErrUnknownTopicOrPartition, "There is no offset information to delete.")
		case err != nil:
			message := err.Error()
			one.ErrorCode, one.ErrorMessage = protocol.CodeOf(err), &message
		default:
			if one.ErrorCode = code; code == 0 {
				response.Topics = append(response.Topics, one)
				continue
			}
		}
		others = append(others, one)
	}
	response.Topics = append(response.Topics, others...)
	return response
}

// DeleteShareState forgets the states of a share group that is about to be
// deleted: first of the two steps of DeleteGroups, and nothing to do for a group
// of another type. It waits. The code says why the group cannot be deleted.
func (c *Coordinator) DeleteShareState(ctx context.Context, group string) int16 {
	if code := checkGroup(group, true); code != 0 || c.shareState == nil {
		return code
	}
	plan := c.plan(ctx, group, func(s *shard) (sharePlan, bool) {
		if g := s.groups[group]; g == nil || g.share == nil {
			return sharePlan{}, false
		}
		return s.planDeletion(group, func([16]byte) bool { return true })
	})
	if plan.no != nil {
		return plan.no.code
	}
	failed, code := c.deleteStates(ctx, group, plan)
	for _, err := range failed {
		return protocol.CodeOf(err)
	}
	return code
}

// planDeletion notes that the states of some topics are being deleted.
func (s *shard) planDeletion(id string, wanted func(topic [16]byte) bool) (p sharePlan, wrote bool) {
	g, no := s.shareGroupOf(id)
	if no == nil {
		no = g.refuseMembers()
	}
	if no != nil {
		return sharePlan{no: no}, false
	}
	wrote = s.do(g, func(st *step) { p = g.forgetShare(st, wanted) })
	return p, wrote
}

// forgetShare takes topics out of the group's states. What a deletion before
// did not bring to its end is deleted again.
func (g *group) forgetShare(s *step, wanted func(topic [16]byte) bool) sharePlan {
	c := g.share
	states := c.states.clone()
	found := map[[16]byte]string{}
	indexes := map[[16]byte][]int32{}
	for _, of := range []map[[16]byte]shareTopic{states.initializing, states.initialized} {
		for id, t := range of {
			if wanted(id) {
				found[id], indexes[id] = t.name, with(indexes[id], t.partitions)
				delete(of, id)
			}
		}
	}
	for id, name := range states.deleting {
		if t, exists := s.topics.WithID(id); exists && wanted(id) {
			found[id] = name
			var all []int32
			for p := range t.Partitions {
				all = append(all, p)
			}
			indexes[id] = with(indexes[id], all)
		}
	}
	var p sharePlan
	for _, id := range sortedTopics(found) {
		states.deleting[id], c.begunMs[id] = found[id], s.nowMs
		p.topics = append(p.topics, id)
		for _, index := range indexes[id] {
			p.partitions = append(p.partitions, SharePartition{Topic: id, Name: found[id], Partition: index, Start: -1})
		}
	}
	if len(found) > 0 {
		g.storeShareStates(s, states)
	}
	return p
}

// deleteStates deletes the states of a plan, and returns an error for each
// topic where one could not be. The code is that of the second step.
func (c *Coordinator) deleteStates(ctx context.Context, id string, plan sharePlan) (failed map[[16]byte]error, code int16) {
	failed = map[[16]byte]error{}
	if len(plan.partitions) == 0 {
		return failed, 0
	}
	for i, err := range c.shareState.Delete(ctx, id, plan.partitions) {
		if err != nil && protocol.CodeOf(err) != protocol.ErrUnknownTopicOrPartition.Code { // the topic went, and they with it
			failed[plan.partitions[i].Topic] = err
		}
	}
	code = c.conclude(ctx, id, func(g *group, st *step) {
		states := g.share.states.clone()
		for _, id := range plan.topics {
			if failed[id] == nil {
				delete(states.deleting, id)
			}
		}
		g.storeShareStates(st, states)
	})
	return failed, code
}
