package group

import (
	"slices"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// shareHeartbeatInput is one ShareGroupHeartbeat.
type shareHeartbeatInput struct {
	*kmsg.ShareGroupHeartbeatRequest
	from Client
}

// shareHeartbeatError is a ShareGroupHeartbeat reply that carries only an error.
func shareHeartbeatError(no *refusal) *kmsg.ShareGroupHeartbeatResponse {
	r := kmsg.NewPtrShareGroupHeartbeatResponse()
	r.ErrorCode = no.code
	if no.message != "" {
		r.ErrorMessage = &no.message
	}
	return r
}

// shareHeartbeat takes one ShareGroupHeartbeat: a member joins, reports, learns
// its assignment or leaves.
func (g *group) shareHeartbeat(s *step, in shareHeartbeatInput) *kmsg.ShareGroupHeartbeatResponse {
	take := g.beatShare
	if in.MemberEpoch < joinEpoch {
		take = g.leaveShare
	}
	response, no := take(s, in)
	if no != nil {
		return shareHeartbeatError(no)
	}
	return response
}

// asShare returns the share group, or a new one for a group that is nothing
// yet when a member joins. The group itself stays as it is.
func (g *group) asShare(joining bool) (*shareGroup, *refusal) {
	switch {
	case g.share != nil:
		return g.share, nil
	case joining && g.unused():
		return newShareGroup(), nil
	}
	return nil, notShare(g.id)
}

func notShare(groupID string) *refusal {
	return refuse(protocol.ErrGroupIDNotFound, "Group %s is not a share group.", groupID)
}

// beatShare is a heartbeat that does not leave. Everything that may be refused
// is looked at first; from then on the group changes.
func (g *group) beatShare(s *step, in shareHeartbeatInput) (*kmsg.ShareGroupHeartbeatResponse, *refusal) {
	joining := in.MemberEpoch == joinEpoch
	c, no := g.asShare(joining)
	if no != nil {
		return nil, no
	}
	before := c.members[in.MemberID]
	switch most := g.limits.share.maxSize; {
	case before == nil && !joining:
		return nil, refuse(protocol.ErrUnknownMemberID, "Member %s is not a member of group %s.", in.MemberID, g.id)
	case before == nil && len(c.members) >= most:
		return nil, refuse(protocol.ErrGroupMaxSizeReached, "The share group has its %d members already.", most)
	case before == nil:
		before = &shareMember{id: in.MemberID, previousEpoch: -1}
	case !joining && in.MemberEpoch != before.epoch && in.MemberEpoch != before.previousEpoch:
		return nil, refuse(protocol.ErrFencedMemberEpoch, "Member %s is at epoch %d, not %d; it must give up all partitions and join again.",
			before.id, before.epoch, in.MemberEpoch)
	}

	g.share = c
	after := before.heard(in)
	bump := !slices.Equal(before.names, after.names)
	if c.members[after.id] == nil || !sameShareSubscription(before, after) {
		bump = bump || c.members[after.id] == nil
		g.storeShareMember(s, after)
	}
	g.followShare(s, bump)
	after, changed := g.reconcileShare(s, after)
	if missing := c.uninitialized(s.topics, s.nowMs, g.limits.share.retryMs); len(missing) > 0 {
		g.beginShare(s, missing)
		s.initialize = append(s.initialize, missing...)
	}
	s.set(timerKey{sessionTimer, after.id}, s.settings.share.sessionTimeoutMs)

	r := kmsg.NewPtrShareGroupHeartbeatResponse()
	r.MemberID, r.MemberEpoch, r.HeartbeatIntervalMillis = &after.id, after.epoch, s.settings.share.heartbeatIntervalMs
	if joining || changed || in.SubscribedTopicNames != nil {
		r.Assignment = toldShare(after)
	}
	return r, nil
}

// heard is the member with what a heartbeat says of it; null says nothing new.
func (m *shareMember) heard(in shareHeartbeatInput) *shareMember {
	n := *m
	n.client = in.from
	if in.RackID != nil {
		n.rackID = in.RackID
	}
	if in.SubscribedTopicNames != nil {
		n.names = sortedNames(in.SubscribedTopicNames)
	}
	return &n
}

// followShare raises the group epoch when told to, when the subscribed topics
// are not what they were at the present epoch, and when partitions have got
// their state since the target was computed; then it computes a new target, but
// not more often than the group's settings say.
func (g *group) followShare(s *step, bump bool) {
	c := g.share
	bump = bump || c.epoch == c.targetEpoch && c.outdated(s.topics)
	g.bumpShareIf(s, bump)
	since := s.nowMs - c.assignedAtMs
	if c.epoch > c.targetEpoch && (since < 0 || since >= s.settings.share.assignmentIntervalMs) {
		g.assignShareTargets(s)
	}
}

func (g *group) bumpShareIf(s *step, bump bool) {
	c := g.share
	if !bump && c.topicsVersion == s.topics.Version() {
		return
	}
	hash := metadataHash(s.topics, sortedKeys(c.byName))
	c.topicsVersion = s.topics.Version()
	if !bump && hash == c.hash {
		return
	}
	g.storeShareEpoch(s, c.epoch+1, hash)
	s.rebalances++
}

// assignShareTargets computes the target of the group epoch and stores what is
// other than before.
func (g *group) assignShareTargets(s *step) {
	c := g.share
	in := shareInput{partitions: c.assignable(s.topics), alike: c.alike()}
	for _, m := range c.ordered() {
		in.members = append(in.members, shareSpec{m.id, c.topicsOf(m, s.topics), c.target[m.id]})
	}
	if len(in.members) > 0 {
		targets := assignShare(in)
		for i, m := range in.members {
			if old, known := c.target[m.id]; !known || !slices.Equal(old, targets[i]) {
				g.storeShareTarget(s, m.id, targets[i])
			}
		}
	}
	g.storeShareTargetEpoch(s, c.epoch, s.nowMs)
}

// reconcileShare takes a member to its target and reports whether that is
// another assignment than it had.
func (g *group) reconcileShare(s *step, m *shareMember) (*shareMember, bool) {
	c := g.share
	if m.epoch == c.targetEpoch && c.members[m.id] != nil && slices.Equal(m.assigned, c.target[m.id]) {
		return m, false
	}
	next := *m
	next.previousEpoch, next.epoch, next.assigned = m.epoch, c.targetEpoch, c.target[m.id]
	g.storeShareCurrent(s, &next)
	return &next, !slices.Equal(m.assigned, next.assigned)
}

// beginShare notes partitions whose states are about to be made.
func (g *group) beginShare(s *step, missing []SharePartition) {
	states := g.share.states.clone()
	for id, t := range byShareTopic(missing) {
		addTo(states.initializing, id, t.name, t.partitions)
		delete(states.deleting, id)
		g.share.begunMs[id] = s.nowMs
	}
	g.storeShareStates(s, states)
}

// shareInitialized notes which partitions have their state now. One that was
// taken out of those that wait, because its topic went, has none for this group.
func (g *group) shareInitialized(s *step, partitions []SharePartition, errs []error) {
	c := g.share
	states := c.states.clone()
	var waited, made []SharePartition
	for i, p := range partitions {
		if _, waits := slices.BinarySearch(states.initializing[p.Topic].partitions, p.Partition); !waits {
			continue
		}
		waited = append(waited, p)
		if errs[i] == nil {
			made = append(made, p)
		}
	}
	for id, t := range byShareTopic(waited) {
		takeFrom(states.initializing, id, t.partitions)
	}
	for id, t := range byShareTopic(made) {
		addTo(states.initialized, id, t.name, t.partitions)
	}
	for id := range c.begunMs {
		_, begins := states.initializing[id]
		if _, ends := states.deleting[id]; !begins && !ends {
			delete(c.begunMs, id)
		}
	}
	g.storeShareStates(s, states)
}

// dropShareTopic forgets the partitions of a deleted topic. Their states are
// forgotten where they are.
func (g *group) dropShareTopic(s *step, topic string) {
	states := g.share.states.clone()
	found := false
	for _, of := range []map[[16]byte]shareTopic{states.initializing, states.initialized} {
		for id, t := range of {
			if t.name == topic {
				delete(of, id)
				delete(g.share.begunMs, id)
				found = true
			}
		}
	}
	for id, name := range states.deleting {
		if name == topic {
			delete(states.deleting, id)
			found = true
		}
	}
	if found {
		g.storeShareStates(s, states)
	}
}

func toldShare(m *shareMember) *kmsg.ShareGroupHeartbeatResponseAssignment {
	a := kmsg.NewShareGroupHeartbeatResponseAssignment()
	a.TopicPartitions = []kmsg.ShareGroupHeartbeatResponseAssignmentTopicPartition{}
	for _, run := range byTopic(m.assigned, ofPartition) {
		a.TopicPartitions = append(a.TopicPartitions, kmsg.ShareGroupHeartbeatResponseAssignmentTopicPartition{TopicID: run.topic, Partitions: run.partitions})
	}
	return &a
}

// leaveShare is a heartbeat that says goodbye.
func (g *group) leaveShare(s *step, in shareHeartbeatInput) (*kmsg.ShareGroupHeartbeatResponse, *refusal) {
	c, no := g.asShare(false)
	if no != nil {
		return nil, no
	}
	m := c.members[in.MemberID]
	if m == nil {
		return nil, refuse(protocol.ErrUnknownMemberID, "Member %s is not a member of group %s.", in.MemberID, g.id)
	}
	g.fenceShare(s, m)
	r := kmsg.NewPtrShareGroupHeartbeatResponse()
	r.MemberID, r.MemberEpoch = &in.MemberID, leaveEpoch
	return r, nil
}

// fenceShare takes a member out. Without members the assignment epoch stays
// behind: the next to join has a target computed (Kafka 4.3).
func (g *group) fenceShare(s *step, m *shareMember) {
	g.dropShareMember(s, m)
	g.bumpShareIf(s, true)
}

// shareExpired removes the member whose session is over.
func (g *group) shareExpired(s *step, key timerKey) {
	if m := g.share.members[key.member]; m != nil && key.kind == sessionTimer {
		g.fenceShare(s, m)
	}
}

// resumeShare starts the sessions of a group that was read from the log.
func (g *group) resumeShare(s *step) {
	for _, m := range g.share.ordered() {
		s.set(timerKey{sessionTimer, m.id}, s.settings.share.sessionTimeoutMs)
	}
}
