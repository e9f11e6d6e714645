// Package doctor checks a machine before it is measured on. It changes
// nothing: each check says what is required, what there is, how bad it is, and
// whether it passed. A failed check of severity fatal stops a run; a warning
// is printed with the result it may have spoiled.
package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"fluxmq/reports"
	"fluxmq/tools/runner/hoststats"
)

// Severities of a check.
const (
	Fatal   = "fatal"
	Warning = "warning"
	Info    = "info"
)

// notPresent is the current value of what a machine does not have.
const notPresent = "not present"

// Options say what the run will need.
type Options struct {
	Root     string        // "/" but in tests
	DataDir  string        // where the broker's data will lie
	NeedDisk int64         // bytes; 0: defaultDisk
	Sample   time.Duration // how long steal and foreign CPU are watched; 0: not at all
	SocketIn int64         // bytes of socket buffer that the scenario asks for; 0: none
}

// What a run needs at least.
const (
	defaultDisk    = 10 << 30
	fatalDisk      = 2 << 30
	wantMemory     = 4 << 30
	fatalMemory    = 1 << 30
	wantFiles      = 10_000
	fatalFiles     = 1_024
	maxStealShare  = 0.05
	maxForeignCPU  = 0.03
	wantBacklog    = 1_024
	samplingPeriod = 3 * time.Second
)

// DefaultSample is how long the doctor watches the machine.
const DefaultSample = samplingPeriod

// Check runs every check, in the order of the table. Only a cancelled context is an error.
func Check(ctx context.Context, o Options) ([]reports.Check, error) {
	if o.Root == "" {
		o.Root = "/"
	}
	checks := o.static()
	if o.Sample > 0 {
		sampled, err := watch(ctx, o.Sample)
		if err != nil {
			return nil, err
		}
		checks = append(checks, sampled...)
	}
	return checks, nil
}

// Failed returns the failed checks of severity fatal.
func Failed(checks []reports.Check) []reports.Check {
	var failed []reports.Check
	for _, c := range checks {
		if c.Severity == Fatal && !c.Passed {
			failed = append(failed, c)
		}
	}
	return failed
}

// static are the checks that read files and limits only.
func (o Options) static() []reports.Check {
	return []reports.Check{
		o.cores(), o.memory(), o.disk(), o.swap(), o.files(), o.governor(), o.hugePages(), o.clock(), o.socketBuffers(), o.backlog(), o.numa(), o.cgroup(),
	}
}

func (o Options) cores() reports.Check {
	count := len(hoststats.AllowedCPUs())
	c := reports.Check{Condition: "cores", Required: "≥ 2", Current: strconv.Itoa(count), Severity: Warning, Passed: count >= 2}
	if limit := hoststats.Cgroup(o.Root).CPUs; limit > 0 && limit < float64(count) {
		c.Current += fmt.Sprintf(" (cgroup allows %.2f)", limit)
		c.Passed = c.Passed && limit >= 2
	}
	return c
}

func (o Options) memory() reports.Check {
	c := reports.Check{Condition: "memory available", Required: "≥ 4 GiB", Severity: Warning}
	available, ok := o.meminfo("MemAvailable")
	if !ok {
		c.Current, c.Passed = notPresent, true
		return c
	}
	if limit := hoststats.Cgroup(o.Root).MemoryBytes; limit > 0 && limit < available {
		available = limit
	}
	c.Current, c.Passed = gib(available), available >= wantMemory
	if available < fatalMemory {
		c.Severity, c.Required = Fatal, "≥ 1 GiB (4 GiB wanted)"
	}
	return c
}

func (o Options) disk() reports.Check {
	need := o.NeedDisk
	if need == 0 {
		need = defaultDisk
	}
	free := hoststats.FreeBytes(o.DataDir)
	c := reports.Check{Condition: "free disk", Required: "≥ " + gib(need), Severity: Warning, Passed: free >= need,
		Current: fmt.Sprintf("%s on %s", gib(free), hoststats.Filesystem(o.DataDir))}
	if free < 0 {
		c.Current, c.Passed = notPresent, true
		return c
	}
	if free < min(need, fatalDisk) {
		c.Severity = Fatal
	}
	return c
}

func (o Options) swap() reports.Check {
	c := reports.Check{Condition: "swap", Required: "off", Current: "off", Severity: Warning, Passed: true}
	total, _ := o.meminfo("SwapTotal")
	if total > 0 {
		free, _ := o.meminfo("SwapFree")
		c.Current, c.Passed = fmt.Sprintf("%s, %s used", gib(total), gib(total-free)), false
	}
	return c
}

func (o Options) files() reports.Check {
	c := reports.Check{Condition: "file descriptors", Required: fmt.Sprintf("≥ %d", wantFiles), Severity: Warning}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		c.Current, c.Passed = notPresent, true
		return c
	}
	c.Current, c.Passed = fmt.Sprintf("%d (hard %d)", limit.Cur, limit.Max), limit.Cur >= wantFiles
	if limit.Cur < fatalFiles {
		c.Severity = Fatal
	}
	return c
}

func (o Options) governor() reports.Check {
	c := reports.Check{Condition: "CPU governor", Required: "performance", Severity: Warning}
	c.Current = o.line("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	c.Passed = c.Current == "performance"
	if c.Current == "" {
		c.Current, c.Passed, c.Severity = notPresent, true, Info
	}
	return c
}

func (o Options) hugePages() reports.Check {
	c := reports.Check{Condition: "transparent huge pages", Required: "madvise or never", Severity: Info}
	text := o.line("sys/kernel/mm/transparent_hugepage/enabled")
	if text == "" {
		c.Current, c.Passed = notPresent, true
		return c
	}
	c.Current = chosen(text)
	c.Passed = c.Current != "always"
	return c
}

// chosen is the bracketed word of "always [madvise] never".
func chosen(text string) string {
	from := strings.IndexByte(text, '[')
	to := strings.IndexByte(text, ']')
	if from < 0 || to < from {
		return text
	}
	return text[from+1 : to]
}

func (o Options) clock() reports.Check {
	c := reports.Check{Condition: "clock source", Required: "tsc, kvm-clock or arch_sys_counter", Severity: Warning}
	c.Current = o.line("sys/devices/system/clocksource/clocksource0/current_clocksource")
	switch c.Current {
	case "tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page":
		c.Passed = true
	case "":
		c.Current, c.Passed, c.Severity = notPresent, true, Info
	}
	return c
}

func (o Options) socketBuffers() reports.Check {
	need := max(o.SocketIn, 2<<20)
	c := reports.Check{Condition: "socket buffer limits", Required: fmt.Sprintf("rmem_max, wmem_max ≥ %d", need), Severity: Info}
	receive, send := o.line("proc/sys/net/core/rmem_max"), o.line("proc/sys/net/core/wmem_max")
	if receive == "" || send == "" {
		c.Current, c.Passed = notPresent, true
		return c
	}
	c.Current = receive + ", " + send
	c.Passed = atLeast(receive, need) && atLeast(send, need)
	return c
}

func (o Options) backlog() reports.Check {
	c := reports.Check{Condition: "listen backlog", Required: fmt.Sprintf("somaxconn ≥ %d", wantBacklog), Severity: Info}
	c.Current = o.line("proc/sys/net/core/somaxconn")
	c.Passed = atLeast(c.Current, wantBacklog)
	if c.Current == "" {
		c.Current, c.Passed = notPresent, true
	}
	return c
}

func (o Options) numa() reports.Check {
	return reports.Check{Condition: "NUMA nodes", Required: "–", Current: strconv.Itoa(hoststats.NUMANodes(o.Root)), Severity: Info, Passed: true}
}

func (o Options) cgroup() reports.Check {
	limits := hoststats.Cgroup(o.Root)
	c := reports.Check{Condition: "cgroup limits", Required: "none", Current: "none (" + limits.Version + ")", Severity: Warning, Passed: true}
	if limits.Version == notPresent {
		c.Current = notPresent
	}
	var parts []string
	if limits.CPUs > 0 {
		parts = append(parts, fmt.Sprintf("%.2f cores", limits.CPUs))
	}
	if limits.MemoryBytes > 0 {
		parts = append(parts, gib(limits.MemoryBytes))
	}
	if len(parts) > 0 {
		c.Current, c.Passed = strings.Join(parts, ", "), false
	}
	return c
}

// watch looks at the machine for a while: what the hypervisor took, and what others used.
func watch(ctx context.Context, span time.Duration) ([]reports.Check, error) {
	machine, self := hoststats.ReadMachine(), ownCPU()
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
	}
	return judgeSample(machine, hoststats.ReadMachine(), ownCPU()-self), nil
}

func ownCPU() int64 {
	ns, err := hoststats.ProcessCPUNs(os.Getpid())
	if err != nil {
		return 0
	}
	return ns
}

// judgeSample turns two readings and our own CPU between them into the two checks.
func judgeSample(from, to hoststats.Machine, ownNs int64) []reports.Check {
	busy := float64(to.UserNs + to.SystemNs - from.UserNs - from.SystemNs)
	steal := float64(to.StealNs - from.StealNs)
	total := busy + steal + float64(to.IdleNs+to.IOWaitNs-from.IdleNs-from.IOWaitNs)
	stolen := reports.Check{Condition: "steal", Required: "≤ 5 % of all CPU time", Severity: Warning, Current: notPresent, Passed: true}
	foreign := reports.Check{Condition: "foreign CPU", Required: "≤ 3 % of all CPU time", Severity: Warning, Current: notPresent, Passed: true}
	if total <= 0 {
		return []reports.Check{stolen, foreign}
	}
	// Ticks are 10 ms; our own nanoseconds may exceed them.
	others := max(0, busy-float64(ownNs)) / total
	stolen.Current, stolen.Passed = fmt.Sprintf("%.1f %%", 100*steal/total), steal/total <= maxStealShare
	foreign.Current, foreign.Passed = fmt.Sprintf("%.1f %%", 100*others), others <= maxForeignCPU
	return []reports.Check{stolen, foreign}
}

// meminfo reads one line of /proc/meminfo in bytes.
func (o Options) meminfo(key string) (int64, bool) {
	text, err := os.ReadFile(filepath.Join(o.Root, "proc/meminfo"))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		name, rest, ok := strings.Cut(line, ":")
		if !ok || name != key {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return 0, false
		}
		kib, err := strconv.ParseInt(fields[0], 10, 64)
		return kib << 10, err == nil
	}
	return 0, false
}

func (o Options) line(path string) string {
	text, err := os.ReadFile(filepath.Join(o.Root, path))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func atLeast(text string, want int64) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n >= want
}

func gib(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }
