package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fluxmq/tools/runner"
)

// source is a tree that a broker is built from: the working tree, or a
// worktree of one commit that is removed again.
type source struct {
	checkout runner.Checkout
	worktree string // "": the working tree itself
	home     string // repository that the worktree belongs to
}

// NoBaselineError is a base revision that this repository does not have.
type NoBaselineError struct{ Revision, Words string }

func (e *NoBaselineError) Error() string {
	return fmt.Sprintf("no baseline: revision %q is not in this repository (%s); in CI fetch the base branch with its history (git fetch origin BRANCH, fetch-depth: 0)", e.Revision, e.Words)
}

// openSource makes the tree of a revision; "" is the working tree.
func openSource(ctx context.Context, home runner.Checkout, revision string) (*source, error) {
	if revision == "" {
		return &source{checkout: home}, nil
	}
	commit, err := gitWords(ctx, home.Root, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return nil, &NoBaselineError{revision, strings.TrimSpace("git rev-parse: " + err.Error())}
	}
	pruneWorktrees(ctx, home)
	dir, err := os.MkdirTemp(mustDir(home.Cache("worktrees")), fmt.Sprintf("%d-%.12s-", os.Getpid(), commit))
	if err != nil {
		return nil, fmt.Errorf("worktree: %w", err)
	}
	s := &source{worktree: dir, home: home.Root}
	if _, err := gitWords(ctx, home.Root, "worktree", "add", "--detach", "--force", dir, commit); err != nil {
		s.close()
		return nil, fmt.Errorf("worktree of %s: %w", revision, err)
	}
	if s.checkout, err = runner.FindCheckout(ctx, dir); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// mustDir makes a folder; MkdirTemp says what is wrong if it could not be made.
func mustDir(dir string) string {
	_ = os.MkdirAll(dir, 0o755)
	return dir
}

// closeLimit bounds the removal of a worktree, which goes on after an interrupt.
const closeLimit = 20 * time.Second

// close removes the worktree. It may be called when the measurement was cancelled.
func (s *source) close() {
	if s == nil || s.worktree == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_, _ = gitWords(ctx, s.home, "worktree", "remove", "--force", s.worktree) // what is left of it goes below
	os.RemoveAll(s.worktree)
	_, _ = gitWords(ctx, s.home, "worktree", "prune")
}

// pruneWorktrees removes what a killed fluxbench left: folders whose process is gone.
func pruneWorktrees(ctx context.Context, home runner.Checkout) {
	entries, err := os.ReadDir(home.Cache("worktrees"))
	if err != nil {
		return
	}
	for _, entry := range entries {
		owner, _, _ := strings.Cut(entry.Name(), "-")
		pid, err := strconv.Atoi(owner)
		if err != nil || pid == os.Getpid() || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		(&source{worktree: filepath.Join(home.Cache("worktrees"), entry.Name()), home: home.Root}).close()
	}
	_, _ = gitWords(ctx, home.Root, "worktree", "prune")
}

// gitWords runs git and puts its own words into the error.
func gitWords(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C must not stop a clean-up half-way
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil && words.Len() > 0 {
		err = errors.New(strings.TrimSpace(words.String()))
	}
	return strings.TrimSpace(string(out)), err
}
