package datasheet

import (
	"math"
	"slices"

	"fluxmq/reports/inference"
	"fluxmq/reports/trial"
)

// Naive is a design without blocks, judged on the same raw runs, rejected
// blocks included: it shows what the blocks are for.
type Naive struct {
	Design string `json:"design"`
	Metric string `json:"metric"`
	Label  string `json:"label"`
	// FalseAlarms are on the A/A pool, in either direction for ten then ten.
	FalseAlarms *Rate       `json:"false_alarms"`
	Detections  []DoseShare `json:"detections" jsonschema:"in the direction of worse, on the pool of each dose"`
}

// DoseShare is a rate under one dose.
type DoseShare struct {
	Dose string `json:"dose"`
	Rate *Rate  `json:"rate"`
}

// The naive designs.
const (
	designOneEach = "one run each, 5 % threshold"
	designTenTen  = "ten runs then ten runs, Mann–Whitney α 0.05"
	naiveLimit    = 0.05 // relative worsening of the one, p-value of the other
	naiveRuns     = 10   // of a side
)

// newNaive judges both designs by throughput and by broker CPU.
func newNaive(metrics []trial.Metric, doses []string, blocks func(dose string) []Block) []Naive {
	var all []Naive
	for _, design := range []struct {
		name   string
		alarms func(trial.Metric, []Block) *Rate
		detect func(trial.Metric, []Block) *Rate
	}{
		{designOneEach, oneEach, oneEach},
		{designTenTen, tenTenSame, tenTenDose},
	} {
		for _, m := range metrics {
			if m.Name != trial.BrokerCPU && m.Name != trial.Delivered {
				continue
			}
			n := Naive{Design: design.name, Metric: m.Name, Label: m.Label, FalseAlarms: design.alarms(m, blocks(NoDose))}
			for _, dose := range doses {
				if dose != NoDose {
					n.Detections = append(n.Detections, DoseShare{dose, design.detect(m, blocks(dose))})
				}
			}
			all = append(all, n)
		}
	}
	return all
}

// oneEach compares the first run of each arm of a block: worse by 5 % is an alarm.
func oneEach(m trial.Metric, blocks []Block) *Rate {
	hits, of := 0, 0
	for _, b := range blocks {
		if !b.Block.Sound() {
			continue
		}
		base, head := firstOf(b.Block, trial.Base, m), firstOf(b.Block, trial.Head, m)
		if math.IsNaN(base) || math.IsNaN(head) || base <= 0 {
			continue
		}
		of++
		if ratio := head / base; m.HigherWins && ratio < 1-naiveLimit || !m.HigherWins && ratio > 1+naiveLimit {
			hits++
		}
	}
	return newRate(hits, of)
}

func firstOf(b trial.Block, arm string, m trial.Metric) float64 {
	for _, r := range b.Runs {
		if v, known := r.Values[m.Name]; known && r.Arm == arm {
			return v
		}
	}
	return math.NaN()
}

// tenTenSame takes the runs of A/A as they came, whatever their arm, for both
// are one program: ten, then ten, called different in either direction. No run
// is in two comparisons, and none reaches over the end of a session.
func tenTenSame(m trial.Metric, blocks []Block) *Rate {
	hits, of := 0, 0
	for _, session := range soundSessions(blocks) {
		var runs []float64
		for _, b := range session {
			runs = append(runs, valuesOf(b, "", m)...)
		}
		for pair := range slices.Chunk(runs, 2*naiveRuns) {
			if len(pair) < 2*naiveRuns || slices.ContainsFunc(pair, math.IsNaN) {
				continue
			}
			of++
			if inference.MannWhitney(pair[:naiveRuns], pair[naiveRuns:]) < naiveLimit {
				hits++
			}
		}
	}
	return newRate(hits, of)
}

// tenTenDose takes the ten A-runs of five adjacent blocks, then the ten B-runs of the next five.
func tenTenDose(m trial.Metric, blocks []Block) *Rate {
	const half = naiveRuns / 2 // blocks that hold ten runs of an arm
	hits, of := 0, 0
	for _, session := range soundSessions(blocks) {
		for pair := range slices.Chunk(session, 2*half) {
			if len(pair) < 2*half {
				continue
			}
			var base, head []float64
			for i, b := range pair {
				if i < half {
					base = append(base, valuesOf(b, trial.Base, m)...)
				} else {
					head = append(head, valuesOf(b, trial.Head, m)...)
				}
			}
			p := inference.MannWhitney(base, head)
			if math.IsNaN(p) {
				continue
			}
			of++
			worse := inference.Median(head) > inference.Median(base)
			if p < naiveLimit && worse != m.HigherWins {
				hits++
			}
		}
	}
	return newRate(hits, of)
}

// soundSessions splits blocks by session and leaves out those with a failed run.
func soundSessions(blocks []Block) [][]trial.Block {
	var sessions [][]trial.Block
	name := ""
	for i, b := range blocks {
		if i == 0 || b.Session != name {
			sessions, name = append(sessions, nil), b.Session
		}
		if last := len(sessions) - 1; b.Block.Sound() {
			sessions[last] = append(sessions[last], b.Block)
		}
	}
	return sessions
}

// valuesOf returns the values of an arm's runs in order, of both arms for ""; NaN where a run does not know the metric.
func valuesOf(b trial.Block, arm string, m trial.Metric) []float64 {
	var values []float64
	for _, r := range b.Runs {
		if arm != "" && r.Arm != arm {
			continue
		}
		v, known := r.Values[m.Name]
		if !known {
			v = math.NaN()
		}
		values = append(values, v)
	}
	return values
}
