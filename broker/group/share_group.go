package group

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// shareType is the type of a share group (KIP-932) in ListGroups, and what its
// members speak.
const shareType = "share"

// shareAssignorName is the only assignor of share groups.
const shareAssignorName = "simple"

// shareMember is one member of a share group. It is never changed once it is
// in the group: what changes is put there as another one.
type shareMember struct {
	id     string
	rackID *string
	client Client
	names  []string // subscribed topics, ascending, each once

	epoch, previousEpoch int32
	assigned             []partitionID // ascending
}

// sameShareSubscription compares what is stored of a member besides its assignment.
func sameShareSubscription(a, b *shareMember) bool {
	return a.id == b.id && sameText(a.rackID, b.rackID) && a.client == b.client && slices.Equal(a.names, b.names)
}

// shareTopic is partitions of one topic, ascending.
type shareTopic struct {
	name       string
	partitions []int32
}

// shareStates tells of which partitions a share group has a stored state
// (the room share keeps it): only they are assigned.
type shareStates struct {
	initializing, initialized map[[16]byte]shareTopic
	deleting                  map[[16]byte]string // topic names
}

func newShareStates() shareStates {
	return shareStates{initializing: map[[16]byte]shareTopic{}, initialized: map[[16]byte]shareTopic{}, deleting: map[[16]byte]string{}}
}

// clone copies the maps; the lists in them are never changed.
func (s shareStates) clone() shareStates {
	return shareStates{maps.Clone(s.initializing), maps.Clone(s.initialized), maps.Clone(s.deleting)}
}

// without is a list less some of its elements; the list is not changed.
func without(list, gone []int32) []int32 {
	gone = with(nil, gone)
	var left []int32
	for _, p := range list {
		if _, goes := slices.BinarySearch(gone, p); !goes {
			left = append(left, p)
		}
	}
	return left
}

// with is a list and some more elements, ascending, each once.
func with(list, more []int32) []int32 {
	all := slices.Concat(list, more)
	slices.Sort(all)
	return slices.Compact(all)
}

// byShareTopic gathers partitions by their topics, in any order.
func byShareTopic(list []SharePartition) map[[16]byte]shareTopic {
	of := map[[16]byte]shareTopic{}
	for _, p := range list {
		of[p.Topic] = shareTopic{p.Name, append(of[p.Topic].partitions, p.Partition)}
	}
	return of
}

// addTo puts partitions of a topic into one of the maps.
func addTo(m map[[16]byte]shareTopic, id [16]byte, name string, partitions []int32) {
	m[id] = shareTopic{name, with(m[id].partitions, partitions)}
}

// takeFrom takes partitions of a topic out of one of the maps.
func takeFrom(m map[[16]byte]shareTopic, id [16]byte, partitions []int32) {
	t, there := m[id]
	if !there {
		return
	}
	if t.partitions = without(t.partitions, partitions); len(t.partitions) == 0 {
		delete(m, id)
		return
	}
	m[id] = t
}

// shareGroup is the part of a group that KIP-932 is about: members and
// two epochs. The group epoch rises when anything changes that the assignment
// depends on; the assignment epoch follows it when a new target was computed. A
// member goes to its target at once: partitions are shared, nobody has to give
// any up first. It is pure, and changed only through the functions that also
// make the record of the change (share_records.go).
type shareGroup struct {
	epoch, targetEpoch int32
	assignedAtMs       int64 // when the target was computed, 0: never
	hash               int64 // metadataHash at the group epoch
	members            map[string]*shareMember
	target             map[string][]partitionID
	states             shareStates

	byName map[string]int // topic name → members that subscribe to it

	// Not stored:
	topicsVersion int64              // of the Topics that hash was last compared with; -1: never
	begunMs       map[[16]byte]int64 // when a topic's partitions were last begun to be initialized, or deleted
}

func newShareGroup() *shareGroup {
	return &shareGroup{
		epoch: firstEpoch, targetEpoch: firstEpoch, topicsVersion: -1,
		members: map[string]*shareMember{}, target: map[string][]partitionID{}, states: newShareStates(),
		byName: map[string]int{}, begunMs: map[[16]byte]int64{},
	}
}

// put makes m the member of its id, in place of the one that was.
func (c *shareGroup) put(m *shareMember) {
	if old := c.members[m.id]; old != nil {
		c.remove(old)
	}
	c.members[m.id] = m
	for _, name := range m.names {
		c.byName[name]++
	}
}

// remove takes a member out.
func (c *shareGroup) remove(m *shareMember) {
	delete(c.members, m.id)
	for _, name := range m.names {
		if c.byName[name]--; c.byName[name] == 0 {
			delete(c.byName, name)
		}
	}
}

// ordered returns the members by their ids.
func (c *shareGroup) ordered() []*shareMember {
	ms := slices.Collect(maps.Values(c.members))
	slices.SortFunc(ms, func(a, b *shareMember) int { return cmp.Compare(a.id, b.id) })
	return ms
}

func (c *shareGroup) stateName() string {
	if len(c.members) == 0 {
		return empty.String()
	}
	return stable.String()
}

// alike tells whether all members have the same subscription.
func (c *shareGroup) alike() bool {
	for _, count := range c.byName {
		if count != len(c.members) {
			return false
		}
	}
	return true
}

// topicsOf lists the topics that a member subscribes to and that exist, by
// their ids, ascending.
func (c *shareGroup) topicsOf(m *shareMember, topics Topics) [][16]byte {
	var ids [][16]byte
	for _, name := range m.names {
		if t, exists := topics.Named(name); exists {
			ids = append(ids, t.ID)
		}
	}
	slices.SortFunc(ids, compareTopics)
	return ids
}

// assignable are the partitions that members may be given: subscribed,
// existing, and with a state.
func (c *shareGroup) assignable(topics Topics) map[[16]byte][]int32 {
	of := map[[16]byte][]int32{}
	for name := range c.byName {
		t, exists := topics.Named(name)
		if !exists {
			continue
		}
		var list []int32
		for _, p := range c.states.initialized[t.ID].partitions {
			if p < t.Partitions {
				list = append(list, p)
			}
		}
		if len(list) > 0 {
			of[t.ID] = list
		}
	}
	return of
}

// outdated tells that the target is not of the partitions that are assignable now.
func (c *shareGroup) outdated(topics Topics) bool {
	missing := map[partitionID]bool{}
	for topic, list := range c.assignable(topics) {
		for _, p := range list {
			missing[partitionID{topic, p}] = true
		}
	}
	assigned := map[partitionID]bool{}
	for _, list := range c.target {
		for _, p := range list {
			if !missing[p] && !assigned[p] {
				return true // not assignable any more
			}
			delete(missing, p)
			assigned[p] = true
		}
	}
	return len(missing) > 0
}

// uninitialized lists the partitions that members subscribe to and that have
// no state, unless one is being made, or deleted, since less than retryMs. Partitions that a
// topic got after others of it have a state begin at offset 0, so that no
// record in them is missed; the others where the group's settings say (-1).
func (c *shareGroup) uninitialized(topics Topics, nowMs, retryMs int64) []SharePartition {
	var list []SharePartition
	for _, name := range slices.Sorted(maps.Keys(c.byName)) {
		t, exists := topics.Named(name)
		if !exists {
			continue
		}
		known := c.states.initialized[t.ID].partitions
		pending := c.states.initializing[t.ID].partitions
		if age := nowMs - c.begunMs[t.ID]; age < 0 || age >= retryMs {
			pending = nil
		} else if _, ends := c.states.deleting[t.ID]; ends {
			continue
		}
		start := int64(-1)
		if len(known) > 0 {
			start = 0
		}
		for p := range t.Partitions {
			_, has := slices.BinarySearch(known, p)
			_, begun := slices.BinarySearch(pending, p)
			if !has && !begun {
				list = append(list, SharePartition{Topic: t.ID, Name: name, Partition: p, Start: start})
			}
		}
	}
	return list
}

// describeShare is the group as ShareGroupDescribe shows it. Topics that do
// not exist any more are left out of assignments.
func (g *group) describeShare(topics Topics) kmsg.ShareGroupDescribeResponseGroup {
	c := g.share
	d := kmsg.NewShareGroupDescribeResponseGroup()
	d.GroupID, d.GroupState, d.GroupEpoch, d.AssignmentEpoch = g.id, c.stateName(), c.epoch, c.targetEpoch
	d.Assignor = shareAssignorName
	d.Members = make([]kmsg.ShareGroupDescribeResponseGroupMember, 0, len(c.members))
	for _, m := range c.ordered() {
		e := kmsg.NewShareGroupDescribeResponseGroupMember()
		e.MemberID, e.RackID, e.MemberEpoch, e.ClientID, e.ClientHost = m.id, m.rackID, m.epoch, m.client.ID, m.client.Host
		e.SubscribedTopicNames = m.names
		e.Assignment.TopicPartitions = []kmsg.ShareGroupDescribeResponseGroupMemberAssignmentTopicPartition{}
		for _, run := range byTopic(m.assigned, ofPartition) {
			if t, exists := topics.WithID(run.topic); exists {
				e.Assignment.TopicPartitions = append(e.Assignment.TopicPartitions,
					kmsg.ShareGroupDescribeResponseGroupMemberAssignmentTopicPartition{TopicID: run.topic, Topic: t.Name, Partitions: run.partitions})
			}
		}
		d.Members = append(d.Members, e)
	}
	return d
}

// sortedTopics lists the keys of one of the maps, ascending.
func sortedTopics[V any](m map[[16]byte]V) [][16]byte {
	return slices.SortedFunc(maps.Keys(m), func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
}
