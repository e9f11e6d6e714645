package kfake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TopicInfo is a topic at one moment.
type TopicInfo struct {
	Topic       string
	TopicID     [16]byte
	NumReplicas int
	Configs     map[string]*string // those the topic has of its own
}

// PartitionInfo is a partition at one moment.
type PartitionInfo struct {
	Partition        int32
	HighWatermark    int64
	LastStableOffset int64
	LogStartOffset   int64
	Epoch            int32 // of the leader
	MaxTimestamp     int64 // Unix milliseconds, -1 where there is no record
	Leader           int32
}

// seed creates topics. The last word on a topic wins, and one that is there stays, as after a restart.
func (c *Cluster) seed(seeds []seed) error {
	last := map[string]int32{}
	for _, s := range seeds {
		for _, topic := range s.topics {
			last[topic] = s.partitions
		}
	}
	for topic, partitions := range last {
		if err := c.CreateTopic(topic, partitions, nil); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("creating %s: %w", topic, err)
		}
	}
	return nil
}

// CreateTopic creates a topic and waits until metadata has it; partitions below 1 is the default.
func (c *Cluster) CreateTopic(topic string, partitions int32, configs map[string]string) error {
	ctx, cancel := calling()
	defer cancel()
	if partitions < 1 {
		partitions = -1
	}
	own := make(map[string]*string, len(configs))
	for key, value := range configs {
		own[key] = &value
	}
	if _, err := c.admin.CreateTopic(ctx, partitions, -1, own, topic); err != nil {
		return err
	}
	for c.TopicInfo(topic) == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// DeleteTopic deletes a topic and waits until metadata has it no more.
func (c *Cluster) DeleteTopic(topic string) error {
	ctx, cancel := calling()
	defer cancel()
	if _, err := c.admin.DeleteTopic(ctx, topic); err != nil {
		return err
	}
	for c.TopicInfo(topic) != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// DeleteRecords moves the log's start to offset, -1 being the high watermark.
func (c *Cluster) DeleteRecords(topic string, partition int32, offset int64) error {
	ctx, cancel := calling()
	defer cancel()
	var all kadm.Offsets
	all.Add(kadm.Offset{Topic: topic, Partition: partition, At: offset})
	deleted, err := c.admin.DeleteRecords(ctx, all)
	if err != nil {
		return err
	}
	return deleted.Error()
}

// described is the topic in the broker's metadata, nil if there is none.
func (c *Cluster) described(topic string) *kmsg.MetadataResponseTopic {
	ctx, cancel := calling()
	defer cancel()
	request := kmsg.NewPtrMetadataRequest()
	one := kmsg.NewMetadataRequestTopic()
	one.Topic = &topic
	request.Topics = append(request.Topics, one)
	reply, err := request.RequestWith(ctx, c.client)
	must("metadata of "+topic, err)
	if len(reply.Topics) != 1 {
		panic(fmt.Sprintf("kfake: metadata of %s has %d topics", topic, len(reply.Topics)))
	}
	switch err := kerr.ErrorForCode(reply.Topics[0].ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.InvalidTopicException):
		return nil
	default:
		must("metadata of "+topic, err)
		return &reply.Topics[0]
	}
}

// topicID is zero for a topic that is not there.
func (c *Cluster) topicID(topic string) [16]byte {
	if found := c.described(topic); found != nil {
		return found.TopicID
	}
	return [16]byte{}
}

// TopicInfo is nil when there is no such topic.
func (c *Cluster) TopicInfo(topic string) *TopicInfo {
	found := c.described(topic)
	if found == nil {
		return nil
	}
	ctx, cancel := calling()
	defer cancel()
	info := &TopicInfo{Topic: topic, TopicID: found.TopicID, Configs: map[string]*string{}}
	if len(found.Partitions) > 0 {
		info.NumReplicas = len(found.Partitions[0].Replicas)
	}
	configs, err := c.admin.DescribeTopicConfigs(ctx, topic)
	must("configs of "+topic, err)
	for _, of := range configs {
		if errors.Is(of.Err, kerr.UnknownTopicOrPartition) { // it went in between
			return nil
		}
		must("configs of "+topic, of.Err)
		for _, config := range of.Configs {
			if config.Source == kmsg.ConfigSourceDynamicTopicConfig {
				info.Configs[config.Key] = config.Value
			}
		}
	}
	return info
}

// PartitionInfo is nil when there is no such partition.
func (c *Cluster) PartitionInfo(topic string, partition int32) *PartitionInfo {
	infos := c.PartitionInfos(topic)
	if at := slices.IndexFunc(infos, func(p *PartitionInfo) bool { return p.Partition == partition }); at >= 0 {
		return infos[at]
	}
	return nil
}

// PartitionInfos are a topic's partitions in their order, nil when there is no
// such topic. Transactions that were ended have ended in it.
func (c *Cluster) PartitionInfos(topic string) []*PartitionInfo {
	found := c.described(topic)
	if found == nil {
		return nil
	}
	ctx, cancel := calling()
	defer cancel()
	must("ends of transactions", c.settle(ctx))
	ends, err := c.admin.ListEndOffsets(ctx, topic)
	must("end offsets of "+topic, err)
	stable, err := c.admin.ListCommittedOffsets(ctx, topic)
	must("stable offsets of "+topic, err)
	starts, err := c.admin.ListStartOffsets(ctx, topic)
	must("start offsets of "+topic, err)
	newest, err := c.admin.ListMaxTimestampOffsets(ctx, topic)
	must("greatest timestamps of "+topic, err)
	var infos []*PartitionInfo
	for _, p := range found.Partitions {
		at := func(listed kadm.ListedOffsets) kadm.ListedOffset {
			o, _ := listed.Lookup(topic, p.Partition)
			must(fmt.Sprintf("offsets of %s-%d", topic, p.Partition), o.Err)
			return o
		}
		infos = append(infos, &PartitionInfo{
			Partition: p.Partition, Epoch: p.LeaderEpoch, Leader: p.Leader,
			HighWatermark: at(ends).Offset, LastStableOffset: at(stable).Offset, LogStartOffset: at(starts).Offset, MaxTimestamp: at(newest).Timestamp,
		})
	}
	slices.SortFunc(infos, func(a, b *PartitionInfo) int { return int(a.Partition - b.Partition) })
	return infos
}

// settle waits until transactions that were ended have their markers. The fake
// has them written when it answers EndTxn; Kafka writes them after that.
func (c *Cluster) settle(ctx context.Context) error {
	for {
		request := kmsg.NewPtrListTransactionsRequest()
		request.StateFilters = []string{"PrepareCommit", "PrepareAbort"}
		reply, err := request.RequestWith(ctx, c.client)
		if err == nil {
			err = kerr.ErrorForCode(reply.ErrorCode)
		}
		if err != nil || len(reply.TransactionStates) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// LeaderFor is the partition's leader, -1 where there is none.
func (c *Cluster) LeaderFor(topic string, partition int32) int32 {
	if found := c.described(topic); found != nil {
		for _, p := range found.Partitions {
			if p.Partition == partition {
				return p.Leader
			}
		}
	}
	return -1
}
