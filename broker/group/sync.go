package group

import (
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// syncInput is one SyncGroup.
type syncInput struct {
	*kmsg.SyncGroupRequest
	ticket ticket
}

// syncError is a SyncGroup reply that carries only an error.
func syncError(code int16) *kmsg.SyncGroupResponse {
	r := kmsg.NewPtrSyncGroupResponse()
	r.ErrorCode, r.MemberAssignment = code, []byte{}
	return r
}

// synced is the SyncGroup reply of the present generation for m.
func (g *group) synced(m *member) *kmsg.SyncGroupResponse {
	r := kmsg.NewPtrSyncGroupResponse()
	protocolType, chosen := g.protocolType, g.protocol
	r.ProtocolType, r.Protocol, r.MemberAssignment = &protocolType, &chosen, m.assignment
	return r
}

// sync takes one SyncGroup; the reply to its ticket comes in this step or a later one.
func (g *group) sync(s *step, in syncInput) {
	refuse := func(code int16) {
		s.replies = append(s.replies, reply{to: in.ticket, sync: syncError(code)})
	}
	if g.consumer != nil {
		g.syncConsumer(s, in)
		return
	}
	if g.state == dead {
		refuse(protocol.ErrCoordinatorNotAvailable.Code)
		return
	}
	m, code := g.validate(in.MemberID, in.InstanceID)
	switch {
	case code != 0:
		refuse(code)
		return
	case in.Generation != g.generation:
		refuse(protocol.ErrIllegalGeneration.Code)
		return
	case differs(in.ProtocolType, g.protocolType) || differs(in.Protocol, g.protocol):
		refuse(protocol.ErrInconsistentGroupProtocol.Code)
		return
	}
	switch g.state {
	case preparingRebalance:
		refuse(protocol.ErrRebalanceInProgress.Code)
	case completingRebalance:
		g.answerSync(s, m, syncError(protocol.ErrRebalanceInProgress.Code)) // given up by its client, as in update
		m.syncing = in.ticket
		g.seen(s, m)
		if g.leader == m.id {
			g.assign(s, in.GroupAssignment)
		}
	case stable:
		g.seen(s, m)
		s.replies = append(s.replies, reply{to: in.ticket, sync: g.synced(m)})
	default:
		refuse(protocol.ErrUnknownMemberID.Code)
	}
}

// differs tells whether a client names (version 5 and up) something else than the group has.
func differs(theirs *string, ours string) bool { return theirs != nil && *theirs != ours }

// seen notes that a member synced in this generation.
func (g *group) seen(s *step, m *member) {
	delete(g.unsynced, m.id)
	if len(g.unsynced) == 0 {
		s.cancel(timerKey{kind: syncTimer})
	}
}

// assign takes the leader's assignment: it is stored, then all that wait get
// theirs. A member that the leader left out has an empty one.
func (g *group) assign(s *step, list []kmsg.SyncGroupRequestGroupAssignment) {
	for _, m := range g.members {
		m.assignment = []byte{}
	}
	for _, a := range list {
		if m := g.members[a.MemberID]; m != nil {
			m.assignment = append([]byte{}, a.MemberAssignment...)
		}
	}
	g.become(s, stable)
	g.persist(s)
	for _, m := range g.ordered() {
		if g.answerSync(s, m, g.synced(m)) {
			g.touch(s, m) // its session may have ended unnoticed while it waited
		}
	}
}

// dropAssignments forgets what was assigned and tells those that wait why.
func (g *group) dropAssignments(s *step, code int16) {
	for _, m := range g.ordered() {
		m.assignment = []byte{}
		if g.answerSync(s, m, syncError(code)) {
			g.touch(s, m)
		}
	}
}

// syncExpired removes the members of a generation that never synced.
func (g *group) syncExpired(s *step) {
	if g.state != completingRebalance && g.state != stable || len(g.unsynced) == 0 {
		return
	}
	for _, m := range g.ordered() {
		if _, late := g.unsynced[m.id]; late {
			g.remove(s, m, protocol.ErrUnknownMemberID.Code)
		}
	}
	g.prepare(s)
}
