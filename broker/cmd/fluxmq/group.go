package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"fluxmq/broker/client"

	"github.com/spf13/cobra"
)

func groupCommand() *cobra.Command {
	return commandGroup("group", "List, describe and delete groups, and move their offsets",
		groupListCommand(), groupDescribeCommand(), groupDeleteCommand(), groupResetOffsetsCommand(), groupDeleteOffsetsCommand())
}

func groupListCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List groups",
		Example: `  fluxmq group list
  fluxmq group list --state Empty,Dead --type classic -o json`,
	}
	states := c.Flags().StringSlice("state", nil, "only groups in these states")
	types := c.Flags().StringSlice("type", nil, "only groups of these types: classic, consumer, share, streams")
	completeFlag(c, "state", fixed("Stable", "Empty", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling", "Dead"))
	completeFlag(c, "type", fixed("classic", "consumer", "share", "streams"))
	return clusterCommand(c, cobra.NoArgs, nil, func(c *cobra.Command, k *connection, f format, _ []string) error {
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			groups, err := cluster.ListGroups(ctx, *states, *types)
			if err != nil {
				return err
			}
			t := &table{columns: []column{left("GROUP"), left("TYPE"), left("PROTOCOL"), left("STATE"), right("COORDINATOR")}}
			for _, g := range groups {
				t.add(g.Group, g.Type, g.Protocol, g.State, g.NodeID)
			}
			return emit(c.OutOrStdout(), f, groups, t)
		})
	})
}

func groupDescribeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "describe [NAME...]", Short: "Show groups with their state, members, offsets and lag",
		Long: `Show groups with their state, members, offsets and lag. The table has the
offsets unless --members or --state asks for another; JSON and YAML have it all.`,
		Example: `  fluxmq group describe billing
  fluxmq group describe billing --members
  fluxmq group describe -o json`,
	}
	members := c.Flags().Bool("members", false, "a row for each member")
	state := c.Flags().Bool("state", false, "a row for each group")
	offsets := c.Flags().Bool("offsets", false, "a row for each partition (the default)")
	return clusterCommand(c, cobra.ArbitraryArgs, (*connection).groupNames, func(c *cobra.Command, k *connection, f format, names []string) error {
		asTable := offsetsTable
		switch {
		case *members && *state, *members && *offsets, *state && *offsets:
			return usage(errors.New("give at most one of --members, --state and --offsets"))
		case *members:
			asTable = membersTable
		case *state:
			asTable = statesTable
		}
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			groups, err := cluster.DescribeGroups(ctx, names...)
			return shown(len(groups), err, func() error { return emit(c.OutOrStdout(), f, groups, asTable(groups)) })
		})
	})
}

func offsetsTable(groups []client.Group) *table {
	t := &table{columns: []column{left("GROUP"), left("TOPIC"), right("PARTITION"), right("COMMITTED"), right("LOG-END"), right("LAG"), left("MEMBER"), left("HOST"), left("CLIENT")}}
	for _, g := range groups {
		for _, o := range g.Offsets {
			t.add(g.Group, o.Topic, o.Partition, o.Committed, o.LogEndOffset, o.Lag, o.MemberID, o.Host, o.ClientID)
		}
	}
	return t
}

func membersTable(groups []client.Group) *table {
	t := &table{columns: []column{left("GROUP"), left("MEMBER"), left("INSTANCE"), left("HOST"), left("CLIENT"), right("EPOCH"), right("PARTITIONS"), left("ASSIGNMENT")}}
	for _, g := range groups {
		for _, m := range g.Members {
			assigned := assignmentText(m.Assignment)
			if m.Tasks != nil {
				assigned = tasksText(m.Tasks)
			}
			t.add(g.Group, m.MemberID, m.InstanceID, m.Host, m.ClientID, m.Epoch, m.PartitionCount(), assigned)
		}
	}
	return t
}

// assignmentText is topic:0,1;topic:2.
func assignmentText(assignment []client.TopicPartitions) string {
	var texts []string
	for _, t := range assignment {
		texts = append(texts, t.Topic+":"+cellText(t.Partitions))
	}
	return strings.Join(texts, ";")
}

// tasksText is 0:0,1;1:0;standby 1:2, with the subtopologies' ids.
func tasksText(tasks *client.Tasks) string {
	var texts []string
	for _, kind := range []struct {
		name string
		list []client.SubtopologyTasks
	}{{"", tasks.Active}, {"standby ", tasks.Standby}, {"warmup ", tasks.Warmup}} {
		for _, t := range kind.list {
			texts = append(texts, kind.name+t.Subtopology+":"+cellText(t.Partitions))
		}
	}
	return strings.Join(texts, ";")
}

func statesTable(groups []client.Group) *table {
	t := &table{columns: []column{left("GROUP"), left("TYPE"), left("STATE"), left("ASSIGNOR"), left("COORDINATOR"), right("EPOCH"), right("MEMBERS")}}
	for _, g := range groups {
		t.add(g.Group, g.Type, g.State, g.Assignor, fmt.Sprintf("%s:%d (%d)", g.Coordinator.Host, g.Coordinator.Port, g.Coordinator.ID), g.Epoch, len(g.Members))
	}
	return t
}

// groupResults prints what became of groups or of offsets in them.
func groupResults(c *cobra.Command, f format, results []client.GroupResult, err error) error {
	return shown(len(results), err, func() error {
		t := &table{columns: []column{left("GROUP"), left("TOPIC"), right("PARTITION"), left("STATUS")}}
		for _, r := range results {
			t.add(r.Group, r.Topic, r.Partition, r.Status)
		}
		return emit(c.OutOrStdout(), f, results, t)
	})
}

func groupDeleteCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "delete NAME...", Short: "Delete groups that have no members",
		Example: `  fluxmq group delete billing`,
	}
	return clusterCommand(c, cobra.MinimumNArgs(1), (*connection).groupNames, func(c *cobra.Command, k *connection, f format, names []string) error {
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			results, err := cluster.DeleteGroups(ctx, names...)
			return groupResults(c, f, results, err)
		})
	})
}

func groupDeleteOffsetsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "delete-offsets NAME --topic TOPIC[:PARTITION,...]", Short: "Delete committed offsets of a group",
		Example: `  fluxmq group delete-offsets billing --topic orders --topic payments:0,1`,
	}
	topics := c.Flags().StringArray("topic", nil, "a topic, or TOPIC:0,1 for some partitions; may be repeated")
	return clusterCommand(c, cobra.ExactArgs(1), (*connection).groupNames, func(c *cobra.Command, k *connection, f format, names []string) error {
		selections, err := client.ParseSelections(*topics)
		if err != nil {
			return err
		}
		if len(selections) == 0 {
			return usage(errors.New("name the topics with --topic"))
		}
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			results, err := cluster.DeleteOffsets(ctx, names[0], selections)
			return groupResults(c, f, results, err)
		})
	})
}

// resetFlags are those of group reset-offsets, named as Kafka's tool names them.
type resetFlags struct {
	toEarliest, toLatest, toCurrent               bool
	toOffset, shiftBy                             int64
	toDateTime, byDuration, fromFile              string
	topics                                        []string
	allTopics, allGroups, dryRun, execute, export bool
}

func groupResetOffsetsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "reset-offsets NAME...", Short: "Move the committed offsets of groups",
		Long: `Move the committed offsets of groups that have no members. Without --execute it
only shows what would be committed. Offsets outside the log become its nearer end.`,
		Example: `  fluxmq group reset-offsets billing --topic orders --to-earliest
  fluxmq group reset-offsets billing --topic orders:0,1 --to-datetime 2026-01-31T12:00:00.000 --execute
  fluxmq group reset-offsets billing --all-topics --by-duration PT1H --execute
  fluxmq group reset-offsets billing --all-topics --to-current --export > plan.csv
  fluxmq group reset-offsets billing --from-file plan.csv --execute`,
	}
	r := new(resetFlags)
	p := c.Flags()
	p.BoolVar(&r.toEarliest, "to-earliest", false, "to the first offset")
	p.BoolVar(&r.toLatest, "to-latest", false, "to the end")
	p.BoolVar(&r.toCurrent, "to-current", false, "to what is committed, or the end")
	p.Int64Var(&r.toOffset, "to-offset", 0, "to this offset")
	p.Int64Var(&r.shiftBy, "shift-by", 0, "by so many records forward, or back when negative")
	p.StringVar(&r.toDateTime, "to-datetime", "", "to the first record at or after YYYY-MM-DDTHH:mm:SS.sss (UTC without a zone)")
	p.StringVar(&r.byDuration, "by-duration", "", "to the first record that is no older than PnDTnHnMnS")
	p.StringVar(&r.fromFile, "from-file", "", "to the offsets of a CSV file: topic,partition,offset or group,topic,partition,offset; - is stdin")
	p.StringArrayVar(&r.topics, "topic", nil, "a topic, or TOPIC:0,1 for some partitions; may be repeated")
	p.BoolVar(&r.allTopics, "all-topics", false, "all partitions that the group has committed")
	p.BoolVar(&r.allGroups, "all-groups", false, "all groups")
	p.BoolVar(&r.dryRun, "dry-run", false, "show the offsets and commit nothing (the default)")
	p.BoolVar(&r.execute, "execute", false, "commit the offsets")
	p.BoolVar(&r.export, "export", false, "print the offsets as a CSV file for --from-file")
	return clusterCommand(c, cobra.ArbitraryArgs, (*connection).groupNames, func(c *cobra.Command, k *connection, f format, groups []string) error {
		return r.run(c, k, f, groups, time.Now())
	})
}

// specification reads which one of the reset specifications was given.
func (r *resetFlags) specification(c *cobra.Command, groups []string, now time.Time) (client.Reset, error) {
	given := c.Flags().Changed
	var to client.Reset
	var err error
	count := 0
	choose := func(flag string, is client.ResetTo, value func() (int64, error)) {
		if !given(flag) || err != nil {
			return
		}
		count++
		to.To = is
		if value != nil {
			to.Value, err = value()
		}
	}
	choose("to-earliest", client.ToEarliest, nil)
	choose("to-latest", client.ToLatest, nil)
	choose("to-current", client.ToCurrent, nil)
	choose("shift-by", client.ToShifted, func() (int64, error) { return r.shiftBy, nil })
	choose("to-offset", client.ToOffset, func() (int64, error) {
		if r.toOffset < 0 {
			return 0, fmt.Errorf("--to-offset %d is below 0", r.toOffset)
		}
		return r.toOffset, nil
	})
	choose("to-datetime", client.ToTime, func() (int64, error) { return client.ParseDateTime(r.toDateTime) })
	choose("by-duration", client.ToTime, func() (int64, error) {
		ms, err := client.ParseDuration(r.byDuration)
		return now.UnixMilli() - ms, err
	})
	choose("from-file", client.ToPlanFile, func() (int64, error) {
		to.Plan, err = readPlan(c, r.fromFile, groups)
		return 0, err
	})
	switch {
	case err != nil:
		return to, usage(err)
	case count != 1:
		return to, usage(errors.New("give one of --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, --to-datetime, --by-duration and --from-file"))
	case to.To == client.ToTime && to.Value < 0:
		return to, usage(errors.New("the time is before 1970"))
	case to.To == client.ToPlanFile && (r.allTopics || len(r.topics) > 0):
		return to, usage(errors.New("--from-file names the partitions itself; give neither --topic nor --all-topics"))
	case to.To != client.ToPlanFile && r.allTopics == (len(r.topics) > 0):
		return to, usage(errors.New("give --topic or --all-topics, one of the two"))
	}
	return to, nil
}

// maxPlanFile bounds what is read of a plan file.
const maxPlanFile = 16 << 20

func readPlan(c *cobra.Command, path string, groups []string) (map[string][]client.PartitionOffset, error) {
	in := c.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxPlanFile+1))
	if err != nil {
		return nil, err
	}
	return client.ParsePlan(string(b), groups)
}

func (r *resetFlags) run(c *cobra.Command, k *connection, f format, groups []string, now time.Time) error {
	switch {
	case r.allGroups == (len(groups) > 0):
		return usage(errors.New("name groups or give --all-groups, one of the two"))
	case r.dryRun && r.execute:
		return usage(errors.New("--dry-run and --execute exclude each other"))
	}
	to, err := r.specification(c, groups, now)
	if err != nil {
		return err
	}
	scope := client.ResetScope{AllTopics: r.allTopics}
	if scope.Selections, err = client.ParseSelections(r.topics); err != nil {
		return err
	}
	if !r.dryRun && !r.execute && !r.export {
		c.PrintErrln("warning: nothing is committed without --execute")
	}
	return k.with(c, func(ctx context.Context, cluster *client.Client) error {
		if r.allGroups {
			if groups, err = cluster.GroupNames(ctx, ""); err != nil {
				return err
			}
		}
		rows, err := cluster.ResetOffsets(ctx, groups, scope, to, r.execute)
		return shown(len(rows), err, func() error {
			if r.export {
				_, err := fmt.Fprint(c.OutOrStdout(), client.FormatPlan(rows, groups))
				return err
			}
			t := &table{columns: []column{left("GROUP"), left("TOPIC"), right("PARTITION"), right("PREVIOUS"), right("NEW-OFFSET"), left("NOTE")}}
			for _, row := range rows {
				t.add(row.Group, row.Topic, row.Partition, row.Previous, row.NewOffset, row.Note)
			}
			return emit(c.OutOrStdout(), f, rows, t)
		})
	})
}
