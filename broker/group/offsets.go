package group

import (
	"cmp"
	"slices"
	"unicode/utf16"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// committed is one committed offset.
type committed struct {
	offset      int64
	leaderEpoch int32 // -1: not given
	metadata    string
	commitMs    int64 // Unix milliseconds
	expireMs    int64 // -1: by the group's retention (clients before KIP-211 named a time)
	topicID     [16]byte
	// order tells which of two commits came later (offset in the log, or what stands for it).
	order int64
}

// offsetKey names one committed offset of a group.
type offsetKey struct {
	topic     string
	partition int32
}

// memberEpochVersion is the first version of OffsetCommit that members of
// consumer groups may use: older clients would misread its errors.
const memberEpochVersion = 9

// CommitOffset is one offset of a Commit.
type CommitOffset struct {
	Topic       string
	TopicID     [16]byte // zero when the client named the topic only by name
	Partition   int32
	Offset      int64
	LeaderEpoch int32 // -1: not given
	Metadata    string
}

// Commit is one OffsetCommit whose topics the handler has found to exist.
type Commit struct {
	Group, MemberID string
	InstanceID      *string
	// Generation is that of a classic group, or the member epoch of a consumer
	// group; -1: not a member (admin, or a consumer that assigns itself).
	Generation  int32
	RetentionMs int64 // -1: the broker's
	Version     int16 // of the request
	Offsets     []CommitOffset
}

// commit stores offsets and answers one code for each; all of them the same
// when the group refuses the request.
func (g *group) commit(s *step, in Commit, metadataMax int) []int16 {
	codes := make([]int16, len(in.Offsets))
	if code := g.mayCommit(in); code != 0 {
		for i := range codes {
			codes[i] = code
		}
		return codes
	}
	if m := g.members[in.MemberID]; m != nil && (g.state == stable || g.state == preparingRebalance) {
		g.touch(s, m)
	}
	expireMs := int64(-1)
	if in.RetentionMs >= 0 {
		expireMs = s.nowMs + in.RetentionMs
	}
	for i, o := range in.Offsets {
		if code := g.mayCommitOffset(s, in, o); code != 0 {
			codes[i] = code
			continue
		}
		if tooLong(o.Metadata, metadataMax) {
			codes[i] = protocol.ErrOffsetMetadataTooLarge.Code
			continue
		}
		c := committed{o.Offset, o.LeaderEpoch, o.Metadata, s.nowMs, expireMs, o.TopicID, s.order}
		g.setOffset(offsetKey{o.Topic, o.Partition}, c)
		s.records = append(s.records, offsetRecord(g.id, o.Topic, o.Partition, c))
	}
	return codes
}

// tooLong compares as Kafka does: in UTF-16 units, whatever the key
// offset.metadata.max.bytes says.
func tooLong(metadata string, limit int) bool {
	if len(metadata) <= limit {
		return false
	}
	units := 0
	for _, r := range metadata {
		units += max(utf16.RuneLen(r), 1)
	}
	return units > limit
}

// mayCommit tells whether the sender may commit now.
func (g *group) mayCommit(in Commit) int16 {
	if g.consumer != nil {
		return g.consumer.mayCommit(in)
	}
	if g.streams != nil {
		return g.streams.mayCommit(in, false)
	}
	if g.state == dead {
		return protocol.ErrCoordinatorNotAvailable.Code
	}
	if in.Generation < 0 && g.state == empty {
		// An admin, or a consumer that assigns itself.
		return 0
	}
	if in.Generation < 0 && in.MemberID == "" && in.InstanceID == nil {
		return protocol.ErrUnknownMemberID.Code
	}
	if _, code := g.validate(in.MemberID, in.InstanceID); code != 0 {
		return code
	}
	if in.Generation != g.generation {
		return protocol.ErrIllegalGeneration.Code
	}
	if g.state == completingRebalance {
		// The member knows this generation, but has no assignment yet.
		return protocol.ErrRebalanceInProgress.Code
	}
	return 0
}

// mayCommit is mayCommit of a consumer group. A member that has not learned yet
// that its epoch rose may go on committing what it had before (KIP-1251), which
// mayCommitOffset looks at.
func (c *consumerGroup) mayCommit(in Commit) int16 {
	if in.Generation < 0 && len(c.members) == 0 {
		return 0
	}
	m := c.members[in.MemberID]
	switch {
	case m == nil:
		return protocol.ErrUnknownMemberID.Code
	case m.classic != nil && in.Generation != m.epoch:
		return protocol.ErrIllegalGeneration.Code
	case m.classic == nil && in.Version < memberEpochVersion:
		return protocol.ErrUnsupportedVersion.Code
	case m.classic == nil && in.Generation > m.epoch:
		return protocol.ErrStaleMemberEpoch.Code
	}
	return 0
}

// mayCommitOffset refuses a member of an older epoch a partition that it did
// not have at that epoch.
func (g *group) mayCommitOffset(s *step, in Commit, o CommitOffset) int16 {
	if g.streams != nil {
		return g.streams.mayCommitOffset(in, o)
	}
	if g.consumer == nil {
		return 0
	}
	m := g.consumer.members[in.MemberID]
	if m == nil || in.Generation == m.epoch {
		return 0
	}
	p := partitionID{o.TopicID, o.Partition}
	if t, exists := s.topics.Named(o.Topic); exists && o.TopicID == [16]byte{} {
		p.topic = t.ID
	}
	for _, list := range [][]held{m.assigned, m.revoking} {
		if h, found := findHeld(list, p); found && h.epoch <= in.Generation {
			return 0
		}
	}
	return protocol.ErrStaleMemberEpoch.Code
}

// mayFetch tells whether a member of a consumer or streams group is at the epoch that it
// names when it fetches offsets; nil and a negative epoch are an admin's.
func (g *group) mayFetch(memberID *string, epoch int32) int16 {
	if g == nil || g.consumer == nil && g.streams == nil || memberID == nil && epoch < 0 {
		return 0
	}
	if g.streams != nil {
		return g.streams.mayFetch(memberID, epoch)
	}
	var m *consumerMember
	if memberID != nil {
		m = g.consumer.members[*memberID]
	}
	switch {
	case m == nil:
		return protocol.ErrUnknownMemberID.Code
	case m.epoch == epoch:
		return 0
	case m.classic != nil:
		return protocol.ErrIllegalGeneration.Code
	}
	return protocol.ErrStaleMemberEpoch.Code
}

func (g *group) setOffset(key offsetKey, c committed) {
	partitions := g.offsets[key.topic]
	if partitions == nil {
		partitions = map[int32]committed{}
		g.offsets[key.topic] = partitions
	}
	partitions[key.partition] = c
}

// dropOffset forgets what is committed for a partition, in open transactions too.
func (g *group) dropOffset(key offsetKey) {
	delete(g.unstable, key)
	partitions := g.offsets[key.topic]
	delete(partitions, key.partition)
	if len(partitions) == 0 {
		delete(g.offsets, key.topic)
	}
}

// offsetKeys lists all committed offsets, in order.
func (g *group) offsetKeys() []offsetKey {
	var keys []offsetKey
	for topic, partitions := range g.offsets {
		for partition := range partitions {
			keys = append(keys, offsetKey{topic, partition})
		}
	}
	sortOffsetKeys(keys)
	return keys
}

// storedKeys lists the partitions that the log holds an offset of: those of
// offsetKeys, and those that only open transactions have committed.
func (g *group) storedKeys() []offsetKey {
	keys := g.offsetKeys()
	for key := range g.unstable {
		if !g.has(key) {
			keys = append(keys, key)
		}
	}
	sortOffsetKeys(keys)
	return keys
}

func sortOffsetKeys(keys []offsetKey) {
	slices.SortFunc(keys, func(a, b offsetKey) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
}

// has tells whether an offset is committed for a partition.
func (g *group) has(key offsetKey) bool {
	_, found := g.offsets[key.topic][key.partition]
	return found
}

// FetchTopic asks for the offsets of partitions of one topic.
type FetchTopic struct {
	Topic      string
	Partitions []int32
}

// FetchedOffset is one committed offset; Offset is -1 when there is none.
type FetchedOffset struct {
	Topic       string
	Partition   int32
	Offset      int64
	LeaderEpoch int32
	Metadata    string
	// ErrorCode is UNSTABLE_OFFSET_COMMIT when stable offsets were asked for and
	// an open transaction has committed this one; Offset is -1 then.
	ErrorCode int16
}

// fetch reads committed offsets; topics nil asks for all. g may be nil: an unknown group has none.
func (g *group) fetch(topics []FetchTopic) []FetchedOffset {
	var out []FetchedOffset
	read := func(topic string, partition int32) {
		f := FetchedOffset{Topic: topic, Partition: partition, Offset: -1, LeaderEpoch: -1}
		if g != nil {
			if c, found := g.offsets[topic][partition]; found {
				f.Offset, f.LeaderEpoch, f.Metadata = c.offset, c.leaderEpoch, c.metadata
			}
		}
		out = append(out, f)
	}
	if topics == nil {
		if g != nil {
			for _, key := range g.offsetKeys() {
				read(key.topic, key.partition)
			}
		}
		return out
	}
	for _, t := range topics {
		for _, p := range t.Partitions {
			read(t.Topic, p)
		}
	}
	return out
}

// subscribes tells whether a member of the group reads topic. A `consumer`
// group whose subscriptions are not known counts as reading everything.
func (g *group) subscribes(topic string) bool {
	if g.consumer != nil {
		return g.consumer.subscribes(topic)
	}
	if g.streams != nil {
		return g.streams.subscribes(topic)
	}
	if g.subscribed != nil {
		_, is := g.subscribed[topic]
		return is
	}
	return g.protocolType == "consumer"
}

// deleteOffsets is OffsetDelete: a code for the group, and one for each partition.
func (g *group) deleteOffsets(s *step, topics []kmsg.OffsetDeleteRequestTopic) (int16, []kmsg.OffsetDeleteResponseTopic) {
	_, speaks := g.typeName()
	switch {
	case g.state == dead:
		return protocol.ErrGroupIDNotFound.Code, nil
	case !g.vacant() && speaks != consumerType && speaks != streamsType:
		return protocol.ErrNonEmptyGroup.Code, nil
	}
	out := make([]kmsg.OffsetDeleteResponseTopic, 0, len(topics))
	for _, t := range topics {
		r := kmsg.NewOffsetDeleteResponseTopic()
		r.Topic = t.Topic
		inUse := !g.vacant() && g.subscribes(t.Topic)
		for _, p := range t.Partitions {
			e := kmsg.NewOffsetDeleteResponseTopicPartition()
			e.Partition = p.Partition
			if inUse {
				e.ErrorCode = protocol.ErrGroupSubscribedToTopic.Code
			} else if key := (offsetKey{t.Topic, p.Partition}); g.has(key) || g.isUnstable(key) {
				g.dropOffset(key)
				s.records = append(s.records, offsetTombstone(g.id, t.Topic, p.Partition, s.nowMs))
			}
			r.Partitions = append(r.Partitions, e)
		}
		out = append(out, r)
	}
	return 0, out
}

// dropTopic forgets the offsets of a deleted topic.
func (g *group) dropTopic(s *step, topic string) {
	if g.share != nil {
		g.dropShareTopic(s, topic)
		return
	}
	for _, key := range g.storedKeys() {
		if key.topic == topic {
			g.dropOffset(key)
			s.records = append(s.records, offsetTombstone(g.id, topic, key.partition, s.nowMs))
		}
	}
}

// expireOffsets applies offsets.retention.minutes and reports how many offsets
// went. An Empty group that has none left is deleted with it, unless it is a
// share group: how far it has come is kept elsewhere.
func (g *group) expireOffsets(s *step, retentionMs int64) int {
	if g.state == dead || g.share != nil {
		return 0
	}
	expired := 0
	for _, key := range g.offsetKeys() {
		c := g.offsets[key.topic][key.partition]
		if !g.expired(key.topic, c, s.nowMs, retentionMs) || g.isUnstable(key) {
			continue
		}
		g.dropOffset(key)
		s.records = append(s.records, offsetTombstone(g.id, key.topic, key.partition, s.nowMs))
		expired++
	}
	if g.vacant() && len(g.offsets) == 0 && len(g.pending) == 0 && len(g.unstable) == 0 {
		g.bury(s)
	}
	return expired
}

// expired is Kafka's rule (KIP-211): retention counts from when the group
// became Empty (or from a later commit: an admin's reset of a long Empty group
// must not vanish at the next check); from the commit in a group that never had members, and for
// topics that a Stable `consumer` group no longer reads. In a consumer or streams
// group it counts from the commit, for topics that no member reads.
func (g *group) expired(topic string, c committed, nowMs, retentionMs int64) bool {
	since := c.commitMs
	switch {
	case g.consumer != nil, g.streams != nil:
		if g.subscribes(topic) {
			return false
		}
	case g.protocolType == "":
	case g.state == empty:
		if g.stateSinceMs >= 0 {
			since = max(g.stateSinceMs, c.commitMs)
		}
	case g.state == stable && g.protocolType == "consumer" && g.subscribed != nil && !g.subscribes(topic):
	default:
		return false
	}
	if c.expireMs >= 0 {
		return nowMs >= c.expireMs
	}
	return nowMs-since >= retentionMs
}
