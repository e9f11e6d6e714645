// Command fluxmq is the broker: without a subcommand it serves until SIGTERM
// or SIGINT. Its subcommands look at settings and at files of the log, and
// administer a cluster over the wire. It reads flags and environment, and
// nothing below it does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"fluxmq/broker/client"
	"fluxmq/broker/config"
	"fluxmq/broker/fault"
	"fluxmq/broker/loglevel"
	"fluxmq/broker/node"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitError = 1 // the broker could not start or failed, or refused what was asked of it
	exitUsage = 2 // the command line or the settings are wrong
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "fluxmq:", err)
	os.Exit(exitCode(err))
}

// exitCode tells what the caller got wrong from what went wrong.
func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(usageError)), errors.Is(err, client.ErrInput):
		return exitUsage
	}
	return exitError
}

// usageError is what the caller got wrong, as opposed to what went wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// flags say where a broker's settings come from; the root command has them,
// and those that show what a broker would run with.
type flags struct {
	port, brokerID               int
	groups, insecure, strict     bool
	logLevel, logFormat, dataDir string
	file, portsFile              string
	overrides                    []string
}

func newRoot() *cobra.Command {
	f := new(flags)
	root := &cobra.Command{
		Use:   "fluxmq [server.properties]",
		Short: "A Kafka-compatible broker in one binary",
		Long: `fluxmq serves the Kafka protocol on 127.0.0.1:9092 and keeps its data in ./data.

Settings have Kafka's names. They come from flags, --override, the environment
(KAFKA_LOG_RETENTION_MS is log.retention.ms), a server.properties file and the
defaults, in this order. "fluxmq config keys" lists them.`,
		Version:       node.Version + " (commit " + node.Commit + ")",
		Args:          func(c *cobra.Command, args []string) error { return usage(cobra.MaximumNArgs(1)(c, args)) },
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, args []string) error { return serve(c, f, args) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	brokerFlags(root, f)
	root.Flags().StringVar(&f.portsFile, "ports-file", "", "write the addresses listened on to this file, one a line, when they accept")
	root.AddCommand(versionCommand(), configCommand(f), topicCommand(), groupCommand(), logCommand(), produceCommand(), consumeCommand())
	return root
}

// brokerFlags registers the flags on a command.
func brokerFlags(c *cobra.Command, f *flags) {
	p := c.Flags()
	p.IntVar(&f.port, "port", 9092, "port of the Kafka listener; 0 takes a free one")
	p.BoolVar(&f.groups, "enable-consumer-groups", true, "coordinate consumer groups")
	p.StringVar(&f.logLevel, "log-level", "info", "trace, debug, info, warn or error")
	p.StringVar(&f.logFormat, "log-format", "text", "text or json")
	p.StringVar(&f.dataDir, "data-dir", "./data", "directory of the data, or several, comma-separated (log.dirs)")
	p.IntVar(&f.brokerID, "broker-id", 0, "id of this node (node.id)")
	p.StringVarP(&f.file, "config", "c", "", "a server.properties file")
	p.StringArrayVar(&f.overrides, "override", nil, "a setting as key=value; may be repeated")
	p.BoolVar(&f.insecure, "insecure", false, "allow a listener beyond loopback although nothing authenticates clients")
	p.BoolVar(&f.strict, "strict-config", false, "refuse settings that are not known")
}

// sources gathers where settings come from; only flags that were given count.
func (f *flags) sources(c *cobra.Command, args []string) (config.Sources, error) {
	from := config.Sources{File: f.file, Env: os.Environ(), Overrides: f.overrides, Strict: f.strict}
	// These look like settings, and are none.
	from.Env = slices.DeleteFunc(from.Env, func(v string) bool {
		return strings.HasPrefix(v, bootstrapVariable+"=") || fault.Built && strings.HasPrefix(v, "FLUXMQ_FAULT=")
	})
	if len(args) == 1 {
		if f.file != "" {
			return from, usage(errors.New("name the settings file once: with --config or as the argument"))
		}
		from.File = args[0]
	}
	given := c.Flags().Changed
	if given("port") {
		from.Flags.Port = &f.port
	}
	if given("data-dir") {
		from.Flags.DataDir = &f.dataDir
	}
	if given("broker-id") {
		id := int32(f.brokerID)
		if int(id) != f.brokerID {
			return from, usage(fmt.Errorf("--broker-id %d does not fit 32 bits", f.brokerID))
		}
		from.Flags.BrokerID = &id
	}
	if given("log-level") {
		from.Flags.LogLevel = &f.logLevel
	}
	if given("log-format") {
		from.Flags.LogFormat = &f.logFormat
	}
	if given("enable-consumer-groups") {
		from.Flags.EnableConsumerGroups = &f.groups
	}
	if given("insecure") {
		from.Flags.Insecure = &f.insecure
	}
	return from, nil
}

// serve runs the broker until the context ends.
func serve(c *cobra.Command, f *flags, args []string) error {
	from, err := f.sources(c, args)
	if err != nil {
		return err
	}
	settings, warnings, err := config.Load(from)
	if err != nil {
		return usage(err)
	}
	level, _ := loglevel.ParseAnyCase(settings.LogLevel) // checked by Load
	levels := loglevel.New(level, loglevel.Trace)
	lines := newLogger(os.Stderr, settings.LogFormat)
	log := levels.Logger("fluxmq.main", lines.Handler())
	for _, w := range warnings {
		log.Warn(w.Text)
	}
	if fault.Built {
		notice, err := fault.Start(os.Getenv("FLUXMQ_FAULT"))
		if err != nil {
			return usage(err)
		}
		log.Warn(notice)
	}
	n, err := node.Open(node.Options{Settings: settings, Log: lines, Levels: levels})
	if err != nil {
		return err
	}
	if f.portsFile != "" {
		if err := writePorts(f.portsFile, n); err != nil {
			return errors.Join(err, n.Close())
		}
	}
	return n.Run(c.Context())
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print version, commit and Go version", Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), node.Build())
			return err
		},
	}
}
