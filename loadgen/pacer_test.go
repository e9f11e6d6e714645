package loadgen

import (
	"testing"

	"pgregory.net/rapid"
)

func TestPacerTable(t *testing.T) {
	table := []struct {
		what            string
		rate            float64
		worker, workers int
		n, want         int64
	}{
		{"the first record of the first worker is due at once", 1000, 0, 4, 0, 0},
		{"workers are staggered by one interval of the whole rate", 1000, 1, 4, 0, 1_000_000},
		{"a worker's own interval is T/R", 1000, 0, 4, 1, 4_000_000},
		{"both together", 1000, 3, 4, 2, 11_000_000},
		{"an hour at 20,000/s ends on the nanosecond", 20000, 0, 4, 18_000_000, 3_600_000_000_000},
		{"rates that divide badly are rounded, not summed", 3, 0, 1, 1_000_000, 333_333_333_333_333},
	}
	for _, row := range table {
		if got := NewPacer(row.rate, row.worker, row.workers).Offset(row.n); got != row.want {
			t.Errorf("%s: got %d, want %d", row.what, got, row.want)
		}
	}
	if NewPacer(0, 0, 1).Paced() {
		t.Error("a rate of 0 is closed loop")
	}
}

// All workers together offer the rate: within any second from the start, R records, give or take one a worker.
func TestPacerOffersTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := float64(rapid.IntRange(1, 200_000).Draw(t, "rate"))
		workers := rapid.IntRange(1, 16).Draw(t, "workers")
		due := int64(0)
		for w := range workers {
			p := NewPacer(rate, w, workers)
			n := int64(0)
			for p.Offset(n) < 1e9 {
				if p.Offset(n+1) < p.Offset(n) {
					t.Fatal("time must not run backwards")
				}
				n += max(1, int64(rate)/2000)
			}
			for n > 0 && p.Offset(n-1) >= 1e9 {
				n--
			}
			due += n
		}
		if diff := due - int64(rate); diff < -int64(workers) || diff > int64(workers) {
			t.Fatalf("%d records in the first second at %v/s by %d workers", due, rate, workers)
		}
	})
}
