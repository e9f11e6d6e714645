package datasheet

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"fluxmq/reports/trial"
)

// faultKind says what a fault of one kind must be caught by.
type faultKind struct {
	name string
	// expected metrics: at least one gated one must call the fault. Those that are not gated only show it.
	expected []string
	// exit is the exit status that a fault of correctness must end with; 0: the fault costs, it breaks nothing.
	exit int
}

// exitCorrectness is the exit status of a run whose ledger does not hold.
const exitCorrectness = 6

// faultKinds returns the table of all faults in the order in which they are shown.
func faultKinds() []faultKind {
	return []faultKind{
		{name: "cpu", expected: []string{trial.BrokerCPU}},
		{name: "alloc", expected: []string{trial.BrokerAllocs, trial.BrokerAllocBytes}},
		{name: "syscall", expected: []string{trial.ReadSyscalls, trial.WriteSyscalls}},
		{name: "mutex", expected: []string{trial.Delivered, trial.ContextSwitches}},
		{name: "stall", expected: []string{trial.ProduceP99, trial.ProduceP999}},
		{name: "fsync", expected: []string{trial.BrokerCPU, trial.ProduceP50, trial.ProduceP99, trial.Delivered, trial.WriteSyscalls}},
		{name: "leak", expected: []string{trial.PeakRSS}},
		{name: "response", expected: []string{trial.ResponseBytes}},
		{name: "drop-record", exit: exitCorrectness},
		{name: "drop-batch", exit: exitCorrectness},
		{name: "duplicate-batch", exit: exitCorrectness},
	}
}

// kindOf finds the kind of a dose or fault ("cpu-5", "drop-record:1000"). ok is
// false for a kind that the table does not know: then nothing is expected.
func kindOf(dose string) (kind faultKind, ok bool) {
	for _, k := range faultKinds() {
		rest, found := strings.CutPrefix(dose, k.name)
		if found && (rest == "" || !isLetter(rest[0])) {
			return k, true
		}
	}
	return faultKind{name: dose}, false
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

var strength = regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)

// compareDoses orders doses: A/A first, then by the table of faults, then by the first number in the name.
func compareDoses(a, b string) int {
	return cmp.Or(cmp.Compare(kindRank(a), kindRank(b)), cmp.Compare(doseStrength(a), doseStrength(b)), strings.Compare(a, b))
}

func kindRank(dose string) int {
	if dose == NoDose {
		return -1
	}
	kind, _ := kindOf(dose)
	kinds := faultKinds()
	for i, k := range kinds {
		if k.name == kind.name {
			return i
		}
	}
	return len(kinds)
}

// doseStrength is the first number in a dose's name, in whatever unit the fault counts; 0 without one.
func doseStrength(dose string) float64 {
	v, err := strconv.ParseFloat(strength.FindString(dose), 64)
	if err != nil {
		return 0 // no number in the name
	}
	return v
}
