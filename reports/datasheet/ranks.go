package datasheet

import (
	"math"
	"slices"

	"fluxmq/reports/inference"
)

// ranks says for one number of blocks which Walsh averages are the ends of the
// intervals, so that a resampled gate can ask "is the bound below the margin"
// by counting instead of sorting. The places are asked of reports/inference
// once, with values whose Walsh averages are all different (2^i), so that the
// tests are defined in one place only.
type ranks struct {
	low, high int // of the two-sided interval, counted from 0; −1: unbounded
	upper     int // of the one-sided upper bound; −1: unbounded
}

// maxRanked is the largest number of blocks in a gate: sums of two powers of two stay exact in a float64.
const maxRanked = 50

func ranksOf(n int) ranks {
	probe := make([]float64, n)
	for i := range probe {
		probe[i] = math.Ldexp(1, i)
	}
	var averages []float64
	for i, a := range probe {
		for _, b := range probe[i:] {
			averages = append(averages, (a+b)/2)
		}
	}
	slices.Sort(averages)
	low, high := inference.SignedRankInterval(probe, boundConfidence)
	return ranks{
		low: slices.Index(averages, low), high: slices.Index(averages, high),
		upper: slices.Index(averages, inference.SignedRankUpper(probe, boundConfidence)),
	}
}

// walshBelow counts the Walsh averages of ascending values that are below t.
func walshBelow(sorted []float64, t float64) int {
	count, to := 0, len(sorted)
	for from := 0; from < len(sorted); from++ {
		// Partners of sorted[from] at or after it whose mean with it is below t: the reach shrinks as from rises.
		for to > from && sorted[from]/2+sorted[to-1]/2 >= t {
			to--
		}
		if to <= from {
			break
		}
		count += to - from
	}
	return count
}

// estimateAtLeast tells whether the Hodges–Lehmann estimate is at least t. Only
// where t parts the two middle averages of an even number does it need their values.
func estimateAtLeast(sorted []float64, t float64) bool {
	averages, below := len(sorted)*(len(sorted)+1)/2, walshBelow(sorted, t)
	if averages%2 == 0 && below == averages/2 {
		return inference.HodgesLehmann(sorted) >= t
	}
	return below <= (averages-1)/2
}

// upperBelow tells whether the one-sided upper bound is below t.
func (r ranks) upperBelow(sorted []float64, t float64) bool {
	return r.upper >= 0 && walshBelow(sorted, t) > r.upper
}

// holds tells whether the two-sided interval holds t, its ends included.
func (r ranks) holds(sorted []float64, t float64) bool {
	if r.low < 0 {
		return true
	}
	// low ≤ t: more than r.low averages are at or below t. high ≥ t: at most r.high averages are below t.
	return walshBelow(sorted, math.Nextafter(t, math.Inf(1))) > r.low && walshBelow(sorted, t) <= r.high
}
