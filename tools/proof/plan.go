package proof

import (
	"slices"

	"fluxmq/reports/datasheet"
)

// Dose is one way in which arm B differs from arm A.
type Dose struct {
	Name  string // as in the datasheet: cpu-5
	Fault string // what the broker of arm B is told; "": nothing, A/A
	// Gates are the direct gates wanted over all workloads, Blocks the kept blocks of the pool, those of the gates included.
	Gates  int
	Blocks int
	// Workloads limits where it is run, by scenario; empty: everywhere.
	Workloads []string
	// Breaks tells that it must end with exit 6: one run is enough to see it.
	Breaks bool
}

// standardOnly: faults of the answer need a workload with answers (megabatch has acks=0).
var standardOnly = []string{"standard"}

// Doses is the whole proof, in the order of its importance: a short budget still proves something of each kind.
func Doses() []Dose {
	return []Dose{
		{Name: datasheet.NoDose, Gates: 10, Blocks: 240},
		{Name: "cpu-5", Fault: "cpu:5", Gates: 5, Blocks: 120},
		{Name: "drop-record", Fault: "drop-record:1000000", Breaks: true, Gates: 2},
		{Name: "duplicate-batch", Fault: "duplicate-batch:10000", Breaks: true, Gates: 2, Workloads: standardOnly},
		{Name: "alloc-1", Fault: "alloc:1", Gates: 1, Workloads: standardOnly},
		{Name: "syscall-1", Fault: "syscall:1", Gates: 1, Workloads: standardOnly},
		{Name: "mutex", Fault: "mutex", Gates: 1, Workloads: standardOnly},
		{Name: "stall", Fault: "stall:20ms:1%", Gates: 1, Workloads: standardOnly},
		{Name: "fsync-1", Fault: "fsync:1", Gates: 1, Workloads: standardOnly},
		{Name: "leak-16", Fault: "leak:16", Gates: 1, Workloads: standardOnly},
		{Name: "response-2", Fault: "response:2%", Gates: 1, Workloads: standardOnly},
		{Name: "cpu-2", Fault: "cpu:2", Gates: 2, Blocks: 48},
		{Name: "cpu-10", Fault: "cpu:10", Gates: 1, Blocks: 24},
		{Name: "cpu-1", Fault: "cpu:1", Gates: 1, Blocks: 24},
	}
}

// work is what is run next.
type work struct {
	dose     Dose
	workload int
	gate     bool // a direct gate; else single blocks for the pool
}

// next picks what the pool lacks most: the dose with the smallest share of its
// direct gates done, in the order of Doses, then the dose with the smallest
// share of its blocks. ok is false when nothing is lacking. only names the doses
// to run; empty: all.
func next(pool *datasheet.Pool, scenarios []string, names []string, only []string) (w work, ok bool) {
	least := 2.0
	consider := func(share float64, candidate work) {
		if share < 1 && share < least {
			least, w, ok = share, candidate, true
		}
	}
	for _, d := range wanted(only) {
		at, gates := turn(pool, d, scenarios, names)
		if at >= 0 && d.Gates > 0 {
			consider(float64(gates)/float64(d.Gates), work{d, at, true})
		}
	}
	if ok {
		return w, true
	}
	for _, d := range wanted(only) {
		if d.Breaks || d.Blocks == 0 {
			continue
		}
		total, fewest, at := 0, 0, -1
		for i, s := range scenarios {
			if !d.runsOn(s) {
				continue
			}
			kept := keptBlocks(pool.Blocks(d.Name, names[i]))
			total += kept
			if at < 0 || kept < fewest {
				at, fewest = i, kept
			}
		}
		if at >= 0 {
			consider(float64(total)/float64(d.Blocks), work{d, at, false})
		}
	}
	return w, ok
}

func wanted(only []string) []Dose {
	return slices.DeleteFunc(Doses(), func(d Dose) bool { return len(only) > 0 && !slices.Contains(only, d.Name) })
}

func (d Dose) runsOn(scenario string) bool {
	return len(d.Workloads) == 0 || slices.Contains(d.Workloads, scenario)
}

// turn counts a dose's gates (or, of a breaking one, its runs) and names the workload with the fewest; -1: it runs nowhere.
func turn(pool *datasheet.Pool, d Dose, scenarios, names []string) (at, total int) {
	at = -1
	fewest := 0
	for i, s := range scenarios {
		if !d.runsOn(s) {
			continue
		}
		done := len(pool.Gates(d.Name, names[i]))
		if d.Breaks {
			done = 0
			for _, f := range pool.Faults() {
				if f.Fault == d.Fault && f.Workload == names[i] {
					done++
				}
			}
		}
		total += done
		if at < 0 || done < fewest {
			at, fewest = i, done
		}
	}
	return at, total
}

func keptBlocks(blocks []datasheet.Block) int {
	kept := 0
	for _, b := range blocks {
		if b.Block.Rejected == "" && b.Block.Sound() {
			kept++
		}
	}
	return kept
}
