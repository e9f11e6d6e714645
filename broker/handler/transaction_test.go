package handler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"fluxmq/broker/group"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// transactionBatch is one batch of a transactional producer, with one record.
func transactionBatch(t testing.TB, id int64, epoch int16, sequence int32) []byte {
	t.Helper()
	b, err := record.Builder{ProducerID: id, ProducerEpoch: epoch, BaseSequence: sequence, Transactional: true}.
		Build([]record.Record{{Timestamp: 1_700_000_000_000, Value: []byte("in a transaction")}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// transactional makes a Produce request one of the transactional id "x".
func transactional(in *kmsg.ProduceRequest) *kmsg.ProduceRequest {
	in.TransactionID = kmsg.StringPtr("x")
	return in
}

// coordinator stands for the transaction coordinator: it gives the answers in
// turn, and then agrees.
type coordinator struct {
	asked   []TransactionPartitions
	answers [][]error
}

func (c *coordinator) verify(_ context.Context, q TransactionPartitions) []error {
	c.asked = append(c.asked, q)
	if len(c.answers) == 0 {
		return make([]error, len(q.Partitions))
	}
	answer := c.answers[0]
	c.answers = c.answers[1:]
	return answer
}

func codes(r *kmsg.ProduceResponse) []int16 {
	var all []int16
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			all = append(all, p.ErrorCode)
		}
	}
	return all
}

// The coordinator is asked about the first batch of a transaction in a
// partition, with the frame's bytes kept, and not about those that follow.
func TestTransactionalProduceInEveryVersion(t *testing.T) {
	for version := protocol.ProduceBatchesOnly; version <= 13; version++ {
		for _, flush := range []partition.Durability{partition.FlushOS, partition.FlushAcks} {
			b := newBench(t, flush)
			c := &coordinator{}
			b.VerifyTransaction = c.verify
			for round := range int32(3) {
				r := b.ask(t, transactional(produceRequest(b.id, -1, transactionBatch(t, 7, 0, round), transactionBatch(t, 7, 0, round))), version).(*kmsg.ProduceResponse)
				for i, p := range r.Topics[0].Partitions {
					if p.ErrorCode != 0 || p.BaseOffset != int64(round) || p.Partition != int32(i) {
						t.Fatalf("version %d, batch %d: %+v", version, round, p)
					}
				}
			}
			want := TransactionPartitions{TransactionalID: "x", ProducerID: 7, Add: version >= 12, Partitions: []TopicPartition{{"t", 0}, {"t", 1}}}
			if len(c.asked) != 1 || fmt.Sprint(c.asked[0]) != fmt.Sprint(want) {
				t.Fatalf("version %d: the coordinator was asked %+v, want once %+v", version, c.asked, want)
			}
			if o := b.Partitions.Find([]byte("t"), 0).Offsets(); o.LastStable != 0 || o.LogEnd != 3 {
				t.Fatalf("version %d: %+v", version, o)
			}
		}
	}
}

// A request that waits for the coordinator holds back those behind it: their
// sequences follow its own.
func TestTransactionalProduceIsSerial(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.VerifyTransaction = (&coordinator{}).verify
	for _, c := range []struct {
		why      string
		sequence int32
		waits    bool
	}{{"the first batch", 0, true}, {"the second", 1, false}} {
		in := transactional(produceRequest(b.id, 1, transactionBatch(t, 7, 0, c.sequence)))
		in.SetVersion(9)
		b.out.Reset()
		b.Serve(context.Background(), &Request{Header: protocol.Header{Key: 0, Version: 9}, Body: in.AppendTo(nil)}, &b.out)
		if waits := b.out.Wait != nil; waits != c.waits || b.out.Serial != c.waits {
			t.Fatalf("%s: waits %v, serial %v", c.why, waits, b.out.Serial)
		}
		if c.waits {
			b.out.Wait(context.Background(), &b.out)
		}
	}
	if end := b.Partitions.Find([]byte("t"), 0).Offsets().LogEnd; end != 2 {
		t.Fatalf("the log ends at %d", end)
	}
}

func TestTransactionalProduceErrors(t *testing.T) {
	abortable := fmt.Errorf("%w: not added", protocol.ErrTransactionAbortable)
	for _, c := range []struct {
		answer  error
		version int16
		want    *protocol.Error
	}{
		{abortable, 10, protocol.ErrInvalidTxnState},
		{abortable, 11, protocol.ErrTransactionAbortable},
		{abortable, 12, protocol.ErrTransactionAbortable},
		{protocol.ErrInvalidTxnState, 12, protocol.ErrInvalidTxnState},
		{protocol.ErrProducerFenced, 9, protocol.ErrInvalidProducerEpoch},
		{protocol.ErrInvalidProducerEpoch, 12, protocol.ErrInvalidProducerEpoch},
		{protocol.ErrInvalidProducerIDMapping, 12, protocol.ErrInvalidProducerIDMapping},
		{protocol.ErrNotCoordinator, 9, protocol.ErrNotEnoughReplicas},
		{protocol.ErrCoordinatorNotAvailable, 12, protocol.ErrNotEnoughReplicas},
		{protocol.ErrCoordinatorLoadInProgress, 12, protocol.ErrNotEnoughReplicas},
		{protocol.ErrNetworkException, 12, protocol.ErrNotEnoughReplicas},
		{protocol.ErrConcurrentTransactions, 11, protocol.ErrNotEnoughReplicas},
		{context.DeadlineExceeded, 12, protocol.ErrNotEnoughReplicas},
	} {
		b := newBench(t, partition.FlushOS)
		coordinator := &coordinator{answers: [][]error{{c.answer, nil}}}
		b.VerifyTransaction = coordinator.verify
		request := func() *kmsg.ProduceRequest {
			return transactional(produceRequest(b.id, -1, transactionBatch(t, 7, 0, 0), transactionBatch(t, 7, 0, 0)))
		}
		r := b.ask(t, request(), c.version).(*kmsg.ProduceResponse)
		if got := codes(r); !slices.Equal(got, []int16{c.want.Code, 0}) || r.Topics[0].Partitions[0].BaseOffset != -1 {
			t.Errorf("%v in version %d: errors %v, want %s and none", c.answer, c.version, got, c.want.Name)
		}
		// With acks=0 the connection is closed.
		coordinator.answers = [][]error{{c.answer}}
		in := request()
		in.Acks = 0
		if b.ask(t, in, c.version); b.out.Close == nil {
			t.Errorf("%v in version %d with acks=0: the connection goes on", c.answer, c.version)
		}
		if o := b.Partitions.Find([]byte("t"), 0).Offsets(); o.LogEnd != 0 {
			t.Errorf("%v in version %d: a refused batch was written", c.answer, c.version)
		}
	}
}

// While the producer's last transaction is being completed, version 12 is
// asked about again; the markers that come meanwhile end its verification.
func TestConcurrentTransactionsAreWaitedFor(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	busy := []error{protocol.ErrConcurrentTransactions}
	c := &coordinator{answers: [][]error{busy, busy}}
	b.VerifyTransaction = func(ctx context.Context, q TransactionPartitions) []error {
		if len(c.answers) > 0 {
			mark(t, b, 0, partition.Marker{ProducerID: 7, ProducerEpoch: 5, TransactionVersion: 2, Commit: true})
		}
		return c.verify(ctx, q)
	}
	r := b.ask(t, transactional(produceRequest(b.id, -1, transactionBatch(t, 7, 5, 0))), 12).(*kmsg.ProduceResponse)
	if got := codes(r); !slices.Equal(got, []int16{0}) || len(c.asked) != 3 {
		t.Fatalf("errors %v after %d questions", got, len(c.asked))
	}
	// It is not waited for for ever, and version 12 is told so.
	b.VerifyTransaction = func(_ context.Context, q TransactionPartitions) []error { return busy }
	r = b.ask(t, transactional(produceRequest(b.id, -1, transactionBatch(t, 8, 0, 0))), 12).(*kmsg.ProduceResponse)
	if got := codes(r); !slices.Equal(got, []int16{protocol.ErrConcurrentTransactions.Code}) {
		t.Fatalf("errors %v", got)
	}
}

// mark writes a marker to a partition of topic t and finishes it.
func mark(t testing.TB, b *bench, index int32, m partition.Marker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.StartMarker("t", index, m)(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestTransactionalProduceRefusals(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	ask := func(in *kmsg.ProduceRequest) []int16 {
		t.Helper()
		return codes(b.ask(t, in, 12).(*kmsg.ProduceResponse))
	}
	one := func() *kmsg.ProduceRequest {
		return transactional(produceRequest(b.id, -1, transactionBatch(t, 7, 0, 0)))
	}
	if got := ask(one()); !slices.Equal(got, []int16{protocol.ErrInvalidTxnState.Code}) {
		t.Errorf("without a coordinator: %v", got)
	}
	c := &coordinator{}
	b.VerifyTransaction = c.verify
	if got := ask(transactional(produceRequest(b.id, -1, transactionBatch(t, 7, 0, 0), transactionBatch(t, 8, 0, 0)))); !slices.Equal(got, []int16{protocol.ErrInvalidProducerIDMapping.Code, protocol.ErrInvalidProducerIDMapping.Code}) {
		t.Errorf("two producers: %v", got)
	}
	in := one()
	in.Acks = 2
	if got := ask(in); !slices.Equal(got, []int16{protocol.ErrInvalidRequiredAcks.Code}) {
		t.Errorf("acks=2: %v", got)
	}
	in = one()
	in.Topics[0].Partitions[0].Partition = 9
	if got := ask(in); !slices.Equal(got, []int16{protocol.ErrUnknownTopicOrPartition.Code}) {
		t.Errorf("an unknown partition: %v", got)
	}
	if len(c.asked) != 0 {
		t.Errorf("the coordinator was asked about requests that are wrong by themselves: %+v", c.asked)
	}
	if end := b.Partitions.Find([]byte("t"), 0).Offsets().LogEnd; end != 0 {
		t.Fatalf("the log ends at %d", end)
	}
	// A transactional id alone makes no transaction: the batch says it.
	if got := ask(transactional(produceRequest(b.id, -1, batch(t, 2)))); !slices.Equal(got, []int16{0}) || len(c.asked) != 0 {
		t.Errorf("a plain batch: %v, asked %v", got, c.asked)
	}
	// The client that left while the coordinator was thinking has written nothing.
	b.VerifyTransaction = func(ctx context.Context, q TransactionPartitions) []error { return []error{ctx.Err()} }
	in = one()
	in.SetVersion(12)
	b.out.Reset()
	b.Serve(context.Background(), &Request{Header: protocol.Header{Key: 0, Version: 12}, Body: in.AppendTo(nil)}, &b.out)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	b.out.Wait(gone, &b.out)
	if end := b.Partitions.Find([]byte("t"), 0).Offsets().LogEnd; end != 2 {
		t.Fatalf("the log ends at %d", end)
	}
}

// What a read_committed fetch gets in every version: records up to the last
// stable offset, and what of it was aborted.
func TestFetchReadCommitted(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.VerifyTransaction = (&coordinator{}).verify
	write := func(id int64) {
		t.Helper()
		if got := codes(b.ask(t, transactional(produceRequest(b.id, -1, transactionBatch(t, id, 0, 0))), 9).(*kmsg.ProduceResponse)); got[0] != 0 {
			t.Fatalf("error %d", got[0])
		}
	}
	write(7)                                          // 0
	write(8)                                          // 1
	mark(t, b, 0, partition.Marker{ProducerID: 7})    // 2
	b.ask(t, produceRequest(b.id, 1, batch(t, 1)), 9) // 3
	read := func(version int16, offset int64) kmsg.FetchResponseTopicPartition {
		t.Helper()
		in := fetchRequest(b.id, offset)
		in.IsolationLevel = 1
		return b.ask(t, in, version).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	}
	for version := int16(4); version <= 18; version++ {
		p := read(version, 0)
		first, rest, err := record.Next(p.RecordBatches)
		if err != nil || len(rest) != 0 || first.ProducerID() != 7 || p.LastStableOffset != 1 || p.HighWatermark != 4 {
			t.Fatalf("version %d: %d bytes, %+v, %v", version, len(p.RecordBatches), p, err)
		}
		if len(p.AbortedTransactions) != 1 || p.AbortedTransactions[0].ProducerID != 7 || p.AbortedTransactions[0].FirstOffset != 0 {
			t.Fatalf("version %d: aborted %+v", version, p.AbortedTransactions)
		}
		in := fetchRequest(b.id, 0)
		if p := b.ask(t, in, version).(*kmsg.FetchResponse).Topics[0].Partitions[0]; p.AbortedTransactions != nil || len(p.RecordBatches) <= len(first) {
			t.Fatalf("version %d, read_uncommitted: %d bytes, aborted %+v", version, len(p.RecordBatches), p.AbortedTransactions)
		}
	}
	// Behind the last stable offset there is nothing yet, until a marker comes.
	in := fetchRequest(b.id, 1)
	in.IsolationLevel, in.MaxWaitMillis = 1, 20_000
	in.SetVersion(12)
	b.out.Reset()
	b.Serve(context.Background(), &Request{Header: protocol.Header{Key: 1, Version: 12}, Body: in.AppendTo(nil)}, &b.out)
	wait := b.out.Wait
	if wait == nil {
		t.Fatal("a fetch of an open transaction was answered")
	}
	b.out.Wait = nil
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait(context.Background(), &b.out)
	}()
	mark(t, b, 0, partition.Marker{ProducerID: 8, Commit: true}) // 4
	select {
	case <-done:
	case <-time.After(15 * time.Second):
		t.Fatal("the marker did not wake the fetch")
	}
	b.out.Release()
	if p := read(12, 1); p.LastStableOffset != 5 || len(p.AbortedTransactions) != 1 {
		t.Fatalf("after the last marker: %+v", p)
	}
	if p := read(12, 3); p.LastStableOffset != 5 || len(p.AbortedTransactions) != 0 || p.AbortedTransactions == nil {
		t.Fatalf("behind the aborted transaction: %+v", p)
	}
}

// B14: the end of the log that ListOffsets tells is right for both kinds of
// readers in every version, and 0 only for a log that is stable up to there.
func TestListOffsets_NeverZeroSpuriously(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.VerifyTransaction = (&coordinator{}).verify
	b.ask(t, produceRequest(b.id, 1, batch(t, 3)), 9)
	b.ask(t, transactional(produceRequest(b.id, -1, transactionBatch(t, 7, 0, 0))), 9)
	ask := func(version int16, isolation int8, timestamp int64) kmsg.ListOffsetsResponseTopicPartition {
		t.Helper()
		in := kmsg.NewPtrListOffsetsRequest()
		in.ReplicaID, in.IsolationLevel = -1, isolation
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp = timestamp
		in.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
		got := b.ask(t, in, version).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
		if got.ErrorCode != 0 {
			t.Fatalf("version %d: %+v", version, got)
		}
		return got
	}
	for version := int16(2); version <= 11; version++ {
		for isolation, want := range []int64{4, 3} {
			if got := ask(version, int8(isolation), -1); got.Offset != want {
				t.Errorf("version %d, isolation %d: the log ends at %d, want %d", version, isolation, got.Offset, want)
			}
		}
	}
	mark(t, b, 0, partition.Marker{ProducerID: 7})
	for isolation := range int8(2) {
		if got := ask(11, isolation, -1); got.Offset != 5 {
			t.Errorf("isolation %d: the log ends at %d, want 5", isolation, got.Offset)
		}
	}
	// A look-up by time does not see the open transaction.
	later, err := record.Builder{ProducerID: 9, Transactional: true}.Build([]record.Record{{Timestamp: 1_900_000_000_000, Value: []byte("later")}})
	if err != nil {
		t.Fatal(err)
	}
	b.ask(t, transactional(produceRequest(b.id, -1, later)), 9)
	for isolation, want := range []int64{5, -1} {
		if got := ask(11, int8(isolation), 1_850_000_000_000); got.Offset != want {
			t.Errorf("isolation %d: offset %d of that time, want %d", isolation, got.Offset, want)
		}
		if got := ask(11, int8(isolation), -3); got.Offset != want {
			t.Errorf("isolation %d: offset %d of the newest, want %d", isolation, got.Offset, want)
		}
	}
}

// direct sends a request of the control plane that is not advertised yet over the wire form and back.
func direct[R kmsg.Response](t *testing.T, h *Handler, handle control, in kmsg.Request, version int16) R {
	t.Helper()
	in.SetVersion(version)
	decoded := kmsg.RequestForKey(in.Key())
	decoded.SetVersion(version)
	if err := decoded.ReadFrom(in.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	answer := handle(h, context.Background(), &Request{Header: protocol.Header{Key: in.Key(), Version: version}}, decoded)
	response := answer.Response
	if answer.Wait != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		response = answer.Wait(ctx)
	}
	response.SetVersion(version)
	out := in.ResponseKind()
	out.SetVersion(version)
	if err := out.ReadFrom(response.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	return out.(R)
}

func TestWriteTxnMarkers(t *testing.T) {
	for _, flush := range []partition.Durability{partition.FlushOS, partition.FlushAcks, partition.FlushAlways} {
		for version := int16(1); version <= 2; version++ {
			b := newBench(t, flush)
			b.VerifyTransaction = (&coordinator{}).verify
			b.ask(t, transactional(produceRequest(b.id, -1, transactionBatch(t, 7, 3, 0), transactionBatch(t, 7, 3, 0))), 9)
			in := kmsg.NewPtrWriteTxnMarkersRequest()
			in.Markers = []kmsg.WriteTxnMarkersRequestMarker{
				{ProducerID: 7, ProducerEpoch: 3, TransactionVersion: 2, CoordinatorEpoch: 4, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "t", Partitions: []int32{0}}}},
				{ProducerID: 7, ProducerEpoch: 2, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "t", Partitions: []int32{1, 5}}, {Topic: "none", Partitions: []int32{0}}}},
				{ProducerID: 7, ProducerEpoch: 4, TransactionVersion: 2, CoordinatorEpoch: 4, Committed: true, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "t", Partitions: []int32{1}}}},
				{ProducerID: 7, ProducerEpoch: 4, TransactionVersion: 2, CoordinatorEpoch: 3, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "t", Partitions: []int32{1}}}},
				{ProducerID: 9},
			}
			r := direct[*kmsg.WriteTxnMarkersResponse](t, b.Handler, handleWriteTxnMarkers, in, version)
			var got []int16
			for i, m := range r.Markers {
				if m.ProducerID != in.Markers[i].ProducerID || len(m.Topics) != len(in.Markers[i].Topics) {
					t.Fatalf("marker %d: %+v", i, m)
				}
				for j, topic := range m.Topics {
					for k, p := range topic.Partitions {
						if want := in.Markers[i].Topics[j]; topic.Topic != want.Topic || p.Partition != want.Partitions[k] {
							t.Fatalf("marker %d: %+v", i, m)
						}
						got = append(got, p.ErrorCode)
					}
				}
			}
			want := []int16{
				protocol.ErrInvalidProducerEpoch.Code, // version 2 bumps the epoch
				protocol.ErrInvalidProducerEpoch.Code, protocol.ErrUnknownTopicOrPartition.Code, protocol.ErrUnknownTopicOrPartition.Code,
				0, protocol.ErrTransactionCoordinatorFenced.Code,
			}
			stable := []int64{0, 2}
			if version == 1 { // which does not carry the transaction's version
				want[0], stable[0] = 0, 2
			}
			if len(r.Markers) != len(in.Markers) || !slices.Equal(got, want) {
				t.Fatalf("version %d: errors %v, want %v", version, got, want)
			}
			for index, want := range stable {
				if o := b.Partitions.Find([]byte("t"), int32(index)).Offsets(); o.LastStable != want {
					t.Fatalf("version %d, partition %d: %+v, want last stable %d", version, index, o, want)
				}
			}
		}
	}
}

// The group coordinator writes the markers of __consumer_offsets, and its
// error is told to whoever wants one written, so that it is written again.
func TestMarkersOfOffsetsTopic(t *testing.T) {
	b := newTransactionBroker(t)
	p, code := b.initProducer(5, "x")
	b.expect("init", code, nil)
	b.expect("commit", b.commitOffset(5, "x", p, 3), nil)
	index := group.PartitionOf("g", b.Metadata.Image().Topics[group.OffsetsTopic].Partitions)
	mark := func(epoch int16) error {
		return b.StartMarker(group.OffsetsTopic, index, partition.Marker{ProducerID: p.ID, ProducerEpoch: epoch, CoordinatorEpoch: 100, TransactionVersion: 2, Commit: true})(t.Context())
	}
	if err := mark(p.Epoch); !errors.Is(err, protocol.ErrInvalidProducerEpoch) {
		t.Errorf("a late marker: %v", err)
	}
	if err := mark(p.Epoch + 1); err != nil {
		t.Errorf("the marker: %v", err)
	}
	if offset, code := b.stableOffset(8); offset != 3 || code != 0 {
		t.Errorf("offset %d, code %d", offset, code)
	}
	if err := b.StartMarker(group.OffsetsTopic, 99, partition.Marker{})(t.Context()); !errors.Is(err, protocol.ErrNotLeaderOrFollower) {
		t.Errorf("a partition that is not there: %v", err)
	}
}

func TestDescribeProducers(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.VerifyTransaction = (&coordinator{}).verify
	b.ask(t, transactional(produceRequest(b.id, -1, transactionBatch(t, 7, 3, 0))), 9)
	b.ask(t, transactional(produceRequest(b.id, -1, transactionBatch(t, 4, 0, 6))), 9)
	mark(t, b, 0, partition.Marker{ProducerID: 4, CoordinatorEpoch: 8, Commit: true})
	in := kmsg.NewPtrDescribeProducersRequest()
	in.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "t", Partitions: []int32{0, 1, 7}}, {Topic: "none", Partitions: []int32{0}}, {Topic: "no/topic", Partitions: []int32{0}}, {Topic: "known", Partitions: []int32{1}}}
	create(t, b.Handler, "known", 1)
	r := direct[*kmsg.DescribeProducersResponse](t, b.Handler, handleDescribeProducers, in, 0)
	if len(r.Topics) != 4 || len(r.Topics[0].Partitions) != 3 {
		t.Fatalf("%+v", r)
	}
	active := r.Topics[0].Partitions[0].ActiveProducers
	if len(active) != 2 {
		t.Fatalf("%+v", active)
	}
	if p := active[0]; p.ProducerID != 4 || p.ProducerEpoch != 0 || p.LastSequence != 6 || p.CoordinatorEpoch != 8 || p.CurrentTxnStartOffset != -1 {
		t.Errorf("%+v", p)
	}
	if p := active[1]; p.ProducerID != 7 || p.ProducerEpoch != 3 || p.LastSequence != 0 || p.LastTimestamp != 1_700_000_000_000 || p.CoordinatorEpoch != -1 || p.CurrentTxnStartOffset != 0 {
		t.Errorf("%+v", p)
	}
	if p := r.Topics[0].Partitions[1]; p.ErrorCode != 0 || len(p.ActiveProducers) != 0 {
		t.Errorf("%+v", p)
	}
	for _, test := range []struct {
		got   kmsg.DescribeProducersResponseTopicPartition
		want  *protocol.Error
		words bool
	}{
		{r.Topics[3].Partitions[0], protocol.ErrUnknownTopicOrPartition, false},
		{r.Topics[1].Partitions[0], protocol.ErrUnknownTopicOrPartition, true},
		{r.Topics[2].Partitions[0], protocol.ErrInvalidTopicException, true},
	} {
		if test.got.ErrorCode != test.want.Code || (test.got.ErrorMessage != nil) != test.words {
			t.Errorf("%+v, want %s", test.got, test.want.Name)
		}
	}
}

// Transactional batches that need no question allocate nothing either.
func TestTransactionalProduceDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	b := newBench(t, partition.FlushOS)
	b.VerifyTransaction = (&coordinator{}).verify
	sequence := int32(0)
	request := &Request{Header: protocol.Header{Key: 0, Version: 9}}
	var bodies [][]byte
	for range 700 {
		in := transactional(produceRequest(b.id, -1, transactionBatch(t, 7, 0, sequence)))
		in.SetVersion(9)
		bodies = append(bodies, in.AppendTo(nil))
		sequence++
	}
	serve := func() {
		request.Body, bodies = bodies[0], bodies[1:]
		b.out.Reset()
		b.Serve(context.Background(), request, &b.out)
		if wait := b.out.Wait; wait != nil {
			b.out.Wait = nil
			wait(context.Background(), &b.out)
		}
		if b.out.Close != nil || len(b.out.Bytes) == 0 {
			t.Fatal(b.out.Close)
		}
	}
	for range 100 {
		serve()
	}
	if n := testing.AllocsPerRun(500, serve); n > 0 {
		t.Errorf("%v allocations per request", n)
	}
}
