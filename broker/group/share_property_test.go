package group

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// dumpShare is all that is stored of a share group, for comparison.
func dumpShare(c *shareGroup) string {
	if c == nil {
		return "not a share group"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "epoch %d target %d at %d hash %d\n", c.epoch, c.targetEpoch, c.assignedAtMs, c.hash)
	for _, m := range c.ordered() {
		fmt.Fprintf(&out, "member %s %s %v %v\n  %d %d %s\n", m.id, textOf(m.rackID), m.client, m.names, m.epoch, m.previousEpoch, shownPartitions(m.assigned))
	}
	for _, id := range sortedKeys(c.target) {
		fmt.Fprintf(&out, "target %s %s\n", id, shownPartitions(c.target[id]))
	}
	for what, of := range []map[[16]byte]shareTopic{c.states.initializing, c.states.initialized} {
		for _, id := range sortedTopics(of) {
			fmt.Fprintf(&out, "state %d %x %s %v\n", what, id, of[id].name, of[id].partitions)
		}
	}
	for _, id := range sortedTopics(c.states.deleting) {
		fmt.Fprintf(&out, "deleting %x %s\n", id, c.states.deleting[id])
	}
	fmt.Fprintf(&out, "by name %v\n", c.byName)
	return out.String()
}

// shareClient is a member as it sees itself.
type shareClient struct {
	id       string
	names    []string
	renamed  bool // it has not told its names since they changed
	epoch    int32
	assigned []partitionID
	unsure   bool // an answer was lost
}

// shareWorld drives one share group with clients that come, go, crash, change
// their subscriptions and lose answers, while topics change, states are made
// or fail to be, and the broker restarts.
type shareWorld struct {
	t        *rapid.T
	limits   limits
	settings groupSettings
	topics   testTopics
	g        *group
	nowMs    int64
	timers   map[timerKey]int64
	log      []record.Record
	clients  []*shareClient
	jobs     [][]SharePartition
	stored   map[partitionID]bool // partitions with a state in the other room
	ids      int
	seen     struct{ beats, restarts, settled, failed int }
}

func newShareWorld(t *rapid.T) *shareWorld {
	w := &shareWorld{t: t, nowMs: 1_000_000, timers: map[timerKey]int64{}, stored: map[partitionID]bool{}}
	w.limits = limits{maxSize: 100, maxPending: 10, share: shareLimits{maxSize: 6, retryMs: 30_000}}
	w.settings.share = shareSettings{
		sessionTimeoutMs: 45_000, heartbeatIntervalMs: 5000,
		assignmentIntervalMs: rapid.SampledFrom([]int64{0, 1000}).Draw(t, "assignment interval"),
	}
	w.g = newGroup("g", &w.limits, w.nowMs)
	w.changeTopics()
	return w
}

// do runs one step as a shard would, and checks.
func (w *shareWorld) do(input func(*step)) {
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
	if len(st.initialize) > 0 {
		w.jobs = append(w.jobs, st.initialize)
	}
	if w.g.state == dead {
		w.g, w.timers = newGroup("g", &w.limits, w.nowMs), map[timerKey]int64{}
	}
	w.check()
}

func (w *shareWorld) check() {
	c := w.g.share
	if c == nil {
		return
	}
	if c.targetEpoch > c.epoch {
		w.t.Fatalf("target of epoch %d in epoch %d", c.targetEpoch, c.epoch)
	}
	for id, m := range c.members {
		if m.epoch > c.targetEpoch || m.epoch < 1 {
			w.t.Fatalf("member %s at epoch %d\n%s", id, m.epoch, dumpShare(c))
		}
		if _, runs := w.timers[timerKey{sessionTimer, id}]; !runs {
			w.t.Fatalf("member %s has no session timer", id)
		}
		for _, p := range m.assigned {
			if _, exists := w.topics.WithID(p.topic); exists && !w.stored[p] {
				w.t.Fatalf("%s of %s has no state", shownPartition(p), id)
			}
		}
	}
	for id, topic := range c.states.initialized {
		for _, p := range topic.partitions {
			if !w.stored[partitionID{id, p}] {
				w.t.Fatalf("%s-%d is initialized and has no state", topic.name, p)
			}
		}
	}
}

func (w *shareWorld) changeTopics() {
	deleted := ""
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
			deleted = name
		}
	})
	if deleted != "" {
		w.do(func(st *step) { w.g.dropTopic(st, deleted) })
	}
}

func (w *shareWorld) subscribe(c *shareClient) {
	c.names, c.renamed = nil, true
	for _, name := range []string{"t", "u", "v"} {
		if rapid.Bool().Draw(w.t, "subscribes") {
			c.names = append(c.names, name)
		}
	}
	if c.names == nil {
		c.names = []string{"t"}
	}
}

func (w *shareWorld) beat(c *shareClient, lost bool) {
	in := kmsg.NewPtrShareGroupHeartbeatRequest()
	in.Version, in.GroupID, in.MemberID, in.MemberEpoch = 1, "g", c.id, c.epoch
	if c.epoch == joinEpoch || c.renamed {
		in.SubscribedTopicNames = c.names
	}
	known := w.g.share != nil && w.g.share.members[c.id] != nil
	var r *kmsg.ShareGroupHeartbeatResponse
	w.do(func(st *step) { r = w.g.shareHeartbeat(st, shareHeartbeatInput{in, Client{c.id, "/h"}}) })
	w.seen.beats++
	if lost {
		c.unsure = true
		return
	}
	switch r.ErrorCode {
	case 0:
		if r.MemberEpoch < c.epoch && !c.unsure {
			w.t.Fatalf("%s went back from epoch %d to %d", c.id, c.epoch, r.MemberEpoch)
		}
		c.epoch, c.renamed, c.unsure = r.MemberEpoch, false, false
		if r.Assignment != nil {
			c.assigned = nil
			for _, t := range r.Assignment.TopicPartitions {
				for _, p := range t.Partitions {
					c.assigned = append(c.assigned, partitionID{t.TopicID, p})
				}
			}
		}
	case protocol.ErrGroupMaxSizeReached.Code:
		if len(w.g.share.members) < w.limits.share.maxSize {
			w.t.Fatalf("%s is refused, and there are %d members", c.id, len(w.g.share.members))
		}
		c.epoch, c.assigned = joinEpoch, nil
	default:
		if known && !c.unsure {
			w.t.Fatalf("%s is a member and is told %s\n%s", c.id, codeName(r.ErrorCode), dumpShare(w.g.share))
		}
		c.epoch, c.assigned, c.unsure = joinEpoch, nil, false
	}
}

func (w *shareWorld) leave(c *shareClient) {
	w.clients = slices.DeleteFunc(w.clients, func(o *shareClient) bool { return o == c })
	if c.epoch == joinEpoch || rapid.IntRange(0, 3).Draw(w.t, "crashes") == 0 {
		return
	}
	in := kmsg.NewPtrShareGroupHeartbeatRequest()
	in.Version, in.GroupID, in.MemberID, in.MemberEpoch = 1, "g", c.id, leaveEpoch
	w.do(func(st *step) { w.g.shareHeartbeat(st, shareHeartbeatInput{in, Client{c.id, "/h"}}) })
	if w.g.share != nil && w.g.share.members[c.id] != nil {
		w.t.Fatalf("%s left and is there", c.id)
	}
}

// pass lets time go by.
func (w *shareWorld) pass(ms int64) {
	until := w.nowMs + ms
	for {
		var next timerKey
		at, found := int64(0), false
		for k, due := range w.timers {
			if !found || due < at || due == at && k.member < next.member {
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
}

// finishJob makes states, or some of them, and tells the group.
func (w *shareWorld) finishJob(fails bool) {
	if len(w.jobs) == 0 {
		return
	}
	job := w.jobs[0]
	w.jobs = w.jobs[1:]
	errs := make([]error, len(job))
	for i, p := range job {
		_, exists := w.topics.WithID(p.Topic)
		if !exists || fails && rapid.IntRange(0, 2).Draw(w.t, "fails") == 0 {
			errs[i] = errors.New("no state")
			w.seen.failed++
			continue
		}
		w.stored[partitionID{p.Topic, p.Partition}] = true
	}
	if w.g.share != nil {
		w.do(func(st *step) { w.g.shareInitialized(st, job, errs) })
	}
}

// administer does what needs a group without members.
func (w *shareWorld) administer() {
	if w.g.share == nil || !w.g.vacant() {
		return
	}
	some := topicNamed("t", w.topics.remade["t"])
	whole := rapid.Bool().Draw(w.t, "delete the group")
	var plan sharePlan
	w.do(func(st *step) { plan = w.g.forgetShare(st, func(id [16]byte) bool { return whole || id == some }) })
	for _, p := range plan.partitions {
		delete(w.stored, partitionID{p.Topic, p.Partition})
	}
	w.do(func(st *step) {
		states := w.g.share.states.clone()
		for _, id := range plan.topics {
			delete(states.deleting, id)
		}
		w.g.storeShareStates(st, states)
		if whole && w.g.kill(st) != 0 {
			w.t.Fatal("a group without members is not deleted")
		}
	})
}

// restart makes the group anew of its records; it must be what it was.
func (w *shareWorld) restart() {
	sh := newShard(0, &settings{limits: w.limits, now: fixedClock(w.nowMs)}, nil)
	for _, r := range w.log {
		if err := sh.replay(r.Key, r.Value); err != nil {
			w.t.Fatal(err)
		}
	}
	g := sh.groupOf("g")
	if got, want := dumpShare(g.share), dumpShare(w.g.share); got != want {
		w.t.Fatalf("the group came back as\n%s, it was\n%s", got, want)
	}
	g.limits = &w.limits
	w.g, w.timers = g, map[timerKey]int64{}
	w.jobs = nil
	w.seen.restarts++
	w.do(g.resume)
}

// unsettled tells what is not as it should be when nothing changes any more.
func (w *shareWorld) unsettled() string {
	c := w.g.share
	if c == nil {
		return ""
	}
	if c.epoch != c.targetEpoch && len(c.members) > 0 {
		return fmt.Sprintf("epoch %d and target %d", c.epoch, c.targetEpoch)
	}
	shared, members := map[partitionID]bool{}, 0
	for _, one := range w.clients {
		m := c.members[one.id]
		if m == nil {
			continue // the group is full
		}
		members++
		if m.epoch != c.targetEpoch || one.epoch != m.epoch || !slices.Equal(m.assigned, one.assigned) || !slices.Equal(m.assigned, c.target[m.id]) {
			return one.id + " is not where it is to be"
		}
		for _, p := range m.assigned {
			shared[p] = true
		}
	}
	if members != min(len(w.clients), w.limits.share.maxSize) || members != len(c.members) {
		return fmt.Sprintf("%d clients, %d of them among %d members", len(w.clients), members, len(c.members))
	}
	for name := range c.byName {
		t, _ := w.topics.Named(name)
		for p := range t.Partitions {
			if !shared[partitionID{t.ID, p}] {
				return fmt.Sprintf("nobody has %s-%d", name, p)
			}
		}
	}
	return ""
}

// settle holds the group to its promise: when the clients only heartbeat and
// states can be made, all have what they are to have after few heartbeats.
func (w *shareWorld) settle() {
	w.pass(100_000) // the sessions of clients that crashed, and the time to try again
	for range 8 {
		w.pass(2000)
		for _, c := range w.clients {
			w.beat(c, false)
		}
		for len(w.jobs) > 0 {
			w.finishJob(false)
		}
		if w.unsettled() == "" {
			break
		}
	}
	if why := w.unsettled(); why != "" {
		w.t.Fatalf("not settled: %s\n%s", why, dumpShare(w.g.share))
	}
	w.seen.settled++
}

// TestRandomShareGroup: whatever clients do, a member is only assigned what has
// a state, a restart changes nothing, nobody is fenced who did nothing wrong,
// and left in peace all partitions are shared out in few heartbeats.
func TestRandomShareGroup(t *testing.T) {
	var beats, restarts, settled, failed int
	rapid.Check(t, func(t *rapid.T) {
		w := newShareWorld(t)
		turn := func(*rapid.T) {
			if len(w.clients) == 0 {
				return
			}
			c := rapid.SampledFrom(w.clients).Draw(t, "client")
			if rapid.IntRange(0, 5).Draw(t, "subscribes anew") == 0 {
				w.subscribe(c)
			}
			w.beat(c, rapid.IntRange(0, 9).Draw(t, "lost") == 0)
		}
		t.Repeat(map[string]func(*rapid.T){
			"turn": turn, "turn again": turn, "turn once more": turn,
			"arrive": func(*rapid.T) {
				w.ids++
				c := &shareClient{id: fmt.Sprintf("m%d", w.ids)}
				w.subscribe(c)
				w.clients = append(w.clients, c)
				w.beat(c, rapid.IntRange(0, 9).Draw(t, "lost") == 0)
			},
			"leave": func(*rapid.T) {
				if len(w.clients) > 0 {
					w.leave(rapid.SampledFrom(w.clients).Draw(t, "client"))
				}
			},
			"pass":       func(*rapid.T) { w.pass(rapid.Int64Range(1, 20_000).Draw(t, "ms")) },
			"topics":     func(*rapid.T) { w.changeTopics() },
			"states":     func(*rapid.T) { w.finishJob(true) },
			"administer": func(*rapid.T) { w.administer() },
			"restart":    func(*rapid.T) { w.restart() },
			"settle":     func(*rapid.T) { w.settle() },
		})
		w.settle()
		beats, restarts, settled, failed = beats+w.seen.beats, restarts+w.seen.restarts, settled+w.seen.settled, failed+w.seen.failed
	})
	t.Logf("%d heartbeats, %d restarts, settled %d times, %d states could not be made", beats, restarts, settled, failed)
	if !testing.Short() && (beats == 0 || restarts == 0 || settled == 0 || failed == 0) {
		t.Error("the test misses what it is about")
	}
}
