package datasheet

import (
	"slices"

	"fluxmq/reports/inference"
)

// Size is how much of one dose and workload the pool holds.
type Size struct {
	Dose           string         `json:"dose"`
	Workload       string         `json:"workload"`
	Kept           int            `json:"kept" jsonschema:"blocks"`
	Rejected       map[string]int `json:"rejected" jsonschema:"blocks by the rule of noise that left them out"`
	Failed         int            `json:"failed" jsonschema:"blocks with a run that is not sound"`
	Gates          int            `json:"gates" jsonschema:"direct"`
	Sessions       int            `json:"sessions"`
	MachineSeconds float64        `json:"machine_seconds" jsonschema:"from start to end of each block, summed"`
	// Steal is over the single runs, rejected blocks included: steal/(steal+busy).
	Steal *Distribution `json:"steal"`
}

// Distribution of a share over runs. A nil Distribution was not measured.
type Distribution struct {
	Runs   int     `json:"runs"`
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

func newSize(dose, workload string, blocks []Block, gates []Gate) Size {
	size := Size{Dose: dose, Workload: workload, Rejected: map[string]int{}, Gates: len(gates)}
	sessions := map[string]bool{}
	var steal []float64
	for _, b := range blocks {
		switch {
		case b.Block.Rejected != "":
			size.Rejected[b.Block.Rejected]++
		case !b.Block.Sound():
			size.Failed++
		default:
			size.Kept++
		}
		sessions[b.Session] = true
		size.MachineSeconds += float64(b.Block.EndUnixNs-b.Block.StartUnixNs) / 1e9
		for _, r := range b.Block.Runs {
			if r.Noise.StealShare >= 0 {
				steal = append(steal, r.Noise.StealShare)
			}
		}
	}
	size.Sessions = len(sessions)
	if len(steal) > 0 {
		size.Steal = &Distribution{
			Runs: len(steal), Median: inference.Median(steal), P90: inference.Quantile(steal, 0.9), P99: inference.Quantile(steal, 0.99), Max: slices.Max(steal),
		}
	}
	return size
}

func (s Size) rejected() int {
	sum := 0
	for _, n := range s.Rejected {
		sum += n
	}
	return sum
}

// Pace is how long a verdict takes on this machine, all doses and workloads together.
type Pace struct {
	Looks []LookTime `json:"looks"`
	// BlocksPerMinute counts all blocks over the time from first start to last end of each session; 0: not measured.
	BlocksPerMinute float64 `json:"blocks_per_minute"`
}

// LookTime is the wall time of the direct gates that ended at one look.
type LookTime struct {
	Look          int     `json:"look"`
	Gates         int     `json:"gates"`
	MedianSeconds float64 `json:"median_seconds"`
	MaxSeconds    float64 `json:"max_seconds"`
}

func newPace(blocks []Block, gates []Gate) Pace {
	var pace Pace
	judged, _ := judgedGates(gates)
	seconds := map[int][]float64{}
	for _, g := range judged {
		seconds[g.Look] = append(seconds[g.Look], g.WallSeconds)
	}
	for look, s := range seconds {
		pace.Looks = append(pace.Looks, LookTime{Look: look, Gates: len(s), MedianSeconds: inference.Median(s), MaxSeconds: slices.Max(s)})
	}
	slices.SortFunc(pace.Looks, func(a, b LookTime) int { return a.Look - b.Look })

	type span struct{ first, last int64 }
	spans := map[string]span{}
	for _, b := range blocks {
		s, seen := spans[b.Session]
		if !seen {
			s = span{b.Block.StartUnixNs, b.Block.EndUnixNs}
		}
		spans[b.Session] = span{min(s.first, b.Block.StartUnixNs), max(s.last, b.Block.EndUnixNs)}
	}
	var minutes float64
	for _, s := range spans {
		minutes += float64(s.last-s.first) / 60e9
	}
	if minutes > 0 {
		pace.BlocksPerMinute = float64(len(blocks)) / minutes
	}
	return pace
}
