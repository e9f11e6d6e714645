package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fluxmq/reports/trial"
	"fluxmq/tools/bisect"
	"fluxmq/tools/runner"
)

func (a *app) bisect() *cobra.Command {
	var o bisect.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use: "bisect --good REV --bad REV", Short: "Find the commit that made something slower: git bisect with the gate as its oracle", Args: cobra.NoArgs,
		Long: "First asks the gate whether BAD is a regression from GOOD, then drives git bisect run in a worktree of its own: your checkout is not touched.\n" +
			"A commit that cannot be built is skipped; an inconclusive one is measured again with twice the blocks, then skipped. Each step is a gate: minutes.\n" +
			"Exit codes: 0 found, 1 not found, 2 usage, 130 interrupted.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Good == "" || o.Bad == "" {
				return &usageError{errors.New("bisect needs --good REV and --bad REV")}
			}
			var names []string
			for _, m := range trial.Metrics() {
				names = append(names, m.Name)
			}
			if o.Metric != "" && !slices.Contains(names, o.Metric) {
				return &usageError{fmt.Errorf("unknown metric %q; known: %s", o.Metric, strings.Join(names, ", "))}
			}
			if o.Blocks < 0 {
				return &usageError{fmt.Errorf("--blocks must not be negative, got %d", o.Blocks)}
			}
			return a.findBad(cmd.Context(), o, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Good, "good", "", "a commit that was fast: every step is measured against it")
	flags.StringVar(&o.Bad, "bad", "", "a later commit that is slow")
	flags.StringVar(&o.Scenario, "scenario", "", "scenario of the gate (default: the gate's)")
	flags.StringVar(&o.Client, "client", "", "load client (default: the scenario's)")
	flags.StringVar(&o.Metric, "metric", "", "judge by this gated metric alone (default: the gate's whole verdict)")
	flags.IntVar(&o.Blocks, "blocks", 0, "blocks of each gate (default: the gate's)")
	flags.BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

func (a *app) findBad(ctx context.Context, o bisect.Options, asJSON bool) error {
	checkout, err := runner.FindCheckout(ctx, ".")
	if err != nil {
		return err
	}
	if o.Self, err = os.Executable(); err != nil {
		return err
	}
	o.Root, o.Cache, o.Words = checkout.Root, checkout.Cache("bisect"), a.stderr
	found, err := bisect.Run(ctx, o)
	var input *bisect.InputError
	if errors.As(err, &input) {
		return &usageError{err}
	}
	if err != nil {
		return err
	}
	if asJSON {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", " ")
		return encoder.Encode(found)
	}
	_, err = fmt.Fprintf(a.stdout, "first bad commit: %s %s\n  verdict  %s\n  trial    %s\n  steps    %d, in %s\n",
		found.Commit, found.Subject, found.Verdict.Reason, shortPath(found.Verdict.Trial), len(found.Steps), shortPath(found.Dir))
	return err
}

// bisectStep is what git bisect run calls; its exit codes are git's: 0 good, 1 bad, 125 skip, 128 and above stops.
func (a *app) bisectStep() *cobra.Command {
	return &cobra.Command{
		Use: "bisect-step DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := bisect.Step(cmd.Context(), args[0], a.stderr)
			if code == 0 {
				return err
			}
			return &runner.ExitError{Code: code, Err: errors.Join(fmt.Errorf("step ended with %d", code), err)}
		},
	}
}
