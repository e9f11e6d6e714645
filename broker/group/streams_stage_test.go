package group

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// topologyOf makes a topology of words, one for each subtopology:
//
//	0/sources=t,u/sinks=r/repartitions=r:4/changelogs=c/together=t+r
//
// The counts of repartition topics may be left out; together are copartition groups.
func topologyOf(t *testing.T, epoch int32, words ...string) *kmsg.StreamsGroupHeartbeatRequestTopology {
	t.Helper()
	topology := kmsg.NewStreamsGroupHeartbeatRequestTopology()
	topology.Epoch = epoch
	list := func(text string) []string {
		return slices.DeleteFunc(strings.Split(text, ","), func(one string) bool { return one == "" })
	}
	internal := func(text string) (topics []kmsg.TopicInfo) {
		for _, one := range list(text) {
			info := kmsg.NewTopicInfo()
			name, count, given := strings.Cut(one, ":")
			if info.Topic = name; given {
				n, err := strconv.Atoi(count)
				if err != nil {
					t.Fatal(err)
				}
				info.NumPartitions = int32(n)
			}
			topics = append(topics, info)
		}
		return topics
	}
	for _, word := range words {
		sub := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
		parts := strings.Split(word, "/")
		sub.SubtopologyID = parts[0]
		a := arguments(parts[1:])
		sub.SourceTopics, sub.RepartitionSinkTopics = list(a.text("sources", "")), list(a.text("sinks", ""))
		sub.RepartitionSourceTopics, sub.StateChangelogTopics = internal(a.text("repartitions", "")), internal(a.text("changelogs", ""))
		for _, group := range list(a.text("together", "")) {
			together := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopologyCopartitionGroup()
			for _, name := range strings.Split(group, "+") {
				if i := slices.Index(sub.SourceTopics, name); i >= 0 {
					together.SourceTopics = append(together.SourceTopics, int16(i))
				} else {
					i := slices.IndexFunc(sub.RepartitionSourceTopics, func(r kmsg.TopicInfo) bool { return r.Topic == name })
					together.RepartitionSourceTopics = append(together.RepartitionSourceTopics, int16(i))
				}
			}
			sub.CopartitionGroups = append(sub.CopartitionGroups, together)
		}
		topology.Subtopologies = append(topology.Subtopologies, sub)
	}
	return &topology
}

// ownedTasks reads 0:1,1:0 as tasks; never nil.
func ownedTasks(t *testing.T, text string) []kmsg.TaskIDs {
	tasks := []kmsg.TaskIDs{}
	for _, p := range pairs(text) {
		n, err := strconv.Atoi(p[1])
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, kmsg.TaskIDs{SubtopologyID: p[0], Partitions: []int32{int32(n)}})
	}
	return tasks
}

// streamsCommand is one line about a streams group.
func (s *stage) streamsCommand(command string, a arguments) bool {
	switch command {
	case "streams":
		s.limits.streams.maxSize = a.number("max", s.limits.streams.maxSize)
		one := &s.settings.streams
		one.initialDelayMs = int64(a.number("delay", int(one.initialDelayMs)))
		one.assignmentIntervalMs = int64(a.number("interval", int(one.assignmentIntervalMs)))
		one.standbys = int32(a.number("standbys", int(one.standbys)))
	case "topology":
		s.topology = a
	case "beat-streams":
		s.beatStreams(a)
	case "describe-streams":
		s.describeStreams()
	default:
		return false
	}
	return true
}

func (s *stage) describeStreams() {
	d := s.g.describeStreams()
	s.say("→ %s epoch=%d assignment=%d topology=%d", d.State, d.Epoch, d.AssignmentEpoch, d.Topology.Epoch)
	for _, p := range d.Topology.Subtopologies {
		s.say("   %s sources=%v sinks=%v repartitions=%s changelogs=%s", p.SubtopologyID, p.SourceTopics, p.RepartitionSinkTopics,
			shownTopics(p.RepartitionSourceTopics), shownTopics(p.StateChangelogTopics))
	}
	for _, m := range d.Members {
		s.say("   %s epoch=%d topology=%d process=%s client=%s%s assigned=%s target=%s", m.MemberID, m.MemberEpoch, m.TopologyEpoch, m.ProcessID,
			m.ClientID, m.ClientHost, shownAssigned(m.Assignment), shownAssigned(m.TargetAssignment))
	}
}

func shownTopics(list []kmsg.TopicInfo) string {
	var out []string
	for _, t := range list {
		out = append(out, fmt.Sprintf("%s:%d", t.Topic, t.NumPartitions))
	}
	return fmt.Sprint(out)
}

func shownAssigned(a kmsg.StreamsAssignment) string {
	return shownRuns(a.ActiveTasks, a.StandbyTasks, a.WarmupTasks)
}

// shownRuns writes tasks as [0_0 0_1], those of the other kinds with the kind before them.
func shownRuns(lists ...[]kmsg.TaskIDs) string {
	out := []string{}
	for kind, list := range lists {
		for _, run := range list {
			for _, p := range run.Partitions {
				out = append(out, fmt.Sprintf("%s%s_%d", []string{"", "standby ", "warmup "}[kind], run.SubtopologyID, p))
			}
		}
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func shownTasks(tasks taskSet) string {
	out := []string{}
	for kind, list := range tasks {
		for _, t := range list {
			one := fmt.Sprintf("%s%s_%d", []string{"", "standby ", "warmup "}[kind], t.subtopology, t.partition)
			if t.epoch != 0 {
				one += fmt.Sprintf("@%d", t.epoch)
			}
			out = append(out, one)
		}
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func (s *stage) beatStreams(a arguments) {
	in := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	in.Group, in.MemberID, in.MemberEpoch, in.RackID = "g", a[0], int32(a.number("epoch", 0)), a.optional("rack")
	in.RebalanceTimeoutMillis, in.ProcessID = -1, a.optional("process")
	in.EndpointInformationEpoch = int32(a.number("endpoints", 0))
	in.ShutdownApplication = slices.Contains(a, "shutdown")
	var told *topology
	if in.MemberEpoch == 0 {
		process := a.text("process", "p-"+a[0])
		in.RebalanceTimeoutMillis, in.ProcessID = 30_000, &process
		in.Topology = topologyOf(s.t, int32(a.number("topology", 0)), s.topology...)
		in.ActiveTasks, in.StandbyTasks, in.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	}
	if owned := a.optional("owned"); owned != nil {
		in.ActiveTasks, in.StandbyTasks, in.WarmupTasks = ownedTasks(s.t, *owned), ownedTasks(s.t, a.text("standby", "")), []kmsg.TaskIDs{}
	}
	if e := a.optional("endpoint"); e != nil {
		in.UserEndpoint = &kmsg.StreamsGroupHeartbeatRequestUserEndpoint{Host: *e, Port: 80}
	}
	told, no := checkStreamsHeartbeat(Client{a[0], "/host"}, in)
	if no != nil {
		s.say("%s ← %s: %s", a[0], codeName(no.code), no.message)
		return
	}
	s.do(func(st *step) {
		s.sayStreamsAnswer(a[0], s.g.streamsHeartbeat(st, streamsHeartbeatInput{in, Client{a[0], "/host"}, told}))
	})
}

func (s *stage) sayStreamsAnswer(who string, answer StreamsAnswer) {
	r := answer.Response
	if r.ErrorCode != 0 {
		s.say("%s ← %s: %s", who, codeName(r.ErrorCode), *r.ErrorMessage)
		return
	}
	told := "(as before)"
	if r.ActiveTasks != nil {
		told = shownRuns(r.ActiveTasks, r.StandbyTasks, r.WarmupTasks)
	}
	s.say("%s ← id=%s epoch=%d tasks=%s endpoints=%d", who, r.MemberID, r.MemberEpoch, told, r.EndpointInformationEpoch)
	for _, status := range r.Status {
		s.say("   status %d %s", status.StatusCode, status.StatusDetail)
	}
	for _, e := range r.PartitionsByUserEndpoint {
		s.say("   endpoint %s:%d active=%v standby=%v", e.UserEndpoint.Host, e.UserEndpoint.Port, e.ActivePartitions, e.StandbyPartitions)
	}
	for _, t := range answer.Create {
		s.say("   create %s:%d replicas=%d", t.Name, t.Partitions, t.Replicas)
	}
}

// sayStreams is the state after a command.
func (s *stage) sayStreams() {
	c := s.g.streams
	s.say("= %s epoch=%d target=%d", c.stateName(), c.epoch, c.targetEpoch)
	for _, m := range c.ordered() {
		text := fmt.Sprintf("  %s epoch=%d %s %s", m.id, m.epoch, m.state, shownTasks(m.assigned))
		if !m.revoking.empty() {
			text += " revoking " + shownTasks(m.revoking)
		}
		s.say("%s", text)
	}
}

func shownStreamsRecord(r *streamsRecord) string {
	name := map[int16]string{
		streamsMetadataKey: "epoch", streamsMemberKey: "member", streamsTargetMetadataKey: "target epoch",
		streamsTargetMemberKey: "target", streamsCurrentMemberKey: "current", streamsTopologyKey: "topology",
	}[r.kind]
	if r.of != "" {
		name += " " + r.of
	}
	if !r.present {
		return name + " tombstone"
	}
	m := newStreamsMember("")
	switch r.kind {
	case streamsMetadataKey:
		return fmt.Sprintf("%s %d validated=%d %v", name, r.epoch, r.validated, r.with)
	case streamsTargetMetadataKey:
		return fmt.Sprintf("%s %d", name, r.epoch)
	case streamsMemberKey:
		r.apply(m)
		return fmt.Sprintf("%s process=%s topology=%d", name, m.process, m.topologyEpoch)
	case streamsTargetMemberKey:
		return name + " " + shownTasks(r.target)
	case streamsCurrentMemberKey:
		r.apply(m)
		return fmt.Sprintf("%s epoch=%d before=%d %s %s%s", name, m.epoch, m.previousEpoch, m.state, shownTasks(m.assigned), shownTasks(m.revoking))
	}
	return fmt.Sprintf("%s %d with %d parts", name, r.topology.epoch, len(r.topology.parts))
}

// dumpStreams is all that is stored of a streams group, for comparison.
func dumpStreams(c *streamsGroup) string {
	if c == nil {
		return "not a streams group"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "epoch %d target %d at %d hash %d validated %d with %v\n", c.epoch, c.targetEpoch, c.assignedAtMs, c.hash, c.validated, c.assignedWith)
	if c.topology != nil {
		fmt.Fprintf(&out, "topology %x\n", c.topology.value)
	}
	for _, m := range c.ordered() {
		fmt.Fprintf(&out, "member %s %s %s %v %d %d %s %v %v\n", m.id, textOf(m.instanceID), textOf(m.rackID), m.client, m.rebalanceTimeoutMs, m.topologyEpoch, m.process, m.tags, m.endpoint != nil)
		if m.endpoint != nil {
			fmt.Fprintf(&out, "  at %s:%d\n", m.endpoint.host, m.endpoint.port)
		}
		fmt.Fprintf(&out, "  %d %d %s %s %s\n", m.epoch, m.previousEpoch, m.state, shownTasks(m.assigned), shownTasks(m.revoking))
	}
	for _, id := range sortedKeys(c.target) {
		fmt.Fprintf(&out, "target %s %s\n", id, shownTasks(c.target[id]))
	}
	fmt.Fprintf(&out, "owners %v\n", c.owners)
	return out.String()
}
