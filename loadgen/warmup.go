package loadgen

import (
	"math"

	"fluxmq/scenarios"
)

// Detector decides from bucket rates when a load has become steady. Pure: the
// caller keeps the time.
type Detector struct {
	settings scenarios.WarmUp
	Rates    []float64 // records a second of every bucket so far
}

// NewDetector starts with no buckets.
func NewDetector(settings scenarios.WarmUp) *Detector { return &Detector{settings: settings} }

// Add takes the rate of one more bucket.
func (d *Detector) Add(ratePerSecond float64) { d.Rates = append(d.Rates, ratePerSecond) }

// Steady tells whether the last window_buckets rates lie within tolerance of
// their mean and neither rise nor fall throughout.
func (d *Detector) Steady() bool {
	n := d.settings.WindowBuckets
	if n < 2 || len(d.Rates) < n {
		return false
	}
	window := d.Rates[len(d.Rates)-n:]
	mean := 0.0
	for _, rate := range window {
		mean += rate / float64(n)
	}
	if mean <= 0 {
		return false
	}
	rising, falling := true, true
	for i, rate := range window {
		if math.Abs(rate-mean) > d.settings.Tolerance*mean {
			return false
		}
		if i > 0 {
			rising = rising && rate > window[i-1]
			falling = falling && rate < window[i-1]
		}
	}
	return !rising && !falling
}

// Verdict says whether the warm-up is over after elapsedSeconds, and why.
func (d *Detector) Verdict(elapsedSeconds float64) (over, steady bool, reason string) {
	switch {
	case elapsedSeconds >= d.settings.MinSeconds && d.Steady():
		return true, true, "steady"
	case elapsedSeconds >= d.settings.MaxSeconds:
		return true, false, "max_seconds reached"
	}
	return false, false, ""
}
