package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/protocol"
)

// testImage is a cluster of node 1 with topics a (2 partitions), b.c and __consumer_offsets.
func testImage(t *testing.T, overrides ...string) *Image {
	t.Helper()
	settings, _, err := config.Load(config.Sources{Overrides: append([]string{"node.id=1"}, overrides...)})
	if err != nil {
		t.Fatal(err)
	}
	image, err := (&Image{
		Node: thisBroker(settings), Settings: settings,
		Topics: map[string]*Topic{}, ByID: map[[16]byte]*Topic{}, collisions: map[string]string{},
	}).apply([]Change{
		{Kind: clusterFormed, ClusterID: "test"},
		{Kind: topicCreated, Topic: "a", ID: encodeID([16]byte{1}), Partitions: 2, Configs: map[string]string{"retention.ms": "5"}},
		{Kind: topicCreated, Topic: "b.c", ID: encodeID([16]byte{2}), Partitions: 1},
		{Kind: topicCreated, Topic: OffsetsTopic, ID: encodeID([16]byte{3}), Partitions: 50, Internal: true},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// counter gives ids 10, 11, …
func counter() func() [16]byte {
	n := byte(9)
	return func() [16]byte { n++; return [16]byte{n} }
}

func TestCreateTopics(t *testing.T) {
	image := testImage(t, "num.partitions=7", "default.replication.factor=3")
	for _, test := range []struct {
		why  string
		new  NewTopic
		want *protocol.Error
	}{
		{"a plain topic", NewTopic{Name: "n", Partitions: 3, Replicas: 1}, nil},
		{"defaults, held to one node", NewTopic{Name: "n", Partitions: -1, Replicas: -1}, nil},
		{"exists", NewTopic{Name: "a", Partitions: 1, Replicas: 1}, protocol.ErrTopicAlreadyExists},
		{"collides with b.c", NewTopic{Name: "b_c", Partitions: 1, Replicas: 1}, protocol.ErrInvalidTopicException},
		{"b-c does not collide", NewTopic{Name: "b-c", Partitions: 1, Replicas: 1}, nil},
		{"empty name", NewTopic{Name: "", Partitions: 1, Replicas: 1}, protocol.ErrInvalidTopicException},
		{"dot", NewTopic{Name: ".", Partitions: 1, Replicas: 1}, protocol.ErrInvalidTopicException},
		{"dots", NewTopic{Name: "..", Partitions: 1, Replicas: 1}, protocol.ErrInvalidTopicException},
		{"three dots are a name", NewTopic{Name: "...", Partitions: 1, Replicas: 1}, nil},
		{"a slash would leave the directory", NewTopic{Name: "../x", Partitions: 1, Replicas: 1}, protocol.ErrInvalidTopicException},
		{"a letter beyond ASCII", NewTopic{Name: "größe", Partitions: 1, Replicas: 1}, protocol.ErrInvalidTopicException},
		{"249 characters", NewTopic{Name: strings.Repeat("x", 249), Partitions: 1, Replicas: 1}, nil},
		{"250 characters", NewTopic{Name: strings.Repeat("x", 250), Partitions: 1, Replicas: 1}, protocol.ErrInvalidTopicException},
		{"no partitions", NewTopic{Name: "n", Partitions: 0, Replicas: 1}, protocol.ErrInvalidPartitions},
		{"fewer than none", NewTopic{Name: "n", Partitions: -2, Replicas: 1}, protocol.ErrInvalidPartitions},
		{"beyond the bound", NewTopic{Name: "n", Partitions: MaxPartitionsPerRequest + 1, Replicas: 1}, protocol.ErrPolicyViolation},
		{"no replicas", NewTopic{Name: "n", Partitions: 1, Replicas: 0}, protocol.ErrInvalidReplicationFactor},
		{"more replicas than nodes", NewTopic{Name: "n", Partitions: 1, Replicas: 2}, protocol.ErrInvalidReplicationFactor},
		{"unknown setting", NewTopic{Name: "n", Partitions: 1, Replicas: 1, Configs: map[string]string{"x": "1"}}, protocol.ErrInvalidConfig},
		{"bad value", NewTopic{Name: "n", Partitions: 1, Replicas: 1, Configs: map[string]string{"retention.ms": "x"}}, protocol.ErrInvalidConfig},
		{"by hand", NewTopic{Name: "n", Partitions: -1, Replicas: -1, Assignment: map[int32][]int32{0: {1}, 1: {1}}}, nil},
		{"by hand with a count", NewTopic{Name: "n", Partitions: 1, Replicas: -1, Assignment: map[int32][]int32{0: {1}}}, protocol.ErrInvalidRequest},
		{"by hand with a gap", NewTopic{Name: "n", Partitions: -1, Replicas: -1, Assignment: map[int32][]int32{0: {1}, 2: {1}}}, protocol.ErrInvalidReplicaAssignment},
		{"by hand on another node", NewTopic{Name: "n", Partitions: -1, Replicas: -1, Assignment: map[int32][]int32{0: {2}}}, protocol.ErrInvalidReplicaAssignment},
		{"by hand twice on this node", NewTopic{Name: "n", Partitions: -1, Replicas: -1, Assignment: map[int32][]int32{0: {1, 1}}}, protocol.ErrInvalidReplicaAssignment},
		{"by hand nowhere", NewTopic{Name: "n", Partitions: -1, Replicas: -1, Assignment: map[int32][]int32{0: {}}}, protocol.ErrInvalidReplicaAssignment},
		{"the broker's own name", NewTopic{Name: "__transaction_state", Partitions: 1, Replicas: 1}, protocol.ErrInvalidRequest},
		{"underscores are free", NewTopic{Name: "__connect-offsets", Partitions: 1, Replicas: 1, Configs: map[string]string{"cleanup.policy": "compact"}}, nil},
	} {
		t.Run(test.why, func(t *testing.T) {
			changes, topics, errs := createTopics(image, []NewTopic{test.new}, counter())
			if protocol.CodeOf(errs[0]) != protocol.CodeOf(errorOrNil(test.want)) {
				t.Fatalf("got %v, want %v", errs[0], test.want)
			}
			if (test.want == nil) != (len(changes) == 1) || (test.want == nil) != (topics[0] != nil) {
				t.Fatalf("changes %v, topics %v", changes, topics)
			}
			if test.want != nil {
				return
			}
			after, err := image.apply(changes, nil)
			if err != nil {
				t.Fatal(err)
			}
			made := after.Topics[test.new.Name]
			if made == nil || after.ByID[made.ID] != made || made.Partitions != topics[0].Partitions || image.Topics[test.new.Name] != nil {
				t.Fatalf("made %+v", made)
			}
		})
	}
	_, topics, _ := createTopics(image, []NewTopic{{Name: "n", Partitions: -1, Replicas: -1}}, counter())
	if topics[0].Partitions != 7 {
		t.Errorf("num.partitions is not followed: %d", topics[0].Partitions)
	}
}

func errorOrNil(e *protocol.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// TestCreateTopicsSeeEachOther: one command's topics are judged with those before them.
func TestCreateTopicsSeeEachOther(t *testing.T) {
	image := testImage(t)
	_, _, errs := createTopics(image, []NewTopic{
		{Name: "x.y", Partitions: 1, Replicas: 1}, {Name: "x_y", Partitions: 1, Replicas: 1}, {Name: "x.y", Partitions: 1, Replicas: 1},
		{Name: "big", Partitions: MaxPartitionsPerRequest - 1, Replicas: 1}, {Name: "more", Partitions: 1, Replicas: 1},
	}, counter())
	want := []error{nil, protocol.ErrInvalidTopicException, protocol.ErrTopicAlreadyExists, nil, protocol.ErrPolicyViolation}
	for n := range want {
		if protocol.CodeOf(errs[n]) != protocol.CodeOf(want[n]) {
			t.Errorf("%d: got %v, want %v", n, errs[n], want[n])
		}
	}
	// An id that is taken or reserved is drawn again.
	ids := [][16]byte{{}, {15: 1}, {1}, {42}}
	_, topics, _ := createTopics(image, []NewTopic{{Name: "n", Partitions: 1, Replicas: 1}}, func() [16]byte {
		id := ids[0]
		ids = ids[1:]
		return id
	})
	if topics[0].ID != ([16]byte{42}) {
		t.Errorf("id %v", topics[0].ID)
	}
}

func TestGrowAndDelete(t *testing.T) {
	image := testImage(t)
	for _, test := range []struct {
		topic string
		total int32
		want  *protocol.Error
	}{
		{"a", 3, nil},
		{"a", 2, protocol.ErrInvalidPartitions},
		{"a", 1, protocol.ErrInvalidPartitions},
		{"a", -1, protocol.ErrInvalidPartitions},
		{"a", 2 + MaxPartitionsPerRequest, nil},
		{"a", 3 + MaxPartitionsPerRequest, protocol.ErrPolicyViolation},
		{"absent", 3, protocol.ErrUnknownTopicOrPartition},
		{OffsetsTopic, 60, protocol.ErrPolicyViolation},
	} {
		changes, err := createPartitions(image, test.topic, test.total)
		if protocol.CodeOf(err) != protocol.CodeOf(errorOrNil(test.want)) {
			t.Errorf("%s to %d: got %v, want %v", test.topic, test.total, err, test.want)
		}
		if after, applyErr := image.apply(changes, nil); err == nil && (applyErr != nil || after.Topics["a"].Partitions != test.total) {
			t.Errorf("%s to %d: %v", test.topic, test.total, applyErr)
		}
	}
	changes, err := deleteTopic(image.Topics["b.c"], "b.c")
	if err != nil {
		t.Fatal(err)
	}
	deleted := map[[16]byte]bool{}
	after, err := image.apply(changes, deleted)
	if err != nil || after.Topics["b.c"] != nil || after.ByID[[16]byte{2}] != nil || !deleted[[16]byte{2}] || image.Topics["b.c"] == nil {
		t.Errorf("deletion: %v", err)
	}
	if _, _, errs := createTopics(after, []NewTopic{{Name: "b_c", Partitions: 1, Replicas: 1}}, counter()); errs[0] != nil {
		t.Errorf("the name is still taken: %v", errs[0])
	}
	if _, err := deleteTopic(nil, "x"); !errors.Is(err, protocol.ErrUnknownTopicOrPartition) {
		t.Error(err)
	}
	if _, err := deleteTopic(image.Topics[OffsetsTopic], OffsetsTopic); !errors.Is(err, protocol.ErrPolicyViolation) {
		t.Error(err)
	}
}

func text(s string) *string { return &s }

func TestAlterConfigs(t *testing.T) {
	for _, test := range []struct {
		why      string
		resource ConfigResource
		changes  []ConfigChange
		replace  bool
		want     string // what is set afterwards
		err      *protocol.Error
	}{
		{"set", ConfigResource{Topic: "a"}, []ConfigChange{{OpSet, "segment.ms", text("9")}}, false, "retention.ms=5 segment.ms=9", nil},
		{"delete", ConfigResource{Topic: "a"}, []ConfigChange{{OpDelete, "retention.ms", nil}}, false, "", nil},
		{"delete what is not set", ConfigResource{Topic: "a"}, []ConfigChange{{OpDelete, "segment.ms", nil}}, false, "retention.ms=5", nil},
		{"append begins at the default", ConfigResource{Topic: "a"}, []ConfigChange{{OpAppend, "cleanup.policy", text("compact")}}, false, "cleanup.policy=delete,compact retention.ms=5", nil},
		{"append what is there", ConfigResource{Topic: "a"}, []ConfigChange{{OpAppend, "cleanup.policy", text("delete")}}, false, "cleanup.policy=delete retention.ms=5", nil},
		{"subtract", ConfigResource{Topic: "a"}, []ConfigChange{{OpSubtract, "cleanup.policy", text("delete")}}, false, "cleanup.policy= retention.ms=5", nil},
		{"append to a number", ConfigResource{Topic: "a"}, []ConfigChange{{OpAppend, "retention.ms", text("1")}}, false, "", protocol.ErrInvalidConfig},
		{"append nonsense", ConfigResource{Topic: "a"}, []ConfigChange{{OpAppend, "cleanup.policy", text("x")}}, false, "", protocol.ErrInvalidConfig},
		{"a key twice", ConfigResource{Topic: "a"}, []ConfigChange{{OpSet, "segment.ms", text("9")}, {OpDelete, "segment.ms", nil}}, false, "", protocol.ErrInvalidRequest},
		{"no value", ConfigResource{Topic: "a"}, []ConfigChange{{OpSet, "segment.ms", nil}}, false, "", protocol.ErrInvalidRequest},
		{"no such operation", ConfigResource{Topic: "a"}, []ConfigChange{{7, "segment.ms", text("1")}}, false, "", protocol.ErrUnknownServerError},
		{"unknown key", ConfigResource{Topic: "a"}, []ConfigChange{{OpSet, "x", text("9")}}, false, "", protocol.ErrInvalidConfig},
		{"bad value", ConfigResource{Topic: "a"}, []ConfigChange{{OpSet, "segment.ms", text("0")}}, false, "", protocol.ErrInvalidConfig},
		{"not built", ConfigResource{Topic: "a"}, []ConfigChange{{OpSet, "segment.jitter.ms", text("1")}}, false, "", protocol.ErrInvalidConfig},
		{"one bad, none done", ConfigResource{Topic: "a"}, []ConfigChange{{OpSet, "segment.ms", text("9")}, {OpSet, "x", text("9")}}, false, "", protocol.ErrInvalidConfig},
		{"lags against each other", ConfigResource{Topic: "a"}, []ConfigChange{{OpSet, "min.compaction.lag.ms", text("9")}, {OpSet, "max.compaction.lag.ms", text("8")}}, false, "", protocol.ErrInvalidConfig},
		{"replace drops the rest", ConfigResource{Topic: "a"}, []ConfigChange{{OpSet, "segment.ms", text("9")}}, true, "segment.ms=9", nil},
		{"replace by nothing", ConfigResource{Topic: "a"}, nil, true, "", nil},
		{"unknown topic", ConfigResource{Topic: "zz"}, nil, true, "", protocol.ErrUnknownTopicOrPartition},
		{"broker setting", ConfigResource{}, []ConfigChange{{OpSet, "log.retention.ms", text("9")}}, false, "log.retention.ms=9", nil},
		{"of every broker", ConfigResource{EveryNode: true}, []ConfigChange{{OpSet, "message.max.bytes", text("9")}}, false, "message.max.bytes=9", nil},
		{"only at start", ConfigResource{}, []ConfigChange{{OpSet, "num.partitions", text("9")}}, false, "", protocol.ErrInvalidRequest},
		{"without effect", ConfigResource{}, []ConfigChange{{OpSet, "num.io.threads", text("9")}}, false, "", protocol.ErrInvalidRequest},
		{"not a broker setting", ConfigResource{}, []ConfigChange{{OpSet, "retention.ms", text("9")}}, false, "", protocol.ErrInvalidRequest},
		{"a broker's bad value", ConfigResource{}, []ConfigChange{{OpSet, "log.retention.ms", text("soon")}}, false, "", protocol.ErrInvalidRequest},
		{"outside the broker's own bounds", ConfigResource{EveryNode: true}, []ConfigChange{{OpSet, "group.consumer.assignment.interval.ms", text("15001")}}, false, "", protocol.ErrInvalidRequest},
		{"a default that contradicts a topic", ConfigResource{}, []ConfigChange{{OpSet, "log.cleaner.min.compaction.lag.ms", text("9")}, {OpSet, "log.cleaner.max.compaction.lag.ms", text("8")}}, false, "", protocol.ErrInvalidRequest},
		{"append to a broker's list", ConfigResource{}, []ConfigChange{{OpAppend, "log.cleanup.policy", text("compact")}}, false, "log.cleanup.policy=delete,compact", nil},
		{"of client metrics", ConfigResource{Subscription: "s"}, []ConfigChange{{OpSet, "interval.ms", text("100")}, {OpAppend, "metrics", text("a,b")}}, false, "interval.ms=100 metrics=a,b", nil},
		{"not a setting of client metrics", ConfigResource{Subscription: "s"}, []ConfigChange{{OpSet, "retention.ms", text("9")}}, false, "", protocol.ErrInvalidRequest},
		{"an interval out of bounds", ConfigResource{Subscription: "s"}, []ConfigChange{{OpSet, "interval.ms", text("9")}}, false, "", protocol.ErrInvalidRequest},
		{"an interval that is no number", ConfigResource{Subscription: "s"}, []ConfigChange{{OpSet, "interval.ms", text("soon")}}, false, "", protocol.ErrInvalidConfig},
		{"a pattern that is none", ConfigResource{Subscription: "s"}, []ConfigChange{{OpSet, "match", text("client_id=(")}}, false, "", protocol.ErrInvalidConfig},
		{"of a group", ConfigResource{Group: "g"}, []ConfigChange{{OpSet, "consumer.session.timeout.ms", text("50000")}}, false, "consumer.session.timeout.ms=50000", nil},
		{"not a setting of groups", ConfigResource{Group: "g"}, []ConfigChange{{OpSet, "retention.ms", text("9")}}, false, "", protocol.ErrInvalidConfig},
		{"outside the broker's bounds", ConfigResource{Group: "g"}, []ConfigChange{{OpSet, "consumer.session.timeout.ms", text("1")}}, false, "", protocol.ErrInvalidConfig},
	} {
		t.Run(test.why, func(t *testing.T) {
			image := testImage(t)
			changes, err := alterConfigs(image, test.resource, test.changes, test.replace)
			if protocol.CodeOf(err) != protocol.CodeOf(errorOrNil(test.err)) {
				t.Fatalf("got %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			after, err := image.apply(changes, nil)
			if err != nil {
				t.Fatal(err)
			}
			var values map[string]string
			switch {
			case test.resource.Topic != "":
				values = after.Topics[test.resource.Topic].Overrides
			case test.resource.Group != "":
				values = after.Groups[test.resource.Group].Overrides
			case test.resource.Subscription != "":
				values = after.Subscriptions[test.resource.Subscription].Overrides
			case test.resource.EveryNode:
				values = after.ClusterConfigs
			default:
				values = after.NodeConfigs
			}
			var set []string
			for key, value := range values {
				set = append(set, key+"="+value)
			}
			slices.Sort(set)
			if got := strings.Join(set, " "); got != test.want {
				t.Fatalf("set: %q, want %q", got, test.want)
			}
		})
	}
}

// TestBrokerSettingsReachTopics: topics without an override follow, others keep their pointer.
func TestBrokerSettingsReachTopics(t *testing.T) {
	image := testImage(t)
	changes, err := alterConfigs(image, ConfigResource{}, []ConfigChange{{OpSet, "log.retention.ms", text("77")}}, false)
	if err != nil {
		t.Fatal(err)
	}
	after, err := image.apply(changes, nil)
	if err != nil {
		t.Fatal(err)
	}
	if after.Topics["a"] != image.Topics["a"] {
		t.Error("a has its own retention.ms; nothing of it changed")
	}
	if got := after.Topics["b.c"].Config.Retention.Milliseconds(); got != 77 {
		t.Errorf("b.c follows the broker: %d", got)
	}
	if after.ByID[[16]byte{2}] != after.Topics["b.c"] || image.Topics["b.c"].Config.Retention.Milliseconds() == 77 {
		t.Error("the images are mixed up")
	}
	same, err := alterConfigs(after, ConfigResource{}, []ConfigChange{{OpSet, "log.retention.ms", text("77")}}, false)
	if err != nil || len(same) != 0 {
		t.Errorf("an alteration that changes nothing: %v %v", same, err)
	}
}

// TestGroupConfigs: a group is known by its settings alone, and forgotten with
// the last. Bounds of the broker that became narrower do not stop it from
// starting: the group then has the broker's settings.
func TestGroupConfigs(t *testing.T) {
	image := testImage(t)
	alter := func(image *Image, change ConfigChange) *Image {
		t.Helper()
		changes, err := alterConfigs(image, ConfigResource{Group: "g"}, []ConfigChange{change}, false)
		if err != nil {
			t.Fatal(err)
		}
		after, err := image.apply(changes, nil)
		if err != nil {
			t.Fatal(err)
		}
		return after
	}
	set := alter(image, ConfigChange{OpSet, "consumer.session.timeout.ms", text("50000")})
	if g := set.Groups["g"]; g == nil || g.Config.ConsumerSessionTimeout != 50*time.Second || g.Config.ConsumerHeartbeatInterval != 5*time.Second {
		t.Errorf("%+v", g)
	}
	if len(image.Groups) != 0 || set.TopicsVersion != image.TopicsVersion {
		t.Error("the image before was changed, or the topics were")
	}
	narrower := testImage(t, "group.consumer.max.session.timeout.ms=46000")
	after, err := narrower.apply([]Change{{Kind: groupConfigsAltered, Group: "g", Configs: set.Groups["g"].Overrides}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if g := after.Groups["g"]; g == nil || g.Overrides["consumer.session.timeout.ms"] != "50000" || g.Config.ConsumerSessionTimeout != 45*time.Second {
		t.Errorf("%+v", g)
	}
	if gone := alter(set, ConfigChange{OpDelete, "consumer.session.timeout.ms", nil}); len(gone.Groups) != 0 {
		t.Errorf("%+v", gone.Groups)
	}
}

// TestTopicsVersion rises with what consumer groups must notice, and only then.
func TestTopicsVersion(t *testing.T) {
	image := testImage(t)
	for _, c := range []struct {
		change Change
		rises  bool
	}{
		{Change{Kind: topicCreated, Topic: "new", ID: encodeID([16]byte{9}), Partitions: 1}, true},
		{Change{Kind: partitionsAdded, Topic: "a", ID: encodeID([16]byte{1}), Partitions: 3}, true},
		{Change{Kind: topicConfigsAltered, Topic: "a", ID: encodeID([16]byte{1})}, false},
		{Change{Kind: topicDeleted, Topic: "a", ID: encodeID([16]byte{1})}, true},
		{Change{Kind: producerIDsReserved, NextProducerID: 7}, false},
	} {
		after, err := image.apply([]Change{c.change}, map[[16]byte]bool{})
		if err != nil || (after.TopicsVersion > image.TopicsVersion) != c.rises {
			t.Errorf("%s: version %d after %d (%v)", c.change.Kind, after.TopicsVersion, image.TopicsVersion, err)
		}
		image = after
	}
}

func TestApplyRefusesWhatDoesNotFit(t *testing.T) {
	id := encodeID([16]byte{1})
	for _, c := range []Change{
		{Kind: "topic_renamed"},
		{Kind: clusterFormed, ClusterID: "other"},
		{Kind: topicCreated, Topic: "new", ID: id, Partitions: 1},
		{Kind: topicCreated, Topic: "a", ID: encodeID([16]byte{9}), Partitions: 1},
		{Kind: topicCreated, Topic: "new", ID: encodeID([16]byte{9})},
		{Kind: topicCreated, Topic: "new", ID: "short", Partitions: 1},
		{Kind: topicCreated, Topic: "new", ID: encodeID([16]byte{}), Partitions: 1},
		{Kind: topicDeleted, Topic: "new", ID: encodeID([16]byte{9})},
		{Kind: partitionsAdded, Topic: "a", ID: id, Partitions: 2},
		{Kind: topicConfigsAltered, Topic: "a", ID: id, Configs: map[string]string{"x": "y"}},
		{Kind: clientMetricsAltered, Subscription: "s", Configs: map[string]string{"interval.ms": "1"}},
	} {
		if _, err := testImage(t).apply([]Change{c}, nil); err == nil {
			t.Errorf("%s is applied", fmt.Sprintf("%+v", c))
		}
	}
}
