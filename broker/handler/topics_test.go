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
	"fluxmq/broker/commitlog"
	"fluxmq/broker/config"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicHandler is a handler over a real log directory and metadata log, wired as node does it.
func topicHandler(t *testing.T, overrides ...string) *Handler {
	t.Helper()
	dir := t.TempDir()
	settings, _, err := config.Load(config.Sources{Overrides: append([]string{"log.dirs=" + dir, "cluster.id=test", "node.id=1"}, overrides...)})
	if err != nil {
		t.Fatal(err)
	}
	set, err := partition.OpenSet(partition.SetConfig{Dir: dir, Durability: partition.FlushOS, Identity: commitlog.Identity{ClusterID: "test", NodeID: settings.NodeID}})
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := cluster.Open(commitlog.OS{}, dir, cluster.Options{Settings: settings, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	metadata.OnImage = func(before, after *cluster.Image) error {
		for id, topic := range before.ByID {
			if after.ByID[id] == nil {
				if err := set.Delete(topic.Name); err != nil {
					return err
				}
			}
		}
		for _, topic := range after.Topics {
			for index := range topic.Partitions {
				if _, err := set.Create(topic.Name, topic.ID, index, partition.Config{SegmentBytes: 1 << 20, SegmentIndexBytes: 1 << 16, IndexIntervalBytes: 4096, MaxMessageBytes: 1 << 20, Retention: time.Hour, RetentionBytes: -1, SegmentAge: time.Hour, DeleteOld: true}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	t.Cleanup(func() {
		if err := metadata.Close(); err != nil {
			t.Error(err)
		}
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Handler{Config: settings, Metadata: metadata, Partitions: set}
}

// ask sends a request over the wire form in one version and back.
func ask[R kmsg.Response](t *testing.T, h *Handler, version int16, request kmsg.Request) R {
	t.Helper()
	request.SetVersion(version)
	in, err := protocol.DecodeRequest(request.Key(), version, request.AppendTo(nil))
	if err != nil {
		t.Fatalf("%T v%d: %v", request, version, err)
	}
	r := &Request{Header: protocol.Header{Key: request.Key(), Version: version}, Peer: "/127.0.0.1"}
	answer := controls[request.Key()](h, context.Background(), r, in)
	if answer.Err != nil || answer.Response == nil {
		t.Fatalf("%T v%d: %+v", request, version, answer)
	}
	answer.Response.SetVersion(version)
	out := request.ResponseKind()
	out.SetVersion(version)
	if err := out.ReadFrom(answer.Response.AppendTo(nil)); err != nil {
		t.Fatalf("%T v%d: the reply does not decode: %v", request, version, err)
	}
	return out.(R)
}

// versions runs a test at every advertised version of an API.
func versions(t *testing.T, key int16, test func(t *testing.T, version int16)) {
	for _, api := range protocol.APIs() {
		if api.Key != key {
			continue
		}
		for v := api.MinVersion; v <= api.MaxVersion; v++ {
			t.Run(fmt.Sprintf("v%d", v), func(t *testing.T) { test(t, v) })
		}
		return
	}
	t.Fatalf("API %d is not advertised", key)
}

func create(t *testing.T, h *Handler, name string, partitions int32, configs ...string) *cluster.Topic {
	t.Helper()
	new := cluster.NewTopic{Name: name, Partitions: partitions, Replicas: 1, Configs: map[string]string{}}
	for _, c := range configs {
		key, value, _ := strings.Cut(c, "=")
		new.Configs[key] = value
	}
	topic, err := h.Metadata.EnsureTopic(new)
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

func ref[T any](v T) *T { return &v }

func code(e *protocol.Error) int16 {
	if e == nil {
		return 0
	}
	return e.Code
}

func TestMetadataAtEveryVersion(t *testing.T) {
	h := topicHandler(t, "broker.rack=r1", "listeners=PLAINTEXT://127.0.0.1:9092,OTHER://127.0.0.1:9093", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT",
		"advertised.listeners=PLAINTEXT://front.example:1")
	a := create(t, h, "a", 3)
	create(t, h, "b", 1)
	versions(t, protocol.KeyMetadata, func(t *testing.T, v int16) {
		all := ask[*kmsg.MetadataResponse](t, h, v, &kmsg.MetadataRequest{Topics: nil})
		if v == 0 { // an empty list is all topics
			all = ask[*kmsg.MetadataResponse](t, h, v, &kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{}})
		}
		if len(all.Topics) != 2 || *all.Topics[0].Topic != "a" || len(all.Topics[0].Partitions) != 3 || len(all.Brokers) != 1 {
			t.Fatalf("%+v", all)
		}
		b := all.Brokers[0]
		if b.NodeID != 1 || b.Host != "front.example" || b.Port != 1 || v >= 1 && (all.ControllerID != 1 || *b.Rack != "r1") || v >= 2 && *all.ClusterID != "test" {
			t.Errorf("%+v", all)
		}
		for index, p := range all.Topics[0].Partitions {
			if p.ErrorCode != 0 || p.Partition != int32(index) || p.Leader != 1 || !slices.Equal(p.Replicas, []int32{1}) || !slices.Equal(p.ISR, []int32{1}) || len(p.OfflineReplicas) != 0 {
				t.Errorf("%+v", p)
			}
		}
		if v >= 10 && all.Topics[0].TopicID != a.ID {
			t.Error("no topic id")
		}
		if v >= 8 && all.Topics[0].AuthorizedOperations != -2147483648 {
			t.Error("operations nobody asked for")
		}
		if v >= 1 {
			none := ask[*kmsg.MetadataResponse](t, h, v, &kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{}})
			if len(none.Topics) != 0 || len(none.Brokers) != 1 {
				t.Errorf("%+v", none)
			}
		}
		// Absent and badly named topics, without leave to create them (which came with version 4).
		if v >= 4 {
			some := ask[*kmsg.MetadataResponse](t, h, v, &kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{{Topic: ref("nope")}, {Topic: ref("a")}, {Topic: ref("a")}, {Topic: ref("a b")}}, IncludeTopicAuthorizedOperations: true})
			if len(some.Topics) != 3 || some.Topics[0].ErrorCode != code(protocol.ErrUnknownTopicOrPartition) || some.Topics[1].ErrorCode != 0 || some.Topics[2].ErrorCode != code(protocol.ErrInvalidTopicException) {
				t.Errorf("%+v", some.Topics)
			}
			if v >= 8 && some.Topics[1].AuthorizedOperations != 3576 {
				t.Errorf("operations %d", some.Topics[1].AuthorizedOperations)
			}
			if h.Metadata.Image().Topics["nope"] != nil {
				t.Error("created without leave")
			}
		}
		name := fmt.Sprintf("auto%d", v)
		made := ask[*kmsg.MetadataResponse](t, h, v, &kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{{Topic: &name}, {Topic: ref("bad/name")}}, AllowAutoTopicCreation: true})
		if made.Topics[0].ErrorCode != 0 || len(made.Topics[0].Partitions) != 1 || made.Topics[0].Partitions[0].Leader != 1 || made.Topics[1].ErrorCode != code(protocol.ErrInvalidTopicException) {
			t.Errorf("%+v", made.Topics)
		}
		if err := h.Metadata.DeleteTopic(name); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMetadataByID(t *testing.T) {
	h := topicHandler(t, "auto.create.topics.enable=false")
	a := create(t, h, "a", 1)
	for v := int16(10); v < 12; v++ {
		for name, topic := range map[string]kmsg.MetadataRequestTopic{"an id and a name": {TopicID: a.ID, Topic: ref("a")}, "an id": {TopicID: a.ID}, "neither": {}} {
			refused := ask[*kmsg.MetadataResponse](t, h, v, &kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{topic, {Topic: ref("a")}}})
			if len(refused.Topics) != 2 || refused.Topics[0].ErrorCode != code(protocol.ErrInvalidRequest) || refused.Topics[1].ErrorCode != code(protocol.ErrInvalidRequest) ||
				len(refused.Brokers) != 0 || refused.ClusterID != nil || refused.ControllerID != -1 {
				t.Errorf("v%d, %s: %+v", v, name, refused)
			}
		}
	}
	for v := int16(12); v <= 13; v++ {
		got := ask[*kmsg.MetadataResponse](t, h, v, &kmsg.MetadataRequest{AllowAutoTopicCreation: true,
			Topics: []kmsg.MetadataRequestTopic{{TopicID: a.ID}, {TopicID: [16]byte{9}}, {Topic: ref("absent")}, {}}})
		if len(got.Topics) != 2 || *got.Topics[0].Topic != "a" || got.Topics[0].ErrorCode != 0 || got.Topics[1].ErrorCode != code(protocol.ErrUnknownTopicID) || got.Topics[1].Topic != nil {
			t.Errorf("v%d: where one has an id the others are ignored: %+v", v, got.Topics)
		}
		got = ask[*kmsg.MetadataResponse](t, h, v, &kmsg.MetadataRequest{AllowAutoTopicCreation: true, Topics: []kmsg.MetadataRequestTopic{{Topic: ref("absent")}, {Topic: ref(cluster.OffsetsTopic)}}})
		if got.Topics[0].ErrorCode != code(protocol.ErrUnknownTopicOrPartition) || got.Topics[1].ErrorCode != code(protocol.ErrUnknownTopicOrPartition) {
			t.Errorf("v%d: %+v", v, got.Topics)
		}
		got = ask[*kmsg.MetadataResponse](t, h, v, &kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{{Topic: ref("a")}, {}}})
		if len(got.Topics) != 2 || got.Topics[0].ErrorCode != code(protocol.ErrUnknownServerError) || len(got.Brokers) != 0 || v >= 13 && got.ErrorCode != code(protocol.ErrUnknownServerError) {
			t.Errorf("v%d, neither id nor name: %+v", v, got)
		}
	}
	// An answer goes out under the address of the listener that was asked.
	h.Config.AdvertisedListeners = []config.Listener{{Name: "A", Host: "one", Port: 1}, {Name: "B", Host: "two", Port: 2}}
	b := h.advertised(h.Metadata.Image(), &Request{Listener: 1})
	if b.Host != "two" || b.Port != 2 {
		t.Errorf("%+v", b)
	}
}

func TestMetadataCreatesTheOffsetsTopic(t *testing.T) {
	h := topicHandler(t, "offsets.topic.num.partitions=4")
	got := ask[*kmsg.MetadataResponse](t, h, 12, &kmsg.MetadataRequest{AllowAutoTopicCreation: true, Topics: []kmsg.MetadataRequestTopic{{Topic: ref(cluster.OffsetsTopic)}, {Topic: ref("__transaction_state")}}})
	if got.Topics[0].ErrorCode != 0 || !got.Topics[0].IsInternal || len(got.Topics[0].Partitions) != 4 || got.Topics[1].ErrorCode != code(protocol.ErrUnknownTopicOrPartition) {
		t.Errorf("%+v", got.Topics)
	}
	if o := h.Metadata.Image().Topics[cluster.OffsetsTopic].Overrides; o["cleanup.policy"] != "compact" || o["segment.bytes"] != "104857600" {
		t.Errorf("%v", o)
	}
}

func TestCreateTopicsAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	versions(t, protocol.KeyCreateTopics, func(t *testing.T, v int16) {
		name, again := fmt.Sprintf("t%d", v), fmt.Sprintf("d%d", v)
		request := &kmsg.CreateTopicsRequest{Topics: []kmsg.CreateTopicsRequestTopic{
			{Topic: name, NumPartitions: 2, ReplicationFactor: 1, Configs: []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms", Value: ref("77")}}},
			{Topic: again, NumPartitions: 1, ReplicationFactor: 1}, {Topic: again, NumPartitions: 1, ReplicationFactor: 1},
			{Topic: "r3", NumPartitions: 1, ReplicationFactor: 3},
			{Topic: "nullconfig", NumPartitions: 1, ReplicationFactor: 1, Configs: []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms"}}},
			{Topic: "twice", NumPartitions: -1, ReplicationFactor: -1, ReplicaAssignment: []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: []int32{1}}, {Partition: 0, Replicas: []int32{1}}}},
			{Topic: cluster.OffsetsTopic, NumPartitions: 1, ReplicationFactor: 1},
		}}
		want := []*protocol.Error{nil, protocol.ErrInvalidRequest, protocol.ErrInvalidReplicationFactor, protocol.ErrInvalidConfig, protocol.ErrInvalidReplicaAssignment, protocol.ErrInvalidRequest}
		for _, only := range []bool{true, false} {
			request.ValidateOnly = only
			got := ask[*kmsg.CreateTopicsResponse](t, h, v, request)
			if len(got.Topics) != len(want) {
				t.Fatalf("%+v", got.Topics)
			}
			for n, e := range want {
				if got.Topics[n].ErrorCode != code(e) || (e == nil) != (got.Topics[n].ErrorMessage == nil) {
					t.Errorf("%s: got %d %v, want %v", got.Topics[n].Topic, got.Topics[n].ErrorCode, got.Topics[n].ErrorMessage, e)
				}
			}
			made := got.Topics[0]
			if v >= 5 && (made.NumPartitions != 2 || made.ReplicationFactor != 1 || !slices.ContainsFunc(made.Configs, func(c kmsg.CreateTopicsResponseTopicConfig) bool {
				return c.Name == "retention.ms" && *c.Value == "77" && c.Source == int8(config.DynamicTopic)
			})) {
				t.Errorf("%+v", made)
			}
			if (h.Metadata.Image().Topics[name] != nil) == only || v >= 7 && made.TopicID == [16]byte{} {
				t.Errorf("validate only %v: %+v", only, made)
			}
			if (h.Partitions.Find([]byte(name), 1) != nil) == only {
				t.Error("the partitions are not there when the reply is")
			}
		}
		if got := ask[*kmsg.CreateTopicsResponse](t, h, v, request); got.Topics[0].ErrorCode != code(protocol.ErrTopicAlreadyExists) || v >= 5 && got.Topics[0].Configs == nil {
			t.Errorf("%+v", got.Topics[0])
		}
	})
}

// A request for too many partitions fails as a whole.
func TestCreateTopicsOfTooManyPartitions(t *testing.T) {
	h := topicHandler(t)
	for _, over := range []int32{0, 1} {
		got := ask[*kmsg.CreateTopicsResponse](t, h, 7, &kmsg.CreateTopicsRequest{ValidateOnly: true, Topics: []kmsg.CreateTopicsRequestTopic{
			{Topic: "one", NumPartitions: 1, ReplicationFactor: 1}, {Topic: "default", NumPartitions: -1, ReplicationFactor: -1}, {Topic: "not legal", NumPartitions: 1, ReplicationFactor: 1},
			{Topic: "twice", NumPartitions: 9999, ReplicationFactor: 1}, {Topic: "twice", NumPartitions: 9999, ReplicationFactor: 1},
			{Topic: "many", NumPartitions: cluster.MaxPartitionsPerRequest - 3 + over, ReplicationFactor: 1},
		}})
		want := []*protocol.Error{nil, nil, protocol.ErrInvalidTopicException, protocol.ErrInvalidRequest, nil}
		for n := range want {
			if over > 0 {
				want[n] = protocol.ErrPolicyViolation
			}
			if got.Topics[n].ErrorCode != code(want[n]) {
				t.Errorf("%d over, %s: %d, want %v", over, got.Topics[n].Topic, got.Topics[n].ErrorCode, want[n])
			}
		}
	}
}

func TestDeleteTopicsAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	if _, err := h.Metadata.EnsureTopic(cluster.NewOffsetsTopic(h.Config)); err != nil {
		t.Fatal(err)
	}
	versions(t, protocol.KeyDeleteTopics, func(t *testing.T, v int16) {
		a, b := create(t, h, "a", 2), create(t, h, "b", 1)
		twice := create(t, h, "twice", 1)
		var got *kmsg.DeleteTopicsResponse
		want := []*protocol.Error{nil, nil, protocol.ErrUnknownTopicOrPartition, protocol.ErrPolicyViolation, protocol.ErrInvalidRequest}
		if v < 6 {
			got = ask[*kmsg.DeleteTopicsResponse](t, h, v, &kmsg.DeleteTopicsRequest{TopicNames: []string{"a", "b", "nope", cluster.OffsetsTopic, "twice", "twice"}})
		} else {
			got = ask[*kmsg.DeleteTopicsResponse](t, h, v, &kmsg.DeleteTopicsRequest{Topics: []kmsg.DeleteTopicsRequestTopic{
				{Topic: ref("a")}, {TopicID: b.ID}, {Topic: ref("nope")}, {Topic: ref(cluster.OffsetsTopic)}, {Topic: ref("twice")}, {TopicID: twice.ID}, {TopicID: [16]byte{7}}, {}, {Topic: ref("twice"), TopicID: twice.ID}}})
			want = append(want, protocol.ErrUnknownTopicID, protocol.ErrInvalidRequest, protocol.ErrInvalidRequest)
			if *got.Topics[1].Topic != "b" || got.Topics[0].TopicID != a.ID {
				t.Errorf("%+v", got.Topics)
			}
		}
		if len(got.Topics) != len(want) {
			t.Fatalf("%+v", got.Topics)
		}
		for n, e := range want {
			if got.Topics[n].ErrorCode != code(e) {
				t.Errorf("%d: got %+v, want %v", n, got.Topics[n], e)
			}
		}
		if image := h.Metadata.Image(); image.Topics["a"] != nil || image.Topics["b"] != nil || image.Topics["twice"] == nil || h.Partitions.Find([]byte("a"), 0) != nil {
			t.Error("the wrong topics are gone")
		}
	})
	h.Config.DeleteTopics = false
	for v, want := range map[int16]*protocol.Error{2: protocol.ErrInvalidRequest, 3: protocol.ErrTopicDeletionDisabled} {
		if got := ask[*kmsg.DeleteTopicsResponse](t, h, v, &kmsg.DeleteTopicsRequest{TopicNames: []string{"twice"}}); got.Topics[0].ErrorCode != code(want) {
			t.Errorf("v%d: %+v", v, got.Topics)
		}
	}
}

func TestCreatePartitionsAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	count := create(t, h, "a", 1).Partitions
	create(t, h, "b", 1)
	create(t, h, "c", 1)
	versions(t, protocol.KeyCreatePartitions, func(t *testing.T, v int16) {
		count++
		request := &kmsg.CreatePartitionsRequest{Topics: []kmsg.CreatePartitionsRequestTopic{
			{Topic: "a", Count: count, Assignment: []kmsg.CreatePartitionsRequestTopicAssignment{{Replicas: []int32{1}}}},
			{Topic: "nope", Count: 2},
			{Topic: "b", Count: 3, Assignment: []kmsg.CreatePartitionsRequestTopicAssignment{{Replicas: []int32{1}}}},
			{Topic: "dup", Count: 2}, {Topic: "dup", Count: 2},
			{Topic: "", Count: 2}, {Topic: "c", Count: cluster.MaxPartitionsPerRequest + 2},
		}}
		want := []*protocol.Error{nil, protocol.ErrUnknownTopicOrPartition, protocol.ErrInvalidReplicaAssignment, protocol.ErrInvalidRequest, protocol.ErrUnknownTopicOrPartition, protocol.ErrUnknownServerError}
		for _, only := range []bool{true, false} {
			request.ValidateOnly = only
			got := ask[*kmsg.CreatePartitionsResponse](t, h, v, request)
			if len(got.Topics) != len(want) {
				t.Fatalf("%+v", got.Topics)
			}
			for n, e := range want {
				silent := e == nil || e == protocol.ErrUnknownTopicOrPartition || e == protocol.ErrUnknownServerError
				if got.Topics[n].ErrorCode != code(e) || (got.Topics[n].ErrorMessage == nil) != silent {
					t.Errorf("%d: got %+v, want %v", n, got.Topics[n], e)
				}
			}
			if (h.Partitions.Find([]byte("a"), count-1) != nil) == only {
				t.Errorf("validate only %v", only)
			}
		}
	})
}

func TestDeleteRecordsAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	create(t, h, "a", 1)
	create(t, h, "compacted", 1, "cleanup.policy=compact")
	if _, err := h.Metadata.EnsureTopic(cluster.NewOffsetsTopic(h.Config)); err != nil {
		t.Fatal(err)
	}
	records := make([]record.Record, 10)
	for n := range records {
		records[n] = record.Record{Timestamp: time.Now().UnixMilli(), Value: []byte("v")}
	}
	batch, err := record.Builder{ProducerID: -1}.Build(records)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Partitions.Find([]byte("a"), 0).Append(batch, partition.AppendOptions{Acks: 1, CurrentLeaderEpoch: -1}); err != nil {
		t.Fatal(err)
	}
	before := int64(3)
	versions(t, protocol.KeyDeleteRecords, func(t *testing.T, v int16) {
		before++
		part := func(index int32, offset int64) []kmsg.DeleteRecordsRequestTopicPartition {
			return []kmsg.DeleteRecordsRequestTopicPartition{{Partition: index, Offset: offset}}
		}
		got := ask[*kmsg.DeleteRecordsResponse](t, h, v, &kmsg.DeleteRecordsRequest{Topics: []kmsg.DeleteRecordsRequestTopic{
			{Topic: "a", Partitions: part(0, 11)}, {Topic: "nope", Partitions: part(0, 0)}, {Topic: "compacted", Partitions: part(0, 0)},
			{Topic: cluster.OffsetsTopic, Partitions: part(0, 0)}, {Topic: "a", Partitions: part(1, 0)}, {Topic: "a"}, {Topic: "a", Partitions: part(0, before)}, {Topic: "none"},
		}})
		if len(got.Topics) != 4 || len(got.Topics[0].Partitions) != 2 || got.Topics[0].Partitions[1].ErrorCode != code(protocol.ErrUnknownTopicOrPartition) {
			t.Fatalf("a topic and a partition are answered once, with what came last: %+v", got.Topics)
		}
		for n, want := range []*protocol.Error{nil, protocol.ErrUnknownTopicOrPartition, protocol.ErrPolicyViolation, protocol.ErrInvalidTopicException} {
			p := got.Topics[n].Partitions[0]
			if p.ErrorCode != code(want) || want != nil && p.LowWatermark != -1 || want == nil && p.LowWatermark != before {
				t.Errorf("%s: %+v, want %v", got.Topics[n].Topic, p, want)
			}
		}
		beyond := ask[*kmsg.DeleteRecordsResponse](t, h, v, &kmsg.DeleteRecordsRequest{Topics: []kmsg.DeleteRecordsRequestTopic{{Topic: "a", Partitions: part(0, 11)}}})
		if p := beyond.Topics[0].Partitions[0]; p.ErrorCode != code(protocol.ErrOffsetOutOfRange) || p.LowWatermark != -1 {
			t.Errorf("beyond the end: %+v", p)
		}
	})
}

func TestDescribeConfigsAtEveryVersion(t *testing.T) {
	h := topicHandler(t, "log.retention.hours=1")
	create(t, h, "a", 1, "cleanup.policy=compact")
	if err := h.Metadata.AlterConfigs(cluster.ConfigResource{EveryNode: true}, []cluster.ConfigChange{{Op: cluster.OpSet, Name: "message.max.bytes", Value: ref("999999")}}, false, false); err != nil {
		t.Fatal(err)
	}
	if err := h.Metadata.AlterConfigs(cluster.ConfigResource{Group: "g"}, []cluster.ConfigChange{{Op: cluster.OpSet, Name: "consumer.session.timeout.ms", Value: ref("50000")}}, false, false); err != nil {
		t.Fatal(err)
	}
	versions(t, protocol.KeyDescribeConfigs, func(t *testing.T, v int16) {
		topic, broker := kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker
		got := ask[*kmsg.DescribeConfigsResponse](t, h, v, &kmsg.DescribeConfigsRequest{IncludeSynonyms: true, IncludeDocumentation: true, Resources: []kmsg.DescribeConfigsRequestResource{
			{ResourceType: topic, ResourceName: "a"},
			{ResourceType: topic, ResourceName: "a", ConfigNames: []string{"retention.ms", "unheard.of"}},
			{ResourceType: broker, ResourceName: "1"},
			{ResourceType: broker, ResourceName: ""},
			{ResourceType: topic, ResourceName: "nope"}, {ResourceType: topic, ResourceName: "no pe"},
			{ResourceType: broker, ResourceName: "2"}, {ResourceType: broker, ResourceName: "x"},
			{ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: "1"},
			{ResourceType: kmsg.ConfigResourceTypeGroupConfig, ResourceName: "g"}, {ResourceType: kmsg.ConfigResourceTypeGroupConfig},
			{ResourceType: kmsg.ConfigResourceTypeClientMetrics, ResourceName: "s"}, {ResourceType: kmsg.ConfigResourceTypeClientMetrics},
		}})
		for n, want := range []*protocol.Error{nil, nil, nil, nil, protocol.ErrUnknownTopicOrPartition, protocol.ErrInvalidTopicException, protocol.ErrInvalidRequest, protocol.ErrInvalidRequest, protocol.ErrInvalidRequest, nil, protocol.ErrInvalidRequest,
			nil, protocol.ErrInvalidRequest} {
			if r := got.Resources[n]; r.ErrorCode != code(want) || want != nil && len(r.Configs) != 0 {
				t.Errorf("%d: got %d %v, want %v", n, r.ErrorCode, r.ErrorMessage, want)
			}
		}
		find := func(n int, name string) *kmsg.DescribeConfigsResponseResourceConfig {
			for i := range got.Resources[n].Configs {
				if got.Resources[n].Configs[i].Name == name {
					return &got.Resources[n].Configs[i]
				}
			}
			t.Fatalf("%s is not described", name)
			return nil
		}
		if c := find(0, "cleanup.policy"); *c.Value != "compact" || c.Source != kmsg.ConfigSourceDynamicTopicConfig || c.ReadOnly || len(c.ConfigSynonyms) != 2 {
			t.Errorf("%+v", c)
		}
		if c := find(0, "max.message.bytes"); *c.Value != "999999" || c.Source != kmsg.ConfigSourceDynamicDefaultBrokerConfig {
			t.Errorf("%+v", c)
		}
		// Kafka's source is that of log.retention.ms, which is not set.
		if c := find(1, "retention.ms"); *c.Value != "3600000" || c.Source != kmsg.ConfigSourceDefaultConfig || len(c.ConfigSynonyms) != 0 || len(got.Resources[1].Configs) != 1 {
			t.Errorf("%+v", c)
		}
		if c := find(2, "log.retention.hours"); *c.Value != "1" || c.Source != kmsg.ConfigSourceStaticBrokerConfig {
			t.Errorf("%+v", c)
		}
		for n, r := range got.Resources {
			if empty := r.ErrorCode == 0 || r.ErrorCode == code(protocol.ErrUnknownTopicOrPartition); r.ErrorMessage == nil || (*r.ErrorMessage == "") != empty {
				t.Errorf("%d: the message of code %d is %v", n, r.ErrorCode, r.ErrorMessage)
			}
		}
		if c := find(2, "num.partitions"); *c.Value != "1" || c.Source != kmsg.ConfigSourceDefaultConfig || !c.ReadOnly ||
			v >= 3 && (c.ConfigType != kmsg.ConfigTypeInt || c.Documentation == nil) {
			t.Errorf("%+v", c)
		}
		if c := find(9, "consumer.session.timeout.ms"); *c.Value != "50000" || c.Source != kmsg.ConfigSource(config.DynamicGroup) || c.ReadOnly {
			t.Errorf("%+v", c)
		}
		if c := find(9, "consumer.heartbeat.interval.ms"); *c.Value != "5000" || c.Source != kmsg.ConfigSourceDefaultConfig {
			t.Errorf("%+v", c)
		}
		if c := find(3, "message.max.bytes"); len(got.Resources[3].Configs) != 1 || *c.Value != "999999" || len(c.ConfigSynonyms) != 1 {
			t.Errorf("%+v", got.Resources[3].Configs)
		}
		if c := find(11, "interval.ms"); *c.Value != "300000" || c.Source != kmsg.ConfigSourceDefaultConfig || len(got.Resources[11].Configs) != 3 {
			t.Errorf("a subscription that is not there: %+v", c)
		}
		whole := ask[*kmsg.DescribeConfigsResponse](t, h, v, &kmsg.DescribeConfigsRequest{Resources: []kmsg.DescribeConfigsRequestResource{{ResourceType: topic, ResourceName: "a"}, {ResourceType: 3, ResourceName: "x"}}})
		for _, r := range whole.Resources {
			if r.ErrorCode != code(protocol.ErrInvalidRequest) || len(r.Configs) != 0 {
				t.Errorf("beside a type that there is not: %+v", r)
			}
		}
	})
}

func TestAlterConfigsAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	create(t, h, "a", 1, "segment.ms=5")
	topic, broker, group := kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeGroupConfig
	overrides := func() map[string]string { return h.Metadata.Image().Topics["a"].Overrides }
	versions(t, protocol.KeyAlterConfigs, func(t *testing.T, v int16) {
		one := func(name, value string) []kmsg.AlterConfigsRequestResourceConfig {
			return []kmsg.AlterConfigsRequestResourceConfig{{Name: name, Value: &value}}
		}
		request := &kmsg.AlterConfigsRequest{ValidateOnly: true, Resources: []kmsg.AlterConfigsRequestResource{
			{ResourceType: topic, ResourceName: "a", Configs: one("retention.ms", "7")},
			{ResourceType: topic, ResourceName: "nope", Configs: one("retention.ms", "7")},
			{ResourceType: topic, ResourceName: "", Configs: one("retention.ms", "7")},
			{ResourceType: broker, ResourceName: "1", Configs: one("num.io.threads", "7")},
			{ResourceType: broker, ResourceName: "", Configs: one("log.retention.ms", "7")},
			{ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: "1"},
			{ResourceType: broker, ResourceName: "9"}, {ResourceType: broker, ResourceName: "9"},
			{ResourceType: group, ResourceName: "g", Configs: one("consumer.heartbeat.interval.ms", "6000")},
			{ResourceType: group, ResourceName: "h", Configs: one("consumer.heartbeat.interval.ms", "1")},
			{ResourceType: group, ResourceName: ""},
		}}
		want := []*protocol.Error{nil, protocol.ErrUnknownTopicOrPartition, protocol.ErrInvalidRequest, protocol.ErrInvalidRequest, nil, protocol.ErrInvalidRequest, protocol.ErrInvalidRequest, protocol.ErrInvalidRequest,
			nil, protocol.ErrInvalidConfig, protocol.ErrInvalidRequest}
		for range 2 {
			got := ask[*kmsg.AlterConfigsResponse](t, h, v, request)
			for n, e := range want {
				if got.Resources[n].ErrorCode != code(e) || (e == nil) != (got.Resources[n].ErrorMessage == nil) {
					t.Errorf("%d: got %d %v, want %v", n, got.Resources[n].ErrorCode, got.Resources[n].ErrorMessage, e)
				}
			}
			if request.ValidateOnly && v == 0 && overrides()["segment.ms"] != "5" {
				t.Error("validate only altered")
			}
			request.ValidateOnly = false
		}
		if o := overrides(); len(o) != 1 || o["retention.ms"] != "7" {
			t.Errorf("AlterConfigs replaces: %v", o)
		}
		if g := h.Metadata.Image().Groups["g"]; g == nil || g.Config.ConsumerHeartbeatInterval.Milliseconds() != 6000 {
			t.Errorf("the group's settings are %+v", g)
		}
	})
	versions(t, protocol.KeyIncrementalAlterConfigs, func(t *testing.T, v int16) {
		got := ask[*kmsg.IncrementalAlterConfigsResponse](t, h, v, &kmsg.IncrementalAlterConfigsRequest{Resources: []kmsg.IncrementalAlterConfigsRequestResource{
			{ResourceType: topic, ResourceName: "a", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{
				{Name: "segment.ms", Op: kmsg.IncrementalAlterConfigOpSet, Value: ref("9")},
				{Name: "cleanup.policy", Op: kmsg.IncrementalAlterConfigOpAppend, Value: ref("compact")},
				{Name: "flush.ms", Op: kmsg.IncrementalAlterConfigOpDelete}}},
			{ResourceType: broker, ResourceName: "1", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "log.retention.ms", Value: nil}}},
			{ResourceType: topic, ResourceName: "", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "segment.ms", Value: ref("9")}}},
			{ResourceType: group, ResourceName: "g", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "consumer.heartbeat.interval.ms", Op: 9, Value: ref("6000")}}},
		}})
		if got.Resources[0].ErrorCode != 0 || got.Resources[1].ErrorCode != code(protocol.ErrInvalidRequest) || got.Resources[2].ErrorCode != code(protocol.ErrInvalidRequest) {
			t.Errorf("%+v", got.Resources)
		}
		if r := got.Resources[3]; r.ErrorCode != code(protocol.ErrUnknownServerError) || r.ErrorMessage != nil {
			t.Errorf("an operation that there is not: %+v", r)
		}
		if o := overrides(); len(o) != 3 || o["retention.ms"] != "7" || o["segment.ms"] != "9" || o["cleanup.policy"] != "delete,compact" {
			t.Errorf("%v", o)
		}
	})
}

func TestDescribeLogDirsAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	create(t, h, "b", 2)
	create(t, h, "a", 1)
	versions(t, protocol.KeyDescribeLogDirs, func(t *testing.T, v int16) {
		all := ask[*kmsg.DescribeLogDirsResponse](t, h, v, &kmsg.DescribeLogDirsRequest{})
		d := all.Dirs[0]
		if len(all.Dirs) != 1 || d.Dir != h.Config.LogDir || len(d.Topics) != 2 || d.Topics[0].Topic != "a" || len(d.Topics[1].Partitions) != 2 || d.Topics[1].Partitions[1].Partition != 1 {
			t.Errorf("%+v", all)
		}
		if v >= 4 && (d.TotalBytes <= 0 || d.UsableBytes <= 0 || d.UsableBytes > d.TotalBytes) {
			t.Errorf("%d of %d bytes", d.UsableBytes, d.TotalBytes)
		}
		some := ask[*kmsg.DescribeLogDirsResponse](t, h, v, &kmsg.DescribeLogDirsRequest{Topics: []kmsg.DescribeLogDirsRequestTopic{{Topic: "b", Partitions: []int32{1, 1, 5}}, {Topic: "nope", Partitions: []int32{0}}}})
		if len(some.Dirs[0].Topics) != 1 || len(some.Dirs[0].Topics[0].Partitions) != 1 {
			t.Errorf("%+v", some)
		}
	})
}

func TestDescribeClusterAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	versions(t, protocol.KeyDescribeCluster, func(t *testing.T, v int16) {
		got := ask[*kmsg.DescribeClusterResponse](t, h, v, &kmsg.DescribeClusterRequest{EndpointType: 1, IncludeClusterAuthorizedOperations: true})
		if got.ErrorCode != 0 || got.ClusterID != "test" || got.ControllerID != 1 || len(got.Brokers) != 1 || got.Brokers[0].Host != "127.0.0.1" || got.ClusterAuthorizedOperations != 8096 {
			t.Errorf("%+v", got)
		}
		if v >= 1 {
			for kind, want := range map[int8]*protocol.Error{2: protocol.ErrMismatchedEndpointType, 3: protocol.ErrUnsupportedEndpointType} {
				if got := ask[*kmsg.DescribeClusterResponse](t, h, v, &kmsg.DescribeClusterRequest{EndpointType: kind}); got.ErrorCode != code(want) || len(got.Brokers) != 0 {
					t.Errorf("%d: %+v", kind, got)
				}
			}
		}
	})
}

// TestDescribeTopicPartitionsPages: following the cursor sees every partition once, whatever the page.
func TestDescribeTopicPartitionsPages(t *testing.T) {
	h := topicHandler(t)
	for n, name := range []string{"a", "b", "c"} {
		create(t, h, name, int32(n+2))
	}
	for limit := int32(-1); limit < 12; limit++ {
		var seen []string
		var cursor *kmsg.DescribeTopicPartitionsRequestCursor
		for pages := 0; ; pages++ {
			if pages > 12 {
				t.Fatal("the cursor does not move")
			}
			got := ask[*kmsg.DescribeTopicPartitionsResponse](t, h, 0, &kmsg.DescribeTopicPartitionsRequest{ResponsePartitionLimit: limit, Cursor: cursor})
			here := 0
			for _, topic := range got.Topics {
				for _, p := range topic.Partitions {
					here++
					seen = append(seen, fmt.Sprintf("%s-%d", *topic.Topic, p.Partition))
					if p.ErrorCode != 0 || p.LeaderID != 1 || len(p.ISR) != 1 {
						t.Errorf("%+v", p)
					}
				}
			}
			if here > int(max(1, limit)) {
				t.Errorf("limit %d: %d partitions", limit, here)
			}
			if got.NextCursor == nil {
				break
			}
			cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: got.NextCursor.Topic, Partition: got.NextCursor.Partition}
		}
		if got := strings.Join(seen, " "); got != "a-0 a-1 b-0 b-1 b-2 c-0 c-1 c-2 c-3" {
			t.Errorf("limit %d: %s", limit, got)
		}
	}
	got := ask[*kmsg.DescribeTopicPartitionsResponse](t, h, 0, &kmsg.DescribeTopicPartitionsRequest{ResponsePartitionLimit: 100,
		Topics: []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "x y"}, {Topic: "b"}, {Topic: "nope"}, {Topic: "b"}, {Topic: "a"}}, Cursor: &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "b", Partition: 1}})
	if len(got.Topics) != 3 || len(got.Topics[0].Partitions) != 2 || got.Topics[1].ErrorCode != code(protocol.ErrUnknownTopicOrPartition) || got.Topics[2].ErrorCode != code(protocol.ErrInvalidTopicException) || got.NextCursor != nil {
		t.Errorf("%+v", got)
	}
	for _, topic := range got.Topics { // also of those that are not there
		if topic.AuthorizedOperations != topicOperations {
			t.Errorf("%+v", topic)
		}
	}
	for _, c := range []struct {
		name   string
		topics []kmsg.DescribeTopicPartitionsRequestTopic
		cursor *kmsg.DescribeTopicPartitionsRequestCursor
		want   *protocol.Error
	}{
		{"a negative partition", []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "a"}}, &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "a", Partition: -1}, protocol.ErrInvalidRequest},
		{"a cursor on a topic that is not asked for", []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "a"}, {Topic: "c"}}, &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "b"}, protocol.ErrInvalidRequest},
		{"no name", []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "a"}, {Topic: ""}}, nil, protocol.ErrUnknownServerError},
	} {
		bad := ask[*kmsg.DescribeTopicPartitionsResponse](t, h, 0, &kmsg.DescribeTopicPartitionsRequest{ResponsePartitionLimit: 100, Topics: c.topics, Cursor: c.cursor})
		if len(bad.Topics) != len(c.topics) {
			t.Fatalf("%s: %+v", c.name, bad)
		}
		for _, topic := range bad.Topics {
			if topic.ErrorCode != c.want.Code || len(topic.Partitions) != 0 || topic.AuthorizedOperations != notAsked {
				t.Errorf("%s: %+v", c.name, topic)
			}
		}
	}
}
