package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fluxmq/profiles"
	"fluxmq/reports"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
	"fluxmq/scenarios"
	"fluxmq/tools/bench"
	"fluxmq/tools/runner"
)

// raceFlags are those of tune --race.
type raceFlags struct {
	scenario, client, out string
	blocks                int
	seed                  uint64
}

// raceBlocks of each knob; the interval of a signed rank needs six.
const raceBlocks = 8

// raced is one knob with its verdict.
type raced struct {
	knob  bench.Knob
	trial *trial.Trial
	rows  []verdict.Row
	err   error
}

// runRace measures each knob against the same commit without it, one after the
// other, and writes a table. A knob that cannot be measured here is in the table with the reason.
func (a *app) runRace(ctx context.Context, f raceFlags, names []string) error {
	base, err := profiles.Load("default")
	if err != nil {
		return err
	}
	var knobs []bench.Knob
	for _, name := range names {
		k, err := bench.ParseKnob(name, base)
		if err != nil {
			return asUsage(err)
		}
		knobs = append(knobs, k)
	}
	scenario, err := scenarios.Load(f.scenario)
	if err != nil {
		return asUsage(err)
	}
	if f.blocks < 2 {
		return &usageError{fmt.Errorf("--blocks must be at least 2, got %d", f.blocks)}
	}
	checkout, err := runner.FindCheckout(ctx, ".")
	if err != nil {
		return err
	}
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano())
	}
	if f.out == "" {
		f.out = filepath.Join(checkout.Root, "reports", "trials", time.Now().UTC().Format("20060102T150405Z")+"-race")
	}
	var results []raced
	for i, k := range knobs {
		r := a.raceOne(ctx, f, checkout, scenario, base, k, f.seed+uint64(i))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if r.err != nil {
			fmt.Fprintf(a.stderr, "race: %s: %v\n", k.Text, r.err)
		}
		results = append(results, r)
		// Written after every knob: what was measured survives an interrupt.
		if err := writeFile(filepath.Join(f.out, "race.md"), false, func(w io.Writer) error { return a.writeRace(w, f, results, true) }); err != nil {
			return err
		}
	}
	if err := a.writeRace(a.stdout, f, results, false); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "\nrace: %s\n", shortPath(filepath.Join(f.out, "race.md")))
	return err
}

func (a *app) raceOne(ctx context.Context, f raceFlags, checkout runner.Checkout, scenario *scenarios.Scenario, base *profiles.Profile, k bench.Knob, seed uint64) raced {
	rules := bench.DefaultRules()
	rules.Looks = []int{f.blocks}
	o := bench.Options{Kind: trial.KindRace, Checkout: checkout, Rules: rules, Seed: seed, OwnPGO: true, SkipSample: true, Progress: runner.NewProgress(a.stderr, isTerminal(a.stderr)),
		Command: append([]string{"fluxbench"}, a.args[1:]...), Base: bench.SideOptions{Label: "default", Profile: base}, Head: k.Side,
		Workloads: []bench.WorkloadOptions{{Scenario: scenario, Client: f.client}}}
	fmt.Fprintf(a.stderr, "race: %s\n", k.Text)
	b, err := bench.Prepare(ctx, o)
	defer b.Close()
	r := raced{knob: k, trial: b.Trial, err: err}
	if err != nil {
		return r
	}
	v, err := b.Measure(ctx)
	if r.err = err; err != nil {
		return r
	}
	r.rows = v.Rows
	if len(b.Trial.Workloads[0].Kept()) < f.blocks {
		r.err = errors.New(v.Reason)
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		r.err = err
		return r
	}
	name := strings.Map(func(c rune) rune {
		if c == '/' || c == ' ' {
			return '_'
		}
		return c
	}, k.Text)
	if err := b.Trial.Write(filepath.Join(f.out, name+".json")); err != nil {
		r.err = err
	}
	return r
}

// raceColumns are the metrics of the table.
func raceColumns() []string {
	return []string{trial.BrokerCPU, trial.Delivered, trial.ProduceP99, trial.PeakRSS}
}

// writeRace prints one line a knob: each metric's ratio with its interval, and what it means.
func (a *app) writeRace(w io.Writer, f raceFlags, results []raced, markdown bool) error {
	if len(results) == 0 {
		return nil
	}
	t := results[0].trial
	client := cmp.Or(f.client, "its gate's client")
	if len(t.Workloads) > 0 { // else the first knob could not be prepared
		client = t.Workloads[0].Client
	}
	title := fmt.Sprintf("Knobs raced on %s/%s: %d blocks each, %d × %s, kernel %s, commit %s", f.scenario, client, f.blocks, t.Host.CPUs, t.Host.CPUModel, t.Host.Kernel, reports.ShortCommit(t.Base.Commit))
	if t.Base.Dirty {
		title += " (dirty)"
	}
	if markdown {
		title = "# " + title
	}
	fmt.Fprintf(w, "%s\n\n", title)
	header := []string{"knob"}
	for _, name := range raceColumns() {
		for _, m := range trial.Metrics() {
			if m.Name == name {
				header = append(header, m.Label)
			}
		}
	}
	header = append(header, "effect")
	var rows []reports.Row
	for _, r := range results {
		row := reports.Row{Label: r.knob.Text}
		for _, name := range raceColumns() {
			row.Cells = append(row.Cells, ratioOf(r.rows, name))
		}
		row.Cells = append(row.Cells, effect(r))
		rows = append(rows, row)
	}
	if err := reports.RenderTable(w, header, rows, markdown); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nRatios are with the knob over without it (95 %% interval over blocks). \"No effect\" says what the intervals exclude, per metric and not adjusted for their number.\n\n    %s\n", strings.Join(t.Command, " "))
	return err
}

func ratioOf(rows []verdict.Row, name string) string {
	for _, r := range rows {
		if r.Metric.Name == name {
			return fmt.Sprintf("%.3f [%.3f, %.3f]", r.Ratio, r.Low, r.High)
		}
	}
	return "–"
}

// effect words a knob: what got better and worse beyond its interval, or that nothing did.
func effect(r raced) string {
	if r.rows == nil {
		return "not measured: " + firstLine(r.err.Error())
	}
	var better, worse []string
	for _, name := range raceColumns() {
		for _, row := range r.rows {
			if row.Metric.Name != name {
				continue
			}
			up, down := row.Low > 1, row.High < 1
			text := fmt.Sprintf("%s %+.1f %%", row.Metric.Label, 100*(row.Ratio-1))
			switch {
			case up && row.Metric.HigherWins, down && !row.Metric.HigherWins:
				better = append(better, text)
			case up, down:
				worse = append(worse, text)
			}
		}
	}
	var parts []string
	if len(better) > 0 {
		parts = append(parts, "better: "+strings.Join(better, ", "))
	}
	if len(worse) > 0 {
		parts = append(parts, "worse: "+strings.Join(worse, ", "))
	}
	if len(parts) == 0 {
		parts = []string{"no effect on this host"}
	}
	if r.err != nil {
		parts = append(parts, "few blocks: "+firstLine(r.err.Error()))
	}
	return strings.Join(parts, "; ")
}
