package formats

import (
	"io"
	"strings"

	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// bencherMetric is one metric of Bencher Metric Format.
type bencherMetric struct {
	Value float64  `json:"value"`
	Lower *float64 `json:"lower_value,omitempty"`
	Upper *float64 `json:"upper_value,omitempty"`
}

// Bencher's limits of names.
const (
	bencherBenchmarkLength = 1024
	bencherMeasureLength   = 64
)

// WriteBencher writes one arm's medians in Bencher Metric Format: by workload,
// then by measure. The head's bounds are the interval of the ratio laid around
// its median, so that their width is what the blocks say and not the drift that
// both arms share. The base has no bounds: it is what the head is held against.
func WriteBencher(w io.Writer, v *verdict.Verdict, arm string) error {
	out := map[string]map[string]bencherMetric{}
	for _, r := range v.Rows {
		s := spreadOf(r, arm)
		if s.N == 0 || !finite(s.Median) {
			continue
		}
		name := cut(r.Workload, bencherBenchmarkLength)
		if out[name] == nil {
			out[name] = map[string]bencherMetric{}
		}
		metric := bencherMetric{Value: s.Median}
		if arm == trial.Head && r.Ratio > 0 && finite(r.Low) && finite(r.High) {
			lower, upper := s.Median*r.Low/r.Ratio, s.Median*r.High/r.Ratio
			metric.Lower, metric.Upper = &lower, &upper
		}
		out[name][cut(strings.ReplaceAll(r.Metric.Name, "_", "-"), bencherMeasureLength)] = metric
	}
	return writeJSON(w, out)
}

// cut leaves at most n bytes of whole characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}
