package verdict

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"fluxmq/reports"
	"fluxmq/reports/trial"

	"pgregory.net/rapid"
)

var (
	cpu       = trial.Metric{Name: trial.BrokerCPU, Label: "broker CPU-ns/msg", Gated: true, Margin: 0.03, MinimumEffect: 0.01}
	delivered = trial.Metric{Name: trial.Delivered, Label: "delivered msg/s", HigherWins: true, Gated: true, Margin: 0.05, MinimumEffect: 0.02}
	p50       = trial.Metric{Name: trial.ProduceP50, Label: "produce p50", Margin: 0.2}
)

// effect is what a synthetic metric does: its worsening and the noise of one run, as logarithms.
type effect struct {
	metric       trial.Metric
	worse, noise float64
}

// blocks makes n blocks; the noise comes from seed, so the same call gives the same blocks.
func blocks(n int, seed uint64, effects ...effect) []trial.Block {
	rng := rand.New(rand.NewPCG(seed, 7))
	made := make([]trial.Block, n)
	for i := range made {
		order := "ABBA"
		if rng.IntN(2) == 1 {
			order = "BAAB"
		}
		b := trial.Block{Number: i + 1, Order: order}
		for position, arm := range strings.Split(order, "") {
			values := map[string]float64{}
			for _, e := range effects {
				shift := 0.0
				if arm == trial.Head {
					shift = e.worse
				}
				if e.metric.HigherWins {
					shift = -shift
				}
				values[e.metric.Name] = 1000 * math.Exp(shift+e.noise*rng.NormFloat64())
			}
			b.Runs = append(b.Runs, trial.Run{Arm: arm, Position: position + 1, Values: values, Expected: 10, Read: 10})
		}
		made[i] = b
	}
	return made
}

// gate makes a trial of two looks, at 12 and 24 blocks, with the margins of the effects' metrics.
func gate(workloads map[string][]trial.Block, metrics ...trial.Metric) *trial.Trial {
	t := &trial.Trial{Schema: trial.Schema, Kind: trial.KindGate, Seed: 1, Rules: trial.Rules{
		Looks: []int{12, 24}, Alpha: 0.01, Confidence: 0.95, MaxExtraShare: 0.5,
	}}
	for _, name := range []string{"megabatch", "small"} {
		if b, ok := workloads[name]; ok {
			t.Workloads = append(t.Workloads, trial.Workload{Scenario: reports.ScenarioRecord{Name: name}, Client: "wire", Metrics: metrics, Blocks: b})
		}
	}
	return t
}

func one(b []trial.Block, metrics ...trial.Metric) *trial.Trial {
	return gate(map[string][]trial.Block{"megabatch": b}, metrics...)
}

// edit changes blocks in place and returns them.
func edit(b []trial.Block, change func(i int, b *trial.Block)) []trial.Block {
	for i := range b {
		change(i, &b[i])
	}
	return b
}

func reject(from, to int) func(int, *trial.Block) {
	return func(i int, b *trial.Block) {
		if i >= from && i < to {
			b.Rejected = "steal"
		}
	}
}

func TestJudge(t *testing.T) {
	for _, row := range []struct {
		name    string
		trial   *trial.Trial
		outcome string
		exit    int
		look    int
		reason  string // is part of it
	}{
		{"no difference and little noise is a pass at the first look",
			one(blocks(12, 1, effect{cpu, 0, 0.005}), cpu), Pass, 0, 1, "no gated metric is worse by its margin; the nearest, broker CPU-ns/msg of megabatch/wire, is at most"},
		{"5 % more CPU is a regression",
			one(blocks(12, 1, effect{cpu, math.Log(1.05), 0.005}), cpu), Regression, 4, 1, "broker CPU-ns/msg of megabatch/wire is 5."},
		{"5 % less CPU is an improvement",
			one(blocks(12, 1, effect{cpu, math.Log(0.95), 0.005}), cpu), Improvement, 0, 1, "broker CPU-ns/msg of megabatch/wire is 5."},
		{"a worsening below the minimum effect is a pass however sure it is",
			one(blocks(24, 1, effect{cpu, 0.004, 0.0005}), cpu), Pass, 0, 2, "at most 0.4"},
		{"no difference under much noise is inconclusive and says what is possible",
			one(blocks(24, 1, effect{cpu, 0, 0.15}), cpu), Inconclusive, 5, 2, "cannot exclude that broker CPU-ns/msg of megabatch/wire is up to"},
		{"less throughput is a regression, though the ratio is below 1",
			one(blocks(12, 1, effect{delivered, 0.1, 0.005}), delivered), Regression, 4, 1, "delivered msg/s of megabatch/wire is 9."},
		{"more throughput is an improvement",
			one(blocks(12, 1, effect{delivered, -0.1, 0.005}), delivered), Improvement, 0, 1, "better"},
		{"a metric that is not gated decides nothing",
			one(blocks(12, 1, effect{cpu, 0, 0.005}, effect{p50, 1, 0.005}), cpu, p50), Pass, 0, 1, ""},
		{"one regression outweighs an improvement and a doubt",
			one(blocks(24, 1, effect{cpu, 0.1, 0.005}, effect{delivered, -0.1, 0.005}, effect{p50, 0, 0.5}), cpu, delivered, gated(p50)), Regression, 4, 2, "broker CPU-ns/msg"},
		{"few blocks measured: nothing can be said",
			one(blocks(11, 1, effect{cpu, 0.5, 0.005}), cpu), Inconclusive, 5, 0, "only 11 of the 12 blocks of megabatch/wire"},
		{"few blocks kept because half as many as planned were rejected",
			one(edit(blocks(23, 1, effect{cpu, 0, 0.005}), reject(0, 12)), cpu), Invalid, 3, 0, "too noisy: 12 blocks of megabatch/wire were rejected and only 11 of the 12"},
		{"some rejected but redrawing had not ended: not yet the machine's fault",
			one(edit(blocks(22, 1, effect{cpu, 0, 0.005}), reject(0, 11)), cpu), Inconclusive, 5, 0, "only 11"},
		{"many rejected but enough kept is judged",
			one(edit(blocks(30, 1, effect{cpu, 0, 0.005}), reject(0, 15)), cpu), Pass, 0, 1, ""},
		{"one short workload holds back the other",
			gate(map[string][]trial.Block{"megabatch": blocks(24, 1, effect{cpu, 0.5, 0.005}), "small": blocks(3, 1, effect{cpu, 0, 0.005})}, cpu), Inconclusive, 5, 0, "only 3 of the 12 blocks of small/wire"},
		{"a lost record outweighs a regression",
			one(edit(blocks(12, 1, effect{cpu, 0.5, 0.005}), func(i int, b *trial.Block) { b.Runs[0].Lost = int64(i / 11 * 3) }), cpu), Correctness, 6, 1, "block 12 run 1, records: lost 3"},
		{"a record lost in a rejected block is lost",
			one(edit(blocks(13, 1, effect{cpu, 0, 0.005}), func(i int, b *trial.Block) {
				if i == 4 {
					b.Rejected, b.Runs[2].Corrupt, b.Runs[2].Arm = "steal", 1, trial.Head
				}
			}), cpu), Correctness, 6, 1, "the head of megabatch/wire, block 5 run 3, records: corrupted 1"},
		{"exit 6 of a run is enough, before any look",
			one(edit(blocks(1, 1, effect{cpu, 0, 0.005}), func(_ int, b *trial.Block) {
				b.Runs[1].Exit, b.Runs[1].Failure = 6, "the ledger does not add up"
			}), cpu), Correctness, 6, 0, "the ledger does not add up"},
		{"runs that broke leave too few blocks",
			one(edit(blocks(12, 1, effect{cpu, 0, 0.005}), func(i int, b *trial.Block) {
				if i < 2 {
					b.Runs[3].Exit, b.Runs[3].Failure = 1, "broker did not start"
				}
			}), cpu), Failed, 1, 0, "only 10 of the 12 blocks of megabatch/wire for the first look are sound: the "},
		{"runs that broke are named where enough blocks are left",
			one(edit(blocks(13, 1, effect{cpu, 0, 0.005}), func(i int, b *trial.Block) {
				if i == 0 {
					b.Runs[3].Exit, b.Runs[3].Failure = 1, "broker did not start"
				}
			}), cpu), Pass, 0, 1, "left out: the "},
		{"a block with three runs is no block",
			one(edit(blocks(12, 1, effect{cpu, 0, 0.005}), func(i int, b *trial.Block) { b.Runs = b.Runs[:3+min(i, 1)] }), cpu), Failed, 1, 0, "blocks lack runs"},
		{"a block with three runs of one arm is none either",
			one(edit(blocks(12, 1, effect{cpu, 0, 0.005}), func(i int, b *trial.Block) {
				if i == 0 {
					b.Runs[0].Arm, b.Runs[1].Arm, b.Runs[2].Arm = "A", "A", "A"
				}
			}), cpu), Failed, 1, 0, ""},
		{"preflight failed",
			failed(one(nil, cpu), 3, "transparent hugepages are set to always"), Invalid, 3, 0, "transparent hugepages are set to always"},
		{"the trial ended early before the first look",
			failed(one(blocks(5, 1, effect{cpu, 0, 0.005}), cpu), 1, "disk full"), Failed, 1, 0, "disk full"},
		{"the trial ended early but the look before had found it",
			failed(one(blocks(13, 1, effect{cpu, 0.1, 0.005}), cpu), 1, "disk full"), Regression, 4, 1, ""},
		{"the trial ended early and the look before left doubt",
			failed(one(blocks(13, 1, effect{cpu, 0, 0.15}), cpu), 1, "disk full"), Failed, 1, 1, "disk full; until then cannot exclude"},
		{"no block yet", one(nil), Inconclusive, 5, 0, "only 0 of"},
		{"no workload", gate(nil), Failed, 1, 0, "no workload"},
		{"no metric known", one(blocks(12, 1, effect{p50, 0, 0.005}), cpu, p50), Inconclusive, 5, 1, "no gated metric is known"},
		{"a head that stopped to report a metric does not pass for it",
			one(edit(blocks(12, 1, effect{cpu, 0, 0.005}, effect{delivered, 0, 0.005}), func(_ int, b *trial.Block) {
				for _, r := range b.Runs {
					if r.Arm == trial.Head {
						delete(r.Values, trial.Delivered)
					}
				}
			}), cpu, delivered), Inconclusive, 5, 1, "delivered msg/s of megabatch/wire is not known on both sides"},
		{"nor one that sometimes stopped",
			one(edit(blocks(12, 1, effect{cpu, 0, 0.005}), func(i int, b *trial.Block) {
				if i == 5 {
					delete(b.Runs[0].Values, trial.BrokerCPU)
				}
			}), cpu), Inconclusive, 5, 1, "broker CPU-ns/msg of megabatch/wire is known in 11 of 12 blocks only"},
		{"rules that make no sense", ruled(one(blocks(12, 1, effect{cpu, 0, 0.005}), cpu), func(r *trial.Rules) { r.Looks = []int{12, 12} }), Failed, 1, 0, "do not ascend"},
		{"rules that are missing", ruled(one(blocks(12, 1, effect{cpu, 0, 0.005}), cpu), func(r *trial.Rules) { *r = trial.Rules{} }), Failed, 1, 0, "cannot be applied"},
		{"a comparison of one look is judged alike", ruled(one(blocks(10, 1, effect{cpu, 0.1, 0.005}), cpu), func(r *trial.Rules) { r.Looks = []int{10} }), Regression, 4, 1, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := Judge(row.trial)
			if v.Outcome != row.outcome || v.Exit != row.exit || v.Look != row.look || !strings.Contains(v.Reason, row.reason) || v.Reason == "" {
				t.Errorf("%s, exit %d, look %d: %q\nwant %s, exit %d, look %d: %q", v.Outcome, v.Exit, v.Look, v.Reason, row.outcome, row.exit, row.look, row.reason)
			}
			if text, err := json.Marshal(v); err != nil {
				t.Error(err)
			} else if err := json.Unmarshal(text, new(Verdict)); err != nil {
				t.Errorf("%v in %s", err, text)
			}
		})
	}
}

func gated(m trial.Metric) trial.Metric { m.Gated = true; return m }

func failed(t *trial.Trial, exit int, why string) *trial.Trial {
	t.Exit, t.Failure = exit, why
	return t
}

func ruled(t *trial.Trial, change func(*trial.Rules)) *trial.Trial {
	change(&t.Rules)
	return t
}

// The blocks after the look say the opposite: the verdict must not see them.
func TestBetweenLooksNobodyPeeks(t *testing.T) {
	first, late := blocks(12, 1, effect{cpu, 0, 0.005}), blocks(11, 2, effect{cpu, 0.5, 0.005})
	at, between := Judge(one(first, cpu)), Judge(one(append(first[:12:12], late...), cpu))
	if at.Outcome != Pass || between.Outcome != Pass || between.Look != 1 || between.Rows[0].Blocks != 12 || !reflect.DeepEqual(at.Rows, between.Rows) {
		t.Errorf("at the look %+v\nafter it %+v", at.Rows, between.Rows)
	}
	if between.Kept != 23 {
		t.Errorf("%d blocks kept, want 23", between.Kept)
	}
	full := Judge(one(append(first[:12:12], blocks(12, 2, effect{cpu, 0.5, 0.005})...), cpu))
	if full.Look != 2 || full.Rows[0].Blocks != 24 || full.Threshold < at.Threshold {
		t.Errorf("at 24 blocks: look %d, threshold %v, %d blocks", full.Look, full.Threshold, full.Rows[0].Blocks)
	}
	if math.Abs(at.Threshold-0.00048) > 1e-5 || math.Abs(full.Threshold-0.0098) > 1e-4 {
		t.Errorf("thresholds %v and %v", at.Threshold, full.Threshold)
	}
}

func TestHolmRunsOverAllWorkloads(t *testing.T) {
	v := Judge(gate(map[string][]trial.Block{
		"megabatch": blocks(12, 1, effect{cpu, 0.1, 0.005}, effect{delivered, 0, 0.005}, effect{p50, 0.1, 0.005}),
		"small":     blocks(12, 2, effect{cpu, 0, 0.005}, effect{delivered, 0, 0.005}, effect{p50, 0, 0.005}),
	}, cpu, delivered, p50))
	r := v.Rows[0]
	if r.PWorse != 1.0/4096 || r.HolmWorse != 4.0/4096 {
		t.Errorf("the least of four gated p-values is %v, adjusted %v", r.PWorse*4096, r.HolmWorse*4096)
	}
	// Twelve blocks cannot reach 0.00048 once there are four rows: the trial goes on.
	if v.Outcome == Regression || Decided(v, gate(nil)) {
		t.Errorf("outcome %s", v.Outcome)
	}
	if last := v.Rows[2]; !math.IsNaN(last.HolmWorse) || last.Outcome != "" {
		t.Errorf("a row that is not gated was adjusted: %+v", last)
	}
}

// The claim in the comment of Judge, by the number of gated rows at the look.
func TestFirstLookNeedsBlocksForManyRows(t *testing.T) {
	for _, row := range []struct {
		blocks, rows int
		want         bool
	}{{12, 1, true}, {12, 2, false}, {14, 17, true}, {14, 18, false}} {
		effects, metrics := []effect{{cpu, 0.1, 0.001}}, []trial.Metric{cpu}
		for i := 1; i < row.rows; i++ {
			m := cpu
			m.Name = string(rune('a' + i))
			effects, metrics = append(effects, effect{m, 0, 0.001}), append(metrics, m)
		}
		tr := ruled(one(blocks(row.blocks, 1, effects...), metrics...), func(r *trial.Rules) { r.Looks[0] = row.blocks })
		if v := Judge(tr); (v.Outcome == Regression) != row.want {
			t.Errorf("%d blocks, %d gated rows: %s (Holm %v of %v)", row.blocks, row.rows, v.Outcome, v.Rows[0].HolmWorse, v.Threshold)
		}
	}
}

func TestRowOfAMetricWhereMoreIsBetter(t *testing.T) {
	r := Analyse(one(blocks(12, 1, effect{delivered, 0.1, 0.005}), delivered).Workloads[0], 0.95, 1)[0]
	want := math.Exp(-0.1)
	if !(r.Low < r.Ratio && r.Ratio < r.High) || math.Abs(r.Ratio-want) > 0.01 {
		t.Errorf("ratio %v in %v to %v, want about %v", r.Ratio, r.Low, r.High, want)
	}
	if math.Abs(r.Worsening-(1-r.Ratio)) > 1e-12 || !(r.Upper > r.Worsening && r.Upper < 1-r.Low+1e-12) || r.PWorse >= r.PBetter {
		t.Errorf("worsening %v, upper %v, p worse %v, better %v", r.Worsening, r.Upper, r.PWorse, r.PBetter)
	}
	if r.Base.N != 24 || r.Head.N != 24 || r.Base.Median < r.Head.Median {
		t.Errorf("spreads %+v and %+v", r.Base, r.Head)
	}
}

func TestBlocksThatDoNotKnowAMetricAreLeftOut(t *testing.T) {
	b := edit(blocks(6, 1, effect{cpu, 0, 0.005}), func(i int, b *trial.Block) {
		if i < 4 {
			delete(b.Runs[i].Values, trial.BrokerCPU)
		}
	})
	rows := AnalyseBlocks("w/c", []trial.Metric{delivered, cpu}, b, 0.95, 1)
	if len(rows) != 1 || rows[0].Blocks != 2 || rows[0].Workload != "w/c" || !math.IsInf(rows[0].Upper, 1) || rows[0].Low != 0 {
		t.Fatalf("%+v", rows)
	}
	text, err := json.Marshal(rows[0])
	if err != nil {
		t.Fatal(err)
	}
	var read Row
	if err := json.Unmarshal(text, &read); err != nil || !math.IsInf(read.Upper, 1) || !math.IsInf(read.High, 1) || !math.IsNaN(read.HolmWorse) || read.Ratio != rows[0].Ratio {
		t.Errorf("%v: %s reads as %+v", err, text, read)
	}
}

func TestUnfiltered(t *testing.T) {
	b := edit(blocks(15, 1, effect{cpu, 0, 0.005}), reject(2, 5))
	if v := Judge(one(b, cpu)); v.Unfiltered == nil || v.Kept != 12 || v.Rejected["steal"] != 3 || v.Unfiltered.Kept != 15 || v.Unfiltered.Rows[0].Blocks != 12 || v.Unfiltered.Unfiltered != nil {
		t.Errorf("%+v", v)
	}
	if v := Judge(one(blocks(12, 1, effect{cpu, 0, 0.005}), cpu)); v.Unfiltered != nil {
		t.Error("nothing was rejected, yet there is a second verdict")
	}
	b = edit(blocks(24, 1, effect{cpu, 0, 0.005}), reject(0, 13))
	if v := Judge(one(b, cpu)); v.Outcome != Invalid || v.Unfiltered == nil || v.Unfiltered.Outcome != Pass || v.Unfiltered.Look != 2 {
		t.Errorf("%+v", v)
	}
}

func TestDecided(t *testing.T) {
	for _, row := range []struct {
		trial *trial.Trial
		want  bool
		why   string
	}{
		{one(blocks(12, 1, effect{cpu, 0, 0.005}), cpu), true, "every gated row passes"},
		{one(blocks(12, 1, effect{cpu, 0.1, 0.005}), cpu), true, "a regression"},
		{one(blocks(12, 1, effect{cpu, 0, 0.15}), cpu), false, "doubt, and there is another look"},
		{one(blocks(24, 1, effect{cpu, 0, 0.15}), cpu), true, "doubt, but no further look"},
		{one(blocks(11, 1, effect{cpu, 0.1, 0.005}), cpu), false, "no look yet"},
	} {
		if got := Decided(Judge(row.trial), row.trial); got != row.want {
			t.Errorf("%v: %s", got, row.why)
		}
	}
}

// To swap the arms must mirror the verdict: what was worse is better by the same measure.
func TestSwappedArmsMirrorTheVerdict(t *testing.T) {
	outcomes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom([]trial.Metric{cpu, delivered}).Draw(t, "metric")
		n := rapid.SampledFrom([]int{12, 13, 24}).Draw(t, "blocks")
		b := blocks(n, rapid.Uint64().Draw(t, "seed"), effect{m, rapid.Float64Range(-0.1, 0.1).Draw(t, "worse"), 0.01})
		straight := Judge(one(b, m))
		mirrored := Judge(one(edit(b, func(_ int, b *trial.Block) {
			for i := range b.Runs {
				b.Runs[i].Arm = map[string]string{trial.Base: trial.Head, trial.Head: trial.Base}[b.Runs[i].Arm]
			}
		}), m))
		r, s := straight.Rows[0], mirrored.Rows[0]
		if math.Abs(r.Ratio*s.Ratio-1) > 1e-9 || math.Abs(r.Low*s.High-1) > 1e-9 || r.PWorse != s.PBetter || r.HolmBetter != s.HolmWorse {
			t.Fatalf("rows do not mirror: %+v, %+v", r, s)
		}
		// The minimum effect is relative to the base, so right at it the mirror is a hair off.
		if straight.Outcome == Regression && r.Worsening > 1.2*m.MinimumEffect && mirrored.Outcome != Improvement {
			t.Fatalf("%s becomes %s", straight.Outcome, mirrored.Outcome)
		}
		if straight.Outcome == Improvement && r.Worsening < -1.2*m.MinimumEffect && mirrored.Outcome != Regression {
			t.Fatalf("%s becomes %s", straight.Outcome, mirrored.Outcome)
		}
		outcomes[straight.Outcome]++
	})
	if outcomes[Regression] == 0 || outcomes[Improvement] == 0 {
		t.Errorf("nothing was proved: %v", outcomes)
	}
}
