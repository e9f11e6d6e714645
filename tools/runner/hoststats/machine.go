// Package hoststats reads what the machine and single processes use. It is the
// only place of the harness that knows gopsutil, procfs and the layout of
// /proc, /sys and cgroups. Readings are cumulative counters; callers subtract
// two of them. What a machine does not have reads as absent (-1 or 0, said at
// the field), never as an error.
package hoststats

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/shirou/gopsutil/v3/net"
)

// Machine is one reading of the whole machine. Counters grow from boot; CPU times in nanoseconds (10 ms ticks).
type Machine struct {
	At              time.Time
	UserNs          int64 // with nice and guest
	SystemNs        int64 // with irq and softirq
	IdleNs          int64
	IOWaitNs        int64
	StealNs         int64
	AvailableBytes  int64
	DirtyBytes      int64
	ContextSwitches int64
	PageFaults      int64
	DiskReadBytes   int64
	DiskWriteBytes  int64
	NetworkBytes    int64 // received on all interfaces
	CPUPressureNs   int64 // PSI "some" totals; -1 not present
	IOPressureNs    int64
	MemoryPressure  int64
	ThrottledNs     int64 // by this process's cgroup; 0 also when not present
}

// ReadMachine takes a reading. Parts that cannot be read stay zero (pressure: -1).
func ReadMachine() Machine {
	m := Machine{At: time.Now(), CPUPressureNs: -1, IOPressureNs: -1, MemoryPressure: -1}
	if times, err := cpu.Times(false); err == nil && len(times) == 1 {
		t := times[0]
		m.UserNs, m.SystemNs = seconds(t.User+t.Nice), seconds(t.System+t.Irq+t.Softirq)
		m.IdleNs, m.IOWaitNs, m.StealNs = seconds(t.Idle), seconds(t.Iowait), seconds(t.Steal)
	}
	if memory, err := mem.VirtualMemory(); err == nil {
		m.AvailableBytes, m.DirtyBytes = int64(memory.Available), int64(memory.Dirty)
	}
	if disks, err := disk.IOCounters(); err == nil {
		for name, d := range disks {
			if wholeDisk(name) {
				m.DiskReadBytes += int64(d.ReadBytes)
				m.DiskWriteBytes += int64(d.WriteBytes)
			}
		}
	}
	if interfaces, err := net.IOCounters(false); err == nil && len(interfaces) == 1 {
		m.NetworkBytes = int64(interfaces[0].BytesRecv)
	}
	m.ContextSwitches = keyedNumber("/proc/stat", "ctxt")
	m.PageFaults = keyedNumber("/proc/vmstat", "pgfault")
	if fs, err := procfs.NewDefaultFS(); err == nil {
		m.CPUPressureNs, m.IOPressureNs, m.MemoryPressure = pressure(fs, "cpu"), pressure(fs, "io"), pressure(fs, "memory")
	}
	m.ThrottledNs = Cgroup("/").ThrottledNs
	return m
}

func seconds(s float64) int64 { return int64(s * 1e9) }

// wholeDisk keeps partitions, loop devices and device-mapper layers from being counted twice.
func wholeDisk(name string) bool {
	if strings.HasPrefix(name, "loop") || strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "dm-") || strings.HasPrefix(name, "md") {
		return false
	}
	_, err := os.Stat(filepath.Join("/sys/block", name))
	return err == nil
}

func pressure(fs procfs.FS, resource string) int64 {
	stats, err := fs.PSIStatsForResource(resource)
	if err != nil || stats.Some == nil {
		return -1
	}
	return int64(stats.Some.Total) * 1e3
}

// keyedNumber reads "key 123" from a file of such lines; 0 when it is not there.
func keyedNumber(path, key string) int64 {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == key {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
