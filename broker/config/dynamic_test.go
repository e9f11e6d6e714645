package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDynamicConnectionLimits(t *testing.T) {
	n := mustLoad(t, "max.connections=7", "max.connections.per.ip.overrides=10.0.0.1:3")
	after, err := n.WithDynamic(
		map[string]string{"max.connections": "9", "max.connections.per.ip": "5", "max.connection.creation.rate": "4"},
		map[string]string{"max.connections": "8", "max.connections.per.ip.overrides": "localhost:1, [2001:DB8::1]:0,::ffff:10.0.0.2:6"})
	if err != nil {
		t.Fatal(err)
	}
	if after.MaxConnections != 8 || after.MaxConnectionsPerIP != 5 || after.MaxConnectionCreationRate != 4 ||
		!maps.Equal(after.MaxConnectionsOf, map[string]int{"127.0.0.1": 1, "::1": 1, "2001:db8::1": 0, "10.0.0.2": 6}) {
		t.Errorf("%d, %d, %d, %v", after.MaxConnections, after.MaxConnectionsPerIP, after.MaxConnectionCreationRate, after.MaxConnectionsOf)
	}
	if n.MaxConnections != 7 || n.MaxConnectionsOf["10.0.0.1"] != 3 {
		t.Error("the settings before were changed")
	}
	for _, bad := range []string{"10.0.0.1", "10.0.0.1:", "10.0.0.1:-1", "10.0.0.1:x", "broker.example:1", ":1"} {
		if err := CheckDynamic("max.connections.per.ip.overrides", bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestDynamicGroupAndProducerSettings(t *testing.T) {
	n := mustLoad(t, "group.consumer.max.assignment.interval.ms=2000")
	after, err := n.WithDynamic(map[string]string{"group.consumer.assignment.interval.ms": "2000", "producer.id.expiration.ms": "5"}, nil)
	if err != nil || after.Groups.ConsumerAssignmentInterval != 2*time.Second || after.ProducerExpiration != 5*time.Millisecond {
		t.Errorf("%+v, %v", after, err)
	}
	if _, err := n.WithDynamic(map[string]string{"group.consumer.assignment.interval.ms": "2001"}, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("beyond the broker's bound: %v", err)
	}
	if after, err := n.WithDynamic(map[string]string{"group.share.assignment.interval.ms": "15000"}, nil); err != nil || after.Groups.Share.AssignmentInterval != 15*time.Second {
		t.Errorf("of share groups: %v", err)
	}
	if _, err := n.WithDynamic(map[string]string{"group.share.assignment.interval.ms": "15001"}, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("of share groups, beyond the broker's bound: %v", err)
	}
	if after, err := n.WithDynamic(map[string]string{"group.streams.assignment.interval.ms": "15000"}, nil); err != nil || after.Groups.Streams.AssignmentInterval != 15*time.Second {
		t.Errorf("of streams groups: %v", err)
	}
	for key, want := range map[string]bool{
		"group.consumer.session.timeout.ms": false, "group.share.session.timeout.ms": false, "group.streams.session.timeout.ms": false, "group.max.size": false, "log.retention.hours": false, "log.cleaner.threads": false,
		"unclean.leader.election.enable": true, "compression.gzip.level": true, "log.roll.jitter.ms": true,
	} {
		value := Find(Broker, key).Default
		if key == "log.roll.jitter.ms" {
			value = "0"
		}
		if err := CheckDynamic(key, value); (err == nil) != want {
			t.Errorf("%s can be altered: %v, want %v", key, err, want)
		}
	}
}

// TestStoredSettingsThatDoNotFit: what was altered beside other static settings
// does not keep the broker from starting, and the rest of it holds.
func TestStoredSettingsThatDoNotFit(t *testing.T) {
	n := mustLoad(t, "group.consumer.max.assignment.interval.ms=2000")
	all := map[string]string{"group.consumer.assignment.interval.ms": "3000", "log.retention.ms": "5", "num.partitions": "3"}
	this := map[string]string{"message.max.bytes": "many", "log.segment.bytes": "2000000"}
	after, ignored := n.WithStored(all, this)
	if !slices.Equal(ignored, []string{"group.consumer.assignment.interval.ms", "num.partitions", "message.max.bytes"}) {
		t.Errorf("ignored: %v", ignored)
	}
	topic, err := ParseTopic(after, nil)
	if err != nil || topic.Retention != 5*time.Millisecond || topic.SegmentBytes != 2_000_000 || after.NumPartitions != 1 || after.Groups.ConsumerAssignmentInterval != time.Second {
		t.Errorf("%+v, %v", topic, err)
	}
	if fits, ignored := n.WithStored(map[string]string{"log.retention.ms": "7"}, nil); len(ignored) != 0 || fits.dynamicDefault["log.retention.ms"] != "7" {
		t.Errorf("what fits: %v", ignored)
	}
}

// TestChain: places come in Kafka's order: by source, then by key; those before
// the key's own are left out.
func TestChain(t *testing.T) {
	n, err := mustLoad(t, "log.retention.hours=1", "log.retention.minutes=2", "log.retention.ms=3").
		WithDynamic(map[string]string{"log.retention.ms": "4"}, map[string]string{"log.retention.ms": "5"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key  string
		node *Node
		want string
	}{
		{"log.retention.ms", n, "log.retention.ms=5@2 log.retention.ms=4@3 log.retention.ms=3@4 log.retention.minutes=2@4 log.retention.hours=1@4 log.retention.hours=168@5"},
		{"log.retention.hours", n, "log.retention.hours=1@4 log.retention.hours=168@5"},
		{"log.retention.ms", mustLoad(t, "log.retention.hours=1"), ""},
		{"log.flush.interval.ms", mustLoad(t, "log.flush.interval.ms=9"), "log.flush.interval.ms=9@4 log.flush.scheduler.interval.ms=9223372036854775807@5"},
		{"log.flush.scheduler.interval.ms", mustLoad(t, "log.flush.interval.ms=9"), "log.flush.scheduler.interval.ms=9223372036854775807@5"},
		{"log.dir", mustLoad(t, "log.dirs=d"), "log.dir=./data@5"},
	} {
		var got []string
		for _, l := range c.node.chain(c.key) {
			got = append(got, l.Name+"="+*l.Value+"@"+string(rune('0'+l.Source)))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %s, want %s", c.key, text, c.want)
		}
	}
	every := DescribeEveryBroker(n)
	if len(every) != 1 || *every[0].Value != "4" || every[0].Source != DynamicDefaultBroker || len(every[0].Chain) != 1 || every[0].ReadOnly {
		t.Errorf("%+v", every)
	}
}

func TestParseClientMetrics(t *testing.T) {
	got, err := ParseClientMetrics(map[string]string{
		"metrics": "org.apache.kafka.producer., *", "interval.ms": " 100 ", "match": "client_id=a.*,client_source_port=1, client_id = b|c",
	})
	if err != nil || !slices.Equal(got.Metrics, []string{"org.apache.kafka.producer.", AllMetrics}) || got.Interval != 100*time.Millisecond || len(got.Match) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if m := got.Match[1]; m.Attribute != ClientID || !m.Pattern.MatchString("c") || m.Pattern.MatchString("cc") || m.Pattern.MatchString("a1") {
		t.Errorf("%+v: the last pattern of an attribute holds, for the whole of it", m)
	}
	if got, err := ParseClientMetrics(nil); err != nil || got.Interval != DefaultPushInterval() || len(got.Metrics) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, c := range []struct {
		key, value string
		want       error
		ofType     bool
	}{
		{"interval.ms", "99", ErrInvalid, false},
		{"interval.ms", "3600001", ErrInvalid, false},
		{"interval.ms", "soon", ErrInvalid, true},
		{"match", "client_id", ErrInvalid, false},
		{"match", "client_id=", ErrInvalid, false},
		{"match", "client_id=a=b", ErrInvalid, false},
		{"match", "client_name=a", ErrInvalid, false},
		{"match", "client_id=(", ErrInvalid, false},
		{"match", "client_id=(?=a)", ErrInvalid, false},
		{"match", "client_id=" + strings.Repeat("a", maxPatternBytes+1), ErrInvalid, false},
		{"interval", "100", ErrUnknownKey, false},
	} {
		_, err := ParseClientMetrics(map[string]string{c.key: c.value})
		if !errors.Is(err, c.want) || errors.Is(err, ErrType) != c.ofType || !errors.Is(CheckClientMetrics(c.key, c.value), c.want) {
			t.Errorf("%s=%s: %v", c.key, c.value, err)
		}
	}
	described := DescribeClientMetrics(map[string]string{"metrics": "a"})
	if len(described) != 3 || *described[0].Value != "300000" || described[0].Source != DefaultConfig || len(described[0].Chain) != 0 ||
		*described[2].Value != "a" || described[2].Source != DynamicClientMetrics || len(described[2].Chain) != 1 {
		t.Errorf("%+v", described)
	}
}
