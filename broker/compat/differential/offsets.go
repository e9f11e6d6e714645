package differential

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func offsetAt(partition int32, timestamp int64) kmsg.ListOffsetsRequestTopicPartition {
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = partition, timestamp
	return p
}

func offsetsOf(topic string, partitions ...kmsg.ListOffsetsRequestTopicPartition) kmsg.ListOffsetsRequestTopic {
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = topic, partitions
	return t
}

func listOffsets(isolation int8, topics ...kmsg.ListOffsetsRequestTopic) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrListOffsetsRequest()
		r.ReplicaID, r.IsolationLevel, r.Topics, r.TimeoutMillis = -1, isolation, topics, 5000
		return r
	}
}

// offsetsSince asks for the first record at or after a time, in milliseconds since the scene's begin.
func offsetsSince(topic string, partition int32, atMs int64) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		return listOffsets(0, offsetsOf(topic, offsetAt(partition, s.begin+atMs)))(s)
	}
}

func withEpoch(p kmsg.ListOffsetsRequestTopicPartition, epoch int32) kmsg.ListOffsetsRequestTopicPartition {
	p.CurrentLeaderEpoch = epoch
	return p
}

// Timestamps that ask for a place instead (ListOffsetsRequest of Kafka).
const (
	latest               = -1
	earliest             = -2
	maxTimestamp         = -3
	earliestLocal        = -4
	latestTiered         = -5
	earliestPendingTiers = -6
)

// offsetsScript: ListOffsets, OffsetForLeaderEpoch, DeleteRecords.
var offsetsScript = script{name: "offsets", steps: []step{
	{name: "the end", request: listOffsets(0, offsetsOf("log", offsetAt(0, latest), offsetAt(1, latest)))},
	{name: "the start", request: listOffsets(0, offsetsOf("log", offsetAt(0, earliest)))},
	{name: "the largest timestamp", request: listOffsets(0, offsetsOf("log", offsetAt(0, maxTimestamp), offsetAt(1, maxTimestamp)))},
	{name: "the largest timestamp of an empty partition", request: listOffsets(0, offsetsOf("orders", offsetAt(0, maxTimestamp)))},
	{name: "the start on this disk", request: listOffsets(0, offsetsOf("log", offsetAt(0, earliestLocal)))},
	{name: "the end of what was moved to another tier", request: listOffsets(0, offsetsOf("log", offsetAt(0, latestTiered)))},
	{name: "the start of what is to move to another tier", request: listOffsets(0, offsetsOf("log", offsetAt(0, earliestPendingTiers)))},
	{name: "timestamp -7", request: listOffsets(0, offsetsOf("log", offsetAt(0, -7)))},
	{name: "timestamp -100", request: listOffsets(0, offsetsOf("log", offsetAt(0, -100)))},
	{name: "timestamp 0", request: listOffsets(0, offsetsOf("log", offsetAt(0, 0)))},
	{name: "a timestamp that is there", request: offsetsSince("log", 0, 1)},
	{name: "a timestamp between two", request: offsetsSince("log", 1, 500)},
	{name: "a timestamp in a compressed batch", request: offsetsSince("log", 0, 5)},
	{name: "a timestamp behind the last", request: offsetsSince("log", 0, 100000)},
	{name: "a timestamp of an empty partition", request: offsetsSince("orders", 0, 0)},
	{name: "the largest timestamp there is", request: listOffsets(0, offsetsOf("log", offsetAt(0, math.MaxInt64)))},
	{name: "the end that is committed", request: listOffsets(1, offsetsOf("log", offsetAt(0, latest)))},
	{name: "isolation level 2", request: listOffsets(2, offsetsOf("log", offsetAt(0, latest))), from: 2},
	{name: "the right leader epoch", request: listOffsets(0, offsetsOf("log", withEpoch(offsetAt(0, latest), 0))), from: 4},
	{name: "a leader epoch that is to come", request: listOffsets(0, offsetsOf("log", withEpoch(offsetAt(0, latest), 5))), from: 4},
	{name: "leader epoch -2", request: listOffsets(0, offsetsOf("log", withEpoch(offsetAt(0, latest), -2))), from: 4},
	{name: "an unknown topic", request: listOffsets(0, offsetsOf("nowhere", offsetAt(0, latest)))},
	{name: "an unknown partition", request: listOffsets(0, offsetsOf("log", offsetAt(99, latest)))},
	{name: "partition -1", request: listOffsets(0, offsetsOf("log", offsetAt(-1, latest)))},
	{name: "a topic without a name", request: listOffsets(0, offsetsOf("", offsetAt(0, latest)))},
	{name: "a partition twice", request: listOffsets(0, offsetsOf("log", offsetAt(0, latest), offsetAt(0, earliest)))},
	{name: "a topic twice", request: listOffsets(0, offsetsOf("log", offsetAt(0, latest)), offsetsOf("log", offsetAt(1, latest)))},
	{name: "a topic without partitions", request: listOffsets(0, offsetsOf("log"))},
	{name: "as a replica that is none", request: func(s *scene) kmsg.Request {
		r := listOffsets(0, offsetsOf("log", offsetAt(0, latest)))(s).(*kmsg.ListOffsetsRequest)
		r.ReplicaID = 5
		return r
	}},

	{name: "the end of epoch 0", request: endOf(-1, epochEnd("log", 0, -1, 0))},
	{name: "the end of an epoch that is to come", request: endOf(-1, epochEnd("log", 0, -1, 5))},
	{name: "the end of epoch -1", request: endOf(-1, epochEnd("log", 0, -1, -1))},
	{name: "the end of epoch 0, knowing the leader epoch", request: endOf(-1, epochEnd("log", 0, 0, 0))},
	{name: "the end of epoch 0, with a leader epoch that is to come", request: endOf(-1, epochEnd("log", 0, 5, 0))},
	{name: "the end of epoch 0 of an empty partition", request: endOf(-1, epochEnd("orders", 0, -1, 0))},
	{name: "the end of epoch 0 of an unknown topic", request: endOf(-1, epochEnd("nowhere", 0, -1, 0))},
	{name: "the end of epoch 0 of an unknown partition", request: endOf(-1, epochEnd("log", 99, -1, 0))},
	{name: "the end of epoch 0, as a replica that is none", request: endOf(5, epochEnd("log", 0, -1, 0))},
	{name: "the end of epoch 0, as a debugging consumer", request: endOf(-2, epochEnd("log", 0, -1, 0))},

	{name: "up to an offset", request: deleteRecords(deleteBefore("log", 0, 2))},
	{name: "up to an offset that is gone", request: deleteRecords(deleteBefore("log", 0, 1))},
	{name: "up to behind the end", request: deleteRecords(deleteBefore("log", 0, 1000))},
	{name: "up to -2", request: deleteRecords(deleteBefore("log", 0, -2))},
	{name: "up to the end", request: deleteRecords(deleteBefore("small", 0, -1))},
	{name: "of an empty partition", request: deleteRecords(deleteBefore("orders", 0, -1))},
	{name: "of an unknown topic", request: deleteRecords(deleteBefore("nowhere", 0, 0))},
	{name: "of an unknown partition", request: deleteRecords(deleteBefore("log", 99, 0))},
	{name: "of a topic without a name", request: deleteRecords(deleteBefore("", 0, 0))},
	{name: "of a compacted topic", request: deleteRecords(deleteBefore("compact", 0, 1))},
	{name: "of several topics, one of them unknown", request: deleteRecords(deleteBefore("append", 0, 1), deleteBefore("nowhere", 0, 1))},
	{name: "of a topic twice", request: deleteRecords(deleteBefore("log", 1, 1), deleteBefore("log", 1, 2))},
	{name: "the start after records were deleted", request: listOffsets(0, offsetsOf("log", offsetAt(0, earliest), offsetAt(1, earliest)))},
	{name: "from before the start", request: fetch(asIs, read("log", reading(0, 0)))},
	{name: "from the start after records were deleted", request: fetch(asIs, read("log", reading(0, 2)))},
	{name: "of a topic whose records were deleted", request: describeLogDirs(logDirsOf("log", 0, 1), logDirsOf("small", 0))},
}}

func epochEnd(topic string, partition, current, epoch int32) kmsg.OffsetForLeaderEpochRequestTopic {
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = partition, current, epoch
	t := kmsg.NewOffsetForLeaderEpochRequestTopic()
	t.Topic, t.Partitions = topic, []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}
	return t
}

func endOf(replica int32, topics ...kmsg.OffsetForLeaderEpochRequestTopic) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrOffsetForLeaderEpochRequest()
		r.ReplicaID, r.Topics = replica, topics
		return r
	}
}

func deleteBefore(topic string, partition int32, offset int64) kmsg.DeleteRecordsRequestTopic {
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic, t.Partitions = topic, []kmsg.DeleteRecordsRequestTopicPartition{p}
	return t
}

func deleteRecords(topics ...kmsg.DeleteRecordsRequestTopic) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrDeleteRecordsRequest()
		r.TimeoutMillis, r.Topics = 5000, topics
		return r
	}
}
