package hoststats

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// CgroupLimits are what this process's control groups allow, versions 1 and 2.
type CgroupLimits struct {
	Version     string  // "v1", "v2", "v1+v2" or "not present"
	CPUs        float64 // cores; 0: unlimited
	MemoryBytes int64   // 0: unlimited
	ThrottledNs int64
}

// unlimitedFrom is where version 1 writes "no limit" as a huge page-rounded number.
const unlimitedFrom = int64(1) << 60

// Cgroup reads the limits under root ("/" but in tests). Limits of parent groups are applied too: the smallest holds.
func Cgroup(root string) CgroupLimits {
	limits := CgroupLimits{Version: "not present"}
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return limits
	}
	var versions []string
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, controller := range strings.Split(parts[1], ",") {
			switch controller {
			case "cpu":
				versions = addOnce(versions, "v1")
				limits.cpuV1(groupDirs(root, "sys/fs/cgroup/cpu", parts[2]))
			case "memory":
				versions = addOnce(versions, "v1")
				limits.memoryV1(groupDirs(root, "sys/fs/cgroup/memory", parts[2]))
			case "":
				for _, mount := range []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"} {
					if _, err := os.Stat(filepath.Join(root, mount, "cgroup.controllers")); err == nil {
						versions = addOnce(versions, "v2")
						limits.v2(groupDirs(root, mount, parts[2]))
					}
				}
			}
		}
	}
	if len(versions) > 0 {
		limits.Version = strings.Join(versions, "+")
	}
	return limits
}

func addOnce(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// groupDirs are the group's folder and its parents up to the mount, innermost first.
func groupDirs(root, mount, group string) []string {
	top := filepath.Join(root, mount)
	var dirs []string
	for dir := filepath.Join(top, group); strings.HasPrefix(dir, top); dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	return dirs
}

func (l *CgroupLimits) limitCPUs(cores float64) {
	if cores > 0 && (l.CPUs == 0 || cores < l.CPUs) {
		l.CPUs = cores
	}
}

func (l *CgroupLimits) limitMemory(bytes int64) {
	if bytes > 0 && bytes < unlimitedFrom && (l.MemoryBytes == 0 || bytes < l.MemoryBytes) {
		l.MemoryBytes = bytes
	}
}

func (l *CgroupLimits) cpuV1(dirs []string) {
	for i, dir := range dirs {
		quota, period := number(dir, "cpu.cfs_quota_us"), number(dir, "cpu.cfs_period_us")
		if quota > 0 && period > 0 {
			l.limitCPUs(float64(quota) / float64(period))
		}
		if i == 0 {
			l.ThrottledNs += keyedNumber(filepath.Join(dir, "cpu.stat"), "throttled_time")
		}
	}
}

func (l *CgroupLimits) memoryV1(dirs []string) {
	for _, dir := range dirs {
		l.limitMemory(number(dir, "memory.limit_in_bytes"))
	}
}

func (l *CgroupLimits) v2(dirs []string) {
	for i, dir := range dirs {
		if text, err := os.ReadFile(filepath.Join(dir, "cpu.max")); err == nil {
			var quota, period float64
			if n, _ := fmt.Sscanf(string(text), "%f %f", &quota, &period); n == 2 && period > 0 { // "max 100000" scans nothing
				l.limitCPUs(quota / period)
			}
		}
		l.limitMemory(number(dir, "memory.max"))
		if i == 0 {
			l.ThrottledNs += 1e3 * keyedNumber(filepath.Join(dir, "cpu.stat"), "throttled_usec")
		}
	}
}

// number reads a file that holds one integer; 0 when it is absent or says "max".
func number(dir, name string) int64 {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
