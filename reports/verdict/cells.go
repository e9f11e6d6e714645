package verdict

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// Of returns the rows of one workload, in their order.
func (v *Verdict) Of(workload string) []Row {
	var rows []Row
	for _, r := range v.Rows {
		if r.Workload == workload {
			rows = append(rows, r)
		}
	}
	return rows
}

// tableHeader names the columns of tableRow.
func tableHeader(t *trial.Trial) []string {
	return []string{"metric", "base", "head", fmt.Sprintf("head/base [%s]", sharePercent(t.Rules.Confidence)), "worse by at most", "p worse", "Holm", "margin", "verdict"}
}

// tableRow is one metric as every table shows it.
func tableRow(r Row) reports.Row {
	row := reports.Row{Label: r.Metric.Label}
	if r.Blocks == 0 {
		row.Cells = []string{"–", "–", "–", "–", "–", "–", sharePercent(r.Metric.Margin), word(r)}
		return row
	}
	holm := "–"
	if r.Metric.Gated {
		holm = formatP(r.HolmWorse)
	}
	row.Cells = []string{FormatValue(r.Metric, r.Base.Median), FormatValue(r.Metric, r.Head.Median), formatRatio(r), signedPercent(r.Upper),
		formatP(r.PWorse), holm, sharePercent(r.Metric.Margin), word(r)}
	return row
}

func tableRows(rows []Row) []reports.Row {
	var out []reports.Row
	for _, r := range rows {
		out = append(out, tableRow(r))
	}
	return out
}

// word is the row's verdict; what went wrong is in capitals.
func word(r Row) string {
	switch {
	case !r.Metric.Gated:
		return "not gated"
	case r.Outcome == "":
		return "not judged"
	case r.Outcome == Regression:
		return strings.ToUpper(r.Outcome)
	}
	return r.Outcome
}

// FormatValue writes a value of a metric in the unit that a person reads.
func FormatValue(m trial.Metric, v float64) string {
	switch {
	case strings.HasSuffix(m.Unit, "-ns"):
		return reports.FormatNs(v)
	case strings.HasSuffix(m.Unit, "-bytes"):
		return reports.FormatMiB(int64(v))
	case v != 0 && math.Abs(v) < 1:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return reports.FormatCount(v)
}

// formatRatio: "1.012 [1.004, 1.021]".
func formatRatio(r Row) string {
	high := fmt.Sprintf("%.3f", r.High)
	if math.IsInf(r.High, 1) {
		high = "∞"
	}
	return fmt.Sprintf("%.3f [%.3f, %s]", r.Ratio, r.Low, high)
}

// sharePercent writes a share: "3 %", "0.5 %".
func sharePercent(share float64) string {
	return strconv.FormatFloat(math.Round(share*1e4)/1e2, 'f', -1, 64) + " %"
}

// signedPercent writes a relative difference: "+1.2 %".
func signedPercent(share float64) string {
	if math.IsInf(share, 0) {
		return "any"
	}
	text := fmt.Sprintf("%+.1f %%", share*100)
	return strings.Replace(text, "-0.0", "+0.0", 1)
}

func formatP(p float64) string {
	switch {
	case math.IsNaN(p):
		return "–"
	case p < 0.0001:
		return "<0.0001"
	}
	return fmt.Sprintf("%.4f", p)
}

// sideName is "main 1a2b3c4d5e1a (dirty)".
func sideName(s trial.Side) string {
	name := strings.TrimSpace(s.Label + " " + reports.ShortCommit(s.Commit))
	if s.Dirty {
		name += " (dirty)"
	}
	return name
}

// sideSettings are what only this side got; empty when nothing.
func sideSettings(s trial.Side) string {
	parts := slices.Clone(s.Env)
	for _, settings := range []map[string]string{s.Overrides, s.Client} {
		if text := reports.JoinMap(settings); text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, " ")
}

// headings say what was compared, one line each.
func headings(t *trial.Trial) []string {
	lines := []string{fmt.Sprintf("%s: head %s against base %s", t.Kind, sideName(t.Head), sideName(t.Base))}
	for _, side := range []struct {
		name string
		side trial.Side
	}{{"base", t.Base}, {"head", t.Head}} {
		if text := sideSettings(side.side); text != "" {
			lines = append(lines, "only the "+side.name+": "+text)
		}
	}
	return lines
}

// workloadLine says how one workload was measured and how many blocks hold.
func workloadLine(w trial.Workload) string {
	rate := "no fixed rate"
	if w.RatePerSecond > 0 {
		rate = reports.FormatCount(w.RatePerSecond) + " msg/s offered"
		if w.PilotPerSecond > 0 {
			rate += fmt.Sprintf(" (%.0f %% of saturation)", 100*w.RatePerSecond/w.PilotPerSecond)
		}
	}
	margins := "the scenario's margins"
	if w.MarginsDefault {
		margins = "default margins"
	}
	kept, rejected := len(w.Kept()), 0
	for _, b := range w.Blocks {
		if b.Rejected != "" {
			rejected++
		}
	}
	text := fmt.Sprintf("%s: %s, durability %s, validation %s, %s; %d blocks kept, %d rejected",
		w.Name(), rate, reports.OrDash(w.Durability), reports.OrDash(w.Validation), margins, kept, rejected)
	if unsound := len(w.Blocks) - kept - rejected; unsound > 0 {
		text += fmt.Sprintf(", %d not sound", unsound)
	}
	return text
}

// headline is the outcome and the reason in one line.
func headline(v *Verdict) string {
	return strings.ToUpper(v.Outcome) + ": " + oneLine(v.Reason)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// unfilteredLine is set when the verdict would be another without the rejection of blocks.
func unfilteredLine(v *Verdict) string {
	if v.Unfiltered == nil || v.Unfiltered.Outcome == v.Outcome {
		return ""
	}
	return "Over all sound blocks, rejected ones included, it would be " + headline(v.Unfiltered)
}

// rejectedReasons lists the rejected blocks by reason, in the order of the names.
func rejectedReasons(v *Verdict) []reports.Row {
	var rows []reports.Row
	for _, reason := range reports.SortedKeys(v.Rejected) {
		rows = append(rows, reports.Row{Label: reason, Cells: []string{strconv.Itoa(v.Rejected[reason])}})
	}
	return rows
}

// ruleFacts are the rules that were set before the first block.
func ruleFacts(t *trial.Trial, v *Verdict) []reports.Row {
	fact := func(label, value string) reports.Row { return reports.Row{Label: label, Cells: []string{value}} }
	var looks []string
	for _, n := range t.Rules.Looks {
		looks = append(looks, strconv.Itoa(n))
	}
	facts := []reports.Row{
		fact("looks after kept blocks", reports.OrDash(strings.Join(looks, ", "))),
		fact("one-sided alpha over all looks, before Holm", strconv.FormatFloat(t.Rules.Alpha, 'g', -1, 64)),
		fact("two-sided intervals", sharePercent(t.Rules.Confidence)),
		fact("a block is redrawn above steal", sharePercent(t.Rules.MaxStealShare)),
		fact("… foreign CPU", sharePercent(t.Rules.MaxForeignShare)),
		fact("… deviation of the canary", sharePercent(t.Rules.MaxCanaryDeviate)),
	}
	facts = append(facts, covariateFacts(t)...)
	facts = append(facts,
		fact("redrawing ends at rejected/planned blocks", sharePercent(t.Rules.MaxExtraShare)))
	if v.Look > 0 {
		facts = append(facts, fact("decided at look", fmt.Sprintf("%d, threshold p ≤ %.4g", v.Look, v.Threshold)))
	}
	return facts
}

// covariateFacts say what is adjusted for what, as the trial was made: an older one knows fewer covariates.
func covariateFacts(t *trial.Trial) []reports.Row {
	var facts []reports.Row
	for _, of := range []struct{ covariate, label string }{
		{trial.CovariateReference, "adjusted for the difference in reference work"},
		{trial.CovariateSteal, "adjusted for the difference in steal"},
	} {
		var labels []string
		for _, w := range t.Workloads {
			for _, m := range w.Metrics {
				if m.Covariate == of.covariate && !slices.Contains(labels, m.Label) {
					labels = append(labels, m.Label)
				}
			}
		}
		if len(labels) > 0 {
			facts = append(facts, reports.Row{Label: of.label, Cells: []string{strings.Join(labels, ", ")}})
		}
	}
	return facts
}

// stealDistribution describes the steal of all runs; empty when it is not known.
func stealDistribution(t *trial.Trial) string {
	var shares []float64
	for _, w := range t.Workloads {
		for _, b := range w.Blocks {
			for _, r := range b.Runs {
				if r.Noise.StealShare >= 0 {
					shares = append(shares, r.Noise.StealShare)
				}
			}
		}
	}
	if len(shares) == 0 {
		return ""
	}
	slices.Sort(shares)
	at := func(q float64) string { return sharePercent(shares[int(q*float64(len(shares)-1))]) }
	return fmt.Sprintf("minimum %s, median %s, p90 %s, maximum %s over %d runs", at(0), at(0.5), at(0.9), at(1), len(shares))
}

// commandLine quotes the command for a POSIX shell.
func commandLine(t *trial.Trial) string {
	var words []string
	for _, word := range t.Command {
		words = append(words, shellWord(word))
	}
	return strings.Join(words, " ")
}

func shellWord(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,@%+", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// originLine pins what the command's words meant when it ran.
func originLine(t *trial.Trial) string {
	return fmt.Sprintf("trial %s, %s, seed %d, base %s, head %s", t.ID, time.Unix(0, t.StartedUnixNs).UTC().Format(time.RFC3339), t.Seed,
		reports.OrDash(t.Base.Commit), reports.OrDash(t.Head.Commit))
}
