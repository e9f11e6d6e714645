package handler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/config"
	"fluxmq/broker/group"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// atOnce lets streams groups assign tasks without waiting.
func atOnce(n *config.Node) {
	of := *n.Groups
	of.Streams.InitialDelay, of.Streams.AssignmentInterval = 0, 0
	n.Groups = &of
}

// streaming is a heartbeat of a member of an application that counts what is in
// t: through a repartition topic into a store with a changelog.
func streaming(id, member string, epoch int32) *kmsg.StreamsGroupHeartbeatRequest {
	in := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	in.Group, in.MemberID, in.MemberEpoch = id, member, epoch
	if epoch != 0 {
		return in
	}
	process := "process-" + member
	in.RebalanceTimeoutMillis, in.ProcessID = 10_000, &process
	in.ActiveTasks, in.StandbyTasks, in.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	reads, counts := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology(), kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
	reads.SubtopologyID, reads.SourceTopics, reads.RepartitionSinkTopics = "0", []string{"t"}, []string{id + "-repartition"}
	counts.SubtopologyID = "1"
	counts.RepartitionSourceTopics = []kmsg.TopicInfo{{Topic: id + "-repartition", Configs: []kmsg.TopicInfoConfig{{Key: "retention.ms", Value: "-1"}}}}
	counts.StateChangelogTopics = []kmsg.TopicInfo{{Topic: id + "-changelog", Configs: []kmsg.TopicInfoConfig{{Key: "cleanup.policy", Value: "compact"}}}}
	in.Topology = &kmsg.StreamsGroupHeartbeatRequestTopology{Subtopologies: []kmsg.StreamsGroupHeartbeatRequestTopologySubtopology{reads, counts}}
	return in
}

// streamed is what a heartbeat is answered, in words.
func (b *groupBroker) streamed(in *kmsg.StreamsGroupHeartbeatRequest) string {
	b.t.Helper()
	r := askGroupAPI[*kmsg.StreamsGroupHeartbeatResponse](b, 0, in)
	if r.ErrorCode != 0 {
		out := kerr.TypedErrorForCode(r.ErrorCode).Message
		if r.ErrorMessage != nil {
			out += ": " + *r.ErrorMessage
		}
		return out
	}
	out := fmt.Sprintf("%s at %d", r.MemberID, r.MemberEpoch)
	if r.ActiveTasks != nil {
		out += " has"
	}
	for _, run := range r.ActiveTasks {
		for _, p := range run.Partitions {
			out += fmt.Sprintf(" %s_%d", run.SubtopologyID, p)
		}
	}
	for _, s := range r.Status {
		out += fmt.Sprintf("; %d %s", s.StatusCode, s.StatusDetail)
	}
	return out
}

// TestStreamsGroup: a group over the wire, from the first heartbeat, which makes
// the internal topics with their settings, to its deletion.
func TestStreamsGroup(t *testing.T) {
	b := newGroupBroker(t, atOnce)
	b.prepare()
	b.same("join", b.streamed(streaming("app", "a", 0)), "a at 2 has; 3 Internal topics are missing: app-changelog, app-repartition")
	for name, want := range map[string]string{"app-changelog": "cleanup.policy=compact", "app-repartition": "retention.ms=-1"} {
		topic := b.Metadata.Image().Topics[name]
		if topic == nil || topic.Partitions != 2 {
			t.Fatalf("topic %s: %+v", name, topic)
		}
		if key, value, _ := strings.Cut(want, "="); topic.Overrides[key] != value {
			t.Errorf("topic %s has the settings %v", name, topic.Overrides)
		}
	}
	b.same("the topics are there", b.streamed(streaming("app", "a", 2)), "a at 3 has 0_0 0_1 1_0 1_1")

	described := askGroupAPI[*kmsg.StreamsGroupDescribeResponse](b, 0, &kmsg.StreamsGroupDescribeRequest{Groups: []string{"app", "none", "classic"}, IncludeAuthorizedOperations: true}).Groups
	d := described[0]
	if d.State != "Stable" || d.Epoch != 3 || d.AssignmentEpoch != 3 || len(d.Members) != 1 || d.Members[0].ClientID != "client" || d.AuthorizedOperations != groupOperations {
		t.Errorf("described: %+v", d)
	}
	if subs := d.Topology.Subtopologies; len(subs) != 2 || subs[1].StateChangelogTopics[0].NumPartitions != 2 || subs[0].SourceTopics[0] != "t" {
		t.Errorf("described: %+v", d.Topology)
	}
	for _, d := range described[1:] {
		b.expect("describe "+d.Group, d.ErrorCode, kerr.GroupIDNotFound)
		if d.Topology != nil || d.ErrorMessage == nil {
			t.Errorf("described: %+v", d)
		}
	}
	listed := askGroupAPI[*kmsg.ListGroupsResponse](b, 5, &kmsg.ListGroupsRequest{TypesFilter: []string{"Streams"}, StatesFilter: []string{"stable"}}).Groups
	if len(listed) != 1 || listed[0].Group != "app" || listed[0].GroupType != "streams" || listed[0].ProtocolType != "streams" || listed[0].GroupState != "Stable" {
		t.Errorf("listed: %+v", listed)
	}

	in := kmsg.NewPtrOffsetCommitRequest()
	in.Group, in.MemberID, in.Generation = "app", "a", 3
	in.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 7}}}}
	b.expect("commit", askGroupAPI[*kmsg.OffsetCommitResponse](b, 9, in).Topics[0].Partitions[0].ErrorCode, nil)
	in.Generation = 4
	b.expect("commit of an epoch to come", askGroupAPI[*kmsg.OffsetCommitResponse](b, 9, in).Topics[0].Partitions[0].ErrorCode, kerr.StaleMemberEpoch)
	member := "a"
	fetch := &kmsg.OffsetFetchRequest{Groups: []kmsg.OffsetFetchRequestGroup{{Group: "app", MemberID: &member, MemberEpoch: 3, Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{0}}}}}}
	if got := askGroupAPI[*kmsg.OffsetFetchResponse](b, 9, fetch).Groups[0]; got.ErrorCode != 0 || got.Topics[0].Partitions[0].Offset != 7 {
		t.Errorf("fetched: %+v", got)
	}
	fetch.Groups[0].MemberEpoch = 2
	b.expect("fetch of an epoch before", askGroupAPI[*kmsg.OffsetFetchResponse](b, 9, fetch).Groups[0].ErrorCode, kerr.StaleMemberEpoch)

	consumer := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	consumer.Group, consumer.MemberID, consumer.RebalanceTimeoutMillis, consumer.SubscribedTopicNames = "app", "c", 10_000, []string{"t"}
	consumer.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	b.expect("a consumer", askGroupAPI[*kmsg.ConsumerGroupHeartbeatResponse](b, 1, consumer).ErrorCode, kerr.GroupIDNotFound)
	sharer := kmsg.NewPtrShareGroupHeartbeatRequest()
	sharer.GroupID, sharer.MemberID, sharer.SubscribedTopicNames = "app", "s", []string{"t"}
	b.expect("a consumer that shares", askGroupAPI[*kmsg.ShareGroupHeartbeatResponse](b, 1, sharer).ErrorCode, kerr.GroupIDNotFound)
	b.expect("describe as classic", askGroupAPI[*kmsg.DescribeGroupsResponse](b, 6, &kmsg.DescribeGroupsRequest{Groups: []string{"app"}}).Groups[0].ErrorCode, kerr.GroupIDNotFound)

	remove := &kmsg.DeleteGroupsRequest{Groups: []string{"app"}}
	b.expect("delete", askGroupAPI[*kmsg.DeleteGroupsResponse](b, 2, remove).Groups[0].ErrorCode, kerr.NonEmptyGroup)
	b.same("leave", b.streamed(streaming("app", "a", -1)), "a at -1")
	b.expect("delete", askGroupAPI[*kmsg.DeleteGroupsResponse](b, 2, remove).Groups[0].ErrorCode, nil)
	b.same("it is gone", b.streamed(streaming("app", "a", 3)), "GROUP_ID_NOT_FOUND: Streams group app not found.")
	b.same("and left before", b.streamed(streaming("app", "a", -1)), "GROUP_ID_NOT_FOUND: Group app not found.")
}

// TestStreamsRefusals: what a heartbeat is told that no group takes.
func TestStreamsRefusals(t *testing.T) {
	b := newGroupBroker(t, atOnce)
	b.prepare()
	for _, c := range []struct {
		name   string
		change func(*kmsg.StreamsGroupHeartbeatRequest)
		want   string
	}{
		{"no member", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.MemberID = "" }, "INVALID_REQUEST: MemberId can't be empty."},
		{"no group", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.Group = " " }, "INVALID_REQUEST: GroupId can't be empty."},
		{"a rack without a name", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.RackID = kmsg.StringPtr("") }, "INVALID_REQUEST: RackId can't be empty."},
		{"static membership", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.InstanceID = kmsg.StringPtr("i") }, "INVALID_REQUEST: Static membership is not yet supported."},
		{"offsets of tasks", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.TaskOffsets = []kmsg.TaskOffset{} }, "INVALID_REQUEST: TaskOffsets are not supported yet."},
		{"end offsets of tasks", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.TaskEndOffsets = []kmsg.TaskOffset{} }, "INVALID_REQUEST: TaskEndOffsets are not supported yet."},
		{"warm-up tasks", func(in *kmsg.StreamsGroupHeartbeatRequest) {
			in.WarmupTasks = []kmsg.TaskIDs{{SubtopologyID: "0"}}
		}, "INVALID_REQUEST: WarmupTasks are not supported yet."},
		{"a regular expression", func(in *kmsg.StreamsGroupHeartbeatRequest) {
			in.Topology.Subtopologies[0].SourceTopicRegex = []string{".*"}
		}, "INVALID_REQUEST: Regular expressions for source topics are not supported yet."},
		{"no rebalance timeout", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.RebalanceTimeoutMillis = -1 }, "INVALID_REQUEST: RebalanceTimeoutMs must be provided in first request."},
		{"tasks unknown", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.ActiveTasks = nil }, "INVALID_REQUEST: ActiveTasks must be empty when (re-)joining."},
		{"copies", func(in *kmsg.StreamsGroupHeartbeatRequest) {
			in.StandbyTasks = []kmsg.TaskIDs{{SubtopologyID: "0", Partitions: []int32{0}}}
		}, "INVALID_REQUEST: StandbyTasks must be empty when (re-)joining."},
		{"warm-up tasks unknown", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.WarmupTasks = nil }, "INVALID_REQUEST: WarmupTasks must be empty when (re-)joining."},
		{"no topology", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.Topology = nil }, "INVALID_REQUEST: Topology must be non-null when (re-)joining."},
		{"a topology too late", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.MemberEpoch = 1 }, "INVALID_REQUEST: Topology can only be provided when (re-)joining."},
		{"some of the tasks", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.MemberEpoch, in.Topology, in.ActiveTasks = 1, nil, nil }, "INVALID_REQUEST: If one task-type is non-null, all must be non-null."},
		{"goes away for a while", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.MemberEpoch, in.Topology = -2, nil }, "INVALID_REQUEST: InstanceId can't be null."},
		{"no epoch", func(in *kmsg.StreamsGroupHeartbeatRequest) { in.MemberEpoch, in.Topology = -3, nil }, "INVALID_REQUEST: MemberEpoch is -3, but must be greater than or equal to -2."},
		{"a tag twice", func(in *kmsg.StreamsGroupHeartbeatRequest) {
			in.ClientTags = []kmsg.StreamsGroupHeartbeatRequestClientTag{{Key: "zone"}, {Key: "zone"}}
		}, "INVALID_REQUEST: ClientTags has a key more than once."},
		{"a name that is too long", func(in *kmsg.StreamsGroupHeartbeatRequest) {
			in.ProcessID = kmsg.StringPtr(strings.Repeat("p", 40_000))
		}, "INVALID_REQUEST: A name is too long to be stored."},
		{"a topic of Kafka's own", func(in *kmsg.StreamsGroupHeartbeatRequest) {
			in.Topology.Subtopologies[0].SourceTopics = []string{"__consumer_offsets", "t", "__transaction_state"}
		}, "STREAMS_INVALID_TOPOLOGY: Use of Kafka internal topics __consumer_offsets,__transaction_state in a Kafka Streams topology is prohibited."},
		{"no names of topics", func(in *kmsg.StreamsGroupHeartbeatRequest) {
			in.Topology.Subtopologies[0].RepartitionSinkTopics = []string{"a b", "", "a b"}
		}, "STREAMS_INVALID_TOPOLOGY: Topic names a b, are not valid topic names."},
	} {
		in := streaming("app", "a", 0)
		c.change(in)
		b.same(c.name, b.streamed(in), c.want)
	}
	if listed := askGroupAPI[*kmsg.ListGroupsResponse](b, 5, &kmsg.ListGroupsRequest{}).Groups; len(listed) != 0 {
		t.Errorf("a refused request left groups: %+v", listed)
	}
}

// TestStreamsTopicsThatCannotBe: why an internal topic cannot be made is in the
// status, and it is tried again after two heartbeat intervals.
func TestStreamsTopicsThatCannotBe(t *testing.T) {
	b := newGroupBroker(t, atOnce)
	b.prepare()
	in := streaming("app", "a", 0)
	in.Topology.Subtopologies[1].StateChangelogTopics[0].Configs[0].Key = "no.such.setting"
	got := b.streamed(in)
	if !strings.HasPrefix(got, "a at 2 has; 3 Internal topics are missing: app-changelog, app-repartition; Creation failed: app-changelog (") ||
		!strings.Contains(got, "no.such.setting") || !strings.HasSuffix(got, ").") {
		t.Errorf("%s", got)
	}
	if b.Metadata.Image().Topics["app-repartition"] == nil {
		t.Error("the other topic was not made")
	}

	var s streamsTopics
	now := time.Unix(1000, 0)
	one := func(name string, replicas int16) []group.InternalTopic {
		return []group.InternalTopic{{Name: name, Partitions: 1, Replicas: replicas}}
	}
	first := s.create(b.Handler, nil, one("late", 3), 10*time.Second, now)
	if !strings.HasPrefix(first, "late (INVALID_REPLICATION_FACTOR") {
		t.Errorf("three replicas: %s", first)
	}
	if again := s.create(b.Handler, nil, one("late", 1), 10*time.Second, now.Add(9*time.Second)); again != first {
		t.Errorf("too early: %s", again)
	}
	if again := s.create(b.Handler, nil, one("late", 1), 10*time.Second, now.Add(10*time.Second)); again != "" || b.Metadata.Image().Topics["late"] == nil {
		t.Errorf("in time: %s", again)
	}
	var many []group.InternalTopic
	for i := range 5 {
		many = append(many, group.InternalTopic{Name: fmt.Sprint("many-", i), Partitions: 1, Replicas: 9})
	}
	if got := s.create(b.Handler, nil, many, time.Second, now); strings.Count(got, "(") != 3 || !strings.HasSuffix(got, " and 2 more") {
		t.Errorf("five fail: %s", got)
	}
	for i := range maxStreamsFailures + 10 {
		s.note(fmt.Sprint("topic-", i), streamsFailure{"no", now.Add(time.Hour)}, now)
	}
	if len(s.failed) != maxStreamsFailures {
		t.Errorf("%d failures are kept", len(s.failed))
	}
}

// TestStreamsVersion: while streams.version is 0 there are no streams groups.
func TestStreamsVersion(t *testing.T) {
	b := newGroupBroker(t, atOnce)
	b.prepare()
	if !slices.ContainsFunc(cluster.SupportedFeatures(), func(f cluster.Feature) bool {
		return f == cluster.Feature{Name: "streams.version", Min: 0, Max: 1, Default: 1}
	}) {
		t.Errorf("features: %+v", cluster.SupportedFeatures())
	}
	if err := b.Metadata.UpdateFeatures([]cluster.FeatureUpdate{{Name: cluster.StreamsVersion, Level: 0, Type: cluster.SafeDowngrade}}, false); err != nil {
		t.Fatal(err)
	}
	b.same("heartbeat", b.streamed(streaming("app", "a", 0)), "UNSUPPORTED_VERSION")
	described := askGroupAPI[*kmsg.StreamsGroupDescribeResponse](b, 0, &kmsg.StreamsGroupDescribeRequest{Groups: []string{"app"}}).Groups
	b.expect("describe", described[0].ErrorCode, kerr.UnsupportedVersion)
}
