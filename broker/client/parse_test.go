package client

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestParseSelection(t *testing.T) {
	for text, want := range map[string]Selection{
		"orders":        {Topic: "orders"},
		"orders:3":      {Topic: "orders", Partitions: []int32{3}},
		"orders:0, 1,2": {Topic: "orders", Partitions: []int32{0, 1, 2}},
	} {
		if got, err := ParseSelection(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ":1", "orders:", "orders:x", "orders:-1", "orders:1,", "orders:4294967296"} {
		if _, err := ParseSelection(text); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseTimes(t *testing.T) {
	const noon = 1769860800123 // 2026-01-31T12:00:00.123Z
	for text, want := range map[string]int64{
		"2026-01-31T12:00:00.123":       noon,
		"2026-01-31T12:00:00.123Z":      noon,
		"2026-01-31T12:00:00.123+00":    noon,
		"2026-01-31T20:00:00.123+0800":  noon,
		"2026-01-31T20:00:00.123+08:00": noon,
		"2026-01-31T04:00:00.123-08":    noon,
		"2026-01-31T12:00:00":           noon - 123,
	} {
		if got, err := ParseDateTime(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "2026-01-31", "2026-01-31 12:00:00.000", "2026-02-30T12:00:00.000", "T", "yesterday", "2026-01-31T25:00:00.000"} {
		if _, err := ParseDateTime(text); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseDurations(t *testing.T) {
	for text, want := range map[string]int64{
		"PT1S": 1000, "PT1.5S": 1500, "PT0.001S": 1, "pt2m": 120_000, "PT3H": 10_800_000, "P1D": 86_400_000,
		"P1DT2H3M4S": 93_784_000, "-PT1S": -1000, "PT-1S": -1000, "PT-1.5S": -1500, "P-1DT24H": 0, "+PT1S": 1000, "PT1,25S": 1250,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "P", "PT", "P1", "P1DT", "1h", "PT1", "PT1.5H", "PT9999999999S", "P1Y", "P1H"} {
		if _, err := ParseDuration(text); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseOffsetTimesAndStarts(t *testing.T) {
	for text, want := range map[string]OffsetTime{
		"latest": Latest, "earliest": Earliest, "max-timestamp": MaxTimestamp, "-1": Latest, "0": 0, "1769860800123": 1769860800123,
		"2026-01-31T12:00:00.123": 1769860800123,
	} {
		if got, err := ParseOffsetTime(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-6", "soon", "1.5"} {
		if _, err := ParseOffsetTime(text); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]Start{
		"beginning": AtBeginning, "earliest": AtBeginning, "end": AtEnd, "latest": AtEnd,
		"7": {atOffset, 7}, "-7": {beforeEnd, 7}, "@5": {atTime, 5}, "@2026-01-31T12:00:00.123": {atTime, 1769860800123},
	} {
		if got, err := ParseStart(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "middle", "@", "@-1", "@soon", "1.5", "stored"} {
		if _, err := ParseStart(text); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseEntities(t *testing.T) {
	for text, want := range map[string]Entity{
		"topic orders": {TopicEntity, "orders"}, "topics orders": {TopicEntity, "orders"}, "broker 0": {BrokerEntity, "0"},
		"broker default": {BrokerEntity, "default"}, "group g": {GroupEntity, "g"}, "client-metrics m": {ClientMetricsEntity, "m"},
	} {
		kind, name, _ := strings.Cut(text, " ")
		if got, err := ParseEntity(kind, name); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"topic ", "user alice", "broker x", "broker -1", " x", "client-metric x"} {
		kind, name, _ := strings.Cut(text, " ")
		if _, err := ParseEntity(kind, name); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSeedBrokers(t *testing.T) {
	for text, want := range map[string][]string{
		"localhost:9092": {"localhost:9092"}, "a, b:1": {"a:9092", "b:1"}, "[::1]:9092": {"[::1]:9092"}, "[::1]": {"[::1]:9092"}, "a,": {"a:9092"},
	} {
		if got, err := seedBrokers(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ",", "a:x", "a:0", "a:70000", ":9092", "::1", "http://a:9092"} {
		if got, err := seedBrokers(text); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestErrorsAreOneSentence(t *testing.T) {
	for want, err := range map[string]error{
		"topic orders: UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition": refused("topic orders", kerr.UnknownTopicOrPartition, ""),
		"topic orders: INVALID_CONFIG: segment.bytes is too small":                                 refused("topic orders", fmt.Errorf("wrapped: %w", kerr.InvalidConfig), "segment.bytes\n is too small."),
		"group g: REQUEST_TIMED_OUT: the cluster did not answer within the timeout":                refused("group g", context.DeadlineExceeded, ""),
		"topic x: UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition":      refused("topic x", kerr.UnknownTopicOrPartition, "UNKNOWN_TOPIC_OR_PARTITION"),
		"broker 7: BROKER_NOT_AVAILABLE: the cluster has no such broker":                           refused("broker 7", errors.New("unknown broker"), ""),
		"group g: interrupted": refused("group g", fmt.Errorf("poll: %w", context.Canceled), ""),
		"settings: UNSUPPORTED_VERSION: the broker does not serve this request": refused("settings", errors.New("broker is too old; the broker has already indicated it will not know how to handle the request"), ""),
		"2 of 3 topics refused, the first: topic a: NONE":                       summary("topics", 3, []error{errors.New("topic a: NONE"), errors.New("topic b: NONE")}),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if refused("x", nil, "y") != nil || summary("x", 1, nil) != nil {
		t.Error("no error became one")
	}
	if err := summary("topics", 2, []error{refused("topic a", kerr.InvalidConfig, "")}); !errors.Is(err, kerr.InvalidConfig) {
		t.Errorf("%v does not say INVALID_CONFIG", err)
	}
}
