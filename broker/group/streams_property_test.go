package group

import (
	"fmt"
	"slices"
	"testing"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// streamsClient is a member as it sees itself.
type streamsClient struct {
	id, process string
	endpoint    bool
	epoch       int32
	tasks       taskSet // that it was told to have
	has         taskSet // that it has, those that it has not given up yet included
	unsure      bool    // an answer was lost
}

// streamsTopology is the application of the property test.
var streamsTopology = []string{"0/sources=t/changelogs=c/sinks=r", "1/repartitions=r/changelogs=d", "2/sources=u"}

// streamsWorld drives one streams group with clients that come, go, crash, are
// slow to give up tasks and lose answers, while topics change, internal ones
// are made or are not, and the broker restarts.
type streamsWorld struct {
	t        *rapid.T
	topology *topology
	limits   limits
	settings groupSettings
	topics   testTopics
	g        *group
	nowMs    int64
	timers   map[timerKey]int64
	log      []record.Record
	clients  []*streamsClient
	wanted   []InternalTopic
	ids      int
	seen     struct{ beats, restarts, settled, moved int }
}

func newStreamsWorld(t *rapid.T, told *topology) *streamsWorld {
	w := &streamsWorld{t: t, topology: told, nowMs: 1_000_000, timers: map[timerKey]int64{}}
	w.limits = limits{maxSize: 100, maxPending: 10, streams: streamsLimits{maxSize: 7}}
	w.settings.streams = streamsSettings{
		sessionTimeoutMs: 45_000, heartbeatIntervalMs: 5000,
		assignmentIntervalMs: rapid.SampledFrom([]int64{0, 1000}).Draw(t, "assignment interval"),
		initialDelayMs:       rapid.SampledFrom([]int64{0, 3000}).Draw(t, "initial delay"),
		standbys:             rapid.Int32Range(0, 2).Draw(t, "standbys"),
	}
	w.topics = testTopics{partitions: map[string]int32{"t": 3, "u": 2}, version: 1}
	w.g = newGroup("g", &w.limits, w.nowMs)
	return w
}

// do runs one step as a shard would, and checks.
func (w *streamsWorld) do(input func(*step)) {
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
	if w.g.state == dead {
		w.g, w.timers = newGroup("g", &w.limits, w.nowMs), map[timerKey]int64{}
	}
	w.check()
}

func (w *streamsWorld) check() {
	c := w.g.streams
	if c == nil {
		return
	}
	if c.targetEpoch > c.epoch {
		w.t.Fatalf("target of epoch %d in epoch %d", c.targetEpoch, c.epoch)
	}
	for id, m := range c.members {
		if m.epoch > c.targetEpoch || m.epoch < 1 {
			w.t.Fatalf("member %s at epoch %d\n%s", id, m.epoch, dumpStreams(c))
		}
		if _, runs := w.timers[timerKey{sessionTimer, id}]; !runs {
			w.t.Fatalf("member %s has no session timer", id)
		}
		if _, runs := w.timers[timerKey{revokeTimer, id}]; runs != (m.state == memberUnrevoked) {
			w.t.Fatalf("member %s is %s; its timer runs: %v", id, m.state, runs)
		}
	}
	once := map[taskID]string{}
	inProcess := map[string]bool{}
	for _, one := range w.clients {
		if c.members[one.id] == nil {
			continue // it is not heard of any more, and what it does is fenced
		}
		for kind, list := range one.has {
			for _, t := range list {
				if at := fmt.Sprintf("%v in %s", t.taskID, one.process); inProcess[at] {
					w.t.Fatalf("task %s twice\n%s", at, dumpStreams(c))
				} else {
					inProcess[at] = true
				}
				if taskKind(kind) != activeTask {
					continue
				}
				if other := once[t.taskID]; other != "" {
					w.t.Fatalf("task %v is active at %s and %s\n%s", t.taskID, other, one.id, dumpStreams(c))
				}
				once[t.taskID] = one.id
			}
		}
	}
}

// invalid tells that a client has a task that the topics do not make now.
func (w *streamsWorld) invalid(c *streamsClient) bool {
	configured, no := w.topology.configure(w.topics)
	return no == nil && streamsPlan{configured: configured}.refuseTasks(c.has) != nil
}

func (w *streamsWorld) beat(c *streamsClient, lost bool) {
	in := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	in.Group, in.MemberID, in.MemberEpoch, in.RebalanceTimeoutMillis = "g", c.id, c.epoch, -1
	in.ActiveTasks, in.StandbyTasks, in.WarmupTasks = runsOf(c.has[activeTask]), runsOf(c.has[standbyTask]), runsOf(c.has[warmupTask])
	var told *topology
	if c.epoch == joinEpoch {
		in.RebalanceTimeoutMillis, in.ProcessID, told = 30_000, &c.process, w.topology
		if c.endpoint {
			in.UserEndpoint = &kmsg.StreamsGroupHeartbeatRequestUserEndpoint{Host: c.process, Port: 1}
		}
	}
	known := w.g.streams != nil && w.g.streams.members[c.id] != nil
	invalid := w.invalid(c)
	var answer StreamsAnswer
	w.do(func(st *step) {
		answer = w.g.streamsHeartbeat(st, streamsHeartbeatInput{in, Client{c.id, "/h"}, told})
	})
	w.seen.beats++
	w.wanted = append(w.wanted, answer.Create...)
	if lost {
		c.unsure = true
		return
	}
	r := answer.Response
	switch r.ErrorCode {
	case 0:
		if r.MemberEpoch < c.epoch && !c.unsure {
			w.t.Fatalf("%s went back from epoch %d to %d", c.id, c.epoch, r.MemberEpoch)
		}
		c.epoch, c.unsure = r.MemberEpoch, false
		if r.ActiveTasks != nil {
			w.seen.moved++
			c.tasks = *tasksOf(&kmsg.StreamsGroupHeartbeatRequest{ActiveTasks: r.ActiveTasks, StandbyTasks: r.StandbyTasks, WarmupTasks: r.WarmupTasks})
			c.take()
		}
	case protocol.ErrGroupMaxSizeReached.Code:
		if len(w.g.streams.members) < w.limits.streams.maxSize {
			w.t.Fatalf("%s is refused, and there are %d members", c.id, len(w.g.streams.members))
		}
		c.rejoin()
	default:
		if known && !c.unsure && !(invalid && r.ErrorCode == protocol.ErrInvalidRequest.Code) {
			w.t.Fatalf("%s is a member and is told %s %s\n%s", c.id, codeName(r.ErrorCode), *r.ErrorMessage, dumpStreams(w.g.streams))
		}
		c.rejoin()
	}
	w.check()
}

// take begins with new tasks; those that are to be given up stay until giveUp.
func (c *streamsClient) take() {
	for kind, list := range c.tasks {
		more := slices.Clone(c.has[kind])
		for _, t := range list {
			if _, has := c.has.find(taskKind(kind), t.taskID); !has {
				more = append(more, t)
			}
		}
		c.has[kind] = sortedTasks(more)
	}
}

func (c *streamsClient) giveUp() { c.has = c.tasks }
func (c *streamsClient) rejoin() {
	c.epoch, c.tasks, c.has, c.unsure = joinEpoch, taskSet{}, taskSet{}, false
}

func (w *streamsWorld) leave(c *streamsClient) {
	w.clients = slices.DeleteFunc(w.clients, func(o *streamsClient) bool { return o == c })
	if c.epoch == joinEpoch || rapid.IntRange(0, 3).Draw(w.t, "crashes") == 0 {
		return
	}
	in := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	in.Group, in.MemberID, in.MemberEpoch = "g", c.id, leaveEpoch
	w.do(func(st *step) { w.g.streamsHeartbeat(st, streamsHeartbeatInput{in, Client{c.id, "/h"}, nil}) })
	if w.g.streams != nil && w.g.streams.members[c.id] != nil {
		w.t.Fatalf("%s left and is there", c.id)
	}
}

// pass lets time go by.
func (w *streamsWorld) pass(ms int64) {
	until := w.nowMs + ms
	for {
		var next timerKey
		at, found := int64(0), false
		for k, due := range w.timers {
			if !found || due < at || due == at && (k.member < next.member || k.member == next.member && k.kind < next.kind) {
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

func (w *streamsWorld) changeTopics() {
	w.topics = w.topics.with(func(partitions map[string]int32, remade map[string]byte) {
		name := rapid.SampledFrom([]string{"t", "u", "c", "r"}).Draw(w.t, "topic")
		had, exists := partitions[name]
		switch {
		case !exists:
			partitions[name] = rapid.Int32Range(1, 4).Draw(w.t, "partitions")
		case had < 6 && rapid.IntRange(0, 2).Draw(w.t, "grow") > 0:
			partitions[name]++
		default:
			delete(partitions, name)
			remade[name]++
		}
	})
}

// makeTopics makes what the group asked for.
func (w *streamsWorld) makeTopics() {
	wanted := w.wanted
	w.wanted = nil
	w.topics = w.topics.with(func(partitions map[string]int32, _ map[string]byte) {
		for _, t := range wanted {
			if _, exists := partitions[t.Name]; !exists {
				partitions[t.Name] = t.Partitions
			}
		}
	})
}

// restart makes the group anew of its records; it must be what it was.
func (w *streamsWorld) restart() {
	sh := newShard(0, &settings{limits: w.limits, now: fixedClock(w.nowMs)}, nil)
	for _, r := range w.log {
		if err := sh.replay(r.Key, r.Value); err != nil {
			w.t.Fatal(err)
		}
	}
	g := sh.groupOf("g")
	if got, want := dumpStreams(g.streams), dumpStreams(w.g.streams); got != want {
		w.t.Fatalf("the group came back as\n%s, it was\n%s", got, want)
	}
	g.limits = &w.limits
	w.g, w.timers = g, map[timerKey]int64{}
	w.seen.restarts++
	w.do(g.resume)
}

// unsettled tells what is not as it should be when nothing changes any more.
func (w *streamsWorld) unsettled() string {
	c := w.g.streams
	if c == nil || len(w.clients) == 0 {
		return ""
	}
	if c.epoch != c.targetEpoch || c.stateName() != "Stable" {
		return fmt.Sprintf("epoch %d, target %d, %s", c.epoch, c.targetEpoch, c.stateName())
	}
	active, processes, members := map[taskID]bool{}, map[string]bool{}, 0
	copies := map[taskID]int{}
	for _, one := range w.clients {
		m := c.members[one.id]
		if m == nil {
			continue // the group is full
		}
		members++
		processes[one.process] = true
		if m.epoch != c.targetEpoch || one.epoch != m.epoch || shownRuns(runsOf(m.assigned[activeTask])) != shownRuns(runsOf(one.has[activeTask])) ||
			shownTasks(one.has) != shownTasks(c.target[m.id]) || len(m.assigned[standbyTask]) != len(one.has[standbyTask]) {
			return one.id + " is not where it is to be"
		}
		for _, t := range one.has[activeTask] {
			active[t.taskID] = true
		}
		for _, t := range one.has[standbyTask] {
			copies[t.taskID]++
		}
	}
	if members != min(len(w.clients), w.limits.streams.maxSize) || members != len(c.members) {
		return fmt.Sprintf("%d clients, %d of them among %d members", len(w.clients), members, len(c.members))
	}
	for part, count := range map[string]int32{"0": w.topics.partitions["t"], "1": w.topics.partitions["t"], "2": w.topics.partitions["u"]} {
		for n := range count {
			id := taskID{part, n}
			want := min(int(w.settings.streams.standbys), len(processes)-1)
			if part == "2" {
				want = 0 // it has no state
			}
			if !active[id] || copies[id] != want {
				return fmt.Sprintf("%v is active: %v, with %d copies of %d", id, active[id], copies[id], want)
			}
		}
	}
	return ""
}

// settle holds the group to its promise: when topics are as they must be and the clients
// only heartbeat, all have what they are to have after few heartbeats.
func (w *streamsWorld) settle() {
	w.topics = w.topics.with(func(partitions map[string]int32, remade map[string]byte) {
		for _, name := range []string{"c", "d", "r"} {
			delete(partitions, name)
			remade[name]++
		}
		for _, name := range []string{"t", "u"} {
			if _, exists := partitions[name]; !exists {
				partitions[name] = 2
			}
		}
	})
	w.wanted = nil
	w.pass(100_000) // the sessions of clients that crashed
	for range 14 {
		for _, c := range w.clients {
			w.beat(c, false)
			c.giveUp()
		}
		w.makeTopics()
		w.pass(2000)
		if w.unsettled() == "" {
			break
		}
	}
	if why := w.unsettled(); why != "" {
		w.t.Fatalf("not settled: %s\n%s", why, dumpStreams(w.g.streams))
	}
	w.seen.settled++
}

// TestRandomStreamsGroup: whatever clients do, no task is active at two members
// at once nor twice in a process, a restart changes nothing, nobody is fenced who did
// nothing wrong, and left in peace all tasks are assigned in few heartbeats.
func TestRandomStreamsGroup(t *testing.T) {
	told, no := readTopology(topologyOf(t, 0, streamsTopology...))
	if no != nil {
		t.Fatal(no)
	}
	var beats, restarts, settled, moved int
	rapid.Check(t, func(t *rapid.T) {
		w := newStreamsWorld(t, told)
		some := func() *streamsClient { return rapid.SampledFrom(w.clients).Draw(t, "client") }
		turn := func(*rapid.T) {
			if len(w.clients) > 0 {
				w.beat(some(), rapid.IntRange(0, 9).Draw(t, "lost") == 0)
			}
		}
		giveUp := func(*rapid.T) {
			if len(w.clients) > 0 {
				some().giveUp()
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"turn": turn, "turn again": turn, "turn once more": turn, "give up": giveUp, "give up again": giveUp,
			"arrive": func(*rapid.T) {
				w.ids++
				c := &streamsClient{id: fmt.Sprintf("m%d", w.ids), process: fmt.Sprintf("p%d", rapid.IntRange(1, 3).Draw(t, "process")), endpoint: w.ids%2 == 0}
				w.clients = append(w.clients, c)
				w.beat(c, rapid.IntRange(0, 9).Draw(t, "lost") == 0)
			},
			"leave": func(*rapid.T) {
				if len(w.clients) > 0 {
					w.leave(some())
				}
			},
			"pass":        func(*rapid.T) { w.pass(rapid.Int64Range(1, 20_000).Draw(t, "ms")) },
			"topics":      func(*rapid.T) { w.changeTopics() },
			"make topics": func(*rapid.T) { w.makeTopics() },
			"standbys": func(*rapid.T) {
				w.settings.streams.standbys = rapid.Int32Range(0, 2).Draw(t, "standbys")
			},
			"delete": func(*rapid.T) {
				if w.g.streams != nil && w.g.vacant() {
					w.do(func(st *step) {
						if w.g.kill(st) != 0 {
							t.Fatal("a group without members is not deleted")
						}
					})
				}
			},
			"restart": func(*rapid.T) { w.restart() },
			"settle":  func(*rapid.T) { w.settle() },
		})
		w.settle()
		beats, restarts, settled, moved = beats+w.seen.beats, restarts+w.seen.restarts, settled+w.seen.settled, moved+w.seen.moved
	})
	t.Logf("%d heartbeats, %d restarts, settled %d times, %d assignments", beats, restarts, settled, moved)
	if !testing.Short() && (beats == 0 || restarts == 0 || settled == 0 || moved == 0) {
		t.Error("the test misses what it is about")
	}
}
