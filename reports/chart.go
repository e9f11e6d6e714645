package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Chart is one SVG plot, already laid out: the template only writes it down.
type Chart struct {
	Title, Note    string
	XLabel, YLabel string
	XTicks, YTicks []Tick
	Series         []Series
	Bands          []Band // shaded spans of x: the measured window
	Dots           []Dot
	Rules          []Rule // horizontal lines and spans: a margin, an interval
	Empty          string // why there is nothing to draw
}

// Tick is a labelled place on an axis.
type Tick struct {
	At    string // pixels
	Label string
}

// Series is one line or area.
type Series struct {
	Name  string
	Class string // colour class of the style sheet
	Path  string // SVG path data
	Area  bool
	Faint bool
	First bool // carries the legend entry of its class
	Hint  string
}

// Band is a shaded span.
type Band struct{ X, End, Width string }

// Dot is one observation.
type Dot struct {
	X, Y   string // pixels
	Class  string
	Hollow bool // left out of what was computed
	Hint   string
}

// Rule is a horizontal line, or a shaded span when Height is set.
type Rule struct {
	At, Height string // pixels
	Class      string
	Label      string
}

// Plot area in SVG units.
const (
	chartWidth, chartHeight = 640, 300
	PlotLeft, PlotRight     = 76, 612
	PlotTop, PlotBottom     = 12, 256
	maxTicks                = 7
	smallestDrawnNs         = 1e3
)

// Scale maps a value to a pixel.
type Scale struct {
	Low, High float64
	From, To  float64 // pixels
	Log       bool
}

// At is the pixel of a value.
func (s Scale) At(v float64) float64 {
	low, high := s.Low, s.High
	if s.Log {
		v, low, high = math.Log10(math.Max(v, s.Low)), math.Log10(low), math.Log10(high)
	}
	if high <= low {
		return s.From
	}
	return s.From + (v-low)/(high-low)*(s.To-s.From)
}

// Pixels writes a place with a tenth of a pixel.
func Pixels(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// Point is a place in the units of the data.
type Point struct{ X, Y float64 }

// LinePath is the SVG path through the points.
func LinePath(points []Point, x, y Scale) string {
	var b strings.Builder
	for i, p := range points {
		verb := "L"
		if i == 0 {
			verb = "M"
		}
		b.WriteString(verb + Pixels(x.At(p.X)) + " " + Pixels(y.At(p.Y)))
	}
	return b.String()
}

func areaPath(upper, lower []Point, x, y Scale) string {
	var b strings.Builder
	b.WriteString(LinePath(upper, x, y))
	for i := len(lower) - 1; i >= 0; i-- {
		b.WriteString("L" + Pixels(x.At(lower[i].X)) + " " + Pixels(y.At(lower[i].Y)))
	}
	b.WriteString("Z")
	return b.String()
}

// niceStep is the smallest of 1, 2, 2.5, 5 × 10^n that divides span into at most maxTicks.
func niceStep(span float64) float64 {
	if span <= 0 {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(span/maxTicks)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if span/(base*m) <= maxTicks {
			return base * m
		}
	}
	return base * 10
}

// LinearTicks are at most maxTicks labelled places of a linear scale.
func LinearTicks(s Scale, label func(float64) string) []Tick {
	var ticks []Tick
	for _, v := range TickValues(s) {
		ticks = append(ticks, Tick{Pixels(s.At(v)), label(v)})
	}
	return ticks
}

// TickValues are the round numbers of a linear scale.
func TickValues(s Scale) []float64 {
	step := niceStep(s.High - s.Low)
	var values []float64
	for n := math.Ceil(s.Low / step); n*step <= s.High+step*1e-9; n++ {
		values = append(values, n*step)
	}
	return values
}

// RoundUp gives an axis a top that a tick falls on.
func RoundUp(high float64) float64 {
	if high <= 0 {
		return 1
	}
	step := niceStep(high)
	return math.Ceil(high*1.02/step) * step
}

// ShortNumber writes 1,234,567 as 1.235M.
func ShortNumber(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// latencyChart draws latency by percentile, both axes logarithmic: nines to the right.
func (s *Summary) latencyChart(tag, title string) Chart {
	chart := Chart{Title: title, XLabel: "percentile (each step to the right is one more nine)", YLabel: "latency, log"}
	type curve struct {
		index  int
		points []Point
	}
	var curves []curve
	low, high, decades := math.Inf(1), 0.0, 1.0
	for i, c := range s.Clients {
		var points []Point
		for _, p := range c.Latency.Curve(tag) {
			nines := -math.Log10(1 - p.Percentile/100)
			value := math.Max(float64(p.ValueNs), smallestDrawnNs)
			low, high, decades = math.Min(low, value), math.Max(high, value), math.Max(decades, nines)
			points = append(points, Point{nines, value})
		}
		if len(points) > 1 {
			curves = append(curves, curve{i, points})
		}
	}
	if len(curves) == 0 {
		chart.Empty = "no latency of a proven run"
		return chart
	}
	x := Scale{Low: 0, High: math.Ceil(decades*2) / 2, From: PlotLeft, To: PlotRight}
	y := Scale{Low: math.Pow(10, math.Floor(math.Log10(low))), High: math.Pow(10, math.Ceil(math.Log10(high*1.001))), From: PlotBottom, To: PlotTop, Log: true}
	for nines := 0; float64(nines) <= x.High; nines++ {
		label := "0"
		if nines > 0 {
			label = strconv.FormatFloat(100*(1-math.Pow(10, -float64(nines))), 'f', max(nines-2, 0), 64)
		}
		chart.XTicks = append(chart.XTicks, Tick{Pixels(x.At(float64(nines))), label})
	}
	chart.XTicks = append(chart.XTicks, Tick{Pixels(x.At(-math.Log10(0.5))), "50"})
	for v := y.Low; v <= y.High*1.001; v *= 10 {
		chart.YTicks = append(chart.YTicks, Tick{Pixels(y.At(v)), axisNs(v)})
	}
	for _, c := range curves {
		row := s.Clients[c.index]
		q := row.Latency.Quantiles(tag)
		chart.Series = append(chart.Series, Series{Name: row.Client, Class: ColourClass(c.index), Path: LinePath(c.points, x, y), First: true,
			Hint: fmt.Sprintf("%s: p50 %s, p99 %s, p99.9 %s, max %s of %s", row.Client, FormatNs(float64(q.P50)), FormatNs(float64(q.P99)), FormatNs(float64(q.P999)), FormatNs(float64(q.Max)), FormatCount(float64(q.Count)))})
	}
	return chart
}

func axisNs(v float64) string {
	return strings.TrimSuffix(strings.Replace(strings.Replace(FormatNs(v), ".00", "", 1), ".0", "", 1), " ")
}

// throughputChart draws each round's acknowledged (mode consume: received) records per second from the window's start.
func (s *Summary) throughputChart() Chart {
	chart := Chart{Title: "Throughput over time", XLabel: "seconds from the window's start (before 0: warm-up); one line per round", YLabel: "acknowledged records/s"}
	if s.consumes() {
		chart.YLabel = "read records/s"
	}
	type line struct {
		index, round int
		points       []Point
	}
	var lines []line
	left, right, top := 0.0, 1.0, 0.0
	for i, c := range s.Clients {
		for _, run := range s.Result.ArmRuns {
			if run.Client != c.Client || run.Result == nil || c.Failed != "" { // what was not delivered has no throughput
				continue
			}
			points := throughputPoints(run)
			for _, p := range points {
				left, right, top = math.Min(left, p.X), math.Max(right, p.X), math.Max(top, p.Y)
			}
			if len(points) > 0 {
				lines = append(lines, line{i, run.Round, points})
			}
		}
	}
	if len(lines) == 0 {
		chart.Empty = "no throughput of a proven run"
		return chart
	}
	x := Scale{Low: left, High: right, From: PlotLeft, To: PlotRight}
	y := Scale{Low: 0, High: RoundUp(top), From: PlotBottom, To: PlotTop}
	chart.XTicks, chart.YTicks = LinearTicks(x, shortSeconds), LinearTicks(y, ShortNumber)
	seen := map[int]bool{}
	for _, l := range lines {
		name := s.Clients[l.index].Client
		chart.Series = append(chart.Series, Series{Name: name, Class: ColourClass(l.index), Path: LinePath(l.points, x, y),
			Faint: seen[l.index], First: !seen[l.index], Hint: fmt.Sprintf("%s, round %d", name, l.round)})
		seen[l.index] = true
	}
	return chart
}

// shortestInterval is the least time that makes a rate: what is shorter (the
// rest before a window or a flush) is counted with the interval before it.
const shortestInterval = 0.7

// throughputPoints are the rates of one arm-run at the middles of their intervals, in seconds from the window's start.
func throughputPoints(run ArmRun) []Point {
	var points []Point
	var count, seconds float64
	for i, second := range run.Result.PerSecond {
		n := second.Acknowledged
		if isConsume(run) {
			n = second.Received
		}
		count, seconds = count+float64(n), seconds+second.Seconds
		restIsShort := i+2 == len(run.Result.PerSecond) && run.Result.PerSecond[i+1].Seconds < shortestInterval
		if seconds < shortestInterval || restIsShort {
			continue
		}
		points = append(points, Point{float64(second.UnixNs-run.Result.WindowStartUnixNs)/1e9 - seconds/2, count / seconds})
		count, seconds = 0, 0
	}
	return points
}

func shortSeconds(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// hostCharts draws, for the last round of each client, the CPU split and the resident memory over time.
func (s *Summary) hostCharts() (cpu, memory []Chart) {
	for _, c := range s.Clients {
		var last *ArmRun
		for i := range s.Result.ArmRuns {
			if run := &s.Result.ArmRuns[i]; run.Client == c.Client && len(run.Samples) > 1 {
				last = run
			}
		}
		if last == nil {
			continue
		}
		cpu = append(cpu, cpuChart(*last))
		memory = append(memory, memoryChart(*last))
	}
	return cpu, memory
}

// sampleTimes are seconds from the arm-run's start, and the shaded window.
func sampleTimes(run ArmRun) (times []float64, x Scale, bands []Band) {
	for _, sample := range run.Samples {
		times = append(times, float64(sample.UnixNs-run.StartUnixNs)/1e9)
	}
	x = Scale{Low: 0, High: math.Max(times[len(times)-1], 1), From: PlotLeft, To: PlotRight}
	if r := run.Result; r != nil && r.WindowStartUnixNs > 0 {
		end := max(r.DeliveredUnixNs, r.LastSendUnixNs)
		from := x.At(float64(r.WindowStartUnixNs-run.StartUnixNs) / 1e9)
		to := math.Min(x.At(float64(end-run.StartUnixNs)/1e9), PlotRight)
		if to > from {
			bands = append(bands, Band{Pixels(from), Pixels(to), Pixels(to - from)})
		}
	}
	return times, x, bands
}

func cpuChart(run ArmRun) Chart {
	chart := Chart{Title: fmt.Sprintf("CPU, %s, round %d", run.Client, run.Round), XLabel: "seconds from the broker's start; between the dashes: the window", YLabel: "cores"}
	times, x, bands := sampleTimes(run)
	cores := float64(max(run.Machine.CPUs, 1))
	y := Scale{Low: 0, High: cores, From: PlotBottom, To: PlotTop}
	chart.Bands, chart.XTicks, chart.YTicks = bands, LinearTicks(x, shortSeconds), LinearTicks(y, shortSeconds)
	layers := []struct {
		name, class string
		value       func(HostSample) float64
	}{
		{"broker", "c-broker", func(h HostSample) float64 { return h.BrokerCores }},
		{"client", "c-client", func(h HostSample) float64 { return h.ClientCores }},
		{"other", "c-other", func(h HostSample) float64 {
			return math.Max(0, h.UserCores+h.SystemCores-h.BrokerCores-h.ClientCores)
		}},
		{"iowait", "c-iowait", func(h HostSample) float64 { return h.IOWaitCores }},
		{"steal", "c-steal", func(h HostSample) float64 { return h.StealCores }},
	}
	samples := append([]HostSample{run.Samples[0]}, run.Samples...) // the first second reaches back to its start
	times = append([]float64{math.Max(0, times[0]-run.Samples[0].Seconds)}, times...)
	lower := make([]Point, len(times))
	for i, t := range times {
		lower[i] = Point{t, 0}
	}
	for _, layer := range layers {
		upper := make([]Point, len(times))
		sum := 0.0
		for i, sample := range samples {
			v := math.Max(0, layer.value(sample))
			if i > 0 {
				sum += v
			}
			upper[i] = Point{times[i], math.Min(lower[i].Y+v, cores)}
		}
		chart.Series = append(chart.Series, Series{Name: layer.name, Class: layer.class, Path: areaPath(upper, lower, x, y), Area: true, First: true,
			Hint: fmt.Sprintf("%s: %.2f cores on average", layer.name, sum/float64(len(times)-1))})
		lower = upper
	}
	return chart
}

func memoryChart(run ArmRun) Chart {
	chart := Chart{Title: fmt.Sprintf("Resident memory, %s, round %d", run.Client, run.Round), XLabel: "seconds from the broker's start; between the dashes: the window", YLabel: "MiB"}
	times, x, bands := sampleTimes(run)
	var broker, client []Point
	top := 0.0
	for i, sample := range run.Samples {
		b, c := float64(sample.BrokerRSSBytes)/(1<<20), float64(sample.ClientRSSBytes)/(1<<20)
		broker, client = append(broker, Point{times[i], b}), append(client, Point{times[i], c})
		top = math.Max(top, math.Max(b, c))
	}
	y := Scale{Low: 0, High: RoundUp(top), From: PlotBottom, To: PlotTop}
	chart.Bands, chart.XTicks, chart.YTicks = bands, LinearTicks(x, shortSeconds), LinearTicks(y, FormatCount)
	chart.Series = []Series{
		{Name: "broker", Class: "c-broker", Path: LinePath(broker, x, y), First: true, Hint: "broker, peak " + FormatMiB(run.Broker.PeakRSSBytes)},
		{Name: "client", Class: "c-client", Path: LinePath(client, x, y), First: true, Hint: "client"},
	}
	return chart
}

// ColourClass of the n-th client; the style sheet has six.
func ColourClass(n int) string { return "s" + strconv.Itoa(n%6) }
