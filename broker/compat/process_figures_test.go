package compat

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// residentBytes of the broker, without the page cache that it maps.
func residentBytes(t *testing.T, b *brokerProcess) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	total, found := int64(0), 0
	for line := range strings.Lines(string(text)) {
		for _, kind := range []string{"RssAnon:", "RssShmem:"} { // the map of keys is of the second kind
			var kib int64
			if n, _ := fmt.Sscanf(line, kind+" %d kB", &kib); n == 1 {
				total, found = total+kib<<10, found+1
			}
		}
	}
	if found != 2 {
		t.Fatalf("the status says nothing of memory:\n%s", text)
	}
	return total
}

// movedBytes is what the broker has read and written by system calls, from and to disks, sockets and the page cache.
func movedBytes(t *testing.T, b *brokerProcess) (total int64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", b.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var read, written int64
	if n, err := fmt.Sscanf(string(text), "rchar: %d\nwchar: %d\n", &read, &written); n != 2 {
		t.Fatalf("%v in\n%s", err, text)
	}
	return read + written
}
