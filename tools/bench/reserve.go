package bench

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// reserve is page cache that a run may use up. A guest whose kernel reports
// free pages to its host pays several times as much for the first touch of
// a page that was given back as for one that was freed a moment ago, and which
// of the two a broker meets is chance. The reserve is a file that is written
// before the run and cut back during it, a little faster than the broker
// writes, so that the pages it takes were in use until just now, in every run.
type reserve struct {
	file *os.File
	stop chan struct{}
	done sync.WaitGroup
	// nsPerKiB is the CPU that writing it took: the first-touch cost before the run.
	nsPerKiB float64
}

const (
	reserveChunk = 256 << 10
	reserveStep  = 20 * time.Millisecond
	reserveMost  = 2 << 30
)

// newReserve writes the file; bytes is capped at 2 GiB.
func newReserve(path string, bytes int64) (*reserve, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("page reserve: %w", err)
	}
	r := &reserve{file: file, stop: make(chan struct{})}
	bytes = min(max(bytes, 16<<20), reserveMost)
	chunk := make([]byte, reserveChunk)
	before := ownCPU()
	for at := int64(0); at < bytes; at += reserveChunk {
		if _, err := file.Write(chunk); err != nil {
			file.Close()
			os.Remove(path)
			return nil, fmt.Errorf("page reserve: %w", err)
		}
	}
	r.nsPerKiB = float64(ownCPU()-before) / float64(bytes>>10)
	return r, nil
}

// release cuts the file back at bytesPerSecond from now on.
func (r *reserve) release(bytesPerSecond float64) {
	info, err := r.file.Stat()
	if err != nil || bytesPerSecond <= 0 {
		return
	}
	size := float64(info.Size())
	// Ends when the file is empty or at close, which waits for it.
	r.done.Go(func() {
		ticker := time.NewTicker(reserveStep)
		defer ticker.Stop()
		last := time.Now()
		for size > 0 {
			select {
			case <-r.stop:
				return
			case now := <-ticker.C:
				size = max(0, size-bytesPerSecond*now.Sub(last).Seconds())
				last = now
				if r.file.Truncate(int64(size)) != nil {
					return // the run is not worse off than without a reserve
				}
			}
		}
	})
}

// close gives back what is left.
func (r *reserve) close() {
	close(r.stop)
	r.done.Wait()
	r.file.Close()
	os.Remove(r.file.Name())
}

// ownCPU is the CPU clock of this process, all threads, in nanoseconds.
func ownCPU() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}
