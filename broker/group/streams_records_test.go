package group

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func someTasks(subtopology string, epochs map[int32]int32) (list []heldTask) {
	for p, epoch := range epochs {
		list = append(list, heldTask{taskID{subtopology, p}, epoch})
	}
	return sortedTasks(list)
}

func exampleStreamsMember() *streamsMember {
	rack := "r"
	return &streamsMember{
		id: "m", rackID: &rack, client: Client{"c", "h"}, rebalanceTimeoutMs: 1000, topologyEpoch: 3, process: "p",
		endpoint: &endpoint{"e", 50_000}, tags: []keyValue{{"k", "v"}}, epoch: 5, previousEpoch: 4, state: memberUnrevoked,
		assigned: taskSet{
			append(someTasks("0", map[int32]int32{0: 2, 2: 5}), someTasks("1", map[int32]int32{1: 3})...),
			someTasks("1", map[int32]int32{0: 0}),
		},
		revoking: taskSet{someTasks("0", map[int32]int32{1: 2}), nil, someTasks("0", map[int32]int32{3: 0})},
	}
}

func exampleStreamsTarget() taskSet {
	return taskSet{
		append(someTasks("0", map[int32]int32{0: 0, 2: 0}), someTasks("1", map[int32]int32{1: 0})...),
		someTasks("1", map[int32]int32{0: 0}),
	}
}

func exampleTopology() *topology {
	return newTopology(3, []subtopology{
		{id: "0", sources: []string{"a", "b"}, sinks: []string{"x"}, copartitions: []copartition{{sources: []int16{0, 1}}}},
		{id: "1", repartitions: []internalTopic{{name: "x", partitions: 4, replicas: 1}},
			changelogs: []internalTopic{{name: "y", configs: []keyValue{{"cleanup.policy", "compact"}}}}},
	})
}

// TestStreamsRecordBytes holds the bytes to what Apache Kafka 4.3.1's
// StreamsCoordinatorRecordHelpers and GroupCoordinatorRecordSerde made of the same content.
func TestStreamsRecordBytes(t *testing.T) {
	standbys := []keyValue{{"num.standby.replicas", "1"}}
	for _, c := range []struct {
		name       string
		write      func(*group, *step)
		key, value string
	}{
		{
			"a member with everything",
			func(g *group, s *step) { g.storeStreamsMember(s, exampleStreamsMember()) },
			"001300016700016d", "000000027202630268000003e8000000030270010265c3500002026b02760000",
		},
		{
			"a member without rack, endpoint and tags",
			func(g *group, s *step) {
				m := exampleStreamsMember()
				m.rackID, m.endpoint, m.tags = nil, nil, nil
				g.storeStreamsMember(s, m)
			},
			"001300016700016d", "0000000002630268000003e8000000030270ff0100",
		},
		{
			"the group epoch, the topology validated",
			func(g *group, s *step) { g.storeStreamsEpoch(s, 5, 7, 3, standbys) },
			"0011000167", "000000000005000000000000000702000400000003011902156e756d2e7374616e6462792e7265706c69636173023100",
		},
		{
			"the group epoch, the topology not validated",
			func(g *group, s *step) { g.storeStreamsEpoch(s, 5, 7, -1, standbys) },
			"0011000167", "000000000005000000000000000701011902156e756d2e7374616e6462792e7265706c69636173023100",
		},
		{
			"the assignment epoch",
			func(g *group, s *step) { g.storeStreamsTargetEpoch(s, 5, 9) },
			"0014000167", "000000000005" + "0100080000000000000009",
		},
		{
			"a target",
			func(g *group, s *step) { g.storeStreamsTarget(s, "m", exampleStreamsTarget()) },
			"001500016700016d", "00000302300300000000000000020002310200000001000202310200000000000100",
		},
		{
			"where a member stands, active tasks with their epochs",
			func(g *group, s *step) { g.storeStreamsCurrent(s, exampleStreamsMember()) },
			"001600016700016d", "000000000005000000040203023003000000000000000201000903000000020000000502310200000001010005020000000302023102000000000001020230020000000101000502000000020102023002000000030000",
		},
		{
			"a topology",
			func(g *group, s *step) { g.storeTopology(s, exampleTopology()) },
			"0017000167", "00000000000303023003026102620101020278010203000000010101000002310101020279000000000000020f636c65616e75702e706f6c69637908636f6d706163740000010202780000000400010100010000",
		},
	} {
		g := newGroup("g", &limits{}, 0)
		g.streams = newStreamsGroup()
		s := &step{nowMs: 1}
		c.write(g, s)
		r := s.records[0]
		if got := hex.EncodeToString(r.Key); got != c.key {
			t.Errorf("%s: key\n got %s\nwant %s", c.name, got, c.key)
		}
		if got := hex.EncodeToString(r.Value); got != c.value {
			t.Errorf("%s: value\n got %s\nwant %s", c.name, got, c.value)
		}
	}
}

// exampleStreamsGroup is a group with one of everything, and its records.
func exampleStreamsGroup() (*group, *step) {
	g := newGroup("g", &limits{}, 0)
	g.streams = newStreamsGroup()
	s := &step{nowMs: 1}
	g.storeStreamsMember(s, exampleStreamsMember())
	g.storeTopology(s, exampleTopology())
	g.storeStreamsEpoch(s, 5, 7, 3, []keyValue{{"num.standby.replicas", "1"}})
	g.storeStreamsTarget(s, "m", exampleStreamsTarget())
	g.storeStreamsTargetEpoch(s, 5, 9)
	g.storeStreamsCurrent(s, exampleStreamsMember())
	return g, s
}

func TestStreamsGroupComesBackFromItsRecords(t *testing.T) {
	g, s := exampleStreamsGroup()
	back := groupOfRecords(t, s.records...)
	if diff := cmp.Diff(dumpStreams(g.streams), dumpStreams(back.streams)); diff != "" {
		t.Error(diff)
	}
	if name, speaks := back.typeName(); name != "streams" || speaks != "streams" || back.stateName() != "Reconciling" {
		t.Errorf("it is a %s group that speaks %s and is %s", name, speaks, back.stateName())
	}
}

// TestStreamsEpochsOfOlderRecords: a Kafka before 4.3 stored no epochs of tasks.
func TestStreamsEpochsOfOlderRecords(t *testing.T) {
	for value, want := range map[string]string{
		"0000" + "00000005" + "00000004" + "01" + "02" + "0230" + "02" + "00000001" + "00" + "0101" + "010101" + "00":                    "[0_1@5]",
		"0000" + "00000005" + "00000004" + "01" + "02" + "0230" + "02" + "00000001" + "010001" + "00" + "0101" + "010101" + "00":         "[0_1@5]", // null
		"0000" + "00000005" + "00000004" + "01" + "02" + "0230" + "02" + "00000001" + "01000502" + "00000003" + "0101" + "010101" + "00": "[0_1@3]",
	} {
		raw, err := hex.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		r, err := decodeRecord(consumerKey(streamsCurrentMemberKey, "g", "m"), raw)
		if err != nil {
			t.Fatal(err)
		}
		m := newStreamsMember("m")
		r.streams.apply(m)
		if got := shownTasks(m.assigned); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}

func TestStreamsGroupTombstones(t *testing.T) {
	g, s := exampleStreamsGroup()
	stored := s.records
	s.records = nil
	g.buryStreams(s)
	var got []string
	for _, r := range s.records {
		if r.Value != nil {
			t.Errorf("key %x has a value", r.Key)
		}
		got = append(got, hex.EncodeToString(r.Key[:2]))
	}
	if diff := cmp.Diff("0016 0015 0013 0014 0011 0017", strings.Join(got, " ")); diff != "" {
		t.Error(diff)
	}
	if back := groupOfRecords(t, append(stored, s.records...)...); back.streams != nil || !back.unused() {
		t.Error("the group outlived its tombstones")
	}
}

func TestStreamsRecordsCutShort(t *testing.T) {
	_, s := exampleStreamsGroup()
	for _, r := range s.records {
		for size := range len(r.Value) {
			if _, err := decodeRecord(r.Key, r.Value[:size]); err == nil || errors.Is(err, errUnknownRecord) {
				t.Errorf("key %x: %d of %d bytes of the value: error %v", r.Key[:2], size, len(r.Value), err)
			}
		}
		for size := 2; size < len(r.Key); size++ {
			if _, err := decodeRecord(r.Key[:size], r.Value); err == nil {
				t.Errorf("%d of %d bytes of key %x are read", size, len(r.Key), r.Key[:2])
			}
		}
	}
}

// TestStreamsTopologyOutsideItself: a stored copartition group that names a
// source that is not there is no topology.
func TestStreamsTopologyOutsideItself(t *testing.T) {
	for _, indexes := range [][]int16{{2}, {-1}} {
		bad := exampleTopology()
		bad.parts[0].copartitions[0].sources = indexes
		if _, err := decodeRecord(consumerKey(streamsTopologyKey, "g"), topologyValue(bad)); err == nil {
			t.Errorf("index %d of two sources is read", indexes)
		}
	}
}
