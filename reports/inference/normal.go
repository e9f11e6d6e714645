package inference

import "math"

// NormalCDF returns the probability that a standard normal variable is at most z.
// The upper tail is NormalCDF(−z), which keeps its digits where 1−NormalCDF(z) loses them.
func NormalCDF(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// NormalQuantile returns the z with NormalCDF(z) = p: −Inf at 0, +Inf at 1, NaN outside.
func NormalQuantile(p float64) float64 {
	if p > 0.5 {
		return -NormalQuantile(1 - p)
	}
	z := -math.Sqrt2 * math.Erfcinv(2*p)
	if p == 0 || math.IsNaN(z) {
		return z
	}
	if math.IsInf(z, -1) { // Erfcinv goes through 1−2p, which is 1 for the smallest p
		z = -math.Sqrt(-2 * math.Log(p))
	}
	// For the same reason z has few digits in the tail. Newton's steps on the logarithm, which is nearly a parabola there, give them back.
	for range 8 {
		cdf := NormalCDF(z)
		step := (math.Log(cdf) - math.Log(p)) * cdf / normalDensity(z)
		if z -= step; math.Abs(step) < 1e-14*math.Abs(z) || math.IsNaN(z) {
			break
		}
	}
	return z
}

func normalDensity(z float64) float64 { return math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) }
