package group

import (
	"bytes"
	"cmp"
	"slices"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What a topology may be at most. Kafka has no such bounds but the size of a
// record; a real application is far below them, and a member must not keep the
// coordinator busy for long.
const (
	maxSubtopologies  = 1000
	maxTopologyTopics = 10_000  // named, each as often as it is
	maxTopologyBytes  = 1 << 20 // of its record
	maxStreamsTasks   = 200_000
)

// topology is what a Kafka Streams application consists of, as its members
// tell it (KIP-1071). It is never changed.
type topology struct {
	epoch int32
	parts []subtopology // ascending by id

	// Derived:
	value    []byte            // of its record; equal for equal topologies
	partOf   map[string]string // source topic, repartition topics included → id of the subtopology
	required []string          // topics that must be there, ascending
}

// subtopology is a part of a topology whose tasks need nothing of other parts
// but topics.
type subtopology struct {
	id                       string
	sources, regexes         []string // topics that it reads and that are not internal
	changelogs, repartitions []internalTopic
	sinks                    []string // repartition topics that it writes to
	copartitions             []copartition
}

// copartition is indexes of source topics that must have as many partitions as
// each other.
type copartition struct{ sources, regexes, repartitions []int16 }

// internalTopic is a topic that belongs to the application.
type internalTopic struct {
	name       string
	partitions int32 // 0: as many as the topics that it depends on
	replicas   int16 // 0: as the broker's settings say
	configs    []keyValue
}

type keyValue struct{ key, value string }

// newTopology derives what a topology of the given parts has on top.
func newTopology(epoch int32, parts []subtopology) *topology {
	slices.SortFunc(parts, func(a, b subtopology) int { return cmp.Compare(a.id, b.id) })
	t := &topology{epoch: epoch, parts: parts, partOf: map[string]string{}}
	for _, p := range parts {
		for _, name := range p.sourceNames() {
			t.partOf[name] = p.id
			t.required = append(t.required, name)
		}
		for _, c := range p.changelogs {
			t.required = append(t.required, c.name)
		}
	}
	t.required = sortedNames(t.required)
	t.value = topologyValue(t)
	return t
}

func (t *topology) equal(o *topology) bool { return bytes.Equal(t.value, o.value) }

// sourceNames lists the topics that a part reads, repartition topics included.
func (p *subtopology) sourceNames() []string {
	names := slices.Clone(p.sources)
	for _, r := range p.repartitions {
		names = append(names, r.name)
	}
	return names
}

// refuseTopology is the error of a topology that could never be one.
func refuseTopology(format string, args ...any) *refusal {
	return refuse(protocol.ErrStreamsInvalidTopology, format, args...)
}

// readTopology reads the topology of a request. What is asked of topics is
// looked at when it is configured.
func readTopology(in *kmsg.StreamsGroupHeartbeatRequestTopology) (*topology, *refusal) {
	if in.Epoch < 0 {
		return nil, refuse(protocol.ErrStreamsInvalidTopologyEpoch, "The topology epoch is %d, and must not be negative.", in.Epoch)
	}
	if count := len(in.Subtopologies); count > maxSubtopologies {
		return nil, refuseTopology("The topology has %d subtopologies; at most %d may be.", count, maxSubtopologies)
	}
	seen := map[string]bool{}
	topics := 0
	var parts []subtopology
	for i := range in.Subtopologies {
		p, no := readSubtopology(&in.Subtopologies[i])
		switch {
		case no != nil:
			return nil, no
		case seen[p.id]:
			return nil, refuseTopology("Subtopology %s is given more than once.", p.id)
		}
		seen[p.id] = true
		if topics += len(p.sources) + len(p.sinks) + len(p.changelogs) + len(p.repartitions); topics > maxTopologyTopics {
			return nil, refuseTopology("The topology names topics more than %d times.", maxTopologyTopics)
		}
		parts = append(parts, p)
	}
	t := newTopology(in.Epoch, parts)
	if size := len(t.value); size > maxTopologyBytes {
		return nil, refuseTopology("The topology has %d bytes; at most %d are stored.", size, maxTopologyBytes)
	}
	return t, nil
}

func readSubtopology(in *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) (p subtopology, no *refusal) {
	p = subtopology{
		id: in.SubtopologyID, sources: in.SourceTopics, regexes: in.SourceTopicRegex, sinks: in.RepartitionSinkTopics,
		changelogs: readInternalTopics(in.StateChangelogTopics), repartitions: readInternalTopics(in.RepartitionSourceTopics),
	}
	for _, t := range p.changelogs {
		if t.partitions != 0 {
			return p, refuseTopology("Changelog topic %s must have an undefined partition count, but it is set to %d.", t.name, t.partitions)
		}
	}
	for _, t := range p.repartitions {
		if t.partitions < 0 {
			return p, refuseTopology("Repartition topic %s cannot have %d partitions.", t.name, t.partitions)
		}
	}
	outside := func(indexes []int16, count int) bool {
		return slices.ContainsFunc(indexes, func(i int16) bool { return i < 0 || int(i) >= count })
	}
	for _, c := range in.CopartitionGroups {
		if outside(c.SourceTopics, len(p.sources)) || outside(c.SourceTopicRegex, len(p.regexes)) || outside(c.RepartitionSourceTopics, len(p.repartitions)) {
			return p, refuseTopology("A copartition group of subtopology %s names a topic that it does not have.", p.id)
		}
		p.copartitions = append(p.copartitions, copartition{c.SourceTopics, c.SourceTopicRegex, c.RepartitionSourceTopics})
	}
	return p, nil
}

func readInternalTopics(in []kmsg.TopicInfo) []internalTopic {
	var list []internalTopic
	for _, t := range in {
		one := internalTopic{name: t.Topic, partitions: t.NumPartitions, replicas: t.ReplicationFactor}
		for _, c := range t.Configs {
			one.configs = append(one.configs, keyValue{c.Key, c.Value})
		}
		list = append(list, one)
	}
	return list
}

// describe is the topology as StreamsGroupDescribe shows it while its topics
// are not as they must be: without counts of partitions.
func (t *topology) describe() *kmsg.StreamsGroupDescribeResponseGroupTopology {
	d := kmsg.NewStreamsGroupDescribeResponseGroupTopology()
	d.Epoch = t.epoch
	d.Subtopologies = []kmsg.StreamsGroupDescribeResponseGroupTopologySubtopology{}
	for _, p := range t.parts {
		d.Subtopologies = append(d.Subtopologies, describeSubtopology(&p, p.repartitions, p.changelogs))
	}
	return &d
}

func describeSubtopology(p *subtopology, repartitions, changelogs []internalTopic) kmsg.StreamsGroupDescribeResponseGroupTopologySubtopology {
	s := kmsg.NewStreamsGroupDescribeResponseGroupTopologySubtopology()
	s.SubtopologyID = p.id
	s.SourceTopics, s.RepartitionSinkTopics = slices.Sorted(slices.Values(p.sources)), slices.Sorted(slices.Values(p.sinks))
	s.RepartitionSourceTopics, s.StateChangelogTopics = describeInternalTopics(repartitions), describeInternalTopics(changelogs)
	return s
}

func describeInternalTopics(list []internalTopic) []kmsg.TopicInfo {
	out := []kmsg.TopicInfo{}
	for _, t := range list {
		info := kmsg.NewTopicInfo()
		info.Topic, info.NumPartitions, info.ReplicationFactor = t.name, t.partitions, t.replicas
		for _, c := range t.configs {
			info.Configs = append(info.Configs, kmsg.TopicInfoConfig{Key: c.key, Value: c.value})
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b kmsg.TopicInfo) int { return cmp.Compare(a.Topic, b.Topic) })
	return out
}
