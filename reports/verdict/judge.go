package verdict

import (
	"fmt"

	"fluxmq/reports/inference"
	"fluxmq/reports/trial"
)

// Exit codes, the same as those of tools/bench.
const (
	exitPass         = 0
	exitFailed       = 1
	exitInvalid      = 3
	exitRegression   = 4
	exitInconclusive = 5
	exitCorrectness  = 6
)

// rejectedUnsound is the reason in Verdict.Rejected of a block that no noise rule rejected but that lacks a sound run.
const rejectedUnsound = "run failed"

// Judge judges what the trial holds, at the look that it has reached.
//
// The look is the last of Rules.Looks that every workload has kept blocks for,
// and exactly that many are judged of each, the first ones: a trial between two
// looks is judged as it was at the look before, so that nobody peeks. The
// p-value to reach is O'Brien and Fleming's for that look, against p-values
// adjusted by Holm over the gated rows of all workloads, for worse and for
// better apart.
//
// A gated row is
//   - a regression when it crosses in the worse direction and its estimate is
//     at least the metric's MinimumEffect;
//   - an improvement when it does so in the better direction;
//   - else a pass when Upper is below the metric's Margin, whether it crossed or not;
//   - else inconclusive.
//
// A row that knows fewer blocks than are judged can be a regression but is
// inconclusive otherwise: what is missing may be what was bad.
//
// Two things follow from the numbers. Out of n blocks no sign flip has a
// p-value below 2^−n, and Holm multiplies the least of m gated rows by m: at
// alpha 0.01 a look at 12 of 24 blocks can find a regression with one gated row
// only (0.00024 of 0.00048), at 14 with up to 17 rows, at 16 with up to 129.
// And a trial may stop early for a pass, so a worsening below the margin is
// rarely found even where all blocks would show it.
//
// The trial's outcome is the first that holds of
//  1. correctness (exit 6): any run of any block, rejected ones included, lost,
//     duplicated, reordered or corrupted a record or ended with exit 6, or the trial did;
//  2. invalid environment (3): the trial ended so;
//  3. with fewer kept blocks than the first look in some workload: invalid
//     environment (3) when in that workload the noise rules rejected
//     MaxExtraShare of the planned blocks or more (planned is the last look);
//     else run failed (1) when a run of it is not sound or the trial ended
//     early; else inconclusive (5);
//  4. regression (4): some gated row is one;
//  5. inconclusive (5): some gated row is, or a gated metric is known on one
//     side only, or none is known at all. A trial that ended early with exit 1 has run failed (1) instead;
//  6. improvement (0): some gated row is one;
//  7. pass (0).
//
// Unfiltered is the same judgement with the noise rules switched off: over all
// sound blocks in the order in which they ran, at the look that these reach.
func Judge(t *trial.Trial) *Verdict {
	v := judge(t, func(b trial.Block) bool { return b.Rejected == "" })
	if v.Exit != exitCorrectness && rejectedSound(t) {
		v.Unfiltered = judge(t, func(trial.Block) bool { return true })
	}
	return v
}

// Decided tells whether a trial may stop at the look that v was judged at:
// there is a regression, every gated row passes, records were lost, or there is
// no further look. Only meaningful when v judges t as it is.
func Decided(v *Verdict, t *trial.Trial) bool {
	switch v.Outcome {
	case Regression, Pass, Improvement, Correctness:
		return true
	}
	return v.Look > 0 && v.Look == len(t.Rules.Looks)
}

// sample is what is judged of one workload.
type sample struct {
	workload trial.Workload
	blocks   []trial.Block
	rejected int // by the noise rules
	unsound  int
}

// judge judges the sound blocks that pass the filter.
func judge(t *trial.Trial, filter func(trial.Block) bool) *Verdict {
	v := &Verdict{Rejected: map[string]int{}}
	samples := make([]sample, len(t.Workloads))
	for i, w := range t.Workloads {
		s := sample{workload: w}
		for _, b := range w.Blocks {
			switch {
			case !filter(b):
				s.rejected++
				v.Rejected[b.Rejected]++
			case !complete(b):
				s.unsound++
				v.Rejected[rejectedUnsound]++
			default:
				s.blocks = append(s.blocks, b)
				v.Kept++
			}
		}
		samples[i] = s
	}
	thresholds, rulesErr := thresholds(t.Rules)
	if rulesErr == nil {
		v.takeLook(t.Rules, thresholds, samples)
		for _, s := range samples {
			v.Rows = append(v.Rows, AnalyseBlocks(s.workload.Name(), s.workload.Metrics, s.blocks, t.Rules.Confidence, t.Seed)...)
		}
		v.judgeRows(t.Rules)
	}
	switch broken := correctness(t); {
	case broken != "":
		v.end(Correctness, exitCorrectness, broken)
	case t.Exit == exitInvalid && t.Failure != "":
		v.end(Invalid, exitInvalid, t.Failure)
	case rulesErr != nil:
		v.end(Failed, exitFailed, rulesErr.Error())
	case v.Look == 0:
		v.endBeforeFirstLook(t, samples)
	default:
		v.endAtLook(t, samples)
	}
	return v
}

// complete tells whether a block can be analysed: two sound runs an arm.
func complete(b trial.Block) bool {
	base := 0
	for _, r := range b.Runs {
		if r.Arm == trial.Base {
			base++
		}
	}
	return b.Sound() && base == 2
}

func rejectedSound(t *trial.Trial) bool {
	for _, w := range t.Workloads {
		for _, b := range w.Blocks {
			if b.Rejected != "" && complete(b) {
				return true
			}
		}
	}
	return false
}

// thresholds returns the p-value to reach at each look. Rules come from files, so they are checked here.
func thresholds(r trial.Rules) ([]float64, error) {
	if !(r.Alpha > 0 && r.Alpha < 0.5) || !(r.Confidence > 0 && r.Confidence < 1) || len(r.Looks) == 0 {
		return nil, fmt.Errorf("the rules cannot be applied: alpha %v, confidence %v, %d looks", r.Alpha, r.Confidence, len(r.Looks))
	}
	information, before := make([]float64, len(r.Looks)), 0
	for i, blocks := range r.Looks {
		if blocks <= before {
			return nil, fmt.Errorf("the rules cannot be applied: looks at %v blocks do not ascend", r.Looks)
		}
		information[i] = float64(blocks) / float64(r.Looks[len(r.Looks)-1])
		before = blocks
	}
	return inference.OBrienFleming(r.Alpha, information), nil
}

// takeLook sets the look that all samples reach and cuts them to it. Before
// the first look they stay whole: there is nothing to peek for.
func (v *Verdict) takeLook(r trial.Rules, thresholds []float64, samples []sample) {
	if len(samples) == 0 {
		return
	}
	fewest := len(samples[0].blocks)
	for _, s := range samples {
		fewest = min(fewest, len(s.blocks))
	}
	for i, blocks := range r.Looks {
		if blocks <= fewest {
			v.Look, v.Threshold = i+1, thresholds[i]
		}
	}
	for i := range samples {
		if v.Look > 0 {
			samples[i].blocks = samples[i].blocks[:r.Looks[v.Look-1]]
		}
	}
}

// judgeRows adjusts the p-values of the gated rows and gives each its outcome.
func (v *Verdict) judgeRows(r trial.Rules) {
	var gated []*Row
	var worse, better []float64
	for i := range v.Rows {
		if row := &v.Rows[i]; row.Metric.Gated {
			gated, worse, better = append(gated, row), append(worse, row.PWorse), append(better, row.PBetter)
		}
	}
	worse, better = inference.Holm(worse), inference.Holm(better)
	for i, row := range gated {
		row.HolmWorse, row.HolmBetter = worse[i], better[i]
		if row.Outcome = Inconclusive; v.Look > 0 {
			row.Outcome = row.judge(v.Threshold, r.Looks[v.Look-1])
		}
	}
}

// judge returns the outcome of a gated row, see Judge; blocks is how many were judged.
func (r Row) judge(threshold float64, blocks int) string {
	switch m := r.Metric; {
	case r.HolmWorse <= threshold && r.Worsening >= m.MinimumEffect:
		return Regression
	case r.Blocks < blocks:
		return Inconclusive
	case r.HolmBetter <= threshold && -r.Worsening >= m.MinimumEffect:
		return Improvement
	case r.Upper < m.Margin:
		return Pass
	}
	return Inconclusive
}

func (v *Verdict) end(outcome string, exit int, reason string) {
	v.Outcome, v.Exit, v.Reason = outcome, exit, reason
}

func (v *Verdict) endBeforeFirstLook(t *trial.Trial, samples []sample) {
	first, planned := t.Rules.Looks[0], t.Rules.Looks[len(t.Rules.Looks)-1]
	var short *sample
	for i, s := range samples {
		if len(s.blocks) >= first {
			continue
		}
		if s.rejected > 0 && float64(s.rejected) >= t.Rules.MaxExtraShare*float64(planned) {
			v.end(Invalid, exitInvalid, fmt.Sprintf("the machine is too noisy: %d blocks of %s were rejected and only %d of the %d for the first look kept", s.rejected, s.workload.Name(), len(s.blocks), first))
			return
		}
		if short == nil || s.unsound > short.unsound {
			short = &samples[i]
		}
	}
	switch {
	case t.Failure != "":
		v.end(Failed, exitFailed, t.Failure)
	case short == nil:
		v.end(Failed, exitFailed, "the trial holds no workload")
	case short.unsound > 0:
		why := unsoundRuns(t)
		if why == "" {
			why = "blocks lack runs"
		}
		v.end(Failed, exitFailed, fmt.Sprintf("only %d of the %d blocks of %s for the first look are sound: %s", len(short.blocks), first, short.workload.Name(), why))
	default:
		v.end(Inconclusive, exitInconclusive, fmt.Sprintf("only %d of the %d blocks of %s for the first look were measured", len(short.blocks), first, short.workload.Name()))
	}
}

func (v *Verdict) endAtLook(t *trial.Trial, samples []sample) {
	by := map[string][]Row{}
	var gated []Row
	for _, row := range v.Rows {
		if row.Metric.Gated {
			gated, by[row.Outcome] = append(gated, row), append(by[row.Outcome], row)
		}
	}
	oneSided := knownOnOneSide(samples)
	switch {
	case len(by[Regression]) > 0:
		v.end(Regression, exitRegression, changes(by[Regression], t.Rules.Confidence))
	case len(gated) == 0 && oneSided == "":
		v.end(Inconclusive, exitInconclusive, "no gated metric is known")
	case oneSided != "":
		v.end(Inconclusive, exitInconclusive, oneSided)
	case len(by[Inconclusive]) > 0:
		v.end(Inconclusive, exitInconclusive, doubt(worst(by[Inconclusive]), t.Rules.Looks[v.Look-1]))
	case len(by[Improvement]) > 0:
		v.end(Improvement, exitPass, changes(by[Improvement], t.Rules.Confidence))
	default:
		v.end(Pass, exitPass, assurance(worst(gated)))
	}
	if v.Outcome == Inconclusive && t.Exit == exitFailed && t.Failure != "" {
		v.end(Failed, exitFailed, t.Failure+"; until then "+v.Reason)
	}
	if unsound := unsoundRuns(t); unsound != "" {
		v.Reason += "; left out: " + unsound
	}
}

// knownOnOneSide says which gated metric only one arm knows, in any workload;
// empty when none. Such a metric has no row, and a side that stopped reporting must not pass for it.
func knownOnOneSide(samples []sample) string {
	for _, s := range samples {
		for _, m := range s.workload.Metrics {
			if !m.Gated {
				continue
			}
			both, known := false, map[string]bool{}
			for _, b := range s.blocks {
				if _, ok := m.Difference(b); ok {
					both = true
					break
				}
				for _, r := range b.Runs {
					if _, ok := m.Difference(trial.Block{Runs: []trial.Run{r}}); ok {
						known[r.Arm] = true
					}
				}
			}
			if !both && len(known) > 0 {
				return fmt.Sprintf("%s of %s is not known on both sides of any block", m.Label, s.workload.Name())
			}
		}
	}
	return ""
}
