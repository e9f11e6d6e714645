package verdict

import (
	"fmt"
	"math"
	"strings"

	"fluxmq/reports/trial"
)

// mostNamed bounds the things that one sentence lists.
const mostNamed = 3

// changes says of each row how much it changed: "broker CPU-ns/msg of
// megabatch/wire is 5.1 % worse (95 % interval 4.2 % to 6.0 %)".
func changes(rows []Row, confidence float64) string {
	var parts []string
	for _, r := range rows {
		change, word := r.Worsening, "worse"
		low, high := r.worsenings()
		if change < 0 {
			change, word = -change, "better"
			low, high = -high, -low
		}
		parts = append(parts, fmt.Sprintf("%s of %s is %s %s (%s interval %s to %s)", r.Metric.Label, r.Workload, shareText(change), word, chosenText(confidence), shareText(low), shareText(high)))
	}
	return list(parts)
}

// doubt says what an inconclusive row leaves possible; blocks is how many were judged.
func doubt(r Row, blocks int) string {
	if r.Blocks < blocks {
		return fmt.Sprintf("%s of %s is known in %d of %d blocks only", r.Metric.Label, r.Workload, r.Blocks, blocks)
	}
	if math.IsInf(r.Upper, 1) {
		return fmt.Sprintf("cannot exclude any worsening of %s of %s: %d blocks are too few", r.Metric.Label, r.Workload, r.Blocks)
	}
	return fmt.Sprintf("cannot exclude that %s of %s is up to %s worse (margin %s)", r.Metric.Label, r.Workload, shareText(r.Upper), chosenText(r.Metric.Margin))
}

// assurance says what a pass excludes.
func assurance(r Row) string {
	return fmt.Sprintf("no gated metric is worse by its margin; the nearest, %s of %s, is at most %s worse (margin %s)", r.Metric.Label, r.Workload, shareText(max(0, r.Upper)), chosenText(r.Metric.Margin))
}

// worst returns the row whose upper bound is the most of its margin. A row with missing blocks comes before all others.
func worst(rows []Row) Row {
	share := func(r Row) float64 { return r.Upper / max(r.Metric.Margin, 1e-9) }
	found := rows[0]
	for _, r := range rows[1:] {
		if r.Blocks < found.Blocks || r.Blocks == found.Blocks && share(r) > share(found) {
			found = r
		}
	}
	return found
}

// correctness says which runs broke a promise to their clients; empty when none did.
func correctness(t *trial.Trial) string {
	parts := runs(t, func(r trial.Run) string {
		var counts []string
		for _, c := range []struct {
			verb  string
			count int64
		}{{"lost", r.Lost}, {"duplicated", r.Duplicated}, {"reordered", r.Reordered}, {"corrupted", r.Corrupt}} {
			if c.count > 0 {
				counts = append(counts, fmt.Sprintf("%s %d", c.verb, c.count))
			}
		}
		switch {
		case len(counts) > 0:
			return "records: " + strings.Join(counts, ", ")
		case r.Exit == exitCorrectness:
			return "failed its check: " + r.Failure
		}
		return ""
	})
	if len(parts) == 0 && t.Exit == exitCorrectness && t.Failure != "" {
		return t.Failure
	}
	return list(parts)
}

// unsoundRuns says which runs do not count, and why; empty when all do.
func unsoundRuns(t *trial.Trial) string {
	return list(runs(t, func(r trial.Run) string {
		if r.Sound() {
			return ""
		}
		return "ended with exit " + fmt.Sprint(r.Exit) + ": " + r.Failure
	}))
}

// runs returns "head of megabatch/wire, block 4 run 2, <what>" for each run of which what says anything.
func runs(t *trial.Trial, what func(trial.Run) string) []string {
	var found []string
	for _, w := range t.Workloads {
		for _, b := range w.Blocks {
			for _, r := range b.Runs {
				said := what(r)
				if said == "" {
					continue
				}
				side := "head"
				if r.Arm == trial.Base {
					side = "base"
				}
				found = append(found, fmt.Sprintf("the %s of %s, block %d run %d, %s", side, w.Name(), b.Number, r.Position, said))
			}
		}
	}
	return found
}

// list joins the first few parts and counts the others.
func list(parts []string) string {
	if more := len(parts) - mostNamed; more > 0 {
		return strings.Join(parts[:mostNamed], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(parts, "; ")
}

// shareText prints a share with one decimal, two below 1 %.
func shareText(share float64) string {
	switch {
	case math.IsInf(share, 0):
		return "any"
	case math.Abs(share) < 0.00995:
		return fmt.Sprintf("%.2f %%", 100*share)
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

// chosenText prints a share that somebody chose: 3 %, 0.5 %.
func chosenText(share float64) string { return fmt.Sprintf("%.4g %%", 100*share) }
