package inference

import "math"

// adjustLeast is the number of differences below which a slope is noise itself.
const adjustLeast = 6

// Adjust takes out of paired differences what a covariate explains: d − slope·x
// with the least-squares slope through the origin. x holds, for each difference,
// the same difference of the covariate (what disturbed one side more than the
// other). Flipping the sides of a pair flips both d and x and leaves the slope
// as it was, so that a sign-flip test of the adjusted differences is as exact as
// one of the raw ones. Fewer than six differences, or a covariate that never
// differs, are returned as they are with slope 0. d and x are not changed.
//
// Source: covariate adjustment in randomised experiments, Lin (Annals of Applied Statistics 2013); Rosenbaum (Statistical Science 2002).
func Adjust(d, x []float64) (adjusted []float64, slope float64) {
	adjusted = append(adjusted, d...)
	return adjusted, AdjustInPlace(adjusted, x)
}

// AdjustInPlace is Adjust that writes the adjusted differences over d.
func AdjustInPlace(d, x []float64) (slope float64) {
	if len(d) != len(x) || len(d) < adjustLeast {
		return 0
	}
	var xy, xx float64
	for i := range d {
		xy += d[i] * x[i]
		xx += x[i] * x[i]
	}
	if !(xx > 0) || math.IsNaN(xy) || math.IsInf(xy, 0) || math.IsInf(xx, 0) {
		return 0
	}
	slope = xy / xx
	for i := range d {
		d[i] -= slope * x[i]
	}
	return slope
}
