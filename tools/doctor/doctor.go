// Package doctor checks a machine before it is measured on. It changes
// nothing: each check says what is required, what there is, how bad it is, and
// whether it passed. A failed check of severity fatal stops a run; a warning
// is printed with the result it may have spoiled. What a machine does not have
// reads "not present", passed, severity info. What fluxbench tune can change
// names its knob and takes its requirement from package tune.
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
	"fluxmq/tools/tune"
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
	Sample   time.Duration // how long the machine is watched, after its memory was measured; 0: neither
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
		measured, err := o.measured(ctx)
		if err != nil {
			return nil, err
		}
		checks = append(checks, measured...)
	}
	return checks, nil
}

// measured are the checks that take time: they load or watch this machine, whatever Root is.
func (o Options) measured(ctx context.Context) ([]reports.Check, error) {
	checks := []reports.Check{o.firstTouch()} // before the watch: its write-back does not outlive its file
	sampled, err := watch(ctx, o.Sample)
	return append(checks, sampled...), err
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
	rows := tune.Host{Root: o.Root, DataDir: o.DataDir}.Knobs()
	checks := []reports.Check{
		o.cores(), o.scheduledThreads(), o.memory(), o.disk(), o.swap(), o.files(), o.governor(rows), o.turbo(), o.clock(), o.virtualised(), o.addressLayout(),
		o.hardwareCounters(), o.irqBalance(), o.mitigations(), o.numa(), o.cgroup(), o.pageReporting(), o.dirtyPages(), o.mount(), o.accessTimes(), o.socketBuffers(rows),
	}
	checks = append(checks, knobChecks(rows)...)
	return append(checks, o.kernel())
}

// notThere makes a check one about something that this machine lacks.
func notThere(c reports.Check) reports.Check {
	c.Current, c.Passed, c.Severity = notPresent, true, Info
	return c
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
		return notThere(c)
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
		return notThere(c)
	}
	if free < min(need, fatalDisk) {
		c.Severity = Fatal
	}
	return c
}

func (o Options) files() reports.Check {
	c := reports.Check{Condition: "file descriptors", Required: fmt.Sprintf("≥ %d", wantFiles), Severity: Warning}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return notThere(c)
	}
	c.Current, c.Passed = fmt.Sprintf("%d (hard %d)", limit.Cur, limit.Max), limit.Cur >= wantFiles
	if limit.Cur < fatalFiles {
		c.Severity = Fatal
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
		return notThere(c)
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

func gib(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }
