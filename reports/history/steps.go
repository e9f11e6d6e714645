package history

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Test says how changes are looked for.
type Test struct {
	Alpha        float64 `json:"alpha"`           // of one search over all places
	Segment      int     `json:"minimum_segment"` // least points on either side of a change
	Permutations int     `json:"permutations"`
	Seed         uint64  `json:"seed,string"`
}

// DefaultTest asks p ≤ 0.001, as Hunter and Otava do.
func DefaultTest() Test { return Test{Alpha: 0.001, Segment: 3, Permutations: 1999, Seed: 1} }

// Step is a place where the level changes: the first value of the new level.
type Step struct {
	At int
	P  float64
}

// Steps finds where the mean of a series changes: binary segmentation with the
// CUSUM statistic √(ab/(a+b))·|mean − mean|, maximised over all splits of
// seeded intervals (Kovács et al., Seeded binary segmentation, Biometrika
// 2023), which find a short bump that a search over the whole series averages
// away; Otava's window of 50 serves the same end. The p-value of the maximum
// is that of random permutations of the segment, so that it counts every place
// looked at, and needs no normal noise (E-divisive: Matteson and James, JASA
// 2014; MongoDB uses it for performance: Daly et al., ICPE 2020). Hunter's
// t-test in place of permutations is for determinism; a seed gives that too.
//
// At the default p a series needs about 14 values before a step in its middle
// can be called one, and three values at its end need about 30 before them.
// A slow drift comes out as one or more steps up.
func Steps(values []float64, t Test) []Step {
	var found []Step
	t.split(values, 0, len(values), &found)
	return t.confirm(values, found)
}

// split looks for one step in values[from:to] and, when there is one, in both parts.
func (t Test) split(values []float64, from, to int, found *[]Step) {
	segment := values[from:to]
	at, p := t.best(segment, seededIntervals(len(segment), 2*t.Segment))
	if p > t.Alpha {
		return
	}
	*found = append(*found, Step{from + at, p})
	t.split(values, from, from+at, found)
	t.split(values, from+at, to, found)
}

// confirm asks each step again between its neighbours, moves it to the best
// place there, and drops the weakest until all that are left stand.
func (t Test) confirm(values []float64, steps []Step) []Step {
	slices.SortFunc(steps, func(a, b Step) int { return a.At - b.At })
	for len(steps) > 0 {
		weakest := 0
		for i := range steps {
			from, to := 0, len(values)
			if i > 0 {
				from = steps[i-1].At
			}
			if i+1 < len(steps) {
				to = steps[i+1].At
			}
			at, p := t.best(values[from:to], []interval{{0, to - from}})
			steps[i].P = p
			if p <= t.Alpha {
				steps[i].At = from + at
			}
			if steps[i].P > steps[weakest].P {
				weakest = i
			}
		}
		if steps[weakest].P <= t.Alpha {
			break
		}
		steps = slices.Delete(steps, weakest, weakest+1)
	}
	return steps
}

// best is the split with the largest statistic and the p-value of that maximum; 1 where nothing can be split.
func (t Test) best(segment []float64, intervals []interval) (at int, p float64) {
	sums := make([]float64, len(segment)+1)
	observed, at := t.maximum(segment, intervals, sums)
	if at < 0 || observed <= 0 {
		return 0, 1
	}
	// Rounding of sums must not make a permutation that equals the series count less than it.
	observed *= 1 - 1e-9
	shuffled := slices.Clone(segment)
	random := rand.New(rand.NewPCG(t.Seed, uint64(len(segment))))
	larger := 0
	for range t.Permutations {
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if s, _ := t.maximum(shuffled, intervals, sums); s >= observed {
			larger++
			if p := float64(larger+1) / float64(t.Permutations+1); p > t.Alpha {
				return at, p // it cannot come back under alpha; what is left would only name its p
			}
		}
	}
	return at, float64(larger+1) / float64(t.Permutations+1)
}

// maximum of the statistic over all splits of all intervals, and its place; -1 for none.
func (t Test) maximum(values []float64, intervals []interval, sums []float64) (largest float64, at int) {
	var mean float64
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for i, v := range values {
		sums[i+1] = sums[i] + v - mean
	}
	largest, at = 0, -1
	for _, in := range intervals {
		n := float64(in.to - in.from)
		total := sums[in.to] - sums[in.from]
		for split := in.from + t.Segment; split <= in.to-t.Segment; split++ {
			a := float64(split - in.from)
			// √(ab/n)·|S/a − (T−S)/b| = |nS − aT|/√(abn)
			s := math.Abs(n*(sums[split]-sums[in.from])-a*total) / math.Sqrt(a*(n-a)*n)
			if s > largest {
				largest, at = s, split
			}
		}
	}
	return largest, at
}

type interval struct{ from, to int }

// seededIntervals are Kovács's: lengths that shrink by √2 from n to the shortest, each length laid over the series evenly with overlap.
func seededIntervals(n, shortest int) []interval {
	if n < shortest {
		return nil
	}
	all := []interval{{0, n}}
	for length := float64(n) / math.Sqrt2; int(math.Ceil(length)) >= shortest; length /= math.Sqrt2 {
		size := int(math.Ceil(length))
		count := 2*int(math.Ceil(float64(n)/length)) - 1
		for i := range count {
			from := int(math.Round(float64(i) * float64(n-size) / float64(count-1)))
			all = append(all, interval{from, from + size})
		}
	}
	return all
}
