//go:build faultinject

package fault

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func processCPU() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// systemCalls is what the kernel counts as reads of this process.
func systemCalls(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if n, found := strings.CutPrefix(line, "syscr: "); found {
			count, err := strconv.Atoi(strings.TrimSpace(n))
			if err != nil {
				t.Fatal(err)
			}
			return count
		}
	}
	t.Skip("/proc/self/io has no syscr")
	return 0
}
