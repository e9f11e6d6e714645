package handler

import (
	"bytes"
	"encoding/binary"
	"testing"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// produced asks and returns the one partition of the reply.
func produced(t *testing.T, b *bench, records []byte, version int16) *kmsg.ProduceResponseTopicPartition {
	t.Helper()
	r := b.ask(t, produceRequest(b.id, 1, records), version).(*kmsg.ProduceResponse)
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		t.Fatalf("%+v", r)
	}
	return &r.Topics[0].Partitions[0]
}

// numbered is a batch of an idempotent producer.
func numbered(t *testing.T, epoch int16, sequence int32) []byte {
	t.Helper()
	b, err := record.Builder{ProducerID: 7, ProducerEpoch: epoch, BaseSequence: sequence}.Build([]record.Record{{Timestamp: 1_700_000_000_000, Value: []byte("v")}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What does not frame as a batch is none, or corrupt, as Kafka's input stream
// sees it. What is behind a batch and frames as none is ignored.
func TestProduceFraming(t *testing.T) {
	good := batch(t, 2)
	put32 := func(at int, v uint32) []byte {
		b := bytes.Clone(good)
		binary.BigEndian.PutUint32(b[at:], v)
		return b
	}
	magic := func(m byte) []byte {
		b := bytes.Clone(good)
		b[magicOffset] = m
		return b
	}
	behind := func(tail ...byte) []byte { return append(bytes.Clone(good), tail...) }
	for _, c := range []struct {
		name    string
		records []byte
		want    *protocol.Error
	}{
		{"cut header", good[:30], protocol.ErrInvalidRecord},
		{"less than a length", good[:11], protocol.ErrInvalidRecord},
		{"less than a magic", good[:16], protocol.ErrInvalidRecord},
		{"cut batch", good[:len(good)-1], protocol.ErrInvalidRecord},
		{"a length that is too large", put32(8, 5000), protocol.ErrInvalidRecord},
		{"a length that is too small", put32(8, 13), protocol.ErrCorruptMessage},
		{"a negative length", put32(8, 0xffffffff), protocol.ErrCorruptMessage},
		{"a length of less than a header", put32(8, 48), protocol.ErrCorruptMessage},
		{"magic 0", magic(0), protocol.ErrInvalidRecord},
		{"magic 1", magic(1), protocol.ErrInvalidRecord},
		{"magic 3", magic(3), protocol.ErrCorruptMessage},
		{"magic -1", magic(0xff), protocol.ErrCorruptMessage},
		{"two batches", behind(good...), protocol.ErrInvalidRecord},
		{"three bytes behind", behind(1, 2, 3), nil},
		{"half a batch behind", behind(good[:40]...), nil},
		{"a broken length behind", behind(make([]byte, 20)...), protocol.ErrCorruptMessage},
	} {
		b := newBench(t, partition.FlushOS)
		p := produced(t, b, c.records, 9)
		if p.ErrorCode != code(c.want) || (p.BaseOffset == 0) != (c.want == nil) || (p.ErrorMessage == nil) != (c.want == nil) {
			t.Errorf("%s: %+v, want %v", c.name, p, c.want)
		}
		log := b.Partitions.Find([]byte("t"), 0)
		if size := log.SizeBytes(); c.want == nil && size != int64(len(good)) || c.want != nil && size != 0 {
			t.Errorf("%s: %d bytes were written", c.name, size)
		}
	}
}

// A reply tells where the log starts when the log refused what was sent, but
// not where Kafka takes the error for the client's alone.
func TestProduceErrorsTellTheLogStart(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	if p := produced(t, b, numbered(t, 3, 0), 9); p.ErrorCode != 0 {
		t.Fatalf("%+v", p)
	}
	spoilt := func(at int, v byte) []byte {
		c := batch(t, 2)
		c[at] = v
		binary.BigEndian.PutUint32(c[17:], record.Batch(c).ComputeCRC())
		return c
	}
	corrupt := batch(t, 2)
	corrupt[len(corrupt)-1] ^= 1
	for _, c := range []struct {
		name     string
		records  []byte
		want     *protocol.Error
		logStart int64
	}{
		{"a gap", numbered(t, 3, 9), protocol.ErrOutOfOrderSequenceNumber, 0},
		{"an old epoch", numbered(t, 2, 1), protocol.ErrInvalidProducerEpoch, 0},
		{"epoch -1", numbered(t, -1, 1), protocol.ErrInvalidProducerEpoch, 0},
		{"a count too large", spoilt(60, 3), protocol.ErrInvalidRecord, 0},
		{"codec 5", spoilt(22, 5), protocol.ErrUnknownServerError, 0},
		{"a wrong checksum", corrupt, protocol.ErrCorruptMessage, -1},
		{"too large", batch(t, 20_000), protocol.ErrMessageTooLarge, -1},
		{"two batches", append(batch(t, 1), batch(t, 1)...), protocol.ErrInvalidRecord, -1},
	} {
		if p := produced(t, b, c.records, 9); p.ErrorCode != c.want.Code || p.LogStartOffset != c.logStart || p.BaseOffset != -1 {
			t.Errorf("%s: %+v, want %s and log start %d", c.name, p, c.want.Name, c.logStart)
		}
	}
	// Before version 7 the codec is looked at before the log is.
	for _, version := range []int16{5, 6} {
		if p := produced(t, b, spoilt(22, 5), version); p.ErrorCode != protocol.ErrUnknownServerError.Code || p.LogStartOffset != -1 || p.BaseOffset != -1 {
			t.Errorf("codec 5 in version %d: %+v", version, p)
		}
	}
}

// A reply names the records at fault (KIP-467).
func TestProduceNamesRecordsAtFault(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.Partitions.Find([]byte("t"), 0).SetConfig(partition.Config{Compact: true, SegmentBytes: 1 << 30, MaxMessageBytes: 1 << 20})
	records, err := record.Builder{ProducerID: -1}.Build([]record.Record{{Key: []byte("k")}, {Value: []byte("v")}, {Key: []byte("k")}})
	if err != nil {
		t.Fatal(err)
	}
	p := produced(t, b, records, 9)
	if p.ErrorCode != protocol.ErrInvalidRecord.Code || p.LogStartOffset != 0 || p.ErrorMessage == nil || len(p.ErrorRecords) != 1 ||
		p.ErrorRecords[0].RelativeOffset != 1 || p.ErrorRecords[0].ErrorMessage == nil {
		t.Fatalf("%+v", p)
	}
	if p := produced(t, b, records, 7); p.ErrorCode != protocol.ErrInvalidRecord.Code {
		t.Fatalf("before there are such fields: %+v", p)
	}
}

// Every topic and partition is written and answered once, with what came last.
func TestProduceMergesRepetitions(t *testing.T) {
	for _, version := range []int16{3, 9, 13} {
		b := newBench(t, partition.FlushOS)
		one, two := batch(t, 1), batch(t, 2)
		in := produceRequest(b.id, 1, one, one)
		topic := in.Topics[0]
		topic.Partitions = append(topic.Partitions, kmsg.ProduceRequestTopicPartition{Partition: 0, Records: two})
		again := kmsg.ProduceRequestTopic{Topic: "t", TopicID: b.id, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: 1, Records: two}, {Partition: 5, Records: two}}}
		empty := kmsg.ProduceRequestTopic{Topic: "empty", TopicID: partition.TopicID{8}}
		in.Topics = []kmsg.ProduceRequestTopic{topic, empty, again}
		r := b.ask(t, in, version).(*kmsg.ProduceResponse)
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 3 {
			t.Fatalf("version %d: %+v", version, r.Topics)
		}
		for n, p := range r.Topics[0].Partitions {
			if want := []int16{0, 0, protocol.ErrUnknownTopicOrPartition.Code}[n]; p.ErrorCode != want || p.Partition != []int32{0, 1, 5}[n] {
				t.Errorf("version %d: %+v, want code %d", version, p, want)
			}
		}
		for index := range int32(2) {
			if end := b.Partitions.Find([]byte("t"), index).Offsets().LogEnd; end != 2 {
				t.Errorf("version %d: partition %d ends at %d, want the two records that came last", version, index, end)
			}
		}
	}
	b := newBench(t, partition.FlushOS)
	in := produceRequest(b.id, 1)
	if r := b.ask(t, in, 9).(*kmsg.ProduceResponse); len(r.Topics) != 0 {
		t.Errorf("a topic without partitions: %+v", r.Topics)
	}
}
