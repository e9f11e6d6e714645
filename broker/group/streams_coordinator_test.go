package group

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fluxmq/broker/config"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// streamingOf is a heartbeat of a member of an application that counts what is in t.
func streamingOf(t *testing.T, group, member string, epoch int32) *kmsg.StreamsGroupHeartbeatRequest {
	in := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	in.Group, in.MemberID, in.MemberEpoch = group, member, epoch
	if epoch == joinEpoch {
		process := "process-" + member
		in.RebalanceTimeoutMillis, in.ProcessID, in.Topology = 10_000, &process, topologyOf(t, 0, "0/sources=t/changelogs=c")
		in.ActiveTasks, in.StandbyTasks, in.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	}
	return in
}

// having says that the member has tasks.
func having(t *testing.T, in *kmsg.StreamsGroupHeartbeatRequest, tasks string) *kmsg.StreamsGroupHeartbeatRequest {
	in.ActiveTasks, in.StandbyTasks, in.WarmupTasks = ownedTasks(t, tasks), []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	return in
}

func (c *Coordinator) toldStreams(in *kmsg.StreamsGroupHeartbeatRequest) string {
	answer := c.StreamsHeartbeat(background, Client{"client", "/127.0.0.1"}, in).Wait(background)
	r := answer.Response
	if r.ErrorCode != 0 {
		return codeName(r.ErrorCode)
	}
	out := fmt.Sprintf("%s at %d every %d", r.MemberID, r.MemberEpoch, r.HeartbeatIntervalMillis)
	if r.ActiveTasks != nil {
		out += " " + shownRuns(r.ActiveTasks, r.StandbyTasks, r.WarmupTasks)
	}
	for _, s := range r.Status {
		out += fmt.Sprintf(" (%d)", s.StatusCode)
	}
	for _, topic := range answer.Create {
		out += " create " + topic.Name
	}
	return out
}

func TestStreamsGroupLivesThroughARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster(map[string]int32{"t": 2})
		c := cl.begin()
		expect(t, "join", c.toldStreams(streamingOf(t, "g", "a", 0)), "a at 1 every 5000 [] (5) (3) create c")
		cl.topics = cl.topics.with(func(partitions map[string]int32, _ map[string]byte) { partitions["c"] = 2 })
		expect(t, "a second", c.toldStreams(streamingOf(t, "g", "b", 0)), "b at 1 every 5000 [] (5)")
		time.Sleep(3 * time.Second) // group.streams.initial.rebalance.delay.ms
		synctest.Wait()             // its timer is of the same moment
		expect(t, "the first", c.toldStreams(streamingOf(t, "g", "a", 1)), "a at 3 every 5000 [0_0]")
		expect(t, "the second", c.toldStreams(streamingOf(t, "g", "b", 1)), "b at 3 every 5000 [0_1]")
		expect(t, "an epoch of before", c.toldStreams(streamingOf(t, "g", "b", 2)), "FENCED_MEMBER_EPOCH")
		expect(t, "list", listed(c, nil, []string{"streams"}), "g streams streams Stable")
		commit := commitOf("g", "a", 3, 7)
		commit.Version = 9
		expect(t, "commit", codeName(c.Commit(background, commit).Wait(background)[0]), "ok")
		c.Close()

		c = cl.begin()
		expect(t, "after a restart", c.toldStreams(streamingOf(t, "g", "a", 3)), "a at 3 every 5000")
		expect(t, "offsets", fetched(c, "g"), "ok t-3=7")
		d := c.DescribeStreams(background, "g").Wait(background)
		if d.ErrorCode != 0 || d.State != "Stable" || d.Epoch != 3 || d.AssignmentEpoch != 3 || len(d.Members) != 2 || d.Topology == nil {
			t.Errorf("described as %+v", d)
		} else if m := d.Members[0]; m.MemberID != "a" || m.ClientHost != "/127.0.0.1" || m.ProcessID != "process-a" || shownAssigned(m.Assignment) != "[0_0]" {
			t.Errorf("the first member is %+v", m)
		}
		snapshot := c.Snapshot(background)
		if len(snapshot) != 1 || snapshot[0].State != "Stable" || snapshot[0].Generation != 3 || snapshot[0].Members != 2 || snapshot[0].ProtocolType != "streams" {
			t.Errorf("shown as %+v", snapshot)
		}
		time.Sleep(40 * time.Second)
		expect(t, "the first", c.toldStreams(streamingOf(t, "g", "a", 3)), "a at 3 every 5000")
		time.Sleep(10 * time.Second)
		expect(t, "the second is gone", c.toldStreams(streamingOf(t, "g", "a", 3)), "a at 4 every 5000 [0_0, 0_1]")
		expect(t, "and must join again", c.toldStreams(streamingOf(t, "g", "b", 3)), "UNKNOWN_MEMBER_ID")
		expect(t, "delete", codeName(c.Delete(background, "g").Wait(background)), "NON_EMPTY_GROUP")
		expect(t, "the first leaves", c.toldStreams(streamingOf(t, "g", "a", -1)), "a at -1 every 0")
		expect(t, "delete", codeName(c.Delete(background, "g").Wait(background)), "ok")
		c.Close()
		c = cl.begin()
		defer c.Close()
		expect(t, "after a restart", listed(c, nil, nil), "")
		expect(t, "its offsets", fetched(c, "g"), "ok")
	})
}

// TestTransactionalCommitsOfAStreamsGroup: exactly-once applications commit with
// their producers, as members or, before they know, as nobody.
func TestTransactionalCommitsOfAStreamsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster(map[string]int32{"t": 4, "c": 4})
		c := cl.begin()
		defer c.Close()
		c.toldStreams(streamingOf(t, "g", "a", 0))
		time.Sleep(3 * time.Second)
		synctest.Wait() // the delay's timer is of the same moment
		expect(t, "join", c.toldStreams(streamingOf(t, "g", "a", 1)), "a at 2 every 5000 [0_0, 0_1, 0_2, 0_3]")
		commit := func(member string, epoch int32) string {
			in := transactionalOf("g", 7, 0, 9)
			in.MemberID, in.Generation = member, epoch
			return codeName(c.CommitTransactional(background, in, verified)[0])
		}
		expect(t, "as a member", commit("a", 2), "ok")
		expect(t, "as nobody", commit("", -1), "ok")
		expect(t, "as a stranger", commit("z", 2), "UNKNOWN_MEMBER_ID")
		expect(t, "at an epoch to come", commit("a", 3), "ILLEGAL_GENERATION")
		expect(t, "at an epoch before it had the task", commit("a", 1), "ILLEGAL_GENERATION")
	})
}

// TestOwnSettingsOfAStreamsGroup: what a group has of its own wins, and a new
// count of copies makes a new assignment.
func TestOwnSettingsOfAStreamsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newCluster(map[string]int32{"t": 1, "c": 1})
		own := func(overrides map[string]string) *config.Group {
			g, err := config.ParseGroup(config.Default(), overrides)
			if err != nil {
				t.Fatal(err)
			}
			return g
		}
		quick := map[string]string{"streams.initial.rebalance.delay.ms": "0", "streams.assignment.interval.ms": "0", "streams.heartbeat.interval.ms": "7000"}
		cl.own = map[string]*config.Group{"g": own(quick)}
		c := cl.begin()
		defer c.Close()
		expect(t, "join", c.toldStreams(streamingOf(t, "g", "a", 0)), "a at 2 every 7000 [0_0]")
		expect(t, "a second", c.toldStreams(streamingOf(t, "g", "b", 0)), "b at 3 every 7000 []")
		quick["streams.num.standby.replicas"] = "1"
		cl.own = map[string]*config.Group{"g": own(quick)}
		expect(t, "a copy", c.toldStreams(streamingOf(t, "g", "b", 3)), "b at 4 every 7000 [standby 0_0]")
		expect(t, "elsewhere", c.toldStreams(having(t, streamingOf(t, "g", "a", 2), "0:0")), "a at 4 every 7000")
		expect(t, "a group without", c.toldStreams(streamingOf(t, "h", "a", 0)), "a at 1 every 5000 [] (5)")
	})
}

// TestManyStreamsTasks: a large application settles, and its records stay readable.
func TestManyStreamsTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members, tasks = 40, 2000
		cl := newCluster(map[string]int32{"t": tasks, "c": tasks})
		c := cl.begin()
		for i := range members {
			c.toldStreams(streamingOf(t, "g", fmt.Sprint("m", i), 0))
		}
		time.Sleep(3 * time.Second)
		synctest.Wait() // the delay's timer is of the same moment
		total := 0
		for i := range members {
			got := c.toldStreams(streamingOf(t, "g", fmt.Sprint("m", i), 1))
			if n := strings.Count(got, "0_"); n != tasks/members {
				t.Errorf("member %d has %d tasks: %.200s", i, n, got)
			} else {
				total += n
			}
		}
		if total != tasks {
			t.Errorf("%d tasks are assigned", total)
		}
		c.Close()
		c = cl.begin()
		defer c.Close()
		expect(t, "after a restart", listed(c, nil, nil), "g streams streams Stable")
	})
}
