package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"fluxmq/reports/history"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
	"fluxmq/tools/runner"
)

// comparison is one A/B measurement to be made; out is the trial's folder.
type comparison struct{ base, head, scenario, client, out string }

// measure makes a comparison and leaves trial.json in its folder.
type measure func(ctx context.Context, c comparison) error

func (a *app) history() *cobra.Command { return a.historyBy(a.compareInOwnProcess) }

func (a *app) historyBy(measure measure) *cobra.Command {
	var (
		scenario, page string
		asJSON, all    bool
	)
	cmd := &cobra.Command{
		Use: "history", Short: "Show performance by commit and the commits that changed it; add and measure points", Args: usageArgs(cobra.NoArgs),
		Long: "Every point is a commit's ratio against a pinned reference, measured in alternation with it on one machine, so that the index survives\n" +
			"a change of machine. Points lie in reports/points, in git. The gate never asks the history.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, store, err := a.points(cmd.Context())
			if err != nil {
				return err
			}
			view, err := store.View(scenario, history.DefaultTest())
			if err != nil {
				return err
			}
			if page != "" {
				if err := writePage(page, view); err != nil {
					return err
				}
				fmt.Fprintf(a.stderr, "history: %s\n", shortPath(page))
			}
			if asJSON {
				encoder := json.NewEncoder(a.stdout)
				encoder.SetIndent("", " ")
				return encoder.Encode(view)
			}
			return view.WriteTerminal(a.stdout, all)
		},
	}
	cmd.Flags().StringVar(&scenario, "scenario", "", "SCENARIO or SCENARIO/CLIENT (default: all)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&page, "html", "", "write one offline page to this file too")
	cmd.Flags().BoolVar(&all, "all", false, "also the metrics that are not gated")
	cmd.AddCommand(a.historyAdd(), a.historyPin(), a.historyMeasure(measure))
	return cmd
}

func writePage(path string, view *history.View) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(view.WriteHTML(file), file.Close())
}

// points finds the checkout and its committed store.
func (a *app) points(ctx context.Context) (runner.Checkout, history.Store, error) {
	checkout, err := runner.FindCheckout(ctx, ".")
	return checkout, history.Store{Dir: filepath.Join(checkout.Root, "reports", "points")}, err
}

func (a *app) historyAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add TRIAL…", Short: "Add points from compare trials whose base is the pinned reference", Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var failed []error
			for _, path := range args {
				failed = append(failed, a.addPoints(cmd.Context(), path))
			}
			return errors.Join(failed...)
		},
	}
}

// addPoints adds one trial's points.
func (a *app) addPoints(ctx context.Context, path string) error {
	checkout, store, err := a.points(ctx)
	if err != nil {
		return err
	}
	reference, err := store.Reference()
	if err != nil {
		return err
	}
	t, err := trial.Read(path)
	if err != nil {
		return &usageError{err}
	}
	head := history.Commit{SHA: t.Head.Commit}
	if !t.Head.Dirty { // a dirty head is refused below, with the reason
		if head, err = commitOf(ctx, checkout.Root, t.Head.Commit); err != nil {
			return fmt.Errorf("head of trial %s: %w", t.ID, err)
		}
	}
	additions, err := history.Add(t, verdict.Judge(t), reference, head)
	if err != nil {
		return err
	}
	for _, addition := range additions {
		if err := store.Append(addition.Workload, addition.Point); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%s: %s of %.12s %s against %.12s, %d blocks\n", addition.Workload, addition.Point.Kind, head.SHA, head.Subject, addition.Point.Reference, addition.Point.Blocks)
	}
	return nil
}

func (a *app) historyPin() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "pin REV --why TEXT", Short: "Make a commit the reference of all points from now on", Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if why == "" {
				return &usageError{errors.New("pin needs --why: what makes this commit the reference")}
			}
			checkout, store, err := a.points(cmd.Context())
			if err != nil {
				return err
			}
			commit, err := commitOf(cmd.Context(), checkout.Root, args[0])
			if err != nil {
				return &usageError{err}
			}
			reference, err := store.Pin(commit, why, time.Now())
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "reference: %.12s %s\n", commit.SHA, commit.Subject)
			if len(reference.Replaced) > 0 {
				fmt.Fprintf(a.stdout, "it replaces %.12s; until the link is measured, new points are a chain of their own: fluxbench history measure --link\n", reference.Replaced[0].SHA)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "what makes this commit the reference")
	return cmd
}

func (a *app) historyMeasure(measure measure) *cobra.Command {
	var (
		scenarios []string
		client    string
		link      bool
	)
	cmd := &cobra.Command{
		Use: "measure REV…", Short: "Measure commits against the reference (fluxbench compare) and add their points", Args: usageArgs(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, revisions []string) error {
			if link == (len(revisions) > 0) {
				return &usageError{errors.New("measure wants revisions, or --link alone")}
			}
			checkout, store, err := a.points(cmd.Context())
			if err != nil {
				return err
			}
			reference, err := store.Reference()
			if err != nil {
				return err
			}
			base := reference.SHA
			if link {
				if len(reference.Replaced) == 0 {
					return &usageError{errors.New("the reference replaced none: there is nothing to link")}
				}
				base, revisions = reference.Replaced[0].SHA, []string{reference.SHA}
			}
			if len(scenarios) == 0 {
				scenarios = []string{""}
			}
			// All revisions are looked up before the first is measured: minutes are not lost to a typing error.
			var heads []history.Commit
			for _, revision := range revisions {
				head, err := commitOf(cmd.Context(), checkout.Root, revision)
				if err != nil {
					return &usageError{err}
				}
				heads = append(heads, head)
			}
			for _, head := range heads {
				for _, scenario := range scenarios {
					if err := a.measurePoint(cmd.Context(), checkout, measure, comparison{base: base, head: head.SHA, scenario: scenario, client: client}); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&scenarios, "scenario", nil, "scenarios (default: those of compare)")
	cmd.Flags().StringVar(&client, "client", "", "load client (default: the scenario's)")
	cmd.Flags().BoolVar(&link, "link", false, "measure the reference against the one that it replaced")
	return cmd
}

// measurePoint keeps trials in the cache; what they say of the commit goes to the points.
func (a *app) measurePoint(ctx context.Context, checkout runner.Checkout, measure measure, c comparison) error {
	parent := checkout.Cache("history")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	var err error
	if c.out, err = os.MkdirTemp(parent, fmt.Sprintf("%s-%.12s-", time.Now().UTC().Format("20060102T150405Z"), c.head)); err != nil {
		return err
	}
	if err := measure(ctx, c); err != nil {
		return fmt.Errorf("compare of %.12s with the reference (trial in %s): %w", c.head, shortPath(c.out), err)
	}
	return a.addPoints(ctx, c.out)
}

// compareGrace is how long an interrupted compare may take to stop what it started.
const compareGrace = 60 * time.Second

// compareInOwnProcess runs `fluxbench compare`; it must end with 0 and leave
// trial.json in c.out. Its table goes to standard error.
func (a *app) compareInOwnProcess(ctx context.Context, c comparison) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"compare", "--base", c.base, "--head", c.head, "--out", c.out}
	if c.scenario != "" {
		args = append(args, "--scenario", c.scenario)
	}
	if c.client != "" {
		args = append(args, "--client", c.client)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stdout, cmd.Stderr = a.stderr, a.stderr
	// Of its own group: a Ctrl-C is passed on once, and compare cleans up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = compareGrace
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit) && exit.Exited():
		return &runner.ExitError{Code: exit.ExitCode(), Err: fmt.Errorf("exit code %d", exit.ExitCode())}
	}
	return err
}

// commitOf asks git for a commit.
func commitOf(ctx context.Context, root, revision string) (history.Commit, error) {
	cmd := exec.CommandContext(ctx, "git", "show", "-s", "--format=%H%n%cI%n%s", "--end-of-options", revision+"^{commit}")
	cmd.Dir = root
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		return history.Commit{}, fmt.Errorf("revision %q: %w %s", revision, err, strings.TrimSpace(words.String()))
	}
	lines := strings.SplitN(strings.TrimRight(string(out), "\n"), "\n", 3)
	if len(lines) != 3 {
		return history.Commit{}, fmt.Errorf("revision %q: git said %q", revision, out)
	}
	committed, err := time.Parse(time.RFC3339, lines[1])
	return history.Commit{SHA: lines[0], CommittedAt: committed.UTC(), Subject: lines[2]}, err
}

// usageArgs makes a subcommand's wrong arguments a matter of usage; root does so for its own commands only.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{fmt.Errorf("%s: %w", cmd.Name(), err)}
		}
		return nil
	}
}
