package proof

import (
	"testing"

	"fluxmq/reports"
	"fluxmq/reports/datasheet"
	"fluxmq/reports/trial"
)

// A pool that is always given what it lacks most ends with everything, in an
// order in which a short budget has something of each kind.
func TestNextFillsThePool(t *testing.T) {
	scenarios, names := []string{"standard", "megabatch"}, []string{"standard/wire", "megabatch/wire"}
	pool, err := datasheet.Create(t.TempDir(), datasheet.Header{Host: reports.HostFingerprint{CPUs: 2}, Rules: trial.Rules{Looks: []int{2}, Alpha: 0.01}})
	if err != nil {
		t.Fatal(err)
	}
	sound := trial.Block{Order: "ABBA", Runs: []trial.Run{{Arm: "A"}, {Arm: "B"}, {Arm: "B"}, {Arm: "A"}}}
	var order []string
	for steps := 0; ; steps++ {
		if steps > 5000 {
			t.Fatal("it never ends")
		}
		w, more := next(pool, scenarios, names, nil)
		if !more {
			break
		}
		order = append(order, w.dose.Name)
		name := names[w.workload]
		if !w.dose.runsOn(scenarios[w.workload]) {
			t.Fatalf("%s is not for %s", w.dose.Name, name)
		}
		switch {
		case w.dose.Breaks:
			err = pool.AppendFault(datasheet.Fault{Fault: w.dose.Fault, Workload: name, Exit: 6})
		case w.gate:
			for range 16 {
				if err = pool.AppendBlock(datasheet.Block{Dose: w.dose.Name, Workload: name, Block: sound}); err != nil {
					t.Fatal(err)
				}
			}
			err = pool.AppendGate(datasheet.Gate{Dose: w.dose.Name, Workload: name})
		default:
			err = pool.AppendBlock(datasheet.Block{Dose: w.dose.Name, Workload: name, Block: sound})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range Doses() {
		blocks, gates := 0, 0
		for _, name := range names {
			blocks += keptBlocks(pool.Blocks(d.Name, name))
			gates += len(pool.Gates(d.Name, name))
		}
		if !d.Breaks && (blocks < d.Blocks || gates < d.Gates) {
			t.Errorf("%s: %d of %d blocks, %d of %d gates", d.Name, blocks, d.Blocks, gates, d.Gates)
		}
	}
	if order[0] != datasheet.NoDose || order[1] != "cpu-5" {
		t.Errorf("it begins with %v", order[:4])
	}
	seen := map[string]bool{}
	for _, name := range order[:len(Doses())] {
		seen[name] = true
	}
	if len(seen) != len(Doses()) {
		t.Errorf("the first %d steps are of %d kinds only", len(Doses()), len(seen))
	}
}

func TestOnlyNamedDosesAreRun(t *testing.T) {
	pool, err := datasheet.Create(t.TempDir(), datasheet.Header{Host: reports.HostFingerprint{CPUs: 2}, Rules: trial.Rules{Looks: []int{2}, Alpha: 0.01}})
	if err != nil {
		t.Fatal(err)
	}
	if w, more := next(pool, []string{"standard"}, []string{"standard/wire"}, []string{"leak-16"}); !more || w.dose.Name != "leak-16" {
		t.Errorf("%+v, %v", w, more)
	}
}
