package datasheet

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"fluxmq/reports/trial"
)

// quick is enough resampling for a test.
var quick = Options{Seed: 1, Resamples: 400, Pools: 5}

// TestDatasheetOfWhiteNoise knows the truth: σ of a block from runs with white
// noise of 1 % is 1 %, nothing drifts, and the doses do what they say.
func TestDatasheetOfWhiteNoise(t *testing.T) {
	p := memoryPool(testMetrics())
	m := newMachine(11, 0.01, 0, 0)
	m.fill(p, NoDose, 192, nil)
	for _, dose := range []float64{0.01, 0.02, 0.05} {
		m.fill(p, fmt.Sprintf("cpu-%.0f", dose*100), 48, map[string]float64{trial.BrokerCPU: dose})
	}
	sheet := analyse(t, p, quick)
	s := sheet.Workloads[0]

	// Three of four metrics are gated; Holm keeps all of them at 1 % together, and another pool of this size may give a few times that.
	if a := s.Alarms.Resampled; a.Share > 0.04 || a.PoolHigh < a.Share || s.Alarms.Apart != 8 {
		t.Errorf("false alarms %+v", a)
	}
	for _, n := range s.Null {
		if n.Sigma < 0.0085 || n.Sigma > 0.0115 || n.Autocorrelation < -0.2 || n.Autocorrelation > 0.2 {
			t.Errorf("%s: σ %v, lag 1 %v; want 0.01 and 0", n.Metric.Name, n.Sigma, n.Autocorrelation)
		}
		if n.Bias.Low > 0.001 || n.Bias.High < -0.001 {
			t.Errorf("%s: bias %+v", n.Metric.Name, n.Bias)
		}
		if n.Coverage.Share < 0.92 || n.Coverage.Share > 0.985 {
			t.Errorf("%s: coverage %+v", n.Metric.Name, n.Coverage)
		}
		if n.Uniform.Groups != 16 || n.Uniform.P < 0.01 {
			t.Errorf("%s: uniform %+v", n.Metric.Name, n.Uniform)
		}
		if len(n.Widths) != 2 || n.Widths[1].Median >= n.Widths[0].Median {
			t.Errorf("%s: widths %v", n.Metric.Name, n.Widths)
		}
		if (n.Shift != nil) != n.Metric.Gated {
			t.Errorf("%s: shift %v", n.Metric.Name, n.Shift)
		}
		// 24 blocks, σ 1 %: 0.7 % at one-sided 1 % (benchmarks of the design); a third of that level, the minimum effect and an early pass ask for more.
		if n.Metric.Name == trial.BrokerCPU && (n.Shift.At80 < 0.007 || n.Shift.At80 > 0.03 || n.Shift.At95 < n.Shift.At80) {
			t.Errorf("least δ %v and %v", n.Shift.At80, n.Shift.At95)
		}
	}
	var power []float64
	for _, d := range s.Doses {
		row := d.of(trial.BrokerCPU)
		power = append(power, row.Alone.Share)
		if want := doseStrength(d.Dose) / 100; row.Effect.Low > want || row.Effect.High < want-0.002 {
			t.Errorf("%s: true effect %+v", d.Dose, row.Effect)
		}
		if d.Resampled.Share < row.Alone.Share {
			t.Errorf("%s: any metric calls less often than one alone", d.Dose)
		}
	}
	if power[0] > power[1] || power[1] > power[2] || power[2] < 0.99 {
		t.Errorf("power by dose: %v", power)
	}
	if c := sheet.Caught[2]; c.Dose != "cpu-5" || c.Yes == nil || !*c.Yes || c.Best != trial.BrokerCPU {
		t.Errorf("caught %+v", c)
	}
	if row := s.Doses[2].of(trial.BrokerCPU); row.Coverage.Share < 0.9 || s.Doses[0].Metrics[0].Coverage != nil {
		t.Errorf("coverage at cpu-5: %+v", row.Coverage)
	}
}

// TestNaiveDesignsAreWorseWhenTheMachineDrifts compares designs on the same runs.
func TestNaiveDesignsAreWorseWhenTheMachineDrifts(t *testing.T) {
	p := memoryPool(testMetrics())
	m := newMachine(5, 0.01, 0.05, 0.9)
	m.fill(p, NoDose, 240, nil)
	m.fill(p, "cpu-5", 48, map[string]float64{trial.BrokerCPU: 0.05})
	s := analyse(t, p, Options{Seed: 1, Resamples: 400, Pools: 3}).Workloads[0]
	gate := s.Alarms.Resampled.Share
	for _, n := range s.Naive {
		if n.FalseAlarms.Share < 4*gate || n.FalseAlarms.Low < 0.005 {
			t.Errorf("%s by %s: false alarms %+v, the gate's are %v", n.Design, n.Metric, n.FalseAlarms, gate)
		}
		if len(n.Detections) != 1 || n.Detections[0].Rate == nil {
			t.Errorf("%s: detections %+v", n.Design, n.Detections)
		}
	}
	if len(s.Naive) != 4 || s.Naive[2].FalseAlarms.Of != 45 { // 48 blocks a session make 9 pairs of twenty runs
		t.Errorf("%d designs, %+v", len(s.Naive), s.Naive[2].FalseAlarms)
	}
}

func TestDirectGatesAndFaultsAreCounted(t *testing.T) {
	p := memoryPool(testMetrics())
	m := newMachine(3, 0.01, 0, 0)
	m.fill(p, "cpu-5", 12, map[string]float64{trial.BrokerCPU: 0.05})
	p.blocks[3].Block.Rejected = "steal"
	p.blocks[4].Block.Runs[0].Exit = 1
	gate := func(dose, outcome string, look int, seconds float64, calledBy ...string) {
		g := Gate{Number: len(p.gates) + 1, Dose: dose, Workload: testWorkload, Outcome: outcome, Look: look, WallSeconds: seconds, CalledBy: calledBy}
		if outcome == "regression" {
			g.Exit = 4
		}
		p.gates = append(p.gates, g)
	}
	for range 9 {
		gate(NoDose, "pass", 1, 420)
	}
	gate(NoDose, "regression", 2, 900, trial.Delivered)
	gate(NoDose, "invalid environment", 0, 1)
	gate("cpu-5", "regression", 1, 440, trial.BrokerCPU)
	gate("cpu-5", "regression", 1, 400, trial.WriteSyscalls)
	gate("mutex", "pass", 1, 400)
	p.faults = []Fault{{Fault: "drop-record", Workload: testWorkload, Exit: 6, Lost: 2}, {Fault: "drop-record", Workload: testWorkload, Exit: 0}}
	sheet := analyse(t, p, quick)
	s := sheet.Workloads[0]
	if a := s.Alarms; a.Direct.Hits != 1 || a.Direct.Of != 10 || a.Resampled != nil || a.Unjudged["invalid environment"] != 1 {
		t.Errorf("false alarms %+v", a)
	}
	if size := sheet.Sizes[1]; size.Kept != 10 || size.rejected() != 1 || size.Failed != 1 || size.Steal.Runs != 48 {
		t.Errorf("size %+v", size)
	}
	if d := s.Doses[0]; d.Direct.Hits != 2 || d.of(trial.BrokerCPU).Direct.Hits != 1 || d.Resampled != nil {
		t.Errorf("dose %+v", d)
	}
	if c := sheet.Caught; *c[0].Yes || c[0].CalledBy[trial.WriteSyscalls] != 1 || *c[1].Yes {
		t.Errorf("caught %+v", c)
	}
	if b := sheet.Broken; len(b) != 1 || b[0].Runs != 2 || b[0].Caught != 1 || b[0].Lost != 2 {
		t.Errorf("broken %+v", b)
	}
	if l := sheet.Pace.Looks; len(l) != 2 || l[0].Gates != 12 || l[1].MaxSeconds != 900 || sheet.Pace.BlocksPerMinute < 1.6 || sheet.Pace.BlocksPerMinute > 1.7 {
		t.Errorf("pace %+v", sheet.Pace)
	}
	for _, want := range []string{"2 × AMD EPYC, 24 GiB", "false alarms 1/10 direct (≤ 44.5 %), not measured by resampling", "in 1/2 direct gates"} {
		if !strings.Contains(sheet.Line(), want) {
			t.Errorf("the line lacks %q: %s", want, sheet.Line())
		}
	}
}

func TestEmptyPoolSaysNotMeasured(t *testing.T) {
	root := t.TempDir()
	pool, err := Create(root, testHeader(testMetrics()))
	if err != nil {
		t.Fatal(err)
	}
	if found, err := Find(root, pool.Header.Host); found != nil || err != nil {
		t.Fatalf("before there is a datasheet: %v, %v", found, err)
	}
	sheet := analyse(t, pool, Options{})
	if err := sheet.Save(pool.Dir); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(pool.Dir + "/" + pageFile)
	if err != nil {
		t.Fatal(err)
	}
	for section := range strings.SplitSeq(string(page), "\n## ") {
		if !strings.Contains(strings.ToLower(section), notMeasured) {
			t.Errorf("says nothing of what is missing: %s", section)
		}
	}
	found, err := Find(root, pool.Header.Host)
	if err != nil || found == nil || found.Line() != sheet.Line() || !strings.Contains(found.Summary(), notMeasured) {
		t.Fatalf("found %v, %v", found, err)
	}
	other := pool.Header.Host
	other.CPUs = 64
	if found, err := Find(root, other); found != nil || err != nil {
		t.Errorf("another class found %v, %v", found, err)
	}
	pool.Header.Rules.Looks = nil
	if _, err := Analyse(pool, Options{}); err == nil {
		t.Error("rules without looks were followed")
	}
}

func TestSamePoolSameDatasheet(t *testing.T) {
	p := memoryPool(testMetrics())
	m := newMachine(2, 0.01, 0.02, 0.8)
	m.fill(p, NoDose, 30, nil)
	m.fill(p, "cpu-5", 26, map[string]float64{trial.BrokerCPU: 0.05})
	o := Options{Seed: 9, Resamples: 200, Pools: 3}
	first, err := json.Marshal(analyse(t, p, o))
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(analyse(t, p, o))
	if err != nil || string(first) != string(again) {
		t.Errorf("two analyses differ (%v)", err)
	}
	var page strings.Builder
	var sheet Datasheet
	if err := json.Unmarshal(again, &sheet); err != nil {
		t.Fatal(err)
	}
	if err := sheet.WriteMarkdown(&page); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"NaN", "Inf", "%!"} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("the page holds %s:\n%s", bad, page.String())
		}
	}
	if file := os.Getenv("DATASHEET_PAGE"); file != "" {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The differences that a gate adjusts are those whose neighbours are compared: a lag-1 autocorrelation beyond 1 was one of two scales.
func TestAutocorrelationIsOfTheAdjustedDifferences(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	s := &sample{metrics: []trial.Metric{{Name: "m", Covariate: trial.CovariateSteal}}, differences: make([][]float64, 1), covariates: make([][]float64, 1)}
	for i := range 60 {
		x := 0.2 * math.Sin(float64(i)/5) // steal that comes and goes
		s.sessions, s.covariates[0] = append(s.sessions, 0), append(s.covariates[0], x)
		s.differences[0] = append(s.differences[0], -x+0.01*rng.NormFloat64())
	}
	if r := s.autocorrelation(0); math.Abs(r) > 0.4 {
		t.Errorf("lag 1 of adjusted white noise is %.2f", r)
	}
}
