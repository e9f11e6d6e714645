package differential

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Members of these groups choose their ids themselves, so that both brokers
// see the same ones; the version 0 heartbeat of KIP-848 lets the broker choose.

func consumerHeartbeat(group, member string, epoch int32, change func(s *scene, r *kmsg.ConsumerGroupHeartbeatRequest)) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		r.Group, r.MemberID, r.MemberEpoch = group, member, epoch
		change(s, r)
		return r
	}
}

// subscribed is a first heartbeat: it says all there is to say.
func subscribed(topics ...string) func(*scene, *kmsg.ConsumerGroupHeartbeatRequest) {
	return func(_ *scene, r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.RebalanceTimeoutMillis, r.SubscribedTopicNames, r.Topics = 45000, topics, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
}

func unchanged(*scene, *kmsg.ConsumerGroupHeartbeatRequest) {}

// owning says which partitions of a topic the member has.
func owning(topic string, partitions ...int32) func(*scene, *kmsg.ConsumerGroupHeartbeatRequest) {
	return func(s *scene, r *kmsg.ConsumerGroupHeartbeatRequest) {
		t := kmsg.NewConsumerGroupHeartbeatRequestTopic()
		t.TopicID, t.Partitions = s.topicID(topic), partitions
		r.Topics = append(r.Topics, t)
	}
}

func describeConsumerGroups(groups ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrConsumerGroupDescribeRequest()
		r.Groups, r.IncludeAuthorizedOperations = groups, true
		return r
	}
}

// assignedNow waits until a heartbeat has brought an assignment.
func assignedNow(reply kmsg.Response) bool {
	r := reply.(*kmsg.ConsumerGroupHeartbeatResponse)
	return r.ErrorCode != 0 || r.Assignment != nil && len(r.Assignment.Topics) > 0
}

// consumerGroupScript: groups of KIP-848.
var consumerGroupScript = script{name: "consumer groups", needs: []int16{keyConsumerGroupHeartbeat}, steps: []step{
	{name: "a group without a name", request: consumerHeartbeat("", "m", 0, subscribed("several-2"))},
	{name: "a first heartbeat without a subscription", request: consumerHeartbeat("new", "m", 0, unchanged)},
	{name: "a first heartbeat without a timeout", request: consumerHeartbeat("new", "m", 0, func(s *scene, r *kmsg.ConsumerGroupHeartbeatRequest) {
		subscribed("several-2")(s, r)
		r.RebalanceTimeoutMillis = -1
	})},
	{name: "a first heartbeat that owns partitions", request: consumerHeartbeat("new", "m", 0, func(s *scene, r *kmsg.ConsumerGroupHeartbeatRequest) {
		subscribed("several-2")(s, r)
		owning("several-2", 0)(s, r)
	})},
	{name: "an assignor that is not there", request: consumerHeartbeat("new", "m", 0, func(s *scene, r *kmsg.ConsumerGroupHeartbeatRequest) {
		subscribed("several-2")(s, r)
		r.ServerAssignor = kmsg.StringPtr("best")
	})},
	{name: "a member of a group that is not there", request: consumerHeartbeat("nobody", "m", 3, unchanged)},
	{name: "a member that leaves a group that is not there", request: consumerHeartbeat("nobody", "m", -1, unchanged)},
	{name: "epoch -5", request: consumerHeartbeat("new", "m", -5, subscribed("several-2"))},
	{name: "a static member without an instance id leaves for a while", request: consumerHeartbeat("new", "m", -2, unchanged)},
	{name: "a regular expression that is none", from: 1, request: consumerHeartbeat("new", "m", 0, func(s *scene, r *kmsg.ConsumerGroupHeartbeatRequest) {
		subscribed()(s, r)
		r.SubscribedTopicRegex = kmsg.StringPtr("(")
	})},
	{name: "a first heartbeat", request: consumerHeartbeat("new", "m", 0, subscribed("several-2")), until: assignedNow},
	{name: "a first heartbeat again", request: consumerHeartbeat("new", "m", 0, subscribed("several-2"))},
	{name: "a heartbeat that owns what was assigned", request: consumerHeartbeat("new", "m", 1, owning("several-2", 0, 1))},
	{name: "a heartbeat with nothing new", request: consumerHeartbeat("new", "m", 1, unchanged)},
	{name: "an epoch that is to come", request: consumerHeartbeat("new", "m", 7, unchanged)},
	{name: "a member that is not there", request: consumerHeartbeat("new", "stranger", 1, unchanged)},
	{name: "a group", request: describeConsumerGroups("new")},
	{name: "a group that is not there", request: describeConsumerGroups("nobody")},
	{name: "a group without a name", request: describeConsumerGroups("")},
	{name: "a classic group", request: describeConsumerGroups("simple")},
	{name: "a group of the new protocol", request: describeGroups("new")},
	{name: "groups of both protocols", request: listGroups(nil, nil)},
	{name: "groups of the new protocol", request: listGroups(nil, []string{"consumer"}), from: 5},
	{name: "a classic member in a group of the new protocol, without subscription", request: join("new", "other", func(r *kmsg.JoinGroupRequest) {
		r.Protocols = []kmsg.JoinGroupRequestProtocol{protocolOf("range", []byte{1, 2, 3})}
	})},
	{name: "in a group of the new protocol", from: 9, request: newCommit("m", 1)},
	{name: "in a group of the new protocol, an epoch that was", from: 9, request: newCommit("m", 0)},
	{name: "in a group of the new protocol, an epoch that is to come", from: 9, request: newCommit("m", 9)},
	{name: "in a group of the new protocol, a member that is not there", from: 9, request: newCommit("stranger", 1)},
	{name: "in a group of the new protocol, before it was possible", version: at(8), request: newCommit("m", 1)},
	{name: "of a group of the new protocol", from: 9, request: committedWith(func(_ *scene, r *kmsg.OffsetFetchRequest) {
		r.Groups[0].MemberID, r.Groups[0].MemberEpoch = kmsg.StringPtr("m"), 1
	}, "new", map[string][]int32{"orders": {0}})},
	{name: "of a group of the new protocol, an epoch that is to come", from: 9, request: committedWith(func(_ *scene, r *kmsg.OffsetFetchRequest) {
		r.Groups[0].MemberID, r.Groups[0].MemberEpoch = kmsg.StringPtr("m"), 9
	}, "new", map[string][]int32{"orders": {0}})},
	{name: "of a group of the new protocol, a member that is not there", from: 9, request: committedWith(func(_ *scene, r *kmsg.OffsetFetchRequest) {
		r.Groups[0].MemberID, r.Groups[0].MemberEpoch = kmsg.StringPtr("stranger"), 1
	}, "new", map[string][]int32{"orders": {0}})},
	{name: "a group of the new protocol that has members", request: deleteGroups("new")},
	{name: "a first heartbeat of a static member", request: consumerHeartbeat("new-static", "s", 0, func(s *scene, r *kmsg.ConsumerGroupHeartbeatRequest) {
		subscribed("several-2")(s, r)
		r.InstanceID = kmsg.StringPtr("i")
	}), until: assignedNow},
	{name: "a second member of that instance id", request: consumerHeartbeat("new-static", "s2", 0, func(s *scene, r *kmsg.ConsumerGroupHeartbeatRequest) {
		subscribed("several-2")(s, r)
		r.InstanceID = kmsg.StringPtr("i")
	})},
	{name: "a static member leaves for a while", request: consumerHeartbeat("new-static", "s", -2, func(_ *scene, r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") })},
	{name: "a static member comes back", until: assignedNow, request: consumerHeartbeat("new-static", "s3", 0, func(s *scene, r *kmsg.ConsumerGroupHeartbeatRequest) {
		subscribed("several-2")(s, r)
		r.InstanceID = kmsg.StringPtr("i")
	})},
	{name: "a static member leaves for good", request: consumerHeartbeat("new-static", "s3", -1, func(_ *scene, r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") })},
	{name: "a subscription to a topic that is not there", request: consumerHeartbeat("new-empty", "m", 0, subscribed("nowhere"))},
	{name: "a new member in a classic group that has members", request: consumerHeartbeat("connectors", "m", 0, subscribed("several-2"))},
	{name: "a new member in an empty classic group", request: consumerHeartbeat("simple", "m", 0, subscribed("several-2")), until: assignedNow},
	{name: "a member leaves", request: consumerHeartbeat("new", "m", -1, unchanged)},
	{name: "a member that has left leaves", request: consumerHeartbeat("new", "m", -1, unchanged)},
	{name: "a group that all have left", request: describeConsumerGroups("new")},
	{name: "a group of the new protocol that all have left", request: deleteGroups("new")},
}}

// newCommit commits as a member of the KIP-848 group "new".
func newCommit(member string, epoch int32) func(*scene) kmsg.Request {
	return commitAs("new", "", func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = member, epoch }, commitOf("orders", commit(0, 5)))
}

// The share member is a Kafka Uuid, as ShareFetch wants it.
const shareMember = "AAAAAAAAAAAAAAAAAAAAQQ"

func shareHeartbeat(group, member string, epoch int32, topics ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrShareGroupHeartbeatRequest()
		r.GroupID, r.MemberID, r.MemberEpoch, r.SubscribedTopicNames = group, member, epoch, topics
		return r
	}
}

func describeShareGroups(groups ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrShareGroupDescribeRequest()
		r.GroupIDs, r.IncludeAuthorizedOperations = groups, true
		return r
	}
}

// next is the epoch that the share session of shareMember is at: it rises with
// every answer, and how many fetches it takes until records come is not given.
const next = -100

func shareEpoch(s *scene, epoch int32) int32 {
	if epoch == next {
		return int32(s.numbers["share session"])
	}
	return epoch
}

func keepShareEpoch(s *scene, reply kmsg.Response) {
	switch r := reply.(type) {
	case *kmsg.ShareFetchResponse:
		if r.ErrorCode == 0 {
			s.numbers["share session"]++
		}
	case *kmsg.ShareAcknowledgeResponse:
		if r.ErrorCode == 0 {
			s.numbers["share session"]++
		}
	}
}

// acquired: records came, or an error.
func acquired(reply kmsg.Response) bool {
	r := reply.(*kmsg.ShareFetchResponse)
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 || len(p.AcquiredRecords) > 0 {
				return true
			}
		}
	}
	return r.ErrorCode != 0
}

func shareFetch(group, member string, epoch int32, topic string, partitions ...int32) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrShareFetchRequest()
		r.GroupID, r.MemberID, r.ShareSessionEpoch = &group, &member, shareEpoch(s, epoch)
		r.MaxWaitMillis, r.MinBytes, r.MaxBytes, r.MaxRecords, r.BatchSize = 200, 1, 1<<20, 100, 100
		t := kmsg.NewShareFetchRequestTopic()
		t.TopicID = s.topicID(topic)
		for _, index := range partitions {
			p := kmsg.NewShareFetchRequestTopicPartition()
			p.Partition, p.PartitionMaxBytes = index, 1<<20
			t.Partitions = append(t.Partitions, p)
		}
		r.Topics = append(r.Topics, t)
		return r
	}
}

func acknowledge(group, member string, epoch int32, topic string, first, last int64, kinds ...int8) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		b := kmsg.NewShareAcknowledgeRequestTopicPartitionAcknowledgementBatch()
		b.FirstOffset, b.LastOffset, b.AcknowledgeTypes = first, last, kinds
		p := kmsg.NewShareAcknowledgeRequestTopicPartition()
		p.AcknowledgementBatches = append(p.AcknowledgementBatches, b)
		t := kmsg.NewShareAcknowledgeRequestTopic()
		t.TopicID, t.Partitions = s.topicID(topic), append(t.Partitions, p)
		r := kmsg.NewPtrShareAcknowledgeRequest()
		r.GroupID, r.MemberID, r.ShareSessionEpoch = &group, &member, shareEpoch(s, epoch)
		r.Topics = append(r.Topics, t)
		return r
	}
}

// shareGroupScript: share groups (KIP-932).
var shareGroupScript = script{name: "share groups", needs: []int16{keyShareGroupHeartbeat}, steps: []step{
	{name: "until the share topic is asked for", quiet: true, request: createTopics(topic("shared", 1, 1))},
	ready("shared"), leaders("shared"),
	{name: "that reads from the start", request: alterIncrementally(false, change(ofGroup, "share", "+share.auto.offset.reset=earliest"))},
	asked("for the share group", produce(-1, to("shared", in(0, values("a", "b", "c", "d"))))),
	{name: "a group without a name", request: shareHeartbeat("", shareMember, 0, "shared")},
	{name: "a first heartbeat without a subscription", request: shareHeartbeat("share", shareMember, 0)},
	{name: "a member of a group that is not there", request: shareHeartbeat("nobody", shareMember, 3)},
	{name: "a first heartbeat", request: shareHeartbeat("share", shareMember, 0, "shared"), until: func(reply kmsg.Response) bool {
		r := reply.(*kmsg.ShareGroupHeartbeatResponse)
		return r.ErrorCode != 0 || r.Assignment != nil && len(r.Assignment.TopicPartitions) > 0
	}},
	{name: "an epoch that is to come", request: shareHeartbeat("share", shareMember, 99)},
	{name: "a member that is not there", request: shareHeartbeat("share", "AAAAAAAAAAAAAAAAAAAAWw", 1)},
	{name: "a group", request: describeShareGroups("share")},
	{name: "a group that is not there", request: describeShareGroups("nobody")},
	{name: "a share group", request: describeGroups("share")},
	{name: "share groups", request: listGroups(nil, []string{"share"}), from: 5},
	{name: "a session that is not there", request: shareFetch("share", shareMember, 4, "shared", 0)},
	{name: "an unknown partition", request: shareFetch("share", "AAAAAAAAAAAAAAAAAAAAUQ", 0, "shared", 99)},
	{name: "the records", request: shareFetch("share", shareMember, next, "shared", 0), keep: keepShareEpoch, until: acquired},
	{name: "what was not acquired", request: acknowledge("share", shareMember, next, "shared", 50, 51, 1), keep: keepShareEpoch},
	{name: "accept, release, reject", request: acknowledge("share", shareMember, next, "shared", 0, 2, 1, 2, 3), keep: keepShareEpoch},
	{name: "of a kind that is not there", request: acknowledge("share", shareMember, next, "shared", 3, 3, 9), keep: keepShareEpoch},
	{name: "of a session that is not there", request: acknowledge("share", "AAAAAAAAAAAAAAAAAAAAUQ", 9, "shared", 3, 3, 1)},
	{name: "the released record", request: shareFetch("share", shareMember, next, "shared", 0), keep: keepShareEpoch, until: acquired},
	{name: "the end of the session", request: acknowledge("share", shareMember, -1, "shared", 1, 1, 1)},
	{name: "a member leaves", request: shareHeartbeat("share", shareMember, -1)},
	{name: "a group that all have left", request: describeShareGroups("share")},
	{name: "of a share group", request: shareOffsets("share", "shared", 0)},
	{name: "of a share group that is not there", request: shareOffsets("nobody", "shared", 0)},
	{name: "of a share group, an unknown topic", request: shareOffsets("share", "nowhere", 0)},
	{name: "of an empty share group", request: alterShareOffsets("share", "shared", 0, 1)},
	{name: "of a share group that is not there", request: alterShareOffsets("nobody", "shared", 0, 1)},
	{name: "of an empty share group", request: deleteShareOffsets("share", "shared")},
	{name: "of a share group that is not there", request: deleteShareOffsets("nobody", "shared")},
	{name: "an empty share group", request: deleteGroups("share")},
	{name: "a state without a group", request: initializeState("", "shared", 0, 1, 2)},
	{name: "a state", request: initializeState("states", "shared", 0, 1, 2)},
	{name: "a state", request: writeState("states", "shared", 0, 1, 3)},
	{name: "an older state", request: writeState("states", "shared", 0, 0, 3)},
	{name: "a state", request: readState("states", "shared", 0)},
	{name: "a state that is not there", request: readState("states", "shared", 99)},
	{name: "a state", request: summariseState("states", "shared", 0)},
	{name: "a state", request: deleteState("states", "shared", 0)},
}}

func initializeState(group, topic string, partition, epoch int32, start int64) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		p := kmsg.NewInitializeShareGroupStateRequestTopicPartition()
		p.Partition, p.StateEpoch, p.StartOffset = partition, epoch, start
		t := kmsg.NewInitializeShareGroupStateRequestTopic()
		t.TopicID, t.Partitions = s.topicID(topic), append(t.Partitions, p)
		r := kmsg.NewPtrInitializeShareGroupStateRequest()
		r.GroupID, r.Topics = group, append(r.Topics, t)
		return r
	}
}

// writeState moves the start of a share partition's state.
func writeState(group, topic string, partition, epoch int32, start int64) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		p := kmsg.NewWriteShareGroupStateRequestTopicPartition()
		p.Partition, p.StateEpoch, p.StartOffset, p.DeliveryCompleteCount = partition, epoch, start, 0
		t := kmsg.NewWriteShareGroupStateRequestTopic()
		t.TopicID, t.Partitions = s.topicID(topic), append(t.Partitions, p)
		r := kmsg.NewPtrWriteShareGroupStateRequest()
		r.GroupID, r.Topics = group, append(r.Topics, t)
		return r
	}
}

func readState(group, topic string, partition int32) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		p := kmsg.NewReadShareGroupStateRequestTopicPartition()
		p.Partition = partition
		t := kmsg.NewReadShareGroupStateRequestTopic()
		t.TopicID, t.Partitions = s.topicID(topic), append(t.Partitions, p)
		r := kmsg.NewPtrReadShareGroupStateRequest()
		r.GroupID, r.Topics = group, append(r.Topics, t)
		return r
	}
}

func summariseState(group, topic string, partition int32) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		p := kmsg.NewReadShareGroupStateSummaryRequestTopicPartition()
		p.Partition = partition
		t := kmsg.NewReadShareGroupStateSummaryRequestTopic()
		t.TopicID, t.Partitions = s.topicID(topic), append(t.Partitions, p)
		r := kmsg.NewPtrReadShareGroupStateSummaryRequest()
		r.GroupID, r.Topics = group, append(r.Topics, t)
		return r
	}
}

func deleteState(group, topic string, partition int32) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		p := kmsg.NewDeleteShareGroupStateRequestTopicPartition()
		p.Partition = partition
		t := kmsg.NewDeleteShareGroupStateRequestTopic()
		t.TopicID, t.Partitions = s.topicID(topic), append(t.Partitions, p)
		r := kmsg.NewPtrDeleteShareGroupStateRequest()
		r.GroupID, r.Topics = group, append(r.Topics, t)
		return r
	}
}

func shareOffsets(group, topic string, partition int32) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		t := kmsg.NewDescribeShareGroupOffsetsRequestGroupTopic()
		t.Topic, t.Partitions = topic, []int32{partition}
		g := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
		g.GroupID, g.Topics = group, append(g.Topics, t)
		r := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
		r.Groups = append(r.Groups, g)
		return r
	}
}

func alterShareOffsets(group, topic string, partition int32, offset int64) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		p := kmsg.NewAlterShareGroupOffsetsRequestTopicPartition()
		p.Partition, p.StartOffset = partition, offset
		t := kmsg.NewAlterShareGroupOffsetsRequestTopic()
		t.Topic, t.Partitions = topic, append(t.Partitions, p)
		r := kmsg.NewPtrAlterShareGroupOffsetsRequest()
		r.GroupID, r.Topics = group, append(r.Topics, t)
		return r
	}
}

func deleteShareOffsets(group, topic string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		t := kmsg.NewDeleteShareGroupOffsetsRequestTopic()
		t.Topic = topic
		r := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
		r.GroupID, r.Topics = group, append(r.Topics, t)
		return r
	}
}
