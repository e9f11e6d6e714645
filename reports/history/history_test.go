package history

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"fluxmq/reports"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

func sha(n int) string { return fmt.Sprintf("%07x%033x", 0xa1b2c00+n, n) }

func commit(n int) Commit {
	return Commit{sha(n), time.Date(2026, 1, 1, n, 0, 0, 0, time.UTC), fmt.Sprintf("room: change %d", n)}
}

// noise is a seeded series of logs around 0.
func noise(seed uint64, n int, deviation float64) []float64 {
	random := rand.New(rand.NewPCG(seed, 7))
	values := make([]float64, n)
	for i := range values {
		values[i] = random.NormFloat64() * deviation
	}
	return values
}

func TestPlantedStepsAreFoundWhereTheyAre(t *testing.T) {
	values := noise(3, 90, 0.01)
	for i := range values {
		switch {
		case i >= 70:
			values[i] += 0.02
		case i >= 50:
			values[i] += 0.10
		case i >= 30:
			values[i] += 0.05
		}
	}
	steps := Steps(values, DefaultTest())
	if len(steps) != 3 {
		t.Fatalf("%d steps, want 3: %v", len(steps), steps)
	}
	for i, want := range []int{30, 50, 70} {
		if math.Abs(float64(steps[i].At-want)) > 1 || steps[i].P > 0.001 {
			t.Errorf("step %d: %+v, want at %d", i, steps[i], want)
		}
	}
}

func TestShortBumpIsFound(t *testing.T) {
	values := noise(4, 80, 0.01)
	for i := 40; i < 46; i++ {
		values[i] += 0.08
	}
	steps := Steps(values, DefaultTest())
	if len(steps) != 2 || steps[0].At != 40 || steps[1].At != 46 {
		t.Errorf("%v, want steps at 40 and 46", steps)
	}
}

func TestStepAtTheEndIsFoundAfterThreePoints(t *testing.T) {
	values := noise(5, 50, 0.01)
	for i := 47; i < 50; i++ {
		values[i] += 0.06
	}
	if steps := Steps(values, DefaultTest()); len(steps) != 1 || steps[0].At != 47 {
		t.Errorf("%v, want one at 47", steps)
	}
}

func TestPureNoiseHasNoSteps(t *testing.T) {
	quiet := 0
	for seed := range uint64(100) {
		if len(Steps(noise(seed, 60, 0.01), DefaultTest())) == 0 {
			quiet++
		}
	}
	if quiet < 97 {
		t.Errorf("%d of 100 seeds without a step, want at least 97", quiet)
	}
	for about, values := range map[string][]float64{"nothing": nil, "one value": {1}, "an exact counter": make([]float64, 60)} {
		if steps := Steps(values, DefaultTest()); len(steps) != 0 {
			t.Errorf("%s: %v", about, steps)
		}
	}
}

func TestSlowDriftComesOutAsStepsUp(t *testing.T) {
	values := noise(6, 60, 0.01)
	for i := range values {
		values[i] += 0.10 * float64(i) / 60
	}
	points := make([]Indexed, len(values))
	for i, v := range values {
		points[i] = Indexed{Commit: commit(i), Reference: sha(0), Index: Ratio{math.Exp(v), math.Exp(v - 0.02), math.Exp(v + 0.02), 12}}
	}
	chain := Chain{Points: points}
	chain.Find(metric(trial.BrokerCPU), DefaultTest())
	product := 1.0
	for _, c := range chain.Changes {
		if !c.Worse || c.Size.Low >= c.Size.Ratio || c.Size.High <= c.Size.Ratio {
			t.Errorf("%+v", c)
		}
		product *= c.Size.Ratio
	}
	if len(chain.Changes) == 0 || product < 1.045 || product > 1.12 {
		t.Errorf("%d changes, together × %.3f", len(chain.Changes), product)
	}
}

func TestStudentsQuantilesAreThoseOfTheTables(t *testing.T) {
	for freedom, want := range map[float64]float64{2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 10: 2.228, 30: 2.042, 120: 1.980, 1e9: 1.960} {
		if got := student95(freedom); math.Abs(got-want) > 0.002 {
			t.Errorf("t(%g) = %.4f, want %.3f", freedom, got, want)
		}
	}
}

func TestIntervalOfAChangeHoldsTheTruth(t *testing.T) {
	inside := 0
	for seed := range uint64(400) {
		values := noise(seed, 24, 0.01)
		l := welch(values[:8], values[8:])
		if math.Abs(l.log) <= l.half {
			inside++
		}
	}
	if inside < 366 || inside > 394 { // 95 % of 400 ± three standard errors
		t.Errorf("%d of 400 intervals hold the truth", inside)
	}
}

func metric(name string) trial.Metric {
	for _, m := range trial.Metrics() {
		if m.Name == name {
			return m
		}
	}
	panic("no metric " + name)
}

func ratio(r, half float64, blocks int) Ratio {
	return Ratio{r, r * math.Exp(-half), r * math.Exp(half), blocks}
}

func point(kind string, head, reference int, r Ratio) Point {
	return Point{Kind: kind, Commit: sha(head), CommittedAt: commit(head).CommittedAt, Subject: commit(head).Subject, Reference: sha(reference), ScenarioSHA256: "s",
		Trial: fmt.Sprintf("%s-%d-%d-%v", kind, head, reference, r.Ratio), Metrics: map[string]Ratio{trial.BrokerCPU: r}}
}

func TestIndexIsChainedOverLinks(t *testing.T) {
	points := []Point{
		point(KindPoint, 5, 0, ratio(1.10, 0.01, 12)),
		point(KindLink, 10, 0, ratio(1.20, 0.03, 12)),
		point(KindPoint, 12, 10, ratio(0.50, 0.04, 12)),
		point(KindLink, 20, 10, ratio(0.90, 0.0, 12)),
		point(KindPoint, 21, 20, ratio(1.00, 0.02, 12)),
		point(KindPoint, 31, 30, ratio(1.5, 0.02, 12)), // no link leads from 30
	}
	chains := Chains(points, trial.BrokerCPU)
	if len(chains) != 2 || chains[0].Root != sha(0) || chains[1].Root != sha(30) || len(chains[1].Points) != 1 {
		t.Fatalf("%+v, want the linked chain and, apart, what was measured against 30", chains)
	}
	for i, want := range []struct{ index, half float64 }{
		{1.10, 0.01}, {1.20, 0.03}, {1.20 * 0.50, 0.05}, {1.20 * 0.90, 0.03}, {1.20 * 0.90, math.Hypot(0.03, 0.02)},
	} {
		got := chains[0].Points[i].Index
		half := (math.Log(got.High) - math.Log(got.Low)) / 2
		if math.Abs(got.Ratio-want.index) > 1e-9 || math.Abs(half-want.half) > 1e-5 {
			t.Errorf("point %d: %v ± %.4f, want %v ± %.4f", i, got.Ratio, half, want.index, want.half)
		}
	}
	if chains[1].Points[0].Index.Ratio != 1.5 {
		t.Errorf("the chain apart is not its own: %+v", chains[1].Points[0])
	}
}

func TestAnotherScenarioTextIsAnotherChain(t *testing.T) {
	changed := point(KindPoint, 2, 0, ratio(1, 0.01, 12))
	changed.ScenarioSHA256 = "t"
	if chains := Chains([]Point{point(KindPoint, 1, 0, ratio(1, 0.01, 12)), changed}, trial.BrokerCPU); len(chains) != 2 {
		t.Errorf("%d chains, want 2", len(chains))
	}
}

func TestMeasuringACommitAgainAddsToItsPoint(t *testing.T) {
	chains := Chains([]Point{point(KindPoint, 1, 0, ratio(1.00, 0.02, 12)), point(KindPoint, 1, 0, ratio(1.01, 0.02, 12))}, trial.BrokerCPU)
	p := chains[0].Points[0]
	if len(chains[0].Points) != 1 || p.Trials != 2 || math.Abs(p.log()-math.Log(1.01)/2) > 1e-9 {
		t.Fatalf("%+v", chains)
	}
	agree := (math.Log(p.Index.High) - math.Log(p.Index.Low)) / 2
	apart := together([]level{{0, 0.02}, {0.2, 0.02}})
	if math.Abs(agree-0.02/math.Sqrt2) > 0.001 || apart.half < 0.1 {
		t.Errorf("half width %.4f where trials agree, %.4f where they are 0.2 apart", agree, apart.half)
	}
}

func TestCircleOfLinksEnds(t *testing.T) {
	chains := Chains([]Point{point(KindLink, 1, 2, ratio(1, 0.01, 1)), point(KindLink, 2, 1, ratio(1, 0.01, 1))}, trial.BrokerCPU)
	if len(chains) == 0 {
		t.Error("no chain")
	}
}

func measured(head, base int) (*trial.Trial, *verdict.Verdict) {
	w := trial.Workload{Scenario: reports.ScenarioRecord{Name: "wire_1k", SHA256: "s"}, Client: "wire"}
	t := &trial.Trial{ID: fmt.Sprintf("t%d-%d", head, base), Kind: trial.KindCompare, Workloads: []trial.Workload{w}}
	t.Base.Commit, t.Head.Commit, t.Base.Broker.SHA256 = sha(base), sha(head), "b"
	v := &verdict.Verdict{Outcome: verdict.Pass, Rows: []verdict.Row{
		{Workload: "wire_1k/wire", Metric: metric(trial.BrokerCPU), Blocks: 12, Ratio: 1.05, Low: 1.04, High: 1.06},
		{Workload: "wire_1k/wire", Metric: metric(trial.PeakRSS), Blocks: 2, Ratio: 1.05, Low: 0, High: math.Inf(1)},
		{Workload: "other/wire", Metric: metric(trial.Delivered), Blocks: 12, Ratio: 1, Low: 1, High: 1},
	}}
	return t, v
}

func TestOnlyFairTrialsMakePoints(t *testing.T) {
	reference := &Reference{Commit: commit(10), Replaced: []Commit{commit(0)}}
	for _, row := range []struct {
		about  string
		head   int
		base   int
		change func(*trial.Trial, *verdict.Verdict)
		words  string
	}{
		{"another base", 11, 9, nil, "the pinned reference is"},
		{"the replaced reference as base", 11, 0, nil, "the pinned reference is"},
		{"a dirty head", 11, 10, func(t *trial.Trial, _ *verdict.Verdict) { t.Head.Dirty = true }, "uncommitted"},
		{"a failed trial", 11, 10, func(t *trial.Trial, _ *verdict.Verdict) { t.Failure = "the broker died" }, "the broker died"},
		{"lost records", 11, 10, func(_ *trial.Trial, v *verdict.Verdict) { v.Outcome = verdict.Correctness }, "lost, duplicated"},
		{"a noisy machine", 11, 10, func(_ *trial.Trial, v *verdict.Verdict) { v.Outcome = verdict.Invalid }, "environment"},
		{"another exit code", 11, 10, func(t *trial.Trial, _ *verdict.Verdict) { t.Exit = 1 }, "exit code 1"},
		{"a gate, which may stop early", 11, 10, func(t *trial.Trial, _ *verdict.Verdict) { t.Kind = trial.KindGate }, "it is a gate"},
		{"a setting on one side", 11, 10, func(t *trial.Trial, _ *verdict.Verdict) { t.Head.Env = []string{"GOGC=200"} }, "settings of its own"},
		{"no finite interval", 11, 10, func(_ *trial.Trial, v *verdict.Verdict) { v.Rows = v.Rows[1:] }, "finite interval"},
	} {
		t.Run(row.about, func(t *testing.T) {
			one, v := measured(row.head, row.base)
			if row.change != nil {
				row.change(one, v)
			}
			var refused *RefusedError
			if _, err := Add(one, v, reference, commit(row.head)); !errors.As(err, &refused) || !strings.Contains(err.Error(), row.words) {
				t.Errorf("%v, want %q in it", err, row.words)
			}
		})
	}
	t.Run("a fair one", func(t *testing.T) {
		one, v := measured(11, 10)
		one.Exit = 4 // a regression is what history is for
		additions, err := Add(one, v, reference, commit(11))
		if err != nil || len(additions) != 1 || additions[0].Workload != "wire_1k/wire" {
			t.Fatalf("%+v, %v", additions, err)
		}
		p := additions[0].Point
		if len(p.Metrics) != 1 || p.Metrics[trial.BrokerCPU] != (Ratio{1.05, 1.04, 1.06, 12}) || p.Kind != KindPoint || p.Reference != sha(10) || p.ReferenceSHA256 != "b" {
			t.Errorf("%+v", p)
		}
	})
	t.Run("the reference against the one before", func(t *testing.T) {
		one, v := measured(10, 0)
		if additions, err := Add(one, v, reference, commit(10)); err != nil || additions[0].Point.Kind != KindLink {
			t.Errorf("%+v, %v", additions, err)
		}
	})
}

func TestStoreReadsWhatItAppends(t *testing.T) {
	s := Store{t.TempDir()}
	if _, err := s.Reference(); !errors.Is(err, ErrNotPinned) {
		t.Fatal(err)
	}
	for n, why := range []string{"a release", "the old one no longer builds"} {
		if _, err := s.Pin(commit(n), why, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.Reference()
	if err != nil || r.SHA != sha(1) || len(r.Replaced) != 1 || r.Replaced[0].SHA != sha(0) {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := s.Pin(commit(1), "again", time.Now()); err == nil {
		t.Error("the reference was pinned twice")
	}
	if _, err := s.Pin(commit(2), "", time.Now()); err == nil {
		t.Error("pinned without a reason")
	}
	want := point(KindPoint, 2, 1, ratio(1.1, 0.02, 12))
	if err := s.Append("wire_1k/wire", want); err != nil {
		t.Fatal(err)
	}
	if err := s.Append("wire_1k/wire", want); err == nil {
		t.Error("one trial made two points")
	}
	for _, bad := range []string{"wire_1k", "../x/wire", "a.b/wire"} {
		if err := s.Append(bad, want); err == nil {
			t.Errorf("%q was taken for a workload", bad)
		}
	}
	got, err := s.Points("wire_1k/wire")
	if err != nil || len(got) != 1 || got[0].Commit != want.Commit || got[0].Metrics[trial.BrokerCPU] != want.Metrics[trial.BrokerCPU] {
		t.Errorf("%+v, %v", got, err)
	}
	if names, err := s.Workloads(); err != nil || len(names) != 1 || names[0] != "wire_1k/wire" {
		t.Errorf("%v, %v", names, err)
	}
}
