package profilediff

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"fluxmq/reports/inference"
	"fluxmq/reports/trial"
)

// DefaultTop is how many functions are listed.
const DefaultTop = 15

// Options say what is listed.
type Options struct {
	GroupRuntime bool
	ByCumulative bool    // rank by CPU in a function and below it; else by its own
	Top          int     // 0: DefaultTop
	Confidence   float64 // of the two-sided intervals; 0: 0.95, less for four or five blocks
}

// Difference is one workload's profiles, head minus base. CPU is in ns a message.
type Difference struct {
	Workload   string     `json:"workload"`
	Blocks     int        `json:"blocks"`  // that were used
	Skipped    int        `json:"skipped"` // kept blocks without four profiles
	Confidence float64    `json:"confidence"`
	Ranked     string     `json:"ranked_by"` // flat or cumulative
	Functions  []Function `json:"functions"`
	// Seen is how many functions the profiles show; the list holds the first of them.
	Seen int `json:"functions_seen"`
}

// Function is one line: its own CPU, and that of what it calls too.
type Function struct {
	Name       string `json:"name"`
	Flat       Change `json:"flat"`
	Cumulative Change `json:"cumulative"`
}

// Change is a function's CPU-ns a message on both sides and the estimated
// difference (Hodges–Lehmann over blocks; signed-rank interval). Low and High
// are nil with too few blocks for an interval.
type Change struct {
	Base       float64  `json:"base"`
	Head       float64  `json:"head"`
	Difference float64  `json:"difference"`
	Low        *float64 `json:"low"`
	High       *float64 `json:"high"`
}

// ErrNoProfiles: no kept block has a CPU profile of each of its runs.
var ErrNoProfiles = errors.New("no kept block has CPU profiles of all four runs")

// Read compares the profiles that lie in a trial's folder.
func Read(dir string, w trial.Workload, o Options) (*Difference, error) {
	return Compare(w, o, func(name string) (*profile.Profile, error) {
		if name != filepath.Clean(name) || !filepath.IsLocal(name) {
			return nil, fmt.Errorf("profile %q lies outside the trial's folder", name)
		}
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		defer file.Close() // only read
		p, err := profile.Parse(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return p, nil
	})
}

// Compare attributes each run's measured broker CPU a message to functions by
// their share of its samples, takes head minus base in each block, and
// estimates over the blocks. Functions come with the surest growth first: by
// the lower bound, by the estimate where there is none.
func Compare(w trial.Workload, o Options, open func(name string) (*profile.Profile, error)) (*Difference, error) {
	if o.Top == 0 {
		o.Top = DefaultTop
	}
	d := &Difference{Workload: w.Name(), Ranked: "flat", Functions: []Function{}}
	if o.ByCumulative {
		d.Ranked = "cumulative"
	}
	var blocks []block
	for _, b := range w.Kept() {
		one, ok, err := attributeBlock(b, o.GroupRuntime, open)
		if err != nil {
			return nil, fmt.Errorf("profiles of %s, block %d: %w", w.Name(), b.Number, err)
		}
		if !ok {
			d.Skipped++
			continue
		}
		blocks = append(blocks, one)
	}
	d.Blocks = len(blocks)
	if d.Blocks == 0 {
		return nil, fmt.Errorf("profiles of %s: %w", w.Name(), ErrNoProfiles)
	}
	if d.Confidence = o.Confidence; d.Confidence == 0 {
		d.Confidence = carried(d.Blocks)
	}
	names := map[string]bool{}
	for _, b := range blocks {
		for _, arm := range b {
			for name := range arm {
				names[name] = true
			}
		}
	}
	ranked := func(f Function) Change {
		if o.ByCumulative {
			return f.Cumulative
		}
		return f.Flat
	}
	for name := range names {
		f := Function{Name: name,
			Flat:       change(blocks, name, d.Confidence, func(s share) float64 { return s.flat }),
			Cumulative: change(blocks, name, d.Confidence, func(s share) float64 { return s.cumulative })}
		if !ranked(f).rare() {
			d.Functions = append(d.Functions, f)
		}
	}
	slices.SortFunc(d.Functions, func(a, b Function) int { return compareGrowth(ranked(a), ranked(b), a.Name, b.Name) })
	d.Seen = len(names)
	d.Functions = d.Functions[:min(o.Top, len(d.Functions))]
	return d, nil
}

// carried is the confidence of intervals over so many blocks: 0.95, or with
// four or five blocks the 1 − 2^(1−n) of their whole range, the most that a
// signed-rank interval can have. Fewer blocks have none at 0.95.
func carried(blocks int) float64 {
	const wanted, fewest = 0.95, 4
	if blocks < fewest {
		return wanted
	}
	return min(wanted, 1-math.Pow(2, float64(1-blocks)))
}

// block holds, by arm and function, the mean CPU-ns a message of the arm's two runs.
type block map[string]map[string]share

// attributeBlock is not ok when a run has no profile, no samples or no measured CPU.
func attributeBlock(b trial.Block, groupRuntime bool, open func(string) (*profile.Profile, error)) (block, bool, error) {
	arms, runs := block{trial.Base: {}, trial.Head: {}}, map[string]float64{}
	for _, r := range b.Runs {
		cost, known := r.Values[trial.BrokerCPU]
		if r.Profile == "" || !known {
			return nil, false, nil
		}
		p, err := open(r.Profile)
		if err != nil {
			return nil, false, err
		}
		shares, ok, err := attribute(p, groupRuntime)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", r.Profile, err)
		}
		if !ok {
			return nil, false, nil
		}
		runs[r.Arm]++
		for name, s := range shares {
			sum := arms[r.Arm][name]
			arms[r.Arm][name] = share{sum.flat + s.flat*cost, sum.cumulative + s.cumulative*cost}
		}
	}
	for arm, functions := range arms {
		if runs[arm] == 0 {
			return nil, false, nil
		}
		for name, s := range functions {
			functions[name] = share{s.flat / runs[arm], s.cumulative / runs[arm]}
		}
	}
	return arms, true, nil
}

func change(blocks []block, name string, confidence float64, of func(share) float64) Change {
	var c Change
	differences := make([]float64, len(blocks))
	for i, b := range blocks {
		base, head := of(b[trial.Base][name]), of(b[trial.Head][name])
		c.Base += base / float64(len(blocks))
		c.Head += head / float64(len(blocks))
		differences[i] = head - base
	}
	c.Difference = inference.HodgesLehmann(differences)
	if low, high := inference.SignedRankInterval(differences, confidence); !math.IsInf(low, 0) && !math.IsInf(high, 0) && !math.IsNaN(low) && !math.IsNaN(high) {
		c.Low, c.High = &low, &high
	}
	return c
}

// compareGrowth puts the larger lower bound first; all changes of one difference have one or none.
func compareGrowth(a, b Change, nameA, nameB string) int {
	keyA, keyB := a.Difference, b.Difference
	if a.Low != nil && b.Low != nil && *a.Low != *b.Low {
		keyA, keyB = *a.Low, *b.Low
	}
	switch {
	case keyA > keyB:
		return -1
	case keyA < keyB:
		return 1
	}
	return strings.Compare(nameA, nameB)
}

// rare tells that most blocks have no sample of the function on either side: nothing is known of it.
func (c Change) rare() bool {
	return c.Base == 0 && c.Head == 0 || c.Low != nil && *c.Low == 0 && *c.High == 0
}

// Grew tells whether the interval lies above zero.
func (c Change) Grew() bool { return c.Low != nil && *c.Low > 0 }

// Shrank tells whether the interval lies below zero.
func (c Change) Shrank() bool { return c.High != nil && *c.High < 0 }
