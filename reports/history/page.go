package history

import (
	_ "embed"
	"fmt"
	"io"
	"math"
	"strings"

	"fluxmq/reports"
)

//go:embed page.html.tmpl
var pageText string

var page = reports.NewPage("history", pageText)

type pageData struct {
	Title, Note string
	Worse       int
	Reference   *Reference
	Workloads   []pageWorkload
}

type pageWorkload struct {
	Name    string
	Charts  []reports.Chart
	Changes []pageChange
	Notes   []string
}

type pageChange struct{ Class, Word, Metric, Commit, Subject, Previous, Size, Rest string }

// WriteHTML writes one offline page: a chart of every metric with its changes.
func (v *View) WriteHTML(w io.Writer) error {
	data := pageData{Title: "FluxMQ: performance by commit", Reference: v.Reference,
		Note: fmt.Sprintf("Index of each commit: head over reference, measured in alternation on one machine, chained over links. Bars: 95 %% intervals, links included. "+
			"Changes: a permutation test with p ≤ %g over all places, at least %d points on either side.", v.Test.Alpha, v.Test.Segment)}
	for _, load := range v.Workloads {
		p := pageWorkload{Name: load.Name, Notes: load.Notes}
		for _, s := range load.Metrics {
			for i, c := range s.Chains {
				title := s.Metric.Label
				if len(s.Chains) > 1 {
					title += fmt.Sprintf(", chain %d of %d (root %s)", i+1, len(s.Chains), reports.ShortCommit(c.Root))
				}
				p.Charts = append(p.Charts, c.chart(title, s.Metric.HigherWins))
				for _, change := range c.Changes {
					row := pageChange{Class: "c-good", Word: "better", Metric: title, Commit: reports.ShortCommit(change.SHA), Subject: change.Subject,
						Previous: reports.ShortCommit(change.Previous), Size: percent(change.Size.Ratio), Rest: change.words()}
					if change.Worse {
						row.Class, row.Word = "c-bad", "worse"
						data.Worse++
					}
					p.Changes = append(p.Changes, row)
				}
			}
		}
		data.Workloads = append(data.Workloads, p)
	}
	return page.Execute(w, data)
}

// mostLabels is how many commits are named below a chart.
const mostLabels = 8

// chart draws a chain: a dot and an error bar a commit, the levels between the
// changes, and a dashed line where the reference changed.
func (c *Chain) chart(title string, higherWins bool) reports.Chart {
	direction := "less is better"
	if higherWins {
		direction = "more is better"
	}
	chart := reports.Chart{Title: title, XLabel: "commits, oldest to newest; dashes: a new reference", YLabel: "index, root = 1; " + direction}
	low, high := 1.0, 1.0
	for _, p := range c.Points {
		low, high = math.Min(low, p.Index.Low), math.Max(high, p.Index.High)
	}
	margin := math.Max((high-low)*0.06, 0.002)
	x := reports.Scale{Low: -0.5, High: float64(len(c.Points)) - 0.5, From: reports.PlotLeft, To: reports.PlotRight}
	y := reports.Scale{Low: low - margin, High: high + margin, From: reports.PlotBottom, To: reports.PlotTop}
	chart.YTicks = reports.LinearTicks(y, func(v float64) string { return fmt.Sprintf("%.4g", math.Round(v*1e6)/1e6) })
	every := (len(c.Points) + mostLabels - 1) / mostLabels
	var bars strings.Builder
	for i, p := range c.Points {
		at := reports.Pixels(x.At(float64(i)))
		if i%every == 0 {
			chart.XTicks = append(chart.XTicks, reports.Tick{At: at, Label: p.SHA[:7]})
		}
		fmt.Fprintf(&bars, "M%s %sV%s", at, reports.Pixels(y.At(p.Index.Low)), reports.Pixels(y.At(p.Index.High)))
		chart.Dots = append(chart.Dots, reports.Dot{X: at, Y: reports.Pixels(y.At(p.Index.Ratio)), Class: "s0",
			Hint: fmt.Sprintf("%s %s\n%s\n%s, %d trials", reports.ShortCommit(p.SHA), p.Subject, interval95(p.Index), p.Host, p.Trials)})
		if i > 0 && p.Reference != c.Points[i-1].Reference {
			between := reports.Pixels(x.At(float64(i) - 0.5))
			chart.Bands = append(chart.Bands, reports.Band{X: between, End: between, Width: "0"})
		}
	}
	chart.Rules = []reports.Rule{{At: reports.Pixels(y.At(1)), Class: "c-soft", Label: ""}}
	chart.Series = append(chart.Series, reports.Series{Class: "s0", Path: bars.String(), Faint: true, Hint: "95 % intervals"})
	for _, level := range c.plateaus() {
		value := math.Exp(level.log)
		chart.Series = append(chart.Series, reports.Series{Name: "level", Class: "c-soft", First: level.from == 0 && len(c.Changes) > 0,
			Path: reports.LinePath([]reports.Point{{X: float64(level.from) - 0.5, Y: value}, {X: float64(level.to) - 0.5, Y: value}}, x, y), Hint: fmt.Sprintf("level %.3f", value)})
	}
	for _, change := range c.Changes {
		class := "c-good"
		if change.Worse {
			class = "c-bad"
		}
		at := float64(change.At) - 0.5
		chart.Series = append(chart.Series, reports.Series{Name: change.SHA[:7] + " " + percent(change.Size.Ratio), Class: class, First: true,
			Path: reports.LinePath([]reports.Point{{X: at, Y: y.Low}, {X: at, Y: y.High}}, x, y), Hint: change.words()})
	}
	return chart
}
