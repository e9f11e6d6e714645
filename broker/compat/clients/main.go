package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"fluxmq/broker/compat/suite"
)

var errInterrupted = errors.New("interrupted")

func main() {
	names := flag.String("suites", "", "suites to run, separated by commas; all but the long ones when empty")
	results := flag.String("results", "broker/compat/results/clients", "folder of the results")
	kills := flag.Int("kills", 20, "how often a suite that kills the broker does, and Kafka Streams with it")
	records := flag.Int("records", 1_000_000, "how many records the suite exactly-once copies")
	quick := flag.Bool("quick", false, "kill 3 times only")
	list := flag.Bool("list", false, "list the suites and end")
	flag.Parse()
	if *list {
		for _, c := range clients() {
			long := ""
			if c.long {
				long = " (long: only when named)"
			}
			fmt.Printf("%-14s %s: %s%s\n", c.name, c.made, c.covers, long)
		}
		return
	}
	if *quick {
		*kills = 3
	}
	chosen, err := choose(clients(), *names)
	if err == nil && (flag.NArg() > 0 || *kills < 1 || *records < 1) {
		err = errors.New("-kills and -records are at least 1, and there are no arguments")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(2)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		<-signals
		cancel(errInterrupted)
	}()
	failed, err := run(ctx, chosen, *results, *kills, *records)
	switch {
	case errors.Is(err, errInterrupted):
		fmt.Fprintln(os.Stderr, "clients: interrupted")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	case failed:
		os.Exit(1)
	}
}

// choose picks suites by name, in the order of the list; without names all that are not long.
func choose(all []client, names string) ([]client, error) {
	if names == "" {
		return slices.DeleteFunc(slices.Clone(all), func(c client) bool { return c.long }), nil
	}
	wanted := strings.Split(names, ",")
	var chosen []client
	for _, c := range all {
		if slices.Contains(wanted, c.name) {
			chosen = append(chosen, c)
		}
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(c client) bool { return c.name == name }) {
			return nil, fmt.Errorf("there is no suite %q; -list shows them", name)
		}
	}
	return chosen, nil
}

// run performs suites one after another, saves each result at once, and says whether a case failed.
func run(ctx context.Context, chosen []client, results string, kills, records int) (bool, error) {
	w, err := newWorkshop(kills, records)
	if err != nil {
		return false, err
	}
	var all suite.Result
	for _, c := range chosen {
		r, err := w.perform(ctx, c)
		if err != nil {
			return false, err
		}
		if err := r.Save(results); err != nil {
			return false, err
		}
		fmt.Printf("%s (%s %s): %d passed, %d failed, %d skipped in %.0f s\n", r.Suite, r.Client, r.Version, r.Passed, r.Failed, r.Skipped, r.Seconds)
		if r.Failed > 0 {
			fmt.Printf("  failed: %s\n  see %s\n", strings.Join(r.Failures, ", "), filepath.Join(w.cache, "logs", r.Suite+".log"))
		}
		all.Passed, all.Failed, all.Skipped = all.Passed+r.Passed, all.Failed+r.Failed, all.Skipped+r.Skipped
	}
	fmt.Printf("clients: %d passed, %d failed, %d skipped\n", all.Passed, all.Failed, all.Skipped)
	return all.Failed > 0, nil
}

// newWorkshop checks that this is the repository's root and that the broker is built.
func newWorkshop(kills, records int) (workshop, error) {
	if _, err := os.Stat("go.mod"); err != nil {
		return workshop{}, fmt.Errorf("it runs in the root of the repository: %w", err)
	}
	w := workshop{kafkaLibs: os.Getenv("KAFKA_LIBS"), kills: kills, records: records}
	var err error
	if w.cache, err = filepath.Abs(".cache/clients"); err != nil {
		return workshop{}, err
	}
	if w.broker, err = filepath.Abs("bin/fluxmq"); err != nil {
		return workshop{}, err
	}
	if _, err := os.Stat(w.broker); err != nil {
		return workshop{}, fmt.Errorf("`make build` makes the broker: %w", err)
	}
	return w, os.MkdirAll(filepath.Join(w.cache, "logs"), 0o755)
}
