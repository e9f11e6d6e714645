package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fluxmq/reports"
	"fluxmq/scenarios"
	"fluxmq/tools/limits"
	"fluxmq/tools/runner"
	"fluxmq/tools/targets"
)

func (a *app) targets() *cobra.Command {
	var (
		only    []string
		rounds  int
		dir     string
		missing bool
	)
	cmd := &cobra.Command{
		Use: "targets", Short: "Measure the project's targets beside Apache Kafka and write reports/targets.md", Args: cobra.NoArgs,
		Long: "Runs each experiment (a versus run) and the ideal loop, stores a digest of each under --dir and writes targets.md there.\n" +
			"It may be stopped and continued with --missing: one experiment takes two to four minutes.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, id := range only {
				if id != "limits" && !slices.ContainsFunc(targets.Experiments, func(e targets.Experiment) bool { return e.ID == id }) {
					return &usageError{fmt.Errorf("unknown experiment %q", id)}
				}
			}
			stored, err := targets.Load(dir)
			if err != nil {
				return err
			}
			wanted := func(id string, there bool) bool {
				return (len(only) == 0 || slices.Contains(only, id)) && !(missing && there)
			}
			if wanted("limits", len(stored.Limits) > 0) {
				if err := a.measureLimits(cmd.Context(), dir); err != nil {
					return err
				}
			}
			for _, e := range targets.Experiments {
				if d := stored.Digests[e.ID]; !wanted(e.ID, d != nil && d.Failed == "") {
					continue
				}
				if err := a.experiment(cmd.Context(), e, rounds, dir); err != nil {
					return err
				}
			}
			return a.writeTargets(dir)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&only, "only", nil, "experiments to run (default: all)")
	flags.IntVar(&rounds, "rounds", 3, "rounds of each experiment")
	flags.StringVar(&dir, "dir", filepath.Join("reports", "targets"), "where digests and targets.md are written")
	flags.BoolVar(&missing, "missing", false, "skip what is stored already")
	return cmd
}

// measureLimits stores the ideal loop of this machine.
func (a *app) measureLimits(ctx context.Context, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	checkout, err := runner.FindCheckout(ctx, ".")
	if err != nil {
		return err
	}
	data, err := limits.Dir(filepath.Join(checkout.Root, ".cache"))
	if err != nil {
		return err
	}
	fmt.Fprintln(a.stderr, "targets: the ideal loop")
	rows, err := limits.Measure(ctx, self, data, []int{1 << 20, 256 << 10, 16 << 10, 1 << 10}, 1<<30, 5)
	if err != nil {
		return err
	}
	return targets.Store(dir, "limits", rows)
}

// kafkaWarmUpSeconds of load before Kafka's window: its JVM is fresh in every
// arm-run and most of its compilation is done by then.
const kafkaWarmUpSeconds = 25

// experiment runs one and stores its digest; a run that fails its ledger is stored as failed.
func (a *app) experiment(ctx context.Context, e targets.Experiment, rounds int, dir string) error {
	rate, err := rateOf(e, dir)
	if err != nil {
		return err
	}
	f := runFlags{tuned: e.Tuned, clients: []string{e.Client}, profile: "default", rounds: rounds, quiet: true, rate: rate, kafkaWarmUp: kafkaWarmUpSeconds, overrides: []string{"log.flush=" + e.Flush}}
	if e.Client == scenarios.ClientJava {
		f.warmUpSeconds = kafkaWarmUpSeconds // the client is a JVM too: it must be as warm on both sides
	}
	kafka, err := runner.ParseTarget("kafka", e.Tuned)
	if err != nil {
		return err
	}
	options, err := a.options(ctx, e.Scenario, f, []runner.TargetSpec{{Kind: reports.TargetFluxMQ}, kafka})
	if err != nil {
		return err
	}
	command := fmt.Sprintf("bin/fluxbench versus %s --clients %s --rounds %d --override log.flush=%s --kafka-warm-up-seconds %d", e.Scenario, e.Client, rounds, e.Flush, kafkaWarmUpSeconds)
	if e.Tuned {
		command += " --tuned"
	}
	if f.warmUpSeconds > 0 {
		command += fmt.Sprintf(" --warm-up-seconds %g", f.warmUpSeconds)
	}
	if rate != "" {
		command += " --rate " + rate
	}
	fmt.Fprintf(a.stderr, "targets: %s: %s\n", e.ID, command)
	d := &targets.Digest{ID: e.ID, Command: command, Time: time.Now().UTC().Format(time.RFC3339), Rounds: rounds}
	_, err = a.execute(ctx, f, options, func(outcome *runner.Outcome) error { return digest(d, e, outcome) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		d.Failed = firstLine(err.Error())
		fmt.Fprintf(a.stderr, "targets: %s failed: %v\n", e.ID, err)
	}
	return targets.Store(dir, e.ID, d)
}

func digest(d *targets.Digest, e targets.Experiment, outcome *runner.Outcome) error {
	if len(outcome.Summaries) != 2 {
		return fmt.Errorf("%d results instead of two", len(outcome.Summaries))
	}
	comparison, err := reports.Compare(outcome.Summaries[0], outcome.Summaries[1], outcome.Dirs[0], outcome.Dirs[1])
	if err != nil {
		return err
	}
	r := outcome.Summaries[0].Result
	d.Commit, d.Dirty = r.Commit, r.Dirty
	d.Host = fmt.Sprintf("%d × %s, %d MiB", r.Host.CPUs, r.Host.CPUModel, r.Host.MemoryBytes>>20)
	d.A, d.B = r.Target.Label(), outcome.Summaries[1].Result.Target.Label()
	for _, c := range comparison.Clients {
		if c.Client == e.Client {
			d.Rows, d.Failed = c.Rows, c.Failed
		}
	}
	return nil
}

// rateOf resolves "half of ID" from the stored experiment.
func rateOf(e targets.Experiment, dir string) (string, error) {
	id, half := strings.CutPrefix(e.Rate, "half of ")
	if !half {
		return e.Rate, nil
	}
	stored, err := targets.Load(dir)
	if err != nil {
		return "", err
	}
	if d := stored.Digests[id]; d != nil {
		for _, row := range d.Rows {
			if row.Label == "delivered msg/s" {
				return fmt.Sprintf("%.0f/s", row.B.Median/2), nil
			}
		}
	}
	return "", fmt.Errorf("%s needs experiment %s first", e.ID, id)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// writeTargets judges what is stored and shows the page.
func (a *app) writeTargets(dir string) error {
	stored, err := targets.Load(dir)
	if err != nil {
		return err
	}
	page, err := os.Create(filepath.Join(dir, "targets.md"))
	if err != nil {
		return err
	}
	if err := targets.Markdown(page, stored); err != nil {
		page.Close()
		return err
	}
	if err := page.Close(); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "targets: %s\n", shortPath(page.Name()))
	return nil
}
