package inference

import (
	"math"
	"slices"
)

// exactMannWhitney is the largest total of both samples whose null distribution is counted out.
const exactMannWhitney = 50

// MannWhitney returns the two-sided p-value of the hypothesis that a and b come
// from one distribution (Mann and Whitney 1947): exact for up to 50 values
// without ties, else by the normal approximation with corrections for ties and
// continuity. It is here to show what an unpaired test would have said; the
// gate does not use it. NaN when a sample is empty or holds a NaN; 1 when all
// values are equal.
func MannWhitney(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, math.IsNaN) || slices.ContainsFunc(b, math.IsNaN) {
		return math.NaN()
	}
	u, ties := 0.0, 0.0 // u: pairs in which a is larger, equal ones half; ties: Σ t³−t over groups of equal values
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += 0.5
			}
		}
	}
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	for i := 0; i < len(all); {
		from := i
		for i < len(all) && all[i] == all[from] {
			i++
		}
		t := float64(i - from)
		ties += t*t*t - t
	}
	if ties == 0 && len(all) <= exactMannWhitney {
		lower, upper := 0.0, 0.0
		for k, p := range mannWhitneyDistribution(len(a), len(b)) {
			if float64(k) <= u {
				lower += p
			}
			if float64(k) >= u {
				upper += p
			}
		}
		return min(1, 2*min(lower, upper))
	}
	n, m, total := float64(len(a)), float64(len(b)), float64(len(all))
	variance := n * m / 12 * (total + 1 - ties/(total*(total-1)))
	if variance <= 0 {
		return 1
	}
	distance := max(0, math.Abs(u-n*m/2)-0.5)
	return min(1, 2*NormalCDF(-distance/math.Sqrt(variance)))
}

// mannWhitneyDistribution returns P(U = u) for u from 0 to n·m. U is fixed by
// which n of the ranks 1..n+m fell to a; ranks are offered one by one.
func mannWhitneyDistribution(n, m int) []float64 {
	ways := make([][]float64, n+1) // [ranks taken][u so far]: rank r as the i-th taken has r−i of b below it
	for i := range ways {
		ways[i] = make([]float64, n*m+1)
	}
	ways[0][0] = 1
	for rank := 1; rank <= n+m; rank++ {
		for i := min(rank, n); i >= 1; i-- {
			below := rank - i
			for u := n * m; u >= below; u-- {
				ways[i][u] += ways[i-1][u-below]
			}
		}
	}
	total := 0.0
	for _, w := range ways[n] {
		total += w
	}
	for u := range ways[n] {
		ways[n][u] /= total
	}
	return ways[n]
}
