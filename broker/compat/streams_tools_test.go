package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// streamsMember is a member of a streams group that counts what is in a topic,
// as far as its group can tell.
type streamsMember struct {
	coordinator      *kgo.Broker
	group, id, topic string
	epoch            int32
}

// beat heartbeats once. It returns the answer's tasks, nil where they are as before.
func (m *streamsMember) beat(t *testing.T, epoch int32) []kmsg.TaskIDs {
	t.Helper()
	in := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	in.Group, in.MemberID, in.MemberEpoch = m.group, m.id, epoch
	if epoch == 0 {
		in.RebalanceTimeoutMillis, in.ProcessID = 10_000, &m.id
		in.ActiveTasks, in.StandbyTasks, in.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
		part := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
		part.SubtopologyID, part.SourceTopics = "0", []string{m.topic}
		part.StateChangelogTopics = []kmsg.TopicInfo{{Topic: m.group + "-store-changelog", Configs: []kmsg.TopicInfoConfig{{Key: "cleanup.policy", Value: "compact"}}}}
		in.Topology = &kmsg.StreamsGroupHeartbeatRequestTopology{Subtopologies: []kmsg.StreamsGroupHeartbeatRequestTopologySubtopology{part}}
	}
	answer, err := m.coordinator.RetriableRequest(t.Context(), in) // franz-go does not know that it is a coordinator's
	must(t, "StreamsGroupHeartbeat", err)
	r := answer.(*kmsg.StreamsGroupHeartbeatResponse)
	if r.ErrorCode != 0 {
		t.Fatalf("StreamsGroupHeartbeat at epoch %d: code %d, %v", epoch, r.ErrorCode, r.ErrorMessage)
	}
	m.epoch = r.MemberEpoch
	return r.ActiveTasks
}

// join heartbeats until the member has tasks.
func (m *streamsMember) join(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	for tasks := m.beat(t, 0); len(tasks) == 0; tasks = m.beat(t, m.epoch) {
		if time.Now().After(deadline) {
			t.Fatalf("member %s has no task at epoch %d", m.id, m.epoch)
		}
		<-pace.C
	}
}

// TestKafkaToolsForStreams drives Apache Kafka's tool of streams groups, and lets
// DumpLogSegments decode what is stored of one.
func TestKafkaToolsForStreams(t *testing.T) {
	if os.Getenv("KAFKA_LIBS") == "" {
		t.Skip("KAFKA_LIBS is not set: `make compat` sets it to the folder of Apache Kafka's jars")
	}
	b := newProcess(t, "--override", "group.streams.initial.rebalance.delay.ms=0", "--override", "offsets.topic.num.partitions=1")
	b.start(t)
	versions := kversion.Stable()
	versions.SetMaxKeyVersion((&kmsg.StreamsGroupHeartbeatRequest{}).Key(), 0) // franz-go names no release that has it
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.DefaultProduceTopic("words"), kgo.ClientID("counter"), kgo.MaxVersions(versions))
	must(t, "NewClient", err)
	defer client.Close()
	admin := kadm.NewClient(client)
	created, err := admin.CreateTopic(t.Context(), 2, 1, nil, "words")
	must(t, "CreateTopic", err)
	for i := range 10 {
		must(t, "produce", client.ProduceSync(t.Context(), &kgo.Record{Key: []byte(fmt.Sprint(i)), Value: []byte("word")}).FirstErr())
	}
	coordinator := admin.FindGroupCoordinators(t.Context(), "count")["count"]
	must(t, "FindCoordinator", coordinator.Err)
	member := &streamsMember{coordinator: client.Broker(int(coordinator.NodeID)), group: "count", id: "member-1", topic: "words"}
	member.join(t)
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.MemberID, commit.Generation = "count", member.id, member.epoch
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic, topic.TopicID = "words", created.ID
	for p := range int32(2) {
		one := kmsg.NewOffsetCommitRequestTopicPartition()
		one.Partition, one.Offset = p, 1
		topic.Partitions = append(topic.Partitions, one)
	}
	commit.Topics = append(commit.Topics, topic)
	committed, err := commit.RequestWith(t.Context(), client)
	must(t, "OffsetCommit", err)
	for _, p := range committed.Topics[0].Partitions {
		if p.ErrorCode != 0 {
			t.Fatalf("OffsetCommit of partition %d: code %d", p.Partition, p.ErrorCode)
		}
	}

	tool := func(args ...string) string {
		t.Helper()
		return kafkaTool(t, "org.apache.kafka.tools.streams.StreamsGroupCommand", append([]string{"--bootstrap-server", b.addr()}, args...)...)
	}
	// want looks for words with one blank between them: tools align their tables.
	want := func(out string, lines ...string) {
		t.Helper()
		plain := strings.Join(strings.Fields(out), " ")
		for _, line := range lines {
			if !strings.Contains(plain, line) {
				t.Errorf("%q is missing in:\n%.3000s", line, out)
			}
		}
	}
	want(tool("--list"), "count")
	want(tool("--list", "--state"), "count Stable")
	want(tool("--list", "--state", "Empty"))
	want(tool("--describe", "--group", "count"), "OFFSET-LAG", "count words 0 ", "count words 1 ")
	want(tool("--describe", "--group", "count", "--members"), "count member-1 member-1 counter", "ACTIVE: 0:[0,1]")
	want(tool("--describe", "--group", "count", "--state", "--verbose"), "Stable", fmt.Sprint(member.epoch, " ", member.epoch))
	want(kafkaTool(t, "org.apache.kafka.tools.GroupsCommand", "--bootstrap-server", b.addr(), "--list", "--streams"), "count Streams streams")
	want(kafkaTool(t, "kafka.admin.ConfigCommand", "--bootstrap-server", b.addr(), "--alter", "--entity-type", "groups", "--entity-name", "count", "--add-config", "streams.num.standby.replicas=1"), "Completed updating")
	want(kafkaTool(t, "kafka.admin.ConfigCommand", "--bootstrap-server", b.addr(), "--describe", "--entity-type", "groups", "--entity-name", "count"), "streams.num.standby.replicas=1")

	member.beat(t, -1)
	want(tool("--describe", "--group", "count", "--state"), "Empty")
	want(tool("--reset-offsets", "--group", "count", "--input-topic", "words", "--to-earliest", "--execute"), "count words 0 0", "count words 1 0")
	want(tool("--delete-offsets", "--group", "count", "--input-topic", "words:1"), "words 1 Successful")
	want(tool("--delete", "--group", "count", "--delete-all-internal-topics"), "Deletion of requested streams groups ('count') was successful.")
	topics, err := admin.ListTopics(t.Context())
	if err != nil || !topics.Has("words") || topics.Has("count-store-changelog") {
		t.Errorf("after --delete: topics %v, %v", topics.Names(), err)
	}
	want(tool("--list"))
	b.stop(t)

	segments, err := filepath.Glob(filepath.Join(b.dataDir, "__consumer_offsets-0", "*.log"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segment found (%v)", err)
	}
	out := kafkaTool(t, "org.apache.kafka.tools.DumpLogSegments", "--offsets-decoder", "--files", strings.Join(segments, ","))
	for _, kind := range []int{17, 19, 20, 21, 22, 23} {
		if !strings.Contains(out, fmt.Sprintf(`key: {"type":"%d"`, kind)) {
			t.Errorf("no record of kind %d is decoded in:\n%.6000s", kind, out)
		}
	}
	want(out, `"num.standby.replicas"`, `"subtopologyId":"0","sourceTopics":["words"]`)
	if strings.Contains(out, "Exception") || strings.Contains(out, "Failed") || strings.Contains(out, "isvalid: false") {
		t.Errorf("DumpLogSegments complains:\n%.6000s", out)
	}
}
