package broker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// streamsClient is a client that knows the APIs of streams groups, which
// franz-go counts to no release.
func streamsClient(t *testing.T, b *Broker) *kgo.Client {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion((&kmsg.StreamsGroupHeartbeatRequest{}).Key(), 0)
	versions.SetMaxKeyVersion((&kmsg.StreamsGroupDescribeRequest{}).Key(), 0)
	return client(t, b, kgo.MaxVersions(versions))
}

// beatStreams is a heartbeat of a member that counts what is in words, and says
// what it is answered. has are tasks of the application's only part that the member reports to have.
func beatStreams(t *testing.T, ctx context.Context, c *kgo.Client, member string, epoch int32, has ...[]int32) string {
	t.Helper()
	in := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	in.Group, in.MemberID, in.MemberEpoch = "count", member, epoch
	if epoch == 0 {
		in.RebalanceTimeoutMillis, in.ProcessID = 10_000, &member
		in.ActiveTasks, in.StandbyTasks, in.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
		part := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
		part.SubtopologyID, part.SourceTopics = "0", []string{"words"}
		part.StateChangelogTopics = []kmsg.TopicInfo{{Topic: "count-changelog", Configs: []kmsg.TopicInfoConfig{{Key: "cleanup.policy", Value: "compact"}}}}
		in.Topology = &kmsg.StreamsGroupHeartbeatRequestTopology{Subtopologies: []kmsg.StreamsGroupHeartbeatRequestTopologySubtopology{part}}
	}
	for _, partitions := range has {
		in.ActiveTasks, in.StandbyTasks, in.WarmupTasks = []kmsg.TaskIDs{{SubtopologyID: "0", Partitions: partitions}}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	}
	answer, err := c.Broker(0).RetriableRequest(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	r := answer.(*kmsg.StreamsGroupHeartbeatResponse)
	out := fmt.Sprintf("%d at %d", r.ErrorCode, r.MemberEpoch)
	for kind, list := range [][]kmsg.TaskIDs{r.ActiveTasks, r.StandbyTasks} {
		for _, run := range list {
			out += fmt.Sprintf(" %s%s:%v", []string{"", "standby "}[kind], run.SubtopologyID, run.Partitions)
		}
	}
	for _, s := range r.Status {
		out += fmt.Sprintf(" (%d)", s.StatusCode)
	}
	return out
}

// TestStreamsGroup: an application's topics are made, its members have tasks and
// copies as the group's settings say, and all of that is there after a restart.
func TestStreamsGroup(t *testing.T) {
	dir := t.TempDir()
	quickly := map[string]string{"group.streams.initial.rebalance.delay.ms": "0", "group.streams.assignment.interval.ms": "0"}
	b := run(t, Config{DataDir: dir, Properties: quickly})
	c := streamsClient(t, b)
	ctx := within(t, 30*time.Second)
	createTopic(t, c, "words", 2, nil)
	if at := kadm.NewClient(c).FindGroupCoordinators(ctx, "count")["count"]; at.Err != nil {
		t.Fatal(at.Err)
	}
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	expect("join", beatStreams(t, ctx, c, "a", 0), "0 at 2 (3)")
	expect("the changelog is there", beatStreams(t, ctx, c, "a", 2), "0 at 3 0:[0 1]")
	setGroup(t, c, "count", "streams.num.standby.replicas", "1")
	expect("a second", beatStreams(t, ctx, c, "b", 0), "0 at 4 standby 0:[0]")
	expect("the first gives up", beatStreams(t, ctx, c, "a", 3), "0 at 3 0:[0]")
	c.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	b = run(t, Config{DataDir: dir, Properties: quickly})
	c = streamsClient(t, b)
	expect("after a restart, the second waits", beatStreams(t, ctx, c, "b", 4), "0 at 4")
	expect("the first leaves", beatStreams(t, ctx, c, "a", -1), "0 at -1")
	expect("the second gives up its copy", beatStreams(t, ctx, c, "b", 4), "0 at 4")
	expect("and has what was the first's", beatStreams(t, ctx, c, "b", 4, []int32{}), "0 at 5 0:[1]")
	expect("and what it had a copy of", beatStreams(t, ctx, c, "b", 5, []int32{1}), "0 at 5 0:[0 1]")
	in := kmsg.NewPtrStreamsGroupDescribeRequest()
	in.Groups = []string{"count"}
	answer, err := c.Broker(0).RetriableRequest(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if d := answer.(*kmsg.StreamsGroupDescribeResponse).Groups[0]; d.ErrorCode != 0 || len(d.Members) != 1 || d.Topology == nil || d.Topology.Subtopologies[0].StateChangelogTopics[0].NumPartitions != 2 {
		t.Errorf("described: %+v", d)
	}
}
