package config

import (
	"errors"
	"testing"
	"time"
)

func TestParseStreamsGroup(t *testing.T) {
	n := Default()
	ofAll := StreamsGroup{SessionTimeout: 45 * time.Second, HeartbeatInterval: 5 * time.Second, AssignmentInterval: time.Second, InitialDelay: 3 * time.Second}
	for _, c := range []struct {
		name      string
		overrides map[string]string
		want      StreamsGroup
		refusal   error
	}{
		{"a group without settings has Kafka's defaults", nil, ofAll, nil},
		{"its own win", map[string]string{
			"streams.session.timeout.ms": "60000", "streams.heartbeat.interval.ms": "15000", "streams.assignment.interval.ms": "0",
			"streams.initial.rebalance.delay.ms": "0", "streams.num.standby.replicas": "2",
		}, StreamsGroup{SessionTimeout: time.Minute, HeartbeatInterval: 15 * time.Second, Standbys: 2}, nil},
		{"a session below the broker's least", map[string]string{"streams.session.timeout.ms": "44999"}, StreamsGroup{}, ErrInvalid},
		{"a session above the broker's most", map[string]string{"streams.session.timeout.ms": "60001"}, StreamsGroup{}, ErrInvalid},
		{"a heartbeat below the broker's least", map[string]string{"streams.heartbeat.interval.ms": "4999"}, StreamsGroup{}, ErrInvalid},
		{"a heartbeat above the broker's most", map[string]string{"streams.heartbeat.interval.ms": "15001"}, StreamsGroup{}, ErrInvalid},
		{"an assignment interval above the broker's most", map[string]string{"streams.assignment.interval.ms": "15001"}, StreamsGroup{}, ErrInvalid},
		{"more standbys than the broker's most", map[string]string{"streams.num.standby.replicas": "3"}, StreamsGroup{}, ErrInvalid},
		{"fewer than none", map[string]string{"streams.num.standby.replicas": "-1"}, StreamsGroup{}, ErrInvalid},
		{"a delay below none", map[string]string{"streams.initial.rebalance.delay.ms": "-1"}, StreamsGroup{}, ErrInvalid},
	} {
		got, err := ParseGroup(n, c.overrides)
		if !errors.Is(err, c.refusal) || err == nil && got.Streams != c.want {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// TestStreamsGroupBounds: a broker whose own settings do not fit together does not start.
func TestStreamsGroupBounds(t *testing.T) {
	for _, c := range []struct {
		name      string
		overrides []string
		ok        bool
	}{
		{"short sessions where they are allowed", []string{"group.streams.min.session.timeout.ms=6000", "group.streams.session.timeout.ms=6000"}, true},
		{"shorter sessions than allowed", []string{"group.streams.session.timeout.ms=6000"}, false},
		{"more standbys than allowed", []string{"group.streams.num.standby.replicas=3"}, false},
		{"more standbys where they are allowed", []string{"group.streams.num.standby.replicas=3", "group.streams.max.standby.replicas=3"}, true},
		{"a session as short as a heartbeat", []string{"group.streams.min.session.timeout.ms=5000", "group.streams.session.timeout.ms=5000"}, false},
		{"no member", []string{"group.streams.max.size=0"}, false},
	} {
		_, _, err := Load(Sources{Overrides: c.overrides})
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
