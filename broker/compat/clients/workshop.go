package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"fluxmq/broker/compat/suite"
)

// workshop is where suites run, and how far they go.
type workshop struct {
	cache     string // absolute; what is installed, and logs
	broker    string // absolute; the binary
	kafkaLibs string // folder of Apache Kafka's jars; "" where there is none
	kills     int    // of the broker in each suite that kills it, and of Kafka Streams
	records   int    // that the suite exactly-once copies
}

// client is one client's suite.
type client struct {
	name   string // of the suite
	made   string // the client, as its makers call it
	covers string
	long   bool          // it runs only when it is asked for by name
	budget time.Duration // of the run
	// settings of the broker that the suite needs, as key=value; nil for suites that start their own.
	settings []string
	// install puts the client in place and returns its version; words takes what that prints.
	install func(ctx context.Context, w workshop, words io.Writer) (string, error)
	// run tries the client on the broker at address ("" without settings). An error is a failure beside the cases.
	run func(ctx context.Context, w workshop, address string, words io.Writer) ([]suite.Case, error)
}

// perform installs and runs a suite. The error is of the workshop, or the
// interrupt; what the client or the broker did wrong is in the result.
func (w workshop) perform(ctx context.Context, c client) (suite.Result, error) {
	result := suite.Result{Suite: c.name, Client: c.made, Covers: c.covers, Version: "none"}
	log, err := os.Create(filepath.Join(w.cache, "logs", c.name+".log"))
	if err != nil {
		return result, err
	}
	defer log.Close()

	installing, cancel := context.WithTimeoutCause(ctx, installBudget, fmt.Errorf("it was not installed within %v", installBudget))
	version, err := c.install(installing, w, log)
	cancel()
	if ctx.Err() != nil {
		return result, context.Cause(ctx)
	}
	if err != nil {
		fmt.Fprintln(log, "installation:", err)
		result.Tally([]suite.Case{{Name: "installation", Outcome: suite.Failed}})
		return result, nil
	}
	result.Version = version

	begin := time.Now()
	running, cancel := context.WithTimeoutCause(ctx, c.budget, fmt.Errorf("it did not end within %v", c.budget))
	defer cancel()
	cases, err := w.try(running, c, log)
	if ctx.Err() != nil {
		return result, context.Cause(ctx)
	}
	if err != nil {
		fmt.Fprintln(log, "the run:", err)
		failed := slices.ContainsFunc(cases, func(c suite.Case) bool { return c.Outcome == suite.Failed })
		if !failed || running.Err() != nil { // a runner's exit code says no more than its failures
			cases = append(cases, suite.Case{Name: "the run: " + err.Error(), Outcome: suite.Failed})
		}
	}
	result.Seconds = time.Since(begin).Seconds()
	result.Tally(cases)
	return result, nil
}

// try runs the suite, on a broker if it needs one.
func (w workshop) try(ctx context.Context, c client, words io.Writer) (cases []suite.Case, err error) {
	if c.settings == nil {
		return c.run(ctx, w, "", words)
	}
	b, err := w.startBroker(ctx, c.settings, words)
	if err != nil {
		return nil, err
	}
	cases, err = c.run(ctx, w, b.address, words)
	if stopped := b.stop(); stopped != nil {
		cases = append(cases, suite.Case{Name: "the broker's end", Outcome: suite.Failed})
		err = errors.Join(err, stopped)
	}
	return cases, err
}
