package inference

import (
	"math"
	"slices"
)

// Quantile returns the q-quantile of x, 0 ≤ q ≤ 1 (outside: the nearer end),
// interpolated between order statistics (type 7 of Hyndman and Fan 1996, the
// default of R and NumPy). x is left as it is. NaN for an empty x or one that
// holds a NaN.
func Quantile(x []float64, q float64) float64 {
	if len(x) == 0 || slices.ContainsFunc(x, math.IsNaN) || math.IsNaN(q) {
		return math.NaN()
	}
	return sortedQuantile(slices.Sorted(slices.Values(x)), q)
}

// Median is the 0.5-quantile: of an even number of values the mean of the middle two.
func Median(x []float64) float64 { return Quantile(x, 0.5) }

func sortedQuantile(sorted []float64, q float64) float64 {
	last := float64(len(sorted) - 1)
	position := min(max(q, 0), 1) * last
	below := math.Floor(position)
	low, high := sorted[int(below)], sorted[int(min(below+1, last))]
	if low == high { // also keeps two equal infinities from becoming NaN
		return low
	}
	return low + (position-below)*(high-low)
}
