package handler

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/commitlog"
	"fluxmq/broker/config"
	"fluxmq/broker/metrics"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// bench is a handler over a real log directory, with one topic "t" of two
// partitions.
type bench struct {
	*Handler
	id  partition.TopicID
	out Response
}

func newBench(t testing.TB, flush partition.Durability) *bench {
	t.Helper()
	settings, _, err := config.Load(config.Sources{Overrides: []string{"listeners=PLAINTEXT://127.0.0.1:9092"}})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := commitlog.OpenDir(commitlog.OS{}, t.TempDir(), commitlog.Identity{NodeID: settings.NodeID}, "boot")
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := cluster.Open(commitlog.OS{}, dir.Path, cluster.Options{Settings: settings, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	set, err := partition.OpenSet(partition.SetConfig{LogDir: dir, Durability: flush})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(metadata.Close(), set.Close()); err != nil {
			t.Error(err)
		}
	})
	b := &bench{Handler: &Handler{Config: settings, Metadata: metadata, Partitions: set, Metrics: new(metrics.Registry)}, id: partition.TopicID{1, 2, 3}}
	b.Prepare()
	for index := range int32(2) {
		if _, err := set.Create("t", b.id, index, partition.Config{
			SegmentBytes: 1 << 30, RetentionBytes: -1, Retention: -1, IndexIntervalBytes: 4096, SegmentIndexBytes: 10 << 20, MaxMessageBytes: 1 << 20,
			TimestampBeforeMax: 1<<63 - 1, TimestampAfterMax: 1<<63 - 1,
		}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// batch is one uncompressed batch of n records of 100 bytes.
func batch(t testing.TB, n int) []byte {
	t.Helper()
	records := make([]record.Record, n)
	for i := range records {
		records[i] = record.Record{Timestamp: 1_700_000_000_000, Value: make([]byte, 100)}
	}
	b, err := record.Builder{ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1}.Build(records)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ask encodes a request and serves it; the answer is decoded unless there is none.
func (b *bench) ask(t testing.TB, in kmsg.Request, version int16) kmsg.Response {
	t.Helper()
	in.SetVersion(version)
	body := in.AppendTo(nil)
	request := &Request{
		Header: protocol.Header{Key: in.Key(), Version: version, CorrelationID: 7, ClientID: []byte("test")},
		Body:   body, Size: len(body), Peer: "/127.0.0.1",
	}
	b.out.Reset()
	b.Serve(context.Background(), request, &b.out)
	clear(request.Body) // the connection reuses the frame
	if wait := b.out.Wait; wait != nil {
		b.out.Wait = nil
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		wait(ctx, &b.out)
	}
	if len(b.out.Bytes) == 0 {
		return nil
	}
	whole := b.assemble(t)
	if size := int(binary.BigEndian.Uint32(whole)); size != len(whole)-4 {
		t.Fatalf("the frame declares %d bytes and has %d", size, len(whole)-4)
	}
	body = whole[8:]
	response := in.ResponseKind()
	response.SetVersion(version)
	if response.IsFlexible() && in.Key() != protocol.KeyApiVersions {
		body = body[1:]
	}
	if err := response.ReadFrom(body); err != nil {
		t.Fatalf("the response does not decode: %v", err)
	}
	return response
}

// assemble joins bytes and ranges as a connection would write them.
func (b *bench) assemble(t testing.TB) []byte {
	t.Helper()
	var whole []byte
	sent := 0
	for _, r := range b.out.Ranges {
		whole = append(whole, b.out.Bytes[sent:r.At]...)
		sent = r.At
		if r.File == nil {
			whole = append(whole, r.Memory...)
			continue
		}
		part, err := io.ReadAll(io.NewSectionReader(r.File, r.Position, r.Size))
		if err != nil {
			t.Fatal(err)
		}
		whole = append(whole, part...)
	}
	whole = append(whole, b.out.Bytes[sent:]...)
	b.out.Release()
	return whole
}

func produceRequest(id partition.TopicID, acks int16, batches ...[]byte) *kmsg.ProduceRequest {
	in := kmsg.NewPtrProduceRequest()
	in.Acks, in.TimeoutMillis = acks, 10_000
	topic := kmsg.ProduceRequestTopic{Topic: "t", TopicID: id}
	for i, b := range batches {
		topic.Partitions = append(topic.Partitions, kmsg.ProduceRequestTopicPartition{Partition: int32(i), Records: b})
	}
	in.Topics = append(in.Topics, topic)
	return in
}

func fetchRequest(id partition.TopicID, offsets ...int64) *kmsg.FetchRequest {
	in := kmsg.NewPtrFetchRequest()
	in.MaxWaitMillis, in.MinBytes, in.MaxBytes, in.SessionEpoch = 0, 1, 50<<20, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = "t", id
	for i, o := range offsets {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = int32(i), o, 1<<20
		topic.Partitions = append(topic.Partitions, p)
	}
	in.Topics = append(in.Topics, topic)
	return in
}

func TestEveryAdvertisedAPIIsServed(t *testing.T) {
	for _, api := range protocol.APIs() {
		switch api.Key {
		case protocol.KeyProduce, protocol.KeyFetch, protocol.KeyApiVersions:
			if controls[api.Key] != nil {
				t.Errorf("%s is served twice", api.Name)
			}
		default:
			if controls[api.Key] == nil {
				t.Errorf("%s is advertised and not served", api.Name)
			}
		}
	}
	for key, handle := range controls {
		if handle != nil && protocol.NameOf(int16(key)) == "" {
			t.Errorf("API key %d is served and not advertised", key)
		}
	}
}

func TestProduceAndFetchInEveryVersion(t *testing.T) {
	for _, flush := range []partition.Durability{partition.FlushOS, partition.FlushAcks, partition.FlushAlways} {
		b := newBench(t, flush)
		want := int64(0)
		for version := int16(0); version <= 13; version++ { // Kafka 3 took batches of v2 in the versions of older formats, too
			for _, acks := range []int16{1, -1} {
				r := b.ask(t, produceRequest(b.id, acks, batch(t, 3), batch(t, 1)), version).(*kmsg.ProduceResponse)
				for i, p := range r.Topics[0].Partitions {
					if p.ErrorCode != 0 || p.BaseOffset != want*[]int64{3, 1}[i] || p.Partition != int32(i) {
						t.Fatalf("version %d acks %d: %+v, want base offset %d", version, acks, p, want*[]int64{3, 1}[i])
					}
				}
				want++
			}
			if r := b.ask(t, produceRequest(b.id, 0, batch(t, 3), batch(t, 1)), version); r != nil || b.out.Close != nil {
				t.Fatalf("acks=0 got %+v, %v", r, b.out.Close)
			}
			want++
		}
		if flush == partition.FlushAlways { // acks=0 may not be readable yet
			b.ask(t, produceRequest(b.id, -1, batch(t, 3), batch(t, 1)), 9)
			want++
		}
		for version := int16(4); version <= 18; version++ {
			r := b.ask(t, fetchRequest(b.id, 0, want-1), version).(*kmsg.FetchResponse)
			first, second := r.Topics[0].Partitions[0], r.Topics[0].Partitions[1]
			if first.HighWatermark != 3*want || second.HighWatermark != want || len(second.RecordBatches) != len(batch(t, 1)) {
				t.Fatalf("version %d: %d and %d, want %d and %d", version, first.HighWatermark, second.HighWatermark, 3*want, want)
			}
			next := int64(0)
			for rest := first.RecordBatches; len(rest) > 0; {
				var one record.Batch
				var err error
				if one, rest, err = record.Next(rest); err != nil {
					t.Fatal(err)
				}
				if one.BaseOffset() != next {
					t.Fatalf("version %d: a batch at %d, want %d", version, one.BaseOffset(), next)
				}
				next = one.LastOffset() + 1
				one.SetBaseOffset(0) // as it was sent
				if err := record.Validate(one, record.ValidateFull); err != nil {
					t.Fatalf("version %d: %v", version, err)
				}
			}
			if next != 3*want {
				t.Fatalf("version %d: the records end at %d, want %d", version, next, 3*want)
			}
		}
	}
}

func TestProduceRefusals(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	good := batch(t, 2)
	changed := func(change func([]byte) []byte) []byte { return change(append([]byte(nil), good...)) }
	for _, c := range []struct {
		name    string
		version int16
		records []byte
		want    *protocol.Error
	}{
		{"no batch", 9, nil, protocol.ErrInvalidRecord},
		{"cut batch", 9, good[:len(good)-1], protocol.ErrInvalidRecord},
		{"two batches", 9, append(append([]byte(nil), good...), good...), protocol.ErrInvalidRecord},
		{"magic 1", 9, changed(func(b []byte) []byte { b[16] = 1; return b }), protocol.ErrInvalidRecord},
		{"bad CRC", 9, changed(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), protocol.ErrCorruptMessage},
		{"transactional bit", 9, changed(func(b []byte) []byte { b[22] |= 0x10; return b }), protocol.ErrTransactionalIDAuthorizationFailed},
		{"zstd before version 7", 6, changed(func(b []byte) []byte { b[22] |= 4; return b }), protocol.ErrUnsupportedCompressionType},
		{"too large", 9, batch(t, 20_000), protocol.ErrMessageTooLarge},
	} {
		r := b.ask(t, produceRequest(b.id, 1, c.records), c.version).(*kmsg.ProduceResponse)
		if p := r.Topics[0].Partitions[0]; p.ErrorCode != c.want.Code || p.BaseOffset != -1 {
			t.Errorf("%s: error %d, want %s", c.name, p.ErrorCode, c.want.Name)
		}
		if b.ask(t, produceRequest(b.id, 0, c.records), c.version); b.out.Close == nil {
			t.Errorf("%s with acks=0 did not close the connection", c.name)
		}
	}
	in := produceRequest(b.id, 2, good)
	if r := b.ask(t, in, 9).(*kmsg.ProduceResponse); r.Topics[0].Partitions[0].ErrorCode != protocol.ErrInvalidRequiredAcks.Code {
		t.Errorf("acks=2: %+v", r.Topics[0].Partitions[0])
	}
	in = produceRequest(partition.TopicID{9}, 1, good)
	if r := b.ask(t, in, 13).(*kmsg.ProduceResponse); r.Topics[0].Partitions[0].ErrorCode != protocol.ErrUnknownTopicID.Code {
		t.Errorf("an unknown topic id: %+v", r.Topics[0].Partitions[0])
	}
	in = produceRequest(b.id, 1, good)
	in.Topics[0].Topic = "__consumer_offsets"
	if r := b.ask(t, in, 9).(*kmsg.ProduceResponse); r.Topics[0].Partitions[0].ErrorCode != protocol.ErrInvalidTopicException.Code {
		t.Errorf("an internal topic: %+v", r.Topics[0].Partitions[0])
	}
	if b.ask(t, produceRequest(b.id, 1, good), 14); !errors.Is(b.out.Close, protocol.ErrUnsupportedVersion) {
		t.Errorf("version 14: %v", b.out.Close)
	}
	if end := b.Partitions.Find([]byte("t"), 0).Offsets().LogEnd; end != 0 {
		t.Errorf("%d records of refused requests were written", end)
	}
}

func TestFetchRefusals(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.ask(t, produceRequest(b.id, 1, batch(t, 2)), 9)
	for _, c := range []struct {
		name   string
		change func(*kmsg.FetchRequest)
		want   *protocol.Error
	}{
		{"beyond the end", func(in *kmsg.FetchRequest) { in.Topics[0].Partitions[0].FetchOffset = 3 }, protocol.ErrOffsetOutOfRange},
		{"negative offset", func(in *kmsg.FetchRequest) { in.Topics[0].Partitions[0].FetchOffset = -1 }, protocol.ErrOffsetOutOfRange},
		{"unknown partition", func(in *kmsg.FetchRequest) { in.Topics[0].Partitions[0].Partition = 5 }, protocol.ErrUnknownTopicOrPartition},
		{"unknown topic", func(in *kmsg.FetchRequest) { in.Topics[0].Topic = "x" }, protocol.ErrUnknownTopicOrPartition},
		{"a follower", func(in *kmsg.FetchRequest) { in.ReplicaID = 2 }, protocol.ErrNotLeaderOrFollower},
		{"a future epoch", func(in *kmsg.FetchRequest) { in.Topics[0].Partitions[0].CurrentLeaderEpoch = 99 }, protocol.ErrUnknownLeaderEpoch},
	} {
		in := fetchRequest(b.id, 0)
		in.MaxWaitMillis = 5000 // an error does not wait
		c.change(in)
		begin := time.Now()
		r := b.ask(t, in, 12).(*kmsg.FetchResponse)
		if p := r.Topics[0].Partitions[0]; p.ErrorCode != c.want.Code || len(p.RecordBatches) != 0 || p.HighWatermark != -1 {
			t.Errorf("%s: %+v, want %s", c.name, p, c.want.Name)
		}
		if time.Since(begin) > 2*time.Second {
			t.Errorf("%s: waited", c.name)
		}
	}
}

func TestFetchMinBytesAndWait(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	in := fetchRequest(b.id, 0, 0)
	in.MinBytes, in.MaxWaitMillis = int32(3*len(batch(t, 1))), 5000
	go func() {
		for range 3 {
			p := b.Partitions.Find([]byte("t"), 1)
			if _, err := p.Append(batch(t, 1), partition.AppendOptions{Acks: 1, CurrentLeaderEpoch: -1}); err != nil {
				t.Error(err)
			}
		}
	}()
	begin := time.Now()
	r := b.ask(t, in, 12).(*kmsg.FetchResponse)
	if n := len(r.Topics[0].Partitions[1].RecordBatches); n != 3*len(batch(t, 1)) || time.Since(begin) > 3*time.Second {
		t.Fatalf("got %d bytes after %v", n, time.Since(begin))
	}
	in = fetchRequest(b.id, 0)
	in.MaxWaitMillis = 50
	begin = time.Now()
	if r := b.ask(t, in, 12).(*kmsg.FetchResponse); len(r.Topics[0].Partitions[0].RecordBatches) != 0 || time.Since(begin) < 50*time.Millisecond {
		t.Fatalf("an empty fetch came back after %v: %+v", time.Since(begin), r)
	}
}

// The limit of the whole response holds, but the first batch always fits.
func TestFetchMaxBytes(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	for range 10 {
		b.ask(t, produceRequest(b.id, 1, batch(t, 10), batch(t, 10)), 9)
	}
	size := len(batch(t, 10))
	for _, limit := range []int{1, size, 2*size + 1, 11*size + 1, 15 * size, 20 * size, 100 * size} {
		in := fetchRequest(b.id, 0, 0)
		in.MaxBytes = int32(limit)
		r := b.ask(t, in, 12).(*kmsg.FetchResponse)
		first, second := len(r.Topics[0].Partitions[0].RecordBatches), len(r.Topics[0].Partitions[1].RecordBatches)
		if first < size || first%size != 0 || second%size != 0 || first+second > max(limit, size) {
			t.Errorf("max_bytes %d of batches of %d: %d and %d bytes", limit, size, first, second)
		}
		if limit >= 20*size && first+second != 20*size {
			t.Errorf("max_bytes %d: got %d bytes of %d", limit, first+second, 20*size)
		}
	}
}

func TestFetchSessions(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.ask(t, produceRequest(b.id, 1, batch(t, 1), batch(t, 1)), 9)
	in := fetchRequest(b.id, 0, 0)
	in.SessionEpoch = 0
	r := b.ask(t, in, 12).(*kmsg.FetchResponse)
	id := r.SessionID
	if id == 0 || len(r.Topics[0].Partitions) != 2 {
		t.Fatalf("no session: %+v", r)
	}
	incremental := func(epoch int32, offsets map[int32]int64) *kmsg.FetchResponse {
		in := fetchRequest(b.id)
		in.SessionID, in.SessionEpoch = id, epoch
		in.Topics[0].Partitions = nil
		for index, o := range offsets {
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition, p.FetchOffset, p.PartitionMaxBytes = index, o, 1<<20
			in.Topics[0].Partitions = append(in.Topics[0].Partitions, p)
		}
		if len(offsets) == 0 {
			in.Topics = nil
		}
		return b.ask(t, in, 12).(*kmsg.FetchResponse)
	}
	if r := incremental(1, map[int32]int64{0: 1, 1: 1}); r.ErrorCode != 0 || len(r.Topics) != 0 || r.SessionID != id {
		t.Fatalf("nothing changed, yet: %+v", r)
	}
	b.ask(t, produceRequest(b.id, 1, batch(t, 1)), 9)
	if r := incremental(2, nil); len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 || r.Topics[0].Partitions[0].Partition != 0 {
		t.Fatalf("partition 0 changed: %+v", r)
	}
	if r := incremental(2, nil); r.ErrorCode != protocol.ErrInvalidFetchSessionEpoch.Code {
		t.Fatalf("a stale epoch: %+v", r)
	}
	// What had records is read last in the next fetch.
	if s := b.sessions.get(id); s.order[0].key.partition != 1 {
		t.Fatalf("the order begins with partition %d", s.order[0].key.partition)
	}
	in = fetchRequest(b.id)
	in.SessionID, in.SessionEpoch, in.Topics = id, 3, nil
	in.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "t", Partitions: []int32{0, 1}}}
	if r := b.ask(t, in, 12).(*kmsg.FetchResponse); r.ErrorCode != 0 || r.SessionID != 0 {
		t.Fatalf("the emptied session: %+v", r)
	}
	if r := incremental(4, nil); r.ErrorCode != protocol.ErrFetchSessionIDNotFound.Code {
		t.Fatalf("a session that has ended: %+v", r)
	}
	if b.sessions.partitions != 0 || len(b.sessions.byID) != 0 {
		t.Fatalf("%d partitions of %d sessions are still counted", b.sessions.partitions, len(b.sessions.byID))
	}
}

// A session may begin without any partition, and get some later.
func TestFetchSessionOfNothing(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.ask(t, produceRequest(b.id, 1, batch(t, 1)), 9)
	open := func(version int16) int32 {
		in := fetchRequest(b.id)
		in.Topics, in.SessionEpoch = nil, 0
		r := b.ask(t, in, version).(*kmsg.FetchResponse)
		if r.ErrorCode != 0 || r.SessionID == 0 || len(r.Topics) != 0 {
			t.Fatalf("version %d: %+v", version, r)
		}
		return r.SessionID
	}
	later := fetchRequest(b.id, 0)
	later.SessionID, later.SessionEpoch = open(7), 1
	if r := b.ask(t, later, 7).(*kmsg.FetchResponse); r.ErrorCode != 0 || r.SessionID != later.SessionID || len(r.Topics) != 1 || len(r.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Errorf("with a partition: %+v", r)
	}
	// Nothing is added: there is no session to keep.
	nothing := fetchRequest(b.id)
	nothing.Topics, nothing.SessionID, nothing.SessionEpoch = nil, open(11), 1
	if r := b.ask(t, nothing, 11).(*kmsg.FetchResponse); r.ErrorCode != 0 || r.SessionID != 0 {
		t.Errorf("still without one: %+v", r)
	}
}

func TestFetchSessionSlotsAreBounded(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.sessions.slots = 3
	for n := range 5 {
		in := fetchRequest(b.id, 0)
		in.SessionEpoch = 0
		if r := b.ask(t, in, 12).(*kmsg.FetchResponse); (r.SessionID != 0) != (n < 3) {
			t.Fatalf("request %d got session %d", n, r.SessionID)
		}
	}
	for _, s := range b.sessions.byID {
		s.lastUsed = s.lastUsed.Add(-2 * sessionIdle)
	}
	in := fetchRequest(b.id, 0)
	in.SessionEpoch = 0
	if r := b.ask(t, in, 12).(*kmsg.FetchResponse); r.SessionID == 0 || len(b.sessions.byID) != 3 {
		t.Fatalf("an idle slot was not taken: session %d of %d", r.SessionID, len(b.sessions.byID))
	}
}

func TestListOffsets(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	for range 3 {
		b.ask(t, produceRequest(b.id, 1, batch(t, 2)), 9)
	}
	for timestamp, want := range map[int64]int64{-1: 6, -2: 0, -4: 0, -5: -1, 1_600_000_000_000: 0, 1_800_000_000_000: -1} {
		in := kmsg.NewPtrListOffsetsRequest()
		in.ReplicaID = -1
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp = timestamp
		in.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
		r := b.ask(t, in, 10).(*kmsg.ListOffsetsResponse)
		if got := r.Topics[0].Partitions[0]; got.ErrorCode != 0 || got.Offset != want {
			t.Errorf("timestamp %d: %+v, want offset %d", timestamp, got, want)
		}
	}
}

func TestAPIVersions(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	const ofTelemetry = 2 // APIs that are not served without it
	for version := int16(0); version <= 4; version++ {
		in := kmsg.NewPtrApiVersionsRequest()
		in.ClientSoftwareName, in.ClientSoftwareVersion = "test", "1.0"
		r := b.ask(t, in, version).(*kmsg.ApiVersionsResponse)
		if r.ErrorCode != 0 || len(r.ApiKeys) != len(protocol.APIs())-ofTelemetry || r.ApiKeys[0].MinVersion != 0 {
			t.Errorf("version %d: %+v", version, r)
		}
		// group.version is what a KIP-848 client looks for; only version 4 may
		// name a least level of 0.
		if (len(r.FinalizedFeatures) > 0) != (version >= 3) || version >= 3 && (r.FinalizedFeatures[0].Name != "group.version" || r.FinalizedFeatures[0].MaxVersionLevel != 1) ||
			(len(r.SupportedFeatures) > 0) != (version >= 4) || (r.FinalizedFeaturesEpoch >= 0) != (version >= 3) {
			t.Errorf("version %d: supported %v, finalized %v, epoch %d", version, r.SupportedFeatures, r.FinalizedFeatures, r.FinalizedFeaturesEpoch)
		}
		in.ClientSoftwareName = "no spaces allowed"
		if r := b.ask(t, in, version).(*kmsg.ApiVersionsResponse); (r.ErrorCode == protocol.ErrInvalidRequest.Code) != (version >= 3) {
			t.Errorf("version %d with a bad software name: error %d", version, r.ErrorCode)
		}
	}
	b.out.Reset()
	b.Serve(context.Background(), &Request{Header: protocol.Header{Key: 18, Version: 99, CorrelationID: 7}, Body: []byte("whatever")}, &b.out)
	var r kmsg.ApiVersionsResponse
	if err := r.ReadFrom(b.out.Bytes[8:]); err != nil || r.ErrorCode != protocol.ErrUnsupportedVersion.Code || len(r.ApiKeys) != 1 || r.ApiKeys[0].ApiKey != 18 {
		t.Fatalf("version 99: %+v, %v", r, err)
	}
}

func TestInitProducerID(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	in := kmsg.NewPtrInitProducerIDRequest()
	in.ProducerID, in.ProducerEpoch = -1, -1
	seen := map[int64]bool{}
	for range 3 {
		r := b.ask(t, in, 4).(*kmsg.InitProducerIDResponse)
		if r.ErrorCode != 0 || r.ProducerEpoch != 0 || seen[r.ProducerID] {
			t.Fatalf("%+v", r)
		}
		seen[r.ProducerID] = true
	}
	in.TransactionalID = kmsg.StringPtr("x")
	if r := b.ask(t, in, 4).(*kmsg.InitProducerIDResponse); r.ErrorCode != protocol.ErrUnsupportedVersion.Code || r.ProducerID != -1 {
		t.Fatalf("a transactional id: %+v", r)
	}
}

// Kafka, whose leader is its only replica, has nothing to wait for; here a
// request that gives no time waits for the disk all the same.
func TestProduceWithoutTimeWaitsForTheDisk(t *testing.T) {
	b := newBench(t, partition.FlushAcks)
	for n, timeout := range []int32{-1, 0, -1 << 31} {
		in := produceRequest(b.id, -1, batch(t, 1))
		in.TimeoutMillis = timeout
		r := b.ask(t, in, 9).(*kmsg.ProduceResponse)
		if p := r.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != int64(n) {
			t.Errorf("timeout %d: %+v", timeout, p)
		}
	}
}

// A produce in steady state allocates nothing in the handler. What waits for
// durability pays the few allocations of one group commit, which in real life
// is shared by all that wait.
func TestProduceDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, c := range map[string]struct {
		acks  int16
		flush partition.Durability
		most  float64
	}{
		"acks=0":            {0, partition.FlushOS, 0},
		"acks=1":            {1, partition.FlushOS, 0},
		"acks=all, os":      {-1, partition.FlushOS, 0},
		"acks=all, waiting": {-1, partition.FlushAcks, 16},
	} {
		b := newBench(t, c.flush)
		in := produceRequest(b.id, c.acks, batch(t, 50), batch(t, 50))
		in.SetVersion(9)
		body := in.AppendTo(nil)
		request := &Request{Header: protocol.Header{Key: 0, Version: 9}, Body: make([]byte, len(body))}
		ctx := context.Background()
		serve := func() {
			copy(request.Body, body) // the last one was stamped with its offset
			b.out.Reset()
			b.Serve(ctx, request, &b.out)
			if wait := b.out.Wait; wait != nil {
				b.out.Wait = nil
				wait(ctx, &b.out)
			}
			if b.out.Close != nil {
				t.Fatal(b.out.Close)
			}
		}
		for range 100 {
			serve()
		}
		if n := testing.AllocsPerRun(500, serve); n > c.most {
			t.Errorf("%s: %v allocations per request", name, n)
		}
	}
}

func FuzzServe(f *testing.F) {
	b := newBench(f, partition.FlushOS)
	for _, api := range protocol.APIs() {
		in := kmsg.RequestForKey(api.Key)
		in.SetVersion(api.MaxVersion)
		f.Add(api.Key, api.MaxVersion, in.AppendTo(nil))
	}
	in := produceRequest(b.id, 1, batch(f, 2))
	in.SetVersion(9)
	f.Add(int16(0), int16(9), in.AppendTo(nil))
	for version := int16(0); version < 3; version++ {
		in := produceRequest(b.id, 1, oldSet(version/2, 2), oldSet(version/2, 1))
		in.SetVersion(version)
		f.Add(int16(0), version, in.AppendTo(nil))
	}
	in = transactional(produceRequest(b.id, -1, transactionBatch(f, 7, 0, 0), transactionBatch(f, 8, 0, 0)))
	in.SetVersion(12)
	f.Add(int16(0), int16(12), in.AppendTo(nil))
	fetch := fetchRequest(b.id, 0)
	fetch.SetVersion(12)
	f.Add(int16(1), int16(12), fetch.AppendTo(nil))
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		if key < 0 || key > protocol.MaxKey || version < 0 {
			t.Skip("the header's parser refuses it")
		}
		if handle := controls[key]; handle != nil && key >= protocol.KeyOffsetCommit && key <= protocol.KeyListGroups {
			t.Skip("needs a coordinator")
		}
		switch key {
		case protocol.KeyAddPartitionsToTxn, protocol.KeyAddOffsetsToTxn, protocol.KeyEndTxn, protocol.KeyTxnOffsetCommit,
			protocol.KeyDescribeTransactions, protocol.KeyListTransactions:
			t.Skip("needs a coordinator")
		case protocol.KeyConsumerGroupHeartbeat, protocol.KeyConsumerGroupDescribe, protocol.KeyDeleteGroups, protocol.KeyOffsetDelete, protocol.KeyDescribeLogDirs, protocol.KeyCreateTopics, protocol.KeyMetadata, protocol.KeyCreatePartitions:
			t.Skip("makes files, or needs a coordinator")
		}
		var out Response
		b.Serve(context.Background(), &Request{Header: protocol.Header{Key: key, Version: version}, Body: body}, &out)
		if out.Wait != nil {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			out.Wait(ctx, &out)
		}
		out.Release()
		if len(out.Bytes) > 0 && len(out.Bytes) < 8 {
			t.Fatalf("a response of %d bytes", len(out.Bytes))
		}
	})
}
