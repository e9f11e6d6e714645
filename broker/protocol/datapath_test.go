package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// viewed reads a Produce body through the view into kmsg's struct.
func viewed(version int16, body []byte) (*kmsg.ProduceRequest, error) {
	var p ProduceRequest
	if err := p.Decode(version, body); err != nil {
		return nil, err
	}
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = version, p.Acks, p.TimeoutMs
	if p.TransactionalID != nil {
		s := string(p.TransactionalID)
		q.TransactionID = &s
	}
	partitions := 0
	for t := p.Topics(); t.Next(); {
		topic := kmsg.ProduceRequestTopic{Topic: string(t.Topic()), TopicID: t.TopicID()}
		for t.NextPartition() {
			topic.Partitions = append(topic.Partitions, kmsg.ProduceRequestTopicPartition{Partition: t.Partition(), Records: t.Records()})
			partitions++
		}
		if len(topic.Partitions) != t.PartitionCount() {
			return nil, fmt.Errorf("%d partitions, announced %d", len(topic.Partitions), t.PartitionCount())
		}
		q.Topics = append(q.Topics, topic)
	}
	if len(q.Topics) != p.TopicCount || partitions != p.PartitionCount {
		return nil, fmt.Errorf("%d topics and %d partitions, announced %d and %d", len(q.Topics), partitions, p.TopicCount, p.PartitionCount)
	}
	return q, nil
}

// The view and kmsg read the same from what kmsg writes; the tags that kmsg
// keeps are dropped by writing without them.
func TestProduceViewAgainstKmsg(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for version := int16(0); version <= 13; version++ {
		for range 200 {
			body := randomRequest(r, KeyProduce, version).AppendTo(nil)
			want := kmsg.NewPtrProduceRequest()
			want.Version = version
			if err := want.ReadFrom(body); err != nil {
				t.Fatal(err)
			}
			want.UnknownTags = kmsg.Tags{}
			for i := range want.Topics {
				want.Topics[i].UnknownTags = kmsg.Tags{}
				for j := range want.Topics[i].Partitions {
					want.Topics[i].Partitions[j].UnknownTags = kmsg.Tags{}
				}
			}
			got, err := viewed(version, body)
			if err != nil {
				t.Fatalf("v%d: %v\n%x", version, err, body)
			}
			if !bytes.Equal(got.AppendTo(nil), want.AppendTo(nil)) {
				t.Fatalf("v%d: got %+v, want %+v", version, got, want)
			}
			var p ProduceRequest
			longer, err := viewed(version, append(bytes.Clone(body), 0))
			if err != nil || !bytes.Equal(longer.AppendTo(nil), got.AppendTo(nil)) {
				t.Fatalf("v%d with a trailing byte: %+v, %v", version, longer, err)
			}
			for n := range len(body) {
				if err := p.Decode(version, body[:n]); !errors.Is(err, ErrMalformed) {
					t.Fatalf("v%d, %d of %d bytes: %v", version, n, len(body), err)
				}
			}
		}
	}
}

// Leaving a topic before its partitions were all visited does not lose the place.
func TestProduceViewSkipsPartitions(t *testing.T) {
	q := kmsg.NewPtrProduceRequest()
	q.Version = 9
	for i := range 3 {
		q.Topics = append(q.Topics, kmsg.ProduceRequestTopic{
			Topic: fmt.Sprint("t", i), Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: 1, Records: []byte("a")}, {Partition: 2, Records: []byte("b")}},
		})
	}
	var p ProduceRequest
	if err := p.Decode(9, q.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	var names []string
	for it := p.Topics(); it.Next(); {
		names = append(names, string(it.Topic()))
		if len(names) == 2 {
			it.NextPartition()
		}
	}
	if fmt.Sprint(names) != "[t0 t1 t2]" {
		t.Fatalf("visited %v", names)
	}
}

// An answer is larger than what asks for it, so there is a bound.
func TestProduceOfTooManyElements(t *testing.T) {
	for _, c := range []struct {
		topics, partitions int // partitions of each topic
		want               error
	}{
		{1, maxElements - 1, nil}, {1, maxElements, ErrMalformed}, {maxElements, 0, nil}, {maxElements + 1, 0, ErrMalformed}, {maxElements/2 + 1, 1, ErrMalformed},
	} {
		topic := binary.BigEndian.AppendUint32([]byte{0, 0}, uint32(c.partitions)) // the name is empty
		topic = append(topic, bytes.Repeat([]byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, c.partitions)...)
		body := append(binary.BigEndian.AppendUint32([]byte{0, 1, 0, 0, 0, 0}, uint32(c.topics)), bytes.Repeat(topic, c.topics)...)
		var p ProduceRequest
		if err := p.Decode(0, body); !errors.Is(err, c.want) {
			t.Errorf("%d topics of %d partitions: %v, want %v", c.topics, c.partitions, err, c.want)
		}
	}
}

func produceBody(version int16) []byte {
	q := kmsg.NewPtrProduceRequest()
	q.Version = version
	q.Acks = -1
	for i := range 4 {
		q.Topics = append(q.Topics, kmsg.ProduceRequestTopic{
			Topic: "topic", TopicID: [16]byte{1}, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: int32(i), Records: make([]byte, 100)}, {Partition: 9}},
		})
	}
	return q.AppendTo(nil)
}

func fetchBody(version int16) []byte {
	q := kmsg.NewPtrFetchRequest()
	q.Version = version
	for range 4 {
		q.Topics = append(q.Topics, kmsg.FetchRequestTopic{Topic: "topic", Partitions: make([]kmsg.FetchRequestTopicPartition, 5)})
		q.ForgottenTopics = append(q.ForgottenTopics, kmsg.FetchRequestForgottenTopic{Topic: "topic", Partitions: []int32{1, 2}})
	}
	return q.AppendTo(nil)
}

func TestDataPathAllocatesNothing(t *testing.T) {
	for _, version := range []int16{3, 8, 9, 13} {
		body := produceBody(version)
		var p ProduceRequest
		var w ProduceResponseWriter
		buf := make([]byte, 0, 4096)
		answer := ProducePartitionResponse{BaseOffset: 1}
		if n := testing.AllocsPerRun(100, func() {
			if p.Decode(version, body) != nil {
				t.Fatal("does not decode")
			}
			w.Begin(buf, version, 1, p.TopicCount)
			for it := p.Topics(); it.Next(); {
				w.Topic(it.Topic(), it.TopicID(), it.PartitionCount())
				for it.NextPartition() {
					answer.Partition = it.Partition()
					w.Partition(&answer)
				}
			}
			w.End(0)
		}); n != 0 {
			t.Errorf("Produce v%d: %v allocations, want 0", version, n)
		}
	}
	for _, version := range []int16{4, 12, 18} {
		body := fetchBody(version)
		var f FetchRequest
		var w FetchResponseWriter
		buf := make([]byte, 0, 4096)
		answer := FetchPartitionResponse{RecordsSize: 100, PreferredReadReplica: -1}
		if n := testing.AllocsPerRun(100, func() {
			if f.Decode(version, body) != nil {
				t.Fatal("does not decode")
			}
			w.Begin(buf, version, 1, 0, 0, 0, len(f.Topics))
			for i := range f.Topics {
				w.Topic(f.Topics[i].Name, f.Topics[i].ID, len(f.Topics[i].Partitions))
				for range f.Topics[i].Partitions {
					w.Partition(&answer)
				}
			}
			if _, _, err := w.End(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("Fetch v%d: %v allocations, want 0", version, n)
		}
	}
}

// decoded reads a Fetch body with our decoder into kmsg's struct.
func decoded(f *FetchRequest, version int16, body []byte) (*kmsg.FetchRequest, error) {
	if err := f.Decode(version, body); err != nil {
		return nil, err
	}
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxWaitMillis, q.MinBytes, q.MaxBytes, q.IsolationLevel = version, f.MaxWaitMs, f.MinBytes, f.MaxBytes, f.IsolationLevel
	q.SessionID, q.SessionEpoch, q.Rack = f.SessionID, f.SessionEpoch, string(f.Rack)
	if version <= 14 {
		q.ReplicaID = f.ReplicaID
	} else {
		q.ReplicaState.ID, q.ReplicaState.Epoch = f.ReplicaID, f.ReplicaEpoch
	}
	if f.ClusterID != nil {
		s := string(f.ClusterID)
		q.ClusterID = &s
	}
	for _, t := range f.Topics {
		topic := kmsg.FetchRequestTopic{Topic: string(t.Name), TopicID: t.ID}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.FetchRequestTopicPartition{
				Partition: p.Partition, CurrentLeaderEpoch: p.CurrentLeaderEpoch, FetchOffset: p.FetchOffset, LastFetchedEpoch: p.LastFetchedEpoch,
				LogStartOffset: p.LogStartOffset, PartitionMaxBytes: p.MaxBytes, ReplicaDirectoryID: p.ReplicaDirectoryID, HighWatermark: p.HighWatermark,
			})
		}
		q.Topics = append(q.Topics, topic)
	}
	for _, t := range f.Forgotten {
		q.ForgottenTopics = append(q.ForgottenTopics, kmsg.FetchRequestForgottenTopic{Topic: string(t.Name), TopicID: t.ID, Partitions: t.Partitions})
	}
	return q, nil
}

// Our decoder and kmsg read the same from what kmsg writes, with one struct
// reused throughout. kmsg has tags of v15 and later in every flexible version.
func TestFetchRequestAgainstKmsg(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var f FetchRequest
	for version := int16(4); version <= 18; version++ {
		for range 200 {
			q := randomRequest(r, KeyFetch, version).(*kmsg.FetchRequest)
			q.UnknownTags = kmsg.Tags{}
			if version < 15 {
				q.ReplicaState = kmsg.NewFetchRequestReplicaState()
			}
			q.ReplicaState.UnknownTags = kmsg.Tags{}
			for i := range q.Topics {
				q.Topics[i].UnknownTags = kmsg.Tags{}
				for j := range q.Topics[i].Partitions {
					p := &q.Topics[i].Partitions[j]
					p.UnknownTags = kmsg.Tags{}
					if version < 17 {
						p.ReplicaDirectoryID = [16]byte{}
					}
					if version < 18 {
						p.HighWatermark = math.MaxInt64
					}
				}
			}
			for i := range q.ForgottenTopics {
				q.ForgottenTopics[i].UnknownTags = kmsg.Tags{}
			}
			body := q.AppendTo(nil)
			got, err := decoded(&f, version, body)
			if err != nil {
				t.Fatalf("v%d: %v\n%x", version, err, body)
			}
			if again := got.AppendTo(nil); !bytes.Equal(again, body) {
				t.Fatalf("v%d: got %+v, want %+v", version, got, q)
			}
			longer, err := decoded(&f, version, append(bytes.Clone(body), 0))
			if err != nil || !bytes.Equal(longer.AppendTo(nil), body) {
				t.Fatalf("v%d with a trailing byte: %+v, %v", version, longer, err)
			}
			for n := range len(body) {
				if err := f.Decode(version, body[:n]); !errors.Is(err, ErrMalformed) {
					t.Fatalf("v%d, %d of %d bytes: %v", version, n, len(body), err)
				}
			}
			withTags := randomRequest(r, KeyFetch, version).AppendTo(nil)
			if err := f.Decode(version, withTags); err != nil {
				t.Fatalf("v%d with unknown tags: %v", version, err)
			}
		}
	}
}

// What is written for Produce is what kmsg writes.
func TestProduceResponseAgainstKmsg(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var w ProduceResponseWriter
	for version := int16(0); version <= 13; version++ {
		for range 200 {
			want := kmsg.NewPtrProduceResponse()
			want.Version, want.ThrottleMillis = version, r.Int32()
			dst := []byte("before")
			topics := r.IntN(3)
			w.Begin(dst, version, 99, topics)
			for range topics {
				topic := kmsg.NewProduceResponseTopic()
				topic.Topic, topic.TopicID = fmt.Sprint("topic", r.IntN(100)), [16]byte{byte(r.IntN(256))}
				partitions := r.IntN(3)
				w.Topic([]byte(topic.Topic), topic.TopicID, partitions)
				for range partitions {
					ours := ProducePartitionResponse{
						Partition: r.Int32(), ErrorCode: int16(r.IntN(100)), BaseOffset: r.Int64(), LogAppendTimeMs: r.Int64(), LogStartOffset: r.Int64(),
						HasLeader: r.IntN(2) == 0, Leader: LeaderIDAndEpoch{r.Int32(), r.Int32()},
					}
					p := kmsg.NewProduceResponseTopicPartition()
					p.Partition, p.ErrorCode, p.BaseOffset, p.LogAppendTime, p.LogStartOffset = ours.Partition, ours.ErrorCode, ours.BaseOffset, ours.LogAppendTimeMs, ours.LogStartOffset
					if ours.HasLeader && version >= 10 {
						p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = ours.Leader.LeaderID, ours.Leader.LeaderEpoch
					}
					if r.IntN(2) == 0 {
						ours.ErrorMessage = "why"
						p.ErrorMessage = &ours.ErrorMessage
					}
					for range r.IntN(3) {
						e := RecordError{BatchIndex: r.Int32(), Message: "record"}
						ours.RecordErrors = append(ours.RecordErrors, e)
						p.ErrorRecords = append(p.ErrorRecords, kmsg.ProduceResponseTopicPartitionErrorRecord{RelativeOffset: e.BatchIndex, ErrorMessage: &e.Message})
					}
					w.Partition(&ours)
					topic.Partitions = append(topic.Partitions, p)
				}
				want.Topics = append(want.Topics, topic)
			}
			got := w.End(want.ThrottleMillis)
			if expect := AppendResponse([]byte("before"), 99, want); !bytes.Equal(got, expect) {
				t.Fatalf("v%d: got\n%x, want\n%x", version, got, expect)
			}
		}
	}
}

// A frame whose cuts are filled with records is what kmsg writes.
func TestFetchResponseAgainstKmsg(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	var w FetchResponseWriter
	for version := int16(4); version <= 18; version++ {
		for range 200 {
			want := kmsg.NewPtrFetchResponse()
			want.Version, want.ThrottleMillis = version, r.Int32()
			if version >= 7 {
				want.ErrorCode, want.SessionID = int16(r.IntN(100)), r.Int32()
			}
			before := []byte("before")
			topics := r.IntN(3)
			w.Begin(before, version, 99, want.ThrottleMillis, want.ErrorCode, want.SessionID, topics)
			var records [][]byte
			for range topics {
				topic := kmsg.NewFetchResponseTopic()
				topic.Topic, topic.TopicID = fmt.Sprint("topic", r.IntN(100)), [16]byte{byte(r.IntN(256))}
				partitions := r.IntN(4)
				w.Topic([]byte(topic.Topic), topic.TopicID, partitions)
				for range partitions {
					bytesOf := bytes.Repeat([]byte{byte(r.IntN(256))}, r.IntN(2)*r.IntN(300))
					ours := FetchPartitionResponse{
						Partition: r.Int32(), ErrorCode: int16(r.IntN(100)), HighWatermark: r.Int64(), LastStableOffset: r.Int64(), LogStartOffset: r.Int64(),
						PreferredReadReplica: r.Int32(), RecordsSize: int64(len(bytesOf)),
						HasDivergingEpoch: r.IntN(2) == 0, DivergingEpoch: r.Int32(), DivergingEndOffset: r.Int64(),
						HasLeader: r.IntN(2) == 0, Leader: LeaderIDAndEpoch{r.Int32(), r.Int32()},
					}
					p := kmsg.NewFetchResponseTopicPartition()
					p.Partition, p.ErrorCode, p.HighWatermark, p.LastStableOffset = ours.Partition, ours.ErrorCode, ours.HighWatermark, ours.LastStableOffset
					p.LogStartOffset, p.PreferredReadReplica, p.RecordBatches = ours.LogStartOffset, ours.PreferredReadReplica, bytesOf
					if ours.HasDivergingEpoch {
						p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = ours.DivergingEpoch, ours.DivergingEndOffset
					}
					if ours.HasLeader {
						p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = ours.Leader.LeaderID, ours.Leader.LeaderEpoch
					}
					if r.IntN(2) == 0 {
						ours.Aborted = []AbortedTransaction{}
						p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
					}
					for range r.IntN(3) {
						a := AbortedTransaction{ProducerID: r.Int64(), FirstOffset: r.Int64()}
						ours.Aborted = append(ours.Aborted, a)
						p.AbortedTransactions = append(p.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset})
					}
					w.Partition(&ours)
					records = append(records, bytesOf)
					topic.Partitions = append(topic.Partitions, p)
				}
				want.Topics = append(want.Topics, topic)
			}
			head, cuts, err := w.End()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(head, before) {
				t.Fatal("what was in dst is gone")
			}
			head = head[len(before):]
			var got []byte
			at := 0
			for _, c := range cuts {
				got = append(got, head[at:c.Position]...)
				got = append(got, records[c.Ordinal]...)
				if int64(len(records[c.Ordinal])) != c.Size {
					t.Fatalf("cut %+v for %d bytes", c, len(records[c.Ordinal]))
				}
				at = c.Position
			}
			got = append(got, head[at:]...)
			if int(binary.BigEndian.Uint32(got))+4 != len(got) {
				t.Fatalf("the frame says %d, it has %d", binary.BigEndian.Uint32(got)+4, len(got))
			}
			if expect := AppendResponse(nil, 99, want); !bytes.Equal(got, expect) {
				t.Fatalf("v%d: got\n%x, want\n%x", version, got, expect)
			}
		}
	}
	w.Begin(nil, 12, 1, 0, 0, 0, 1)
	w.Topic([]byte("t"), [16]byte{}, 2)
	for range 2 {
		w.Partition(&FetchPartitionResponse{RecordsSize: 1 << 30})
	}
	if _, _, err := w.End(); !errors.Is(err, ErrMessageTooLarge) {
		t.Fatalf("2 GiB in one frame: %v", err)
	}
}

func FuzzProduceView(f *testing.F) {
	for _, version := range []int16{0, 3, 8, 9, 12, 13} {
		f.Add(version, produceBody(version))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		got, err := viewed(version, body)
		if err != nil {
			if err != ErrMalformed {
				t.Fatalf("not ErrMalformed: %v", err)
			}
			return
		}
		// kmsg must accept it too and agree.
		want := kmsg.NewPtrProduceRequest()
		want.Version = version
		if err := want.ReadFrom(body); err != nil {
			t.Fatalf("accepted what kmsg refuses: %v", err)
		}
		if len(got.Topics) != len(want.Topics) || got.Acks != want.Acks || !reflect.DeepEqual(got.TransactionID, want.TransactionID) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		for i := range got.Topics {
			for j, p := range got.Topics[i].Partitions {
				if k := want.Topics[i].Partitions[j]; p.Partition != k.Partition || !bytes.Equal(p.Records, k.Records) {
					t.Fatalf("topic %d partition %d: got %+v, want %+v", i, j, p, k)
				}
			}
		}
	})
}

func FuzzFetchRequest(f *testing.F) {
	for version := int16(4); version <= 18; version++ {
		f.Add(version, fetchBody(version))
	}
	var reused FetchRequest
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		got, err := decoded(&reused, version, body)
		if err != nil {
			if err != ErrMalformed {
				t.Fatalf("not ErrMalformed: %v", err)
			}
			return
		}
		want := kmsg.NewPtrFetchRequest()
		want.Version = version
		if err := want.ReadFrom(body); err != nil {
			t.Fatalf("accepted what kmsg refuses: %v", err)
		}
		if len(got.Topics) != len(want.Topics) || len(got.ForgottenTopics) != len(want.ForgottenTopics) || got.MinBytes != want.MinBytes || got.Rack != want.Rack {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		for i := range got.Topics {
			for j, p := range got.Topics[i].Partitions {
				if k := want.Topics[i].Partitions[j]; p.Partition != k.Partition || p.FetchOffset != k.FetchOffset || p.PartitionMaxBytes != k.PartitionMaxBytes {
					t.Fatalf("topic %d partition %d: got %+v, want %+v", i, j, p, k)
				}
			}
		}
	})
}

func BenchmarkProduceView(b *testing.B) {
	body := produceBody(11)
	var p ProduceRequest
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Decode(11, body); err != nil {
			b.Fatal(err)
		}
		for t := p.Topics(); t.Next(); {
			for t.NextPartition() {
			}
		}
	}
}
