package inference

import (
	"math"
	"testing"
)

func near(got, want, relative float64) bool {
	return got == want || math.Abs(got-want) <= relative*math.Abs(want)
}

func TestQuantilesAreThoseOfR(t *testing.T) {
	x := []float64{9, 1, 4, 2} // quantile(c(1,2,4,9), q, type=7)
	for q, want := range map[float64]float64{0: 1, 0.25: 1.75, 0.5: 3, 0.9: 7.5, 1: 9, -1: 1, 2: 9} {
		if got := Quantile(x, q); !near(got, want, 1e-12) {
			t.Errorf("Quantile(%v, %v) = %v, want %v", x, q, got, want)
		}
	}
	if x[0] != 9 || Median(x) != 3 || !math.IsNaN(Median(nil)) || !math.IsNaN(Median([]float64{1, math.NaN()})) {
		t.Error("Median changed its argument or its answer")
	}
}

// Depression scores of nine patients before and after therapy: Hollander,
// Wolfe and Chicken, examples 3.1, 3.3 and 3.4.
func TestSignedRankOfHollanderAndWolfe(t *testing.T) {
	before := []float64{1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30}
	after := []float64{0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29}
	d := make([]float64, len(before))
	for i := range d {
		d[i] = after[i] - before[i]
	}
	if got := HodgesLehmann(d); math.Abs(got+0.46) > 1e-9 {
		t.Errorf("estimate %v, the book has -0.46", got)
	}
	low, high := SignedRankInterval(d, 0.96)
	if math.Abs(low+0.786) > 1e-9 || math.Abs(high+0.010) > 1e-9 {
		t.Errorf("96 %% interval %v to %v, the book has -0.786 to -0.010", low, high)
	}
}

// The largest W that a tail of the signed-rank statistic may hold: the tables'
// critical values of Wilcoxon (1945) and McCornack (1965).
func TestSignedRankCriticalValues(t *testing.T) {
	for _, row := range []struct {
		n    int
		tail float64
		want int
		why  string
	}{
		{0, 0.025, -1, "nothing is known"},
		{5, 0.025, -1, "1/32 is too much"},
		{6, 0.025, 0, "1/64 fits"},
		{4, 0.05, -1, "1/16 is too much"},
		{5, 0.05, 0, "1/32 fits"},
		{8, 0.025, 3, "table"},
		{10, 0.025, 8, "table"},
		{12, 0.025, 13, "table"},
		{12, 0.01, 9, "table"},
		{20, 0.025, 52, "table"},
		{24, 0.05, 91, "table"},
		{25, 0.005, 68, "table"},
		{50, 0.025, 434, "table"},
		{1, 0.5, 0, "a tail that is met exactly counts as met"},
	} {
		if got := signedRankQuantile(row.n, row.tail); got != row.want {
			t.Errorf("n=%d, tail %v: %d, want %d: %s", row.n, row.tail, got, row.want, row.why)
		}
	}
	// Where the count ends and the approximation begins there is no step.
	for _, tail := range []float64{0.005, 0.025, 0.05} {
		exact := 0.0
		for k, p := range signedRankDistribution(exactSignedRank + 1) {
			if k <= signedRankQuantile(exactSignedRank+1, tail) {
				exact += p
			}
		}
		if exact > tail*1.01 || exact < tail*0.9 {
			t.Errorf("n=%d: the approximation's tail of %v holds %v", exactSignedRank+1, tail, exact)
		}
	}
}

func TestFewBlocksKnowNoBound(t *testing.T) {
	low, high := SignedRankInterval([]float64{1, 2, 3, 4, 5}, 0.95)
	if !math.IsInf(low, -1) || !math.IsInf(high, 1) || !math.IsInf(SignedRankUpper([]float64{1, 2, 3, 4}, 0.95), 1) {
		t.Error("an interval out of too few values")
	}
	low, high = SignedRankInterval([]float64{5, 1, 2, 3, 4, 6}, 0.95)
	if low != 1 || high != 6 {
		t.Errorf("six values at 95 %%: %v to %v, want all of them", low, high)
	}
	if !math.IsNaN(SignedRankUpper([]float64{1, math.NaN()}, 0.95)) || !math.IsNaN(HodgesLehmann(nil)) || !math.IsNaN(SignFlip(nil, 1)) {
		t.Error("an answer out of nothing")
	}
}

func TestSignFlip(t *testing.T) {
	for _, row := range []struct {
		d    []float64
		want float64
		why  string
	}{
		{[]float64{1, 2, 3}, 1.0 / 8, "only the observed signs reach the mean"},
		{[]float64{-1, -2, -3}, 1, "every pattern does"},
		{[]float64{0, 0, 0}, 1, "nothing to flip"},
		{[]float64{0.1, 0.2, -0.3}, 5.0 / 8, "0.1+0.2 is 0.3 for the test, whatever the bits say"},
		{[]float64{1, 1, 1, -1}, 5.0 / 16, "ties count"},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 1.0 / 4096, "the least p of 12 blocks"},
	} {
		if got := SignFlip(row.d, 1); got != row.want {
			t.Errorf("SignFlip(%v) = %v, want %v: %s", row.d, got, row.want, row.why)
		}
	}
	// Darwin's 15 pairs of maize, in eighths of an inch: Fisher (1935, §21) counted 863 of 32768 patterns.
	darwin := []float64{49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48}
	if got := SignFlip(darwin, 1); got != 863.0/32768 {
		t.Errorf("Darwin's maize: %v of 32768 patterns, Fisher counted 863", got*32768)
	}
}

func TestOBrienFlemingBoundaries(t *testing.T) {
	for _, row := range []struct {
		alpha       float64
		information []float64
		z           []float64
		digits      float64
		source      string
	}{
		{0.025, []float64{1. / 3, 2. / 3, 1}, []float64{3.471, 2.454, 2.004}, 0.0006, "Jennison and Turnbull, table 2.3, K=3"},
		{0.025, []float64{0.5, 1}, []float64{2.797, 1.977}, 0.001, "the same, K=2"},
		{0.005, []float64{0.5, 1}, []float64{3.649, 2.580}, 0.001, "the same, K=2, alpha 0.01 two-sided"},
		{0.025, []float64{0.2, 0.4, 0.6, 0.8, 1}, []float64{4.562, 3.226, 2.634, 2.281, 2.040}, 0.001, "the same, K=5"},
		{0.01, []float64{0.5, 1}, []float64{3.3003, 2.3337}, 0.0001, "by direct integration over 20000 points"},
		{0.01, []float64{1}, []float64{2.3263}, 0.0001, "one look is no sequence"},
	} {
		for i, p := range OBrienFleming(row.alpha, row.information) {
			if z := -NormalQuantile(p); math.Abs(z-row.z[i]) > row.digits {
				t.Errorf("alpha %v, look %d of %v: z %.4f, want %v: %s", row.alpha, i+1, row.information, z, row.z[i], row.source)
			}
		}
	}
}

func TestHolm(t *testing.T) {
	// p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
	got := Holm([]float64{0.01, 0.04, math.NaN(), 0.03, 0.005})
	for i, want := range []float64{0.03, 0.06, math.NaN(), 0.06, 0.02} {
		if !near(got[i], want, 1e-12) && !(math.IsNaN(want) && math.IsNaN(got[i])) {
			t.Errorf("Holm: %v at %d, want %v", got[i], i, want)
		}
	}
	if Holm([]float64{0.7, 0.8})[0] != 1 || len(Holm(nil)) != 0 {
		t.Error("Holm: above 1, or something out of nothing")
	}
}

func TestClopperPearson(t *testing.T) {
	for _, row := range []struct {
		k, n      int
		low, high float64
	}{
		{0, 40, 0, 1 - math.Pow(0.025, 1.0/40)}, // 8.8 %
		{0, 100, 0, 0.0362},
		{20, 20, 0.8316, 1},
		{3, 10, 0.0667, 0.6525}, // binom.test(3, 10)
		{5000, 10000, 0.49015, 0.50985},
		{0, 0, 0, 1},
	} {
		low, high := ClopperPearson(row.k, row.n, 0.95)
		if !near(low, row.low, 1e-3) || !near(high, row.high, 1e-3) {
			t.Errorf("%d of %d: %v to %v, want %v to %v", row.k, row.n, low, high, row.low, row.high)
		}
	}
}

func TestMannWhitney(t *testing.T) {
	for _, row := range []struct {
		a, b []float64
		want float64
		why  string
	}{
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 0.1, "2 of 20 orders"},
		{[]float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}, []float64{1.15, 0.88, 0.90, 0.74, 1.21}, 0.2544, "Hollander and Wolfe, table 4.1; wilcox.test: 0.2544"},
		{[]float64{1, 1}, []float64{1, 1, 1}, 1, "all equal"},
		{[]float64{1, 2, 2, 3}, []float64{2, 4, 5, 6}, 0.1038, "ties: U is 2, its variance 16/12·(9−24/56), so z is 5.5/3.381"},
	} {
		if got := MannWhitney(row.a, row.b); !near(got, row.want, 1e-3) {
			t.Errorf("MannWhitney(%v, %v) = %v, want %v: %s", row.a, row.b, got, row.want, row.why)
		}
	}
}

func TestUniformKS(t *testing.T) {
	// ks.test(c(.1,.2,.3,.4,.5), "punif"): D = 0.5, p = 0.1256 exactly; 0.111 by the corrected series.
	d, p := UniformKS([]float64{0.5, 0.1, 0.4, 0.2, 0.3})
	if d != 0.5 || math.Abs(p-0.1256) > 0.02 {
		t.Errorf("D %v, p %v", d, p)
	}
	// 1.3581 is the 5 % point of Kolmogorov's distribution, 1.6276 the 1 % point.
	if !near(kolmogorovTail(1.3581), 0.05, 1e-3) || !near(kolmogorovTail(1.6276), 0.01, 1e-3) || kolmogorovTail(0) != 1 {
		t.Error("Kolmogorov's distribution is off")
	}
}

func TestNormal(t *testing.T) {
	for p, want := range map[float64]float64{0.5: 0, 0.975: 1.959963984540054, 0.025: -1.959963984540054, 1e-20: -9.262340089798408, 1e-300: -37.0470964, 0: math.Inf(-1), 1: math.Inf(1)} {
		if got := NormalQuantile(p); !near(got, want, 1e-8) {
			t.Errorf("NormalQuantile(%v) = %v, want %v", p, got, want)
		}
	}
	if !math.IsNaN(NormalQuantile(-0.1)) || !math.IsNaN(NormalQuantile(1.1)) {
		t.Error("a quantile outside of 0 to 1")
	}
}
