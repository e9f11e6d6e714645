package group

import (
	"context"
	"slices"
	"strings"

	"fluxmq/broker/coordinator"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

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
		return coordinator.Answered(refuse(code))
	}
	r := ask(ctx, c, in.Group, refuse, func(s *shard, r *Reply[*kmsg.JoinGroupResponse]) {
		g := s.groups[in.Group]
		if g == nil && in.MemberID != "" {
			r.Give(s, refuse(protocol.ErrUnknownMemberID.Code), false)
			return
		}
		g = s.groupOf(in.Group)
		t := s.hold(func(a reply, durable bool) { r.Give(s, a.join, durable) })
		freshID := c.memberID(from, in)
		if g.hasConsumers() {
			freshID = c.settings.newID() // there all ids are such, also those of classic members
		}
		s.do(g, func(st *step) { g.join(st, joinInput{in, from, t, freshID}) })
	})
	r.Held()
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
		return coordinator.Answered(syncError(code))
	}
	r := ask(ctx, c, in.Group, syncError, func(s *shard, r *Reply[*kmsg.SyncGroupResponse]) {
		g := s.groups[in.Group]
		if g == nil || g.notClassic() {
			r.Give(s, syncError(protocol.ErrUnknownMemberID.Code), false)
			return
		}
		t := s.hold(func(a reply, durable bool) { r.Give(s, a.sync, durable) })
		s.do(g, func(st *step) { g.sync(st, syncInput{in, t}) })
	})
	r.Held()
	return r
}

// Heartbeat keeps a member's session; the reply is an error code.
func (c *Coordinator) Heartbeat(ctx context.Context, in *kmsg.HeartbeatRequest) *Reply[int16] {
	if code := checkGroup(in.Group, false); code != 0 {
		return coordinator.Answered(code)
	}
	return ask(ctx, c, in.Group, itself, func(s *shard, r *Reply[int16]) {
		r.Give(s, s.heartbeat(in), false)
	})
}

// HeartbeatNow is Heartbeat of a classic group for a caller that does not
// wait. It reports false when the group's shard is at work, not ready or has failed, and
// for a member of a consumer group (whose records would have to be written):
// nothing has happened then. Nothing of in is kept.
func (c *Coordinator) HeartbeatNow(in *kmsg.HeartbeatRequest) (code int16, served bool) {
	s := c.enter(in.Group)
	if s == nil {
		return 0, false
	}
	defer s.mutex.Unlock()
	g := s.groups[in.Group]
	switch {
	case g == nil || g.notClassic():
		return protocol.ErrUnknownMemberID.Code, true
	case g.consumer != nil:
		return 0, false
	}
	m, code := g.judgeHeartbeat(in)
	// There are many heartbeats, and they change nothing but when a session ends: no step is made for them.
	if m != nil && s.timers.apply(g, s.config.now(), m.sessionRestart()) {
		s.arm()
	}
	return code, true
}

// enter locks the mutex of a group's shard, which it returns, if nothing is to be
// waited for and the group has a name; else nil.
func (c *Coordinator) enter(group string) *shard {
	if !c.enabled || checkGroup(group, false) != 0 {
		return nil
	}
	s, err := c.shards.Of(group)
	if err != nil || !s.enter() {
		return nil
	}
	return s
}

// ConsumerHeartbeatNow is ConsumerHeartbeat of a member that says nothing new and
// is told nothing new, for a caller that does not wait: it stays at its epoch, without an
// assignment, and heartbeats at that interval. It reports false when the
// request is another one, or when HeartbeatNow would: nothing has happened then.
// Nothing of in is kept.
func (c *Coordinator) ConsumerHeartbeatNow(from Client, in *kmsg.ConsumerGroupHeartbeatRequest) (intervalMs int32, served bool) {
	s := c.enter(in.Group)
	if s == nil {
		return 0, false
	}
	defer s.mutex.Unlock()
	g := s.groups[in.Group]
	if g == nil || !g.onlyKeeps(in, from, s.config.topics()) {
		return 0, false
	}
	now := s.config.now()
	st := step{nowMs: now.UnixMilli(), settings: s.config.settingsOf(g.id)}
	m := g.consumer.members[in.MemberID]
	if s.timers.apply(g, now, timerChange{timerKey{sessionTimer, m.id}, st.settings.sessionTimeoutMs}) {
		s.arm()
	}
	return g.heartbeatIntervalMs(&st), true
}

func (s *shard) heartbeat(in *kmsg.HeartbeatRequest) int16 {
	code := protocol.ErrUnknownMemberID.Code
	if g := s.groups[in.Group]; g != nil && !g.notClassic() {
		s.do(g, func(st *step) { code = g.heartbeat(st, in) })
	}
	return code
}

func itself(code int16) int16 { return code }

// Leave is LeaveGroup: a code for the group, then one for each member; of a
// group that is not there and of a share or streams group, too, as in Kafka. in is read as
// version 3 and up: the handler turns older ones into that.
func (c *Coordinator) Leave(ctx context.Context, in *kmsg.LeaveGroupRequest) *Reply[*kmsg.LeaveGroupResponse] {
	refuse := func(code int16) *kmsg.LeaveGroupResponse {
		r := kmsg.NewPtrLeaveGroupResponse()
		r.ErrorCode = code
		return r
	}
	if code := checkGroup(in.Group, false); code != 0 {
		return coordinator.Answered(refuse(code))
	}
	return ask(ctx, c, in.Group, refuse, func(s *shard, r *Reply[*kmsg.LeaveGroupResponse]) {
		response := refuse(0)
		g := s.groups[in.Group]
		if g == nil || g.notClassic() {
			for _, l := range in.Members {
				m := kmsg.NewLeaveGroupResponseMember()
				m.MemberID, m.InstanceID, m.ErrorCode = l.MemberID, l.InstanceID, protocol.ErrUnknownMemberID.Code
				response.Members = append(response.Members, m)
			}
			r.Give(s, response, false)
			return
		}
		wrote := s.do(g, func(st *step) { response.Members = g.leave(st, in.Members) })
		r.Give(s, response, wrote)
	})
}

// Commit is OffsetCommit: one code for each of in.Offsets.
func (c *Coordinator) Commit(ctx context.Context, in Commit) *Reply[[]int16] {
	refuse := func(code int16) []int16 { return slices.Repeat([]int16{code}, len(in.Offsets)) }
	if code := checkGroup(in.Group, true); code != 0 {
		return coordinator.Answered(refuse(code))
	}
	return ask(ctx, c, in.Group, refuse, func(s *shard, r *Reply[[]int16]) {
		g := s.groups[in.Group]
		if g == nil && in.Generation >= 0 {
			code := protocol.ErrIllegalGeneration.Code
			if in.Version >= 9 {
				code = protocol.ErrGroupIDNotFound.Code
			}
			r.Give(s, refuse(code), false)
			return
		}
		g = s.groupOf(in.Group)
		if g.share != nil {
			r.Give(s, refuse(protocol.ErrGroupIDNotFound.Code), false)
			return
		}
		var codes []int16
		wrote := s.do(g, func(st *step) { codes = g.commit(st, in, c.settings.metadataMax) })
		c.settings.commits.Add(int64(len(codes)))
		r.Give(s, codes, wrote)
	})
}

// Fetched is what Fetch answers.
type Fetched struct {
	ErrorCode int16
	Offsets   []FetchedOffset
}

// Fetch reads committed offsets, all of them when topics is nil. What it
// answers is durable. With requireStable an offset that an open transaction
// has committed too is answered UNSTABLE_OFFSET_COMMIT (KIP-447); without, it
// is the last one outside of open transactions. A member of a consumer group
// names itself and its epoch (version 9 of OffsetFetch); anybody else nil and -1.
func (c *Coordinator) Fetch(ctx context.Context, group string, memberID *string, epoch int32, topics []FetchTopic, requireStable bool) *Reply[Fetched] {
	refuse := func(code int16) Fetched { return Fetched{ErrorCode: code} }
	if code := checkGroup(group, true); code != 0 {
		return coordinator.Answered(refuse(code))
	}
	return ask(ctx, c, group, refuse, func(s *shard, r *Reply[Fetched]) {
		g := s.groups[group]
		if g != nil && g.share != nil {
			r.Give(s, refuse(protocol.ErrGroupIDNotFound.Code), false)
			return
		}
		if code := g.mayFetch(memberID, epoch); code != 0 {
			r.Give(s, refuse(code), false)
			return
		}
		offsets := g.fetch(topics)
		if g != nil && requireStable {
			g.hideUnstable(offsets)
		}
		r.Give(s, Fetched{Offsets: offsets}, true)
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
		return coordinator.Answered(refuse(code))
	}
	return ask(ctx, c, in.Group, refuse, func(s *shard, r *Reply[*kmsg.OffsetDeleteResponse]) {
		g := s.groups[in.Group]
		if g == nil || g.share != nil {
			r.Give(s, refuse(protocol.ErrGroupIDNotFound.Code), false)
			return
		}
		response := refuse(0)
		wrote := s.do(g, func(st *step) { response.ErrorCode, response.Topics = g.deleteOffsets(st, in.Topics) })
		r.Give(s, response, wrote)
	})
}

// Delete deletes one group; the reply is an error code.
func (c *Coordinator) Delete(ctx context.Context, group string) *Reply[int16] {
	if code := checkGroup(group, true); code != 0 {
		return coordinator.Answered(code)
	}
	return ask(ctx, c, group, itself, func(s *shard, r *Reply[int16]) {
		g := s.groups[group]
		if g == nil {
			r.Give(s, protocol.ErrGroupIDNotFound.Code, false)
			return
		}
		var code int16
		wrote := s.do(g, func(st *step) { code = g.kill(st) })
		r.Give(s, code, wrote)
	})
}

// Describe describes one classic group; ErrorCode is GROUP_ID_NOT_FOUND and
// State Dead for one that does not exist or is of another type.
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
		return coordinator.Answered(refuse(code))
	}
	return ask(ctx, c, group, refuse, func(s *shard, r *Reply[kmsg.DescribeGroupsResponseGroup]) {
		g := s.groups[group]
		if g != nil && g.consumer == nil && !g.notClassic() {
			r.Give(s, g.describe(), false)
			return
		}
		d := refuse(protocol.ErrGroupIDNotFound.Code)
		message := "Group " + group + " not found."
		if g != nil {
			message = "Group " + group + " is not a classic group."
		}
		d.ErrorMessage = &message
		r.Give(s, d, false)
	})
}

// List is ListGroups: the groups in one of states and of one of types (empty:
// all; case does not matter), in order of their ids. A shard that does not
// answer gives the response its error code and leaves its groups out.
func (c *Coordinator) List(ctx context.Context, states, types []string) *kmsg.ListGroupsResponse {
	out := kmsg.NewPtrListGroupsResponse()
	has := func(list []string, one string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), one) })
	}
	out.ErrorCode = each(ctx, c, func(s *shard) []kmsg.ListGroupsResponseGroup {
		return s.list(func(state, kind string) bool { return has(states, state) && has(types, kind) })
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

// each collects what all shards answer; it returns the first error's code.
func each[T any](ctx context.Context, c *Coordinator, read func(*shard) []T, collect func([]T)) (code int16) {
	if !c.enabled {
		return protocol.ErrCoordinatorNotAvailable.Code
	}
	return protocol.CodeOf(coordinator.Each(ctx, c.shards, read, collect))
}

// TopicDeleted forgets the committed offsets of a deleted topic in all groups,
// and which of its partitions share groups have a state of.
// It does not wait for the shards to do so. What is lost by a crash in between
// expires, or is overwritten by the next commit.
func (c *Coordinator) TopicDeleted(ctx context.Context, topic string) {
	shards, err := c.allShards()
	if err != nil {
		return // no groups here, or stopping: nothing to forget
	}
	for _, s := range shards {
		err := s.Send(ctx, command{
			Run: func(s *shard) {
				for _, g := range s.groups {
					s.do(g, func(st *step) { g.dropTopic(st, topic) })
				}
			},
			Refuse: func(error) {},
		})
		if err != nil {
			c.settings.logger.Warn("offsets of a deleted topic stay until they expire", "topic", topic, "partition", s.index, "error", err)
		}
	}
}
