package main

import (
	"context"
	"time"

	"fluxmq/broker/client"

	"github.com/spf13/cobra"
)

// completionTimeout is how long a person who pressed TAB waits for names.
const completionTimeout = time.Second

// completeFlag says what completes a flag's value.
func completeFlag(c *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the flag is not there, or has one already
	}
}

// fixed completes from a list.
func fixed(choices ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)
}

// names completes from the cluster: whatever goes wrong, or lasts longer than
// a second, completes nothing.
func (k *connection) names(list func(context.Context, *client.Client, string) ([]string, error)) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		const noFiles = cobra.ShellCompDirectiveNoFileComp
		ctx, cancel := context.WithTimeout(c.Context(), completionTimeout)
		defer cancel()
		o, err := k.options(c)
		if err != nil {
			return nil, noFiles
		}
		o.Timeout = completionTimeout
		cluster, err := client.Connect(ctx, o)
		if err != nil {
			return nil, noFiles
		}
		defer cluster.Close()
		found, err := list(ctx, cluster, prefix)
		if err != nil {
			return nil, noFiles
		}
		return found, noFiles
	}
}

func (k *connection) topicNames() cobra.CompletionFunc {
	return k.names(func(ctx context.Context, cluster *client.Client, prefix string) ([]string, error) {
		return cluster.TopicNames(ctx, prefix)
	})
}

func (k *connection) groupNames() cobra.CompletionFunc {
	return k.names(func(ctx context.Context, cluster *client.Client, prefix string) ([]string, error) {
		return cluster.GroupNames(ctx, prefix)
	})
}
