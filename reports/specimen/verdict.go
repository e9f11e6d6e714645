package specimen

import (
	"math"
	"slices"

	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// Verdict makes up a judgement of t: medians for estimates and quartiles for
// intervals, so that a view has plausible numbers that no change of the real
// judge moves. outcomes gives a row's word by metric; the others pass.
func Verdict(t *trial.Trial, outcome, reason string, outcomes map[string]string) *verdict.Verdict {
	v := &verdict.Verdict{Outcome: outcome, Exit: exits[outcome], Reason: reason, Look: 1, Threshold: 0.0125, Rejected: map[string]int{}}
	for _, w := range t.Workloads {
		v.Kept += len(w.Kept())
		for _, b := range w.Blocks {
			if b.Rejected != "" {
				v.Rejected[b.Rejected]++
			}
		}
		for _, m := range w.Metrics {
			v.Rows = append(v.Rows, row(w, m, outcomes))
		}
	}
	return v
}

// exits are made up too.
var exits = map[string]int{verdict.Regression: 4, verdict.Inconclusive: 5, verdict.Invalid: 3, verdict.Correctness: 6}

func row(w trial.Workload, m trial.Metric, outcomes map[string]string) verdict.Row {
	r := verdict.Row{Workload: w.Name(), Metric: m}
	var differences, base, head []float64
	for _, b := range w.Kept() {
		d, ok := m.Difference(b)
		if !ok {
			continue
		}
		differences = append(differences, d)
		for _, run := range b.Runs {
			if run.Arm == trial.Base {
				base = append(base, run.Values[m.Name])
			} else {
				head = append(head, run.Values[m.Name])
			}
		}
	}
	r.Blocks, r.Base, r.Head = len(differences), spread(base), spread(head)
	if r.Blocks == 0 {
		return r
	}
	slices.Sort(differences)
	n := len(differences)
	middle, low, high := differences[n/2], differences[n/4], differences[n-1-n/4]
	ratios := []float64{m.Ratio(low), m.Ratio(middle), m.Ratio(high)}
	slices.Sort(ratios)
	r.Low, r.Ratio, r.High = ratios[0], ratios[1], ratios[2]
	r.Worsening, r.Upper = m.Worsening(middle), m.Worsening(high)
	r.PWorse = 1 / (1 + math.Exp(200*middle))
	r.PBetter = 1 - r.PWorse
	r.HolmWorse, r.HolmBetter = math.Min(1, 3*r.PWorse), math.Min(1, 3*r.PBetter)
	if m.Gated {
		r.Outcome = verdict.Pass
		if word := outcomes[m.Name]; word != "" {
			r.Outcome = word
		}
	}
	return r
}

func spread(values []float64) verdict.Spread {
	if len(values) == 0 {
		return verdict.Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return verdict.Spread{Median: sorted[len(sorted)/2], Min: sorted[0], Max: sorted[len(sorted)-1], N: len(sorted)}
}
