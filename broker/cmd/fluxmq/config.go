package main

import (
	"fmt"
	"text/tabwriter"

	"fluxmq/broker/config"

	"github.com/spf13/cobra"
)

func configCommand(f *flags) *cobra.Command {
	var origin bool
	show := &cobra.Command{
		Use: "show [server.properties]", Short: "Print the settings that the broker would run with",
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return showConfig(c, f, args, origin) },
	}
	show.Flags().BoolVar(&origin, "origin", false, "say where each value comes from, and list defaults too")
	brokerFlags(show, f)
	check := &cobra.Command{
		Use: "check FILE", Short: "Check a server.properties file", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			_, warnings, err := config.Load(config.Sources{File: args[0], Strict: f.strict})
			if err != nil {
				return usage(err)
			}
			for _, w := range warnings {
				fmt.Fprintln(c.OutOrStdout(), "warning:", w.Text)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: ok, %d warnings\n", args[0], len(warnings))
			return err
		},
	}
	check.Flags().BoolVar(&f.strict, "strict-config", false, "refuse settings that are not known")
	keys := &cobra.Command{
		Use: "keys", Short: "List every setting with its default and meaning (Markdown)", Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(c.OutOrStdout(), config.Markdown())
			return err
		},
	}
	return commandGroup("config", "Check and show a broker's settings; describe and alter those of a cluster",
		append([]*cobra.Command{show, check, keys}, entityCommands()...)...)
}

// showConfig prints what was set, or with origin every setting and its source.
func showConfig(c *cobra.Command, f *flags, args []string, origin bool) error {
	from, err := f.sources(c, args)
	if err != nil {
		return err
	}
	settings, _, err := config.Load(from)
	if err != nil {
		return usage(err)
	}
	out := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, e := range config.DescribeBroker(settings) {
		value := ""
		if e.Value != nil {
			value = *e.Value
		}
		if origin {
			fmt.Fprintf(out, "%s=%s\t%s\n", e.Setting.Name, value, originOf(e.Source))
		} else if e.Source != config.DefaultConfig {
			fmt.Fprintf(out, "%s=%s\n", e.Setting.Name, value)
		}
	}
	return out.Flush()
}

// originOf is a source in words.
func originOf(s config.Source) string {
	if s == config.DefaultConfig {
		return "default"
	}
	return "file, environment, override or flag"
}
