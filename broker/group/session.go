package group

import (
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// heartbeat keeps a member's session and tells it to join again when a rebalance is prepared.
func (g *group) heartbeat(s *step, in *kmsg.HeartbeatRequest) int16 {
	if g.consumer != nil {
		return g.heartbeatConsumer(s, in)
	}
	m, code := g.judgeHeartbeat(in)
	if m != nil {
		g.touch(s, m)
	}
	return code
}

// judgeHeartbeat judges the heartbeat of a classic group's member and returns whose
// session it keeps, nil for nobody's. Nothing is changed.
func (g *group) judgeHeartbeat(in *kmsg.HeartbeatRequest) (*member, int16) {
	if g.state == dead {
		return nil, protocol.ErrCoordinatorNotAvailable.Code
	}
	m, code := g.validate(in.MemberID, in.InstanceID)
	if code != 0 {
		return nil, code
	}
	if in.Generation != g.generation {
		return nil, protocol.ErrIllegalGeneration.Code
	}
	switch g.state {
	case preparingRebalance:
		return m, protocol.ErrRebalanceInProgress.Code
	case completingRebalance, stable:
		return m, 0
	default:
		return nil, protocol.ErrUnknownMemberID.Code
	}
}

// leave removes the named members and answers one code for each.
func (g *group) leave(s *step, in []kmsg.LeaveGroupRequestMember) []kmsg.LeaveGroupResponseMember {
	if g.consumer != nil {
		return g.leaveByName(s, in)
	}
	out := make([]kmsg.LeaveGroupResponseMember, 0, len(in))
	left := false
	for _, l := range in {
		r := kmsg.NewLeaveGroupResponseMember()
		r.MemberID, r.InstanceID = l.MemberID, l.InstanceID
		r.ErrorCode = g.leaveOne(s, l)
		left = left || r.ErrorCode == 0
		out = append(out, r)
	}
	if !left {
		return out
	}
	switch g.state {
	case stable, completingRebalance:
		g.prepare(s)
	case preparingRebalance:
		g.maybeComplete(s)
	}
	return out
}

func (g *group) leaveOne(s *step, l kmsg.LeaveGroupRequestMember) int16 {
	if l.MemberID == "" {
		// An admin removes a static member by its instance id alone.
		if l.InstanceID == nil {
			return protocol.ErrUnknownMemberID.Code
		}
		id, known := g.instances[*l.InstanceID]
		if !known {
			return protocol.ErrUnknownMemberID.Code
		}
		g.remove(s, g.members[id], protocol.ErrUnknownMemberID.Code)
		return 0
	}
	if g.isPending(l.MemberID) {
		g.dropPending(s, l.MemberID)
		return 0
	}
	m, code := g.validate(l.MemberID, l.InstanceID)
	if code != 0 {
		return code
	}
	g.remove(s, m, protocol.ErrUnknownMemberID.Code)
	return 0
}

// sessionExpired removes a member that was not heard of, or forgets a member
// id that was handed out and not used.
func (g *group) sessionExpired(s *step, memberID string) {
	if g.isPending(memberID) {
		delete(g.pending, memberID)
		g.maybeComplete(s)
		return
	}
	m := g.members[memberID]
	if m == nil || m.sessionKept() {
		return
	}
	g.remove(s, m, protocol.ErrUnknownMemberID.Code)
	switch g.state {
	case stable, completingRebalance:
		g.prepare(s)
	case preparingRebalance:
		g.maybeComplete(s)
	}
}

// describe is a classic group as DescribeGroups shows it. Bytes of members are shown
// only while they mean something: when the group is Stable.
func (g *group) describe() kmsg.DescribeGroupsResponseGroup {
	d := kmsg.NewDescribeGroupsResponseGroup()
	d.Group, d.State, d.ProtocolType = g.id, g.state.String(), g.protocolType
	if g.state == stable {
		d.Protocol = g.protocol
	}
	d.Members = make([]kmsg.DescribeGroupsResponseGroupMember, 0, len(g.members))
	for _, m := range g.ordered() {
		e := kmsg.NewDescribeGroupsResponseGroupMember()
		e.MemberID, e.InstanceID = m.id, m.instanceID
		e.ClientID, e.ClientHost = m.client.ID, m.client.Host
		e.ProtocolMetadata, e.MemberAssignment = []byte{}, m.assignment
		if g.state == stable {
			e.ProtocolMetadata = m.metadata(g.protocol)
		}
		d.Members = append(d.Members, e)
	}
	return d
}

// kill makes the group Dead if it may be deleted: tombstones for all that is stored.
func (g *group) kill(s *step) int16 {
	switch {
	case g.state == dead:
		return protocol.ErrGroupIDNotFound.Code
	case !g.vacant():
		return protocol.ErrNonEmptyGroup.Code
	}
	g.bury(s)
	return 0
}

// bury writes the tombstones of an Empty group and makes it Dead. Member ids
// handed out and not used die with it.
func (g *group) bury(s *step) {
	for _, key := range g.storedKeys() {
		s.records = append(s.records, offsetTombstone(g.id, key.topic, key.partition, s.nowMs))
	}
	if g.stored {
		s.records = append(s.records, groupTombstone(g.id, s.nowMs))
	}
	for id := range g.pending {
		g.dropPending(s, id)
	}
	switch {
	case g.consumer != nil:
		g.buryConsumer(s)
		g.reset(s.nowMs)
	case g.share != nil:
		g.buryShare(s)
		g.reset(s.nowMs)
	case g.streams != nil:
		g.buryStreams(s)
		g.reset(s.nowMs)
	}
	clear(g.offsets)
	clear(g.unstable)
	g.become(s, dead)
}
