// Package targets holds the project's targets against Apache Kafka and against
// the ideal loop, the experiments that measure them, and the judgement: met,
// missed, or not measured. Figures come from stored experiments only.
package targets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"fluxmq/reports"
	"fluxmq/tools/limits"
)

// Experiment is one `fluxbench versus` run.
type Experiment struct {
	ID       string
	Scenario string
	Client   string
	Tuned    bool
	// Flush is log.flush on our side; acks gives Kafka flush.messages=1.
	Flush string
	// Rate is N/s, max, or "half of ID": half of what Kafka delivered in that experiment.
	Rate string
}

// Experiments in the order they run; each takes two to four minutes at three rounds.
var Experiments = []Experiment{
	{ID: "wire-1m-lz4", Scenario: "wire_1m_lz4", Client: "wire", Tuned: true, Flush: "os"},
	{ID: "wire-1m-lz4-default", Scenario: "wire_1m_lz4", Client: "wire", Flush: "os"},
	{ID: "wire-16k", Scenario: "wire_16k", Client: "wire", Tuned: true, Flush: "os"},
	{ID: "wire-1k", Scenario: "wire_1k", Client: "wire", Tuned: true, Flush: "os"},
	{ID: "megabatch-java", Scenario: "megabatch", Client: "java", Tuned: true, Flush: "os"},
	{ID: "latency-max", Scenario: "latency", Client: "franz-go", Tuned: true, Flush: "os", Rate: "max"},
	{ID: "latency-half", Scenario: "latency", Client: "franz-go", Tuned: true, Flush: "os", Rate: "half of latency-max"},
	{ID: "durable", Scenario: "durable", Client: "franz-go", Tuned: true, Flush: "acks"},
	{ID: "consume", Scenario: "consume", Client: "franz-go", Tuned: true, Flush: "os"},
}

// Digest is what is kept of one experiment.
type Digest struct {
	ID      string             `json:"id"`
	Command string             `json:"command"`
	Time    string             `json:"time"`
	Commit  string             `json:"commit"`
	Dirty   bool               `json:"dirty"`
	Host    string             `json:"host"`
	A       string             `json:"a"`
	B       string             `json:"b"`
	Rounds  int                `json:"rounds"`
	Failed  string             `json:"failed,omitempty"`
	Rows    []reports.RatioRow `json:"rows"`
}

// Measured is everything that was stored: digests by id and the ideal loop.
type Measured struct {
	Digests map[string]*Digest
	Limits  []limits.Row
}

// against says what a target's figure is.
type against int

const (
	ratio    against = iota // ours over Kafka's
	absolute                // ours alone
	ideal                   // ours over the ideal loop at Chunk
)

// Target is one line of the targets table.
type Target struct {
	What       string
	Experiment string
	Also       string // a second experiment (Kafka with defaults): the figure nearer to the floor counts
	Measure    string // label of a reports.RatioRow
	Against    against
	Chunk      int // for ideal
	HigherWins bool
	Inverse    bool // the figure is Kafka's over ours
	Floor, Aim float64
	Unit       string
}

// Table is the targets of the project, from its decisions.
var Table = []Target{
	{What: "broker CPU-s/GB, wire replay, 1 MB lz4 batches", Experiment: "wire-1m-lz4", Also: "wire-1m-lz4-default", Measure: "broker CPU-s/GB wire", Floor: 0.25, Aim: 0.12, Unit: "× Kafka"},
	{What: "the same against the ideal loop (256 KB writes)", Experiment: "wire-1m-lz4", Measure: "broker CPU-s/GB wire", Against: ideal, Chunk: 256 << 10, Floor: 1.5, Aim: 1.2, Unit: "× ideal"},
	{What: "broker CPU per batch, 16 KB", Experiment: "wire-16k", Measure: "broker CPU-ns/msg", Floor: 0.25, Aim: 0.12, Unit: "× Kafka"},
	{What: "broker CPU per batch, 1 KB", Experiment: "wire-1k", Measure: "broker CPU-ns/msg", Floor: 0.25, Aim: 0.12, Unit: "× Kafka"},
	{What: "wire-replay throughput, 1 MB", Experiment: "wire-1m-lz4", Also: "wire-1m-lz4-default", Measure: "delivered msg/s", HigherWins: true, Floor: 3, Aim: 5, Unit: "× Kafka"},
	{What: "wire-replay throughput, 16 KB", Experiment: "wire-16k", Measure: "delivered msg/s", HigherWins: true, Floor: 4, Aim: 8, Unit: "× Kafka"},
	{What: "wire-replay throughput, 1 KB", Experiment: "wire-1k", Measure: "delivered msg/s", HigherWins: true, Floor: 5, Aim: 10, Unit: "× Kafka"},
	{What: "Java client end to end, megabatch, delivered", Experiment: "megabatch-java", Measure: "delivered msg/s", HigherWins: true, Floor: 1.1, Aim: 1.2, Unit: "× Kafka"},
	{What: "p50 at half of Kafka's maximum, open loop", Experiment: "latency-half", Measure: "produce p50", Floor: 0.5, Aim: 0.3, Unit: "× Kafka"},
	{What: "p99 at half of Kafka's maximum", Experiment: "latency-half", Measure: "produce p99", Floor: 0.5, Aim: 0.25, Unit: "× Kafka"},
	{What: "p99.9 at half of Kafka's maximum", Experiment: "latency-half", Measure: "produce p99.9", Floor: 0.5, Aim: 0.25, Unit: "× Kafka"},
	{What: "durable acks=all, 16 connections (Kafka: flush.messages=1)", Experiment: "durable", Measure: "delivered msg/s", HigherWins: true, Floor: 3, Aim: 6, Unit: "× Kafka"},
	{What: "consume, bytes per broker CPU-second", Experiment: "consume", Measure: "broker CPU-s/GB raw", HigherWins: true, Inverse: true, Floor: 1.2, Aim: 1.8, Unit: "× Kafka"},
	{What: "resident memory, idle", Experiment: "megabatch-java", Measure: "broker idle RSS MiB", Against: absolute, Floor: 30, Aim: 15, Unit: "MiB"},
	{What: "resident memory, peak in megabatch", Experiment: "megabatch-java", Measure: "broker peak RSS MiB", Against: absolute, Floor: 150, Aim: 80, Unit: "MiB"},
	{What: "process start to ready", Experiment: "megabatch-java", Measure: "start to ready ms", Floor: 0.1, Aim: 0.02, Unit: "× Kafka"},
	{What: "Java megabatch against a null broker; partitions on one node", Unit: ""},
}

// Verdict is one judged target.
type Verdict struct {
	Target Target
	Figure reports.Spread
	Ours   reports.Spread // ours in the measure's own unit, for the reader
	Theirs reports.Spread
	Word   string // aim met | floor met | MISSED | not measured
	Why    string
}

// Judge holds every target against what was measured.
func Judge(m Measured) []Verdict {
	verdicts := make([]Verdict, 0, len(Table))
	for _, t := range Table {
		v, err := judgeOne(t, m)
		if err != nil {
			v = Verdict{Target: t, Word: "not measured", Why: err.Error()}
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func judgeOne(t Target, m Measured) (Verdict, error) {
	v, err := figure(t, t.Experiment, m)
	if err != nil {
		return v, err
	}
	if t.Also != "" {
		also, err := figure(t, t.Also, m)
		if err != nil {
			return v, err
		}
		if (also.Figure.Median < v.Figure.Median) == t.HigherWins {
			v = also
		}
	}
	better := func(goal float64) bool {
		if t.HigherWins {
			return v.Figure.Median >= goal
		}
		return v.Figure.Median <= goal
	}
	switch {
	case better(t.Aim):
		v.Word = "aim met"
	case better(t.Floor):
		v.Word = "floor met"
	default:
		v.Word = "MISSED"
	}
	return v, nil
}

// figure is a target's figure in one experiment.
func figure(t Target, experiment string, m Measured) (Verdict, error) {
	v := Verdict{Target: t}
	if experiment == "" {
		return v, errors.New("no experiment yet")
	}
	d := m.Digests[experiment]
	if d == nil {
		return v, fmt.Errorf("experiment %s was not run", experiment)
	}
	if d.Failed != "" {
		return v, fmt.Errorf("experiment %s failed: %s", experiment, d.Failed)
	}
	for _, row := range d.Rows {
		if row.Label != t.Measure {
			continue
		}
		v.Ours, v.Theirs, v.Figure = row.A, row.B, row.Ratio
		switch {
		case t.Against == absolute:
			v.Figure = row.A
		case t.Against == ideal:
			return againstIdeal(v, m.Limits)
		case t.Inverse:
			v.Figure = reports.Spread{Median: 1 / row.Ratio.Median, Min: 1 / row.Ratio.Max, Max: 1 / row.Ratio.Min, N: row.Ratio.N}
		}
		return v, nil
	}
	return v, fmt.Errorf("experiment %s has no measure %q", experiment, t.Measure)
}

func againstIdeal(v Verdict, rows []limits.Row) (Verdict, error) {
	for _, l := range rows {
		if l.ChunkBytes == v.Target.Chunk {
			c := l.CPUSecondsPerGB
			v.Theirs = reports.Spread{Median: c.Median, Min: c.Min, Max: c.Max, N: l.Rounds}
			v.Figure = reports.Spread{Median: v.Ours.Median / c.Median, Min: v.Ours.Min / c.Max, Max: v.Ours.Max / c.Min, N: v.Ours.N}
			return v, nil
		}
	}
	return v, errors.New("the ideal loop was not measured")
}

// Load reads what is stored under dir; a folder that does not exist holds nothing.
func Load(dir string) (Measured, error) {
	m := Measured{Digests: map[string]*Digest{}}
	for _, e := range Experiments {
		var d Digest
		found, err := read(filepath.Join(dir, e.ID+".json"), &d)
		if err != nil {
			return m, err
		}
		if found {
			m.Digests[e.ID] = &d
		}
	}
	_, err := read(filepath.Join(dir, "limits.json"), &m.Limits)
	return m, err
}

func read(path string, into any) (bool, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return true, nil
}

// Store writes one experiment's digest, or the ideal loop as id "limits".
func Store(dir, id string, v any) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, id+".json"), append(b, '\n'), 0o644)
}

// Markdown writes the judged table and, below it, each experiment with its command.
func Markdown(w io.Writer, m Measured) error {
	var b strings.Builder
	b.WriteString("# Targets, measured\n\nWritten by `make targets`. Figures are medians with minimum and maximum over rounds, ratios of the two arm-runs of a round, FluxMQ and\n" +
		"Apache Kafka interleaved on one machine, both with `log.flush=os` unless the line says durable; Kafka is warmed up longer (its command says how long; not in consume, where the fill is the only load before). Three rounds describe this run; they are no test.\n\n" +
		"| target | floor | aim | measured | FluxMQ | Kafka or ideal | verdict | experiment |\n|---|---|---|---|---|---|---|---|\n")
	for _, v := range Judge(m) {
		t := v.Target
		if v.Word == "not measured" {
			fmt.Fprintf(&b, "| %s | %s | %s | – | – | – | **not measured**: %s | %s |\n", t.What, bound(t, t.Floor), bound(t, t.Aim), v.Why, t.Experiment)
			continue
		}
		theirs := measured(t.Measure, v.Theirs)
		fmt.Fprintf(&b, "| %s | %s | %s | %s %s | %s | %s | %s | %s |\n", t.What, bound(t, t.Floor), bound(t, t.Aim), text(v.Figure), t.Unit, measured(t.Measure, v.Ours), theirs, emphasise(v.Word), t.Experiment)
	}
	b.WriteString("\n## Experiments\n")
	for _, e := range Experiments {
		d := m.Digests[e.ID]
		if d == nil {
			continue
		}
		dirty := ""
		if d.Dirty {
			dirty = ", uncommitted changes"
		}
		fmt.Fprintf(&b, "\n### %s\n\n    %s\n\n%s against %s, %d rounds, %s, commit %.12s%s, on %s.\n\n", e.ID, d.Command, d.A, d.B, d.Rounds, d.Time, d.Commit, dirty, d.Host)
		if d.Failed != "" {
			fmt.Fprintf(&b, "FAILED: %s\n", d.Failed)
			continue
		}
		b.WriteString("| measure | FluxMQ | Kafka | ratio |\n|---|---|---|---|\n")
		for _, r := range d.Rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.Label, measured(r.Label, r.A), measured(r.Label, r.B), text(r.Ratio))
		}
	}
	if len(m.Limits) > 0 {
		b.WriteString("\n### the ideal loop\n\n    bin/fluxbench limits\n\n| chunk | CPU-s/GB | CPU-µs per chunk | GB/s |\n|---|---|---|---|\n")
		for _, l := range m.Limits {
			spread := func(s limits.Spread) string {
				return text(reports.Spread{Median: s.Median, Min: s.Min, Max: s.Max, N: l.Rounds})
			}
			fmt.Fprintf(&b, "| %d KiB | %s | %s | %s |\n", l.ChunkBytes>>10, spread(l.CPUSecondsPerGB), spread(l.CPUMicrosPerWork), spread(l.GBPerSecond))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func bound(t Target, v float64) string {
	if v == 0 {
		return "–"
	}
	if t.HigherWins {
		return fmt.Sprintf("≥ %g", v)
	}
	return fmt.Sprintf("≤ %g", v)
}

func emphasise(word string) string {
	if word == "MISSED" {
		return "**MISSED**"
	}
	return word
}

// measured is a spread in the unit of its measure; latencies are stored in nanoseconds.
func measured(label string, s reports.Spread) string {
	if strings.HasPrefix(label, "produce p") || strings.HasPrefix(label, "end-to-end p") {
		return text(reports.Spread{Median: s.Median / 1e6, Min: s.Min / 1e6, Max: s.Max / 1e6, N: s.N}) + " ms"
	}
	return text(s)
}

func text(s reports.Spread) string {
	return fmt.Sprintf("%s (%s–%s)", short(s.Median), short(s.Min), short(s.Max))
}

// short is three significant digits without an exponent.
func short(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}
