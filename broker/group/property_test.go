package group

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// world drives one group with random requests of random clients, as a shard
// would, and remembers what was promised.
type world struct {
	t       *rapid.T
	limits  limits
	g       *group
	nowMs   int64
	timers  map[timerKey]int64
	waiting map[ticket]string // "join" or "sync"
	next    ticket
	ids     []string // member ids ever seen
	steps   struct{ joined, assigned, rebalanced, expired int }
	// assignments holds, by generation, what each member was told.
	assignments map[int32]map[string]string
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, nowMs: 1, timers: map[timerKey]int64{}, waiting: map[ticket]string{}, ids: []string{""},
		assignments: map[int32]map[string]string{},
	}
	w.limits = limits{
		maxSize: rapid.SampledFrom([]int{2, 5, 100}).Draw(t, "max size"), maxPending: 3, newMemberTimeoutMs: 300_000,
		initialDelayMs: rapid.SampledFrom([]int64{0, 3000}).Draw(t, "delay"), minSessionTimeoutMs: 1, maxSessionTimeoutMs: 1 << 30,
	}
	w.g = newGroup("g", &w.limits, w.nowMs)
	return w
}

func (w *world) ticket(kind string) ticket {
	w.next++
	w.waiting[w.next] = kind
	return w.next
}

func (w *world) do(input func(*step)) {
	st := step{nowMs: w.nowMs}
	input(&st)
	for _, c := range st.timers {
		if c.afterMs < 0 {
			delete(w.timers, c.key)
		} else {
			w.timers[c.key] = w.nowMs + c.afterMs
		}
	}
	w.steps.rebalanced += st.rebalances
	for _, r := range st.replies {
		kind, waits := w.waiting[r.to]
		if !waits {
			w.t.Fatalf("ticket %d answered twice, or never asked", r.to)
		}
		delete(w.waiting, r.to)
		if (r.join != nil) != (kind == "join") || (r.sync != nil) != (kind == "sync") {
			w.t.Fatalf("%s answered with another kind of reply", kind)
		}
		if r.join != nil {
			w.sawJoin(r.join)
		} else if r.sync.ErrorCode == 0 {
			w.steps.assigned++
		}
	}
	w.check()
}

func (w *world) sawJoin(r *kmsg.JoinGroupResponse) {
	if r.MemberID != "" && !slices.Contains(w.ids, r.MemberID) {
		w.ids = append(w.ids, r.MemberID)
	}
	if r.ErrorCode != 0 {
		return
	}
	w.steps.joined++
	if r.Generation != w.g.generation {
		w.t.Fatalf("joined generation %d of a group in %d", r.Generation, w.g.generation)
	}
	if len(r.Members) > 0 && r.LeaderID != r.MemberID {
		w.t.Fatalf("%q got the member list, %q leads", r.MemberID, r.LeaderID)
	}
}

// check is what must hold after every step.
func (w *world) check() {
	g, t := w.g, w.t
	awaiting := 0
	tickets := map[ticket]bool{}
	votes := map[string]int{}
	for id, m := range g.members {
		if m.id != id {
			t.Fatalf("member %q is kept as %q", m.id, id)
		}
		if m.joining != 0 {
			awaiting++
			tickets[m.joining] = true
		}
		if m.syncing != 0 {
			tickets[m.syncing] = true
		}
		if m.instanceID != nil && g.instances[*m.instanceID] != id {
			t.Fatalf("instance %q points at %q, not %q", *m.instanceID, g.instances[*m.instanceID], id)
		}
		for i, p := range m.protocols {
			if !m.repeats(i) {
				votes[p.name]++
			}
		}
		if _, pending := g.pending[id]; pending {
			t.Fatalf("%q is a member and pending", id)
		}
		// Nobody is forgotten: who does not wait for us has a running session.
		if _, timed := w.timers[timerKey{sessionTimer, id}]; !timed && m.joining == 0 && m.syncing == 0 {
			t.Fatalf("member %q in %s has no session timer", id, g.state)
		}
	}
	for id := range g.pending {
		if _, timed := w.timers[timerKey{sessionTimer, id}]; !timed {
			t.Fatalf("pending id %q never expires", id)
		}
	}
	if awaiting != g.awaiting {
		t.Fatalf("%d joins are held, %d counted", awaiting, g.awaiting)
	}
	if fmt.Sprint(votes) != fmt.Sprint(g.votes) {
		t.Fatalf("votes %v, counted %v", votes, g.votes)
	}
	for at, kind := range w.waiting {
		if !tickets[at] {
			t.Fatalf("a %s was lost: nobody holds its ticket in %s", kind, g.state)
		}
	}
	if len(g.instances) > len(g.members) {
		t.Fatalf("%d instances for %d members", len(g.instances), len(g.members))
	}
	w.checkState()
}

func (w *world) checkState() {
	g, t := w.g, w.t
	_, joinTimed := w.timers[timerKey{kind: joinTimer}]
	switch g.state {
	case empty:
		if len(g.members) > 0 || len(w.waiting) > 0 {
			t.Fatalf("Empty with %d members, %d requests held", len(g.members), len(w.waiting))
		}
	case preparingRebalance:
		if !joinTimed {
			t.Fatal("PreparingRebalance that nothing ends")
		}
	case completingRebalance, stable:
		if g.awaiting > 0 {
			t.Fatalf("%s holds %d joins", g.state, g.awaiting)
		}
		if g.members[g.leader] == nil {
			t.Fatalf("%s is led by %q, who is no member", g.state, g.leader)
		}
		for _, m := range g.members {
			if m.metadata(g.protocol) == nil {
				t.Fatalf("member %q does not support the chosen %q", m.id, g.protocol)
			}
		}
		if _, timed := w.timers[timerKey{kind: syncTimer}]; len(g.unsynced) > 0 && !timed {
			t.Fatalf("%s waits for ever for %d syncs", g.state, len(g.unsynced))
		}
	}
	if g.state == stable {
		// One assignment a generation.
		told := w.assignments[g.generation]
		if told == nil {
			told = map[string]string{}
			w.assignments[g.generation] = told
		}
		for _, m := range g.ordered() {
			key := m.id
			if m.instanceID != nil {
				key = "instance " + *m.instanceID
			}
			if before, known := told[key]; known && before != string(m.assignment) {
				t.Fatalf("%s was assigned %q and %q in generation %d", key, before, m.assignment, g.generation)
			}
			told[key] = string(m.assignment)
		}
	} else if len(w.waiting) > 0 && g.state == empty {
		t.Fatal("requests held by an Empty group")
	}
}

// someID is mostly a present member, else any id ever handed out, or none.
func (w *world) someID() string {
	if present := w.g.ordered(); len(present) > 0 && rapid.IntRange(0, 3).Draw(w.t, "present") > 0 {
		return rapid.SampledFrom(present).Draw(w.t, "member").id
	}
	return rapid.SampledFrom(w.ids).Draw(w.t, "member id")
}

func (w *world) someInstance() *string {
	i := rapid.SampledFrom([]string{"", "", "i1", "i2"}).Draw(w.t, "instance")
	if i == "" {
		return nil
	}
	return &i
}

// generationNear is mostly the present one.
func (w *world) generationNear() int32 {
	return w.g.generation + rapid.SampledFrom([]int32{0, 0, 0, -1}).Draw(w.t, "generation")
}

var protocolLists = [][]kmsg.JoinGroupRequestProtocol{
	{{Name: "range", Metadata: []byte("r")}},
	{{Name: "range", Metadata: []byte("r2")}, {Name: "sticky", Metadata: []byte("s")}},
	{{Name: "sticky", Metadata: []byte("s")}, {Name: "range", Metadata: []byte("r")}},
	{{Name: "range", Metadata: []byte("r")}, {Name: "range", Metadata: []byte("again")}},
	{},
}

func (w *world) join() {
	in := kmsg.NewPtrJoinGroupRequest()
	in.Version = rapid.SampledFrom([]int16{0, 3, 4, 8, 9}).Draw(w.t, "version")
	in.MemberID, in.ProtocolType = w.someID(), "consumer"
	if in.Version >= 5 {
		in.InstanceID = w.someInstance()
	}
	in.SessionTimeoutMillis = rapid.SampledFrom([]int32{6000, 10_000}).Draw(w.t, "session")
	in.RebalanceTimeoutMillis = rapid.SampledFrom([]int32{-1, 5000, 30_000}).Draw(w.t, "rebalance")
	in.Protocols = rapid.SampledFrom(protocolLists).Draw(w.t, "protocols")
	w.do(func(st *step) {
		w.g.join(st, joinInput{in, Client{"c", "/h"}, w.ticket("join"), fmt.Sprintf("m%d", w.next)})
	})
}

func (w *world) sync() {
	in := kmsg.NewPtrSyncGroupRequest()
	in.MemberID, in.Generation, in.InstanceID = w.someID(), w.generationNear(), nil
	if m := w.g.members[in.MemberID]; m != nil {
		in.InstanceID = m.instanceID
	}
	for _, m := range w.g.ordered() {
		id := m.id
		in.GroupAssignment = append(in.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: fmt.Appendf(nil, "%s@%d", id, w.next)})
	}
	w.do(func(st *step) { w.g.sync(st, syncInput{in, w.ticket("sync")}) })
}

func (w *world) heartbeat() {
	in := kmsg.NewPtrHeartbeatRequest()
	in.MemberID, in.Generation = w.someID(), w.generationNear()
	w.do(func(st *step) {
		code := w.g.heartbeat(st, in)
		if code == 0 && in.Generation != w.g.generation {
			w.t.Fatal("a heartbeat of a former generation was accepted")
		}
	})
}

func (w *world) leave() {
	l := kmsg.LeaveGroupRequestMember{MemberID: w.someID(), InstanceID: w.someInstance()}
	w.do(func(st *step) { w.g.leave(st, []kmsg.LeaveGroupRequestMember{l}) })
}

func (w *world) commit() {
	in := Commit{MemberID: w.someID(), Generation: w.generationNear(), RetentionMs: -1, Offsets: []CommitOffset{{Topic: "t", Offset: 1}}}
	w.do(func(st *step) {
		codes := w.g.commit(st, in, 10)
		if codes[0] == 0 && (in.Generation != w.g.generation && in.Generation >= 0) {
			w.t.Fatal("a commit of a former generation was accepted")
		}
		if codes[0] == 0 && len(st.records) != 1 {
			w.t.Fatal("an accepted commit wrote no record")
		}
	})
}

// nextTimer is the timer that fires next, the same one in every run.
func (w *world) nextTimer() (timerKey, int64, bool) {
	var next timerKey
	at, found := int64(0), false
	for k, due := range w.timers {
		if !found || cmp.Or(cmp.Compare(due, at), cmp.Compare(k.kind, next.kind), cmp.Compare(k.member, next.member)) < 0 {
			next, at, found = k, due, true
		}
	}
	return next, at, found
}

// pass lets time go by until the given moment, or until no timer runs.
func (w *world) pass(until int64) {
	for range 1000 {
		next, at, found := w.nextTimer()
		if !found || at > until {
			w.nowMs = until
			return
		}
		w.nowMs = max(w.nowMs, at)
		delete(w.timers, next)
		w.steps.expired++
		w.do(func(st *step) { w.g.expire(st, next) })
	}
	w.t.Fatal("timers fire for ever")
}

// TestRandomGroup: whatever clients do, no request is lost or answered twice,
// one generation has one assignment, and something always ends a rebalance.
func TestRandomGroup(t *testing.T) {
	var joined, assigned, rebalanced, expired int
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"join":      func(*rapid.T) { w.join() },
			"join more": func(*rapid.T) { w.join() },
			"sync":      func(*rapid.T) { w.sync() },
			"sync more": func(*rapid.T) { w.sync() },
			"heartbeat": func(*rapid.T) { w.heartbeat() },
			"leave":     func(*rapid.T) { w.leave() },
			"commit":    func(*rapid.T) { w.commit() },
			"pass": func(*rapid.T) {
				w.pass(w.nowMs + rapid.SampledFrom([]int64{1, 100, 1000, 3000, 6000, 40_000}).Draw(t, "ms"))
			},
			"expire offsets": func(*rapid.T) {
				w.do(func(st *step) { w.g.expireOffsets(st, 30_000) })
				if w.g.state == dead {
					w.g = newGroup("g", &w.limits, w.nowMs)
					w.assignments = map[int32]map[string]string{}
				}
			},
		})
		// Left alone, the group lets everybody go.
		w.pass(1 << 60)
		if len(w.waiting) > 0 || w.g.state != empty || len(w.g.members) > 0 {
			t.Fatalf("the abandoned group is %s with %d members and %d held requests", w.g.state, len(w.g.members), len(w.waiting))
		}
		joined, assigned = joined+w.steps.joined, assigned+w.steps.assigned
		rebalanced, expired = rebalanced+w.steps.rebalanced, expired+w.steps.expired
	})
	t.Logf("%d joins answered, %d assignments, %d generations, %d expiries", joined, assigned, rebalanced, expired)
	if joined == 0 || assigned == 0 || rebalanced == 0 || expired == 0 {
		t.Errorf("nothing was tried: %d joins, %d assignments, %d generations, %d expiries", joined, assigned, rebalanced, expired)
	}
}
