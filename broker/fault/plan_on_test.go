//go:build faultinject

package fault

import (
	"strings"
	"testing"
	"time"
)

func TestFaultGrammar(t *testing.T) {
	for _, c := range []struct{ spec, want, why string }{
		{"drop-batch:10000", "one batch in 10000 is acknowledged and NOT STORED", "the ledger's own test asks so"},
		{"duplicate-batch:3", "one batch in 3 is STORED TWICE", "and so"},
		{"drop-record:7", "one record in 7", "a number"},
		{"cpu:2.5", "2.5% more CPU time", "a share may be broken"},
		{"alloc:1", "1 heap allocations", ""},
		{"leak:16", "16 bytes are LEAKED", ""},
		{"syscall:2", "2 system calls", ""},
		{"fsync:1", "one batch in 1", ""},
		{"mutex", "one at a time", "the only kind without arguments"},
		{"stall:20ms:1%", "one Produce request in 100 waits for 20ms", "two arguments"},
		{"stall:1s:100", "one Produce request in 1 waits for 1s", "the sign may be left out"},
		{"response:5%", "5% larger", ""},
		{"mutex+cpu:5+leak:1", "one at a time; the process takes 5% more CPU time; 1 bytes", "several are joined with + and told in that order"},
	} {
		p, err := parse(c.spec)
		if err != nil {
			t.Errorf("%s (%s): %v", c.spec, c.why, err)
		} else if got := p.notice(); !strings.HasPrefix(got, "FAULT INJECTION: ") || !strings.Contains(got, c.want) {
			t.Errorf("%s (%s): the notice is %q, want %q in it", c.spec, c.why, got, c.want)
		}
	}
	for _, spec := range []string{
		"nothing:1", "drop-batch", "drop-batch:", "drop-batch:0", "drop-batch:-1", "drop-batch:1.5", "cpu:0", "cpu:NaN", "cpu:1001",
		"mutex:", "mutex:1", "stall:20ms", "stall:1%:20ms", "stall:20ms:101%", "stall:11s:1%", "response:-1%", "mutex+", "mutex+mutex", "drop-batch:2+drop-batch:3",
	} {
		_, err := parse(spec)
		if err == nil {
			t.Errorf("%q was taken", spec)
			continue
		}
		for i := range kinds {
			if !strings.Contains(err.Error(), kinds[i].form()) {
				t.Errorf("%q: the error does not name %s: %v", spec, kinds[i].form(), err)
			}
		}
	}
}

// Whatever the steps, one in n is hit, and never more.
func TestFaultEveryHitsOneInN(t *testing.T) {
	e := Every{n: 100}
	seen, hits := int64(0), int64(0)
	for step := int64(1); step < 60; step++ {
		seen += step
		hits += e.Hits(step)
		if hits != seen/100 {
			t.Fatalf("%d hits of %d, want %d", hits, seen, seen/100)
		}
	}
	if hits == 0 || new(Every).Hits(1000) != 0 {
		t.Fatalf("%d hits; one that is off hits %d", hits, new(Every).Hits(1000))
	}
}

// The dose is of the process's CPU: what a request did is the tests' own spin here.
func TestFaultBurnsAShareOfTheProcess(t *testing.T) {
	p, err := parse("cpu:10")
	if err != nil {
		t.Fatal(err)
	}
	begin := processCPU()
	for i := range 400 {
		spin(p.cpu.perUs * 1000) // a millisecond
		if i%3 == 0 {            // requests and work do not come one by one
			p.Burn()
		}
	}
	burned := float64(p.cpu.burned.Load())
	share := burned / (float64(processCPU()-begin) - burned)
	t.Logf("%.1f%% of the process's CPU", 100*share)
	if share < 0.08 || share > 0.12 {
		t.Errorf("a dose of 10%% took %.1f%%", 100*share)
	}
}

func TestFaultWaste(t *testing.T) {
	p, err := parse("alloc:1+leak:16+syscall:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Waste(1); err != nil { // opens /dev/zero
		t.Fatal(err)
	}
	const records = 10_000
	// 10,000 records leak three chunks, whose list grows now and then.
	if n := testing.AllocsPerRun(20, func() {
		if err := p.Waste(records); err != nil {
			t.Error(err)
		}
	}); n < records || n > records+5 {
		t.Errorf("%v allocations for %d records", n, records)
	}
	if got, want := p.Leaked(), int64(16*(1+21*records)); got != want {
		t.Errorf("%d bytes leaked, want %d", got, want)
	}
	before := systemCalls(t)
	for range 50 {
		if err := p.Waste(1); err != nil {
			t.Fatal(err)
		}
	}
	if got := systemCalls(t) - before; got < 50 {
		t.Errorf("%d system calls for 50 batches", got)
	}
}

func TestFaultStartsAndEnds(t *testing.T) {
	notice, err := Start("stall:20ms:1%")
	if err != nil || !strings.Contains(notice, "waits") || Active() == nil || Active().StallFor != 20*time.Millisecond {
		t.Fatalf("started: %q, %v, %+v", notice, err, Active())
	}
	if notice, err := Start(""); err != nil || !strings.Contains(notice, "behaves") || Active() != nil {
		t.Fatalf("ended: %q, %v", notice, err)
	}
}
