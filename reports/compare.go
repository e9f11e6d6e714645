package reports

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// Comparison sets two results beside each other that ran interleaved: round by
// round, so that each ratio is of two arm-runs of the same minute.
type Comparison struct {
	A, B    *Summary
	Clients []ClientComparison
}

// ClientComparison is one client on both targets.
type ClientComparison struct {
	Client string
	Rows   []RatioRow
	Failed string // why there is nothing to compare
}

// RatioRow is one measure. Ratio is A/B: the median of the rounds' ratios with minimum and maximum.
type RatioRow struct {
	Label      string
	HigherWins bool
	A, B       Spread
	Ratio      Spread
	format     func(float64) string
}

// measureOf reads one figure of an arm-run; 0 means that it is not known.
type measureOf struct {
	label      string
	higherWins bool
	value      func(ArmRun, Latencies) float64
	format     func(float64) string
}

var compared = []measureOf{
	{"delivered msg/s", true, func(r ArmRun, _ Latencies) float64 { return deliveredRate(r) }, FormatCount},
	{"broker CPU-ns/msg", false, func(r ArmRun, _ Latencies) float64 { return CostOf(r).CPUNsPerRecord }, FormatCount},
	{"broker CPU-s/GB raw", false, func(r ArmRun, _ Latencies) float64 { return CostOf(r).CPUSecondsPerRawGB }, FormatCount},
	{"broker CPU-s/GB wire", false, func(r ArmRun, _ Latencies) float64 { return CostOf(r).CPUSecondsPerLogGB }, FormatCount},
	{"client CPU-ns/msg", false, func(r ArmRun, _ Latencies) float64 {
		return float64(r.Result.CPUUserNs+r.Result.CPUSystemNs) / float64(max(r.Result.Records, 1))
	}, FormatCount},
	{"produce p50", false, func(_ ArmRun, l Latencies) float64 { return float64(l.Quantiles(TagProduce).P50) }, FormatNs},
	{"produce p99", false, func(_ ArmRun, l Latencies) float64 { return float64(l.Quantiles(TagProduce).P99) }, FormatNs},
	{"produce p99.9", false, func(_ ArmRun, l Latencies) float64 { return float64(l.Quantiles(TagProduce).P999) }, FormatNs},
	{"end-to-end p50", false, func(_ ArmRun, l Latencies) float64 { return float64(l.Quantiles(TagEndToEnd).P50) }, FormatNs},
	{"end-to-end p99", false, func(_ ArmRun, l Latencies) float64 { return float64(l.Quantiles(TagEndToEnd).P99) }, FormatNs},
	{"broker peak RSS MiB", false, func(r ArmRun, _ Latencies) float64 { return float64(r.Broker.PeakRSSBytes) / (1 << 20) }, FormatCount},
	{"broker idle RSS MiB", false, func(r ArmRun, _ Latencies) float64 { return float64(r.Broker.ReadyRSSBytes) / (1 << 20) }, FormatCount},
	{"start to ready ms", false, func(r ArmRun, _ Latencies) float64 { return r.Broker.StartToReadyMs }, FormatCount},
}

// Compare pairs the rounds of two results of one run. dirA and dirB hold their histogram logs.
func Compare(a, b *Summary, dirA, dirB string) (*Comparison, error) {
	c := &Comparison{A: a, B: b}
	for _, client := range a.Result.Clients {
		row := ClientComparison{Client: client}
		pairs, err := pairRounds(a.Result, b.Result, client, dirA, dirB)
		if err != nil {
			return nil, err
		}
		for _, s := range []*Summary{a, b} {
			i := slices.IndexFunc(s.Clients, func(c ClientSummary) bool { return c.Client == client })
			if i >= 0 && s.Clients[i].Failed != "" {
				row.Failed = s.Result.Target.Label() + ": " + s.Clients[i].Failed
			}
		}
		if row.Failed == "" && len(pairs) == 0 {
			row.Failed = "no round ended on both targets"
		}
		if row.Failed == "" {
			row.Rows = ratios(pairs)
		}
		c.Clients = append(c.Clients, row)
	}
	return c, nil
}

type roundPair struct {
	a, b   ArmRun
	la, lb Latencies
}

func pairRounds(a, b *Result, client, dirA, dirB string) ([]roundPair, error) {
	var pairs []roundPair
	for _, x := range a.ArmRuns {
		for _, y := range b.ArmRuns {
			if x.Client != client || y.Client != client || x.Round != y.Round || !x.Sound() || !y.Sound() {
				continue
			}
			pair := roundPair{a: x, b: y}
			var err error
			if pair.la, err = armLatencies(x, dirA); err != nil {
				return nil, err
			}
			if pair.lb, err = armLatencies(y, dirB); err != nil {
				return nil, err
			}
			pairs = append(pairs, pair)
		}
	}
	return pairs, nil
}

// armLatencies reads the log of one arm-run.
func armLatencies(run ArmRun, dir string) (Latencies, error) {
	if run.LatencyLog == "" || dir == "" {
		return Latencies{}, nil
	}
	return ReadLatencyLog(filepath.Join(dir, filepath.Base(run.LatencyLog)), run.Result.WindowStartUnixNs)
}

func ratios(pairs []roundPair) []RatioRow {
	var rows []RatioRow
	for _, m := range compared {
		var as, bs, rs []float64
		for _, p := range pairs {
			x, y := m.value(p.a, p.la), m.value(p.b, p.lb)
			if x > 0 && y > 0 {
				as, bs, rs = append(as, x), append(bs, y), append(rs, x/y)
			}
		}
		if len(rs) > 0 {
			rows = append(rows, RatioRow{m.label, m.higherWins, spreadOf(as), spreadOf(bs), spreadOf(rs), m.format})
		}
	}
	return rows
}

// table is the comparison as rows: one block a client.
func (c *Comparison) table() (header []string, rows []Row) {
	header = []string{"client", "measure", c.A.Result.Target.Label(), c.B.Result.Target.Label(), "ratio (min–max)"}
	for _, client := range c.Clients {
		if client.Failed != "" {
			rows = append(rows, Row{client.Client, []string{"FAILED: " + client.Failed, "", "", ""}})
			continue
		}
		for _, r := range client.Rows {
			rows = append(rows, Row{client.Client, []string{r.Label, spreadText(r.A, r.format), spreadText(r.B, r.format), spreadText(r.Ratio, twoDecimals)}})
		}
	}
	return header, rows
}

func twoDecimals(v float64) string { return fmt.Sprintf("%.3f", v) }

func spreadText(s Spread, format func(float64) string) string {
	if s.N < 2 {
		return format(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", format(s.Median), format(s.Min), format(s.Max))
}

// heading says what was compared and under which promises.
func (c *Comparison) heading() string {
	return fmt.Sprintf("%s: %s (durability %s, validation %s) against %s (durability %s, validation %s), interleaved", c.A.Result.Scenario.Name,
		c.A.Result.Target.Label(), c.A.Result.Target.Durability, c.A.Result.Target.Validation, c.B.Result.Target.Label(), c.B.Result.Target.Durability, c.B.Result.Target.Validation)
}

// WriteTerminal prints the comparison for a terminal.
func (c *Comparison) WriteTerminal(w io.Writer) error {
	fmt.Fprintf(w, "\n%s\n", c.heading())
	header, rows := c.table()
	if err := RenderTable(w, header, rows, false); err != nil {
		return err
	}
	return c.note(w)
}

// WriteMarkdown prints it as a page.
func (c *Comparison) WriteMarkdown(w io.Writer) error {
	fmt.Fprintf(w, "# %s\n\n", c.heading())
	header, rows := c.table()
	if err := RenderTable(w, header, rows, true); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return c.note(w)
}

func (c *Comparison) note(w io.Writer) error {
	if note := c.A.FormNote(); note != "" {
		fmt.Fprintln(w, note)
	}
	for _, s := range []*Summary{c.A, c.B} {
		if len(s.Result.Target.JVMArgs) > 0 {
			fmt.Fprintf(w, "%s runs on a fresh JVM in every arm-run, with %.0f s of load before the window (median); it gets cheaper for minutes (--warm-up-seconds).\n", s.Result.Target.Label(), s.warmUpSeconds())
		}
	}
	_, err := fmt.Fprintln(w, "Median (minimum–maximum) over rounds; ratios are of the two arm-runs of the same round. Three rounds describe this run; they are no test.")
	return err
}

// warmUpSeconds is the median length of the warm-ups.
func (s *Summary) warmUpSeconds() float64 {
	var seconds []float64
	for _, run := range s.Result.ArmRuns {
		if run.Result != nil {
			seconds = append(seconds, run.Result.WarmUp.Seconds)
		}
	}
	return Median(seconds)
}
