package group

import (
	"fmt"
	"slices"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// heartbeatInput is one ConsumerGroupHeartbeat.
type heartbeatInput struct {
	*kmsg.ConsumerGroupHeartbeatRequest
	from Client
	// freshID is the member id of one that brings none (version 0).
	freshID string
}

// refusal is why a request is not carried out.
type refusal struct {
	code    int16
	message string
}

func refuse(err *protocol.Error, format string, args ...any) *refusal {
	return &refusal{err.Code, fmt.Sprintf(format, args...)}
}

func refuseRegex(text, why string) *refusal {
	return refuse(protocol.ErrInvalidRegularExpression, "SubscribedTopicRegex %q is no regular expression of RE2: %s.", text, why)
}

// heartbeatError is a ConsumerGroupHeartbeat reply that carries only an error.
func heartbeatError(no *refusal) *kmsg.ConsumerGroupHeartbeatResponse {
	r := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	r.ErrorCode = no.code
	if no.message != "" {
		r.ErrorMessage = &no.message
	}
	return r
}

// consumerHeartbeat takes one ConsumerGroupHeartbeat: a member joins, reports,
// learns its assignment or leaves.
func (g *group) consumerHeartbeat(s *step, in heartbeatInput) *kmsg.ConsumerGroupHeartbeatResponse {
	take := g.beat
	if in.MemberEpoch < joinEpoch {
		take = g.leaveConsumer
	}
	response, no := take(s, in)
	if no != nil {
		return heartbeatError(no)
	}
	return response
}

// onlyKeeps tells whether beat would do nothing but keep the member's session:
// it says nothing new, and there is nothing new for it.
func (g *group) onlyKeeps(in *kmsg.ConsumerGroupHeartbeatRequest, from Client, topics Topics) bool {
	c := g.consumer
	if c == nil || in.MemberEpoch <= joinEpoch || in.RackID != nil || in.RebalanceTimeoutMillis != -1 ||
		in.SubscribedTopicNames != nil || in.SubscribedTopicRegex != nil || in.ServerAssignor != nil || in.Topics != nil {
		return false
	}
	m, _, no := c.find(in.MemberID, in.InstanceID, false, false)
	return no == nil && m.classic == nil && m.client == from && in.MemberEpoch == m.epoch && m.reconciledTo(c.targetEpoch) &&
		c.epoch == c.targetEpoch && c.topicsVersion == topics.Version() && len(c.byRegex) == 0
}

// beat is a heartbeat that does not leave. Everything that may be refused is
// looked at first; from then on the group changes.
func (g *group) beat(s *step, in heartbeatInput) (*kmsg.ConsumerGroupHeartbeatResponse, *refusal) {
	joining := in.MemberEpoch == joinEpoch
	c, no := g.asConsumer(joining, s.topics)
	if no != nil {
		return nil, no
	}
	if no = g.refuseFull(c, in.MemberID); no != nil {
		return nil, no
	}
	id := in.MemberID
	if id == "" {
		id = in.freshID
	}
	owned := ownedOf(in.Topics)
	before, former, no := c.find(id, in.InstanceID, joining, false)
	if no == nil && !joining {
		no = before.checkEpoch(in.MemberEpoch, owned)
	}
	if no != nil {
		return nil, no
	}
	after := before.heard(in)
	if after.regex != before.regex && after.regex != "" {
		if _, no = compileRegex(after.regex); no != nil {
			return nil, no
		}
	}

	g.adopt(s, c)
	if former != nil {
		before = g.replaceConsumer(s, former, id)
		after = before.heard(in)
	}
	changed := g.follow(s, before, after)
	after = g.reconcile(s, after, changed, owned)
	s.set(timerKey{sessionTimer, id}, s.settings.sessionTimeoutMs)
	if before.classic != nil {
		g.joinedInTime(s, id)
		s.cancel(timerKey{resyncTimer, id})
	}

	r := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	r.MemberID, r.MemberEpoch, r.HeartbeatIntervalMillis = &after.id, after.epoch, g.heartbeatIntervalMs(s)
	whole := in.RebalanceTimeoutMillis != -1 && (in.SubscribedTopicNames != nil || in.SubscribedTopicRegex != nil) && in.Topics != nil
	if joining || whole || !samePartitions(before.assigned, after.assigned) {
		r.Assignment = toldAssignment(after)
	}
	return r, nil
}

// heartbeatIntervalMs is what a member is told to heartbeat at. While the
// group has just changed, members come more often, so that those that wait for
// partitions need not wait a whole interval for those that give them up.
func (g *group) heartbeatIntervalMs(s *step) int32 {
	if l := g.limits.consumer; l.settlingIntervalMs > 0 && s.nowMs-g.consumer.bumpedAtMs < l.settlingMs {
		return min(l.settlingIntervalMs, s.settings.heartbeatIntervalMs)
	}
	return s.settings.heartbeatIntervalMs
}

func ownedOf(topics []kmsg.ConsumerGroupHeartbeatRequestTopic) reported {
	if topics == nil {
		return nil
	}
	owned := reported{}
	for _, t := range topics {
		for _, p := range t.Partitions {
			owned = append(owned, partitionID{t.TopicID, p})
		}
	}
	return owned
}

func samePartitions(a, b []held) bool {
	return slices.EqualFunc(a, b, func(x, y held) bool { return x.partitionID == y.partitionID })
}

func toldAssignment(m *consumerMember) *kmsg.ConsumerGroupHeartbeatResponseAssignment {
	a := kmsg.NewConsumerGroupHeartbeatResponseAssignment()
	a.Topics = []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{}
	for _, run := range byTopic(m.assigned, ofHeld) {
		a.Topics = append(a.Topics, kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{TopicID: run.topic, Partitions: run.partitions})
	}
	return &a
}

// asConsumer returns the consumer group, or the one that this group becomes
// when a member joins: a new one for an Empty classic group, a converted one
// where an online upgrade is allowed. The group itself stays as it is.
func (g *group) asConsumer(joining bool, topics Topics) (*consumerGroup, *refusal) {
	switch {
	case g.consumer != nil:
		return g.consumer, nil
	case !joining, g.notClassic():
		return nil, refuse(protocol.ErrGroupIDNotFound, "Group %s is not a consumer group.", g.id)
	case g.state == empty:
		return newConsumerGroup(), nil
	}
	return g.upgraded(topics)
}

// refuseFull applies group.consumer.max.size; who is in stays in.
func (g *group) refuseFull(c *consumerGroup, memberID string) *refusal {
	if most := g.limits.consumer.maxSize; len(c.members) >= most && c.members[memberID] == nil {
		return refuse(protocol.ErrGroupMaxSizeReached, "The group has its %d members already.", most)
	}
	return nil
}

// find returns the member that a request of the given ids speaks for, a new
// one where it joins. A static member that joins under another member id takes
// the place of former, which must have gone away before, unless one of the two
// speaks the classic protocol.
func (c *consumerGroup) find(id string, instanceID *string, joining, classic bool) (m, former *consumerMember, no *refusal) {
	if instanceID == nil {
		m = c.members[id]
		if m == nil && !joining {
			return nil, nil, refuse(protocol.ErrUnknownMemberID, "%s is not a member of this group.", id)
		}
		return orNew(m, id), nil, nil
	}
	known := c.ofInstance(instanceID)
	switch {
	case known == nil && joining:
		return orNew(c.members[id], id), nil, nil
	case known == nil:
		return nil, nil, refuse(protocol.ErrUnknownMemberID, "Instance id %s is not a member of this group.", *instanceID)
	case joining && !classic && known.classic == nil && known.epoch != leaveStaticEpoch:
		return nil, nil, refuse(protocol.ErrUnreleasedInstanceID, "Instance id %s still belongs to member %s; %s cannot have it.", *instanceID, known.id, id)
	case joining:
		return known, known, nil
	case known.id != id:
		return nil, nil, refuse(protocol.ErrFencedInstanceID, "Instance id %s of %s was taken over by member %s.", *instanceID, id, known.id)
	}
	return known, nil, nil
}

func orNew(m *consumerMember, id string) *consumerMember {
	if m == nil {
		return newConsumerMember(id)
	}
	return m
}

// checkEpoch fences a member that is not where the group knows it to be. The
// epoch before is accepted of one that owns nothing that it must not: the
// reply that told it the present one may be lost.
func (m *consumerMember) checkEpoch(epoch int32, owned reported) *refusal {
	switch {
	case m.state == memberUnknown && (owned == nil || len(owned) > 0):
		return refuse(protocol.ErrFencedMemberEpoch, "The state of member %s is not known here; it must give up all partitions and join again.", m.id)
	case epoch > m.epoch:
	case epoch == m.epoch, epoch == m.previousEpoch && owned.within(m.assigned):
		return nil
	}
	return refuse(protocol.ErrFencedMemberEpoch, "Member %s is at epoch %d, not %d; it must give up all partitions and join again.", m.id, m.epoch, epoch)
}

// heard is the member with what a heartbeat says of it; null says nothing new.
func (m *consumerMember) heard(in heartbeatInput) *consumerMember {
	n := *m
	n.client, n.classic = in.from, nil
	if in.InstanceID != nil {
		n.instanceID = in.InstanceID
	}
	if in.RackID != nil {
		n.rackID = in.RackID
	}
	if in.RebalanceTimeoutMillis != -1 {
		n.rebalanceTimeoutMs = in.RebalanceTimeoutMillis
	}
	if in.ServerAssignor != nil {
		n.assignor = *in.ServerAssignor
	}
	if in.SubscribedTopicNames != nil {
		n.names = sortedNames(in.SubscribedTopicNames)
	}
	if in.SubscribedTopicRegex != nil {
		n.regex = *in.SubscribedTopicRegex
	}
	return &n
}

func sortedNames(names []string) []string {
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// replaceConsumer gives the place of a static member to its next self, which
// begins at epoch 0 with the assignment of the one before.
func (g *group) replaceConsumer(s *step, former *consumerMember, id string) *consumerMember {
	target := g.consumer.target[former.id]
	next := *former
	next.id, next.epoch, next.previousEpoch = id, joinEpoch, joinEpoch
	if former.id != id {
		g.dropConsumer(s, former)
		g.storeSubscription(s, &next)
		g.storeTarget(s, id, target)
	}
	g.storeCurrent(s, &next)
	return &next
}

// follow stores what a member says of itself and brings the group after it:
// expressions, group epoch, target. It reports whether the subscription of the
// member changed.
func (g *group) follow(s *step, before, after *consumerMember) (changed bool) {
	c := g.consumer
	changed = !slices.Equal(before.names, after.names) || before.regex != after.regex
	bump := changed
	if c.members[after.id] == nil || !sameSubscription(before, after) {
		assignor := c.assignorName(g.limits.consumer.assignors)
		g.storeSubscription(s, after)
		bump = bump || assignor != c.assignorName(g.limits.consumer.assignors)
	}
	if before.regex != "" && before.regex != after.regex && c.byRegex[before.regex] == 0 {
		g.dropRegex(s, before.regex)
	}
	bump = g.refreshRegexes(s) || bump
	g.bumpIf(s, bump)
	since := s.nowMs - c.assignedAtMs
	if c.epoch > c.targetEpoch && (since < 0 || since >= s.settings.assignmentIntervalMs) {
		g.assignTargets(s)
	}
	return changed
}

// refreshRegexes resolves the expressions that are new, and all of them when
// topics came or went, but not more often than the limits say. It reports
// whether one matches other topics than before.
//
// Kafka resolves on another thread and lets members wait for a later
// heartbeat; RE2 takes linear time, and the names of the topics are at hand.
func (g *group) refreshRegexes(s *step) (differs bool) {
	c, l := g.consumer, g.limits.consumer
	for _, text := range sortedKeys(c.byRegex) {
		old, resolved := c.regexes[text]
		age := s.nowMs - old.atMs
		stale := old.version != s.topics.Version() && age >= l.regexMinIntervalMs || age >= l.regexRefreshMs
		if resolved && !stale && age >= 0 {
			continue
		}
		r := resolve(text, s.topics, s.nowMs)
		differs = differs || !slices.Equal(r.topics, old.topics)
		g.storeRegex(s, text, r)
	}
	return differs
}

// bumpIf raises the group epoch when told to, or when the topics that the
// group subscribes to are not what they were at the present epoch.
func (g *group) bumpIf(s *step, bump bool) {
	c := g.consumer
	if version := s.topics.Version(); !bump && c.topicsVersion == version {
		return
	}
	hash := metadataHash(s.topics, c.subscribedNames())
	c.topicsVersion = s.topics.Version()
	if !bump && hash == c.hash {
		return
	}
	g.storeEpoch(s, c.epoch+1, hash)
	c.bumpedAtMs = s.nowMs
	s.rebalances++
	if c.legacyMetadata {
		g.dropLegacyMetadata(s)
	}
}

// assignTargets computes the target of the group epoch and stores what is
// other than before (TargetAssignmentBuilder).
func (g *group) assignTargets(s *step) {
	c := g.consumer
	in := assignorInput{partitions: map[[16]byte]int32{}, alike: c.alike()}
	for _, name := range c.subscribedNames() {
		if t, exists := s.topics.Named(name); exists {
			in.partitions[t.ID] = t.Partitions
		}
	}
	var shared [][16]byte
	for i, m := range c.ordered() {
		if !in.alike || i == 0 {
			shared = c.topicsOf(m, s.topics)
		}
		in.members = append(in.members, memberSpec{m.id, m.instanceID, shared, c.target[m.id]})
	}
	targets := assignors[c.assignorName(g.limits.consumer.assignors)](in)
	for i, m := range in.members {
		if old, known := c.target[m.id]; !known || !slices.Equal(old, targets[i]) {
			g.storeTarget(s, m.id, targets[i])
		}
	}
	g.storeTargetEpoch(s, c.epoch, s.nowMs)
}

// leaveConsumer is a heartbeat that says goodbye: for good, or (a static
// member, epoch -2) for less than the session timeout.
func (g *group) leaveConsumer(s *step, in heartbeatInput) (*kmsg.ConsumerGroupHeartbeatResponse, *refusal) {
	c, no := g.asConsumer(false, s.topics)
	if no != nil {
		return nil, no
	}
	m, _, no := c.find(in.MemberID, in.InstanceID, false, false)
	if no != nil {
		return nil, no
	}
	r := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	r.MemberID, r.MemberEpoch = &in.MemberID, in.MemberEpoch
	if in.InstanceID != nil && in.MemberEpoch == leaveStaticEpoch {
		away := *m
		away.epoch, away.state, away.revoking = leaveStaticEpoch, memberStable, nil
		g.storeCurrent(s, &away)
		s.cancel(timerKey{revokeTimer, m.id})
		return r, nil
	}
	g.fence(s, []*consumerMember{m})
	return r, nil
}

// fence takes members out. When only classic members are left, the group may
// become a classic one; else its epoch rises. Without members the assignment
// epoch stays behind: the next to join has a target computed (Kafka 4.3).
func (g *group) fence(s *step, gone []*consumerMember) {
	if len(gone) == 0 {
		return
	}
	if g.mayDowngrade(gone, nil) {
		g.downgrade(s, gone)
		g.prepare(s)
		return
	}
	c := g.consumer
	for _, m := range gone {
		g.dropConsumer(s, m)
	}
	for _, text := range sortedKeys(c.regexes) {
		if c.byRegex[text] == 0 {
			g.dropRegex(s, text)
		}
	}
	g.bumpIf(s, true)
}

// consumerExpired removes the member that a timer of a consumer group is about.
func (g *group) consumerExpired(s *step, key timerKey) {
	m := g.consumer.members[key.member]
	if m == nil || key.kind == revokeTimer && m.state != memberUnrevoked {
		return
	}
	g.fence(s, []*consumerMember{m})
}

// resumeConsumer starts the sessions of a group that was read from the log.
func (g *group) resumeConsumer(s *step) {
	for _, m := range g.consumer.ordered() {
		s.set(timerKey{sessionTimer, m.id}, s.settings.sessionTimeoutMs)
		if m.state == memberUnrevoked && m.classic == nil {
			s.set(timerKey{revokeTimer, m.id}, int64(m.rebalanceTimeoutMs))
		}
	}
}
