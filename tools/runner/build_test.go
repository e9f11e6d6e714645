//go:build linux

package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestABuildThatIsCancelledLeavesNothing: neither the build tool nor what it
// has started, such as a compiler.
func TestABuildThatIsCancelledLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pid")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { // awaited below
		b := build{role: "broker", output: filepath.Join(dir, "out"), dir: dir, argv: []string{"sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $! > pid.part; mv pid.part pid; wait"}}
		ended <- b.run(ctx)
	}()
	var child int
	for deadline := time.Now().Add(30 * time.Second); child == 0; time.Sleep(time.Millisecond) {
		if text, err := os.ReadFile(file); err == nil {
			if child, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
				t.Fatal(err)
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the build did not begin")
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled build ended with %v", err)
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(child), "stat"))
	if dead := err != nil || strings.Contains(string(stat), ") Z "); !dead {
		t.Errorf("what the build had started lives on")
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
}
