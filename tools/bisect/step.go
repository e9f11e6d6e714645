package bisect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// Files of a bisection's folder.
const (
	questionFile  = "question.json"
	stepsFile     = "steps.jsonl"
	stepPIDFile   = "step.pid"
	cancelledFile = "cancelled"
	worktreeDir   = "worktree"
	ownerFile     = "owner.pid"
)

// Step judges the commit that git bisect asks for in the working directory and
// returns what git bisect run understands. Run tells it to stop through two
// files: it writes its process id, then looks whether it was cancelled before;
// Run marks the folder as cancelled, then looks for a process id. So one of
// the two always sees the other.
func Step(ctx context.Context, dir string, words io.Writer) (int, error) {
	pid := filepath.Join(dir, stepPIDFile)
	if err := os.WriteFile(pid, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return gitAbort, err
	}
	defer os.Remove(pid) // Run needs it only while this process lives
	if _, err := os.Stat(filepath.Join(dir, cancelledFile)); err == nil {
		return gateInterrupted, context.Canceled
	}
	text, err := os.ReadFile(filepath.Join(dir, questionFile))
	if err != nil {
		return gitAbort, err
	}
	var q question
	if err := json.Unmarshal(text, &q); err != nil {
		return gitAbort, fmt.Errorf("%s: %w", questionFile, err)
	}
	commit, err := git(ctx, ".", "rev-parse", "--verify", "BISECT_HEAD^{commit}")
	if err != nil {
		return gitAbort, fmt.Errorf("git bisect names no commit here: %w", err)
	}
	j, err := q.judge(ctx, dir, commit, words)
	if errors.Is(err, context.Canceled) {
		return gateInterrupted, err
	}
	if err != nil {
		return gitAbort, err
	}
	fmt.Fprintf(words, "bisect: %s is %s: %s\n", short(commit), j.Outcome, j.Reason)
	return j.gitCode(), nil
}
