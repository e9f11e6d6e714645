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
		{"no meminfo", "x", "", "memory available", "not present", Warning, true},
		{"a line cut off", "proc/meminfo", "MemAvailable:\n", "memory available", "not present", Warning, true},
		{"no swap", "proc/meminfo", "SwapTotal: 0 kB\n", "swap", "off", Warning, true},
		{"swap in use", "proc/meminfo", "SwapTotal: 2097152 kB\nSwapFree: 1048576 kB\n", "swap", "2.0 GiB, 1.0 GiB used", Warning, false},
		{"no cpufreq", "x", "", "CPU governor", "not present", Info, true},
		{"powersave", "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n", "CPU governor", "powersave", Warning, false},
		{"performance", "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n", "CPU governor", "performance", Warning, true},
		{"huge pages on demand", "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n", "transparent huge pages", "madvise", Info, true},
		{"huge pages always", "sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n", "transparent huge pages", "always", Info, false},
		{"a good clock", "sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n", "clock source", "tsc", Warning, true},
		{"a slow clock", "sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n", "clock source", "hpet", Warning, false},
		{"somaxconn", "proc/sys/net/core/somaxconn", "128\n", "listen backlog", "128", Info, false},
		{"no cgroup", "x", "", "cgroup limits", "not present", Warning, true},
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

func TestStealAndForeignCPU(t *testing.T) {
	from := hoststats.Machine{}
	to := hoststats.Machine{UserNs: 500e6, SystemNs: 100e6, IdleNs: 5000e6, StealNs: 400e6}
	checks := judgeSample(from, to, 100e6)
	if c := find(t, checks, "steal"); c.Current != "6.7 %" || c.Passed {
		t.Errorf("steal: %+v", c)
	}
	if c := find(t, checks, "foreign CPU"); c.Current != "8.3 %" || c.Passed {
		t.Errorf("foreign CPU: %+v", c)
	}
	if c := find(t, judgeSample(from, from, 0), "steal"); c.Current != notPresent || !c.Passed {
		t.Errorf("nothing sampled: %+v", c)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Check(ctx, Options{DataDir: t.TempDir(), Sample: time.Hour}); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v", err)
	}
}
