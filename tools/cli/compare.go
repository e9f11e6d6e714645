package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fluxmq/profiles"
	"fluxmq/reports"
	"fluxmq/reports/datasheet"
	"fluxmq/reports/formats"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
	"fluxmq/scenarios"
	"fluxmq/tools/bench"
	"fluxmq/tools/runner"
)

// trialFlags are the flags of compare and gate.
type trialFlags struct {
	base, head string
	scenarios  []string
	client     string
	profile    string
	rate       string
	blocks     int
	quick      bool
	ownPGO     bool
	seed       uint64
	out        string
	junit      string
	json       bool
	quiet      bool
	overrides  []string
	workDir    string
	profiles   int
}

func (f *trialFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.base, "base", "", "revision that is compared against")
	flags.StringVar(&f.head, "head", "", "revision that is judged (default: the working tree as it is, marked when dirty)")
	flags.StringSliceVar(&f.scenarios, "scenario", []string{"standard", "megabatch"}, "scenarios")
	flags.StringVar(&f.client, "client", "", "load client (default: the scenario's gate client)")
	flags.StringVar(&f.profile, "profile", "default", "how both sides are built and bound")
	flags.StringVar(&f.rate, "rate", "", "offered rate of part cost, N/s (default: the scenario's, else half of the saturation measured first)")
	flags.BoolVar(&f.ownPGO, "own-pgo", false, "build each side with its own CPU profile instead of the base's")
	flags.Uint64Var(&f.seed, "seed", 0, "of the order of the blocks (default: from the clock; printed)")
	flags.StringVar(&f.out, "out", "", "folder of the trial (default: reports/trials/TIME-KIND)")
	flags.StringVar(&f.junit, "junit", "", "write the verdict as JUnit XML to this file too")
	flags.BoolVar(&f.json, "json", false, "print the verdict as JSON instead of the table")
	flags.BoolVar(&f.quiet, "quiet", false, "no progress: the verdict only")
	flags.StringArrayVar(&f.overrides, "override", nil, "broker setting KEY=VALUE on both sides (repeatable)")
	flags.StringVar(&f.workDir, "work-dir", "", "where data directories lie during runs (default: .cache/run)")
}

// compareBlocks is how many blocks a compare runs of each workload.
const compareBlocks = 24

func (a *app) compare() *cobra.Command {
	var f trialFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "compare {--base REV [--head REV] | A.json B.json}",
		Short: "Compare two commits side by side, or two stored results",
		Long: "With --base: builds both commits in worktrees and runs them in blocks of four (ABBA or BAAB, drawn), a fresh broker, data directory and client each\n" +
			"time. Every metric gets its ratio head/base with an interval. Exit 0 also when something is worse: gate decides, compare shows.\n" +
			"With two result.json: compares what is stored; refuses unlike hosts, settings or clients with exit 5 unless --force.",
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				if len(args) != 2 || f.base != "" {
					return &usageError{errors.New("compare takes --base REV, or two stored results")}
				}
				return a.compareStored(args[0], args[1], force)
			}
			if f.base == "" {
				return &usageError{errors.New("compare needs --base REV, or two stored results")}
			}
			rules := bench.DefaultRules()
			rules.Looks = []int{f.blocks}
			v, err := a.measure(cmd.Context(), f, trial.KindCompare, rules)
			if err == nil && (v.Exit == runner.ExitPreflight || v.Exit == runner.ExitCorrectness || v.Exit == runner.ExitRun) {
				err = &runner.ExitError{Code: v.Exit, Err: errors.New(v.Reason)}
			}
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&f.blocks, "blocks", compareBlocks, "blocks of each scenario")
	cmd.Flags().BoolVar(&force, "force", false, "compare stored results that are unlike, naming how")
	cmd.Flags().IntVar(&f.profiles, "profile-blocks", 0, "more blocks with CPU profiles of the broker, for the difference by function")
	return cmd
}

func (a *app) gate() *cobra.Command {
	var f trialFlags
	cmd := &cobra.Command{
		Use:   "gate --base REV [--head REV]",
		Short: "Judge a commit against another: pass, regression, inconclusive",
		Long: "Runs both commits like compare, looks twice (after 16 and 24 blocks) with O'Brien–Fleming thresholds, and decides by the scenario's margins, with\n" +
			"Holm over all gated metrics and scenarios.\n" +
			"Exit codes: 0 pass or improvement, 1 run error, 2 usage, 3 invalid environment, 4 regression, 5 inconclusive or no baseline, 6 records lost or duplicated.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.base == "" {
				return noBaseline(errors.New("no baseline: --base REV is missing, and without one nothing is green"))
			}
			rules, err := gateRules(f)
			if err != nil {
				return err
			}
			v, err := a.measure(cmd.Context(), f, trial.KindGate, rules)
			if err == nil && v.Exit != runner.ExitOK {
				err = &runner.ExitError{Code: v.Exit, Err: errors.New(v.Outcome + ": " + v.Reason)}
			}
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&f.blocks, "blocks", 0, "blocks at the last look, the first is at two thirds (default 24)")
	cmd.Flags().BoolVar(&f.quick, "quick", false, "one look at 8 blocks with α 0.05: a few minutes, for large effects only")
	cmd.Flags().IntVar(&f.profiles, "profile-blocks", 4, "on a regression: more blocks with CPU profiles of the broker, for the difference by function; 0: none")
	return cmd
}

// quickBlocks and quickAlpha: 2^-8 is 0.004, so that one metric of eight can be called after Holm.
const (
	quickBlocks = 8
	quickAlpha  = 0.05
)

func gateRules(f trialFlags) (trial.Rules, error) {
	rules := bench.DefaultRules()
	switch {
	case f.quick && f.blocks != 0:
		return rules, &usageError{errors.New("--quick and --blocks exclude each other")}
	case f.quick:
		rules.Looks, rules.Alpha = []int{quickBlocks}, quickAlpha
	case f.blocks != 0 && f.blocks < 2:
		return rules, &usageError{fmt.Errorf("--blocks must be at least 2, got %d", f.blocks)}
	case f.blocks != 0:
		rules.Looks = []int{max(1, 2*f.blocks/3), f.blocks}
	}
	return rules, nil
}

func noBaseline(err error) error {
	return &runner.ExitError{Code: runner.ExitInconclusive, Err: err}
}

// measure runs a trial, stores it with its views, and shows the verdict.
func (a *app) measure(ctx context.Context, f trialFlags, kind string, rules trial.Rules) (*verdict.Verdict, error) {
	for _, look := range rules.Looks {
		if look < 1 {
			return nil, &usageError{errors.New("--blocks must be at least 1")}
		}
	}
	o, err := a.trialOptions(ctx, f, kind, rules)
	if err != nil {
		return nil, err
	}
	b, err := bench.Prepare(ctx, o)
	defer b.Close()
	if err != nil {
		var missing *bench.NoBaselineError
		if errors.As(err, &missing) {
			return nil, noBaseline(err)
		}
		return nil, err
	}
	v, err := b.Measure(ctx)
	if v == nil { // interrupted: what was measured is kept, without a verdict
		if storeErr := b.Trial.Write(filepath.Join(o.Dir, "trial.json")); err == nil {
			err = storeErr
		}
		return nil, err
	}
	difference, profileErr := a.profileBlocks(ctx, f, b, kind, v)
	if storeErr := a.storeTrial(o, f, b.Trial, v, difference); err == nil {
		err = storeErr
	}
	if showErr := a.showVerdict(f, o, b.Trial, v, difference); err == nil {
		err = showErr
	}
	if err == nil {
		err = profileErr
	}
	return v, err
}

func (a *app) trialOptions(ctx context.Context, f trialFlags, kind string, rules trial.Rules) (bench.Options, error) {
	var o bench.Options
	checkout, err := runner.FindCheckout(ctx, ".")
	if err != nil {
		return o, err
	}
	profile, err := profiles.Load(f.profile)
	if err != nil {
		return o, asUsage(err)
	}
	overrides, err := runner.ParseSettings(f.overrides)
	if err != nil {
		return o, err
	}
	var rate scenarios.Rate
	if f.rate != "" {
		if rate, err = scenarios.ParseRate(f.rate); err != nil || rate == 0 {
			return o, &usageError{fmt.Errorf("--rate is N/s, got %q", f.rate)}
		}
	}
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano())
	}
	o = bench.Options{Kind: kind, Checkout: checkout, Rules: rules, Seed: f.seed, OwnPGO: f.ownPGO, WorkDir: f.workDir, Command: append([]string{"fluxbench"}, a.args[1:]...), Dir: f.out,
		Base: bench.SideOptions{Revision: f.base, Profile: profile, Overrides: overrides}, Head: bench.SideOptions{Revision: f.head, Profile: profile, Overrides: overrides}}
	for i, name := range f.scenarios {
		s, err := scenarios.Load(name)
		if err != nil {
			return o, asUsage(err)
		}
		for _, before := range f.scenarios[:i] {
			if before == name {
				return o, &usageError{fmt.Errorf("scenario %s is named twice", name)}
			}
		}
		o.Workloads = append(o.Workloads, bench.WorkloadOptions{Scenario: s, Client: f.client, Rate: float64(rate)})
	}
	if len(o.Workloads) == 0 {
		return o, &usageError{errors.New("--scenario names no scenario")}
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(checkout.Root, "reports", "trials", fmt.Sprintf("%s-%s-%08x", time.Now().UTC().Format("20060102T150405Z"), kind, uint32(f.seed)))
	}
	if !f.quiet {
		o.Progress = runner.NewProgress(a.stderr, isTerminal(a.stderr))
	}
	return o, nil
}

// proofRoot holds the pools of the gate's own proof, one a class of machine.
func proofRoot(c runner.Checkout) string { return filepath.Join(c.Root, "reports", "proof") }

// storeTrial writes trial.json, verdict.json and the views into the trial's folder, and where CI asks for them.
func (a *app) storeTrial(o bench.Options, f trialFlags, t *trial.Trial, v *verdict.Verdict, difference string) error {
	if err := t.Write(filepath.Join(o.Dir, "trial.json")); err != nil {
		return err
	}
	sheet, _ := datasheetOf(o.Checkout, t) // what is wrong with it is shown on the terminal
	files := map[string]func(io.Writer) error{
		"verdict.json": func(w io.Writer) error {
			encoder := json.NewEncoder(w)
			encoder.SetIndent("", " ")
			return encoder.Encode(v)
		},
		"report.md": func(w io.Writer) error {
			err := verdict.WriteMarkdown(w, t, v, sheet)
			return errors.Join(err, writeText(w, difference))
		},
		"report.html": func(w io.Writer) error { return verdict.WriteHTML(w, t, v, sheet, difference) },
		"junit.xml":   func(w io.Writer) error { return formats.WriteJUnit(w, t, v) },
	}
	var errs []error
	for name, write := range files {
		errs = append(errs, writeFile(filepath.Join(o.Dir, name), false, write))
	}
	if f.junit != "" {
		errs = append(errs, writeFile(f.junit, false, files["junit.xml"]))
	}
	if summary := os.Getenv("GITHUB_STEP_SUMMARY"); summary != "" {
		errs = append(errs, writeFile(summary, true, files["report.md"]))
	}
	return errors.Join(errs...)
}

// datasheetOf is what this class of machine's proof says, long and in a line;
// "" when there is none. A trial with other looks is told that it is another gate's.
func datasheetOf(c runner.Checkout, t *trial.Trial) (summary, line string) {
	sheet, err := datasheet.Find(proofRoot(c), t.Host)
	switch {
	case err != nil:
		return "", err.Error()
	case sheet == nil:
		return "", "none for this class of machine: how often this gate is wrong here is not known (make prove-gate)"
	case !slices.Equal(sheet.Rules.Looks, t.Rules.Looks) || sheet.Rules.Alpha != t.Rules.Alpha:
		other := fmt.Sprintf("(of the gate with looks at %v blocks and α %g; this trial has %v and %g) ", sheet.Rules.Looks, sheet.Rules.Alpha, t.Rules.Looks, t.Rules.Alpha)
		return other + "\n\n" + sheet.Summary(), other + sheet.Line()
	}
	return sheet.Summary(), sheet.Line()
}

func writeText(w io.Writer, text string) error {
	if text == "" {
		return nil
	}
	_, err := io.WriteString(w, "\n"+text)
	return err
}

// writeFile writes a file anew, or appends to it.
func writeFile(path string, appending bool, write func(io.Writer) error) (err error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if appending {
		flags = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	file, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}

func (a *app) showVerdict(f trialFlags, o bench.Options, t *trial.Trial, v *verdict.Verdict, difference string) error {
	if f.json {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", " ")
		return encoder.Encode(v)
	}
	if err := verdict.WriteTerminal(a.stdout, t, v); err != nil {
		return err
	}
	if err := writeText(a.stdout, difference); err != nil {
		return err
	}
	_, line := datasheetOf(o.Checkout, t)
	_, err := fmt.Fprintf(a.stdout, "\ndatasheet: %s\ntrial: %s\nreport: %s\n", line, shortPath(filepath.Join(o.Dir, "trial.json")), shortPath(filepath.Join(o.Dir, "report.html")))
	return err
}

// profileBlocks takes CPU profiles in blocks of their own, which are not
// judged, and words the difference by function. A gate does so on a
// regression, compare when asked.
func (a *app) profileBlocks(ctx context.Context, f trialFlags, b *bench.Bench, kind string, v *verdict.Verdict) (string, error) {
	if f.profiles <= 0 || ctx.Err() != nil || (kind == trial.KindGate && v.Outcome != verdict.Regression) {
		return "", nil
	}
	var text strings.Builder
	for i, w := range b.Trial.Workloads {
		if kind == trial.KindGate && !regressed(v, w.Name()) {
			continue
		}
		difference, err := b.ProfileBlocks(ctx, i, f.profiles)
		if err != nil {
			return text.String(), fmt.Errorf("profiles: %w", err)
		}
		if err := difference.WriteMarkdown(&text); err != nil {
			return text.String(), err
		}
	}
	return text.String(), nil
}

func regressed(v *verdict.Verdict, workload string) bool {
	for _, row := range v.Of(workload) {
		if row.Outcome == verdict.Regression {
			return true
		}
	}
	return false
}

// compareStored shows two stored results beside each other; unlike ones are refused.
func (a *app) compareStored(pathA, pathB string, force bool) error {
	x, dirA, err := loadSummary(pathA)
	if err != nil {
		return err
	}
	y, dirB, err := loadSummary(pathB)
	if err != nil {
		return err
	}
	if unlike := reports.Unlike(x.Result, y.Result); len(unlike) > 0 && !force {
		return &runner.ExitError{Code: runner.ExitInconclusive, Err: fmt.Errorf("these results do not compare:\n  %s\n(--force compares them all the same)", strings.Join(unlike, "\n  "))}
	}
	stored, err := reports.CompareStored(x, y, dirA, dirB)
	if err != nil {
		return err
	}
	return stored.WriteTerminal(a.stdout)
}
