package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"fluxmq/reports"
	"fluxmq/tools/pgo"
	"fluxmq/tools/runner"
	"fluxmq/tools/runner/hoststats"
)

// pgoLoads are the scenarios and clients that profiles are taken under. The wire client costs next to nothing, so that the
// broker is what works; consuming is sendfile and leaves the broker too idle for a profile.
var pgoLoads = []string{"wire_1m_lz4:wire", "wire_16k:wire", "wire_1k:wire"}

func (a *app) pgo() *cobra.Command {
	var loads []string
	var seconds float64
	cmd := &cobra.Command{
		Use: "pgo", Short: "Take CPU profiles of the broker under scenarios and merge them into broker/cmd/fluxmq/default.pgo", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if seconds < 5 {
				return &usageError{fmt.Errorf("--measure-seconds must be at least 5, got %v", seconds)}
			}
			return a.takeProfiles(cmd.Context(), loads, seconds)
		},
	}
	cmd.Flags().StringSliceVar(&loads, "loads", pgoLoads, "SCENARIO:CLIENT pairs")
	cmd.Flags().Float64Var(&seconds, "measure-seconds", 20, "length of each window")
	return cmd
}

func (a *app) takeProfiles(ctx context.Context, loads []string, seconds float64) error {
	var taken []*pgo.Taken
	var checkout runner.Checkout
	for _, load := range loads {
		scenario, client, ok := cutLast(load, ':')
		if !ok {
			return &usageError{fmt.Errorf("a load is SCENARIO:CLIENT, got %q", load)}
		}
		f := runFlags{profile: "default", clients: []string{client}, rounds: 1, measureSeconds: seconds, overrides: []string{"log.flush=os"}}
		options, err := a.options(ctx, scenario, f, []runner.TargetSpec{{Kind: reports.TargetFluxMQ}})
		if err != nil {
			return err
		}
		checkout = options.Checkout
		// Results of profiled runs are no measurements: they go to the cache, not among the others.
		options.Store = reports.Store{Root: checkout.Cache("pgo-runs")}
		var one *pgo.Taken
		options.Watch = func(ctx context.Context, step runner.Step, admin string) (err error) {
			one, err = pgo.Take(ctx, admin, scenario, step.Client, time.Duration((seconds-2)*float64(time.Second)))
			return err
		}
		plan, err := runner.MakePlan(options)
		if err != nil {
			return err
		}
		if _, err := runner.Run(ctx, plan); err != nil {
			return err
		}
		if one == nil {
			return fmt.Errorf("pgo: no window opened in scenario %s with client %s", scenario, client)
		}
		fmt.Fprintf(a.stdout, "%-12s %-9s %.1f CPU-s in %.1f s, %.0f %% in the broker\n", scenario, client, one.CPUSeconds, one.Seconds, one.OurShare*100)
		taken = append(taken, one)
	}
	host := hoststats.Fingerprint(checkout.Root)
	target := filepath.Join(checkout.Root, "broker", "cmd", "fluxmq", "default.pgo")
	sidecar := filepath.Join(checkout.Root, "profiles", "pgo", "default.json")
	err := pgo.Write(taken, pgo.Sidecar{Commit: checkout.Commit, Dirty: checkout.Dirty, TakenAt: time.Now().UTC().Format(time.RFC3339),
		Machine: fmt.Sprintf("%d × %s", host.CPUs, host.CPUModel), Go: runtime.Version()}, target, sidecar)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "wrote %s and %s\n", shortPath(target), shortPath(sidecar))
	return err
}

func cutLast(text string, separator byte) (before, after string, ok bool) {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == separator {
			return text[:i], text[i+1:], i > 0 && i+1 < len(text)
		}
	}
	return text, "", false
}
