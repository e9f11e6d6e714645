package quota

import (
	"math"
	"testing"
	"time"
)

// charge is an amount at a time.
type charge struct {
	atMs   int64
	amount float64
}

// With a sum S in the windows, which took W, a client at limit T has to wait
// until S/T have passed: S/T-W.
func TestThrottleTimes(t *testing.T) {
	const limit = 100 // a second
	every := func(second int64, times int, amount float64) (charges []charge) {
		for n := range int64(times) {
			charges = append(charges, charge{n * second * 1000, amount})
		}
		return charges
	}
	for _, c := range []struct {
		name    string
		num     int
		charges []charge
		wantMs  float64 // after the last one
	}{
		{"the first burst may be as much as the ten windows before it allow", 11, []charge{{0, 1000}}, 0},
		{"more than that waits for the surplus", 11, []charge{{0, 1100}}, 1000},
		{"in parts it is the same", 11, []charge{{0, 600}, {0, 500}}, 1000},
		{"much more waits longer than all windows take", 11, []charge{{0, 5000}}, 40_000},
		{"the window that runs counts as far as it has run", 11, []charge{{0, 1000}, {500, 50}}, 0},
		{"and no further", 11, []charge{{0, 1000}, {500, 60}}, 100},
		{"the next window replaces one that was taken as silent", 11, []charge{{0, 1000}, {1000, 100}}, 1000},
		{"an old burst counts for all windows", 11, []charge{{0, 1100}, {10_999, 1}}, 11},
		{"and then no more", 11, []charge{{0, 1100}, {11_000, 1}}, 0},
		{"silence forgets everything", 11, []charge{{0, 5000}, {86_400_000, 1000}}, 0},
		{"a steady client a little below its limit never waits", 11, every(1, 100, 90), 0},
		{"eleven samples over ten seconds are what a steady client is judged by", 11, every(1, 100, 100), 1000},
		{"a refund makes room", 11, []charge{{0, 1000}, {1, 500}, {1, -500}, {1, 0}}, 0},
		{"nothing waits for nothing", 11, []charge{{0, 0}}, 0},
		{"two windows judge by one second", 2, []charge{{0, 110}}, 100},
		{"one window judges by what has run of it, a millisecond at least", 1, []charge{{0, 1}}, 9},
		{"one window, half over", 1, []charge{{0, 40}, {500, 20}}, 100},
	} {
		var s sensor
		w, got := newWindows(c.num, time.Second), 0.0
		for _, at := range c.charges {
			got, _ = s.charge(w, at.atMs, at.amount, limit)
		}
		if got != c.wantMs {
			t.Errorf("%s: %v ms, want %v", c.name, got, c.wantMs)
		}
		if most := c.num + 1; len(s.rate.samples) > most {
			t.Errorf("%s: %d samples, want %d at most", c.name, len(s.rate.samples), most)
		}
	}
}

func TestChargeTellsWhoIsAlone(t *testing.T) {
	var s sensor
	w := newWindows(3, time.Second)
	for _, c := range []struct {
		atMs  int64
		alone bool
	}{{0, true}, {0, false}, {2999, false}, {5998, false}, {8998, true}} {
		if _, alone := s.charge(w, c.atMs, 1, 1); alone != c.alone {
			t.Errorf("at %d ms: alone is %v", c.atMs, alone)
		}
	}
}

// Settings as large as their types allow overflow nothing.
func TestHugeWindows(t *testing.T) {
	w := newWindows(math.MaxInt32, math.MaxInt64)
	if w.num < 1 || w.spanMs() < w.sizeMs {
		t.Fatalf("%+v spans %d ms", w, w.spanMs())
	}
	var s sensor
	for at := range int64(5) {
		if ms, _ := s.charge(w, at*1000, 1, 1e-300); math.IsNaN(ms) || ms < 0 {
			t.Errorf("%v ms", ms)
		}
	}
}

func TestBucket(t *testing.T) {
	w := newWindows(100, time.Second)
	type step struct {
		atMs   int64
		take   float64
		strict bool
		owedMs float64
		ok     bool
	}
	for name, steps := range map[string][]step{
		"KIP-599's example: a burst of 560 at 5 a second waits 12 s": {{0, 560, false, 12_000, true}, {12_000, 0, false, 0, true}},
		"strict: the burst may overdraw, the next one waits for it":  {{0, 560, true, 0, true}, {0, 1, true, 12_000, false}, {6000, 1, true, 6000, false}, {12_000, 1, true, 0, true}, {12_000, 1, true, 200, false}},
		"a refused request takes nothing":                            {{0, 505, true, 0, true}, {0, 1000, true, 1000, false}, {1000, 1, true, 0, true}},
		"permissive requests overdraw further":                       {{0, 500, false, 0, true}, {0, 5, false, 1000, true}, {0, 5, false, 2000, true}},
		"silence fills the bucket and no more":                       {{0, 500, true, 0, true}, {86_400_000, 505, false, 1000, true}},
		"a clock that goes back brings nothing":                      {{1000, 500, true, 0, true}, {0, 5, false, 1000, true}, {1500, 0, false, 500, true}},
	} {
		var b bucket
		for n, s := range steps {
			if owedMs, ok := b.take(w, s.atMs, s.take, 5, s.strict); owedMs != s.owedMs || ok != s.ok {
				t.Errorf("%s: step %d: %v ms, %v; want %v ms, %v", name, n, owedMs, ok, s.owedMs, s.ok)
			}
		}
	}
}
