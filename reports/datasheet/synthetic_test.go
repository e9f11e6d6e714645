package datasheet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// machine is a model of a noisy machine: each run of a metric is its level
// times exp(drift + white noise), the drift an AR(1) process from run to run.
type machine struct {
	rng    *rand.Rand
	white  float64 // standard deviation of a run, log
	drift  float64 // stationary standard deviation, log
	memory float64 // lag-1 correlation of the drift between runs
	now    map[string]float64
	clock  int64
}

func newMachine(seed uint64, white, drift, memory float64) *machine {
	return &machine{rng: rand.New(rand.NewPCG(seed, 1)), white: white, drift: drift, memory: memory, now: map[string]float64{}, clock: 1e18}
}

// block runs four arm-runs; worse is the relative worsening of arm B by metric.
func (m *machine) block(metrics []trial.Metric, worse map[string]float64) trial.Block {
	b := trial.Block{Order: "ABBA", StartUnixNs: m.clock}
	if m.rng.IntN(2) == 0 {
		b.Order = "BAAB"
	}
	for i, arm := range b.Order {
		run := trial.Run{Arm: string(arm), Position: i + 1, Values: map[string]float64{}, StartUnixNs: m.clock, Noise: trial.Noise{StealShare: 0.01 * m.rng.Float64()}}
		for _, metric := range metrics {
			m.now[metric.Name] = m.memory*m.now[metric.Name] + math.Sqrt(1-m.memory*m.memory)*m.drift*m.rng.NormFloat64()
			l := math.Log(1000) + m.now[metric.Name] + m.white*m.rng.NormFloat64()
			if run.Arm == trial.Head {
				shift := differenceOf(metric, worse[metric.Name])
				if metric.HigherWins {
					shift = -shift
				}
				l += shift
			}
			run.Values[metric.Name] = math.Exp(l)
		}
		m.clock += 9e9
		run.EndUnixNs = m.clock
		b.Runs = append(b.Runs, run)
	}
	b.EndUnixNs = m.clock
	return b
}

const testWorkload = "megabatch/wire"

// testMetrics are few, so that tests stay quick: two that differ in direction, one that is not gated.
func testMetrics() []trial.Metric {
	var few []trial.Metric
	for _, m := range trial.Metrics() {
		switch m.Name {
		case trial.BrokerCPU, trial.WriteSyscalls, trial.Delivered, trial.ProduceP50:
			few = append(few, m)
		}
	}
	return few
}

func testHeader(metrics []trial.Metric) Header {
	return Header{
		Commit: "0123456789abcdef0123456789abcdef01234567",
		Host:   reports.HostFingerprint{OS: "linux", Kernel: "6.18.44-x", CPUModel: "AMD EPYC", CPUs: 2, MemoryBytes: 25276510208, Virtualization: "kvm guest"},
		Rules:  trial.Rules{Looks: []int{12, 24}, Alpha: 0.01, Confidence: 0.95, MaxStealShare: 0.05, MaxForeignShare: 0.03, MaxCanaryDeviate: 0.04, MaxExtraShare: 0.5},
		Workloads: []Workload{{
			Workload:    trial.Workload{Scenario: reports.ScenarioRecord{Name: "megabatch"}, Client: "wire", RatePerSecond: 100000, Durability: "os", Validation: "records", Metrics: metrics},
			PartSeconds: map[string]float64{trial.PartCost: 5, trial.PartSaturation: 3},
		}},
	}
}

// memoryPool is a pool that is in no folder: appends would fail, reads do not need them.
func memoryPool(metrics []trial.Metric) *Pool {
	h := testHeader(metrics)
	h.Schema, h.Class = Schema, ClassOf(h.Host)
	return &Pool{Header: h}
}

// fill adds blocks of one dose in sessions of 48.
func (m *machine) fill(p *Pool, dose string, count int, worse map[string]float64) {
	for i := range count {
		p.blocks = append(p.blocks, Block{
			Dose: dose, Fault: dose, Workload: testWorkload, Session: fmt.Sprintf("%s-%d", dose, i/48), Block: m.block(p.Header.Workloads[0].Metrics, worse),
		})
	}
}

func analyse(t *testing.T, p *Pool, o Options) *Datasheet {
	t.Helper()
	sheet, err := Analyse(p, o)
	if err != nil {
		t.Fatal(err)
	}
	return sheet
}
