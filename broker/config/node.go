package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"fluxmq/broker/record"
)

// Node is the broker's settings, typed. It is read-only once Load returned it
// (node fills the bound port of a listener on port 0 before anyone reads it).
// WithDynamic makes a new one when dynamic settings change.
type Node struct {
	NodeID    int32
	ClusterID string // of a new cluster; "" mints one
	Rack      string
	// Listeners are opened; AdvertisedListeners[i] is what clients of
	// Listeners[i] are told. Port 0 is the port that was bound.
	Listeners           []Listener
	AdvertisedListeners []Listener
	// AdminListener is host:port of the admin HTTP, "" for none.
	AdminListener string
	// LogDirs are the directories of the logs, at least one; LogDir is the first,
	// which holds the metadata too.
	LogDirs []string
	LogDir  string
	// Insecure allows listeners beyond loopback without authentication.
	Insecure            bool
	GroupsEnabled       bool
	AutoCreateTopics    bool
	DeleteTopics        bool
	LogLevel, LogFormat string

	NumPartitions int32
	// Flush is log.flush: acks, os or always.
	Flush      string
	Validation record.Validation

	SocketRequestMaxBytes                        int32
	SocketSendBufferBytes, SocketRecvBufferBytes int // -1: the kernel's
	MaxConnections, MaxConnectionsPerIP          int
	MaxConnectionsOf                             map[string]int // by address, instead of MaxConnectionsPerIP
	MaxConnectionCreationRate                    int            // new connections a second
	TelemetryMaxBytes                            int32
	ConnectionsMaxIdle                           time.Duration // negative: never
	HeartbeatCoalescing                          time.Duration // 0: off
	FetchSessionSlots                            int
	FetchMaxBytes                                int32
	MessageMaxBytes                              int32
	MaxDescribedPartitions                       int32

	Cleaner Cleaner

	MoveBytesPerSecond       int64 // math.MaxInt64: no limit
	RetentionCheckInterval   time.Duration
	ProducerExpiration       time.Duration
	OffsetMetadataMaxBytes   int32
	OffsetsCommitTimeout     time.Duration
	OffsetsTopicPartitions   int32
	OffsetsTopicSegmentBytes int32
	OffsetsRetention         time.Duration
	OffsetsRetentionCheck    time.Duration

	GroupMaxSize                                                               int32
	GroupMinSessionTimeout, GroupMaxSessionTimeout, GroupInitialRebalanceDelay time.Duration

	// Groups are the settings of a group that has none of its own.
	Groups                        *Group
	GroupConsumerMaxSize          int32
	GroupConsumerAssignors        []string // at least one
	GroupConsumerMigrationPolicy  string   // bidirectional, upgrade, downgrade or disabled
	GroupConsumerRegexRefresh     time.Duration
	GroupConsumerSettlingInterval time.Duration // 0: off

	GroupShareMaxSize, GroupShareMaxSessions int32
	GroupShareInitializeRetry                time.Duration

	GroupStreamsMaxSize int32

	ShareSnapshotUpdates                             int32 // changes between two whole states
	ShareTopicPartitions, ShareTopicSegmentBytes     int32
	ShareWriteTimeout, ShareColdSnapshot, SharePrune time.Duration

	TransactionMaxTimeout, TransactionalIDExpiration         time.Duration
	TransactionTimeoutCheck, TransactionalIDExpiryCheck      time.Duration
	TransactionTopicPartitions, TransactionTopicSegmentBytes int32

	QuotaSamples, ControllerQuotaSamples int // how many, each of the span below
	QuotaWindow, ControllerQuotaWindow   time.Duration

	// The text behind the fields, for ParseTopic and DescribeConfigs.
	static         map[string]string // file, environment, flags
	dynamicDefault map[string]string // altered for every broker
	dynamic        map[string]string // altered for this broker
	warnings       []Warning
}

// Cleaner is the settings of the log cleaner; all but Enabled can be altered
// while the broker runs.
type Cleaner struct {
	Enabled            bool
	DedupeBytes        int64
	LoadFactor         float64
	BufferBytes        int
	BytesPerSecond     float64
	BusyBytesPerSecond float64 // while something is appended
	Backoff            time.Duration
}

// Warning is a sentence about a setting that a person should read.
type Warning struct {
	Key  string // may be ""
	Text string
}

func (w Warning) String() string { return w.Text }

func (n *Node) warn(key, text string) { n.warnings = append(n.warnings, Warning{key, text}) }

// Default is the broker without any setting: loopback on 9092.
func Default() *Node {
	n, _, err := Load(Sources{})
	if err != nil {
		panic("config: the defaults are refused: " + err.Error())
	}
	return n
}

// WithDynamic returns a copy with dynamic settings on top: those altered for
// every broker and those altered for this one, which win. Both were checked
// when they were altered; an error means that one was not.
func (n *Node) WithDynamic(all, this map[string]string) (*Node, error) {
	for _, settings := range []map[string]string{all, this} {
		for key, value := range settings {
			if err := CheckDynamic(key, value); err != nil {
				return nil, err
			}
		}
	}
	after := *n
	after.dynamicDefault, after.dynamic = maps.Clone(all), maps.Clone(this)
	if err := after.fillDynamic(); err != nil {
		return nil, err
	}
	if _, err := ParseTopic(&after, nil); err != nil {
		return nil, err
	}
	return &after, nil
}

// WithStored is WithDynamic for settings that were stored earlier, perhaps
// beside other static ones: each that does not fit now is left out and named,
// so that it does not keep the broker from starting (as in Kafka). What is
// left fits.
func (n *Node) WithStored(all, this map[string]string) (after *Node, ignored []string) {
	var err error
	if after, err = n.WithDynamic(all, this); err == nil {
		return after, nil
	}
	fitAll, fitThis := map[string]string{}, map[string]string{}
	if after, err = n.WithDynamic(nil, nil); err != nil {
		panic("config: the static settings are refused: " + err.Error()) // Load has accepted them
	}
	for _, layer := range []struct{ from, into map[string]string }{{all, fitAll}, {this, fitThis}} {
		for _, key := range slices.Sorted(maps.Keys(layer.from)) {
			layer.into[key] = layer.from[key]
			next, err := n.WithDynamic(fitAll, fitThis)
			if err != nil {
				delete(layer.into, key)
				ignored = append(ignored, key)
				continue
			}
			after = next
		}
	}
	return after, ignored
}

// fillDynamic sets the typed fields of settings that can be altered while the
// broker runs.
func (n *Node) fillDynamic() (err error) {
	n.MessageMaxBytes = int32(n.whole("message.max.bytes"))
	n.fillCleaner()
	n.MoveBytesPerSecond = n.whole("replica.alter.log.dirs.io.max.bytes.per.second")
	n.ProducerExpiration = n.millis("producer.id.expiration.ms")
	n.MaxConnections = int(n.whole("max.connections"))
	n.MaxConnectionsPerIP = int(n.whole("max.connections.per.ip"))
	n.MaxConnectionsOf, _ = parseAddressLimits(n.text("max.connections.per.ip.overrides")) // checked before
	n.MaxConnectionCreationRate = int(n.whole("max.connection.creation.rate"))
	n.Groups, err = ParseGroup(n, nil)
	return err
}

// fill sets the typed fields from the text settings, all of them checked before.
func (n *Node) fill() error {
	n.NodeID = int32(n.whole("node.id"))
	n.ClusterID = n.text("cluster.id")
	n.Rack = n.text("broker.rack")
	n.AdminListener = n.text("fluxmq.admin.listener")
	n.LogDirs = splitPaths(n.text("log.dirs"))
	n.LogDir = n.LogDirs[0]
	n.Insecure = n.truth("fluxmq.insecure")
	n.GroupsEnabled = n.truth("fluxmq.groups.enable")
	n.AutoCreateTopics = n.truth("auto.create.topics.enable")
	n.DeleteTopics = n.truth("delete.topic.enable")
	n.LogLevel = n.text("fluxmq.log.level")
	n.LogFormat = n.text("fluxmq.log.format")
	n.NumPartitions = int32(n.whole("num.partitions"))
	n.Flush = n.text("log.flush")
	n.Validation = map[string]record.Validation{
		"header": record.ValidateHeader, "records": record.ValidateRecords, "full": record.ValidateFull,
	}[n.text("log.validation")]

	n.SocketRequestMaxBytes = int32(n.whole("socket.request.max.bytes"))
	n.SocketSendBufferBytes = int(n.whole("socket.send.buffer.bytes"))
	n.SocketRecvBufferBytes = int(n.whole("socket.receive.buffer.bytes"))
	n.ConnectionsMaxIdle = n.millis("connections.max.idle.ms")
	n.HeartbeatCoalescing = n.millis("fluxmq.heartbeat.coalescing.ms")
	n.FetchSessionSlots = int(n.whole("max.incremental.fetch.session.cache.slots"))
	n.FetchMaxBytes = int32(n.whole("fetch.max.bytes"))
	n.TelemetryMaxBytes = int32(n.whole("telemetry.max.bytes"))
	n.MaxDescribedPartitions = int32(n.whole("max.request.partition.size.limit"))

	n.RetentionCheckInterval = n.millis("log.retention.check.interval.ms")
	n.OffsetMetadataMaxBytes = int32(n.whole("offset.metadata.max.bytes"))
	n.OffsetsCommitTimeout = n.millis("offsets.commit.timeout.ms")
	n.OffsetsTopicPartitions = int32(n.whole("offsets.topic.num.partitions"))
	n.OffsetsTopicSegmentBytes = int32(n.whole("offsets.topic.segment.bytes"))
	n.OffsetsRetention = time.Duration(n.whole("offsets.retention.minutes")) * time.Minute
	n.OffsetsRetentionCheck = n.millis("offsets.retention.check.interval.ms")

	n.GroupMaxSize = int32(n.whole("group.max.size"))
	n.GroupMinSessionTimeout = n.millis("group.min.session.timeout.ms")
	n.GroupMaxSessionTimeout = n.millis("group.max.session.timeout.ms")
	n.GroupInitialRebalanceDelay = n.millis("group.initial.rebalance.delay.ms")

	n.GroupConsumerMaxSize = int32(n.whole("group.consumer.max.size"))
	n.GroupConsumerAssignors = SplitList(n.text("group.consumer.assignors"))
	n.GroupConsumerMigrationPolicy = strings.ToLower(n.text("group.consumer.migration.policy"))
	n.GroupConsumerRegexRefresh = n.millis("group.consumer.regex.refresh.interval.ms")
	n.GroupConsumerSettlingInterval = n.millis("fluxmq.group.consumer.settling.heartbeat.interval.ms")
	if err := n.fillDynamic(); err != nil {
		return err
	}

	n.GroupShareMaxSize = int32(n.whole("group.share.max.size"))
	n.GroupShareMaxSessions = int32(n.whole("group.share.max.share.sessions"))
	if n.GroupShareMaxSessions < n.GroupShareMaxSize {
		return fmt.Errorf("%w %d for group.share.max.share.sessions: must be at least group.share.max.size (%d)", ErrInvalid, n.GroupShareMaxSessions, n.GroupShareMaxSize)
	}
	n.GroupShareInitializeRetry = n.millis("group.share.initialize.retry.interval.ms")
	n.GroupStreamsMaxSize = int32(n.whole("group.streams.max.size"))
	n.ShareSnapshotUpdates = int32(n.whole("share.coordinator.snapshot.update.records.per.snapshot"))
	n.ShareTopicPartitions = int32(n.whole("share.coordinator.state.topic.num.partitions"))
	n.ShareTopicSegmentBytes = int32(n.whole("share.coordinator.state.topic.segment.bytes"))
	n.ShareWriteTimeout = n.millis("share.coordinator.write.timeout.ms")
	n.ShareColdSnapshot = n.millis("share.coordinator.cold.partition.snapshot.interval.ms")
	n.SharePrune = n.millis("share.coordinator.state.topic.prune.interval.ms")

	n.TransactionMaxTimeout = n.millis("transaction.max.timeout.ms")
	n.TransactionalIDExpiration = n.millis("transactional.id.expiration.ms")
	n.TransactionTimeoutCheck = n.millis("transaction.abort.timed.out.transaction.cleanup.interval.ms")
	n.TransactionalIDExpiryCheck = n.millis("transaction.remove.expired.transaction.cleanup.interval.ms")
	n.TransactionTopicPartitions = int32(n.whole("transaction.state.log.num.partitions"))
	n.TransactionTopicSegmentBytes = int32(n.whole("transaction.state.log.segment.bytes"))

	n.QuotaSamples = int(n.whole("quota.window.num"))
	n.QuotaWindow = time.Duration(n.whole("quota.window.size.seconds")) * time.Second
	n.ControllerQuotaSamples = int(n.whole("controller.quota.window.num"))
	n.ControllerQuotaWindow = time.Duration(n.whole("controller.quota.window.size.seconds")) * time.Second
	return n.listen()
}

func (n *Node) fillCleaner() {
	n.Cleaner = Cleaner{
		Enabled:            n.truth("log.cleaner.enable"),
		DedupeBytes:        n.whole("log.cleaner.dedupe.buffer.size"),
		LoadFactor:         n.fraction("log.cleaner.io.buffer.load.factor"),
		BufferBytes:        int(n.whole("log.cleaner.io.buffer.size")),
		BytesPerSecond:     n.fraction("log.cleaner.io.max.bytes.per.second"),
		BusyBytesPerSecond: n.fraction("fluxmq.log.cleaner.busy.io.max.bytes.per.second"),
		Backoff:            n.millis("log.cleaner.backoff.ms"),
	}
}

// set returns the value that a broker key was given, without its synonyms and default.
func (n *Node) set(key string) (string, Source, bool) {
	if value, ok := n.dynamic[key]; ok {
		return value, DynamicBroker, true
	}
	if value, ok := n.dynamicDefault[key]; ok {
		return value, DynamicDefaultBroker, true
	}
	value, ok := n.static[key]
	return value, StaticBroker, ok
}

// value resolves a setting from the broker's settings: its own key (a broker
// setting's), then its synonyms in turn, then the default. ok is false when
// there is none at all.
func (n *Node) value(s *Setting) (text string, source Source, ok bool) {
	if s.Scope == Broker {
		if text, source, ok = n.set(s.Name); ok && !(s.Name == "node.id" && text == "-1") {
			return strings.TrimSpace(text), source, true
		}
	}
	for _, synonym := range s.Synonyms {
		if text, source, ok = n.set(synonym.Name); ok && !(synonym.Name == "broker.id" && text == "-1") {
			return convert(strings.TrimSpace(text), synonym.Factor), source, true
		}
	}
	if !s.Null {
		return s.Default, DefaultConfig, true
	}
	for _, synonym := range s.Synonyms {
		if of := Find(Broker, synonym.Name); of != nil && !of.Null {
			return convert(of.Default, synonym.Factor), DefaultConfig, true
		}
	}
	return "", DefaultConfig, false
}

// convert multiplies a synonym's number into another unit; negative stays -1
// (for ever) and what would overflow stays at the largest number.
func convert(text string, factor int64) string {
	if factor == 0 {
		return text
	}
	v, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return text
	case v < 0:
		return "-1"
	case v > math.MaxInt64/factor:
		return maxLong
	}
	return strconv.FormatInt(v*factor, 10)
}

// text is a broker setting as text; the key must be registered.
func (n *Node) text(key string) string {
	s := Find(Broker, key)
	if s == nil {
		panic("config: " + key + " is not registered")
	}
	text, _, _ := n.value(s)
	return text
}

func (n *Node) whole(key string) int64 { return wholeNumber(n.text(key)) }

func (n *Node) fraction(key string) float64 { return fraction(n.text(key)) }

func (n *Node) truth(key string) bool {
	value, _ := parseBool(n.text(key))
	return value
}

func (n *Node) millis(key string) time.Duration { return milliseconds(n.whole(key)) }

// wholeNumber reads a number that Check has accepted.
func wholeNumber(text string) int64 {
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic("config: unchecked number " + strconv.Quote(text))
	}
	return v
}

// fraction reads a number, whole or not, that Check has accepted.
func fraction(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic("config: unchecked number " + strconv.Quote(text))
	}
	return v
}

// milliseconds is a Duration that does not overflow: what is longer than a
// Duration holds (292 years) is the longest one. Negative stays negative.
func milliseconds(ms int64) time.Duration {
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	if ms < 0 {
		return -1
	}
	return time.Duration(ms) * time.Millisecond
}
