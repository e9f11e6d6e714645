package group

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// testTopics are topics whose ids are their names, so that a transcript can be read.
type testTopics struct {
	partitions map[string]int32
	// remade counts how often a topic was made anew, for its id.
	remade  map[string]byte
	version int64
}

func topicNamed(name string, times byte) (id [16]byte) {
	copy(id[:15], name)
	id[15] = times
	return id
}

func (t testTopics) Named(name string) (Topic, bool) {
	partitions, exists := t.partitions[name]
	return Topic{name, topicNamed(name, t.remade[name]), partitions}, exists
}

func (t testTopics) WithID(id [16]byte) (Topic, bool) {
	name := strings.TrimRight(string(id[:15]), "\x00")
	if topic, exists := t.Named(name); exists && topic.ID == id {
		return topic, true
	}
	return Topic{}, false
}

func (t testTopics) Each(visit func(Topic)) {
	for name := range t.partitions {
		topic, _ := t.Named(name)
		visit(topic)
	}
}

func (t testTopics) Version() int64 { return t.version }

// with is the topics after a change.
func (t testTopics) with(change func(partitions map[string]int32, remade map[string]byte)) testTopics {
	next := testTopics{partitions: map[string]int32{}, remade: map[string]byte{}, version: t.version + 1}
	for name, partitions := range t.partitions {
		next.partitions[name] = partitions
	}
	for name, times := range t.remade {
		next.remade[name] = times
	}
	change(next.partitions, next.remade)
	return next
}

func testConsumerLimits() consumerLimits {
	return consumerLimits{
		maxSize: 1000, assignors: []string{"uniform", "range"}, upgrade: true, downgrade: true,
		regexRefreshMs: 600_000, regexMinIntervalMs: 10_000,
	}
}

// consumerCommand is one line about a consumer group.
func (s *stage) consumerCommand(command string, a arguments) bool {
	switch command {
	case "consumer":
		l := &s.limits.consumer
		l.maxSize = a.number("max", l.maxSize)
		l.assignors = strings.Split(a.text("assignors", strings.Join(l.assignors, ",")), ",")
		policy := a.text("policy", "bidirectional")
		l.upgrade, l.downgrade = policy == "bidirectional" || policy == "upgrade", policy == "bidirectional" || policy == "downgrade"
		s.settings.assignmentIntervalMs = int64(a.number("interval", int(s.settings.assignmentIntervalMs)))
		s.settings.heartbeatIntervalMs = int32(a.number("heartbeat", int(s.settings.heartbeatIntervalMs)))
		s.settings.sessionTimeoutMs = int64(a.number("session", int(s.settings.sessionTimeoutMs)))
		l.settlingIntervalMs, l.settlingMs = int32(a.number("settling", 0)), 10_000
	case "topics":
		s.topics = s.topics.with(func(partitions map[string]int32, remade map[string]byte) {
			before := map[string]bool{}
			for name := range partitions {
				before[name] = true
				delete(partitions, name)
			}
			for _, w := range a {
				name, count, _ := strings.Cut(w, ":")
				n, err := strconv.Atoi(count)
				if err != nil {
					s.t.Fatal(err)
				}
				partitions[name] = int32(n)
				delete(before, name)
			}
			for name := range before {
				remade[name]++
			}
		})
	case "beat":
		s.beat(a)
	case "describe-consumer":
		d := s.g.describeConsumer(s.topics)
		s.say("→ %s epoch=%d assignment=%d assignor=%s", d.State, d.Epoch, d.AssignmentEpoch, d.AssignorName)
		for _, m := range d.Members {
			s.say("   %s epoch=%d type=%d client=%s%s names=%v regex=%q assigned=%s target=%s", m.MemberID, m.MemberEpoch, m.MemberType,
				m.ClientID, m.ClientHost, m.SubscribedTopics, *m.SubscribedTopicRegex, shownDescribed(m.Assignment), shownDescribed(m.TargetAssignment))
		}
	default:
		return false
	}
	return true
}

func shownDescribed(a kmsg.Assignment) string {
	var out []string
	for _, t := range a.TopicPartitions {
		for _, p := range t.Partitions {
			out = append(out, fmt.Sprintf("%s-%d", t.Topic, p))
		}
	}
	return fmt.Sprint(out)
}

func (s *stage) beat(a arguments) {
	in := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	in.Version = 1
	in.MemberID, in.MemberEpoch, in.InstanceID, in.RackID = a.text("id", a[0]), int32(a.number("epoch", 0)), a.optional("instance"), a.optional("rack")
	in.RebalanceTimeoutMillis = -1
	if in.MemberEpoch == 0 {
		in.RebalanceTimeoutMillis, in.Topics = 30_000, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	in.RebalanceTimeoutMillis = int32(a.number("rebalance", int(in.RebalanceTimeoutMillis)))
	in.ServerAssignor, in.SubscribedTopicRegex = a.optional("assignor"), a.optional("regex")
	if names := a.optional("names"); names != nil {
		in.SubscribedTopicNames = []string{}
		for _, name := range strings.Split(*names, ",") {
			if name != "" {
				in.SubscribedTopicNames = append(in.SubscribedTopicNames, name)
			}
		}
	}
	if owned := a.optional("owned"); owned != nil {
		in.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		for _, p := range pairs(*owned) {
			n, err := strconv.Atoi(p[1])
			if err != nil {
				s.t.Fatal(err)
			}
			t, _ := s.topics.Named(p[0])
			in.Topics = append(in.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: t.ID, Partitions: []int32{int32(n)}})
		}
	}
	var r *kmsg.ConsumerGroupHeartbeatResponse
	s.ids++
	s.do(func(st *step) {
		r = s.g.consumerHeartbeat(st, heartbeatInput{in, Client{a[0], "/host"}, fmt.Sprintf("%s%d", a[0], s.ids)})
	})
	if r.ErrorCode != 0 {
		s.say("%s ← %s", a[0], codeName(r.ErrorCode))
		return
	}
	told := "(as before)"
	if r.Assignment != nil {
		var list []string
		for _, t := range r.Assignment.Topics {
			for _, p := range t.Partitions {
				list = append(list, shownPartition(partitionID{t.TopicID, p}))
			}
		}
		told = fmt.Sprint(list)
	}
	interval := ""
	if r.HeartbeatIntervalMillis != 5000 {
		interval = fmt.Sprintf(" interval=%d", r.HeartbeatIntervalMillis)
	}
	s.say("%s ← id=%s epoch=%d assignment=%s%s", a[0], *r.MemberID, r.MemberEpoch, told, interval)
}

func shownPartition(p partitionID) string {
	name := strings.TrimRight(string(p.topic[:15]), "\x00")
	if p.topic[15] != 0 {
		name += fmt.Sprintf("(%d)", p.topic[15])
	}
	return fmt.Sprintf("%s-%d", name, p.index)
}

func shownPartitions(list []partitionID) string {
	out := []string{}
	for _, p := range list {
		out = append(out, shownPartition(p))
	}
	return "[" + strings.Join(out, " ") + "]"
}

func shownHeld(list []held) string {
	out := []string{}
	for _, h := range list {
		out = append(out, fmt.Sprintf("%s@%d", shownPartition(h.partitionID), h.epoch))
	}
	return "[" + strings.Join(out, " ") + "]"
}

func (s memberState) String() string {
	return map[memberState]string{memberStable: "Stable", memberUnrevoked: "Unrevoked", memberUnreleased: "Unreleased", memberUnknown: "Unknown"}[s]
}

// sayConsumer is the state after a command.
func (s *stage) sayConsumer() {
	c := s.g.consumer
	s.say("= %s epoch=%d target=%d", c.stateName(), c.epoch, c.targetEpoch)
	for _, m := range c.ordered() {
		text := fmt.Sprintf("  %s epoch=%d %s %s", m.id, m.epoch, m.state, shownHeld(m.assigned))
		if len(m.revoking) > 0 {
			text += " revoking " + shownHeld(m.revoking)
		}
		if m.classic != nil {
			text += " classic"
		}
		s.say("%s", text)
	}
}

func (s *stage) shownRecord(r *consumerRecord) string {
	name := map[int16]string{
		consumerMetadataKey: "epoch", partitionMetadataKey: "metadata", memberMetadataKey: "member", targetMetadataKey: "target epoch",
		targetMemberKey: "target", currentMemberKey: "current", regexKey: "regex",
	}[r.kind]
	if r.of != "" {
		name += " " + r.of
	}
	if !r.present {
		return name + " tombstone"
	}
	m := newConsumerMember("")
	switch r.kind {
	case consumerMetadataKey, targetMetadataKey:
		return fmt.Sprintf("%s %d", name, r.epoch)
	case memberMetadataKey:
		r.apply(m)
		return fmt.Sprintf("%s names=%v regex=%q", name, m.names, m.regex)
	case targetMemberKey:
		return name + " " + shownPartitions(r.target)
	case currentMemberKey:
		r.apply(m)
		return fmt.Sprintf("%s epoch=%d before=%d %s %s%s", name, m.epoch, m.previousEpoch, m.state, shownHeld(m.assigned), shownHeld(m.revoking))
	case regexKey:
		return fmt.Sprintf("%s %v", name, r.regex.topics)
	}
	return name
}

// consumerProtocols gives a JoinGroup the bytes that a Java consumer joins
// with: names=t,u owned=t:0,t:1 by=range,cooperative-sticky.
func (s *stage) consumerProtocols(in *kmsg.JoinGroupRequest, names string, a arguments) {
	v := kmsg.NewConsumerMemberMetadata()
	v.Version = 3
	for _, name := range strings.Split(names, ",") {
		if name != "" {
			v.Topics = append(v.Topics, name)
		}
	}
	for _, p := range pairs(a.text("owned", "")) {
		n, err := strconv.Atoi(p[1])
		if err != nil {
			s.t.Fatal(err)
		}
		v.OwnedPartitions = append(v.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: p[0], Partitions: []int32{int32(n)}})
	}
	in.Protocols = nil
	for _, name := range strings.Split(a.text("by", "range"), ",") {
		in.Protocols = append(in.Protocols, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: v.AppendTo(nil)})
	}
}

// consumerAssignments is what a leader that is a Java consumer assigns:
// a1=t:0+t:1,b2=t:2.
func (s *stage) consumerAssignments(text string) []kmsg.SyncGroupRequestGroupAssignment {
	var out []kmsg.SyncGroupRequestGroupAssignment
	for _, one := range strings.Split(text, ",") {
		id, list, _ := strings.Cut(one, "=")
		v := kmsg.NewConsumerMemberAssignment()
		v.Version = 3
		for _, p := range strings.Split(list, "+") {
			topic, number, _ := strings.Cut(p, ":")
			n, err := strconv.Atoi(number)
			if err != nil {
				s.t.Fatal(err)
			}
			v.Topics = append(v.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: topic, Partitions: []int32{int32(n)}})
		}
		out = append(out, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: v.AppendTo(nil)})
	}
	return out
}

// shownAssignment is an assignment's partitions if it is one of a Java
// consumer's (which begin with a version below 256), and else its bytes.
func (s *stage) shownAssignment(b []byte) string {
	v := kmsg.NewConsumerMemberAssignment()
	if len(b) < 6 || b[0] != 0 || v.ReadFrom(b) != nil {
		return strconv.Quote(string(b))
	}
	out := []string{}
	for _, t := range v.Topics {
		for _, p := range t.Partitions {
			out = append(out, fmt.Sprintf("%s-%d", t.Topic, p))
		}
	}
	return fmt.Sprintf("v%d [%s]", v.Version, strings.Join(out, " "))
}

// dump is all that is stored of a consumer group, for comparison.
func dump(c *consumerGroup) string {
	if c == nil {
		return "not a consumer group"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "epoch %d target %d at %d hash %d legacy %v\n", c.epoch, c.targetEpoch, c.assignedAtMs, c.hash, c.legacyMetadata)
	for _, m := range c.ordered() {
		fmt.Fprintf(&out, "member %s %s %s %v %v %q %q %d", m.id, textOf(m.instanceID), textOf(m.rackID), m.client, m.names, m.regex, m.assignor, m.rebalanceTimeoutMs)
		if m.classic != nil {
			fmt.Fprintf(&out, " classic %d", m.classic.sessionTimeoutMs)
			for _, p := range m.classic.protocols {
				fmt.Fprintf(&out, " %s:%s", p.name, hex.EncodeToString(p.metadata))
			}
		}
		fmt.Fprintf(&out, "\n  %d %d %s %s %s\n", m.epoch, m.previousEpoch, m.state, shownHeld(m.assigned), shownHeld(m.revoking))
	}
	for _, id := range sortedKeys(c.target) {
		fmt.Fprintf(&out, "target %s %s\n", id, shownPartitions(c.target[id]))
	}
	for _, id := range sortedKeys(c.instances) {
		fmt.Fprintf(&out, "instance %s %s\n", id, c.instances[id])
	}
	for _, text := range sortedKeys(c.regexes) {
		fmt.Fprintf(&out, "regex %s %v %d %d\n", text, c.regexes[text].topics, c.regexes[text].version, c.regexes[text].atMs)
	}
	var owners []string
	for p, id := range c.owners {
		owners = append(owners, shownPartition(p)+" "+id)
	}
	slices.Sort(owners)
	fmt.Fprintf(&out, "owners %v\nby name %v\nby expression %v\n", owners, c.byName, c.byRegex)
	return out.String()
}

func textOf(s *string) string {
	if s == nil {
		return "-"
	}
	return strconv.Quote(*s)
}
