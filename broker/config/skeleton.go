// Package config is the one registry of settings: broker and topic keys with
// Kafka's names, types, defaults, validators, sentences, scope, dynamic or
// not. It feeds parsing, DescribeConfigs, AlterConfigs, --help and docs.
package config

import (
	"time"

	"fluxmq/broker/record"
)

// Node is the broker's settings, read-only after Validate; the dynamic ones
// are re-read from the metadata image.
type Node struct {
	NodeID                                                                     int32
	Listeners                                                                  []Listener // from `listeners` (or --port); default PLAINTEXT://127.0.0.1:9092
	AdvertisedListeners                                                        []Listener
	AdminListener                                                              string // host:port of the admin HTTP, "" = off; `fluxmq.admin.listener`, default 127.0.0.1:9644
	LogDir                                                                     string
	Insecure                                                                   bool // allow a non-loopback listener without authentication
	GroupsEnabled                                                              bool
	AutoCreateTopics                                                           bool
	NumPartitions                                                              int32
	Flush                                                                      string // log.flush: acks | os | always
	Validation                                                                 record.Validation
	SocketRequestMaxBytes                                                      int32
	MaxConnections                                                             int
	ConnectionsMaxIdle                                                         time.Duration
	MessageMaxBytes                                                            int32
	FetchMaxBytes                                                              int32
	OffsetsTopicPartitions                                                     int32
	OffsetsRetention                                                           time.Duration
	GroupMinSessionTimeout, GroupMaxSessionTimeout, GroupInitialRebalanceDelay time.Duration
	LogLevel, LogFormat                                                        string
	// … the owner of this room adds the rest of tier 1 (reference/ecosystem.md §3a).
}

// Listener is NAME://host:port.
type Listener struct {
	Name, Host string
	Port       int
}

// Topic is one topic's settings parsed once, overrides on the broker's defaults.
type Topic struct {
	CleanupDelete, CleanupCompact                         bool
	SegmentBytes, SegmentIndexBytes, IndexIntervalBytes   int64
	SegmentAge, Retention, FileDeleteDelay, FlushInterval time.Duration // <0: for ever
	RetentionBytes, FlushMessages                         int64
	MaxMessageBytes                                       int32
	LogAppendTime                                         bool
	TimestampBeforeMax, TimestampAfterMax                 time.Duration
	MinInsyncReplicas                                     int32
	CompressionType                                       string
	Preallocate                                           bool
}

// ParseTopic applies a topic's overrides to the broker's settings. Errors name key, value and rule.
func ParseTopic(n *Node, overrides map[string]string) (*Topic, error) { panic("not built") }
