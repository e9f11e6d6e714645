package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"fluxmq/reports/datasheet"
	"fluxmq/tools/proof"
	"fluxmq/tools/runner"
	"fluxmq/tools/runner/hoststats"
)

func (a *app) proveGate() *cobra.Command {
	var (
		budget  time.Duration
		only    []string
		names   []string
		root    string
		seed    uint64
		analyse bool
	)
	cmd := &cobra.Command{
		Use: "prove-gate", Short: "The gate's own test: its false alarms, its power, what it catches; writes the datasheet", Args: cobra.NoArgs,
		Long: "Runs the gate on one broker binary, arm B told to be slower or wrong by a known dose, and adds what it measures to the pool of this class of\n" +
			"machine, until the budget is spent. The whole proof takes hours; it goes on where it stopped. Then it analyses the pool and writes datasheet.md.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			checkout, err := runner.FindCheckout(cmd.Context(), ".")
			if err != nil {
				return err
			}
			if root == "" {
				root = proofRoot(checkout)
			}
			if seed == 0 {
				seed = uint64(time.Now().UnixNano())
			}
			if budget <= 0 && !analyse {
				return &usageError{errors.New("--budget must be above 0")}
			}
			for _, name := range only {
				if !slices.Contains(doseNames(), name) {
					return &usageError{fmt.Errorf("unknown dose %q; known: %v", name, doseNames())}
				}
			}
			if analyse {
				pool, err := datasheet.Open(filepath.Join(root, datasheet.ClassOf(hoststats.Fingerprint(checkout.Cache()))))
				if err != nil {
					return err
				}
				return a.writeDatasheet(pool)
			}
			pool, err := proof.Run(cmd.Context(), proof.Options{Checkout: checkout, Root: root, Scenarios: names, Only: only, Budget: budget, Seed: seed,
				Command: append([]string{"fluxbench"}, a.args[1:]...), Progress: runner.NewProgress(a.stderr, isTerminal(a.stderr))})
			if pool != nil && !errors.Is(err, context.Canceled) {
				err = errors.Join(err, a.writeDatasheet(pool))
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&budget, "budget", 30*time.Minute, "how long to run; what is in the pool stays")
	flags.StringSliceVar(&only, "only", nil, "doses to run (default: all)")
	flags.StringSliceVar(&names, "scenario", []string{"standard", "megabatch"}, "scenarios")
	flags.StringVar(&root, "pools", "", "folder of the pools (default: reports/proof)")
	flags.Uint64Var(&seed, "seed", 0, "of the orders of blocks (default: from the clock)")
	flags.BoolVar(&analyse, "analyse", false, "run nothing: analyse the pool that is there")
	return cmd
}

func doseNames() []string {
	var names []string
	for _, d := range proof.Doses() {
		names = append(names, d.Name)
	}
	return names
}

func (a *app) writeDatasheet(pool *datasheet.Pool) error {
	sheet, err := datasheet.Analyse(pool, datasheet.Options{})
	if err != nil {
		return err
	}
	if err := sheet.Save(pool.Dir); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n\ndatasheet: %s\n", sheet.Line(), shortPath(filepath.Join(pool.Dir, "datasheet.md")))
	return err
}
