package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// stored is a batch as the log has it: base offset and epoch stamped.
func stored(t *rapid.T, bd Builder, rs []Record) Batch {
	b, err := bd.Build(rs)
	if err != nil {
		t.Fatal(err)
	}
	b.SetBaseOffset(rapid.Int64Range(0, 1<<40).Draw(t, "base offset"))
	b.SetPartitionLeaderEpoch(7)
	return b
}

func decoded(t interface{ Fatal(...any) }, b Batch) []Record {
	var rs []Record
	if err := Records(b, MaxDecompressedBytes, func(r Record) error {
		r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
		rs = append(rs, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rs
}

// Any batch filtered in any way, several times over: what is left are exactly
// the records kept, as they were, in a batch that covers the same offsets.
func TestFilterAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f Filter
		bd := Builder{Codec: rapid.SampledFrom(codecs).Draw(t, "codec"), ProducerID: rapid.Int64Range(-1, 3).Draw(t, "producer id"), ProducerEpoch: 4, BaseSequence: 9}
		bd.Transactional = bd.ProducerID >= 0 && rapid.Bool().Draw(t, "transactional")
		b := stored(t, bd, drawRecords(t))
		if rapid.Bool().Draw(t, "log append time") {
			b.SetLogAppendTime(777)
		}
		first, want, horizon := slices.Clone(b), decoded(t, b), int64(-1)
		for round := range rapid.IntRange(1, 4).Draw(t, "rounds") {
			keep := map[int64]bool{}
			for _, r := range want {
				keep[r.Offset] = rapid.Bool().Draw(t, "keep")
			}
			o := FilterOptions{
				MaxBytes: MaxDecompressedBytes, KeepEmpty: rapid.Bool().Draw(t, "keep empty"), DeleteHorizon: int64(1000 + round),
				Marker: rapid.Bool().Draw(t, "marker"), Keep: func(it *Iterator) bool { return keep[it.Offset()] },
			}
			before := slices.Clone(b)
			got, err := f.Apply(b, o)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, b) {
				t.Fatal("the given batch was changed")
			}
			read := len(want)
			want = slices.DeleteFunc(want, func(r Record) bool { return !keep[r.Offset] })
			if got.Read != read || got.Kept != len(want) {
				t.Fatalf("read %d and kept %d records, want %d and %d", got.Read, got.Kept, read, len(want))
			}
			if len(want) == 0 && !o.KeepEmpty {
				if got.Batch != nil {
					t.Fatal("an empty batch is left")
				}
				return
			}
			tombstone := slices.ContainsFunc(want, func(r Record) bool { return r.Value == nil })
			switch {
			case len(want) == 0:
				horizon = -1
			case horizon < 0 && (tombstone || o.Marker):
				horizon = o.DeleteHorizon
			}
			b = slices.Clone(got.Batch)
			checkFiltered(t, first, b, want, horizon)
		}
	})
}

func checkFiltered(t *rapid.T, first, b Batch, want []Record, horizon int64) {
	if err := Verify(b); err != nil {
		t.Fatal(err)
	}
	kept := func(b Batch) string {
		return fmt.Sprint(b.BaseOffset(), b.LastOffset(), b.PartitionLeaderEpoch(), b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.LastSequence(),
			b.IsTransactional(), b.IsControl(), b.IsLogAppendTime())
	}
	if kept(b) != kept(first) {
		t.Fatalf("the header says %s, it was %s", kept(b), kept(first))
	}
	if b.HasDeleteHorizon() != (horizon >= 0) || horizon >= 0 && b.BaseTimestamp() != horizon {
		t.Fatalf("delete horizon: %v, %d, want %d", b.HasDeleteHorizon(), b.BaseTimestamp(), horizon)
	}
	if int(b.Count()) != len(want) {
		t.Fatalf("count %d, want %d", b.Count(), len(want))
	}
	if len(want) == 0 {
		if len(b) != HeaderSize || b.Codec() != None || b.MaxTimestamp() < 0 {
			t.Fatalf("an empty batch of %d bytes, codec %s, max timestamp %d", len(b), b.Codec(), b.MaxTimestamp())
		}
		return
	}
	if b.Codec() != first.Codec() {
		t.Fatalf("codec %s, it was %s", b.Codec(), first.Codec())
	}
	newest := int64(-1)
	for _, r := range want {
		newest = max(newest, r.Timestamp)
	}
	if b.MaxTimestamp() != newest {
		t.Fatalf("max timestamp %d, want %d", b.MaxTimestamp(), newest)
	}
	if got := decoded(t, b); fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		t.Fatalf("records %#v, want %#v", got, want)
	}
}

// What a crafted batch says beyond its own offsets is refused, never written.
func TestFilterRefuses(t *testing.T) {
	all := FilterOptions{MaxBytes: 1 << 20, Keep: func(*Iterator) bool { return true }}
	var f Filter
	beyond := plain(t, None)
	// The first record's offset delta, behind length, attributes and timestamp delta.
	_, size := varint(beyond[HeaderSize:])
	beyond[HeaderSize+size+2] = 0x7e // zigzag 63
	if _, err := f.Apply(beyond, all); !errors.Is(err, ErrInvalidRecord) {
		t.Errorf("an offset beyond its batch: %v", err)
	}
	few := plain(t, None)
	binary.BigEndian.PutUint32(few[posCount:], 9)
	if _, err := f.Apply(few, all); !errors.Is(err, ErrInvalidRecord) {
		t.Errorf("fewer records than announced: %v", err)
	}
	for _, codec := range codecs {
		tight := all
		tight.MaxBytes = 10
		if _, err := f.Apply(plain(t, codec), tight); codec != None && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: more than the limit: %v", codec, err)
		}
	}
	if r, err := f.Apply(plain(t, Gzip), FilterOptions{KeepEmpty: true}); err != nil || r.Batch.Count() != 0 || r.Read != 3 {
		t.Errorf("keeping nothing needs no decompression: %+v, %v", r, err)
	}
}
