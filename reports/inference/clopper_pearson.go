package inference

import (
	"fmt"
	"math"
)

// ClopperPearson returns the exact two-sided interval of a probability after k
// hits in n tries (Clopper and Pearson 1934): each tail holds (1−confidence)/2,
// also where k is 0 or n, so 0 of 40 at 95 % gives 0 to 8.8 %. n = 0 knows
// nothing: 0 to 1. k outside 0..n panics.
func ClopperPearson(k, n int, confidence float64) (low, high float64) {
	checkProbability("confidence", confidence)
	if k < 0 || k > n {
		panic(fmt.Sprintf("inference: %d hits in %d tries", k, n))
	}
	tail := (1 - confidence) / 2
	low, high = 0, 1
	// P(X ≥ k | p) is the incomplete beta function I_p(k, n−k+1), which rises in p.
	if k > 0 {
		low = betaQuantile(tail, float64(k), float64(n-k+1))
	}
	if k < n {
		high = betaQuantile(1-tail, float64(k+1), float64(n-k))
	}
	return low, high
}

// betaQuantile returns the x at which the regularised incomplete beta function is p, by halving.
func betaQuantile(p, a, b float64) float64 {
	low, high := 0.0, 1.0
	for {
		middle := (low + high) / 2
		if middle <= low || middle >= high || high-low < 1e-15*high {
			return middle
		}
		if incompleteBeta(middle, a, b) < p {
			low = middle
		} else {
			high = middle
		}
	}
}

// incompleteBeta returns I_x(a, b), 0 < x < 1, a and b > 0, by its continued
// fraction (NIST DLMF 8.17.22) evaluated after Lentz.
func incompleteBeta(x, a, b float64) float64 {
	if x > (a+1)/(a+b+2) { // where the fraction converges slowly, the mirror image does fast
		return 1 - incompleteBeta(1-x, b, a)
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab-la-lb+a*math.Log(x)+b*math.Log1p(-x)) / a

	const tiny = 1e-300 // stands in for 0 in a denominator
	result, c, d := 1.0, 1.0, 0.0
	for i := range 1000 {
		m := float64(i / 2)
		numerator := 1.0
		switch {
		case i == 0:
		case i%2 == 0:
			numerator = m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		default:
			numerator = -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		}
		if d = 1 + numerator*d; math.Abs(d) < tiny {
			d = tiny
		}
		d = 1 / d
		if c = 1 + numerator/c; math.Abs(c) < tiny {
			c = tiny
		}
		result *= c * d
		if math.Abs(c*d-1) < 1e-15 {
			break
		}
	}
	return front * (result - 1)
}
