package differential

import (
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Members are kept by a name of the script's: texts[name] is the member id,
// numbers[name] the generation it last joined.

func findCoordinator(kind int8, keys ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrFindCoordinatorRequest()
		r.CoordinatorType, r.CoordinatorKeys = kind, keys
		if len(keys) > 0 {
			r.CoordinatorKey = keys[0]
		}
		return r
	}
}

// coordinated waits until the coordinator of a group (0) or transactional id (1)
// answers: its topic is made when it is first asked for.
func coordinated(kind int8, key string) step {
	return step{name: "until there is a coordinator of " + key, request: findCoordinator(kind, key), version: at(3), quiet: true,
		until: func(reply kmsg.Response) bool { return reply.(*kmsg.FindCoordinatorResponse).ErrorCode == 0 }}
}

// subscription is the metadata of a consumer.
func subscription(topics ...string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = topics
	return m.AppendTo(nil)
}

// assignment is what a leader gives a member: partitions of a topic.
func assignment(topic string, partitions ...int32) []byte {
	t := kmsg.NewConsumerMemberAssignmentTopic()
	t.Topic, t.Partitions = topic, partitions
	a := kmsg.NewConsumerMemberAssignment()
	a.Topics = append(a.Topics, t)
	return a.AppendTo(nil)
}

// join is a consumer that joins under the member id it has, or none.
func join(group, member string, change func(*kmsg.JoinGroupRequest)) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrJoinGroupRequest()
		r.Group, r.MemberID, r.ProtocolType = group, s.texts[member], "consumer"
		r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 45000, 20000
		r.Protocols = []kmsg.JoinGroupRequestProtocol{protocolOf("range", subscription("orders"))}
		change(r)
		return r
	}
}

func protocolOf(name string, metadata []byte) kmsg.JoinGroupRequestProtocol {
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = name, metadata
	return p
}

func asMember(*kmsg.JoinGroupRequest) {}

// instance makes a join that of a static member.
func instance(id string) func(*kmsg.JoinGroupRequest) {
	return func(r *kmsg.JoinGroupRequest) { r.InstanceID = &id }
}

// keepMember keeps member id and generation.
func keepMember(member string) func(*scene, kmsg.Response) {
	return func(s *scene, reply kmsg.Response) {
		r := reply.(*kmsg.JoinGroupResponse)
		s.texts[member], s.numbers[member] = r.MemberID, int64(r.Generation)
	}
}

// joinedAs waits until the member is in, whatever the version: from 4 on the
// first answer is only a member id.
func joinedAs(group, member, connection string, change func(*kmsg.JoinGroupRequest)) step {
	return step{name: "until " + member + " is in " + group, quiet: true, on: connection, request: join(group, member, change), keep: keepMember(member),
		until: func(reply kmsg.Response) bool { return reply.(*kmsg.JoinGroupResponse).ErrorCode == 0 }}
}

// syncGroup is the sync of a member at the generation it knows; given maps members to their assignment.
func syncGroup(group, member string, change func(*kmsg.SyncGroupRequest), given map[string][]byte) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrSyncGroupRequest()
		r.Group, r.MemberID, r.Generation = group, s.texts[member], int32(s.numbers[member])
		r.ProtocolType, r.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
		for _, name := range slices.Sorted(maps.Keys(given)) {
			g := kmsg.NewSyncGroupRequestGroupAssignment()
			g.MemberID, g.MemberAssignment = s.texts[name], given[name]
			r.GroupAssignment = append(r.GroupAssignment, g)
		}
		change(r)
		return r
	}
}

func asSynced(*kmsg.SyncGroupRequest) {}

func heartbeat(group, member string, change func(*kmsg.HeartbeatRequest)) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrHeartbeatRequest()
		r.Group, r.MemberID, r.Generation = group, s.texts[member], int32(s.numbers[member])
		change(r)
		return r
	}
}

func asBeating(*kmsg.HeartbeatRequest) {}

// leave takes members out, by the names they are kept under; one that is not kept is a member id itself.
func leave(group string, members ...string) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrLeaveGroupRequest()
		r.Group = group
		for _, name := range members {
			id, kept := s.texts[name]
			if !kept {
				id = name
			}
			r.MemberID = id
			m := kmsg.NewLeaveGroupRequestMember()
			m.MemberID = id
			r.Members = append(r.Members, m)
		}
		return r
	}
}

// leaveInstance takes a static member out.
func leaveInstance(group, member, instance string) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := leave(group, member)(s).(*kmsg.LeaveGroupRequest)
		r.Members[0].InstanceID = &instance
		return r
	}
}

func describeGroups(groups ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrDescribeGroupsRequest()
		r.Groups, r.IncludeAuthorizedOperations = groups, true
		return r
	}
}

func listGroups(states, types []string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrListGroupsRequest()
		r.StatesFilter, r.TypesFilter = states, types
		return r
	}
}

func deleteGroups(groups ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.Groups = groups
		return r
	}
}

// coordinatorScript: FindCoordinator, and groups that are not there.
var coordinatorScript = script{name: "coordinators", steps: []step{
	coordinated(0, "g"),
	{name: "until the groups are read", quiet: true, request: describeGroups("g"), until: func(reply kmsg.Response) bool {
		for _, g := range reply.(*kmsg.DescribeGroupsResponse).Groups {
			if g.ErrorCode == coordinatorLoading || g.ErrorCode == notCoordinator {
				return false
			}
		}
		return true
	}},
	{name: "of a group", request: findCoordinator(0, "g")},
	{name: "of a group without a name", request: findCoordinator(0, "")},
	{name: "of several groups", request: findCoordinator(0, "g", "h", "i"), from: 4},
	{name: "of a group twice", request: findCoordinator(0, "g", "g"), from: 4},
	{name: "of no group", request: findCoordinator(0), from: 4},
	{name: "of a share partition that is none", request: findCoordinator(2, "g"), from: 1},
	{name: "of a kind that is not there", request: findCoordinator(9, "g"), from: 1},
	{name: "of a kind that is negative", request: findCoordinator(-1, "g"), from: 1},

	{name: "a group that is not there", request: describeGroups("nobody")},
	{name: "a group without a name", request: describeGroups("")},
	{name: "groups that are not there, one twice", request: describeGroups("nobody", "noone", "nobody")},
	{name: "before there is a group", request: listGroups(nil, nil)},
	{name: "of a group that is not there", request: heartbeat("nobody", "stranger", asBeating)},
	{name: "of a group without a name", request: heartbeat("", "stranger", asBeating)},
	{name: "of a group that is not there", request: syncGroup("nobody", "stranger", asSynced, nil)},
	{name: "of a group without a name", request: syncGroup("", "stranger", asSynced, nil)},
	{name: "of a group that is not there", request: leave("nobody", "stranger")},
	{name: "of a group without a name", request: leave("", "stranger")},
	{name: "a group that is not there", request: deleteGroups("nobody")},
	{name: "a group without a name", request: deleteGroups("")},
	{name: "a group that is not there, twice", request: deleteGroups("nobody", "nobody")},
}}

// groupScript: a group of one member, from its first join to the next script.
var groupScript = script{name: "group", steps: []step{
	{name: "a group without a name", request: join("", "a", asMember)},
	{name: "a session timeout that is too short", request: join("g", "a", func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 10 })},
	{name: "a session timeout that is too long", request: join("g", "a", func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 100_000_000 })},
	{name: "no protocols", request: join("g", "a", func(r *kmsg.JoinGroupRequest) { r.Protocols = nil })},
	{name: "a protocol type without a name", request: join("g", "a", func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" })},
	{name: "a member id that is not there", request: join("g", "a", func(r *kmsg.JoinGroupRequest) { r.MemberID = "stranger" })},
	{name: "the first join", request: join("g", "a", asMember), keep: keepMember("a")},
	{name: "the second join, with the member id", request: join("g", "a", asMember), keep: keepMember("a")},
	{name: "a group that waits for its leader", request: describeGroups("g")},
	{name: "while the group waits for its leader", request: heartbeat("g", "a", asBeating)},
	{name: "a generation that was", request: syncGroup("g", "a", func(r *kmsg.SyncGroupRequest) { r.Generation-- }, map[string][]byte{"a": assignment("orders", 0)})},
	{name: "a generation that is to come", request: syncGroup("g", "a", func(r *kmsg.SyncGroupRequest) { r.Generation++ }, map[string][]byte{"a": assignment("orders", 0)})},
	{name: "a member id that is not there", request: syncGroup("g", "a", func(r *kmsg.SyncGroupRequest) { r.MemberID = "stranger" }, nil)},
	{name: "another protocol type", request: syncGroup("g", "a", func(r *kmsg.SyncGroupRequest) { r.ProtocolType = kmsg.StringPtr("connect") }, nil), from: 5},
	{name: "another protocol", request: syncGroup("g", "a", func(r *kmsg.SyncGroupRequest) { r.Protocol = kmsg.StringPtr("roundrobin") }, nil), from: 5},
	{name: "an assignment by the leader", request: syncGroup("g", "a", asSynced, map[string][]byte{"a": assignment("orders", 0, 1, 2)})},
	{name: "a second sync, with another assignment", request: syncGroup("g", "a", asSynced, map[string][]byte{"a": assignment("orders", 4)})},
	{name: "of a member", request: heartbeat("g", "a", asBeating)},
	{name: "a generation that was", request: heartbeat("g", "a", func(r *kmsg.HeartbeatRequest) { r.Generation-- })},
	{name: "a generation that is to come", request: heartbeat("g", "a", func(r *kmsg.HeartbeatRequest) { r.Generation++ })},
	{name: "generation -1", request: heartbeat("g", "a", func(r *kmsg.HeartbeatRequest) { r.Generation = -1 })},
	{name: "a member id that is not there", request: heartbeat("g", "a", func(r *kmsg.HeartbeatRequest) { r.MemberID = "stranger" })},
	{name: "an instance id that is not there", request: heartbeat("g", "a", func(r *kmsg.HeartbeatRequest) { r.InstanceID = kmsg.StringPtr("nothing") }), from: 3},
	{name: "a stable group", request: describeGroups("g")},
	{name: "a group", request: listGroups(nil, nil)},
	{name: "stable groups", request: listGroups([]string{"Stable"}, nil), from: 4},
	{name: "stable groups, in small letters", request: listGroups([]string{"stable"}, nil), from: 4},
	{name: "empty groups", request: listGroups([]string{"Empty"}, nil), from: 4},
	{name: "groups of a state that is not there", request: listGroups([]string{"Sleepy"}, nil), from: 4},
	{name: "classic groups", request: listGroups(nil, []string{"classic"}), from: 5},
	{name: "consumer groups", request: listGroups(nil, []string{"consumer"}), from: 5},
	{name: "groups of a type that is not there", request: listGroups(nil, []string{"large"}), from: 5},
	{name: "another protocol type", request: join("g", "other", func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })},
	{name: "no protocol in common", request: join("g", "other", func(r *kmsg.JoinGroupRequest) {
		r.Protocols = []kmsg.JoinGroupRequestProtocol{protocolOf("sticky", subscription("orders"))}
	})},
	{name: "a group that has members", request: deleteGroups("g")},
	{name: "a group of another protocol type", request: join("connectors", "c", func(r *kmsg.JoinGroupRequest) {
		r.ProtocolType, r.Protocols = "connect", []kmsg.JoinGroupRequestProtocol{protocolOf("sessioned", []byte{0, 1, 0xff, 0xfe}), protocolOf("default", nil)}
	})},
	{name: "a rejoin that changes the subscription", request: join("g", "a", func(r *kmsg.JoinGroupRequest) {
		r.Protocols = []kmsg.JoinGroupRequestProtocol{protocolOf("roundrobin", subscription("orders", "log")), protocolOf("range", subscription("orders", "log"))}
	}), keep: keepMember("a")},
	{name: "the assignment after the rejoin", request: syncGroup("g", "a", func(r *kmsg.SyncGroupRequest) { r.Protocol = kmsg.StringPtr("roundrobin") },
		map[string][]byte{"a": assignment("orders", 3)})},
	{name: "a group after the rejoin", request: describeGroups("g")},
	{name: "a member that is not there", request: leave("g", "stranger")},
	{name: "a member and one that is not there", request: leave("g", "stranger", "a"), from: 3},
	{name: "the last member", request: leave("g", "a")},
	{name: "an empty group", request: describeGroups("g")},
	{name: "of a member that has left", request: heartbeat("g", "a", asBeating)},
	{name: "an empty group in the list", request: listGroups(nil, nil)},
	{name: "an empty group", request: deleteGroups("g")},
	{name: "a group that was deleted", request: deleteGroups("g")},
	{name: "a group that was deleted", request: describeGroups("g")},
}}

// rebalanceScript: a second member comes and goes.
var rebalanceScript = script{name: "rebalance", steps: []step{
	joinedAs("two", "two-a", "a", asMember),
	{name: "until a has its assignment", quiet: true, on: "a", request: syncGroup("two", "two-a", asSynced, map[string][]byte{"two-a": assignment("orders", 0, 1)})},
	{name: "until b has a member id", quiet: true, on: "b", atLeast: 4, request: join("two", "two-b", asMember), keep: keepMember("two-b")},
	{name: "b joins", send: true, on: "b", request: join("two", "two-b", asMember)},
	{name: "while another joins", on: "a", request: heartbeat("two", "two-a", asBeating),
		until: func(reply kmsg.Response) bool {
			return reply.(*kmsg.HeartbeatResponse).ErrorCode == rebalanceInProgress
		}},
	{name: "a group that rebalances", on: "a", request: describeGroups("two")},
	{name: "a commit while another joins", on: "a", request: commitAs("two", "two-a", asCommitter, commitOf("orders", commit(0, 5)))},
	{name: "a sync while another joins", on: "a", request: syncGroup("two", "two-a", asSynced, nil)},
	{name: "the rejoin of the leader", on: "a", request: join("two", "two-a", asMember), keep: keepMember("two-a")},
	{name: "the join of a second member", on: "b", await: true, keep: keepMember("two-b")},
	{name: "b syncs", send: true, on: "b", request: syncGroup("two", "two-b", asSynced, nil)},
	{name: "the sync of the leader of two", on: "a", request: syncGroup("two", "two-a", asSynced, map[string][]byte{"two-a": assignment("orders", 0), "two-b": assignment("orders", 1)})},
	{name: "the sync of a second member", on: "b", await: true},
	{name: "a group of two", on: "a", request: describeGroups("two")},
	{name: "of the second member", on: "b", request: heartbeat("two", "two-b", asBeating)},
	{name: "the second member", on: "b", request: leave("two", "two-b")},
	{name: "after another has left", on: "a", request: heartbeat("two", "two-a", asBeating)},
	{name: "the leader of one, again", on: "a", request: join("two", "two-a", asMember), keep: keepMember("two-a")},
	{name: "the sync of the leader of one, again", on: "a", request: syncGroup("two", "two-a", asSynced, map[string][]byte{"two-a": assignment("orders", 0, 1)})},
	{name: "the first member", on: "a", request: leave("two", "two-a")},
}}

const (
	rebalanceInProgress = 27
	notCoordinator      = 16
)

// staticMembersScript: members with an instance id (KIP-345), from JoinGroup 5 on.
var staticMembersScript = script{name: "static members", steps: []step{
	{name: "a static member", request: join("static", "s", instance("i")), from: 5, keep: keepMember("s")},
	{name: "the assignment of a static member", from: 5, request: syncGroup("static", "s", ofInstance("i"), map[string][]byte{"s": assignment("orders", 0)})},
	{name: "of a static member", from: 3, request: heartbeat("static", "s", func(r *kmsg.HeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") })},
	{name: "a group with a static member", request: describeGroups("static")},
	{name: "a static member again, with its member id", request: join("static", "s", instance("i")), from: 5, keep: keepMember("s")},
	{name: "the assignment of a static member, again", from: 5, request: syncGroup("static", "s", ofInstance("i"), map[string][]byte{"s": assignment("orders", 0)})},
	{name: "a static member again, from a new process", from: 5, request: join("static", "new", instance("i")), keep: keepMember("new")},
	{name: "a static member that was replaced", from: 5, request: join("static", "s", instance("i"))},
	{name: "of a static member that was replaced", from: 3, request: heartbeat("static", "s", func(r *kmsg.HeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") })},
	{name: "of a static member that was replaced", from: 5, request: syncGroup("static", "s", ofInstance("i"), nil)},
	{name: "a commit of a static member that was replaced", from: 7, request: commitAs("static", "s", func(r *kmsg.OffsetCommitRequest) { r.InstanceID = kmsg.StringPtr("i") }, commitOf("orders", commit(0, 5)))},
	{name: "an instance that is not there", from: 3, request: leaveInstance("static", "", "nothing")},
	{name: "an instance with another's member id", from: 3, request: leaveInstance("static", "stranger", "i")},
	{name: "an instance", from: 3, request: leaveInstance("static", "", "i")},
	{name: "a group that static members have left", request: describeGroups("static")},
}}

func ofInstance(id string) func(*kmsg.SyncGroupRequest) {
	return func(r *kmsg.SyncGroupRequest) { r.InstanceID = &id }
}

func commit(partition int32, offset int64) kmsg.OffsetCommitRequestTopicPartition {
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.Metadata = partition, offset, kmsg.StringPtr("note")
	return p
}

func commitWith(partition int32, offset int64, change func(*kmsg.OffsetCommitRequestTopicPartition)) kmsg.OffsetCommitRequestTopicPartition {
	p := commit(partition, offset)
	change(&p)
	return p
}

// commitOf is a topic in a commit; its id is filled in by the scene.
func commitOf(topic string, partitions ...kmsg.OffsetCommitRequestTopicPartition) kmsg.OffsetCommitRequestTopic {
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.Partitions = topic, partitions
	return t
}

// commitAs commits as a member at the generation it knows.
func commitAs(group, member string, change func(*kmsg.OffsetCommitRequest), topics ...kmsg.OffsetCommitRequestTopic) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrOffsetCommitRequest()
		r.Group = group
		if member != "" {
			r.MemberID, r.Generation = s.texts[member], int32(s.numbers[member])
		}
		for _, t := range topics {
			if t.TopicID == [16]byte{} {
				t.TopicID = s.topicID(t.Topic)
			}
			r.Topics = append(r.Topics, t)
		}
		change(r)
		return r
	}
}

func asCommitter(*kmsg.OffsetCommitRequest) {}

// committedOf asks a group for its offsets; nil topics ask for all of them.
func committedOf(group string, topics map[string][]int32) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrOffsetFetchRequest()
		g := kmsg.NewOffsetFetchRequestGroup()
		r.Group, g.Group = group, group
		if topics != nil {
			r.Topics, g.Topics = []kmsg.OffsetFetchRequestTopic{}, []kmsg.OffsetFetchRequestGroupTopic{}
		}
		for _, name := range []string{"orders", "log", "nowhere", "", "a b"} { // in an order
			partitions, is := topics[name]
			if !is {
				continue
			}
			t := kmsg.NewOffsetFetchRequestTopic()
			t.Topic, t.Partitions = name, partitions
			r.Topics = append(r.Topics, t)
			gt := kmsg.NewOffsetFetchRequestGroupTopic()
			gt.Topic, gt.TopicID, gt.Partitions = name, s.topicID(name), partitions
			g.Topics = append(g.Topics, gt)
		}
		r.Groups = append(r.Groups, g)
		return r
	}
}

// committedWith is committedOf after a change.
func committedWith(change func(s *scene, r *kmsg.OffsetFetchRequest), group string, topics map[string][]int32) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := committedOf(group, topics)(s).(*kmsg.OffsetFetchRequest)
		change(s, r)
		return r
	}
}

func deleteOffsets(group, topic string, partitions ...int32) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		t := kmsg.NewOffsetDeleteRequestTopic()
		t.Topic = topic
		for _, index := range partitions {
			p := kmsg.NewOffsetDeleteRequestTopicPartition()
			p.Partition = index
			t.Partitions = append(t.Partitions, p)
		}
		r := kmsg.NewPtrOffsetDeleteRequest()
		r.Group, r.Topics = group, []kmsg.OffsetDeleteRequestTopic{t}
		return r
	}
}

// groupOffsetsScript: OffsetCommit, OffsetFetch, OffsetDelete.
var groupOffsetsScript = script{name: "group offsets", steps: []step{
	{name: "without a group", request: commitAs("simple", "", asCommitter, commitOf("orders", commit(0, 5), commit(1, 6)), commitOf("log", commit(0, 7)))},
	{name: "a group without members", request: describeGroups("simple")},
	{name: "a group without a name", request: commitAs("", "", asCommitter, commitOf("orders", commit(0, 5)))},
	{name: "a generation of a group without members", request: commitAs("simple", "", func(r *kmsg.OffsetCommitRequest) { r.Generation = 3 }, commitOf("orders", commit(0, 5)))},
	{name: "a generation of a group that is not there", request: commitAs("nobody", "", func(r *kmsg.OffsetCommitRequest) { r.Generation = 3 }, commitOf("orders", commit(0, 5)))},
	{name: "a member of a group without members", request: commitAs("simple", "", func(r *kmsg.OffsetCommitRequest) { r.MemberID = "stranger" }, commitOf("orders", commit(0, 5)))},
	{name: "an unknown topic", request: commitAs("simple", "", asCommitter, commitOf("nowhere", commit(0, 5)))},
	{name: "an id of no topic", from: 10, request: commitAs("simple", "", asCommitter, func() kmsg.OffsetCommitRequestTopic {
		t := commitOf("orders", commit(0, 5))
		t.TopicID = stray
		return t
	}())},
	{name: "an unknown partition", request: commitAs("simple", "", asCommitter, commitOf("orders", commit(99, 5)))},
	{name: "partition -1", request: commitAs("simple", "", asCommitter, commitOf("orders", commit(-1, 5)))},
	{name: "a topic without a name", request: commitAs("simple", "", asCommitter, commitOf("", commit(0, 5)))},
	{name: "offset -1", request: commitAs("simple", "", asCommitter, commitOf("orders", commit(2, -1)))},
	{name: "offset -2", request: commitAs("simple", "", asCommitter, commitOf("orders", commit(2, -2)))},
	{name: "an offset behind the end", request: commitAs("simple", "", asCommitter, commitOf("orders", commit(2, 1_000_000)))},
	{name: "metadata that is too large", request: commitAs("simple", "", asCommitter,
		commitOf("orders", commitWith(2, 5, func(p *kmsg.OffsetCommitRequestTopicPartition) {
			p.Metadata = kmsg.StringPtr(strings.Repeat("m", 4097))
		}), commit(1, 8)))},
	{name: "null metadata", request: commitAs("simple", "", asCommitter, commitOf("orders", commitWith(3, 5, func(p *kmsg.OffsetCommitRequestTopicPartition) { p.Metadata = nil })))},
	{name: "a leader epoch", from: 6, request: commitAs("simple", "", asCommitter, commitOf("orders", commitWith(4, 5, func(p *kmsg.OffsetCommitRequestTopicPartition) { p.LeaderEpoch = 3 })))},
	{name: "a partition twice", request: commitAs("simple", "", asCommitter, commitOf("log", commit(1, 1), commit(1, 2)))},
	{name: "a topic twice", request: commitAs("simple", "", asCommitter, commitOf("log", commit(1, 3)), commitOf("log", commit(0, 9)))},
	{name: "nothing", request: commitAs("simple", "", asCommitter)},
	{name: "a topic without partitions", request: commitAs("simple", "", asCommitter, commitOf("orders"))},

	{name: "of some partitions", request: committedOf("simple", map[string][]int32{"orders": {0, 1, 2, 3, 4}, "log": {1}})},
	{name: "of all partitions", from: 2, request: committedOf("simple", nil)},
	{name: "of partitions without a commit", request: committedOf("simple", map[string][]int32{"log": {0, 1}, "orders": {99, -1}})},
	{name: "of an unknown topic", request: committedOf("simple", map[string][]int32{"nowhere": {0}, "orders": {0}})},
	{name: "of a topic without a name", request: committedOf("simple", map[string][]int32{"": {0}})},
	{name: "of a group that is not there", request: committedOf("nobody", map[string][]int32{"orders": {0}})},
	{name: "of all partitions of a group that is not there", from: 2, request: committedOf("nobody", nil)},
	{name: "of a group without a name", request: committedOf("", map[string][]int32{"orders": {0}})},
	{name: "of no partitions", request: committedOf("simple", map[string][]int32{})},
	{name: "of a partition twice", request: committedOf("simple", map[string][]int32{"orders": {0, 0}})},
	{name: "that is stable", from: 7, request: committedWith(func(_ *scene, r *kmsg.OffsetFetchRequest) { r.RequireStable = true }, "simple", map[string][]int32{"orders": {0}})},
	{name: "of several groups", from: 8, request: committedWith(func(s *scene, r *kmsg.OffsetFetchRequest) {
		r.Groups = append(r.Groups, committedOf("nobody", nil)(s).(*kmsg.OffsetFetchRequest).Groups...)
	}, "simple", map[string][]int32{"orders": {0}})},
	{name: "of a group twice", from: 8, request: committedWith(func(s *scene, r *kmsg.OffsetFetchRequest) {
		r.Groups = append(r.Groups, committedOf("simple", nil)(s).(*kmsg.OffsetFetchRequest).Groups...)
	}, "simple", map[string][]int32{"orders": {0}})},
	{name: "as a member of a classic group", from: 9, request: committedWith(func(_ *scene, r *kmsg.OffsetFetchRequest) {
		r.Groups[0].MemberID, r.Groups[0].MemberEpoch = kmsg.StringPtr("stranger"), 1
	}, "simple", map[string][]int32{"orders": {0}})},
	{name: "by an id of no topic", from: 10, request: committedWith(func(_ *scene, r *kmsg.OffsetFetchRequest) { r.Groups[0].Topics[0].TopicID = stray }, "simple", map[string][]int32{"orders": {0}})},

	{name: "of an unsubscribed topic", request: deleteOffsets("simple", "log", 1)},
	{name: "of an unknown topic", request: deleteOffsets("simple", "nowhere", 0)},
	{name: "of an unknown partition", request: deleteOffsets("simple", "orders", 99)},
	{name: "of a partition without a commit", request: deleteOffsets("simple", "log", 1)},
	{name: "of a group that is not there", request: deleteOffsets("nobody", "orders", 0)},
	{name: "of a group without a name", request: deleteOffsets("", "orders", 0)},
	{name: "of a topic without partitions", request: deleteOffsets("simple", "orders")},
	{name: "after offsets were deleted", request: committedOf("simple", map[string][]int32{"log": {0, 1}})},

	joinedAs("committers", "committer", "a", asMember),
	{name: "until the committer has its assignment", quiet: true, on: "a", request: syncGroup("committers", "committer", asSynced, map[string][]byte{"committer": assignment("orders", 0)})},
	{name: "by a member", on: "a", request: commitAs("committers", "committer", asCommitter, commitOf("orders", commit(0, 5)))},
	{name: "by a member, of a partition it does not have", on: "a", request: commitAs("committers", "committer", asCommitter, commitOf("log", commit(0, 5)))},
	{name: "by a member, a generation that was", on: "a", request: commitAs("committers", "committer", func(r *kmsg.OffsetCommitRequest) { r.Generation-- }, commitOf("orders", commit(0, 5)))},
	{name: "by a member, a generation that is to come", on: "a", request: commitAs("committers", "committer", func(r *kmsg.OffsetCommitRequest) { r.Generation++ }, commitOf("orders", commit(0, 5)))},
	{name: "by a member that is not there", on: "a", request: commitAs("committers", "committer", func(r *kmsg.OffsetCommitRequest) { r.MemberID = "stranger" }, commitOf("orders", commit(0, 5)))},
	{name: "without a group, where there is one", request: commitAs("committers", "", asCommitter, commitOf("orders", commit(0, 6)))},
	{name: "of a group with members", request: committedOf("committers", map[string][]int32{"orders": {0, 1}})},
	{name: "of a subscribed topic", request: deleteOffsets("committers", "orders", 0)},
	{name: "of a topic that the group with members does not read", request: deleteOffsets("committers", "log", 0)},
	{name: "the committer", on: "a", request: leave("committers", "committer")},
	{name: "several groups, one with offsets", request: deleteGroups("committers", "nobody")},
	{name: "of a group that was deleted", request: committedOf("committers", map[string][]int32{"orders": {0}})},
	{name: "to the offsets topic", request: produce(1, to("__consumer_offsets", in(0, values("v")))), atLeast: produceServed},
	{name: "the offsets topic", request: deleteRecords(deleteBefore("__consumer_offsets", 0, 1))},
	{name: "the configs of the offsets topic", request: describeConfigs(configsOf(ofTopic, "__consumer_offsets"))},
	{name: "the offsets topic", request: metadata("__consumer_offsets")},
	{name: "the offsets topic", request: createPartitions(true, grow("__consumer_offsets", 3))},
}}
