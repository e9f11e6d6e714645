package formats

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"time"

	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Hostname   string          `xml:"hostname,attr,omitempty"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	Time      string        `xml:"time,attr"`
	Failure   *junitProblem `xml:"failure"`
	Error     *junitProblem `xml:"error"`
	Skipped   *junitProblem `xml:"skipped"`
	Output    string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes a suite for each workload and a case for each gated metric.
// A regression is a failure; broken delivery and broken runs are errors; what
// is inconclusive, or was not judged, is skipped. A workload's time is that of
// its blocks and is shared evenly by its cases, for every case needs all of them.
func WriteJUnit(w io.Writer, t *trial.Trial, v *verdict.Verdict) error {
	all := junitSuites{Name: "fluxbench " + t.Kind}
	total := 0.0
	for _, workload := range t.Workloads {
		suite, seconds := suiteOf(t, v, workload)
		total += seconds
		all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Errors+suite.Errors, all.Skipped+suite.Skipped
		all.Suites = append(all.Suites, suite)
	}
	all.Time = seconds(total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func suiteOf(t *trial.Trial, v *verdict.Verdict, w trial.Workload) (suite junitSuite, total float64) {
	start := t.StartedUnixNs
	for i, b := range w.Blocks {
		if i == 0 {
			start = b.StartUnixNs
		}
		total += float64(b.EndUnixNs-b.StartUnixNs) / 1e9
	}
	suite = junitSuite{
		Name: w.Name(), Time: seconds(total), Timestamp: time.Unix(0, start).UTC().Format("2006-01-02T15:04:05"), Hostname: t.Host.Hostname,
		Properties: []junitProperty{{"base", t.Base.Commit}, {"head", t.Head.Commit}, {"head dirty", fmt.Sprint(t.Head.Dirty)}, {"durability", w.Durability},
			{"validation", w.Validation}, {"verdict", v.Outcome}, {"reason", v.Reason}},
	}
	rows := map[string]verdict.Row{}
	for _, r := range v.Of(w.Name()) {
		rows[r.Metric.Name] = r
	}
	broken := unsound(w)
	for _, m := range w.Metrics {
		if !m.Gated {
			continue
		}
		row, judged := rows[m.Name]
		c := caseOf(v, row, judged && row.Blocks > 0, broken)
		c.Name, c.ClassName = m.Name, w.Name()
		suite.Tests++
		switch {
		case c.Error != nil:
			suite.Errors++
		case c.Failure != nil:
			suite.Failures++
		case c.Skipped != nil:
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, c)
	}
	for i := range suite.Cases {
		suite.Cases[i].Time = seconds(total / float64(len(suite.Cases)))
	}
	return suite, total
}

func caseOf(v *verdict.Verdict, r verdict.Row, judged bool, broken *junitProblem) junitCase {
	var c junitCase
	if judged {
		c.Output = fmt.Sprintf("base %v %s, head %v %s, ratio %.4f [%.4f, %.4f], worse by at most %s, margin %.2f %%, %d blocks", r.Base.Median, r.Metric.Unit,
			r.Head.Median, r.Metric.Unit, r.Ratio, r.Low, r.High, atMost(r.Upper), r.Metric.Margin*100, r.Blocks)
	}
	message := ""
	if judged {
		message = fmt.Sprintf("%s: %s, %+.2f %% worse, at most %s, margin %.2f %%", r.Metric.Label, r.Outcome, r.Worsening*100, atMost(r.Upper), r.Metric.Margin*100)
	}
	switch {
	case broken != nil:
		c.Error = broken
	case v.Outcome == verdict.Failed:
		c.Error = &junitProblem{Message: v.Reason, Type: verdict.Failed}
	case judged && r.Outcome == verdict.Regression:
		c.Failure = &junitProblem{Message: message, Type: verdict.Regression, Text: c.Output}
	case judged && (r.Outcome == verdict.Pass || r.Outcome == verdict.Improvement):
	case judged && r.Outcome == verdict.Inconclusive:
		c.Skipped = &junitProblem{Message: message}
	default:
		c.Skipped = &junitProblem{Message: "not judged: " + v.Reason}
	}
	return c
}

// unsound words the first run whose delivery is not proven; nil when there is none.
func unsound(w trial.Workload) *junitProblem {
	for _, b := range w.Blocks {
		for _, r := range b.Runs {
			if r.Lost+r.Duplicated+r.Reordered+r.Corrupt > 0 || r.Exit == 6 {
				return &junitProblem{Type: verdict.Correctness, Message: fmt.Sprintf("block %d run %d (%s): lost %d, duplicated %d, reordered %d, corrupt %d",
					b.Number, r.Position, armName(r.Arm), r.Lost, r.Duplicated, r.Reordered, r.Corrupt), Text: r.Failure}
			}
		}
	}
	return nil
}

func atMost(share float64) string {
	if math.IsInf(share, 0) || math.IsNaN(share) {
		return "any"
	}
	return fmt.Sprintf("%+.2f %%", share*100)
}

func seconds(v float64) string {
	if !finite(v) {
		return "0.000"
	}
	return fmt.Sprintf("%.3f", v)
}
