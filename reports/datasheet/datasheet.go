package datasheet

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"fluxmq/reports"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// Datasheet is what the gate sees on one class of machine and how often it is
// wrong. Shares and effects are fractions, 0.05 is 5 %; a nil rate, interval or
// section was not measured.
type Datasheet struct {
	Schema    int                     `json:"schema"`
	Class     string                  `json:"class"`
	Machine   string                  `json:"machine" jsonschema:"the class in words"`
	Host      reports.HostFingerprint `json:"host"`
	Commit    string                  `json:"commit"`
	Dirty     bool                    `json:"dirty"`
	Broker    reports.Binary          `json:"broker"`
	Rules     trial.Rules             `json:"rules"`
	Options   Options                 `json:"options"`
	Sizes     []Size                  `json:"sizes"`
	Alarms    *Rate                   `json:"false_alarms" jsonschema:"direct A/A gates of all workloads"`
	Workloads []Sheet                 `json:"workloads"`
	Caught    []Caught                `json:"caught"`
	Broken    []Broken                `json:"broken"`
	Pace      Pace                    `json:"pace"`
}

// Sheet is one workload.
type Sheet struct {
	Workload      string             `json:"workload" jsonschema:"scenario/client"`
	RatePerSecond float64            `json:"rate_per_second"`
	Durability    string             `json:"durability"`
	Validation    string             `json:"validation"`
	PartSeconds   map[string]float64 `json:"part_seconds"`
	Gated         int                `json:"gated" jsonschema:"metrics"`
	Alarms        FalseAlarms        `json:"false_alarms"`
	Null          []Null             `json:"null" jsonschema:"each metric under A/A; empty: no A/A block was kept"`
	Doses         []Dose             `json:"doses" jsonschema:"without A/A"`
	Least         []Least            `json:"least"`
	Naive         []Naive            `json:"naive"`
}

// FalseAlarms is what the whole gate says under A/A.
type FalseAlarms struct {
	Direct *Rate `json:"direct"`
	// Resampled gates that call a regression, that pass, and that end before the last look.
	Resampled *Simulated `json:"resampled"`
	Passes    *Simulated `json:"passes"`
	Early     *Simulated `json:"early"`
	// DirectPasses counts the direct gates that ended with exit 0.
	DirectPasses *Rate `json:"direct_passes"`
	// Apart is how many full gates the pool holds that share no block: what the resampled rates rest on.
	Apart    int            `json:"apart"`
	Unjudged map[string]int `json:"unjudged,omitempty"`
}

// Analyse makes the datasheet of a pool. The same pool and options give the same datasheet.
func Analyse(pool *Pool, o Options) (*Datasheet, error) {
	o = o.withDefaults()
	h := pool.Header
	if err := checkRules(h.Rules); err != nil {
		return nil, err
	}
	sheet := &Datasheet{
		Schema: Schema, Class: h.Class, Machine: machineName(h.Host), Host: h.Host, Commit: h.Commit, Dirty: h.Dirty,
		Broker: h.Broker, Rules: h.Rules, Options: o, Broken: newBroken(pool.faults), Pace: newPace(pool.blocks, pool.gates),
	}
	sheets := make([]Sheet, len(h.Workloads))
	var all sync.WaitGroup
	for i, w := range h.Workloads {
		// Only reads the pool; every question has its own source of random numbers. Awaited below.
		all.Go(func() { sheets[i] = newSheet(pool, w, o) })
	}
	all.Wait()
	alarms, judged := 0, 0
	for i, w := range h.Workloads {
		for _, dose := range pool.Doses() {
			blocks, gates := pool.Blocks(dose, w.Name()), pool.Gates(dose, w.Name())
			if len(blocks)+len(gates) > 0 {
				sheet.Sizes = append(sheet.Sizes, newSize(dose, w.Name(), blocks, gates))
			}
		}
		one := sheets[i]
		sheet.Workloads = append(sheet.Workloads, one)
		for _, d := range one.Doses {
			sheet.Caught = append(sheet.Caught, newCaught(d, pool.Gates(d.Dose, w.Name()), w.Name()))
		}
		if direct := one.Alarms.Direct; direct != nil {
			alarms, judged = alarms+direct.Hits, judged+direct.Of
		}
	}
	sheet.Alarms = newRate(alarms, judged)
	return sheet, nil
}

// checkRules refuses rules that the resampled gate cannot follow. They come from a file.
func checkRules(r trial.Rules) error {
	if len(r.Looks) == 0 || !(r.Alpha > 0 && r.Alpha < 0.05) {
		return fmt.Errorf("datasheet: looks %v and alpha %v cannot be resampled: want a look, and an alpha below 0.05", r.Looks, r.Alpha)
	}
	before := 0
	for _, look := range r.Looks {
		if look <= before || look > maxRanked {
			return fmt.Errorf("datasheet: looks at %v blocks cannot be resampled: want them to rise, to %d at most", r.Looks, maxRanked)
		}
		before = look
	}
	return nil
}

func newSheet(pool *Pool, w Workload, o Options) Sheet {
	name := w.Name()
	sheet := Sheet{Workload: name, RatePerSecond: w.RatePerSecond, Durability: w.Durability, Validation: w.Validation, PartSeconds: w.PartSeconds}
	rules := pool.Header.Rules
	null := newGate(newSample(w.Metrics, pool.Blocks(NoDose, name)), rules)
	sheet.Alarms = newFalseAlarms(null, pool.Gates(NoDose, name), o, name)
	if null.sample.size() > 0 {
		for i := range w.Metrics {
			sheet.Null = append(sheet.Null, newNull(null, i, o, name))
		}
	}
	doses := pool.Doses()
	for _, dose := range doses {
		blocks, gates := pool.Blocks(dose, name), pool.Gates(dose, name)
		if dose != NoDose && len(blocks)+len(gates) > 0 {
			sheet.Doses = append(sheet.Doses, newDose(dose, newGate(newSample(w.Metrics, blocks), rules), blocks, gates, o, name))
		}
	}
	sheet.Gated = len(null.gated)
	sheet.Least = newLeast(sheet.Doses, w.Metrics)
	sheet.Naive = newNaive(w.Metrics, doses, func(dose string) []Block { return pool.Blocks(dose, name) })
	return sheet
}

func newFalseAlarms(null *gate, gates []Gate, o Options, workload string) FalseAlarms {
	judged, unjudged := judgedGates(gates)
	drawn := null.simulate(o, NoDose, workload)
	return FalseAlarms{
		Direct:       newRate(count(judged, func(g Gate) bool { return g.Outcome == verdict.Regression }), len(judged)),
		DirectPasses: newRate(count(judged, func(g Gate) bool { return g.Exit == 0 }), len(judged)),
		Resampled:    drawn.rate(func(t tally) int { return t.called }),
		Passes:       drawn.rate(func(t tally) int { return t.passed }),
		Early:        drawn.rate(func(t tally) int { return t.early }),
		Apart:        null.sample.size() / null.last(),
		Unjudged:     unjudged,
	}
}

// Names of the files of a datasheet, in its pool's folder.
const (
	sheetFile = "datasheet.json"
	pageFile  = "datasheet.md"
)

// Save writes datasheet.json and datasheet.md into a pool's folder and replaces those that are there.
func (d *Datasheet) Save(dir string) error {
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return fmt.Errorf("datasheet: %w", err)
	}
	if err := writeWhole(filepath.Join(dir, sheetFile), append(text, '\n')); err != nil {
		return fmt.Errorf("datasheet: %w", err)
	}
	var page strings.Builder
	if err := d.WriteMarkdown(&page); err != nil {
		return fmt.Errorf("datasheet: %w", err)
	}
	if err := writeWhole(filepath.Join(dir, pageFile), []byte(page.String())); err != nil {
		return fmt.Errorf("datasheet: %w", err)
	}
	return nil
}
