package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"time"

	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// memorySet is a Set in memory whose clock the test moves.
func memorySet(t *testing.T, now *int64) *Set {
	t.Helper()
	s, err := OpenSet(SetConfig{Dir: "/data", FS: memfs.New(), NowMs: func() int64 { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// stored returns the batches of a partition as they lie in its log.
func stored(t *testing.T, p *Partition) []record.Batch {
	t.Helper()
	var all []record.Batch
	for offset := p.Offsets().LogStart; offset < p.Offsets().HighWatermark; {
		b, err := p.readInto(nil, offset)
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			var one record.Batch
			if one, b, err = record.Next(b); err != nil {
				t.Fatal(err)
			}
			if err := record.Verify(one); err != nil {
				t.Fatal(err)
			}
			all = append(all, one)
			offset = one.LastOffset() + 1
		}
	}
	return all
}

func describe(t *testing.T, b record.Batch) string {
	t.Helper()
	out := fmt.Sprintf("%s id %d epoch %d sequence %d leader %d txn %v type %v max %d:", b.Codec(), b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.PartitionLeaderEpoch(), b.IsTransactional(), b.IsLogAppendTime(), b.MaxTimestamp())
	if err := record.Records(b, 1<<20, func(r record.Record) error {
		out += fmt.Sprintf(" %d@%d=%s/%s%v", r.Offset, r.Timestamp, r.Key, r.Value, r.Headers)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// What is recompressed lands with its offsets, its producer and its time, and a
// retry of it is known.
func TestAppendRecompresses(t *testing.T) {
	now := int64(50_000)
	for _, appendTime := range []bool{false, true} {
		for from := record.None; from <= record.Zstd; from++ {
			s := memorySet(t, &now)
			for to := record.None; to <= record.Zstd; to++ {
				p := mustCreate(t, s, "t", int32(to), Config{Recompress: &record.Compression{Codec: to}, LogAppendTime: appendTime})
				for i := range 3 {
					b := producedBatch(t, record.Builder{Codec: from, ProducerID: 5, ProducerEpoch: 2, BaseSequence: int32(2 * i)}, 1000, "a", "b")
					r, err := p.Append(b, AppendOptions{CurrentLeaderEpoch: -1})
					want := int64(-1)
					if appendTime {
						want = now
					}
					if err != nil || r.BaseOffset != int64(2*i) || r.Converted != (from != to) || r.LogAppendTime != want || r.Duplicate {
						t.Fatalf("%s to %s: %+v, %v", from, to, r, err)
					}
				}
				retry, err := p.Append(producedBatch(t, record.Builder{Codec: from, ProducerID: 5, ProducerEpoch: 2, BaseSequence: 2}, 1000, "a", "b"), AppendOptions{CurrentLeaderEpoch: -1})
				if err != nil || !retry.Duplicate || retry.BaseOffset != 2 {
					t.Fatalf("%s to %s, a retry: %+v, %v", from, to, retry, err)
				}
				for i, b := range stored(t, p) {
					a, c, newest := int64(1000), int64(1001), int64(1001)
					if appendTime {
						a, c, newest = now, now, now
					}
					want := fmt.Sprintf("%s id 5 epoch 2 sequence %d leader 0 txn false type %v max %d: %d@%d=k/a[] %d@%d=k/b[]", to, 2*i, appendTime, newest, 2*i, a, 2*i+1, c)
					if got := describe(t, b); got != want {
						t.Errorf("%s to %s:\n got %s\nwant %s", from, to, got, want)
					}
				}
			}
		}
	}
}

// Batches that change and batches that do not, appended together.
func TestAppendRecompressesSomeOfSeveral(t *testing.T) {
	now := int64(50_000)
	s := memorySet(t, &now)
	for n, codecs := range [][]record.Codec{
		{record.Gzip}, {record.LZ4, record.Gzip}, {record.Gzip, record.LZ4}, {record.Gzip, record.Gzip, record.None, record.Gzip, record.Zstd}, {record.None, record.LZ4},
	} {
		p := mustCreate(t, s, "t", int32(n), Config{Recompress: &record.Compression{Codec: record.Gzip}})
		var sent []byte
		for i, codec := range codecs {
			sent = append(sent, producedBatch(t, record.Builder{Codec: codec, ProducerID: -1}, 1000, fmt.Sprint(i))...)
		}
		before := bytes.Clone(sent)
		r, err := p.Append(sent, AppendOptions{CurrentLeaderEpoch: -1})
		if err != nil || r.Records != int32(len(codecs)) {
			t.Fatalf("%v: %+v, %v", codecs, r, err)
		}
		if r.Converted && !bytes.Equal(before, sent) {
			t.Errorf("%v: what was sent was changed", codecs)
		}
		for i, b := range stored(t, p) {
			if want := fmt.Sprintf("gzip id -1 epoch -1 sequence -1 leader 0 txn false type false max 1000: %d@1000=k/%d[]", i, i); describe(t, b) != want {
				t.Errorf("%v: %s, want %s", codecs, describe(t, b), want)
			}
		}
	}
}

// A coordinator's batches follow compression.type of its topic; a marker stays
// as it was written, but takes the append's time.
func TestAppendRecompressesOwnBatches(t *testing.T) {
	now := int64(50_000)
	s := memorySet(t, &now)
	p := mustCreate(t, s, "t", 0, Config{Recompress: &record.Compression{Codec: record.LZ4}, LogAppendTime: true, MaxMessageBytes: 10})
	marker, err := record.EndTransaction(record.Abort, 5, 2, 1, 777)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []record.Batch{batchOf(t, 1000, "a"), marker} {
		if _, err := p.Append(b, AppendOptions{Internal: true, CurrentLeaderEpoch: -1}); err != nil {
			t.Fatal(err)
		}
	}
	all := stored(t, p)
	if len(all) != 2 || all[0].Codec() != record.LZ4 || all[1].Codec() != record.None || !all[1].IsControl() || all[0].MaxTimestamp() != now || all[1].MaxTimestamp() != now {
		t.Fatalf("%d batches: %s, %s", len(all), all[0].Codec(), all[1].Codec())
	}
}

// Later offsets have no earlier times, however many write at once.
func TestLogAppendTimeRunsWithTheOffsets(t *testing.T) {
	s := openSet(t, t.TempDir(), FlushOS)
	p := mustCreate(t, s, "t", 0, Config{LogAppendTime: true})
	var writers sync.WaitGroup
	begin := time.Now().UnixMilli()
	for range 8 {
		writers.Go(func() {
			for range 200 {
				if _, err := p.Append(batchOf(t, 5, "v"), AppendOptions{CurrentLeaderEpoch: -1}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	last, n := begin, 0
	for _, b := range stored(t, p) {
		if !b.IsLogAppendTime() || b.MaxTimestamp() < last {
			t.Fatalf("offset %d: time %d after %d", b.BaseOffset(), b.MaxTimestamp(), last)
		}
		last = b.MaxTimestamp()
		n++
	}
	if n != 1600 || last > time.Now().UnixMilli() {
		t.Fatalf("%d batches until %d", n, last)
	}
}

// The limits of timestamps by the clock; a record that breaks one is named.
func TestTimestampLimits(t *testing.T) {
	const now = int64(10_000_000)
	clock := now
	s := memorySet(t, &clock)
	hour, forever := time.Hour, time.Duration(1<<63-1)
	for n, test := range []struct {
		why           string
		before, after time.Duration
		appendTime    bool
		timestamps    []int64
		want          []int32 // refused; nil: none
	}{
		{"no limits given", 0, 0, false, []int64{1, now * 1000}, nil},
		{"Kafka's never", forever, forever, false, []int64{1, now * 1000}, nil},
		{"just within", hour, hour, false, []int64{now - 3_600_000, now + 3_600_000}, nil},
		{"a millisecond too old", hour, hour, false, []int64{now, now - 3_600_001, now}, []int32{1}},
		{"a millisecond too new", hour, hour, false, []int64{now, now, now + 3_600_001}, []int32{2}},
		{"a setting of 0, older", 1, 1, false, []int64{now - 1}, []int32{0}},
		{"a setting of 0, now", 1, 1, false, []int64{now}, nil},
		{"a setting of 0, newer", 1, 1, false, []int64{now + 1}, []int32{0}},
		{"no timestamp", hour, hour, false, []int64{-1}, nil},
		{"LogAppendTime takes any", hour, hour, true, []int64{1, now * 1000}, nil},
	} {
		for codec := record.None; codec <= record.Zstd; codec++ {
			p := mustCreate(t, s, "t", int32(10*n)+int32(codec), Config{TimestampBeforeMax: test.before, TimestampAfterMax: test.after, LogAppendTime: test.appendTime, Validation: record.ValidateRecords})
			var rs []record.Record
			for _, ts := range test.timestamps {
				rs = append(rs, record.Record{Timestamp: ts})
			}
			b, err := record.Builder{Codec: codec, ProducerID: -1}.Build(rs)
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Append(b, AppendOptions{CurrentLeaderEpoch: -1})
			var refused *record.RefusedError
			var got []int32
			if errors.As(err, &refused) {
				for _, r := range refused.Records {
					got = append(got, r.Index)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) || (err == nil) != (test.want == nil) || test.want != nil && !errors.Is(err, protocol.ErrInvalidTimestamp) {
				t.Errorf("%s, %s: %v names %v, want %v", test.why, codec, err, got, test.want)
			}
			if end := p.Offsets().LogEnd; (end > 0) != (test.want == nil) {
				t.Errorf("%s, %s: the log ends at %d", test.why, codec, end)
			}
		}
	}
}

// max.message.bytes and segment.bytes hold for what is stored.
func TestStoredSizes(t *testing.T) {
	now := int64(50_000)
	s := memorySet(t, &now)
	value := strings.Repeat("value ", 1000)
	for n, test := range []struct {
		why  string
		from record.Codec
		cfg  Config
		want error
	}{
		{"small as sent, large as stored", record.Gzip, Config{MaxMessageBytes: 2000, Recompress: &record.Compression{}}, protocol.ErrMessageTooLarge},
		{"large as sent, small as stored", record.None, Config{MaxMessageBytes: 2000, Recompress: &record.Compression{Codec: record.Gzip}}, protocol.ErrMessageTooLarge},
		{"small both ways", record.Gzip, Config{MaxMessageBytes: 2000, Recompress: &record.Compression{Codec: record.Zstd}}, nil},
		{"larger than a segment as stored", record.Gzip, Config{SegmentBytes: 2000, Recompress: &record.Compression{}}, protocol.ErrRecordListTooLarge},
		{"larger than a segment as sent alone", record.None, Config{SegmentBytes: 2000, Recompress: &record.Compression{Codec: record.Gzip}}, nil},
	} {
		p := mustCreate(t, s, "t", int32(n), test.cfg)
		_, err := p.Append(producedBatch(t, record.Builder{Codec: test.from, ProducerID: -1}, 1000, value), AppendOptions{CurrentLeaderEpoch: -1})
		if !errors.Is(err, test.want) || (p.Offsets().LogEnd > 0) != (test.want == nil) {
			t.Errorf("%s: %v, want %v", test.why, err, test.want)
		}
	}
}

// message is one message of format v1.
func message(timestamp int64, key, value string) []byte {
	b := make([]byte, 18)
	b[16] = 1
	b = binary.BigEndian.AppendUint64(b, uint64(timestamp))
	b = binary.BigEndian.AppendUint32(b, uint32(len(key)))
	b = append(b, key...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	b = append(b, value...)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[12:], crc32.ChecksumIEEE(b[16:]))
	return b
}

// A message set becomes one batch of the log; one that is wrong anywhere
// leaves nothing.
func TestAppendMessageSet(t *testing.T) {
	now := int64(50_000)
	s := memorySet(t, &now)
	p := mustCreate(t, s, "t", 0, Config{})
	set := append(message(1000, "k", "a"), message(900, "l", "b")...)
	for i := range 2 {
		r, err := p.Append(set, AppendOptions{CurrentLeaderEpoch: -1})
		if err != nil || r.BaseOffset != int64(2*i) || r.Records != 2 || !r.Converted || r.LogAppendTime != -1 {
			t.Fatalf("%+v, %v", r, err)
		}
		if got, want := describe(t, stored(t, p)[i]), fmt.Sprintf("none id -1 epoch -1 sequence -1 leader 0 txn false type false max 1000: %d@1000=k/a[] %d@900=l/b[]", 2*i, 2*i+1); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	p.SetConfig(Config{LogAppendTime: true, Recompress: &record.Compression{Codec: record.Snappy}})
	if r, err := p.Append(set, AppendOptions{CurrentLeaderEpoch: -1}); err != nil || r.LogAppendTime != now {
		t.Fatalf("%+v, %v", r, err)
	}
	if got, want := describe(t, stored(t, p)[2]), "snappy id -1 epoch -1 sequence -1 leader 0 txn false type true max 50000: 4@50000=k/a[] 5@50000=l/b[]"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for why, bad := range map[string][]byte{
		"cut":       set[:len(set)-1],
		"a bad CRC": append(bytes.Clone(set[:len(set)-1]), 'x'),
		"v2 behind": append(bytes.Clone(set), batchOf(t, 1000, "v")...),
		"v2 before": append(bytes.Clone(batchOf(t, 1000, "v")), set...),
		"half":      set[:17],
	} {
		if _, err := p.Append(bad, AppendOptions{CurrentLeaderEpoch: -1}); !errors.Is(err, protocol.ErrCorruptMessage) && !errors.Is(err, protocol.ErrInvalidRecord) && !errors.Is(err, protocol.ErrUnsupportedForMessageFormat) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if end := p.Offsets().LogEnd; end != 6 {
		t.Errorf("refused sets were written: the log ends at %d", end)
	}
}
