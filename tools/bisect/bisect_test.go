package bisect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluxmq/reports/specimen"
	"fluxmq/reports/trial"
)

// TestMain makes the test binary the program whose subcommand bisect-step git runs.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "bisect-step" {
		ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
		defer cancel()
		code, err := Step(ctx, os.Args[2], os.Stderr)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}
	// A program built with -race sleeps for a second when it ends; a step need not.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// fakeGate answers by the word in the commit's file "speed".
const fakeGate = `#!/bin/bash
all="$*"
while [ $# -gt 1 ]; do
  case $1 in --base) base=$2;; --head) head=$2;; --out) out=$2;; esac
  shift
done
[ -d "$out" ] && [ -n "$base" ] || exit 2
echo "$head $all" >> "$PWD/../asked"
case $(git show "$head:speed") in
  quick) exit 0;;
  slow) echo "fluxbench: wire_1k/wire got slower" >&2; exit 4;;
  broken) echo "fluxbench: side head ($head): build of broker: exit status 1" >&2; exit 1;;
  noisy) case "$all" in *"--blocks 48"*) exit 4;; esac; exit 5;;
  hopeless) exit 5;;
  unfit) echo "fluxbench: preflight failed" >&2; exit 3;;
  hang) trap 'echo stopped >> "$PWD/../stopped"; exit 130' INT
        echo started >> "$PWD/../started"
        for i in $(seq 300); do sleep 0.1; done;;
esac
`

// repository makes one commit of each word on top of each other and returns options and their commits.
func repository(t *testing.T, words ...string) (Options, []string) {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "repository")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "gate.sh")
	if err := os.WriteFile(script, []byte(fakeGate), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "-q", "-b", "main")
	var commits []string
	for i, word := range words {
		for name, text := range map[string]string{"speed": word + "\n", "number": fmt.Sprintln(i)} {
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		run("add", "-A")
		run("commit", "-q", "-m", fmt.Sprintf("commit %d", i))
		commits = append(commits, run("rev-parse", "HEAD"))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Root: root, Cache: filepath.Join(root, ".cache", "bisect"), Self: self, Good: commits[0], Bad: "HEAD", Words: &bytes.Buffer{}, gate: []string{script}}
	t.Cleanup(func() { leftNothing(t, o) })
	return o, commits
}

// leftNothing proves that no worktree, no bisect ref and no change is left in the repository.
func leftNothing(t *testing.T, o Options) {
	t.Helper()
	for about, args := range map[string][]string{
		"worktrees": {"worktree", "list", "--porcelain"}, "refs": {"for-each-ref", "refs/bisect"}, "changes": {"status", "--porcelain", "--untracked-files=no"},
	} {
		out, err := git(context.Background(), o.Root, args...)
		if err != nil || about == "worktrees" && strings.Count(out, "worktree ") != 1 || about != "worktrees" && out != "" {
			t.Errorf("%s left: %v\n%s", about, err, out)
		}
	}
	if left, err := filepath.Glob(filepath.Join(o.Root, ".git", "BISECT_*")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if left, err := filepath.Glob(filepath.Join(o.Cache, "*", worktreeDir)); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestFirstBadCommitIsFound(t *testing.T) {
	for _, row := range []struct {
		about string
		words string
		want  int
		steps int // at most; 0: any
	}{
		{"a step in the middle of ten", "quick quick quick quick quick slow slow slow slow slow", 5, 5},
		{"the last commit", "quick quick quick quick slow", 4, 0},
		{"unbuildable commits on the way", "quick quick broken quick quick slow slow broken slow slow", 5, 0},
		{"an inconclusive gate is asked again with twice the blocks", "quick quick quick noisy noisy noisy noisy", 3, 0},
	} {
		t.Run(row.about, func(t *testing.T) {
			o, commits := repository(t, strings.Fields(row.words)...)
			found, err := Run(context.Background(), o)
			if err != nil {
				t.Fatalf("%v\n%s", err, o.Words)
			}
			if found.Commit != commits[row.want] || found.Subject != fmt.Sprintf("commit %d", row.want) || found.Verdict.Outcome != Bad || found.Verdict.Commit != found.Commit {
				t.Errorf("%+v, want commit %d", found, row.want)
			}
			if info, err := os.Stat(found.Verdict.Trial); err != nil || !info.IsDir() {
				t.Errorf("the trial's folder is gone: %v", err)
			}
			if row.steps > 0 && len(found.Steps) > row.steps {
				t.Errorf("%d steps, want at most %d", len(found.Steps), row.steps)
			}
		})
	}
}

func TestNothingIsFoundAndItSaysWhy(t *testing.T) {
	for _, row := range []struct{ about, words, want string }{
		{"no regression at all", "quick quick quick", "is no regression"},
		{"bad stays inconclusive", "quick quick hopeless", "skip"},
		{"the machine is unfit", "quick unfit slow", "exit code 3"},
	} {
		t.Run(row.about, func(t *testing.T) {
			o, _ := repository(t, strings.Fields(row.words)...)
			found, err := Run(context.Background(), o)
			var nothing *NothingFoundError
			if !errors.As(err, &nothing) || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%+v, %v, want %q\n%s", found, err, row.want, o.Words)
			}
		})
	}
	t.Run("candidates are named", func(t *testing.T) {
		o, commits := repository(t, "quick", "broken", "hopeless", "slow")
		_, err := Run(context.Background(), o)
		var nothing *NothingFoundError
		if !errors.As(err, &nothing) || len(nothing.Candidates) != 3 || !strings.Contains(err.Error(), commits[1][:12]+" commit 1") {
			t.Errorf("%v", err)
		}
	})
}

func TestRevisionsThatCannotBeBisected(t *testing.T) {
	o, commits := repository(t, "quick", "slow")
	for about, pair := range map[string][2]string{"unknown": {"nowhere", "HEAD"}, "one commit": {"HEAD", "HEAD"}, "the wrong way round": {"HEAD", commits[0]}, "a flag": {"--all", "HEAD"}} {
		o.Good, o.Bad = pair[0], pair[1]
		var input *InputError
		if _, err := Run(context.Background(), o); !errors.As(err, &input) {
			t.Errorf("%s: %v", about, err)
		}
	}
}

func TestInterruptStopsTheGateAndLeavesNothing(t *testing.T) {
	for about, words := range map[string]string{"in a step of git's": "quick quick hang slow slow", "in the check of bad": "quick quick hang"} {
		t.Run(about, func(t *testing.T) {
			o, _ := repository(t, strings.Fields(words)...)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			// Ends with Run; the receive below waits for it.
			go func() {
				_, err := Run(ctx, o)
				done <- err
			}()
			side := func(name string) string { return filepath.Join(filepath.Dir(o.Root), name) }
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				if _, err := os.Stat(side("started")); err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the gate did not start")
				}
			}
			cancel()
			select {
			case err := <-done:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("Run did not end")
			}
			if _, err := os.Stat(side("stopped")); err != nil {
				t.Errorf("the gate was not told to stop: %v", err)
			}
		})
	}
}

func TestOrphanedWorktreeIsRemovedByTheNext(t *testing.T) {
	o, commits := repository(t, "quick", "quick", "slow")
	orphan := filepath.Join(o.Cache, "old", worktreeDir)
	if err := os.MkdirAll(filepath.Dir(orphan), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := addWorktree(context.Background(), o.Root, orphan, commits[1]); err != nil {
		t.Fatal(err)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(orphan), ownerFile), fmt.Append(nil, gone.Process.Pid), 0o644); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(syscall.Kill(gone.Process.Pid, 0), syscall.ESRCH) {
		t.Skip("the process id was taken again")
	}
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
}

func TestMetricAloneDecides(t *testing.T) {
	q := question{Metric: trial.BrokerCPU}
	for about, row := range map[string]struct {
		change map[string]float64
		want   string
	}{
		"that metric is worse":    {map[string]float64{trial.BrokerCPU: 0.2}, Bad},
		"only another is worse":   {map[string]float64{trial.BrokerAllocs: 0.2}, Good},
		"nothing is worse at all": {nil, Good},
	} {
		dir := t.TempDir()
		if err := specimen.Trial(1, row.change).Write(dir); err != nil {
			t.Fatal(err)
		}
		if outcome, reason := q.meaning(gateRegression, dir, ""); outcome != row.want || !strings.Contains(reason, "broker CPU-ns/msg") {
			t.Errorf("%s: %s, %s", about, outcome, reason)
		}
	}
	if outcome, _ := q.meaning(gateRegression, t.TempDir(), ""); outcome != Abort {
		t.Errorf("without a trial: %s", outcome)
	}
}

func TestMeaningOfTheGatesExitCodes(t *testing.T) {
	for _, row := range []struct {
		about   string
		exit    int
		words   string
		outcome string
	}{
		{"a pass", 0, "", Good},
		{"a regression", 4, "", Bad},
		{"inconclusive", 5, "", Skip},
		{"lost records", 6, "", Bad},
		{"the head cannot be built", 1, "fluxbench: side head (x): build of broker: exit status 1\nmain.go:3: oops", Skip},
		{"the base cannot be built: no step could be judged", 1, "fluxbench: side base (x): build of broker: exit status 1", Abort},
		{"a broker that died", 1, "fluxbench: the broker died", Abort},
		{"a flag that the gate does not know", 2, "", Abort},
		{"an unfit machine", 3, "", Abort},
		{"an interrupt", 130, "", Abort},
	} {
		if outcome, reason := (question{}).meaning(row.exit, t.TempDir(), row.words); outcome != row.outcome || reason == "" {
			t.Errorf("%s: %s, %q, want %s", row.about, outcome, reason, row.outcome)
		}
	}
}

func TestExitCodesForGit(t *testing.T) {
	for _, row := range []struct {
		j    Judged
		want int
	}{
		{Judged{Outcome: Good}, 0}, {Judged{Outcome: Bad, Exit: 4}, 1}, {Judged{Outcome: Bad, Exit: 6}, 1}, {Judged{Outcome: Skip, Exit: 5}, 125},
		{Judged{Outcome: Abort, Exit: 1}, 129}, {Judged{Outcome: Abort, Exit: 3}, 131}, {Judged{Outcome: Abort, Exit: 130}, 130}, {Judged{Outcome: Abort, Exit: 255}, 255},
	} {
		if got := row.j.gitCode(); got != row.want {
			t.Errorf("%+v: %d, want %d", row.j, got, row.want)
		}
	}
}
