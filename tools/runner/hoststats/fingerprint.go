package hoststats

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/host"
	"github.com/shirou/gopsutil/v3/mem"
	"golang.org/x/sys/unix"

	"fluxmq/profiles"
	"fluxmq/reports"
)

// Fingerprint says which machine this is; dataDir decides the file system. It starts no process.
func Fingerprint(dataDir string) reports.HostFingerprint {
	f := reports.HostFingerprint{OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), NUMANodes: NUMANodes("/"),
		GoVersion: runtime.Version(), Filesystem: Filesystem(dataDir), TCPCongestion: oneLine("/proc/sys/net/ipv4/tcp_congestion_control"),
		ClockSource: oneLine("/sys/devices/system/clocksource/clocksource0/current_clocksource")}
	if info, err := host.Info(); err == nil {
		f.Hostname, f.Kernel = info.Hostname, info.KernelVersion
		f.Virtualization = strings.TrimSpace(info.VirtualizationSystem + " " + info.VirtualizationRole)
		if info.Platform != "" {
			f.OS = strings.TrimSpace(info.Platform+" "+info.PlatformVersion) + " " + runtime.GOARCH
		}
	}
	if cpus, err := cpu.Info(); err == nil && len(cpus) > 0 {
		f.CPUModel = cpus[0].ModelName
		if runtime.GOARCH == "amd64" {
			f.CPUFlagsLevel = profiles.AMD64Level(cpus[0].Flags)
		}
	}
	if memory, err := mem.VirtualMemory(); err == nil {
		f.MemoryBytes = memory.Total
	}
	limits := Cgroup("/")
	f.CgroupCPULimit, f.CgroupMemoryByte = "unlimited", limits.MemoryBytes
	if limits.CPUs > 0 {
		f.CgroupCPULimit = strconv.FormatFloat(limits.CPUs, 'f', 2, 64)
	}
	return f
}

// NUMANodes counts the machine's memory nodes; 1 when the kernel does not tell.
func NUMANodes(root string) int {
	nodes, err := filepath.Glob(filepath.Join(root, "sys/devices/system/node/node[0-9]*"))
	if err != nil || len(nodes) == 0 {
		return 1
	}
	return len(nodes)
}

// AllowedCPUs lists the CPUs that this process may run on.
func AllowedCPUs() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var cpus []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus
}

// filesystemNames are the magic numbers of statfs(2) that matter to a log on disk.
var filesystemNames = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.NFS_SUPER_MAGIC: "nfs", unix.F2FS_SUPER_MAGIC: "f2fs", 0x2fc12fc1: "zfs",
}

// Filesystem names the type of the file system that a path, or its nearest existing parent, lies on.
func Filesystem(path string) string {
	stat, ok := statfs(path)
	if !ok {
		return "unknown"
	}
	if name, ok := filesystemNames[int64(stat.Type)]; ok {
		return name
	}
	return "0x" + strconv.FormatInt(int64(stat.Type), 16)
}

// FreeBytes is the space an unprivileged process may still write at path; -1 unknown.
func FreeBytes(path string) int64 {
	stat, ok := statfs(path)
	if !ok {
		return -1
	}
	return int64(stat.Bavail) * stat.Bsize
}

func statfs(path string) (unix.Statfs_t, bool) {
	var stat unix.Statfs_t
	path, err := filepath.Abs(path)
	if err != nil {
		return stat, false
	}
	for {
		if unix.Statfs(path, &stat) == nil {
			return stat, true
		}
		if path == filepath.Dir(path) {
			return stat, false
		}
		path = filepath.Dir(path)
	}
}

func oneLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
