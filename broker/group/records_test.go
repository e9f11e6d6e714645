package group

import (
	"encoding/hex"
	"errors"
	"testing"

	"fluxmq/broker/record"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// TestRecordBytes holds the bytes to what Apache Kafka 4 writes for the same
// content (OffsetCommitKey 1, OffsetCommitValue 3 and 1, GroupMetadataKey 2, GroupMetadataValue 3).
func TestRecordBytes(t *testing.T) {
	g := newGroup("g", &limits{}, 7)
	g.add(&member{id: "m", client: Client{"c", "/h"}, sessionTimeoutMs: 10, rebalanceTimeoutMs: 20,
		protocols: []protocolMetadata{{"range", []byte{0xaa}}}, assignment: []byte{0xbb}}, "consumer")
	g.generation, g.protocol = 3, "range"
	for _, c := range []struct {
		name, key, value string
		r                record.Record
	}{
		{
			name:  "an offset: version, offset, leader epoch, metadata, commit time",
			r:     offsetRecord("g", "t", 2, committed{offset: 5, leaderEpoch: 1, metadata: "x", commitMs: 9, expireMs: -1}),
			key:   "0001" + "000167" + "000174" + "00000002",
			value: "0003" + "0000000000000005" + "00000001" + "000178" + "0000000000000009",
		},
		{
			name:  "an offset with an expiry: version, offset, metadata, commit time, expiry",
			r:     offsetRecord("g", "t", 2, committed{offset: 5, leaderEpoch: 1, commitMs: 9, expireMs: 10}),
			key:   "0001" + "000167" + "000174" + "00000002",
			value: "0001" + "0000000000000005" + "0000" + "0000000000000009" + "000000000000000a",
		},
		{
			name: "a group: version, type, generation, protocol, leader, state time, members",
			r:    groupRecord(g, 11),
			key:  "0002" + "000167",
			value: "0003" + "0008636f6e73756d6572" + "00000003" + "000572616e6765" + "00016d" + "0000000000000007" + "00000001" +
				"00016d" + "ffff" + "000163" + "00022f68" + "00000014" + "0000000a" + "00000001aa" + "00000001bb",
		},
	} {
		if got := hex.EncodeToString(c.r.Key); got != c.key {
			t.Errorf("%s: key\n got %s\nwant %s", c.name, got, c.key)
		}
		if got := hex.EncodeToString(c.r.Value); got != c.value {
			t.Errorf("%s: value\n got %s\nwant %s", c.name, got, c.value)
		}
	}
	for _, r := range []record.Record{offsetTombstone("g", "t", 2, 1), groupTombstone("g", 1)} {
		if r.Value != nil {
			t.Errorf("a tombstone has a value: %x", r.Value)
		}
	}
}

// TestOffsetRoundTrip: what is stored of an offset comes back.
func TestOffsetRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := committed{
			offset: rapid.Int64().Draw(t, "offset"), leaderEpoch: rapid.Int32Min(-1).Draw(t, "epoch"),
			metadata: rapid.String().Draw(t, "metadata"), commitMs: rapid.Int64Min(0).Draw(t, "commit"), expireMs: -1,
		}
		if rapid.Bool().Draw(t, "expires") {
			want.expireMs, want.leaderEpoch = rapid.Int64Min(0).Draw(t, "expire"), -1 // version 1 has no epoch
		}
		group, topic, partition := rapid.String().Draw(t, "group"), rapid.String().Draw(t, "topic"), rapid.Int32().Draw(t, "partition")
		r := offsetRecord(group, topic, partition, want)
		d, err := decodeRecord(r.Key, r.Value)
		if err != nil || d.commit == nil || d.group != group || *d.offset != (offsetKey{topic, partition}) || *d.commit != want {
			t.Fatalf("%+v came back as %+v %+v: %v", want, d, d.commit, err)
		}
	})
}

// TestGroupRoundTrip: a Stable group comes back as it was, byte for byte.
func TestGroupRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &limits{}
		g := newGroup("g", l, rapid.Int64Min(0).Draw(t, "since"))
		g.generation, g.protocol = rapid.Int32Min(0).Draw(t, "generation"), "p"
		for range rapid.IntRange(1, 4).Draw(t, "members") {
			m := &member{
				id: rapid.StringN(1, 20, -1).Draw(t, "id"), client: Client{rapid.String().Draw(t, "client"), "/h"},
				sessionTimeoutMs: rapid.Int32Min(0).Draw(t, "session"), rebalanceTimeoutMs: rapid.Int32Min(0).Draw(t, "rebalance"),
				protocols:  []protocolMetadata{{"p", rapid.SliceOf(rapid.Byte()).Draw(t, "subscription")}},
				assignment: rapid.SliceOf(rapid.Byte()).Draw(t, "assignment"),
			}
			if rapid.Bool().Draw(t, "static") {
				instance := m.id + "-instance"
				m.instanceID = &instance
			}
			if g.members[m.id] == nil {
				g.add(m, "type")
			}
		}
		g.state = stable
		r := groupRecord(g, 1)
		d, err := decodeRecord(r.Key, r.Value)
		if err != nil {
			t.Fatal(err)
		}
		back := newGroup("g", l, 0)
		back.restore(d.metadata)
		again := groupRecord(back, 1)
		if diff := cmp.Diff(r, again); diff != "" || back.state != stable || !back.stored {
			t.Fatalf("the group came back otherwise (%s): %s", back.state, diff)
		}
	})
}

// TestForeignRecords: what this coordinator does not keep is named, not misread.
func TestForeignRecords(t *testing.T) {
	value := kmsg.NewOffsetCommitValue()
	value.Version = 9
	for _, c := range []struct {
		name       string
		key, value []byte
		unknown    bool
	}{
		{"no key", nil, nil, false},
		{"partition metadata of a streams group (key version 18)", []byte{0, 18, 0, 1, 'g'}, []byte{0, 0}, true},
		{"a consumer group of a later value version", consumerKey(consumerMetadataKey, "g"), []byte{0, 1, 0, 0, 0, 1, 0}, true},
		{"an offset of a later value version", offsetRecordKey("g", "t", 0), value.AppendTo(nil), true},
		{"an offset cut short", offsetRecordKey("g", "t", 0), []byte{0, 3, 0}, false},
		{"a group cut short", groupRecordKey("g"), []byte{0, 3, 0, 9}, false},
		{"an empty value", groupRecordKey("g"), []byte{}, false},
		{"a key cut short", []byte{0, 1, 0, 9, 'g'}, nil, false},
	} {
		if _, err := decodeRecord(c.key, c.value); err == nil || errors.Is(err, errUnknownRecord) != c.unknown {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}

// TestOldValueVersions: records that Kafka wrote before 2.1, and tagged ones of 4, are read.
func TestOldValueVersions(t *testing.T) {
	for version := int16(0); version <= newestOffsetValueVersion; version++ {
		v := kmsg.NewOffsetCommitValue()
		v.Version, v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp, v.ExpireTimestamp = version, 5, 2, "m", 9, 10
		d, err := decodeRecord(offsetRecordKey("g", "t", 0), v.AppendTo(nil))
		if err != nil || d.commit.offset != 5 || d.commit.metadata != "m" || d.commit.commitMs != 9 {
			t.Errorf("version %d: %+v, %v", version, d.commit, err)
			continue
		}
		if want := map[bool]int32{true: 2, false: -1}[version >= 3]; d.commit.leaderEpoch != want {
			t.Errorf("version %d: leader epoch %d, want %d", version, d.commit.leaderEpoch, want)
		}
		if want := map[bool]int64{true: 10, false: -1}[version == 1]; d.commit.expireMs != want {
			t.Errorf("version %d: expiry %d, want %d", version, d.commit.expireMs, want)
		}
	}
	for version := int16(0); version <= newestGroupValueVersion; version++ {
		v := kmsg.NewGroupMetadataValue()
		m := kmsg.NewGroupMetadataValueMember()
		m.MemberID, m.SessionTimeoutMillis, m.RebalanceTimeoutMillis = "m", 10, 20
		v.Version, v.Generation, v.ProtocolType, v.Members = version, 4, "consumer", append(v.Members, m)
		d, err := decodeRecord(groupRecordKey("g"), v.AppendTo(nil))
		if err != nil {
			t.Errorf("version %d: %v", version, err)
			continue
		}
		g := newGroup("g", &limits{}, 0)
		g.restore(d.metadata)
		if want := map[bool]int32{true: 20, false: 10}[version >= 1]; g.generation != 4 || g.members["m"].rebalanceTimeoutMs != want {
			t.Errorf("version %d: generation %d, member %+v", version, g.generation, g.members["m"])
		}
	}
}

func TestSubscription(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []byte
		want  []string
		ok    bool
	}{
		{"version 3 as the Java client writes it", javaSubscription("a", "bc"), []string{"a", "bc"}, true},
		{"no topics", javaSubscription(), nil, true},
		{"nothing", nil, nil, false},
		{"not a subscription", []byte("Connect's own bytes"), nil, false},
		{"more topics than bytes", []byte{0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1, 'a'}, nil, false},
		{"a negative count", []byte{0, 0, 0xff, 0xff, 0xff, 0xff}, nil, false},
		{"a name cut short", []byte{0, 0, 0, 0, 0, 1, 0, 5, 'a'}, nil, false},
	} {
		got, ok := subscription(c.bytes)
		if ok != c.ok || cmp.Diff(got, c.want) != "" {
			t.Errorf("%s: %q, %v", c.name, got, ok)
		}
	}
}

func javaSubscription(topics ...string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics, m.UserData = 3, topics, []byte("user data")
	return m.AppendTo(nil)
}

// FuzzReplayRecords: no bytes of a record make the coordinator panic, and what
// it took in it can write again.
func FuzzReplayRecords(f *testing.F) {
	g := newGroup("g", &limits{}, 7)
	g.add(&member{id: "m", protocols: []protocolMetadata{{"range", javaSubscription("t")}}}, "consumer")
	g.protocol = "range"
	whole := groupRecord(g, 1)
	f.Add(whole.Key, whole.Value, true)
	offset := offsetRecord("g", "t", 1, committed{offset: 1, expireMs: -1})
	f.Add(offset.Key, offset.Value, true)
	f.Add(offset.Key, []byte{}, false)
	f.Add([]byte{0, 2, 0, 0}, []byte{0, 3, 0, 0}, true)
	f.Add([]byte{0, 9}, []byte(nil), true)
	g.consumer = newConsumerGroup()
	s := &step{}
	g.storeSubscription(s, exampleMember())
	g.storeCurrent(s, exampleMember())
	g.storeTarget(s, "m", []partitionID{{topicNamed("t", 0), 1}})
	g.storeRegex(s, "t.*", resolvedRegex{topics: []string{"t"}})
	g.storeEpoch(s, 5, 9)
	_, streams := exampleStreamsGroup()
	for _, r := range append(s.records, streams.records...) {
		f.Add(r.Key, r.Value, true)
	}
	f.Fuzz(func(t *testing.T, key, value []byte, present bool) {
		if !present {
			value = nil
		}
		s := newShard(0, &settings{now: fixedClock(1), limits: limits{consumer: testConsumerLimits(), streams: streamsLimits{maxSize: 10}}}, nil)
		for range 2 { // over what the first one left
			if s.replay(key, value) != nil {
				continue
			}
		}
		for _, g := range s.groups {
			topics := testTopics{}.with(func(partitions map[string]int32, _ map[string]byte) { partitions["t"] = 3 })
			st := step{nowMs: 2, topics: topics}
			g.resume(&st)
			if g.consumer != nil {
				g.describeConsumer(topics)
				in := kmsg.NewPtrConsumerGroupHeartbeatRequest()
				in.MemberID, in.SubscribedTopicNames, in.Topics = "new", []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
				g.consumerHeartbeat(&st, heartbeatInput{in, Client{}, "fresh"})
				for _, r := range st.records {
					if _, err := decodeRecord(r.Key, r.Value); err != nil {
						t.Fatalf("a record that was written cannot be read: %v", err)
					}
				}
				continue
			}
			if g.streams != nil {
				g.describeStreams()
				told, _ := readTopology(topologyOf(t, 0, "0/sources=t"))
				in := kmsg.NewPtrStreamsGroupHeartbeatRequest()
				in.MemberID, in.ActiveTasks, in.StandbyTasks, in.WarmupTasks = "new", []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
				g.streamsHeartbeat(&st, streamsHeartbeatInput{in, Client{}, told})
				for _, r := range st.records {
					if _, err := decodeRecord(r.Key, r.Value); err != nil {
						t.Fatalf("a record that was written cannot be read: %v", err)
					}
				}
				continue
			}
			g.describe()
			g.fetch(nil)
			r := groupRecord(g, 2)
			if _, err := decodeRecord(r.Key, r.Value); err != nil && len(r.Value) < 1<<15 {
				t.Fatalf("the group that was read cannot be written: %v", err)
			}
		}
	})
}
