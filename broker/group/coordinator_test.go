package group

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/coordinator"
	"fluxmq/broker/coordinator/memlog"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// begin makes a coordinator over one memory log, with short and plain settings.
// It is closed at the end of the bubble that calls stop.
func begin(t *testing.T, l *memoryLog, change ...func(*config.Node)) *Coordinator {
	t.Helper()
	n := *config.Default()
	n.GroupInitialRebalanceDelay = 0
	for _, c := range change {
		c(&n)
	}
	ids := 0
	return New(Config{
		Node: &n, Partitions: func() int32 { return 1 }, Log: func(int32) Log { return l },
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		NewID:  func() string { ids++; return fmt.Sprint(ids) },
	})
}

var background = context.Background()

func joinRequest(group, member string, protocols ...string) *kmsg.JoinGroupRequest {
	in := kmsg.NewPtrJoinGroupRequest()
	in.Version, in.Group, in.MemberID, in.ProtocolType = 9, group, member, "consumer"
	in.SessionTimeoutMillis, in.RebalanceTimeoutMillis = 10_000, 60_000
	for _, p := range append(protocols, "range") {
		in.Protocols = append(in.Protocols, kmsg.JoinGroupRequestProtocol{Name: p, Metadata: javaSubscription("t")})
	}
	return in
}

func syncRequest(group, member string, generation int32, assignments ...string) *kmsg.SyncGroupRequest {
	in := kmsg.NewPtrSyncGroupRequest()
	in.Group, in.MemberID, in.Generation = group, member, generation
	for _, a := range assignments {
		id, bytes, _ := strings.Cut(a, "=")
		in.GroupAssignment = append(in.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: []byte(bytes)})
	}
	return in
}

// enter makes one member of a group: both rounds of joining, and the sync of a leader.
func enter(t *testing.T, c *Coordinator, group string) (member string, generation int32) {
	t.Helper()
	from := Client{"client", "/127.0.0.1"}
	first := c.Join(background, from, joinRequest(group, "")).Wait(background)
	if got := codeName(first.ErrorCode); got != "MEMBER_ID_REQUIRED" {
		t.Fatalf("first join: %s", got)
	}
	joined := c.Join(background, from, joinRequest(group, first.MemberID)).Wait(background)
	if joined.ErrorCode != 0 || joined.LeaderID != joined.MemberID {
		t.Fatalf("second join: %s, leader %q", codeName(joined.ErrorCode), joined.LeaderID)
	}
	synced := c.Sync(background, syncRequest(group, joined.MemberID, joined.Generation, joined.MemberID+"=mine")).Wait(background)
	if synced.ErrorCode != 0 || string(synced.MemberAssignment) != "mine" {
		t.Fatalf("sync: %s, %q", codeName(synced.ErrorCode), synced.MemberAssignment)
	}
	return joined.MemberID, joined.Generation
}

func heartbeat(c *Coordinator, group, member string, generation int32) string {
	in := kmsg.NewPtrHeartbeatRequest()
	in.Group, in.MemberID, in.Generation = group, member, generation
	return codeName(c.Heartbeat(background, in).Wait(background))
}

func commitOf(group, member string, generation int32, offset int64) Commit {
	return Commit{Group: group, MemberID: member, Generation: generation, RetentionMs: -1, Version: 9,
		Offsets: []CommitOffset{{Topic: "t", Partition: 3, Offset: offset, LeaderEpoch: -1}}}
}

func fetched(c *Coordinator, group string) string {
	f := c.Fetch(background, group, nil, -1, nil, false).Wait(background)
	out := codeName(f.ErrorCode)
	for _, o := range f.Offsets {
		out += fmt.Sprintf(" %s-%d=%d", o.Topic, o.Partition, o.Offset)
	}
	return out
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// settled tells whether a reply has come, without waiting longer than all
// goroutines need to come to rest. It must run in a synctest bubble.
func settled[T any](r *Reply[T]) bool {
	synctest.Wait()
	return r.Ready()
}

func TestGroupLivesThroughARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		c := begin(t, l)
		member, generation := enter(t, c, "g")
		expect(t, "commit", codeName(c.Commit(background, commitOf("g", member, generation, 7)).Wait(background)[0]), "ok")
		expect(t, "commit of a simple consumer", codeName(c.Commit(background, commitOf("simple", "", -1, 8)).Wait(background)[0]), "ok")
		c.Close()

		c = begin(t, l)
		if err := c.Start(background); err != nil {
			t.Fatal(err)
		}
		expect(t, "fetch", fetched(c, "g"), "ok t-3=7")
		expect(t, "fetch simple", fetched(c, "simple"), "ok t-3=8")
		expect(t, "heartbeat", heartbeat(c, "g", member, generation), "ok")
		d := c.Describe(background, "g").Wait(background)
		if d.State != "Stable" || len(d.Members) != 1 || string(d.Members[0].MemberAssignment) != "mine" || d.Members[0].ClientHost != "/127.0.0.1" {
			t.Errorf("described as %+v", d)
		}
		// Nobody heartbeats any more: the session of the restored member ends by itself.
		time.Sleep(11 * time.Second)
		expect(t, "state", c.Describe(background, "g").Wait(background).State, "Empty")
		c.Close()

		c = begin(t, l)
		expect(t, "state after another restart", c.Describe(background, "g").Wait(background).State, "Empty")
		c.Close()
	})
}

func TestHeldJoinsAndInitialDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{}, func(n *config.Node) { n.GroupInitialRebalanceDelay = 3 * time.Second })
		defer c.Close()
		first, second := joinRequest("g", ""), joinRequest("g", "")
		first.Version, second.Version = 3, 3
		start := time.Now()
		a := c.Join(background, Client{"a", "/h"}, first)
		time.Sleep(2 * time.Second) // of the bubble's clock
		b := c.Join(background, Client{"b", "/h"}, second)
		if settled(a) || settled(b) {
			t.Fatal("a join was answered before the initial delay")
		}
		ra, rb := a.Wait(background), b.Wait(background)
		// b came while the delay ran, so it runs on until nobody has come for as long.
		if took := time.Since(start); took != 5*time.Second || len(ra.Members) != 2 || ra.Generation != 1 || rb.LeaderID != ra.MemberID {
			t.Errorf("after %v: %d members, generation %d, leaders %q and %q", took, len(ra.Members), ra.Generation, ra.LeaderID, rb.LeaderID)
		}
	})
}

func TestAnswersWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{memlog.Log{Waits: true}}
		c := begin(t, l, func(n *config.Node) { n.OffsetsCommitTimeout = time.Hour })
		defer c.Close()
		in := joinRequest("g", "")
		in.Version = 3
		joined := c.Join(background, Client{"a", "/h"}, in).Wait(background)
		synced := c.Sync(background, syncRequest("g", joined.MemberID, 1, joined.MemberID+"=x"))
		if settled(synced) {
			t.Error("an assignment left before it was durable")
		}
		expect(t, "heartbeat meanwhile", heartbeat(c, "g", joined.MemberID, 1), "ok")
		l.Sync(nil)
		expect(t, "sync", codeName(synced.Wait(background).ErrorCode), "ok")

		commit := c.Commit(background, commitOf("g", joined.MemberID, 1, 5))
		fetch := c.Fetch(background, "g", nil, -1, nil, false)
		if settled(commit) || settled(fetch) {
			t.Error("an offset was told before it was durable")
		}
		l.Sync(nil)
		expect(t, "commit", codeName(commit.Wait(background)[0]), "ok")
		if f := fetch.Wait(background); len(f.Offsets) != 1 || f.Offsets[0].Offset != 5 {
			t.Errorf("fetched %+v", f)
		}

		commit = c.Commit(background, commitOf("g", joined.MemberID, 1, 6))
		synctest.Wait()
		l.Sync(errDisk)
		expect(t, "commit when the sync failed", codeName(commit.Wait(background)[0]), "NOT_COORDINATOR")
	})
}

func TestAFailedAppendIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		c := begin(t, l)
		defer c.Close()
		member, generation := enter(t, c, "g")
		other := joinRequest("g", "")
		other.Version = 3
		held := c.Join(background, Client{"b", "/h"}, other)
		if settled(held) {
			t.Fatal("the join is not held")
		}
		l.Fail = errDisk
		expect(t, "commit", codeName(c.Commit(background, commitOf("g", member, generation, 1)).Wait(background)[0]), "NOT_COORDINATOR")
		expect(t, "the held join", codeName(held.Wait(background).ErrorCode), "NOT_COORDINATOR")
		l.Fail = nil
		expect(t, "commit after", codeName(c.Commit(background, commitOf("g", member, generation, 1)).Wait(background)[0]), "NOT_COORDINATOR")
		expect(t, "heartbeat after", heartbeat(c, "g", member, generation), "NOT_COORDINATOR")
	})
}

func TestCloseAnswersWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{}, func(n *config.Node) { n.GroupInitialRebalanceDelay = time.Hour })
		in := joinRequest("g", "")
		in.Version = 3
		held := c.Join(background, Client{"a", "/h"}, in)
		if settled(held) {
			t.Fatal("the join is not held")
		}
		c.Close()
		expect(t, "held join", codeName(held.Wait(background).ErrorCode), "NOT_COORDINATOR")
		expect(t, "heartbeat after", heartbeat(c, "g", "m", 1), "NOT_COORDINATOR")
		c.Close()
	})
}

func TestAClientThatGoesAwayGetsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{}, func(n *config.Node) { n.GroupInitialRebalanceDelay = time.Hour })
		defer c.Close()
		in := joinRequest("g", "")
		in.Version = 3
		held := c.Join(background, Client{"a", "/h"}, in)
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		expect(t, "held join", codeName(held.Wait(ctx).ErrorCode), "COORDINATOR_NOT_AVAILABLE")
		// The member is held for five minutes, then nobody believes in it any more.
		time.Sleep(5*time.Minute + time.Second)
		if d := c.Describe(background, "g").Wait(background); len(d.Members) != 0 {
			t.Errorf("%d members", len(d.Members))
		}
	})
}

func TestLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{memlog.Log{ReplayAt: make(chan struct{})}}
		c := begin(t, l)
		defer c.Close()
		if got := c.Fetch(background, "g", nil, -1, nil, false).Wait(background).ErrorCode; got != 14 {
			t.Errorf("code %d while loading, want 14 (COORDINATOR_LOAD_IN_PROGRESS)", got)
		}
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		if err := c.Start(ctx); err == nil {
			t.Error("Start returned before the load was over")
		}
		close(l.ReplayAt)
		expect(t, "fetch after", fetched(c, "g"), "ok")
	})
}

// A shard that has nothing to do serves a request in its caller's goroutine: the
// answer is there at once, unless something must be written for it.
func TestAnIdleShardAnswersAtOnce(t *testing.T) {
	c := begin(t, &memoryLog{})
	defer c.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Start(background))
	id, generation := enter(t, c, "g")
	in := kmsg.NewPtrHeartbeatRequest()
	in.Group, in.MemberID, in.Generation = "g", id, generation
	s, err := c.shardOf(background, "g")
	must(err)
	await := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !is(); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	idle := func() bool {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		return s.Idle() && !s.Unwritten()
	}
	await("the shard is never idle", func() bool {
		if !idle() {
			return false
		}
		code, is := c.Heartbeat(background, in).Now()
		return is && code == 0
	})
	s.mutex.Lock() // as when it is at work
	busy := c.Heartbeat(background, in)
	if _, is := busy.Now(); is {
		t.Error("a heartbeat was served while the shard was at work")
	}
	if code, served := c.HeartbeatNow(in); served {
		t.Errorf("HeartbeatNow answered %d while the shard was at work", code)
	}
	second := c.Heartbeat(background, in)
	s.mutex.Unlock()
	expect(t, "the first that waited", codeName(busy.Wait(background)), "ok")
	expect(t, "the second", codeName(second.Wait(background)), "ok")
	await("what waited is still counted", idle)
	if code, served := c.HeartbeatNow(in); !served || code != 0 {
		t.Errorf("HeartbeatNow of an idle shard: %v, %s", served, codeName(code))
	}
}

// A request does not overtake one that was only told before it.
func TestNothingIsOvertaken(t *testing.T) {
	c := begin(t, &memoryLog{})
	defer c.Close()
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		in := commitOf("g", "", -1, int64(i))
		c.TopicDeleted(background, in.Offsets[0].Topic)
		expect(t, "commit", codeName(c.Commit(background, in).Wait(background)[0]), "ok")
		if got, want := fetched(c, "g"), fmt.Sprintf("ok t-3=%d", i); got != want {
			t.Fatalf("%s, want %s: the commit was forgotten with the topic that had been deleted before it", got, want)
		}
	}
}

func TestABlockedShardRefusesInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{memlog.Log{AppendAt: make(chan struct{})}}
		c := begin(t, l)
		defer c.Close()
		defer close(l.AppendAt)
		var replies []*Reply[[]int16]
		replies = append(replies, c.Commit(background, commitOf("g", "", -1, 0)))
		synctest.Wait() // the shard is in Append now
		for i := range coordinator.QueueLength {
			replies = append(replies, c.Commit(background, commitOf("g", "", -1, int64(i))))
		}
		start := time.Now()
		expect(t, "one too many", codeName(c.Commit(background, commitOf("g", "", -1, 0)).Wait(background)[0]), "COORDINATOR_NOT_AVAILABLE")
		expect(t, "the first", codeName(replies[0].Wait(background)[0]), "COORDINATOR_NOT_AVAILABLE")
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("that took %v", took)
		}
	})
}

func TestWaitingCommitsShareABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{memlog.Log{AppendAt: make(chan struct{})}}
		c := begin(t, l)
		defer c.Close()
		var replies []*Reply[[]int16]
		for i := range 101 {
			replies = append(replies, c.Commit(background, commitOf("g", "", -1, int64(i))))
			if i == 0 {
				synctest.Wait()
			}
		}
		close(l.AppendAt)
		for i, r := range replies {
			expect(t, fmt.Sprint("commit ", i), codeName(r.Wait(background)[0]), "ok")
		}
		if n := l.Count(); n != 2 {
			t.Errorf("%d batches, want 2", n)
		}
		expect(t, "the last one holds", fetched(c, "g"), "ok t-3=100")
	})
}

func TestOffsetsExpireByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		c := begin(t, l, func(n *config.Node) { n.OffsetsRetention, n.OffsetsRetentionCheck = time.Hour, time.Minute })
		c.Commit(background, commitOf("g", "", -1, 1)).Wait(background)
		time.Sleep(59 * time.Minute)
		expect(t, "before", fetched(c, "g"), "ok t-3=1")
		time.Sleep(2 * time.Minute)
		expect(t, "after", fetched(c, "g"), "ok")
		if n := c.Counters().OffsetsExpired; n != 1 {
			t.Errorf("%d expired", n)
		}
		c.Close()
		c = begin(t, l)
		defer c.Close()
		expect(t, "after a restart", fetched(c, "g"), "ok")
	})
}

func TestAdministration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{})
		defer c.Close()
		member, generation := enter(t, c, "live")
		c.Commit(background, commitOf("live", member, generation, 4)).Wait(background)
		c.Commit(background, commitOf("old", "", -1, 5)).Wait(background)

		names := func(states, types []string) string {
			var out []string
			for _, g := range c.List(background, states, types).Groups {
				out = append(out, g.Group+":"+g.GroupState+":"+g.GroupType+":"+g.ProtocolType)
			}
			return strings.Join(out, " ")
		}
		expect(t, "all", names(nil, nil), "live:Stable:classic:consumer old:Empty:classic:")
		expect(t, "empty ones", names([]string{"empty"}, nil), "old:Empty:classic:")
		expect(t, "classic ones", names([]string{"Stable", "Dead"}, []string{"Classic"}), "live:Stable:classic:consumer")
		expect(t, "KIP-848 ones", names(nil, []string{"consumer"}), "")

		offsetsOf := func(group, topic string) string {
			in := kmsg.NewPtrOffsetDeleteRequest()
			in.Group = group
			in.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 3}}}}
			r := c.DeleteOffsets(background, in).Wait(background)
			if r.ErrorCode != 0 {
				return codeName(r.ErrorCode)
			}
			return codeName(r.Topics[0].Partitions[0].ErrorCode)
		}
		expect(t, "offsets of a topic in use", offsetsOf("live", "t"), "GROUP_SUBSCRIBED_TO_TOPIC")
		expect(t, "offsets of another", offsetsOf("live", "u"), "ok")
		expect(t, "offsets of no group", offsetsOf("none", "t"), "GROUP_ID_NOT_FOUND")
		expect(t, "delete a live group", codeName(c.Delete(background, "live").Wait(background)), "NON_EMPTY_GROUP")
		expect(t, "delete no group", codeName(c.Delete(background, "none").Wait(background)), "GROUP_ID_NOT_FOUND")
		if d := c.Describe(background, "none").Wait(background); d.State != "Dead" || codeName(d.ErrorCode) != "GROUP_ID_NOT_FOUND" {
			t.Errorf("no group is described as %+v", d)
		}

		want := []Snapshot{
			{Group: "live", State: "Stable", ProtocolType: "consumer", Generation: 1, Members: 1, Offsets: []FetchedOffset{{Topic: "t", Partition: 3, Offset: 4, LeaderEpoch: -1}}},
			{Group: "old", State: "Empty", Offsets: []FetchedOffset{{Topic: "t", Partition: 3, Offset: 5, LeaderEpoch: -1}}},
		}
		if diff := cmp.Diff(c.Snapshot(background), want); diff != "" {
			t.Errorf("snapshot: %s", diff)
		}
		c.TopicDeleted(background, "t")
		expect(t, "offsets of a deleted topic", fetched(c, "live"), "ok")
		expect(t, "the group that had nothing else", names([]string{"Empty"}, nil), "")
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, &memoryLog{})
		defer c.Close()
		join := func(change func(*kmsg.JoinGroupRequest)) string {
			in := joinRequest("g", "")
			change(in)
			return codeName(c.Join(background, Client{"a", "/h"}, in).Wait(background).ErrorCode)
		}
		expect(t, "a short session", join(func(in *kmsg.JoinGroupRequest) { in.SessionTimeoutMillis = 5999 }), "INVALID_SESSION_TIMEOUT")
		expect(t, "a long session", join(func(in *kmsg.JoinGroupRequest) { in.SessionTimeoutMillis = 1_800_001 }), "INVALID_SESSION_TIMEOUT")
		expect(t, "no group", join(func(in *kmsg.JoinGroupRequest) { in.Group = "" }), "INVALID_GROUP_ID")
		long := strings.Repeat("g", 1<<15)
		expect(t, "a group that cannot be stored", join(func(in *kmsg.JoinGroupRequest) { in.Group = long }), "INVALID_GROUP_ID")
		expect(t, "an instance that cannot be stored", join(func(in *kmsg.JoinGroupRequest) { in.InstanceID = &long }), "INVALID_REQUEST")
		expect(t, "a made-up member id", join(func(in *kmsg.JoinGroupRequest) { in.MemberID = "mine" }), "UNKNOWN_MEMBER_ID")
		expect(t, "no protocols", join(func(in *kmsg.JoinGroupRequest) { in.Protocols = nil }), "INCONSISTENT_GROUP_PROTOCOL")
		if l := c.List(background, nil, nil); len(l.Groups) != 0 {
			t.Errorf("refused joins left groups: %+v", l.Groups)
		}
		expect(t, "a heartbeat to no group", heartbeat(c, "g", "m", 1), "UNKNOWN_MEMBER_ID")
		expect(t, "a sync to no group", codeName(c.Sync(background, syncRequest("g", "m", 1)).Wait(background).ErrorCode), "UNKNOWN_MEMBER_ID")
		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Group, leave.Members = "g", []kmsg.LeaveGroupRequestMember{{MemberID: "m"}}
		gone := c.Leave(background, leave).Wait(background)
		if gone.ErrorCode != 0 || len(gone.Members) != 1 || gone.Members[0].MemberID != "m" {
			t.Errorf("a leave of no group: %+v", gone)
		}
		expect(t, "a leave of no group", codeName(gone.Members[0].ErrorCode), "UNKNOWN_MEMBER_ID")
		old := commitOf("g", "m", 1, 1)
		old.Version = 8
		expect(t, "a commit of no member", codeName(c.Commit(background, old).Wait(background)[0]), "ILLEGAL_GENERATION")
		expect(t, "the same, version 9", codeName(c.Commit(background, commitOf("g", "m", 1, 1)).Wait(background)[0]), "GROUP_ID_NOT_FOUND")

		// A member id that is never used leaves nothing behind.
		expect(t, "first round", join(func(*kmsg.JoinGroupRequest) {}), "MEMBER_ID_REQUIRED")
		time.Sleep(11 * time.Second)
		if l := c.List(background, nil, nil); len(l.Groups) != 0 {
			t.Errorf("an unused member id left a group: %+v", l.Groups)
		}
	})
}

func TestNotCoordinated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := begin(t, &memoryLog{}, func(n *config.Node) { n.GroupsEnabled = false })
		expect(t, "groups turned off", heartbeat(off, "g", "m", 1), "COORDINATOR_NOT_AVAILABLE")
		if off.Enabled() || off.List(background, nil, nil).ErrorCode == 0 {
			t.Error("the coordinator says that it works")
		}
		if err := off.Start(background); err != nil {
			t.Errorf("nothing to start, but: %v", err)
		}
		none := New(Config{Node: config.Default(), Partitions: func() int32 { return 0 }, Log: func(int32) Log { return nil }})
		expect(t, "no __consumer_offsets yet", heartbeat(none, "g", "m", 1), "NOT_COORDINATOR")
		if l := none.List(background, nil, nil); l.ErrorCode != 0 || len(l.Groups) != 0 {
			t.Errorf("listed %+v", l)
		}
		elsewhere := New(Config{Node: config.Default(), Partitions: func() int32 { return 3 }, Log: func(int32) Log { return nil }})
		expect(t, "a partition that is not here", heartbeat(elsewhere, "g", "m", 1), "NOT_COORDINATOR")
	})
}

// TestPartitionOf: hash codes as Java computes them, by hand or from its documentation.
func TestPartitionOf(t *testing.T) {
	for _, c := range []struct {
		group string
		hash  int32
	}{
		{"", 0},
		{"a", 97},
		{"abc", 96354},
		{"polygenelubricants", 0}, // Integer.MIN_VALUE, whose abs Kafka takes as 0
		{"console-consumer-12345", hashOf("console-consumer-12345")}, // beyond 2^31 on the way
		{"é", 233},
		{"😀", 55357*31 + 56832}, // two UTF-16 units
	} {
		if got := PartitionOf(c.group, 1<<31-1); got != c.hash%(1<<31-1) {
			t.Errorf("hash of %q: %d, want %d", c.group, got, c.hash)
		}
	}
	if got := PartitionOf("abc", 50); got != 96354%50 {
		t.Errorf("partition %d", got)
	}
}

// hashOf computes String.hashCode of ASCII in 64 bits and then narrows it.
func hashOf(s string) int32 {
	var h uint64
	for _, b := range []byte(s) {
		h = (h*31 + uint64(b)) % (1 << 32)
	}
	return int32(max(int64(int32(h)), -int64(int32(h))))
}

func TestRandomUUID(t *testing.T) {
	var ids []string
	for range 100 {
		id := randomUUID()
		if len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) {
			t.Fatalf("%q is no version 4 UUID", id)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 100 {
		t.Error("ids repeat")
	}
}
