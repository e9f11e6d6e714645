// Package cli is the command line of fluxbench: it reads flags, calls the
// runner or a view of a stored result, and turns errors into exit codes. It
// measures and judges nothing itself.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"fluxmq/profiles"
	"fluxmq/scenarios"
	"fluxmq/tools/runner"
)

// app carries what every command needs.
type app struct {
	args           []string
	stdout, stderr io.Writer
}

// Main runs the command line and returns the process's exit code. SIGINT and
// SIGTERM cancel the run; a second one kills at once by Go's default.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	// Ends with the process: gives the second signal back its default.
	context.AfterFunc(ctx, cancel)
	a := &app{args: args, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args[1:])
	err := root.ExecuteContext(ctx)
	if err == nil {
		return runner.ExitOK
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = &runner.ExitError{Code: runner.ExitInterrupted, Err: errors.New("interrupted")}
	}
	fmt.Fprintln(stderr, "fluxbench:", err)
	return exitCode(err)
}

// exitCode adds to the runner's codes the errors of bad input: 2.
func exitCode(err error) int {
	var (
		scenarioUnknown *scenarios.UnknownError
		scenarioParse   *scenarios.ParseError
		profileUnknown  *profiles.UnknownError
		profileParse    *profiles.ParseError
		profileNeed     *profiles.NeedError
		usage           *usageError
	)
	switch {
	case errors.As(err, &scenarioUnknown), errors.As(err, &scenarioParse), errors.As(err, &profileUnknown), errors.As(err, &profileParse), errors.As(err, &usage):
		return runner.ExitUsage
	case errors.As(err, &profileNeed):
		return runner.ExitPreflight
	}
	return runner.ExitCode(err)
}

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() + "\nrun `fluxbench help` for the commands" }
func (e *usageError) Unwrap() error { return e.err }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "fluxbench",
		Short:         "Measures a Kafka broker with real clients and proves delivery",
		SilenceUsage:  true,
		SilenceErrors: true,
		Long: "fluxbench runs scenarios (fluxbench list) against FluxMQ, Apache Kafka or any broker.\n" +
			"Exit codes: 0 pass, 1 run error, 2 usage or bad file, 3 preflight failed, 4 regression, 5 inconclusive, no baseline or results that do not compare, 6 lost, duplicated, reordered or corrupt records, 130 interrupted.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(a.run(), a.versus(), a.doctor(), a.tune(), a.list(), a.report(), a.export(), a.schema(), a.pgo(), a.kafkaLibs(), a.limits(), a.limitsSink(), a.targets(), a.history(), a.bisect(), a.bisectStep(), a.compare(), a.gate(), a.proveGate())
	for _, command := range root.Commands() {
		if command.Args != nil {
			check := command.Args
			command.Args = func(cmd *cobra.Command, args []string) error {
				if err := check(cmd, args); err != nil {
					return &usageError{fmt.Errorf("%s: %w", cmd.Name(), err)}
				}
				return nil
			}
		}
	}
	root.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return &usageError{fmt.Errorf("unknown command %q", args[0])}
		}
		return nil
	}
	return root
}
