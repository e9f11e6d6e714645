package bisect

import (
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

	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// Outcomes of a step.
const (
	Good  = "good"
	Bad   = "bad"
	Skip  = "skip"  // this commit cannot be judged
	Abort = "abort" // nothing can be judged
)

// Exit codes of the gate.
const (
	gatePass         = 0
	gateRun          = 1
	gateRegression   = 4
	gateInconclusive = 5
	gateCorrectness  = 6
	gateInterrupted  = 130
)

// What git bisect run makes of an exit code: 0 good, 1 bad, 125 skip, 128 and above stops.
const (
	gitGood  = 0
	gitBad   = 1
	gitSkip  = 125
	gitAbort = 128
)

// defaultBlocks are those of a gate's last look; an inconclusive one is repeated with twice as many.
const defaultBlocks = 24

// gateGrace is how long an interrupted gate may take to stop what it started.
const gateGrace = 60 * time.Second

// question is what is asked of every commit; it lies as question.json in the bisection's folder.
type question struct {
	Gate     []string `json:"gate"` // program and first arguments
	Root     string   `json:"root"` // checkout that the gate runs in
	Good     string   `json:"good"`
	Scenario string   `json:"scenario"`
	Metric   string   `json:"metric"`
	Client   string   `json:"client"`
	Blocks   int      `json:"blocks"`
}

// Judged is one commit as the gate saw it; steps.jsonl has one a line.
type Judged struct {
	Commit  string `json:"commit"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	Exit    int    `json:"exit"`  // of the gate
	Trial   string `json:"trial"` // its folder
	Blocks  int    `json:"blocks"`
}

// gitCode is the step's exit code for git bisect run.
func (j Judged) gitCode() int {
	switch j.Outcome {
	case Good:
		return gitGood
	case Bad:
		return gitBad
	case Skip:
		return gitSkip
	}
	if j.Exit >= gitAbort {
		return min(j.Exit, 255)
	}
	return gitAbort + min(j.Exit, 127)
}

func (q question) blocks() int {
	if q.Blocks > 0 {
		return q.Blocks
	}
	return defaultBlocks
}

// judge asks the gate about a commit, a second time with twice the blocks when
// it cannot tell. What it says goes to words.
func (q question) judge(ctx context.Context, dir, commit string, words io.Writer) (Judged, error) {
	j, err := q.ask(ctx, filepath.Join(dir, "trials", short(commit)), commit, q.Blocks, words)
	if err == nil && j.Exit == gateInconclusive {
		fmt.Fprintf(words, "bisect: %s is inconclusive; again with %d blocks\n", short(commit), 2*q.blocks())
		j, err = q.ask(ctx, filepath.Join(dir, "trials", short(commit)+"-again"), commit, 2*q.blocks(), words)
	}
	if err != nil {
		return j, err
	}
	line, err := json.Marshal(j)
	if err != nil {
		return j, err
	}
	file, err := os.OpenFile(filepath.Join(dir, stepsFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return j, err
	}
	_, err = file.Write(append(line, '\n'))
	return j, errors.Join(err, file.Close())
}

// ask runs the gate once. Its folder is out.
func (q question) ask(ctx context.Context, out, commit string, blocks int, words io.Writer) (Judged, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return Judged{}, err
	}
	args := append(q.Gate[1:len(q.Gate):len(q.Gate)], "--base", q.Good, "--head", commit, "--out", out)
	for _, flag := range []struct{ name, value string }{{"--scenario", q.Scenario}, {"--client", q.Client}} {
		if flag.value != "" {
			args = append(args, flag.name, flag.value)
		}
	}
	if blocks > 0 {
		args = append(args, "--blocks", strconv.Itoa(blocks))
	}
	cmd := exec.CommandContext(ctx, q.Gate[0], args...)
	cmd.Dir, cmd.Env = q.Root, withoutGit(os.Environ())
	tail := &tail{to: words}
	cmd.Stdout, cmd.Stderr = tail, tail // one writer: exec copies both in one goroutine
	// Of its own group: it is told to stop once, by Cancel, and cleans up. Pdeathsig: it does not outlive a killed step.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = gateGrace
	err := cmd.Run()
	var exit *exec.ExitError
	j := Judged{Commit: commit, Trial: out, Blocks: blocks}
	switch {
	case ctx.Err() != nil:
		return j, ctx.Err()
	case err == nil:
	case errors.As(err, &exit) && exit.Exited():
		j.Exit = exit.ExitCode()
	default:
		return j, fmt.Errorf("gate on %s: %w", short(commit), err)
	}
	j.Outcome, j.Reason = q.meaning(j.Exit, out, string(tail.last))
	return j, nil
}

// meaning turns the gate's exit code into an outcome. With a metric asked for,
// a finished gate's trial is judged by that metric's rows alone.
func (q question) meaning(exit int, out, words string) (outcome, reason string) {
	last := lastLine(words)
	switch exit {
	case gatePass, gateRegression, gateInconclusive:
		if q.Metric != "" {
			return q.meaningOfMetric(out)
		}
	case gateCorrectness:
		return Bad, orElse(last, "records were lost, duplicated, reordered or corrupt")
	case gateRun:
		if strings.Contains(words, "build of") && !strings.Contains(words, "side base") {
			return Skip, "it cannot be built"
		}
		return Abort, orElse(last, "the gate failed")
	case gateInterrupted:
		return Abort, "interrupted"
	default:
		return Abort, fmt.Sprintf("the gate ended with exit code %d: %s", exit, last)
	}
	if t, err := trial.Read(out); err == nil {
		last = verdict.Judge(t).Reason
	}
	switch exit {
	case gateRegression:
		return Bad, orElse(last, "a regression")
	case gateInconclusive:
		return Skip, orElse(last, "inconclusive")
	}
	return Good, orElse(last, "no regression")
}

func (q question) meaningOfMetric(out string) (outcome, reason string) {
	t, err := trial.Read(out)
	if err != nil {
		return Abort, err.Error()
	}
	outcome, reason = Abort, fmt.Sprintf("no workload of the gate is judged by %s", q.Metric)
	for _, row := range verdict.Judge(t).Rows {
		if row.Metric.Name != q.Metric || row.Outcome == "" {
			continue
		}
		text := fmt.Sprintf("%s of %s: %+.1f %% worse, p = %.2g", row.Metric.Label, row.Workload, row.Worsening*100, row.PWorse)
		switch {
		case row.Outcome == verdict.Regression:
			return Bad, text
		case row.Outcome == verdict.Inconclusive:
			outcome, reason = Skip, text+", inconclusive"
		case outcome == Abort:
			outcome, reason = Good, text
		}
	}
	return outcome, reason
}

// tail passes everything on and keeps the last 8 KiB.
type tail struct {
	to   io.Writer
	last []byte
}

const tailBytes = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.last = append(t.last, p...)
	t.last = bytes.Clone(t.last[max(0, len(t.last)-tailBytes):])
	return t.to.Write(p)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "fluxbench: ")
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func short(commit string) string { return commit[:min(12, len(commit))] }
