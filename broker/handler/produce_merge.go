package handler

import (
	"fmt"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// irregular tells whether a request names a topic or a partition twice, or a
// topic without partitions; once in a blue moon it says so of one that does not.
func (c *produceCall) irregular() bool {
	p := &c.request
	if p.TopicCount <= 1 && p.PartitionCount == p.TopicCount {
		return false // the one partition of one topic, or nothing
	}
	c.seen.reset(p.TopicCount + p.PartitionCount)
	for t := p.Topics(); t.Next(); {
		topic := topicHash(t.Topic())
		if t.ByID() {
			id := t.TopicID()
			topic = topicHash(id[:])
		}
		if t.PartitionCount() == 0 || c.seen.add(topic) {
			return true
		}
		for t.NextPartition() {
			if c.seen.add(partitionHash(topic, t.Partition())) {
				return true
			}
		}
	}
	return false
}

// mergeProduced writes a request's body anew with every topic once, every
// partition once with the records that came last, and no topic without
// partitions: what becomes of it in the maps that Kafka's handler puts it into.
// The error is protocol.ErrMalformed, wrapped.
func mergeProduced(version int16, body []byte) ([]byte, error) {
	in := kmsg.NewPtrProduceRequest()
	in.SetVersion(version)
	if err := in.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%w: Produce version %d: %w", protocol.ErrMalformed, version, err)
	}
	type topic struct {
		name string
		id   partition.TopicID
	}
	places := map[topic]int{}
	var merged []kmsg.ProduceRequestTopic
	for _, t := range in.Topics {
		if len(t.Partitions) == 0 {
			continue
		}
		key := topic{t.Topic, t.TopicID}
		place, is := places[key]
		if !is {
			place = len(merged)
			places[key] = place
			merged = append(merged, kmsg.ProduceRequestTopic{Topic: t.Topic, TopicID: t.TopicID})
		}
		into := &merged[place]
		for _, p := range t.Partitions {
			into.Partitions = append(into.Partitions, kmsg.ProduceRequestTopicPartition{Partition: p.Partition, Records: p.Records})
		}
	}
	for n := range merged {
		merged[n].Partitions = lastOfEach(merged[n].Partitions)
	}
	in.Topics = merged
	return in.AppendTo(nil), nil
}

// lastOfEach leaves of each partition the first place and the last records.
func lastOfEach(partitions []kmsg.ProduceRequestTopicPartition) []kmsg.ProduceRequestTopicPartition {
	places := map[int32]int{}
	kept := partitions[:0]
	for _, p := range partitions {
		if place, is := places[p.Partition]; is {
			kept[place].Records = p.Records
			continue
		}
		places[p.Partition] = len(kept)
		kept = append(kept, p)
	}
	return kept
}
