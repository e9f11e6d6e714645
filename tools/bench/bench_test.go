package bench

import (
	"slices"
	"strings"
	"testing"

	"fluxmq/reports/trial"
	"fluxmq/scenarios"
	"fluxmq/tools/runner"
)

func TestScenarioMargins(t *testing.T) {
	parse := func(gate string) *scenarios.Scenario {
		s, err := scenarios.Parse("x.yaml", []byte("question: what?\n"+gate))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	metrics, defaults, err := scenarioMetrics(parse(""))
	if err != nil || !defaults || !slices.Equal(metrics, trial.Metrics()) {
		t.Errorf("without a gate section: %v, defaults %v, %d metrics", err, defaults, len(metrics))
	}
	metrics, defaults, err = scenarioMetrics(parse("gate:\n  margins:\n    broker_cpu_ns_per_msg: 0.5\n    produce_p50_ns: 0.1\n"))
	if err != nil || defaults {
		t.Fatalf("%v, defaults %v", err, defaults)
	}
	for _, m := range metrics {
		switch m.Name {
		case trial.BrokerCPU:
			if m.Margin != 0.5 {
				t.Errorf("margin %v", m.Margin)
			}
		case trial.ProduceP50:
			if m.Margin != 0.1 || !m.Gated {
				t.Errorf("a margin gates its metric: %+v", m)
			}
		}
	}
	_, _, err = scenarioMetrics(parse("gate:\n  margins:\n    speed: 0.5\n"))
	if runner.ExitCode(err) != runner.ExitUsage || !strings.Contains(err.Error(), trial.BrokerCPU) {
		t.Errorf("an unknown metric: %v", err)
	}
	metrics, _, err = scenarioMetrics(parse("gate:\n  saturation_seconds: 0\n"))
	if err != nil || slices.ContainsFunc(metrics, func(m trial.Metric) bool { return m.Part == trial.PartSaturation }) {
		t.Errorf("without part saturation: %v, %v", metrics, err)
	}
}

func TestTwoDigits(t *testing.T) {
	for v, want := range map[float64]float64{1234567: 1.2e6, 999: 1000, 87: 87, 0.0456: 0.046, 0: 0} {
		if got := twoDigits(v); got < want*0.999999 || got > want*1.000001 {
			t.Errorf("%v became %v, want %v", v, got, want)
		}
	}
}
