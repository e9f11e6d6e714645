package config

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"fluxmq/broker/record"
)

// Topic is one topic's settings parsed once: overrides on the broker's
// defaults. Immutable. A negative duration or size means for ever or no
// limit; the largest Duration stands for Kafka's "never". A setting of 0 is here
// the least positive value, which means the same: the rooms below take a zero
// for "not given".
type Topic struct {
	// CleanupDelete and CleanupCompact are cleanup.policy; the next four are for
	// a compacted topic.
	CleanupDelete, CleanupCompact                         bool
	DeleteRetention, MinCompactionLag, MaxCompactionLag   time.Duration
	MinDirtyRatio                                         float64 // 0 to 1
	SegmentBytes, SegmentIndexBytes, IndexIntervalBytes   int64
	SegmentAge, Retention, FileDeleteDelay, FlushInterval time.Duration // <0: for ever
	RetentionBytes, FlushMessages                         int64
	MaxMessageBytes                                       int32
	LogAppendTime                                         bool
	TimestampBeforeMax, TimestampAfterMax                 time.Duration
	MinInsyncReplicas                                     int32
	Recompress                                            *record.Compression // compression.type and its level; nil: producer
	Preallocate                                           bool
}

// CheckTopic checks one topic override as CreateTopics and AlterConfigs do.
// An unknown key's error wraps ErrUnknownKey, a refused value's ErrInvalid.
func CheckTopic(key, value string) error {
	s := Find(TopicScope, key)
	if s == nil {
		text := ""
		if near := Suggest(TopicScope, key); near != "" {
			text = "; did you mean " + near + "?"
		}
		return fmt.Errorf("%w: topics have no setting %q%s", ErrUnknownKey, key, text)
	}
	return s.Check(value)
}

// CheckDynamic checks one broker setting as AlterConfigs does: it must exist
// and be dynamic. Of those without effect the dynamic ones are the defaults of
// topic settings for which every value holds here. As in Kafka, a key that is
// not dynamic says so whatever its value.
func CheckDynamic(key, value string) error {
	s := Find(Broker, key)
	switch {
	case s == nil && !isAccepted(key):
		text := ""
		if near := Suggest(Broker, key); near != "" {
			text = "; did you mean " + near + "?"
		}
		return fmt.Errorf("%w: brokers have no setting %q%s", ErrUnknownKey, key, text)
	case s == nil || s.Accepted && !s.Dynamic:
		return fmt.Errorf("%w: %s has no effect in this broker, so it cannot be altered", ErrInvalid, key)
	case !s.Dynamic:
		return fmt.Errorf("%w: %s cannot be altered while the broker runs; set it at start", ErrInvalid, key)
	}
	return s.Check(value)
}

// ParseTopic applies a topic's overrides to the broker's settings. Errors name
// key, value and rule; the first in order of the key's name is returned.
func ParseTopic(n *Node, overrides map[string]string) (*Topic, error) {
	keys := make([]string, 0, len(overrides))
	for key := range overrides {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		if err := CheckTopic(key, overrides[key]); err != nil {
			return nil, err
		}
	}
	v := topicValues{n, overrides}
	if low, high := v.whole("min.compaction.lag.ms"), v.whole("max.compaction.lag.ms"); low > high {
		return nil, fmt.Errorf("%w: min.compaction.lag.ms (%d) is larger than max.compaction.lag.ms (%d)", ErrInvalid, low, high)
	}
	t := &Topic{
		DeleteRetention:    max1(milliseconds(v.whole("delete.retention.ms"))),
		MinCompactionLag:   milliseconds(v.whole("min.compaction.lag.ms")),
		MaxCompactionLag:   milliseconds(v.whole("max.compaction.lag.ms")),
		MinDirtyRatio:      max(fraction(v.text("min.cleanable.dirty.ratio")), math.SmallestNonzeroFloat64),
		SegmentBytes:       v.whole("segment.bytes"),
		SegmentIndexBytes:  v.whole("segment.index.bytes"),
		IndexIntervalBytes: max1(v.whole("index.interval.bytes")),
		SegmentAge:         milliseconds(v.whole("segment.ms")),
		Retention:          max1(milliseconds(v.whole("retention.ms"))),
		FileDeleteDelay:    milliseconds(v.whole("file.delete.delay.ms")),
		FlushInterval:      max1(milliseconds(v.whole("flush.ms"))),
		RetentionBytes:     max1(v.whole("retention.bytes")),
		FlushMessages:      v.whole("flush.messages"),
		MaxMessageBytes:    int32(max1(v.whole("max.message.bytes"))),
		LogAppendTime:      v.text("message.timestamp.type") == "LogAppendTime",
		TimestampBeforeMax: max1(milliseconds(v.whole("message.timestamp.before.max.ms"))),
		TimestampAfterMax:  max1(milliseconds(v.whole("message.timestamp.after.max.ms"))),
		MinInsyncReplicas:  int32(v.whole("min.insync.replicas")),
		Recompress:         v.compression(),
	}
	t.Preallocate, _ = parseBool(v.text("preallocate"))
	if size, ok := overrides["internal.segment.bytes"]; ok {
		t.SegmentBytes = wholeNumber(strings.TrimSpace(size))
	}
	for _, policy := range SplitList(v.text("cleanup.policy")) {
		t.CleanupDelete = t.CleanupDelete || policy == "delete"
		t.CleanupCompact = t.CleanupCompact || policy == "compact"
	}
	return t, nil
}

// max1 makes 1 of 0 and leaves the rest.
func max1[N int64 | time.Duration](v N) N {
	if v == 0 {
		return 1
	}
	return v
}

// topicValues resolves topic settings: overrides, then the broker's.
type topicValues struct {
	node      *Node
	overrides map[string]string
}

func (v topicValues) text(key string) string {
	if value, ok := v.overrides[key]; ok {
		return strings.TrimSpace(value)
	}
	value, _, _ := v.node.value(Find(TopicScope, key))
	return value
}

func (v topicValues) whole(key string) int64 { return wholeNumber(v.text(key)) }

// compression is what the topic's batches are stored in, nil where that is the producer's choice.
func (v topicValues) compression() *record.Compression {
	name := v.text("compression.type")
	switch name {
	case "producer":
		return nil
	case "uncompressed":
		return &record.Compression{Codec: record.None}
	}
	codec, known := record.ParseCodec(name)
	if !known {
		panic("config: unchecked compression.type " + name)
	}
	c := &record.Compression{Codec: codec}
	if codec != record.Snappy { // it has none
		c.Level = int(v.whole("compression." + name + ".level"))
	}
	return c
}
