package group

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func exampleShareMember() *shareMember {
	rack := "r"
	return &shareMember{
		id: "m", rackID: &rack, client: Client{"c", "h"}, names: []string{"a"}, epoch: 5, previousEpoch: 4,
		assigned: []partitionID{{topicNamed("t", 0), 0}, {topicNamed("t", 0), 2}, {topicNamed("u", 0), 1}},
	}
}

func exampleShareStates() shareStates {
	s := newShareStates()
	addTo(s.initializing, topicNamed("t", 0), "t", []int32{2})
	addTo(s.initialized, topicNamed("t", 0), "t", []int32{1, 0})
	s.deleting[topicNamed("u", 0)] = "u"
	return s
}

// TestShareRecordBytes holds the bytes to what Apache Kafka 4.3 writes for the
// same content (ShareGroup*Key and *Value version 0).
func TestShareRecordBytes(t *testing.T) {
	for _, c := range []struct {
		name       string
		write      func(*group, *step)
		key, value string
	}{
		{
			"a member: rack, client, host, names",
			func(g *group, s *step) { g.storeShareMember(s, exampleShareMember()) },
			"000a" + hexG + hexM, "0000" + "0272" + "0263" + "0268" + "02" + "0261" + "00",
		},
		{
			"the group epoch with the metadata hash",
			func(g *group, s *step) { g.storeShareEpoch(s, 5, 7) },
			"000b" + hexG, "0000" + "00000005" + "0000000000000007" + "00",
		},
		{
			"the assignment epoch, with the time of the assignment as tagged field",
			func(g *group, s *step) { g.storeShareTargetEpoch(s, 5, 9) },
			"000c" + hexG, "0000" + "00000005" + hexTag + "08" + "0000000000000009",
		},
		{
			"a target",
			func(g *group, s *step) { g.storeShareTarget(s, "m", exampleShareMember().assigned) },
			"000d" + hexG + hexM, "0000" + "03" + hexT + "03" + "00000000" + "00000002" + "00" + hexU + "02" + "00000001" + "00" + "00",
		},
		{
			"where a member stands",
			func(g *group, s *step) { g.storeShareCurrent(s, exampleShareMember()) },
			"000e" + hexG + hexM, "0000" + "00000005" + "00000004" + "00" +
				"03" + hexT + "03" + "00000000" + "00000002" + "00" + hexU + "02" + "00000001" + "00" + "00",
		},
		{
			"which partitions have a state: those that wait, those that have one, topics that lose it",
			func(g *group, s *step) { g.storeShareStates(s, exampleShareStates()) },
			"000f" + hexG, "0000" + "02" + hexT + "0274" + "02" + "00000002" + "00" +
				"02" + hexT + "0274" + "03" + "00000000" + "00000001" + "00" +
				"02" + hexU + "0275" + "00" + "00",
		},
	} {
		g := newGroup("g", &limits{}, 0)
		g.share = newShareGroup()
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

// exampleShareGroup is a group with one of everything, and its records.
func exampleShareGroup() (*group, *step) {
	g := newGroup("g", &limits{}, 0)
	g.share = newShareGroup()
	s := &step{nowMs: 1}
	g.storeShareMember(s, exampleShareMember())
	g.storeShareEpoch(s, 5, 7)
	g.storeShareTarget(s, "m", exampleShareMember().assigned)
	g.storeShareTargetEpoch(s, 5, 9)
	g.storeShareCurrent(s, exampleShareMember())
	g.storeShareStates(s, exampleShareStates())
	return g, s
}

func TestShareGroupComesBackFromItsRecords(t *testing.T) {
	g, s := exampleShareGroup()
	back := groupOfRecords(t, s.records...)
	if diff := cmp.Diff(dumpShare(g.share), dumpShare(back.share)); diff != "" {
		t.Error(diff)
	}
	if name, speaks := back.typeName(); name != "share" || speaks != "share" || back.stateName() != "Stable" {
		t.Errorf("it is a %s group that speaks %s and is %s", name, speaks, back.stateName())
	}
}

func TestShareGroupTombstones(t *testing.T) {
	g, s := exampleShareGroup()
	stored := s.records
	s.records = nil
	g.buryShare(s)
	var got []string
	for _, r := range s.records {
		if r.Value != nil {
			t.Errorf("key %x has a value", r.Key)
		}
		got = append(got, hex.EncodeToString(r.Key[:2]))
	}
	if diff := cmp.Diff("000e 000d 000a 000c 000f 000b", strings.Join(got, " ")); diff != "" {
		t.Error(diff)
	}
	if back := groupOfRecords(t, append(stored, s.records...)...); back.share != nil || !back.unused() {
		t.Error("the group outlived its tombstones")
	}
}

func TestShareRecordsCutShort(t *testing.T) {
	_, s := exampleShareGroup()
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
