package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"fluxmq/broker/client"

	"github.com/spf13/cobra"
)

func topicCommand() *cobra.Command {
	return commandGroup("topic", "List, create, describe, alter and delete topics",
		topicListCommand(), topicCreateCommand(), topicDescribeCommand(), topicAlterCommand(), topicDeleteCommand(),
		topicAddPartitionsCommand(), topicDeleteRecordsCommand(), topicOffsetsCommand())
}

func topicListCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List topics",
		Example: `  fluxmq topic list
  fluxmq topic list --exclude-internal -o json --bootstrap-server kafka:9092`,
	}
	excludeInternal := c.Flags().Bool("exclude-internal", false, "leave out topics of the cluster itself")
	return clusterCommand(c, cobra.NoArgs, nil, func(c *cobra.Command, k *connection, f format, _ []string) error {
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			topics, err := cluster.ListTopics(ctx, !*excludeInternal)
			if err != nil {
				return err
			}
			t := &table{columns: []column{left("TOPIC"), right("PARTITIONS"), right("REPLICATION"), left("INTERNAL")}}
			for _, topic := range topics {
				t.add(topic.Topic, topic.PartitionCount, topic.ReplicationFactor, topic.Internal)
			}
			return emit(c.OutOrStdout(), f, topics, t)
		})
	})
}

func topicCreateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "create NAME...", Short: "Create topics",
		Example: `  fluxmq topic create orders
  fluxmq topic create orders --partitions 12 --config cleanup.policy=compact --config segment.ms=3600000
  fluxmq topic create orders --if-not-exists`,
	}
	as := client.NewTopic{}
	var configs []string
	c.Flags().Int32VarP(&as.Partitions, "partitions", "p", -1, "number of partitions; -1 is the broker's num.partitions")
	c.Flags().Int16VarP(&as.Replication, "replication-factor", "r", -1, "replicas of each partition; -1 is the broker's default.replication.factor")
	c.Flags().StringArrayVar(&configs, "config", nil, "a setting as key=value; may be repeated")
	c.Flags().BoolVar(&as.IfNotExists, "if-not-exists", false, "a topic that exists is no error")
	c.Flags().BoolVar(&as.ValidateOnly, "validate-only", false, "check the request and create nothing")
	return clusterCommand(c, cobra.MinimumNArgs(1), nil, func(c *cobra.Command, k *connection, f format, names []string) error {
		var err error
		if as.Configs, err = keyValues("--config", configs); err != nil {
			return err
		}
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			results, err := cluster.CreateTopics(ctx, as, names...)
			return shown(len(results), err, func() error {
				t := &table{columns: []column{left("TOPIC"), left("STATUS"), right("PARTITIONS"), right("REPLICATION"), left("ID")}}
				for _, r := range results {
					if r.PartitionCount > 0 {
						t.add(r.Topic, r.Status, r.PartitionCount, r.ReplicationFactor, r.TopicID)
					} else {
						t.add(r.Topic, r.Status, "", "", "")
					}
				}
				return emit(c.OutOrStdout(), f, results, t)
			})
		})
	})
}

func topicDescribeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "describe [NAME...]", Short: "Show topics with their partitions and altered settings",
		Example: `  fluxmq topic describe orders
  fluxmq topic describe -o yaml`,
	}
	return clusterCommand(c, cobra.ArbitraryArgs, (*connection).topicNames, func(c *cobra.Command, k *connection, f format, names []string) error {
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			topics, err := cluster.DescribeTopics(ctx, names...)
			if err != nil {
				return err
			}
			summary := &table{columns: []column{left("TOPIC"), left("ID"), right("PARTITIONS"), right("REPLICATION"), left("CONFIGS")}}
			partitions := &table{columns: []column{left("TOPIC"), right("PARTITION"), right("LEADER"), right("EPOCH"), left("REPLICAS"), left("ISR"), left("OFFLINE")}}
			for _, topic := range topics {
				summary.add(topic.Topic, topic.TopicID, topic.PartitionCount, topic.ReplicationFactor, settingsText(topic.Configs))
				for _, p := range topic.Partitions {
					partitions.add(topic.Topic, p.Partition, p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, p.OfflineReplicas)
				}
			}
			return emit(c.OutOrStdout(), f, topics, summary, partitions)
		})
	})
}

// settingsText is key=value,… in the order of the keys.
func settingsText(settings map[string]string) string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		texts = append(texts, key+"="+settings[key])
	}
	return strings.Join(texts, ",")
}

func topicAlterCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "alter NAME...", Short: "Change the number of partitions and the settings of topics",
		Example: `  fluxmq topic alter orders --partitions 24
  fluxmq topic alter orders --config retention.ms=86400000 --delete-config segment.ms`,
	}
	partitions := c.Flags().IntP("partitions", "p", 0, "number of partitions in total; only more than there are")
	set := c.Flags().StringArray("config", nil, "a setting as key=value; may be repeated")
	remove := c.Flags().StringSlice("delete-config", nil, "settings that go back to the broker's")
	validateOnly := c.Flags().Bool("validate-only", false, "check the request and change nothing")
	return clusterCommand(c, cobra.MinimumNArgs(1), (*connection).topicNames, func(c *cobra.Command, k *connection, f format, names []string) error {
		values, err := keyValues("--config", *set)
		if err != nil {
			return err
		}
		if !c.Flags().Changed("partitions") && len(values)+len(*remove) == 0 {
			return usage(errors.New("name what to alter: --partitions, --config or --delete-config"))
		}
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			return alterTopics(ctx, c, cluster, f, names, topicChange{c.Flags().Changed("partitions"), *partitions, values, *remove, *validateOnly})
		})
	})
}

// topicChange is what topic alter was asked for.
type topicChange struct {
	grow         bool
	partitions   int
	set          map[string]string
	remove       []string
	validateOnly bool
}

// alteredTopics is the document of topic alter.
type alteredTopics struct {
	Partitions []client.TopicResult   `json:"partitions,omitempty"`
	Configs    []client.AlteredConfig `json:"configs,omitempty"`
}

func alterTopics(ctx context.Context, c *cobra.Command, cluster *client.Client, f format, names []string, change topicChange) error {
	var done alteredTopics
	var err error
	if change.grow {
		done.Partitions, err = cluster.AlterTopics(ctx, change.partitions, 0, change.validateOnly, names...)
	}
	if err == nil && len(change.set)+len(change.remove) > 0 {
		for _, name := range names {
			configs, configErr := cluster.AlterConfigs(ctx, client.Entity{Type: client.TopicEntity, Name: name}, change.set, change.remove, change.validateOnly)
			done.Configs = append(done.Configs, configs...)
			if err == nil {
				err = configErr
			}
		}
	}
	return shown(len(done.Partitions)+len(done.Configs), err, func() error {
		t := &table{columns: []column{left("TOPIC"), left("WHAT"), left("STATUS")}}
		for _, r := range done.Partitions {
			t.add(r.Topic, "partitions", r.Status)
		}
		for _, r := range done.Configs {
			t.add(r.Name, r.Key, r.Status)
		}
		return emit(c.OutOrStdout(), f, done, t)
	})
}

// topicResults prints what became of topics.
func topicResults(c *cobra.Command, f format, results []client.TopicResult, err error) error {
	return shown(len(results), err, func() error {
		t := &table{columns: []column{left("TOPIC"), left("STATUS")}}
		for _, r := range results {
			t.add(r.Topic, r.Status)
		}
		return emit(c.OutOrStdout(), f, results, t)
	})
}

func topicDeleteCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "delete NAME...", Short: "Delete topics with all their records",
		Example: `  fluxmq topic delete orders
  fluxmq topic delete orders payments --if-exists`,
	}
	ifExists := c.Flags().Bool("if-exists", false, "a topic that does not exist is no error")
	return clusterCommand(c, cobra.MinimumNArgs(1), (*connection).topicNames, func(c *cobra.Command, k *connection, f format, names []string) error {
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			results, err := cluster.DeleteTopics(ctx, *ifExists, names...)
			return topicResults(c, f, results, err)
		})
	})
}

func topicAddPartitionsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "add-partitions NAME...", Short: "Add partitions to topics",
		Long: `Add partitions to topics. Records that are there stay where they are, and keys
of new records may go to other partitions than before.`,
		Example: `  fluxmq topic add-partitions orders --add 4
  fluxmq topic add-partitions orders payments --total 12`,
	}
	add := c.Flags().Int("add", 0, "how many partitions are added to each topic")
	total := c.Flags().Int("total", 0, "how many partitions each topic has afterwards")
	validateOnly := c.Flags().Bool("validate-only", false, "check the request and change nothing")
	return clusterCommand(c, cobra.MinimumNArgs(1), (*connection).topicNames, func(c *cobra.Command, k *connection, f format, names []string) error {
		if *add < 0 || *total < 0 || (*add == 0) == (*total == 0) {
			return usage(errors.New("give one of --add and --total, at least 1"))
		}
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			results, err := cluster.AlterTopics(ctx, *total, *add, *validateOnly, names...)
			return topicResults(c, f, results, err)
		})
	})
}

func topicDeleteRecordsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "delete-records [TOPIC[:PARTITION,...]...]", Short: "Delete the records below an offset",
		Example: `  fluxmq topic delete-records orders:0,1 --offset 5000
  fluxmq topic delete-records orders --offset -1
  fluxmq topic delete-records --offset-json-file offsets.json`,
	}
	offset := c.Flags().Int64("offset", 0, "records below this offset go; -1 is the high watermark: all of them")
	file := c.Flags().String("offset-json-file", "", `Kafka's {"partitions": [{"topic": "orders", "partition": 0, "offset": 5000}], "version": 1}`)
	return clusterCommand(c, cobra.ArbitraryArgs, (*connection).topicNames, func(c *cobra.Command, k *connection, f format, args []string) error {
		selections, err := client.ParseSelections(args)
		if err != nil {
			return err
		}
		if named := len(selections) > 0; named != c.Flags().Changed("offset") || named == (*file != "") {
			return usage(errors.New("give topics with --offset, or --offset-json-file"))
		}
		var before []client.PartitionOffset
		if *file != "" {
			if before, err = readOffsets(*file); err != nil {
				return usage(err)
			}
		}
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			if *file == "" {
				partitions, err := cluster.ResolvePartitions(ctx, selections)
				if err != nil {
					return err
				}
				for _, p := range partitions {
					before = append(before, client.PartitionOffset{TopicPartition: p, Offset: *offset})
				}
			}
			results, err := cluster.DeleteRecords(ctx, before)
			return shown(len(results), err, func() error {
				t := &table{columns: []column{left("TOPIC"), right("PARTITION"), right("LOW-WATERMARK")}}
				for _, r := range results {
					if r.Error == "" {
						t.add(r.Topic, r.Partition, r.LowWatermark)
					} else {
						t.add(r.Topic, r.Partition, "")
					}
				}
				return emit(c.OutOrStdout(), f, results, t)
			})
		})
	})
}

// maxOffsetsFile bounds the file of --offset-json-file.
const maxOffsetsFile = 16 << 20

// readOffsets reads the file of Kafka's kafka-delete-records.
func readOffsets(path string) ([]client.PartitionOffset, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var content struct {
		Version    int                      `json:"version"`
		Partitions []client.PartitionOffset `json:"partitions"`
	}
	in := json.NewDecoder(io.LimitReader(f, maxOffsetsFile))
	in.DisallowUnknownFields()
	if err := in.Decode(&content); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if content.Version > 1 || len(content.Partitions) == 0 {
		return nil, fmt.Errorf("%s: version %d with %d partitions; it takes version 1 with at least one", path, content.Version, len(content.Partitions))
	}
	return content.Partitions, nil
}

func topicOffsetsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "offsets [TOPIC[:PARTITION,...]...]", Short: "Show the first and last offsets of partitions, or those at a time",
		Example: `  fluxmq topic offsets orders
  fluxmq topic offsets orders:0 --time 2026-01-31T12:00:00.000
  fluxmq topic offsets --time max-timestamp`,
	}
	when := c.Flags().String("time", "", "latest, earliest, max-timestamp, earliest-local, latest-tiered, unix ms, or a date and time")
	isolation := c.Flags().String("isolation-level", "read_uncommitted", "read_uncommitted, or read_committed for the last stable offset as the latest")
	completeFlag(c, "time", fixed("latest", "earliest", "max-timestamp", "earliest-local", "latest-tiered"))
	completeFlag(c, "isolation-level", fixed("read_uncommitted", "read_committed"))
	return clusterCommand(c, cobra.ArbitraryArgs, (*connection).topicNames, func(c *cobra.Command, k *connection, f format, args []string) error {
		selections, err := client.ParseSelections(args)
		if err != nil {
			return err
		}
		committed, err := readCommitted(*isolation)
		if err != nil {
			return err
		}
		var at client.OffsetTime
		if *when != "" {
			if at, err = client.ParseOffsetTime(*when); err != nil {
				return err
			}
		}
		return k.with(c, func(ctx context.Context, cluster *client.Client) error {
			if *when == "" {
				return offsetRanges(ctx, c, cluster, f, committed, selections)
			}
			listed, err := cluster.ListOffsets(ctx, at, committed, selections)
			return shown(len(listed), err, func() error {
				t := &table{columns: []column{left("TOPIC"), right("PARTITION"), right("OFFSET"), right("TIMESTAMP")}}
				for _, o := range listed {
					t.add(o.Topic, o.Partition, o.Offset, o.TimestampMs)
				}
				return emit(c.OutOrStdout(), f, listed, t)
			})
		})
	})
}

// readCommitted reads isolation.level.
func readCommitted(level string) (bool, error) {
	switch level {
	case "read_committed":
		return true, nil
	case "read_uncommitted":
		return false, nil
	}
	return false, usage(fmt.Errorf("--isolation-level %q: there are read_uncommitted and read_committed", level))
}

// offsetRange is from where to where a partition can be read.
type offsetRange struct {
	client.TopicPartition
	Earliest *int64 `json:"earliest"`
	Latest   *int64 `json:"latest"`
	Error    string `json:"error,omitempty"`
}

func offsetRanges(ctx context.Context, c *cobra.Command, cluster *client.Client, f format, committed bool, selections []client.Selection) error {
	first, err := cluster.ListOffsets(ctx, client.Earliest, committed, selections)
	if len(first) == 0 && err != nil {
		return err
	}
	last, lastErr := cluster.ListOffsets(ctx, client.Latest, committed, selections)
	if len(last) != len(first) {
		return errors.Join(err, lastErr)
	}
	if err == nil {
		err = lastErr
	}
	t := &table{columns: []column{left("TOPIC"), right("PARTITION"), right("EARLIEST"), right("LATEST")}}
	ranges := []offsetRange{}
	for n, o := range first {
		r := offsetRange{o.TopicPartition, o.Offset, last[n].Offset, o.Error}
		if r.Error == "" {
			r.Error = last[n].Error
		}
		ranges = append(ranges, r)
		t.add(r.Topic, r.Partition, r.Earliest, r.Latest)
	}
	return shown(len(ranges), err, func() error { return emit(c.OutOrStdout(), f, ranges, t) })
}
