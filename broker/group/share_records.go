package group

import (
	"fmt"
	"slices"
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
	value := appendOptional([]byte{0, 0}, m.rackID)
	value = appendCompact(value, m.client.ID)
	value = appendCompact(value, m.client.Host)
	value = appendLength(value, len(m.names))
	for _, name := range m.names {
		value = appendCompact(value, name)
	}
	return append(value, 0)
}

func shareEpochValue(epoch int32, hash int64) []byte {
	return append(appendInt64(appendInt32([]byte{0, 0}, epoch), hash), 0)
}

func shareCurrentValue(m *shareMember) []byte {
	value := appendInt32([]byte{0, 0}, m.epoch)
	value = appendInt32(value, m.previousEpoch)
	value = append(value, byte(memberStable))
	value = appendPartitions(value, byTopic(m.assigned, ofPartition), nil)
	return append(value, 0)
}

func shareStatesValue(s shareStates) []byte {
	value := []byte{0, 0}
	for _, of := range []map[[16]byte]shareTopic{s.initializing, s.initialized} {
		value = appendLength(value, len(of))
		for _, id := range sortedTopics(of) {
			value = append(value, id[:]...)
			value = appendCompact(value, of[id].name)
			value = appendLength(value, len(of[id].partitions))
			for _, p := range of[id].partitions {
				value = appendInt32(value, p)
			}
			value = append(value, 0)
		}
	}
	value = appendLength(value, len(s.deleting))
	for _, id := range sortedTopics(s.deleting) {
		value = append(value, id[:]...)
		value = appendCompact(value, s.deleting[id])
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
	k := fields{left: key[2:]}
	r = &shareRecord{kind: kind, present: value != nil}
	groupID = k.plain()
	switch kind {
	case shareMemberKey, shareTargetMemberKey, shareCurrentMemberKey:
		r.of = k.plain()
	}
	if err := k.end("key of a share group"); err != nil || value == nil {
		return groupID, r, err
	}
	if err := valueVersion(value, 0); err != nil {
		return "", nil, fmt.Errorf("share group %q, kind %d: %w", groupID, kind, err)
	}
	v := fields{left: value[2:]}
	switch kind {
	case shareMemberKey:
		r.apply = decodeShareMember(&v)
	case shareMetadataKey:
		r.epoch, r.number = v.int32(), v.int64()
		v.tags()
	case shareTargetMetadataKey:
		r.epoch = v.int32()
		if tag, given := v.tags(); given {
			r.number = tag.int64()
			v.bad = v.bad || tag.bad
		}
	case shareTargetMemberKey:
		r.target = withoutEpochs(decodePartitions(&v))
		v.tags()
	case shareCurrentMemberKey:
		epoch, previous := v.int32(), v.int32()
		v.int8() // the state: a member of a share group has but one
		assigned := withoutEpochs(decodePartitions(&v))
		v.tags()
		r.apply = func(m *shareMember) { m.epoch, m.previousEpoch, m.assigned = epoch, previous, assigned }
	case shareStatesKey:
		r.states = decodeShareStates(&v)
	}
	if err := v.end("value"); err != nil {
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

func decodeShareMember(v *fields) func(*shareMember) {
	rack := v.optional()
	client := Client{v.compact(), v.compact()}
	var names []string
	for range v.length(1) {
		names = append(names, v.compact())
	}
	v.tags()
	names = sortedNames(names)
	return func(m *shareMember) { m.rackID, m.client, m.names = rack, client, names }
}

func decodeShareStates(v *fields) shareStates {
	s := newShareStates()
	for _, of := range []map[[16]byte]shareTopic{s.initializing, s.initialized} {
		for range v.length(19) {
			id, t := v.id(), shareTopic{name: v.compact()}
			for range v.length(4) {
				t.partitions = append(t.partitions, v.int32())
			}
			v.tags()
			slices.Sort(t.partitions)
			of[id] = shareTopic{t.name, slices.Compact(t.partitions)}
		}
	}
	for range v.length(18) {
		id, name := v.id(), v.compact()
		v.tags()
		s.deleting[id] = name
	}
	v.tags()
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
