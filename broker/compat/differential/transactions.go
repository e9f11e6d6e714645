package differential

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// API keys that only these scripts name.
const (
	keyAddPartitionsToTxn       int16 = 24
	keyAddOffsetsToTxn          int16 = 25
	keyEndTxn                   int16 = 26
	keyTxnOffsetCommit          int16 = 28
	keyConsumerGroupHeartbeat   int16 = 68
	keyShareGroupHeartbeat      int16 = 76
	keyDescribeClientQuotas     int16 = 48
	keyGetTelemetrySubscription int16 = 71
)

// initTransactions asks for the producer of a transactional id.
func initTransactions(id string, change func(s *scene, r *kmsg.InitProducerIDRequest)) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrInitProducerIDRequest()
		r.TransactionalID, r.TransactionTimeoutMillis = &id, 60000
		change(s, r)
		return r
	}
}

func asProducer(*scene, *kmsg.InitProducerIDRequest) {}

// addPartitions adds topic's partitions to the transaction of the producer
// kept under the transactional id's name, in the client's form and, from
// version 4 on, in the broker's.
func addPartitions(id string, epochShift int16, verifyOnly bool, topics map[string][]int32) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrAddPartitionsToTxnRequest()
		r.TransactionalID, r.ProducerID, r.ProducerEpoch = id, s.numbers[id], int16(s.numbers[id+" epoch"])+epochShift
		tx := kmsg.NewAddPartitionsToTxnRequestTransaction()
		tx.TransactionalID, tx.ProducerID, tx.ProducerEpoch, tx.VerifyOnly = r.TransactionalID, r.ProducerID, r.ProducerEpoch, verifyOnly
		for _, name := range []string{"tx", "tx-2", "nowhere"} { // in an order
			partitions, is := topics[name]
			if !is {
				continue
			}
			t := kmsg.NewAddPartitionsToTxnRequestTopic()
			t.Topic, t.Partitions = name, partitions
			r.Topics = append(r.Topics, t)
			tt := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
			tt.Topic, tt.Partitions = name, partitions
			tx.Topics = append(tx.Topics, tt)
		}
		r.Transactions = append(r.Transactions, tx)
		return r
	}
}

func addOffsets(id string, epochShift int16, group string) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrAddOffsetsToTxnRequest()
		r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.Group = id, s.numbers[id], int16(s.numbers[id+" epoch"])+epochShift, group
		return r
	}
}

func endTransaction(id string, epochShift int16, commit bool) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrEndTxnRequest()
		r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.Commit = id, s.numbers[id], int16(s.numbers[id+" epoch"])+epochShift, commit
		return r
	}
}

// keepEpoch keeps what EndTxn gives from version 5 on: the epoch of the next transaction (KIP-890).
func keepEpoch(id string) func(*scene, kmsg.Response) {
	return func(s *scene, reply kmsg.Response) {
		if r := reply.(*kmsg.EndTxnResponse); r.ErrorCode == 0 && r.Version >= 5 {
			s.numbers[id], s.numbers[id+" epoch"] = r.ProducerID, int64(r.ProducerEpoch)
		}
	}
}

func commitInTransaction(id, group string, change func(*kmsg.TxnOffsetCommitRequest), topic string, partition int32, offset int64) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = partition, offset, kmsg.StringPtr("note")
		t := kmsg.NewTxnOffsetCommitRequestTopic()
		t.Topic, t.TopicID, t.Partitions = topic, s.topicID(topic), []kmsg.TxnOffsetCommitRequestTopicPartition{p}
		r := kmsg.NewPtrTxnOffsetCommitRequest()
		r.TransactionalID, r.Group, r.ProducerID, r.ProducerEpoch = id, group, s.numbers[id], int16(s.numbers[id+" epoch"])
		r.Topics = append(r.Topics, t)
		change(r)
		return r
	}
}

func asTransactional(*kmsg.TxnOffsetCommitRequest) {}

// transactional produces n records of the producer kept under id, at its epoch.
func transactional(id string, epochShift int16, topic string, sequence int32, n int) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		epoch := int16(s.numbers[id+" epoch"]) + epochShift
		r := produce(-1, to(topic, in(0, numbered(id, epoch, sequence, n, true))))(s).(*kmsg.ProduceRequest)
		r.TransactionID = &id
		return r
	}
}

// readCommitted is a fetch at isolation level 1.
func readCommitted(r *kmsg.FetchRequest) { r.IsolationLevel = 1 }

// decided waits until nothing in the topic's partition 0 is undecided: markers
// are written behind the reply of EndTxn.
func decided(name, topic string) step {
	return step{name: name, quiet: true, version: at(11), request: fetch(readCommitted, read(topic, reading(0, 0))),
		until: func(reply kmsg.Response) bool {
			topics := reply.(*kmsg.FetchResponse).Topics
			if len(topics) == 0 || len(topics[0].Partitions) == 0 {
				return false
			}
			p := topics[0].Partitions[0]
			return p.ErrorCode == 0 && p.LastStableOffset == p.HighWatermark
		}}
}

// holds waits until an OffsetFetch of one partition shows that offset.
func holds(offset int64) func(kmsg.Response) bool {
	return func(reply kmsg.Response) bool {
		r := reply.(*kmsg.OffsetFetchResponse)
		if len(r.Topics) == 1 && len(r.Topics[0].Partitions) == 1 {
			return r.Topics[0].Partitions[0].Offset == offset
		}
		return len(r.Groups) == 1 && len(r.Groups[0].Topics) == 1 && len(r.Groups[0].Topics[0].Partitions) == 1 && r.Groups[0].Topics[0].Partitions[0].Offset == offset
	}
}

const concurrentTransactions = 51

// atRest: the transaction before is over. Until its markers are written every
// request is told to come again.
func atRest(reply kmsg.Response) bool {
	switch r := reply.(type) {
	case *kmsg.EndTxnResponse:
		return r.ErrorCode != concurrentTransactions
	case *kmsg.AddPartitionsToTxnResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == concurrentTransactions {
					return false
				}
			}
		}
		for _, tx := range r.Transactions {
			for _, t := range tx.Topics {
				for _, p := range t.Partitions {
					if p.ErrorCode == concurrentTransactions {
						return false
					}
				}
			}
		}
	}
	return true
}

// transactionsScript: transactions at one version of each API, which also is
// the client's generation: below EndTxn 5 and Produce 12 partitions are added
// by the client, from there on by the broker (KIP-890).
var transactionsScript = script{name: "transactions", needs: []int16{keyAddPartitionsToTxn, keyAddOffsetsToTxn, keyEndTxn, keyTxnOffsetCommit}, steps: []step{
	{name: "until the transactions' topics are asked for", quiet: true, request: createTopics(topic("tx", 1, 1), topic("tx-2", 1, 1))},
	ready("tx", "tx-2"), leaders("tx", "tx-2"),
	coordinated(1, "t"),
	{name: "of a transactional id", request: findCoordinator(1, "t"), from: 1},
	{name: "of a transactional id without a name", request: findCoordinator(1, ""), from: 1},
	{name: "a transactional producer", request: initTransactions("t", asProducer), keep: keepProducer("t"),
		until: func(reply kmsg.Response) bool { return reply.(*kmsg.InitProducerIDResponse).ErrorCode == 0 }},
	{name: "transaction timeout 0", request: initTransactions("u", func(_ *scene, r *kmsg.InitProducerIDRequest) { r.TransactionTimeoutMillis = 0 })},
	{name: "a transaction timeout that is too long", request: initTransactions("u", func(_ *scene, r *kmsg.InitProducerIDRequest) { r.TransactionTimeoutMillis = 100_000_000 })},
	{name: "a transactional id with a producer id that is another's", from: 3, request: initTransactions("t", func(_ *scene, r *kmsg.InitProducerIDRequest) { r.ProducerID, r.ProducerEpoch = 424242, 0 })},
	{name: "a transactional id with an epoch that is to come", from: 3, request: initTransactions("t", func(s *scene, r *kmsg.InitProducerIDRequest) {
		r.ProducerID, r.ProducerEpoch = s.numbers["t"], int16(s.numbers["t epoch"])+5
	})},
	{name: "a transactional producer that goes on", from: 3, keep: keepProducer("t"), request: initTransactions("t", func(s *scene, r *kmsg.InitProducerIDRequest) {
		r.ProducerID, r.ProducerEpoch = s.numbers["t"], int16(s.numbers["t epoch"])
	})},

	{name: "before there is a transaction", request: endTransaction("t", 0, true), keep: keepEpoch("t")},
	{name: "a partition", request: addPartitions("t", 0, false, map[string][]int32{"tx": {0}}), until: atRest},
	{name: "a partition again", request: addPartitions("t", 0, false, map[string][]int32{"tx": {0}})},
	{name: "an unknown topic", request: addPartitions("t", 0, false, map[string][]int32{"nowhere": {0}, "tx-2": {0}})},
	{name: "an unknown partition", request: addPartitions("t", 0, false, map[string][]int32{"tx": {99}})},
	{name: "an epoch that is to come", request: addPartitions("t", 1, false, map[string][]int32{"tx": {0}})},
	{name: "a transactional id that is not there", request: addPartitions("nobody", 0, false, map[string][]int32{"tx": {0}})},
	{name: "a transactional id without a name", request: addPartitions("", 0, false, map[string][]int32{"tx": {0}})},
	{name: "no partitions", request: addPartitions("t", 0, false, map[string][]int32{})},
	{name: "verify a partition", from: 4, request: addPartitions("t", 0, true, map[string][]int32{"tx": {0}})},
	{name: "verify a partition that was not added", from: 4, request: addPartitions("t", 0, true, map[string][]int32{"tx-2": {0}})},
	asked("in the transaction", transactional("t", 0, "tx", 0, 2)),
	asked("in the transaction, an epoch that is to come", transactional("t", 1, "tx", 0, 1)),
	asked("in the transaction, to a partition that was not added", transactional("t", 0, "tx-2", 0, 1)),
	asked("in a transaction of nobody", transactional("nobody", 0, "tx", 0, 1)),
	{name: "behind an open transaction", request: produce(-1, to("tx", in(0, values("plain")))), atLeast: produceServed},
	{name: "an open transaction, uncommitted", request: fetch(asIs, read("tx", reading(0, 0)))},
	{name: "an open transaction, committed", request: fetch(readCommitted, read("tx", reading(0, 0)))},
	{name: "the end behind an open transaction", request: listOffsets(0, offsetsOf("tx", offsetAt(0, latest)))},
	{name: "the committed end behind an open transaction", request: listOffsets(1, offsetsOf("tx", offsetAt(0, latest))), from: 2},
	{name: "a timestamp behind an open transaction", from: 2, request: func(s *scene) kmsg.Request {
		return listOffsets(1, offsetsOf("tx", offsetAt(0, s.begin)))(s)
	}},
	{name: "the offsets of a group", request: addOffsets("t", 0, "txgroup")},
	{name: "the offsets of a group without a name", request: addOffsets("t", 0, "")},
	{name: "the offsets of a group, an epoch that is to come", request: addOffsets("t", 1, "txgroup")},
	{name: "the offsets of a group, of nobody", request: addOffsets("nobody", 0, "txgroup")},
	{name: "in the transaction", request: commitInTransaction("t", "txgroup", asTransactional, "orders", 0, 5)},
	{name: "in the transaction, an unknown topic", request: commitInTransaction("t", "txgroup", asTransactional, "nowhere", 0, 5)},
	{name: "in the transaction, an unknown partition", request: commitInTransaction("t", "txgroup", asTransactional, "orders", 99, 5)},
	{name: "in the transaction, a group without a name", request: commitInTransaction("t", "", asTransactional, "orders", 0, 5)},
	{name: "in the transaction, a generation of a group without members", from: 3, request: commitInTransaction("t", "txgroup", func(r *kmsg.TxnOffsetCommitRequest) { r.Generation = 3 }, "orders", 0, 5)},
	{name: "in the transaction, a member that is not there", from: 3, request: commitInTransaction("t", "txgroup", func(r *kmsg.TxnOffsetCommitRequest) { r.Generation, r.MemberID = 1, "stranger" }, "orders", 0, 5)},
	{name: "in the transaction, an epoch that was", request: commitInTransaction("t", "txgroup", func(r *kmsg.TxnOffsetCommitRequest) { r.ProducerEpoch-- }, "orders", 1, 5)},
	{name: "of an open transaction", request: committedOf("txgroup", map[string][]int32{"orders": {0}})},
	{name: "of an open transaction, that is stable", from: 7, request: committedWith(func(_ *scene, r *kmsg.OffsetFetchRequest) { r.RequireStable = true }, "txgroup", map[string][]int32{"orders": {0}})},
	{name: "an epoch that is to come", request: endTransaction("t", 1, true)},
	{name: "a transactional id that is not there", request: endTransaction("nobody", 0, true)},
	{name: "a transactional id without a name", request: endTransaction("", 0, true)},
	{name: "a commit", request: endTransaction("t", 0, true), keep: keepEpoch("t")},
	decided("until the commit is written", "tx"),
	{name: "a commit again", request: endTransaction("t", 0, true), until: atRest},
	{name: "an abort after a commit", request: endTransaction("t", 0, false), until: atRest},
	{name: "a committed transaction", request: fetch(readCommitted, read("tx", reading(0, 0)))},
	{name: "of a committed transaction", request: committedOf("txgroup", map[string][]int32{"orders": {0}}),
		until: holds(5)},

	{name: "until the transaction that is to be aborted has a partition", quiet: true, request: addPartitions("t", 0, false, map[string][]int32{"tx-2": {0}}), until: atRest},
	asked("in the transaction that is to be aborted", transactional("t", 0, "tx-2", 0, 3)),
	{name: "an abort", request: endTransaction("t", 0, false), keep: keepEpoch("t")},
	decided("until the abort is written", "tx-2"),
	{name: "an abort again", request: endTransaction("t", 0, false), until: atRest},
	{name: "an aborted transaction, uncommitted", request: fetch(asIs, read("tx-2", reading(0, 0)))},
	{name: "an aborted transaction, committed", request: fetch(readCommitted, read("tx-2", reading(0, 0)))},
	{name: "the second producer of a transactional id", request: initTransactions("t", asProducer), keep: keepProducer("t'"),
		until: func(reply kmsg.Response) bool { return reply.(*kmsg.InitProducerIDResponse).ErrorCode == 0 }},
	{name: "a producer that was fenced", request: addPartitions("t", 0, false, map[string][]int32{"tx": {0}})},
	{name: "a producer that was fenced", request: endTransaction("t", 0, true)},
	{name: "a producer that was fenced", request: addOffsets("t", 0, "txgroup")},
	asked("of a producer that was fenced", transactional("t", 0, "tx", 0, 1)),
	{name: "a producer that was fenced goes on", from: 3, request: initTransactions("t", func(s *scene, r *kmsg.InitProducerIDRequest) {
		r.ProducerID, r.ProducerEpoch = s.numbers["t"], int16(s.numbers["t epoch"])
	})},
}}

// transactionAdminScript: what transactionsScript left, as administrators see it.
var transactionAdminScript = script{name: "transaction administration", needs: []int16{keyEndTxn}, steps: []step{
	{name: "of a partition with transactions", request: describeProducers("tx", 0)},
	{name: "of an unknown topic", request: describeProducers("nowhere", 0)},
	{name: "of an unknown partition", request: describeProducers("tx", 99)},
	{name: "of a partition with an idempotent producer", request: describeProducers("idem", 0)},
	{name: "of a topic without a name", request: describeProducers("", 0)},
	{name: "a transactional id", request: describeTransactions("t")},
	{name: "a transactional id that is not there", request: describeTransactions("nobody")},
	{name: "a transactional id without a name", request: describeTransactions("")},
	{name: "all", request: listTransactions(func(*scene, *kmsg.ListTransactionsRequest) {})},
	{name: "that are ongoing", request: listTransactions(func(_ *scene, r *kmsg.ListTransactionsRequest) { r.StateFilters = []string{"Ongoing"} })},
	{name: "of a state that is not there", request: listTransactions(func(_ *scene, r *kmsg.ListTransactionsRequest) { r.StateFilters = []string{"Sleepy"} })},
	{name: "of a producer", request: listTransactions(func(s *scene, r *kmsg.ListTransactionsRequest) { r.ProducerIDFilters = []int64{s.numbers["t"]} })},
	{name: "of a producer that is not there", request: listTransactions(func(_ *scene, r *kmsg.ListTransactionsRequest) { r.ProducerIDFilters = []int64{424242} })},
	{name: "that last long", from: 1, request: listTransactions(func(_ *scene, r *kmsg.ListTransactionsRequest) { r.DurationFilterMillis = 3600_000 })},
	{name: "by pattern", from: 2, request: listTransactions(func(_ *scene, r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = kmsg.StringPtr("t.*") })},
	{name: "by a pattern that is none", from: 2, request: listTransactions(func(_ *scene, r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = kmsg.StringPtr("(") })},
	{name: "the markers of a transaction that is not there", request: writeMarkers("tx", 0)},
	{name: "markers on an unknown topic", request: writeMarkers("nowhere", 0)},
	{name: "markers on an unknown partition", request: writeMarkers("tx", 99)},
}}

func describeProducers(topic string, partition int32) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		t := kmsg.NewDescribeProducersRequestTopic()
		t.Topic, t.Partitions = topic, []int32{partition}
		r := kmsg.NewPtrDescribeProducersRequest()
		r.Topics = append(r.Topics, t)
		return r
	}
}

func describeTransactions(ids ...string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrDescribeTransactionsRequest()
		r.TransactionalIDs = ids
		return r
	}
}

func listTransactions(change func(*scene, *kmsg.ListTransactionsRequest)) func(*scene) kmsg.Request {
	return func(s *scene) kmsg.Request {
		r := kmsg.NewPtrListTransactionsRequest()
		change(s, r)
		return r
	}
}

func writeMarkers(topic string, partition int32) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
		t.Topic, t.Partitions = topic, []int32{partition}
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch, m.Topics = 424242, 0, []kmsg.WriteTxnMarkersRequestMarkerTopic{t}
		r := kmsg.NewPtrWriteTxnMarkersRequest()
		r.Markers = append(r.Markers, m)
		return r
	}
}
