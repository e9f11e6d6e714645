package differential

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

func initProducer(change func(*kmsg.InitProducerIDRequest)) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrInitProducerIDRequest()
		r.TransactionTimeoutMillis = 60000
		change(r)
		return r
	}
}

// keepProducer keeps the id that was given, and its epoch under name + " epoch".
func keepProducer(name string) func(*scene, kmsg.Response) {
	return func(s *scene, reply kmsg.Response) {
		if r := reply.(*kmsg.InitProducerIDResponse); r.ErrorCode == 0 {
			s.numbers[name], s.numbers[name+" epoch"] = r.ProducerID, int64(r.ProducerEpoch)
		}
	}
}

const coordinatorLoading = 14

// idsLoaded: the broker has ids to give; Kafka's asks its controller for a block of them first.
func idsLoaded(reply kmsg.Response) bool {
	return reply.(*kmsg.InitProducerIDResponse).ErrorCode != coordinatorLoading
}

func idempotent(topic string, epoch int16, sequence int32, n int) func(*scene) kmsg.Request {
	return produce(-1, to(topic, in(0, numbered("idempotent", epoch, sequence, n, false))))
}

// producersScript: InitProducerId without a transaction, and what Produce makes of sequences.
var producersScript = script{name: "producers", steps: []step{
	{name: "until the producers' topics are asked for", quiet: true, request: createTopics(topic("idem", 1, 1), topic("idem-2", 1, 1))},
	ready("idem", "idem-2"), leaders("idem", "idem-2"),
	{name: "an idempotent producer", request: initProducer(func(*kmsg.InitProducerIDRequest) {}), keep: keepProducer("idempotent"), until: idsLoaded},
	{name: "an idempotent producer with an id and an epoch", request: initProducer(func(r *kmsg.InitProducerIDRequest) { r.ProducerID, r.ProducerEpoch = 12345, 3 }), from: 3, until: idsLoaded},
	{name: "an idempotent producer with an id and no epoch", request: initProducer(func(r *kmsg.InitProducerIDRequest) { r.ProducerID = 12345 }), from: 3, until: idsLoaded},
	{name: "an idempotent producer with an epoch and no id", request: initProducer(func(r *kmsg.InitProducerIDRequest) { r.ProducerEpoch = 3 }), from: 3, until: idsLoaded},
	{name: "an empty transactional id", request: initProducer(func(r *kmsg.InitProducerIDRequest) { r.TransactionalID = kmsg.StringPtr("") })},
	{name: "an idempotent producer with timeout -1", request: initProducer(func(r *kmsg.InitProducerIDRequest) { r.TransactionTimeoutMillis = -1 }), until: idsLoaded},

	asked("sequence 0", idempotent("idem", 0, 0, 2)),
	asked("sequence 2", idempotent("idem", 0, 2, 3)),
	asked("the last batch again", idempotent("idem", 0, 2, 3)),
	asked("the batch before again", idempotent("idem", 0, 0, 2)),
	asked("a batch that overlaps", idempotent("idem", 0, 3, 2)),
	asked("a gap", idempotent("idem", 0, 9, 1)),
	asked("sequence 5, after what was refused", idempotent("idem", 0, 5, 1)),
	asked("a new epoch that does not begin at 0", idempotent("idem", 1, 6, 1)),
	asked("a new epoch", idempotent("idem", 1, 0, 1)),
	asked("the epoch before", idempotent("idem", 0, 6, 1)),
	asked("an unknown producer that begins at 5", produce(-1, to("idem-2", in(0, numbered("idempotent", 0, 5, 1, false))))),
	asked("sequence -1", produce(-1, to("idem-2", in(0, numbered("idempotent", 0, -1, 1, false))))),
	asked("epoch -1", produce(-1, to("idem-2", in(0, numbered("idempotent", -1, 0, 1, false))))),
	asked("producer -2", produce(-1, to("idem-2", in(0, wrong(values("v"), func(b []byte) { b[atProducerID+7] = 0xfe }))))),
	asked("two batches of a producer", produce(-1, to("idem-2", in(0, joined(numbered("idempotent", 0, 6, 1, false), numbered("idempotent", 0, 7, 1, false)))))),
	asked("an epoch that skips one", produce(-1, to("idem-2", in(0, numbered("idempotent", 2, 0, 1, false))))),
	asked("a producer with acks=1", produce(1, to("idem-2", in(0, numbered("idempotent", 2, 1, 1, false))))),
	{name: "what the producers wrote", request: fetch(asIs, read("idem", reading(0, 0)), read("idem-2", reading(0, 0)))},
}}
