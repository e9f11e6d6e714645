package doctor

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"fluxmq/reports"
	"fluxmq/tools/runner/hoststats"
)

// scheduledThreads compares what Go would run at once with what this process may use.
func (o Options) scheduledThreads() reports.Check {
	want := len(hoststats.AllowedCPUs())
	if limit := hoststats.Cgroup(o.Root).CPUs; limit > 0 {
		// As the Go runtime does since 1.25: the limit, rounded up, and at least 2.
		want = min(want, max(2, int(math.Ceil(limit))))
	}
	have := runtime.GOMAXPROCS(0)
	return reports.Check{Condition: "GOMAXPROCS", Required: fmt.Sprintf("%d, what this process may use", want), Current: strconv.Itoa(have), Severity: Warning, Passed: have == want}
}

// turbo tells whether the clock rate can go above its base, and whether heat has held it down since boot.
func (o Options) turbo() reports.Check {
	c := reports.Check{Condition: "turbo and throttling", Required: "no throttling", Severity: Warning, Passed: true}
	state := map[string]string{"sys/devices/system/cpu/cpufreq/boost0": "turbo off", "sys/devices/system/cpu/cpufreq/boost1": "turbo on",
		"sys/devices/system/cpu/intel_pstate/no_turbo0": "turbo on", "sys/devices/system/cpu/intel_pstate/no_turbo1": "turbo off"}
	var parts []string
	for _, file := range []string{"sys/devices/system/cpu/cpufreq/boost", "sys/devices/system/cpu/intel_pstate/no_turbo"} {
		if text := state[file+o.line(file)]; text != "" {
			parts = append(parts, text)
		}
	}
	if count := o.line("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"); count != "" {
		parts = append(parts, "throttled "+count+" times since boot")
		c.Passed = count == "0"
	}
	if parts == nil {
		return notThere(c)
	}
	c.Current = strings.Join(parts, ", ")
	return c
}

// maxClockRead is what reading the time may cost: every record's latency holds two readings.
const maxClockRead = time.Microsecond

func (o Options) clock() reports.Check {
	return judgeClock(o.line("sys/devices/system/clocksource/clocksource0/current_clocksource"), clockRead())
}

func judgeClock(source string, cost time.Duration) reports.Check {
	c := reports.Check{Condition: "clock source", Required: "tsc, kvm-clock or arch_sys_counter; ≤ 1 µs a reading", Severity: Warning}
	good := slices.Contains([]string{"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"}, source)
	c.Current, c.Passed = fmt.Sprintf("%s, %d ns a reading", source, cost.Nanoseconds()), good && cost <= maxClockRead
	if !good && cost > maxClockRead {
		c.Severity = Fatal
	}
	if source == "" {
		return notThere(c)
	}
	return c
}

// clockRead is what time.Now costs; the least of a few rounds, since others use the CPU too.
func clockRead() time.Duration {
	const readings = 1000
	least := time.Duration(math.MaxInt64)
	for range 5 {
		start := time.Now()
		for range readings - 1 {
			time.Now()
		}
		least = min(least, time.Since(start)/readings)
	}
	return least
}

func (o Options) virtualised() reports.Check {
	c := reports.Check{Condition: "virtual machine", Required: "no: the host's other guests are not seen", Current: "no", Severity: Warning, Passed: true}
	text := o.line("proc/cpuinfo")
	if text == "" {
		return notThere(c)
	}
	for line := range strings.Lines(text) {
		if name, flags, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "flags" && slices.Contains(strings.Fields(flags), "hypervisor") {
			c.Current, c.Passed = "yes", false
		}
	}
	if by := o.line("sys/hypervisor/type"); by != "" {
		c.Current, c.Passed = "yes, "+by, false
	}
	return c
}

// addressLayout: rounds with one fixed layout would agree with each other and with nothing else.
func (o Options) addressLayout() reports.Check {
	c := reports.Check{Condition: "address layout randomised", Required: "on (2): rounds average the layout", Severity: Info}
	c.Current = o.line("proc/sys/kernel/randomize_va_space")
	c.Passed = c.Current == "2"
	if c.Current == "" {
		return notThere(c)
	}
	return c
}

func (o Options) hardwareCounters() reports.Check {
	c := reports.Check{Condition: "hardware counters (PMU)", Required: "present, for cycles and cache misses", Severity: Info, Passed: true}
	for _, name := range []string{"cpu", "cpu_core", "armv8_pmuv3*"} {
		if found, _ := filepath.Glob(filepath.Join(o.Root, "sys/bus/event_source/devices", name)); len(found) > 0 { // the pattern is ours
			c.Current = filepath.Base(found[0])
			return c
		}
	}
	return notThere(c)
}

// irqBalance looks for the service that moves interrupts between CPUs.
func (o Options) irqBalance() reports.Check {
	c := reports.Check{Condition: "irqbalance", Required: "not running", Current: "not running", Severity: Warning, Passed: true}
	names, _ := filepath.Glob(filepath.Join(o.Root, "proc/[0-9]*/comm")) // the pattern is ours
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(text)) == "irqbalance" { // a process may have ended
			c.Current, c.Passed = "running, pid "+filepath.Base(filepath.Dir(name)), false
		}
	}
	if names == nil {
		return notThere(c)
	}
	return c
}

// mitigations counts, so that two machines with different ones are not taken for the same.
func (o Options) mitigations() reports.Check {
	c := reports.Check{Condition: "CPU vulnerabilities", Required: "–", Severity: Info, Passed: true}
	names, _ := filepath.Glob(filepath.Join(o.Root, "sys/devices/system/cpu/vulnerabilities/*")) // the pattern is ours
	var mitigated, open []string
	for _, name := range names {
		switch text, err := os.ReadFile(name); {
		case err != nil:
		case strings.HasPrefix(string(text), "Mitigation"):
			mitigated = append(mitigated, filepath.Base(name))
		case strings.HasPrefix(string(text), "Vulnerable"):
			open = append(open, filepath.Base(name))
		}
	}
	if names == nil {
		return notThere(c)
	}
	c.Current = fmt.Sprintf("mitigated: %s; open: %s", listOrNone(mitigated), listOrNone(open))
	return c
}

func listOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// pageReporting: with it a guest hands free memory back, and the host takes its time to supply the page again at its first use.
func (o Options) pageReporting() reports.Check {
	c := reports.Check{Condition: "free pages handed to the host", Required: "none: their next first touch is dear", Severity: Info, Passed: true}
	reported := o.line("sys/module/page_reporting/parameters/reported_kib")
	passes := o.line("sys/module/page_reporting/parameters/passes")
	if reported == "" {
		if o.line("sys/module/page_reporting/parameters/page_reporting_order") == "" {
			return notThere(c)
		}
		c.Current = "the kernel does so; it does not count how much"
		return c
	}
	c.Current = fmt.Sprintf("%s KiB in %s passes since boot; first touch of memory costs more", reported, passes)
	if reported == "0" {
		c.Current = "none so far"
	}
	return c
}

// kernel says what this is, for a table that is read without its result.
func (o Options) kernel() reports.Check {
	c := reports.Check{Condition: "kernel, Go", Required: "–", Severity: Info, Passed: true}
	release := o.line("proc/sys/kernel/osrelease")
	if release == "" {
		release = notPresent
	}
	c.Current = release + ", " + runtime.Version()
	return c
}
