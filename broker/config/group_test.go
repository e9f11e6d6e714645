package config

import (
	"errors"
	"testing"
	"time"
)

func TestParseGroup(t *testing.T) {
	n := Default()
	for _, c := range []struct {
		name      string
		overrides map[string]string
		want      Group
		refusal   error
	}{
		{"a group without settings has the broker's", nil, Group{45 * time.Second, 5 * time.Second, time.Second, n.Groups.Share, n.Groups.Streams}, nil},
		{"its own win", map[string]string{"consumer.session.timeout.ms": "50000", "consumer.assignment.interval.ms": "0"},
			Group{50 * time.Second, 5 * time.Second, 0, n.Groups.Share, n.Groups.Streams}, nil},
		{"a session below the broker's least", map[string]string{"consumer.session.timeout.ms": "44999"}, Group{}, ErrInvalid},
		{"a session above the broker's most", map[string]string{"consumer.session.timeout.ms": "60001"}, Group{}, ErrInvalid},
		{"a heartbeat above the broker's most", map[string]string{"consumer.heartbeat.interval.ms": "15001"}, Group{}, ErrInvalid},
		{"an assignment interval above the broker's most", map[string]string{"consumer.assignment.interval.ms": "15001"}, Group{}, ErrInvalid},
		{"not a number", map[string]string{"consumer.heartbeat.interval.ms": "soon"}, Group{}, ErrInvalid},
		{"a key that groups do not have", map[string]string{"consumer.session.timeout": "50000"}, Group{}, ErrUnknownKey},
	} {
		got, err := ParseGroup(n, c.overrides)
		if !errors.Is(err, c.refusal) || err == nil && *got != c.want {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// TestConsumerGroupBounds: a broker whose own settings do not fit together does not start.
func TestConsumerGroupBounds(t *testing.T) {
	for _, c := range []struct {
		name      string
		overrides []string
		ok        bool
	}{
		{"shorter heartbeats where they are allowed", []string{"group.consumer.min.heartbeat.interval.ms=100", "group.consumer.heartbeat.interval.ms=100"}, true},
		{"shorter heartbeats than allowed", []string{"group.consumer.heartbeat.interval.ms=100"}, false},
		{"a session that a heartbeat cannot keep", []string{"group.consumer.min.session.timeout.ms=5000", "group.consumer.session.timeout.ms=5000"}, false},
		{"no assignor", []string{"group.consumer.assignors="}, false},
		{"an assignor that is not there", []string{"group.consumer.assignors=sticky"}, false},
		{"a policy in capitals, as in Kafka", []string{"group.consumer.migration.policy=UPGRADE"}, true},
		{"a policy that is none", []string{"group.consumer.migration.policy=sideways"}, false},
	} {
		n, _, err := Load(Sources{Overrides: c.overrides})
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.name == "a policy in capitals, as in Kafka" && n.GroupConsumerMigrationPolicy != "upgrade" {
			t.Errorf("%s: %q", c.name, n.GroupConsumerMigrationPolicy)
		}
	}
}

func TestDescribeGroup(t *testing.T) {
	n, _, err := Load(Sources{Overrides: []string{"group.consumer.session.timeout.ms=46000"}})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	sources := map[string]Source{}
	for _, e := range DescribeGroup(n, map[string]string{"consumer.heartbeat.interval.ms": "6000"}) {
		values[e.Setting.Name], sources[e.Setting.Name] = *e.Value, e.Source
	}
	for name, want := range map[string]struct {
		value  string
		source Source
	}{
		"consumer.heartbeat.interval.ms":  {"6000", DynamicGroup},
		"consumer.session.timeout.ms":     {"46000", StaticBroker},
		"consumer.assignment.interval.ms": {"1000", DefaultConfig},
	} {
		if values[name] != want.value || sources[name] != want.source {
			t.Errorf("%s: %q from %d, want %q from %d", name, values[name], sources[name], want.value, want.source)
		}
	}
}
