package handler

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/config"
	"fluxmq/broker/group"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
	"fluxmq/broker/share"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// testShareStates keeps share partitions, and makes their states for groups, as
// node does.
type testShareStates struct {
	*share.Coordinator
	set    *share.Set
	ensure func() error
}

func newShareStates(n *config.Node, metadata *cluster.Metadata, partitions *partition.Set) *testShareStates {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	find := func(topic [16]byte, index int32) *partition.Partition {
		p, _ := partitions.FindByID(topic, index)
		return p
	}
	s := &testShareStates{ensure: func() error {
		_, err := metadata.EnsureTopic(cluster.NewShareTopic(n))
		return err
	}}
	s.Coordinator = share.New(share.Config{
		Node: n, Logger: quiet,
		Partitions: func() int32 {
			if topic := metadata.Image().Topics[share.StateTopic]; topic != nil {
				return topic.Partitions
			}
			return 0
		},
		Log: func(i int32) share.Log {
			if p := partitions.Find([]byte(share.StateTopic), i); p != nil {
				return share.PartitionLog(p)
			}
			return nil
		},
		Exists: func(topic [16]byte, index int32) bool { return find(topic, index) != nil },
	})
	s.set = share.NewSet(share.SetConfig{
		State: s.Coordinator, Find: find, Settings: func(string) config.ShareGroup { return n.Groups.Share }, Timeout: n.ShareWriteTimeout, Logger: quiet,
	})
	s.set.Start()
	return s
}

func (s *testShareStates) close() {
	s.set.Close()
	s.Coordinator.Close()
}

func (s *testShareStates) each(id string, partitions []group.SharePartition, ask func(share.Key, group.SharePartition) *share.Reply[error]) []error {
	errs := make([]error, len(partitions))
	for i, p := range partitions {
		key := share.Key{Group: id, Topic: p.Topic, Partition: p.Partition}
		errs[i] = ask(key, p).Wait(context.Background())
		s.set.Drop(key)
	}
	return errs
}

func (s *testShareStates) Initialize(ctx context.Context, id string, epoch int32, partitions []group.SharePartition) []error {
	if err := s.ensure(); err != nil {
		return slices.Repeat([]error{err}, len(partitions))
	}
	return s.each(id, partitions, func(k share.Key, p group.SharePartition) *share.Reply[error] {
		return s.Coordinator.Initialize(ctx, k, epoch, p.Start)
	})
}

func (s *testShareStates) Delete(ctx context.Context, id string, partitions []group.SharePartition) []error {
	return s.each(id, partitions, func(k share.Key, _ group.SharePartition) *share.Reply[error] { return s.Coordinator.Delete(ctx, k) })
}

// prepareShared makes topic t, whose partitions group g shares from offset 0 on.
func (b *groupBroker) prepareShared() *cluster.Topic {
	b.t.Helper()
	topic := b.prepare()
	if err := b.ensureShareTopic(); err != nil {
		b.t.Fatal(err)
	}
	for i := range topic.Partitions {
		if err := b.ShareState.Initialize(context.Background(), share.Key{Group: "g", Topic: topic.ID, Partition: i}, 1, 0).Wait(context.Background()); err != nil {
			b.t.Fatal(err)
		}
	}
	return topic
}

func (b *groupBroker) produceShared(index int32, count int) {
	b.t.Helper()
	rs := make([]record.Record, count)
	for i := range rs {
		rs[i] = record.Record{Value: []byte("value")}
	}
	batch, err := record.Builder{ProducerID: -1}.Build(rs)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.Partitions.Find([]byte("t"), index).Append(batch, partition.AppendOptions{Acks: 1, CurrentLeaderEpoch: -1}); err != nil {
		b.t.Fatal(err)
	}
}

// sharing is a ShareFetch of a member of group g, of partitions of a topic.
func sharing(topic [16]byte, member string, epoch int32, partitions ...int32) *kmsg.ShareFetchRequest {
	in := kmsg.NewPtrShareFetchRequest()
	id := "g"
	in.GroupID, in.MemberID, in.ShareSessionEpoch = &id, &member, epoch
	in.MinBytes, in.MaxBytes, in.MaxRecords, in.BatchSize = 1, 1<<20, 500, 500
	t := kmsg.NewShareFetchRequestTopic()
	t.TopicID = topic
	for _, index := range partitions {
		p := kmsg.NewShareFetchRequestTopicPartition()
		p.Partition = index
		t.Partitions = append(t.Partitions, p)
	}
	if len(partitions) > 0 {
		in.Topics = append(in.Topics, t)
	}
	return in
}

// saying adds what a member acknowledges to a fetch of one partition.
func saying(in *kmsg.ShareFetchRequest, first, last int64, types ...int8) *kmsg.ShareFetchRequest {
	b := kmsg.NewShareFetchRequestTopicPartitionAcknowledgementBatch()
	b.FirstOffset, b.LastOffset, b.AcknowledgeTypes = first, last, types
	p := &in.Topics[0].Partitions[0]
	p.AcknowledgementBatches = append(p.AcknowledgementBatches, b)
	return in
}

// shared shows the response to a ShareFetch: the session's error, or for each
// partition its errors, and what was acquired.
func (b *groupBroker) shared(in *kmsg.ShareFetchRequest) string {
	b.t.Helper()
	r := askGroupAPI[*kmsg.ShareFetchResponse](b, 2, in)
	if r.ErrorCode != 0 {
		return codeText(r.ErrorCode)
	}
	if r.AcquisitionLockTimeoutMillis != 30_000 {
		b.t.Errorf("the lock is of %d ms", r.AcquisitionLockTimeoutMillis)
	}
	out := []string{}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			text := fmt.Sprint(p.Partition)
			if p.AcknowledgeErrorCode != 0 {
				text += " ack " + codeText(p.AcknowledgeErrorCode)
			}
			if p.ErrorCode != 0 {
				text += " " + codeText(p.ErrorCode)
			}
			for _, a := range p.AcquiredRecords {
				text += fmt.Sprintf(" %d-%d*%d", a.FirstOffset, a.LastOffset, a.DeliveryCount)
			}
			if (len(p.AcquiredRecords) > 0) != (len(p.Records) > 0) {
				b.t.Errorf("%d bytes of records for %s", len(p.Records), text)
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

func codeText(code int16) string {
	if err := kerr.ErrorForCode(code); err != nil {
		return err.(*kerr.Error).Message
	}
	return "ok"
}

// acknowledged shows the response to a ShareAcknowledge of partition 0.
func (b *groupBroker) acknowledged(topic [16]byte, member string, epoch int32, first, last int64, types ...int8) string {
	b.t.Helper()
	in := kmsg.NewPtrShareAcknowledgeRequest()
	id := "g"
	in.GroupID, in.MemberID, in.ShareSessionEpoch, in.IsRenewAck = &id, &member, epoch, slices.Contains(types, share.AckRenew)
	t := kmsg.NewShareAcknowledgeRequestTopic()
	t.TopicID = topic
	p := kmsg.NewShareAcknowledgeRequestTopicPartition()
	batch := kmsg.NewShareAcknowledgeRequestTopicPartitionAcknowledgementBatch()
	batch.FirstOffset, batch.LastOffset, batch.AcknowledgeTypes = first, last, types
	p.AcknowledgementBatches = append(p.AcknowledgementBatches, batch)
	t.Partitions = append(t.Partitions, p)
	in.Topics = append(in.Topics, t)
	r := askGroupAPI[*kmsg.ShareAcknowledgeResponse](b, 2, in)
	if r.ErrorCode != 0 {
		return codeText(r.ErrorCode)
	}
	return codeText(r.Topics[0].Partitions[0].ErrorCode)
}

func (b *groupBroker) same(what, got, want string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func TestShareFetch(t *testing.T) {
	b := newGroupBroker(t)
	id := b.prepareShared().ID
	b.produceShared(0, 10)
	b.produceShared(0, 10)
	b.produceShared(1, 5)
	first := sharing(id, "a", 0, 0, 1)
	first.MaxRecords = 5
	b.same("a session begins", b.shared(first), "0 0-9*1, 1")
	second := sharing(id, "a", 1)
	second.MaxRecords = 20
	if got := b.shared(second); got != "0 10-19*1, 1 0-4*1" && got != "1 0-4*1, 0 10-19*1" {
		t.Errorf("the session goes on: %s", got)
	}
	b.same("nothing is left", b.shared(sharing(id, "a", 2)), "")
	b.same("acknowledge with a fetch", b.shared(saying(sharing(id, "a", 3, 0), 0, 4, share.AckAccept)), "0")
	b.same("again", b.shared(saying(sharing(id, "a", 4, 0), 0, 6, share.AckAccept)), "0")
	b.same("what is not acquired", b.shared(saying(sharing(id, "a", 5, 0), 18, 25, share.AckAccept)), "0 ack INVALID_REQUEST")
	b.same("give back, and get again", b.shared(saying(sharing(id, "a", 6, 0), 7, 9, share.AckRelease)), "0 7-9*2")
	b.same("acknowledge without", b.acknowledged(id, "a", 7, 7, 8, share.AckAccept, share.AckReject), "ok")
	b.same("another member", b.shared(sharing(id, "b", 0, 0)), "0")
	b.same("not the other's", b.acknowledged(id, "b", 1, 9, 9, share.AckAccept), "INVALID_RECORD_STATE")

	exactly := sharing(id, "b", 2, 0)
	exactly.MaxRecords, exactly.ShareAcquireMode = 3, 1
	b.produceShared(0, 10)
	b.same("exactly", b.shared(exactly), "0 20-22*1")
	b.same("a session ends", b.shared(sharing(id, "b", -1)), "")
	b.same("what it had is the other's", b.shared(sharing(id, "a", 8)), "0 20-29*1")
	forget := sharing(id, "a", 9)
	forget.ForgottenTopicsData = []kmsg.ShareFetchRequestForgottenTopicsData{{TopicID: id, Partitions: []int32{1}}}
	b.same("forget a partition", b.shared(forget), "")
	b.produceShared(1, 1)
	b.same("it is not fetched", b.shared(sharing(id, "a", 10)), "")
	b.same("a partition that is not there", b.shared(sharing(id, "a", 11, 7)), "7 UNKNOWN_TOPIC_OR_PARTITION")
	b.same("the last words", b.shared(saying(sharing(id, "a", -1, 0), 10, 19, share.AckAccept)), "0")
	// What it has of a partition that it forgot is its own until the lock is over.
	b.same("what it had in its session is available", b.shared(sharing(id, "c", 0, 0, 1)), "0 9-9*2 20-22*1 23-29*1, 1 5-5*1")
	b.same("an unknown topic", b.shared(sharing([16]byte{9}, "d", 0, 0)), "0 UNKNOWN_TOPIC_ID")
}

// TestShareErrorsHaveKafkasWords: which errors have a message, and that the
// leader is told to nobody who need not look for it.
func TestShareErrorsHaveKafkasWords(t *testing.T) {
	b := newGroupBroker(t)
	id := b.prepareShared().ID
	b.produceShared(0, 10)
	if r := askGroupAPI[*kmsg.ShareFetchResponse](b, 2, sharing(id, "a", 4, 0)); r.ErrorCode != protocol.ErrShareSessionNotFound.Code || r.ErrorMessage != nil {
		t.Errorf("no session: %+v", r)
	}
	fetched := askGroupAPI[*kmsg.ShareFetchResponse](b, 2, sharing(id, "a", 0, 0, 7))
	for _, p := range fetched.Topics[0].Partitions {
		if (p.ErrorCode != 0) != (p.Partition == 7) || p.ErrorMessage != nil || p.CurrentLeader.LeaderID != 0 || p.CurrentLeader.LeaderEpoch != 0 {
			t.Errorf("fetched %+v", p)
		}
	}
	acknowledge := func(epoch int32, topic [16]byte, index int32, first int64, kind int8) *kmsg.ShareAcknowledgeResponse {
		in := kmsg.NewPtrShareAcknowledgeRequest()
		group, member := "g", "a"
		in.GroupID, in.MemberID, in.ShareSessionEpoch = &group, &member, epoch
		in.Topics = []kmsg.ShareAcknowledgeRequestTopic{{TopicID: topic, Partitions: []kmsg.ShareAcknowledgeRequestTopicPartition{{
			Partition:              index,
			AcknowledgementBatches: []kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{{FirstOffset: first, LastOffset: first, AcknowledgeTypes: []int8{kind}}},
		}}}}
		return askGroupAPI[*kmsg.ShareAcknowledgeResponse](b, 2, in)
	}
	if r := acknowledge(9, id, 0, 0, share.AckAccept); r.ErrorCode != protocol.ErrInvalidShareSessionEpoch.Code || r.ErrorMessage != nil {
		t.Errorf("another epoch: %+v", r)
	}
	for n, test := range []struct {
		name  string
		topic [16]byte
		index int32
		first int64
		kind  int8
		want  *protocol.Error
		words bool
	}{
		{"a kind that is not there", id, 0, 0, 9, protocol.ErrInvalidRequest, false},
		{"a topic that is not there", [16]byte{9}, 0, 0, share.AckAccept, protocol.ErrUnknownTopicID, false},
		{"a partition that is not there", id, 7, 0, share.AckAccept, protocol.ErrUnknownTopicOrPartition, false},
		{"a partition that nobody has fetched from", id, 1, 0, share.AckAccept, protocol.ErrUnknownTopicOrPartition, true},
		{"a record that is not acquired", id, 0, 50, share.AckAccept, protocol.ErrInvalidRequest, true},
	} {
		r := acknowledge(int32(n+1), test.topic, test.index, test.first, test.kind)
		p := r.Topics[0].Partitions[0]
		if r.ErrorCode != 0 || p.ErrorCode != test.want.Code || (p.ErrorMessage != nil) != test.words || p.CurrentLeader.LeaderID != 0 || p.CurrentLeader.LeaderEpoch != 0 {
			t.Errorf("%s: %+v", test.name, r)
		}
	}
}

func TestShareSessions(t *testing.T) {
	b := newGroupBroker(t, func(n *config.Node) { n.GroupShareMaxSessions = 2 })
	id := b.prepareShared().ID
	long, empty := strings.Repeat("x", 37), ""
	with := func(change func(*kmsg.ShareFetchRequest)) *kmsg.ShareFetchRequest {
		in := sharing(id, "a", 0, 0)
		change(in)
		return in
	}
	for _, c := range []struct {
		name string
		in   *kmsg.ShareFetchRequest
		want string
	}{
		{"no group", with(func(in *kmsg.ShareFetchRequest) { in.GroupID = nil }), "INVALID_REQUEST"},
		{"an empty group", with(func(in *kmsg.ShareFetchRequest) { in.GroupID = &empty }), "INVALID_REQUEST"},
		{"no member", with(func(in *kmsg.ShareFetchRequest) { in.MemberID = nil }), "INVALID_REQUEST"},
		{"a long member id", with(func(in *kmsg.ShareFetchRequest) { in.MemberID = &long }), "INVALID_REQUEST"},
		{"an acquire mode that is none", with(func(in *kmsg.ShareFetchRequest) { in.ShareAcquireMode = 2 }), "INVALID_REQUEST"},
		{"records before the session", saying(sharing(id, "a", 0, 0), 0, 0, share.AckAccept), "INVALID_REQUEST"},
		{"no session", sharing(id, "a", 1), "SHARE_SESSION_NOT_FOUND"},
		{"no session to end", sharing(id, "a", -1), "SHARE_SESSION_NOT_FOUND"},
		{"the first", sharing(id, "a", 0, 0), "0"},
		{"an old epoch", sharing(id, "a", 3), "INVALID_SHARE_SESSION_EPOCH"},
		{"the right one", sharing(id, "a", 1), ""},
		{"the same again", sharing(id, "a", 1), "INVALID_SHARE_SESSION_EPOCH"},
		{"a second session", sharing(id, "b", 0, 0), "0"},
		{"one too many", sharing(id, "c", 0, 0), "SHARE_SESSION_LIMIT_REACHED"},
		{"the first begins anew", sharing(id, "a", 0, 0), "0"},
		{"the second ends", sharing(id, "b", -1), ""},
		{"now there is room", sharing(id, "c", 0, 0), "0"},
		{"time for nothing", with(func(in *kmsg.ShareFetchRequest) {
			in.ShareSessionEpoch, in.IsRenewAck = 1, true
		}), "INVALID_REQUEST"},
		{"time, and records", saying(with(func(in *kmsg.ShareFetchRequest) {
			in.ShareSessionEpoch, in.IsRenewAck = 1, true
		}), 0, 0, share.AckRenew), "INVALID_REQUEST"},
	} {
		b.same(c.name, b.shared(c.in), c.want)
	}
	b.same("acknowledge without a session", b.acknowledged(id, "x", 1, 0, 0, share.AckAccept), "SHARE_SESSION_NOT_FOUND")
	b.same("acknowledge to begin one", b.acknowledged(id, "a", 0, 0, 0, share.AckAccept), "INVALID_SHARE_SESSION_EPOCH")

	b.produceShared(0, 3)
	b.same("fetch", b.shared(sharing(id, "a", 1)), "0 0-2*1")
	renew := saying(sharing(id, "a", 2, 0), 0, 1, share.AckRenew)
	renew.IsRenewAck, renew.MinBytes, renew.MaxBytes, renew.MaxRecords = true, 0, 0, 0
	b.same("more time", b.shared(renew), "0")
	b.same("more time by an acknowledgement", b.acknowledged(id, "a", 3, 2, 2, share.AckRenew), "ok")
	b.same("another one", b.shared(sharing(id, "c", 1)), "")
	b.ConnectionClosed(0)
	b.same("a connection ends, and its sessions", b.shared(sharing(id, "a", 4)), "SHARE_SESSION_NOT_FOUND")
	b.same("what they had is available", b.shared(sharing(id, "d", 0, 0)), "0 0-2*1")
}

// TestShareVersion: while share.version is 0 requests of share groups are
// refused, and those to the share coordinator are not; the sessions of before end.
func TestShareVersion(t *testing.T) {
	b := newGroupBroker(t)
	id := b.prepareShared().ID
	level := func(to int16, how cluster.UpgradeType) {
		t.Helper()
		if err := b.Metadata.UpdateFeatures([]cluster.FeatureUpdate{{Name: cluster.ShareVersion, Level: to, Type: how}}, false); err != nil {
			t.Fatal(err)
		}
	}
	b.same("a session begins", b.shared(sharing(id, "a", 0, 0)), "0")
	level(0, cluster.SafeDowngrade)
	b.EndShareSessions() // as node does
	b.Shares.DropAll()
	b.same("fetch", b.shared(sharing(id, "a", 1)), "UNSUPPORTED_VERSION")
	b.same("acknowledge", b.acknowledged(id, "a", 1, 0, 0, share.AckAccept), "UNSUPPORTED_VERSION")
	beat := kmsg.NewPtrShareGroupHeartbeatRequest()
	beat.GroupID, beat.MemberID, beat.SubscribedTopicNames = "g", "m", []string{"t"}
	b.expect("heartbeat", askGroupAPI[*kmsg.ShareGroupHeartbeatResponse](b, 1, beat).ErrorCode, kerr.UnsupportedVersion)
	described := askGroupAPI[*kmsg.ShareGroupDescribeResponse](b, 1, &kmsg.ShareGroupDescribeRequest{GroupIDs: []string{"g"}}).Groups
	b.expect("describe", described[0].ErrorCode, kerr.UnsupportedVersion)
	offsets := &kmsg.DescribeShareGroupOffsetsRequest{Groups: []kmsg.DescribeShareGroupOffsetsRequestGroup{{GroupID: "g"}}}
	b.expect("describe offsets", askGroupAPI[*kmsg.DescribeShareGroupOffsetsResponse](b, 1, offsets).Groups[0].ErrorCode, kerr.UnsupportedVersion)
	b.expect("alter offsets", askGroupAPI[*kmsg.AlterShareGroupOffsetsResponse](b, 0, &kmsg.AlterShareGroupOffsetsRequest{GroupID: "g"}).ErrorCode, kerr.UnsupportedVersion)
	b.expect("delete offsets", askGroupAPI[*kmsg.DeleteShareGroupOffsetsResponse](b, 0, &kmsg.DeleteShareGroupOffsetsRequest{GroupID: "g"}).ErrorCode, kerr.UnsupportedVersion)
	sum := &kmsg.ReadShareGroupStateSummaryRequest{GroupID: "g", Topics: []kmsg.ReadShareGroupStateSummaryRequestTopic{{TopicID: id, Partitions: []kmsg.ReadShareGroupStateSummaryRequestTopicPartition{{Partition: 0}}}}}
	b.expect("the summary of a state", askGroupAPI[*kmsg.ReadShareGroupStateSummaryResponse](b, 1, sum).Topics[0].Partitions[0].ErrorCode, nil)
	level(1, cluster.Upgrade)
	b.same("the session is gone", b.shared(sharing(id, "a", 1)), "SHARE_SESSION_NOT_FOUND")
	b.produceShared(0, 3)
	b.same("another begins", b.shared(sharing(id, "a", 0, 0)), "0 0-2*1")
}

// TestShareFetchWaits: a fetch is answered when a record comes, and when its
// time is over.
func TestShareFetchWaits(t *testing.T) {
	b := newGroupBroker(t)
	id := b.prepareShared().ID
	b.same("a session begins", b.shared(sharing(id, "a", 0, 0)), "0")
	in := sharing(id, "a", 1)
	in.MaxWaitMillis = 15_000
	answer := make(chan string, 1)
	go func() { answer <- b.shared(in) }()
	deadline := time.After(20 * time.Second)
	for i := 0; ; i++ {
		b.produceShared(0, 1) // at first perhaps before anybody waits
		select {
		case got := <-answer:
			if !strings.HasPrefix(got, "0 0-") {
				t.Errorf("answered %s", got)
			}
		case <-time.After(10 * time.Millisecond):
			continue
		case <-deadline:
			t.Fatal("nobody answers")
		}
		break
	}
	b.same("what came since", codeText(askGroupAPI[*kmsg.ShareFetchResponse](b, 2, sharing(id, "a", 2)).ErrorCode), "ok")
	in = sharing(id, "a", 3)
	in.MaxWaitMillis, in.MinBytes = 50, 1<<20
	begin := time.Now()
	b.produceShared(0, 1)
	if got := b.shared(in); !strings.HasPrefix(got, "0 ") || time.Since(begin) < 50*time.Millisecond {
		t.Errorf("answered %s after %v", got, time.Since(begin))
	}
}

func TestShareGroupHeartbeatAndDescribe(t *testing.T) {
	b := newGroupBroker(t, func(n *config.Node) {
		groups := *n.Groups
		groups.Share.AssignmentInterval = 0
		n.Groups = &groups
	})
	topic := b.prepare()
	beat := func(epoch int32, names ...string) *kmsg.ShareGroupHeartbeatResponse {
		in := kmsg.NewPtrShareGroupHeartbeatRequest()
		in.GroupID, in.MemberID, in.MemberEpoch, in.SubscribedTopicNames = "sharing", "m", epoch, names
		return askGroupAPI[*kmsg.ShareGroupHeartbeatResponse](b, 1, in)
	}
	r := beat(0, "t")
	b.expect("join", r.ErrorCode, nil)
	for deadline := time.Now().Add(20 * time.Second); r.Assignment == nil || len(r.Assignment.TopicPartitions) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no partition is assigned")
		}
		r = beat(r.MemberEpoch)
	}
	if a := r.Assignment.TopicPartitions; len(a) != 1 || a[0].TopicID != topic.ID || !slices.Equal(a[0].Partitions, []int32{0, 1}) {
		t.Errorf("assigned %+v", a)
	}
	d := askGroupAPI[*kmsg.ShareGroupDescribeResponse](b, 1, &kmsg.ShareGroupDescribeRequest{GroupIDs: []string{"sharing", "nowhere"}, IncludeAuthorizedOperations: true})
	if g := d.Groups[0]; g.ErrorCode != 0 || g.GroupState != "Stable" || g.Assignor != "simple" || len(g.Members) != 1 || g.Members[0].ClientID != "client" || g.AuthorizedOperations != groupOperations {
		t.Errorf("described as %+v", g)
	}
	b.expect("no group", d.Groups[1].ErrorCode, kerr.GroupIDNotFound)
	list := kmsg.NewPtrListGroupsRequest()
	list.TypesFilter = []string{"share"}
	if l := askGroupAPI[*kmsg.ListGroupsResponse](b, 5, list); len(l.Groups) != 1 || l.Groups[0].GroupType != "share" || l.Groups[0].ProtocolType != "share" {
		t.Errorf("listed %+v", l.Groups)
	}

	deleted := func() int16 {
		return askGroupAPI[*kmsg.DeleteGroupsResponse](b, 2, &kmsg.DeleteGroupsRequest{Groups: []string{"sharing"}}).Groups[0].ErrorCode
	}
	b.expect("delete", deleted(), kerr.NonEmptyGroup)
	b.expect("leave", beat(-1).ErrorCode, nil)
	b.expect("delete", deleted(), nil)
	s := b.ShareState.Read(context.Background(), share.Key{Group: "sharing", Topic: topic.ID}, -1).Wait(context.Background())
	if protocol.CodeOf(s.Err) != protocol.ErrInvalidRequest.Code {
		t.Errorf("the group is gone, and its state is %+v", s)
	}
}

func TestShareGroupOffsets(t *testing.T) {
	b := newGroupBroker(t)
	id := b.prepare().ID
	b.produceShared(0, 10)
	alter := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	alter.GroupID = "g"
	alter.Topics = []kmsg.AlterShareGroupOffsetsRequestTopic{
		{Topic: "t", Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{Partition: 0, StartOffset: 4}, {Partition: 9, StartOffset: 0}}},
	}
	altered := askGroupAPI[*kmsg.AlterShareGroupOffsetsResponse](b, 0, alter)
	b.expect("alter", altered.ErrorCode, nil)
	b.expect("a partition", altered.Topics[0].Partitions[0].ErrorCode, nil)
	b.expect("one that is not there", altered.Topics[0].Partitions[1].ErrorCode, kerr.UnknownTopicOrPartition)
	if altered.Topics[0].TopicID != id {
		t.Errorf("altered %+v", altered.Topics)
	}

	described := func(version int16, topics []kmsg.DescribeShareGroupOffsetsRequestGroupTopic) string {
		in := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
		in.Groups = []kmsg.DescribeShareGroupOffsetsRequestGroup{{GroupID: "g", Topics: topics}}
		g := askGroupAPI[*kmsg.DescribeShareGroupOffsetsResponse](b, version, in).Groups[0]
		out := []string{codeText(g.ErrorCode)}
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				out = append(out, fmt.Sprintf("%s-%d %s from %d lag %d", topic.Topic, p.Partition, codeText(p.ErrorCode), p.StartOffset, p.Lag))
			}
		}
		return strings.Join(out, ", ")
	}
	b.same("all", described(1, nil), "ok, t-0 ok from 4 lag 6")
	b.same("before lags were told", described(0, nil), "ok, t-0 ok from 4 lag -1")
	b.same("some", described(1, []kmsg.DescribeShareGroupOffsetsRequestGroupTopic{{Topic: "t", Partitions: []int32{0, 1, 7}}, {Topic: "x", Partitions: []int32{0}}}),
		"ok, t-0 ok from 4 lag 6, t-1 ok from -1 lag -1, t-7 ok from -1 lag -1, x-0 ok from -1 lag -1")
	b.same("fetched from there", b.shared(sharing(id, "a", 0, 0)), "0 4-9*1")
	b.same("acknowledge", b.acknowledged(id, "a", 1, 6, 9, share.AckAccept), "ok")
	b.same("what is finished is no lag", described(1, nil), "ok, t-0 ok from 4 lag 2")

	nameless := []*string{
		askGroupAPI[*kmsg.AlterShareGroupOffsetsResponse](b, 0, kmsg.NewPtrAlterShareGroupOffsetsRequest()).ErrorMessage,
		askGroupAPI[*kmsg.DeleteShareGroupOffsetsResponse](b, 0, kmsg.NewPtrDeleteShareGroupOffsetsRequest()).ErrorMessage,
	}
	if nameless[0] == nil || nameless[1] == nil {
		t.Errorf("a group without a name is refused without a word: %v", nameless)
	}
	remove := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
	remove.GroupID = "g"
	remove.Topics = []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: "x"}, {Topic: "t"}}
	removed := askGroupAPI[*kmsg.DeleteShareGroupOffsetsResponse](b, 0, remove)
	b.expect("delete", removed.ErrorCode, nil)
	if len(removed.Topics) != 2 || removed.Topics[0].Topic != "t" || removed.Topics[0].TopicID != id || removed.Topics[0].ErrorCode != 0 {
		t.Errorf("deleted %+v", removed.Topics)
	}
	b.expect("a topic that is not there", removed.Topics[1].ErrorCode, kerr.UnknownTopicOrPartition)
	b.same("nothing is left", described(1, nil), "ok")
	b.same("of no group", described(1, []kmsg.DescribeShareGroupOffsetsRequestGroupTopic{}), "ok")
}

func TestShareCoordinatorAPIs(t *testing.T) {
	b := newGroupBroker(t)
	id := b.prepare().ID
	find := kmsg.NewPtrFindCoordinatorRequest()
	key := share.Key{Group: "g", Topic: id, Partition: 1}
	find.CoordinatorType, find.CoordinatorKeys = 2, []string{key.String(), "g"}
	found := askGroupAPI[*kmsg.FindCoordinatorResponse](b, 6, find).Coordinators
	b.expect("find the coordinator", found[0].ErrorCode, nil)
	b.expect("of what is no key", found[1].ErrorCode, kerr.InvalidRequest)
	if found[0].NodeID != b.Config.NodeID || found[0].Key != key.String() {
		t.Errorf("found %+v", found[0])
	}
	b.expect("before version 6", askGroupAPI[*kmsg.FindCoordinatorResponse](b, 5, find).Coordinators[0].ErrorCode, kerr.InvalidRequest)
	if topic := b.Metadata.Image().Topics[share.StateTopic]; topic == nil || !topic.Internal || topic.Overrides["cleanup.policy"] != "delete" || topic.Overrides["retention.ms"] != "-1" {
		t.Errorf("__share_group_state is %+v", topic)
	}

	begin := kmsg.NewPtrInitializeShareGroupStateRequest()
	begin.GroupID = "g"
	begin.Topics = []kmsg.InitializeShareGroupStateRequestTopic{{TopicID: id, Partitions: []kmsg.InitializeShareGroupStateRequestTopicPartition{
		{Partition: 1, StateEpoch: 3, StartOffset: 7}, {Partition: 8, StateEpoch: 3},
	}}}
	made := askGroupAPI[*kmsg.InitializeShareGroupStateResponse](b, 0, begin).Topics[0].Partitions
	b.expect("initialize", made[0].ErrorCode, nil)
	b.expect("what is not there", made[1].ErrorCode, kerr.UnknownTopicOrPartition)

	for version := int16(0); version <= 1; version++ {
		write := kmsg.NewPtrWriteShareGroupStateRequest()
		write.GroupID = "g"
		write.Topics = []kmsg.WriteShareGroupStateRequestTopic{{TopicID: id, Partitions: []kmsg.WriteShareGroupStateRequestTopicPartition{{
			Partition: 1, StateEpoch: 3, LeaderEpoch: 0, StartOffset: 8 + int64(version), DeliveryCompleteCount: 2,
			StateBatches: []kmsg.WriteShareGroupStateRequestTopicPartitionStateBatch{{FirstOffset: 10, LastOffset: 11, DeliveryState: 2, DeliveryCount: 1}},
		}}}}
		wrote := askGroupAPI[*kmsg.WriteShareGroupStateResponse](b, version, write).Topics[0].Partitions[0]
		b.expect("write", wrote.ErrorCode, nil)
		sum := kmsg.NewPtrReadShareGroupStateSummaryRequest()
		sum.GroupID = "g"
		sum.Topics = []kmsg.ReadShareGroupStateSummaryRequestTopic{{TopicID: id, Partitions: []kmsg.ReadShareGroupStateSummaryRequestTopicPartition{{Partition: 1}}}}
		s := askGroupAPI[*kmsg.ReadShareGroupStateSummaryResponse](b, 1, sum).Topics[0].Partitions[0]
		if want := []int32{-1, 2}[version]; s.ErrorCode != 0 || s.StateEpoch != 3 || s.StartOffset != 8+int64(version) || s.DeliveryCompleteCount != want {
			t.Errorf("after a write of version %d: %+v", version, s)
		}
		b.expect("summary", askGroupAPI[*kmsg.ReadShareGroupStateSummaryResponse](b, 0, sum).Topics[0].Partitions[0].ErrorCode, nil)
	}
	read := kmsg.NewPtrReadShareGroupStateRequest()
	read.GroupID = "g"
	read.Topics = []kmsg.ReadShareGroupStateRequestTopic{{TopicID: id, Partitions: []kmsg.ReadShareGroupStateRequestTopicPartition{{Partition: 1, LeaderEpoch: 5}}}}
	state := askGroupAPI[*kmsg.ReadShareGroupStateResponse](b, 0, read).Topics[0].Partitions[0]
	if state.ErrorCode != 0 || state.StateEpoch != 3 || state.StartOffset != 9 || len(state.StateBatches) != 1 || state.StateBatches[0].DeliveryState != 2 {
		t.Errorf("read %+v", state)
	}
	read.Topics[0].Partitions[0].LeaderEpoch = 4
	b.expect("an older leader", askGroupAPI[*kmsg.ReadShareGroupStateResponse](b, 0, read).Topics[0].Partitions[0].ErrorCode, kerr.FencedLeaderEpoch)

	remove := kmsg.NewPtrDeleteShareGroupStateRequest()
	remove.GroupID = "g"
	remove.Topics = []kmsg.DeleteShareGroupStateRequestTopic{{TopicID: id, Partitions: []kmsg.DeleteShareGroupStateRequestTopicPartition{{Partition: 1}}}}
	b.expect("delete", askGroupAPI[*kmsg.DeleteShareGroupStateResponse](b, 0, remove).Topics[0].Partitions[0].ErrorCode, nil)
	b.expect("read what is gone", askGroupAPI[*kmsg.ReadShareGroupStateResponse](b, 0, read).Topics[0].Partitions[0].ErrorCode, kerr.InvalidRequest)
	read.GroupID = ""
	if r := askGroupAPI[*kmsg.ReadShareGroupStateResponse](b, 0, read); len(r.Topics) != 0 {
		t.Errorf("no group, and an answer: %+v", r.Topics)
	}
}
