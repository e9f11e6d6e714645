package config

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestParseShareGroup(t *testing.T) {
	n := Default()
	ofAll := ShareGroup{
		SessionTimeout: 45 * time.Second, HeartbeatInterval: 5 * time.Second, AssignmentInterval: time.Second,
		LockDuration: 30 * time.Second, DeliveryCountLimit: 5, MaxRecordLocks: 2000, RenewEnabled: true,
	}
	with := func(change func(*ShareGroup)) ShareGroup {
		g := ofAll
		change(&g)
		return g
	}
	for _, c := range []struct {
		name      string
		overrides map[string]string
		want      ShareGroup
		refusal   error
	}{
		{"a group without settings has Kafka's defaults", nil, ofAll, nil},
		{"its own win", map[string]string{
			"share.record.lock.duration.ms": "15000", "share.delivery.count.limit": "10", "share.partition.max.record.locks": "100",
			"share.isolation.level": "read_committed", "share.renew.acknowledge.enable": "FALSE", "share.auto.offset.reset": "earliest",
		}, with(func(g *ShareGroup) {
			g.LockDuration, g.DeliveryCountLimit, g.MaxRecordLocks = 15*time.Second, 10, 100
			g.ReadCommitted, g.RenewEnabled, g.OffsetReset = true, false, OffsetReset{Earliest: true}
		}), nil},
		{"an offset by duration", map[string]string{"share.auto.offset.reset": "by_duration:PT1H30M"},
			with(func(g *ShareGroup) { g.OffsetReset.By = 90 * time.Minute }), nil},
		{"a lock shorter than the broker's least", map[string]string{"share.record.lock.duration.ms": "14999"}, ShareGroup{}, ErrInvalid},
		{"a lock longer than the broker's most", map[string]string{"share.record.lock.duration.ms": "60001"}, ShareGroup{}, ErrInvalid},
		{"more deliveries than the broker's most", map[string]string{"share.delivery.count.limit": "11"}, ShareGroup{}, ErrInvalid},
		{"more locks than the broker's most", map[string]string{"share.partition.max.record.locks": "4001"}, ShareGroup{}, ErrInvalid},
		{"a session below the broker's least", map[string]string{"share.session.timeout.ms": "44999"}, ShareGroup{}, ErrInvalid},
		{"no reset there is", map[string]string{"share.auto.offset.reset": "none"}, ShareGroup{}, ErrInvalid},
		{"a negative duration", map[string]string{"share.auto.offset.reset": "by_duration:-PT1H"}, ShareGroup{}, ErrInvalid},
		{"no isolation level", map[string]string{"share.isolation.level": "read"}, ShareGroup{}, ErrInvalid},
		{"a number where true or false belongs", map[string]string{"share.renew.acknowledge.enable": "1"}, ShareGroup{}, ErrInvalid},
	} {
		got, err := ParseGroup(n, c.overrides)
		if !errors.Is(err, c.refusal) || err == nil && got.Share != c.want {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// TestShareGroupBounds: a broker whose own settings do not fit together does not start.
func TestShareGroupBounds(t *testing.T) {
	for _, c := range []struct {
		name      string
		overrides []string
		ok        bool
	}{
		{"short locks where they are allowed", []string{"group.share.min.record.lock.duration.ms=1000", "group.share.record.lock.duration.ms=1000"}, true},
		{"shorter locks than allowed", []string{"group.share.record.lock.duration.ms=1000"}, false},
		{"more deliveries than a broker may give", []string{"group.share.delivery.count.limit=11"}, false},
		{"fewer sessions than members", []string{"group.share.max.share.sessions=199"}, false},
		{"no assignor", []string{"group.share.assignors="}, false},
		{"an assignor that is not there", []string{"group.share.assignors=uniform"}, false},
		{"keys of Kafka's that change nothing", []string{"group.share.persister.class.name=x", "share.coordinator.threads=2"}, true},
	} {
		_, _, err := Load(Sources{Overrides: c.overrides})
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestParseISODuration(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"PT0S", 0, true},
		{"P1D", 24 * time.Hour, true},
		{"P2DT3H4M5S", 51*time.Hour + 4*time.Minute + 5*time.Second, true},
		{"pt1.5s", 1500 * time.Millisecond, true},
		{"PT0.5S", 500 * time.Millisecond, true},
		{"P999999999D", math.MaxInt64, true},
		{"", 0, false},
		{"P", 0, false},
		{"PT", 0, false},
		{"P1DT", 0, false},
		{"P1H", 0, false},
		{"PT1D", 0, false},
		{"PT1", 0, false},
		{"PTS", 0, false},
		{"PT1.5M", 0, false},
		{"PT-1S", 0, false},
		{"PT1S1M", 0, false},
		{"PT1M ", 0, false},
		{"1D", 0, false},
	} {
		got, err := parseISODuration(c.text)
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("%q: %v, %v", c.text, got, err)
		}
	}
}
