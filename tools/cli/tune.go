package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fluxmq/tools/runner"
	"fluxmq/tools/tune"
)

// tuneFlags are the command line of fluxbench tune. At most one of the modes is set; none shows the table.
type tuneFlags struct {
	print, apply, undo, markdown bool
	asJSON                       bool
	journal                      string
	race                         bool
	racing                       raceFlags
}

func (a *app) tune() *cobra.Command {
	var f tuneFlags
	cmd := &cobra.Command{
		Use: "tune [KNOB…]", Short: "Show, apply or undo host settings; race build and broker settings", Args: cobra.ArbitraryArgs,
		Long: "Without a mode tune shows each setting: wanted, current, and what --apply would do. Nothing is changed.\n" +
			"--apply writes an undo journal before each change; --undo restores from it, also after a kill. docs/tuning.md has the table and the reasons.\n" +
			"--race measures each KNOB against the same commit without it, in blocks as compare does: a profile (native, pgo), GOGC=200, GOMAXPROCS=1, GOMEMLIMIT=64MiB,\n" +
			"GOAMD64=v3, a producer property (batch.size=65536, linger.ms=5 with --client franz-go) or a broker setting (log.segment.bytes=67108864).",
		RunE: func(cmd *cobra.Command, args []string) error { return a.runTune(cmd.Context(), f, args) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.print, "print", false, "print a bash script that applies and undoes")
	flags.BoolVar(&f.apply, "apply", false, "set what does not hold (root)")
	flags.BoolVar(&f.undo, "undo", false, "restore what --apply changed and remove the journal (root)")
	flags.BoolVar(&f.markdown, "markdown", false, "print docs/tuning.md")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	flags.BoolVar(&f.race, "race", false, "measure the effect of each knob on this host")
	flags.StringVar(&f.racing.scenario, "scenario", "standard", "--race: scenario")
	flags.StringVar(&f.racing.client, "client", "", "--race: load client (default: the scenario's gate client)")
	flags.IntVar(&f.racing.blocks, "blocks", raceBlocks, "--race: blocks a knob")
	flags.StringVar(&f.racing.out, "out", "", "--race: folder of the table and its trials (default: reports/trials/TIME-race)")
	flags.Uint64Var(&f.racing.seed, "seed", 0, "--race: of the orders of blocks (default: from the clock)")
	flags.StringVar(&f.journal, "journal", "", "the undo journal (default $XDG_STATE_HOME or ~/.local/state, "+tune.JournalName+")")
	return cmd
}

func (a *app) runTune(ctx context.Context, f tuneFlags, names []string) error {
	modes := 0
	for _, set := range []bool{f.print, f.apply, f.undo, f.markdown, f.race} {
		if set {
			modes++
		}
	}
	switch {
	case modes > 1:
		return &usageError{errors.New("--print, --apply, --undo, --markdown and --race exclude each other")}
	case f.asJSON && (f.print || f.markdown):
		return &usageError{errors.New("--json goes with the table, --apply and --undo")}
	case f.undo && len(names) > 0:
		return &usageError{errors.New("--undo takes no knobs: it restores what the journal names")}
	case f.race && len(names) == 0:
		return &usageError{errors.New("--race names at least one knob")}
	case f.race:
		return a.runRace(ctx, f.racing, names)
	case f.markdown:
		_, err := fmt.Fprint(a.stdout, tune.Markdown())
		return err
	}
	host, err := a.tuneHost(ctx, f.journal)
	if err != nil {
		return err
	}
	switch {
	case f.apply:
		return a.tuneApply(ctx, host, names, f.asJSON)
	case f.undo:
		return a.tuneUndo(ctx, host, f.asJSON)
	}
	rows, err := tune.Select(host.Rows(), names)
	if err != nil {
		return tuneError(err)
	}
	switch {
	case f.print:
		return host.WriteScript(a.stdout, rows)
	case f.asJSON:
		return a.indented(rows)
	}
	return a.tuneTable(rows)
}

// tuneHost is this machine, its data under the checkout's cache as in a run.
func (a *app) tuneHost(ctx context.Context, journal string) (tune.Host, error) {
	host := tune.Host{Root: "/", DataDir: ".", Journal: journal, Commit: "unknown", Privileged: os.Geteuid() == 0}
	if checkout, err := runner.FindCheckout(ctx, "."); err == nil {
		host.DataDir, host.Commit = checkout.Cache(), checkout.Stamp()
	}
	if journal != "" {
		return host, nil
	}
	var err error
	if host.Journal, err = tune.DefaultJournal(os.Getenv); err != nil {
		return host, &usageError{err}
	}
	return host, nil
}

// tuneError gives the package's errors their exit codes.
func tuneError(err error) error {
	var unknown *tune.UnknownError
	var inTheWay *tune.JournalError
	switch {
	case errors.As(err, &unknown):
		return &usageError{err}
	case errors.As(err, &inTheWay), errors.Is(err, tune.ErrNeedsRoot), errors.Is(err, tune.ErrBusy):
		return &runner.ExitError{Code: runner.ExitPreflight, Err: err}
	}
	return err
}

func (a *app) tuneApply(ctx context.Context, host tune.Host, names []string, asJSON bool) error {
	results, err := host.Apply(ctx, names)
	if results != nil {
		if writeErr := a.tuneResults(results, asJSON); err == nil {
			err = writeErr
		}
	}
	count := map[string]int{}
	for _, r := range results {
		count[r.Status]++
	}
	if !asJSON && results != nil {
		fmt.Fprintf(a.stdout, "\n%d applied, %d already, %d skipped, %d refused, %d failed\n",
			count[tune.Applied], count[tune.Already], count[tune.Skipped], count[tune.Refused], count[tune.Failed])
		if count[tune.Applied]+count[tune.Failed] > 0 { // also when it was interrupted
			fmt.Fprintf(a.stdout, "take it back with: fluxbench tune --undo   (journal %s)\n", host.Journal)
		}
	}
	if err != nil {
		return tuneError(err)
	}
	switch {
	case count[tune.Failed] > 0:
		return fmt.Errorf("%d knobs could not be set", count[tune.Failed])
	case len(names) > 0 && count[tune.Refused] > 0:
		return &runner.ExitError{Code: runner.ExitPreflight, Err: errors.New("refused; see the reason above and docs/tuning.md")}
	}
	return nil
}

func (a *app) tuneUndo(ctx context.Context, host tune.Host, asJSON bool) error {
	undone, err := host.Undo(ctx)
	if asJSON {
		if writeErr := a.indented(undone); err == nil {
			err = writeErr
		}
		return tuneError(err)
	}
	switch {
	case err != nil && !undone.Found:
	case !undone.Found:
		fmt.Fprintf(a.stdout, "nothing to undo: there is no journal at %s\n", host.Journal)
	case undone.OtherBoot:
		fmt.Fprintln(a.stdout, "the journal is of an earlier boot: what was set went with it, nothing is restored")
	case len(undone.Results) == 0 && err == nil:
		fmt.Fprintln(a.stdout, "the journal names no change: nothing was written")
	}
	if len(undone.Results) > 0 {
		if writeErr := a.tuneResults(undone.Results, false); err == nil {
			err = writeErr
		}
	}
	if undone.Removed {
		fmt.Fprintf(a.stdout, "removed the journal %s\n", host.Journal)
	}
	return tuneError(err)
}

func (a *app) tuneTable(rows []tune.Row) error {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KNOB\tWANTED\tCURRENT\tSTATUS")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.Knob, r.Wanted, r.Current, withReason(r.Status, r.Reason))
	}
	return table.Flush()
}

func (a *app) tuneResults(results []tune.Result, asJSON bool) error {
	if asJSON {
		return a.indented(results)
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KNOB\tREQUESTED\tBEFORE\tAFTER\tVERIFIED\tSTATUS")
	for _, r := range results {
		verified := "–"
		if r.Verified {
			verified = "yes"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Knob, r.Requested, r.Before, r.After, verified, withReason(r.Status, r.Reason))
	}
	return table.Flush()
}

// withReason keeps a table's cell to the first clause; --json has it whole.
func withReason(status, reason string) string {
	if reason == "" {
		return status
	}
	short, _, _ := strings.Cut(reason, ". ")
	return status + " (" + strings.TrimPrefix(short, status+": ") + ")"
}

func (a *app) indented(value any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	return encoder.Encode(value)
}
