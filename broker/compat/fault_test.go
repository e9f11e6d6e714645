package compat

import (
	"os/exec"
	"strings"
	"testing"
)

// The broker that people run contains nothing of the faults; the one that is
// built to misbehave does, so the names looked for are the right ones.
func TestFaultsAreNotInANormalBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the broker twice")
	}
	symbols := func(tags ...string) (n int) {
		out, err := exec.Command("go", "tool", "nm", buildBroker(t, tags...)).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "fluxmq/broker/fault.") || strings.Contains(line, "Faulty") || strings.Contains(line, "WithoutLast") {
				n++
			}
		}
		return n
	}
	if n := symbols(); n != 0 {
		t.Errorf("a normal build has %d symbols of faults", n)
	}
	if n := symbols("faultinject"); n < 10 {
		t.Errorf("a faultinject build has %d symbols of faults", n)
	}
}
