package inference

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A covariate that explains most of the spread leaves the little that it does not explain.
func TestAdjustTakesOutWhatTheCovariateExplains(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var d, x []float64
	for range 400 {
		c := rng.NormFloat64() * 0.05
		x = append(x, c)
		d = append(d, 0.05-0.8*c+rng.NormFloat64()*0.01)
	}
	adjusted, slope := Adjust(d, x)
	if math.Abs(slope+0.8) > 0.1 {
		t.Errorf("slope %.3f, want about -0.8", slope)
	}
	low, high := SignedRankInterval(adjusted, 0.95)
	rawLow, rawHigh := SignedRankInterval(d, 0.95)
	if high-low > 0.4*(rawHigh-rawLow) || low > 0.05 || high < 0.05 {
		t.Errorf("adjusted [%.4f, %.4f], raw [%.4f, %.4f]", low, high, rawLow, rawHigh)
	}
}

// Swapping the sides of any pairs changes the adjusted differences in sign only: the sign-flip test stays exact.
func TestAdjustCommutesWithSignFlips(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		n := 6 + rng.IntN(20)
		d, x, fd, fx, signs := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range n {
			d[i], x[i], signs[i] = rng.NormFloat64(), rng.NormFloat64(), 1
			if rng.IntN(2) == 0 {
				signs[i] = -1
			}
			fd[i], fx[i] = signs[i]*d[i], signs[i]*x[i]
		}
		a, slopeA := Adjust(d, x)
		b, slopeB := Adjust(fd, fx)
		if math.Abs(slopeA-slopeB) > 1e-12 {
			t.Fatalf("slopes %v and %v", slopeA, slopeB)
		}
		for i := range n {
			if math.Abs(a[i]*signs[i]-b[i]) > 1e-9 {
				t.Fatalf("pair %d: %v and %v", i, a[i], b[i])
			}
		}
	}
}

func TestAdjustLeavesAloneWhatItCannotKnow(t *testing.T) {
	d := []float64{1, 2, 3, 4, 5, 6}
	for name, x := range map[string][]float64{"no difference": make([]float64, 6), "not a number": {math.NaN(), 0, 0, 0, 0, 0}, "other length": {1}} {
		adjusted, slope := Adjust(d, x)
		if slope != 0 || len(adjusted) != 6 || adjusted[3] != 4 {
			t.Errorf("%s: slope %v, %v", name, slope, adjusted)
		}
	}
	if adjusted, slope := Adjust(d[:5], d[:5]); slope != 0 || adjusted[0] != 1 {
		t.Errorf("five pairs: slope %v, %v", slope, adjusted)
	}
}
