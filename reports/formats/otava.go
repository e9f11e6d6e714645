package formats

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// otavaTime is a form that Otava's date parser reads.
const otavaTime = "2006-01-02 15:04:05 -0700"

// otavaFixed are the columns before the metrics.
var otavaFixed = []string{"time", "commit", "branch"}

// ExtendOtava adds one arm's medians to the history of each workload in the
// folder, <scenario>-<client>.csv, and writes otava.yaml for all of them:
// `otava analyze --config-file <folder>/otava.yaml`. A column never moves, a
// new metric gets a new column at the end, and the same commit of the same
// trial is held once. Otava cannot read an empty cell, so otava.yaml names the
// metrics that every line knows.
func ExtendOtava(folder string, t *trial.Trial, v *verdict.Verdict, arm string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("otava: %w", err)
	}
	for _, w := range t.Workloads {
		path := filepath.Join(folder, fileWord(w.Name())+".csv")
		history, err := readOtava(path)
		if err != nil {
			return err
		}
		if !history.add(t, w, v, arm) {
			continue
		}
		if err := history.write(path); err != nil {
			return err
		}
	}
	return writeOtavaConfig(folder)
}

// otavaHistory is one CSV file: its columns and its lines in the order of time.
type otavaHistory struct {
	columns []string
	lines   [][]string
}

func readOtava(path string) (*otavaHistory, error) {
	columns := slices.Clone(otavaFixed)
	for _, m := range trial.Metrics() {
		columns = append(columns, m.Name)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &otavaHistory{columns: columns}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("otava: %w", err)
	}
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("otava: %s: %w", path, err)
	}
	if len(lines) == 0 || len(lines[0]) < len(otavaFixed) || !slices.Equal(lines[0][:len(otavaFixed)], otavaFixed) {
		return nil, fmt.Errorf("otava: %s is no history: its first columns are not %s", path, strings.Join(otavaFixed, ","))
	}
	return &otavaHistory{lines[0], lines[1:]}, nil
}

// add tells whether the trial knows anything of the workload.
func (h *otavaHistory) add(t *trial.Trial, w trial.Workload, v *verdict.Verdict, arm string) bool {
	side := sideOf(t, arm)
	commit := side.Commit
	if side.Dirty {
		commit += "-dirty"
	}
	line := []string{time.Unix(0, t.StartedUnixNs).UTC().Format(otavaTime), commit, side.Label}
	cells := map[string]string{}
	for _, r := range v.Of(w.Name()) {
		if s := spreadOf(r, arm); s.N > 0 && finite(s.Median) {
			cells[r.Metric.Name] = plain(s.Median)
			if !slices.Contains(h.columns, r.Metric.Name) {
				h.widen(r.Metric.Name)
			}
		}
	}
	for _, column := range h.columns[len(otavaFixed):] {
		line = append(line, cells[column])
	}
	if len(cells) == 0 {
		return false
	}
	h.lines = slices.DeleteFunc(h.lines, func(old []string) bool { return slices.Equal(old[:len(otavaFixed)], line[:len(otavaFixed)]) })
	h.lines = append(h.lines, line)
	slices.SortStableFunc(h.lines, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return true
}

func (h *otavaHistory) widen(column string) {
	h.columns = append(h.columns, column)
	for i := range h.lines {
		h.lines[i] = append(h.lines[i], "")
	}
}

func (h *otavaHistory) write(path string) error {
	var text bytes.Buffer
	out := csv.NewWriter(&text)
	if err := out.WriteAll(append([][]string{h.columns}, h.lines...)); err != nil {
		return fmt.Errorf("otava: %w", err)
	}
	return replace(path, text.Bytes())
}

// full returns the metrics that every line knows.
func (h *otavaHistory) full() []string {
	var names []string
	for i, column := range h.columns {
		empty := func(line []string) bool { return line[i] == "" }
		if i >= len(otavaFixed) && !slices.ContainsFunc(h.lines, empty) {
			names = append(names, column)
		}
	}
	return names
}

type otavaConfig struct {
	Tests map[string]otavaTest `yaml:"tests"`
}

type otavaTest struct {
	Type       string                 `yaml:"type"`
	File       string                 `yaml:"file"`
	TimeColumn string                 `yaml:"time_column"`
	Attributes []string               `yaml:"attributes"`
	Metrics    map[string]otavaMetric `yaml:"metrics"`
}

type otavaMetric struct {
	Column    string  `yaml:"column"`
	Direction int     `yaml:"direction"`
	Scale     float64 `yaml:"scale"`
}

// writeOtavaConfig describes every history of the folder. Otava reads a
// relative path from where it is started, so the paths are absolute.
func writeOtavaConfig(folder string) error {
	paths, err := filepath.Glob(filepath.Join(folder, "*.csv"))
	if err != nil {
		return fmt.Errorf("otava: %w", err)
	}
	config := otavaConfig{Tests: map[string]otavaTest{}}
	for _, path := range paths {
		history, err := readOtava(path)
		if err != nil || len(history.lines) == 0 { // somebody else's CSV file
			continue
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return fmt.Errorf("otava: %w", err)
		}
		test := otavaTest{Type: "csv", File: absolute, TimeColumn: otavaFixed[0], Attributes: []string{otavaFixed[1]}, Metrics: map[string]otavaMetric{}}
		for _, name := range history.full() {
			test.Metrics[name] = otavaMetric{Column: name, Direction: otavaDirection(name), Scale: 1}
		}
		config.Tests[strings.TrimSuffix(filepath.Base(path), ".csv")] = test
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		return fmt.Errorf("otava: %w", err)
	}
	return replace(filepath.Join(folder, "otava.yaml"), text)
}

// otavaDirection is 1 where more is better, -1 where less is.
func otavaDirection(name string) int {
	for _, m := range trial.Metrics() {
		if m.Name == name && m.HigherWins {
			return 1
		}
	}
	return -1
}

// replace writes a file in one step: a reader sees the old one or the whole new one.
func replace(path string, text []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the error that is returned says more
		}
	}()
	_, writeErr := file.Write(text)
	if err := errors.Join(writeErr, file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
