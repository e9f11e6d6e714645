// Package group is the consumer group coordinator: one shard per
// __consumer_offsets partition, each a goroutine that owns its groups; the
// groups are pure state machines (group.go and the files named after what
// happens to one: join.go, sync.go, session.go, offsets.go; for the groups of
// KIP-848 consumer_group.go, consumer_heartbeat.go, reconcile.go, assignor.go,
// and migration.go and classic_member.go for both in one group; for share
// groups (KIP-932) share_group.go, share_heartbeat.go, share_assignor.go; for
// those of Kafka Streams (KIP-1071) streams_group.go, streams_topology.go and
// streams_configure.go for what the application consists of and needs,
// streams_heartbeat.go, streams_reconcile.go, streams_assignor.go).
//
// A group belongs to the shard of the partition that Kafka would choose, its
// offsets and metadata are stored there in Kafka's formats (records.go), and a
// restart replays them (shard.go). The room takes and returns protocol
// structs; it knows no connection and no other topic's partitions. Handlers
// call it; node builds, starts and closes it.
//
// Words: a ticket names a held request inside the machine; a step is one input
// with all its effects; a pending member id was handed out and not used yet. A
// classic group has generations and a leader that assigns; a consumer group
// (KIP-848) has epochs, and the coordinator assigns. So has a share group, whose
// members share partitions; what became of their records is the share room's. The
// members of a streams group have tasks: the coordinator knows the application's
// topology, and says which topics it needs; its caller makes them.
package group

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/coordinator"
	"fluxmq/broker/protocol"
)

// OffsetsTopic is where groups and their offsets are stored.
const OffsetsTopic = "__consumer_offsets"

// classicType is the type of a classic group in ListGroups.
const classicType = "classic"

const (
	// newMemberTimeout is how long a JoinGroup of a new member may be held
	// (Kafka's group.new.member.join.timeout.ms, which is not public).
	newMemberTimeout = 5 * time.Minute
	// maxPending bounds member ids that were handed out and not used, per group.
	maxPending = 10_000
	// maxIDBytes is the longest string the formats of __consumer_offsets hold.
	maxIDBytes = math.MaxInt16
	// regexMinInterval is how often topics that come and go make a group resolve
	// its regular expressions again, at most (Kafka's, which is not public).
	regexMinInterval = 10 * time.Second
	// settling is how long after a change the members of a consumer group are
	// told to heartbeat more often (fluxmq.group.consumer.settling.heartbeat.interval.ms).
	settling = 10 * time.Second
	// maxIDPrefixBytes is how much of a client or instance id goes into a member id.
	maxIDPrefixBytes = 1024
)

// Client is who asks.
type Client struct{ ID, Host string }

// Timer and Reply are the coordinators' common ones.
type (
	Timer        = coordinator.Timer
	Reply[T any] = coordinator.Reply[T]
)

// Config is what a Coordinator is made of.
type Config struct {
	// Node holds the group settings; it is read once.
	Node *config.Node
	// Partitions returns how many partitions __consumer_offsets has, 0 while
	// it does not exist. It is called for every request.
	Partitions func() int32
	// Log returns the log of one of them, nil when it is not hosted here.
	Log func(index int32) Log
	// Topics returns the cluster's topics as they are now, which consumer groups
	// assign. It is called for every step of a group. nil: there are none.
	Topics func() Topics
	// Settings returns the settings that a group has of its own, nil for one
	// that has none. It is called for every step of a group. nil: none has.
	Settings func(group string) *config.Group
	// ShareState keeps the states of the partitions of share groups. nil: no
	// member of a share group is assigned any.
	ShareState ShareState
	// Logger, Now, NewTimer and NewID default to slog.Default, the wall clock,
	// real timers and random UUIDs.
	Logger   *slog.Logger
	Now      func() time.Time
	NewTimer func(time.Duration) Timer
	NewID    func() string
}

// counters are for metrics.
type counters struct {
	rebalances, commits, expired atomic.Int64
}

// Counters are totals since the coordinator was made.
type Counters struct{ Rebalances, OffsetCommits, OffsetsExpired int64 }

// Snapshot is one group as metrics and the admin view show it.
type Snapshot struct {
	Group, State, ProtocolType string
	Generation                 int32
	Members                    int
	Offsets                    []FetchedOffset
}

// Coordinator is safe for concurrent use. Every request is answered through a
// Reply, whose Wait returns when the answer is there (and durable, where it
// must be), or when its context ends.
type Coordinator struct {
	settings settings
	enabled  bool
	shards   *coordinator.Shards[*shard]

	shareState ShareState
	stopJobs   context.CancelFunc // with shareState: ends the goroutine that makes states
	jobsDone   chan struct{}      // closed when it has ended
}

// New returns a coordinator without shards: Start makes them, or the first
// request. Where it makes states of share partitions it must be closed.
func New(c Config) *Coordinator {
	n := c.Node
	ofAll := settingsOf(n.Groups)
	co := &Coordinator{
		enabled: n.GroupsEnabled, shareState: c.ShareState,
		settings: settings{
			limits: limits{
				maxSize: int(n.GroupMaxSize), maxPending: maxPending,
				initialDelayMs:      n.GroupInitialRebalanceDelay.Milliseconds(),
				newMemberTimeoutMs:  newMemberTimeout.Milliseconds(),
				minSessionTimeoutMs: int32(n.GroupMinSessionTimeout.Milliseconds()),
				maxSessionTimeoutMs: int32(n.GroupMaxSessionTimeout.Milliseconds()),
				consumer:            consumerLimitsOf(n),
				share:               shareLimits{int(n.GroupShareMaxSize), n.GroupShareInitializeRetry.Milliseconds()},
				streams:             streamsLimits{int(n.GroupStreamsMaxSize)},
			},
			topics: c.Topics,
			settingsOf: func(group string) groupSettings {
				if c.Settings != nil {
					if own := c.Settings(group); own != nil {
						return settingsOf(own)
					}
				}
				return ofAll
			},
			metadataMax: min(int(n.OffsetMetadataMaxBytes), maxIDBytes), retentionMs: n.OffsetsRetention.Milliseconds(),
			retentionCheck: n.OffsetsRetentionCheck, answerTimeout: n.OffsetsCommitTimeout,
			now: c.Now, newTimer: c.NewTimer, newID: c.NewID, logger: c.Logger,
		},
	}
	s := &co.settings
	if s.topics == nil {
		s.topics = func() Topics { return noTopics{} }
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.newTimer == nil {
		s.newTimer = coordinator.NewWallTimer
	}
	if s.newID == nil {
		s.newID = randomUUID
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	co.shards = coordinator.NewShards(c.Partitions, c.Log, func(index int32, l Log) *shard {
		sh := newShard(index, s, l)
		go sh.loop() // stopped and awaited by Close
		return sh
	})
	if co.shareState != nil {
		var ctx context.Context
		ctx, co.stopJobs = context.WithCancel(context.Background())
		s.shareJobs, co.jobsDone = make(chan shareJob, maxShareJobs), make(chan struct{})
		go co.runShareJobs(ctx) // stopped and awaited by Close
	}
	return co
}

func consumerLimitsOf(n *config.Node) consumerLimits {
	policy := n.GroupConsumerMigrationPolicy
	return consumerLimits{
		maxSize:            int(n.GroupConsumerMaxSize),
		assignors:          n.GroupConsumerAssignors,
		upgrade:            policy == "bidirectional" || policy == "upgrade",
		downgrade:          policy == "bidirectional" || policy == "downgrade",
		regexRefreshMs:     n.GroupConsumerRegexRefresh.Milliseconds(),
		regexMinIntervalMs: regexMinInterval.Milliseconds(),
		settlingIntervalMs: int32(n.GroupConsumerSettlingInterval.Milliseconds()),
		settlingMs:         settling.Milliseconds(),
	}
}

func settingsOf(c *config.Group) groupSettings {
	return groupSettings{
		sessionTimeoutMs:     c.ConsumerSessionTimeout.Milliseconds(),
		assignmentIntervalMs: c.ConsumerAssignmentInterval.Milliseconds(),
		heartbeatIntervalMs:  int32(c.ConsumerHeartbeatInterval.Milliseconds()),
		share: shareSettings{
			sessionTimeoutMs:     c.Share.SessionTimeout.Milliseconds(),
			assignmentIntervalMs: c.Share.AssignmentInterval.Milliseconds(),
			heartbeatIntervalMs:  int32(c.Share.HeartbeatInterval.Milliseconds()),
		},
		streams: streamsSettings{
			sessionTimeoutMs:     c.Streams.SessionTimeout.Milliseconds(),
			assignmentIntervalMs: c.Streams.AssignmentInterval.Milliseconds(),
			initialDelayMs:       c.Streams.InitialDelay.Milliseconds(),
			heartbeatIntervalMs:  int32(c.Streams.HeartbeatInterval.Milliseconds()),
			standbys:             c.Streams.Standbys,
		},
	}
}

func randomUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Start starts a shard for every partition of __consumer_offsets that exists
// and waits until all are loaded or ctx ends; they go on loading then.
// Without Start a shard begins with the first request to it, and the sessions
// of stored members only then.
func (c *Coordinator) Start(ctx context.Context) error {
	if !c.enabled {
		return nil
	}
	if err := c.shards.Start(ctx); err != nil {
		return fmt.Errorf("load groups: %w", err)
	}
	return nil
}

// Close stops all shards and waits for them. Requests that wait, and later
// ones, are answered NOT_COORDINATOR.
func (c *Coordinator) Close() {
	if c.stopJobs != nil {
		c.stopJobs()
		<-c.jobsDone
	}
	c.shards.Close()
}

// Enabled tells whether groups are coordinated here at all.
func (c *Coordinator) Enabled() bool { return c.enabled }

// Counters returns totals for metrics.
func (c *Coordinator) Counters() Counters {
	s := &c.settings
	return Counters{s.rebalances.Load(), s.commits.Load(), s.expired.Load()}
}

// PartitionOf returns the partition of __consumer_offsets that a group lives
// in, of count.
func PartitionOf(group string, count int32) int32 {
	return protocol.CoordinatorPartition(group, count)
}

// shardOf returns the loaded shard of a group.
func (c *Coordinator) shardOf(ctx context.Context, group string) (*shard, error) {
	if !c.enabled {
		return nil, protocol.ErrCoordinatorNotAvailable
	}
	return c.shards.LoadedOf(ctx, group)
}

// allShards returns the shards of all partitions.
func (c *Coordinator) allShards() ([]*shard, error) {
	if !c.enabled {
		return nil, protocol.ErrCoordinatorNotAvailable
	}
	return c.shards.All()
}
