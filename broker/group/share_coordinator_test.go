package group

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// stateStub keeps states as the share room would.
type stateStub struct {
	mutex  sync.Mutex
	states map[string]string // group and partition → epoch and start
	fail   error             // of what comes next
	makeAt chan struct{}     // when set, states are made when it is closed
}

func newStateStub() *stateStub { return &stateStub{states: map[string]string{}} }

func stateKey(group string, p SharePartition) string {
	return group + " " + shownPartition(partitionID{p.Topic, p.Partition})
}

func (s *stateStub) each(partitions []SharePartition, do func(SharePartition)) []error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.fail != nil {
		return slices.Repeat([]error{s.fail}, len(partitions))
	}
	for _, p := range partitions {
		do(p)
	}
	return make([]error, len(partitions))
}

func (s *stateStub) Initialize(ctx context.Context, group string, epoch int32, partitions []SharePartition) []error {
	if s.makeAt != nil {
		select {
		case <-s.makeAt:
		case <-ctx.Done():
			return slices.Repeat([]error{ctx.Err()}, len(partitions))
		}
	}
	return s.each(partitions, func(p SharePartition) { s.states[stateKey(group, p)] = fmt.Sprintf("%d/%d", epoch, p.Start) })
}

func (s *stateStub) Delete(_ context.Context, group string, partitions []SharePartition) []error {
	return s.each(partitions, func(p SharePartition) { delete(s.states, stateKey(group, p)) })
}

func (s *stateStub) set(change func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	change()
}

func (s *stateStub) String() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var out []string
	for key, state := range s.states {
		out = append(out, key+" "+state)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// beginShare makes a coordinator that has its states made by s.
func (cl *cluster) beginShare(s *stateStub) *Coordinator {
	return New(Config{
		Node: config.Default(), Partitions: func() int32 { return 1 }, Log: func(int32) Log { return cl.log },
		Topics:     func() Topics { return cl.topics },
		Settings:   func(group string) *config.Group { return cl.own[group] },
		ShareState: s,
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

func sharing(group, member string, epoch int32, names ...string) *kmsg.ShareGroupHeartbeatRequest {
	in := kmsg.NewPtrShareGroupHeartbeatRequest()
	in.Version, in.GroupID, in.MemberID, in.MemberEpoch, in.SubscribedTopicNames = 1, group, member, epoch, names
	return in
}

func (c *Coordinator) toldShare(in *kmsg.ShareGroupHeartbeatRequest) string {
	r := c.ShareHeartbeat(background, Client{"client", "/127.0.0.1"}, in).Wait(background)
	if r.ErrorCode != 0 && r.ErrorMessage == nil {
		return codeName(r.ErrorCode) + " without a word"
	}
	if r.ErrorCode != 0 {
		return codeName(r.ErrorCode)
	}
	out := fmt.Sprintf("%s at %d every %d", *r.MemberID, r.MemberEpoch, r.HeartbeatIntervalMillis)
	if r.Assignment != nil {
		for _, t := range r.Assignment.TopicPartitions {
			for _, p := range t.Partitions {
				out += " " + shownPartition(partitionID{t.TopicID, p})
			}
		}
	}
	return out
}

func TestShareGroupLivesThroughARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl, states := newCluster(map[string]int32{"t": 2}), newStateStub()
		c := cl.beginShare(states)
		expect(t, "join", c.toldShare(sharing("g", "a", 0, "t")), "a at 2 every 5000")
		synctest.Wait()
		expect(t, "states", states.String(), "g t-0 2/-1, g t-1 2/-1")
		time.Sleep(2 * time.Second)
		expect(t, "heartbeat", c.toldShare(sharing("g", "a", 2)), "a at 3 every 5000 t-0 t-1")
		expect(t, "a second", c.toldShare(sharing("g", "b", 0, "t")), "b at 3 every 5000")
		time.Sleep(2 * time.Second)
		expect(t, "the first", c.toldShare(sharing("g", "a", 3)), "a at 4 every 5000 t-0")
		expect(t, "the second", c.toldShare(sharing("g", "b", 3)), "b at 4 every 5000 t-1")
		expect(t, "an old epoch", c.toldShare(sharing("g", "b", 2)), "FENCED_MEMBER_EPOCH")
		expect(t, "list", listed(c, nil, []string{"share"}), "g share share Stable")
		c.Close()

		c = cl.beginShare(states)
		expect(t, "after a restart", c.toldShare(sharing("g", "a", 4)), "a at 4 every 5000")
		d := c.DescribeShare(background, "g").Wait(background)
		if d.ErrorCode != 0 || d.GroupState != "Stable" || d.GroupEpoch != 4 || d.AssignmentEpoch != 4 || d.Assignor != "simple" || len(d.Members) != 2 {
			t.Errorf("described as %+v", d)
		} else if m := d.Members[0]; m.MemberID != "a" || m.ClientHost != "/127.0.0.1" || !slices.Equal(m.SubscribedTopicNames, []string{"t"}) ||
			len(m.Assignment.TopicPartitions) != 1 || m.Assignment.TopicPartitions[0].Topic != "t" {
			t.Errorf("the first member is %+v", m)
		}
		time.Sleep(40 * time.Second)
		expect(t, "the first", c.toldShare(sharing("g", "a", 4)), "a at 4 every 5000")
		time.Sleep(10 * time.Second)
		expect(t, "the second is gone", c.toldShare(sharing("g", "a", 4)), "a at 5 every 5000 t-0 t-1")
		expect(t, "and must join again", c.toldShare(sharing("g", "b", 4)), "UNKNOWN_MEMBER_ID")
		expect(t, "the first leaves", c.toldShare(sharing("g", "a", -1)), "a at -1 every 0")
		expect(t, "list", listed(c, nil, nil), "g share share Empty")
		time.Sleep(30 * 24 * time.Hour)
		expect(t, "a month later", listed(c, nil, nil), "g share share Empty")
		expect(t, "its states go first", codeName(c.DeleteShareState(background, "g")), "ok")
		expect(t, "states", states.String(), "")
		expect(t, "delete", codeName(c.Delete(background, "g").Wait(background)), "ok")
		c.Close()
		c = cl.begin()
		defer c.Close()
		expect(t, "after a restart", listed(c, nil, nil), "")
	})
}

func TestStatesThatCannotBeMadeYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl, states := newCluster(map[string]int32{"t": 1}), newStateStub()
		c := cl.beginShare(states)
		defer c.Close()
		states.set(func() { states.fail = protocol.ErrCoordinatorNotAvailable })
		expect(t, "join", c.toldShare(sharing("g", "a", 0, "t")), "a at 2 every 5000")
		time.Sleep(2 * time.Second)
		states.set(func() { states.fail = nil })
		expect(t, "it is tried again", c.toldShare(sharing("g", "a", 2)), "a at 2 every 5000")
		time.Sleep(2 * time.Second)
		expect(t, "and then assigned", c.toldShare(sharing("g", "a", 2)), "a at 3 every 5000 t-0")
		time.Sleep(2 * time.Second)
		// A partition that the topic gets later is read from its first record on.
		cl.topics = cl.topics.with(func(partitions map[string]int32, _ map[string]byte) { partitions["t"] = 2 })
		expect(t, "the topic grows", c.toldShare(sharing("g", "a", 3)), "a at 4 every 5000")
		time.Sleep(2 * time.Second)
		expect(t, "and then assigned", c.toldShare(sharing("g", "a", 4)), "a at 5 every 5000 t-0 t-1")
		expect(t, "states", states.String(), "g t-0 2/-1, g t-1 4/0")
	})
}

func TestAStateThatTakesLongIsNotBegunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl, states := newCluster(map[string]int32{"t": 1}), newStateStub()
		states.makeAt = make(chan struct{})
		c := cl.beginShare(states)
		defer c.Close()
		expect(t, "join", c.toldShare(sharing("g", "a", 0, "t")), "a at 2 every 5000")
		records := cl.log.Count()
		time.Sleep(20 * time.Second)
		expect(t, "heartbeat", c.toldShare(sharing("g", "a", 2)), "a at 2 every 5000")
		if now := cl.log.Count(); now != records {
			t.Errorf("%d batches were written while a state was being made", now-records)
		}
		close(states.makeAt)
		synctest.Wait()
		expect(t, "heartbeat", c.toldShare(sharing("g", "a", 2)), "a at 3 every 5000 t-0")
	})
}

func TestRefusedShareHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl, states := newCluster(map[string]int32{"t": 1}), newStateStub()
		c := cl.beginShare(states)
		defer c.Close()
		expect(t, "a consumer group", c.told(joining("consumers", "c", "t")), "c at 2 every 1000 t-0")
		expect(t, "join", c.toldShare(sharing("g", "a", 0, "t")), "a at 2 every 5000")
		rack := " "
		racked := sharing("g", "a", 0, "t")
		racked.RackID = &rack
		for _, test := range []struct {
			name string
			in   *kmsg.ShareGroupHeartbeatRequest
			want string
		}{
			{"no member id", sharing("g", "", 0, "t"), "INVALID_REQUEST without a word"},
			{"a member id that is too long", sharing("g", strings.Repeat("m", 37), 0, "t"), "INVALID_REQUEST without a word"},
			{"a blank member id", sharing("g", " ", 0, "t"), "INVALID_REQUEST"},
			{"no group id", sharing("", "b", 0, "t"), "INVALID_REQUEST"},
			{"an empty rack", racked, "INVALID_REQUEST"},
			{"no topics", sharing("g", "b", 0), "INVALID_REQUEST"},
			{"an epoch that is none", sharing("g", "a", -2), "INVALID_REQUEST"},
			{"a name that is too long", sharing("g", "b", 0, strings.Repeat("x", 1<<15)), "INVALID_REQUEST"},
			{"an unknown group", sharing("none", "a", 1), "GROUP_ID_NOT_FOUND"},
			{"a group of another type", sharing("consumers", "a", 0, "t"), "GROUP_ID_NOT_FOUND"},
			{"an unknown member", sharing("g", "b", 1), "UNKNOWN_MEMBER_ID"},
			{"an unknown member that leaves", sharing("g", "b", -1), "UNKNOWN_MEMBER_ID"},
			{"an epoch to come", sharing("g", "a", 9), "FENCED_MEMBER_EPOCH"},
		} {
			expect(t, test.name, c.toldShare(test.in), test.want)
		}
		for i := range 199 {
			if got := c.toldShare(sharing("g", fmt.Sprint("m", i), 0, "t")); strings.Contains(got, "_") {
				t.Fatalf("member %d: %s", i, got)
			}
		}
		expect(t, "one too many", c.toldShare(sharing("g", "z", 0, "t")), "GROUP_MAX_SIZE_REACHED")
		// The other protocols do not know the group.
		expect(t, "a consumer", c.told(joining("g", "c", "t")), "GROUP_ID_NOT_FOUND")
		join := c.Join(background, Client{"client", "/127.0.0.1"}, joinRequest("g", "")).Wait(background)
		expect(t, "JoinGroup", codeName(join.ErrorCode), "INCONSISTENT_GROUP_PROTOCOL")
		expect(t, "Heartbeat", heartbeat(c, "g", "a", 2), "UNKNOWN_MEMBER_ID")
		expect(t, "SyncGroup", codeName(c.Sync(background, syncRequest("g", "a", 2)).Wait(background).ErrorCode), "UNKNOWN_MEMBER_ID")
		expect(t, "OffsetCommit", codeName(c.Commit(background, commitOf("g", "", -1, 7)).Wait(background)[0]), "GROUP_ID_NOT_FOUND")
		expect(t, "OffsetFetch", fetched(c, "g"), "GROUP_ID_NOT_FOUND")
		expect(t, "DescribeGroups", codeName(c.Describe(background, "g").Wait(background).ErrorCode), "GROUP_ID_NOT_FOUND")
		expect(t, "ConsumerGroupDescribe", codeName(c.DescribeConsumer(background, "g").Wait(background).ErrorCode), "GROUP_ID_NOT_FOUND")
		expect(t, "ShareGroupDescribe", codeName(c.DescribeShare(background, "consumers").Wait(background).ErrorCode), "GROUP_ID_NOT_FOUND")
		expect(t, "DeleteGroups", codeName(c.Delete(background, "g").Wait(background)), "NON_EMPTY_GROUP")
		expect(t, "DeleteGroups, its first step", codeName(c.DeleteShareState(background, "g")), "NON_EMPTY_GROUP")
	})
}

func alterOf(group string, words ...string) *kmsg.AlterShareGroupOffsetsRequest {
	in := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	in.GroupID = group
	for _, word := range words {
		name, offset, _ := strings.Cut(word, "=")
		topic, index := partitionNamed(name)
		t := kmsg.NewAlterShareGroupOffsetsRequestTopic()
		t.Topic = topic
		p := kmsg.NewAlterShareGroupOffsetsRequestTopicPartition()
		p.Partition = index
		fmt.Sscan(offset, &p.StartOffset)
		t.Partitions = append(t.Partitions, p)
		in.Topics = append(in.Topics, t)
	}
	return in
}

func (c *Coordinator) altered(in *kmsg.AlterShareGroupOffsetsRequest) string {
	r := c.AlterShareOffsets(background, in)
	out := []string{codeName(r.ErrorCode)}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			out = append(out, fmt.Sprintf("%s-%d %s", t.Topic, p.Partition, codeName(p.ErrorCode)))
		}
	}
	return strings.Join(out, ", ")
}

func (c *Coordinator) offsetsDeleted(group string, topics ...string) string {
	in := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
	in.GroupID = group
	for _, name := range topics {
		in.Topics = append(in.Topics, kmsg.DeleteShareGroupOffsetsRequestTopic{Topic: name})
	}
	r := c.DeleteShareOffsets(background, in)
	out := []string{codeName(r.ErrorCode)}
	for _, t := range r.Topics {
		out = append(out, fmt.Sprintf("%s %s", t.Topic, codeName(t.ErrorCode)))
	}
	return strings.Join(out, ", ")
}

func TestOffsetsOfShareGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl, states := newCluster(map[string]int32{"t": 2, "u": 1}), newStateStub()
		c := cl.beginShare(states)
		defer c.Close()
		expect(t, "nothing that exists", c.altered(alterOf("g", "x-0=5", "t-7=5")), "ok, x-0 UNKNOWN_TOPIC_OR_PARTITION, t-7 UNKNOWN_TOPIC_OR_PARTITION")
		expect(t, "makes no group", listed(c, nil, nil), "")
		expect(t, "no group id", c.altered(alterOf("", "t-0=5")), "INVALID_GROUP_ID")
		expect(t, "a new group", c.altered(alterOf("g", "t-0=5", "x-0=1")), "ok, t-0 ok, x-0 UNKNOWN_TOPIC_OR_PARTITION")
		expect(t, "states", states.String(), "g t-0 2/5")
		expect(t, "list", listed(c, nil, nil), "g share share Empty")
		states.set(func() { states.fail = protocol.ErrCoordinatorNotAvailable })
		expect(t, "a state that is not made", c.altered(alterOf("g", "u-0=7")), "ok, u-0 COORDINATOR_NOT_AVAILABLE")
		states.set(func() { states.fail = nil })
		list := c.SharePartitions(background, "g").Wait(background)
		if len(list.Partitions) != 1 || list.Partitions[0].Name != "t" || list.Partitions[0].Partition != 0 {
			t.Errorf("listed %+v", list)
		}
		expect(t, "join", c.toldShare(sharing("g", "a", 0, "t")), "a at 4 every 5000 t-0")
		expect(t, "with members", c.altered(alterOf("g", "t-0=9")), "NON_EMPTY_GROUP")
		expect(t, "with members", c.offsetsDeleted("g", "t"), "NON_EMPTY_GROUP")
		synctest.Wait()
		expect(t, "the other partition", states.String(), "g t-0 2/5, g t-1 4/0")
		expect(t, "leave", c.toldShare(sharing("g", "a", -1)), "a at -1 every 0")

		expect(t, "no group id", c.offsetsDeleted("", "t"), "INVALID_GROUP_ID")
		expect(t, "an unknown group", c.offsetsDeleted("none", "t"), "GROUP_ID_NOT_FOUND")
		states.set(func() { states.fail = protocol.ErrCoordinatorNotAvailable })
		expect(t, "states that stay", c.offsetsDeleted("g", "t"), "ok, t COORDINATOR_NOT_AVAILABLE")
		states.set(func() { states.fail = nil })
		expect(t, "again", c.offsetsDeleted("g", "u", "t", "x"), "ok, t ok, u UNKNOWN_TOPIC_OR_PARTITION, x UNKNOWN_TOPIC_OR_PARTITION")
		expect(t, "states", states.String(), "")
		if list := c.SharePartitions(background, "g").Wait(background); len(list.Partitions) != 0 {
			t.Errorf("listed %+v", list)
		}
	})
}

func TestDeletedTopicOfAShareGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl, states := newCluster(map[string]int32{"t": 1, "u": 1}), newStateStub()
		c := cl.beginShare(states)
		defer c.Close()
		expect(t, "join", c.toldShare(sharing("g", "a", 0, "t", "u")), "a at 2 every 5000")
		time.Sleep(2 * time.Second)
		expect(t, "heartbeat", c.toldShare(sharing("g", "a", 2)), "a at 3 every 5000 t-0 u-0")
		cl.topics = cl.topics.with(func(partitions map[string]int32, remade map[string]byte) { remade["t"]++ })
		c.TopicDeleted(background, "t")
		time.Sleep(2 * time.Second)
		expect(t, "the topic is another one", c.toldShare(sharing("g", "a", 3)), "a at 4 every 5000 u-0")
		time.Sleep(2 * time.Second)
		expect(t, "and has states", c.toldShare(sharing("g", "a", 4)), "a at 5 every 5000 t(1)-0 u-0")
	})
}
