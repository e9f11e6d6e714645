package verdict

import (
	"fmt"
	"math"
	"slices"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// differencePlots draw, for each gated metric of one workload, the ratio of
// every block over time: a drift, a step or an outlier is seen, not averaged.
func differencePlots(t *trial.Trial, w trial.Workload, rows []Row) []reports.Chart {
	var charts []reports.Chart
	for _, r := range rows {
		if r.Metric.Gated {
			charts = append(charts, differencePlot(t, w, r))
		}
	}
	return charts
}

// blockPoint is one block's head/base in percent, at its middle.
type blockPoint struct {
	block            trial.Block
	minutes, percent float64
	kept             bool
}

func differencePlot(t *trial.Trial, w trial.Workload, r Row) reports.Chart {
	chart := reports.Chart{Title: r.Metric.Label + ", block by block, " + w.Name(), XLabel: "minutes from the trial's start; hollow: the block was rejected", YLabel: "head against base, %"}
	var points []blockPoint
	for _, b := range w.Blocks {
		d, ok := r.Metric.Difference(b)
		if !ok || !b.Sound() || math.IsInf(d, 0) {
			continue
		}
		points = append(points, blockPoint{b, minutesSince(t, (b.StartUnixNs+b.EndUnixNs)/2), (r.Metric.Ratio(d) - 1) * 100, b.Rejected == ""})
	}
	if len(points) == 0 {
		chart.Empty = "no sound block knows this metric"
		return chart
	}
	margin := math.Expm1(marginRatioLog(r.Metric)) * 100
	reach := math.Abs(margin) * 1.3
	for _, p := range points {
		if p.kept {
			reach = math.Max(reach, math.Abs(p.percent)*1.15)
		}
	}
	x := timeScale(t, w)
	y := reports.Scale{Low: -reach, High: reach, From: reports.PlotBottom, To: reports.PlotTop}
	chart.XTicks, chart.YTicks = reports.LinearTicks(x, reports.ShortNumber), reports.LinearTicks(y, tickPercent)
	if r.Blocks > 0 && r.Ratio > 0 {
		chart.Rules = append(chart.Rules, span(y, (r.Low-1)*100, (r.High-1)*100, outcomeClass(r.Outcome), fmt.Sprintf("%s of the ratio: %s", sharePercent(t.Rules.Confidence), formatRatio(r))))
	}
	chart.Rules = append(chart.Rules, reports.Rule{At: reports.Pixels(y.At(0)), Class: "c-soft", Label: ""},
		reports.Rule{At: reports.Pixels(y.At(margin)), Class: "c-bad", Label: "margin " + sharePercent(r.Metric.Margin) + " worse"})
	for _, p := range points {
		dot := reports.Dot{X: reports.Pixels(x.At(p.minutes)), Y: reports.Pixels(y.At(clamp(p.percent, -reach, reach))), Class: outcomeClass(r.Outcome), Hollow: !p.kept,
			Hint: fmt.Sprintf("block %d, %s: %s", p.block.Number, p.block.Order, signedPercent(p.percent/100))}
		if !p.kept {
			dot.Class = "c-soft"
			dot.Hint += ", rejected: " + p.block.Rejected
		}
		chart.Dots = append(chart.Dots, dot)
	}
	return chart
}

// noiseOf is one thing that disturbs, of one run; ok is false when it is not known.
type noiseOf struct {
	title, label string
	limit        float64 // in the plot's unit, 0: none
	bothSides    bool
	value        func(trial.Run) (v float64, ok bool)
}

// noisePlots draw what disturbed the runs, over the whole trial.
func noisePlots(t *trial.Trial) []reports.Chart {
	canary := medianNoise(t, func(n trial.Noise) float64 { return n.CanaryNs })
	work := medianNoise(t, costReference)
	share := func(v float64) (float64, bool) { return v * 100, v >= 0 }
	var charts []reports.Chart
	for _, n := range []noiseOf{
		{"Steal", "% of wanted CPU time", t.Rules.MaxStealShare * 100, false, func(r trial.Run) (float64, bool) { return share(r.Noise.StealShare) }},
		{"CPU of others", "% of all CPU time", t.Rules.MaxForeignShare * 100, false, func(r trial.Run) (float64, bool) { return share(r.Noise.ForeignShare) }},
		{"Canary", "fixed loop against the trial's median, %", t.Rules.MaxCanaryDeviate * 100, true, func(r trial.Run) (float64, bool) {
			return (r.Noise.CanaryNs/canary - 1) * 100, r.Noise.CanaryNs > 0 && canary > 0
		}},
		{"Reference work", "beside part cost, against the trial's median, %", 0, true, func(r trial.Run) (float64, bool) {
			ns := costReference(r.Noise)
			return (ns/work - 1) * 100, ns > 0 && work > 0
		}},
	} {
		charts = append(charts, noisePlot(t, n))
	}
	return charts
}

func noisePlot(t *trial.Trial, n noiseOf) reports.Chart {
	chart := reports.Chart{Title: n.title + ", run by run", XLabel: "minutes from the trial's start; hollow: in a rejected block", YLabel: n.label}
	top := math.Max(n.limit*1.2, 1)
	for _, w := range t.Workloads {
		for _, b := range w.Blocks {
			for _, r := range b.Runs {
				if v, ok := n.value(r); ok {
					top = math.Max(top, math.Abs(v)*1.05)
				}
			}
		}
	}
	bottom := 0.0
	if n.bothSides {
		bottom = -top
	}
	x := timeScale(t, t.Workloads...)
	y := reports.Scale{Low: bottom, High: top, From: reports.PlotBottom, To: reports.PlotTop}
	chart.XTicks, chart.YTicks = reports.LinearTicks(x, reports.ShortNumber), reports.LinearTicks(y, reports.ShortNumber)
	if n.limit > 0 {
		chart.Rules = append(chart.Rules, reports.Rule{At: reports.Pixels(y.At(n.limit)), Class: "c-bad", Label: "a block is redrawn"})
		if n.bothSides {
			chart.Rules = append(chart.Rules, reports.Rule{At: reports.Pixels(y.At(-n.limit)), Class: "c-bad"}, reports.Rule{At: reports.Pixels(y.At(0)), Class: "c-soft"})
		}
	}
	for _, w := range t.Workloads {
		for _, b := range w.Blocks {
			for _, r := range b.Runs {
				if v, ok := n.value(r); ok {
					chart.Dots = append(chart.Dots, reports.Dot{X: reports.Pixels(x.At(minutesSince(t, r.StartUnixNs))), Y: reports.Pixels(y.At(v)), Class: armClass(r.Arm), Hollow: b.Rejected != "",
						Hint: fmt.Sprintf("%s block %d run %d (%s): %.2f %%", w.Name(), b.Number, r.Position, armName(r.Arm), v)})
				}
			}
		}
	}
	if len(chart.Dots) == 0 {
		chart.Empty = "not known on this machine"
		return chart
	}
	for _, arm := range []string{trial.Base, trial.Head} { // for the legend alone
		chart.Series = append(chart.Series, reports.Series{Name: armName(arm), Class: armClass(arm), First: true})
	}
	return chart
}

func armName(arm string) string {
	if arm == trial.Base {
		return "base"
	}
	return "head"
}

func armClass(arm string) string {
	if arm == trial.Base {
		return reports.ColourClass(0)
	}
	return reports.ColourClass(1)
}

func costReference(n trial.Noise) float64 { return n.ReferenceNs[trial.PartCost] }

// medianNoise is the median over all runs that know it; 0 where none does.
func medianNoise(t *trial.Trial, of func(trial.Noise) float64) float64 {
	var values []float64
	for _, w := range t.Workloads {
		for _, b := range w.Blocks {
			for _, r := range b.Runs {
				if v := of(r.Noise); v > 0 {
					values = append(values, v)
				}
			}
		}
	}
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func minutesSince(t *trial.Trial, unixNs int64) float64 {
	return float64(unixNs-t.StartedUnixNs) / 6e10
}

// timeScale spans the blocks of the workloads.
func timeScale(t *trial.Trial, workloads ...trial.Workload) reports.Scale {
	low, high := math.Inf(1), math.Inf(-1)
	for _, w := range workloads {
		for _, b := range w.Blocks {
			low, high = math.Min(low, minutesSince(t, b.StartUnixNs)), math.Max(high, minutesSince(t, b.EndUnixNs))
		}
	}
	if high <= low {
		low, high = 0, 1
	}
	return reports.Scale{Low: low, High: high, From: reports.PlotLeft, To: reports.PlotRight}
}

// span shades the values between low and high, as far as the plot reaches.
func span(y reports.Scale, low, high float64, class, label string) reports.Rule {
	top, bottom := y.At(clamp(high, y.Low, y.High)), y.At(clamp(low, y.Low, y.High))
	return reports.Rule{At: reports.Pixels(top), Height: reports.Pixels(math.Max(bottom-top, 1)), Class: class, Label: label}
}

func clamp(v, low, high float64) float64 { return math.Min(math.Max(v, low), high) }
