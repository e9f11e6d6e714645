package group

import (
	"cmp"
	"fmt"
	"slices"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// streamsHeartbeatInput is one StreamsGroupHeartbeat.
type streamsHeartbeatInput struct {
	*kmsg.StreamsGroupHeartbeatRequest
	from Client
	told *topology // the request's, nil where it has none
}

// StreamsAnswer is what Coordinator.StreamsHeartbeat answers.
type StreamsAnswer struct {
	Response *kmsg.StreamsGroupHeartbeatResponse
	// Create are the internal topics that the application waits for; the response
	// says that they are missing.
	Create []InternalTopic
}

// InternalTopic is a topic that belongs to a Kafka Streams application and that
// the broker makes.
type InternalTopic struct {
	Name       string
	Partitions int32
	Replicas   int16 // -1: as the broker's settings say
	Configs    map[string]string
}

// streamsError is an answer that carries only an error.
func streamsError(no *refusal) StreamsAnswer {
	r := kmsg.NewPtrStreamsGroupHeartbeatResponse()
	r.ErrorCode, r.Status = no.code, []kmsg.StreamsGroupHeartbeatResponseStatus{}
	if no.message != "" {
		r.ErrorMessage = &no.message
	}
	return StreamsAnswer{Response: r}
}

// streamsHeartbeat takes one StreamsGroupHeartbeat: a member joins, reports,
// learns its tasks or leaves.
func (g *group) streamsHeartbeat(s *step, in streamsHeartbeatInput) StreamsAnswer {
	take := g.beatStreams
	if in.MemberEpoch < joinEpoch {
		take = g.leaveStreams
	}
	answer, no := take(s, in)
	if no != nil {
		return streamsError(no)
	}
	return answer
}

// asStreams returns the streams group, or a new one for a group that is nothing
// yet, or an Empty classic one, when a member joins. The group itself stays as it is.
func (g *group) asStreams(joining bool) (*streamsGroup, *refusal) {
	switch {
	case g.streams != nil:
		return g.streams, nil
	case joining && g.consumer == nil && g.share == nil && g.state == empty:
		return newStreamsGroup(), nil
	}
	return nil, notStreams(g.id)
}

func notStreams(groupID string) *refusal {
	return refuse(protocol.ErrGroupIDNotFound, "Group %s is not a streams group.", groupID)
}

// adoptStreams makes the group the streams group c, which asStreams made.
func (g *group) adoptStreams(s *step, c *streamsGroup) {
	if g.streams == c {
		return
	}
	for _, id := range sortedKeys(g.pending) {
		g.dropPending(s, id)
	}
	if g.stored {
		s.records = append(s.records, groupTombstone(g.id, s.nowMs))
	}
	g.reset(s.nowMs)
	g.streams = c
}

// beatStreams is a heartbeat that does not leave. Everything that may be refused
// is looked at first; from then on the group changes.
func (g *group) beatStreams(s *step, in streamsHeartbeatInput) (answer StreamsAnswer, no *refusal) {
	joining := in.MemberEpoch == joinEpoch
	c, no := g.asStreams(joining)
	if no != nil {
		return answer, no
	}
	if most := g.limits.streams.maxSize; joining && len(c.members) >= most { // whoever joins, as in Kafka
		return answer, refuse(protocol.ErrGroupMaxSizeReached, "The streams group has reached its maximum capacity of %d members.", most)
	}
	owned := tasksOf(in.StreamsGroupHeartbeatRequest)
	before, no := c.find(g.id, in, owned)
	if no != nil {
		return answer, no
	}
	after := before.heard(in)
	plan, no := c.plan(in.told, s.topics)
	if no == nil && owned != nil {
		no = plan.refuseTasks(*owned)
	}
	if no != nil {
		return answer, no
	}

	created := g.streams == nil
	g.adoptStreams(s, c)
	r := kmsg.NewPtrStreamsGroupHeartbeatResponse()
	r.Status = []kmsg.StreamsGroupHeartbeatResponseStatus{}
	if c.topology != nil && after.topologyEpoch < c.topology.epoch {
		say(r, statusStaleTopology, "The member's topology epoch %d is behind the group's topology epoch %d.", after.topologyEpoch, c.topology.epoch)
	}
	target := g.followStreams(s, before, after, plan, r)
	after = g.reconcileStreams(s, after, target, owned)
	s.set(timerKey{sessionTimer, after.id}, s.settings.streams.sessionTimeoutMs)
	if in.ShutdownApplication && c.shutdownBy == "" {
		c.shutdownBy = after.id
	}

	r.MemberID, r.MemberEpoch, r.HeartbeatIntervalMillis = after.id, after.epoch, s.settings.streams.heartbeatIntervalMs
	if joining || !before.assigned.equal(after.assigned) {
		r.ActiveTasks, r.StandbyTasks, r.WarmupTasks = runsOf(after.assigned[activeTask]), runsOf(after.assigned[standbyTask]), runsOf(after.assigned[warmupTask])
		if after.endpoint != nil {
			c.endpointEpoch++
		}
	}
	if c.endpointEpoch != in.EndpointInformationEpoch {
		r.PartitionsByUserEndpoint = c.endpoints(s.topics)
	}
	if created {
		c.endpointEpoch = 0 // of a group that is new nobody knows an endpoint yet
	}
	r.EndpointInformationEpoch = c.endpointEpoch
	if p := c.configured.problem; p != nil {
		say(r, p.status, "%s", p.detail)
	}
	if c.shutdownBy != "" {
		say(r, statusShutdown, "Streams group member %s encountered a fatal error and requested a shutdown for the entire application.", c.shutdownBy)
	}
	return StreamsAnswer{Response: r, Create: internalTopics(c.configured.missing)}, nil
}

// say adds a status of the group to a response.
func say(r *kmsg.StreamsGroupHeartbeatResponse, status int8, format string, args ...any) {
	r.Status = append(r.Status, kmsg.StreamsGroupHeartbeatResponseStatus{StatusCode: status, StatusDetail: fmt.Sprintf(format, args...)})
}

func internalTopics(missing []internalTopic) []InternalTopic {
	var list []InternalTopic
	for _, t := range missing {
		one := InternalTopic{Name: t.name, Partitions: t.partitions, Replicas: t.replicas, Configs: map[string]string{}}
		if one.Replicas == 0 {
			one.Replicas = -1
		}
		for _, c := range t.configs {
			one.Configs[c.key] = c.value
		}
		list = append(list, one)
	}
	return list
}

// find returns the member that a request speaks for, a new one where it joins.
// The epoch before is accepted of a member that has nothing that it must not: the
// reply that told it the present one may be lost.
func (c *streamsGroup) find(groupID string, in streamsHeartbeatInput, owned *taskSet) (*streamsMember, *refusal) {
	joining := in.MemberEpoch == joinEpoch
	m := c.members[in.MemberID]
	switch {
	case m == nil && joining:
		return newStreamsMember(in.MemberID), nil
	case m == nil:
		return nil, refuse(protocol.ErrUnknownMemberID, "Member %s is not a member of group %s.", in.MemberID, groupID)
	case c.topology == nil && !joining:
		return nil, refuse(protocol.ErrFencedMemberEpoch, "The topology of group %s is not known; member %s must give up all tasks and join again.", groupID, m.id)
	case m.state == memberUnknown && (owned == nil || !owned.empty()):
		return nil, refuse(protocol.ErrFencedMemberEpoch, "The state of member %s is not known here; it must give up all tasks and join again.", m.id)
	case joining, in.MemberEpoch == m.epoch:
		return m, nil
	case in.MemberEpoch == m.previousEpoch && in.MemberEpoch < m.epoch && owned != nil && owned.within(m.assigned):
		return m, nil
	}
	return nil, refuse(protocol.ErrFencedMemberEpoch, "Member %s is at epoch %d, not %d; it must give up all tasks and join again.", m.id, m.epoch, in.MemberEpoch)
}

// heard is the member with what a heartbeat says of it; null says nothing new.
func (m *streamsMember) heard(in streamsHeartbeatInput) *streamsMember {
	n := *m
	n.client = in.from
	if in.RackID != nil {
		n.rackID = in.RackID
	}
	if in.RebalanceTimeoutMillis != -1 {
		n.rebalanceTimeoutMs = in.RebalanceTimeoutMillis
	}
	if in.told != nil {
		n.topologyEpoch = in.told.epoch
	}
	if in.ProcessID != nil {
		n.process = *in.ProcessID
	}
	if in.UserEndpoint != nil {
		n.endpoint = &endpoint{in.UserEndpoint.Host, in.UserEndpoint.Port}
	}
	if in.ClientTags != nil {
		n.tags = nil
		for _, t := range in.ClientTags {
			n.tags = append(n.tags, keyValue{t.Key, t.Value})
		}
		slices.SortFunc(n.tags, func(a, b keyValue) int { return cmp.Compare(a.key, b.key) })
	}
	return &n
}

// streamsPlan is what a heartbeat makes of topology and topics; nothing of it is
// in the group yet.
type streamsPlan struct {
	topology   *topology
	configured *configuredTopology
	hash       int64
	version    int64 // of the Topics
}

// plan decides which topology the group has, and holds it against the topics
// there are, if that was not done or they are others than before. A topology is never
// changed while the group is there: an older one makes the member stale, a newer
// one is refused.
func (c *streamsGroup) plan(told *topology, topics Topics) (streamsPlan, *refusal) {
	p := streamsPlan{c.topology, c.configured, c.hash, topics.Version()}
	switch {
	case p.topology == nil:
		p.topology = told
	case told != nil && told.epoch >= p.topology.epoch && !told.equal(p.topology):
		return p, refuse(protocol.ErrInvalidRequest, "Topology updates are not supported yet.")
	}
	if c.topology != nil && c.configured != nil && c.topicsVersion == p.version {
		return p, nil
	}
	p.hash = metadataHash(topics, p.topology.required)
	if c.topology != nil && c.configured != nil && p.hash == c.hash {
		return p, nil
	}
	var no *refusal
	p.configured, no = p.topology.configure(topics)
	return p, no
}

// refuseTasks refuses tasks that the topology does not have.
func (p streamsPlan) refuseTasks(owned taskSet) *refusal {
	if !p.configured.ready() {
		return nil
	}
	for _, list := range owned {
		for _, t := range list {
			part := p.configured.part(t.subtopology)
			if part == nil {
				return refuse(protocol.ErrInvalidRequest, "Subtopology %s does not exist in the topology.", t.subtopology)
			}
			if t.partition < 0 || t.partition >= part.tasks {
				return refuse(protocol.ErrInvalidRequest, "Task %d for subtopology %s is invalid. Number of tasks for this subtopology: %d", t.partition, t.subtopology, part.tasks)
			}
		}
	}
	return nil
}

// followStreams stores what a member says of itself and brings the group after
// it: topology, group epoch, target. It returns what the member is to have now.
func (g *group) followStreams(s *step, before, after *streamsMember, plan streamsPlan, r *kmsg.StreamsGroupHeartbeatResponse) taskSet {
	c := g.streams
	wasEmpty := len(c.members) == 0
	bump := false
	if c.members[after.id] == nil || !sameStreamsMember(before, after) {
		g.storeStreamsMember(s, after)
		bump = true
	}
	if c.topology == nil {
		g.storeTopology(s, plan.topology)
	}
	c.configured, c.topicsVersion = plan.configured, plan.version
	validated := int32(-1)
	if plan.configured.ready() {
		validated = plan.topology.epoch
	}
	with := assignmentSettings(s.settings.streams)
	if bump || plan.hash != c.hash || validated != c.validated || !slices.Equal(with, c.assignedWith) {
		g.storeStreamsEpoch(s, c.epoch+1, plan.hash, validated, with)
		s.rebalances++
	}
	if delay := s.settings.streams.initialDelayMs; wasEmpty && delay > 0 && !c.delayed {
		c.delayed = true
		s.set(timerKey{kind: joinTimer}, delay)
	}
	switch {
	case c.delayed:
		say(r, statusAssignmentDelayed, "Assignment delayed due to the configured initial rebalance delay.")
		return taskSet{}
	case !g.assignStreamsTargets(s):
		say(r, statusAssignmentDelayed, "Assignment delayed due to the configured assignment interval.")
	}
	return c.target[after.id]
}

// assignStreamsTargets computes the target of the group epoch, if there is none,
// and stores what is other than before; nobody is to have anything while the
// topics are not as they must be. It does so not more often than the group's
// settings say, and reports false when it is too early.
func (g *group) assignStreamsTargets(s *step) bool {
	c := g.streams
	if c.targetEpoch >= c.epoch {
		return true
	}
	if since := s.nowMs - c.assignedAtMs; since >= 0 && since < s.settings.streams.assignmentIntervalMs {
		return false
	}
	in := streamsInput{standbys: int(s.settings.streams.standbys)}
	if c.configured.ready() {
		in.parts = c.configured.parts
	}
	for _, m := range c.ordered() {
		in.members = append(in.members, streamsSpec{m.id, m.process, c.target[m.id]})
	}
	for i, target := range assignStreams(in) {
		id := in.members[i].id
		if old, known := c.target[id]; !known || !old.equal(target) {
			g.storeStreamsTarget(s, id, target)
		}
	}
	g.storeStreamsTargetEpoch(s, c.epoch, s.nowMs)
	return true
}

// leaveStreams is a heartbeat that says goodbye.
func (g *group) leaveStreams(s *step, in streamsHeartbeatInput) (answer StreamsAnswer, no *refusal) {
	c, no := g.asStreams(false)
	if no != nil {
		return answer, no
	}
	if in.ShutdownApplication && c.shutdownBy == "" {
		c.shutdownBy = in.MemberID
	}
	m := c.members[in.MemberID]
	if m == nil {
		return answer, refuse(protocol.ErrUnknownMemberID, "Member %s is not a member of group %s.", in.MemberID, g.id)
	}
	g.fenceStreams(s, m)
	r := kmsg.NewPtrStreamsGroupHeartbeatResponse()
	r.MemberID, r.MemberEpoch, r.Status = in.MemberID, in.MemberEpoch, []kmsg.StreamsGroupHeartbeatResponseStatus{}
	return StreamsAnswer{Response: r}, nil
}

// fenceStreams takes a member out. The assignment follows with the next
// heartbeat of another.
func (g *group) fenceStreams(s *step, m *streamsMember) {
	c := g.streams
	g.dropStreamsMember(s, m)
	g.storeStreamsEpoch(s, c.epoch+1, c.hash, c.validated, c.assignedWith)
	s.rebalances++
}

// streamsExpired ends the delay of the first assignment, or removes the member
// that a timer is about.
func (g *group) streamsExpired(s *step, key timerKey) {
	c := g.streams
	if key.kind == joinTimer {
		c.delayed = false
		if len(c.members) > 0 && c.configured != nil {
			g.assignStreamsTargets(s)
		}
		return
	}
	if m := c.members[key.member]; m != nil && (key.kind == sessionTimer || key.kind == revokeTimer && m.state == memberUnrevoked) {
		g.fenceStreams(s, m)
	}
}

// resumeStreams starts the sessions of a group that was read from the log.
func (g *group) resumeStreams(s *step) {
	for _, m := range g.streams.ordered() {
		s.set(timerKey{sessionTimer, m.id}, s.settings.streams.sessionTimeoutMs)
		if m.state == memberUnrevoked {
			s.set(timerKey{revokeTimer, m.id}, int64(m.rebalanceTimeoutMs))
		}
	}
}
