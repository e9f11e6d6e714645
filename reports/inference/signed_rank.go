package inference

import (
	"fmt"
	"math"
	"slices"
)

// exactSignedRank is the largest n whose null distribution is counted out;
// above, the normal approximation is taken: its tail of 5 % holds 5.01 %, that
// of 0.5 % holds 0.46 %.
const exactSignedRank = 60

// SignedRankInterval returns the two-sided interval of the centre of d's
// distribution by inverting Wilcoxon's signed-rank test: all centres that the
// test would not reject. It covers with at least the asked confidence, 0 <
// confidence < 1, whenever the values are independent and symmetric, whatever
// their shape; the steps of the exact distribution make it a little wider for
// few values. With too few for the confidence (fewer than 6 at 95 %) it is
// −Inf to +Inf; with a NaN in d both ends are NaN.
func SignedRankInterval(d []float64, confidence float64) (low, high float64) {
	checkProbability("confidence", confidence)
	if slices.ContainsFunc(d, math.IsNaN) {
		return math.NaN(), math.NaN()
	}
	q := signedRankQuantile(len(d), (1-confidence)/2)
	if q < 0 {
		return math.Inf(-1), math.Inf(1)
	}
	averages := walshAverages(d)
	return averages[q], averages[len(averages)-1-q]
}

// SignedRankUpper returns the one-sided upper bound of the centre: it is below
// the true centre at most 1−confidence of the time. +Inf when d is too short
// (fewer than 5 at 95 %), NaN with a NaN in d.
func SignedRankUpper(d []float64, confidence float64) float64 {
	checkProbability("confidence", confidence)
	if slices.ContainsFunc(d, math.IsNaN) {
		return math.NaN()
	}
	q := signedRankQuantile(len(d), 1-confidence)
	if q < 0 {
		return math.Inf(1)
	}
	averages := walshAverages(d)
	return averages[len(averages)-1-q]
}

// signedRankQuantile returns the largest q with P(W ≤ q) ≤ tail, where W is
// the signed-rank statistic of n values under the null hypothesis; −1 when
// even W = 0 is likelier than that.
func signedRankQuantile(n int, tail float64) int {
	if n == 0 {
		return -1
	}
	if n > exactSignedRank {
		mean := float64(n) * float64(n+1) / 4
		deviation := math.Sqrt(mean * float64(2*n+1) / 6)
		return max(-1, int(math.Floor(mean+deviation*NormalQuantile(tail)-0.5)))
	}
	// (1−0.95)/2 is a hair off 0.025: a tail that is met exactly must count as met.
	tail *= 1 + 1e-12
	sum, q := 0.0, -1
	for _, p := range signedRankDistribution(n) {
		if sum += p; sum > tail {
			break
		}
		q++
	}
	return q
}

// signedRankDistribution returns P(W = k) for k from 0 to n(n+1)/2: W is the
// sum of those ranks 1..n whose fair coin fell on heads. Ranks are added one by
// one.
func signedRankDistribution(n int) []float64 {
	p := make([]float64, n*(n+1)/2+1)
	p[0] = 1
	for rank, top := 1, 0; rank <= n; rank++ {
		top += rank
		for k := top; k >= 0; k-- {
			p[k] /= 2
			if k >= rank {
				p[k] += p[k-rank] / 2 // not yet halved: k runs downwards
			}
		}
	}
	return p
}

// checkProbability panics unless 0 < p < 1: such a number is a bug of the caller.
func checkProbability(name string, p float64) {
	if !(p > 0 && p < 1) {
		panic(fmt.Sprintf("inference: %s is %v, want a value between 0 and 1", name, p))
	}
}
