package loadgen

import (
	"testing"

	"fluxmq/scenarios"
)

func TestDetector(t *testing.T) {
	settings := scenarios.WarmUp{MinSeconds: 2, MaxSeconds: 8, WindowBuckets: 5, Tolerance: 0.1}
	table := []struct {
		what   string
		rates  []float64
		steady bool
	}{
		{"no buckets", nil, false},
		{"fewer buckets than the window", []float64{100, 101, 100, 101}, false},
		{"level with noise", []float64{100, 104, 98, 102, 99}, true},
		{"only the window counts", []float64{1, 5, 50, 100, 104, 98, 102, 99}, true},
		{"one bucket beyond the tolerance", []float64{100, 100, 130, 100, 100}, false},
		{"a steady climb within the tolerance", []float64{100, 102, 104, 106, 108}, false},
		{"a steady fall within the tolerance", []float64{108, 106, 104, 102, 100}, false},
		{"a climb that ends", []float64{100, 102, 104, 106, 106}, true},
		{"all the same", []float64{7, 7, 7, 7, 7}, true},
		{"nothing flows", []float64{0, 0, 0, 0, 0}, false},
	}
	for _, row := range table {
		d := NewDetector(settings)
		for _, rate := range row.rates {
			d.Add(rate)
		}
		if got := d.Steady(); got != row.steady {
			t.Errorf("%s: got %v", row.what, got)
		}
	}
}

func TestDetectorVerdict(t *testing.T) {
	d := NewDetector(scenarios.WarmUp{MinSeconds: 2, MaxSeconds: 8, WindowBuckets: 3, Tolerance: 0.1})
	if over, _, _ := d.Verdict(7.9); over {
		t.Error("not steady and not yet at max_seconds")
	}
	if over, steady, reason := d.Verdict(8); !over || steady || reason != "max_seconds reached" {
		t.Errorf("got %v %v %q", over, steady, reason)
	}
	for range 3 {
		d.Add(100)
	}
	if over, _, _ := d.Verdict(1.9); over {
		t.Error("steady before min_seconds must go on")
	}
	if over, steady, reason := d.Verdict(2); !over || !steady || reason != "steady" {
		t.Errorf("got %v %v %q", over, steady, reason)
	}
}
