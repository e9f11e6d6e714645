package inference

import (
	"math"
	"slices"
)

// walshAverages returns the n(n+1)/2 means of all pairs of d, each value with
// itself included, ascending. The signed-rank statistic of d−θ is the number
// of them above θ, so estimate and interval are both order statistics of this
// list (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, ch. 3).
func walshAverages(d []float64) []float64 {
	averages := make([]float64, 0, len(d)*(len(d)+1)/2)
	for i, a := range d {
		for _, b := range d[:i+1] {
			averages = append(averages, a/2+b/2)
		}
	}
	slices.Sort(averages)
	return averages
}

// HodgesLehmann returns the median of the Walsh averages of d: the centre of a
// symmetric distribution, moved little by one wild value and nearly as precise
// as the mean where there is none (Hodges and Lehmann 1963). NaN for an empty d
// or one that holds a NaN.
func HodgesLehmann(d []float64) float64 {
	if len(d) == 0 || slices.ContainsFunc(d, math.IsNaN) {
		return math.NaN()
	}
	return sortedQuantile(walshAverages(d), 0.5)
}
