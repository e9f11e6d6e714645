package partition

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// A batch of which single records are refused names them.
func TestRecordErrors(t *testing.T) {
	const now = int64(1_700_000_000_000)
	key := []byte("k")
	late, early := record.Record{Timestamp: now + 61_000, Key: key}, record.Record{Timestamp: now - 3_601_000, Key: key}
	fine, none, bare := record.Record{Timestamp: now, Key: key}, record.Record{Timestamp: -1, Key: key}, record.Record{Timestamp: now}
	bounds := Config{TimestampBeforeMax: time.Hour, TimestampAfterMax: time.Minute}
	compacted := bounds
	compacted.Compact = true
	stamped := Config{LogAppendTime: true}
	for _, c := range []struct {
		name    string
		cfg     Config
		codec   record.Codec
		typed   bool // the producer says LogAppendTime
		records []record.Record
		want    error
		at      string
	}{
		{"fine", bounds, record.None, false, []record.Record{fine, none}, nil, "[]"},
		{"one of three in the future", bounds, record.None, false, []record.Record{fine, late, fine}, protocol.ErrInvalidTimestamp, "[1]"},
		{"the first in the past", bounds, record.None, false, []record.Record{early, fine}, protocol.ErrInvalidTimestamp, "[0]"},
		{"both, compressed", bounds, record.Gzip, false, []record.Record{early, fine, late}, protocol.ErrInvalidTimestamp, "[0 2]"},
		{"no key", compacted, record.None, false, []record.Record{fine, bare, fine, bare}, protocol.ErrInvalidRecord, "[1 3]"},
		{"no key, and in the future", compacted, record.None, false, []record.Record{late, bare}, protocol.ErrInvalidTimestamp, "[0 1]"},
		{"LogAppendTime of a producer under CreateTime", bounds, record.None, true, []record.Record{fine, fine}, nil, "[]"},
		{"LogAppendTime of a producer under LogAppendTime", stamped, record.None, true, []record.Record{fine, fine}, protocol.ErrInvalidTimestamp, "[0 1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := OpenSet(SetConfig{Dir: "/data", FS: memfs.New(), NowMs: func() int64 { return now }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			p := mustCreate(t, s, "t", 0, c.cfg)
			b, err := record.Builder{ProducerID: -1, Codec: c.codec}.Build(c.records)
			if err != nil {
				t.Fatal(err)
			}
			if c.typed {
				b.SetLogAppendTime(b.MaxTimestamp())
			}
			_, err = p.Append(b, AppendOptions{CurrentLeaderEpoch: -1})
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			at := []int32{}
			if of := (*record.RefusedError)(nil); errors.As(err, &of) {
				for _, r := range of.Records {
					at = append(at, r.Index)
				}
			}
			if fmt.Sprint(at) != c.at {
				t.Errorf("records %v are at fault, want %s", at, c.at)
			}
			if end := p.Offsets().LogEnd; (end > 0) != (c.want == nil) {
				t.Errorf("the log ends at %d", end)
			}
			if c.want == nil && b.IsLogAppendTime() {
				t.Error("the timestamp type of a producer was kept")
			}
		})
	}
}

// A header may be further back than any record: then nothing is wrong.
func TestRecordsDecideNotTheHeader(t *testing.T) {
	const now = int64(1_700_000_000_000)
	s, err := OpenSet(SetConfig{Dir: "/data", FS: memfs.New(), NowMs: func() int64 { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := mustCreate(t, s, "t", 0, Config{TimestampAfterMax: time.Minute, Validation: record.ValidateHeader})
	b, err := record.Builder{ProducerID: -1}.Build([]record.Record{{Timestamp: now, Key: []byte("k")}})
	if err != nil {
		t.Fatal(err)
	}
	b.SetLogAppendTime(now + time.Hour.Milliseconds())
	b.SetCreateTime() // what is left is a max timestamp that no record has
	if _, err := p.Append(b, AppendOptions{CurrentLeaderEpoch: -1}); err != nil {
		t.Fatal(err)
	}
}

// The answer to a retry tells when the first write was stamped.
func TestDuplicateTellsItsTimestamp(t *testing.T) {
	s, err := OpenSet(SetConfig{Dir: "/data", FS: memfs.New(), NowMs: func() int64 { return 100 }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := mustCreate(t, s, "t", 0, Config{})
	for _, want := range []int64{-1, 77} {
		r, err := p.Append(producedBatch(t, record.Builder{ProducerID: 1}, 77, "a"), AppendOptions{CurrentLeaderEpoch: -1})
		if err != nil || r.LogAppendTime != want || r.BaseOffset != 0 {
			t.Fatalf("%+v, %v, want the time %d", r, err, want)
		}
	}
}
