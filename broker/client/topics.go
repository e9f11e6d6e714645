package client

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Topic is a topic as the cluster describes it.
type Topic struct {
	Topic             string `json:"topic"`
	TopicID           string `json:"topicId"` // base64url, as Kafka prints it
	Internal          bool   `json:"internal"`
	PartitionCount    int    `json:"partitionCount"`
	ReplicationFactor int    `json:"replicationFactor"`
	// Configs are the settings that differ from the defaults, and Partitions
	// the parts; both only where a topic is described.
	Configs    map[string]string `json:"configs,omitempty"`
	Partitions []Partition       `json:"partitions,omitempty"`
}

// Partition is one partition's leader and replicas.
type Partition struct {
	Partition       int32   `json:"partition"`
	Leader          int32   `json:"leader"` // -1 for none
	LeaderEpoch     int32   `json:"leaderEpoch"`
	Replicas        []int32 `json:"replicas"`
	ISR             []int32 `json:"isr"`
	OfflineReplicas []int32 `json:"offlineReplicas"`
	Error           string  `json:"error,omitempty"`
}

// TopicResult is what became of one topic in an operation.
type TopicResult struct {
	Topic string `json:"topic"`
	// The id and the counts are there where a topic was created.
	TopicID           string `json:"topicId,omitempty"`
	PartitionCount    int32  `json:"partitionCount,omitempty"`
	ReplicationFactor int16  `json:"replicationFactor,omitempty"`
	// Status is what was done: created, altered, deleted, exists, absent, valid
	// (only checked), or refused.
	Status string `json:"status"`
	Error  string `json:"error,omitempty"`
}

// topicIDText is Kafka's form of a topic id, "" for none.
func topicIDText(id kadm.TopicID) string {
	if id == (kadm.TopicID{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// ListTopics returns the topics by name, without configs and partitions.
func (c *Client) ListTopics(ctx context.Context, internal bool) ([]Topic, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	found, err := c.details(ctx)
	if err != nil {
		return nil, err
	}
	topics := []Topic{}
	for _, t := range found.Sorted() {
		if t.IsInternal && !internal {
			continue
		}
		topics = append(topics, topicOf(t))
	}
	return topics, nil
}

func topicOf(t kadm.TopicDetail) Topic {
	return Topic{
		Topic: t.Topic, TopicID: topicIDText(t.ID), Internal: t.IsInternal,
		PartitionCount: len(t.Partitions), ReplicationFactor: t.Partitions.NumReplicas(),
	}
}

// DescribeTopics returns the named topics (none: all that are not internal)
// with their partitions and altered settings. One that does not exist is an error.
func (c *Client) DescribeTopics(ctx context.Context, names ...string) ([]Topic, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	found, err := c.details(ctx, names...)
	if err != nil {
		return nil, err
	}
	topics := []Topic{}
	var entities []Entity
	for _, t := range found.Sorted() {
		if t.IsInternal && len(names) == 0 {
			continue
		}
		topic := topicOf(t)
		for _, p := range t.Partitions.Sorted() {
			topic.Partitions = append(topic.Partitions, Partition{
				Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch,
				Replicas: numbers(p.Replicas), ISR: numbers(p.ISR), OfflineReplicas: numbers(p.OfflineReplicas), Error: reason(p.Err),
			})
		}
		topics = append(topics, topic)
		entities = append(entities, Entity{TopicEntity, t.Topic})
	}
	configs, err := c.describeConfigs(ctx, entities)
	if err != nil {
		return nil, err
	}
	for n := range topics {
		topics[n].Configs = altered(configs[entities[n]])
	}
	return topics, nil
}

// numbers is ids, never nil, so that JSON has [] and not null.
func numbers(ids []int32) []int32 {
	if ids == nil {
		return []int32{}
	}
	return ids
}

// NewTopic is what topics are created with.
type NewTopic struct {
	Partitions  int32 // -1: the broker's num.partitions
	Replication int16 // -1: the broker's default.replication.factor
	Configs     map[string]string
	// IfNotExists makes a topic that exists no refusal; ValidateOnly checks and creates nothing.
	IfNotExists, ValidateOnly bool
}

// CreateTopics creates topics that are alike.
func (c *Client) CreateTopics(ctx context.Context, as NewTopic, names ...string) ([]TopicResult, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	if as.Partitions == 0 || as.Partitions < -1 || as.Replication == 0 || as.Replication < -1 {
		return nil, inputf("partitions and replication factor are at least 1, or -1 for the broker's default")
	}
	configs := map[string]*string{}
	for key, value := range as.Configs {
		configs[key] = &value
	}
	create := c.admin.CreateTopics
	if as.ValidateOnly {
		create = c.admin.ValidateCreateTopics
	}
	answers, err := create(ctx, as.Partitions, as.Replication, configs, names...)
	if err != nil {
		return nil, refused("creating topics", err, "")
	}
	var results []TopicResult
	var refusals []error
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		a := answers[name]
		r := TopicResult{Topic: name, Status: "created"}
		switch {
		case a.Err == kerr.TopicAlreadyExists && as.IfNotExists:
			r.Status = "exists"
		case a.Err != nil:
			err := refused("topic "+name, a.Err, a.ErrMessage)
			refusals = append(refusals, err)
			r.Status, r.Error = "refused", reason(err)
		default:
			r.TopicID, r.PartitionCount, r.ReplicationFactor = topicIDText(a.ID), a.NumPartitions, a.ReplicationFactor
			if as.ValidateOnly {
				r.Status, r.TopicID = "valid", "" // the id is one that the topic would not have
			}
		}
		results = append(results, r)
	}
	return results, summary("topics", len(names), refusals)
}

// DeleteTopics deletes topics; with ifExists a missing one is no refusal.
func (c *Client) DeleteTopics(ctx context.Context, ifExists bool, names ...string) ([]TopicResult, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	answers, err := c.admin.DeleteTopics(ctx, names...)
	if err != nil {
		return nil, refused("deleting topics", err, "")
	}
	var results []TopicResult
	var refusals []error
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		a := answers[name]
		r := TopicResult{Topic: name, Status: "deleted"}
		switch {
		case a.Err == kerr.UnknownTopicOrPartition && ifExists:
			r.Status = "absent"
		case a.Err != nil:
			err := refused("topic "+name, a.Err, a.ErrMessage)
			refusals = append(refusals, err)
			r.Status, r.Error = "refused", reason(err)
		}
		results = append(results, r)
	}
	return results, summary("topics", len(names), refusals)
}

// AlterTopics gives every named topic so many partitions in total, when total
// is not 0, or so many more, when add is not 0.
func (c *Client) AlterTopics(ctx context.Context, total, add int, validateOnly bool, names ...string) ([]TopicResult, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	if total < 0 || add < 0 || (total == 0) == (add == 0) {
		return nil, inputf("partitions are given either as a total or as a number to add, at least 1")
	}
	if _, err := c.details(ctx, names...); err != nil {
		return nil, err
	}
	var answers kadm.CreatePartitionsResponses
	var err error
	switch {
	case add > 0 && validateOnly:
		answers, err = c.admin.ValidateCreatePartitions(ctx, add, names...)
	case add > 0:
		answers, err = c.admin.CreatePartitions(ctx, add, names...)
	case validateOnly:
		answers, err = c.admin.ValidateUpdatePartitions(ctx, total, names...)
	default:
		answers, err = c.admin.UpdatePartitions(ctx, total, names...)
	}
	if err != nil {
		return nil, refused("adding partitions", err, "")
	}
	var results []TopicResult
	var refusals []error
	for _, a := range answers.Sorted() {
		r := TopicResult{Topic: a.Topic, Status: "altered"}
		switch {
		case a.Err != nil:
			err := refused("topic "+a.Topic, a.Err, a.ErrMessage)
			refusals = append(refusals, err)
			r.Status, r.Error = "refused", reason(err)
		case validateOnly:
			r.Status = "valid"
		}
		results = append(results, r)
	}
	return results, summary("topics", len(names), refusals)
}

// PartitionOffset is a partition and an offset in it.
type PartitionOffset struct {
	TopicPartition
	Offset int64 `json:"offset"`
}

// DeletedRecords is where a partition begins after records were deleted.
type DeletedRecords struct {
	TopicPartition
	LowWatermark int64  `json:"lowWatermark"` // the log start offset now; -1 when refused
	Error        string `json:"error,omitempty"`
}

// DeleteRecords deletes the records below an offset of each partition; offset
// -1 is the high watermark and deletes all.
func (c *Client) DeleteRecords(ctx context.Context, before []PartitionOffset) ([]DeletedRecords, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	var offsets kadm.Offsets
	var selections []Selection
	for _, b := range before {
		if b.Offset < -1 {
			return nil, inputf("%s: offset %d; -1 is the high watermark, others are at least 0", b.TopicPartition, b.Offset)
		}
		if _, twice := offsets.Lookup(b.Topic, b.Partition); twice {
			return nil, inputf("%s is named twice", b.TopicPartition)
		}
		offsets.AddOffset(b.Topic, b.Partition, b.Offset, -1)
		selections = append(selections, Selection{b.Topic, []int32{b.Partition}})
	}
	if len(before) == 0 {
		return nil, inputf("no partition is named")
	}
	if _, err := c.resolve(ctx, selections); err != nil {
		return nil, err
	}
	answers, err := c.admin.DeleteRecords(ctx, offsets)
	if err != nil {
		return nil, refused("deleting records", err, "")
	}
	var results []DeletedRecords
	var refusals []error
	for _, a := range answers.Sorted() {
		r := DeletedRecords{TopicPartition: TopicPartition{a.Topic, a.Partition}, LowWatermark: a.LowWatermark}
		if a.Err != nil {
			err := refused(r.TopicPartition.String(), a.Err, "")
			refusals = append(refusals, err)
			r.Error = reason(err)
		}
		results = append(results, r)
	}
	return results, summary("partitions", len(before), refusals)
}

// ResolvePartitions names the selected partitions in order, each once; no
// selection is every partition of every topic that is not internal.
func (c *Client) ResolvePartitions(ctx context.Context, selections []Selection) ([]TopicPartition, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	return c.resolve(ctx, selections)
}

// TopicNames are the names that begin with prefix, for completion.
func (c *Client) TopicNames(ctx context.Context, prefix string) ([]string, error) {
	topics, err := c.ListTopics(ctx, true)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range topics {
		if strings.HasPrefix(t.Topic, prefix) {
			names = append(names, t.Topic)
		}
	}
	return names, nil
}

// ListedOffset is an offset of one partition that was asked for by a time or a name.
type ListedOffset struct {
	TopicPartition
	Offset      *int64 `json:"offset"`      // nil where the partition has none
	TimestampMs *int64 `json:"timestampMs"` // unix ms, nil where the question was not by time
	LeaderEpoch int32  `json:"leaderEpoch"` // -1 unknown
	Error       string `json:"error,omitempty"`
}

// OffsetTime says which offset of a partition is meant: unix ms, or one of the
// names of Kafka's GetOffsetShell.
type OffsetTime int64

// The named times of ListOffsets; KIP-734, KIP-405, KIP-1005.
const (
	Latest        OffsetTime = -1
	Earliest      OffsetTime = -2
	MaxTimestamp  OffsetTime = -3
	EarliestLocal OffsetTime = -4
	LatestTiered  OffsetTime = -5
)

// offsetTimeNames are the names that --time takes.
var offsetTimeNames = map[string]OffsetTime{
	"latest": Latest, "earliest": Earliest, "max-timestamp": MaxTimestamp, "earliest-local": EarliestLocal, "latest-tiered": LatestTiered,
}

// ParseOffsetTime reads a name, a number of unix ms (or Kafka's -1 to -5), or a date and time.
func ParseOffsetTime(text string) (OffsetTime, error) {
	if t, ok := offsetTimeNames[text]; ok {
		return t, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < int64(LatestTiered) {
			return 0, inputf("time %d is before 1970", n)
		}
		return OffsetTime(n), nil
	}
	ms, err := ParseDateTime(text)
	if err != nil {
		return 0, inputf("%q is no time: use %s, unix ms, or a date and time as 2026-01-31T12:00:00.000",
			text, strings.Join(slices.Sorted(maps.Keys(offsetTimeNames)), ", "))
	}
	return OffsetTime(ms), nil
}

// ListOffsets returns the offset of every selected partition at a time; one
// without a record at or after the time has none.
func (c *Client) ListOffsets(ctx context.Context, at OffsetTime, readCommitted bool, selections []Selection) ([]ListedOffset, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	partitions, err := c.resolve(ctx, selections)
	if err != nil {
		return nil, err
	}
	offsets := []ListedOffset{}
	var refusals []error
	answers, err := c.listOffsets(ctx, at, readCommitted, partitions)
	if err != nil {
		return nil, err
	}
	for n, p := range partitions {
		a := answers[n]
		o := ListedOffset{TopicPartition: p, LeaderEpoch: a.LeaderEpoch}
		switch err := refused(p.String(), a.Err, ""); {
		case err != nil:
			refusals = append(refusals, err)
			o.Error = reason(err)
		case a.Offset >= 0:
			o.Offset = &a.Offset
			if a.Timestamp >= 0 {
				o.TimestampMs = &a.Timestamp
			}
		}
		offsets = append(offsets, o)
	}
	return offsets, summary("partitions", len(partitions), refusals)
}

// listOffsets asks the leaders for the offset of each partition at a time and
// answers in the partitions' order. An offset of -1 is none.
func (c *Client) listOffsets(ctx context.Context, at OffsetTime, readCommitted bool, partitions []TopicPartition) ([]kadm.ListedOffset, error) {
	request := kmsg.NewPtrListOffsetsRequest()
	request.TimeoutMillis = int32(min(c.options.Timeout.Milliseconds(), 1<<31-1))
	if readCommitted {
		request.IsolationLevel = 1
	}
	for _, p := range partitions {
		if n := len(request.Topics); n == 0 || request.Topics[n-1].Topic != p.Topic {
			topic := kmsg.NewListOffsetsRequestTopic()
			topic.Topic = p.Topic
			request.Topics = append(request.Topics, topic)
		}
		asked := kmsg.NewListOffsetsRequestTopicPartition()
		asked.Partition, asked.Timestamp = p.Partition, int64(at)
		topic := &request.Topics[len(request.Topics)-1]
		topic.Partitions = append(topic.Partitions, asked)
	}
	found := map[TopicPartition]kadm.ListedOffset{}
	if len(partitions) > 0 {
		for _, shard := range c.kafka.RequestSharded(ctx, request) {
			if shard.Err != nil {
				return nil, refused("listing offsets", shard.Err, "")
			}
			for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
				for _, p := range t.Partitions {
					found[TopicPartition{t.Topic, p.Partition}] = kadm.ListedOffset{
						Topic: t.Topic, Partition: p.Partition, Timestamp: p.Timestamp, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch,
						Err: kerr.ErrorForCode(p.ErrorCode),
					}
				}
			}
		}
	}
	answers := make([]kadm.ListedOffset, len(partitions))
	for n, p := range partitions {
		a, ok := found[p]
		if !ok {
			a.Err = kerr.UnknownServerError
		}
		answers[n] = a
	}
	return answers, nil
}
