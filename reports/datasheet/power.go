package datasheet

import (
	"math"
	"slices"

	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// Dose is what one dose did in one workload and how often the gate saw it.
type Dose struct {
	Dose   string `json:"dose"`
	Fault  string `json:"fault"`
	Blocks int    `json:"blocks" jsonschema:"kept"`
	// Direct and Resampled count the gates in which any gated metric called a regression.
	Direct    *Rate        `json:"direct"`
	Resampled *Simulated   `json:"resampled"`
	Metrics   []DoseMetric `json:"metrics"`
	// Unjudged are direct gates that ended without a judgement (noise, a failed run), by outcome; no rate counts them.
	Unjudged map[string]int `json:"unjudged,omitempty"`
}

// DoseMetric is one metric under one dose.
type DoseMetric struct {
	Metric trial.Metric `json:"metric"`
	// Effect is the true worsening: the estimate over all kept blocks of the dose.
	Effect *Effect `json:"effect"`
	// Unadjusted is Effect without the adjustment for the metric's covariate, and OnCovariate what the dose does to that
	// covariate itself: a dose that moves it is adjusted away in part. nil for a metric without one, or where it is not known.
	Unadjusted  *Effect `json:"unadjusted,omitempty"`
	OnCovariate *Effect `json:"on_covariate,omitempty" jsonschema:"reference: relative; steal: a share"`
	// Direct counts the gates in which this metric's row was a regression; nil for a metric that is not gated.
	Direct *Rate `json:"direct"`
	// Alone is the power of this metric by itself, at the threshold of Holm's
	// first step among all gated metrics; nil for a metric that is not gated.
	Alone *Simulated `json:"alone"`
	// Coverage is how often the interval at the last look holds Effect; measured for the doses that the datasheet says.
	Coverage *Simulated `json:"coverage"`
}

// newDose analyses the blocks and direct gates of one dose in one workload.
func newDose(dose string, g *gate, blocks []Block, gates []Gate, o Options, workload string) Dose {
	s := g.sample
	judged, unjudged := judgedGates(gates)
	sheet := Dose{Dose: dose, Blocks: s.size(), Unjudged: unjudged}
	if len(blocks) > 0 {
		sheet.Fault = blocks[0].Fault
	} else if len(gates) > 0 {
		sheet.Fault = gates[0].Fault
	}
	drawn := g.simulate(o, dose, workload)
	sheet.Direct = newRate(count(judged, func(g Gate) bool { return g.Outcome == verdict.Regression }), len(judged))
	sheet.Resampled = drawn.rate(func(t tally) int { return t.called })
	for i, m := range s.metrics {
		row := DoseMetric{Metric: m, Effect: newEffect(s.known(i), m.Worsening)}
		if m.Covariate != "" {
			row.Unadjusted = newEffect(appendKnown(nil, s.differences[i]), m.Worsening)
			row.OnCovariate = newEffect(appendKnown(nil, s.covariates[i]), relativeOf(m.Covariate))
		}
		if place := slices.Index(g.gated, i); place >= 0 {
			row.Direct = newRate(count(judged, func(g Gate) bool { return slices.Contains(g.CalledBy, m.Name) }), len(judged))
			row.Alone = drawn.rate(func(t tally) int { return t.alone[place] })
		}
		if dose == coverageDose {
			row.Coverage = g.coverage(i, o, dose, workload)
		}
		sheet.Metrics = append(sheet.Metrics, row)
	}
	return sheet
}

// relativeOf turns the difference of a covariate into what it says: a log ratio into a relative change, a share into itself.
func relativeOf(covariate string) func(float64) float64 {
	if covariate == trial.CovariateReference {
		return math.Expm1
	}
	return func(x float64) float64 { return x }
}

// coverageDose is the dose whose coverage is computed beside that of A/A.
const coverageDose = "cpu-5"

// judgedGates leaves out gates that could not judge: they say nothing about how well it judges.
func judgedGates(gates []Gate) (judged []Gate, unjudged map[string]int) {
	unjudged = map[string]int{}
	for _, g := range gates {
		switch g.Outcome {
		case verdict.Pass, verdict.Improvement, verdict.Regression, verdict.Inconclusive:
			judged = append(judged, g)
		default:
			unjudged[g.Outcome]++
		}
	}
	return judged, unjudged
}

func count(gates []Gate, holds func(Gate) bool) int {
	n := 0
	for _, g := range gates {
		if holds(g) {
			n++
		}
	}
	return n
}

// moved tells whether the dose shows in the metric: its interval does not hold 0, or a direct gate called it.
func (m DoseMetric) moved() bool {
	return m.Effect != nil && (m.Effect.Low > 0 || m.Effect.High < 0) || m.Direct != nil && m.Direct.Hits > 0
}

// expects tells whether the dose's fault must show in a metric.
func (d *Dose) expects(metric string) bool {
	kind, _ := kindOf(d.Dose)
	return slices.Contains(kind.expected, metric)
}

// of returns the row of a metric; nil when the workload is not measured by it.
func (d *Dose) of(metric string) *DoseMetric {
	for i := range d.Metrics {
		if d.Metrics[i].Metric.Name == metric {
			return &d.Metrics[i]
		}
	}
	return nil
}

// Least is the dose with the smallest true effect on a metric that is still called with enough power.
type Least struct {
	Metric trial.Metric `json:"metric"`
	Dose   string       `json:"dose" jsonschema:"empty: no measured dose has that power"`
	Effect *Effect      `json:"effect"`
	Alone  *Simulated   `json:"alone"`
}

// enoughPower is what a dose needs to count as seen.
const enoughPower = 0.8

// newLeast finds it for each gated metric that a dose with resampled power must move.
func newLeast(doses []Dose, metrics []trial.Metric) []Least {
	var all []Least
	for _, m := range metrics {
		if !m.Gated {
			continue
		}
		least, measured := Least{Metric: m}, false
		for _, d := range doses {
			row := d.of(m.Name)
			if row == nil || row.Alone == nil || row.Effect == nil {
				continue
			}
			measured = measured || d.expects(m.Name)
			if row.Alone.Share >= enoughPower && (least.Effect == nil || row.Effect.Estimate < least.Effect.Estimate) {
				least.Dose, least.Effect, least.Alone = d.Dose, row.Effect, row.Alone
			}
		}
		if measured {
			all = append(all, least)
		}
	}
	return all
}
