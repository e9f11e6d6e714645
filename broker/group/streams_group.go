package group

import (
	"cmp"
	"maps"
	"slices"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// streamsType is the type of a streams group (KIP-1071) in ListGroups, and what
// its members speak.
const streamsType = "streams"

// endpoint is where a process answers interactive queries.
type endpoint struct {
	host string
	port uint16
}

// streamsMember is one member of a streams group: a thread of the application.
// It is never changed once it is in the group: what changes is put there as
// another one.
type streamsMember struct {
	id                 string
	instanceID, rackID *string
	client             Client
	rebalanceTimeoutMs int32 // -1: not told
	topologyEpoch      int32 // of the topology that it runs; -1: not told
	process            string
	endpoint           *endpoint
	tags               []keyValue // ascending by key

	epoch, previousEpoch int32
	state                memberState
	// assigned are the tasks that it may have, revoking those that it was told to
	// give up and may still have.
	assigned, revoking taskSet
}

// newStreamsMember is a member that joins and has told nothing yet.
func newStreamsMember(id string) *streamsMember {
	return &streamsMember{id: id, rebalanceTimeoutMs: -1, topologyEpoch: -1}
}

// reconciledTo tells that a member has what the target of an epoch gives it.
func (m *streamsMember) reconciledTo(epoch int32) bool {
	return m.state == memberStable && m.epoch == epoch
}

// sameStreamsMember compares what is stored of a member besides its assignment.
func sameStreamsMember(a, b *streamsMember) bool {
	return a.id == b.id && sameText(a.instanceID, b.instanceID) && sameText(a.rackID, b.rackID) && a.client == b.client &&
		a.rebalanceTimeoutMs == b.rebalanceTimeoutMs && a.topologyEpoch == b.topologyEpoch && a.process == b.process &&
		sameEndpoint(a.endpoint, b.endpoint) && slices.Equal(a.tags, b.tags)
}

func sameEndpoint(a, b *endpoint) bool { return a == b || a != nil && b != nil && *a == *b }

// sameTasks compares what is stored of a member's assignment.
func sameTasks(a, b *streamsMember) bool {
	return a.epoch == b.epoch && a.previousEpoch == b.previousEpoch && a.state == b.state &&
		a.assigned.equal(b.assigned) && a.revoking.equal(b.revoking)
}

// streamsGroup is the part of a group that KIP-1071 is about: members, their
// topology and two epochs. The group epoch rises when anything changes that the
// assignment depends on; the assignment epoch follows it when a new target was
// computed; each member's epoch follows that when the member has given up what
// it must. It is pure, and changed only through the functions that also make
// the record of the change (streams_records.go).
type streamsGroup struct {
	epoch, targetEpoch int32
	assignedAtMs       int64 // when the target was computed, 0: never
	hash               int64 // metadataHash at the group epoch
	// validated is the epoch of the topology whose topics were as they must be at
	// the group epoch; -1: they were not.
	validated int32
	// assignedWith are the settings that the target of the group epoch depends on.
	assignedWith []keyValue
	topology     *topology // nil: none was told
	members      map[string]*streamsMember
	target       map[string]taskSet

	owners taskOwners // derived from the members

	// Not stored:
	configured    *configuredTopology // nil: not since the start, or since the topics changed
	topicsVersion int64               // of the Topics that configured is of; -1: none
	delayed       bool                // the first assignment waits for more members (joinTimer)
	shutdownBy    string              // the member that asked all to shut down
	endpointEpoch int32               // rises when the tasks of a member with an endpoint change
}

func newStreamsGroup() *streamsGroup {
	return &streamsGroup{
		epoch: firstEpoch, targetEpoch: firstEpoch, topicsVersion: -1,
		members: map[string]*streamsMember{}, target: map[string]taskSet{}, owners: newTaskOwners(),
	}
}

// put makes m the member of its id, in place of the one that was.
func (c *streamsGroup) put(m *streamsMember) {
	if old := c.members[m.id]; old != nil {
		c.tally(old, -1)
	}
	c.members[m.id] = m
	c.tally(m, 1)
}

// remove takes a member out.
func (c *streamsGroup) remove(m *streamsMember) {
	delete(c.members, m.id)
	c.tally(m, -1)
	if len(c.members) == 0 {
		c.shutdownBy = ""
	}
}

func (c *streamsGroup) tally(m *streamsMember, by int) {
	c.owners.count(m.process, m.assigned, by)
	c.owners.count(m.process, m.revoking, by)
}

// ordered returns the members by their ids.
func (c *streamsGroup) ordered() []*streamsMember {
	ms := slices.Collect(maps.Values(c.members))
	slices.SortFunc(ms, func(a, b *streamsMember) int { return cmp.Compare(a.id, b.id) })
	return ms
}

// stateName is Kafka's name of the state that topology, epochs and members make.
func (c *streamsGroup) stateName() string {
	switch {
	case len(c.members) == 0:
		return empty.String()
	case c.topology == nil || c.topology.epoch != c.validated:
		return "NotReady"
	case c.epoch > c.targetEpoch:
		return "Assigning"
	}
	for _, m := range c.members {
		if !m.reconciledTo(c.targetEpoch) {
			return "Reconciling"
		}
	}
	return stable.String()
}

// subscribes tells whether the application reads a topic, a repartition topic
// included. Without members it reads none.
func (c *streamsGroup) subscribes(topic string) bool {
	if len(c.members) == 0 || c.topology == nil {
		return false
	}
	_, reads := c.topology.partOf[topic]
	return reads
}

// mayCommit is mayCommit of a streams group. A member that has not learned yet
// that its epoch rose may go on committing what it had before, which
// mayCommitOffset looks at.
func (c *streamsGroup) mayCommit(in Commit, transactional bool) int16 {
	switch {
	case in.Generation < 0 && len(c.members) == 0:
		return 0
	case transactional && in.Generation < 0 && in.MemberID == "" && in.InstanceID == nil:
		return 0
	}
	m := c.members[in.MemberID]
	switch {
	case m == nil:
		return protocol.ErrUnknownMemberID.Code
	case !transactional && in.Version < memberEpochVersion:
		return protocol.ErrUnsupportedVersion.Code
	case in.Generation > m.epoch:
		return protocol.ErrStaleMemberEpoch.Code
	}
	return 0
}

// mayCommitOffset refuses a member of an older epoch a partition whose task it
// did not have at that epoch.
func (c *streamsGroup) mayCommitOffset(in Commit, o CommitOffset) int16 {
	m := c.members[in.MemberID]
	if m == nil || in.Generation == m.epoch {
		return 0
	}
	if c.topology != nil {
		id := taskID{c.topology.partOf[o.Topic], o.Partition}
		for _, tasks := range []taskSet{m.assigned, m.revoking} {
			if t, found := tasks.find(activeTask, id); found && t.epoch <= in.Generation {
				return 0
			}
		}
	}
	return protocol.ErrStaleMemberEpoch.Code
}

// mayFetch tells whether a member is at the epoch that it names.
func (c *streamsGroup) mayFetch(memberID *string, epoch int32) int16 {
	var m *streamsMember
	if memberID != nil {
		m = c.members[*memberID]
	}
	switch {
	case m == nil:
		return protocol.ErrUnknownMemberID.Code
	case m.epoch != epoch:
		return protocol.ErrStaleMemberEpoch.Code
	}
	return 0
}

// endpoints tells where the partitions of the application are processed, and
// where copies of their state are, for interactive queries. The members of a
// process, which have one endpoint, share an entry: Kafka 4.3 makes one for each
// of them, and its client keeps only the last.
func (c *streamsGroup) endpoints(topics Topics) []kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpoint {
	list := []kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpoint{}
	at := map[endpoint]taskSet{}
	var order []endpoint
	for _, m := range c.ordered() {
		if m.endpoint == nil {
			continue
		}
		tasks, seen := at[*m.endpoint]
		if !seen {
			order = append(order, *m.endpoint)
		}
		at[*m.endpoint] = tasks.and(m.assigned)
	}
	for _, of := range order {
		e := kmsg.NewStreamsGroupHeartbeatResponsePartitionsByUserEndpoint()
		e.UserEndpoint.Host, e.UserEndpoint.Port = of.host, of.port
		for _, run := range c.partitionsOf(at[of][activeTask], topics) {
			e.ActivePartitions = append(e.ActivePartitions, kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpointActivePartition{Topic: run.topic, Partitions: run.partitions})
		}
		for _, run := range c.partitionsOf(at[of][standbyTask], topics) {
			e.StandbyPartitions = append(e.StandbyPartitions, kmsg.StreamsGroupHeartbeatResponsePartitionsByUserEndpointStandbyPartition{Topic: run.topic, Partitions: run.partitions})
		}
		list = append(list, e)
	}
	return list
}

// namedRun is partitions of one topic.
type namedRun struct {
	topic      string
	partitions []int32
}

// partitionsOf are the partitions of all source topics that belong to tasks.
func (c *streamsGroup) partitionsOf(tasks []heldTask, topics Topics) (runs []namedRun) {
	for _, of := range runsOf(tasks) {
		p := c.configured.part(of.SubtopologyID)
		if p == nil {
			continue // the topology has not been looked at since
		}
		for _, name := range sortedNames(p.sourceNames()) {
			t, exists := topics.Named(name)
			if !exists {
				continue
			}
			run := namedRun{topic: name}
			for _, partition := range of.Partitions {
				if partition < t.Partitions { // a topic may have fewer than the subtopology has tasks
					run.partitions = append(run.partitions, partition)
				}
			}
			runs = append(runs, run)
		}
	}
	return runs
}

// describeStreams is the group as StreamsGroupDescribe shows it.
func (g *group) describeStreams() kmsg.StreamsGroupDescribeResponseGroup {
	c := g.streams
	d := kmsg.NewStreamsGroupDescribeResponseGroup()
	d.Group, d.State, d.Epoch, d.AssignmentEpoch = g.id, c.stateName(), c.epoch, c.targetEpoch
	switch {
	case c.configured.ready():
		d.Topology = c.configured.describe(c.topology.epoch)
	case c.topology != nil:
		d.Topology = c.topology.describe()
	}
	d.Members = make([]kmsg.StreamsGroupDescribeResponseGroupMember, 0, len(c.members))
	for _, m := range c.ordered() {
		e := kmsg.NewStreamsGroupDescribeResponseGroupMember()
		e.MemberID, e.MemberEpoch, e.InstanceID, e.RackID = m.id, m.epoch, m.instanceID, m.rackID
		e.ClientID, e.ClientHost, e.TopologyEpoch, e.ProcessID = m.client.ID, m.client.Host, m.topologyEpoch, m.process
		if m.endpoint != nil {
			e.UserEndpoint = &kmsg.StreamsGroupDescribeResponseGroupMemberUserEndpoint{Host: m.endpoint.host, Port: m.endpoint.port}
		}
		for _, t := range m.tags {
			e.ClientTags = append(e.ClientTags, kmsg.StreamsGroupDescribeResponseGroupMemberClientTag{Key: t.key, Value: t.value})
		}
		e.Assignment, e.TargetAssignment = describeTasks(m.assigned), describeTasks(c.target[m.id])
		d.Members = append(d.Members, e)
	}
	return d
}

func describeTasks(s taskSet) kmsg.StreamsAssignment {
	a := kmsg.NewStreamsAssignment()
	a.ActiveTasks, a.StandbyTasks, a.WarmupTasks = runsOf(s[activeTask]), runsOf(s[standbyTask]), runsOf(s[warmupTask])
	return a
}
