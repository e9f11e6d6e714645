package compat

import (
	"os"
	"runtime"
	"testing"
	"time"

	"fluxmq/broker/compat/scale"
)

const (
	scaleMembers, scaleMoving, scalePartitions = 100, 10, 500
	scaleConnections                           = 50
	scaleWindows                               = 2
	scaleWindow                                = time.Minute
	// cpuLimit is what the heartbeats may cost, in % of one core.
	cpuLimit = 10.0
)

// TestGroupScale measures how long 100 members over 500 partitions take to
// settle in GROUP_SCALE_ROUNDS (5) rounds, and what heartbeats of GROUP_SCALE_GROUPS
// (10,000) groups cost. `make group-scale` asks for it with GROUP_SCALE_COMMIT;
// with GROUP_SCALE_RESULT the result is kept in that file, also when a limit was broken.
//
// A classic start waits out group.initial.rebalance.delay.ms, 3 s, after the last
// member came; Apache Kafka waits for it twice. Without the shorter heartbeats of
// its first 10 s, as in Kafka, a consumer group takes two intervals of 5 s. That, and what
// heartbeats cost that are read each by itself, is printed, not judged.
func TestGroupScale(t *testing.T) {
	commit := os.Getenv("GROUP_SCALE_COMMIT")
	if commit == "" {
		t.Skip("GROUP_SCALE_COMMIT is not set: `make group-scale` sets it")
	}
	rounds, groups := fromEnvironment(t, "GROUP_SCALE_ROUNDS", 5), fromEnvironment(t, "GROUP_SCALE_GROUPS", 10000)
	result := scale.Groups{Version: scale.GroupsVersion, Commit: commit, Cores: runtime.NumCPU()}
	const soon = "group.initial.rebalance.delay.ms=1000"
	for _, c := range []settleCase{
		classicRange.judgedBySettleLimit(),
		cooperative.judgedBySettleLimit(),
		classicRange.with(soon).judgedBySettleLimit(),
		cooperative.with(soon).judgedBySettleLimit(),
		uniform.judgedBySettleLimit(),
		serverRange.judgedBySettleLimit(),
		uniform.with("fluxmq.group.consumer.settling.heartbeat.interval.ms=0"),
	} {
		t.Run(c.protocol, func(t *testing.T) {
			result.Settles = append(result.Settles, settle(t, c, rounds, scaleMembers, scaleMoving, scalePartitions))
		})
	}
	for _, c := range []heartbeatCase{classicHeartbeats, consumerHeartbeats, classicHeartbeats.apart(), consumerHeartbeats.apart()} {
		t.Run(c.name(), func(t *testing.T) {
			h := heartbeats(t, c, groups, scaleConnections, scaleWindows, scaleWindow)
			result.Heartbeats = append(result.Heartbeats, h)
			for n, w := range h.Windows {
				if w.Percent > cpuLimit && len(c.settings) == 0 {
					t.Errorf("window %d: %.1f %% of a core, the limit is %.0f %%", n+1, w.Percent, cpuLimit)
				}
			}
		})
	}
	if path := os.Getenv("GROUP_SCALE_RESULT"); path != "" {
		must(t, "keeping the result", result.Save(path))
	}
}
