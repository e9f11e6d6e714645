package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"fluxmq/reports"
	"fluxmq/reports/formats"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
	"fluxmq/tools/runner"
)

// stored is what a path names: a run's result or a trial, never both.
type stored struct {
	result *formats.Stored
	judged *formats.Judged
}

// loadStored reads result.json or trial.json, or the folder one of them lies in.
// A trial is judged again, so that what is shown is what this program says of it.
func loadStored(ctx context.Context, path string) (*stored, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		inside := filepath.Join(path, trial.FileName)
		if _, err := os.Stat(inside); err != nil {
			inside = filepath.Join(path, "result.json")
		}
		path = inside
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &usageError{err}
	}
	var shape struct {
		Workloads json.RawMessage `json:"workloads"`
	}
	// What is no JSON at all gets the error of the reader that follows.
	if json.Unmarshal(text, &shape) == nil && shape.Workloads != nil {
		return loadTrial(ctx, path)
	}
	summary, folder, err := loadSummary(path)
	if err != nil {
		return nil, err
	}
	return &stored{result: &formats.Stored{Summary: summary, Folder: folder}}, nil
}

func loadTrial(ctx context.Context, path string) (*stored, error) {
	t, err := trial.Read(path)
	if err != nil {
		return nil, &usageError{err}
	}
	judged := &formats.Judged{Trial: t, Verdict: verdict.Judge(t), Folder: filepath.Dir(path)}
	if checkout, err := runner.FindCheckout(ctx, "."); err == nil { // outside a checkout there is no datasheet to find
		judged.Datasheet, _ = datasheetOf(checkout, t)
	}
	return &stored{judged: judged}, nil
}

// loadSummary reads result.json, or the folder it lies in.
func loadSummary(path string) (*reports.Summary, string, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "result.json")
	}
	result, err := reports.ReadResult(path)
	if err != nil {
		return nil, "", &usageError{err}
	}
	folder := filepath.Dir(path)
	summary, err := reports.Summarize(result, folder)
	return summary, folder, err
}

func (s *stored) terminal(w io.Writer) error {
	if s.judged != nil {
		return verdict.WriteTerminal(w, s.judged.Trial, s.judged.Verdict)
	}
	return s.result.Summary.WriteTerminal(w)
}

// files makes the files of one format; arm is as trial names it, empty: the format's own choice.
func (s *stored) files(format formats.Format, arm string) ([]formats.File, error) {
	switch {
	case s.judged != nil && format.Trial != nil:
		judged := *s.judged
		judged.Arm = arm
		return format.Trial(judged)
	case s.judged == nil && format.Result != nil && arm != "":
		return nil, &usageError{errors.New("--arm is for a trial: a run result has no arms")}
	case s.judged == nil && format.Result != nil:
		return format.Result(*s.result)
	case s.judged != nil:
		return nil, &usageError{fmt.Errorf("format %s is made from a run result, not from a trial", format.Name)}
	}
	return nil, &usageError{fmt.Errorf("format %s is made from a trial, not from a run result", format.Name)}
}

// export hands every file of a format to take.
func (s *stored) export(name, arm string, take func(formats.File) error) error {
	format, err := formats.Find(name)
	if err != nil {
		return &usageError{err}
	}
	files, err := s.files(format, arm)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := take(file); err != nil {
			return err
		}
	}
	return nil
}
