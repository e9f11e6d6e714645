package group

import (
	"fmt"
	"slices"

	"fluxmq/broker/protocol"
)

// The kinds of records of a share group, as the int16 that their keys begin
// with (Kafka's CoordinatorRecordType). Group and member follow.
const (
	shareMemberKey         int16 = 10 // what a member subscribes to
	shareMetadataKey       int16 = 11 // the group epoch
	shareTargetMetadataKey int16 = 12 // the assignment epoch
	shareTargetMemberKey   int16 = 13 // the target of a member
	shareCurrentMemberKey  int16 = 14 // where a member stands
	shareStatesKey         int16 = 15 // which partitions have a stored state
)

func shareMemberValue(m *shareMember) []byte {
	value := protocol.AppendOptional([]byte{0, 0}, m.rackID)
	value = protocol.AppendCompact(value, m.client.ID)
	value = protocol.AppendCompact(value, m.client.Host)
	value = protocol.AppendLength(value, len(m.names))
	for _, name := range m.names {
		value = protocol.AppendCompact(value, name)
	}
	return append(value, 0)
}

func shareEpochValue(epoch int32, hash int64) []byte {
	return append(protocol.AppendInt64(protocol.AppendInt32([]byte{0, 0}, epoch), hash), 0)
}

func shareCurrentValue(m *shareMember) []byte {
	value := protocol.AppendInt32([]byte{0, 0}, m.epoch)
	value = protocol.AppendInt32(value, m.previousEpoch)
	value = append(value, byte(memberStable))
	value = appendPartitions(value, byTopic(m.assigned, ofPartition), nil)
	return append(value, 0)
}

func shareStatesValue(s shareStates) []byte {
	value := []byte{0, 0}
	for _, of := range []map[[16]byte]shareTopic{s.initializing, s.initialized} {
		value = protocol.AppendLength(value, len(of))
		for _, id := range sortedTopics(of) {
			value = append(value, id[:]...)
			value = protocol.AppendCompact(value, of[id].name)
			value = protocol.AppendLength(value, len(of[id].partitions))
			for _, p := range of[id].partitions {
				value = protocol.AppendInt32(value, p)
			}
			value = append(value, 0)
		}
	}
	value = protocol.AppendLength(value, len(s.deleting))
	for _, id := range sortedTopics(s.deleting) {
		value = append(value, id[:]...)
		value = protocol.AppendCompact(value, s.deleting[id])
		value = append(value, 0)
	}
	return append(value, 0)
}

// The functions that change a share group and make the record of it:

func (g *group) storeShareMember(s *step, m *shareMember) {
	g.share.put(m)
	g.write(s, consumerKey(shareMemberKey, g.id, m.id), shareMemberValue(m))
}

func (g *group) storeShareCurrent(s *step, m *shareMember) {
	g.share.put(m)
	g.write(s, consumerKey(shareCurrentMemberKey, g.id, m.id), shareCurrentValue(m))
}

func (g *group) storeShareTarget(s *step, memberID string, target []partitionID) {
	g.share.target[memberID] = target
	g.write(s, consumerKey(shareTargetMemberKey, g.id, memberID), targetValue(target))
}

func (g *group) storeShareTargetEpoch(s *step, epoch int32, atMs int64) {
	g.share.targetEpoch, g.share.assignedAtMs = epoch, atMs
	g.write(s, consumerKey(shareTargetMetadataKey, g.id), targetEpochValue(epoch, atMs))
}

func (g *group) storeShareEpoch(s *step, epoch int32, hash int64) {
	g.share.epoch, g.share.hash = epoch, hash
	g.write(s, consumerKey(shareMetadataKey, g.id), shareEpochValue(epoch, hash))
}

func (g *group) storeShareStates(s *step, states shareStates) {
	g.share.states = states
	g.write(s, consumerKey(shareStatesKey, g.id), shareStatesValue(states))
}

// dropShareMember takes a member out: its assignment first, its subscription
// last, the order in which a Kafka that reads the log wants them.
func (g *group) dropShareMember(s *step, m *shareMember) {
	g.write(s, consumerKey(shareCurrentMemberKey, g.id, m.id), nil)
	g.write(s, consumerKey(shareTargetMemberKey, g.id, m.id), nil)
	g.write(s, consumerKey(shareMemberKey, g.id, m.id), nil)
	g.share.remove(m)
	delete(g.share.target, m.id)
	s.cancel(timerKey{sessionTimer, m.id})
}

// buryShare writes the tombstones of all that is stored of a share group.
func (g *group) buryShare(s *step) {
	for _, m := range g.share.ordered() {
		g.dropShareMember(s, m)
	}
	g.write(s, consumerKey(shareTargetMetadataKey, g.id), nil)
	g.write(s, consumerKey(shareStatesKey, g.id), nil)
	g.write(s, consumerKey(shareMetadataKey, g.id), nil)
}

// shareRecord is one decoded record of a share group.
type shareRecord struct {
	kind int16
	of   string // member id
	// present is false in a tombstone, which has nothing of the rest.
	present bool
	epoch   int32
	number  int64                // hash, or time of the assignment
	apply   func(m *shareMember) // of a member's subscription or assignment
	target  []partitionID
	states  shareStates
}

// decodeShare reads a record whose key begins with one of the kinds above.
func decodeShare(kind int16, key, value []byte) (groupID string, r *shareRecord, err error) {
	k := protocol.NewFields(key[2:])
	r = &shareRecord{kind: kind, present: value != nil}
	groupID = k.Plain()
	switch kind {
	case shareMemberKey, shareTargetMemberKey, shareCurrentMemberKey:
		r.of = k.Plain()
	}
	if err := k.End("key of a share group"); err != nil || value == nil {
		return groupID, r, err
	}
	if err := valueVersion(value, 0); err != nil {
		return "", nil, fmt.Errorf("share group %q, kind %d: %w", groupID, kind, err)
	}
	v := protocol.NewFields(value[2:])
	switch kind {
	case shareMemberKey:
		r.apply = decodeShareMember(&v)
	case shareMetadataKey:
		r.epoch, r.number = v.Int32(), v.Int64()
		v.Tags()
	case shareTargetMetadataKey:
		r.epoch = v.Int32()
		if tag, given := v.Tags(); given {
			r.number = tag.Int64()
			v.Include(tag)
		}
	case shareTargetMemberKey:
		r.target = withoutEpochs(decodePartitions(&v))
		v.Tags()
	case shareCurrentMemberKey:
		epoch, previous := v.Int32(), v.Int32()
		v.Int8() // the state: a member of a share group has but one
		assigned := withoutEpochs(decodePartitions(&v))
		v.Tags()
		r.apply = func(m *shareMember) { m.epoch, m.previousEpoch, m.assigned = epoch, previous, assigned }
	case shareStatesKey:
		r.states = decodeShareStates(&v)
	}
	if err := v.End("value"); err != nil {
		return "", nil, fmt.Errorf("share group %q, kind %d: %w", groupID, kind, err)
	}
	return groupID, r, nil
}

func withoutEpochs(list []held) []partitionID {
	var out []partitionID
	for _, h := range list {
		out = append(out, h.partitionID)
	}
	return out
}

func decodeShareMember(v *protocol.Fields) func(*shareMember) {
	rack := v.Optional()
	client := Client{v.Compact(), v.Compact()}
	var names []string
	for range v.Length(1) {
		names = append(names, v.Compact())
	}
	v.Tags()
	names = sortedNames(names)
	return func(m *shareMember) { m.rackID, m.client, m.names = rack, client, names }
}

func decodeShareStates(v *protocol.Fields) shareStates {
	s := newShareStates()
	for _, of := range []map[[16]byte]shareTopic{s.initializing, s.initialized} {
		for range v.Length(19) {
			id, t := v.ID(), shareTopic{name: v.Compact()}
			for range v.Length(4) {
				t.partitions = append(t.partitions, v.Int32())
			}
			v.Tags()
			slices.Sort(t.partitions)
			of[id] = shareTopic{t.name, slices.Compact(t.partitions)}
		}
	}
	for range v.Length(18) {
		id, name := v.ID(), v.Compact()
		v.Tags()
		s.deleting[id] = name
	}
	v.Tags()
	return s
}

// replayShare applies one stored record to the group.
func (g *group) replayShare(r *shareRecord, nowMs int64) {
	if g.share == nil {
		if !r.present {
			return
		}
		// What is left of another group makes way: the record is the later one.
		g.reset(nowMs)
		g.share = newShareGroup()
	}
	c := g.share
	switch r.kind {
	case shareMetadataKey:
		if !r.present {
			g.reset(nowMs)
			return
		}
		c.epoch, c.hash = r.epoch, r.number
	case shareTargetMetadataKey:
		c.targetEpoch, c.assignedAtMs = r.epoch, r.number
	case shareTargetMemberKey:
		if r.present {
			c.target[r.of] = r.target
		} else {
			delete(c.target, r.of)
		}
	case shareStatesKey:
		if c.states = r.states; !r.present {
			c.states = newShareStates()
		}
	case shareMemberKey, shareCurrentMemberKey:
		g.replayShareMember(r)
	}
}

// replayShareMember applies a record of one member. A member whose assignment
// was buried stays until its subscription is, without any partition.
func (g *group) replayShareMember(r *shareRecord) {
	c := g.share
	old := c.members[r.of]
	if !r.present && r.kind == shareMemberKey {
		if old != nil {
			c.remove(old)
			delete(c.target, r.of)
		}
		return
	}
	next := &shareMember{id: r.of}
	switch {
	case old != nil:
		*next = *old
	case !r.present:
		return
	}
	if r.present {
		r.apply(next)
	} else {
		next.epoch, next.previousEpoch, next.assigned = leaveEpoch, leaveEpoch, nil
	}
	c.put(next)
}
