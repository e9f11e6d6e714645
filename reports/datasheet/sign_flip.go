package datasheet

import (
	"cmp"
	"math"
	"slices"

	"fluxmq/reports/inference"
)

// signFlip returns inference.SignFlip of d, or a cheaper number that lies on
// the same side of every threshold from strictest to loosest; loosest must be
// below 1/20. Counting out 2^24 patterns takes 250 µs, and nine rows in ten of
// a resampled gate are far from any threshold.
func signFlip(d []float64, strictest, loosest float64) float64 {
	var sum, squares float64
	for _, v := range d {
		sum += v
		squares += v * v
	}
	switch {
	case len(d) == 0:
		return math.NaN()
	case sum*sum <= squares || sum < 0:
		// At most one deviation: p is at least 1/20 whatever the values (Oleszkiewicz 1996).
		return 1
	case sum*sum/(2*squares) >= -math.Log(strictest):
		return math.Exp(-sum * sum / (2 * squares)) // Hoeffding 1963: p is at most that
	case len(d) > largestFew && fewFlips(d, sum) > loosest:
		return 1
	}
	return inference.SignFlip(d, 0)
}

// largestFew is how many of the largest values fewFlips counts out: 2 lists of 2^8 sums.
const largestFew = 16

// fewFlips is a lower bound of p: the chance that the flipped sum of the
// largest values alone reaches the observed sum, times the half in which the
// rest does not take from it.
func fewFlips(d []float64, sum float64) float64 {
	var largest [maxRanked]float64
	few := append(largest[:0], d...)
	slices.SortFunc(few, func(a, b float64) int { return cmp.Compare(math.Abs(b), math.Abs(a)) })
	few = few[:largestFew]
	rest := sum
	for _, v := range few {
		rest -= v
	}
	// Flipping a set of values takes twice their sum away, and may take no more than −rest.
	room := -rest/2 - 1e-9*math.Abs(sum)
	var left, right [1 << (largestFew / 2)]float64
	subsetSums(few[:largestFew/2], &left)
	subsetSums(few[largestFew/2:], &right)
	hits, fit := 0, len(right)
	for _, flipped := range left {
		for fit > 0 && flipped+right[fit-1] > room {
			fit--
		}
		hits += fit
	}
	return float64(hits) / (1 << largestFew) / 2
}

// subsetSums fills in the sums of all subsets of eight values, ascending: those
// with a value are those without it, shifted, so merging keeps the order.
func subsetSums(d []float64, sums *[1 << (largestFew / 2)]float64) {
	var before [1 << (largestFew/2 - 1)]float64
	size := 1
	for _, v := range d {
		copy(before[:], sums[:size])
		with, without := 0, 0
		for i := range 2 * size {
			if without == size || with < size && before[with]+v < before[without] {
				sums[i] = before[with] + v
				with++
			} else {
				sums[i] = before[without]
				without++
			}
		}
		size *= 2
	}
}
