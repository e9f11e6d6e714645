package group

import (
	"encoding/binary"
	"fmt"
	"slices"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// The kinds of records of a consumer group, as the int16 that their keys begin
// with (Kafka's CoordinatorRecordType). Group and member or expression follow.
const (
	consumerMetadataKey  int16 = 3  // the group epoch
	partitionMetadataKey int16 = 4  // subscription metadata, only written before Kafka 4.1
	memberMetadataKey    int16 = 5  // what a member subscribes to
	targetMetadataKey    int16 = 6  // the assignment epoch
	targetMemberKey      int16 = 7  // the target of a member
	currentMemberKey     int16 = 8  // where a member stands
	regexKey             int16 = 16 // what an expression matched
)

func consumerKey(kind int16, groupID string, of ...string) []byte {
	key := protocol.AppendPlain(binary.BigEndian.AppendUint16(nil, uint16(kind)), groupID)
	for _, name := range of {
		key = protocol.AppendPlain(key, name)
	}
	return key
}

// appendPartitions writes topics with their partitions; epochs adds the epoch
// at which each was assigned, as KIP-1251's tagged field.
func appendPartitions(dst []byte, runs []topicRun, epochs []held) []byte {
	dst = protocol.AppendLength(dst, len(runs))
	for _, run := range runs {
		dst = append(dst, run.topic[:]...)
		dst = protocol.AppendLength(dst, len(run.partitions))
		for _, p := range run.partitions {
			dst = protocol.AppendInt32(dst, p)
		}
		if epochs == nil {
			dst = append(dst, 0)
			continue
		}
		content := protocol.AppendLength(nil, len(run.partitions))
		for _, h := range epochs[:len(run.partitions)] {
			content = protocol.AppendInt32(content, h.epoch)
		}
		epochs = epochs[len(run.partitions):]
		dst = protocol.AppendTag(dst, content)
	}
	return dst
}

func epochValue(epoch int32, hash int64) []byte {
	value := protocol.AppendInt32([]byte{0, 0}, epoch)
	if hash == 0 {
		return append(value, 0)
	}
	return protocol.AppendTag(value, protocol.AppendInt64(nil, hash))
}

func targetEpochValue(epoch int32, atMs int64) []byte {
	value := protocol.AppendInt32([]byte{0, 0}, epoch)
	if atMs == 0 {
		return append(value, 0)
	}
	return protocol.AppendTag(value, protocol.AppendInt64(nil, atMs))
}

func subscriptionValue(m *consumerMember) []byte {
	value := protocol.AppendOptional([]byte{0, 0}, m.instanceID)
	value = protocol.AppendOptional(value, m.rackID)
	value = protocol.AppendCompact(value, m.client.ID)
	value = protocol.AppendCompact(value, m.client.Host)
	value = protocol.AppendLength(value, len(m.names))
	for _, name := range m.names {
		value = protocol.AppendCompact(value, name)
	}
	value = protocol.AppendCompact(value, m.regex)
	value = protocol.AppendInt32(value, m.rebalanceTimeoutMs)
	if m.assignor == "" {
		value = append(value, 0)
	} else {
		value = protocol.AppendCompact(value, m.assignor)
	}
	if m.classic == nil {
		return append(value, 0)
	}
	content := protocol.AppendInt32([]byte{1}, m.classic.sessionTimeoutMs) // 1: the struct is there
	content = protocol.AppendLength(content, len(m.classic.protocols))
	for _, p := range m.classic.protocols {
		content = protocol.AppendCompact(content, p.name)
		content = protocol.AppendCompact(content, p.metadata)
		content = append(content, 0)
	}
	return protocol.AppendTag(value, append(content, 0))
}

func targetValue(target []partitionID) []byte {
	return append(appendPartitions([]byte{0, 0}, byTopic(target, ofPartition), nil), 0)
}

func currentValue(m *consumerMember) []byte {
	value := protocol.AppendInt32([]byte{0, 0}, m.epoch)
	value = protocol.AppendInt32(value, m.previousEpoch)
	value = append(value, byte(m.state))
	value = appendPartitions(value, byTopic(m.assigned, ofHeld), m.assigned)
	value = appendPartitions(value, byTopic(m.revoking, ofHeld), m.revoking)
	return append(value, 0)
}

func regexValue(r resolvedRegex) []byte {
	value := protocol.AppendLength([]byte{0, 0}, len(r.topics))
	for _, name := range r.topics {
		value = protocol.AppendCompact(value, name)
	}
	value = protocol.AppendInt64(value, r.version)
	value = protocol.AppendInt64(value, r.atMs)
	return append(value, 0)
}

// write appends a record of the group; a nil value is a tombstone.
func (g *group) write(s *step, key, value []byte) {
	s.records = append(s.records, record.Record{Timestamp: s.nowMs, Key: key, Value: value})
}

// The functions that change a consumer group and make the record of it:

func (g *group) storeSubscription(s *step, m *consumerMember) {
	g.consumer.put(m)
	g.write(s, consumerKey(memberMetadataKey, g.id, m.id), subscriptionValue(m))
}

func (g *group) storeCurrent(s *step, m *consumerMember) {
	g.consumer.put(m)
	g.write(s, consumerKey(currentMemberKey, g.id, m.id), currentValue(m))
}

func (g *group) storeTarget(s *step, memberID string, target []partitionID) {
	g.consumer.target[memberID] = target
	g.write(s, consumerKey(targetMemberKey, g.id, memberID), targetValue(target))
}

func (g *group) storeTargetEpoch(s *step, epoch int32, atMs int64) {
	g.consumer.targetEpoch, g.consumer.assignedAtMs = epoch, atMs
	g.write(s, consumerKey(targetMetadataKey, g.id), targetEpochValue(epoch, atMs))
}

func (g *group) storeEpoch(s *step, epoch int32, hash int64) {
	g.consumer.epoch, g.consumer.hash = epoch, hash
	g.write(s, consumerKey(consumerMetadataKey, g.id), epochValue(epoch, hash))
}

func (g *group) storeRegex(s *step, text string, r resolvedRegex) {
	g.consumer.regexes[text] = r
	g.write(s, consumerKey(regexKey, g.id, text), regexValue(r))
}

func (g *group) dropRegex(s *step, text string) {
	delete(g.consumer.regexes, text)
	g.write(s, consumerKey(regexKey, g.id, text), nil)
}

func (g *group) dropLegacyMetadata(s *step) {
	g.consumer.legacyMetadata = false
	g.write(s, consumerKey(partitionMetadataKey, g.id), nil)
}

// dropConsumer takes a member out: its assignment first, its subscription
// last, the order in which a Kafka that reads the log wants them.
func (g *group) dropConsumer(s *step, m *consumerMember) {
	g.write(s, consumerKey(currentMemberKey, g.id, m.id), nil)
	g.write(s, consumerKey(targetMemberKey, g.id, m.id), nil)
	g.write(s, consumerKey(memberMetadataKey, g.id, m.id), nil)
	g.consumer.remove(m)
	delete(g.consumer.target, m.id)
	delete(g.consumer.mustJoin, m.id)
	for _, kind := range []timerKind{sessionTimer, revokeTimer, rejoinTimer, resyncTimer} {
		s.cancel(timerKey{kind, m.id})
	}
}

// buryConsumer writes the tombstones of all that is stored of a consumer group
// but the committed offsets. What the group becomes then is the caller's to say.
func (g *group) buryConsumer(s *step) {
	c := g.consumer
	for _, m := range c.ordered() {
		g.dropConsumer(s, m)
	}
	g.write(s, consumerKey(targetMetadataKey, g.id), nil)
	for _, text := range sortedKeys(c.regexes) {
		g.dropRegex(s, text)
	}
	if c.legacyMetadata {
		g.dropLegacyMetadata(s)
	}
	g.write(s, consumerKey(consumerMetadataKey, g.id), nil)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// consumerRecord is one decoded record of a consumer group.
type consumerRecord struct {
	kind int16
	of   string // member id or expression
	// present is false in a tombstone, which has nothing of the rest.
	present bool
	epoch   int32
	number  int64                   // hash, or time of the assignment
	apply   func(m *consumerMember) // of a member's subscription or assignment
	target  []partitionID
	regex   resolvedRegex
}

// decodeConsumer reads a record whose key begins with one of the kinds above.
func decodeConsumer(kind int16, key, value []byte) (groupID string, r *consumerRecord, err error) {
	k := protocol.NewFields(key[2:])
	r = &consumerRecord{kind: kind, present: value != nil}
	groupID = k.Plain()
	switch kind {
	case memberMetadataKey, targetMemberKey, currentMemberKey, regexKey:
		r.of = k.Plain()
	}
	if err := k.End("key of a consumer group"); err != nil || value == nil {
		return groupID, r, err
	}
	if err := valueVersion(value, 0); err != nil {
		return "", nil, fmt.Errorf("consumer group %q, kind %d: %w", groupID, kind, err)
	}
	v := protocol.NewFields(value[2:])
	switch kind {
	case consumerMetadataKey, targetMetadataKey:
		r.epoch = v.Int32()
		if tag, given := v.Tags(); given {
			r.number = tag.Int64()
			v.Include(tag)
		}
	case memberMetadataKey:
		r.apply = decodeSubscription(&v)
	case targetMemberKey:
		for _, h := range decodePartitions(&v) {
			r.target = append(r.target, h.partitionID)
		}
		v.Tags()
	case currentMemberKey:
		r.apply = decodeCurrent(&v)
	case regexKey:
		for range v.Length(1) {
			r.regex.topics = append(r.regex.topics, v.Compact())
		}
		slices.Sort(r.regex.topics)
		r.regex.version, r.regex.atMs = v.Int64(), v.Int64()
		v.Tags()
	}
	if err := v.End("value"); err != nil {
		return "", nil, fmt.Errorf("consumer group %q, kind %d: %w", groupID, kind, err)
	}
	return groupID, r, nil
}

func decodeSubscription(v *protocol.Fields) func(*consumerMember) {
	var m consumerMember
	m.instanceID, m.rackID = v.Optional(), v.Optional()
	m.client = Client{v.Compact(), v.Compact()}
	for range v.Length(1) {
		m.names = append(m.names, v.Compact())
	}
	m.regex = v.Compact()
	m.rebalanceTimeoutMs = v.Int32()
	m.assignor = v.Compact()
	if tag, given := v.Tags(); given && tag.Uvarint() > 0 {
		m.classic = &classicMember{sessionTimeoutMs: tag.Int32()}
		for range tag.Length(3) {
			m.classic.protocols = append(m.classic.protocols, protocolMetadata{tag.Compact(), []byte(tag.Compact())})
			tag.Tags()
		}
		v.Include(tag)
	}
	slices.Sort(m.names)
	m.names = slices.Compact(m.names)
	return func(to *consumerMember) {
		to.instanceID, to.rackID, to.client, to.names, to.regex = m.instanceID, m.rackID, m.client, m.names, m.regex
		to.rebalanceTimeoutMs, to.assignor, to.classic = m.rebalanceTimeoutMs, m.assignor, m.classic
	}
}

func decodeCurrent(v *protocol.Fields) func(*consumerMember) {
	epoch, previous, state := v.Int32(), v.Int32(), memberState(v.Int8())
	if state < memberStable || state > memberUnreleased {
		state = memberUnknown
	}
	assigned, revoking := decodePartitions(v), decodePartitions(v)
	v.Tags()
	return func(to *consumerMember) {
		to.epoch, to.previousEpoch, to.state, to.assigned, to.revoking = epoch, previous, state, assigned, revoking
	}
}

// decodePartitions reads topics with partitions, ascending. Without epochs (a
// Kafka before 4.3 wrote it) each is as old as can be, so that no commit is
// refused for its age.
func decodePartitions(v *protocol.Fields) []held {
	var list []held
	for range v.Length(18) {
		topic := v.ID()
		from := len(list)
		for range v.Length(4) {
			list = append(list, held{partitionID: partitionID{topic, v.Int32()}})
		}
		if tag, given := v.Tags(); given {
			for i := range min(tag.Length(4), len(list)-from) {
				list[from+i].epoch = tag.Int32()
			}
			v.Include(tag)
		}
	}
	slices.SortFunc(list, compareHeld)
	return slices.CompactFunc(list, func(a, b held) bool { return a.partitionID == b.partitionID })
}

// replayConsumer applies one stored record to the group.
func (g *group) replayConsumer(r *consumerRecord, nowMs int64) {
	if g.consumer == nil {
		if !r.present {
			return
		}
		// What is left of a classic group makes way: the record is the later one.
		g.reset(nowMs)
		g.consumer = newConsumerGroup()
	}
	c := g.consumer
	switch r.kind {
	case consumerMetadataKey:
		if !r.present {
			g.reset(nowMs)
			return
		}
		c.epoch, c.hash = r.epoch, r.number
	case partitionMetadataKey:
		c.legacyMetadata = r.present
	case targetMetadataKey:
		c.targetEpoch, c.assignedAtMs = r.epoch, r.number
	case targetMemberKey:
		if r.present {
			c.target[r.of] = r.target
		} else {
			delete(c.target, r.of)
		}
	case regexKey:
		if r.present {
			c.regexes[r.of] = r.regex
		} else {
			delete(c.regexes, r.of)
		}
	case memberMetadataKey, currentMemberKey:
		g.replayMember(r)
	}
}

// replayMember applies a record of one member. A member whose assignment was
// buried stays until its subscription is, without any partition.
func (g *group) replayMember(r *consumerRecord) {
	c := g.consumer
	old := c.members[r.of]
	if !r.present && r.kind == memberMetadataKey {
		if old != nil {
			c.remove(old)
			delete(c.target, r.of)
		}
		return
	}
	next := newConsumerMember(r.of)
	switch {
	case old != nil:
		*next = *old
	case !r.present:
		return
	}
	if r.present {
		r.apply(next)
	} else {
		next.epoch, next.previousEpoch, next.assigned, next.revoking = leaveEpoch, leaveEpoch, nil, nil
	}
	c.put(next)
}
