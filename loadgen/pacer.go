package loadgen

import "math"

// Pacer says when record n of one worker is intended. It is pure: the same n
// always gives the same time.
type Pacer struct {
	startNs    float64 // of this worker, relative to the load's start
	intervalNs float64 // between two records of this worker
}

// NewPacer spreads ratePerSecond over workers threads: record n of worker w is
// intended at start + (n·T + w)/R, so the workers are staggered evenly. A
// rate of 0 is closed loop: Paced is false and Offset must not be asked.
func NewPacer(ratePerSecond float64, worker, workers int) Pacer {
	if ratePerSecond <= 0 {
		return Pacer{}
	}
	return Pacer{
		startNs:    float64(worker) * 1e9 / ratePerSecond,
		intervalNs: float64(workers) * 1e9 / ratePerSecond,
	}
}

// Paced tells whether there is a rate at all.
func (p Pacer) Paced() bool { return p.intervalNs > 0 }

// Offset is the intended time of record n in nanoseconds after the load's start. It does not drift: no sums are kept.
func (p Pacer) Offset(n int64) int64 {
	return int64(math.Round(p.startNs + float64(n)*p.intervalNs))
}
