package loadgen

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// processUsage is what this process has used so far.
type processUsage struct {
	UserNs, SystemNs int64
	PeakRSSBytes     int64
}

func readUsage() (processUsage, error) {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return processUsage{}, fmt.Errorf("getrusage: %w", err)
	}
	return processUsage{UserNs: r.Utime.Nano(), SystemNs: r.Stime.Nano(), PeakRSSBytes: r.Maxrss << 10}, nil // Linux: KiB
}
