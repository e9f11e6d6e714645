package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluxmq/reports"
	"fluxmq/tools/runner/hoststats"
	"fluxmq/tools/tune"
)

// machine writes a small /proc and /sys and returns its root.
func machine(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func find(t *testing.T, checks []reports.Check, condition string) reports.Check {
	t.Helper()
	for _, c := range checks {
		if c.Condition == condition {
			return c
		}
	}
	t.Fatalf("no check %q", condition)
	return reports.Check{}
}

func TestStaticChecksOnFixtures(t *testing.T) {
	for _, row := range []struct {
		about, file, text  string
		condition, current string
		severity           string
		passed             bool
	}{
		{"plenty of memory", "proc/meminfo", "MemTotal: 25165824 kB\nMemAvailable:   23068672 kB\n", "memory available", "22.0 GiB", Warning, true},
		{"little memory", "proc/meminfo", "MemAvailable: 2097152 kB\n", "memory available", "2.0 GiB", Warning, false},
		{"next to no memory", "proc/meminfo", "MemAvailable: 524288 kB\n", "memory available", "0.5 GiB", Fatal, false},
		{"no meminfo", "x", "", "memory available", "not present", Info, true},
		{"a line cut off", "proc/meminfo", "MemAvailable:\n", "memory available", "not present", Info, true},
		{"few dirty pages", "proc/meminfo", "Dirty: 2048 kB\nWriteback: 1024 kB\n", "pages waiting for write-back", "3 MiB", Warning, true},
		{"many dirty pages", "proc/meminfo", "Dirty: 204800 kB\nWriteback: 102400 kB\n", "pages waiting for write-back", "300 MiB", Warning, false},
		{"swap not told", "x", "", "swap", "not present", Info, true},
		{"no swap", "proc/meminfo", "SwapTotal: 0 kB\n", "swap", "off", Warning, true},
		{"swap in use", "proc/meminfo", "SwapTotal: 2097152 kB\nSwapFree: 1048576 kB\n", "swap", "2.0 GiB, 1.0 GiB used", Warning, false},
		{"no cpufreq", "x", "", "CPU governor", "not present", Info, true},
		{"powersave", "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n", "CPU governor", "powersave", Warning, false},
		{"performance", "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n", "CPU governor", "performance", Warning, true},
		{"one CPU of two", "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "schedutil\n", "CPU governor", "schedutil", Warning, false},
		{"huge pages on demand", "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n", "transparent huge pages", "madvise", Warning, true},
		{"huge pages always", "sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n", "transparent huge pages", "always", Warning, false},
		{"no huge pages", "x", "", "transparent huge pages", "not present", Info, true},
		{"somaxconn", "proc/sys/net/core/somaxconn", "128\n", "net.core.somaxconn", "128", Info, false},
		{"swappiness below what is wanted", "proc/sys/vm/swappiness", "1\n", "vm.swappiness", "1", Info, true},
		{"NUMA balancing", "proc/sys/kernel/numa_balancing", "1\n", "kernel.numa_balancing", "1", Warning, false},
		{"no NUMA balancing in this kernel", "x", "", "kernel.numa_balancing", "not present", Info, true},
		{"the kernel sizes send buffers up to 4 MiB", "proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n", "net.ipv4.tcp_wmem", "4096 16384 4194304", Info, false},
		{"a guest", "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor lm\n", "virtual machine", "yes", Warning, false},
		{"no guest", "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu lm\n", "virtual machine", "no", Warning, true},
		{"address layout", "proc/sys/kernel/randomize_va_space", "0\n", "address layout randomised", "0", Info, false},
		{"counters", "sys/bus/event_source/devices/cpu/type", "4\n", "hardware counters (PMU)", "cpu", Info, true},
		{"software counters only", "sys/bus/event_source/devices/software/type", "1\n", "hardware counters (PMU)", "not present", Info, true},
		{"irqbalance", "proc/17/comm", "irqbalance\n", "irqbalance", "running, pid 17", Warning, false},
		{"another process", "proc/17/comm", "bash\n", "irqbalance", "not running", Warning, true},
		{"turbo", "sys/devices/system/cpu/intel_pstate/no_turbo", "0\n", "turbo and throttling", "turbo on", Warning, true},
		{"held down by heat", "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "3\n", "turbo and throttling", "throttled 3 times since boot", Warning, false},
		{"neither known", "x", "", "turbo and throttling", "not present", Info, true},
		{"mitigations", "sys/devices/system/cpu/vulnerabilities/mds", "Vulnerable\n", "CPU vulnerabilities", "mitigated: none; open: mds", Info, true},
		{"nothing handed back yet", "sys/module/page_reporting/parameters/reported_kib", "0\n", "free pages handed to the host", "none so far", Info, true},
		{"a kernel that does not count", "sys/module/page_reporting/parameters/page_reporting_order", "9\n", "free pages handed to the host", "the kernel does so; it does not count how much", Info, true},
		{"no such module", "x", "", "free pages handed to the host", "not present", Info, true},
		{"barriers", "proc/self/mountinfo", "30 1 8:17 / / rw,relatime - ext4 /dev/sdb1 rw,discard\n", "mount of the data", "ext4 rw,relatime,rw,discard", Warning, true},
		{"the seed's nobarrier", "proc/self/mountinfo", "30 1 8:17 / / rw,noatime - ext4 /dev/sdb1 rw,nobarrier\n", "mount of the data",
			"ext4 rw,noatime,rw,nobarrier: loses data on power cut, acknowledged data too", Warning, false},
		{"ext4's other word for it", "proc/self/mountinfo", "30 1 8:17 / / rw - ext4 /dev/sdb1 barrier=0\n", "mount of the data", "ext4 rw,barrier=0: loses data on power cut, acknowledged data too", Warning, false},
		{"every access a write", "proc/self/mountinfo", "30 1 8:17 / / rw - ext4 /dev/sdb1 rw\n", "access times", "strictatime", Info, false},
		{"relatime", "proc/self/mountinfo", "30 1 8:17 / / rw,relatime - ext4 /dev/sdb1 rw\n", "access times", "relatime", Info, true},
		{"no block device", "proc/self/mountinfo", "30 1 0:17 / / rw,relatime - tmpfs tmpfs rw\n", "I/O scheduler of the data disk", "not present", Info, true},
		{"no cgroup", "x", "", "cgroup limits", "not present", Info, true},
	} {
		checks := Options{Root: machine(t, map[string]string{row.file: row.text}), DataDir: t.TempDir()}.static()
		c := find(t, checks, row.condition)
		if c.Current != row.current || c.Severity != row.severity || c.Passed != row.passed {
			t.Errorf("%s: got %+v, want current %q severity %q passed %v", row.about, c, row.current, row.severity, row.passed)
		}
	}
}

func TestCgroupLimitsOfBothVersions(t *testing.T) {
	for about, row := range map[string]struct {
		files map[string]string
		want  string
	}{
		"version 1": {map[string]string{
			"proc/self/cgroup": "4:cpu,cpuacct:/job\n3:memory:/job\n", "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "150000\n", "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "4294967296\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, "1.50 cores, 4.0 GiB"},
		"version 2, the parent's limit holds": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/cgroup.controllers": "cpu memory\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
			"sys/fs/cgroup/a/cpu.max": "50000 100000\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, "0.50 cores"},
		"version 2 without limits": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.controllers": "cpu\n"}, "none (v2)"},
	} {
		got := Options{Root: machine(t, row.files)}.cgroup()
		if got.Current != row.want {
			t.Errorf("%s: got %q, want %q", about, got.Current, row.want)
		}
	}
}

func TestNoSpaceIsFatal(t *testing.T) {
	c := Options{Root: "/", DataDir: filepath.Join(t.TempDir(), "not", "there", "yet"), NeedDisk: 1 << 60}.disk()
	if c.Passed {
		t.Errorf("an exbibyte is free: %+v", c)
	}
	if got := Failed([]reports.Check{{Severity: Fatal}, {Severity: Warning}, {Severity: Fatal, Passed: true}}); len(got) != 1 {
		t.Errorf("%d fatal failures, want 1", len(got))
	}
}

// samples are two readings, ten seconds apart, on a machine that has everything.
func samples(change func(from, to *sample)) []reports.Check {
	at := time.Unix(1000, 0)
	from := sample{machine: hoststats.Machine{At: at}}
	to := sample{machine: hoststats.Machine{At: at.Add(10 * time.Second), UserNs: 5e9, SystemNs: 1e9, IdleNs: 13.9e9, StealNs: 0.1e9, CPUPressureNs: 0.4e9}, ownNs: 5.8e9}
	change(&from, &to)
	return judgeSample(from, to)
}

func TestSampledChecks(t *testing.T) {
	for _, row := range []struct {
		about              string
		change             func(from, to *sample)
		condition, current string
		severity           string
		passed             bool
	}{
		{"a little is stolen of much", func(_, _ *sample) {}, "steal", "1.6 %", Warning, true},
		{"much of what was wanted, little of all time", func(_, to *sample) { to.machine.StealNs = 0.6e9 }, "steal", "9.1 %", Warning, false},
		{"an idle machine", func(_, to *sample) { to.machine.UserNs, to.machine.SystemNs, to.machine.StealNs = 0.3e9, 0.1e9, 0.1e9 },
			"steal", "idle, 0.05 cores wanted: not judged", Info, true},
		{"no time between", func(from, to *sample) { to.machine = from.machine }, "steal", notPresent, Info, true},
		{"our own work is not foreign", func(_, _ *sample) {}, "foreign CPU", "1.0 %", Warning, true},
		{"another's is", func(_, to *sample) { to.ownNs = 1e9 }, "foreign CPU", "25.0 %", Warning, false},
		{"a little pressure", func(_, _ *sample) {}, "CPU pressure (PSI)", "4.0 %", Warning, true},
		{"much pressure", func(_, to *sample) { to.machine.CPUPressureNs = 2e9 }, "CPU pressure (PSI)", "20.0 %", Warning, false},
		{"a kernel without PSI", func(from, to *sample) { from.machine.CPUPressureNs, to.machine.CPUPressureNs = -1, -1 }, "CPU pressure (PSI)", notPresent, Info, true},
		{"nothing swapped", func(_, _ *sample) {}, "swapping", "0 pages in and out", Fatal, true},
		{"swapping", func(_, to *sample) { to.swapped = 3 }, "swapping", "3 pages in and out", Fatal, false},
		{"a kernel without swap", func(from, to *sample) { from.swapped, to.swapped = -1, -1 }, "swapping", notPresent, Info, true},
	} {
		c := find(t, samples(row.change), row.condition)
		if c.Current != row.current || c.Severity != row.severity || c.Passed != row.passed {
			t.Errorf("%s: got %+v, want current %q severity %q passed %v", row.about, c, row.current, row.severity, row.passed)
		}
	}
}

func TestClock(t *testing.T) {
	for _, row := range []struct {
		about, source string
		cost          time.Duration
		severity      string
		passed        bool
	}{
		{"a good clock", "tsc", 40 * time.Nanosecond, Warning, true},
		{"a good one that is slow to read", "tsc", 2 * time.Microsecond, Warning, false},
		{"another one, quick to read", "xen", 50 * time.Nanosecond, Warning, false},
		{"another one that every latency would measure", "hpet", 2 * time.Microsecond, Fatal, false},
		{"not told", "", 50 * time.Nanosecond, Info, true},
	} {
		if c := judgeClock(row.source, row.cost); c.Severity != row.severity || c.Passed != row.passed {
			t.Errorf("%s: got %+v", row.about, c)
		}
	}
}

func TestFirstTouch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	if c := (Options{DataDir: dir}).firstTouch(); !strings.Contains(c.Current, "CPU-ns/KiB, then ") {
		t.Errorf("%+v", c)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "../../../*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if c := judgeTouch(reports.Check{}, 350, 150); !c.Passed || c.Current != "350 CPU-ns/KiB, then 150" {
		t.Errorf("%+v", c)
	}
	if c := judgeTouch(reports.Check{}, 1416, 142); c.Passed {
		t.Errorf("ten times: %+v", c)
	}
}

func TestSocketBuffersOfTheScenario(t *testing.T) {
	root := machine(t, map[string]string{"proc/sys/net/core/rmem_max": "4194304\n", "proc/sys/net/core/wmem_max": "268435456\n"})
	for _, row := range []struct {
		ask      int64
		severity string
	}{{0, Info}, {1 << 20, Info}, {8 << 20, Warning}} {
		c := find(t, Options{Root: root, DataDir: t.TempDir(), SocketIn: row.ask}.static(), "socket buffer limits")
		if c.Passed || c.Severity != row.severity || c.Current != "4194304, 268435456" {
			t.Errorf("asked for %d: %+v", row.ask, c)
		}
	}
}

// TestEveryKnobIsChecked holds the doctor to package tune: what it can change, a check names.
func TestEveryKnobIsChecked(t *testing.T) {
	o := Options{Root: machine(t, map[string]string{"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n"}), DataDir: t.TempDir()}
	var required strings.Builder
	for _, c := range o.static() {
		required.WriteString(c.Required + "\n")
		if c.Current == "" || c.Required == "" {
			t.Errorf("check with a hole: %+v", c)
		}
		if c.Current == notPresent && (!c.Passed || c.Severity != Info) {
			t.Errorf("what is not present is passed and info: %+v", c)
		}
	}
	for _, row := range (tune.Host{Root: o.Root, DataDir: o.DataDir}).Knobs() {
		group, _, _ := strings.Cut(row.Knob, "/")
		if !strings.Contains(required.String(), group) {
			t.Errorf("no check names %s", row.Knob)
		}
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Check(ctx, Options{DataDir: t.TempDir(), Sample: time.Hour}); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v", err)
	}
}
