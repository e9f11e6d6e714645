// Package group is the consumer group coordinator: one shard per
// __consumer_offsets partition, each a goroutine that owns its groups; the
// groups are pure state machines (group.go and the files named after what
// happens to one: join.go, sync.go, session.go, offsets.go).
//
// A group belongs to the shard of the partition that Kafka would choose, its
// offsets and metadata are stored there in Kafka's formats (records.go), and a
// restart replays them (shard.go). The room takes and returns protocol
// structs; it knows no connection and no other topic's partitions. Handlers
// call it; node builds, starts and closes it.
//
// Words: a ticket names a held request inside the machine; a step is one input
// with all its effects; a pending member id was handed out and not used yet.
package group

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"fluxmq/broker/config"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetsTopic is where groups and their offsets are stored.
const OffsetsTopic = "__consumer_offsets"

// classicType is the only group type built; KIP-848 groups are not.
const classicType = "classic"

const (
	// newMemberTimeout is how long a JoinGroup of a new member may be held
	// (Kafka's group.new.member.join.timeout.ms, which is not public).
	newMemberTimeout = 5 * time.Minute
	// maxPending bounds member ids that were handed out and not used, per group.
	maxPending = 10_000
	// loadWait is how long a request waits for its shard's replay before it is
	// told COORDINATOR_LOAD_IN_PROGRESS.
	loadWait = time.Second
	// maxIDBytes is the longest string the formats of __consumer_offsets hold.
	maxIDBytes = math.MaxInt16
	// maxIDPrefixBytes is how much of a client or instance id goes into a member id.
	maxIDPrefixBytes = 1024
)

// Client is who asks.
type Client struct{ ID, Host string }

// Timer is the part of time.Timer that a shard uses.
type Timer interface {
	Chan() <-chan time.Time
	Reset(time.Duration)
	Stop()
}

// Config is what a Coordinator is made of.
type Config struct {
	// Node holds the group settings; it is read once.
	Node *config.Node
	// Partitions returns how many partitions __consumer_offsets has, 0 while
	// it does not exist. It is called for every request.
	Partitions func() int32
	// Log returns the log of one of them, nil when it is not hosted here.
	Log func(index int32) Log
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
	settings   settings
	enabled    bool
	partitions func() int32
	openLog    func(int32) Log

	// mutex guards the fields below.
	mutex  sync.Mutex
	shards map[int32]*shard
	closed bool
}

// New returns a coordinator without shards: Start makes them, or the first request.
func New(c Config) *Coordinator {
	n := c.Node
	co := &Coordinator{
		enabled: n.GroupsEnabled, partitions: c.Partitions, openLog: c.Log, shards: map[int32]*shard{},
		settings: settings{
			limits: limits{
				maxSize: int(n.GroupMaxSize), maxPending: maxPending,
				initialDelayMs:      n.GroupInitialRebalanceDelay.Milliseconds(),
				newMemberTimeoutMs:  newMemberTimeout.Milliseconds(),
				minSessionTimeoutMs: int32(n.GroupMinSessionTimeout.Milliseconds()),
				maxSessionTimeoutMs: int32(n.GroupMaxSessionTimeout.Milliseconds()),
			},
			metadataMax: min(int(n.OffsetMetadataMaxBytes), maxIDBytes), retentionMs: n.OffsetsRetention.Milliseconds(),
			retentionCheck: n.OffsetsRetentionCheck, answerTimeout: n.OffsetsCommitTimeout,
			now: c.Now, newTimer: c.NewTimer, newID: c.NewID, logger: c.Logger,
		},
	}
	s := &co.settings
	if s.now == nil {
		s.now = time.Now
	}
	if s.newTimer == nil {
		s.newTimer = func(d time.Duration) Timer { return wallTimer{time.NewTimer(d)} }
	}
	if s.newID == nil {
		s.newID = randomUUID
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	return co
}

type wallTimer struct{ *time.Timer }

func (t wallTimer) Chan() <-chan time.Time { return t.C }
func (t wallTimer) Reset(d time.Duration)  { t.Timer.Reset(d) }
func (t wallTimer) Stop()                  { t.Timer.Stop() }

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
	shards, err := c.allShards()
	if err != nil {
		return err
	}
	for _, s := range shards {
		select {
		case <-s.loaded:
		case <-ctx.Done():
			return fmt.Errorf("load groups: %w", context.Cause(ctx))
		}
	}
	return nil
}

// Close stops all shards and waits for them. Requests that wait, and later
// ones, are answered NOT_COORDINATOR.
func (c *Coordinator) Close() {
	c.mutex.Lock()
	stopped := c.closed
	c.closed = true
	c.mutex.Unlock()
	if !stopped {
		for _, s := range c.shards { // no shard is added once closed is set
			close(s.stop)
		}
	}
	for _, s := range c.shards {
		<-s.done
	}
}

// Enabled tells whether groups are coordinated here at all.
func (c *Coordinator) Enabled() bool { return c.enabled }

// Counters returns totals for metrics.
func (c *Coordinator) Counters() Counters {
	s := &c.settings
	return Counters{s.rebalances.Load(), s.commits.Load(), s.expired.Load()}
}

// PartitionOf returns the partition of __consumer_offsets that a group lives
// in, of count: Java's String.hashCode, made non-negative as Kafka does.
func PartitionOf(group string, count int32) int32 {
	var h int32
	for _, r := range group {
		if r1, r2 := utf16.EncodeRune(r); r1 != utf8.RuneError {
			h = 31*(31*h+r1) + r2
			continue
		}
		h = 31*h + r
	}
	switch {
	case h == math.MinInt32:
		h = 0
	case h < 0:
		h = -h
	}
	return h % count
}

// shardAt returns the shard of one partition, started if it was not.
func (c *Coordinator) shardAt(index int32) (*shard, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return nil, protocol.ErrNotCoordinator
	}
	s := c.shards[index]
	if s == nil {
		l := c.openLog(index)
		if l == nil {
			return nil, protocol.ErrNotCoordinator
		}
		s = newShard(index, &c.settings, l)
		c.shards[index] = s
		go s.loop() // stopped and awaited by Close
	}
	return s, nil
}

// allShards returns the shards of all partitions.
func (c *Coordinator) allShards() ([]*shard, error) {
	if !c.enabled {
		return nil, protocol.ErrCoordinatorNotAvailable
	}
	var list []*shard
	for i := range c.partitions() {
		s, err := c.shardAt(i)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// shardOf returns the loaded shard of a group.
func (c *Coordinator) shardOf(ctx context.Context, group string) (*shard, error) {
	if !c.enabled {
		return nil, protocol.ErrCoordinatorNotAvailable
	}
	count := c.partitions()
	if count <= 0 {
		return nil, protocol.ErrNotCoordinator // FindCoordinator makes the topic
	}
	s, err := c.shardAt(PartitionOf(group, count))
	if err != nil {
		return nil, err
	}
	return s, s.awaitLoaded(ctx)
}

// awaitLoaded waits a moment for the replay.
func (s *shard) awaitLoaded(ctx context.Context) error {
	select {
	case <-s.loaded:
		return nil
	default:
	}
	deadline := time.NewTimer(loadWait)
	defer deadline.Stop()
	select {
	case <-s.loaded:
		return nil
	case <-deadline.C:
		return protocol.ErrCoordinatorLoadInProgress
	case <-ctx.Done():
		return protocol.ErrCoordinatorNotAvailable
	}
}

// send puts a command into the queue, waiting for room at most the answer timeout.
func (s *shard) send(ctx context.Context, c command) error {
	select {
	case s.queue <- c:
		return nil
	case <-s.done:
		return protocol.ErrNotCoordinator
	default:
	}
	deadline := time.NewTimer(s.config.answerTimeout)
	defer deadline.Stop()
	select {
	case s.queue <- c:
		return nil
	case <-s.done:
		return protocol.ErrNotCoordinator
	case <-deadline.C:
	case <-ctx.Done():
	}
	return protocol.ErrCoordinatorNotAvailable
}

// Reply is an answer that may come later. Wait is called once.
type Reply[T any] struct {
	answer  chan T // capacity 1, sent to once
	refuse  func(code int16) T
	done    <-chan struct{} // the shard has stopped
	timeout time.Duration   // 0: held as long as the group says (join, sync)
}

// answered is a Reply that is there.
func answered[T any](v T) *Reply[T] {
	r := &Reply[T]{answer: make(chan T, 1)}
	r.answer <- v
	return r
}

// Wait returns the answer, or a refusal when ctx ends, the shard stops or the
// answer takes longer than offsets.commit.timeout.ms (held joins and syncs
// excepted, which the group's own timers end).
func (r *Reply[T]) Wait(ctx context.Context) T {
	select {
	case v := <-r.answer:
		return v
	default:
	}
	var deadline <-chan time.Time
	if r.timeout > 0 {
		t := time.NewTimer(r.timeout)
		defer t.Stop()
		deadline = t.C
	}
	select {
	case v := <-r.answer:
		return v
	case <-r.done:
		select {
		case v := <-r.answer: // it was answered before the shard stopped
			return v
		default:
			return r.refuse(protocol.ErrNotCoordinator.Code)
		}
	case <-deadline:
	case <-ctx.Done():
	}
	return r.refuse(protocol.ErrCoordinatorNotAvailable.Code)
}

// give puts the answer into the shard's outbox.
func (r *Reply[T]) give(s *shard, v T, durable bool) {
	s.outbox = append(s.outbox, outgoing{durable: durable, deliver: func(code int16) {
		if code != 0 {
			v = r.refuse(code)
		}
		r.answer <- v
	}})
}

// ask sends a request to the shard of a group.
func ask[T any](ctx context.Context, c *Coordinator, group string, refuse func(int16) T, run func(*shard, *Reply[T])) *Reply[T] {
	s, err := c.shardOf(ctx, group)
	if err != nil {
		return answered(refuse(protocol.CodeOf(err)))
	}
	return askShard(ctx, s, refuse, run)
}

func askShard[T any](ctx context.Context, s *shard, refuse func(int16) T, run func(*shard, *Reply[T])) *Reply[T] {
	r := &Reply[T]{answer: make(chan T, 1), refuse: refuse, done: s.done, timeout: s.config.answerTimeout}
	err := s.send(ctx, command{
		run:    func(s *shard) { run(s, r) },
		refuse: func(code int16) { r.answer <- refuse(code) },
	})
	if err != nil {
		return answered(refuse(protocol.CodeOf(err)))
	}
	return r
}

// checkGroup refuses ids that cannot be stored; empty ones where the request
// needs a real group (Kafka takes them for commits, fetches and admin reads).
func checkGroup(id string, mayBeEmpty bool) int16 {
	if id == "" && !mayBeEmpty || len(id) > maxIDBytes {
		return protocol.ErrInvalidGroupID.Code
	}
	return 0
}

// checkJoin refuses a join that no group could take.
func (c *Coordinator) checkJoin(from Client, in *kmsg.JoinGroupRequest) int16 {
	if code := checkGroup(in.Group, false); code != 0 {
		return code
	}
	if code := c.settings.checkSession(in.SessionTimeoutMillis); code != 0 {
		return code
	}
	tooLong := len(in.ProtocolType) > maxIDBytes || len(from.ID) > maxIDBytes || in.InstanceID != nil && len(*in.InstanceID) > maxIDBytes
	for _, p := range in.Protocols {
		tooLong = tooLong || len(p.Name) > maxIDBytes
	}
	if tooLong {
		return protocol.ErrInvalidRequest.Code
	}
	return 0
}

// Join is JoinGroup. The reply is held until the rebalance is over.
func (c *Coordinator) Join(ctx context.Context, from Client, in *kmsg.JoinGroupRequest) *Reply[*kmsg.JoinGroupResponse] {
	refuse := func(code int16) *kmsg.JoinGroupResponse { return joinError(in.MemberID, code) }
	if code := c.checkJoin(from, in); code != 0 {
		return answered(refuse(code))
	}
	r := ask(ctx, c, in.Group, refuse, func(s *shard, r *Reply[*kmsg.JoinGroupResponse]) {
		g := s.groups[in.Group]
		if g == nil && in.MemberID != "" {
			r.give(s, refuse(protocol.ErrUnknownMemberID.Code), false)
			return
		}
		g = s.groupOf(in.Group)
		t := s.hold(func(a reply, durable bool) { r.give(s, a.join, durable) })
		s.do(g, func(st *step) {
			g.join(st, joinInput{in, from, t, c.memberID(from, in)})
		})
	})
	r.timeout = 0
	return r
}

// memberID makes a fresh member id: the instance or client id, and a UUID.
func (c *Coordinator) memberID(from Client, in *kmsg.JoinGroupRequest) string {
	prefix := from.ID
	if in.InstanceID != nil {
		prefix = *in.InstanceID
	}
	if len(prefix) > maxIDPrefixBytes {
		prefix = strings.ToValidUTF8(prefix[:maxIDPrefixBytes], "")
	}
	return prefix + "-" + c.settings.newID()
}

// Sync is SyncGroup. The reply is held until the leader's assignment is there and durable.
func (c *Coordinator) Sync(ctx context.Context, in *kmsg.SyncGroupRequest) *Reply[*kmsg.SyncGroupResponse] {
	if code := checkGroup(in.Group, false); code != 0 {
		return answered(syncError(code))
	}
	r := ask(ctx, c, in.Group, syncError, func(s *shard, r *Reply[*kmsg.SyncGroupResponse]) {
		g := s.groups[in.Group]
		if g == nil {
			r.give(s, syncError(protocol.ErrUnknownMemberID.Code), false)
			return
		}
		t := s.hold(func(a reply, durable bool) { r.give(s, a.sync, durable) })
		s.do(g, func(st *step) { g.sync(st, syncInput{in, t}) })
	})
	r.timeout = 0
	return r
}

// Heartbeat keeps a member's session; the reply is an error code.
func (c *Coordinator) Heartbeat(ctx context.Context, in *kmsg.HeartbeatRequest) *Reply[int16] {
	if code := checkGroup(in.Group, false); code != 0 {
		return answered(code)
	}
	return ask(ctx, c, in.Group, itself, func(s *shard, r *Reply[int16]) {
		code := protocol.ErrUnknownMemberID.Code
		if g := s.groups[in.Group]; g != nil {
			s.do(g, func(st *step) { code = g.heartbeat(st, in) })
		}
		r.give(s, code, false)
	})
}

func itself(code int16) int16 { return code }

// Leave is LeaveGroup: a code for the group, then one for each member. in is
// read as version 3 and up: the handler turns older ones into that.
func (c *Coordinator) Leave(ctx context.Context, in *kmsg.LeaveGroupRequest) *Reply[*kmsg.LeaveGroupResponse] {
	refuse := func(code int16) *kmsg.LeaveGroupResponse {
		r := kmsg.NewPtrLeaveGroupResponse()
		r.ErrorCode = code
		return r
	}
	if code := checkGroup(in.Group, false); code != 0 {
		return answered(refuse(code))
	}
	return ask(ctx, c, in.Group, refuse, func(s *shard, r *Reply[*kmsg.LeaveGroupResponse]) {
		g := s.groups[in.Group]
		if g == nil {
			r.give(s, refuse(protocol.ErrUnknownMemberID.Code), false)
			return
		}
		response := refuse(0)
		wrote := s.do(g, func(st *step) { response.Members = g.leave(st, in.Members) })
		r.give(s, response, wrote)
	})
}

// Commit is OffsetCommit: one code for each of in.Offsets.
func (c *Coordinator) Commit(ctx context.Context, in Commit) *Reply[[]int16] {
	refuse := func(code int16) []int16 { return slices.Repeat([]int16{code}, len(in.Offsets)) }
	if code := checkGroup(in.Group, true); code != 0 {
		return answered(refuse(code))
	}
	return ask(ctx, c, in.Group, refuse, func(s *shard, r *Reply[[]int16]) {
		g := s.groups[in.Group]
		if g == nil && in.Generation >= 0 {
			code := protocol.ErrIllegalGeneration.Code
			if in.Version >= 9 {
				code = protocol.ErrGroupIDNotFound.Code
			}
			r.give(s, refuse(code), false)
			return
		}
		g = s.groupOf(in.Group)
		var codes []int16
		wrote := s.do(g, func(st *step) { codes = g.commit(st, in, c.settings.metadataMax) })
		c.settings.commits.Add(int64(len(codes)))
		r.give(s, codes, wrote)
	})
}

// Fetched is what Fetch answers.
type Fetched struct {
	ErrorCode int16
	Offsets   []FetchedOffset
}

// Fetch reads committed offsets, all of them when topics is nil. What it
// answers is durable. There are no transactional offsets yet, so every offset
// is stable (KIP-447).
func (c *Coordinator) Fetch(ctx context.Context, group string, topics []FetchTopic) *Reply[Fetched] {
	refuse := func(code int16) Fetched { return Fetched{ErrorCode: code} }
	if code := checkGroup(group, true); code != 0 {
		return answered(refuse(code))
	}
	return ask(ctx, c, group, refuse, func(s *shard, r *Reply[Fetched]) {
		r.give(s, Fetched{Offsets: s.groups[group].fetch(topics)}, true)
	})
}

// DeleteOffsets is OffsetDelete.
func (c *Coordinator) DeleteOffsets(ctx context.Context, in *kmsg.OffsetDeleteRequest) *Reply[*kmsg.OffsetDeleteResponse] {
	refuse := func(code int16) *kmsg.OffsetDeleteResponse {
		r := kmsg.NewPtrOffsetDeleteResponse()
		r.ErrorCode = code
		return r
	}
	if code := checkGroup(in.Group, false); code != 0 {
		return answered(refuse(code))
	}
	return ask(ctx, c, in.Group, refuse, func(s *shard, r *Reply[*kmsg.OffsetDeleteResponse]) {
		g := s.groups[in.Group]
		if g == nil {
			r.give(s, refuse(protocol.ErrGroupIDNotFound.Code), false)
			return
		}
		response := refuse(0)
		wrote := s.do(g, func(st *step) { response.ErrorCode, response.Topics = g.deleteOffsets(st, in.Topics) })
		r.give(s, response, wrote)
	})
}

// Delete deletes one group; the reply is an error code.
func (c *Coordinator) Delete(ctx context.Context, group string) *Reply[int16] {
	if code := checkGroup(group, true); code != 0 {
		return answered(code)
	}
	return ask(ctx, c, group, itself, func(s *shard, r *Reply[int16]) {
		g := s.groups[group]
		if g == nil {
			r.give(s, protocol.ErrGroupIDNotFound.Code, false)
			return
		}
		var code int16
		wrote := s.do(g, func(st *step) { code = g.kill(st) })
		r.give(s, code, wrote)
	})
}

// Describe describes one group; ErrorCode is GROUP_ID_NOT_FOUND and State
// Dead for one that does not exist.
func (c *Coordinator) Describe(ctx context.Context, group string) *Reply[kmsg.DescribeGroupsResponseGroup] {
	refuse := func(code int16) kmsg.DescribeGroupsResponseGroup {
		d := kmsg.NewDescribeGroupsResponseGroup()
		d.Group, d.ErrorCode = group, code
		if code == protocol.ErrGroupIDNotFound.Code {
			d.State = dead.String()
		}
		return d
	}
	if code := checkGroup(group, true); code != 0 {
		return answered(refuse(code))
	}
	return ask(ctx, c, group, refuse, func(s *shard, r *Reply[kmsg.DescribeGroupsResponseGroup]) {
		if g := s.groups[group]; g != nil {
			r.give(s, g.describe(), false)
			return
		}
		r.give(s, refuse(protocol.ErrGroupIDNotFound.Code), false)
	})
}

// List is ListGroups: the groups in one of states and of one of types (empty:
// all; case does not matter), in order of their ids. A shard that does not
// answer gives the response its error code and leaves its groups out.
func (c *Coordinator) List(ctx context.Context, states, types []string) *kmsg.ListGroupsResponse {
	out := kmsg.NewPtrListGroupsResponse()
	has := func(list []string, one string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, one) })
	}
	if !has(types, classicType) {
		return out
	}
	out.ErrorCode = each(ctx, c, func(s *shard) []kmsg.ListGroupsResponseGroup {
		return s.list(func(state string) bool { return has(states, state) })
	}, func(list []kmsg.ListGroupsResponseGroup) { out.Groups = append(out.Groups, list...) })
	slices.SortFunc(out.Groups, func(a, b kmsg.ListGroupsResponseGroup) int { return strings.Compare(a.Group, b.Group) })
	return out
}

// Snapshot returns every group, for metrics and the admin view. Shards that
// do not answer before ctx ends are left out.
func (c *Coordinator) Snapshot(ctx context.Context) []Snapshot {
	var out []Snapshot
	each(ctx, c, (*shard).snapshot, func(list []Snapshot) { out = append(out, list...) })
	slices.SortFunc(out, func(a, b Snapshot) int { return strings.Compare(a.Group, b.Group) })
	return out
}

// each asks all shards at once and collects what they answer; it returns the
// last error code.
func each[T any](ctx context.Context, c *Coordinator, read func(*shard) []T, collect func([]T)) (code int16) {
	type part struct {
		list []T
		code int16
	}
	shards, err := c.allShards()
	if err != nil {
		return protocol.CodeOf(err)
	}
	replies := make([]*Reply[part], len(shards))
	for i, s := range shards {
		refuse := func(code int16) part { return part{code: code} }
		if err := s.awaitLoaded(ctx); err != nil {
			replies[i] = answered(refuse(protocol.CodeOf(err)))
			continue
		}
		replies[i] = askShard(ctx, s, refuse, func(s *shard, r *Reply[part]) { r.give(s, part{list: read(s)}, false) })
	}
	for _, r := range replies {
		p := r.Wait(ctx)
		collect(p.list)
		code = max(code, p.code)
	}
	return code
}

// TopicDeleted forgets the committed offsets of a deleted topic in all groups.
// It does not wait for the shards to do so. What is lost by a crash in between
// expires, or is overwritten by the next commit.
func (c *Coordinator) TopicDeleted(ctx context.Context, topic string) {
	shards, err := c.allShards()
	if err != nil {
		return // no groups here, or stopping: nothing to forget
	}
	for _, s := range shards {
		err := s.send(ctx, command{
			run: func(s *shard) {
				for _, g := range s.groups {
					s.do(g, func(st *step) { g.dropTopic(st, topic) })
				}
			},
			refuse: func(int16) {},
		})
		if err != nil {
			c.settings.logger.Warn("offsets of a deleted topic stay until they expire", "topic", topic, "partition", s.index, "error", err)
		}
	}
}
