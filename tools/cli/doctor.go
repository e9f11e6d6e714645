package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"fluxmq/reports"
	"fluxmq/tools/doctor"
	"fluxmq/tools/runner"
)

func (a *app) doctor() *cobra.Command {
	var asJSON bool
	var seconds float64
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check this machine before measuring", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir := "."
			if checkout, err := runner.FindCheckout(cmd.Context(), "."); err == nil {
				dir = checkout.Cache()
			}
			checks, err := doctor.Check(cmd.Context(), doctor.Options{DataDir: dir, Sample: time.Duration(seconds * float64(time.Second))})
			if err != nil {
				return err
			}
			if asJSON {
				err = a.indented(checks)
			} else {
				err = reports.WritePreflight(a.stdout, checks)
			}
			if failed := doctor.Failed(checks); err == nil && len(failed) > 0 {
				err = &runner.ExitError{Code: runner.ExitPreflight, Err: fmt.Errorf("%d fatal checks failed", len(failed))}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the checks as JSON")
	cmd.Flags().Float64Var(&seconds, "sample-seconds", doctor.DefaultSample.Seconds(), "how long steal, foreign CPU, pressure and swapping are watched, after the cost of memory is measured; 0: neither")
	return cmd
}
