package inference

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// values draws n differences; from a coarse grid they have ties and zeros.
func values(t *rapid.T, least, most int) []float64 {
	one := rapid.OneOf(rapid.Float64Range(-5, 5), rapid.Map(rapid.IntRange(-3, 3), func(v int) float64 { return float64(v) / 10 }))
	return rapid.SliceOfN(one, least, most).Draw(t, "d")
}

func negated(d []float64) []float64 {
	n := make([]float64, len(d))
	for i, v := range d {
		n[i] = -v
	}
	return n
}

// noise are symmetric distributions: light, middling and wild tails.
var noise = map[string]func(*rand.Rand) float64{
	"uniform": func(r *rand.Rand) float64 { return 2*r.Float64() - 1 },
	"normal":  (*rand.Rand).NormFloat64,
	"laplace": func(r *rand.Rand) float64 { return r.ExpFloat64() - r.ExpFloat64() },
	"cauchy":  func(r *rand.Rand) float64 { return r.NormFloat64() / r.NormFloat64() },
	"bursts": func(r *rand.Rand) float64 {
		if r.IntN(10) == 0 {
			return 20 * r.NormFloat64()
		}
		return r.NormFloat64()
	},
}

func TestIntervalsCoverTheCentre(t *testing.T) {
	const draws, centre = 1000, 0.7
	for name, draw := range noise {
		for _, n := range []int{6, 12} {
			rng := rand.New(rand.NewPCG(uint64(n), 11))
			inside, below := 0, 0
			d := make([]float64, n)
			for range draws {
				for i := range d {
					d[i] = centre + draw(rng)
				}
				low, high := SignedRankInterval(d, 0.95)
				if low <= centre && centre <= high {
					inside++
				}
				if SignedRankUpper(d, 0.95) >= centre {
					below++
				}
			}
			// Three standard errors below 95 %; above by the steps of the exact distribution, 96.9 % with six values.
			if share := float64(inside) / draws; share < 0.93 || share > 0.985 {
				t.Errorf("%s, n=%d: the 95 %% interval covers %.3f", name, n, share)
			}
			if share := float64(below) / draws; share < 0.93 || share > 0.975 {
				t.Errorf("%s, n=%d: the upper bound covers %.3f", name, n, share)
			}
		}
	}
}

func TestIntervalsWidenWithConfidenceAndShiftWithTheData(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := values(t, 1, 30)
		before := slices.Clone(d)
		low, high := SignedRankInterval(d, 0.9)
		wideLow, wideHigh := SignedRankInterval(d, 0.99)
		if wideLow > low || wideHigh < high || low > high {
			t.Fatalf("90 %%: %v to %v, 99 %%: %v to %v", low, high, wideLow, wideHigh)
		}
		if estimate := HodgesLehmann(d); estimate < low || estimate > high {
			t.Fatalf("the estimate %v is outside of %v to %v", estimate, low, high)
		}
		if upper := SignedRankUpper(d, 0.95); upper != high {
			t.Fatalf("one-sided 95 %% is %v, the upper end of two-sided 90 %% is %v", upper, high)
		}
		if l, h := SignedRankInterval(negated(d), 0.9); l != -high || h != -low {
			t.Fatalf("mirrored %v to %v, want %v to %v", l, h, -high, -low)
		}
		if got := HodgesLehmann(negated(d)); math.Abs(got+HodgesLehmann(d)) > 1e-12 {
			t.Fatalf("mirrored estimate %v, want %v", got, -HodgesLehmann(d))
		}
		Median(d)
		SignFlip(d, 1)
		if !slices.Equal(d, before) {
			t.Fatal("the data was changed")
		}
	})
}

func TestSignedRankDistributionIsOne(t *testing.T) {
	for n := 1; n <= exactSignedRank; n++ {
		p, total := signedRankDistribution(n), 0.0
		for k, v := range p {
			total += v
			if v != p[len(p)-1-k] {
				t.Fatalf("n=%d: P(W=%d) is not P(W=%d)", n, k, len(p)-1-k)
			}
		}
		if math.Abs(total-1) > 1e-12 || p[0] != math.Ldexp(1, -n) {
			t.Fatalf("n=%d: total %v, P(W=0) %v", n, total, p[0])
		}
	}
}

func TestSignFlipCountsAsBruteForceDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := values(t, 1, 12)
		observed, size := 0.0, 0.0
		for _, v := range d {
			observed, size = observed+v, size+math.Abs(v)
		}
		hits := 0
		for pattern := range 1 << len(d) {
			sum := 0.0
			for i, v := range d {
				if pattern>>i&1 == 1 {
					v = -v
				}
				sum += v
			}
			if sum >= observed-2*flipTolerance*size {
				hits++
			}
		}
		want := math.Ldexp(float64(hits), -len(d))
		if got := SignFlip(d, 1); got != want {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// Every pattern is at least the observed one, at most it, or both.
func TestSignFlipOfBothDirections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := values(t, 1, 26)
		worse, better := SignFlip(d, 1), SignFlip(negated(d), 1)
		if least := math.Ldexp(1, -len(d)); worse < least || better < least || worse > 1 || better > 1 || worse+better < 1 {
			t.Fatalf("p %v and %v", worse, better)
		}
		// To make one value larger never makes the case for mean > 0 weaker.
		more := slices.Clone(d)
		more[0] += rapid.Float64Range(0, 3).Draw(t, "more")
		if p := SignFlip(more, 1); p > worse {
			t.Fatalf("p rises from %v to %v", worse, p)
		}
	})
}

func TestSampledSignFlipAgreesWithTheCount(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	d, size := make([]float64, 30), 0.0
	for i := range d {
		d[i] = rng.NormFloat64() + 0.3
		size += math.Abs(d[i])
	}
	exact, sampled := SignFlip(d, 1), sampledSignFlip(d, size*flipTolerance, 1)
	if math.Abs(sampled-exact) > 4*math.Sqrt(exact/signFlipDraws) {
		t.Errorf("sampled %v, counted %v", sampled, exact)
	}
	long := slices.Concat(d, d[:11])
	if p := SignFlip(long, 1); p < 1.0/(1+signFlipDraws) || p > 1 || p != SignFlip(long, 1) {
		t.Errorf("41 values: p %v, or another for the same seed", p)
	}
}

// Under no difference a p-value of an exact test is at most alpha in alpha of all cases, and not far below.
func TestSignFlipIsExactUnderSkewedButSwappableNoise(t *testing.T) {
	const draws = 4000
	rng := rand.New(rand.NewPCG(5, 8))
	hits := 0
	for range draws {
		d := make([]float64, 12)
		for i := range d { // the order of the arms is a fair coin, the size of the noise is anything
			d[i] = math.Exp(3 * rng.NormFloat64())
			if rng.IntN(2) == 0 {
				d[i] = -d[i]
			}
		}
		if SignFlip(d, 1) <= 0.05 {
			hits++
		}
	}
	if low, high := ClopperPearson(hits, draws, 0.999); low > 0.05 || high < 0.045 {
		t.Errorf("alarms %v to %v of the time, want 0.05", low, high)
	}
}

func TestTwoLooksAlarmAsOftenAsPromised(t *testing.T) {
	const trials, alpha = 2000, 0.05
	thresholds := OBrienFleming(alpha, []float64{0.5, 1})
	rng := rand.New(rand.NewPCG(21, 34))
	alarms, early := 0, 0
	d := make([]float64, 16)
	for range trials {
		for i := range d {
			d[i] = noise["laplace"](rng)
		}
		switch {
		case SignFlip(d[:8], 1) <= thresholds[0]:
			alarms++
			early++
		case SignFlip(d, 1) <= thresholds[1]:
			alarms++
		}
	}
	if low, high := ClopperPearson(alarms, trials, 0.999); low > alpha || high < 0.8*alpha {
		t.Errorf("%d of %d trials alarm (%v to %v), want %v", alarms, trials, low, high, alpha)
	}
	if early == 0 {
		t.Error("no trial stopped at the first look: nothing was proved about it")
	}
}

func TestOBrienFlemingThresholds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		looks := rapid.SliceOfNDistinct(rapid.IntRange(2, 9), 1, 2, rapid.ID).Draw(t, "looks")
		slices.Sort(looks)
		information := []float64{}
		for _, l := range looks {
			information = append(information, float64(l)/10)
		}
		alpha := rapid.Float64Range(0.001, 0.1).Draw(t, "alpha")
		p := OBrienFleming(alpha, append(information, 1))
		total := 0.0
		for i, v := range p {
			if i > 0 && v < p[i-1] {
				t.Fatalf("thresholds %v do not ascend", p)
			}
			total += v
		}
		if last := p[len(p)-1]; last > alpha || total < alpha*(1-1e-6) {
			t.Fatalf("thresholds %v for alpha %v", p, alpha)
		}
	})
	for _, wrong := range [][]float64{{}, {0.5}, {1, 0.5}, {0.5, 0.5, 1}, {0, 1}, {math.NaN(), 1}} {
		func() {
			defer func() {
				if recover() == nil && len(wrong) > 0 {
					t.Errorf("information %v was taken", wrong)
				}
			}()
			OBrienFleming(0.01, wrong)
		}()
	}
}

func TestHolmKeepsTheOrderAndNeverLowers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 20).Draw(t, "p")
		adjusted := Holm(p)
		for i := range p {
			if adjusted[i] < p[i] || adjusted[i] > min(1, p[i]*float64(len(p))) {
				t.Fatalf("%v became %v", p[i], adjusted[i])
			}
			for j := range p {
				if p[i] < p[j] && adjusted[i] > adjusted[j] {
					t.Fatalf("%v and %v changed places", p[i], p[j])
				}
			}
		}
	})
}

// By definition the tails beyond the ends hold (1−confidence)/2 each.
func TestClopperPearsonTails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 400).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "k")
		low, high := ClopperPearson(k, n, 0.95)
		if share := float64(k) / float64(n); low > share || high < share {
			t.Fatalf("%d of %d is not in %v to %v", k, n, low, high)
		}
		if k > 0 && math.Abs(1-binomialCDF(k-1, n, low)-0.025) > 1e-9 {
			t.Fatalf("%d of %d: P(X ≥ k) at %v is %v", k, n, low, 1-binomialCDF(k-1, n, low))
		}
		if k < n && math.Abs(binomialCDF(k, n, high)-0.025) > 1e-9 {
			t.Fatalf("%d of %d: P(X ≤ k) at %v is %v", k, n, high, binomialCDF(k, n, high))
		}
	})
}

func binomialCDF(k, n int, p float64) float64 {
	all, _ := math.Lgamma(float64(n + 1))
	sum := 0.0
	for i := range k + 1 {
		chosen, _ := math.Lgamma(float64(i + 1))
		left, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(all - chosen - left + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}

func TestMannWhitneyCountsAsBruteForceDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.Permutation([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9}).Draw(t, "values")
		n := rapid.IntRange(1, 8).Draw(t, "n")
		larger := func(inA func(i int) bool) (u int) {
			for i := range all {
				for j := range all {
					if inA(i) && !inA(j) && all[i] > all[j] {
						u++
					}
				}
			}
			return u
		}
		observed := larger(func(i int) bool { return i < n })
		lower, upper, total := 0.0, 0.0, 0.0
		for pattern := range 1 << len(all) {
			inA := func(i int) bool { return pattern>>i&1 == 1 }
			size := 0
			for i := range all {
				if inA(i) {
					size++
				}
			}
			if size != n {
				continue
			}
			u := larger(inA)
			total++
			if u <= observed {
				lower++
			}
			if u >= observed {
				upper++
			}
		}
		want := min(1, 2*min(lower, upper)/total)
		if got := MannWhitney(all[:n], all[n:]); math.Abs(got-want) > 1e-12 {
			t.Fatalf("%v, want %v", got, want)
		}
	})
	// Where the count ends and the approximation begins there is no step.
	rng := rand.New(rand.NewPCG(1, 1))
	a, b := make([]float64, 25), make([]float64, 26)
	for i := range b {
		b[i] = rng.NormFloat64()
	}
	for i := range a {
		a[i] = rng.NormFloat64() + 0.6
	}
	if counted, guessed := MannWhitney(a, b[:25]), MannWhitney(a, b); counted > 2*guessed || guessed > 2*counted {
		t.Errorf("50 values: %v, 51: %v", counted, guessed)
	}
}

func TestMovingBlocksKeepNeighbours(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool, size, run := rapid.IntRange(1, 50).Draw(t, "pool"), rapid.IntRange(0, 60).Draw(t, "size"), rapid.IntRange(1, 12).Draw(t, "run")
		seed := rapid.Uint64().Draw(t, "seed")
		drawn := MovingBlocks(rand.New(rand.NewPCG(seed, 1)), pool, size, run)
		if len(drawn) != size || !slices.Equal(drawn, MovingBlocks(rand.New(rand.NewPCG(seed, 1)), pool, size, run)) {
			t.Fatalf("%d items, want %d, the same for the same seed", len(drawn), size)
		}
		for i, index := range drawn {
			if index < 0 || index >= pool || i%run != 0 && index != (drawn[i-1]+1)%pool {
				t.Fatalf("%v in runs of %d out of %d", drawn, run, pool)
			}
		}
	})
	count := make([]int, 10) // circular: each item is as likely as any other
	for _, i := range MovingBlocks(rand.New(rand.NewPCG(1, 1)), 10, 100_000, 4) {
		count[i]++
	}
	if slices.Min(count) < 9_500 || slices.Max(count) > 10_500 {
		t.Errorf("drawn %v times", count)
	}
}

func TestUniformKSAlarmsAsOftenAsPromised(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	p := make([]float64, 40)
	alarms, draws := 0, 3000
	for range draws {
		for i := range p {
			p[i] = rng.Float64()
		}
		if _, pvalue := UniformKS(p); pvalue <= 0.05 {
			alarms++
		}
	}
	if low, high := ClopperPearson(alarms, draws, 0.999); low > 0.05 || high < 0.05 {
		t.Errorf("alarms %v to %v of the time, want 0.05", low, high)
	}
	for i := range p {
		p[i] = math.Pow(rng.Float64(), 3)
	}
	if _, pvalue := UniformKS(p); pvalue > 0.001 {
		t.Errorf("p-values that are far too small pass with %v", pvalue)
	}
}

func TestNormalQuantileIsTheInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z := rapid.Float64Range(-30, 7).Draw(t, "z")
		p := NormalCDF(z)
		// Above 0 the digits of p run out: 1−p is all there is.
		if got := NormalQuantile(p); math.Abs(got-z) > 1e-9+1e-15/normalDensity(max(z, 0)) {
			t.Fatalf("NormalQuantile(%v) = %v, want %v", p, got, z)
		}
	})
}
