package datasheet

import (
	"math/rand/v2"
	"slices"

	"fluxmq/reports/inference"
)

// coverage is how often the two-sided 95 % interval of a resampled gate at the
// last look holds the effect that the gate was drawn from: the estimate over
// its whole pool. nil when the pool is too small or does not know the metric.
func (g *gate) coverage(metric int, o Options, dose, workload string) *Simulated {
	if !g.enough() || len(g.sample.known(metric)) < g.looks[0] {
		return nil
	}
	rng := o.source("coverage", dose, workload, g.sample.metrics[metric].Name)
	stretches := g.pieces()
	var shares []float64
	for range o.Pools {
		covered := g.covered(metric, rng, bootstrapPool(rng, stretches), o.inner(dose))
		shares = append(shares, float64(covered)/float64(o.inner(dose)))
	}
	return newSimulated(g.covered(metric, rng, g.whole(), o.Resamples), o.Resamples, shares)
}

// covered counts the gates drawn from a pool whose interval holds the pool's estimate.
func (g *gate) covered(metric int, rng *rand.Rand, pool []int, gates int) int {
	truth := inference.HodgesLehmann(g.read(metric, pool))
	hits := 0
	for range gates {
		sorted := g.read(metric, drawBlocks(rng, pool, g.last()))
		slices.Sort(sorted)
		if g.ranksOf(len(sorted)).holds(sorted, truth) {
			hits++
		}
	}
	return hits
}
