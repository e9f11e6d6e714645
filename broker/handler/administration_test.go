package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/config"
	"fluxmq/broker/loglevel"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/telemetry"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// lose leaves a topic without replicas though the cluster knows it, as a
// directory does that cannot be opened.
func lose(t *testing.T, h *Handler, topic string) {
	t.Helper()
	if err := h.Partitions.Delete(topic); err != nil {
		t.Fatal(err)
	}
}

func TestACLsAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	disabled := code(protocol.ErrSecurityDisabled)
	creation := kmsg.CreateACLsRequestCreation{ResourceType: 2, ResourcePatternType: 3, Operation: 3, PermissionType: 3}
	filter := kmsg.DeleteACLsRequestFilter{ResourceType: 1, ResourcePatternType: 1, Operation: 1, PermissionType: 1}
	versions(t, protocol.KeyDescribeACLs, func(t *testing.T, v int16) {
		got := ask[*kmsg.DescribeACLsResponse](t, h, v, &kmsg.DescribeACLsRequest{ResourceType: 1, ResourcePatternType: 1, Operation: 1, PermissionType: 1})
		if got.ErrorCode != disabled || got.ErrorMessage == nil || len(got.Resources) != 0 {
			t.Errorf("%+v", got)
		}
	})
	versions(t, protocol.KeyCreateACLs, func(t *testing.T, v int16) {
		got := ask[*kmsg.CreateACLsResponse](t, h, v, &kmsg.CreateACLsRequest{Creations: []kmsg.CreateACLsRequestCreation{creation, creation}})
		if len(got.Results) != 2 || got.Results[1].ErrorCode != disabled || *got.Results[1].ErrorMessage != "No Authorizer is configured." {
			t.Errorf("%+v", got)
		}
	})
	versions(t, protocol.KeyDeleteACLs, func(t *testing.T, v int16) {
		got := ask[*kmsg.DeleteACLsResponse](t, h, v, &kmsg.DeleteACLsRequest{Filters: []kmsg.DeleteACLsRequestFilter{filter, filter}})
		if len(got.Results) != 2 || got.Results[0].ErrorCode != disabled || len(got.Results[0].MatchingACLs) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestACLsOfUnknownKinds: Kafka takes 0 in any of the four places for no request.
func TestACLsOfUnknownKinds(t *testing.T) {
	h := topicHandler(t)
	for place := range 4 {
		kinds := [4]int8{2, 3, 3, 3}
		kinds[place] = 0
		resource, pattern := kmsg.ACLResourceType(kinds[0]), kmsg.ACLResourcePatternType(kinds[1])
		operation, permission := kmsg.ACLOperation(kinds[2]), kmsg.ACLPermissionType(kinds[3])
		for _, in := range []kmsg.Request{
			&kmsg.DescribeACLsRequest{ResourceType: resource, ResourcePatternType: pattern, Operation: operation, PermissionType: permission},
			&kmsg.CreateACLsRequest{Creations: []kmsg.CreateACLsRequestCreation{{ResourceType: resource, ResourcePatternType: pattern, Operation: operation, PermissionType: permission}}},
			&kmsg.DeleteACLsRequest{Filters: []kmsg.DeleteACLsRequestFilter{{ResourceType: resource, ResourcePatternType: pattern, Operation: operation, PermissionType: permission}}},
		} {
			if answer := controls[in.Key()](h, t.Context(), &Request{}, in); answer.Response != nil || !errors.Is(answer.Err, protocol.ErrMalformed) {
				t.Errorf("%T with 0 in place %d: %+v", in, place, answer)
			}
		}
	}
}

func TestAlterReplicaLogDirsAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	create(t, h, "a", 1)
	create(t, h, "lost", 1)
	lose(t, h, "lost")
	here, err := filepath.Abs(h.Config.LogDir)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 220)
	versions(t, protocol.KeyAlterReplicaLogDirs, func(t *testing.T, v int16) {
		topic := func(name string, partitions ...int32) kmsg.AlterReplicaLogDirsRequestDirTopic {
			return kmsg.AlterReplicaLogDirsRequestDirTopic{Topic: name, Partitions: partitions}
		}
		got := ask[*kmsg.AlterReplicaLogDirsResponse](t, h, v, &kmsg.AlterReplicaLogDirsRequest{Dirs: []kmsg.AlterReplicaLogDirsRequestDir{
			{Dir: here, Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{topic("a", 0, 1), topic("lost", 0), topic("nope", 0), topic(long, 0)}},
			{Dir: "/elsewhere", Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{topic("a", 0), topic("nope", 0)}},
		}})
		want := map[string][]*protocol.Error{
			"a":    {nil, protocol.ErrUnknownTopicOrPartition, protocol.ErrLogDirNotFound},
			"lost": {protocol.ErrReplicaNotAvailable},
			"nope": {protocol.ErrUnknownTopicOrPartition, protocol.ErrLogDirNotFound},
			long:   {protocol.ErrInvalidTopicException},
		}
		if len(got.Topics) != len(want) {
			t.Fatalf("%+v", got)
		}
		for _, topic := range got.Topics {
			for n, e := range want[topic.Topic] {
				if len(topic.Partitions) != len(want[topic.Topic]) || topic.Partitions[n].ErrorCode != code(e) {
					t.Errorf("%s: %+v, want %v", topic.Topic, topic.Partitions, want[topic.Topic])
				}
			}
		}
	})
}

func TestElectLeadersAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	create(t, h, "a", 2)
	create(t, h, "lost", 1)
	lose(t, h, "lost")
	versions(t, protocol.KeyElectLeaders, func(t *testing.T, v int16) {
		asked := []kmsg.ElectLeadersRequestTopic{{Topic: "a", Partitions: []int32{0, 2}}, {Topic: "nope", Partitions: []int32{0}}, {Topic: "lost", Partitions: []int32{0}}, {Topic: "a"}}
		for kind, offline := range map[int8]*protocol.Error{preferredElection: protocol.ErrPreferredLeaderNotAvailable, uncleanElection: protocol.ErrEligibleLeadersNotAvailable} {
			if v == 0 && kind != preferredElection {
				continue // it knows no other
			}
			got := ask[*kmsg.ElectLeadersResponse](t, h, v, &kmsg.ElectLeadersRequest{ElectionType: kind, Topics: asked, TimeoutMillis: 1000})
			want := [][]*protocol.Error{{protocol.ErrElectionNotNeeded, protocol.ErrUnknownTopicOrPartition}, {protocol.ErrUnknownTopicOrPartition}, {offline}, {}}
			if got.ErrorCode != 0 || len(got.Topics) != len(want) {
				t.Fatalf("%+v", got)
			}
			for n, errs := range want {
				if len(got.Topics[n].Partitions) != len(errs) {
					t.Fatalf("%+v", got.Topics[n])
				}
				for i, e := range errs {
					if p := got.Topics[n].Partitions[i]; p.ErrorCode != code(e) || p.ErrorMessage == nil {
						t.Errorf("election %d of %s: %+v, want %v", kind, got.Topics[n].Topic, p, e)
					}
				}
			}
			// Of all topics only the partitions that need a leader are named.
			all := ask[*kmsg.ElectLeadersResponse](t, h, v, &kmsg.ElectLeadersRequest{ElectionType: kind, TimeoutMillis: 1000})
			if len(all.Topics) != 2 || all.Topics[0].Topic != "a" || len(all.Topics[0].Partitions) != 0 ||
				all.Topics[1].Topic != "lost" || len(all.Topics[1].Partitions) != 1 || all.Topics[1].Partitions[0].ErrorCode != code(offline) {
				t.Errorf("%+v", all)
			}
			// Without time nothing is begun, unless there is nothing to do.
			for name, topics := range map[string][]kmsg.ElectLeadersRequestTopic{"all": nil, "some": asked[:1]} {
				late := ask[*kmsg.ElectLeadersResponse](t, h, v, &kmsg.ElectLeadersRequest{ElectionType: kind, Topics: topics})
				if v >= 1 && late.ErrorCode != code(protocol.ErrRequestTimedOut) || len(late.Topics) != len(topics) ||
					len(topics) == 1 && late.Topics[0].Partitions[1].ErrorCode != code(protocol.ErrRequestTimedOut) {
					t.Errorf("%s: %+v", name, late)
				}
			}
			if none := ask[*kmsg.ElectLeadersResponse](t, h, v, &kmsg.ElectLeadersRequest{ElectionType: kind, Topics: []kmsg.ElectLeadersRequestTopic{}}); none.ErrorCode != 0 || len(none.Topics) != 0 {
				t.Errorf("%+v", none)
			}
		}
		if v >= 1 {
			got := ask[*kmsg.ElectLeadersResponse](t, h, v, &kmsg.ElectLeadersRequest{ElectionType: 2, Topics: asked[:1], TimeoutMillis: 1000})
			if got.ErrorCode != code(protocol.ErrInvalidRequest) || got.Topics[0].Partitions[0].ErrorCode != got.ErrorCode {
				t.Errorf("%+v", got)
			}
		}
	})
}

func TestReassignmentsAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	create(t, h, "a", 1)
	versions(t, protocol.KeyAlterPartitionReassignments, func(t *testing.T, v int16) {
		got := ask[*kmsg.AlterPartitionAssignmentsResponse](t, h, v, &kmsg.AlterPartitionAssignmentsRequest{AllowReplicationFactorChange: true, Topics: []kmsg.AlterPartitionAssignmentsRequestTopic{
			{Topic: "a", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: 0, Replicas: []int32{1}}, {Partition: 0, Replicas: []int32{1, 2}}, {Partition: 0}, {Partition: 3, Replicas: []int32{1}}, {Partition: 0, Replicas: []int32{}}}},
			{Topic: "nope", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: 0}}},
		}})
		if got.ErrorCode != 0 || len(got.Topics) != 2 || v >= 1 && !got.AllowReplicationFactorChange {
			t.Fatalf("%+v", got)
		}
		for n, e := range []*protocol.Error{nil, protocol.ErrInvalidReplicaAssignment, protocol.ErrNoReassignmentInProgress, protocol.ErrUnknownTopicOrPartition, protocol.ErrInvalidReplicaAssignment} {
			if p := got.Topics[0].Partitions[n]; p.ErrorCode != code(e) || (e == nil || e == protocol.ErrNoReassignmentInProgress) != (p.ErrorMessage == nil) {
				t.Errorf("%d: %+v, want %v", n, p, e)
			}
		}
		if none := ask[*kmsg.AlterPartitionAssignmentsResponse](t, h, v, &kmsg.AlterPartitionAssignmentsRequest{}); none.ErrorMessage == nil || *none.ErrorMessage != "" || got.ErrorMessage != nil {
			t.Errorf("messages of a request for nothing and of another: %+v, %+v", none, got)
		}
		if got.Topics[1].Partitions[0].ErrorCode != code(protocol.ErrUnknownTopicOrPartition) {
			t.Errorf("%+v", got.Topics[1])
		}
	})
	versions(t, protocol.KeyListPartitionReassignments, func(t *testing.T, v int16) {
		for _, topics := range [][]kmsg.ListPartitionReassignmentsRequestTopic{nil, {{Topic: "a", Partitions: []int32{0}}, {Topic: "nope", Partitions: []int32{0}}}} {
			if got := ask[*kmsg.ListPartitionReassignmentsResponse](t, h, v, &kmsg.ListPartitionReassignmentsRequest{Topics: topics}); got.ErrorCode != 0 || got.ErrorMessage != nil || len(got.Topics) != 0 {
				t.Errorf("%+v", got)
			}
		}
	})
}

func TestDescribeUserScramCredentials(t *testing.T) {
	h := topicHandler(t)
	if got := ask[*kmsg.DescribeUserSCRAMCredentialsResponse](t, h, 0, &kmsg.DescribeUserSCRAMCredentialsRequest{}); got.ErrorCode != 0 || *got.ErrorMessage != "" || len(got.Results) != 0 {
		t.Errorf("%+v", got)
	}
	got := ask[*kmsg.DescribeUserSCRAMCredentialsResponse](t, h, 0, &kmsg.DescribeUserSCRAMCredentialsRequest{Users: []kmsg.DescribeUserSCRAMCredentialsRequestUser{{Name: "b"}, {Name: "a"}, {Name: "b"}}})
	if len(got.Results) != 2 || got.Results[0].User != "b" || got.Results[0].ErrorCode != code(protocol.ErrDuplicateResource) || got.Results[1].ErrorCode != code(protocol.ErrResourceNotFound) {
		t.Errorf("%+v", got)
	}
}

func TestDescribeQuorumAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	create(t, h, "a", 1)
	asking := func(topic string, partitions ...int32) *kmsg.DescribeQuorumRequest {
		t := kmsg.DescribeQuorumRequestTopic{Topic: topic}
		for _, index := range partitions {
			t.Partitions = append(t.Partitions, kmsg.DescribeQuorumRequestTopicPartition{Partition: index})
		}
		return &kmsg.DescribeQuorumRequest{Topics: []kmsg.DescribeQuorumRequestTopic{t}}
	}
	versions(t, protocol.KeyDescribeQuorum, func(t *testing.T, v int16) {
		end := h.Metadata.EndOffset()
		got := ask[*kmsg.DescribeQuorumResponse](t, h, v, asking("__cluster_metadata", 0))
		p := got.Topics[0].Partitions[0]
		if got.ErrorCode != 0 || p.ErrorCode != 0 || p.LeaderID != 1 || p.LeaderEpoch < 1 || p.HighWatermark != end || end < 2 || len(p.CurrentVoters) != 1 || len(p.Observers) != 0 {
			t.Fatalf("%+v", got)
		}
		voter := p.CurrentVoters[0]
		if voter.ReplicaID != 1 || voter.LogEndOffset != end || v >= 1 && time.Since(time.UnixMilli(voter.LastFetchTimestamp)) > time.Minute {
			t.Errorf("%+v", voter)
		}
		if v >= 2 && (len(got.Nodes) != 1 || got.Nodes[0].NodeID != 1 || *got.ErrorMessage != "" || *p.ErrorMessage != "") {
			t.Errorf("%+v", got)
		}
		create(t, h, fmt.Sprintf("t%d", v), 1)
		if again := ask[*kmsg.DescribeQuorumResponse](t, h, v, asking("__cluster_metadata", 0)); again.Topics[0].Partitions[0].HighWatermark != end+1 {
			t.Errorf("the log grew from %d, and the answer is %+v", end, again)
		}
		for _, other := range []*kmsg.DescribeQuorumRequest{asking("a", 0), asking("__cluster_metadata", 1), asking("__cluster_metadata", 0, 1)} {
			got := ask[*kmsg.DescribeQuorumResponse](t, h, v, other)
			for _, p := range got.Topics[0].Partitions {
				if p.ErrorCode != code(protocol.ErrUnknownTopicOrPartition) || len(p.CurrentVoters) != 0 {
					t.Errorf("%+v", got)
				}
			}
		}
	})
}

func TestUpdateFeaturesAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	update := func(name string, level int16, kind cluster.UpgradeType) *kmsg.UpdateFeaturesRequest {
		return &kmsg.UpdateFeaturesRequest{FeatureUpdates: []kmsg.UpdateFeaturesRequestFeatureUpdate{
			{Feature: name, MaxVersionLevel: level, AllowDowngrade: kind != cluster.Upgrade, UpgradeType: int8(kind)},
		}}
	}
	level := func() int16 { return h.Metadata.Image().FeatureLevel(cluster.GroupVersion) }
	versions(t, protocol.KeyUpdateFeatures, func(t *testing.T, v int16) {
		for _, refused := range []*kmsg.UpdateFeaturesRequest{update("nonsense", 1, cluster.Upgrade), update(cluster.GroupVersion, 2, cluster.Upgrade), update(cluster.GroupVersion, 0, cluster.Upgrade)} {
			got := ask[*kmsg.UpdateFeaturesResponse](t, h, v, refused)
			if got.ErrorCode != code(protocol.ErrInvalidUpdateVersion) || !strings.HasPrefix(*got.ErrorMessage, allFailed) || len(got.Results) != 0 {
				t.Errorf("%+v", got)
			}
		}
		down := update(cluster.GroupVersion, 0, cluster.SafeDowngrade)
		if down.ValidateOnly = true; v >= 1 {
			if got := ask[*kmsg.UpdateFeaturesResponse](t, h, v, down); got.ErrorCode != 0 || level() != 1 {
				t.Errorf("only validated: %+v, level %d", got, level())
			}
		}
		down.ValidateOnly = false
		got := ask[*kmsg.UpdateFeaturesResponse](t, h, v, down)
		if got.ErrorCode != 0 || got.ErrorMessage != nil || level() != 0 || (len(got.Results) == 1) != (v < 2) {
			t.Errorf("%+v, level %d", got, level())
		}
		if v < 2 && *got.Results[0].ErrorMessage != "NONE" {
			t.Errorf("%+v", got.Results)
		}
		if got := ask[*kmsg.UpdateFeaturesResponse](t, h, v, update(cluster.GroupVersion, 1, cluster.Upgrade)); got.ErrorCode != 0 || level() != 1 {
			t.Errorf("%+v, level %d", got, level())
		}
	})
}

// TestFeaturesReachClients: ApiVersions tells the levels of the moment under a
// rising epoch, and what is switched off is not served.
func TestFeaturesReachClients(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	told := func() (levels string, epoch int64) {
		in := kmsg.NewPtrApiVersionsRequest()
		in.ClientSoftwareName, in.ClientSoftwareVersion = "test", "1.0"
		r := b.ask(t, in, 4).(*kmsg.ApiVersionsResponse)
		for _, f := range r.FinalizedFeatures {
			levels += fmt.Sprintf("%s=%d ", f.Name, f.MaxVersionLevel)
		}
		if len(r.SupportedFeatures) != len(cluster.SupportedFeatures()) {
			t.Errorf("supported: %+v", r.SupportedFeatures)
		}
		return levels, r.FinalizedFeaturesEpoch
	}
	before, first := told()
	if before != "group.version=1 share.version=1 streams.version=1 transaction.version=2 " {
		t.Errorf("%s", before)
	}
	if err := b.Metadata.UpdateFeatures([]cluster.FeatureUpdate{{Name: cluster.GroupVersion, Level: 0, Type: cluster.SafeDowngrade}}, false); err != nil {
		t.Fatal(err)
	}
	if after, epoch := told(); after != "share.version=1 streams.version=1 transaction.version=2 " || epoch <= first {
		t.Errorf("%s at epoch %d after %d", after, epoch, first)
	}
	beat := ask[*kmsg.ConsumerGroupHeartbeatResponse](t, b.Handler, 1, &kmsg.ConsumerGroupHeartbeatRequest{Group: "g"})
	described := ask[*kmsg.ConsumerGroupDescribeResponse](t, b.Handler, 1, &kmsg.ConsumerGroupDescribeRequest{Groups: []string{"g"}})
	if unsupported := code(protocol.ErrUnsupportedVersion); beat.ErrorCode != unsupported || described.Groups[0].ErrorCode != unsupported || described.Groups[0].Group != "g" {
		t.Errorf("%+v, %+v", beat, described)
	}
}

func TestListConfigResourcesAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	create(t, h, "b", 1)
	create(t, h, "a", 1)
	set := func(resource cluster.ConfigResource, name, value string) {
		t.Helper()
		if err := h.Metadata.AlterConfigs(resource, []cluster.ConfigChange{{Op: cluster.OpSet, Name: name, Value: &value}}, false, false); err != nil {
			t.Fatal(err)
		}
	}
	set(cluster.ConfigResource{Group: "g"}, "consumer.session.timeout.ms", "50000")
	set(cluster.ConfigResource{Subscription: "s"}, "metrics", "*")
	list := func(t *testing.T, v int16, types ...int8) string {
		got := ask[*kmsg.ListConfigResourcesResponse](t, h, v, &kmsg.ListConfigResourcesRequest{ResourceTypes: types})
		var names []string
		for _, r := range got.ConfigResources {
			names = append(names, fmt.Sprintf("%d:%s", r.Type, r.Name))
		}
		return strings.TrimSpace(fmt.Sprintf("%s %d", strings.Join(names, " "), got.ErrorCode))
	}
	versions(t, protocol.KeyListConfigResources, func(t *testing.T, v int16) {
		all := "16:s 0"
		if v >= 1 {
			all = "32:g 16:s 8:1 4:1 2:a 2:b 0"
			if got := list(t, v, 2, 8); got != "8:1 2:a 2:b 0" {
				t.Error(got)
			}
			if got := list(t, v, 2, 64); got != fmt.Sprint(protocol.ErrUnsupportedVersion.Code) {
				t.Error(got)
			}
		}
		if got := list(t, v); got != all {
			t.Errorf("%s, want %s", got, all)
		}
	})
}

func TestBrokerLoggers(t *testing.T) {
	h := topicHandler(t)
	var out bytes.Buffer
	lines := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})
	h.Loggers = loglevel.New(loglevel.Info, loglevel.Debug)
	log := h.Loggers.Logger("fluxmq.group", lines)
	h.Loggers.Logger("fluxmq.server", lines)
	logger := kmsg.ConfigResourceTypeBrokerLogger
	describe := func(name string, names ...string) (string, int16) {
		got := ask[*kmsg.DescribeConfigsResponse](t, h, 4, &kmsg.DescribeConfigsRequest{IncludeSynonyms: true, Resources: []kmsg.DescribeConfigsRequestResource{{ResourceType: logger, ResourceName: name, ConfigNames: names}}})
		var levels []string
		for _, c := range got.Resources[0].Configs {
			if c.ReadOnly || c.IsSensitive || c.Source != kmsg.ConfigSourceDynamicBrokerLoggerConfig {
				t.Errorf("%+v", c)
			}
			levels = append(levels, c.Name+"="+*c.Value)
		}
		return strings.Join(levels, " "), got.Resources[0].ErrorCode
	}
	type change = kmsg.IncrementalAlterConfigsRequestResourceConfig
	set := func(name, level string) change { return change{Name: name, Value: &level} }
	unset := func(name string) change { return change{Name: name, Op: kmsg.IncrementalAlterConfigOpDelete} }
	for _, step := range []struct {
		why     string
		changes []change
		only    bool
		err     *protocol.Error
		want    string
	}{
		{"as it began", nil, false, nil, "fluxmq.group=INFO fluxmq.server=INFO root=INFO"},
		{"one logger", []change{set("fluxmq.group", "DEBUG")}, false, nil, "fluxmq.group=DEBUG fluxmq.server=INFO root=INFO"},
		{"the root", []change{set("root", "ERROR")}, false, nil, "fluxmq.group=DEBUG fluxmq.server=ERROR root=ERROR"},
		{"validated only", []change{set("root", "INFO")}, true, nil, "fluxmq.group=DEBUG fluxmq.server=ERROR root=ERROR"},
		{"a level in small letters", []change{set("root", "info")}, false, protocol.ErrInvalidConfig, ""},
		{"no level", []change{set("root", "OFF")}, false, protocol.ErrInvalidConfig, ""},
		{"a level that nothing shows", []change{set("root", "TRACE")}, false, protocol.ErrInvalidConfig, ""},
		{"no logger", []change{set("fluxmq.kitchen", "INFO")}, false, protocol.ErrInvalidConfig, ""},
		{"one bad, none done", []change{set("root", "INFO"), set("fluxmq.kitchen", "INFO")}, false, protocol.ErrInvalidConfig, ""},
		{"twice", []change{set("root", "INFO"), set("root", "WARN")}, false, protocol.ErrInvalidRequest, ""},
		{"the root without a level", []change{unset("root")}, false, protocol.ErrInvalidRequest, ""},
		{"no logger without a level", []change{unset("fluxmq.kitchen")}, false, protocol.ErrInvalidConfig, ""},
		{"no value", []change{{Name: "root"}}, false, protocol.ErrInvalidRequest, ""},
		{"no list", []change{{Name: "root", Op: kmsg.IncrementalAlterConfigOpAppend, Value: ref("INFO")}}, false, protocol.ErrInvalidRequest, ""},
		{"back to the root", []change{unset("fluxmq.group"), set("root", "WARN")}, false, nil, "fluxmq.group=WARN fluxmq.server=WARN root=WARN"},
	} {
		got := ask[*kmsg.IncrementalAlterConfigsResponse](t, h, 1, &kmsg.IncrementalAlterConfigsRequest{ValidateOnly: step.only, Resources: []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: logger, ResourceName: "1", Configs: step.changes}}})
		if got.Resources[0].ErrorCode != code(step.err) {
			t.Errorf("%s: %+v, want %v", step.why, got.Resources[0], step.err)
		}
		if levels, _ := describe("1"); step.err == nil && levels != step.want {
			t.Errorf("%s: %s, want %s", step.why, levels, step.want)
		}
		if step.why == "one logger" {
			if log.Debug("shown"); !strings.Contains(out.String(), "shown") {
				t.Error("the level is told and does nothing")
			}
		}
	}
	if levels, _ := describe("1", "root", "nope"); levels != "root=WARN" {
		t.Errorf("one by name: %s", levels)
	}
	for _, name := range []string{"", "2", "x"} {
		if _, got := describe(name); got != code(protocol.ErrInvalidRequest) {
			t.Errorf("loggers of %q: error %d", name, got)
		}
		altered := ask[*kmsg.IncrementalAlterConfigsResponse](t, h, 1, &kmsg.IncrementalAlterConfigsRequest{Resources: []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: logger, ResourceName: name}}})
		if altered.Resources[0].ErrorCode != code(protocol.ErrInvalidRequest) {
			t.Errorf("loggers of %q: %+v", name, altered)
		}
	}
}

// TestTelemetry is one client's conversation by its requests; what the rules
// are is the telemetry room's to test.
func TestTelemetry(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.Telemetry = telemetry.New(telemetry.Options{MaxBytes: 1000})
	b.Prepare()
	subscribe := ask[*kmsg.IncrementalAlterConfigsResponse](t, b.Handler, 1, &kmsg.IncrementalAlterConfigsRequest{Resources: []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeClientMetrics, ResourceName: "s", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "interval.ms", Value: ref("100")}, {Name: "metrics", Value: ref("org.apache.kafka.")}, {Name: "match", Value: ref("client_software_name=test")}},
	}}})
	if subscribe.Resources[0].ErrorCode != 0 {
		t.Fatalf("%+v", subscribe.Resources[0])
	}
	b.Telemetry.SetSubscriptions(map[string]*config.ClientMetrics{"s": b.Metadata.Image().Subscriptions["s"].Config})

	r := &Request{Peer: "/10.1.2.3", PeerPort: "9", Connection: 3}
	serve := func(in kmsg.Request) kmsg.Response {
		t.Helper()
		b.out.Reset()
		r.Header = protocol.Header{Key: in.Key(), Version: in.MaxVersion(), CorrelationID: 7, ClientID: []byte("c")}
		in.SetVersion(r.Version)
		r.Body = in.AppendTo(nil)
		b.Serve(context.Background(), r, &b.out)
		if b.out.Close != nil {
			t.Fatal(b.out.Close)
		}
		out := in.ResponseKind()
		if err := out.ReadFrom(b.out.Bytes[9:]); err != nil { // behind length, correlation id and no tags
			t.Fatal(err)
		}
		return out
	}
	hello := kmsg.NewPtrApiVersionsRequest()
	hello.ClientSoftwareName, hello.ClientSoftwareVersion = "test", "1.0"
	told := b.ask(t, hello, 4).(*kmsg.ApiVersionsResponse)
	if len(told.ApiKeys) != len(protocol.APIs()) {
		t.Errorf("%d APIs of %d are told", len(told.ApiKeys), len(protocol.APIs()))
	}
	r.SoftwareName, r.SoftwareVersion = "test", "1.0" // as ApiVersions leaves it; see TestSoftwareStaysWithTheConnection

	granted := serve(kmsg.NewPtrGetTelemetrySubscriptionsRequest()).(*kmsg.GetTelemetrySubscriptionsResponse)
	if granted.ErrorCode != 0 || granted.ClientInstanceID == [16]byte{} || granted.PushIntervalMillis != 100 || granted.TelemetryMaxBytes != 1000 || !granted.DeltaTemporality ||
		!slices.Equal(granted.RequestedMetrics, []string{"org.apache.kafka."}) || !slices.Equal(granted.AcceptedCompressionTypes, []int8{4, 3, 1, 2}) {
		t.Fatalf("%+v", granted)
	}
	push := kmsg.NewPtrPushTelemetryRequest()
	push.ClientInstanceID, push.SubscriptionID, push.Metrics = granted.ClientInstanceID, granted.SubscriptionID+1, make([]byte, 3)
	if got := serve(push).(*kmsg.PushTelemetryResponse); got.ErrorCode != code(protocol.ErrUnknownSubscriptionID) {
		t.Errorf("%+v", got)
	}
	again := kmsg.NewPtrGetTelemetrySubscriptionsRequest()
	again.ClientInstanceID = granted.ClientInstanceID
	if got := serve(again).(*kmsg.GetTelemetrySubscriptionsResponse); got.ErrorCode != 0 || got.SubscriptionID != granted.SubscriptionID {
		t.Errorf("%+v", got)
	}
	b.Telemetry.Disconnected(3)
	push.SubscriptionID, push.Metrics = granted.SubscriptionID, make([]byte, 1001)
	if got := serve(push).(*kmsg.PushTelemetryResponse); got.ErrorCode != code(protocol.ErrTelemetryTooLarge) {
		t.Errorf("%+v", got)
	}
	b.Telemetry = nil
	b.out.Reset()
	r.Header = protocol.Header{Key: protocol.KeyPushTelemetry, CorrelationID: 7}
	r.Body = push.AppendTo(nil)
	if b.Serve(context.Background(), r, &b.out); b.out.Close == nil {
		t.Error("a push is served where nobody can see it")
	}
}

// TestSoftwareStaysWithTheConnection: what ApiVersions told is there for the
// requests after it, and a bad name is not taken.
func TestSoftwareStaysWithTheConnection(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	r := &Request{}
	say := func(name string, version int16) {
		t.Helper()
		in := kmsg.NewPtrApiVersionsRequest()
		in.Version, in.ClientSoftwareName, in.ClientSoftwareVersion = version, name, "1.0"
		r.Header = protocol.Header{Key: protocol.KeyApiVersions, Version: version, CorrelationID: 7}
		r.Body = in.AppendTo(nil)
		b.out.Reset()
		b.Serve(context.Background(), r, &b.out)
	}
	for _, c := range []struct {
		name    string
		version int16
		want    string
	}{{"old", 2, ""}, {"not a name", 3, ""}, {"first", 3, "first"}, {"second", 4, "second"}, {"", 4, "second"}} {
		if say(c.name, c.version); r.SoftwareName != c.want {
			t.Errorf("%q in version %d leaves %q, want %q", c.name, c.version, r.SoftwareName, c.want)
		}
	}
}
