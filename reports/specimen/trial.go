// Package specimen makes up trials for the tests of views and formats: the
// same seed gives the same trial, and nothing in it was ever measured. No
// program outside the tests imports it.
package specimen

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// Start is the moment at which every specimen begins.
const Start = 1_795_452_688 * int64(time.Second)

// Blocks of each workload, the rejected one included.
const Blocks = 13

// rejectedBlock is left out for steal.
const rejectedBlock = 5

var baseline = map[string]float64{
	trial.BrokerCPU: 611.2, trial.BrokerAllocs: 0.0412, trial.BrokerAllocBytes: 18.31, trial.ReadSyscalls: 0.00213, trial.WriteSyscalls: 0.00207,
	trial.ResponseBytes: 0.0871, trial.Delivered: 412_345, trial.ProduceP50: 1_912_831, trial.ProduceP99: 7_340_031, trial.ProduceP999: 12_713_983,
	trial.PeakRSS: 54 << 20, trial.SaturationCPU: 498.7, trial.ContextSwitches: 0.0184, trial.ClientCPU: 1043.5,
}

// Trial makes a gate of two workloads. change holds, by metric, the head's
// relative difference from the base: 0.05 is 5 % more.
func Trial(seed uint64, change map[string]float64) *trial.Trial {
	random := rand.New(rand.NewPCG(seed, 1))
	t := &trial.Trial{
		Schema: trial.Schema, ID: fmt.Sprintf("20261123T165128Z-%08x", seed), Kind: trial.KindGate, StartedUnixNs: Start,
		Command: []string{"fluxbench", "gate", "--base", "main", "--head", "HEAD"}, Seed: seed,
		Base: side("main", strings.Repeat("1a2b3c4d5e", 4)), Head: side("HEAD", strings.Repeat("f0e1d2c3b4", 4)),
		Host: reports.HostFingerprint{Hostname: "bench", OS: "linux", Kernel: "6.18", CPUModel: "AMD EPYC", CPUs: 2, CPUFlagsLevel: "v3", MemoryBytes: 24 << 30,
			NUMANodes: 1, Virtualization: "kvm", Filesystem: "ext4", CgroupCPULimit: "unlimited", GoVersion: "go1.26.0"},
		Preflight: []reports.Check{{Condition: "steal", Required: "≤ 5 %", Current: "1.0 %", Severity: "warning", Passed: true}},
		Rules:     trial.Rules{Looks: []int{12, 24}, Alpha: 0.05, Confidence: 0.95, MaxStealShare: 0.05, MaxForeignShare: 0.03, MaxCanaryDeviate: 0.05, MaxExtraShare: 0.5},
	}
	t.Head.Dirty = true
	at := Start
	for _, client := range []string{"wire", "franz-go"} {
		w := trial.Workload{
			Scenario: reports.ScenarioRecord{Name: "megabatch", Question: "How many?", Form: reports.FormHonest, Text: "name: megabatch\n", SHA256: strings.Repeat("0", 64), Overrides: map[string]string{}},
			Client:   client, RatePerSecond: 206_000, PilotPerSecond: 412_000, Durability: "os", Validation: "records",
			Clients: reports.Binary{Role: "load-go", Name: "fluxload", BuildArgs: []string{}}, Metrics: trial.Metrics(), MarginsDefault: true,
		}
		for number := 1; number <= Blocks; number++ {
			w.Blocks = append(w.Blocks, block(random, w, number, &at, change))
		}
		t.Workloads = append(t.Workloads, w)
	}
	t.FinishedUnixNs = at
	return t
}

func side(label, commit string) trial.Side {
	return trial.Side{
		Label: label, Revision: label, Commit: commit,
		Profile: reports.ProfileRecord{Name: "default", Text: "name: default\n", SHA256: strings.Repeat("0", 64), BuildArgs: []string{}, BuildEnv: []string{}, Env: []string{}, BrokerPrefix: []string{}, ClientPrefix: []string{}, DegradedNotes: []string{}},
		Broker:  reports.Binary{Role: "broker", Name: "fluxmq", SizeBytes: 12 << 20, SHA256: commit + commit[:24], BuildArgs: []string{}}, Overrides: map[string]string{}, Env: []string{}, Client: map[string]string{},
	}
}

// block draws four runs around the baseline; what disturbs the block disturbs all four.
func block(random *rand.Rand, w trial.Workload, number int, at *int64, change map[string]float64) trial.Block {
	const run = 12 * int64(time.Second)
	b := trial.Block{Number: number, Order: [...]string{"ABBA", "BAAB"}[number%2], StartUnixNs: *at}
	shared := random.NormFloat64() * 0.02
	for position, arm := range strings.Split(b.Order, "") {
		r := trial.Run{
			Arm: arm, Position: position + 1, StartUnixNs: *at, EndUnixNs: *at + run, Values: map[string]float64{}, Expected: 2_472_000, Read: 2_472_000,
			Noise: trial.Noise{StealShare: math.Abs(random.NormFloat64()) * 0.008, ForeignShare: math.Abs(random.NormFloat64()) * 0.004,
				CanaryNs: 2.1e8 * (1 + random.NormFloat64()*0.006), FirstTouchNsPerKiB: 88 * (1 + random.NormFloat64()*0.02), ReportedKiB: -1},
		}
		if number == rejectedBlock {
			r.Noise.StealShare += 0.09
		}
		for _, m := range w.Metrics {
			scatter := 0.006
			if m.Unit == "p99-ns" || m.Unit == "p99.9-ns" {
				scatter = 0.05
			}
			value := baseline[m.Name] * math.Exp(shared+random.NormFloat64()*scatter)
			if arm == trial.Head {
				value *= 1 + change[m.Name]
			}
			if number == rejectedBlock {
				value *= math.Exp(random.NormFloat64() * 0.1)
			}
			r.Values[m.Name] = value
		}
		b.Runs = append(b.Runs, r)
		*at += run
	}
	if number == rejectedBlock {
		b.Rejected = "steal"
	}
	b.EndUnixNs = *at
	*at += int64(time.Second)
	return b
}

// LoseRecords breaks the head's promise in the last block of the first workload.
func LoseRecords(t *trial.Trial) {
	r := &t.Workloads[0].Blocks[Blocks-1].Runs[1]
	r.Lost, r.Read, r.Exit, r.Failure = 64, r.Read-64, 6, "lost 64 records, the first at partition 3 offset 48211"
}

// WriteFolder stores a trial with a latency log for each run's part cost, as a trial's folder holds them.
func WriteFolder(t *trial.Trial, dir string) error {
	for i := range t.Workloads {
		w := &t.Workloads[i]
		for j := range w.Blocks {
			for k := range w.Blocks[j].Runs {
				run := &w.Blocks[j].Runs[k]
				name := fmt.Sprintf("%s-%02d-%d-%s.hlog", w.Client, w.Blocks[j].Number, run.Position, trial.PartCost)
				run.LatencyLogs = map[string]string{trial.PartCost: name}
				if err := writeLatencyLog(filepath.Join(dir, name), *run); err != nil {
					return err
				}
			}
		}
	}
	text, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "trial.json"), append(text, '\n'), 0o644)
}

// writeLatencyLog spreads a hundred latencies a second evenly below twice the run's median.
func writeLatencyLog(path string, run trial.Run) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := hdr.NewHistogramLogWriter(file)
	if err := w.OutputLogFormatVersion(); err != nil {
		return err
	}
	if err := w.OutputLegend(); err != nil {
		return err
	}
	for second := range int64(3) {
		h := hdr.New(1_000, 60_000_000_000, 3)
		for i := 1; i <= 100; i++ {
			if err := h.RecordValue(int64(run.Values[trial.ProduceP50] * float64(i) / 50)); err != nil {
				return err
			}
		}
		h.SetTag(reports.TagProduce)
		h.SetStartTimeMs(run.StartUnixNs/1e6 + second*1000)
		h.SetEndTimeMs(run.StartUnixNs/1e6 + (second+1)*1000)
		if err := w.OutputIntervalHistogram(h); err != nil {
			return err
		}
	}
	return nil
}
