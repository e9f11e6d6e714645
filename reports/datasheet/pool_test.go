package datasheet

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxmq/reports"
)

func TestPoolReadsBackWhatWasAppended(t *testing.T) {
	root := t.TempDir()
	pool, err := Create(root, testHeader(testMetrics()))
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(1, 0.01, 0, 0)
	for _, dose := range []string{"cpu-5", NoDose, "cpu-5"} {
		b := m.block(testMetrics(), nil)
		b.Runs[0].LatencyLogs, b.Runs[0].Profile = map[string]string{"cost": "x.hlog"}, "cpu.pprof"
		if err := pool.AppendBlock(Block{Dose: dose, Workload: testWorkload, Session: "s1", Gate: 1, Block: b}); err != nil {
			t.Fatal(err)
		}
		if b.Runs[0].Profile == "" {
			t.Fatal("the caller's block was changed")
		}
	}
	if err := pool.AppendGate(Gate{Number: 1, Dose: "cpu-5", Workload: testWorkload, Seed: 1 << 63, CalledBy: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	if err := pool.AppendFault(Fault{Fault: "drop-record", Exit: 6}); err != nil {
		t.Fatal(err)
	}

	read, err := Create(root, testHeader(testMetrics())) // continues
	if err != nil {
		t.Fatal(err)
	}
	blocks := read.Blocks("cpu-5", testWorkload)
	if len(blocks) != 2 || blocks[0].Block.StartUnixNs >= blocks[1].Block.StartUnixNs || len(read.Blocks(NoDose, testWorkload)) != 1 {
		t.Fatalf("read %d blocks", len(blocks))
	}
	if r := blocks[0].Block.Runs[0]; r.Profile != "" || r.LatencyLogs != nil || len(r.Values) != len(testMetrics()) {
		t.Errorf("a run is kept as %+v", r)
	}
	if g := read.Gates("cpu-5", testWorkload); len(g) != 1 || g[0].Seed != 1<<63 || len(read.Faults()) != 1 {
		t.Errorf("gates %+v, faults %+v", g, read.Faults())
	}
	if got := strings.Join(read.Doses(), " "); got != "none cpu-5" {
		t.Errorf("doses %q", got)
	}
	if _, err := os.Stat(filepath.Join(read.Dir, "blocks-cpu-5-megabatch-wire.jsonl")); err != nil {
		t.Error(err)
	}
}

func TestPoolDropsATornLine(t *testing.T) {
	pool, err := Create(t.TempDir(), testHeader(testMetrics()))
	if err != nil {
		t.Fatal(err)
	}
	add := func(number int) {
		t.Helper()
		if err := pool.AppendGate(Gate{Number: number, Dose: NoDose, Workload: testWorkload}); err != nil {
			t.Fatal(err)
		}
	}
	add(1)
	file := filepath.Join(pool.Dir, gatesFile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, text[:len(text)/2]...), 0o644); err != nil {
		t.Fatal(err)
	}
	numbers := func() (all []int) {
		t.Helper()
		read, err := Open(pool.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range read.Gates(NoDose, testWorkload) {
			all = append(all, g.Number)
		}
		return all
	}
	if got := numbers(); len(got) != 1 {
		t.Fatalf("after a torn line: gates %v", got)
	}
	add(2)
	if got := numbers(); len(got) != 2 || got[1] != 2 {
		t.Fatalf("after an append over a torn line: gates %v", got)
	}
	if err := os.WriteFile(file, append([]byte("{torn\n"), text...), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(pool.Dir); err == nil || !strings.Contains(err.Error(), gatesFile+":1") {
		t.Errorf("a broken line in the middle: %v", err)
	}
}

func TestPoolRefusesWhatDoesNotBelong(t *testing.T) {
	root := t.TempDir()
	if _, err := Open(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no pool: %v", err)
	}
	if _, err := Create(root, testHeader(testMetrics())); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Header){
		"rules":    func(h *Header) { h.Rules.Alpha = 0.02 },
		"broker":   func(h *Header) { h.Broker.SHA256 = "other" },
		"rate":     func(h *Header) { h.Workloads[0].RatePerSecond++ },
		"metrics":  func(h *Header) { h.Workloads[0].Metrics[0].Margin = 1 },
		"workload": func(h *Header) { h.Workloads[0].Client = "java" },
	} {
		h := testHeader(testMetrics())
		change(&h)
		if _, err := Create(root, h); err == nil {
			t.Errorf("another %s was accepted", name)
		}
	}
}

func TestClassIsWhatOneDatasheetHoldsFor(t *testing.T) {
	for want, host := range map[string]reports.HostFingerprint{
		"2-amd-epyc-linux-6.18-kvm-guest-24gib":                    {CPUs: 2, CPUModel: "AMD EPYC", OS: "linux", Kernel: "6.18.44-fc-v657", Virtualization: "kvm guest", MemoryBytes: 25276510208, Hostname: "any"},
		"4-intel-xeon-platinum-8370c-cpu-2.80ghz-linux-6.11-16gib": {CPUs: 4, CPUModel: "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz", OS: "linux", Kernel: "6.11.0-1018-azure", MemoryBytes: 16772579328},
		"64-linux-512gib": {CPUs: 64, OS: "linux", MemoryBytes: 540_000_000_000},
	} {
		if got := ClassOf(host); got != want {
			t.Errorf("class %q, want %q", got, want)
		}
	}
}

func TestDosesAreInTheOrderOfTheTable(t *testing.T) {
	doses := []string{"cpu-10", "response-2", "unheard", "cpu-2", "none", "stall-20ms", "cpu-1.5"}
	pool := &Pool{}
	for _, d := range doses {
		pool.gates = append(pool.gates, Gate{Dose: d})
	}
	if got := strings.Join(pool.Doses(), " "); got != "none cpu-1.5 cpu-2 cpu-10 stall-20ms response-2 unheard" {
		t.Errorf("doses %s", got)
	}
	if k, ok := kindOf("duplicate-batch:1000"); !ok || k.exit != exitCorrectness {
		t.Errorf("duplicate-batch is %+v", k)
	}
	if _, ok := kindOf("cpuset"); ok {
		t.Error("cpuset is no dose of cpu")
	}
}
