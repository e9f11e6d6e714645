package datasheet

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxmq/reports/inference"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// TestGateJudgesAsVerdict runs random trials, with effects around the margins
// and values that are not known, through both.
func TestGateJudgesAsVerdict(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	metrics := trial.Metrics()
	outcomes := map[string]int{}
	for n := range 40 {
		m := newMachine(uint64(n), 0.004+0.05*rng.Float64(), 0.02*rng.Float64(), 0.8)
		worse := map[string]float64{}
		for _, metric := range metrics {
			if rng.IntN(6) == 0 {
				worse[metric.Name] = metric.Margin * (2*rng.Float64() - 0.7)
			}
		}
		pool := memoryPool(metrics)
		m.fill(pool, NoDose, 24, worse)
		if n%5 == 0 { // a metric that some blocks do not know
			delete(pool.blocks[rng.IntN(24)].Block.Runs[1].Values, metrics[rng.IntN(len(metrics))].Name)
		}
		if n%10 == 0 { // and one that none knows
			for _, b := range pool.blocks {
				for _, r := range b.Block.Runs {
					delete(r.Values, trial.ProduceP99)
				}
			}
		}
		g := newGate(newSample(metrics, pool.blocks), pool.Header.Rules)
		got := g.run(g.whole())

		judged := trial.Trial{Rules: pool.Header.Rules, Workloads: []trial.Workload{pool.Header.Workloads[0].Workload}}
		var want *verdict.Verdict
		for _, look := range judged.Rules.Looks {
			judged.Workloads[0].Blocks = nil
			for _, b := range pool.blocks[:look] {
				judged.Workloads[0].Blocks = append(judged.Workloads[0].Blocks, b.Block)
			}
			if want = verdict.Judge(&judged); verdict.Decided(want, &judged) {
				break
			}
		}
		outcomes[want.Outcome]++
		var called, calledWant []string
		for i, place := range g.gated {
			if got.called&(1<<i) != 0 {
				called = append(called, metrics[place].Name)
			}
		}
		calledWant = append(calledWant, NewGate(want).CalledBy...)
		if !slices.Equal(called, calledWant) || got.passed != (want.Exit == 0) || got.look != want.Look {
			t.Errorf("trial %d: resampled gate: look %d, passed %v, called %v; Judge: look %d, %s, called %v", n, got.look, got.passed, called, want.Look, want.Outcome, calledWant)
		}
	}
	if outcomes[verdict.Regression] < 4 || outcomes[verdict.Inconclusive] < 4 || outcomes[verdict.Pass]+outcomes[verdict.Improvement] < 4 {
		t.Fatalf("the trials are too much alike: %v", outcomes)
	}
}

func TestSignFlipLiesOnTheRightSide(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	const strictest, loosest = 0.001, 0.0098
	shortcuts := 0
	for range 300 {
		d := make([]float64, []int{5, 12, 20, 24}[rng.IntN(4)])
		shift := rng.Float64() * 1.2
		for i := range d {
			d[i] = rng.NormFloat64() + shift
			if rng.IntN(5) == 0 {
				d[i] *= 8 // a burst
			}
		}
		exact, got := inference.SignFlip(d, 0), signFlip(d, strictest, loosest)
		if got != exact {
			shortcuts++
			if !(exact <= strictest && got <= strictest || exact > loosest && got > loosest) {
				t.Fatalf("p is %v, the shortcut says %v for %v", exact, got, d)
			}
		}
	}
	if shortcuts < 100 {
		t.Fatalf("only %d of 300 were cut short", shortcuts)
	}
	if !math.IsNaN(signFlip(nil, strictest, loosest)) {
		t.Error("no values have a p-value")
	}
}

func TestRanksAreThoseOfTheIntervals(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for n := range 31 {
		r := ranksOf(n)
		d := make([]float64, n)
		for i := range d {
			d[i] = math.Round(rng.NormFloat64()*4) / 4 // ties too
		}
		low, high := inference.SignedRankInterval(d, boundConfidence)
		upper := inference.SignedRankUpper(d, boundConfidence)
		slices.Sort(d)
		for _, at := range []float64{low, high, upper, 0.1, -0.375} {
			if got, want := r.upperBelow(d, at), upper < at; got != want {
				t.Errorf("%d values: upper bound %v below %v: %v", n, upper, at, got)
			}
			if got, want := estimateAtLeast(d, at), n > 0 && inference.HodgesLehmann(d) >= at; n > 0 && got != want {
				t.Errorf("%d values: estimate at least %v: %v", n, at, got)
			}
			if got, want := r.holds(d, at), low <= at && at <= high; got != want {
				t.Errorf("%d values: %v to %v holds %v: %v", n, low, high, at, got)
			}
		}
	}
}
