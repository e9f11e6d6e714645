package bisect

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options are a bisection as asked for.
type Options struct {
	Root     string // of the checkout
	Cache    string // folder for bisections, git ignores it: .cache/bisect
	Self     string // the fluxbench binary: gate and step are its subcommands
	Good     string // a revision
	Bad      string // a descendant of it
	Scenario string // "": the gate's own
	Client   string // "": the scenario's
	Metric   string // "": the gate's whole verdict
	Blocks   int    // 0: the gate's own
	Words    io.Writer

	gate []string // tests only: what to run in place of `Self gate`
}

// Found is the answer.
type Found struct {
	Commit  string   `json:"commit"`
	Subject string   `json:"subject"`
	Verdict Judged   `json:"verdict"` // what convicted it
	Steps   []Judged `json:"steps"`   // all that was measured, the check of BAD first
	Dir     string   `json:"dir"`     // of the bisection; trials lie in it
}

// NothingFoundError says why there is no first bad commit.
type NothingFoundError struct {
	Reason string
	// Candidates are the commits that could not be told apart.
	Candidates []string
	Dir        string
}

func (e *NothingFoundError) Error() string {
	text := "bisect: " + e.Reason
	if len(e.Candidates) > 0 {
		text += "; the first bad commit is one of\n  " + strings.Join(e.Candidates, "\n  ")
	}
	return text + "\ntrials: " + e.Dir
}

// InputError is a pair of revisions that cannot be bisected.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// killAfter is how long a step may take to end after an interrupt: its gate's grace and a little.
const killAfter = gateGrace + 10*time.Second

// Run finds the first bad commit after Good, up to Bad. It first asks the gate
// about Bad itself: without a regression there is nothing to find, and git
// would convict someone all the same. On return, cancelled or not, the
// worktree and git's bisection in it are gone; the trials stay.
func Run(ctx context.Context, o Options) (found *Found, err error) {
	q := question{Gate: o.gate, Root: o.Root, Scenario: o.Scenario, Metric: o.Metric, Client: o.Client, Blocks: o.Blocks}
	if q.Gate == nil {
		q.Gate = []string{o.Self, "gate"}
	}
	bad, err := o.resolve(ctx, &q)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Cache, 0o755); err != nil {
		return nil, err
	}
	removeOrphans(o.Root, o.Cache)
	dir, err := os.MkdirTemp(o.Cache, time.Now().UTC().Format("20060102T150405Z")+"-")
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(q, "", " ")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, questionFile), append(text, '\n'), 0o644); err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Words, "bisect: is %s worse than %s?\n", short(bad), short(q.Good))
	check, err := q.judge(ctx, dir, bad, o.Words)
	if err != nil {
		return nil, err
	}
	if check.Outcome != Bad {
		return nil, &NothingFoundError{Reason: fmt.Sprintf("%s is no regression from %s: %s, %s", o.Bad, o.Good, check.Outcome, check.Reason), Dir: dir}
	}
	fmt.Fprintf(o.Words, "bisect: yes: %s\n", check.Reason)
	if err := os.WriteFile(filepath.Join(dir, ownerFile), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return nil, err
	}
	worktree := filepath.Join(dir, worktreeDir)
	defer func() {
		err = errors.Join(err, removeWorktree(o.Root, worktree))
		_ = os.Remove(filepath.Join(dir, ownerFile)) // a left one only makes the next bisection look here
	}()
	if err := addWorktree(ctx, o.Root, worktree, bad); err != nil {
		return nil, err
	}
	if _, err := git(ctx, worktree, "bisect", "start", "--no-checkout", bad, q.Good); err != nil {
		return nil, fmt.Errorf("git bisect start: %w", err)
	}
	if err := o.drive(ctx, dir, worktree); err != nil {
		return nil, err
	}
	return o.convict(ctx, dir, worktree)
}

// resolve makes commits of the revisions and checks that there is a way from one to the other.
func (o Options) resolve(ctx context.Context, q *question) (bad string, err error) {
	for revision, to := range map[string]*string{o.Good: &q.Good, o.Bad: &bad} {
		if *to, err = git(ctx, o.Root, "rev-parse", "--verify", "--end-of-options", revision+"^{commit}"); err != nil {
			return "", &InputError{fmt.Errorf("revision %q: %w", revision, err)}
		}
	}
	if q.Good == bad || q.Good == "" || bad == "" {
		return "", &InputError{fmt.Errorf("--good %s and --bad %s are one commit", o.Good, o.Bad)}
	}
	if _, err := git(ctx, o.Root, "merge-base", "--is-ancestor", q.Good, bad); err != nil {
		return "", &InputError{fmt.Errorf("--good %s is no ancestor of --bad %s", o.Good, o.Bad)}
	}
	return bad, nil
}

// drive runs git bisect run. git is in a group of its own: a Ctrl-C is told to
// the step alone, which stops its gate and makes git end.
func (o Options) drive(ctx context.Context, dir, worktree string) error {
	cmd := exec.CommandContext(ctx, "git", "bisect", "run", o.Self, "bisect-step", dir)
	cmd.Dir, cmd.Env = worktree, withoutGit(os.Environ())
	words := &tail{to: o.Words}
	cmd.Stdout, cmd.Stderr = words, words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = killAfter
	cmd.Cancel = func() error {
		if err := os.WriteFile(filepath.Join(dir, cancelledFile), nil, 0o644); err != nil {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, stepPIDFile))
		if err != nil {
			return nil // between two steps: the next one sees the file
		}
		if pid, err := strconv.Atoi(string(text)); err == nil && pid > 1 {
			return syscall.Kill(pid, syscall.SIGINT)
		}
		return nil
	}
	err := cmd.Run()
	if ctx.Err() != nil {
		// What did not end in time is killed with its group; ESRCH: all of it had ended.
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		return ctx.Err()
	}
	if err == nil {
		return nil
	}
	steps, readErr := readSteps(dir)
	if readErr != nil {
		return readErr
	}
	if n := len(steps); n > 0 && steps[n-1].Outcome == Abort {
		return &NothingFoundError{Reason: fmt.Sprintf("stopped at %s: %s", short(steps[n-1].Commit), steps[n-1].Reason), Dir: dir}
	}
	if candidates := o.candidates(ctx, worktree); len(candidates) > 0 {
		return &NothingFoundError{Reason: "only commits are left that cannot be judged", Candidates: candidates, Dir: dir}
	}
	return fmt.Errorf("git bisect run: %w: %s", err, lastLine(string(words.last)))
}

// candidates are what git names when skipped commits hide the answer.
func (o Options) candidates(ctx context.Context, worktree string) []string {
	log, err := git(ctx, worktree, "bisect", "log")
	if err != nil {
		return nil
	}
	var found []string
	for line := range strings.Lines(log) {
		if rest, ok := strings.CutPrefix(line, "# possible first bad commit: ["); ok {
			if commit, subject, ok := strings.Cut(strings.TrimSpace(rest), "] "); ok {
				found = append(found, short(commit)+" "+subject)
			}
		}
	}
	return found
}

// convict reads the answer that git wrote and the measurement behind it.
func (o Options) convict(ctx context.Context, dir, worktree string) (*Found, error) {
	commit, err := git(ctx, worktree, "rev-parse", "--verify", "refs/bisect/bad")
	if err != nil {
		return nil, fmt.Errorf("git bisect ended without a bad commit: %w", err)
	}
	f := &Found{Commit: commit, Dir: dir}
	if f.Subject, err = git(ctx, o.Root, "show", "-s", "--format=%s", commit); err != nil {
		return nil, err
	}
	if f.Steps, err = readSteps(dir); err != nil {
		return nil, err
	}
	for _, s := range f.Steps {
		if s.Commit == commit && s.Outcome == Bad {
			f.Verdict = s
			return f, nil
		}
	}
	return nil, fmt.Errorf("git convicted %s, but no step did", short(commit))
}

func readSteps(dir string) ([]Judged, error) {
	text, err := os.ReadFile(filepath.Join(dir, stepsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var steps []Judged
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		var j Judged
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			return nil, fmt.Errorf("%s: %w", stepsFile, err)
		}
		steps = append(steps, j)
	}
	return steps, lines.Err()
}
