package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fluxmq/profiles"
	"fluxmq/reports"
	"fluxmq/reports/formats"
	"fluxmq/scenarios"
	"fluxmq/tools/limits"
	"fluxmq/tools/runner"

	"os"
)

func (a *app) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List scenarios and profiles", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := scenarios.List()
			if err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, "Scenarios")
			for _, s := range all {
				form := ""
				if s.HasSeedExact() {
					form = " [--seed-exact]"
				}
				fmt.Fprintf(a.stdout, "  %-14s %s\n  %-14s clients %s%s\n", s.Name, s.Question, "", strings.Join(s.Clients, ", "), form)
			}
			fmt.Fprintln(a.stdout, "\nProfiles")
			for _, name := range profiles.Names() {
				p, err := profiles.Load(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.stdout, "  %-14s %s\n  %-14s needs %s\n", p.Name, p.Description, "", p.Needs)
			}
			return nil
		},
	}
}

func (a *app) report() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "report PATH", Short: "Show a stored result or a trial again: terminal, markdown or html on standard output", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			stored, err := loadStored(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			switch format {
			case "terminal":
				return stored.terminal(a.stdout)
			case "markdown", "html":
				return stored.export(format, "", func(file formats.File) error { return file.Write(a.stdout) })
			}
			return &usageError{fmt.Errorf("--format is terminal, markdown or html, got %q", format)}
		},
	}
	cmd.Flags().StringVar(&format, "format", "terminal", "terminal, markdown or html")
	return cmd
}

func (a *app) schema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of result.json", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := reports.GenerateSchema()
			if err != nil {
				return err
			}
			_, err = a.stdout.Write(text)
			return err
		},
	}
}

func (a *app) kafkaLibs() *cobra.Command {
	return &cobra.Command{
		Use: "kafka-libs", Short: "Fetch Apache Kafka's jars with Maven, once, and print their folder", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checkout, err := runner.FindCheckout(cmd.Context(), ".")
			if err != nil {
				return err
			}
			libs, err := runner.KafkaLibs(cmd.Context(), checkout)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.stdout, libs)
			return err
		},
	}
}

func (a *app) limits() *cobra.Command {
	var rounds int
	var megabytes int64
	var asJSON bool
	cmd := &cobra.Command{
		Use: "limits", Short: "Measure the ideal loop: receive, CRC-32C, write; no protocol", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rounds < 1 || megabytes < 1 {
				return &usageError{errors.New("--rounds and --megabytes must be at least 1")}
			}
			base := os.TempDir()
			if checkout, err := runner.FindCheckout(cmd.Context(), "."); err == nil {
				base = checkout.Cache()
			}
			dir, err := limits.Dir(base)
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			rows, err := limits.Measure(cmd.Context(), self, dir, []int{1 << 20, 256 << 10, 16 << 10, 1 << 10}, megabytes<<20, rounds)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(a.stdout).Encode(rows)
			}
			fmt.Fprintln(a.stdout, "chunk bytes   CPU-s/GB (min–max)          CPU-µs per chunk (min–max)   GB/s")
			for _, r := range rows {
				fmt.Fprintf(a.stdout, "%11d   %.3f (%.3f–%.3f)         %9.2f (%.2f–%.2f)      %.2f\n", r.ChunkBytes,
					r.CPUSecondsPerGB.Median, r.CPUSecondsPerGB.Min, r.CPUSecondsPerGB.Max, r.CPUMicrosPerWork.Median, r.CPUMicrosPerWork.Min, r.CPUMicrosPerWork.Max, r.GBPerSecond.Median)
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&rounds, "rounds", 5, "rounds")
	cmd.Flags().Int64Var(&megabytes, "megabytes", 1024, "MiB a round and chunk size")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) limitsSink() *cobra.Command {
	return &cobra.Command{
		Use: "limits-sink DIR CHUNK", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			chunk, err := strconv.Atoi(args[1])
			if err != nil {
				return &usageError{err}
			}
			return limits.Sink(args[0], chunk, a.stdout)
		},
	}
}
