package bench

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

func TestReserveIsCutBackAndRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reserve")
	r, err := newReserve(path, 20<<20)
	if err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			return -1
		}
		return info.Size()
	}
	if size() < 20<<20 || r.nsPerKiB <= 0 {
		t.Errorf("%d bytes at %.0f ns a KiB", size(), r.nsPerKiB)
	}
	r.release(200 << 20)
	for deadline := time.Now().Add(5 * time.Second); size() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes left after 5 s at 200 MiB/s", size())
		}
	}
	r.close()
	if size() != -1 {
		t.Error("the file is still there")
	}
}
