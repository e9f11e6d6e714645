package handler

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// oldSet is a message set of n messages of that magic, with the values v0, v1 …
// and, where the format has them, the timestamps 1000, 1001 ….
func oldSet(magic int16, n int) []byte {
	var set []byte
	for i := range n {
		var b []byte
		key, value := []byte("k"), fmt.Appendf(nil, "v%d", i)
		if magic == 0 {
			m := kmsg.MessageV0{Key: key, Value: value}
			b = m.AppendTo(nil)
		} else {
			m := kmsg.MessageV1{Magic: 1, Timestamp: 1000 + int64(i), Key: key, Value: value}
			b = m.AppendTo(nil)
		}
		binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
		binary.BigEndian.PutUint32(b[12:], crc32.ChecksumIEEE(b[16:]))
		set = append(set, b...)
	}
	return set
}

// log reads all records of a partition of "t", with a Fetch of that version.
func (b *bench) log(t *testing.T, index int32, version int16) []record.Record {
	t.Helper()
	in := fetchRequest(b.id, 0)
	in.Topics[0].Partitions[0].Partition = index
	r := b.ask(t, in, version).(*kmsg.FetchResponse)
	var all []record.Record
	for rest := r.Topics[0].Partitions[0].RecordBatches; len(rest) > 0; {
		var one record.Batch
		var err error
		if one, rest, err = record.Next(rest); err != nil {
			t.Fatal(err)
		}
		if err := record.Records(one, 1<<20, func(r record.Record) error { all = append(all, r); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// set gives both partitions of "t" other settings.
func (b *bench) set(change func(*partition.Config)) {
	cfg := partition.Config{
		SegmentBytes: 1 << 30, SegmentAge: 100 * 365 * 24 * time.Hour, RetentionBytes: -1, Retention: -1, IndexIntervalBytes: 4096, SegmentIndexBytes: 10 << 20, MaxMessageBytes: 1 << 20,
		Validation: record.ValidateRecords,
	}
	change(&cfg)
	for index := range int32(2) {
		b.Partitions.Find([]byte("t"), index).SetConfig(cfg)
	}
}

// The versions of Produce that old clients speak carry out what they say.
func TestProduceMessageSets(t *testing.T) {
	for _, flush := range []partition.Durability{partition.FlushOS, partition.FlushAcks} {
		b := newBench(t, flush)
		at := int64(0)
		var want []string
		for version := int16(0); version < protocol.ProduceBatchesOnly; version++ {
			for magic := int16(0); magic <= 1; magic++ { // Kafka never held the magic to the version
				for _, acks := range []int16{1, -1, 0} {
					response := b.ask(t, produceRequest(b.id, acks, oldSet(magic, 2), oldSet(magic, 1)), version)
					for i := range int64(2) {
						timestamp := int64(-1)
						if magic == 1 {
							timestamp = 1000 + i
						}
						want = append(want, fmt.Sprintf("%d@%d=k/v%d", at+i, timestamp, i))
					}
					if acks != 0 {
						r := response.(*kmsg.ProduceResponse)
						for i, p := range r.Topics[0].Partitions {
							if p.ErrorCode != 0 || p.BaseOffset != []int64{at, at / 2}[i] || version >= 2 && p.LogAppendTime != -1 {
								t.Fatalf("version %d, magic %d, acks %d: %+v", version, magic, acks, p)
							}
						}
					} else if b.out.Close != nil {
						t.Fatal(b.out.Close)
					}
					at += 2
				}
			}
		}
		var got []string
		for _, r := range b.log(t, 0, 4) {
			got = append(got, fmt.Sprintf("%d@%d=%s/%s", r.Offset, r.Timestamp, r.Key, r.Value))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("stored\n%v, want\n%v", got, want)
		}
		if n := b.Metrics.Totals().Conversions.Load(); n != int64(len(want)+len(want)/2) {
			t.Errorf("%d conversions are counted, want %d", n, len(want)+len(want)/2)
		}
	}
}

func TestProduceMessageSetRefusals(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	good := oldSet(1, 2)
	zstd := oldSet(1, 1)
	zstd[17] |= 4
	binary.BigEndian.PutUint32(zstd[12:], crc32.ChecksumIEEE(zstd[16:]))
	bad := slices.Clone(good)
	bad[len(bad)-1] ^= 1
	batchZstd := batch(t, 1)
	batchZstd[22] |= 4
	for _, c := range []struct {
		name    string
		version int16
		records []byte
		want    *protocol.Error
	}{
		{"nothing", 2, nil, protocol.ErrInvalidRecord},
		{"a cut message", 2, good[:len(good)-1], protocol.ErrCorruptMessage},
		{"a few bytes", 0, good[:10], protocol.ErrInvalidRecord},
		{"a bad CRC", 1, bad, protocol.ErrCorruptMessage},
		{"zstd in a message", 2, zstd, protocol.ErrUnsupportedCompressionType},
		{"zstd in a batch", 2, batchZstd, protocol.ErrUnsupportedCompressionType},
		{"two batches", 2, append(batch(t, 1), batch(t, 1)...), protocol.ErrInvalidRecord},
		{"a batch behind messages", 2, append(slices.Clone(good), batch(t, 1)...), protocol.ErrInvalidRecord},
		{"messages in version 3", 3, good, protocol.ErrInvalidRecord},
		{"messages in version 13", 13, append(slices.Clone(good), make([]byte, 61)...), protocol.ErrInvalidRecord},
		{"too large", 2, oldSet(1, 100_000), protocol.ErrMessageTooLarge},
	} {
		r := b.ask(t, produceRequest(b.id, 1, c.records), c.version).(*kmsg.ProduceResponse)
		if p := r.Topics[0].Partitions[0]; p.ErrorCode != c.want.Code || p.BaseOffset != -1 {
			t.Errorf("%s: error %d, want %s", c.name, p.ErrorCode, c.want.Name)
		}
		if b.ask(t, produceRequest(b.id, 0, c.records), c.version); b.out.Close == nil {
			t.Errorf("%s with acks=0 did not close the connection", c.name)
		}
	}
	if end := b.Partitions.Find([]byte("t"), 0).Offsets().LogEnd; end != 0 {
		t.Errorf("%d records of refused requests were written", end)
	}
}

// The records that a batch is refused for are named (KIP-467), as many as one
// reply may name.
func TestRecordErrors(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.ask(t, produceRequest(b.id, 1, batch(t, 3), batch(t, 1)), 9)
	b.set(func(c *partition.Config) { c.Compact, c.TimestampAfterMax = true, time.Hour })
	soon := time.Now().Add(2 * time.Hour).UnixMilli()
	build := func(rs ...record.Record) []byte {
		out, err := record.Builder{Codec: record.LZ4, ProducerID: -1}.Build(rs)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	key := []byte("k")
	for version := int16(3); version <= 13; version++ {
		r := b.ask(t, produceRequest(b.id, 1,
			build(record.Record{Key: key}, record.Record{}, record.Record{Key: key}, record.Record{}),
			build(record.Record{Key: key}, record.Record{Key: key, Timestamp: soon})), version).(*kmsg.ProduceResponse)
		keyless, future := r.Topics[0].Partitions[0], r.Topics[0].Partitions[1]
		if keyless.ErrorCode != protocol.ErrInvalidRecord.Code || future.ErrorCode != protocol.ErrInvalidTimestamp.Code || keyless.BaseOffset != -1 {
			t.Fatalf("version %d: %+v, %+v", version, keyless, future)
		}
		if version >= 5 && (keyless.LogStartOffset != 0 || future.LogStartOffset != 0) {
			t.Errorf("version %d: the log starts at %d, %d", version, keyless.LogStartOffset, future.LogStartOffset)
		}
		if version < 8 {
			continue
		}
		var named []string
		for _, p := range []kmsg.ProduceResponseTopicPartition{keyless, future} {
			for _, e := range p.ErrorRecords {
				named = append(named, fmt.Sprint(e.RelativeOffset, " ", e.ErrorMessage != nil && *e.ErrorMessage != ""))
			}
			if p.ErrorMessage == nil || !strings.Contains(*p.ErrorMessage, "refused") {
				t.Errorf("version %d: message %v", version, p.ErrorMessage)
			}
		}
		if !slices.Equal(named, []string{"1 true", "3 true", "1 true"}) {
			t.Errorf("version %d names %v", version, named)
		}
	}
	many := build(make([]record.Record, 700)...)
	r := b.ask(t, produceRequest(b.id, 1, many, many), 9).(*kmsg.ProduceResponse)
	if first, second := len(r.Topics[0].Partitions[0].ErrorRecords), len(r.Topics[0].Partitions[1].ErrorRecords); first != 700 || second != maxRefused-700 {
		t.Errorf("%d and %d records are named, want 700 and %d", first, second, maxRefused-700)
	}
	r = b.ask(t, produceRequest(b.id, 1, many), 9).(*kmsg.ProduceResponse)
	if n := len(r.Topics[0].Partitions[0].ErrorRecords); n != 700 {
		t.Errorf("the next reply names %d records", n)
	}
	for index, want := range []int64{3, 1} {
		if end := b.Partitions.Find([]byte("t"), int32(index)).Offsets().LogEnd; end != want {
			t.Errorf("partition %d ends at %d, want %d", index, end, want)
		}
	}
}

// The reply and the records have the time of the append.
func TestLogAppendTimeInEveryVersion(t *testing.T) {
	for _, flush := range []partition.Durability{partition.FlushOS, partition.FlushAcks} {
		b := newBench(t, flush)
		b.set(func(c *partition.Config) { c.LogAppendTime = true })
		begin := time.Now().UnixMilli()
		var times []int64
		for version := int16(2); version <= 13; version++ {
			sent := batch(t, 1)
			if version == 2 {
				sent = oldSet(1, 1)
			}
			p := b.ask(t, produceRequest(b.id, -1, sent), version).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
			if p.ErrorCode != 0 || p.LogAppendTime < begin || p.LogAppendTime > time.Now().UnixMilli() {
				t.Fatalf("version %d: %+v", version, p)
			}
			times = append(times, p.LogAppendTime)
		}
		for i, r := range b.log(t, 0, 12) {
			if r.Timestamp != times[i] {
				t.Errorf("record %d has %d, its reply %d", i, r.Timestamp, times[i])
			}
		}
	}
}

// A topic that stores zstd gives nothing to clients from before it, and takes
// what they send.
func TestFetchOfZstdTopic(t *testing.T) {
	b := newBench(t, partition.FlushOS)
	b.set(func(c *partition.Config) { c.Recompress = &record.Compression{Codec: record.Zstd} })
	for version := int16(0); version <= 13; version++ {
		sent := batch(t, 3)
		if version < protocol.ProduceBatchesOnly {
			sent = oldSet(1, 3)
		}
		if p := b.ask(t, produceRequest(b.id, 1, sent), version).(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != 3*int64(version) {
			t.Fatalf("Produce version %d: %+v", version, p)
		}
	}
	for version := int16(4); version <= 18; version++ {
		in := fetchRequest(b.id, 0)
		in.MaxWaitMillis, in.MinBytes = 5000, math.MaxInt32 // an error does not wait
		if version >= zstdFetch {
			in.MinBytes = 1
		}
		p := b.ask(t, in, version).(*kmsg.FetchResponse).Topics[0].Partitions[0]
		switch refused := p.ErrorCode == protocol.ErrUnsupportedCompressionType.Code; {
		case version < zstdFetch && (!refused || len(p.RecordBatches) != 0 || p.HighWatermark != -1):
			t.Errorf("Fetch version %d: error %d, %d bytes", version, p.ErrorCode, len(p.RecordBatches))
		case version >= zstdFetch && (p.ErrorCode != 0 || record.Batch(p.RecordBatches).Codec() != record.Zstd):
			t.Errorf("Fetch version %d: error %d", version, p.ErrorCode)
		}
	}
	if n := len(b.log(t, 0, 12)); n != 42 {
		t.Errorf("read %d records, want 42", n)
	}
	// With the producer's codec Kafka sends zstd to all.
	b.set(func(*partition.Config) {})
	if n := len(b.log(t, 0, 4)); n != 42 {
		t.Errorf("read %d records, want 42", n)
	}
}
