package hoststats

import (
	"bytes"
	"os"
	"strconv"

	"github.com/prometheus/procfs"
)

// kernelThread is PF_KTHREAD of linux/sched.h.
const kernelThread = 0x00200000

// KernelThreadNs sums the CPU of all kernel threads, in ticks of 10 ms each;
// 0 when they cannot be seen. Threads that end between two readings make the
// sum fall: callers bound a difference at 0.
func KernelThreadNs() int64 {
	all, err := procfs.AllProcs()
	if err != nil {
		return 0
	}
	var ticks uint
	for _, p := range all {
		stat, err := p.Stat()
		if err == nil && stat.Flags&kernelThread != 0 {
			ticks += stat.STime + stat.UTime
		}
	}
	return int64(ticks) * 10_000_000
}

// ReportedKiB is how much memory the guest has given back to its host since
// boot (free page reporting); -1 where the kernel does not count it.
func ReportedKiB() int64 {
	text, err := os.ReadFile("/sys/module/page_reporting/parameters/reported_kib")
	if err != nil {
		return -1
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return -1
	}
	return n
}
