package bench

import (
	"testing"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

func quiet() trial.Block {
	b := trial.Block{Order: "ABBA"}
	for i, arm := range []string{"A", "B", "B", "A"} {
		b.Runs = append(b.Runs, trial.Run{Arm: arm, Position: i + 1, Noise: trial.Noise{StealShare: 0.01, ForeignShare: 0.01, CanaryNs: 100}})
	}
	return b
}

func TestDisturbedBlocksAreNamedByTheirRule(t *testing.T) {
	rules := DefaultRules()
	steady := []float64{100, 100, 101, 99, 100}
	for _, c := range []struct {
		name    string
		change  func(*trial.Noise)
		earlier []float64
		rule    string
	}{
		{"quiet", func(*trial.Noise) {}, steady, ""},
		{"steal", func(n *trial.Noise) { n.StealShare = 0.401 }, steady, ruleSteal},
		{"at the limit", func(n *trial.Noise) { n.StealShare, n.ForeignShare = 0.4, 0.03 }, steady, ""},
		{"foreign", func(n *trial.Noise) { n.ForeignShare = 0.2 }, steady, ruleForeign},
		{"slow canary", func(n *trial.Noise) { n.CanaryNs = 116 }, steady, ruleCanary},
		{"fast canary", func(n *trial.Noise) { n.CanaryNs = 84 }, steady, ruleCanary},
		{"no memory of canaries yet", func(n *trial.Noise) { n.CanaryNs = 200 }, []float64{100, 100}, ""},
		{"the machine changed for good", func(n *trial.Noise) { n.CanaryNs = 100 }, append(repeat(200, 50), repeat(100, 24)...), ""},
		{"nothing known", func(n *trial.Noise) { n.StealShare, n.ForeignShare = -1, -1 }, steady, ""},
	} {
		b := quiet()
		c.change(&b.Runs[2].Noise)
		if rule, detail := disturbed(b, rules, c.earlier); rule != c.rule || (rule != "") != (detail != "") {
			t.Errorf("%s: rule %q (%s), want %q", c.name, rule, detail, c.rule)
		}
	}
}

func repeat(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// The rules must not see results: a block with wild values is as good as one with none.
func TestNoiseRulesAreBlindToResults(t *testing.T) {
	b := quiet()
	for i := range b.Runs {
		b.Runs[i].Values = map[string]float64{trial.BrokerCPU: float64(i * 1000), trial.Delivered: 1}
	}
	if rule, _ := disturbed(b, DefaultRules(), repeat(100, 8)); rule != "" {
		t.Errorf("rejected by %s", rule)
	}
}

func TestMachineNoiseCountsWhatIsNotOurs(t *testing.T) {
	part := &reports.ArmRun{
		Result:  &reports.ClientResult{CPUUserNs: 200, CPUSystemNs: 100},
		Broker:  reports.BrokerCost{CPUNs: 300},
		Machine: reports.MachineCost{UserNs: 500, SystemNs: 300, IdleNs: 1100, StealNs: 100, KernelThreadNs: 50, HarnessNs: 50},
	}
	steal, foreign := machineNoise([]*reports.ArmRun{part, part})
	if steal != 100.0/900 || foreign != 100.0/2000 {
		t.Errorf("steal %.4f foreign %.4f", steal, foreign)
	}
	if steal, foreign := machineNoise(nil); steal != -1 || foreign != -1 {
		t.Errorf("without parts: %v, %v; unknown is -1", steal, foreign)
	}
}

func TestCanaryTakesCPU(t *testing.T) {
	if ns := canary(); ns < 1e6 || ns > 5e9 {
		t.Errorf("the fixed loop took %.0f ns", ns)
	}
}
