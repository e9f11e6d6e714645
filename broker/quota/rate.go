package quota

import (
	"math"
	"time"
)

// windows says how a sensor samples: num samples, each of sizeMs milliseconds.
type windows struct {
	num    int64
	sizeMs int64
}

// newWindows holds the whole span to what milliseconds can count.
func newWindows(num int, size time.Duration) windows {
	w := windows{num: max(int64(num), 1), sizeMs: max(size.Milliseconds(), 1)}
	w.num = min(w.num, math.MaxInt64/4/w.sizeMs)
	return w
}

// spanMs is the time that is looked at.
func (w windows) spanMs() int64 { return w.num * w.sizeMs }

// rate sums amounts over the last windows and divides by the time that they
// took (Kafka's Rate over a SampledStat). A sample begins with the first
// amount after the last one's end, so that silence costs nothing. The time is
// never taken as shorter than all windows but one: the first burst of a silent
// client is judged as if it had been silent before. Times are milliseconds of
// any clock that does not go back. The zero rate is empty.
type rate struct {
	samples []sample // one more than windows: the oldest may overlap the time looked at
	current int
}

type sample struct {
	startMs, lastMs int64 // of its window, of the last amount in it
	sum             float64
}

// usualSamples is what memory is taken for at once; Kafka's default needs 12.
const usualSamples = 12

// record adds an amount, which is negative to take back one of the same moment.
func (r *rate) record(w windows, nowMs int64, amount float64) {
	if r.samples == nil {
		r.samples = append(make([]sample, 0, min(w.num+1, usualSamples)), sample{startMs: nowMs, lastMs: nowMs})
	}
	s := &r.samples[r.current]
	if nowMs-s.startMs >= w.sizeMs {
		s = r.advance(w, nowMs)
	}
	s.sum += amount
	s.lastMs = nowMs
}

// advance begins the next sample, in the place of the oldest when all are taken.
func (r *rate) advance(w windows, nowMs int64) *sample {
	if r.current++; int64(r.current) > w.num {
		r.current = 0
	}
	if r.current == len(r.samples) {
		r.samples = append(r.samples, sample{})
	}
	s := &r.samples[r.current]
	*s = sample{startMs: nowMs, lastMs: nowMs}
	return s
}

// sum empties the samples whose last amount is too old, and adds up the others.
func (r *rate) sum(w windows, nowMs int64) (total float64) {
	for i := range r.samples {
		s := &r.samples[i]
		if nowMs-s.lastMs >= w.spanMs() {
			*s = sample{startMs: nowMs, lastMs: nowMs}
		}
		total += s.sum
	}
	return total
}

// measure is the rate, in amounts a second, and the time that it is of.
func (r *rate) measure(w windows, nowMs int64) (perSecond float64, tookMs int64) {
	total, oldest := r.sum(w, nowMs), nowMs
	for i := range r.samples {
		oldest = min(oldest, r.samples[i].startMs)
	}
	tookMs = nowMs - oldest
	if missing := w.num - 1 - tookMs/w.sizeMs; missing > 0 {
		tookMs += missing * w.sizeMs
	}
	tookMs = max(tookMs, 1)
	return total / (float64(tookMs) / 1000), tookMs
}
