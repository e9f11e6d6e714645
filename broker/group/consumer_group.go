package group

import (
	"cmp"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerType is the type of a KIP-848 group in ListGroups, and the protocol
// type of the members of both kinds.
const consumerType = "consumer"

// Member epochs that mean something else than an epoch.
const (
	joinEpoch        = 0  // the member joins, or joins again without any partition
	leaveEpoch       = -1 // the member leaves
	leaveStaticEpoch = -2 // a static member goes away and will be back
)

// firstEpoch is the group epoch and the assignment epoch of a new group (Kafka 4.3).
const firstEpoch = 1

// memberState is where a member stands on its way to its target. The numbers
// are Kafka's and stored.
type memberState int8

const (
	// memberStable: the member has its target.
	memberStable memberState = 0
	// memberUnrevoked: it must give up partitions before it may have others.
	memberUnrevoked memberState = 1
	// memberUnreleased: it has the target's epoch and waits for partitions that others have not given up yet.
	memberUnreleased memberState = 2
	// memberUnknown is a state of a later Kafka: the member must begin anew.
	memberUnknown memberState = 127
)

// classicMember is what a member of a consumer group that speaks the classic
// protocol has on top (an online upgrade).
type classicMember struct {
	sessionTimeoutMs int32
	protocols        []protocolMetadata // as it joined, in its order of preference
}

// consumerMember is one member of a consumer group. It is never changed once
// it is in the group: what changes is put there as another one.
type consumerMember struct {
	id                 string
	instanceID, rackID *string
	client             Client
	names              []string // subscribed topics, ascending, each once
	regex              string   // RE2; "": none
	assignor           string   // "": the group's
	rebalanceTimeoutMs int32    // -1: not told
	classic            *classicMember

	epoch, previousEpoch int32
	state                memberState
	// assigned are the partitions that it may read, revoking those that it was
	// told to give up and may still read. Nobody else has either.
	assigned, revoking []held
}

// newConsumerMember is a member that joins and has told nothing yet.
func newConsumerMember(id string) *consumerMember {
	return &consumerMember{id: id, rebalanceTimeoutMs: -1, previousEpoch: -1}
}

// reconciledTo tells that a member has what the target of an epoch gives it.
func (m *consumerMember) reconciledTo(epoch int32) bool {
	return m.state == memberStable && m.epoch == epoch
}

// sameSubscription compares what is stored of a member besides its assignment.
func sameSubscription(a, b *consumerMember) bool {
	return a.id == b.id && sameText(a.instanceID, b.instanceID) && sameText(a.rackID, b.rackID) && a.client == b.client &&
		slices.Equal(a.names, b.names) && a.regex == b.regex && a.assignor == b.assignor &&
		a.rebalanceTimeoutMs == b.rebalanceTimeoutMs && sameClassic(a.classic, b.classic)
}

func sameText(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

func sameClassic(a, b *classicMember) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.sessionTimeoutMs == b.sessionTimeoutMs && slices.EqualFunc(a.protocols, b.protocols, func(p, q protocolMetadata) bool {
		return p.name == q.name && string(p.metadata) == string(q.metadata)
	})
}

// sameAssignment compares what is stored of a member's assignment.
func sameAssignment(a, b *consumerMember) bool {
	return a.epoch == b.epoch && a.previousEpoch == b.previousEpoch && a.state == b.state &&
		slices.Equal(a.assigned, b.assigned) && slices.Equal(a.revoking, b.revoking)
}

// resolvedRegex is what a regular expression matched at one moment.
type resolvedRegex struct {
	topics  []string // ascending
	version int64    // of the Topics
	atMs    int64
}

// consumerGroup is the part of a group that KIP-848 is about: the members and
// three epochs. The group epoch rises when anything changes that the
// assignment depends on; the assignment epoch follows it when a new target was
// computed; each member's epoch follows that when the member has given up what
// it must. It is pure, as group is, and only changed through the functions
// that also make the record of the change (consumer_records.go), so that a
// replay of the records makes it again.
type consumerGroup struct {
	epoch, targetEpoch int32
	assignedAtMs       int64 // when the target was computed, 0: never
	hash               int64 // metadataHash at the group epoch
	members            map[string]*consumerMember
	instances          map[string]string // group.instance.id → member id
	target             map[string][]partitionID
	regexes            map[string]resolvedRegex
	// legacyMetadata: the log holds the subscription metadata of a Kafka before 4.1.
	legacyMetadata bool

	// Derived from the members:
	owners  map[partitionID]string // who has a partition, assigned or revoking
	byName  map[string]int         // topic name → members that subscribe to it
	byRegex map[string]int         // expression → members that subscribe to it

	// Not stored:
	topicsVersion int64               // of the Topics that hash was last compared with; -1: never
	bumpedAtMs    int64               // when the group epoch last rose
	mustJoin      map[string]struct{} // classic members that were told to join again and have a timer for it
}

func newConsumerGroup() *consumerGroup {
	return &consumerGroup{
		epoch: firstEpoch, targetEpoch: firstEpoch, topicsVersion: -1,
		members: map[string]*consumerMember{}, instances: map[string]string{},
		target: map[string][]partitionID{}, regexes: map[string]resolvedRegex{},
		owners: map[partitionID]string{}, byName: map[string]int{}, byRegex: map[string]int{},
		mustJoin: map[string]struct{}{},
	}
}

// put makes m the member of its id, in place of the one that was.
func (c *consumerGroup) put(m *consumerMember) {
	if old := c.members[m.id]; old != nil {
		c.remove(old)
	}
	c.members[m.id] = m
	if m.instanceID != nil {
		c.instances[*m.instanceID] = m.id
	}
	c.tally(m, 1)
	for _, list := range [][]held{m.assigned, m.revoking} {
		for _, h := range list {
			c.owners[h.partitionID] = m.id
		}
	}
}

// remove takes a member out.
func (c *consumerGroup) remove(m *consumerMember) {
	delete(c.members, m.id)
	if m.instanceID != nil && c.instances[*m.instanceID] == m.id {
		delete(c.instances, *m.instanceID)
	}
	c.tally(m, -1)
	for _, list := range [][]held{m.assigned, m.revoking} {
		for _, h := range list {
			if c.owners[h.partitionID] == m.id {
				delete(c.owners, h.partitionID)
			}
		}
	}
}

// tally counts what a member subscribes to, or takes it back.
func (c *consumerGroup) tally(m *consumerMember, by int) {
	for _, name := range m.names {
		if c.byName[name] += by; c.byName[name] == 0 {
			delete(c.byName, name)
		}
	}
	if m.regex != "" {
		if c.byRegex[m.regex] += by; c.byRegex[m.regex] == 0 {
			delete(c.byRegex, m.regex)
		}
	}
}

// ordered returns the members by their ids.
func (c *consumerGroup) ordered() []*consumerMember {
	ms := make([]*consumerMember, 0, len(c.members))
	for _, m := range c.members {
		ms = append(ms, m)
	}
	slices.SortFunc(ms, func(a, b *consumerMember) int { return cmp.Compare(a.id, b.id) })
	return ms
}

// ofInstance returns the static member of an instance id, or nil.
func (c *consumerGroup) ofInstance(instanceID *string) *consumerMember {
	if instanceID == nil {
		return nil
	}
	id, known := c.instances[*instanceID]
	if !known {
		return nil
	}
	return c.members[id]
}

// stateName is Kafka's name of the state that the epochs and members make.
func (c *consumerGroup) stateName() string {
	switch {
	case len(c.members) == 0:
		return empty.String()
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

// subscribedNames lists every topic that a member subscribes to, ascending.
func (c *consumerGroup) subscribedNames() []string {
	names := slices.Collect(maps.Keys(c.byName))
	for _, r := range c.regexes {
		names = append(names, r.topics...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// subscribes tells whether a member subscribes to a topic.
func (c *consumerGroup) subscribes(topic string) bool {
	if c.byName[topic] > 0 {
		return true
	}
	for _, r := range c.regexes {
		if _, is := slices.BinarySearch(r.topics, topic); is {
			return true
		}
	}
	return false
}

// alike tells whether all members have the same subscription.
func (c *consumerGroup) alike() bool {
	if len(c.byRegex) > 1 || len(c.byRegex) == 1 && len(c.byName) > 0 {
		return false
	}
	for _, counts := range []map[string]int{c.byName, c.byRegex} {
		for _, count := range counts {
			if count != len(c.members) {
				return false
			}
		}
	}
	return true
}

// topicsOf lists the topics that a member subscribes to and that exist, by
// their ids, ascending.
func (c *consumerGroup) topicsOf(m *consumerMember, topics Topics) [][16]byte {
	ids := make([][16]byte, 0, len(m.names))
	for _, list := range [][]string{m.names, c.regexes[m.regex].topics} {
		for _, name := range list {
			if t, exists := topics.Named(name); exists {
				ids = append(ids, t.ID)
			}
		}
	}
	slices.SortFunc(ids, compareTopics)
	return slices.Compact(ids)
}

// assignorName is the assignor that most members ask for; the order of the
// enabled ones settles a tie, and the first of them is what nobody asked for gets.
func (c *consumerGroup) assignorName(enabled []string) string {
	votes := map[string]int{}
	for _, m := range c.members {
		votes[m.assignor]++
	}
	best := enabled[0]
	for _, name := range enabled {
		if votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// compileRegex compiles a subscription for matching whole topic names.
func compileRegex(text string) (*regexp.Regexp, *refusal) {
	_, err := regexp.Compile(text)
	if err == nil {
		var whole *regexp.Regexp
		if whole, err = regexp.Compile(`\A(?:` + text + `)\z`); err == nil {
			return whole, nil
		}
	}
	why := err.Error()
	if e, is := err.(*syntax.Error); is {
		why = e.Code.String()
	}
	return nil, refuseRegex(text, why)
}

// resolve matches an expression against all topics. An expression that does
// not compile, which a log of another broker may hold, matches none.
func resolve(text string, topics Topics, nowMs int64) resolvedRegex {
	r := resolvedRegex{version: topics.Version(), atMs: nowMs}
	whole, refused := compileRegex(text)
	if refused != nil {
		return r
	}
	topics.Each(func(t Topic) {
		if whole.MatchString(t.Name) {
			r.topics = append(r.topics, t.Name)
		}
	})
	slices.Sort(r.topics)
	return r
}

// describeConsumer is the group as ConsumerGroupDescribe shows it. Topics that
// do not exist any more are left out of assignments.
func (g *group) describeConsumer(topics Topics) kmsg.ConsumerGroupDescribeResponseGroup {
	c := g.consumer
	d := kmsg.NewConsumerGroupDescribeResponseGroup()
	d.Group, d.State, d.Epoch, d.AssignmentEpoch = g.id, c.stateName(), c.epoch, c.targetEpoch
	d.AssignorName = c.assignorName(g.limits.consumer.assignors)
	d.Members = make([]kmsg.ConsumerGroupDescribeResponseGroupMember, 0, len(c.members))
	for _, m := range c.ordered() {
		e := kmsg.NewConsumerGroupDescribeResponseGroupMember()
		e.MemberID, e.InstanceID, e.RackID, e.MemberEpoch = m.id, m.instanceID, m.rackID, m.epoch
		e.ClientID, e.ClientHost, e.SubscribedTopics = m.client.ID, m.client.Host, m.names
		regex := m.regex
		e.SubscribedTopicRegex = &regex
		e.Assignment = described(byTopic(m.assigned, ofHeld), topics)
		e.TargetAssignment = described(byTopic(c.target[m.id], ofPartition), topics)
		if e.MemberType = 1; m.classic != nil {
			e.MemberType = 0
		}
		d.Members = append(d.Members, e)
	}
	return d
}

func described(runs []topicRun, topics Topics) kmsg.Assignment {
	a := kmsg.NewAssignment()
	a.TopicPartitions = make([]kmsg.AssignmentTopicPartition, 0, len(runs))
	for _, run := range runs {
		if t, exists := topics.WithID(run.topic); exists {
			a.TopicPartitions = append(a.TopicPartitions, kmsg.AssignmentTopicPartition{TopicID: run.topic, Topic: t.Name, Partitions: run.partitions})
		}
	}
	return a
}
