package inference

import (
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// exactSignFlip is the largest n whose 2^n sign patterns are all counted: two lists of 2^20 sums.
	exactSignFlip = 40
	// signFlipDraws are the random patterns above that.
	signFlipDraws = 1 << 18
	// flipTolerance, relative to Σ|d|, makes sums equal that differ only by the order of their additions.
	flipTolerance = 1e-12
)

// SignFlip returns the one-sided p-value of mean(d) > 0 by re-randomisation:
// the share of the 2^n ways to choose the sign of each |d| whose mean is at
// least the observed one (Fisher 1935). When the order of each block was drawn
// by a fair coin this is exact by design: no model of the noise is needed.
//
// Up to 40 values every pattern is counted, and p is a multiple of 2^−n, never
// 0. Above, p is (1+hits)/(1+N) over N = 2^18 patterns drawn from seed, which
// is valid too (Phipson and Smyth 2010). NaN for an empty d or one that holds a
// value that is not finite.
func SignFlip(d []float64, seed uint64) float64 {
	if len(d) == 0 || slices.ContainsFunc(d, notFinite) {
		return math.NaN()
	}
	var size float64
	for _, v := range d {
		size += math.Abs(v)
	}
	if len(d) > exactSignFlip {
		return sampledSignFlip(d, size*flipTolerance, seed)
	}
	// Flipping a set F lowers the sum by 2·Σ_F d: the mean stays as large where Σ_F d ≤ 0.
	// Each such set is one from the first half of d and one from the second (Horowitz and Sahni 1974).
	left, right := subsetSums(d[:len(d)/2]), subsetSums(d[len(d)/2:])
	var hits int64
	fit := len(right)
	for _, sum := range left {
		for fit > 0 && sum+right[fit-1] > size*flipTolerance {
			fit--
		}
		hits += int64(fit)
	}
	return math.Ldexp(float64(hits), -len(d))
}

// subsetSums returns the sums of all subsets of d, ascending. The sums with a
// value are those without it, shifted, so merging keeps the order without a sort.
func subsetSums(d []float64) []float64 {
	sums := []float64{0}
	for _, v := range d {
		merged := make([]float64, 0, 2*len(sums))
		with, without := 0, 0
		for with < len(sums) || without < len(sums) {
			if without == len(sums) || with < len(sums) && sums[with]+v < sums[without] {
				merged = append(merged, sums[with]+v)
				with++
			} else {
				merged = append(merged, sums[without])
				without++
			}
		}
		sums = merged
	}
	return sums
}

func sampledSignFlip(d []float64, tolerance float64, seed uint64) float64 {
	rng := rand.New(rand.NewPCG(seed, uint64(len(d))))
	hits := 0
	for range signFlipDraws {
		var flipped float64
		var coins uint64
		for i, v := range d {
			if i%64 == 0 {
				coins = rng.Uint64()
			}
			if coins&1 == 1 {
				flipped += v
			}
			coins >>= 1
		}
		if flipped <= tolerance {
			hits++
		}
	}
	return float64(1+hits) / float64(1+signFlipDraws)
}

func notFinite(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
