package inference

import (
	"math"
	"slices"
)

// UniformKS compares p-values with the uniform distribution on 0 to 1: d is
// the largest gap between their empirical distribution and the diagonal, and
// pvalue the chance of one as large (Kolmogorov's series with the finite-sample
// correction of Stephens 1970; good to two digits from 5 values on). The
// p-values of an exact test come in steps of 2^−n, which pushes d up by at most
// one step. NaN for an empty p or one that holds a NaN.
func UniformKS(p []float64) (d, pvalue float64) {
	if len(p) == 0 || slices.ContainsFunc(p, math.IsNaN) {
		return math.NaN(), math.NaN()
	}
	n := float64(len(p))
	for i, v := range slices.Sorted(slices.Values(p)) {
		d = max(d, float64(i+1)/n-v, v-float64(i)/n)
	}
	root := math.Sqrt(n)
	return d, kolmogorovTail(d * (root + 0.12 + 0.11/root))
}

// kolmogorovTail returns the chance that the supremum of a Brownian bridge exceeds x.
func kolmogorovTail(x float64) float64 {
	if x < 0.2 { // the series below converges slowly here, and the tail is 1 to ten digits
		return 1
	}
	sum, sign := 0.0, 1.0
	for k := 1.0; k <= 100; k++ {
		term := math.Exp(-2 * k * k * x * x)
		sum += sign * term
		if sign = -sign; term < 1e-17 {
			break
		}
	}
	return min(1, max(0, 2*sum))
}
