package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fluxmq/loadgen"
	"fluxmq/loadgen/franz"
	"fluxmq/loadgen/sarama"
	"fluxmq/loadgen/wire"
	"fluxmq/scenarios"
)

// usageError ends with exit 2.
type usageError struct{ error }

// exitError ends with its code; what it means was said already.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

var drivers = map[string]loadgen.Driver{
	scenarios.ClientFranz:  {NewClient: franz.New},
	scenarios.ClientSarama: {NewClient: sarama.New},
	scenarios.ClientWire:   {NewLoad: wire.New},
}

// execute is main without the process: arguments in, exit code out.
func execute(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := &cobra.Command{
		Use: "fluxload", Short: "Make Kafka load, measure it and prove its delivery",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(runCommand(), listCommand())
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var exit exitError
	var usage usageError
	switch {
	case err == nil:
		return loadgen.ExitOK
	case errors.As(err, &exit):
		return int(exit)
	case ctx.Err() != nil:
		return loadgen.ExitInterrupted
	}
	fmt.Fprintln(errOut, "fluxload:", err)
	if errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command") {
		return loadgen.ExitUsage
	}
	return loadgen.ExitRunError
}

type runFlags struct {
	job, out                               string
	scenario, directory, client, bootstrap string
	seedExact                              bool
}

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run (--job FILE|- --out DIR | --scenario NAME --client NAME --bootstrap HOST:PORT [--out DIR])",
		Short: "Run one job, or one round of a scenario for a person to read",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unexpected argument %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	cmd.Flags().StringVar(&f.job, "job", "", "job file as written by fluxbench, - for standard input")
	cmd.Flags().StringVar(&f.out, "out", "", "directory for client-result.json and latency.hlog")
	cmd.Flags().StringVar(&f.scenario, "scenario", "", "name or path of a scenario, instead of a job")
	cmd.Flags().StringVar(&f.directory, "scenarios", "", "directory whose scenarios come before the built-in ones")
	cmd.Flags().StringVar(&f.client, "client", scenarios.ClientFranz, "franz-go, sarama or wire")
	cmd.Flags().StringVar(&f.bootstrap, "bootstrap", "127.0.0.1:9092", "broker address")
	cmd.Flags().BoolVar(&f.seedExact, "seed-exact", false, "the seed's own form: so many records, one shot, no warm-up")
	return cmd
}

func (f runFlags) run(cmd *cobra.Command) error {
	switch {
	case (f.job == "") == (f.scenario == ""):
		return usageError{errors.New("give either --job or --scenario")}
	case f.job != "" && f.out == "":
		return usageError{errors.New("--job needs --out DIR")}
	case f.job != "":
		job, err := f.readJob(cmd.InOrStdin())
		if err != nil {
			return usageError{err}
		}
		return runJob(cmd, job, f.out)
	}
	return f.runScenario(cmd)
}

func (f runFlags) readJob(in io.Reader) (scenarios.Job, error) {
	if f.job != "-" {
		file, err := os.Open(f.job)
		if err != nil {
			return scenarios.Job{}, err
		}
		defer file.Close()
		in = file
	}
	return scenarios.DecodeJob(in)
}

// driverOf refuses clients that this program is not.
func driverOf(client string) (loadgen.Driver, error) {
	driver, ok := drivers[client]
	if !ok {
		return driver, usageError{fmt.Errorf("client %q is not one of fluxload's: franz-go, sarama, wire", client)}
	}
	return driver, nil
}

// runJob is the contract's form: events on standard output, words on standard error.
func runJob(cmd *cobra.Command, job scenarios.Job, dir string) error {
	driver, err := driverOf(job.Client)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	events := loadgen.NewEvents(cmd.OutOrStdout())
	result, err := loadgen.Run(ctx, job, loadgen.Options{
		Dir: dir, Driver: driver, NewAdmin: franz.NewAdmin, Events: events, Log: cmd.ErrOrStderr(),
	})
	exit := loadgen.ExitRunError
	switch {
	case ctx.Err() != nil:
		exit = loadgen.ExitInterrupted
	case err != nil:
		fmt.Fprintln(cmd.ErrOrStderr(), "fluxload:", err)
	default:
		exit = loadgen.ExitCode(result)
	}
	events.Done(exit)
	if exit != loadgen.ExitOK {
		return exitError(exit)
	}
	return nil
}

// runScenario is the person's form: no events, a table at the end.
func (f runFlags) runScenario(cmd *cobra.Command) error {
	scenario, err := scenarios.Catalog{Dir: f.directory}.Load(f.scenario)
	if err != nil {
		return usageError{err}
	}
	driver, err := driverOf(f.client)
	if err != nil {
		return err
	}
	if f.seedExact && !scenario.HasSeedExact() {
		return usageError{fmt.Errorf("scenario %s has no seed-exact form", scenario.Name)}
	}
	dir := f.out
	if dir == "" {
		if dir, err = os.MkdirTemp("", "fluxload-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	runTag := rand.Uint64()
	options := scenarios.JobOptions{
		RunID: fmt.Sprintf("%s-%016x", time.Now().UTC().Format("20060102T150405"), runTag), RunTag: runTag,
		Client: f.client, Round: 1, Bootstrap: f.bootstrap, Topic: fmt.Sprintf("fluxload-%s-%016x", scenario.Name, runTag), Form: scenarios.FormHonest,
	}
	if f.seedExact {
		options.Form = scenarios.FormSeedExact
	}
	job := scenario.Job(options)
	if err := job.Validate(); err != nil {
		return usageError{err}
	}
	ctx := cmd.Context()
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", scenario.Name, scenario.Question)
	result, err := loadgen.Run(ctx, job, loadgen.Options{
		Dir: dir, Driver: driver, NewAdmin: franz.NewAdmin, Events: loadgen.NewEvents(nil), Log: cmd.ErrOrStderr(),
	})
	if err != nil {
		return err
	}
	if err := printTable(cmd.OutOrStdout(), result, dir); err != nil {
		return err
	}
	if f.out != "" {
		fmt.Fprintln(cmd.OutOrStdout(), "result in", dir)
	}
	if exit := loadgen.ExitCode(result); exit != loadgen.ExitOK {
		return exitError(exit)
	}
	return nil
}
