package bench

import (
	"fmt"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// canaryRounds of the fixed loop take about 50 ms on a core of 2026.
const canaryRounds = 40_000_000

var canarySink uint32

// canary is the CPU time of a fixed loop of integer work on one thread, in
// nanoseconds. It moves when the machine itself does: clock frequency, a
// neighbour on the same core, another host. It copies
// no memory: what caches and neighbours do to that hides the rest.
func canary() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := threadCPU()
	sum := uint32(1)
	for range canaryRounds {
		sum = sum*1664525 + 1013904223
	}
	canarySink = sum
	return float64(threadCPU() - start)
}

func threadCPU() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}

// machineNoise sums the windows of a run's parts into shares.
func machineNoise(parts []*reports.ArmRun) (stealShare, foreignShare float64) {
	var busy, steal, total, ours int64
	for _, p := range parts {
		m := p.Machine
		busy += m.UserNs + m.SystemNs
		steal += m.StealNs
		total += m.UserNs + m.SystemNs + m.StealNs + m.IdleNs + m.IOWaitNs
		ours += p.Broker.CPUNs + m.HarnessNs + m.KernelThreadNs
		if p.Result != nil {
			ours += p.Result.CPUUserNs + p.Result.CPUSystemNs
		}
	}
	if busy+steal <= 0 || total <= 0 {
		return -1, -1
	}
	return float64(steal) / float64(steal+busy), max(0, float64(busy-ours)) / float64(total)
}

// canaryMemory bounds how far back the running median of the canary looks: the
// machine may change for good, and then what came before says nothing.
const canaryMemory = 24

// Rules of noise, as Block.Rejected names them.
const (
	ruleSteal   = "steal"
	ruleForeign = "foreign CPU"
	ruleCanary  = "canary"
)

// disturbed says by which rule a block is left out, and what broke it; "" when
// none applies. It looks at noise only. earlier are the canaries of the trial so far.
func disturbed(b trial.Block, rules trial.Rules, earlier []float64) (rule, detail string) {
	median := 0.0
	if len(earlier) >= 4 {
		recent := slices.Clone(earlier[max(0, len(earlier)-canaryMemory):])
		slices.Sort(recent)
		median = recent[len(recent)/2]
	}
	for _, r := range b.Runs {
		n := r.Noise
		switch {
		case n.StealShare > rules.MaxStealShare:
			return ruleSteal, fmt.Sprintf("%.1f %% of the CPU time that run %d wanted", 100*n.StealShare, r.Position)
		case n.ForeignShare > rules.MaxForeignShare:
			return ruleForeign, fmt.Sprintf("%.1f %% in run %d", 100*n.ForeignShare, r.Position)
		case median > 0 && math.Abs(n.CanaryNs/median-1) > rules.MaxCanaryDeviate:
			return ruleCanary, fmt.Sprintf("%+.1f %% before run %d", 100*(n.CanaryNs/median-1), r.Position)
		}
	}
	return "", ""
}
