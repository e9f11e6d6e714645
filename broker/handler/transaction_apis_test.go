package handler

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/group"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/txn"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// newTransactionBroker is a groupBroker that coordinates transactions too.
func newTransactionBroker(t *testing.T) *groupBroker {
	t.Helper()
	b := newGroupBroker(t, func(n *config.Node) { n.TransactionTopicPartitions = 3 })
	b.Transactions = txn.New(txn.Config{
		Node: b.Config, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Partitions: func() int32 {
			if topic := b.Metadata.Image().Topics[txn.StateTopic]; topic != nil {
				return topic.Partitions
			}
			return 0
		},
		Log: func(i int32) txn.Log {
			if p := b.Partitions.Find([]byte(txn.StateTopic), i); p != nil {
				return txn.PartitionLog(p)
			}
			return nil
		},
		NextProducerID: b.Metadata.NextProducerID,
		WriteMarkers:   b.writeMarkers,
	})
	t.Cleanup(b.Transactions.Close)
	b.prepare()
	if err := b.ensureStateTopic(); err != nil {
		t.Fatal(err)
	}
	return b
}

// writeMarkers appends markers one by one.
func (b *groupBroker) writeMarkers(ctx context.Context, markers []txn.Marker) []error {
	errs := make([]error, len(markers))
	for i, m := range markers {
		errs[i] = b.StartMarker(m.Topic, m.Partition, partition.Marker{
			ProducerID: m.ID, ProducerEpoch: m.Epoch, CoordinatorEpoch: m.CoordinatorEpoch, TransactionVersion: m.Version, Commit: m.Commit,
		})(ctx)
	}
	return errs
}

// askHandler sends a request in one version through a handler, both ways in wire form.
func askHandler[R kmsg.Response](b *groupBroker, handle control, version int16, in kmsg.Request) R {
	b.t.Helper()
	in.SetVersion(version)
	decoded := kmsg.RequestForKey(in.Key())
	decoded.SetVersion(version)
	if err := decoded.ReadFrom(in.AppendTo(nil)); err != nil {
		b.t.Fatalf("%T version %d: %v", in, version, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r := &Request{Header: protocol.Header{Key: in.Key(), Version: version, ClientID: []byte("client")}, Peer: "/127.0.0.1"}
	answer := handle(b.Handler, ctx, r, decoded)
	response := answer.Response
	if answer.Wait != nil {
		response = answer.Wait(ctx)
	}
	if answer.Err != nil || response == nil {
		b.t.Fatalf("%T version %d: %v", in, version, answer.Err)
	}
	response.SetVersion(version)
	out := in.ResponseKind()
	if err := out.ReadFrom(response.AppendTo(nil)); err != nil {
		b.t.Fatalf("%T version %d does not read back: %v", response, version, err)
	}
	return out.(R)
}

func (b *groupBroker) initProducer(version int16, id string, expected ...txn.Producer) (txn.Producer, int16) {
	in := kmsg.NewPtrInitProducerIDRequest()
	in.TransactionalID, in.TransactionTimeoutMillis = &id, 60_000
	for _, p := range expected {
		in.ProducerID, in.ProducerEpoch = p.ID, p.Epoch
	}
	r := askHandler[*kmsg.InitProducerIDResponse](b, handleInitProducerID, version, in)
	return txn.Producer{ID: r.ProducerID, Epoch: r.ProducerEpoch}, r.ErrorCode
}

// addPartition adds or verifies t-0 and returns its code.
func (b *groupBroker) addPartition(version int16, id string, p txn.Producer, topic string, verifyOnly bool) int16 {
	in := kmsg.NewPtrAddPartitionsToTxnRequest()
	in.TransactionalID, in.ProducerID, in.ProducerEpoch = id, p.ID, p.Epoch
	in.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: topic, Partitions: []int32{0}}}
	in.Transactions = []kmsg.AddPartitionsToTxnRequestTransaction{{
		TransactionalID: id, ProducerID: p.ID, ProducerEpoch: p.Epoch, VerifyOnly: verifyOnly,
		Topics: []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: topic, Partitions: []int32{0}}},
	}}
	r := askHandler[*kmsg.AddPartitionsToTxnResponse](b, handleAddPartitionsToTxn, version, in)
	if version >= 4 {
		if r.ErrorCode != 0 || len(r.Transactions) != 1 || r.Transactions[0].TransactionalID != id || r.Transactions[0].Topics[0].Topic != topic {
			b.t.Fatalf("version %d: %+v", version, r)
		}
		return r.Transactions[0].Topics[0].Partitions[0].ErrorCode
	}
	if len(r.Topics) != 1 || r.Topics[0].Topic != topic {
		b.t.Fatalf("version %d: %+v", version, r)
	}
	return r.Topics[0].Partitions[0].ErrorCode
}

func (b *groupBroker) commitOffset(version int16, id string, p txn.Producer, offset int64) int16 {
	in := kmsg.NewPtrTxnOffsetCommitRequest()
	in.TransactionalID, in.ProducerID, in.ProducerEpoch, in.Group, in.Generation = id, p.ID, p.Epoch, "g", -1
	metadata := "m"
	in.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{
		{Partition: 1, Offset: offset, LeaderEpoch: -1, Metadata: &metadata}, {Partition: 9, Offset: 1},
	}}}
	r := askHandler[*kmsg.TxnOffsetCommitResponse](b, handleTxnOffsetCommit, version, in)
	if got := r.Topics[0].Partitions[1].ErrorCode; got != kerr.UnknownTopicOrPartition.Code {
		b.t.Errorf("version %d: a partition that does not exist: %v", version, kerr.ErrorForCode(got))
	}
	return r.Topics[0].Partitions[0].ErrorCode
}

// stableOffset is t-1 of the group as a stable offset.
func (b *groupBroker) stableOffset(version int16) (int64, int16) {
	in := kmsg.NewPtrOffsetFetchRequest()
	in.Group, in.RequireStable = "g", true
	in.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{1}}}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "g"
	g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{1}}}
	in.Groups = append(in.Groups, g)
	r := askHandler[*kmsg.OffsetFetchResponse](b, handleOffsetFetch, version, in)
	if version >= 8 {
		p := r.Groups[0].Topics[0].Partitions[0]
		return p.Offset, p.ErrorCode
	}
	p := r.Topics[0].Partitions[0]
	return p.Offset, p.ErrorCode
}

// await asks until the coordinator has written the markers.
func (b *groupBroker) await(what string, ask func() int16) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		code := ask()
		if code == 0 {
			return
		}
		if retry := kerr.ErrorForCode(code); !errors.Is(retry, kerr.ConcurrentTransactions) && !errors.Is(retry, kerr.UnstableOffsetCommit) || time.Now().After(deadline) {
			b.t.Fatalf("%s: %v", what, retry)
		}
	}
}

// TestTransactionInEveryVersion runs whole transactions as clients of every
// generation do.
func TestTransactionInEveryVersion(t *testing.T) {
	b := newTransactionBroker(t)
	clamp := func(version, newest int16) int16 { return min(version, newest) }
	offset := int64(0)
	for v := int16(0); v <= 5; v++ {
		p, code := b.initProducer(v, "x")
		b.expect("init", code, nil)
		for range 2 {
			offset++
			commit := offset%2 == 0
			b.await("add", func() int16 { return b.addPartition(v, "x", p, "t", false) })
			b.expect("verified", b.addPartition(4, "x", p, "t", true), nil)
			if v < 5 {
				offsets := kmsg.NewPtrAddOffsetsToTxnRequest()
				offsets.TransactionalID, offsets.ProducerID, offsets.ProducerEpoch, offsets.Group = "x", p.ID, p.Epoch, "g"
				b.expect("add offsets", askHandler[*kmsg.AddOffsetsToTxnResponse](b, handleAddOffsetsToTxn, clamp(v, 4), offsets).ErrorCode, nil)
			}
			before, code := b.stableOffset(8)
			b.expect("stable before", code, nil)
			b.expect("commit of an offset", b.commitOffset(v, "x", p, offset), nil)
			for version := int16(7); version <= 9; version++ {
				_, code = b.stableOffset(version)
				b.expect("stable while the transaction is open", code, kerr.UnstableOffsetCommit)
			}
			end := kmsg.NewPtrEndTxnRequest()
			end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = "x", p.ID, p.Epoch, commit
			ended := askHandler[*kmsg.EndTxnResponse](b, handleEndTxn, v, end)
			b.expect("end", ended.ErrorCode, nil)
			if v >= 5 {
				if ended.ProducerID != p.ID || ended.ProducerEpoch != p.Epoch+1 {
					t.Fatalf("version %d: went on as %d/%d after %d/%d", v, ended.ProducerID, ended.ProducerEpoch, p.ID, p.Epoch)
				}
				p.Epoch++
			}
			want := before
			if commit {
				want = offset
			}
			b.await("stable after", func() int16 { _, code := b.stableOffset(8); return code })
			if got, _ := b.stableOffset(8); got != want {
				t.Errorf("version %d: offset %d, want %d", v, got, want)
			}
		}
		b.await("another producer", func() int16 { _, code := b.initProducer(v, "x"); return code })
		fencedBefore := map[bool]error{true: kerr.InvalidProducerEpoch, false: kerr.ProducerFenced}
		b.expect("add of a fenced producer", b.addPartition(v, "x", p, "t", false), fencedBefore[v < 2])
		end := kmsg.NewPtrEndTxnRequest()
		end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = "x", p.ID, p.Epoch, true
		b.expect("end of a fenced producer", askHandler[*kmsg.EndTxnResponse](b, handleEndTxn, v, end).ErrorCode, fencedBefore[v < 2])
		b.expect("offsets of a fenced producer", b.commitOffset(v, "x", p, 0), kerr.InvalidProducerEpoch)
		if v >= 3 {
			_, code = b.initProducer(v, "x", p)
			b.expect("init of a fenced producer", code, fencedBefore[v < 4])
		}
	}
}

func TestAddPartitionsToTxnRefusesWhole(t *testing.T) {
	b := newTransactionBroker(t)
	p, code := b.initProducer(4, "x")
	b.expect("init", code, nil)
	in := kmsg.NewPtrAddPartitionsToTxnRequest()
	in.TransactionalID, in.ProducerID, in.ProducerEpoch = "x", p.ID, p.Epoch
	in.Topics = []kmsg.AddPartitionsToTxnRequestTopic{
		{Topic: "t", Partitions: []int32{0, 7}}, {Topic: "none", Partitions: []int32{0}}, {Topic: group.OffsetsTopic, Partitions: []int32{0}},
	}
	r := askHandler[*kmsg.AddPartitionsToTxnResponse](b, handleAddPartitionsToTxn, 3, in)
	b.expect("one that could be added", r.Topics[0].Partitions[0].ErrorCode, kerr.OperationNotAttempted)
	b.expect("no such partition", r.Topics[0].Partitions[1].ErrorCode, kerr.UnknownTopicOrPartition)
	b.expect("no such topic", r.Topics[1].Partitions[0].ErrorCode, kerr.UnknownTopicOrPartition)
	b.expect("a topic of the broker's own", r.Topics[2].Partitions[0].ErrorCode, kerr.TopicAuthorizationFailed)
	b.expect("nothing was added", b.addPartition(5, "x", p, "t", true), kerr.TransactionAbortable)
	b.expect("an offset without its partition", b.commitOffset(3, "x", p, 1), kerr.InvalidTxnState)
	b.expect("the same, for who knows the code", b.commitOffset(4, "x", p, 1), kerr.TransactionAbortable)
	b.expect("the commit adds it", b.commitOffset(5, "x", p, 1), nil)
	b.expect("no transactional id", b.addPartition(3, "", p, "t", false), kerr.InvalidRequest)

	describe := kmsg.NewPtrDescribeTransactionsRequest()
	describe.TransactionalIDs = []string{"x", "none"}
	d := askHandler[*kmsg.DescribeTransactionsResponse](b, handleDescribeTransactions, 0, describe)
	if len(d.TransactionStates) != 2 || d.TransactionStates[0].State != "Ongoing" || d.TransactionStates[0].Topics[0].Topic != group.OffsetsTopic {
		t.Errorf("described as %+v", d.TransactionStates)
	}
	b.expect("describe none", d.TransactionStates[1].ErrorCode, kerr.TransactionalIDNotFound)
	for v := int16(0); v <= 2; v++ {
		list := kmsg.NewPtrListTransactionsRequest()
		list.StateFilters = []string{"Ongoing", "nothing"}
		l := askHandler[*kmsg.ListTransactionsResponse](b, handleListTransactions, v, list)
		if l.ErrorCode != 0 || len(l.TransactionStates) != 1 || l.TransactionStates[0].ProducerID != p.ID || len(l.UnknownStateFilters) != 1 {
			t.Errorf("version %d: %+v", v, l)
		}
	}
}

func TestFindTransactionCoordinator(t *testing.T) {
	b := newTransactionBroker(t)
	everyGroupVersion(protocol.KeyFindCoordinator, func(v int16) {
		if v == 0 {
			return // groups only
		}
		in := kmsg.NewPtrFindCoordinatorRequest()
		in.CoordinatorType, in.CoordinatorKey, in.CoordinatorKeys = coordinatorTransaction, "x", []string{"x"}
		r := askHandler[*kmsg.FindCoordinatorResponse](b, handleFindCoordinator, v, in)
		if v < 4 && (r.ErrorCode != 0 || r.Port != 19092) || v >= 4 && (r.Coordinators[0].ErrorCode != 0 || r.Coordinators[0].Port != 19092) {
			t.Errorf("version %d: %+v", v, r)
		}
	})
}
