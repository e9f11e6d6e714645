package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"fluxmq/reports"
	"fluxmq/tools/tune"
)

// maxDirty is what may wait for write-back when a run begins; more would be written during it.
const maxDirty = 256 << 20

func (o Options) dirtyPages() reports.Check {
	c := reports.Check{Condition: "pages waiting for write-back", Required: "≤ 256 MiB", Severity: Warning}
	dirty, ok := o.meminfo("Dirty")
	writeback, _ := o.meminfo("Writeback") // a kernel with Dirty has it
	if !ok {
		return notThere(c)
	}
	c.Current, c.Passed = fmt.Sprintf("%d MiB", (dirty+writeback)>>20), dirty+writeback <= maxDirty
	return c
}

// mount looks for options under which an fsync is no promise. The seed's tuning section asks for one of them; it is never followed.
func (o Options) mount() reports.Check {
	c := reports.Check{Condition: "mount of the data", Required: "barriers on", Severity: Warning, Passed: true}
	disk, ok := tune.DataDisk(o.Root, o.DataDir)
	if !ok {
		return notThere(c)
	}
	c.Current = disk.Filesystem + " " + strings.Join(slices.Compact(slices.Clone(disk.Options)), ",")
	if slices.ContainsFunc([]string{"nobarrier", "barrier=0", "barrier=none"}, func(bad string) bool { return slices.Contains(disk.Options, bad) }) {
		c.Passed = false
		c.Current += ": loses data on power cut, acknowledged data too"
	}
	return c
}

func (o Options) accessTimes() reports.Check {
	c := reports.Check{Condition: "access times", Required: "noatime or relatime", Severity: Info}
	disk, ok := tune.DataDisk(o.Root, o.DataDir)
	if !ok {
		return notThere(c)
	}
	c.Current = "strictatime"
	for _, option := range []string{"relatime", "noatime"} {
		if slices.Contains(disk.Options, option) {
			c.Current, c.Passed = option, true
		}
	}
	return c
}

const (
	touchSize  = 64 << 20
	touchWrite = 256 << 10
	// maxTouchRatio is what a page's first use may cost, in units of its second: getting and zeroing it is two to three.
	maxTouchRatio = 5
)

// firstTouch measures what fresh page cache costs this process, beside writing over the same pages: a log never writes the same page twice.
func (o Options) firstTouch() reports.Check {
	c := reports.Check{Condition: "first touch of page cache", Required: fmt.Sprintf("≤ %d × a page in use", maxTouchRatio), Severity: Warning}
	fresh, again, err := touch(o.DataDir)
	if err != nil {
		c.Current, c.Severity = "not measured: "+err.Error(), Info
		return c
	}
	return judgeTouch(c, fresh, again)
}

func judgeTouch(c reports.Check, fresh, again float64) reports.Check {
	c.Current = fmt.Sprintf("%.0f CPU-ns/KiB, then %.0f", fresh, again)
	c.Passed = fresh <= maxTouchRatio*again
	return c
}

// FirstTouch is the CPU time that writing fresh page cache in the folder costs
// now, in nanoseconds a KiB, over 64 MiB. The file is gone before it returns.
func FirstTouch(dir string) (nsPerKiB float64, err error) {
	file, err := touchFile(dir)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return writeOver(file)
}

// touch is FirstTouch, and then the cost of writing over the same pages.
func touch(dir string) (fresh, again float64, err error) {
	file, err := touchFile(dir)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	if fresh, err = writeOver(file); err != nil {
		return 0, 0, err
	}
	again, err = writeOver(file)
	return fresh, again, err
}

// touchFile opens an empty file without a name, so that nothing is left whatever happens.
func touchFile(dir string) (*os.File, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, statErr := os.Stat(dir); statErr != nil && dir != "/"; _, statErr = os.Stat(dir) {
		dir = filepath.Dir(dir) // the run will make the folder, the doctor makes none
	}
	file, err := os.CreateTemp(dir, "first-touch-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// writeOver writes the file from its start and returns the CPU nanoseconds a KiB.
func writeOver(file *os.File) (float64, error) {
	chunk := make([]byte, touchWrite)
	for i := range chunk {
		chunk[i] = byte(i) // our own pages are touched before the clock starts
	}
	start, err := processCPU()
	if err != nil {
		return 0, err
	}
	for at := int64(0); at < touchSize; at += touchWrite {
		if _, err := file.WriteAt(chunk, at); err != nil {
			return 0, err
		}
	}
	end, err := processCPU()
	return float64(end-start) / (touchSize >> 10), err
}

func processCPU() (int64, error) {
	var at unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &at)
	return at.Nano(), err
}
