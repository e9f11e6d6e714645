package group

import (
	"slices"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Members of a consumer group that still speak the classic protocol, during an
// online upgrade or before a downgrade. JoinGroup is to them what a heartbeat
// that reports is to the others, SyncGroup collects the assignment, Heartbeat
// tells them when to join again. No request is held: nobody waits for anybody.

// joinConsumer takes a JoinGroup to a consumer group with members.
func (g *group) joinConsumer(s *step, in joinInput) {
	answer := func(r *kmsg.JoinGroupResponse) { s.replies = append(s.replies, reply{to: in.ticket, join: r}) }
	c := g.consumer
	if no := g.refuseFull(c, in.MemberID); no != nil {
		answer(joinError("", no.code))
		return
	}
	if !c.supports(in.ProtocolType, in.Protocols) {
		answer(joinError("", protocol.ErrInconsistentGroupProtocol.Code))
		return
	}
	id := in.MemberID
	if id == "" {
		if id = in.freshID; in.Version >= 4 && in.InstanceID == nil {
			answer(joinError(id, protocol.ErrMemberIDRequired.Code))
			return
		}
	}
	before, former, no := c.find(id, in.InstanceID, in.InstanceID == nil || in.MemberID == "", true)
	if no != nil {
		answer(joinError("", no.code))
		return
	}
	subscription, err := subscriptionOf(in.Protocols[0].Metadata) // all say the same
	if err != nil {
		answer(joinError("", protocol.ErrUnknownServerError.Code)) // Kafka has no code for bytes that are no subscription
		return
	}

	after := before.joined(in, subscription)
	downgrade := former != nil && former.classic == nil && g.mayDowngrade([]*consumerMember{former}, after.classic)
	if former != nil {
		before = g.replaceConsumer(s, former, id)
		after = before.joined(in, subscription)
	}
	owned := ownedBy(subscription, s.topics)
	chosen := after.classic.protocols[0].name
	if downgrade {
		g.joinAndDowngrade(s, before, after, owned)
		chosen = g.protocol
	} else {
		changed := g.follow(s, before, after)
		after = g.reconcile(s, after, changed, owned)
		g.joinedInTime(s, id)
		s.set(timerKey{sessionTimer, id}, int64(after.classic.sessionTimeoutMs))
		s.set(timerKey{resyncTimer, id}, int64(after.rebalanceTimeoutMs))
	}
	r := kmsg.NewPtrJoinGroupResponse()
	protocolType := consumerType
	r.MemberID, r.Generation, r.ProtocolType, r.Protocol = id, after.epoch, &protocolType, &chosen
	if downgrade {
		r.Generation = g.generation
	}
	r.Members = []kmsg.JoinGroupResponseMember{}
	answer(r)
}

// joinAndDowngrade is the join of a static member that takes the place of the
// group's last one of the new protocol. If it subscribes otherwise than its
// former self, or the members were on their way to their targets, the classic
// group begins with a rebalance; else all go on with what they have.
func (g *group) joinAndDowngrade(s *step, before, after *consumerMember, owned reported) {
	c := g.consumer
	changed := before.regex != after.regex || !slices.Equal(before.names, after.names)
	g.storeSubscription(s, after)
	if !changed {
		g.reconcile(s, after, false, owned)
	}
	settled := !changed && c.stateName() == stable.String()
	g.downgrade(s, nil)
	if !settled {
		g.prepare(s)
	}
}

// supports tells whether a classic member can share a protocol with the ones there.
func (c *consumerGroup) supports(protocolType string, protocols []kmsg.JoinGroupRequestProtocol) bool {
	if protocolType != consumerType {
		return false
	}
	votes, members := map[string]int{}, 0
	for _, m := range c.members {
		if m.classic == nil {
			continue
		}
		members++
		for _, name := range m.classic.names() {
			votes[name]++
		}
	}
	for _, p := range protocols {
		if votes[p.Name] == members {
			return true
		}
	}
	return false
}

// joined is the member with what its JoinGroup says.
func (m *consumerMember) joined(in joinInput, subscription kmsg.ConsumerMemberMetadata) *consumerMember {
	var took member
	took.take(in)
	n := *m
	n.client, n.regex, n.names = in.from, "", sortedNames(subscription.Topics)
	n.rebalanceTimeoutMs = took.rebalanceTimeoutMs
	n.classic = &classicMember{took.sessionTimeoutMs, took.protocols}
	if in.InstanceID != nil {
		n.instanceID = in.InstanceID
	}
	if rack := rackOf(subscription); rack != nil {
		n.rackID = rack
	}
	return &n
}

// ownedBy is what a classic member says that it still owns. One that revokes
// everything before it joins says nothing, and owns nothing.
func ownedBy(subscription kmsg.ConsumerMemberMetadata, topics Topics) reported {
	owned := reported{}
	for _, t := range subscription.OwnedPartitions {
		if known, exists := topics.Named(t.Topic); exists {
			for _, p := range t.Partitions {
				owned = append(owned, partitionID{known.ID, p})
			}
		}
	}
	return owned
}

// classicMemberOf finds the member that a request of the classic protocol is from.
func (c *consumerGroup) classicMemberOf(memberID string, instanceID *string, generation int32) (*consumerMember, int16) {
	m, _, no := c.find(memberID, instanceID, false, true)
	switch {
	case no != nil:
		return nil, no.code
	case m.classic == nil:
		return nil, protocol.ErrUnknownMemberID.Code
	case m.epoch != generation:
		return nil, protocol.ErrIllegalGeneration.Code
	}
	return m, 0
}

// syncConsumer is SyncGroup of a classic member: it gets what it is assigned.
func (g *group) syncConsumer(s *step, in syncInput) {
	answer := func(r *kmsg.SyncGroupResponse) { s.replies = append(s.replies, reply{to: in.ticket, sync: r}) }
	c := g.consumer
	m, code := c.classicMemberOf(in.MemberID, in.InstanceID, in.Generation)
	switch {
	case code != 0:
	case differs(in.ProtocolType, consumerType) || differs(in.Protocol, m.classic.protocols[0].name):
		code = protocol.ErrInconsistentGroupProtocol.Code
	case c.epoch > m.epoch && m.state != memberUnrevoked:
		g.tellToJoin(s, m)
		code = protocol.ErrRebalanceInProgress.Code
	}
	if code != 0 {
		answer(syncError(code))
		return
	}
	s.cancel(timerKey{resyncTimer, m.id})
	s.set(timerKey{sessionTimer, m.id}, int64(m.classic.sessionTimeoutMs))
	assigned := make([]partitionID, len(m.assigned))
	for i, h := range m.assigned {
		assigned[i] = h.partitionID
	}
	r := kmsg.NewPtrSyncGroupResponse()
	r.ProtocolType, r.Protocol = in.ProtocolType, in.Protocol
	r.MemberAssignment = classicAssignment(assigned, m.classic.protocols[0].metadata, s.topics)
	answer(r)
}

// heartbeatConsumer is Heartbeat of a classic member. It joins again when the
// group has moved on, when it must give partitions up, and when those that it
// waited for are free. That topics have changed is noticed here too: in a group
// of classic members alone nobody else would, for none leads and looks.
func (g *group) heartbeatConsumer(s *step, in *kmsg.HeartbeatRequest) int16 {
	c := g.consumer
	m, code := c.classicMemberOf(in.MemberID, in.InstanceID, in.Generation)
	if code != 0 {
		return code
	}
	s.set(timerKey{sessionTimer, m.id}, int64(m.classic.sessionTimeoutMs))
	g.bumpIf(s, g.refreshRegexes(s))
	if m.epoch < c.epoch || m.state == memberUnrevoked || m.state == memberUnreleased && !c.waits(m) {
		g.tellToJoin(s, m)
		return protocol.ErrRebalanceInProgress.Code
	}
	return 0
}

// waits tells whether somebody else still has a partition of the member's target.
func (c *consumerGroup) waits(m *consumerMember) bool {
	for _, p := range c.target[m.id] {
		if owner := c.owners[p]; owner != "" && owner != m.id {
			return true
		}
	}
	return false
}

// tellToJoin gives a member its rebalance timeout to join again, once.
func (g *group) tellToJoin(s *step, m *consumerMember) {
	if _, told := g.consumer.mustJoin[m.id]; told {
		return
	}
	g.consumer.mustJoin[m.id] = struct{}{}
	s.set(timerKey{rejoinTimer, m.id}, int64(m.rebalanceTimeoutMs))
}

// joinedInTime ends what tellToJoin began.
func (g *group) joinedInTime(s *step, memberID string) {
	delete(g.consumer.mustJoin, memberID)
	s.cancel(timerKey{rejoinTimer, memberID})
}

// leaveByName is LeaveGroup to a consumer group: an admin, or classic members.
func (g *group) leaveByName(s *step, in []kmsg.LeaveGroupRequestMember) []kmsg.LeaveGroupResponseMember {
	out := make([]kmsg.LeaveGroupResponseMember, 0, len(in))
	var gone []*consumerMember
	for _, l := range in {
		r := kmsg.NewLeaveGroupResponseMember()
		r.MemberID, r.InstanceID = l.MemberID, l.InstanceID
		m := g.consumer.ofInstance(l.InstanceID)
		var no *refusal
		if m == nil || l.MemberID != "" {
			m, _, no = g.consumer.find(l.MemberID, l.InstanceID, false, true)
		}
		switch {
		case no != nil:
			r.ErrorCode = no.code
		case !slices.Contains(gone, m):
			gone = append(gone, m)
		}
		out = append(out, r)
	}
	g.fence(s, gone)
	return out
}
