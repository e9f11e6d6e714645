package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"fluxmq/profiles"
	"fluxmq/reports"
	"fluxmq/scenarios"
	"fluxmq/tools/runner"
)

// runFlags are the flags of run and versus.
type runFlags struct {
	target         string
	tuned          bool
	clients        []string
	profile        string
	rounds         int
	out            string
	seedExact      bool
	dryRun         bool
	json           bool
	quiet          bool
	measureSeconds float64
	warmUpSeconds  float64
	kafkaWarmUp    float64
	rate           string
	brokerBinary   string
	brokerTags     string
	brokerEnv      []string
	overrides      []string
	workDir        string
}

func (f *runFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.tuned, "tuned", false, "Apache Kafka with 2 GB heap and the settings of BENCHMARK_RULES.md")
	flags.StringSliceVar(&f.clients, "clients", nil, "load clients, in order: java, franz-go, sarama, wire (default: the scenario's)")
	flags.StringVar(&f.profile, "profile", "default", "how to build and bind: a name or a file")
	flags.IntVar(&f.rounds, "rounds", 0, "rounds (default: the scenario's, within its time budget)")
	flags.StringVar(&f.out, "out", "", "folder of the results (default: reports/runs)")
	flags.BoolVar(&f.seedExact, "seed-exact", false, "the seed's own form: one shot, no warm-up; labelled, never compared with honest runs")
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "print the plan and stop")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON instead of the table")
	flags.BoolVar(&f.quiet, "quiet", false, "no plan, no progress: the table only")
	flags.Float64Var(&f.measureSeconds, "measure-seconds", 0, "length of the measured window (default: the scenario's)")
	flags.Float64Var(&f.warmUpSeconds, "warm-up-seconds", 0, "least warm-up before the window (default: the scenario's); a JVM broker wants minutes")
	flags.Float64Var(&f.kafkaWarmUp, "kafka-warm-up-seconds", 0, "least warm-up of arm-runs on Apache Kafka alone, whose JVM is fresh in each")
	flags.StringVar(&f.rate, "rate", "", "offered rate: max or N/s (default: the scenario's)")
	flags.StringVar(&f.brokerBinary, "broker-binary", "", "a FluxMQ binary to run instead of building one")
	flags.StringVar(&f.brokerTags, "broker-tags", "", "build tags of the broker")
	flags.StringArrayVar(&f.brokerEnv, "broker-env", nil, "K=V added to the broker's environment (repeatable)")
	flags.StringArrayVar(&f.overrides, "override", nil, "broker setting KEY=VALUE, Kafka's keys (repeatable)")
	flags.StringVar(&f.workDir, "work-dir", "", "where data directories lie during the run (default: .cache/run)")
}

func (a *app) run() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Run a scenario and store its result",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := runner.ParseTarget(f.target, f.tuned)
			if err != nil {
				return err
			}
			options, err := a.options(cmd.Context(), args[0], f, []runner.TargetSpec{spec})
			if err != nil {
				return err
			}
			_, err = a.execute(cmd.Context(), f, options, func(outcome *runner.Outcome) error {
				return a.showResults(outcome, f.json)
			})
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.target, "target", "fluxmq", "fluxmq, kafka or HOST:PORT")
	return cmd
}

// options turns flags into a run.
func (a *app) options(ctx context.Context, name string, f runFlags, targets []runner.TargetSpec) (runner.Options, error) {
	checkout, err := runner.FindCheckout(ctx, ".")
	if err != nil {
		return runner.Options{}, err
	}
	scenario, err := scenarios.Load(name)
	if err != nil {
		return runner.Options{}, asUsage(err)
	}
	profile, err := profiles.Load(f.profile)
	if err != nil {
		return runner.Options{}, asUsage(err)
	}
	overrides, err := runner.ParseSettings(f.overrides)
	if err != nil {
		return runner.Options{}, err
	}
	if _, err := runner.ParseSettings(f.brokerEnv); err != nil {
		return runner.Options{}, err
	}
	o := runner.Options{
		Checkout: checkout, Scenario: scenario, Form: scenarios.FormHonest, Profile: profile, Targets: targets, Clients: f.clients, Rounds: f.rounds,
		Overrides: overrides, MeasureSeconds: f.measureSeconds, WarmUpSeconds: f.warmUpSeconds, KafkaWarmUpSeconds: f.kafkaWarmUp, BrokerTags: f.brokerTags, BrokerEnv: f.brokerEnv,
		Store: reports.Store{Root: filepath.Join(checkout.Root, "reports", "runs")}, WorkDir: f.workDir, Command: append([]string{"fluxbench"}, a.args[1:]...),
	}
	if f.seedExact {
		o.Form = scenarios.FormSeedExact
	}
	if f.rate != "" {
		rate, err := scenarios.ParseRate(f.rate)
		if err != nil {
			return o, &usageError{err}
		}
		o.Rate = &rate
	}
	if f.out != "" {
		o.Store.Root = f.out
	}
	if f.brokerBinary != "" {
		if o.BrokerBinary, err = filepath.Abs(f.brokerBinary); err != nil {
			return o, err
		}
		if _, err := os.Stat(o.BrokerBinary); err != nil {
			return o, &usageError{fmt.Errorf("--broker-binary: %w", err)}
		}
	}
	if !f.quiet {
		o.Progress = runner.NewProgress(a.stderr, isTerminal(a.stderr))
	}
	return o, nil
}

// asUsage makes a file that cannot be opened a matter of usage too.
func asUsage(err error) error {
	if exitCode(err) == runner.ExitUsage {
		return err
	}
	return &usageError{err}
}

// execute plans, prints the plan, runs, and shows what was stored also when the run failed.
func (a *app) execute(ctx context.Context, f runFlags, options runner.Options, show func(*runner.Outcome) error) (*runner.Outcome, error) {
	plan, err := runner.MakePlan(options)
	if err != nil {
		return nil, err
	}
	if f.dryRun {
		plan.Print(a.stdout)
		return nil, nil
	}
	if !f.quiet {
		plan.Print(a.stderr)
	}
	outcome, err := runner.Run(ctx, plan)
	if outcome != nil && len(outcome.Summaries) > 0 {
		if showErr := show(outcome); err == nil {
			err = showErr
		}
	}
	return outcome, err
}

func (a *app) showResults(outcome *runner.Outcome, asJSON bool) error {
	for i, summary := range outcome.Summaries {
		if asJSON {
			encoder := json.NewEncoder(a.stdout)
			encoder.SetIndent("", " ")
			if err := encoder.Encode(summary.Result); err != nil {
				return err
			}
			continue
		}
		if err := summary.WriteTerminal(a.stdout); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "\nresult: %s\nreport: %s\n", shortPath(filepath.Join(outcome.Dirs[i], "result.json")), shortPath(filepath.Join(outcome.Dirs[i], "report.html")))
	}
	return nil
}

// shortPath is relative to the working directory where that is shorter.
func shortPath(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if relative, err := filepath.Rel(dir, abs); err == nil && len(relative) < len(abs) {
		return relative
	}
	return abs
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func (a *app) versus() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "versus SCENARIO",
		Short: "Run a scenario on FluxMQ and on Apache Kafka, interleaved, and compare",
		Long: "Runs every client on FluxMQ and on Apache Kafka in the same minutes, in the order A B, B A, …, both without waiting for the disk\n" +
			"(log.flush=os) unless --override log.flush= says otherwise (then Kafka gets flush.messages=1).",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kafka, err := runner.ParseTarget("kafka", f.tuned)
			if err != nil {
				return err
			}
			options, err := a.options(cmd.Context(), args[0], f, []runner.TargetSpec{{Kind: reports.TargetFluxMQ}, kafka})
			if err != nil {
				return err
			}
			if options.Overrides["log.flush"] == "" {
				options.Overrides["log.flush"] = "os"
			}
			_, err = a.execute(cmd.Context(), f, options, func(outcome *runner.Outcome) error {
				return a.showVersus(outcome, f.json)
			})
			return err
		},
	}
	f.add(cmd)
	return cmd
}

func (a *app) showVersus(outcome *runner.Outcome, asJSON bool) error {
	if err := a.showResults(outcome, asJSON); err != nil || asJSON || len(outcome.Summaries) != 2 {
		return err
	}
	comparison, err := reports.Compare(outcome.Summaries[0], outcome.Summaries[1], outcome.Dirs[0], outcome.Dirs[1])
	if err != nil {
		return err
	}
	if err := comparison.WriteTerminal(a.stdout); err != nil {
		return err
	}
	bundle := &reports.Bundle{Dir: outcome.Dirs[0]}
	if err := bundle.WriteFile("versus.md", comparison.WriteMarkdown); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\ncomparison: %s\n", shortPath(filepath.Join(outcome.Dirs[0], "versus.md")))
	return nil
}
