package bisect

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
)

// cleanUpLimit bounds the removal of a worktree.
const cleanUpLimit = 30 * time.Second

// git runs one command in dir and puts git's own words into the error.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = dir, withoutGit(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C must not stop a clean-up half-way
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil && words.Len() > 0 {
		err = errors.New(strings.TrimSpace(words.String()))
	}
	return strings.TrimSpace(string(out)), err
}

// withoutGit drops what git exports to its children: the gate and our own
// calls find their repository by their folder.
func withoutGit(env []string) []string {
	var kept []string
	for _, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		switch name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY":
		default:
			kept = append(kept, pair)
		}
	}
	return kept
}

// addWorktree makes a worktree without files; git keeps the bisection's refs in it, so they go when it goes.
func addWorktree(ctx context.Context, root, dir, commit string) error {
	if _, err := git(ctx, root, "worktree", "add", "--detach", "--no-checkout", dir, commit); err != nil {
		return fmt.Errorf("worktree: %w", err)
	}
	return nil
}

// removeWorktree works also after an interrupt: it has a context of its own.
func removeWorktree(root, dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanUpLimit)
	defer cancel()
	_, err := git(ctx, root, "worktree", "remove", "--force", dir)
	if err == nil {
		return nil
	}
	if removeErr := os.RemoveAll(dir); removeErr != nil {
		return fmt.Errorf("worktree %s: %w", dir, errors.Join(err, removeErr))
	}
	if _, err := git(ctx, root, "worktree", "prune"); err != nil {
		return fmt.Errorf("worktree prune: %w", err)
	}
	return nil
}

// removeOrphans removes worktrees of bisections whose process is gone (killed, or the machine went down).
func removeOrphans(root, parent string) {
	owners, err := filepath.Glob(filepath.Join(parent, "*", ownerFile))
	if err != nil {
		return
	}
	for _, owner := range owners {
		text, err := os.ReadFile(owner)
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(string(text))
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		// A worktree that cannot be removed now is tried again by the next bisection.
		if removeWorktree(root, filepath.Join(filepath.Dir(owner), worktreeDir)) == nil {
			_ = os.Remove(owner) // likewise
		}
	}
}
