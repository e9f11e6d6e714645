package group

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"fluxmq/broker/record"

	"github.com/google/go-cmp/cmp"
)

const (
	hexG   = "000167"                           // group g in a key
	hexM   = "00016d"                           // member m in a key
	hexT   = "74000000000000000000000000000000" // the id of topic t
	hexU   = "75000000000000000000000000000000" // and of u
	hexTag = "0100"                             // one tagged field, number 0
)

// exampleMember has one of everything.
func exampleMember() *consumerMember {
	t, u := topicNamed("t", 0), topicNamed("u", 0)
	instance, rack := "i", "r"
	return &consumerMember{
		id: "m", instanceID: &instance, rackID: &rack, client: Client{"c", "/h"},
		names: []string{"t", "u"}, regex: "t*", assignor: "range", rebalanceTimeoutMs: 30_000,
		classic: &classicMember{10_000, []protocolMetadata{{"range", []byte{0xaa}}}},
		epoch:   5, previousEpoch: 4, state: memberUnrevoked,
		assigned: []held{{partitionID{t, 0}, 3}, {partitionID{t, 2}, 5}},
		revoking: []held{{partitionID{u, 1}, 4}},
	}
}

// TestConsumerRecordBytes holds the bytes to what Apache Kafka 4.3 writes for
// the same content (ConsumerGroup*Key and *Value version 0).
func TestConsumerRecordBytes(t *testing.T) {
	plain := newConsumerMember("m")
	plain.client, plain.names = Client{"c", "/h"}, []string{"t"}
	for _, c := range []struct {
		name       string
		write      func(*group, *step)
		key, value string
	}{
		{
			"the group epoch, with the metadata hash as tagged field",
			func(g *group, s *step) { g.storeEpoch(s, 5, 7) },
			"0003" + hexG, "0000" + "00000005" + hexTag + "08" + "0000000000000007",
		},
		{
			"the group epoch without topics",
			func(g *group, s *step) { g.storeEpoch(s, 5, 0) },
			"0003" + hexG, "0000" + "00000005" + "00",
		},
		{
			"a member: instance, rack, client, host, names, expression, rebalance timeout, assignor",
			func(g *group, s *step) { g.storeSubscription(s, plain) },
			"0005" + hexG + hexM, "0000" + "00" + "00" + "0263" + "032f68" + "02" + "0274" + "01" + "ffffffff" + "00" + "00",
		},
		{
			"a member with everything, and what it joined with as a classic one as tagged field",
			func(g *group, s *step) { g.storeSubscription(s, exampleMember()) },
			"0005" + hexG + hexM, "0000" + "0269" + "0272" + "0263" + "032f68" + "03" + "0274" + "0275" + "03742a" + "00007530" + "0672616e6765" +
				hexTag + "10" + "01" + "00002710" + "02" + "0672616e6765" + "02aa" + "00" + "00",
		},
		{
			"the assignment epoch, with the time of the assignment as tagged field",
			func(g *group, s *step) { g.storeTargetEpoch(s, 5, 9) },
			"0006" + hexG, "0000" + "00000005" + hexTag + "08" + "0000000000000009",
		},
		{
			"a target",
			func(g *group, s *step) {
				g.storeTarget(s, "m", []partitionID{{topicNamed("t", 0), 0}, {topicNamed("t", 0), 2}, {topicNamed("u", 0), 1}})
			},
			"0007" + hexG + hexM, "0000" + "03" + hexT + "03" + "00000000" + "00000002" + "00" + hexU + "02" + "00000001" + "00" + "00",
		},
		{
			"an empty target",
			func(g *group, s *step) { g.storeTarget(s, "m", nil) },
			"0007" + hexG + hexM, "0000" + "01" + "00",
		},
		{
			"where a member stands, with the epoch of each partition as tagged field",
			func(g *group, s *step) { g.storeCurrent(s, exampleMember()) },
			"0008" + hexG + hexM, "0000" + "00000005" + "00000004" + "01" +
				"02" + hexT + "03" + "00000000" + "00000002" + hexTag + "09" + "03" + "00000003" + "00000005" +
				"02" + hexU + "02" + "00000001" + hexTag + "05" + "02" + "00000004" + "00",
		},
		{
			"what an expression matches",
			func(g *group, s *step) { g.storeRegex(s, "t*", resolvedRegex{[]string{"t", "tt"}, 6, 8}) },
			"0010" + hexG + "0002742a", "0000" + "03" + "0274" + "037474" + "0000000000000006" + "0000000000000008" + "00",
		},
		{"subscription metadata of an older Kafka goes", func(g *group, s *step) { g.dropLegacyMetadata(s) }, "0004" + hexG, ""},
		{"an expression goes", func(g *group, s *step) { g.dropRegex(s, "t*") }, "0010" + hexG + "0002742a", ""},
	} {
		g := newGroup("g", &limits{}, 0)
		g.consumer = newConsumerGroup()
		s := &step{nowMs: 1}
		c.write(g, s)
		r := s.records[0]
		if got := hex.EncodeToString(r.Key); got != c.key {
			t.Errorf("%s: key\n got %s\nwant %s", c.name, got, c.key)
		}
		if got := hex.EncodeToString(r.Value); got != c.value || (r.Value == nil) != (c.value == "") {
			t.Errorf("%s: value\n got %s\nwant %s", c.name, got, c.value)
		}
	}
}

// TestConsumerGroupTombstones: nothing of a group that is buried is left, and
// members go before what they belong to.
func TestConsumerGroupTombstones(t *testing.T) {
	g := newGroup("g", &limits{}, 0)
	g.consumer = newConsumerGroup()
	g.consumer.legacyMetadata = true
	s := &step{nowMs: 1}
	g.storeRegex(s, "t*", resolvedRegex{})
	g.storeSubscription(s, exampleMember())
	g.storeTarget(s, "m", nil)
	g.storeCurrent(s, exampleMember())
	g.storeTargetEpoch(s, 5, 0)
	g.storeEpoch(s, 5, 0)
	s.records = nil
	g.buryConsumer(s)
	var got []string
	for _, r := range s.records {
		if r.Value != nil {
			t.Errorf("key %x has a value", r.Key)
		}
		got = append(got, hex.EncodeToString(r.Key[:2]))
	}
	if diff := cmp.Diff("0008 0007 0005 0006 0010 0004 0003", strings.Join(got, " ")); diff != "" {
		t.Error(diff)
	}
}

// groupOfRecords is a group that was read from a log.
func groupOfRecords(t *testing.T, records ...record.Record) *group {
	t.Helper()
	s := newShard(0, &settings{now: fixedClock(1)}, nil)
	for _, r := range records {
		if err := s.replay(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	return s.groupOf("g")
}

// TestConsumerRecordsOfOtherVersions: what an older or newer Kafka wrote is
// read as far as it means something here.
func TestConsumerRecordsOfOtherVersions(t *testing.T) {
	of := func(key, value string) record.Record {
		k, err := hex.DecodeString(key)
		if err != nil {
			t.Fatal(err)
		}
		r := record.Record{Key: k}
		if value != "" {
			if r.Value, err = hex.DecodeString(value); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	member := of("0005"+hexG+hexM, "0000"+"00"+"00"+"0263"+"032f68"+"03"+"0275"+"0274"+"00"+"00007530"+"00"+"00")
	for _, c := range []struct {
		name    string
		records []record.Record
		want    string // of member m
	}{
		{
			"Kafka 4.2 stores no epoch of a partition, and null for no expression",
			[]record.Record{member, of("0008"+hexG+hexM, "0000"+"00000005"+"00000004"+"00"+"02"+hexT+"02"+"00000000"+"00"+"01"+"00")},
			"epoch 5 Stable [t-0@0] [] names [t u]",
		},
		{
			"a state of a later Kafka",
			[]record.Record{member, of("0008"+hexG+hexM, "0000"+"00000005"+"00000004"+"09"+"01"+"01"+"00")},
			"epoch 5 Unknown [] [] names [t u]",
		},
		{
			"a tagged field of a later Kafka",
			[]record.Record{member, of("0008"+hexG+hexM, "0000"+"00000005"+"00000004"+"02"+"01"+"01"+"01"+"07"+"02"+"ffff")},
			"epoch 5 Unreleased [] [] names [t u]",
		},
		{
			"the assignment is buried first",
			[]record.Record{member, of("0008"+hexG+hexM, "0000"+"00000005"+"00000004"+"00"+"02"+hexT+"02"+"00000000"+"00"+"01"+"00"), of("0008"+hexG+hexM, "")},
			"epoch -1 Stable [] [] names [t u]",
		},
		{
			"an assignment without a subscription",
			[]record.Record{of("0008"+hexG+hexM, "0000"+"00000005"+"00000004"+"00"+"01"+"01"+"00")},
			"epoch 5 Stable [] [] names []",
		},
	} {
		g := groupOfRecords(t, c.records...)
		m := g.consumer.members["m"]
		got := fmt.Sprintf("epoch %d %s %s %s names %v", m.epoch, m.state, shownHeld(m.assigned), shownHeld(m.revoking), m.names)
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	// A classic group's tombstone that compaction left behind says nothing of
	// the consumer group that it became.
	if g := groupOfRecords(t, member, groupTombstone("g", 1)); g.consumer == nil || g.consumer.members["m"] == nil {
		t.Error("the tombstone of the classic group took the consumer group with it")
	}
	if g := groupOfRecords(t, member, of("0003"+hexG, "")); g.consumer != nil {
		t.Error("the group outlived its tombstone")
	}
	if g := groupOfRecords(t, of("0004"+hexG, "0000"+"01"+"00")); !g.consumer.legacyMetadata {
		t.Error("subscription metadata of an older Kafka was not noticed")
	}
}

func TestConsumerRecordsCutShort(t *testing.T) {
	g := newGroup("g", &limits{}, 0)
	g.consumer = newConsumerGroup()
	s := &step{nowMs: 1}
	g.storeRegex(s, "t*", resolvedRegex{topics: []string{"t"}})
	g.storeSubscription(s, exampleMember())
	g.storeTarget(s, "m", []partitionID{{topicNamed("t", 0), 1}})
	g.storeCurrent(s, exampleMember())
	g.storeTargetEpoch(s, 5, 9)
	g.storeEpoch(s, 5, 9)
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
