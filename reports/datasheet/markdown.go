package datasheet

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// notMeasured stands wherever the pool does not hold what a figure needs.
const notMeasured = "not measured"

// page writes Markdown and keeps the first error.
type page struct {
	w   io.Writer
	err error
}

func (p *page) text(format string, arguments ...any) {
	_, err := fmt.Fprintf(p.w, format, arguments...)
	p.err = errors.Join(p.err, err)
}

// table writes a table, or that there is none.
func (p *page) table(header []string, rows []reports.Row) {
	if len(rows) == 0 {
		p.text("%s\n\n", sentence(notMeasured))
		return
	}
	pipes := strings.NewReplacer("|", `\|`)
	for i := range rows {
		rows[i].Label = pipes.Replace(rows[i].Label)
		for j := range rows[i].Cells {
			rows[i].Cells[j] = pipes.Replace(rows[i].Cells[j])
		}
	}
	p.err = errors.Join(p.err, reports.RenderTable(p.w, header, rows, true))
	p.text("\n")
}

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }

// WriteMarkdown writes the whole datasheet.
func (d *Datasheet) WriteMarkdown(w io.Writer) error {
	p := &page{w: w}
	p.text("# Datasheet of the gate on %s\n\n%s\n\n", d.Machine, d.Line())
	d.writeConditions(p)
	d.writeSizes(p)
	p.text("## 2. A/A: what it sees where there is nothing to see\n\n")
	p.text("σ is the standard deviation of a block's log ratio. Bias is the Hodges–Lehmann estimate over the whole A/A pool with its 95 %% signed-rank interval, which should hold 0. " +
		"Width is the median width of a gate's two-sided 95 %% signed-rank interval over resampled gates. Uniform is the Kolmogorov–Smirnov p-value of the sign-flip p-values of separate groups of blocks against the uniform distribution: small is bad. " +
		"Lag 1 is the autocorrelation of adjacent blocks: near 0, blocks may be resampled one by one.\n\n")
	for _, s := range d.Workloads {
		s.writeNull(p, d.Rules)
	}
	d.writeAlarms(p)
	d.writeEffects(p)
	d.writePower(p)
	d.writeCoverage(p)
	d.writeNaive(p)
	d.writeFaults(p)
	d.writePace(p)
	return p.err
}

func (d *Datasheet) writeConditions(p *page) {
	r := d.Rules
	dirty := ""
	if d.Dirty {
		dirty = " (dirty)"
	}
	p.text("Commit %s%s, broker SHA-256 %s. Looks at %s kept blocks, one-sided α %s over all looks, Holm over the gated metrics. ",
		reports.ShortCommit(d.Commit), dirty, reports.OrDash(reports.ShortCommit(d.Broker.SHA256)), joinInts(r.Looks), percent(r.Alpha))
	p.text("A block is run again when a run's steal is over %s, foreign CPU over %s or the canary off by more than %s.\n\n", percent(r.MaxStealShare), percent(r.MaxForeignShare), percent(r.MaxCanaryDeviate))
	for _, s := range d.Workloads {
		p.text("- %s at %s records/s; durability %s, validation %s%s\n", s.Workload, reports.FormatCount(s.RatePerSecond), reports.OrDash(s.Durability), reports.OrDash(s.Validation), partSeconds(s.PartSeconds))
	}
	p.text("\nEvery rate k/n stands with its Clopper–Pearson 95 %% interval. Resampled rates are over %s gates made of real blocks, drawn in runs of %d adjacent ones with the whole rule of looks, Holm and minimum effects; "+
		"they are conditional on this pool, so each stands with an outer interval: the percentile 95 %% interval over %d bootstrapped pools (stretches of %d adjacent blocks of a session, shorter where the pool holds fewer than %d of them, drawn with replacement; %d gates each of A/A, %d of a dose), widened to the Clopper–Pearson 95 %% interval of the resampling where that reaches further. Seed %d.\n\n",
		reports.FormatCount(float64(d.Options.Resamples)), adjacent, d.Options.Pools, r.Looks[0], fewestStretches, d.Options.inner(NoDose), d.Options.inner(""), d.Options.Seed)
}

func partSeconds(parts map[string]float64) string {
	text := ""
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		text += fmt.Sprintf(", %s %g s", part, parts[part])
	}
	return text
}

func joinInts(values []int) string {
	var texts []string
	for _, v := range values {
		texts = append(texts, fmt.Sprint(v))
	}
	return strings.Join(texts, " and ")
}

func (d *Datasheet) writeSizes(p *page) {
	p.text("## 1. The pool\n\n")
	var rows []reports.Row
	var total float64
	for _, s := range d.Sizes {
		steal := notMeasured
		if s.Steal != nil {
			steal = fmt.Sprintf("%s / %s / %s / %s", percent(s.Steal.Median), percent(s.Steal.P90), percent(s.Steal.P99), percent(s.Steal.Max))
		}
		rows = append(rows, reports.Row{Label: s.Workload, Cells: []string{
			s.Dose, fmt.Sprint(s.Kept), fmt.Sprint(s.rejected()), fmt.Sprint(s.Failed), fmt.Sprint(s.Gates), fmt.Sprint(s.Sessions), hours(s.MachineSeconds), steal,
		}})
		total += s.MachineSeconds
	}
	p.table([]string{"workload", "dose", "blocks kept", "rejected", "failed", "direct gates", "sessions", "machine time", "steal p50 / p90 / p99 / max"}, rows)
	if len(rows) > 0 {
		p.text("Machine time in all: %s. Steal is steal/(steal+busy) of single runs, rejected blocks included.\n\n", hours(total))
	}
	for _, s := range d.Sizes {
		for _, reason := range slices.Sorted(maps.Keys(s.Rejected)) {
			p.text("- %s, dose %s: %d rejected: %s\n", s.Workload, s.Dose, s.Rejected[reason], reason)
		}
	}
	p.text("\n")
}

func (s Sheet) writeNull(p *page, rules trial.Rules) {
	p.text("### %s\n\n", s.Workload)
	header := []string{"metric", "blocks", "σ", "σ not adjusted", "adjusted for", "slope", "lag 1", "bias"}
	for _, look := range rules.Looks {
		header = append(header, fmt.Sprintf("width at %d", look))
	}
	var rows []reports.Row
	for _, n := range s.Null {
		if n.Blocks == 0 {
			continue
		}
		row := reports.Row{Label: metricLabel(n.Metric), Cells: []string{fmt.Sprint(n.Blocks), percent(n.Sigma), percent(n.SigmaRaw), reports.OrDash(n.Metric.Covariate), fmt.Sprintf("%+.2f", n.Slope), fmt.Sprintf("%+.2f", n.Autocorrelation), effect(n.Bias)}}
		for _, look := range rules.Looks {
			width := notMeasured
			for _, w := range n.Widths {
				if w.Blocks == look {
					width = percent(w.Median)
				}
			}
			row.Cells = append(row.Cells, width)
		}
		uniform := notMeasured
		if n.Uniform != nil {
			uniform = fmt.Sprintf("p %.2f (%d groups)", n.Uniform.P, n.Uniform.Groups)
		}
		row.Cells = append(row.Cells, uniform)
		rows = append(rows, row)
	}
	p.table(append(header, "uniform"), rows)
}

func (d *Datasheet) writeAlarms(p *page) {
	p.text("## 3. False alarms\n\nA/A gates that call a regression.\n\n")
	var rows []reports.Row
	for _, s := range d.Workloads {
		a := s.Alarms
		rows = append(rows, reports.Row{Label: s.Workload, Cells: []string{
			rate(a.Direct), simulated(a.Resampled), rate(a.DirectPasses), simulated(a.Passes), simulated(a.Early), fmt.Sprint(a.Apart), unjudged(a.Unjudged),
		}})
	}
	p.table([]string{"workload", "direct", "resampled", "direct, exit 0", "resampled, exit 0", "resampled, over at an early look", "gates in the pool that share no block", "direct without a judgement"}, rows)
	p.text("All workloads: %s direct.\n\n", rate(d.Alarms))
	d.writeReach(p)
}

// writeReach says where the rules leave a look no way to call: an exact p-value
// of n blocks is never below 2^−n, and Holm multiplies the least of them by the
// number of gated metrics.
func (d *Datasheet) writeReach(p *page) {
	for _, s := range d.Workloads {
		for i, look := range d.Rules.Looks {
			least := math.Ldexp(float64(s.Gated), -look)
			if threshold := thresholds(d.Rules)[i]; s.Gated > 0 && least > threshold {
				p.text("%s: look %d can pass but not call a single metric: the least p of %d blocks is %.2g, times %d gated metrics %.2g, and the look asks for %.2g.\n\n",
					s.Workload, i+1, look, math.Ldexp(1, -look), s.Gated, least, threshold)
			}
		}
	}
}

func unjudged(outcomes map[string]int) string {
	if len(outcomes) == 0 {
		return "0"
	}
	var parts []string
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		parts = append(parts, fmt.Sprintf("%d %s", outcomes[outcome], outcome))
	}
	return strings.Join(parts, ", ")
}

func (d *Datasheet) writeEffects(p *page) {
	p.text("## 4. What each dose does\n\nThe true worsening: Hodges–Lehmann over all kept blocks of the dose, with its 95 %% signed-rank interval; below 0 is better. Where the metric is adjusted for a covariate, the last two columns are the worsening without that, and what the dose does to the covariate itself: a dose that moved the reference work would be adjusted away in part. Here and in 5, a metric that the fault need not move is left out when its interval holds 0 and no direct gate called it; the JSON has all.\n\n")
	d.eachDoseTable(p, []string{"metric", "true effect", "not adjusted", "on the covariate"}, func(m DoseMetric) []string {
		if m.Effect == nil {
			return nil
		}
		cells := []string{effect(m.Effect), reports.OrDash(""), reports.OrDash("")}
		if m.Unadjusted != nil && m.OnCovariate != nil {
			cells[1], cells[2] = effect(m.Unadjusted), m.Metric.Covariate+" "+effect(m.OnCovariate)
		}
		return cells
	})
}

// eachDoseTable writes one table a workload: a row for each dose and metric whose cells are not nil.
func (d *Datasheet) eachDoseTable(p *page, header []string, cells func(DoseMetric) []string) {
	for _, s := range d.Workloads {
		p.text("### %s\n\n", s.Workload)
		var rows []reports.Row
		for _, dose := range s.Doses {
			for _, m := range dose.Metrics {
				if c := cells(m); c != nil && (m.moved() || dose.expects(m.Metric.Name)) {
					rows = append(rows, reports.Row{Label: dose.Dose, Cells: append([]string{metricLabel(m.Metric)}, c...)})
				}
			}
		}
		p.table(append([]string{"dose"}, header...), rows)
	}
}

func (d *Datasheet) writePower(p *page) {
	p.text("## 5. Power\n\nAny gated metric: gates that call a regression.\n\n")
	var rows []reports.Row
	for _, s := range d.Workloads {
		for _, dose := range s.Doses {
			rows = append(rows, reports.Row{Label: s.Workload, Cells: []string{dose.Dose, fmt.Sprint(dose.Blocks), rate(dose.Direct), simulated(dose.Resampled), unjudged(dose.Unjudged)}})
		}
	}
	p.table([]string{"workload", "dose", "blocks", "direct", "resampled", "direct without a judgement"}, rows)
	p.text("One metric alone: direct gates in which its row was a regression; resampled gates in which it calls by itself at the threshold of Holm's first step among all gated metrics.\n\n")
	d.eachDoseTable(p, []string{"metric", "true effect", "direct", "resampled, alone"}, func(m DoseMetric) []string {
		if !m.Metric.Gated || m.Effect == nil && m.Direct == nil {
			return nil
		}
		return []string{effect(m.Effect), rate(m.Direct), simulated(m.Alone)}
	})
	p.text("The smallest true effect among the measured doses that a metric alone calls in at least 80 %% of resampled gates:\n\n")
	rows = nil
	for _, s := range d.Workloads {
		for _, l := range s.Least {
			row := reports.Row{Label: s.Workload, Cells: []string{metricLabel(l.Metric), "none of the doses", "–", "–"}}
			if l.Dose != "" {
				row.Cells = []string{metricLabel(l.Metric), l.Dose, effect(l.Effect), simulated(l.Alone)}
			}
			rows = append(rows, row)
		}
	}
	p.table([]string{"workload", "metric", "dose", "true effect", "resampled, alone"}, rows)
	p.text("A/A pool shifted by δ: the share of resampled gates that call a constant worsening δ added to every A/A block, one metric alone, and the δ at which that is 80 %% and 95 %%.\n\n")
	for _, s := range d.Workloads {
		s.writeShift(p)
	}
}

// shownDeltas are the points of the curve that the page shows; the JSON has all.
func shownDeltas() []float64 { return []float64{0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2} }

func (s Sheet) writeShift(p *page) {
	p.text("### %s\n\n", s.Workload)
	header := []string{"metric", "least δ, 80 %", "least δ, 95 %"}
	for _, delta := range shownDeltas() {
		header = append(header, percent(delta))
	}
	var rows []reports.Row
	for _, n := range s.Null {
		if n.Shift == nil || n.Blocks == 0 {
			continue
		}
		row := reports.Row{Label: metricLabel(n.Metric), Cells: []string{n.Shift.detectable(n.Shift.At80), n.Shift.detectable(n.Shift.At95)}}
		for _, point := range n.Shift.Curve {
			if slices.Contains(shownDeltas(), point.Delta) {
				row.Cells = append(row.Cells, percent(point.Power))
			}
		}
		rows = append(rows, row)
	}
	p.table(header, rows)
}

// detectable writes a least δ.
func (s *Shift) detectable(delta float64) string {
	if delta == 0 {
		return "> " + percent(s.Curve[len(s.Curve)-1].Delta)
	}
	return percent(delta)
}

func (d *Datasheet) writeCoverage(p *page) {
	p.text("## 6. Coverage\n\nThe share of two-sided 95 %% signed-rank intervals of resampled gates at the last look that hold the effect of the pool they were drawn from. It should be 95 %% or a little more.\n\n")
	for _, s := range d.Workloads {
		p.text("### %s\n\n", s.Workload)
		var rows []reports.Row
		for i, n := range s.Null {
			if n.Blocks == 0 {
				continue
			}
			row := reports.Row{Label: metricLabel(n.Metric), Cells: []string{simulated(n.Coverage), notMeasured}}
			for _, dose := range s.Doses {
				if dose.Dose == coverageDose {
					row.Cells[1] = simulated(dose.Metrics[i].Coverage)
				}
			}
			rows = append(rows, row)
		}
		p.table([]string{"metric", "A/A", coverageDose}, rows)
	}
}

func (d *Datasheet) writeNaive(p *page) {
	p.text("## 7. The same runs, judged without blocks\n\nOne run each: the first A and the first B of a block. Ten then ten on A/A: the runs as they came, ten called A and the next ten B, different in either direction; " +
		"on a dose: the ten A-runs of five adjacent blocks, then the ten B-runs of the next five, worse. Rejected blocks take part, for these designs reject nothing. The gate's own rates are in 3 and 5.\n\n")
	for _, s := range d.Workloads {
		p.text("### %s\n\n", s.Workload)
		header := []string{"design", "by", "false alarms"}
		for _, dose := range s.Doses {
			header = append(header, dose.Dose)
		}
		var rows []reports.Row
		for _, n := range s.Naive {
			row := reports.Row{Label: n.Design, Cells: []string{n.Label, rate(n.FalseAlarms)}}
			for _, dose := range s.Doses {
				cell := notMeasured
				for _, detected := range n.Detections {
					if detected.Dose == dose.Dose {
						cell = rate(detected.Rate)
					}
				}
				row.Cells = append(row.Cells, cell)
			}
			rows = append(rows, row)
		}
		p.table(header, rows)
	}
}

func (d *Datasheet) writeFaults(p *page) {
	p.text("## 8. Faults\n\nA fault counts as caught when a metric that must show it calls it in at least 80 %% of the direct gates, or of the resampled ones where no direct gate ran.\n\n")
	var rows []reports.Row
	caught, measured := 0, 0
	for _, c := range d.Caught {
		yes := notMeasured
		if c.Yes != nil {
			measured++
			yes = "NO"
			if *c.Yes {
				caught++
				yes = "yes"
			}
		}
		best := notMeasured
		if c.Power != nil {
			best = d.label(c.Best) + " " + simulated(c.Power)
		}
		rows = append(rows, reports.Row{Label: c.Dose, Cells: []string{c.Workload, d.labels(c.Expected), rate(c.Direct), d.calls(c.CalledBy), best, reports.OrDash(d.labels(c.Shown)), yes}})
	}
	p.table([]string{"dose", "workload", "expected", "direct, by an expected metric", "called by (direct gates)", "resampled, best expected", "shown, not gated", "caught"}, rows)
	if measured > 0 {
		p.text("Caught: %d of %d.\n\n", caught, measured)
	}
	p.text("Correctness faults: every run must end with exit %d.\n\n", exitCorrectness)
	rows = nil
	for _, b := range d.Broken {
		yes := "NO"
		if b.Caught == b.Runs {
			yes = "yes"
		}
		rows = append(rows, reports.Row{Label: b.Fault, Cells: []string{b.Workload, rate(newRate(b.Caught, b.Runs)),
			reports.FormatCount(float64(b.Expected)), fmt.Sprintf("%+d", b.Read-b.Expected), reports.FormatCount(float64(b.Lost)), reports.FormatCount(float64(b.Duplicated)), yes}})
	}
	p.table([]string{"fault", "workload", "exit 6", "records acknowledged", "read back", "lost", "duplicated", "caught"}, rows)
}

func (d *Datasheet) writePace(p *page) {
	p.text("## 9. How long a verdict takes\n\n")
	var rows []reports.Row
	for _, l := range d.Pace.Looks {
		rows = append(rows, reports.Row{Label: fmt.Sprint(l.Look), Cells: []string{fmt.Sprint(l.Gates), duration(l.MedianSeconds), duration(l.MaxSeconds)}})
	}
	p.table([]string{"decided at look", "direct gates", "median", "max"}, rows)
	pace := notMeasured
	if d.Pace.BlocksPerMinute > 0 {
		pace = fmt.Sprintf("%.2f", d.Pace.BlocksPerMinute)
	}
	p.text("Blocks per minute: %s.\n", pace)
}

// label is a metric's word in tables; its name when no workload knows it.
func (d *Datasheet) label(metric string) string {
	for _, m := range trial.Metrics() {
		if m.Name == metric {
			return m.Label
		}
	}
	return metric
}

func (d *Datasheet) labels(metrics []string) string {
	var labels []string
	for _, m := range metrics {
		labels = append(labels, d.label(m))
	}
	return strings.Join(labels, ", ")
}

func (d *Datasheet) calls(by map[string]int) string {
	var parts []string
	for _, m := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%s %d", d.label(m), by[m]))
	}
	return reports.OrDash(strings.Join(parts, ", "))
}

func metricLabel(m trial.Metric) string {
	if m.Gated {
		return m.Label
	}
	return m.Label + " (not gated)"
}

// rate writes "0/10 (0–30.8 %)".
func rate(r *Rate) string {
	if r == nil {
		return notMeasured
	}
	return fmt.Sprintf("%d/%d (%s–%s)", r.Hits, r.Of, number(r.Low), percent(r.High))
}

// simulated writes "0.4 % (0–1.2 %)", with Simulated.bounds.
func simulated(s *Simulated) string {
	if s == nil {
		return notMeasured
	}
	low, high := s.bounds()
	return fmt.Sprintf("%s (%s–%s)", percent(s.Share), number(low), percent(high))
}

// effect writes "+2.1 % (+1.8 to +2.4 %)".
func effect(e *Effect) string {
	if e == nil {
		return notMeasured
	}
	return fmt.Sprintf("%s %% (%s to %s %%)", signed(e.Estimate), signed(e.Low), signed(e.High))
}

// percent writes a share: "0.52 %", "3.1 %", "83.0 %", "100 %".
func percent(share float64) string { return number(share) + " %" }

func number(share float64) string {
	v := share * 100
	switch {
	case v == 0 || v == 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 99.95 && v < 100:
		return "99.9" // all but always is not always
	case v >= 1 || v <= -1:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func signed(share float64) string {
	if math.Abs(share) < 0.00005 {
		return "0"
	}
	if share > 0 {
		return "+" + number(share)
	}
	return number(share)
}

func hours(seconds float64) string { return fmt.Sprintf("%.1f h", seconds/3600) }

func duration(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
