package datasheet

import (
	"math"

	"fluxmq/reports/inference"
	"fluxmq/reports/trial"
)

// sample is one dose's kept blocks of one workload as bare numbers, in the order they were run.
type sample struct {
	metrics []trial.Metric
	// differences holds for each metric the blocks' log ratios, positive is worse; NaN where a block does not know the metric.
	differences [][]float64
	// covariates holds for each metric what its blocks are adjusted for; NaN where that is not known or the metric has none.
	covariates [][]float64
	// sessions numbers the session of each block; adjacent blocks of one number ran after one another.
	sessions []int
}

// newSample takes the blocks that no rule rejected and whose runs are sound.
func newSample(metrics []trial.Metric, blocks []Block) *sample {
	s := &sample{metrics: metrics, differences: make([][]float64, len(metrics)), covariates: make([][]float64, len(metrics))}
	session, name := -1, ""
	for _, b := range blocks {
		if b.Block.Rejected != "" || !b.Block.Sound() {
			continue
		}
		if session < 0 || b.Session != name {
			session, name = session+1, b.Session
		}
		s.sessions = append(s.sessions, session)
		for i, m := range metrics {
			d, ok := m.Difference(b.Block)
			if !ok {
				d = math.NaN()
			}
			s.differences[i] = append(s.differences[i], d)
			x, ok := m.CovariateDifference(b.Block)
			if !ok {
				x = math.NaN()
			}
			s.covariates[i] = append(s.covariates[i], x)
		}
	}
	return s
}

// size is the number of blocks.
func (s *sample) size() int { return len(s.sessions) }

// known returns the differences of a metric that are known, in order, adjusted
// for the metric's covariate as reports/verdict does.
func (s *sample) known(metric int) []float64 {
	at := make([]int, s.size())
	for i := range at {
		at[i] = i
	}
	d, _ := s.adjusted(nil, nil, metric, at)
	return d
}

// adjusted reads the known differences of a metric in the blocks at the given
// places into the buffer d; x is a buffer for the covariate. It is inference.Adjust without allocation.
func (s *sample) adjusted(d, x []float64, metric int, at []int) (out, covariate []float64) {
	d, x = d[:0], x[:0]
	for _, block := range at {
		if v := s.differences[metric][block]; !math.IsNaN(v) {
			d = append(d, v)
			if c := s.covariates[metric][block]; !math.IsNaN(c) {
				x = append(x, c)
			}
		}
	}
	inference.AdjustInPlace(d, x)
	return d, x
}

func appendKnown(into, d []float64) []float64 {
	for _, v := range d {
		if !math.IsNaN(v) {
			into = append(into, v)
		}
	}
	return into
}

// indexOf returns the place of a metric in the sample; −1 when the workload is not measured by it.
func (s *sample) indexOf(metric string) int {
	for i, m := range s.metrics {
		if m.Name == metric {
			return i
		}
	}
	return -1
}

// stretches cuts the blocks into runs of about length adjacent ones of one
// session, as indexes. What is left at the end of a session joins the stretch
// before it, or stands alone in a session that is shorter than a stretch.
func (s *sample) stretches(length int) [][]int {
	var all [][]int
	for from := 0; from < s.size(); {
		end := from
		for end < s.size() && s.sessions[end] == s.sessions[from] {
			end++
		}
		for from < end {
			to := min(from+length, end)
			if end-to < length {
				to = end
			}
			var stretch []int
			for ; from < to; from++ {
				stretch = append(stretch, from)
			}
			all = append(all, stretch)
		}
	}
	return all
}
