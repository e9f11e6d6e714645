package datasheet

import (
	"math"

	"fluxmq/reports/verdict"
)

// NewGate takes from a verdict what a line of gates.jsonl keeps; the caller
// fills in Number, Dose, Fault, Workload, Session, Seed and WallSeconds. Rows
// with too few blocks for an interval are left out.
func NewGate(v *verdict.Verdict) Gate {
	g := Gate{Outcome: v.Outcome, Exit: v.Exit, Look: v.Look, Blocks: v.Kept}
	for _, n := range v.Rejected {
		g.Rejected += n
	}
	for _, r := range v.Rows {
		if !r.Metric.Gated {
			continue
		}
		if r.Outcome == verdict.Regression {
			g.CalledBy = append(g.CalledBy, r.Metric.Name)
		}
		row := GateRow{Metric: r.Metric.Name, Estimate: r.Worsening, Low: r.Low - 1, High: r.High - 1, PWorse: r.PWorse, Outcome: r.Outcome}
		if r.Metric.HigherWins {
			row.Low, row.High = 1-r.High, 1-r.Low
		}
		if !math.IsInf(row.Low, 0) && !math.IsInf(row.High, 0) {
			g.Rows = append(g.Rows, row)
		}
	}
	return g
}
