package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterBroker alters one setting of every broker, or of those named.
func alterBroker(t testing.TB, adm *kadm.Client, op kadm.IncrementalOp, name, value string, brokers ...int32) error {
	t.Helper()
	altered, err := adm.AlterBrokerConfigs(within(t, 10*time.Second), []kadm.AlterConfig{{Op: op, Name: name, Value: &value}}, brokers...)
	if err != nil || len(altered) != 1 {
		t.Fatalf("%+v, %v", altered, err)
	}
	return altered[0].Err
}

// TestDynamicBrokerSettings: settings altered while the broker runs take effect
// at once, the node's before those of all nodes before those of the start, and
// are there after a restart.
func TestDynamicBrokerSettings(t *testing.T) {
	dir := t.TempDir()
	b, err := New(Config{DataDir: dir, Properties: map[string]string{"message.max.bytes": "100000"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // where the test ended before it did
	c := client(t, b, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordRetries(0), kgo.DefaultProduceTopic("t"))
	adm := kadm.NewClient(c)
	createTopic(t, c, "t", 1, nil)
	fits := func(c *kgo.Client, size int) bool {
		t.Helper()
		err := c.ProduceSync(within(t, 10*time.Second), &kgo.Record{Value: make([]byte, size)}).FirstErr()
		if err != nil && !errors.Is(err, kerr.MessageTooLarge) {
			t.Fatal(err)
		}
		return err == nil
	}
	described := func(adm *kadm.Client, brokers ...int32) string {
		t.Helper()
		configs, err := adm.DescribeBrokerConfigs(within(t, 10*time.Second), brokers...)
		if err != nil || len(configs) != 1 || configs[0].Err != nil {
			t.Fatalf("%+v, %v", configs, err)
		}
		at := slices.IndexFunc(configs[0].Configs, func(c kadm.Config) bool { return c.Key == "message.max.bytes" })
		if at < 0 {
			return ""
		}
		var places []string
		for _, s := range configs[0].Configs[at].Synonyms {
			places = append(places, fmt.Sprintf("%s@%d", *s.Value, s.Source))
		}
		return strings.Join(places, " ")
	}
	set := func(value string, brokers ...int32) {
		t.Helper()
		if err := alterBroker(t, adm, kadm.SetConfig, "message.max.bytes", value, brokers...); err != nil {
			t.Fatal(err)
		}
	}
	if !fits(c, 50_000) {
		t.Error("at the start")
	}
	set("2000")
	if fits(c, 50_000) || !fits(c, 1000) {
		t.Error("after all brokers were altered")
	}
	set("60000", 0)
	if !fits(c, 50_000) || fits(c, 70_000) {
		t.Error("after this broker was altered")
	}
	if got := described(adm, 0); got != "60000@2 2000@3 100000@4 1048588@5" {
		t.Errorf("the places of this broker: %s", got)
	}
	if got := described(adm); got != "2000@3" {
		t.Errorf("the places of all brokers: %s", got)
	}
	for name, want := range map[string]error{
		"num.partitions": kerr.InvalidRequest, "log.retention.hours": kerr.InvalidRequest, "no.such.setting": kerr.InvalidRequest, "num.io.threads": kerr.InvalidRequest,
	} {
		if err := alterBroker(t, adm, kadm.SetConfig, name, "1"); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := alterBroker(t, adm, kadm.SetConfig, "message.max.bytes", "many", 0); !errors.Is(err, kerr.InvalidRequest) {
		t.Errorf("a value that is no number: %v", err)
	}

	// One connection of an address: the client's own are open already.
	if err := alterBroker(t, adm, kadm.SetConfig, "max.connections.per.ip.overrides", "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	refused, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	refused.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := refused.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || n != 0 {
		t.Errorf("one connection too many: %d bytes, %v", n, err)
	}
	refused.Close()
	if err := alterBroker(t, adm, kadm.DeleteConfig, "max.connections.per.ip.overrides", ""); err != nil {
		t.Fatal(err)
	}

	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again := run(t, Config{DataDir: dir, Properties: map[string]string{"message.max.bytes": "100000"}})
	c = client(t, again, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordRetries(0), kgo.DefaultProduceTopic("t"))
	adm = kadm.NewClient(c)
	if got := described(adm, 0); got != "60000@2 2000@3 100000@4 1048588@5" || !fits(c, 50_000) || fits(c, 70_000) {
		t.Errorf("after a restart: %s", got)
	}
	for _, brokers := range [][]int32{{0}, nil} {
		if err := alterBroker(t, adm, kadm.DeleteConfig, "message.max.bytes", "", brokers...); err != nil {
			t.Fatal(err)
		}
	}
	if got := described(adm, 0); got != "100000@4 1048588@5" || !fits(c, 70_000) || described(adm) != "" {
		t.Errorf("after all was taken back: %s", got)
	}
}

// TestProducerExpirationIsDynamic: a setting that is in no topic's reaches the
// partitions that are there.
func TestProducerExpirationIsDynamic(t *testing.T) {
	b := run(t, Config{Properties: map[string]string{"log.retention.check.interval.ms": "20"}})
	c := client(t, b)
	createTopic(t, c, "t", 1, nil)
	ctx := within(t, 60*time.Second)
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	producers := func() int {
		t.Helper()
		request := kmsg.NewPtrDescribeProducersRequest()
		request.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "t", Partitions: []int32{0}}}
		response, err := request.RequestWith(ctx, c)
		if err != nil || len(response.Topics) != 1 || len(response.Topics[0].Partitions) != 1 || response.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatalf("%+v, %v", response, err)
		}
		return len(response.Topics[0].Partitions[0].ActiveProducers)
	}
	if n := producers(); n != 1 {
		t.Fatalf("%d producers are remembered", n)
	}
	if err := alterBroker(t, kadm.NewClient(c), kadm.SetConfig, "producer.id.expiration.ms", "1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the producer is forgotten", func() bool { return producers() == 0 })
}

// TestClusterAdministration asks what one node can answer of a cluster.
func TestClusterAdministration(t *testing.T) {
	dir := t.TempDir()
	b := run(t, Config{DataDir: dir})
	c := client(t, b)
	adm := kadm.NewClient(c)
	ctx := within(t, 30*time.Second)
	createTopic(t, c, "t", 2, nil)
	var partitions kadm.TopicsSet
	partitions.Add("t", 0, 1)
	partitions.Add("nope", 0)

	t.Run("elections", func(t *testing.T) {
		for _, how := range []kadm.ElectLeadersHow{kadm.ElectPreferredReplica, kadm.ElectLiveReplica} {
			elected, err := adm.ElectLeaders(ctx, how, partitions)
			if err != nil || !errors.Is(elected["t"][1].Err, kerr.ElectionNotNeeded) || !errors.Is(elected["nope"][0].Err, kerr.UnknownTopicOrPartition) {
				t.Errorf("%+v, %v", elected, err)
			}
			all, err := adm.ElectLeaders(ctx, how, nil)
			if needed, named := all["t"]; err != nil || !named || len(needed) != 0 { // each topic, and of it what needs an election
				t.Errorf("of all partitions: %+v, %v", all, err)
			}
		}
	})
	t.Run("reassignments", func(t *testing.T) {
		var move kadm.AlterPartitionAssignmentsReq
		move.Assign("t", 0, []int32{0})
		move.Assign("t", 1, []int32{1})
		move.Assign("nope", 0, []int32{0})
		moved, err := adm.AlterPartitionAssignments(ctx, move)
		if err != nil || moved["t"][0].Err != nil || !errors.Is(moved["t"][1].Err, kerr.InvalidReplicaAssignment) || !errors.Is(moved["nope"][0].Err, kerr.UnknownTopicOrPartition) {
			t.Errorf("%+v, %v", moved, err)
		}
		var cancel kadm.AlterPartitionAssignmentsReq
		cancel.CancelAssign("t", 0)
		if cancelled, err := adm.AlterPartitionAssignments(ctx, cancel); err != nil || !errors.Is(cancelled["t"][0].Err, kerr.NoReassignmentInProgress) {
			t.Errorf("%+v, %v", cancelled, err)
		}
		for _, of := range []kadm.TopicsSet{nil, partitions} {
			if moving, err := adm.ListPartitionReassignments(ctx, of); err != nil || len(moving) != 0 {
				t.Errorf("%+v, %v", moving, err)
			}
		}
	})
	t.Run("log directories", func(t *testing.T) {
		here, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		var topic kadm.TopicsSet
		topic.Add("t", 0)
		for dir, want := range map[string]error{here: nil, "/elsewhere": kerr.LogDirNotFound} {
			moved, err := adm.AlterAllReplicaLogDirs(ctx, kadm.AlterReplicaLogDirsReq{dir: topic})
			if err != nil || !errors.Is(moved[0]["t"][0].Err, want) {
				t.Errorf("to %s: %+v, %v", dir, moved, err)
			}
		}
	})
	t.Run("security", func(t *testing.T) {
		request := kmsg.NewPtrDescribeACLsRequest()
		request.ResourceType, request.ResourcePatternType, request.Operation, request.PermissionType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
		if acls, err := request.RequestWith(ctx, c); err != nil || !errors.Is(kerr.ErrorForCode(acls.ErrorCode), kerr.SecurityDisabled) {
			t.Errorf("ACLs: %+v, %v", acls, err)
		}
		if all, err := adm.DescribeUserSCRAMs(ctx); err != nil || len(all) != 0 {
			t.Errorf("all users: %+v, %v", all, err)
		}
		if one, err := adm.DescribeUserSCRAMs(ctx, "alice"); err != nil || !errors.Is(one["alice"].Err, kerr.ResourceNotFound) {
			t.Errorf("one user: %+v, %v", one, err)
		}
	})
	t.Run("quorum", func(t *testing.T) {
		request := kmsg.NewPtrDescribeQuorumRequest()
		request.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: make([]kmsg.DescribeQuorumRequestTopicPartition, 1)}}
		quorum, err := request.RequestWith(ctx, c)
		if err != nil || quorum.ErrorCode != 0 || len(quorum.Topics) != 1 {
			t.Fatalf("%+v, %v", quorum, err)
		}
		if p := quorum.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.LeaderID != 0 || p.HighWatermark < 2 || len(p.CurrentVoters) != 1 || p.CurrentVoters[0].LogEndOffset != p.HighWatermark {
			t.Errorf("%+v", p)
		}
	})
	t.Run("features", func(t *testing.T) {
		update := func(validateOnly bool, level int16, kind int8) error {
			t.Helper()
			updated, err := adm.UpdateFeatures(ctx, validateOnly, kadm.FeatureUpdate{Feature: "group.version", MaxVersionLevel: level, UpgradeType: kind})
			if err != nil {
				t.Fatal(err)
			}
			return updated["group.version"].Err
		}
		beat := func() error {
			t.Helper()
			request := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			request.Group, request.MemberID, request.MemberEpoch, request.RebalanceTimeoutMillis = "of-features", "AAAAAAAAAAAAAAAAAAAAAQ", 0, 60_000
			request.SubscribedTopicNames, request.Topics = []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
			response, err := request.RequestWith(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			return kerr.ErrorForCode(response.ErrorCode)
		}
		finalized := func() bool {
			t.Helper()
			request := kmsg.NewPtrApiVersionsRequest()
			request.ClientSoftwareName, request.ClientSoftwareVersion = "test", "1"
			response, err := request.RequestWith(ctx, c)
			if err != nil || response.ErrorCode != 0 {
				t.Fatalf("%+v, %v", response, err)
			}
			return slices.ContainsFunc(response.FinalizedFeatures, func(f kmsg.ApiVersionsResponseFinalizedFeature) bool { return f.Name == "group.version" })
		}
		if err := update(false, 0, 1); !errors.Is(err, kerr.InvalidUpdateVersion) {
			t.Errorf("down by an upgrade: %v", err)
		}
		if err := update(true, 0, 2); err != nil || !finalized() {
			t.Errorf("validated only: %v", err)
		}
		if err := beat(); err != nil {
			t.Errorf("a heartbeat at level 1: %v", err)
		}
		if err := update(false, 0, 2); err != nil || finalized() {
			t.Errorf("down: %v", err)
		}
		if err := beat(); !errors.Is(err, kerr.UnsupportedVersion) {
			t.Errorf("a heartbeat at level 0: %v", err)
		}
		if err := update(false, 1, 1); err != nil || !finalized() || beat() != nil {
			t.Errorf("up again: %v", err)
		}
	})
	t.Run("resources", func(t *testing.T) {
		value := "*"
		request := kmsg.NewPtrIncrementalAlterConfigsRequest()
		request.Resources = []kmsg.IncrementalAlterConfigsRequestResource{
			{ResourceType: kmsg.ConfigResourceTypeClientMetrics, ResourceName: "s", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "metrics", Value: &value}}},
		}
		if altered, err := request.RequestWith(ctx, c); err != nil || altered.Resources[0].ErrorCode != 0 {
			t.Fatalf("%+v, %v", altered, err)
		}
		listed, err := adm.ListConfigResources(ctx)
		if err != nil || listed.Err != nil {
			t.Fatalf("%+v, %v", listed, err)
		}
		for _, want := range []kadm.ConfigResource{
			{Name: "s", Type: kadm.ConfigResourceClientMetrics}, {Name: "0", Type: kadm.ConfigResourceBroker},
			{Name: "0", Type: kadm.ConfigResourceBrokerLogger}, {Name: "t", Type: kadm.ConfigResourceTopic},
		} {
			if !slices.Contains(listed.Resources, want) {
				t.Errorf("%v is not listed: %v", want, listed.Resources)
			}
		}
	})
	t.Run("loggers", func(t *testing.T) {
		request := kmsg.NewPtrDescribeConfigsRequest()
		request.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: "0"}}
		described, err := request.RequestWith(ctx, c)
		if err != nil || described.Resources[0].ErrorCode != 0 {
			t.Fatalf("%+v, %v", described, err)
		}
		var names []string
		for _, l := range described.Resources[0].Configs {
			names = append(names, l.Name)
		}
		for _, want := range []string{"root", "fluxmq.group", "fluxmq.server", "fluxmq.txn", "fluxmq.cluster", "fluxmq.node"} {
			if !slices.Contains(names, want) {
				t.Errorf("no logger %s among %v", want, names)
			}
		}
	})
}

// TestClientMetrics: what an operator asks a client for comes from a real
// client to the page that Prometheus reads.
func TestClientMetrics(t *testing.T) {
	b := run(t, Config{Properties: map[string]string{"fluxmq.admin.listener": "127.0.0.1:0"}})
	operator := client(t, b, kgo.ClientID("operator"))
	ctx := within(t, 60*time.Second)
	interval, prefix, match := "100", "my.app.", "client_id=watched"
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeClientMetrics, ResourceName: "watch",
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "interval.ms", Value: &interval}, {Name: "metrics", Value: &prefix}, {Name: "match", Value: &match}},
	}}
	if altered, err := request.RequestWith(ctx, operator); err != nil || altered.Resources[0].ErrorCode != 0 {
		t.Fatalf("%+v, %v", altered, err)
	}
	metrics := kgo.UserMetricsFn(func() iter.Seq[kgo.Metric] {
		return func(yield func(kgo.Metric) bool) {
			_ = yield(kgo.Metric{Name: "my.app.temperature", Type: kgo.MetricTypeGauge, ValueFloat: 21.5}) &&
				yield(kgo.Metric{Name: "your.app.secret", Type: kgo.MetricTypeGauge, ValueFloat: 1})
		}
	})
	createTopic(t, operator, "t", 1, nil)
	for _, id := range []string{"watched", "unwatched"} {
		c := client(t, b, kgo.ClientID(id), metrics) // it reports itself from its first produce or fetch on
		if err := c.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	shown := regexp.MustCompile(`(?m)^fluxmq_client_gauge\{.*client_id="watched".*metric="my\.app\.temperature".*\} 21\.5$`)
	var page string
	eventually(t, "the client's metric is shown", func() bool {
		response, err := http.Get("http://" + b.AdminAddr() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		page = string(content)
		return shown.MatchString(page)
	})
	for _, never := range []string{"your.app", `client_id="unwatched"`} {
		if strings.Contains(page, never) {
			t.Errorf("the page shows %s", never)
		}
	}
	if !strings.Contains(page, `fluxmq_client_metrics_pushes_total{error="NONE"}`) {
		t.Error("the page counts no push")
	}
}

// TestNoClientMetricsWithoutAPage: what nobody could see is not asked for.
func TestNoClientMetricsWithoutAPage(t *testing.T) {
	c := client(t, run(t, Config{}))
	request := kmsg.NewPtrApiVersionsRequest()
	request.ClientSoftwareName, request.ClientSoftwareVersion = "test", "1"
	response, err := request.RequestWith(within(t, 10*time.Second), c)
	if err != nil || len(response.ApiKeys) == 0 {
		t.Fatalf("%+v, %v", response, err)
	}
	for _, key := range response.ApiKeys {
		if key.ApiKey == int16(kmsg.PushTelemetry) || key.ApiKey == int16(kmsg.GetTelemetrySubscriptions) {
			t.Errorf("API key %d is advertised", key.ApiKey)
		}
	}
}
