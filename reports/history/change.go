package history

import (
	"math"

	"fluxmq/reports/trial"
)

// Change is a commit at which a metric's level changed.
type Change struct {
	Commit
	// Previous is the measured commit before: the change lies after it, up to and including Commit.
	Previous string `json:"previous"`
	At       int    `json:"at"`     // index in the chain's points of the first one of the new level
	Before   int    `json:"before"` // points of the level before
	After    int    `json:"after"`
	// Size is the new level over the old with its 95 % interval (Welch's t on logs).
	Size  Ratio   `json:"size"`
	P     float64 `json:"p"`
	Worse bool    `json:"worse"`
	// AcrossReferences: the reference changed here too, so that the link's error is in Size.
	AcrossReferences bool `json:"across_references"`
}

// Find fills in the changes of a chain that are at least the metric's minimum effect.
func (c *Chain) Find(m trial.Metric, t Test) {
	logs := make([]float64, len(c.Points))
	for i, p := range c.Points {
		logs[i] = p.log()
	}
	steps := Steps(logs, t)
	c.Changes = []Change{}
	for i, step := range steps {
		from, to := 0, len(logs)
		if i > 0 {
			from = steps[i-1].At
		}
		if i+1 < len(steps) {
			to = steps[i+1].At
		}
		first, before := c.Points[step.At], c.Points[step.At-1]
		size := welch(logs[from:step.At], logs[step.At:to])
		change := Change{Commit: first.Commit, Previous: before.SHA, At: step.At, Before: step.At - from, After: to - step.At, P: step.P,
			Worse: size.log > 0 != m.HigherWins, AcrossReferences: first.Reference != before.Reference}
		if change.AcrossReferences {
			size.half = math.Hypot(size.half, math.Hypot(first.linkHalf, before.linkHalf))
		}
		change.Size = size.ratio(0)
		if math.Abs(math.Expm1(size.log)) >= m.MinimumEffect {
			c.Changes = append(c.Changes, change)
		}
	}
}

// plateau is the mean log of points[from:to], between two changes.
type plateau struct {
	from, to int
	log      float64
}

func (c *Chain) plateaus() []plateau {
	var all []plateau
	from := 0
	for i := 0; i <= len(c.Changes); i++ {
		to := len(c.Points)
		if i < len(c.Changes) {
			to = c.Changes[i].At
		}
		var sum float64
		for _, p := range c.Points[from:to] {
			sum += p.log()
		}
		all = append(all, plateau{from, to, sum / float64(to-from)})
		from = to
	}
	return all
}
