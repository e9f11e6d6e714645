package handler

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/commitlog"
	"fluxmq/broker/config"
	"fluxmq/broker/group"
	"fluxmq/broker/metrics"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupBroker is a Handler over a real log directory, with everything that the
// group APIs touch and nothing else.
type groupBroker struct {
	t *testing.T
	*Handler
}

func newGroupBroker(t *testing.T, change ...func(*config.Node)) *groupBroker {
	t.Helper()
	n := *config.Default()
	n.GroupInitialRebalanceDelay = 0
	n.OffsetsTopicPartitions, n.ShareTopicPartitions = 3, 3
	n.AdvertisedListeners = []config.Listener{{Name: "PLAINTEXT", Host: "broker.test", Port: 19092}}
	for _, c := range change {
		c(&n)
	}
	dir := t.TempDir()
	set, err := partition.OpenSet(partition.SetConfig{Dir: dir, Durability: partition.FlushAcks})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	metadata, err := cluster.Open(commitlog.OS{}, dir, cluster.Options{Settings: &n, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	metadata.OnImage = func(before, after *cluster.Image) error {
		for name, topic := range after.Topics {
			for i := range topic.Partitions {
				cfg := partition.Config{SegmentBytes: 1 << 20, SegmentIndexBytes: 1 << 16, IndexIntervalBytes: 4096, MaxMessageBytes: 1 << 20, Retention: -1, RetentionBytes: -1}
				if _, err := set.Create(name, topic.ID, i, cfg); err != nil {
					return err
				}
			}
		}
		return nil
	}
	states := newShareStates(&n, metadata, set)
	groups := group.New(group.Config{
		Node: &n, Logger: quiet, ShareState: states,
		Topics: func() group.Topics { return groupTopics{metadata.Image()} },
		Partitions: func() int32 {
			if topic := metadata.Image().Topics[group.OffsetsTopic]; topic != nil {
				return topic.Partitions
			}
			return 0
		},
		Log: func(i int32) group.Log {
			if p := set.Find([]byte(group.OffsetsTopic), i); p != nil {
				return group.PartitionLog(p)
			}
			return nil
		},
	})
	t.Cleanup(func() {
		groups.Close()
		states.close()
		if err := metadata.Close(); err != nil {
			t.Error(err)
		}
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &groupBroker{t, &Handler{
		Config: &n, Metadata: metadata, Partitions: set, Groups: groups, Shares: states.set, ShareState: states.Coordinator, Metrics: new(metrics.Registry),
	}}
	b.Prepare()
	return b
}

// groupTopics shows the topics of an image to the coordinator.
type groupTopics struct{ *cluster.Image }

func (g groupTopics) found(t *cluster.Topic) (group.Topic, bool) {
	if t == nil {
		return group.Topic{}, false
	}
	return group.Topic{Name: t.Name, ID: t.ID, Partitions: t.Partitions}, true
}

func (g groupTopics) Named(name string) (group.Topic, bool)  { return g.found(g.Topics[name]) }
func (g groupTopics) WithID(id [16]byte) (group.Topic, bool) { return g.found(g.ByID[id]) }
func (g groupTopics) Version() int64                         { return g.TopicsVersion }
func (g groupTopics) Each(visit func(group.Topic)) {
	for _, t := range g.Topics {
		topic, _ := g.found(t)
		visit(topic)
	}
}

// askGroupAPI sends a request through its wire form, in one version, and reads the
// response back from its wire form.
func askGroupAPI[R kmsg.Response](b *groupBroker, version int16, in kmsg.Request) R {
	b.t.Helper()
	in.SetVersion(version)
	decoded, err := protocol.DecodeRequest(in.Key(), version, in.AppendTo(nil))
	if err != nil {
		b.t.Fatalf("%T version %d: %v", in, version, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r := &Request{Header: protocol.Header{Key: in.Key(), Version: version, ClientID: []byte("client")}, Peer: "/127.0.0.1"}
	answer := controls[in.Key()](b.Handler, ctx, r, decoded)
	response := answer.Response
	if answer.Wait != nil {
		response = answer.Wait(ctx)
	}
	if answer.Err != nil || response == nil {
		b.t.Fatalf("%T version %d: %v", in, version, answer.Err)
	}
	response.SetVersion(version)
	out := in.ResponseKind()
	if err := out.ReadFrom(response.AppendTo(nil)); err != nil {
		b.t.Fatalf("%T version %d does not read back: %v", response, version, err)
	}
	return out.(R)
}

func (b *groupBroker) expect(what string, code int16, want error) {
	b.t.Helper()
	if got := kerr.ErrorForCode(code); got != want {
		b.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// everyGroupVersion runs a test for every version of an API that is advertised.
func everyGroupVersion(key int16, run func(version int16)) {
	for _, a := range protocol.APIs() {
		if a.Key == key {
			for v := a.MinVersion; v <= a.MaxVersion; v++ {
				run(v)
			}
		}
	}
}

// prepare makes a topic of two partitions and __consumer_offsets.
func (b *groupBroker) prepare() *cluster.Topic {
	b.t.Helper()
	topic, err := b.Metadata.EnsureTopic(cluster.NewTopic{Name: "t", Partitions: 2, Replicas: -1})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.ensureOffsetsTopic(); err != nil {
		b.t.Fatal(err)
	}
	return topic
}

func TestFindCoordinatorInEveryVersion(t *testing.T) {
	b := newGroupBroker(t)
	everyGroupVersion(10, func(v int16) {
		in := kmsg.NewPtrFindCoordinatorRequest()
		in.CoordinatorKey, in.CoordinatorKeys = "g", []string{"g", "h"}
		out := askGroupAPI[*kmsg.FindCoordinatorResponse](b, v, in)
		found := out.Coordinators
		if v < 4 {
			found = []kmsg.FindCoordinatorResponseCoordinator{{Key: "g", ErrorCode: out.ErrorCode, NodeID: out.NodeID, Host: out.Host, Port: out.Port}}
		}
		for i, c := range found {
			b.expect(fmt.Sprint("version ", v), c.ErrorCode, nil)
			if c.Key != in.CoordinatorKeys[i] || c.Host != "broker.test" || c.Port != 19092 || c.NodeID != b.Config.NodeID {
				t.Errorf("version %d found %+v", v, c)
			}
		}
		if want := map[bool]int{true: 2, false: 1}[v >= 4]; len(found) != want {
			t.Errorf("version %d found %d coordinators", v, len(found))
		}
	})
	topic := b.Metadata.Image().Topics[group.OffsetsTopic]
	if topic == nil || !topic.Internal || topic.Partitions != 3 || topic.Overrides["cleanup.policy"] != "compact" {
		t.Errorf("__consumer_offsets is %+v", topic)
	}
	for keyType, want := range map[int8]error{1: kerr.UnsupportedVersion, 2: kerr.InvalidRequest, 9: kerr.InvalidRequest, -1: kerr.InvalidRequest} {
		in := kmsg.NewPtrFindCoordinatorRequest()
		in.CoordinatorKeys, in.CoordinatorType = []string{"x"}, keyType
		out := askGroupAPI[*kmsg.FindCoordinatorResponse](b, 6, in)
		b.expect(fmt.Sprint("key type ", keyType), out.Coordinators[0].ErrorCode, want)
		// Of a key of share groups that is none, Kafka says nothing.
		if m := out.Coordinators[0].ErrorMessage; m == nil || (*m == "") != (keyType == coordinatorShare) {
			t.Errorf("key type %d is refused with %v", keyType, m)
		}
	}
}

func TestFindCoordinatorWithGroupsOff(t *testing.T) {
	b := newGroupBroker(t, func(n *config.Node) { n.GroupsEnabled = false })
	out := askGroupAPI[*kmsg.FindCoordinatorResponse](b, 6, &kmsg.FindCoordinatorRequest{CoordinatorKeys: []string{"g"}})
	b.expect("groups off", out.Coordinators[0].ErrorCode, kerr.CoordinatorNotAvailable)
	if b.Metadata.Image().Topics[group.OffsetsTopic] != nil {
		t.Error("__consumer_offsets was made for nothing")
	}
}

// member joins and syncs alone in a fresh group, in the given versions.
func (b *groupBroker) member(id string, joinVersion, syncVersion int16) (member string, generation int32) {
	b.t.Helper()
	join := func(member string) *kmsg.JoinGroupResponse {
		in := kmsg.NewPtrJoinGroupRequest()
		in.Group, in.MemberID, in.ProtocolType, in.SessionTimeoutMillis, in.RebalanceTimeoutMillis = id, member, "connect", 10_000, 10_000
		in.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "sessioned", Metadata: []byte{0, 255, 1}}}
		return askGroupAPI[*kmsg.JoinGroupResponse](b, joinVersion, in)
	}
	joined := join("")
	if joinVersion >= 4 {
		b.expect("first round", joined.ErrorCode, kerr.MemberIDRequired)
		joined = join(joined.MemberID)
	}
	b.expect(fmt.Sprint("join version ", joinVersion), joined.ErrorCode, nil)
	if joined.LeaderID != joined.MemberID || joined.Protocol == nil || *joined.Protocol != "sessioned" ||
		len(joined.Members) != 1 || string(joined.Members[0].ProtocolMetadata) != "\x00\xff\x01" {
		b.t.Errorf("join version %d: %+v", joinVersion, joined)
	}
	in := kmsg.NewPtrSyncGroupRequest()
	in.Group, in.MemberID, in.Generation = id, joined.MemberID, joined.Generation
	in.ProtocolType, in.Protocol = kmsg.StringPtr("connect"), kmsg.StringPtr("sessioned")
	in.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: joined.MemberID, MemberAssignment: []byte{7, 0, 8}}}
	synced := askGroupAPI[*kmsg.SyncGroupResponse](b, syncVersion, in)
	b.expect(fmt.Sprint("sync version ", syncVersion), synced.ErrorCode, nil)
	if string(synced.MemberAssignment) != "\x07\x00\x08" || syncVersion >= 5 && (synced.Protocol == nil || *synced.Protocol != "sessioned") {
		b.t.Errorf("sync version %d: %+v", syncVersion, synced)
	}
	return joined.MemberID, joined.Generation
}

func TestMembershipInEveryVersion(t *testing.T) {
	b := newGroupBroker(t)
	b.prepare()
	everyGroupVersion(11, func(v int16) { b.member(fmt.Sprint("join-", v), v, 5) })
	everyGroupVersion(14, func(v int16) { b.member(fmt.Sprint("sync-", v), 9, v) })
	everyGroupVersion(12, func(v int16) {
		id := fmt.Sprint("heartbeat-", v)
		member, generation := b.member(id, 9, 5)
		in := kmsg.NewPtrHeartbeatRequest()
		in.Group, in.MemberID, in.Generation = id, member, generation
		b.expect(id, askGroupAPI[*kmsg.HeartbeatResponse](b, v, in).ErrorCode, nil)
		in.Generation++
		b.expect(id, askGroupAPI[*kmsg.HeartbeatResponse](b, v, in).ErrorCode, kerr.IllegalGeneration)
	})
	everyGroupVersion(13, func(v int16) {
		id := fmt.Sprint("leave-", v)
		member, _ := b.member(id, 9, 5)
		for _, want := range []error{nil, kerr.UnknownMemberID} {
			in := kmsg.NewPtrLeaveGroupRequest()
			in.Group, in.MemberID, in.Members = id, member, []kmsg.LeaveGroupRequestMember{{MemberID: member}}
			out := askGroupAPI[*kmsg.LeaveGroupResponse](b, v, in)
			code := out.ErrorCode
			if v >= 3 {
				b.expect(id, code, nil)
				code = out.Members[0].ErrorCode
			}
			b.expect(id, code, want)
		}
	})
	everyGroupVersion(15, func(v int16) {
		out := askGroupAPI[*kmsg.DescribeGroupsResponse](b, v, &kmsg.DescribeGroupsRequest{Groups: []string{"join-9", "nowhere"}, IncludeAuthorizedOperations: true})
		there, nowhere := out.Groups[0], out.Groups[1]
		if there.ErrorCode != 0 || there.State != "Stable" || there.ProtocolType != "connect" || there.Protocol != "sessioned" ||
			len(there.Members) != 1 || there.Members[0].ClientID != "client" || string(there.Members[0].MemberAssignment) != "\x07\x00\x08" ||
			v >= 3 && there.AuthorizedOperations != groupOperations {
			t.Errorf("version %d: %+v", v, there)
		}
		want := error(nil)
		if v >= 6 {
			want = kerr.GroupIDNotFound
		}
		b.expect(fmt.Sprint("no group, version ", v), nowhere.ErrorCode, want)
		if nowhere.State != "Dead" || (v >= 6) != (nowhere.ErrorMessage != nil) {
			t.Errorf("version %d: %+v", v, nowhere)
		}
	})
	everyGroupVersion(16, func(v int16) {
		all := askGroupAPI[*kmsg.ListGroupsResponse](b, v, kmsg.NewPtrListGroupsRequest())
		if all.ErrorCode != 0 || len(all.Groups) < 20 {
			t.Errorf("version %d lists %d groups", v, len(all.Groups))
		}
		if v < 4 {
			return
		}
		in := kmsg.NewPtrListGroupsRequest()
		in.StatesFilter = []string{"Empty"}
		for _, g := range askGroupAPI[*kmsg.ListGroupsResponse](b, v, in).Groups {
			if g.GroupState != "Empty" || v >= 5 && g.GroupType != "classic" {
				t.Errorf("version %d lists %+v", v, g)
			}
		}
	})
	everyGroupVersion(42, func(v int16) {
		out := askGroupAPI[*kmsg.DeleteGroupsResponse](b, v, &kmsg.DeleteGroupsRequest{Groups: []string{fmt.Sprint("leave-", v), "join-9", "nowhere"}})
		for i, want := range []error{nil, kerr.NonEmptyGroup, kerr.GroupIDNotFound} {
			b.expect(out.Groups[i].Group, out.Groups[i].ErrorCode, want)
		}
	})
}

func TestOffsetsInEveryVersion(t *testing.T) {
	b := newGroupBroker(t)
	topic := b.prepare()
	unknown := [16]byte{9}
	everyGroupVersion(8, func(v int16) {
		in := kmsg.NewPtrOffsetCommitRequest()
		in.Group = fmt.Sprint("commit-", v)
		for _, name := range []string{"t", "nowhere"} {
			rt := kmsg.NewOffsetCommitRequestTopic()
			rt.Topic, rt.TopicID = name, topic.ID
			if name == "nowhere" {
				rt.TopicID = unknown
			}
			for p := range int32(3) { // t has two
				rp := kmsg.NewOffsetCommitRequestTopicPartition()
				rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p, 100+int64(p), 4, kmsg.StringPtr("m")
				rt.Partitions = append(rt.Partitions, rp)
			}
			in.Topics = append(in.Topics, rt)
		}
		out := askGroupAPI[*kmsg.OffsetCommitResponse](b, v, in)
		for i, want := range []error{nil, nil, kerr.UnknownTopicOrPartition} {
			b.expect(fmt.Sprintf("commit version %d partition %d", v, i), out.Topics[0].Partitions[i].ErrorCode, want)
		}
		want := kerr.UnknownTopicOrPartition
		if v >= 10 {
			want = kerr.UnknownTopicID
		}
		b.expect(fmt.Sprintf("commit version %d to no topic", v), out.Topics[1].Partitions[0].ErrorCode, want)
		if v < 10 && out.Topics[0].Topic != "t" || v >= 10 && out.Topics[0].TopicID != topic.ID {
			t.Errorf("commit version %d: %+v", v, out.Topics[0])
		}
	})

	type offset struct {
		name      string
		id        [16]byte
		partition int32
		offset    int64
		metadata  string
		code      int16
	}
	fetch := func(v int16, id string, all bool, partitions ...int32) (list []offset, code int16) {
		in := kmsg.NewPtrOffsetFetchRequest()
		in.Group = id
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = id
		if !all {
			in.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: partitions}}
			g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", TopicID: topic.ID, Partitions: partitions}}
			if v >= 10 {
				g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{TopicID: unknown, Partitions: []int32{0}})
			}
		}
		in.Groups = []kmsg.OffsetFetchRequestGroup{g}
		out := askGroupAPI[*kmsg.OffsetFetchResponse](b, v, in)
		if v < 8 {
			for _, ot := range out.Topics {
				for _, p := range ot.Partitions {
					list = append(list, offset{ot.Topic, topic.ID, p.Partition, p.Offset, *p.Metadata, p.ErrorCode})
				}
			}
			return list, out.ErrorCode
		}
		for _, ot := range out.Groups[0].Topics {
			for _, p := range ot.Partitions {
				list = append(list, offset{"t", ot.TopicID, p.Partition, p.Offset, *p.Metadata, p.ErrorCode})
				if v < 10 {
					list[len(list)-1].id = topic.ID
				}
			}
		}
		return list, out.Groups[0].ErrorCode
	}
	everyGroupVersion(9, func(v int16) {
		there := []offset{{"t", topic.ID, 0, 100, "m", 0}, {"t", topic.ID, 1, 101, "m", 0}}
		named := append([]offset{}, there...)
		named = append(named, offset{"t", topic.ID, 5, -1, "", 0})
		if v >= 10 {
			named = append(named, offset{"t", unknown, 0, -1, "", kerr.UnknownTopicID.Code})
		}
		got, code := fetch(v, "commit-8", false, 0, 1, 5)
		if code != 0 || fmt.Sprint(got) != fmt.Sprint(named) {
			t.Errorf("fetch version %d: %d\n got %v\nwant %v", v, code, got, named)
		}
		if v >= 2 {
			if got, code = fetch(v, "commit-10", true); code != 0 || fmt.Sprint(got) != fmt.Sprint(there) {
				t.Errorf("fetch version %d of all: %d, %v", v, code, got)
			}
			if got, code = fetch(v, "nowhere", true); code != 0 || len(got) != 0 {
				t.Errorf("fetch version %d of all of no group: %d, %v", v, code, got)
			}
		}
	})

	in := kmsg.NewPtrOffsetDeleteRequest()
	in.Group = "commit-8"
	in.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}, {Partition: 7}}}}
	out := askGroupAPI[*kmsg.OffsetDeleteResponse](b, 0, in)
	b.expect("delete offsets", out.ErrorCode, nil)
	for i, want := range []error{nil, kerr.UnknownTopicOrPartition} {
		b.expect(fmt.Sprint("delete offset ", i), out.Topics[0].Partitions[i].ErrorCode, want)
	}
	if got, _ := fetch(9, "commit-8", true); len(got) != 1 || got[0].partition != 1 {
		t.Errorf("left after the delete: %v", got)
	}
	in.Group = "nowhere"
	b.expect("delete offsets of no group", askGroupAPI[*kmsg.OffsetDeleteResponse](b, 0, in).ErrorCode, kerr.GroupIDNotFound)
}

// TestGroupErrorsOfOldFetches: before version 2 a group's error stands at every partition.
func TestGroupErrorsOfOldFetches(t *testing.T) {
	b := newGroupBroker(t, func(n *config.Node) { n.GroupsEnabled = false })
	everyGroupVersion(9, func(v int16) {
		in := kmsg.NewPtrOffsetFetchRequest()
		in.Group, in.Topics = "g", []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{0}}}
		in.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g"}}
		out := askGroupAPI[*kmsg.OffsetFetchResponse](b, v, in)
		var code int16
		switch {
		case v >= 8:
			code = out.Groups[0].ErrorCode
		case v >= 2:
			code = out.ErrorCode
		default:
			code = out.Topics[0].Partitions[0].ErrorCode
		}
		b.expect(fmt.Sprint("version ", v), code, kerr.CoordinatorNotAvailable)
	})
}

// consumer joins a consumer group alone, in the given version.
func (b *groupBroker) consumer(id string, version int16) *kmsg.ConsumerGroupHeartbeatResponse {
	b.t.Helper()
	in := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	in.Group, in.RebalanceTimeoutMillis, in.SubscribedTopicNames = id, 10_000, []string{"t"}
	in.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if version >= 1 {
		in.MemberID = "chosen"
	}
	joined := askGroupAPI[*kmsg.ConsumerGroupHeartbeatResponse](b, version, in)
	b.expect(fmt.Sprint("heartbeat version ", version), joined.ErrorCode, nil)
	return joined
}

func TestConsumerGroupsInEveryVersion(t *testing.T) {
	b := newGroupBroker(t)
	topic := b.prepare()
	everyGroupVersion(68, func(v int16) {
		id := fmt.Sprint("heartbeat-", v)
		joined := b.consumer(id, v)
		if joined.MemberID == nil || *joined.MemberID == "" || joined.MemberEpoch != 2 || joined.HeartbeatIntervalMillis != 1000 || joined.Assignment == nil ||
			len(joined.Assignment.Topics) != 1 || joined.Assignment.Topics[0].TopicID != topic.ID || fmt.Sprint(joined.Assignment.Topics[0].Partitions) != "[0 1]" {
			t.Errorf("version %d: %+v", v, joined)
		}
		in := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		in.Group, in.MemberID, in.MemberEpoch = id, *joined.MemberID, 2
		beat := askGroupAPI[*kmsg.ConsumerGroupHeartbeatResponse](b, v, in)
		b.expect(id, beat.ErrorCode, nil)
		if beat.Assignment != nil {
			t.Errorf("version %d: nothing changed, told %+v", v, beat.Assignment)
		}
		in.MemberEpoch = 3
		fenced := askGroupAPI[*kmsg.ConsumerGroupHeartbeatResponse](b, v, in)
		b.expect(id, fenced.ErrorCode, kerr.FencedMemberEpoch)
		if fenced.ErrorMessage == nil {
			t.Errorf("version %d: fenced without a word", v)
		}
	})
	b.member("classic", 9, 5)
	everyGroupVersion(69, func(v int16) {
		out := askGroupAPI[*kmsg.ConsumerGroupDescribeResponse](b, v, &kmsg.ConsumerGroupDescribeRequest{
			Groups: []string{"heartbeat-1", "classic", "nowhere"}, IncludeAuthorizedOperations: true})
		there := out.Groups[0]
		if there.ErrorCode != 0 || there.State != "Stable" || there.Epoch != 2 || there.AssignmentEpoch != 2 || there.AssignorName != "uniform" ||
			len(there.Members) != 1 || there.AuthorizedOperations != groupOperations {
			t.Fatalf("version %d: %+v", v, there)
		}
		m := there.Members[0]
		if m.MemberID != "chosen" || m.ClientID != "client" || m.ClientHost != "/127.0.0.1" || m.MemberEpoch != 2 || fmt.Sprint(m.SubscribedTopics) != "[t]" ||
			len(m.Assignment.TopicPartitions) != 1 || m.Assignment.TopicPartitions[0].Topic != "t" || m.Assignment.TopicPartitions[0].TopicID != topic.ID ||
			fmt.Sprint(m.TargetAssignment) != fmt.Sprint(m.Assignment) || (m.MemberType == 1) != (v >= 1) {
			t.Errorf("version %d: %+v", v, m)
		}
		for _, g := range out.Groups[1:] {
			b.expect(g.Group, g.ErrorCode, kerr.GroupIDNotFound)
			if g.ErrorMessage == nil {
				t.Errorf("%s is refused without a word", g.Group)
			}
		}
	})
	everyGroupVersion(15, func(v int16) {
		d := askGroupAPI[*kmsg.DescribeGroupsResponse](b, v, &kmsg.DescribeGroupsRequest{Groups: []string{"heartbeat-1"}}).Groups[0]
		want := error(nil)
		if v >= 6 {
			want = kerr.GroupIDNotFound
		}
		b.expect(fmt.Sprint("classic describe, version ", v), d.ErrorCode, want)
		if d.State != "Dead" || v >= 6 && (d.ErrorMessage == nil || *d.ErrorMessage != "Group heartbeat-1 is not a classic group.") {
			t.Errorf("version %d: %+v", v, d)
		}
	})
	everyGroupVersion(16, func(v int16) {
		for _, g := range askGroupAPI[*kmsg.ListGroupsResponse](b, v, kmsg.NewPtrListGroupsRequest()).Groups {
			if want := map[bool]string{true: "connect", false: "consumer"}[g.Group == "classic"]; g.ProtocolType != want {
				t.Errorf("version %d: %+v", v, g)
			}
		}
		if v < 5 {
			return
		}
		in := kmsg.NewPtrListGroupsRequest()
		in.TypesFilter = []string{"Consumer"}
		out := askGroupAPI[*kmsg.ListGroupsResponse](b, v, in)
		if len(out.Groups) != 2 || out.Groups[0].GroupType != "consumer" || out.Groups[0].GroupState != "Stable" {
			t.Errorf("version %d: %+v", v, out.Groups)
		}
	})
	everyGroupVersion(8, func(v int16) {
		in := kmsg.NewPtrOffsetCommitRequest()
		in.Group, in.MemberID, in.Generation = "heartbeat-1", "chosen", 2
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Offset = int64(v)
		in.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", TopicID: topic.ID, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
		code := func() int16 {
			return askGroupAPI[*kmsg.OffsetCommitResponse](b, v, in).Topics[0].Partitions[0].ErrorCode
		}
		want, stale := error(nil), error(kerr.StaleMemberEpoch)
		if v < 9 {
			want, stale = kerr.UnsupportedVersion, kerr.UnsupportedVersion
		}
		b.expect(fmt.Sprint("commit, version ", v), code(), want)
		in.Generation = 3
		b.expect(fmt.Sprint("commit of a later epoch, version ", v), code(), stale)
	})
	everyGroupVersion(9, func(v int16) {
		if v < 9 {
			return
		}
		member := "chosen"
		for epoch, want := range map[int32]error{2: nil, 1: kerr.StaleMemberEpoch} {
			in := kmsg.NewPtrOffsetFetchRequest()
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group, g.MemberID, g.MemberEpoch = "heartbeat-1", &member, epoch
			in.Groups = []kmsg.OffsetFetchRequestGroup{g}
			b.expect(fmt.Sprint("fetch, version ", v), askGroupAPI[*kmsg.OffsetFetchResponse](b, v, in).Groups[0].ErrorCode, want)
		}
	})
	everyGroupVersion(42, func(v int16) {
		out := askGroupAPI[*kmsg.DeleteGroupsResponse](b, v, &kmsg.DeleteGroupsRequest{Groups: []string{"heartbeat-1"}})
		b.expect("delete", out.Groups[0].ErrorCode, kerr.NonEmptyGroup)
	})
}
