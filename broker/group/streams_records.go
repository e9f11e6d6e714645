package group

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"fluxmq/broker/protocol"
)

// The kinds of records of a streams group, as the int16 that their keys begin
// with (Kafka's CoordinatorRecordType). Group and member follow. 18 was that of
// partition metadata, which no release of Kafka writes.
const (
	streamsMetadataKey       int16 = 17 // the group epoch
	streamsMemberKey         int16 = 19 // what a member tells of itself
	streamsTargetMetadataKey int16 = 20 // the assignment epoch
	streamsTargetMemberKey   int16 = 21 // the target of a member
	streamsCurrentMemberKey  int16 = 22 // where a member stands
	streamsTopologyKey       int16 = 23 // what the application consists of
)

// storedStreamsState is how far the stored number of a member's state is from
// ours: those of streams groups begin at 1.
const storedStreamsState = 1

// standbysKey is the setting that assignments depend on, as the group epoch's record names it.
const standbysKey = "num.standby.replicas"

func assignmentSettings(s streamsSettings) []keyValue {
	return []keyValue{{standbysKey, strconv.Itoa(int(s.standbys))}}
}

func streamsEpochValue(epoch int32, hash int64, validated int32, with []keyValue) []byte {
	value := protocol.AppendInt64(protocol.AppendInt32([]byte{0, 0}, epoch), hash)
	settings := appendKeyValues(nil, with)
	if validated == -1 {
		value = append(value, 1)
	} else {
		value = append(value, 2, 0, 4)
		value = protocol.AppendInt32(value, validated)
	}
	value = append(value, 1)
	value = binary.AppendUvarint(value, uint64(len(settings)))
	return append(value, settings...)
}

func appendKeyValues(dst []byte, list []keyValue) []byte {
	dst = protocol.AppendLength(dst, len(list))
	for _, kv := range list {
		dst = append(protocol.AppendCompact(protocol.AppendCompact(dst, kv.key), kv.value), 0)
	}
	return dst
}

func streamsMemberValue(m *streamsMember) []byte {
	value := protocol.AppendOptional([]byte{0, 0}, m.instanceID)
	value = protocol.AppendOptional(value, m.rackID)
	value = protocol.AppendCompact(value, m.client.ID)
	value = protocol.AppendCompact(value, m.client.Host)
	value = protocol.AppendInt32(value, m.rebalanceTimeoutMs)
	value = protocol.AppendInt32(value, m.topologyEpoch)
	value = protocol.AppendCompact(value, m.process)
	if m.endpoint == nil {
		value = append(value, 0xff) // a null struct is -1
	} else {
		value = protocol.AppendCompact(append(value, 1), m.endpoint.host)
		value = append(protocol.AppendInt16(value, int16(m.endpoint.port)), 0)
	}
	return append(appendKeyValues(value, m.tags), 0)
}

// appendTasks writes a list by subtopology; withEpochs adds the epochs at
// which tasks were assigned, as a tagged field.
func appendTasks(dst []byte, list []heldTask, withEpochs bool) []byte {
	runs := runsOf(list)
	dst = protocol.AppendLength(dst, len(runs))
	for _, run := range runs {
		dst = protocol.AppendCompact(dst, run.SubtopologyID)
		dst = protocol.AppendLength(dst, len(run.Partitions))
		for _, p := range run.Partitions {
			dst = protocol.AppendInt32(dst, p)
		}
		if !withEpochs {
			dst = append(dst, 0)
			continue
		}
		content := protocol.AppendLength(nil, len(run.Partitions))
		for _, t := range list[:len(run.Partitions)] {
			content = protocol.AppendInt32(content, t.epoch)
		}
		list = list[len(run.Partitions):]
		dst = protocol.AppendTag(dst, content)
	}
	return dst
}

func appendTaskSet(dst []byte, s taskSet, withEpochs bool) []byte {
	for kind, list := range s {
		dst = appendTasks(dst, list, withEpochs && taskKind(kind) == activeTask)
	}
	return dst
}

func streamsTargetValue(target taskSet) []byte {
	return append(appendTaskSet([]byte{0, 0}, target, false), 0)
}

func streamsCurrentValue(m *streamsMember) []byte {
	value := protocol.AppendInt32([]byte{0, 0}, m.epoch)
	value = protocol.AppendInt32(value, m.previousEpoch)
	value = append(value, byte(m.state+storedStreamsState))
	value = appendTaskSet(value, m.assigned, true)
	value = appendTaskSet(value, m.revoking, true)
	return append(value, 0)
}

func topologyValue(t *topology) []byte {
	value := protocol.AppendLength(protocol.AppendInt32([]byte{0, 0}, t.epoch), len(t.parts))
	for _, p := range t.parts {
		value = protocol.AppendCompact(value, p.id)
		value = appendNames(value, p.sources)
		value = appendNames(value, p.regexes)
		value = appendInternalTopics(value, p.changelogs)
		value = appendNames(value, p.sinks)
		value = appendInternalTopics(value, p.repartitions)
		value = protocol.AppendLength(value, len(p.copartitions))
		for _, c := range p.copartitions {
			for _, indexes := range [][]int16{c.sources, c.regexes, c.repartitions} {
				value = protocol.AppendLength(value, len(indexes))
				for _, i := range indexes {
					value = protocol.AppendInt16(value, i)
				}
			}
			value = append(value, 0)
		}
		value = append(value, 0)
	}
	return append(value, 0)
}

func appendNames(dst []byte, names []string) []byte {
	dst = protocol.AppendLength(dst, len(names))
	for _, name := range names {
		dst = protocol.AppendCompact(dst, name)
	}
	return dst
}

func appendInternalTopics(dst []byte, list []internalTopic) []byte {
	dst = protocol.AppendLength(dst, len(list))
	for _, t := range list {
		dst = protocol.AppendCompact(dst, t.name)
		dst = protocol.AppendInt16(protocol.AppendInt32(dst, t.partitions), t.replicas)
		dst = append(appendKeyValues(dst, t.configs), 0)
	}
	return dst
}

// The functions that change a streams group and make the record of it:

func (g *group) storeStreamsMember(s *step, m *streamsMember) {
	g.streams.put(m)
	g.write(s, consumerKey(streamsMemberKey, g.id, m.id), streamsMemberValue(m))
}

func (g *group) storeStreamsCurrent(s *step, m *streamsMember) {
	g.streams.put(m)
	g.write(s, consumerKey(streamsCurrentMemberKey, g.id, m.id), streamsCurrentValue(m))
}

func (g *group) storeStreamsTarget(s *step, memberID string, target taskSet) {
	g.streams.target[memberID] = target
	g.write(s, consumerKey(streamsTargetMemberKey, g.id, memberID), streamsTargetValue(target))
}

func (g *group) storeStreamsTargetEpoch(s *step, epoch int32, atMs int64) {
	g.streams.targetEpoch, g.streams.assignedAtMs = epoch, atMs
	g.write(s, consumerKey(streamsTargetMetadataKey, g.id), targetEpochValue(epoch, atMs))
}

func (g *group) storeStreamsEpoch(s *step, epoch int32, hash int64, validated int32, with []keyValue) {
	c := g.streams
	c.epoch, c.hash, c.validated, c.assignedWith = epoch, hash, validated, with
	g.write(s, consumerKey(streamsMetadataKey, g.id), streamsEpochValue(epoch, hash, validated, with))
}

func (g *group) storeTopology(s *step, t *topology) {
	g.streams.topology = t
	g.write(s, consumerKey(streamsTopologyKey, g.id), t.value)
}

// dropStreamsMember takes a member out: its assignment first, what it told of
// itself last, the order in which a Kafka that reads the log wants them.
func (g *group) dropStreamsMember(s *step, m *streamsMember) {
	g.write(s, consumerKey(streamsCurrentMemberKey, g.id, m.id), nil)
	g.write(s, consumerKey(streamsTargetMemberKey, g.id, m.id), nil)
	g.write(s, consumerKey(streamsMemberKey, g.id, m.id), nil)
	g.streams.remove(m)
	delete(g.streams.target, m.id)
	s.cancel(timerKey{sessionTimer, m.id})
	s.cancel(timerKey{revokeTimer, m.id})
}

// buryStreams writes the tombstones of all that is stored of a streams group but
// the committed offsets.
func (g *group) buryStreams(s *step) {
	for _, m := range g.streams.ordered() {
		g.dropStreamsMember(s, m)
	}
	g.write(s, consumerKey(streamsTargetMetadataKey, g.id), nil)
	g.write(s, consumerKey(streamsMetadataKey, g.id), nil)
	g.write(s, consumerKey(streamsTopologyKey, g.id), nil)
	s.cancel(timerKey{kind: joinTimer})
}

// streamsRecord is one decoded record of a streams group.
type streamsRecord struct {
	kind int16
	of   string // member id
	// present is false in a tombstone, which has nothing of the rest.
	present   bool
	epoch     int32
	number    int64 // hash, or time of the assignment
	validated int32
	with      []keyValue
	apply     func(m *streamsMember) // of what a member told of itself, or of its assignment
	target    taskSet
	topology  *topology
}

// decodeStreams reads a record whose key begins with one of the kinds above.
func decodeStreams(kind int16, key, value []byte) (groupID string, r *streamsRecord, err error) {
	k := protocol.NewFields(key[2:])
	r = &streamsRecord{kind: kind, present: value != nil}
	groupID = k.Plain()
	switch kind {
	case streamsMemberKey, streamsTargetMemberKey, streamsCurrentMemberKey:
		r.of = k.Plain()
	}
	if err := k.End("key of a streams group"); err != nil || value == nil {
		return groupID, r, err
	}
	if err := valueVersion(value, 0); err != nil {
		return "", nil, fmt.Errorf("streams group %q, kind %d: %w", groupID, kind, err)
	}
	v := protocol.NewFields(value[2:])
	switch kind {
	case streamsMetadataKey:
		r.epoch, r.number, r.validated = v.Int32(), v.Int64(), -1
		v.EachTag(func(number uint32, content protocol.Fields) {
			switch number {
			case 0:
				r.validated = content.Int32()
			case 1:
				r.with = decodeKeyValues(&content)
			}
			v.Include(content)
		})
	case streamsMemberKey:
		r.apply = decodeStreamsMember(&v)
	case streamsTargetMetadataKey:
		r.epoch = v.Int32()
		if tag, given := v.Tags(); given {
			r.number = tag.Int64()
			v.Include(tag)
		}
	case streamsTargetMemberKey:
		r.target = decodeTaskSet(&v, 0)
		for kind := range r.target {
			for i := range r.target[kind] {
				r.target[kind][i].epoch = 0
			}
		}
		v.Tags()
	case streamsCurrentMemberKey:
		r.apply = decodeStreamsCurrent(&v)
	case streamsTopologyKey:
		r.topology = decodeTopology(&v)
	}
	if err := v.End("value"); err != nil {
		return "", nil, fmt.Errorf("streams group %q, kind %d: %w", groupID, kind, err)
	}
	return groupID, r, nil
}

func decodeKeyValues(v *protocol.Fields) (list []keyValue) {
	for range v.Length(3) {
		list = append(list, keyValue{v.Compact(), v.Compact()})
		v.Tags()
	}
	return list
}

func decodeStreamsMember(v *protocol.Fields) func(*streamsMember) {
	var m streamsMember
	m.instanceID, m.rackID = v.Optional(), v.Optional()
	m.client = Client{v.Compact(), v.Compact()}
	m.rebalanceTimeoutMs, m.topologyEpoch = v.Int32(), v.Int32()
	m.process = v.Compact()
	if v.Int8() >= 0 {
		m.endpoint = &endpoint{v.Compact(), uint16(v.Int16())}
		v.Tags()
	}
	m.tags = decodeKeyValues(v)
	v.Tags()
	return func(to *streamsMember) {
		to.instanceID, to.rackID, to.client, to.rebalanceTimeoutMs, to.topologyEpoch = m.instanceID, m.rackID, m.client, m.rebalanceTimeoutMs, m.topologyEpoch
		to.process, to.endpoint, to.tags = m.process, m.endpoint, m.tags
	}
}

// decodeTaskSet reads the three lists. Active tasks without an epoch each (a
// Kafka before 4.3 wrote them) are as old as epoch says.
func decodeTaskSet(v *protocol.Fields, epoch int32) (s taskSet) {
	for kind := range taskKinds {
		var list []heldTask
		for range v.Length(3) {
			subtopology := v.Compact()
			from := len(list)
			for range v.Length(4) {
				list = append(list, heldTask{taskID: taskID{subtopology, v.Int32()}})
			}
			run := list[from:]
			tag, given := v.Tags()
			if kind != activeTask {
				continue
			}
			epochs := make([]int32, 0, len(run))
			if given {
				for range tag.Length(4) {
					epochs = append(epochs, tag.Int32())
				}
				v.Include(tag)
			}
			for i := range run {
				if run[i].epoch = epoch; len(epochs) == len(run) {
					run[i].epoch = epochs[i]
				}
			}
		}
		s[kind] = sortedTasks(list)
	}
	return s
}

func decodeStreamsCurrent(v *protocol.Fields) func(*streamsMember) {
	epoch, previous := v.Int32(), v.Int32()
	state := memberState(v.Int8() - storedStreamsState)
	if state < memberStable || state > memberUnreleased {
		state = memberUnknown
	}
	assigned, revoking := decodeTaskSet(v, epoch), decodeTaskSet(v, epoch)
	v.Tags()
	return func(to *streamsMember) {
		to.epoch, to.previousEpoch, to.state, to.assigned, to.revoking = epoch, previous, state, assigned, revoking
	}
}

// decodeTopology reads a stored topology; nil where it does not fit.
func decodeTopology(v *protocol.Fields) *topology {
	epoch := v.Int32()
	var parts []subtopology
	for range v.Length(8) {
		p := subtopology{id: v.Compact()}
		p.sources, p.regexes = decodeNames(v), decodeNames(v)
		p.changelogs = decodeInternalTopics(v)
		p.sinks = decodeNames(v)
		p.repartitions = decodeInternalTopics(v)
		for range v.Length(4) {
			p.copartitions = append(p.copartitions, copartition{decodeIndexes(v, len(p.sources)), decodeIndexes(v, len(p.regexes)), decodeIndexes(v, len(p.repartitions))})
			v.Tags()
		}
		v.Tags()
		parts = append(parts, p)
	}
	v.Tags()
	if v.Failed() {
		return nil
	}
	slices.SortFunc(parts, func(a, b subtopology) int { return cmp.Compare(a.id, b.id) })
	return newTopology(epoch, slices.CompactFunc(parts, func(a, b subtopology) bool { return a.id == b.id }))
}

func decodeNames(v *protocol.Fields) (names []string) {
	for range v.Length(1) {
		names = append(names, v.Compact())
	}
	return names
}

// decodeIndexes reads indexes into a list of count elements; another is as if
// the record were cut short.
func decodeIndexes(v *protocol.Fields, count int) (indexes []int16) {
	for range v.Length(2) {
		i := v.Int16()
		if i < 0 || int(i) >= count {
			v.Fail()
			return nil
		}
		indexes = append(indexes, i)
	}
	return indexes
}

func decodeInternalTopics(v *protocol.Fields) (list []internalTopic) {
	for range v.Length(9) {
		t := internalTopic{name: v.Compact(), partitions: v.Int32(), replicas: v.Int16()}
		t.configs = decodeKeyValues(v)
		v.Tags()
		list = append(list, t)
	}
	return list
}

// replayStreams applies one stored record to the group.
func (g *group) replayStreams(r *streamsRecord, nowMs int64) {
	if g.streams == nil {
		if !r.present {
			return
		}
		// What is left of another group makes way: the record is the later one.
		g.reset(nowMs)
		g.streams = newStreamsGroup()
	}
	c := g.streams
	switch r.kind {
	case streamsMetadataKey:
		if !r.present {
			g.reset(nowMs)
			return
		}
		c.epoch, c.hash, c.validated, c.assignedWith = r.epoch, r.number, r.validated, r.with
	case streamsTargetMetadataKey:
		c.targetEpoch, c.assignedAtMs = r.epoch, r.number
	case streamsTargetMemberKey:
		if r.present {
			c.target[r.of] = r.target
		} else {
			delete(c.target, r.of)
		}
	case streamsTopologyKey:
		c.topology = r.topology
	case streamsMemberKey, streamsCurrentMemberKey:
		g.replayStreamsMember(r)
	}
}

// replayStreamsMember applies a record of one member. A member whose assignment
// was buried stays until it itself is, without any task.
func (g *group) replayStreamsMember(r *streamsRecord) {
	c := g.streams
	old := c.members[r.of]
	if !r.present && r.kind == streamsMemberKey {
		if old != nil {
			c.remove(old)
			delete(c.target, r.of)
		}
		return
	}
	next := newStreamsMember(r.of)
	switch {
	case old != nil:
		*next = *old
	case !r.present:
		return
	}
	if r.present {
		r.apply(next)
	} else {
		next.epoch, next.previousEpoch, next.assigned, next.revoking = leaveEpoch, leaveEpoch, taskSet{}, taskSet{}
	}
	c.put(next)
}
