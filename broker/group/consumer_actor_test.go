package group

import (
	"cmp"
	"slices"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// actor is a client that keeps to the protocol it speaks: it reads what it
// owns, and owns what it was assigned until it has given that up or was fenced.
type actor struct {
	name     string
	instance *string
	names    []string
	regex    string // not of classic ones
	gone     bool   // left or crashed: says nothing any more, and reads nothing

	id    string
	epoch int32 // or generation
	owned []partitionID

	// of the consumer protocol:
	told    []partitionID // assigned, and not carried out while hasTold
	hasTold bool
	report  bool // what it owns has changed since it said so
	full    bool // the next heartbeat says everything: an answer was lost

	// of the classic protocol:
	classic              bool
	eager                bool // gives all up before it joins
	needsJoin, needsSync bool
	waiting              ticket
	leads                bool
	members              []kmsg.JoinGroupResponseMember // for the leader
	// unsure: it joined and has not synced, and the group was a classic one, in
	// which who owns what is for the clients to keep right, or had already given
	// its former self up.
	unsure bool
}

// forget is what a fenced client does: it reads nothing any more.
func (a *actor) forget() {
	a.owned, a.told, a.hasTold, a.report, a.unsure = nil, nil, false, false, false
	if !a.classic {
		a.epoch = joinEpoch
	}
}

func (a *actor) leave() {
	a.forget()
	a.gone, a.needsJoin, a.needsSync = true, false, false
}

// carryOut gives up and takes what it was told to.
func (a *actor) carryOut() {
	if a.gone || !a.hasTold {
		return
	}
	a.report = a.report || !slices.Equal(a.owned, a.told)
	a.owned, a.told, a.hasTold = a.told, nil, false
}

// turn is what the client does next, of itself. lost tells that it never gets
// the answer (consumer protocol only).
func (w *consumerWorld) turn(a *actor, lost bool) {
	switch {
	case a.gone || a.waiting != 0:
	case !a.classic:
		w.beat(a, lost)
	case a.needsJoin:
		w.joinClassic(a)
	case a.needsSync:
		w.syncClassic(a)
	default:
		w.heartbeatClassic(a)
	}
}

func (w *consumerWorld) beat(a *actor, lost bool) {
	in := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	in.Version, in.MemberID, in.MemberEpoch, in.InstanceID = 1, a.id, a.epoch, a.instance
	full := a.full || a.epoch == joinEpoch
	if full {
		in.RebalanceTimeoutMillis = 20_000
		in.SubscribedTopicNames, in.SubscribedTopicRegex = append([]string{}, a.names...), &a.regex
	}
	if full || a.report {
		// What it is about to take over it must be told again.
		a.hasTold, a.full = false, a.full || a.hasTold
		in.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		for _, run := range byTopic(a.owned, ofPartition) {
			in.Topics = append(in.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: run.topic, Partitions: run.partitions})
		}
	}
	var r *kmsg.ConsumerGroupHeartbeatResponse
	from := Client{a.name, "/h"}
	keeps := w.g.onlyKeeps(in, from, w.topics)
	w.do(func(st *step) {
		r = w.g.consumerHeartbeat(st, heartbeatInput{in, from, "unused"})
		if !keeps {
			return
		}
		w.seen.kept++
		session := timerChange{timerKey{sessionTimer, a.id}, st.settings.sessionTimeoutMs}
		if len(st.records) > 0 || len(st.replies) > 0 || st.rebalances > 0 || len(st.timers) != 1 || st.timers[0] != session ||
			r.ErrorCode != 0 || r.Assignment != nil || r.MemberEpoch != in.MemberEpoch || *r.MemberID != in.MemberID {
			w.t.Fatalf("%s: a heartbeat that only keeps did %+v and answered %+v", a.name, st, r)
		}
	})
	if lost {
		a.full = true
		return
	}
	w.seen.beats++
	switch r.ErrorCode {
	case 0:
		a.epoch, a.full = r.MemberEpoch, a.full && !full
		a.report = a.report && in.Topics == nil
		if r.Assignment != nil {
			a.told, a.hasTold = nil, true
			for _, t := range r.Assignment.Topics {
				for _, p := range t.Partitions {
					a.told = append(a.told, partitionID{t.TopicID, p})
				}
			}
			slices.SortFunc(a.told, comparePartitions)
		}
	case protocol.ErrFencedMemberEpoch.Code, protocol.ErrUnknownMemberID.Code:
		w.seen.fenced++
		a.forget()
	case protocol.ErrUnreleasedInstanceID.Code, protocol.ErrGroupIDNotFound.Code:
		a.forget()
	case protocol.ErrFencedInstanceID.Code:
		a.leave()
	default:
		w.t.Fatalf("%s: heartbeat answered %s", a.name, codeName(r.ErrorCode))
	}
}

func (w *consumerWorld) joinClassic(a *actor) {
	v := kmsg.NewConsumerMemberMetadata()
	v.Version, v.Topics, v.Generation = 3, a.names, a.epoch
	a.owned = slices.DeleteFunc(a.owned, func(p partitionID) bool {
		t, exists := w.topics.WithID(p.topic)
		return a.eager || !exists || !slices.Contains(a.names, t.Name)
	})
	for _, run := range byTopic(a.owned, ofPartition) {
		t, _ := w.topics.WithID(run.topic)
		v.OwnedPartitions = append(v.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: t.Name, Partitions: run.partitions})
	}
	in := kmsg.NewPtrJoinGroupRequest()
	in.Version, in.MemberID, in.InstanceID, in.ProtocolType = 9, a.id, a.instance, consumerType
	in.SessionTimeoutMillis, in.RebalanceTimeoutMillis = 10_000, 30_000
	in.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "sticky", Metadata: v.AppendTo(nil)}}
	a.unsure = a.unsure || !w.live(a)
	w.ids++
	w.do(func(st *step) { w.g.join(st, joinInput{in, Client{a.name, "/h"}, w.ticket(a), fresh(w.ids)}) })
}

// joined is the answer to a JoinGroup.
func (w *consumerWorld) joined(a *actor, r *kmsg.JoinGroupResponse) {
	switch r.ErrorCode {
	case 0:
		a.id, a.epoch, a.needsJoin, a.needsSync = r.MemberID, r.Generation, false, true
		a.leads, a.members = r.LeaderID == r.MemberID && !r.SkipAssignment, r.Members
		a.unsure = a.unsure || w.g.consumer == nil
		w.seen.joins++
	case protocol.ErrMemberIDRequired.Code, protocol.ErrRebalanceInProgress.Code:
		a.id = r.MemberID
	case protocol.ErrUnknownMemberID.Code:
		a.forget()
		a.id = ""
	case protocol.ErrFencedInstanceID.Code:
		a.leave()
	default:
		w.t.Fatalf("%s: join answered %s", a.name, codeName(r.ErrorCode))
	}
}

func (w *consumerWorld) syncClassic(a *actor) {
	in := kmsg.NewPtrSyncGroupRequest()
	in.MemberID, in.InstanceID, in.Generation = a.id, a.instance, a.epoch
	if a.leads {
		in.GroupAssignment = w.lead(a)
	}
	w.do(func(st *step) { w.g.sync(st, syncInput{in, w.ticket(a)}) })
}

// synced is the answer to a SyncGroup.
func (w *consumerWorld) synced(a *actor, r *kmsg.SyncGroupResponse) {
	a.needsSync = false
	if r.ErrorCode != 0 {
		w.mustJoinAgain(a, r.ErrorCode)
		return
	}
	a.owned, a.unsure = nil, false
	if len(r.MemberAssignment) == 0 {
		return
	}
	v := kmsg.NewConsumerMemberAssignment()
	if err := v.ReadFrom(r.MemberAssignment); err != nil {
		w.t.Fatalf("%s was assigned %x: %v", a.name, r.MemberAssignment, err)
	}
	for _, t := range v.Topics {
		for _, p := range t.Partitions {
			if known, exists := w.topics.Named(t.Topic); exists {
				a.owned = append(a.owned, partitionID{known.ID, p})
			}
		}
	}
	slices.SortFunc(a.owned, comparePartitions)
}

func (w *consumerWorld) heartbeatClassic(a *actor) {
	in := kmsg.NewPtrHeartbeatRequest()
	in.MemberID, in.InstanceID, in.Generation = a.id, a.instance, a.epoch
	code := int16(0)
	w.do(func(st *step) { code = w.g.heartbeat(st, in) })
	w.seen.beats++
	if code != 0 {
		w.mustJoinAgain(a, code)
	}
}

func (w *consumerWorld) mustJoinAgain(a *actor, code int16) {
	a.needsJoin = true
	switch code {
	case protocol.ErrRebalanceInProgress.Code:
	case protocol.ErrIllegalGeneration.Code:
		w.seen.fenced++
		a.forget()
	case protocol.ErrUnknownMemberID.Code:
		w.seen.fenced++
		a.forget()
		a.id = ""
	case protocol.ErrFencedInstanceID.Code:
		a.leave()
	default:
		w.t.Fatalf("%s: answered %s", a.name, codeName(code))
	}
}

// lead assigns as a cooperative leader does: nobody gets what another one says
// it owns, the later generation being right; the rest goes to who has least.
func (w *consumerWorld) lead(a *actor) []kmsg.SyncGroupRequestGroupAssignment {
	type claim struct {
		id         string
		generation int32
	}
	claims := map[partitionID]claim{}
	readers := map[string][]string{}
	shares := map[string][]partitionID{}
	for _, m := range a.members {
		v, err := subscriptionOf(m.ProtocolMetadata)
		if err != nil {
			w.t.Fatalf("%s joined with %x: %v", m.MemberID, m.ProtocolMetadata, err)
		}
		shares[m.MemberID] = nil
		for _, name := range v.Topics {
			readers[name] = append(readers[name], m.MemberID)
		}
		for _, p := range ownedBy(v, w.topics) {
			if old, claimed := claims[p]; !claimed || old.generation < v.Generation {
				claims[p] = claim{m.MemberID, v.Generation}
			}
		}
	}
	for _, name := range sortedKeys(readers) {
		t, exists := w.topics.Named(name)
		if !exists {
			continue
		}
		for p := range t.Partitions {
			id := partitionID{t.ID, p}
			to := claims[id].id
			if to == "" {
				to = slices.MinFunc(readers[name], func(a, b string) int { return cmp.Compare(len(shares[a]), len(shares[b])) })
			}
			shares[to] = append(shares[to], id)
		}
	}
	var out []kmsg.SyncGroupRequestGroupAssignment
	for _, id := range sortedKeys(shares) {
		v := kmsg.NewConsumerMemberAssignment()
		v.Version = 3
		slices.SortFunc(shares[id], comparePartitions)
		for _, run := range byTopic(shares[id], ofPartition) {
			t, _ := w.topics.WithID(run.topic)
			v.Topics = append(v.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: t.Name, Partitions: run.partitions})
		}
		out = append(out, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: v.AppendTo(nil)})
	}
	return out
}
