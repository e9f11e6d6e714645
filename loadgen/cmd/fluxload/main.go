// Command fluxload is the Go load client: one job in, events on standard
// output, client-result.json and latency.hlog in the output directory. See
// docs/load-contract.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"fluxmq/loadgen"
)

// stopLimit is how long an interrupted run may take to close its connections.
const stopLimit = 4 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		time.AfterFunc(stopLimit, func() { os.Exit(loadgen.ExitInterrupted) })
	})
	os.Exit(execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
