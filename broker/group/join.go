package group

import (
	"encoding/binary"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinInput is one JoinGroup.
type joinInput struct {
	*kmsg.JoinGroupRequest
	from   Client
	ticket ticket
	// freshID is the member id to hand out if one is needed.
	freshID string
}

// joinError is a JoinGroup reply that carries only an error.
func joinError(memberID string, code int16) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	r.ErrorCode, r.MemberID = code, memberID
	return r
}

// checkSession applies group.min.session.timeout.ms and group.max.session.timeout.ms.
func (l *limits) checkSession(timeoutMs int32) int16 {
	if timeoutMs < l.minSessionTimeoutMs || timeoutMs > l.maxSessionTimeoutMs {
		return protocol.ErrInvalidSessionTimeout.Code
	}
	return 0
}

// join takes one JoinGroup; the reply to its ticket comes in this step or a later one.
func (g *group) join(s *step, in joinInput) {
	refuse := func(memberID string, code int16) {
		s.replies = append(s.replies, reply{to: in.ticket, join: joinError(memberID, code)})
	}
	if g.share != nil {
		refuse(in.MemberID, protocol.ErrInconsistentGroupProtocol.Code)
		return
	}
	if g.streams != nil && len(g.streams.members) > 0 {
		refuse("", protocol.ErrInconsistentGroupProtocol.Code)
		return
	}
	if g.streams != nil && in.MemberID == "" && in.ProtocolType != "" && len(in.Protocols) > 0 {
		// An Empty streams group makes way.
		g.buryStreams(s)
		g.reset(s.nowMs)
	}
	if g.hasConsumers() {
		g.joinConsumer(s, in)
		return
	}
	if g.consumer != nil && in.MemberID == "" && in.ProtocolType != "" && len(in.Protocols) > 0 {
		// An Empty consumer group makes way.
		g.buryConsumer(s)
		g.reset(s.nowMs)
	}
	switch {
	case (g.consumer != nil || g.streams != nil) && in.MemberID != "":
		refuse(in.MemberID, protocol.ErrUnknownMemberID.Code)
	case g.state == dead:
		refuse(in.MemberID, protocol.ErrCoordinatorNotAvailable.Code)
	case !g.accepts(in.MemberID):
		// The member id is given up, so that a later try starts from the beginning.
		if m := g.members[in.MemberID]; m != nil {
			g.remove(s, m, protocol.ErrUnknownMemberID.Code)
		} else if g.isPending(in.MemberID) {
			g.dropPending(s, in.MemberID)
		}
		refuse("", protocol.ErrGroupMaxSizeReached.Code)
		g.maybeComplete(s)
	case !g.supports(in.ProtocolType, in.Protocols):
		refuse(in.MemberID, protocol.ErrInconsistentGroupProtocol.Code)
	case in.MemberID == "" && in.InstanceID != nil:
		if old, known := g.instances[*in.InstanceID]; known {
			g.replaceStatic(s, g.members[old], in)
		} else {
			g.addMember(s, in.freshID, in)
		}
	case in.MemberID == "" && in.Version >= 4:
		g.handOutID(s, in, refuse)
	case in.MemberID == "":
		g.addMember(s, in.freshID, in)
	case g.isPending(in.MemberID):
		if in.InstanceID != nil {
			// Ids are handed out only to dynamic members.
			refuse(in.MemberID, protocol.ErrUnknownMemberID.Code)
			return
		}
		g.addMember(s, in.MemberID, in)
	default:
		m, code := g.validate(in.MemberID, in.InstanceID)
		if code != 0 {
			refuse(in.MemberID, code)
			return
		}
		g.rejoin(s, m, in)
	}
}

// hasConsumers tells that this is a consumer group with members.
func (g *group) hasConsumers() bool { return g.consumer != nil && len(g.consumer.members) > 0 }

func (g *group) isPending(memberID string) bool {
	_, is := g.pending[memberID]
	return is
}

// dropPending takes back a member id that was handed out.
func (g *group) dropPending(s *step, memberID string) {
	delete(g.pending, memberID)
	s.cancel(timerKey{sessionTimer, memberID})
}

// accepts applies group.max.size. While a rebalance is prepared those that wait count,
// later the members do; who is in already stays in.
func (g *group) accepts(memberID string) bool {
	m := g.members[memberID]
	switch g.state {
	case preparingRebalance:
		return m != nil && m.joining != 0 || g.awaiting < g.limits.maxSize
	case completingRebalance, stable:
		return m != nil || len(g.members) < g.limits.maxSize
	default:
		return true
	}
}

// supports tells whether a joining member can share a protocol with all present ones.
func (g *group) supports(protocolType string, protocols []kmsg.JoinGroupRequestProtocol) bool {
	if len(g.members) == 0 {
		return protocolType != "" && len(protocols) > 0
	}
	if protocolType != g.protocolType {
		return false
	}
	for _, p := range protocols {
		if g.votes[p.Name] == len(g.members) {
			return true
		}
	}
	return false
}

// handOutID is the first round of KIP-394: the client learns its member id and
// joins again with it, so that a client whose reply got lost leaves no member behind.
func (g *group) handOutID(s *step, in joinInput, refuse func(string, int16)) {
	if len(g.pending) >= g.limits.maxPending {
		refuse("", protocol.ErrGroupMaxSizeReached.Code)
		return
	}
	g.pending[in.freshID] = struct{}{}
	s.set(timerKey{sessionTimer, in.freshID}, int64(in.SessionTimeoutMillis))
	refuse(in.freshID, protocol.ErrMemberIDRequired.Code)
}

// rejoin is JoinGroup of a present member.
func (g *group) rejoin(s *step, m *member, in joinInput) {
	switch g.state {
	case preparingRebalance:
		g.update(s, m, in)
		g.advance(s)
	case completingRebalance:
		if m.matches(in.Protocols) {
			// It did not get the reply of this generation: give it again.
			s.replies = append(s.replies, reply{to: in.ticket, join: g.joined(m)})
			return
		}
		g.update(s, m, in)
		g.advance(s)
	case stable:
		if g.leader != m.id && m.matches(in.Protocols) {
			s.replies = append(s.replies, reply{to: in.ticket, join: g.joined(m)})
			return
		}
		// The leader joins again when what it watches has changed; so do
		// members whose metadata changed. Both need a new assignment.
		g.update(s, m, in)
		g.advance(s)
	default:
		s.replies = append(s.replies, reply{to: in.ticket, join: joinError(in.MemberID, protocol.ErrUnknownMemberID.Code)})
	}
}

// addMember makes a new member of a JoinGroup and holds the request.
func (g *group) addMember(s *step, id string, in joinInput) {
	m := &member{id: id, client: in.from, isNew: true, joining: in.ticket, assignment: []byte{}}
	if in.InstanceID != nil {
		instance := *in.InstanceID
		m.instanceID = &instance
	}
	m.take(in)
	if g.state == preparingRebalance && g.previous == empty {
		g.lastAddedMs = s.nowMs
	}
	g.add(m, in.ProtocolType)
	s.set(timerKey{sessionTimer, m.id}, g.limits.newMemberTimeoutMs)
	g.advance(s)
}

// take copies timeouts and protocols of a request; the request's bytes are not kept.
func (m *member) take(in joinInput) {
	m.sessionTimeoutMs = in.SessionTimeoutMillis
	m.rebalanceTimeoutMs = in.RebalanceTimeoutMillis
	if in.Version == 0 || m.rebalanceTimeoutMs < 0 {
		m.rebalanceTimeoutMs = in.SessionTimeoutMillis // version 0 has no rebalance timeout
	}
	m.protocols = make([]protocolMetadata, len(in.Protocols))
	for i, p := range in.Protocols {
		m.protocols[i] = protocolMetadata{p.Name, append([]byte{}, p.Metadata...)}
	}
}

// update gives a member what it joined again with and holds the request. A
// request of the same member that is still held comes from a connection that
// its client has given up; it is told to join again.
func (g *group) update(s *step, m *member, in joinInput) {
	g.count(m, -1)
	m.take(in)
	g.count(m, 1)
	g.answerJoin(s, m, joinError(m.id, protocol.ErrRebalanceInProgress.Code))
	m.joining = in.ticket
	g.awaiting++
}

// replaceStatic lets a restarted static member (KIP-345) take the place of its former self.
func (g *group) replaceStatic(s *step, old *member, in joinInput) {
	formerLeader := g.leader
	wasLeader := g.leader == old.id

	g.answerJoin(s, old, joinError(old.id, protocol.ErrFencedInstanceID.Code))
	g.answerSync(s, old, syncError(protocol.ErrFencedInstanceID.Code))
	s.cancel(timerKey{sessionTimer, old.id})
	delete(g.members, old.id)
	_, unsynced := g.unsynced[old.id]
	delete(g.unsynced, old.id)
	g.count(old, -1)

	m := &member{id: in.freshID, seq: old.seq, instanceID: old.instanceID, client: in.from, assignment: old.assignment}
	m.take(in)
	m.joining = in.ticket
	g.members[m.id] = m
	g.instances[*m.instanceID] = m.id
	g.count(m, 1)
	g.awaiting++
	if wasLeader {
		g.leader = m.id
	}
	if unsynced && g.state == stable {
		g.unsynced[m.id] = struct{}{}
	}
	g.touch(s, m)

	switch g.state {
	case stable:
		if g.choose() != g.protocol {
			g.prepare(s)
			return
		}
		g.subscribed = g.subscribedTopics()
		g.persist(s)
		r := g.joined(m)
		r.Members = []kmsg.JoinGroupResponseMember{}
		if in.Version >= 9 {
			// KIP-814: the leader is told that it leads, and not to assign.
			if wasLeader {
				r.SkipAssignment, r.Members = true, g.joinedMembers()
			}
		} else {
			// An older client that reads its own id as leader would assign, and the
			// stable group would ignore it: it is shown the former leader's id.
			r.LeaderID = formerLeader
		}
		m.isNew = false
		g.answerJoin(s, m, r)
	case completingRebalance:
		// The leader may be assigning to the former member id at this moment.
		g.prepare(s)
	default:
		g.maybeComplete(s)
	}
}

// advance starts a rebalance, or looks whether the one that is prepared can be completed.
func (g *group) advance(s *step) {
	switch g.state {
	case empty, completingRebalance, stable:
		g.prepare(s)
	default:
		g.maybeComplete(s)
	}
}

// maybeComplete ends the joining phase when all have joined. The first
// rebalance of a group waits for its delay instead, for more members to come.
func (g *group) maybeComplete(s *step) {
	if g.state == preparingRebalance && g.previous != empty && g.allJoined() {
		g.complete(s)
	}
}

func (g *group) allJoined() bool { return g.awaiting == len(g.members) && len(g.pending) == 0 }

// prepare begins a rebalance.
func (g *group) prepare(s *step) {
	if g.state == completingRebalance {
		g.dropAssignments(s, protocol.ErrRebalanceInProgress.Code)
	}
	s.cancel(timerKey{kind: syncTimer})
	first := g.state == empty
	g.become(s, preparingRebalance)
	switch {
	case first:
		g.lastAddedMs = s.nowMs
		g.initialLeftMs = max(g.rebalanceTimeoutMs()-g.limits.initialDelayMs, 0)
		if g.limits.initialDelayMs <= 0 {
			g.complete(s)
			return
		}
		s.set(timerKey{kind: joinTimer}, g.limits.initialDelayMs)
	case g.allJoined():
		g.complete(s)
	default:
		s.set(timerKey{kind: joinTimer}, g.rebalanceTimeoutMs())
	}
}

// joinExpired is the end of the initial delay or of the rebalance timeout.
func (g *group) joinExpired(s *step) {
	if g.state != preparingRebalance {
		return
	}
	if quietMs := s.nowMs - g.lastAddedMs; g.previous == empty && quietMs >= 0 && quietMs < g.limits.initialDelayMs && g.initialLeftMs > 0 {
		// Members keep coming: wait until none has for the delay, within the
		// rebalance timeout. Kafka waits the whole delay once more, so that a group
		// whose members all start at once settles after twice the delay.
		delay := min(g.limits.initialDelayMs-quietMs, g.initialLeftMs)
		g.initialLeftMs -= delay
		s.set(timerKey{kind: joinTimer}, delay)
		return
	}
	g.complete(s)
}

// complete ends the joining phase: who did not join again is out (static
// members stay until their session ends), and the next generation begins.
func (g *group) complete(s *step) {
	s.cancel(timerKey{kind: joinTimer})
	for _, m := range g.ordered() {
		if m.joining == 0 && m.instanceID == nil {
			g.remove(s, m, protocol.ErrUnknownMemberID.Code)
		}
	}
	if len(g.members) > 0 && !g.electLeader() {
		// Only absent static members are left: wait for them or for their sessions' end.
		s.set(timerKey{kind: joinTimer}, g.rebalanceTimeoutMs())
		return
	}
	g.generation = nextGeneration(g.generation)
	s.rebalances++
	clear(g.unsynced)
	if len(g.members) == 0 {
		g.protocol = ""
		g.become(s, empty)
		g.subscribed = g.subscribedTopics()
		g.persist(s)
		return
	}
	g.protocol = g.choose()
	g.become(s, completingRebalance)
	g.subscribed = g.subscribedTopics()
	for _, m := range g.ordered() {
		g.answerJoin(s, m, g.joined(m))
		m.isNew = false
		g.unsynced[m.id] = struct{}{}
		g.touch(s, m)
	}
	s.set(timerKey{kind: syncTimer}, g.rebalanceTimeoutMs())
}

// nextGeneration counts up and stays non-negative: -1 means "no generation" on the wire.
func nextGeneration(g int32) int32 {
	if g == 1<<31-1 {
		return 0
	}
	return g + 1
}

// electLeader keeps a leader that joined again, or takes the oldest member
// that did. It reports whether there is one.
func (g *group) electLeader() bool {
	if m := g.members[g.leader]; m != nil && m.joining != 0 {
		return true
	}
	for _, m := range g.ordered() {
		if m.joining != 0 {
			g.leader = m.id
			return true
		}
	}
	return false
}

// choose selects the protocol of the next generation: each member votes for the
// first protocol of its list that all members support, the most votes win, and
// the leader's order settles a tie.
func (g *group) choose() string {
	votes := map[string]int{}
	for _, m := range g.members {
		for _, p := range m.protocols {
			if g.votes[p.name] == len(g.members) {
				votes[p.name]++
				break
			}
		}
	}
	best := ""
	judge := g.members[g.leader]
	if judge == nil {
		return best
	}
	for _, p := range judge.protocols {
		if votes[p.name] > 0 && (best == "" || votes[p.name] > votes[best]) {
			best = p.name
		}
	}
	return best
}

// joined is the JoinGroup reply of the present generation for m.
func (g *group) joined(m *member) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	protocolType, chosen := g.protocolType, g.protocol
	r.Generation, r.ProtocolType, r.Protocol = g.generation, &protocolType, &chosen
	r.LeaderID, r.MemberID = g.leader, m.id
	r.Members = []kmsg.JoinGroupResponseMember{}
	if g.leader == m.id {
		r.Members = g.joinedMembers()
	}
	return r
}

// joinedMembers lists all members with their bytes, for the leader.
func (g *group) joinedMembers() []kmsg.JoinGroupResponseMember {
	list := make([]kmsg.JoinGroupResponseMember, 0, len(g.members))
	for _, m := range g.ordered() {
		e := kmsg.NewJoinGroupResponseMember()
		e.MemberID, e.InstanceID, e.ProtocolMetadata = m.id, m.instanceID, m.metadata(g.protocol)
		list = append(list, e)
	}
	return list
}

// subscribedTopics reads the topics of all members of a `consumer` group. It
// returns nil when a subscription does not decode: then every topic counts as subscribed.
func (g *group) subscribedTopics() map[string]struct{} {
	if g.protocolType != "consumer" {
		return nil
	}
	topics := map[string]struct{}{}
	for _, m := range g.members {
		names, ok := subscription(m.metadata(g.protocol))
		if !ok {
			return nil
		}
		for _, name := range names {
			topics[name] = struct{}{}
		}
	}
	return topics
}

// subscription reads the topics at the head of a consumer subscription. Only
// version and topics are read: what follows differs by version and assignor.
func subscription(metadata []byte) ([]string, bool) {
	if len(metadata) < 6 {
		return nil, false
	}
	count := int32(binary.BigEndian.Uint32(metadata[2:]))
	rest := metadata[6:]
	if count < 0 || int64(count)*2 > int64(len(rest)) {
		return nil, false
	}
	var topics []string
	for range count {
		if len(rest) < 2 {
			return nil, false
		}
		size := int(int16(binary.BigEndian.Uint16(rest)))
		rest = rest[2:]
		if size < 0 || size > len(rest) {
			return nil, false
		}
		topics = append(topics, string(rest[:size]))
		rest = rest[size:]
	}
	return topics, true
}
