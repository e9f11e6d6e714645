// Package verdict judges a trial: every metric's ratio with its interval, and
// one outcome by the two-stage rule, with Holm across metrics and workloads.
// It reads a trial.Trial and starts nothing; the same trial gives the same
// verdict anywhere.
package verdict

import (
	"fluxmq/reports/trial"
)

// Outcomes.
const (
	Pass         = "pass"
	Regression   = "regression"
	Improvement  = "improvement" // a pass in which something got better
	Inconclusive = "inconclusive"
	Invalid      = "invalid environment"
	Correctness  = "correctness failed"
	Failed       = "run failed" // runs or rules broke, so that there is nothing to judge
)

// Row is one metric of one workload.
type Row struct {
	Workload string       `json:"workload"`
	Metric   trial.Metric `json:"metric"`
	Blocks   int          `json:"blocks" jsonschema:"kept blocks that know the metric"`
	Base     Spread       `json:"base" jsonschema:"over the runs of arm A of these blocks"`
	Head     Spread       `json:"head"`
	// Ratio is head over base (Hodges–Lehmann over the blocks' log ratios); Low and High its two-sided interval (signed rank).
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	// Worsening is the estimate in the metric's bad direction (0.05: 5 % worse); Upper its one-sided 95 % upper bound.
	Worsening float64 `json:"worsening"`
	Upper     float64 `json:"upper"`
	// PWorse and PBetter are exact sign-flip p-values, one-sided; HolmWorse is PWorse adjusted over all gated rows, HolmBetter likewise;
	// NaN, and null in JSON, for a metric that is not gated. High and Upper are +Inf, and null, with too few blocks.
	PWorse     float64 `json:"p_worse"`
	PBetter    float64 `json:"p_better"`
	HolmWorse  float64 `json:"holm_worse"`
	HolmBetter float64 `json:"holm_better"`
	// RawRatio is the ratio without the adjustment for the metric's covariate, Slope what was taken out for each unit of it; 0: nothing was.
	RawRatio float64 `json:"raw_ratio"`
	Slope    float64 `json:"slope"`
	Outcome  string  `json:"outcome" jsonschema:"of this row: pass, regression, improvement, inconclusive; empty for a metric that is not gated"`
}

// Spread of single runs: a picture, no test.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// Verdict is the judgement of one trial.
type Verdict struct {
	Outcome string `json:"outcome"`
	Exit    int    `json:"exit"`
	// Reason is one sentence for a person.
	Reason string `json:"reason"`
	Rows   []Row  `json:"rows"`
	// Look is the number of the look that decided, from 1, 0 when none was reached; Threshold the p-value that it asked for.
	Look      int     `json:"look"`
	Threshold float64 `json:"threshold"`
	// Kept and Rejected blocks over all workloads, those after the look too; the rejected by reason, "run failed" for those without four sound runs.
	Kept     int            `json:"kept"`
	Rejected map[string]int `json:"rejected"`
	// Unfiltered is the verdict over all sound blocks, rejected ones included; nil when none was rejected.
	Unfiltered *Verdict `json:"unfiltered,omitempty"`
}
