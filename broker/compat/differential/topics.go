package differential

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// stray is the id of no topic.
var stray = [16]byte{0xd1, 0xff, 0xe2, 0xe2, 0x17, 0x1a, 0x4a, 0x11, 0x80, 1, 2, 3, 4, 5, 6, 7}

// topic asks for a topic; configs are key=value, and a key alone has the value null.
func topic(name string, partitions int32, replicas int16, configs ...string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, replicas
	for _, c := range configs {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		var value string
		var set bool
		if config.Name, value, set = strings.Cut(c, "="); set {
			config.Value = &value
		}
		t.Configs = append(t.Configs, config)
	}
	return t
}

// assigned is a topic whose replicas are named by the client: those of partition 0, 1, ….
func assigned(name string, replicas ...[]int32) kmsg.CreateTopicsRequestTopic {
	t := topic(name, -1, -1)
	for n, rs := range replicas {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = int32(n), rs
		t.ReplicaAssignment = append(t.ReplicaAssignment, a)
	}
	return t
}

func createTopics(topics ...kmsg.CreateTopicsRequestTopic) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrCreateTopicsRequest()
		r.TimeoutMillis, r.Topics = 10000, topics
		return r
	}
}

func validateTopics(topics ...kmsg.CreateTopicsRequestTopic) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := createTopics(topics...)(s).(*kmsg.CreateTopicsRequest)
		r.ValidateOnly = true
		return r
	}
}

// metadata asks for topics by name, without creating them where the version can say so.
func metadata(names ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrMetadataRequest()
		r.Topics = []kmsg.MetadataRequestTopic{}
		for _, name := range names {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			r.Topics = append(r.Topics, t)
		}
		return r
	}
}

func metadataOfAll(*scene) kmsg.Request { return kmsg.NewPtrMetadataRequest() }

// metadataWith is metadata after a change.
func metadataWith(change func(s *scene, r *kmsg.MetadataRequest), names ...string) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := metadata(names...)(s).(*kmsg.MetadataRequest)
		change(s, r)
		return r
	}
}

func metadataByID(id func(*scene) [16]byte, name *string) func(*scene) kmsg.Request {
	return metadataWith(func(s *scene, r *kmsg.MetadataRequest) {
		t := kmsg.NewMetadataRequestTopic()
		t.TopicID, t.Topic = id(s), name
		r.Topics = append(r.Topics, t)
	})
}

func idOf(topic string) func(*scene) [16]byte {
	return func(s *scene) [16]byte { return s.topicID(topic) }
}

func noTopic(*scene) [16]byte { return stray }

// at pins a version.
func at(version int16) func(Range) int16 { return func(Range) int16 { return version } }

// ready waits until topics are known: Kafka answers CreateTopics before its
// brokers have heard of what was created. It also learns their ids and sizes.
func ready(names ...string) step {
	return step{name: "until there is " + strings.Join(names, ", "), request: metadata(names...), version: at(12), quiet: true,
		until: func(reply kmsg.Response) bool {
			for _, t := range reply.(*kmsg.MetadataResponse).Topics {
				if t.ErrorCode != 0 || len(t.Partitions) == 0 {
					return false
				}
				for _, p := range t.Partitions {
					if p.ErrorCode != 0 || p.Leader < 0 {
						return false
					}
				}
			}
			return true
		},
		keep: func(s *scene, reply kmsg.Response) {
			for _, t := range reply.(*kmsg.MetadataResponse).Topics {
				s.numbers[partitionsOf(*t.Topic)] = int64(len(t.Partitions))
			}
		}}
}

func partitionsOf(topic string) string { return "partitions of " + topic }

// leaders waits until topics that are ready can be written to and read: a broker of
// Kafka tells everybody that it leads a partition a moment before it does.
func leaders(names ...string) step {
	return step{name: "until somebody leads " + strings.Join(names, ", "), version: at(6), quiet: true,
		request: func(s *scene) kmsg.Request {
			r := kmsg.NewPtrListOffsetsRequest()
			for _, name := range names {
				t := kmsg.NewListOffsetsRequestTopic()
				t.Topic = name
				for index := range int32(s.numbers[partitionsOf(name)]) {
					p := kmsg.NewListOffsetsRequestTopicPartition()
					p.Partition, p.Timestamp = index, -1 // the end
					t.Partitions = append(t.Partitions, p)
				}
				r.Topics = append(r.Topics, t)
			}
			return r
		},
		until: func(reply kmsg.Response) bool {
			for _, t := range reply.(*kmsg.ListOffsetsResponse).Topics {
				for _, p := range t.Partitions {
					if p.ErrorCode != 0 {
						return false
					}
				}
			}
			return true
		}}
}

// gone waits until topics are not known any more.
func gone(names ...string) step {
	return step{name: "until there is no " + strings.Join(names, ", "), request: metadata(names...), version: at(12), quiet: true,
		until: func(reply kmsg.Response) bool {
			for _, t := range reply.(*kmsg.MetadataResponse).Topics {
				if t.ErrorCode == 0 {
					return false
				}
			}
			return true
		}}
}

// partitionCount waits until the topic has that many partitions with a leader.
func partitionCount(name string, want int) step {
	st := ready(name)
	led := st.until
	st.until = func(reply kmsg.Response) bool {
		return led(reply) && len(reply.(*kmsg.MetadataResponse).Topics[0].Partitions) == want
	}
	return st
}

// topicsScript: CreateTopics and Metadata.
var topicsScript = script{name: "topics", steps: []step{
	{name: "before there is a topic", request: metadataOfAll},
	{name: "a topic", request: createTopics(topic("orders", 3, 1))},
	ready("orders"), leaders("orders"),
	{name: "a topic that exists", request: createTopics(topic("orders", 3, 1))},
	{name: "a topic with configs", request: createTopics(topic("configured", 1, 1,
		"cleanup.policy=compact", "retention.ms=86400000", "segment.bytes=1048576", "min.insync.replicas=1", "max.message.bytes=10000"))},
	ready("configured"),
	{name: "several topics, one of them illegal", request: createTopics(topic("several-1", 1, 1), topic("not legal", 1, 1), topic("several-2", 2, 1))},
	ready("several-1", "several-2"), leaders("several-1", "several-2"),
	{name: "an unknown config", request: createTopics(topic("refused", 1, 1, "no.such.config=1"))},
	{name: "a config that does not parse", request: createTopics(topic("refused", 1, 1, "retention.ms=soon"))},
	{name: "a config out of range", request: createTopics(topic("refused", 1, 1, "segment.bytes=1"))},
	{name: "a config that is null", request: createTopics(topic("refused", 1, 1, "retention.ms"))},
	{name: "an illegal cleanup policy", request: createTopics(topic("refused", 1, 1, "cleanup.policy=shred"))},
	{name: "an illegal compression type", request: createTopics(topic("refused", 1, 1, "compression.type=lzma"))},
	{name: "an illegal timestamp type", request: createTopics(topic("refused", 1, 1, "message.timestamp.type=Sometime"))},
	{name: "a config of a broker", request: createTopics(topic("refused", 1, 1, "log.retention.ms=1000"))},
	{name: "the same config twice", request: validateTopics(topic("refused", 1, 1, "retention.ms=1000", "retention.ms=2000"))},
	{name: "an empty name", request: createTopics(topic("", 1, 1))},
	{name: "a name with a space", request: createTopics(topic("a b", 1, 1))},
	{name: "a name with a slash", request: createTopics(topic("a/b", 1, 1))},
	{name: "a name that is a dot", request: createTopics(topic(".", 1, 1))},
	{name: "a name that is two dots", request: createTopics(topic("..", 1, 1))},
	{name: "a name of 249 characters", request: validateTopics(topic(strings.Repeat("n", 249), 1, 1))},
	{name: "a name of 250 characters", request: createTopics(topic(strings.Repeat("n", 250), 1, 1))},
	{name: "a name of letters beyond ASCII", request: createTopics(topic("größe", 1, 1))},
	{name: "no partitions", request: createTopics(topic("refused", 0, 1))},
	{name: "-2 partitions", request: createTopics(topic("refused", -2, 1))},
	{name: "no replicas", request: createTopics(topic("refused", 1, 0))},
	{name: "-2 replicas", request: createTopics(topic("refused", 1, -2))},
	{name: "more replicas than brokers", request: createTopics(topic("refused", 1, 2))},
	{name: "default partitions and replicas", request: validateTopics(topic("refused", -1, -1))},
	{name: "replicas named", request: validateTopics(assigned("refused", []int32{1}, []int32{1}))},
	{name: "replicas named, on a broker that is not there", request: createTopics(assigned("refused", []int32{9}))},
	{name: "replicas named, one twice", request: createTopics(assigned("refused", []int32{1, 1}))},
	{name: "replicas named, none for a partition", request: createTopics(assigned("refused", []int32{}))},
	{name: "replicas named, of different counts", request: createTopics(assigned("refused", []int32{1}, []int32{}))},
	{name: "replicas named, without partition 0", request: createTopics(func() kmsg.CreateTopicsRequestTopic {
		t := assigned("refused", []int32{1})
		t.ReplicaAssignment[0].Partition = 1
		return t
	}())},
	{name: "replicas named, a negative partition", request: createTopics(func() kmsg.CreateTopicsRequestTopic {
		t := assigned("refused", []int32{1})
		t.ReplicaAssignment[0].Partition = -1
		return t
	}())},
	{name: "replicas named, a partition twice", request: createTopics(func() kmsg.CreateTopicsRequestTopic {
		t := assigned("refused", []int32{1}, []int32{1})
		t.ReplicaAssignment[1].Partition = 0
		return t
	}())},
	{name: "replicas named and counts too", request: createTopics(func() kmsg.CreateTopicsRequestTopic {
		t := assigned("refused", []int32{1})
		t.NumPartitions, t.ReplicationFactor = 1, 1
		return t
	}())},
	{name: "a topic twice in one request", request: createTopics(topic("twice", 1, 1), topic("twice", 2, 1), topic("once", 1, 1))},
	ready("once"), leaders("once"),
	{name: "names that differ in dot and underscore", request: createTopics(topic("me.tric", 1, 1))},
	ready("me.tric"),
	{name: "a name that collides", request: createTopics(topic("me_tric", 1, 1))},
	{name: "validate only", request: validateTopics(topic("never", 4, 1, "retention.ms=1"))},
	{name: "validate only a topic that exists", request: validateTopics(topic("orders", 4, 1))},
	{name: "the metadata log", request: createTopics(topic("__cluster_metadata", 1, 1))},
	{name: "too many partitions in one request", request: validateTopics(topic("many", 10001, 1))},

	{name: "all topics", request: metadataOfAll},
	{name: "no topics", request: metadata(), from: 1},
	{name: "one topic", request: metadata("orders")},
	{name: "a topic twice", request: metadata("orders", "orders")},
	{name: "an unknown topic", request: metadata("nowhere"), from: 4},
	{name: "known and unknown topics", request: metadata("orders", "nowhere", "configured"), from: 4},
	{name: "an illegal topic", request: metadata("a b")},
	{name: "a topic without a name", request: metadata("")},
	{name: "with authorized operations", request: metadataWith(func(_ *scene, r *kmsg.MetadataRequest) {
		r.IncludeTopicAuthorizedOperations, r.IncludeClusterAuthorizedOperations = true, true
	}, "orders"), from: 8},
	{name: "a topic by id", request: metadataByID(idOf("orders"), nil), from: 10},
	{name: "a topic by id and name", request: metadataByID(idOf("orders"), kmsg.StringPtr("orders")), from: 10},
	{name: "a topic by id and another's name", request: metadataByID(idOf("orders"), kmsg.StringPtr("configured")), from: 10},
	{name: "an id of no topic", request: metadataByID(noTopic, nil), from: 10},
	{name: "neither id nor name", request: metadataByID(func(*scene) [16]byte { return [16]byte{} }, nil), from: 10},
	{name: "a topic by id in a version that has names only", request: metadataByID(idOf("orders"), nil), version: at(10)},
	{name: "a topic that is created by asking", request: metadataWith(func(_ *scene, r *kmsg.MetadataRequest) { r.AllowAutoTopicCreation = true }, "automatic")},
	ready("automatic"),
	{name: "a topic that was created by asking", request: metadata("automatic")},
	{name: "an illegal topic that is to be created", request: metadataWith(func(_ *scene, r *kmsg.MetadataRequest) { r.AllowAutoTopicCreation = true }, "a b"), from: 4},
}}

// clusterScript: DescribeCluster and DescribeTopicPartitions.
var clusterScript = script{name: "cluster", steps: []step{
	{name: "the cluster", request: describeCluster(func(*kmsg.DescribeClusterRequest) {})},
	{name: "with authorized operations", request: describeCluster(func(r *kmsg.DescribeClusterRequest) { r.IncludeClusterAuthorizedOperations = true })},
	{name: "the controllers, of a broker", request: describeCluster(func(r *kmsg.DescribeClusterRequest) { r.EndpointType = 2 }), from: 1},
	{name: "an endpoint type that is not there", request: describeCluster(func(r *kmsg.DescribeClusterRequest) { r.EndpointType = 3 }), from: 1},
	{name: "with fenced brokers", request: describeCluster(func(r *kmsg.DescribeClusterRequest) { r.IncludeFencedBrokers = true }), from: 2},

	{name: "one topic", request: describePartitions(100, nil, "orders")},
	{name: "all topics", request: describePartitions(100, nil)},
	{name: "an unknown topic", request: describePartitions(100, nil, "nowhere")},
	{name: "an illegal topic", request: describePartitions(100, nil, "a b")},
	{name: "a topic without a name", request: describePartitions(100, nil, "")},
	{name: "a topic twice", request: describePartitions(100, nil, "orders", "orders")},
	{name: "two partitions at most", request: describePartitions(2, nil, "orders", "several-2")},
	{name: "from a cursor on", request: describePartitions(2, cursor("orders", 2), "orders", "several-2")},
	{name: "from a cursor behind the last partition on", request: describePartitions(2, cursor("orders", 7), "orders", "several-2")},
	{name: "from a cursor on a topic that was not asked for on", request: describePartitions(2, cursor("p", 0), "orders", "several-2")},
	{name: "from a cursor with a negative partition on", request: describePartitions(2, cursor("orders", -1), "orders")},
	{name: "no partitions at most", request: describePartitions(0, nil, "orders")},
	{name: "-1 partitions at most", request: describePartitions(-1, nil, "orders")},
}}

func describeCluster(change func(*kmsg.DescribeClusterRequest)) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrDescribeClusterRequest()
		change(r)
		return r
	}
}

func cursor(topic string, partition int32) *kmsg.DescribeTopicPartitionsRequestCursor {
	c := kmsg.NewDescribeTopicPartitionsRequestCursor()
	c.Topic, c.Partition = topic, partition
	return &c
}

func describePartitions(limit int32, from *kmsg.DescribeTopicPartitionsRequestCursor, names ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrDescribeTopicPartitionsRequest()
		r.ResponsePartitionLimit, r.Cursor = limit, from
		for _, name := range names {
			t := kmsg.NewDescribeTopicPartitionsRequestTopic()
			t.Topic = name
			r.Topics = append(r.Topics, t)
		}
		return r
	}
}

// partitionsScript: CreatePartitions and DescribeLogDirs.
var partitionsScript = script{name: "partitions", steps: []step{
	{name: "two more", request: createPartitions(false, grow("orders", 5))},
	partitionCount("orders", 5),
	{name: "as many as there are", request: createPartitions(false, grow("orders", 5))},
	{name: "fewer than there are", request: createPartitions(false, grow("orders", 2))},
	{name: "none", request: createPartitions(false, grow("orders", 0))},
	{name: "-1", request: createPartitions(false, grow("orders", -1))},
	{name: "of an unknown topic", request: createPartitions(false, grow("nowhere", 5))},
	{name: "of a topic without a name", request: createPartitions(false, grow("", 5))},
	{name: "of a topic twice", request: createPartitions(false, grow("orders", 7), grow("orders", 8))},
	{name: "of several topics", request: createPartitions(false, grow("several-1", 2), grow("nowhere", 2), grow("several-2", 1))},
	partitionCount("several-1", 2),
	{name: "validate only", request: createPartitions(true, grow("orders", 9))},
	{name: "replicas named", request: createPartitions(true, grow("orders", 6, []int32{1}))},
	{name: "replicas named, too few", request: createPartitions(true, grow("orders", 7, []int32{1}))},
	{name: "replicas named, too many", request: createPartitions(true, grow("orders", 6, []int32{1}, []int32{1}))},
	{name: "replicas named, on a broker that is not there", request: createPartitions(true, grow("orders", 6, []int32{9}))},
	{name: "replicas named, more than the topic has", request: createPartitions(true, grow("orders", 6, []int32{1, 1}))},
	{name: "replicas named, none", request: createPartitions(true, grow("orders", 6, []int32{}))},
	{name: "too many", request: createPartitions(true, grow("orders", 20000))},

	{name: "of one topic", request: describeLogDirs(logDirsOf("orders", 0, 1))},
	{name: "of an unknown topic", request: describeLogDirs(logDirsOf("nowhere", 0))},
	{name: "of an unknown partition", request: describeLogDirs(logDirsOf("orders", 99))},
	{name: "of a topic without partitions", request: describeLogDirs(logDirsOf("orders"))},
	{name: "of a topic twice", request: describeLogDirs(logDirsOf("orders", 0), logDirsOf("orders", 1))},
	{name: "of no topic", request: describeLogDirs()},
}}

func grow(name string, count int32, replicas ...[]int32) kmsg.CreatePartitionsRequestTopic {
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = name, count
	for _, rs := range replicas {
		a := kmsg.NewCreatePartitionsRequestTopicAssignment()
		a.Replicas = rs
		t.Assignment = append(t.Assignment, a)
	}
	return t
}

func createPartitions(validateOnly bool, topics ...kmsg.CreatePartitionsRequestTopic) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrCreatePartitionsRequest()
		r.TimeoutMillis, r.Topics, r.ValidateOnly = 10000, topics, validateOnly
		return r
	}
}

func logDirsOf(name string, partitions ...int32) kmsg.DescribeLogDirsRequestTopic {
	t := kmsg.NewDescribeLogDirsRequestTopic()
	t.Topic, t.Partitions = name, partitions
	return t
}

func describeLogDirs(topics ...kmsg.DescribeLogDirsRequestTopic) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrDescribeLogDirsRequest()
		r.Topics = append([]kmsg.DescribeLogDirsRequestTopic{}, topics...)
		return r
	}
}

// deleteScript: DeleteTopics, and what is left of a topic.
var deleteScript = script{name: "deletes", steps: []step{
	{name: "an unknown topic", request: deleteTopics("nowhere")},
	{name: "a topic without a name", request: deleteTopics("")},
	{name: "an id of no topic", request: deleteTopicID(noTopic, nil), from: 6},
	{name: "an id and a name", request: deleteTopicID(idOf("once"), kmsg.StringPtr("once")), from: 6},
	{name: "neither id nor name", request: deleteTopicID(func(*scene) [16]byte { return [16]byte{} }, nil), from: 6},
	{name: "a topic by id", request: deleteTopicID(idOf("once"), nil), from: 6},
	{name: "a topic", request: deleteTopics("several-1")},
	gone("several-1"),
	{name: "a topic that was deleted", request: deleteTopics("several-1")},
	{name: "a topic twice in one request", request: deleteTopics("automatic", "automatic")},
	{name: "several topics, one of them unknown", request: deleteTopics("several-2", "nowhere")},
	gone("several-2"),
	{name: "from a topic that was deleted", request: fetch(func(*kmsg.FetchRequest) {}, read("several-2", reading(0, 0)))},
	{name: "to a topic that was deleted", request: produce(1, to("several-2", in(0, values("late")))), atLeast: 3},
	{name: "of a topic that was deleted", request: listOffsets(0, offsetsOf("several-2", offsetAt(0, -1)))},
	{name: "the topic that was deleted, made again", request: createTopics(topic("several-2", 1, 1))},
	ready("several-2"),
	{name: "from a topic that was made again", request: fetch(func(*kmsg.FetchRequest) {}, read("several-2", reading(0, 0))), until: led},

	// What follows asks for all topics: those in which the brokers differ must not be among them.
	{name: "until the topics of doubtful records are deleted", quiet: true, request: deleteTopics("doubtful", "gzipped", "twice-1", "twice-2")},
	gone("doubtful", "gzipped", "twice-1", "twice-2"),
}}

const notLeader = 6

// led: the broker leads what is fetched; Kafka's learns of a new topic after its controller's reply.
func led(reply kmsg.Response) bool {
	for _, t := range reply.(*kmsg.FetchResponse).Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == notLeader {
				return false
			}
		}
	}
	return true
}

func deleteTopics(names ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrDeleteTopicsRequest()
		r.TimeoutMillis, r.TopicNames = 10000, names
		for _, name := range names {
			t := kmsg.NewDeleteTopicsRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			r.Topics = append(r.Topics, t)
		}
		return r
	}
}

func deleteTopicID(id func(*scene) [16]byte, name *string) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrDeleteTopicsRequest()
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.TopicID, t.Topic = id(s), name
		r.TimeoutMillis, r.Topics = 10000, []kmsg.DeleteTopicsRequestTopic{t}
		return r
	}
}
