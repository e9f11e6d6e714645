package group

import (
	"fmt"
	"slices"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A group changes its type while its members go on: a classic group becomes a
// consumer group when a member of the new protocol joins (upgrade), and a
// consumer group becomes a classic one when its last such member goes
// (downgrade). group.consumer.migration.policy allows either. Empty groups
// change in both directions whatever it says. Committed offsets stay.

// subscriptionOf reads the bytes that a classic consumer joins with. Versions
// above the newest known one are read as that.
func subscriptionOf(metadata []byte) (kmsg.ConsumerMemberMetadata, error) {
	v := kmsg.NewConsumerMemberMetadata()
	if err := v.ReadFrom(metadata); err != nil {
		return v, fmt.Errorf("consumer subscription: %w", err)
	}
	if v.Version < 0 {
		return v, fmt.Errorf("consumer subscription of version %d", v.Version)
	}
	return v, nil
}

// upgraded is the consumer group that a classic group with members becomes.
// Every member has the partitions of its last classic assignment, as assigned
// and as target, at an epoch that is the generation. The group stays as it is.
func (g *group) upgraded(topics Topics) (*consumerGroup, *refusal) {
	cannot := func(format string, args ...any) (*consumerGroup, *refusal) {
		return nil, refuse(protocol.ErrGroupIDNotFound, "Group %s is a classic group and cannot become a consumer group: %s.", g.id, fmt.Sprintf(format, args...))
	}
	l := g.limits.consumer
	switch {
	case !l.upgrade:
		return cannot("group.consumer.migration.policy does not allow it")
	case g.protocolType != consumerType:
		return cannot("its members speak %q", g.protocolType)
	case len(g.members) > l.maxSize:
		return cannot("it has more members than group.consumer.max.size")
	}
	chosen := g.protocol
	if chosen == "" {
		chosen = g.choose() // its first generation has not begun
	}
	c := newConsumerGroup()
	c.epoch, c.targetEpoch = g.generation, g.generation
	for _, m := range g.ordered() {
		next, err := m.upgraded(chosen, g.generation, topics)
		if err != nil {
			return cannot("member %s: %v", m.id, err)
		}
		// A leader may have assigned a partition twice; only one can have it.
		next.assigned = slices.DeleteFunc(next.assigned, func(h held) bool { return c.owners[h.partitionID] != "" })
		c.put(next)
		target := make([]partitionID, len(next.assigned))
		for i, h := range next.assigned {
			target[i] = h.partitionID
		}
		c.target[next.id] = target
	}
	return c, nil
}

func (m *member) upgraded(chosen string, generation int32, topics Topics) (*consumerMember, error) {
	subscription, err := subscriptionOf(m.metadata(chosen))
	if err != nil {
		return nil, err
	}
	n := newConsumerMember(m.id)
	n.instanceID, n.client, n.rebalanceTimeoutMs = m.instanceID, m.client, m.rebalanceTimeoutMs
	n.rackID, n.names = rackOf(subscription), sortedNames(subscription.Topics)
	n.classic = &classicMember{m.sessionTimeoutMs, m.protocols}
	n.epoch, n.previousEpoch = generation, generation
	if len(m.assignment) == 0 {
		return n, nil // it never synced
	}
	assignment := kmsg.NewConsumerMemberAssignment()
	if err := assignment.ReadFrom(m.assignment); err != nil || assignment.Version < 0 {
		return nil, fmt.Errorf("its assignment does not decode")
	}
	if len(assignment.UserData) > 0 {
		return nil, fmt.Errorf("its assignor keeps data of its own, which would be lost")
	}
	for _, t := range assignment.Topics {
		known, exists := topics.Named(t.Topic)
		if !exists {
			continue
		}
		for _, p := range t.Partitions {
			n.assigned = append(n.assigned, held{partitionID{known.ID, p}, generation})
		}
	}
	slices.SortFunc(n.assigned, compareHeld)
	n.assigned = slices.Compact(n.assigned)
	return n, nil
}

func rackOf(subscription kmsg.ConsumerMemberMetadata) *string {
	if subscription.Rack == nil || *subscription.Rack == "" {
		return nil
	}
	return subscription.Rack
}

// adopt makes the group the consumer group c, which asConsumer made of it.
// Classic members that wait for a rebalance are told to join again.
func (g *group) adopt(s *step, c *consumerGroup) {
	if g.consumer == c {
		return
	}
	for _, m := range g.ordered() {
		g.answerJoin(s, m, joinError(m.id, protocol.ErrRebalanceInProgress.Code))
		g.answerSync(s, m, syncError(protocol.ErrRebalanceInProgress.Code))
	}
	for _, id := range sortedKeys(g.pending) {
		g.dropPending(s, id)
	}
	s.cancel(timerKey{kind: joinTimer})
	s.cancel(timerKey{kind: syncTimer})
	if g.stored {
		s.records = append(s.records, groupTombstone(g.id, s.nowMs))
	}
	g.reset(s.nowMs)
	g.consumer = c
	if len(c.members) == 0 {
		return
	}
	members := c.ordered()
	for _, m := range members {
		g.storeSubscription(s, m)
		s.set(timerKey{sessionTimer, m.id}, int64(m.classic.sessionTimeoutMs))
	}
	g.storeEpoch(s, c.epoch, c.hash)
	for _, m := range members {
		g.storeTarget(s, m.id, c.target[m.id])
	}
	g.storeTargetEpoch(s, c.targetEpoch, c.assignedAtMs)
	for _, m := range members {
		g.storeCurrent(s, m)
	}
}

// mayDowngrade tells whether the group may become a classic one when some
// members are gone and, unless joining is nil, a classic one takes the place of
// one of them: all others speak the classic protocol, and all share one.
func (g *group) mayDowngrade(gone []*consumerMember, joining *classicMember) bool {
	var stay []*classicMember
	if joining != nil {
		stay = append(stay, joining)
	}
	for _, m := range g.consumer.members {
		if slices.Contains(gone, m) {
			continue
		}
		if m.classic == nil {
			return false
		}
		stay = append(stay, m.classic)
	}
	if !g.limits.consumer.downgrade || len(stay) == 0 || len(stay) > g.limits.maxSize {
		return false
	}
	support := map[string]int{}
	for _, m := range stay {
		for _, name := range m.names() {
			support[name]++
		}
	}
	for _, members := range support {
		if members == len(stay) {
			return true
		}
	}
	return false
}

// names lists the names of a classic member's protocols, each once.
func (m *classicMember) names() []string {
	var names []string
	for _, p := range m.protocols {
		if !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	return names
}

// downgrade makes the group a Stable classic one of the members that stay,
// each with its target as assignment, in a generation that is the group epoch.
func (g *group) downgrade(s *step, gone []*consumerMember) {
	c := g.consumer
	stay := slices.DeleteFunc(c.ordered(), func(m *consumerMember) bool { return slices.Contains(gone, m) })
	targets := make([][]partitionID, len(stay))
	for i, m := range stay {
		targets[i] = c.target[m.id]
	}
	g.buryConsumer(s)
	g.reset(s.nowMs)
	g.generation = c.epoch
	for _, m := range stay {
		g.add(&member{
			id: m.id, instanceID: m.instanceID, client: m.client, assignment: []byte{},
			sessionTimeoutMs: m.classic.sessionTimeoutMs, rebalanceTimeoutMs: m.rebalanceTimeoutMs, protocols: m.classic.protocols,
		}, consumerType)
	}
	g.protocol = g.choose()
	for i, m := range stay {
		classic := g.members[m.id]
		classic.assignment = classicAssignment(targets[i], classic.metadata(g.protocol), s.topics)
		g.touch(s, classic)
	}
	g.become(s, stable)
	g.subscribed = g.subscribedTopics()
	g.persist(s)
	s.rebalances++
}

// classicAssignment is an assignment as a classic consumer reads it, in the
// version of its subscription. Topics that are gone are left out.
func classicAssignment(target []partitionID, metadata []byte, topics Topics) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	if subscription, err := subscriptionOf(metadata); err == nil {
		a.Version = min(subscription.Version, 3)
	}
	for _, run := range byTopic(target, ofPartition) {
		if t, exists := topics.WithID(run.topic); exists {
			a.Topics = append(a.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: t.Name, Partitions: run.partitions})
		}
	}
	return a.AppendTo(nil)
}
