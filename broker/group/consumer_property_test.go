package group

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// consumerWorld drives one group with clients of both protocols that come, go,
// crash, change their subscriptions and lose answers, while topics change and
// the broker restarts.
type consumerWorld struct {
	t        *rapid.T
	limits   limits
	settings groupSettings
	topics   testTopics
	g        *group
	nowMs    int64
	timers   map[timerKey]int64
	waiting  map[ticket]*actor
	next     ticket
	log      []record.Record
	actors   []*actor
	ids      int
	seen     struct{ beats, kept, fenced, joins, upgrades, downgrades, restarts, settled int }
}

func fresh(n int) string { return fmt.Sprintf("m%d", n) }

func newConsumerWorld(t *rapid.T) *consumerWorld {
	w := &consumerWorld{t: t, nowMs: 1000, timers: map[timerKey]int64{}, waiting: map[ticket]*actor{}}
	w.limits = limits{
		maxSize: 100, maxPending: 10, newMemberTimeoutMs: 300_000, minSessionTimeoutMs: 1, maxSessionTimeoutMs: 1 << 30,
		consumer: testConsumerLimits(),
	}
	w.limits.consumer.regexMinIntervalMs = rapid.SampledFrom([]int64{0, 2000}).Draw(t, "regex interval")
	w.limits.consumer.upgrade = rapid.IntRange(0, 3).Draw(t, "upgrade") > 0
	w.limits.consumer.downgrade = rapid.IntRange(0, 3).Draw(t, "downgrade") > 0
	if rapid.Bool().Draw(t, "range first") {
		w.limits.consumer.assignors = []string{"range", "uniform"}
	}
	w.settings = groupSettings{
		sessionTimeoutMs: 45_000, heartbeatIntervalMs: 5000,
		assignmentIntervalMs: rapid.SampledFrom([]int64{0, 1000}).Draw(t, "assignment interval"),
	}
	w.g = newGroup("g", &w.limits, w.nowMs)
	w.changeTopics()
	return w
}

func (w *consumerWorld) ticket(a *actor) ticket {
	w.next++
	w.waiting[w.next] = a
	a.waiting = w.next
	return w.next
}

// do runs one step as a shard would, hands the answers out and checks.
func (w *consumerWorld) do(input func(*step)) {
	was := w.g.consumer != nil
	st := step{nowMs: w.nowMs, topics: w.topics, settings: w.settings}
	input(&st)
	for _, c := range st.timers {
		if c.afterMs < 0 {
			delete(w.timers, c.key)
		} else {
			w.timers[c.key] = w.nowMs + c.afterMs
		}
	}
	w.log = append(w.log, st.records...)
	for _, r := range st.replies {
		a := w.waiting[r.to]
		if a == nil {
			w.t.Fatalf("ticket %d answered twice, or never asked", r.to)
		}
		delete(w.waiting, r.to)
		a.waiting = 0
		switch {
		case a.gone:
		case r.join != nil:
			w.joined(a, r.join)
		default:
			w.synced(a, r.sync)
		}
	}
	if is := w.g.consumer != nil; is && !was {
		w.seen.upgrades++
	} else if was && !is {
		w.seen.downgrades++
	}
	w.check()
}

// live tells whether the group knows what the client believes: then nobody else
// may own what it owns. One that is not finds out at its next request, and its
// commits are refused.
func (w *consumerWorld) live(a *actor) bool {
	if a.gone || a.unsure {
		return false
	}
	if c := w.g.consumer; c != nil {
		m := c.members[a.id]
		return m != nil && (m.classic != nil) == a.classic && (!a.classic || m.epoch == a.epoch)
	}
	return a.classic && w.g.members[a.id] != nil && a.epoch == w.g.generation
}

func (w *consumerWorld) check() {
	t := w.t
	owner := map[partitionID]string{}
	for _, a := range w.actors {
		if !w.live(a) {
			continue
		}
		for _, p := range a.owned {
			if other := owner[p]; other != "" {
				t.Fatalf("%s is owned by %s and %s\n%s", shownPartition(p), other, a.name, w.dump())
			}
			owner[p] = a.name
		}
	}
	c := w.g.consumer
	if c == nil {
		return
	}
	if c.targetEpoch > c.epoch {
		t.Fatalf("target of epoch %d in epoch %d", c.targetEpoch, c.epoch)
	}
	w.checkMembers(c)
	for _, a := range w.actors {
		if w.live(a) {
			w.checkActor(a, c.members[a.id])
		}
	}
}

func (w *consumerWorld) checkMembers(c *consumerGroup) {
	t := w.t
	owners, targets := map[partitionID]string{}, map[partitionID]string{}
	for _, m := range c.ordered() {
		for _, h := range slices.Concat(m.assigned, m.revoking) {
			if other := owners[h.partitionID]; other != "" {
				t.Fatalf("%s is assigned to %s and %s\n%s", shownPartition(h.partitionID), other, m.id, w.dump())
			}
			owners[h.partitionID] = m.id
			if h.epoch > c.targetEpoch {
				t.Fatalf("%s has %s from epoch %d on, which is to come\n%s", m.id, shownPartition(h.partitionID), h.epoch, w.dump())
			}
		}
		for _, p := range c.target[m.id] {
			if other := targets[p]; other != "" {
				t.Fatalf("%s is the target of %s and %s\n%s", shownPartition(p), other, m.id, w.dump())
			}
			targets[p] = m.id
		}
		if m.epoch > c.targetEpoch {
			t.Fatalf("%s is ahead of the target\n%s", m.id, w.dump())
		}
		// Nobody is forgotten: something ends whatever is waited for.
		w.checkTimer(sessionTimer, m.id, true)
		w.checkTimer(revokeTimer, m.id, m.state == memberUnrevoked && m.classic == nil)
		_, mustJoin := c.mustJoin[m.id]
		w.checkTimer(rejoinTimer, m.id, mustJoin)
	}
	if !maps.Equal(owners, c.owners) {
		t.Fatalf("owners %v, known as %v", owners, c.owners)
	}
	for id := range c.target {
		if c.members[id] == nil {
			t.Fatalf("%s has a target and is no member", id)
		}
	}
	for text := range c.regexes {
		if c.byRegex[text] == 0 {
			t.Fatalf("%q is resolved and nobody subscribes to it", text)
		}
	}
}

func (w *consumerWorld) checkTimer(kind timerKind, id string, wanted bool) {
	if _, runs := w.timers[timerKey{kind, id}]; runs != wanted {
		w.t.Fatalf("timer %d of %s runs: %v\n%s", kind, id, runs, w.dump())
	}
}

// checkActor: the group knows of all that a client owns, and lets it commit
// that, or tells it that it is fenced.
func (w *consumerWorld) checkActor(a *actor, m *consumerMember) {
	for _, p := range a.owned {
		_, assigned := findHeld(m.assigned, p)
		_, revoking := findHeld(m.revoking, p)
		if !assigned && !revoking {
			w.t.Fatalf("%s owns %s, the group does not know\n%s", a.name, shownPartition(p), w.dump())
		}
		if t, exists := w.topics.WithID(p.topic); exists && m.epoch >= a.epoch {
			in := Commit{MemberID: a.id, Generation: a.epoch, Version: memberEpochVersion}
			code := w.g.mayCommit(in)
			if code == 0 {
				code = w.g.mayCommitOffset(&step{topics: w.topics}, in, CommitOffset{Topic: t.Name, Partition: p.index})
			}
			if code != 0 {
				w.t.Fatalf("%s at epoch %d may not commit %s, which it owns: %s\n%s", a.name, a.epoch, shownPartition(p), codeName(code), w.dump())
			}
		}
	}
}

func (w *consumerWorld) dump() string {
	out := dump(w.g.consumer)
	if w.g.consumer == nil {
		out = fmt.Sprintf("classic %s generation %d\n", w.g.state, w.g.generation)
	}
	for _, a := range w.actors {
		out += fmt.Sprintf("client %s %+v\n", a.name, *a)
	}
	return out
}

// pass lets time go by.
func (w *consumerWorld) pass(ms int64) {
	until := w.nowMs + ms
	for range 1000 {
		var next timerKey
		at, found := int64(0), false
		for k, due := range w.timers {
			if !found || cmp.Or(cmp.Compare(due, at), cmp.Compare(k.kind, next.kind), cmp.Compare(k.member, next.member)) < 0 {
				next, at, found = k, due, true
			}
		}
		if !found || at > until {
			w.nowMs = until
			return
		}
		w.nowMs = max(w.nowMs, at)
		delete(w.timers, next)
		w.do(func(st *step) { w.g.expire(st, next) })
	}
	w.t.Fatal("timers fire for ever")
}

func (w *consumerWorld) changeTopics() {
	w.topics = w.topics.with(func(partitions map[string]int32, remade map[string]byte) {
		name := rapid.SampledFrom([]string{"t", "u", "v"}).Draw(w.t, "topic")
		had, exists := partitions[name]
		switch {
		case !exists:
			partitions[name] = rapid.Int32Range(1, 4).Draw(w.t, "partitions")
		case had < 8 && rapid.IntRange(0, 2).Draw(w.t, "grow") > 0:
			partitions[name]++
		default:
			delete(partitions, name)
			remade[name]++
		}
	})
	// A classic client notices by its metadata.
	for _, a := range w.actors {
		if a.classic {
			a.owned = slices.DeleteFunc(slices.Clone(a.owned), func(p partitionID) bool {
				_, exists := w.topics.WithID(p.topic)
				return !exists
			})
		}
	}
	w.check()
}

func (w *consumerWorld) subscribe(a *actor) {
	a.names, a.regex, a.full = nil, "", true
	for _, name := range []string{"t", "u", "v"} {
		if rapid.IntRange(0, 2).Draw(w.t, name) > 0 {
			a.names = append(a.names, name)
		}
	}
	if a.classic {
		a.needsJoin = true
		return
	}
	a.regex = rapid.SampledFrom([]string{"", "", "t|u", "[u-v]"}).Draw(w.t, "regex")
}

func (w *consumerWorld) arrive(instance *string) *actor {
	w.ids++
	a := &actor{name: fmt.Sprintf("c%d", w.ids), instance: instance, classic: rapid.IntRange(0, 2).Draw(w.t, "classic") == 0}
	if a.classic {
		a.eager = rapid.Bool().Draw(w.t, "eager")
	} else {
		a.id = fresh(w.ids)
	}
	w.subscribe(a)
	w.actors = append(w.actors, a)
	return a
}

func (w *consumerWorld) someInstance() *string {
	i := rapid.SampledFrom([]string{"", "", "", "i1", "i2"}).Draw(w.t, "instance")
	if i == "" {
		return nil
	}
	return &i
}

// present are the clients that are there.
func (w *consumerWorld) present() []*actor {
	return slices.DeleteFunc(slices.Clone(w.actors), func(a *actor) bool { return a.gone })
}

// someone is one of the clients that are there, which may be none.
func (w *consumerWorld) someone() *actor {
	present := w.present()
	if len(present) == 0 {
		return w.arrive(w.someInstance())
	}
	return rapid.SampledFrom(present).Draw(w.t, "client")
}

// bow is the last word of a client that closes.
func (w *consumerWorld) bow(a *actor, back bool) {
	id, epoch := a.id, int32(leaveEpoch)
	if back && a.instance != nil {
		epoch = leaveStaticEpoch
	}
	joined := a.epoch != joinEpoch
	a.leave()
	switch {
	case a.classic && (a.instance == nil || !back):
		w.do(func(st *step) {
			w.g.leave(st, []kmsg.LeaveGroupRequestMember{{MemberID: id, InstanceID: a.instance}})
		})
	case !a.classic && joined:
		in := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		in.Version, in.MemberID, in.MemberEpoch, in.InstanceID = 1, id, epoch, a.instance
		w.do(func(st *step) { w.g.consumerHeartbeat(st, heartbeatInput{in, Client{a.name, "/h"}, ""}) })
	}
}

// restart makes the group anew of its records; it must be what it was.
func (w *consumerWorld) restart() {
	sh := newShard(0, &settings{limits: w.limits, now: fixedClock(w.nowMs)}, nil)
	for _, r := range w.log {
		if err := sh.replay(r.Key, r.Value); err != nil {
			w.t.Fatal(err)
		}
	}
	g := sh.groupOf("g")
	if got, want := dump(g.consumer), dump(w.g.consumer); got != want {
		w.t.Fatalf("the group came back as\n%s, it was\n%s", got, want)
	}
	g.limits = &w.limits
	w.g, w.timers = g, map[timerKey]int64{}
	for _, a := range w.waiting {
		a.waiting = 0
		a.needsJoin = a.needsJoin || a.needsSync && !a.gone // its connection broke
	}
	w.waiting = map[ticket]*actor{}
	w.seen.restarts++
	w.do(g.resume)
}

// round is one second in which all clients do what they must.
func (w *consumerWorld) round() {
	w.pass(1000)
	for _, a := range w.present() {
		w.turn(a, false)
		a.carryOut()
	}
}

// unsettled tells what is not as it should be when nothing changes any more.
func (w *consumerWorld) unsettled() string {
	c := w.g.consumer
	if c == nil {
		for _, a := range w.present() {
			if a.classic && (a.needsJoin || a.needsSync || a.waiting != 0) {
				return a.name + " has not joined the classic group"
			}
		}
		return ""
	}
	if state := c.stateName(); state != "Stable" && state != "Empty" {
		return "the group is " + state
	}
	owned, members := map[partitionID]bool{}, 0
	for _, a := range w.present() {
		m := c.members[a.id]
		if m == nil {
			if a.instance == nil {
				return a.name + " is no member"
			}
			continue
		}
		members++
		if !samePartitions(m.assigned, heldOf(a.owned)) {
			return a.name + " does not own what it is assigned"
		}
		for _, p := range a.owned {
			owned[p] = true
		}
	}
	if members != len(c.members) {
		return "there are members without a client"
	}
	for _, name := range c.subscribedNames() {
		t, _ := w.topics.Named(name)
		for p := range t.Partitions {
			if !owned[partitionID{t.ID, p}] {
				return fmt.Sprintf("nobody owns %s-%d", name, p)
			}
		}
	}
	return ""
}

func heldOf(list []partitionID) []held {
	var out []held
	for _, p := range list {
		out = append(out, held{partitionID: p})
	}
	return out
}

// settle holds the group to its promise: when the clients only heartbeat, all
// have what they are to have after few heartbeats; classic ones, which learn by
// a heartbeat that they are to join and then to sync, after some more.
func (w *consumerWorld) settle() {
	rounds := 8
	if slices.ContainsFunc(w.present(), func(a *actor) bool { return a.classic }) {
		rounds = 20
	}
	for range rounds {
		if w.round(); w.unsettled() == "" {
			break
		}
	}
	if why := w.unsettled(); why != "" {
		w.t.Fatalf("not settled after %d rounds: %s\n%s", rounds, why, w.dump())
	}
	w.seen.settled++
}

// TestRandomConsumerGroup: whatever clients do, no partition is owned by two,
// what a client owns it may commit, a restart changes nothing, and left in
// peace all reach their target in few heartbeats.
func TestRandomConsumerGroup(t *testing.T) {
	var beats, kept, fenced, joins, upgrades, downgrades, restarts, settled int
	rapid.Check(t, func(t *rapid.T) {
		w := newConsumerWorld(t)
		turn := func(*rapid.T) {
			a := w.someone()
			w.turn(a, rapid.IntRange(0, 9).Draw(t, "lost") == 0)
		}
		carryOut := func(*rapid.T) { w.someone().carryOut() }
		t.Repeat(map[string]func(*rapid.T){
			"turn": turn, "turn again": turn, "turn once more": turn,
			"carry out": carryOut, "carry out again": carryOut,
			"round": func(*rapid.T) { w.round() },
			"arrive": func(*rapid.T) {
				if len(w.present()) < 6 {
					w.arrive(w.someInstance())
				}
			},
			"leave": func(*rapid.T) { w.bow(w.someone(), rapid.Bool().Draw(t, "back")) },
			"come back": func(*rapid.T) {
				a := w.someone()
				w.bow(a, true)
				w.arrive(a.instance)
			},
			"crash":        func(*rapid.T) { w.someone().leave() },
			"subscribe":    func(*rapid.T) { w.subscribe(w.someone()) },
			"change topic": func(*rapid.T) { w.changeTopics() },
			"pass":         func(*rapid.T) { w.pass(rapid.SampledFrom([]int64{10, 1000, 3000, 12_000, 50_000}).Draw(t, "ms")) },
			"restart":      func(*rapid.T) { w.restart() },
		})
		// Who crashed is out at last; from then on, few rounds are enough.
		for range 80 {
			w.round()
		}
		if why := w.unsettled(); why != "" {
			t.Fatalf("not settled after all that: %s\n%s", why, w.dump())
		}
		w.changeTopics()
		w.settle()
		w.arrive(nil)
		w.settle()
		w.restart()
		w.settle()
		kept += w.seen.kept
		beats, fenced, joins = beats+w.seen.beats, fenced+w.seen.fenced, joins+w.seen.joins
		upgrades, downgrades = upgrades+w.seen.upgrades, downgrades+w.seen.downgrades
		restarts, settled = restarts+w.seen.restarts, settled+w.seen.settled
	})
	t.Logf("%d heartbeats, %d that only kept a session, %d fenced, %d classic joins, %d times a consumer group, %d times a classic one, %d restarts, %d times settled",
		beats, kept, fenced, joins, upgrades, downgrades, restarts, settled)
	for what, count := range map[string]int{"heartbeat": beats, "heartbeat that only keeps": kept, "fencing": fenced, "classic join": joins, "upgrade": upgrades, "downgrade": downgrades, "restart": restarts} {
		if count == 0 {
			t.Errorf("no %s was tried", what)
		}
	}
}
