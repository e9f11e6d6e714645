package differential

import "github.com/twmb/franz-go/pkg/kmsg"

const keyStreamsGroupHeartbeat int16 = 88

func streamsHeartbeat(group, member string, epoch int32, change func(*kmsg.StreamsGroupHeartbeatRequest)) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrStreamsGroupHeartbeatRequest()
		r.Group, r.MemberID, r.MemberEpoch = group, member, epoch
		change(r)
		return r
	}
}

// topologyOf is a first heartbeat: one subtopology that reads a topic.
func topologyOf(source string) func(*kmsg.StreamsGroupHeartbeatRequest) {
	return func(r *kmsg.StreamsGroupHeartbeatRequest) {
		sub := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
		sub.SubtopologyID, sub.SourceTopics = "0", []string{source}
		topology := kmsg.NewStreamsGroupHeartbeatRequestTopology()
		topology.Subtopologies = append(topology.Subtopologies, sub)
		r.RebalanceTimeoutMillis, r.ProcessID, r.Topology = 45000, kmsg.StringPtr("process"), &topology
		r.ActiveTasks, r.StandbyTasks, r.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	}
}

func describeStreamsGroups(groups ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrStreamsGroupDescribeRequest()
		r.Groups, r.IncludeAuthorizedOperations = groups, true
		return r
	}
}

func stillRunning(*kmsg.StreamsGroupHeartbeatRequest) {}

// first is a first heartbeat that is changed.
func first(source string, change func(*kmsg.StreamsGroupHeartbeatRequest, *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology)) func(*kmsg.StreamsGroupHeartbeatRequest) {
	return func(r *kmsg.StreamsGroupHeartbeatRequest) {
		topologyOf(source)(r)
		change(r, &r.Topology.Subtopologies[0])
	}
}

// counting is an application that counts through a repartition topic into a store.
func counting(source, name string) func(*kmsg.StreamsGroupHeartbeatRequest) {
	return first(source, func(r *kmsg.StreamsGroupHeartbeatRequest, sub *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		repartition, changelog := name+"-repartition", name+"-changelog"
		sub.RepartitionSinkTopics = []string{repartition}
		counts := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
		counts.SubtopologyID = "1"
		counts.RepartitionSourceTopics = []kmsg.TopicInfo{{Topic: repartition, Configs: []kmsg.TopicInfoConfig{{Key: "segment.bytes", Value: "52428800"}}}}
		counts.StateChangelogTopics = []kmsg.TopicInfo{{Topic: changelog, Configs: []kmsg.TopicInfoConfig{{Key: "cleanup.policy", Value: "compact"}}}}
		r.Topology.Subtopologies = append(r.Topology.Subtopologies, counts)
		r.UserEndpoint = &kmsg.StreamsGroupHeartbeatRequestUserEndpoint{Host: "localhost", Port: 80}
		r.ClientTags = []kmsg.StreamsGroupHeartbeatRequestClientTag{{Key: "zone", Value: "z"}}
		r.RackID = kmsg.StringPtr("rack")
	})
}

// tasksAt is a heartbeat of a member that has tasks of one subtopology.
func tasksAt(subtopology string, partitions ...int32) func(*kmsg.StreamsGroupHeartbeatRequest) {
	return func(r *kmsg.StreamsGroupHeartbeatRequest) {
		r.ActiveTasks = []kmsg.TaskIDs{{SubtopologyID: subtopology, Partitions: partitions}}
		r.StandbyTasks, r.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	}
}

func hasTasks(reply kmsg.Response) bool {
	r := reply.(*kmsg.StreamsGroupHeartbeatResponse)
	return r.ErrorCode != 0 || len(r.ActiveTasks) > 0
}

// settled: no status says that something is to come.
func settledTasks(reply kmsg.Response) bool {
	r := reply.(*kmsg.StreamsGroupHeartbeatResponse)
	return r.ErrorCode != 0 || len(r.Status) == 0
}

// streamsCommit commits as a member at an epoch.
func streamsCommit(group, member string, epoch int32) func(*scene) kmsg.Request {
	return commitAs(group, member, func(r *kmsg.OffsetCommitRequest) { r.Generation = epoch }, commitOf("orders", commit(0, 1)))
}

// streamsGroupScript: groups of Kafka Streams (KIP-1071).
var streamsGroupScript = script{name: "streams groups", needs: []int16{keyStreamsGroupHeartbeat}, steps: []step{
	{name: "a group without a name", request: streamsHeartbeat("", "m", 0, topologyOf("orders"))},
	{name: "a member without a name", request: streamsHeartbeat("streams", " ", 0, topologyOf("orders"))},
	{name: "a first heartbeat without a topology", request: streamsHeartbeat("streams", "m", 0, stillRunning)},
	{name: "a first heartbeat without a timeout", request: streamsHeartbeat("streams", "m", 0, first("orders", func(r *kmsg.StreamsGroupHeartbeatRequest, _ *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		r.RebalanceTimeoutMillis = -1
	}))},
	{name: "a first heartbeat without tasks", request: streamsHeartbeat("streams", "m", 0, first("orders", func(r *kmsg.StreamsGroupHeartbeatRequest, _ *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		r.StandbyTasks = nil
	}))},
	{name: "a first heartbeat with tasks", request: streamsHeartbeat("streams", "m", 0, first("orders", func(r *kmsg.StreamsGroupHeartbeatRequest, _ *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		r.ActiveTasks = []kmsg.TaskIDs{{SubtopologyID: "0", Partitions: []int32{0}}}
	}))},
	{name: "an empty rack", request: streamsHeartbeat("streams", "m", 0, first("orders", func(r *kmsg.StreamsGroupHeartbeatRequest, _ *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		r.RackID = kmsg.StringPtr("")
	}))},
	{name: "a static member", request: streamsHeartbeat("streams", "m", 0, first("orders", func(r *kmsg.StreamsGroupHeartbeatRequest, _ *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		r.InstanceID = kmsg.StringPtr("i")
	}))},
	{name: "offsets of tasks", request: streamsHeartbeat("streams", "m", 0, first("orders", func(r *kmsg.StreamsGroupHeartbeatRequest, _ *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		r.TaskOffsets = []kmsg.TaskOffset{}
	}))},
	{name: "end offsets of tasks", request: streamsHeartbeat("streams", "m", 0, first("orders", func(r *kmsg.StreamsGroupHeartbeatRequest, _ *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		r.TaskEndOffsets = []kmsg.TaskOffset{}
	}))},
	{name: "tasks that warm up", request: streamsHeartbeat("streams", "m", 1, func(r *kmsg.StreamsGroupHeartbeatRequest) {
		tasksAt("0", 0)(r)
		r.WarmupTasks = r.ActiveTasks
	})},
	{name: "topics by a regular expression", request: streamsHeartbeat("streams", "m", 0, first("orders", func(_ *kmsg.StreamsGroupHeartbeatRequest, sub *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		sub.SourceTopicRegex = []string{"o.*"}
	}))},
	{name: "some of the tasks", request: streamsHeartbeat("streams", "m", 1, func(r *kmsg.StreamsGroupHeartbeatRequest) { r.ActiveTasks = []kmsg.TaskIDs{} })},
	{name: "a topology too late", request: streamsHeartbeat("streams", "m", 1, topologyOf("orders"))},
	{name: "no epoch there is", request: streamsHeartbeat("streams", "m", -3, stillRunning)},
	{name: "a member goes away for a while", request: streamsHeartbeat("streams", "m", -2, stillRunning)},
	{name: "a topic of the broker's own", request: streamsHeartbeat("streams", "m", 0, topologyOf("__consumer_offsets"))},
	{name: "a topic that has no name", request: streamsHeartbeat("streams", "m", 0, topologyOf("a b"))},
	{name: "a changelog of a size", request: streamsHeartbeat("streams", "m", 0, first("orders", func(_ *kmsg.StreamsGroupHeartbeatRequest, sub *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		sub.StateChangelogTopics = []kmsg.TopicInfo{{Topic: "c", NumPartitions: 1}}
	}))},
	{name: "a subtopology that reads nothing", request: streamsHeartbeat("streams", "m", 0, first("orders", func(_ *kmsg.StreamsGroupHeartbeatRequest, sub *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		sub.SourceTopics = nil
	}))},
	{name: "a repartition topic that nothing writes to", request: streamsHeartbeat("streams", "m", 0, first("orders", func(_ *kmsg.StreamsGroupHeartbeatRequest, sub *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		sub.RepartitionSourceTopics = []kmsg.TopicInfo{{Topic: "r"}}
	}))},
	{name: "a loop", request: streamsHeartbeat("streams", "m", 0, first("orders", func(_ *kmsg.StreamsGroupHeartbeatRequest, sub *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		sub.SourceTopics, sub.RepartitionSinkTopics, sub.RepartitionSourceTopics = nil, []string{"r"}, []kmsg.TopicInfo{{Topic: "r"}}
	}))},
	{name: "a member of a group that is not there", request: streamsHeartbeat("nobody", "m", 3, stillRunning)},
	{name: "a member leaves a group that is not there", request: streamsHeartbeat("nobody", "m", -1, stillRunning)},
	{name: "a topic that is not there", request: streamsHeartbeat("streams-lost", "m", 0, topologyOf("nowhere"))},
	{name: "a group that is not ready", request: describeStreamsGroups("streams-lost")},
	{name: "sizes that do not fit", request: streamsHeartbeat("streams-unfit", "m", 0, first("orders", func(_ *kmsg.StreamsGroupHeartbeatRequest, sub *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		sub.RepartitionSinkTopics, sub.RepartitionSourceTopics = []string{"unfit"}, []kmsg.TopicInfo{{Topic: "unfit", NumPartitions: 7}}
		sub.CopartitionGroups = []kmsg.StreamsGroupHeartbeatRequestTopologySubtopologyCopartitionGroup{{SourceTopics: []int16{0}, RepartitionSourceTopics: []int16{0}}}
	}))},

	{name: "a first heartbeat", request: streamsHeartbeat("streams", "m", 0, topologyOf("orders")), until: hasTasks},
	{name: "an epoch that is to come", request: streamsHeartbeat("streams", "m", 99, stillRunning)},
	{name: "an epoch that was", request: streamsHeartbeat("streams", "m", 1, stillRunning)},
	{name: "a member that is not there", request: streamsHeartbeat("streams", "stranger", 1, stillRunning)},
	{name: "a member leaves that is not there", request: streamsHeartbeat("streams", "stranger", -1, stillRunning)},
	{name: "nothing new", request: streamsHeartbeat("streams", "m", 2, stillRunning)},
	{name: "a subtopology that is not there", request: streamsHeartbeat("streams", "m", 2, tasksAt("9", 0))},
	{name: "a task that is not there", request: streamsHeartbeat("streams", "m", 2, tasksAt("0", 99))},
	{name: "another topology", request: streamsHeartbeat("streams", "n", 0, topologyOf("nowhere"))},
	{name: "a newer topology", request: streamsHeartbeat("streams", "n", 0, first("orders", func(r *kmsg.StreamsGroupHeartbeatRequest, _ *kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) {
		r.Topology.Epoch = 1
	}))},
	{name: "a group", request: describeStreamsGroups("streams")},
	{name: "a group that is not there", request: describeStreamsGroups("nobody")},
	{name: "a streams group", request: describeGroups("streams")},
	{name: "a streams group as one of consumers", request: describeConsumerGroups("streams")},
	{name: "streams groups", request: listGroups([]string{"Stable"}, []string{"streams"}), from: 5},
	{name: "a member of a streams group", request: streamsCommit("streams", "m", 2), atLeast: 9},
	{name: "a member of a streams group at a later epoch", request: streamsCommit("streams", "m", 3), atLeast: 9},
	{name: "a stranger to a streams group", request: streamsCommit("streams", "stranger", 2), atLeast: 9},
	{name: "nobody's offset of a streams group", request: streamsCommit("streams", "", -1), atLeast: 9},
	{name: "a topic that a streams group reads", request: deleteOffsets("streams", "orders", 0)},
	{name: "a topic that a streams group does not read", request: deleteOffsets("streams", "unread", 0)},
	{name: "a classic member of a streams group", request: join("streams", "", asMember)},
	{name: "a classic member of a streams group that beats", request: heartbeat("streams", "m", asBeating)},
	{name: "a classic member of a streams group that leaves", request: leave("streams", "m")},
	{name: "a streams group", request: consumerHeartbeat("streams", "c", 0, subscribed("orders"))},
	{name: "a streams group", request: shareHeartbeat("streams", "c", 0, "orders")},
	{name: "a streams group with a member", request: deleteGroups("streams")},
	{name: "a member asks all to shut down", request: streamsHeartbeat("streams", "m", 2, func(r *kmsg.StreamsGroupHeartbeatRequest) { r.ShutdownApplication = true })},
	{name: "a member hears of it", request: streamsHeartbeat("streams", "m", 2, stillRunning)},
	{name: "a member leaves", request: streamsHeartbeat("streams", "m", -1, stillRunning)},
	{name: "a group that all have left", request: describeStreamsGroups("streams")},
	{name: "an empty streams group", request: deleteGroups("streams")},

	{name: "an application that needs topics", request: streamsHeartbeat("streams-count", "m", 0, counting("orders", "streams-count"))},
	ready("streams-count-repartition", "streams-count-changelog"),
	{name: "its topics are there", request: streamsHeartbeat("streams-count", "m", 2, stillRunning), until: hasTasks},
	{name: "an application with topics of its own", request: describeStreamsGroups("streams-count")},
	{name: "topics of an application", request: describeConfigs(
		configsOf(kmsg.ConfigResourceTypeTopic, "streams-count-repartition", "segment.bytes", "cleanup.policy"),
		configsOf(kmsg.ConfigResourceTypeTopic, "streams-count-changelog", "segment.bytes", "cleanup.policy"),
	)},
	{name: "another process", request: streamsHeartbeat("streams-count", "n", 0, func(r *kmsg.StreamsGroupHeartbeatRequest) {
		counting("orders", "streams-count")(r)
		r.ProcessID = kmsg.StringPtr("another")
	}), until: settledTasks, quiet: true},
	{name: "a member leaves an application", request: streamsHeartbeat("streams-count", "m", -1, stillRunning)},
}}
