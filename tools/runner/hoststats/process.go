package hoststats

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// Process is one reading of one process; counters grow from its start.
type Process struct {
	At             time.Time
	CPUNs          int64 // process CPU clock, all threads, with those that ended
	UserTicks      int64 // 10 ms each: only good for splitting CPUNs
	SystemTicks    int64
	RSSBytes       int64
	PeakRSSBytes   int64
	Voluntary      int64 // context switches, summed over the threads alive now
	Involuntary    int64
	MinorFaults    int64
	MajorFaults    int64
	DiskReadBytes  int64
	DiskWriteBytes int64
	ReadSyscalls   int64
	WriteSyscalls  int64
	Threads        int
}

// ReadProcess takes a reading of a process; an error means that it is gone or not ours to see.
func ReadProcess(pid int) (Process, error) {
	p := Process{At: time.Now()}
	var err error
	if p.CPUNs, err = ProcessCPUNs(pid); err != nil {
		return p, err
	}
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return p, fmt.Errorf("process %d: %w", pid, err)
	}
	stat, err := proc.Stat()
	if err != nil {
		return p, fmt.Errorf("process %d: %w", pid, err)
	}
	p.UserTicks, p.SystemTicks = int64(stat.UTime), int64(stat.STime)
	p.MinorFaults, p.MajorFaults, p.Threads = int64(stat.MinFlt), int64(stat.MajFlt), stat.NumThreads
	status, err := proc.NewStatus()
	if err != nil {
		return p, fmt.Errorf("process %d: %w", pid, err)
	}
	p.RSSBytes, p.PeakRSSBytes = int64(status.VmRSS), int64(status.VmHWM)
	if io, err := proc.IO(); err == nil { // needs ptrace rights: absent reads as 0
		p.DiskReadBytes, p.DiskWriteBytes = int64(io.ReadBytes), int64(io.WriteBytes)
		p.ReadSyscalls, p.WriteSyscalls = int64(io.SyscR), int64(io.SyscW)
	}
	p.Voluntary, p.Involuntary = contextSwitches(pid)
	return p, nil
}

// ProcessCPUNs reads the CPU clock of another process in nanoseconds, all its
// threads included. The clock id of a pid is made as in clock_getcpuclockid(3).
func ProcessCPUNs(pid int) (int64, error) {
	const cpuClockSched = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuClockSched), &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return ts.Nano(), nil
}

// SplitCPU divides nanoseconds of CPU between user and system by the ticks of the same span.
func SplitCPU(cpuNs, userTicks, systemTicks int64) (userNs, systemNs int64) {
	if userTicks+systemTicks <= 0 {
		return cpuNs, 0
	}
	userNs = int64(float64(cpuNs) * float64(userTicks) / float64(userTicks+systemTicks))
	return userNs, cpuNs - userNs
}

// contextSwitches sums over the threads: /proc/PID/status itself only speaks of the first.
func contextSwitches(pid int) (voluntary, involuntary int64) {
	tasks := filepath.Join("/proc", strconv.Itoa(pid), "task")
	entries, err := os.ReadDir(tasks)
	if err != nil {
		return 0, 0
	}
	for _, entry := range entries {
		status := filepath.Join(tasks, entry.Name(), "status")
		voluntary += keyedNumber(status, "voluntary_ctxt_switches:")
		involuntary += keyedNumber(status, "nonvoluntary_ctxt_switches:")
	}
	return voluntary, involuntary
}
