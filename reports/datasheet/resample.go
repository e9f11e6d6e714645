package datasheet

import (
	"hash/fnv"
	"math/bits"
	"math/rand/v2"

	"fluxmq/reports/inference"
)

// Options of an analysis. Zero values become the defaults.
type Options struct {
	Seed uint64 `json:"seed,string"`
	// Resamples is the number of gates drawn from a pool for one rate; 0: 10,000.
	Resamples int `json:"resamples"`
	// Pools is the number of bootstrapped pools behind a rate's outer interval; 0: 200.
	Pools int `json:"pools"`
}

// Defaults of Options, and what a drawn gate keeps together.
const (
	defaultResamples = 10_000
	defaultPools     = 200
	// adjacent blocks are drawn together: about two minutes, several times as long as a burst of steal lasts.
	adjacent = 4
	// innerShare of Resamples is drawn from each bootstrapped pool: the spread
	// that so few gates add is small beside that between pools, and widens the interval.
	innerShare = 0.01
	// nullShare is that of A/A, where the rate is small and steps of 1 % would show.
	nullShare = 0.05
	// leastInner gates are drawn from each bootstrapped pool however small Resamples is.
	leastInner = 50
)

func (o Options) withDefaults() Options {
	if o.Resamples == 0 {
		o.Resamples = defaultResamples
	}
	if o.Pools == 0 {
		o.Pools = defaultPools
	}
	return o
}

// inner is the number of gates drawn from each bootstrapped pool of a dose.
func (o Options) inner(dose string) int {
	share := innerShare
	if dose == NoDose {
		share = nullShare
	}
	return max(leastInner, int(float64(o.Resamples)*share))
}

// source is a stream of random numbers for one question, so that adding a question changes no other answer.
func (o Options) source(question ...string) *rand.Rand {
	h := fnv.New64a()
	for _, part := range question {
		_, _ = h.Write(append([]byte(part), 0)) // a hash does not fail
	}
	return rand.New(rand.NewPCG(o.Seed, h.Sum64()))
}

// tally counts what resampled gates said.
type tally struct {
	gates  int
	called int   // a gated metric called
	passed int   // exit 0
	early  int   // ended before the last look
	alone  []int // by gated metric: it would have called by itself
}

func (t *tally) add(d decision, looks int) {
	t.gates++
	if d.called != 0 {
		t.called++
	}
	if d.passed {
		t.passed++
	}
	if d.look < looks {
		t.early++
	}
	for rest := d.alone; rest != 0; rest &= rest - 1 {
		t.alone[bits.TrailingZeros64(rest)]++
	}
}

// draw runs gates made of adjacent blocks of a pool; pool holds places in the gate's sample.
func (g *gate) draw(rng *rand.Rand, pool []int, gates int) tally {
	t := tally{alone: make([]int, len(g.gated))}
	for range gates {
		t.add(g.run(drawBlocks(rng, pool, g.last())), len(g.looks))
	}
	return t
}

// drawBlocks returns size places of the sample, in runs of blocks that lie next to each other in the pool.
func drawBlocks(rng *rand.Rand, pool []int, size int) []int {
	at := inference.MovingBlocks(rng, len(pool), size, min(adjacent, len(pool)))
	for i, place := range at {
		at[i] = pool[place]
	}
	return at
}

// last is the number of blocks at the last look.
func (g *gate) last() int { return g.looks[len(g.looks)-1] }

// enough tells whether the pool holds as many blocks as one full gate: from
// fewer a gate would be the same blocks over and over.
func (g *gate) enough() bool { return g.sample.size() >= g.last() }

// whole is the pool of all blocks.
func (g *gate) whole() []int {
	pool := make([]int, g.sample.size())
	for i := range pool {
		pool[i] = i
	}
	return pool
}

// bootstrapPool draws as many stretches as the pool has, with replacement:
// another pool that this machine could have given.
func bootstrapPool(rng *rand.Rand, stretches [][]int) []int {
	var pool []int
	for range stretches {
		pool = append(pool, stretches[rng.IntN(len(stretches))]...)
	}
	return pool
}

// fewestStretches is what a bootstrapped pool is put together from at least: fewer would give the same few pools again and again.
const fewestStretches = 10

// pieces are the stretches of the sample, as long as the first look if there are enough of them.
func (g *gate) pieces() [][]int {
	return g.sample.stretches(max(adjacent, min(g.looks[0], g.sample.size()/fewestStretches)))
}

// simulation is what resampling says about one dose of one workload.
type simulation struct {
	inner tally
	outer []tally
}

// simulate draws gates from the pool, and from bootstrapped pools; nil when the pool is too small for that.
func (g *gate) simulate(o Options, dose, workload string) *simulation {
	if !g.enough() || len(g.gated) == 0 {
		return nil
	}
	rng := o.source("gate", dose, workload)
	s := &simulation{inner: g.draw(rng, g.whole(), o.Resamples)}
	stretches := g.pieces()
	for range o.Pools {
		s.outer = append(s.outer, g.draw(rng, bootstrapPool(rng, stretches), o.inner(dose)))
	}
	return s
}

// rate is one of the counts as a simulated rate.
func (s *simulation) rate(count func(tally) int) *Simulated {
	if s == nil {
		return nil
	}
	var shares []float64
	for _, t := range s.outer {
		shares = append(shares, float64(count(t))/float64(t.gates))
	}
	return newSimulated(count(s.inner), s.inner.gates, shares)
}
