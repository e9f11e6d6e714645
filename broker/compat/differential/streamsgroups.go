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

// streamsGroupScript: groups of Kafka Streams (KIP-1071).
var streamsGroupScript = script{name: "streams groups", needs: []int16{keyStreamsGroupHeartbeat}, steps: []step{
	{name: "a group without a name", request: streamsHeartbeat("", "m", 0, topologyOf("orders"))},
	{name: "a first heartbeat without a topology", request: streamsHeartbeat("streams", "m", 0, stillRunning)},
	{name: "a member of a group that is not there", request: streamsHeartbeat("nobody", "m", 3, stillRunning)},
	{name: "a topic that is not there", request: streamsHeartbeat("streams-lost", "m", 0, topologyOf("nowhere"))},
	{name: "a first heartbeat", request: streamsHeartbeat("streams", "m", 0, topologyOf("orders")), until: func(reply kmsg.Response) bool {
		r := reply.(*kmsg.StreamsGroupHeartbeatResponse)
		return r.ErrorCode != 0 || len(r.ActiveTasks) > 0
	}},
	{name: "an epoch that is to come", request: streamsHeartbeat("streams", "m", 99, stillRunning)},
	{name: "a member that is not there", request: streamsHeartbeat("streams", "stranger", 1, stillRunning)},
	{name: "a group", request: describeStreamsGroups("streams")},
	{name: "a group that is not there", request: describeStreamsGroups("nobody")},
	{name: "a streams group", request: describeGroups("streams")},
	{name: "streams groups", request: listGroups(nil, []string{"streams"}), from: 5},
	{name: "a member leaves", request: streamsHeartbeat("streams", "m", -1, stillRunning)},
	{name: "a group that all have left", request: describeStreamsGroups("streams")},
	{name: "an empty streams group", request: deleteGroups("streams")},
}}
