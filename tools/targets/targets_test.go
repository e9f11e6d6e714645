package targets

import (
	"strings"
	"testing"

	"fluxmq/reports"
	"fluxmq/tools/limits"
)

func one(v float64) reports.Spread {
	return reports.Spread{Median: v, Min: v * 0.9, Max: v * 1.1, N: 3}
}

func measuredWith(rows map[string][]reports.RatioRow) Measured {
	m := Measured{Digests: map[string]*Digest{}}
	for id, r := range rows {
		m.Digests[id] = &Digest{ID: id, Rows: r}
	}
	return m
}

func verdictOf(t *testing.T, m Measured, what string) Verdict {
	t.Helper()
	for _, v := range Judge(m) {
		if strings.HasPrefix(v.Target.What, what) {
			return v
		}
	}
	t.Fatalf("no target %q", what)
	return Verdict{}
}

func TestJudge(t *testing.T) {
	cpu := func(ratio float64) []reports.RatioRow {
		return []reports.RatioRow{{Label: "broker CPU-s/GB wire", A: one(1.2), B: one(1.2 / ratio), Ratio: one(ratio)}}
	}
	for _, c := range []struct {
		name   string
		m      Measured
		what   string
		word   string
		figure float64
	}{
		{"lower is better, aim", measuredWith(map[string][]reports.RatioRow{"wire-1m-lz4": cpu(0.1), "wire-1m-lz4-default": cpu(0.08)}), "broker CPU-s/GB", "aim met", 0.1},
		{"the experiment nearer to the floor counts", measuredWith(map[string][]reports.RatioRow{"wire-1m-lz4": cpu(0.1), "wire-1m-lz4-default": cpu(0.3)}), "broker CPU-s/GB", "MISSED", 0.3},
		{"between floor and aim", measuredWith(map[string][]reports.RatioRow{"wire-1m-lz4": cpu(0.2), "wire-1m-lz4-default": cpu(0.1)}), "broker CPU-s/GB", "floor met", 0.2},
		{"an experiment that was not run", measuredWith(map[string][]reports.RatioRow{"wire-1m-lz4": cpu(0.2)}), "broker CPU-s/GB", "not measured", 0},
		{"higher is better, missed", measuredWith(map[string][]reports.RatioRow{"durable": {{Label: "delivered msg/s", Ratio: one(2.5)}}}), "durable", "MISSED", 2.5},
		{"inverse: bytes per CPU-second", measuredWith(map[string][]reports.RatioRow{"consume": {{Label: "broker CPU-s/GB raw", Ratio: one(0.5)}}}), "consume", "aim met", 2},
		{"absolute", measuredWith(map[string][]reports.RatioRow{"megabatch-java": {{Label: "broker idle RSS MiB", A: one(20), Ratio: one(0.1)}}}), "resident memory, idle", "floor met", 20},
		{"no experiment at all", measuredWith(nil), "Java megabatch against a null broker", "not measured", 0},
	} {
		v := verdictOf(t, c.m, c.what)
		if v.Word != c.word || (c.figure != 0 && v.Figure.Median != c.figure) {
			t.Errorf("%s: %s %v, want %s %v (%s)", c.name, v.Word, v.Figure.Median, c.word, c.figure, v.Why)
		}
	}
}

func TestAgainstTheIdealLoop(t *testing.T) {
	m := measuredWith(map[string][]reports.RatioRow{"wire-1m-lz4": {{Label: "broker CPU-s/GB wire", A: one(1.2), B: one(6), Ratio: one(0.2)}}})
	m.Limits = []limits.Row{{ChunkBytes: 256 << 10, Rounds: 5, CPUSecondsPerGB: limits.Spread{Median: 1, Min: 1, Max: 1}}}
	if v := verdictOf(t, m, "the same against the ideal loop"); v.Word != "aim met" || v.Figure.Median != 1.2 {
		t.Errorf("%+v", v)
	}
}

func TestStoreLoadMarkdown(t *testing.T) {
	dir := t.TempDir()
	d := &Digest{ID: "durable", Command: "bin/fluxbench versus durable", Rounds: 3, A: "fluxmq", B: "kafka", Rows: []reports.RatioRow{
		{Label: "delivered msg/s", HigherWins: true, A: one(300), B: one(100), Ratio: one(3)}, {Label: "produce p50", A: one(2e6), B: one(4e6), Ratio: one(0.5)}}}
	if err := Store(dir, d.ID, d); err != nil {
		t.Fatal(err)
	}
	m, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	if err := Markdown(&page, m); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"floor met", "bin/fluxbench versus durable", "2 (1.8–2.2) ms", "**not measured**: experiment wire-16k was not run"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("%q is missing in\n%s", want, page.String())
		}
	}
}
