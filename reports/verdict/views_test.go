package verdict_test

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"

	"fluxmq/reports/golden"
	"fluxmq/reports/specimen"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// slowHead is a trial whose head costs 6 % more CPU; over all blocks it would not have been seen.
func slowHead() (*trial.Trial, *verdict.Verdict) {
	t := specimen.Trial(7, map[string]float64{trial.BrokerCPU: 0.06, trial.BrokerAllocs: -0.08})
	v := specimen.Verdict(t, verdict.Regression, "broker CPU-ns/msg of megabatch/wire is 6 % worse", map[string]string{trial.BrokerCPU: verdict.Regression, trial.BrokerAllocs: verdict.Improvement, trial.ProduceP99: verdict.Inconclusive})
	v.Unfiltered = specimen.Verdict(t, verdict.Inconclusive, "the intervals are too wide", nil)
	return t, v
}

func TestViewsOfARegression(t *testing.T) {
	tr, v := slowHead()
	for name, write := range map[string]func(io.Writer) error{
		"regression.txt": func(w io.Writer) error { return verdict.WriteTerminal(w, tr, v) },
		"regression.md":  func(w io.Writer) error { return verdict.WriteMarkdown(w, tr, v, "") },
	} {
		var out bytes.Buffer
		if err := write(&out); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, name, out.Bytes())
	}
}

func TestViewsOfATrialThatLostRecordsAndHasNoRow(t *testing.T) {
	tr := specimen.Trial(7, nil)
	specimen.LoseRecords(tr)
	tr.Head.Env, tr.Failure = []string{"GOGC=200"}, "a run lost records"
	v := &verdict.Verdict{Outcome: verdict.Correctness, Exit: 6, Reason: "megabatch/wire lost 64 records", Rejected: map[string]int{}}
	var text, page bytes.Buffer
	if err := verdict.WriteTerminal(&text, tr, v); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "correctness.txt", text.Bytes())
	if err := verdict.WriteHTML(&page, tr, v, "", ""); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page.String(), "CORRECTNESS FAILED") {
		t.Error("the page does not say that it failed")
	}
}

func TestAnEmptyTrialHasViews(t *testing.T) {
	tr, v := &trial.Trial{}, &verdict.Verdict{Outcome: verdict.Invalid, Reason: "no block"}
	tr.Workloads = []trial.Workload{{Metrics: trial.Metrics(), Blocks: []trial.Block{{}}}}
	for _, m := range trial.Metrics() {
		v.Rows = append(v.Rows, verdict.Row{Workload: "/", Metric: m})
	}
	for _, write := range []func(io.Writer) error{
		func(w io.Writer) error { return verdict.WriteTerminal(w, tr, v) },
		func(w io.Writer) error { return verdict.WriteMarkdown(w, tr, v, "") },
		func(w io.Writer) error { return verdict.WriteHTML(w, tr, v, "", "") },
	} {
		var out bytes.Buffer
		if err := write(&out); err != nil || !strings.Contains(out.String(), "INVALID ENVIRONMENT") || strings.Contains(out.String(), "NaN") {
			t.Errorf("%v\n%s", err, out.String())
		}
	}
}

func TestMarkdownEscapesWhatAPersonTyped(t *testing.T) {
	tr, v := slowHead()
	v.Reason = "</details> **bold** [x](http://example.com) `code` @octocat | a\n# heading"
	tr.Command = []string{"fluxbench", "gate", "--head", "a```b", "two words", "it's"}
	tr.Head.Label = "<b>feature_branch</b>"
	var out bytes.Buffer
	if err := verdict.WriteMarkdown(&out, tr, v, "## sheet"); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	first, _, _ := strings.Cut(text, "\n")
	if want := "### REGRESSION: &lt;/details&gt; \\*\\*bold\\*\\* \\[x\\](http://example.com) \\`code\\` @&#8203;octocat \\| a \\# heading"; first != want {
		t.Errorf("first line\n%s\nwant\n%s", first, want)
	}
	for _, want := range []string{"````sh\n", "'a```b' 'two words' 'it'\\''s'\n````\n", "&lt;b&gt;feature\\_branch", "\n## sheet\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if open, closed := strings.Count(text, "<details>"), strings.Count(text, "</details>"); open != closed || open != 6 {
		t.Errorf("%d parts are opened and %d closed", open, closed)
	}
	if strings.Contains(text, "no datasheet") {
		t.Error("the page says that there is no datasheet beside one")
	}
}

// loadsSomething finds what would make a browser ask the network.
var loadsSomething = regexp.MustCompile(`(?i)<[a-z][^<>]*(src|href|action|poster|srcset)\s*=\s*["']?\s*(https?:)?//|url\(|@import|<script|<iframe|<object|<link[^>]+stylesheet`)

func TestPageLoadsNothingEscapesAndShowsEveryGatedMetric(t *testing.T) {
	tr, v := slowHead()
	v.Reason = `<script src="https://example.com/x.js"></script>`
	tr.Workloads[0].Blocks[2].Rejected = `<img src=//example.com/y>`
	var page bytes.Buffer
	if err := verdict.WriteHTML(&page, tr, v, "| a | b |", "| function | <own> |"); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(page.String(), `href="data:,"`, "", 1)
	if found := loadsSomething.FindString(text); found != "" {
		t.Errorf("the page holds %q", found)
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "ZgotmplZ") {
		t.Error("the page holds NaN, Inf or a value that the template refused")
	}
	for _, w := range tr.Workloads {
		for _, m := range w.Metrics {
			if shown := strings.Contains(text, m.Label+", block by block, "+w.Name()); shown != m.Gated {
				t.Errorf("%s of %s, gated %t: plot shown %t", m.Name, w.Name(), m.Gated, shown)
			}
		}
	}
	if dots := strings.Count(text, `class="c-soft hollow"`); dots == 0 {
		t.Error("rejected blocks are not in the plots")
	}
	if page.Len() > 400<<10 {
		t.Errorf("the page has %d bytes", page.Len())
	}
}
