package main

import (
	"context"

	"fluxmq/broker/client"

	"github.com/spf13/cobra"
)

// entityCommands are those of config that talk to a cluster.
func entityCommands() []*cobra.Command {
	return []*cobra.Command{configDescribeCommand(), configSetCommand(), configDeleteCommand(), configListCommand()}
}

// entityArguments completes the entity's type, then its name.
func entityArguments(k *connection) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return client.EntityTypes(), cobra.ShellCompDirectiveNoFileComp
		case len(args) == 1 && args[0] == string(client.TopicEntity):
			return k.topicNames()(c, args, prefix)
		case len(args) == 1 && args[0] == string(client.GroupEntity):
			return k.groupNames()(c, args, prefix)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// entityTypes completes the types of entities.
func entityTypes(*connection) cobra.CompletionFunc { return fixed(client.EntityTypes()...) }

func configDescribeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "describe TYPE NAME [KEY...]", Short: "Show the settings of a topic, broker, group or client metrics subscription",
		Long: `Show the settings of a topic, broker, group or client metrics subscription:
those that somebody set, or with --all or by their keys the others, too. The
broker named default is every broker.`,
		Example: `  fluxmq config describe topic orders
  fluxmq config describe topic orders retention.ms segment.bytes
  fluxmq config describe broker 0 --all -o json
  fluxmq config describe group billing`,
	}
	all := c.Flags().Bool("all", false, "settings at their default, too")
	documented := c.Flags().Bool("documentation", false, "with JSON and YAML, what each setting means and where its value comes from")
	return clusterCommand(c, cobra.MinimumNArgs(2), entityArguments, func(c *cobra.Command, k *connection, f format, args []string) error {
		entity, err := client.ParseEntity(args[0], args[1])
		if err != nil {
			return err
		}
		keys := args[2:]
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			configs, err := cluster.DescribeConfigs(ctx, entity, *documented, keys...)
			if err != nil {
				return err
			}
			chosen := []client.Config{}
			t := &table{columns: []column{left("KEY"), left("VALUE"), left("SOURCE"), left("TYPE")}}
			for _, config := range configs {
				if !*all && len(keys) == 0 && !config.IsAltered() {
					continue
				}
				chosen = append(chosen, config)
				value := cellText(config.Value)
				if config.Sensitive {
					value = "(sensitive)"
				}
				t.add(config.Key, value, config.Source, config.Type)
			}
			return emit(c.OutOrStdout(), f, chosen, t)
		})
	})
}

func configSetCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "set TYPE NAME KEY=VALUE...", Short: "Set settings of a topic, broker, group or client metrics subscription",
		Example: `  fluxmq config set topic orders retention.ms=86400000 cleanup.policy=compact
  fluxmq config set broker default log.retention.ms=86400000`,
	}
	validateOnly := c.Flags().Bool("validate-only", false, "check the values and set nothing")
	return clusterCommand(c, cobra.MinimumNArgs(3), entityArguments, func(c *cobra.Command, k *connection, f format, args []string) error {
		values, err := keyValues("setting", args[2:])
		if err != nil {
			return err
		}
		return alterEntity(c, k, f, args, values, nil, *validateOnly)
	})
}

func configDeleteCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "delete TYPE NAME KEY...", Short: "Take settings back to what is below them, the default at last",
		Example: `  fluxmq config delete topic orders retention.ms`,
	}
	validateOnly := c.Flags().Bool("validate-only", false, "check the keys and delete nothing")
	return clusterCommand(c, cobra.MinimumNArgs(3), entityArguments, func(c *cobra.Command, k *connection, f format, args []string) error {
		return alterEntity(c, k, f, args, nil, args[2:], *validateOnly)
	})
}

func alterEntity(c *cobra.Command, k *connection, f format, args []string, set map[string]string, remove []string, validateOnly bool) error {
	entity, err := client.ParseEntity(args[0], args[1])
	if err != nil {
		return err
	}
	return k.with(c, func(ctx context.Context, cluster *client.Client) error {
		results, err := cluster.AlterConfigs(ctx, entity, set, remove, validateOnly)
		return shown(len(results), err, func() error {
			t := &table{columns: []column{left("TYPE"), left("NAME"), left("KEY"), left("VALUE"), left("STATUS")}}
			for _, r := range results {
				t.add(r.Type, r.Name, r.Key, r.Value, r.Status)
			}
			return emit(c.OutOrStdout(), f, results, t)
		})
	})
}

func configListCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "list [TYPE]", Short: "List topics, brokers, groups or client metrics subscriptions with what is set on them",
		Example: `  fluxmq config list topic
  fluxmq config list group -o json`,
	}
	return clusterCommand(c, cobra.MaximumNArgs(1), entityTypes, func(c *cobra.Command, k *connection, f format, args []string) error {
		kind := client.TopicEntity
		if len(args) == 1 {
			entity, err := client.ParseEntity(args[0], "0") // only the type is of interest
			if err != nil {
				return err
			}
			kind = entity.Type
		}
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			listed, err := cluster.ListEntities(ctx, kind)
			if err != nil {
				return err
			}
			t := &table{columns: []column{left("TYPE"), left("NAME"), left("ALTERED")}}
			for _, e := range listed {
				t.add(e.Type, e.Name, settingsText(e.Altered))
			}
			return emit(c.OutOrStdout(), f, listed, t)
		})
	})
}
