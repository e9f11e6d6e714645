// Package formats owns the formats of other programs: what a judged trial or a
// stored result looks like to benchstat, a CI server, Otava,
// github-action-benchmark, Bencher, the OpenMessaging Benchmark's charts,
// HdrHistogram's viewers and spreadsheets. tools/cli asks for files by the
// name of a format and writes them; nothing here judges or measures.
//
// One file a format. A number is written with all its digits: whoever reads it
// gets the number that was measured. What is not known is left out, unless the
// reader cannot do without; then the file of the format says what stands there.
package formats

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"fluxmq/reports"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// Judged is a trial to export.
type Judged struct {
	Trial   *trial.Trial
	Verdict *verdict.Verdict
	Folder  string // where the latency logs lie; empty: there are none
	Arm     string // trial.Base or trial.Head, for a format that shows one arm; empty: both where it can, else the head
	// Datasheet of the gate, Markdown; empty: none.
	Datasheet string
}

// Stored is a run result to export.
type Stored struct {
	Summary *reports.Summary
	Folder  string
}

// File is one file of an export.
type File struct {
	Name  string
	Write func(io.Writer) error
}

// Format is what one other program reads. A nil function: the format has no form of that.
type Format struct {
	Name   string
	Reader string
	Trial  func(Judged) ([]File, error)
	Result func(Stored) ([]File, error)
	// Extend adds a trial to what a folder already holds; set where one file is the history of many trials.
	Extend func(folder string, j Judged) error
}

// All lists the formats in the order of the help text.
func All() []Format {
	return []Format{
		{Name: "benchfmt", Reader: "benchstat", Trial: benchfmtFiles, Result: func(s Stored) ([]File, error) {
			return []File{{"result.txt", func(w io.Writer) error { return s.Summary.WriteBenchfmt(w, s.Folder) }}}, nil
		}},
		{Name: "junit", Reader: "CI servers", Trial: one("junit.xml", func(w io.Writer, j Judged) error { return WriteJUnit(w, j.Trial, j.Verdict) })},
		{Name: "otava", Reader: "Apache Otava", Extend: func(folder string, j Judged) error { return ExtendOtava(folder, j.Trial, j.Verdict, j.arm()) }},
		{Name: "github-action", Reader: "github-action-benchmark", Trial: githubActionFiles},
		{Name: "bencher", Reader: "Bencher", Trial: one("bencher.json", func(w io.Writer, j Judged) error { return WriteBencher(w, j.Verdict, j.arm()) })},
		{Name: "omb", Reader: "OpenMessaging Benchmark's create_charts.py", Trial: ombTrialFiles, Result: ombResultFiles},
		{Name: "hgrm", Reader: "HdrHistogram's plotters", Trial: hgrmTrialFiles, Result: hgrmResultFiles},
		{Name: "hlog", Reader: "HdrHistogram's log readers", Trial: hlogTrialFiles, Result: hlogResultFiles},
		{Name: "csv", Reader: "spreadsheets", Trial: one("runs.csv", func(w io.Writer, j Judged) error { return WriteCSV(w, j.Trial) })},
		{Name: "markdown", Reader: "GitHub, as a comment", Trial: one("verdict.md", func(w io.Writer, j Judged) error {
			return verdict.WriteMarkdown(w, j.Trial, j.Verdict, j.Datasheet)
		}), Result: func(s Stored) ([]File, error) { return []File{{"report.md", s.Summary.WriteMarkdown}}, nil }},
		{Name: "html", Reader: "browsers", Trial: one("verdict.html", func(w io.Writer, j Judged) error {
			return verdict.WriteHTML(w, j.Trial, j.Verdict, j.Datasheet, "")
		}), Result: func(s Stored) ([]File, error) { return []File{{"report.html", s.Summary.WriteHTML}}, nil }},
	}
}

// Names of all formats.
func Names() []string {
	var names []string
	for _, f := range All() {
		names = append(names, f.Name)
	}
	return names
}

// Find returns the format of that name.
func Find(name string) (Format, error) {
	all := All()
	i := slices.IndexFunc(all, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, fmt.Errorf("unknown format %q; known formats: %s", name, strings.Join(Names(), ", "))
	}
	return all[i], nil
}

// one is a format of a single file.
func one(name string, write func(io.Writer, Judged) error) func(Judged) ([]File, error) {
	return func(j Judged) ([]File, error) {
		return []File{{name, func(w io.Writer) error { return write(w, j) }}}, nil
	}
}

func (j Judged) arm() string {
	if j.Arm == "" {
		return trial.Head
	}
	return j.Arm
}

// arms are those asked for.
func (j Judged) arms() []string {
	if j.Arm == "" {
		return []string{trial.Base, trial.Head}
	}
	return []string{j.Arm}
}

func armName(arm string) string {
	if arm == trial.Base {
		return "base"
	}
	return "head"
}

func sideOf(t *trial.Trial, arm string) trial.Side {
	if arm == trial.Base {
		return t.Base
	}
	return t.Head
}

// spreadOf is the row's picture of one arm.
func spreadOf(r verdict.Row, arm string) verdict.Spread {
	if arm == trial.Base {
		return r.Base
	}
	return r.Head
}

// runsOf returns the runs of one arm in the blocks that count, in order.
func runsOf(w trial.Workload, arm string) []trial.Run {
	var runs []trial.Run
	for _, b := range w.Kept() {
		for _, r := range b.Runs {
			if r.Arm == arm {
				runs = append(runs, r)
			}
		}
	}
	return runs
}

// valueOf is a run's value; ok is false for what no format can write.
func valueOf(r trial.Run, m trial.Metric) (v float64, ok bool) {
	v, ok = r.Values[m.Name]
	return v, ok && finite(v)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// fileWord leaves what every file system takes: letters, digits, dot, dash and underscore.
func fileWord(text string) string {
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, text), ".")
}
