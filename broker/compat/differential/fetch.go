package differential

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wanted is what a fetch asks of one topic.
type wanted struct {
	topic string
	id    *[16]byte // overrides the topic's id when not nil
	parts []kmsg.FetchRequestTopicPartition
}

func read(topic string, parts ...kmsg.FetchRequestTopicPartition) wanted {
	return wanted{topic: topic, parts: parts}
}

// reading is a partition from an offset on.
func reading(partition int32, offset int64) kmsg.FetchRequestTopicPartition {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 1<<20
	return p
}

// readingWith is reading after a change.
func readingWith(partition int32, offset int64, change func(*kmsg.FetchRequestTopicPartition)) kmsg.FetchRequestTopicPartition {
	p := reading(partition, offset)
	change(&p)
	return p
}

// fetch asks without waiting and without a session, after a change.
func fetch(change func(*kmsg.FetchRequest), topics ...wanted) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrFetchRequest()
		r.MaxBytes = 50 << 20
		for _, w := range topics {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID, t.Partitions = w.topic, s.topicID(w.topic), w.parts
			if w.id != nil {
				t.TopicID = *w.id
			}
			r.Topics = append(r.Topics, t)
		}
		change(r)
		return r
	}
}

func asIs(*kmsg.FetchRequest) {}

// fetchScript reads what produceScript wrote.
var fetchScript = script{name: "fetch", steps: []step{
	{name: "from the start", request: fetch(asIs, read("log", reading(0, 0)))},
	{name: "two partitions", request: fetch(asIs, read("log", reading(0, 0), reading(1, 0)))},
	{name: "two topics", request: fetch(asIs, read("log", reading(1, 0)), read("compact", reading(0, 0)))},
	{name: "from the middle of a batch", request: fetch(asIs, read("log", reading(0, 2)))},
	{name: "from the end", request: fetch(asIs, read("log", reading(0, 13)))},
	{name: "from behind the end", request: fetch(asIs, read("log", reading(0, 1000)))},
	{name: "from -1", request: fetch(asIs, read("log", reading(0, -1)))},
	{name: "a zstd batch", request: fetch(asIs, read("scratch", reading(0, 0))), atLeast: 10},
	{name: "a zstd batch before version 10", request: fetch(asIs, read("scratch", reading(0, 0))), version: at(9)},
	{name: "LogAppendTime", request: fetch(asIs, read("append", reading(0, 0)))},
	{name: "an unknown topic", request: fetch(asIs, read("nowhere", reading(0, 0)))},
	{name: "an unknown topic beside a known one", request: fetch(asIs, read("nowhere", reading(0, 0)), read("log", reading(0, 0)))},
	{name: "an id of no topic", request: fetch(asIs, wanted{topic: "log", id: &stray, parts: []kmsg.FetchRequestTopicPartition{reading(0, 0)}}), from: 13},
	{name: "an unknown partition", request: fetch(asIs, read("log", reading(99, 0)))},
	{name: "partition -1", request: fetch(asIs, read("log", reading(-1, 0)))},
	{name: "a partition twice", request: fetch(asIs, read("log", reading(1, 0), reading(1, 2)))},
	{name: "a topic twice", request: fetch(asIs, read("log", reading(0, 0)), read("log", reading(1, 0)))},
	{name: "nothing", request: fetch(asIs)},
	{name: "the right leader epoch", request: fetch(asIs, read("log", readingWith(0, 0, func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 0 }))), from: 9},
	{name: "a leader epoch that is to come", request: fetch(asIs, read("log", readingWith(0, 0, func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 5 }))), from: 9},
	{name: "leader epoch -2", request: fetch(asIs, read("log", readingWith(0, 0, func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = -2 }))), from: 9},
	{name: "a last fetched epoch that is right", request: fetch(asIs, read("log", readingWith(0, 2, func(p *kmsg.FetchRequestTopicPartition) { p.LastFetchedEpoch = 0 }))), from: 12},
	{name: "a last fetched epoch that never was", request: fetch(asIs, read("log", readingWith(0, 2, func(p *kmsg.FetchRequestTopicPartition) { p.LastFetchedEpoch = 3 }))), from: 12},
	{name: "one byte of a partition at most", request: fetch(asIs, read("log", readingWith(0, 0, func(p *kmsg.FetchRequestTopicPartition) { p.PartitionMaxBytes = 1 })))},
	{name: "100 bytes of a partition at most", request: fetch(asIs, read("log", readingWith(0, 0, func(p *kmsg.FetchRequestTopicPartition) { p.PartitionMaxBytes = 100 })))},
	{name: "no byte of a partition", request: fetch(asIs, read("log", readingWith(0, 0, func(p *kmsg.FetchRequestTopicPartition) { p.PartitionMaxBytes = 0 })))},
	{name: "-1 bytes of a partition", request: fetch(asIs, read("log", readingWith(0, 0, func(p *kmsg.FetchRequestTopicPartition) { p.PartitionMaxBytes = -1 })))},
	{name: "one byte at most", request: fetch(func(r *kmsg.FetchRequest) { r.MaxBytes = 1 }, read("log", reading(0, 0), reading(1, 0)))},
	{name: "no byte at most", request: fetch(func(r *kmsg.FetchRequest) { r.MaxBytes = 0 }, read("log", reading(0, 0), reading(1, 0)))},
	{name: "-1 bytes at most", request: fetch(func(r *kmsg.FetchRequest) { r.MaxBytes = -1 }, read("log", reading(0, 0)))},
	{name: "more bytes than there are", request: fetch(func(r *kmsg.FetchRequest) { r.MinBytes, r.MaxWaitMillis = 1<<20, 100 }, read("log", reading(0, 0)))},
	{name: "a byte at the end", request: fetch(func(r *kmsg.FetchRequest) { r.MinBytes, r.MaxWaitMillis = 1, 100 }, read("log", reading(0, 13)))},
	{name: "a byte at the end of one and the start of another", request: fetch(func(r *kmsg.FetchRequest) { r.MinBytes, r.MaxWaitMillis = 1, 5000 }, read("log", reading(0, 13), reading(1, 0)))},
	{name: "-1 bytes at least", request: fetch(func(r *kmsg.FetchRequest) { r.MinBytes, r.MaxWaitMillis = -1, 100 }, read("log", reading(0, 13)))},
	{name: "a wait of -1", request: fetch(func(r *kmsg.FetchRequest) { r.MinBytes, r.MaxWaitMillis = 1, -1 }, read("log", reading(0, 13)))},
	{name: "read committed", request: fetch(func(r *kmsg.FetchRequest) { r.IsolationLevel = 1 }, read("log", reading(0, 0)))},
	{name: "isolation level 2", request: fetch(func(r *kmsg.FetchRequest) { r.IsolationLevel = 2 }, read("log", reading(0, 0)))},
	{name: "as a replica that is none", request: fetch(func(r *kmsg.FetchRequest) { r.ReplicaID = 5 }, read("log", reading(0, 0)))},
	{name: "as a replica that is none, with its state", request: fetch(func(r *kmsg.FetchRequest) { r.ReplicaState.ID, r.ReplicaState.Epoch = 5, 1 }, read("log", reading(0, 0))), from: 15},
	{name: "as a debugging consumer", request: fetch(func(r *kmsg.FetchRequest) { r.ReplicaID = -2 }, read("log", reading(0, 0)))},
	{name: "as a debugging consumer, with its state", request: fetch(func(r *kmsg.FetchRequest) { r.ReplicaState.ID = -2 }, read("log", reading(0, 0))), from: 15},
	{name: "a rack", request: fetch(func(r *kmsg.FetchRequest) { r.Rack = "nowhere" }, read("log", reading(0, 0))), from: 11},
	{name: "another cluster", request: fetch(func(r *kmsg.FetchRequest) { r.ClusterID = kmsg.StringPtr("other") }, read("log", reading(0, 0))), from: 12},
}}

// inSession continues, or misuses, the session that the case before began.
func inSession(name string, epoch int32, change func(*kmsg.FetchRequest), topics ...wanted) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		return fetch(func(r *kmsg.FetchRequest) {
			r.SessionID, r.SessionEpoch = int32(s.numbers[name]), epoch
			change(r)
		}, topics...)(s)
	}
}

func keepSession(name string) func(*scene, kmsg.Response) {
	return func(s *scene, reply kmsg.Response) { s.numbers[name] = int64(reply.(*kmsg.FetchResponse).SessionID) }
}

// forget drops partition 1 of the topic from a session.
func forget(topic string, id func(*scene) [16]byte) func(s *scene, r *kmsg.FetchRequest) {
	return func(s *scene, r *kmsg.FetchRequest) {
		t := kmsg.NewFetchRequestForgottenTopic()
		t.Topic, t.TopicID, t.Partitions = topic, id(s), []int32{1}
		r.ForgottenTopics = append(r.ForgottenTopics, t)
	}
}

// forgetting is inSession with a topic forgotten.
func forgetting(name string, epoch int32, topic string) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		return inSession(name, epoch, func(r *kmsg.FetchRequest) { forget(topic, idOf(topic))(s, r) })(s)
	}
}

// sessionsScript: incremental fetches (KIP-227), from version 7 on.
var sessionsScript = script{name: "fetch sessions", steps: []step{
	{name: "a new session", request: inSession("none", 0, asIs, read("log", reading(0, 0), reading(1, 0))), from: 7, keep: keepSession("s")},
	{name: "nothing new in the session", request: inSession("s", 1, asIs, read("log", reading(0, 13), reading(1, 7))), from: 7},
	{name: "still nothing new in the session", request: inSession("s", 2, asIs), from: 7},
	{name: "a record for the session", request: produce(1, to("log", in(1, values("new")))), atLeast: produceServed, quiet: true},
	{name: "something new in the session", request: inSession("s", 3, asIs), from: 7},
	{name: "an epoch of the session that was", request: inSession("s", 3, asIs), from: 7},
	{name: "an epoch of the session that is to come", request: inSession("s", 9, asIs), from: 7},
	{name: "a partition that is not there, in the session", request: inSession("s", 4, asIs, read("log", reading(99, 0))), from: 7},
	{name: "a partition forgotten", request: forgetting("s", 5, "log"), from: 7},
	{name: "what is not in the session forgotten", request: forgetting("s", 6, "scratch"), from: 7},
	{name: "a topic that is not there, in the session", request: inSession("s", 7, asIs, read("nowhere", reading(0, 0))), from: 7},
	{name: "a session that is not there", request: func(s *scene) kmsg.Request {
		s.numbers["stranger"] = 123456
		return inSession("stranger", 1, asIs)(s)
	}, from: 7},
	{name: "session 0 with an epoch", request: inSession("none", 1, asIs, read("log", reading(0, 0))), from: 7},
	{name: "the end of the session", request: inSession("s", -1, asIs, read("log", reading(0, 13))), from: 7},
	{name: "a session that was ended", request: inSession("s", 8, asIs), from: 7},
	{name: "the end of a session that is not there", request: inSession("stranger", -1, asIs, read("log", reading(0, 13))), from: 7},
}}
