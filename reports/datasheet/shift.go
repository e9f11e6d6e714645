package datasheet

import "sort"

// Shift is the power of one gated metric against a constant effect added to
// the A/A blocks ("A/A pool shifted by δ"): a metric alone, at the threshold of
// Holm's first step among all gated metrics. It holds as far as an effect moves
// all blocks alike; the doses show how far that is.
type Shift struct {
	Gates int `json:"gates"`
	// At80 and At95 are the least δ with 80 % and 95 % power (the minimum
	// detectable effect), relative, interpolated on the curve; 0: more than its last δ.
	At80  float64      `json:"at_80"`
	At95  float64      `json:"at_95"`
	Curve []ShiftPoint `json:"curve"`
}

// ShiftPoint is the share of resampled gates that call an effect of Delta, a relative worsening.
type ShiftPoint struct {
	Delta float64 `json:"delta"`
	Power float64 `json:"power"`
}

// shiftDeltas are the effects of the curve, relative worsenings.
func shiftDeltas() []float64 {
	return []float64{0.0025, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2}
}

// shiftShare of Options.Resamples is drawn for a curve.
const shiftShare = 0.2

// shift computes the curve for the gated metric at place. A gate that calls at
// one δ calls at every larger one, so its least δ is found by halving.
func (g *gate) shift(place int, o Options, question ...string) *Shift {
	deltas := shiftDeltas()
	rng := o.source(question...)
	gates := max(leastInner, int(float64(o.Resamples)*shiftShare))
	counts := make([]int, len(deltas)+1) // by the first δ that is called; the last: none
	metric := g.gated[place]
	for range gates {
		at := drawBlocks(rng, g.whole(), g.last())
		othersPass := g.passesBut(place, at)
		counts[sort.Search(len(deltas), func(i int) bool {
			return g.callsShifted(place, at, differenceOf(g.sample.metrics[metric], deltas[i]), othersPass)
		})]++
	}
	s := &Shift{Gates: gates}
	called := 0
	for i, delta := range deltas {
		called += counts[i]
		s.Curve = append(s.Curve, ShiftPoint{Delta: delta, Power: float64(called) / float64(gates)})
	}
	s.At80, s.At95 = s.reach(0.8), s.reach(0.95)
	return s
}

// reach interpolates the δ at which the curve reaches a power; 0 when it does not. The curve starts at no power for no effect.
func (s *Shift) reach(power float64) float64 {
	before := ShiftPoint{}
	for _, point := range s.Curve {
		if point.Power >= power {
			return before.Delta + (point.Delta-before.Delta)*(power-before.Power)/(point.Power-before.Power)
		}
		before = point
	}
	return 0
}

// passesBut tells for each look but the last whether all rows but one pass there.
func (g *gate) passesBut(place int, at []int) []bool {
	passes := make([]bool, len(g.looks)-1)
	for k := range passes {
		passes[k] = true
		for i := range g.gated {
			passes[k] = passes[k] && (i == place || g.rowPasses(i, at[:g.looks[k]], 0))
		}
	}
	return passes
}

// callsShifted tells whether the metric alone calls when its differences are
// shifted; othersPass are the looks at which nothing else keeps the gate running.
func (g *gate) callsShifted(place int, at []int, shift float64, othersPass []bool) bool {
	for k, look := range g.looks {
		d := g.read(g.gated[place], at[:look])
		for i := range d {
			d[i] += shift
		}
		strict := g.thresholds[k] / float64(len(g.gated))
		if p := signFlip(d, strict, strict); p <= strict && g.worseEnough(place, d) {
			return true
		}
		if k < len(othersPass) && othersPass[k] && g.rowPasses(place, at[:look], shift) {
			return false
		}
	}
	return false
}
