package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fluxmq/loadgen"
	"fluxmq/reports"
	"fluxmq/scenarios"
)

// printTable is the short table for a person.
func printTable(out io.Writer, r reports.ClientResult, dir string) error {
	totals, err := loadgen.ReadIntervalLog(filepath.Join(dir, r.LatencyLog))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	seconds := float64(r.DeliveredUnixNs-r.WindowStartUnixNs) / 1e9
	row("client", "%s (%s)", r.ClientVersion, r.Runtime)
	row("scenario", "%s, %s form", r.Scenario, r.Form)
	row("warm-up", "%.1f s, %s", r.WarmUp.Seconds, r.WarmUp.Reason)
	if r.DeliveredUnixNs != 0 && r.Ledger.Proven() {
		row("delivered", "%.0f records/s, %.1f MB/s (%d records in %.2f s)", r.DeliveredRate, float64(r.RawBytes)/1e6/seconds, r.Records, seconds)
	} else {
		row("delivered", "not proven")
	}
	row("client rate", "%.0f records/s", r.ClientRate)
	if r.Records > 0 {
		row("client CPU", "%.0f ns a record", float64(r.CPUUserNs+r.CPUSystemNs)/float64(r.Records))
	}
	row("compressed", "%.3f of raw (%s), %d batches", r.CompressedRatio, r.RatioSource, r.Batches)
	for _, tag := range slices.Sorted(func(yield func(string) bool) {
		for tag := range totals {
			if !yield(tag) {
				return
			}
		}
	}) {
		h := totals[tag]
		at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)).Round(time.Microsecond) }
		row(tag+" latency", "p50 %v, p99 %v, p99.9 %v, max %v", at(50), at(99), at(99.9), time.Duration(h.Max()).Round(time.Microsecond))
	}
	l := r.Ledger
	row("ledger", "expected %d, read %d, lost %d, duplicated %d, reordered %d, corrupt %d", l.Expected, l.Read, l.Lost, l.Duplicated, l.Reordered, l.Corrupt)
	if r.SendErrors > 0 {
		row("send errors", "%d, the first: %s", r.SendErrors, r.FirstSendError)
	}
	if l.FailureText != "" {
		row("read back", "%s", l.FailureText)
	}
	for _, f := range l.Findings[:min(len(l.Findings), 10)] {
		row(f.Kind, "partition %d offset %d: %d records of producer %d, sequences %d to %d", f.Partition, f.Offset, f.Count, f.Producer, f.FirstSequence, f.LastSequence)
	}
	if len(r.Unmapped) > 0 {
		row("no counterpart", "%s", strings.Join(r.Unmapped, ", "))
	}
	return w.Flush()
}

func listCommand() *cobra.Command {
	var directory string
	cmd := &cobra.Command{
		Use: "list", Short: "List the scenarios and the questions they answer",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unexpected argument %q", args[0])}
			}
			all, err := scenarios.Catalog{Dir: directory}.List()
			if err != nil {
				return usageError{err}
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, s := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, strings.Join(s.Clients, ","), s.Question)
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&directory, "scenarios", "", "directory whose scenarios come before the built-in ones")
	return cmd
}
