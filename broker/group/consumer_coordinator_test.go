package group

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fluxmq/broker/config"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// cluster is what a coordinator of consumer groups needs to know of one.
type cluster struct {
	log    *memoryLog
	topics testTopics
	own    map[string]*config.Group
}

func newCluster(topics map[string]int32) *cluster {
	return &cluster{log: &memoryLog{}, topics: testTopics{partitions: topics, version: 1}, own: map[string]*config.Group{}}
}

func (cl *cluster) begin() *Coordinator {
	n := config.Default()
	ids := 0
	return New(Config{
		Node: n, Partitions: func() int32 { return 1 }, Log: func(int32) Log { return cl.log },
		Topics:   func() Topics { return cl.topics },
		Settings: func(group string) *config.Group { return cl.own[group] },
		Logger:   slog.New(slog.NewTextHandler(io.Discard, nil)),
		NewID:    func() string { ids++; return fmt.Sprint("made-", ids) },
	})
}

// joining is a first ConsumerGroupHeartbeat.
func joining(group, member string, names ...string) *kmsg.ConsumerGroupHeartbeatRequest {
	in := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	in.Version, in.Group, in.MemberID = 1, group, member
	in.RebalanceTimeoutMillis, in.SubscribedTopicNames = 30_000, append([]string{}, names...)
	in.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	return in
}

func beating(group, member string, epoch int32) *kmsg.ConsumerGroupHeartbeatRequest {
	in := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	in.Version, in.Group, in.MemberID, in.MemberEpoch = 1, group, member, epoch
	return in
}

func (c *Coordinator) told(in *kmsg.ConsumerGroupHeartbeatRequest) string {
	r := c.ConsumerHeartbeat(background, Client{"client", "/127.0.0.1"}, in).Wait(background)
	if r.ErrorCode != 0 {
		return codeName(r.ErrorCode)
	}
	out := fmt.Sprintf("%s at %d every %d", *r.MemberID, r.MemberEpoch, r.HeartbeatIntervalMillis)
	if r.Assignment != nil {
		for _, t := range r.Assignment.Topics {
			for _, p := range t.Partitions {
				out += " " + shownPartition(partitionID{t.TopicID, p})
			}
		}
	}
	return out
}

func listed(c *Coordinator, states, types []string) string {
	var out []string
	for _, g := range c.List(background, states, types).Groups {
		out = append(out, fmt.Sprintf("%s %s %s %s", g.Group, g.GroupType, g.ProtocolType, g.GroupState))
	}
	return strings.Join(out, ", ")
}

func TestConsumerGroupLivesThroughARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster(map[string]int32{"t": 2})
		c := cl.begin()
		expect(t, "join", c.told(joining("g", "m", "t")), "m at 2 every 1000 t-0 t-1")
		expect(t, "heartbeat", c.told(beating("g", "m", 2)), "m at 2 every 1000")
		time.Sleep(10 * time.Second)
		expect(t, "heartbeat of a settled group", c.told(beating("g", "m", 2)), "m at 2 every 5000")
		commit := commitOf("g", "m", 2, 7)
		expect(t, "commit", codeName(c.Commit(background, commit).Wait(background)[0]), "ok")
		commit.Generation = 3
		expect(t, "commit of a later epoch", codeName(c.Commit(background, commit).Wait(background)[0]), "STALE_MEMBER_EPOCH")
		c.Close()

		c = cl.begin()
		if err := c.Start(background); err != nil {
			t.Fatal(err)
		}
		expect(t, "list", listed(c, nil, nil), "g consumer consumer Stable")
		member, stranger := "m", "x"
		for _, f := range []struct {
			member *string
			epoch  int32
			want   string
		}{
			{nil, -1, "ok"}, {&member, 2, "ok"}, {&member, 1, "STALE_MEMBER_EPOCH"}, {&member, -1, "STALE_MEMBER_EPOCH"},
			{&stranger, 2, "UNKNOWN_MEMBER_ID"}, {nil, 2, "UNKNOWN_MEMBER_ID"},
		} {
			got := c.Fetch(background, "g", f.member, f.epoch, nil, false).Wait(background)
			expect(t, fmt.Sprint("fetch at ", f.epoch), codeName(got.ErrorCode), f.want)
			if got.ErrorCode == 0 && (len(got.Offsets) != 1 || got.Offsets[0].Offset != 7) {
				t.Errorf("fetched %+v", got.Offsets)
			}
		}
		expect(t, "heartbeat", c.told(beating("g", "m", 2)), "m at 2 every 5000")
		if s := c.Snapshot(background); len(s) != 1 || s[0].Members != 1 || s[0].Generation != 2 || s[0].State != "Stable" {
			t.Errorf("snapshot %+v", s)
		}
		expect(t, "delete", codeName(c.Delete(background, "g").Wait(background)), "NON_EMPTY_GROUP")
		// Nobody heartbeats any more.
		time.Sleep(46 * time.Second)
		expect(t, "list", listed(c, nil, nil), "g consumer consumer Empty")
		expect(t, "delete", codeName(c.Delete(background, "g").Wait(background)), "ok")
		c.Close()

		c = cl.begin()
		expect(t, "list after all", listed(c, nil, nil), "")
		c.Close()
	})
}

// TestTransactionalCommitsOfAConsumerGroup: a producer that names a member is
// held to the member's epoch.
func TestTransactionalCommitsOfAConsumerGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(map[string]int32{"t": 4}).begin()
		defer c.Close()
		expect(t, "join", c.told(joining("g", "m", "t")), "m at 2 every 1000 t-0 t-1 t-2 t-3")
		for _, one := range []struct {
			member string
			epoch  int32
			want   string
		}{
			{"", -1, "ok"}, {"m", 2, "ok"}, {"m", 1, "ILLEGAL_GENERATION"}, {"m", 3, "ILLEGAL_GENERATION"}, {"x", 2, "UNKNOWN_MEMBER_ID"},
		} {
			in := TransactionalCommit{Commit: commitOf("g", one.member, one.epoch, 5), ProducerID: 7}
			got := c.CommitTransactional(background, in, verified)
			expect(t, fmt.Sprintf("commit of %q at %d", one.member, one.epoch), codeName(got[0]), one.want)
		}
		expect(t, "before the marker", stable3(c, "g"), "UNSTABLE_OFFSET_COMMIT -1")
		expect(t, "marker", endOf(c, 0, 7, 1, true), "ok")
		expect(t, "after it", stable3(c, "g"), "ok 5")
	})
}

// TestOwnSettingsOfAGroup: they are read at each heartbeat.
func TestOwnSettingsOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster(map[string]int32{"t": 1})
		cl.own["own"] = &config.Group{ConsumerSessionTimeout: 50 * time.Second, ConsumerHeartbeatInterval: 500 * time.Millisecond}
		c := cl.begin()
		defer c.Close()
		expect(t, "a group of its own", c.told(joining("own", "m", "t")), "m at 2 every 500 t-0")
		expect(t, "another", c.told(joining("other", "m", "t")), "m at 2 every 1000 t-0")
		time.Sleep(46 * time.Second)
		expect(t, "list", listed(c, nil, nil), "other consumer consumer Empty, own consumer consumer Stable")
		time.Sleep(5 * time.Second)
		expect(t, "list", listed(c, nil, nil), "other consumer consumer Empty, own consumer consumer Empty")
	})
}

func TestListAndDescribeBothTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster(map[string]int32{"t": 1})
		c := cl.begin()
		defer c.Close()
		c.told(joining("new", "m", "t"))
		c.told(joining("left", "m", "t"))
		c.told(beating("left", "m", -1))
		join := c.Join(background, Client{"client", "/h"}, joinRequest("old", "")).Wait(background)
		joined := c.Join(background, Client{"client", "/h"}, joinRequest("old", join.MemberID)).Wait(background)
		c.Sync(background, syncRequest("old", joined.MemberID, 1, joined.MemberID+"=x")).Wait(background)

		const all = "left consumer consumer Empty, new consumer consumer Stable, old classic consumer Stable"
		for _, f := range []struct {
			states, types []string
			want          string
		}{
			{nil, nil, all},
			{nil, []string{"consumer"}, "left consumer consumer Empty, new consumer consumer Stable"},
			{nil, []string{"CLASSIC"}, "old classic consumer Stable"},
			{[]string{"stable"}, []string{"consumer", "classic"}, "new consumer consumer Stable, old classic consumer Stable"},
			{[]string{"Empty"}, nil, "left consumer consumer Empty"},
			{nil, []string{"share"}, ""},
		} {
			expect(t, fmt.Sprint("list ", f.states, f.types), listed(c, f.states, f.types), f.want)
		}

		// A classic member of a consumer group gets an id like the others have, without its client id.
		if id := c.Join(background, Client{"client", "/h"}, joinRequest("new", "")).Wait(background); codeName(id.ErrorCode) != "MEMBER_ID_REQUIRED" || strings.Contains(id.MemberID, "client") {
			t.Errorf("a classic member got %+v", id)
		}
		// The target of a group that all have left is the one before (Kafka 4.3).
		if d := c.DescribeConsumer(background, "left").Wait(background); d.ErrorCode != 0 || d.State != "Empty" || d.Epoch != 3 || d.AssignmentEpoch != 2 {
			t.Errorf("described as %+v", d)
		}

		d := c.DescribeConsumer(background, "new").Wait(background)
		if d.ErrorCode != 0 || d.State != "Stable" || d.Epoch != 2 || d.AssignmentEpoch != 2 || d.AssignorName != "uniform" || len(d.Members) != 1 {
			t.Errorf("described as %+v", d)
		}
		expect(t, "classic describe of a consumer group", codeName(c.Describe(background, "new").Wait(background).ErrorCode), "GROUP_ID_NOT_FOUND")
		for group, want := range map[string]string{"old": "Group old is not a consumer group.", "none": "There is no group none."} {
			d := c.DescribeConsumer(background, group).Wait(background)
			if codeName(d.ErrorCode) != "GROUP_ID_NOT_FOUND" || d.ErrorMessage == nil || *d.ErrorMessage != want {
				t.Errorf("%s: %+v", group, d)
			}
		}
		expect(t, "describe nothing", codeName(c.DescribeConsumer(background, "").Wait(background).ErrorCode), "INVALID_GROUP_ID")
		expect(t, "heartbeat to a classic group", c.told(beating("old", "m", 3)), "GROUP_ID_NOT_FOUND")
		expect(t, "heartbeat to no group", c.told(beating("none", "m", 3)), "GROUP_ID_NOT_FOUND")
		expect(t, "groups after that", listed(c, nil, nil), all)
	})
}

// TestRefusedHeartbeats: each is refused before any group is made.
func TestRefusedHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster(map[string]int32{"t": 1})
		c := cl.begin()
		defer c.Close()
		blank, long := " ", strings.Repeat("x", maxIDBytes+1)
		for _, r := range []struct {
			name, want string
			change     func(in *kmsg.ConsumerGroupHeartbeatRequest)
		}{
			{"no member id in version 1", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.MemberID = "" }},
			{"no member id later", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.Version, in.MemberID, in.MemberEpoch = 0, "", 1 }},
			{"no group", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.Group = "" }},
			{"an empty instance id", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.InstanceID = &blank }},
			{"an empty rack", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.RackID = &blank }},
			{"no rebalance timeout", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.RebalanceTimeoutMillis = -1 }},
			{"no partitions", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.Topics = nil }},
			{"partitions", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) {
				in.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{Partitions: []int32{0}}}
			}},
			{"no subscription", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.SubscribedTopicNames = nil }},
			{"an epoch that means nothing", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.MemberEpoch = -3 }},
			{"a dynamic member that will be back", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.MemberEpoch = -2 }},
			{"an assignor that is not enabled", "UNSUPPORTED_ASSIGNOR", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.ServerAssignor = &blank }},
			{"an expression that is none", "INVALID_REGULAR_EXPRESSION", func(in *kmsg.ConsumerGroupHeartbeatRequest) { text := "("; in.SubscribedTopicRegex = &text }},
			{"a name too long to be stored", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.SubscribedTopicNames = []string{long} }},
			{"a rack too long to be stored", "INVALID_REQUEST", func(in *kmsg.ConsumerGroupHeartbeatRequest) { in.RackID = &long }},
		} {
			in := joining("g", "m", "t")
			r.change(in)
			expect(t, r.name, c.told(in), r.want)
		}
		expect(t, "groups", listed(c, nil, nil), "")
		// Version 0 is handed a member id.
		in := joining("g", "", "t")
		in.Version = 0
		expect(t, "version 0", c.told(in), "made-1 at 2 every 1000 t-0")
	})
}

// TestManyMembersSettleQuickly: 100 members over 500 partitions, each taking
// its turn as often as it is told to, have all they are to have within 5 s.
func TestManyMembersSettleQuickly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members, partitions = 100, 500
		cl := newCluster(map[string]int32{"t": partitions})
		c := cl.begin()
		defer c.Close()
		began := time.Now()
		stop := make(chan struct{})
		owned := make(chan []int32, members)
		for i := range members {
			go func() { // ends when stop is closed
				in := joining("g", fmt.Sprint("m", i), "t")
				var has []int32
				for {
					r := c.ConsumerHeartbeat(background, Client{"c", "/h"}, in).Wait(background)
					if r.ErrorCode != 0 {
						t.Errorf("member %d: %s", i, codeName(r.ErrorCode))
						break
					}
					in = beating("g", *r.MemberID, r.MemberEpoch)
					if r.Assignment != nil {
						has = nil
						in.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
						for _, topic := range r.Assignment.Topics {
							has = append(has, topic.Partitions...)
							in.Topics = append(in.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: topic.TopicID, Partitions: topic.Partitions})
						}
						continue // it says at once that it did as told, as the Java client does
					}
					interval := time.Duration(r.HeartbeatIntervalMillis) * time.Millisecond
					select {
					case <-time.After(interval):
						continue
					case <-stop:
					}
					break
				}
				owned <- has
			}()
		}
		for time.Since(began) < time.Minute {
			time.Sleep(10 * time.Millisecond)
			if d := c.DescribeConsumer(background, "g").Wait(background); d.State == "Stable" && len(d.Members) == members {
				break
			}
		}
		took := time.Since(began)
		close(stop)
		all := map[int32]bool{}
		for range members {
			for _, p := range <-owned {
				all[p] = true
			}
		}
		t.Logf("%d members own %d partitions after %s of the bubble's time", members, len(all), took)
		if len(all) != partitions || took > 5*time.Second {
			t.Errorf("%d of %d partitions are owned after %s", len(all), partitions, took)
		}
	})
}

// BenchmarkHeartbeatOfManyGroups: one heartbeat among 10,000 groups of one
// member each, of which 2,000 come a second.
func BenchmarkHeartbeatOfManyGroups(b *testing.B) {
	const groups = 10_000
	c := newCluster(map[string]int32{"t": 10}).begin()
	defer c.Close()
	beats := make([]*kmsg.ConsumerGroupHeartbeatRequest, groups)
	for i := range beats {
		group := fmt.Sprint("g", i)
		c.told(joining(group, "m", "t"))
		beats[i] = beating(group, "m", 2)
	}
	i := 0
	for b.Loop() {
		if r := c.ConsumerHeartbeat(background, Client{"client", "/h"}, beats[i%groups]).Wait(background); r.ErrorCode != 0 {
			b.Fatal(codeName(r.ErrorCode))
		}
		i++
	}
}
