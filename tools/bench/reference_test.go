package bench

import (
	"testing"
	"time"
)

func TestReferenceMean(t *testing.T) {
	r := &reference{}
	for i := range int64(100) {
		r.rounds = append(r.rounds, referenceRound{unixNs: 1000 + i, cpuNs: 10 + i%2})
	}
	cases := []struct {
		name     string
		from, to int64
		want     float64
		ok       bool
	}{
		{"whole window", 0, 2000, 10.5, true},
		{"half of it, ends included", 1020, 1059, 10.5, true},
		{"too few rounds", 1000, 1000 + referenceLeast - 2, 0, false},
		{"just enough", 1000, 1000 + referenceLeast - 1, 10.5, true},
		{"beside it", 5000, 6000, 0, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := r.mean(c.from, c.to); got != c.want || ok != c.ok {
				t.Errorf("mean(%d, %d) = %v, %v, want %v, %v", c.from, c.to, got, ok, c.want, c.ok)
			}
		})
	}
}

// The rounds of a running reference have CPU times, in order, and end ends them.
func TestReferenceWorks(t *testing.T) {
	r := startReference()
	select {
	case <-r.begun:
	case <-time.After(20 * time.Second):
		t.Error("no round within 20 s")
	}
	from := time.Now().UnixNano()
	time.Sleep(3 * referenceLeast * referencePause) // the window itself
	to := time.Now().UnixNano()
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if len(r.rounds) == 0 {
		t.Fatal("no rounds")
	}
	for i, round := range r.rounds {
		if round.cpuNs <= 0 || i > 0 && round.unixNs <= r.rounds[i-1].unixNs {
			t.Fatalf("round %d: %+v after %+v", i, round, r.rounds[max(0, i-1)])
		}
	}
	if got, ok := r.mean(from, to); ok && got <= 0 {
		t.Errorf("mean %v", got)
	}
}
