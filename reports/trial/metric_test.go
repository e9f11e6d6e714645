package trial

import (
	"math"
	"testing"
)

// abba is a block with the given noise of its four runs.
func abba(noise ...Noise) Block {
	b := Block{Order: "ABBA"}
	for i, n := range noise {
		b.Runs = append(b.Runs, Run{Arm: b.Order[i : i+1], Position: i + 1, Noise: n})
	}
	return b
}

func TestCovariateDifference(t *testing.T) {
	reference := func(cost, saturation float64) Noise {
		return Noise{ReferenceNs: map[string]float64{PartCost: cost, PartSaturation: saturation}}
	}
	steal := func(share float64) Noise { return Noise{StealShare: share} }
	slow := abba(reference(100, 50), reference(110, 50), reference(110, 60), reference(100, 50))
	cases := []struct {
		name   string
		metric Metric
		block  Block
		want   float64
		ok     bool
	}{
		{"reference of part cost", Metric{Part: PartCost, Covariate: CovariateReference}, slow, math.Log(1.1), true},
		{"reference of part saturation", Metric{Part: PartSaturation, Covariate: CovariateReference}, slow, math.Log(1.2) / 2, true},
		{"reference of a direction does not turn with it", Metric{Part: PartCost, Covariate: CovariateReference, HigherWins: true}, slow, math.Log(1.1), true},
		{"one run without reference", Metric{Part: PartCost, Covariate: CovariateReference}, abba(reference(1, 1), reference(1, 1), Noise{}, reference(1, 1)), 0, false},
		{"a reference of nothing", Metric{Part: PartCost, Covariate: CovariateReference}, abba(reference(1, 1), reference(0, 1), reference(1, 1), reference(1, 1)), 0, false},
		{"steal", Metric{Covariate: CovariateSteal}, abba(steal(0.1), steal(0.2), steal(0.3), steal(0)), 0.2, true},
		{"steal not known", Metric{Covariate: CovariateSteal}, abba(steal(0.1), steal(-1), steal(0.3), steal(0)), 0, false},
		{"no covariate", Metric{}, slow, 0, false},
		{"no runs", Metric{Covariate: CovariateSteal}, Block{}, 0, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, ok := c.metric.CovariateDifference(c.block)
			if ok != c.ok || math.Abs(got-c.want) > 1e-12 {
				t.Errorf("got %v, %v, want %v, %v", got, ok, c.want, c.ok)
			}
		})
	}
}
