package cluster

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/config"
	"fluxmq/broker/protocol"
)

func TestUpdateFeatures(t *testing.T) {
	for _, c := range []struct {
		why     string
		updates []FeatureUpdate
		levels  string // of group.version and transaction.version afterwards; "" is refused
		epoch   int64
	}{
		{"nothing", nil, "1 2", 0},
		{"the level that it has", []FeatureUpdate{{GroupVersion, 1, Upgrade}}, "1 2", 0},
		{"off", []FeatureUpdate{{GroupVersion, 0, SafeDowngrade}}, "0 2", 1},
		{"down, whatever it costs", []FeatureUpdate{{TransactionVersion, 1, UnsafeDowngrade}}, "1 1", 1},
		{"two at once", []FeatureUpdate{{TransactionVersion, 0, SafeDowngrade}, {GroupVersion, 0, SafeDowngrade}}, "0 0", 1},
		{"the last of one counts", []FeatureUpdate{{GroupVersion, 9, Upgrade}, {GroupVersion, 0, SafeDowngrade}}, "0 2", 1},
		{"down by an upgrade", []FeatureUpdate{{GroupVersion, 0, Upgrade}}, "", 0},
		{"the level that it has, by a downgrade", []FeatureUpdate{{TransactionVersion, 2, SafeDowngrade}, {GroupVersion, 1, UnsafeDowngrade}}, "1 2", 0},
		{"beyond the highest", []FeatureUpdate{{GroupVersion, 2, Upgrade}}, "", 0},
		{"below 0", []FeatureUpdate{{GroupVersion, -1, SafeDowngrade}}, "", 0},
		{"a feature that is not here", []FeatureUpdate{{"metadata.version", 30, Upgrade}}, "", 0},
		{"the end of a feature that is not here", []FeatureUpdate{{"nonsense", 0, SafeDowngrade}}, "", 0},
		{"no upgrade type", []FeatureUpdate{{GroupVersion, 1, 0}}, "", 0},
		{"one bad, none done", []FeatureUpdate{{TransactionVersion, 0, SafeDowngrade}, {"nonsense", 1, Upgrade}}, "", 0},
	} {
		image := testImage(t)
		changes, err := updateFeatures(image, c.updates)
		if c.levels == "" {
			if !errors.Is(err, protocol.ErrInvalidUpdateVersion) || len(changes) != 0 {
				t.Errorf("%s: %v, %v", c.why, changes, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		after, err := image.apply(changes, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := string(rune('0'+after.FeatureLevel(GroupVersion))) + " " + string(rune('0'+after.FeatureLevel(TransactionVersion)))
		if got != c.levels || after.FeaturesEpoch() != c.epoch || image.FeatureLevel(GroupVersion) != 1 {
			t.Errorf("%s: %s at epoch %d, want %s at %d", c.why, got, after.FeaturesEpoch(), c.levels, c.epoch)
		}
	}
	// Up again from below, by no downgrade, and the epoch rises.
	image := testImage(t)
	for n, u := range []FeatureUpdate{{GroupVersion, 0, SafeDowngrade}, {GroupVersion, 1, Upgrade}} {
		changes, err := updateFeatures(image, []FeatureUpdate{u})
		if err != nil {
			t.Fatal(err)
		}
		if image, err = image.apply(changes, nil); err != nil || image.FeaturesEpoch() != int64(n+1) {
			t.Fatalf("epoch %d, %v", image.FeaturesEpoch(), err)
		}
		if _, err := updateFeatures(image, []FeatureUpdate{{GroupVersion, 1, SafeDowngrade}}); (err == nil) != (n == 1) {
			t.Errorf("up by a downgrade, from %d: %v", image.FeatureLevel(GroupVersion), err)
		}
	}
}

func TestCheckReassignment(t *testing.T) {
	image := testImage(t)
	for _, c := range []struct {
		why       string
		topic     string
		partition int32
		replicas  []int32
		cancel    bool
		want      *protocol.Error
	}{
		{"where it is", "a", 1, []int32{1}, false, nil},
		{"nowhere", "a", 0, nil, false, protocol.ErrInvalidReplicaAssignment},
		{"to another node", "a", 0, []int32{2}, false, protocol.ErrInvalidReplicaAssignment},
		{"to this node and another", "a", 0, []int32{1, 2}, false, protocol.ErrInvalidReplicaAssignment},
		{"twice to this node", "a", 0, []int32{1, 1}, false, protocol.ErrInvalidReplicaAssignment},
		{"cancelled, and it does not move", "a", 0, nil, true, protocol.ErrNoReassignmentInProgress},
		{"no such partition", "a", 2, []int32{1}, false, protocol.ErrUnknownTopicOrPartition},
		{"no partition", "a", -1, nil, true, protocol.ErrUnknownTopicOrPartition},
		{"no such topic", "zz", 0, []int32{1}, false, protocol.ErrUnknownTopicOrPartition},
	} {
		if err := CheckReassignment(image, c.topic, c.partition, c.replicas, c.cancel); protocol.CodeOf(err) != protocol.CodeOf(errorOrNil(c.want)) {
			t.Errorf("%s: %v, want %v", c.why, err, c.want)
		}
	}
}

// TestGroupsFollowTheBroker: a group's settings are held to the broker's bounds
// again when those change.
func TestGroupsFollowTheBroker(t *testing.T) {
	image := testImage(t)
	image, err := image.apply([]Change{{Kind: groupConfigsAltered, Group: "g", Configs: map[string]string{"consumer.session.timeout.ms": "50000"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := alterConfigs(image, ConfigResource{EveryNode: true}, []ConfigChange{{OpSet, "group.consumer.assignment.interval.ms", text("7")}}, false)
	if err != nil {
		t.Fatal(err)
	}
	after, err := image.apply(changes, nil)
	if err != nil {
		t.Fatal(err)
	}
	if g := after.Groups["g"].Config; g.ConsumerAssignmentInterval.Milliseconds() != 7 || g.ConsumerSessionTimeout.Seconds() != 50 {
		t.Errorf("%+v", g)
	}
	if got := after.Settings.Groups.ConsumerAssignmentInterval.Milliseconds(); got != 7 {
		t.Errorf("groups without settings: %d ms", got)
	}
}

// TestIgnoredSettings: a stored setting that does not fit the present static
// ones is said and not in force, and altering others goes on.
func TestIgnoredSettings(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	every := ConfigResource{EveryNode: true}
	if err := m.AlterConfigs(every, []ConfigChange{{OpSet, "group.consumer.assignment.interval.ms", text("9000")}, {OpSet, "log.retention.ms", text("5")}}, false, false); err != nil {
		t.Fatal(err)
	}
	end := m.EndOffset()
	m.Close()
	o := options()
	var lines strings.Builder
	o.Log = slog.New(slog.NewTextHandler(&lines, nil))
	var err error
	if o.Settings, _, err = config.Load(config.Sources{Overrides: []string{"group.consumer.max.assignment.interval.ms=2000"}}); err != nil {
		t.Fatal(err)
	}
	m, err = Open(commitlog.OS{}, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	image := m.Image()
	if len(image.Ignored) != 1 || image.Settings.Groups.ConsumerAssignmentInterval.Milliseconds() != 1000 || !strings.Contains(lines.String(), "group.consumer.assignment.interval.ms") {
		t.Errorf("ignored %v\n%s", image.Ignored, lines.String())
	}
	if m.EndOffset() != end {
		t.Errorf("the log ends at %d, not %d", m.EndOffset(), end)
	}
	if err := m.AlterConfigs(every, []ConfigChange{{OpSet, "log.retention.ms", text("6")}}, false, false); err != nil {
		t.Errorf("another setting: %v", err)
	}
	if err := m.AlterConfigs(every, []ConfigChange{{OpSet, "group.consumer.assignment.interval.ms", text("9001")}}, false, false); !errors.Is(err, protocol.ErrInvalidRequest) {
		t.Errorf("the setting itself, out of bounds again: %v", err)
	}
	if err := m.AlterConfigs(every, []ConfigChange{{OpSet, "group.consumer.assignment.interval.ms", text("1500")}}, false, false); err != nil || len(m.Image().Ignored) != 0 {
		t.Errorf("the setting itself, within bounds: %v, ignored %v", err, m.Image().Ignored)
	}
	if image := m.Image(); image.Settings.Groups.ConsumerAssignmentInterval.Milliseconds() != 1500 || m.EndOffset() != end+2 {
		t.Errorf("%d ms, the log ends at %d", image.Settings.Groups.ConsumerAssignmentInterval.Milliseconds(), m.EndOffset())
	}
}

// TestSubscriptionsAreBounded: one more is refused, and those that are there
// can be altered and taken away.
func TestSubscriptionsAreBounded(t *testing.T) {
	image := testImage(t)
	var changes []Change
	for n := range MaxSubscriptions {
		changes = append(changes, Change{Kind: clientMetricsAltered, Subscription: string(rune('a' + n)), Configs: map[string]string{"metrics": "m"}})
	}
	image, err := image.apply(changes, nil)
	if err != nil {
		t.Fatal(err)
	}
	set := []ConfigChange{{OpSet, "interval.ms", text("100")}}
	if _, err := alterConfigs(image, ConfigResource{Subscription: "one more"}, set, false); !errors.Is(err, protocol.ErrPolicyViolation) {
		t.Errorf("one more: %v", err)
	}
	altered, err := alterConfigs(image, ConfigResource{Subscription: "a"}, set, false)
	if err != nil || len(altered) != 1 || len(altered[0].Configs) != 2 {
		t.Errorf("one of them: %+v, %v", altered, err)
	}
	gone, err := alterConfigs(image, ConfigResource{Subscription: "a"}, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	after, err := image.apply(gone, nil)
	if err != nil || len(after.Subscriptions) != MaxSubscriptions-1 || len(image.Subscriptions) != MaxSubscriptions || after.SubscriptionsVersion <= image.SubscriptionsVersion {
		t.Errorf("%d are left, %v", len(after.Subscriptions), err)
	}
}
