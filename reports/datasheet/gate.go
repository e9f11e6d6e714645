package datasheet

import (
	"math"
	"slices"

	"fluxmq/reports/inference"
	"fluxmq/reports/trial"
)

// gate is the rule of reports/verdict on bare differences, cheap enough to be
// asked a million times; a test holds it to verdict.Judge on random trials. Not
// safe for concurrent use: it keeps buffers.
type gate struct {
	sample     *sample
	gated      []int     // places of the gated metrics in the sample
	margins    []float64 // by gated metric, as a difference: a pass lies below
	effects    []float64 // by gated metric, as a difference: a regression lies at or above
	looks      []int
	thresholds []float64     // p-value that a look asks for
	ranks      map[int]ranks // by number of known blocks
	known      []float64     // buffer
	covariate  []float64     // buffer
	p          []float64     // buffer
}

// decision is what one resampled gate said. Metrics are bits, by place in gate.gated.
type decision struct {
	look   int    // that decided, from 1
	called uint64 // rows that were a regression when the gate ended
	passed bool   // exit 0
	// alone are the metrics that would have called by themselves: at the
	// threshold of Holm's first step among all gated metrics, at any look that
	// the gate would have reached without the other calls.
	alone uint64
}

// newGate prepares the rule for one workload. It holds at most 64 gated metrics and maxRanked blocks.
func newGate(s *sample, rules trial.Rules) *gate {
	g := &gate{sample: s, looks: rules.Looks, thresholds: thresholds(rules), ranks: map[int]ranks{}}
	for i, m := range s.metrics {
		if m.Gated {
			g.gated = append(g.gated, i)
			g.margins = append(g.margins, differenceOf(m, m.Margin))
			g.effects = append(g.effects, differenceOf(m, m.MinimumEffect))
		}
	}
	return g
}

// thresholds are the p-values that the looks ask for.
func thresholds(rules trial.Rules) []float64 {
	last := rules.Looks[len(rules.Looks)-1]
	var information []float64
	for _, look := range rules.Looks {
		information = append(information, float64(look)/float64(last))
	}
	return inference.OBrienFleming(rules.Alpha, information)
}

// differenceOf is the inverse of Metric.Worsening: the block difference of a relative worsening.
func differenceOf(m trial.Metric, worsening float64) float64 {
	if m.HigherWins {
		return -math.Log1p(-worsening)
	}
	return math.Log1p(worsening)
}

// run judges the blocks at the given places of the sample, in that order, as many as the last look asks for.
func (g *gate) run(at []int) decision {
	var d decision
	for k, look := range g.looks {
		called, alone := g.crossings(at[:look], k)
		d.alone |= alone
		if d.look > 0 {
			continue // over for the gate; a metric alone would have gone on
		}
		d.called = called
		if called != 0 {
			d.look = k + 1
		} else if g.allPass(at[:look]) {
			d.look, d.passed = k+1, true
			break
		}
	}
	if d.look == 0 {
		d.look = len(g.looks)
	}
	return d
}

// crossings returns the rows that are a regression at look k: by Holm among all gated rows, and each alone at Holm's first step.
func (g *gate) crossings(at []int, k int) (called, alone uint64) {
	family := 0
	for _, metric := range g.gated {
		if len(g.read(metric, at)) > 0 {
			family++
		}
	}
	// No p is below 2^−n, and without one in the first step there is none in a later one.
	first := g.thresholds[k] / float64(family)
	if family == 0 || math.Ldexp(1, -len(at)) > first || !g.firstStep(at, first) {
		return 0, 0
	}
	for i, metric := range g.gated {
		if g.p[i] > first { // so far known to be only that
			g.p[i] = signFlip(g.read(metric, at), first, g.thresholds[k])
		}
	}
	for i, adjusted := range inference.Holm(g.p) {
		if math.IsNaN(adjusted) || adjusted > g.thresholds[k] || !g.worseEnough(i, g.read(g.gated[i], at)) {
			continue
		}
		called |= 1 << i
		if g.p[i] <= first {
			alone |= 1 << i
		}
	}
	return called, alone
}

// firstStep fills g.p for all gated rows and tells whether any is at most first, the one threshold for which they are exact enough.
func (g *gate) firstStep(at []int, first float64) bool {
	g.p = g.p[:0]
	reached := false
	for _, metric := range g.gated {
		p := signFlip(g.read(metric, at), first, first)
		g.p, reached = append(g.p, p), reached || p <= first // a NaN is not
	}
	return reached
}

// worseEnough tells whether the estimate of a gated row reaches the metric's minimum effect. It sorts d.
func (g *gate) worseEnough(place int, d []float64) bool {
	slices.Sort(d)
	return estimateAtLeast(d, g.effects[place])
}

// allPass tells whether every row has all the blocks and its upper bound below
// the margin. A metric that no block knows has no row. (Judge also lets an
// improvement stand whose upper bound is above the margin, which only
// differences of two far apart clusters can give; here that is no pass.)
func (g *gate) allPass(at []int) bool {
	for place := range g.gated {
		if !g.rowPasses(place, at, 0) {
			return false
		}
	}
	return len(g.gated) > 0
}

// rowPasses tells whether one gated row passes with its differences shifted. A metric that no block knows is no obstacle.
func (g *gate) rowPasses(place int, at []int, shift float64) bool {
	sorted := g.read(g.gated[place], at)
	slices.Sort(sorted)
	known := len(sorted)
	return known == 0 || known == len(at) && g.ranksOf(known).upperBelow(sorted, g.margins[place]-shift)
}

// read returns the known differences of a metric in a buffer that holds until the next call.
func (g *gate) read(metric int, at []int) []float64 {
	g.known, g.covariate = g.sample.adjusted(g.known, g.covariate, metric, at)
	return g.known
}

func (g *gate) ranksOf(n int) ranks {
	r, ok := g.ranks[n]
	if !ok {
		r = ranksOf(n)
		g.ranks[n] = r
	}
	return r
}
