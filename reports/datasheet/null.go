package datasheet

import (
	"math"
	"math/rand/v2"
	"slices"

	"fluxmq/reports/inference"
	"fluxmq/reports/trial"
)

// Null is one metric of one workload under A/A: what the gate sees where there is nothing to see.
type Null struct {
	Metric trial.Metric `json:"metric"`
	Blocks int          `json:"blocks" jsonschema:"kept A/A blocks that know the metric"`
	// Sigma is the standard deviation of the block's log ratio, 0.01 is about 1 %, adjusted for the metric's covariate as the
	// gate does; SigmaRaw is without that. Slope is what is taken out for each unit of the covariate.
	Sigma    float64 `json:"sigma"`
	SigmaRaw float64 `json:"sigma_raw"`
	Slope    float64 `json:"slope"`
	// Autocorrelation of adjacent blocks' log ratios within a session (lag 1): what resampling keeps by drawing adjacent blocks.
	Autocorrelation float64 `json:"autocorrelation"`
	// Bias is the estimate over the whole A/A pool: its interval should hold 0.
	Bias *Effect `json:"bias"`
	// Widths of the two-sided 95 % interval at each look.
	Widths []Width `json:"widths"`
	// Uniform compares the p-values of separate groups of blocks with the uniform distribution.
	Uniform *Uniformity `json:"uniform"`
	// Coverage is how often the interval at the last look holds the pool's own estimate.
	Coverage *Simulated `json:"coverage"`
	// Shift is what the metric could see if a constant effect were added to these A/A blocks; nil for a metric that is not gated.
	Shift *Shift `json:"shift"`
}

// Width is the median width of the two-sided 95 % signed-rank interval over resampled gates, relative (0.02: the interval is 2 % wide).
type Width struct {
	Blocks int     `json:"blocks"`
	Median float64 `json:"median"`
}

// Uniformity of A/A p-values: groups of as many adjacent blocks as the first
// look, none in two groups. D and P are Kolmogorov's and Smirnov's.
type Uniformity struct {
	Groups int     `json:"groups"`
	D      float64 `json:"d"`
	P      float64 `json:"p"`
}

// widthShare of Options.Resamples is drawn for a median width.
const widthShare = 0.1

// newNull describes one metric; g judges the A/A sample.
func newNull(g *gate, metric int, o Options, workload string) Null {
	m := g.sample.metrics[metric]
	known := g.sample.known(metric)
	raw := appendKnown(nil, g.sample.differences[metric])
	slope := 0.0
	if m.Covariate != "" {
		_, slope = inference.Adjust(raw, appendKnown(nil, g.sample.covariates[metric]))
	}
	n := Null{
		Metric: m, Blocks: len(known), Sigma: deviation(known), SigmaRaw: deviation(raw), Slope: slope, Autocorrelation: g.sample.autocorrelation(metric),
		Bias: newEffect(known, m.Worsening), Uniform: newUniformity(known, g.looks[0]),
	}
	if g.enough() {
		n.Widths = g.widths(metric, max(leastInner, int(float64(o.Resamples)*widthShare)), o.source("width", workload, m.Name))
		n.Coverage = g.coverage(metric, o, NoDose, workload)
		if place := slices.Index(g.gated, metric); place >= 0 {
			n.Shift = g.shift(place, o, "shift", workload, m.Name)
		}
	}
	return n
}

// deviation is the standard deviation, n−1 in the denominator; 0 for fewer than two values.
func deviation(d []float64) float64 {
	if len(d) < 2 {
		return 0
	}
	var sum, squares float64
	for _, v := range d {
		sum += v
	}
	mean := sum / float64(len(d))
	for _, v := range d {
		squares += (v - mean) * (v - mean)
	}
	return math.Sqrt(squares / float64(len(d)-1))
}

// autocorrelation of lag 1 over the pairs of adjacent blocks of one session; 0 without pairs or spread.
func (s *sample) autocorrelation(metric int) float64 {
	known := s.known(metric)
	d, next := slices.Clone(s.differences[metric]), 0
	for i := range d { // the adjusted ones at their places
		if !math.IsNaN(d[i]) {
			d[i], next = known[next], next+1
		}
	}
	var mean float64
	for _, v := range known {
		mean += v / float64(len(known))
	}
	var products, squares float64
	pairs := 0
	for i := 1; i < len(d); i++ {
		if p := (d[i] - mean) * (d[i-1] - mean); s.sessions[i] == s.sessions[i-1] && !math.IsNaN(p) {
			products, pairs = products+p, pairs+1
		}
	}
	for _, v := range known {
		squares += (v - mean) * (v - mean)
	}
	if pairs == 0 || squares == 0 {
		return 0
	}
	return (products / float64(pairs)) / (squares / float64(len(known)))
}

// newUniformity is nil for fewer than five groups, below which the test says nothing.
func newUniformity(known []float64, size int) *Uniformity {
	const fewest = 5
	var p []float64
	for group := range slices.Chunk(known, size) {
		if len(group) == size {
			p = append(p, inference.SignFlip(group, 0))
		}
	}
	if len(p) < fewest {
		return nil
	}
	u := &Uniformity{Groups: len(p)}
	u.D, u.P = inference.UniformKS(p)
	return u
}

func (g *gate) widths(metric, gates int, rng *rand.Rand) []Width {
	var widths []Width
	for _, look := range g.looks {
		var seen []float64
		for range gates {
			low, high := inference.SignedRankInterval(g.read(metric, drawBlocks(rng, g.whole(), look)), boundConfidence)
			if width := math.Expm1(high - low); !math.IsNaN(width) && !math.IsInf(width, 0) {
				seen = append(seen, width)
			}
		}
		if len(seen) > 0 {
			widths = append(widths, Width{Blocks: look, Median: inference.Median(seen)})
		}
	}
	return widths
}
