package differential

import (
	"encoding/binary"

	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// written is what a request holds for one topic, by partition.
type written struct {
	topic string
	// id overrides the topic's id when not nil.
	id    *[16]byte
	parts []writtenPart
}

type writtenPart struct {
	partition int32
	records   payload
}

func to(topic string, parts ...writtenPart) written { return written{topic: topic, parts: parts} }

func in(partition int32, records payload) writtenPart { return writtenPart{partition, records} }

func produce(acks int16, topics ...written) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrProduceRequest()
		r.Acks, r.TimeoutMillis = acks, 5000
		for _, w := range topics {
			t := kmsg.NewProduceRequestTopic()
			t.Topic, t.TopicID = w.topic, s.topicID(w.topic)
			if w.id != nil {
				t.TopicID = *w.id
			}
			for _, part := range w.parts {
				p := kmsg.NewProduceRequestTopicPartition()
				p.Partition, p.Records = part.partition, part.records(s)
				t.Partitions = append(t.Partitions, p)
			}
			r.Topics = append(r.Topics, t)
		}
		return r
	}
}

// produceWith is produce after a change.
func produceWith(change func(r *kmsg.ProduceRequest), acks int16, topics ...written) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := produce(acks, topics...)(s).(*kmsg.ProduceRequest)
		change(r)
		return r
	}
}

// produceServed is the first version that Kafka carries out; 0 to 2 it
// advertises and refuses, which the generic cases ask for.
const produceServed = 3

func putAt16(position int, value uint16) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint16(b[position:], value) }
}

func putAt32(position int, value uint32) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint32(b[position:], value) }
}

func coded(c record.Codec) payload {
	return batch(record.Builder{ProducerID: -1, Codec: c}, entry(0, "key", "value value value value"), entry(5, "key", "value value value value"))
}

// asked is a produce step at a version that is carried out.
func asked(name string, request func(*scene) kmsg.Request) step {
	return step{name: name, request: request, atLeast: produceServed}
}

// produceScript: Produce without producer ids. The log that fetchScript and
// offsetsScript read is written here.
var produceScript = script{name: "produce", steps: []step{
	{name: "until the produce topics are asked for", quiet: true, request: createTopics(
		topic("log", 2, 1), topic("small", 1, 1, "max.message.bytes=1000"), topic("append", 1, 1, "message.timestamp.type=LogAppendTime"),
		topic("compact", 1, 1, "cleanup.policy=compact"), topic("narrow", 1, 1, "message.timestamp.before.max.ms=1000", "message.timestamp.after.max.ms=1000"),
		topic("insync", 1, 1, "min.insync.replicas=2"), topic("scratch", 1, 1), topic("twice-1", 1, 1), topic("twice-2", 1, 1))},
	ready("log", "small", "append", "compact", "narrow", "insync", "scratch", "twice-1", "twice-2"),
	leaders("log", "small", "append", "compact", "narrow", "insync", "scratch", "twice-1", "twice-2"),
	{name: "a topic that is to be gzip", request: createTopics(topic("gzipped", 1, 1, "compression.type=gzip"))},
	ready("gzipped"), leaders("gzipped"),

	asked("one record", produce(1, to("log", in(0, values("first"))))),
	asked("several records", produce(-1, to("log", in(0, values("a", "b", "c"))))),
	asked("several partitions", produce(-1, to("log", in(0, values("left")), in(1, values("right"))))),
	asked("several topics", produce(-1, to("log", in(1, values("here"))), to("scratch", in(0, values("there"))))),
	asked("a null value and headers", produce(1, to("log", in(0, batch(plain, record.Record{Key: []byte("k"),
		Headers: []record.Header{{Key: "h", Value: []byte("v")}, {Key: "empty", Value: []byte{}}, {Key: "null"}}}))))),
	asked("no key", produce(1, to("log", in(0, batch(plain, record.Record{Value: []byte("v")}))))),
	asked("gzip", produce(1, to("log", in(0, coded(record.Gzip))))),
	asked("snappy", produce(1, to("log", in(0, coded(record.Snappy))))),
	asked("lz4", produce(1, to("log", in(0, coded(record.LZ4))))),
	{name: "zstd", request: produce(1, to("scratch", in(0, coded(record.Zstd)))), atLeast: 7},
	asked("timestamps that fall", produce(1, to("log", in(1, batch(plain, entry(900, "k", "late"), entry(100, "k", "early")))))),
	{name: "to a topic that is to be gzip", request: produce(1, to("gzipped", in(0, values("plain")))), atLeast: produceServed},
	{name: "acks=0", request: produce(0, to("log", in(1, values("unconfirmed")))), atLeast: produceServed, unanswered: true, quiet: true},
	asked("behind acks=0 on the same connection", produce(1, to("log", in(1, values("confirmed"))))),
	asked("acks=2", produce(2, to("scratch", in(0, values("v"))))),
	asked("acks=-2", produce(-2, to("scratch", in(0, values("v"))))),
	asked("a negative timeout", produceWith(func(r *kmsg.ProduceRequest) { r.TimeoutMillis = -1 }, -1, to("gzipped", in(0, values("v"))))),

	asked("an unknown topic", produce(1, to("nowhere", in(0, values("v"))))),
	asked("an unknown topic beside a known one", produce(1, to("nowhere", in(0, values("v"))), to("scratch", in(0, values("v"))))),
	asked("an illegal topic", produce(1, to("a b", in(0, values("v"))))),
	asked("a topic without a name", produce(1, to("", in(0, values("v"))))),
	{name: "an id of no topic", request: produce(1, written{topic: "log", id: &stray, parts: []writtenPart{in(0, values("v"))}}), from: 13},
	asked("an unknown partition", produce(1, to("scratch", in(99, values("v"))))),
	asked("partition -1", produce(1, to("scratch", in(-1, values("v"))))),
	asked("a partition twice", produce(1, to("twice-1", in(0, values("one")), in(0, values("two"))))),
	asked("a topic twice", produce(1, to("twice-2", in(0, values("one"))), to("twice-2", in(0, values("two"))))),
	asked("a topic without partitions", produce(1, to("scratch"))),

	asked("a wrong checksum beside a right one", produce(1, to("scratch", in(0, damaged(values("v"), func(b []byte) { b[atCRC]++ }))), to("log", in(1, values("right"))))),
	{name: "zstd before version 7", request: produce(1, to("scratch", in(0, coded(record.Zstd)))), version: at(6)},

	asked("larger than max.message.bytes", produce(1, to("small", in(0, large(2000))))),
	asked("as large as allowed", produce(1, to("small", in(0, large(900))))),
	asked("LogAppendTime", produce(1, to("append", in(0, values("a", "b"))))),
	asked("a key in a compacted topic", produce(1, to("compact", in(0, values("v"))))),
	asked("no key in a compacted topic", produce(1, to("compact", in(0, batch(plain, entry(0, "k", "v"), record.Record{Value: []byte("v")}))))),
	asked("a timestamp that is too old", produce(1, to("narrow", in(0, batch(plain, entry(-3600_000, "k", "v")))))),
	asked("a timestamp in the future", produce(1, to("narrow", in(0, batch(plain, entry(2*3600_000, "k", "v")))))),
	asked("too few replicas in sync, acks=1", produce(1, to("insync", in(0, values("v"))))),
	asked("too few replicas in sync, acks=-1", produce(-1, to("insync", in(0, values("v"))))),
	asked("a transactional id and no transaction", produceWith(func(r *kmsg.ProduceRequest) { r.TransactionID = kmsg.StringPtr("nobody") }, -1, to("twice-1", in(0, values("v"))))),
	asked("what is there after all of this", produce(1, to("scratch", in(0, values("last"))))),
}}

// doubtful are records that a broker may refuse; each has a partition of its
// own in the topic "doubtful", so that what one broker takes and the other
// does not moves no offset of a later case.
var doubtful = []struct {
	name    string
	records payload
}{
	{"null records", noRecords},
	{"empty records", emptyRecords},
	{"two batches", joined(values("one"), values("two"))},
	{"a batch that is cut", cut(values("v"), func(size int) int { return size - 1 })},
	{"half a batch header", cut(values("v"), func(int) int { return 30 })},
	{"bytes behind the batch", joined(values("v"), func(*scene) []byte { return []byte{1, 2, 3} })},
	{"a wrong checksum", damaged(values("v"), func(b []byte) { b[atCRC]++ })},
	{"format 0", oldMessage(0)},
	{"format 1", oldMessage(1)},
	{"format 3", wrong(values("v"), func(b []byte) { b[atMagic] = 3 })},
	{"a batch length that is too large", damaged(values("v"), putAt32(atBatchLength, 1000))},
	{"a batch length that is too small", damaged(values("v"), putAt32(atBatchLength, 10))},
	{"a negative batch length", damaged(values("v"), putAt32(atBatchLength, 0xffffffff))},
	{"a count that is too large", wrong(values("v"), putAt32(atCount, 2))},
	{"a count that is too small", wrong(values("v", "w"), putAt32(atCount, 1))},
	{"a count of 0", wrong(values("v"), putAt32(atCount, 0))},
	{"a negative count", wrong(values("v"), putAt32(atCount, 0xffffffff))},
	{"a last offset delta that is too large", wrong(values("v"), putAt32(atLastOffsetDelta, 5))},
	{"a negative last offset delta", wrong(values("v"), putAt32(atLastOffsetDelta, 0xffffffff))},
	{"codec 5", wrong(values("v"), putAt16(atAttributes, 5))},
	{"codec 7", wrong(values("v"), putAt16(atAttributes, 7))},
	{"gzip that is none", wrong(values("v"), putAt16(atAttributes, 1))},
	{"a control batch", wrong(values("v"), putAt16(atAttributes, 0x20))},
	{"a transactional batch without a producer", wrong(values("v"), putAt16(atAttributes, 0x10))},
	{"a client that sets LogAppendTime", wrong(values("v"), putAt16(atAttributes, 0x08))},
	{"reserved attributes", wrong(values("v"), putAt16(atAttributes, 0x80))},
	{"a record attribute", wrong(values("v"), func(b []byte) { b[record.HeaderSize+1] = 1 })},
	{"an offset delta of 5", wrong(values("v"), func(b []byte) { b[record.HeaderSize+3] = 10 })},
	{"a record that is longer than the batch", wrong(values("v"), func(b []byte) { b[record.HeaderSize] = 126 })},
	{"a base offset that is not 0", damaged(values("v"), func(b []byte) { b[7] = 9 })},
	{"a timestamp in the future, by default", batch(plain, entry(48*3600_000, "k", "v"))},
	{"timestamp -1", func(s *scene) []byte { return batch(plain, entry(-1-s.begin, "k", "v"))(s) }},
}

// doubtfulScript sends each of them and reads what became of it.
var doubtfulScript = func() script {
	s := script{name: "doubtful records", steps: []step{
		{name: "until the topic of doubtful records is asked for", quiet: true, request: createTopics(topic("doubtful", int32(len(doubtful)), 1))},
		ready("doubtful"), leaders("doubtful"),
	}}
	var all []kmsg.FetchRequestTopicPartition
	for n, d := range doubtful {
		st := asked(d.name, produce(1, to("doubtful", in(int32(n), d.records))))
		st.patience = malformedPatience
		s.steps = append(s.steps, st)
		all = append(all, reading(int32(n), 0))
	}
	s.steps = append(s.steps, step{name: "what became of doubtful records", request: fetch(asIs, read("doubtful", all...)), atLeast: 10})
	return s
}()
