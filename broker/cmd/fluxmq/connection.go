package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"fluxmq/broker/client"
	"fluxmq/broker/config"
	"fluxmq/broker/node"

	"github.com/spf13/cobra"
)

// bootstrapVariable names the cluster where --bootstrap-server does not.
const bootstrapVariable = "FLUXMQ_BOOTSTRAP"

// connection is the flags that every command has which talks to a cluster.
type connection struct {
	bootstrap, commandConfig string
	timeout                  time.Duration
}

func connectionFlags(c *cobra.Command) *connection {
	k := new(connection)
	c.Flags().StringVar(&k.bootstrap, "bootstrap-server", "localhost:9092", "host:port of brokers, separated by commas; also "+bootstrapVariable)
	c.Flags().DurationVar(&k.timeout, "timeout", client.DefaultTimeout, "how long to wait for the cluster")
	c.Flags().StringVar(&k.commandConfig, "command-config", "", "properties file of the client")
	completeFlag(c, "bootstrap-server", cobra.NoFileCompletions)
	completeFlag(c, "timeout", cobra.NoFileCompletions)
	return k
}

// options are what the flags, the environment and the properties file say, in
// this order of precedence.
func (k *connection) options(c *cobra.Command) (client.Options, error) {
	o := client.Options{Timeout: k.timeout, Version: node.Version}
	if k.timeout <= 0 {
		return o, usage(fmt.Errorf("--timeout %s is not above 0", k.timeout))
	}
	if k.commandConfig != "" {
		if err := k.readCommandConfig(c, &o); err != nil {
			return o, err
		}
	}
	switch named := os.Getenv(bootstrapVariable); {
	case c.Flags().Changed("bootstrap-server"):
		o.Bootstrap = k.bootstrap
	case named != "":
		o.Bootstrap = named
	case o.Bootstrap == "":
		o.Bootstrap = k.bootstrap
	}
	return o, nil
}

// supportedProperties are the keys of --command-config that do something.
const supportedProperties = "bootstrap.servers, client.id, default.api.timeout.ms, request.timeout.ms and security.protocol=PLAINTEXT"

// readCommandConfig takes the keys of a Kafka client's properties file that
// apply here. Keys of TLS and SASL are refused: a connection without them
// would not be the one that was asked for. Any other key is named and ignored,
// as Kafka's tools do with keys that they do not know.
func (k *connection) readCommandConfig(c *cobra.Command, o *client.Options) error {
	f, err := os.Open(k.commandConfig)
	if err != nil {
		return usage(fmt.Errorf("--command-config: %w", err))
	}
	defer f.Close()
	properties, err := config.ParseProperties(f)
	if err != nil {
		return usage(fmt.Errorf("--command-config %s: %w", k.commandConfig, err))
	}
	var ignored []string
	for _, p := range properties {
		value := strings.TrimSpace(p.Value)
		switch {
		case p.Key == "bootstrap.servers":
			o.Bootstrap = value
		case p.Key == "client.id":
			o.ClientID = value
		case p.Key == "default.api.timeout.ms", p.Key == "request.timeout.ms":
			ms, err := strconv.ParseInt(value, 10, 32)
			if err != nil || ms <= 0 {
				return usage(fmt.Errorf("--command-config %s, line %d: %s=%s is no number of milliseconds", k.commandConfig, p.Line, p.Key, value))
			}
			if !c.Flags().Changed("timeout") {
				o.Timeout = time.Duration(ms) * time.Millisecond
			}
		case p.Key == "security.protocol" && strings.EqualFold(value, "PLAINTEXT"):
		case p.Key == "security.protocol", strings.HasPrefix(p.Key, "ssl."), strings.HasPrefix(p.Key, "sasl."):
			return usage(fmt.Errorf("--command-config %s, line %d: %s: TLS and SASL are not supported by this client, which knows %s",
				k.commandConfig, p.Line, p.Key, supportedProperties))
		default:
			ignored = append(ignored, p.Key)
		}
	}
	if len(ignored) > 0 {
		c.PrintErrf("warning: --command-config: %s: ignored; known are %s\n", strings.Join(ignored, ", "), supportedProperties)
	}
	return nil
}

// with runs do with a client of the cluster.
func (k *connection) with(c *cobra.Command, do func(context.Context, *client.Client) error) error {
	o, err := k.options(c)
	if err != nil {
		return err
	}
	cluster, err := client.Connect(c.Context(), o)
	if err != nil {
		return err
	}
	defer cluster.Close()
	return do(c.Context(), cluster)
}

// clusterCommand makes c a command that talks to a cluster and prints one
// document. complete completes its arguments; nil is nothing. The caller may
// register more flags on c.
func clusterCommand(c *cobra.Command, args cobra.PositionalArgs, complete func(*connection) cobra.CompletionFunc, run func(c *cobra.Command, k *connection, f format, args []string) error) *cobra.Command {
	k := connectionFlags(c)
	f := outputFlag(c, oneDocument)
	c.Args = arguments(args)
	c.ValidArgsFunction = cobra.NoFileCompletions
	if complete != nil {
		c.ValidArgsFunction = complete(k)
	}
	c.RunE = func(c *cobra.Command, args []string) error { return run(c, k, *f, args) }
	return c
}

// commandGroup is a command that only has others.
func commandGroup(name, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: name, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Errorf("%q is no command of %q; see %s --help", args[0], c.CommandPath(), c.CommandPath()))
			}
			return c.Help()
		},
	}
	c.AddCommand(commands...)
	return c
}

// arguments makes what cobra finds wrong with the arguments an error of usage.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error { return usage(check(c, args)) }
}

// keyValues reads key=value texts; the value may hold more "=".
func keyValues(flag string, texts []string) (map[string]string, error) {
	values := map[string]string{}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if _, twice := values[key]; !ok || key == "" || twice {
			return nil, usage(fmt.Errorf("%s %q: write key=value, each key once", flag, text))
		}
		values[key] = value
	}
	return values, nil
}
