package verdict

import (
	"math"
	"strings"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// Forest plot in SVG units.
const (
	forestWidth             = 1200
	forestLeft, forestRight = 250, 850
	forestTop, forestRow    = 26, 27
	// forestReach bounds the axis as a log ratio: what lies beyond gets an arrow.
	forestReach = 0.35
)

// forest shows every metric's ratio with its interval, on one logarithmic axis.
type forest struct {
	Width, Height, Bottom int
	Ticks                 []reports.Tick
	One                   string // where head equals base
	Rows                  []forestRowView
}

// forestRowView is one metric, laid out.
type forestRowView struct {
	Y, TextY             string
	Label, Figures, Word string
	Class                string
	Faint, Known         bool
	BadX, BadWidth       string // from the margin to the bad end of the axis
	Margin, LowX, HighX  string
	RatioX               string
	LowArrow, HighArrow  bool
	Top, ZoneHeight      string
	CapTop, CapEnd       string
}

// outcomeClass is the colour of an outcome.
func outcomeClass(outcome string) string {
	switch outcome {
	case Pass, Improvement:
		return "c-good"
	case Regression, Correctness, Failed:
		return "c-bad"
	case Inconclusive, Invalid:
		return "c-warn"
	}
	return "c-soft"
}

func newForest(rows []Row) forest {
	reach := 0.02
	for _, r := range rows {
		reach = math.Max(reach, math.Abs(marginRatioLog(r.Metric))*1.25)
		for _, v := range []float64{r.Low, r.High} {
			if r.Blocks > 0 && v > 0 && !math.IsInf(v, 1) {
				reach = math.Max(reach, math.Abs(math.Log(v))*1.1)
			}
		}
	}
	reach = math.Min(reach, forestReach)
	x := reports.Scale{Low: math.Exp(-reach), High: math.Exp(reach), From: forestLeft, To: forestRight, Log: true}
	f := forest{Width: forestWidth, Bottom: forestTop + forestRow*len(rows), One: reports.Pixels(x.At(1))}
	f.Height = f.Bottom + 44
	f.Ticks = ratioTicks(x)
	for i, r := range rows {
		top := float64(forestTop + i*forestRow)
		f.Rows = append(f.Rows, forestView(r, x, top))
	}
	return f
}

func forestView(r Row, x reports.Scale, top float64) forestRowView {
	middle := top + forestRow/2.0
	class := outcomeClass(r.Outcome)
	view := forestRowView{
		Y: reports.Pixels(middle), TextY: reports.Pixels(middle + 4), CapTop: reports.Pixels(middle - 5), CapEnd: reports.Pixels(middle + 5),
		Top: reports.Pixels(top + 2), ZoneHeight: reports.Pixels(forestRow - 4),
		Label: r.Metric.Label, Word: word(r), Class: class, Faint: !r.Metric.Gated, Known: r.Blocks > 0 && r.Ratio > 0,
	}
	if r.Metric.Margin > 0 {
		margin := x.At(math.Exp(marginRatioLog(r.Metric)))
		from, to := margin, x.To
		if r.Metric.HigherWins {
			from, to = x.From, margin
		}
		if margin >= x.From && margin <= x.To { // else all that is drawn is inside it
			view.Margin, view.BadX, view.BadWidth = reports.Pixels(margin), reports.Pixels(from), reports.Pixels(to-from)
		}
	}
	if !view.Known {
		view.Figures = "–"
		return view
	}
	clip := func(ratio float64) string {
		return reports.Pixels(x.At(math.Min(math.Max(ratio, x.Low), x.High)))
	}
	view.LowX, view.RatioX, view.HighX = clip(r.Low), clip(r.Ratio), clip(r.High)
	view.LowArrow, view.HighArrow = r.Low < x.Low, r.High > x.High
	view.Figures = formatRatio(r)
	return view
}

// marginRatioLog is the margin as a log of the ratio: 3 % more cost, 5 % less throughput.
func marginRatioLog(m trial.Metric) float64 {
	if m.HigherWins {
		return math.Log(1 - math.Min(m.Margin, 0.99))
	}
	return math.Log(1 + m.Margin)
}

// ratioTicks label the axis in percent.
func ratioTicks(x reports.Scale) []reports.Tick {
	linear := reports.Scale{Low: (x.Low - 1) * 100, High: (x.High - 1) * 100, From: 0, To: 1}
	var ticks []reports.Tick
	for _, v := range reports.TickValues(linear) {
		ticks = append(ticks, reports.Tick{At: reports.Pixels(x.At(1 + v/100)), Label: tickPercent(v)})
	}
	return ticks
}

func tickPercent(v float64) string {
	text := strings.Replace(signedPercent(v/100), ".0", "", 1)
	return strings.Replace(text, "+0 ", "0 ", 1)
}
