package group

import (
	"cmp"
	"slices"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// state is where a classic group stands between two rebalances. The names are
// Kafka's and go over the wire in DescribeGroups and ListGroups.
type state uint8

const (
	// empty: no members; the group lives on for its committed offsets.
	empty state = iota
	// preparingRebalance: members are told to join again, JoinGroup requests are held.
	preparingRebalance
	// completingRebalance: a generation has begun, its assignment is awaited from the leader.
	completingRebalance
	// stable: every member that synced has its assignment.
	stable
	// dead: deleted; kept only until the shard has dropped it.
	dead
)

var stateNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}

func (s state) String() string { return stateNames[s] }

// ticket names one request whose reply comes later. The machine never looks
// into it; the shard knows who waits for it.
type ticket uint64

// limits are the broker settings that the machine obeys.
type limits struct {
	maxSize             int   // group.max.size
	maxPending          int   // member ids handed out and not used yet, per group
	initialDelayMs      int64 // group.initial.rebalance.delay.ms
	newMemberTimeoutMs  int64 // how long a JoinGroup of a new member may be held
	minSessionTimeoutMs int32
	maxSessionTimeoutMs int32
	consumer            consumerLimits
	share               shareLimits
	streams             streamsLimits
}

// streamsLimits are those of streams groups (KIP-1071).
type streamsLimits struct {
	maxSize int // group.streams.max.size
}

// shareLimits are those of share groups (KIP-932).
type shareLimits struct {
	maxSize int   // group.share.max.size
	retryMs int64 // group.share.initialize.retry.interval.ms
}

// consumerLimits are those of consumer groups (KIP-848).
type consumerLimits struct {
	maxSize            int      // group.consumer.max.size
	assignors          []string // group.consumer.assignors; the first is the default
	upgrade, downgrade bool     // group.consumer.migration.policy
	regexRefreshMs     int64    // group.consumer.regex.refresh.interval.ms
	regexMinIntervalMs int64    // expressions are resolved at most this often when topics come and go
	// settlingIntervalMs is the heartbeat interval, if it is the shorter one,
	// for settlingMs after the group epoch rose; 0 switches that off.
	settlingIntervalMs int32
	settlingMs         int64
}

// groupSettings are those that one consumer group may have of its own
// (consumer.* of the config resource GROUP), one share group (share.*) and one
// streams group (streams.*).
type groupSettings struct {
	sessionTimeoutMs, assignmentIntervalMs int64
	heartbeatIntervalMs                    int32
	share                                  shareSettings
	streams                                streamsSettings
}

type shareSettings struct {
	sessionTimeoutMs, assignmentIntervalMs int64
	heartbeatIntervalMs                    int32
}

type streamsSettings struct {
	sessionTimeoutMs, assignmentIntervalMs, initialDelayMs int64
	heartbeatIntervalMs                                    int32
	standbys                                               int32 // copies of a task's state
}

// timerKind says what runs out.
type timerKind uint8

const (
	// joinTimer: the rebalance timeout, or the initial rebalance delay; of a
	// streams group the latter.
	joinTimer timerKind = iota
	// syncTimer: members that joined a generation and never synced.
	syncTimer
	// sessionTimer: one member, or one member id that was handed out.
	sessionTimer
	// revokeTimer: a member of a consumer group that was told to give up
	// partitions, or one of a streams group tasks.
	revokeTimer
	// rejoinTimer and resyncTimer: a classic member of a consumer group that
	// was told to join again, and one that joined and has not synced.
	rejoinTimer
	resyncTimer
)

// timerKey names a timer of one group; setting it again moves it.
type timerKey struct {
	kind   timerKind
	member string
}

// timerChange is one wish of the machine: set key to fire after afterMs, or
// cancel it when afterMs is negative.
type timerChange struct {
	key     timerKey
	afterMs int64
}

// reply is the late answer to one ticket; exactly one of join and sync is set.
type reply struct {
	to   ticket
	join *kmsg.JoinGroupResponse
	sync *kmsg.SyncGroupResponse
}

// step carries one input's time in and everything the machine wants done out,
// in order: records to append first, replies after they are appended, timers.
type step struct {
	nowMs    int64         // Unix milliseconds
	order    int64         // of the offsets committed in this step, see committed
	topics   Topics        // as they are now; for all but classic groups
	settings groupSettings // of this group, if it is no classic one
	records  []record.Record
	replies  []reply
	timers   []timerChange
	// initialize names partitions whose states a share group wants made.
	initialize []SharePartition
	// rebalances counts generations that ended, or group epochs that rose, in
	// this step, for metrics.
	rebalances int
}

func (s *step) set(key timerKey, afterMs int64) {
	s.timers = append(s.timers, timerChange{key, max(afterMs, 0)})
}

func (s *step) cancel(key timerKey) { s.timers = append(s.timers, timerChange{key, -1}) }

// protocolMetadata is one assignor a member supports, with its opaque bytes.
type protocolMetadata struct {
	name     string
	metadata []byte
}

// member is one member of a group. Its bytes are never interpreted, but for
// the topics of a `consumer` subscription (OffsetDelete must know them).
type member struct {
	id         string
	seq        uint64 // order of joining: the oldest becomes leader
	instanceID *string
	client     Client
	// timeouts in milliseconds
	sessionTimeoutMs   int32
	rebalanceTimeoutMs int32
	protocols          []protocolMetadata // in the member's order of preference
	assignment         []byte
	// joining and syncing hold the requests that wait; 0 is none.
	joining, syncing ticket
	// isNew until its first generation: it has no id yet, so it cannot heartbeat.
	isNew bool
}

// metadata returns the bytes for one protocol, or nil.
func (m *member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.name == protocol {
			return p.metadata
		}
	}
	return nil
}

// matches tells whether protocols are what the member joined with, byte for byte and in order.
func (m *member) matches(protocols []kmsg.JoinGroupRequestProtocol) bool {
	if len(protocols) != len(m.protocols) {
		return false
	}
	for i, p := range protocols {
		if p.Name != m.protocols[i].name || string(p.Metadata) != string(m.protocols[i].metadata) {
			return false
		}
	}
	return true
}

// sessionKept tells that an expiring session timer says nothing: the member
// waits for us, not we for it. New members can expire even so, or the requests
// of clients that went away would pile up in a long rebalance.
func (m *member) sessionKept() bool { return !m.isNew && (m.joining != 0 || m.syncing != 0) }

// group is one group with its committed offsets: a pure state machine without
// clock, goroutine or I/O. Inputs are requests and timer expiries; each gets a
// *step that carries the time in and the effects out. It is owned by one shard
// and not safe for concurrent use.
//
// A group is a classic one unless consumer, share or streams is set. Then its
// members are there, and the fields from state to subscribed, and stored, are as
// in a new group. A share group has no committed offsets.
type group struct {
	id     string
	limits *limits
	// running are its timers; the shard's, the machine does not look at them.
	running map[timerKey]*groupTimer

	consumer *consumerGroup
	share    *shareGroup
	streams  *streamsGroup

	state, previous state
	stateSinceMs    int64 // -1: unknown (replayed from an old record)
	generation      int32
	protocolType    string // "" until the first member joined
	protocol        string // chosen at each generation; "" while there is none
	leader          string // member id, "" when none

	members   map[string]*member
	instances map[string]string   // group.instance.id → member id
	pending   map[string]struct{} // member ids handed out (KIP-394), not joined yet
	unsynced  map[string]struct{} // members of this generation that have not synced
	votes     map[string]int      // protocol name → members that support it
	awaiting  int                 // members whose JoinGroup is held
	nextSeq   uint64

	// Initial rebalance: when the last member came, which prolongs the delay,
	// and by how much it may still be prolonged.
	lastAddedMs, initialLeftMs int64

	// subscribed holds the topics of the members of the present generation, nil
	// when they cannot be known (no generation yet, or not a `consumer` subscription).
	subscribed map[string]struct{}

	// stored tells that the log holds a record of the group itself.
	stored  bool
	offsets map[string]map[int32]committed // topic → partition → offset
	// unstable holds what open transactions have committed, by producer id.
	unstable map[offsetKey]map[int64]committed
}

// newGroup returns an Empty group of generation 0.
func newGroup(id string, l *limits, nowMs int64) *group {
	return &group{
		id: id, limits: l, stateSinceMs: nowMs,
		members:   map[string]*member{},
		instances: map[string]string{},
		pending:   map[string]struct{}{},
		unsynced:  map[string]struct{}{},
		votes:     map[string]int{},
		offsets:   map[string]map[int32]committed{},
		unstable:  map[offsetKey]map[int64]committed{},
	}
}

// reset makes the group as new, but for its committed offsets, those of open
// transactions included.
func (g *group) reset(nowMs int64) {
	fresh := newGroup(g.id, g.limits, nowMs)
	fresh.offsets, fresh.unstable, fresh.running = g.offsets, g.unstable, g.running
	*g = *fresh
}

// stateName is the state as DescribeGroups and ListGroups show it.
func (g *group) stateName() string {
	switch {
	case g.consumer != nil:
		return g.consumer.stateName()
	case g.share != nil:
		return g.share.stateName()
	case g.streams != nil:
		return g.streams.stateName()
	}
	return g.state.String()
}

// typeName is the type of the group, and protocol what its members speak.
func (g *group) typeName() (name, protocol string) {
	switch {
	case g.consumer != nil:
		return consumerType, consumerType
	case g.share != nil:
		return shareType, shareType
	case g.streams != nil:
		return streamsType, streamsType
	}
	return classicType, g.protocolType
}

// notClassic tells that the group is of a type whose members never speak the
// classic protocol.
func (g *group) notClassic() bool { return g.share != nil || g.streams != nil }

// vacant tells that the group has no members and lives on for its offsets.
func (g *group) vacant() bool {
	switch {
	case g.consumer != nil:
		return len(g.consumer.members) == 0
	case g.share != nil:
		return len(g.share.members) == 0
	case g.streams != nil:
		return len(g.streams.members) == 0
	}
	return g.state == empty
}

func (g *group) become(s *step, next state) {
	g.previous, g.state = g.state, next
	g.stateSinceMs = s.nowMs
}

// ordered returns the members in the order in which they joined.
func (g *group) ordered() []*member {
	ms := make([]*member, 0, len(g.members))
	for _, m := range g.members {
		ms = append(ms, m)
	}
	slices.SortFunc(ms, func(a, b *member) int { return cmp.Compare(a.seq, b.seq) })
	return ms
}

// add makes m a member; the first one becomes leader and fixes the protocol type.
func (g *group) add(m *member, protocolType string) {
	if len(g.members) == 0 {
		g.protocolType = protocolType
	}
	if g.leader == "" {
		g.leader = m.id
	}
	g.nextSeq++
	m.seq = g.nextSeq
	g.members[m.id] = m
	if m.instanceID != nil {
		g.instances[*m.instanceID] = m.id
	}
	g.count(m, 1)
	if m.joining != 0 {
		g.awaiting++
	}
	delete(g.pending, m.id)
}

// count adds the protocols of m to the votes, or takes them away.
func (g *group) count(m *member, by int) {
	for i, p := range m.protocols {
		if m.repeats(i) {
			continue
		}
		if g.votes[p.name] += by; g.votes[p.name] == 0 {
			delete(g.votes, p.name)
		}
	}
}

// repeats tells whether the protocol at i was named before: a member has one vote a name.
func (m *member) repeats(i int) bool {
	return slices.ContainsFunc(m.protocols[:i], func(p protocolMetadata) bool { return p.name == m.protocols[i].name })
}

// remove takes a member out. What it waits for is answered with code.
func (g *group) remove(s *step, m *member, code int16) {
	g.answerJoin(s, m, joinError(m.id, code))
	g.answerSync(s, m, syncError(code))
	delete(g.members, m.id)
	delete(g.unsynced, m.id)
	g.count(m, -1)
	if m.instanceID != nil && g.instances[*m.instanceID] == m.id {
		delete(g.instances, *m.instanceID)
	}
	s.cancel(timerKey{sessionTimer, m.id})
	if g.leader == m.id {
		g.leader = ""
		if rest := g.ordered(); len(rest) > 0 {
			g.leader = rest[0].id
		}
	}
}

// answerJoin answers the member's held JoinGroup, if there is one.
func (g *group) answerJoin(s *step, m *member, r *kmsg.JoinGroupResponse) {
	if m.joining == 0 {
		return
	}
	s.replies = append(s.replies, reply{to: m.joining, join: r})
	m.joining = 0
	g.awaiting--
}

// answerSync answers the member's held SyncGroup, if there is one, and reports whether there was.
func (g *group) answerSync(s *step, m *member, r *kmsg.SyncGroupResponse) bool {
	if m.syncing == 0 {
		return false
	}
	s.replies = append(s.replies, reply{to: m.syncing, sync: r})
	m.syncing = 0
	return true
}

// touch starts the member's session anew.
func (g *group) touch(s *step, m *member) {
	s.timers = append(s.timers, m.sessionRestart())
}

// sessionRestart is the change of timers that keeps the member's session.
func (m *member) sessionRestart() timerChange {
	return timerChange{timerKey{sessionTimer, m.id}, int64(max(m.sessionTimeoutMs, 0))}
}

// rebalanceTimeoutMs is the longest rebalance timeout of all members.
func (g *group) rebalanceTimeoutMs() int64 {
	var longest int32
	for _, m := range g.members {
		longest = max(longest, m.rebalanceTimeoutMs)
	}
	return int64(longest)
}

// validate checks that member id and instance id belong together and to the group.
// FENCED_INSTANCE_ID goes to the older of two processes with one group.instance.id.
func (g *group) validate(memberID string, instanceID *string) (*member, int16) {
	if instanceID != nil {
		current, known := g.instances[*instanceID]
		if !known {
			return nil, protocol.ErrUnknownMemberID.Code
		}
		if current != memberID {
			return nil, protocol.ErrFencedInstanceID.Code
		}
	}
	m := g.members[memberID]
	if m == nil {
		return nil, protocol.ErrUnknownMemberID.Code
	}
	return m, 0
}

// expire is what a timer that the machine set says when it fires.
func (g *group) expire(s *step, key timerKey) {
	if g.state == dead {
		return
	}
	switch {
	case g.consumer != nil:
		g.consumerExpired(s, key)
		return
	case g.share != nil:
		g.shareExpired(s, key)
		return
	case g.streams != nil:
		g.streamsExpired(s, key)
		return
	}
	switch key.kind {
	case joinTimer:
		g.joinExpired(s)
	case syncTimer:
		g.syncExpired(s)
	case sessionTimer:
		g.sessionExpired(s, key.member)
	}
}

// persist appends the group's record: what a restart brings back.
func (g *group) persist(s *step) {
	g.stored = true
	s.records = append(s.records, groupRecord(g, s.nowMs))
}

// unused tells that nothing is stored of the group and nobody is in it: it was
// made for a request that came to nothing, and may be forgotten without a trace.
func (g *group) unused() bool {
	return g.consumer == nil && !g.notClassic() && g.state == empty && !g.stored && len(g.members) == 0 && len(g.pending) == 0 && len(g.offsets) == 0 && len(g.unstable) == 0
}
