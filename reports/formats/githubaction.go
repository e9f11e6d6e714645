package formats

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"fluxmq/reports"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// githubPoint is one element of customSmallerIsBetter and customBiggerIsBetter.
type githubPoint struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
	Range string  `json:"range,omitempty"`
	Extra string  `json:"extra,omitempty"`
}

func githubActionFiles(j Judged) ([]File, error) {
	file := func(name string, bigger bool) File {
		return File{name, func(w io.Writer) error { return WriteGitHubAction(w, j.Trial, j.Verdict, j.arm(), bigger) }}
	}
	return []File{file("customSmallerIsBetter.json", false), file("customBiggerIsBetter.json", true)}, nil
}

// WriteGitHubAction writes one arm's medians for github-action-benchmark: the
// metrics of which more is better, or those of which less is. The action tells
// the two apart by the name of its tool, so they are two files. The range is
// half the distance from the least run to the greatest.
func WriteGitHubAction(w io.Writer, t *trial.Trial, v *verdict.Verdict, arm string, bigger bool) error {
	points := []githubPoint{}
	side := sideOf(t, arm)
	for _, r := range v.Rows {
		s := spreadOf(r, arm)
		if r.Metric.HigherWins != bigger || s.N == 0 || !finite(s.Median) {
			continue
		}
		extra := fmt.Sprintf("commit %s\nblocks %d", reports.ShortCommit(side.Commit), r.Blocks)
		if arm == trial.Head && finite(r.High) {
			extra += fmt.Sprintf("\nagainst base %.4f [%.4f, %.4f]", r.Ratio, r.Low, r.High)
		}
		points = append(points, githubPoint{Name: r.Workload + " " + r.Metric.Label, Unit: r.Metric.Unit, Value: s.Median,
			Range: "± " + strconv.FormatFloat((s.Max-s.Min)/2, 'g', 4, 64), Extra: extra})
	}
	return writeJSON(w, points)
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
