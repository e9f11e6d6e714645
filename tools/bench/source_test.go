package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fluxmq/tools/runner"
)

// repository makes one with two commits of a module that calls itself fluxmq.
func repository(t *testing.T) runner.Checkout {
	t.Helper()
	dir := t.TempDir()
	for i, text := range []string{"module fluxmq\n", "module fluxmq\n\ngo 1.26\n"} {
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			run(t, dir, "init", "-q")
		}
		run(t, dir, "add", "go.mod")
		run(t, dir, "-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "-q", "-m", fmt.Sprint("commit ", i))
	}
	c, err := runner.FindCheckout(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func worktrees(t *testing.T, dir string) int {
	return strings.Count(run(t, dir, "worktree", "list", "--porcelain"), "worktree ")
}

func TestSourceOfACommitIsAWorktreeThatGoesAgain(t *testing.T) {
	home := repository(t)
	s, err := openSource(t.Context(), home, "HEAD~1")
	if err != nil {
		t.Fatal(err)
	}
	if s.checkout.Commit == home.Commit || s.checkout.Dirty || worktrees(t, home.Root) != 2 {
		t.Errorf("source %+v, %d worktrees", s.checkout, worktrees(t, home.Root))
	}
	text, err := os.ReadFile(filepath.Join(s.checkout.Root, "go.mod"))
	if err != nil || string(text) != "module fluxmq\n" {
		t.Errorf("go.mod of HEAD~1 is %q, %v", text, err)
	}
	s.close()
	if _, err := os.Stat(s.worktree); !errors.Is(err, os.ErrNotExist) || worktrees(t, home.Root) != 1 {
		t.Errorf("after close: %v, %d worktrees", err, worktrees(t, home.Root))
	}
}

func TestNoRevisionIsTheWorkingTree(t *testing.T) {
	home := repository(t)
	s, err := openSource(t.Context(), home, "")
	if err != nil || s.worktree != "" || s.checkout.Root != home.Root {
		t.Errorf("source %+v, %v", s, err)
	}
	s.close()
}

func TestNoBaseline(t *testing.T) {
	home := repository(t)
	for _, revision := range []string{"origin/main", "nosuch", "--help"} {
		_, err := openSource(t.Context(), home, revision)
		var missing *NoBaselineError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), revision) {
			t.Errorf("%s: %v", revision, err)
		}
	}
}

// A killed fluxbench leaves its worktrees; the next one removes them, and leaves those of living processes alone.
func TestWorktreesOfGoneProcessesArePruned(t *testing.T) {
	home := repository(t)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	stale, living := home.Cache("worktrees", fmt.Sprintf("%d-abc-1", gone.Process.Pid)), home.Cache("worktrees", fmt.Sprintf("%d-abc-1", os.Getppid()))
	for _, dir := range []string{stale, living} {
		run(t, home.Root, "worktree", "add", "--detach", dir, "HEAD")
	}
	s, err := openSource(t.Context(), home, "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the worktree of a gone process is still there: %v", err)
	}
	if _, err := os.Stat(living); err != nil {
		t.Errorf("the worktree of a living process is gone: %v", err)
	}
}
