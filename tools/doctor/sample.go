package doctor

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"fluxmq/reports"
	"fluxmq/tools/runner/hoststats"
)

const (
	maxStealShare  = 0.05 // of the CPU time that somebody here wanted
	minWantedCores = 0.2  // below that the share is a quotient of two small numbers
	maxForeignCPU  = 0.03
	maxPressure    = 0.05
)

// sample is one reading of what is watched.
type sample struct {
	machine hoststats.Machine
	ownNs   int64 // our own CPU
	swapped int64 // pages in and out since boot; -1 not present
}

func takeSample() sample {
	ns, err := hoststats.ProcessCPUNs(os.Getpid())
	if err != nil {
		ns = 0 // then our own work counts as foreign: an error on the safe side
	}
	return sample{hoststats.ReadMachine(), ns, swapped()}
}

// swapped counts pages moved to and from swap.
func swapped() int64 {
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return -1
	}
	pages, found := int64(0), false
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && (name == "pswpin" || name == "pswpout") {
			pages, found = pages+n, true
		}
	}
	if !found {
		return -1
	}
	return pages
}

// watch looks at the machine for a while: what the hypervisor took, what others used and waited for.
func watch(ctx context.Context, span time.Duration) ([]reports.Check, error) {
	from := takeSample()
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
	}
	return judgeSample(from, takeSample()), nil
}

// judgeSample turns two readings into checks.
func judgeSample(from, to sample) []reports.Check {
	span := to.machine.At.Sub(from.machine.At)
	return []reports.Check{judgeSteal(from, to, span), judgeForeign(from, to), judgePressure(from, to, span), judgeSwapping(from, to)}
}

func busyNs(from, to sample) int64 {
	return to.machine.UserNs + to.machine.SystemNs - from.machine.UserNs - from.machine.SystemNs
}

// judgeSteal compares what the hypervisor took with what was wanted, steal/(steal+busy): a share of all time would look harmless on
// an idle machine, which asks for nothing and loses nothing.
func judgeSteal(from, to sample, span time.Duration) reports.Check {
	c := reports.Check{Condition: "steal", Required: "≤ 5 % of wanted CPU time", Severity: Warning}
	steal := to.machine.StealNs - from.machine.StealNs
	wanted := float64(busyNs(from, to) + steal)
	if span <= 0 || wanted < 0 {
		return notThere(c)
	}
	if cores := wanted / float64(span); cores < minWantedCores {
		c.Current, c.Passed, c.Severity = fmt.Sprintf("idle, %.2f cores wanted: not judged", cores), true, Info
		return c
	}
	share := float64(steal) / wanted
	c.Current, c.Passed = fmt.Sprintf("%.1f %%", 100*share), share <= maxStealShare
	return c
}

func judgeForeign(from, to sample) reports.Check {
	c := reports.Check{Condition: "foreign CPU", Required: "≤ 3 % of all CPU time", Severity: Warning}
	busy := float64(busyNs(from, to))
	a, b := from.machine, to.machine
	total := busy + float64(b.StealNs-a.StealNs+b.IdleNs+b.IOWaitNs-a.IdleNs-a.IOWaitNs)
	if total <= 0 {
		return notThere(c)
	}
	// Ticks are 10 ms; our own nanoseconds may exceed them.
	others := max(0, busy-float64(to.ownNs-from.ownNs)) / total
	c.Current, c.Passed = fmt.Sprintf("%.1f %%", 100*others), others <= maxForeignCPU
	return c
}

// judgePressure is the share of the time in which some task waited for a CPU.
func judgePressure(from, to sample, span time.Duration) reports.Check {
	c := reports.Check{Condition: "CPU pressure (PSI)", Required: "some ≤ 5 %", Severity: Warning}
	if from.machine.CPUPressureNs < 0 || to.machine.CPUPressureNs < 0 || span <= 0 {
		return notThere(c)
	}
	share := float64(to.machine.CPUPressureNs-from.machine.CPUPressureNs) / float64(span)
	c.Current, c.Passed = fmt.Sprintf("%.1f %%", 100*share), share <= maxPressure
	return c
}

// judgeSwapping is fatal where swap alone is not: pages that move now will move in the run.
func judgeSwapping(from, to sample) reports.Check {
	c := reports.Check{Condition: "swapping", Required: byKnob("no pages moved", "swap"), Severity: Fatal}
	if from.swapped < 0 || to.swapped < 0 {
		return notThere(c)
	}
	moved := to.swapped - from.swapped
	c.Current, c.Passed = fmt.Sprintf("%d pages in and out", moved), moved == 0
	return c
}
