package handler

import (
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
// Its tags, which nobody reads, are left out.
func mergeProduced(request *protocol.ProduceRequest) []byte {
	out := kmsg.NewPtrProduceRequest()
	out.SetVersion(request.Version)
	out.Acks, out.TimeoutMillis = request.Acks, request.TimeoutMs
	if request.TransactionalID != nil {
		out.TransactionID = kmsg.StringPtr(string(request.TransactionalID))
	}
	type topic struct {
		name string
		id   partition.TopicID
	}
	places := map[topic]int{}
	for t := request.Topics(); t.Next(); {
		if t.PartitionCount() == 0 {
			continue
		}
		key := topic{string(t.Topic()), t.TopicID()}
		place, is := places[key]
		if !is {
			place = len(out.Topics)
			places[key] = place
			out.Topics = append(out.Topics, kmsg.ProduceRequestTopic{Topic: key.name, TopicID: key.id})
		}
		into := &out.Topics[place]
		for t.NextPartition() {
			into.Partitions = append(into.Partitions, kmsg.ProduceRequestTopicPartition{Partition: t.Partition(), Records: t.Records()})
		}
	}
	for n := range out.Topics {
		out.Topics[n].Partitions = lastOfEach(out.Topics[n].Partitions)
	}
	return out.AppendTo(nil)
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
