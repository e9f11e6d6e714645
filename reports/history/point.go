package history

import (
	"math"
	"time"
)

// Kinds of a line in the store.
const (
	KindPoint = "point" // a commit against the reference
	KindLink  = "link"  // the new reference against the one that it replaced
)

// Point is one line of a workload's file: one commit's ratios against the reference of that time.
type Point struct {
	Kind            string           `json:"kind"`
	Commit          string           `json:"commit"`
	CommittedAt     time.Time        `json:"committed_at"`
	Subject         string           `json:"subject"`
	Reference       string           `json:"reference"`        // the commit that the ratios divide by
	ReferenceSHA256 string           `json:"reference_sha256"` // of its broker binary in that trial
	ScenarioSHA256  string           `json:"scenario_sha256"`  // points of another text are another chain
	Host            string           `json:"host"`             // what kind of machine, without its name
	MeasuredAt      time.Time        `json:"measured_at"`
	Trial           string           `json:"trial"`
	Blocks          int              `json:"blocks"`
	Metrics         map[string]Ratio `json:"metrics"`
}

// Ratio of head over reference with its two-sided 95 % interval.
type Ratio struct {
	Ratio  float64 `json:"ratio"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Blocks int     `json:"blocks"`
}

// smallestHalfWidth stands for an exact counter's interval of no width, so that weights stay finite.
const smallestHalfWidth = 1e-6

// level is a logarithm with the half width of its interval.
type level struct{ log, half float64 }

func (r Ratio) level() level {
	return level{math.Log(r.Ratio), max(smallestHalfWidth, (math.Log(r.High)-math.Log(r.Low))/2)}
}

// times multiplies two ratios: logs add, half widths add in quadrature (independent trials).
func (l level) times(o level) level { return level{l.log + o.log, math.Hypot(l.half, o.half)} }

func (l level) ratio(blocks int) Ratio {
	return Ratio{Ratio: math.Exp(l.log), Low: math.Exp(l.log - l.half), High: math.Exp(l.log + l.half), Blocks: blocks}
}

// usable tells whether a ratio can be drawn and chained: positive, finite, with an interval around it.
func (r Ratio) usable() bool {
	return r.Low > 0 && r.Low <= r.Ratio && r.Ratio <= r.High && !math.IsInf(r.High, 0)
}

// together is the mean of several measurements of one ratio, weighted by
// 1/half²; where they differ by more than their intervals explain, the half
// width grows by that factor (Birge). Measuring a commit again adds to its
// point and replaces nothing, so that nobody can roll until it looks good.
func together(levels []level) level {
	var weight, sum float64
	for _, l := range levels {
		w := 1 / (l.half * l.half)
		weight, sum = weight+w, sum+w*l.log
	}
	mean := level{sum / weight, math.Sqrt(1 / weight)}
	if len(levels) > 1 {
		var squares float64
		for _, l := range levels {
			z := (l.log - mean.log) / (l.half / normal95)
			squares += z * z
		}
		mean.half *= max(1, math.Sqrt(squares/float64(len(levels)-1)))
	}
	return mean
}

// normal95 is how many standard errors a 95 % interval reaches to either side.
const normal95 = 1.96
