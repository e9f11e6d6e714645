package config

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func mustLoad(t *testing.T, overrides ...string) *Node {
	t.Helper()
	n, _, err := Load(Sources{Overrides: overrides})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTopicDefaultsFollowTheBroker(t *testing.T) {
	for _, test := range []struct {
		name   string
		broker []string
		want   time.Duration
	}{
		{"hours by default", nil, 168 * time.Hour},
		{"hours", []string{"log.retention.hours=2"}, 2 * time.Hour},
		{"minutes before hours", []string{"log.retention.hours=2", "log.retention.minutes=3"}, 3 * time.Minute},
		{"milliseconds before all", []string{"log.retention.hours=2", "log.retention.minutes=3", "log.retention.ms=4"}, 4 * time.Millisecond},
		{"-1 hours is for ever", []string{"log.retention.hours=-1"}, -1},
		{"hours beyond what a Duration holds", []string{"log.retention.hours=2147483647"}, math.MaxInt64},
	} {
		topic, err := ParseTopic(mustLoad(t, test.broker...), nil)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if want := test.want; topic.Retention != want {
			t.Errorf("%s: got %v, want %v", test.name, topic.Retention, want)
		}
	}
	topic, err := ParseTopic(mustLoad(t, "log.roll.hours=3", "log.flush.scheduler.interval.ms=9"), map[string]string{"retention.ms": " 5 ", "cleanup.policy": "compact, delete", "message.timestamp.type": "LogAppendTime", "preallocate": "TRUE"})
	if err != nil {
		t.Fatal(err)
	}
	if topic.Retention != 5*time.Millisecond || !topic.CleanupCompact || !topic.CleanupDelete || !topic.LogAppendTime || !topic.Preallocate ||
		topic.SegmentAge != 3*time.Hour || topic.FlushInterval != 9*time.Millisecond || topic.TimestampBeforeMax != math.MaxInt64 {
		t.Errorf("%+v", topic)
	}
}

// TestZeroStaysZero: a zero must not reach the log as "not given".
func TestZeroStaysZero(t *testing.T) {
	topic, err := ParseTopic(Default(), map[string]string{"retention.ms": "0", "retention.bytes": "0", "flush.ms": "0", "max.message.bytes": "0", "index.interval.bytes": "0",
		"message.timestamp.before.max.ms": "0", "message.timestamp.after.max.ms": "0"})
	if err != nil {
		t.Fatal(err)
	}
	if topic.Retention <= 0 || topic.Retention.Milliseconds() != 0 || topic.RetentionBytes != 1 || topic.FlushInterval <= 0 || topic.MaxMessageBytes != 1 || topic.IndexIntervalBytes != 1 ||
		topic.TimestampBeforeMax <= 0 || topic.TimestampBeforeMax.Milliseconds() != 0 || topic.TimestampAfterMax <= 0 || topic.TimestampAfterMax.Milliseconds() != 0 {
		t.Errorf("%+v", topic)
	}
}

// The topic's own codec and level, the broker's where it has none.
func TestCompression(t *testing.T) {
	for _, test := range []struct {
		name   string
		broker []string
		topic  map[string]string
		want   string
	}{
		{"the producer's by default", nil, nil, "<nil>"},
		{"producer over the broker's", []string{"compression.type=zstd"}, map[string]string{"compression.type": "producer"}, "<nil>"},
		{"the broker's", []string{"compression.type=zstd", "compression.zstd.level=-5"}, nil, "{zstd -5}"},
		{"Kafka's level of zstd", nil, map[string]string{"compression.type": "zstd"}, "{zstd 3}"},
		{"Kafka's level of gzip", nil, map[string]string{"compression.type": "gzip"}, "{gzip -1}"},
		{"Kafka's level of lz4", nil, map[string]string{"compression.type": "lz4"}, "{lz4 9}"},
		{"a level of its own", []string{"compression.lz4.level=3"}, map[string]string{"compression.type": "lz4", "compression.lz4.level": "17"}, "{lz4 17}"},
		{"a level of another codec", nil, map[string]string{"compression.type": "gzip", "compression.lz4.level": "17"}, "{gzip -1}"},
		{"snappy has no level", nil, map[string]string{"compression.type": "snappy"}, "{snappy 0}"},
		{"uncompressed", nil, map[string]string{"compression.type": "uncompressed"}, "{none 0}"},
	} {
		topic, err := ParseTopic(mustLoad(t, test.broker...), test.topic)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		got := "<nil>"
		if topic.Recompress != nil {
			got = fmt.Sprint(*topic.Recompress)
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	after, err := Default().WithDynamic(map[string]string{"compression.type": "gzip"}, map[string]string{"compression.gzip.level": "2"})
	if err != nil {
		t.Fatal(err)
	}
	if topic, err := ParseTopic(after, nil); err != nil || fmt.Sprint(*topic.Recompress) != "{gzip 2}" {
		t.Errorf("altered at run time: %+v, %v", topic, err)
	}
}

func TestTopicRefusals(t *testing.T) {
	for _, test := range []struct {
		key, value string
		want       error
		words      string
	}{
		{"cleanup.policy", "none", ErrInvalid, "a list of compact, delete"},
		{"retention.ms", "-2", ErrInvalid, "at least -1"},
		{"retention.ms", "", ErrInvalid, "not a number of type long"},
		{"retention.ms", "0x10", ErrInvalid, "not a number"},
		{"preallocate", "1", ErrInvalid, "true or false"},
		{"segment.bytes", "100", ErrInvalid, "at least 1048576"},
		{"segment.bytes", "1e9", ErrInvalid, "not a number of type int"},
		{"compression.gzip.level", "0", ErrInvalid, "between 1 and 9 or equal to -1"},
		{"min.cleanable.dirty.ratio", "1.5", ErrInvalid, "between 0 and 1"},
		{"min.cleanable.dirty.ratio", "NaN", ErrInvalid, "not a number"},
		{"compression.lz4.level", "0", ErrInvalid, "between 1 and 17"},
		{"compression.lz4.level", "18", ErrInvalid, "between 1 and 17"},
		{"compression.zstd.level", "23", ErrInvalid, "between -131072 and 22"},
		{"compression.type", "none", ErrInvalid, "one of uncompressed"},
		{"compression.type", "LZ4", ErrInvalid, "one of uncompressed"},
		{"remote.storage.enable", "true", ErrInvalid, "not built"},
		{"segment.jitter.ms", "1", ErrInvalid, "not built"},
		{"retention", "1", ErrUnknownKey, "no setting"},
		{"retention.mss", "1", ErrUnknownKey, "did you mean retention.ms?"},
		{"log.retention.ms", "1", ErrUnknownKey, "no setting"},
	} {
		_, err := ParseTopic(Default(), map[string]string{test.key: test.value})
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s=%s: got %v, want %v with %q", test.key, test.value, err, test.want, test.words)
		}
	}
	if _, err := ParseTopic(Default(), map[string]string{"min.compaction.lag.ms": "5", "max.compaction.lag.ms": "4"}); !errors.Is(err, ErrInvalid) {
		t.Errorf("lags upside down: %v", err)
	}
	for key, value := range map[string]string{"cleanup.policy": "", "retention.bytes": "-7", "retention.ms": "+5", "compression.gzip.level": "-1", "internal.segment.bytes": "10"} {
		if _, err := ParseTopic(Default(), map[string]string{key: value}); err != nil {
			t.Errorf("Kafka accepts %s=%q: %v", key, value, err)
		}
	}
}

func TestCleanerSettings(t *testing.T) {
	topic, err := ParseTopic(mustLoad(t, "log.cleaner.delete.retention.ms=7", "log.cleaner.min.cleanable.ratio=0.25"), map[string]string{"min.compaction.lag.ms": "5"})
	if err != nil {
		t.Fatal(err)
	}
	if topic.DeleteRetention != 7*time.Millisecond || topic.MinDirtyRatio != 0.25 || topic.MinCompactionLag != 5*time.Millisecond || topic.MaxCompactionLag != math.MaxInt64 {
		t.Errorf("%+v", topic)
	}
	// A zero must not reach the log as "not given".
	topic, err = ParseTopic(Default(), map[string]string{"delete.retention.ms": "0", "min.cleanable.dirty.ratio": "0"})
	if err != nil || topic.DeleteRetention <= 0 || topic.DeleteRetention.Milliseconds() != 0 || topic.MinDirtyRatio <= 0 || topic.MinDirtyRatio > 1e-300 {
		t.Errorf("%+v, %v", topic, err)
	}
	n := mustLoad(t, "log.cleaner.backoff.ms=20", "log.cleaner.io.max.bytes.per.second=1.5e6")
	want := Cleaner{Enabled: true, DedupeBytes: 128 << 20, LoadFactor: 0.9, BufferBytes: 512 << 10, BytesPerSecond: 1.5e6, BusyBytesPerSecond: 6e7, Backoff: 20 * time.Millisecond}
	if n.Cleaner != want {
		t.Errorf("%+v, want %+v", n.Cleaner, want)
	}
	after, err := n.WithDynamic(map[string]string{"log.cleaner.dedupe.buffer.size": "2097152"}, map[string]string{"log.cleaner.backoff.ms": "30"})
	want.DedupeBytes, want.Backoff = 2<<20, 30*time.Millisecond
	if err != nil || after.Cleaner != want {
		t.Errorf("altered: %+v, %v, want %+v", after.Cleaner, err, want)
	}
	for _, key := range []string{"log.cleaner.enable", "log.cleaner.threads"} {
		if err := CheckDynamic(key, "1"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if got := Default().Cleaner.BytesPerSecond; got != math.MaxFloat64 {
		t.Errorf("a limit of %v bytes a second by default", got)
	}
}

func TestDynamic(t *testing.T) {
	n := mustLoad(t, "log.retention.hours=1", "message.max.bytes=7")
	after, err := n.WithDynamic(map[string]string{"log.retention.ms": "10"}, map[string]string{"message.max.bytes": "99"})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := ParseTopic(after, nil)
	if err != nil || topic.Retention != 10*time.Millisecond || topic.MaxMessageBytes != 99 || after.MessageMaxBytes != 99 || n.MessageMaxBytes != 7 {
		t.Errorf("%+v %v", topic, err)
	}
	for key, want := range map[string]error{"num.partitions": ErrInvalid, "num.io.threads": ErrInvalid, "ssl.keystore.location": ErrInvalid, "nonsense": ErrUnknownKey, "log.segment.bytes": ErrInvalid} {
		if err := CheckDynamic(key, "1"); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", key, err, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	n, err := mustLoad(t, "log.retention.hours=1").WithDynamic(map[string]string{"log.segment.bytes": "2000000"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]Entry{}
	for _, e := range DescribeTopic(n, map[string]string{"segment.bytes": "3000000"}) {
		entries[e.Setting.Name] = e
	}
	if _, ok := entries["internal.segment.bytes"]; ok {
		t.Error("an internal setting is described")
	}
	check := func(name, value string, source Source, chain int) {
		t.Helper()
		e := entries[name]
		if e.Value == nil && value != "null" || e.Value != nil && *e.Value != value || e.Source != source || len(e.Chain) != chain {
			t.Errorf("%s: %+v", name, e)
		}
	}
	check("segment.bytes", "3000000", DynamicTopic, 3)
	check("retention.ms", "3600000", StaticBroker, 0) // log.retention.ms, its key, has no value
	check("flush.ms", maxLong, DefaultConfig, 0)
	check("local.retention.ms", "-2", DefaultConfig, 1)
	check("remote.storage.enable", "false", DefaultConfig, 0) // no broker key
	check("cleanup.policy", "delete", DefaultConfig, 1)
	check("min.compaction.lag.ms", "0", DefaultConfig, 1)
	for _, e := range DescribeBroker(n) {
		entries[e.Setting.Name] = e
	}
	check("log.segment.bytes", "2000000", DynamicDefaultBroker, 2)
	check("num.partitions", "1", DefaultConfig, 1)
	check("log.retention.ms", "null", DefaultConfig, 0)
	check("log.retention.hours", "1", StaticBroker, 2)
	check("node.id", "0", DefaultConfig, 0)
	check("broker.id", "0", DefaultConfig, 1)
	if !entries["num.partitions"].ReadOnly || entries["log.segment.bytes"].ReadOnly || entries["log.retention.ms"].ReadOnly {
		t.Error("read-only is wrong")
	}
	if _, ok := entries["num.io.threads"]; ok {
		t.Error("a setting without effect is described though nobody set it")
	}
}

// A key that stands in for another is shown behind it, and only then.
func TestDescribeShowsSynonymsFromTheKeyOn(t *testing.T) {
	n, err := mustLoad(t, "log.retention.hours=1", "node.id=7").WithDynamic(nil, map[string]string{"log.retention.ms": "60000"})
	if err != nil {
		t.Fatal(err)
	}
	shows := func(entries []Entry, name, want string) {
		t.Helper()
		for _, e := range entries {
			if e.Setting.Name != name {
				continue
			}
			got := ""
			for _, l := range e.Chain {
				got += fmt.Sprintf("%s=%s from %d; ", l.Name, *l.Value, l.Source)
			}
			if got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
			return
		}
		t.Errorf("%s is not described", name)
	}
	behind := "log.retention.ms=60000 from 2; log.retention.hours=1 from 4; log.retention.hours=168 from 5; "
	shows(DescribeTopic(n, nil), "retention.ms", behind)
	shows(DescribeTopic(n, map[string]string{"retention.ms": "5"}), "retention.ms", "retention.ms=5 from 1; "+behind)
	shows(DescribeBroker(n), "log.retention.ms", behind)
	shows(DescribeBroker(n), "node.id", "node.id=7 from 4; ")
	shows(DescribeBroker(n), "broker.id", "broker.id=7 from 4; broker.id=-1 from 5; ")
	shows(DescribeGroup(n, nil), "consumer.session.timeout.ms", "group.consumer.session.timeout.ms=45000 from 5; ")
	shows(DescribeGroup(n, map[string]string{"consumer.session.timeout.ms": "50000"}), "consumer.session.timeout.ms", "consumer.session.timeout.ms=50000 from 8; group.consumer.session.timeout.ms=45000 from 5; ")
	shows(DescribeGroup(n, map[string]string{"share.auto.offset.reset": "earliest"}), "share.auto.offset.reset", "share.auto.offset.reset=earliest from 8; share.auto.offset.reset=latest from 5; ")
}

// TestRegistryHoldsTogether: every default obeys its own rule, every synonym exists, every sentence is one.
func TestRegistryHoldsTogether(t *testing.T) {
	for _, scope := range []Scope{Broker, TopicScope, GroupScope, ClientMetricsScope} {
		for _, s := range All(scope) {
			if s.Scope != scope {
				t.Errorf("%s: scope", s.Name)
			}
			if !s.Null {
				if err := s.Check(s.Default); err != nil {
					t.Errorf("default: %v", err)
				}
			}
			if !strings.HasSuffix(s.Doc, ".") {
				t.Errorf("%s: the sentence %q does not end", s.Name, s.Doc)
			}
			for _, synonym := range s.Synonyms {
				if Find(Broker, synonym.Name) == nil {
					t.Errorf("%s: synonym %s is not registered", s.Name, synonym.Name)
				}
			}
		}
	}
	if len(All(TopicScope)) < 30 {
		t.Error("topic settings are missing")
	}
	page := Markdown()
	for _, want := range []string{"`log.flush`", "`retention.ms`", "`num.io.threads`"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}
