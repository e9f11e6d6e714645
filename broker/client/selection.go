package client

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// String is Kafka's form, topic-partition.
func (p TopicPartition) String() string { return p.Topic + "-" + strconv.Itoa(int(p.Partition)) }

func comparePartitions(a, b TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// Selection is a topic and some of its partitions; nil Partitions are all.
type Selection struct {
	Topic      string
	Partitions []int32
}

// ParseSelection reads "topic" or "topic:0,1,2", as Kafka's tools take it.
func ParseSelection(text string) (Selection, error) {
	topic, list, some := strings.Cut(text, ":")
	if topic == "" {
		return Selection{}, inputf("%q names no topic", text)
	}
	s := Selection{Topic: topic}
	if !some {
		return s, nil
	}
	for entry := range strings.SplitSeq(list, ",") {
		partition, err := strconv.ParseInt(strings.TrimSpace(entry), 10, 32)
		if err != nil || partition < 0 {
			return Selection{}, inputf("%q: %q is not a partition; write topic or topic:0,1,2", text, entry)
		}
		s.Partitions = append(s.Partitions, int32(partition))
	}
	return s, nil
}

// ParseSelections is ParseSelection of each text.
func ParseSelections(texts []string) ([]Selection, error) {
	var selections []Selection
	for _, text := range texts {
		s, err := ParseSelection(text)
		if err != nil {
			return nil, err
		}
		selections = append(selections, s)
	}
	return selections, nil
}

// topicsOf are the names in the selections, each once, sorted.
func topicsOf(selections []Selection) []string {
	names := map[string]bool{}
	for _, s := range selections {
		names[s.Topic] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// details asks for the metadata of the topics (none: of all) and refuses the
// first that the cluster does not have.
func (c *Client) details(ctx context.Context, topics ...string) (kadm.TopicDetails, error) {
	found, err := c.admin.ListTopicsWithInternal(ctx, topics...)
	if err != nil {
		return nil, refused("metadata", err, "")
	}
	for _, topic := range topics {
		if t, ok := found[topic]; !ok {
			return nil, refused("topic "+topic, kerr.UnknownTopicOrPartition, "")
		} else if t.Err != nil {
			return nil, refused("topic "+topic, t.Err, "")
		}
	}
	return found, nil
}

// resolve names every selected partition once, in order; no selection is
// every partition of every topic that is not internal. Topics and partitions
// that do not exist are refused.
func (c *Client) resolve(ctx context.Context, selections []Selection) ([]TopicPartition, error) {
	found, err := c.details(ctx, topicsOf(selections)...)
	if err != nil {
		return nil, err
	}
	if len(selections) == 0 {
		for _, t := range found {
			if !t.IsInternal && t.Err == nil {
				selections = append(selections, Selection{Topic: t.Topic})
			}
		}
	}
	chosen := map[TopicPartition]bool{}
	for _, s := range selections {
		partitions := s.Partitions
		if partitions == nil {
			partitions = found[s.Topic].Partitions.Numbers()
		}
		for _, number := range partitions {
			p := TopicPartition{s.Topic, number}
			if _, ok := found[s.Topic].Partitions[number]; !ok {
				return nil, refused(p.String(), kerr.UnknownTopicOrPartition, fmt.Sprintf("topic %s has %d partitions", s.Topic, len(found[s.Topic].Partitions)))
			}
			chosen[p] = true
		}
	}
	return slices.SortedFunc(maps.Keys(chosen), comparePartitions), nil
}
