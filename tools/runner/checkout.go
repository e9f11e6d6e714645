package runner

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Checkout is the source tree that binaries are built from.
type Checkout struct {
	Root   string
	Commit string // 40 hex digits, "unknown" without git
	Dirty  bool   // tracked files differ from the commit
}

var moduleLine = regexp.MustCompile(`(?m)^module fluxmq\s*$`)

// FindCheckout looks for the module's root at or above dir.
func FindCheckout(ctx context.Context, dir string) (Checkout, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Checkout{}, err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if text, err := os.ReadFile(filepath.Join(at, "go.mod")); err == nil && moduleLine.Match(text) {
			c := Checkout{Root: at, Commit: "unknown"}
			if commit, err := git(ctx, at, "rev-parse", "HEAD"); err == nil {
				c.Commit = commit
				status, err := git(ctx, at, "status", "--porcelain", "--untracked-files=no")
				c.Dirty = err != nil || status != ""
			}
			return c, nil
		}
		if at == filepath.Dir(at) {
			return Checkout{}, &ExitError{ExitUsage, fmt.Errorf("%s lies in no checkout of fluxmq (no go.mod with module fluxmq above it); run fluxbench from the source tree", dir)}
		}
	}
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// Cache is the folder for what is built and fetched; git ignores it.
func (c Checkout) Cache(parts ...string) string {
	return filepath.Join(append([]string{c.Root, ".cache"}, parts...)...)
}

// Stamp is the commit as binaries carry it: 12 digits, -dirty.
func (c Checkout) Stamp() string {
	stamp := c.Commit
	if len(stamp) > 12 {
		stamp = stamp[:12]
	}
	if c.Dirty {
		stamp += "-dirty"
	}
	return stamp
}
