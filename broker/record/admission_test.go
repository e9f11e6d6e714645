package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// anything is an Admission that takes every valid batch as it is.
func anything() Admission { return Admission{Oldest: math.MinInt64, Newest: math.MaxInt64} }

// into is an Admission that takes every valid batch and stores it in codec.
func into(codec Codec) *Admission {
	a := anything()
	a.Recompress = &Compression{Codec: codec}
	return &a
}

// drawProduced draws a batch as a client may send it.
func drawProduced(t *rapid.T) Batch {
	bd := Builder{Codec: rapid.SampledFrom(codecs).Draw(t, "codec"), ProducerID: rapid.Int64Range(-1, 3).Draw(t, "producer id"), ProducerEpoch: 4, BaseSequence: 9}
	bd.Transactional = bd.ProducerID >= 0 && rapid.Bool().Draw(t, "transactional")
	b, err := bd.Build(drawRecords(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Any batch, stored in any codec at any level: the same records in the same
// batch, and the very same bytes where the codec does not change.
func TestRecompressBetweenAllCodecs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawProduced(t)
		to := Compression{Codec: rapid.SampledFrom(codecs).Draw(t, "to"), Level: rapid.SampledFrom([]int{-131072, -5, -1, 0, 1, 2, 3, 6, 8, 9, 10, 17, 22}).Draw(t, "level")}
		a := anything()
		a.Recompress, a.Validation = &to, rapid.SampledFrom([]Validation{ValidateHeader, ValidateRecords, ValidateFull}).Draw(t, "validation")
		sent := slices.Clone(b)
		got, err := a.Admit(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(sent, b) {
			t.Fatal("what was sent was changed")
		}
		if to.Codec == b.Codec() {
			if &got[0] != &b[0] {
				t.Fatal("a batch in its codec was rebuilt")
			}
			return
		}
		if got.Codec() != to.Codec {
			t.Fatalf("stored in %s, want %s", got.Codec(), to.Codec)
		}
		header := func(b Batch) string {
			return fmt.Sprint(b.BaseOffset(), b.LastOffset(), b.PartitionLeaderEpoch(), b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.LastSequence(), b.Count(),
				b.BaseTimestamp(), b.MaxTimestamp(), b.IsTransactional(), b.IsControl(), b.IsLogAppendTime(), b.HasDeleteHorizon())
		}
		if header(got) != header(b) {
			t.Fatalf("the header says %s, it was %s", header(got), header(b))
		}
		if err := Validate(got, ValidateFull); err != nil {
			t.Fatal(err)
		}
		if got, want := decoded(t, got), decoded(t, b); fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Fatalf("records %#v, want %#v", got, want)
		}
		// And back: the payload is what it was.
		back, err := into(None).Admit(got)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := Decompress(b.Codec(), b.Payload(), MaxDecompressedBytes)
		if err != nil || !bytes.Equal(back.Payload(), plain) {
			t.Fatalf("%d bytes came back as %d, %v", len(plain), len(back.Payload()), err)
		}
	})
}

// A level that tries harder makes less of the same records, so it is used.
func TestLevelsAreUsed(t *testing.T) {
	var text []byte
	for i := range 4000 {
		text = fmt.Appendf(text, "record %d of user %d went to %x; ", i, i*7919%101, i*i)
	}
	for _, c := range []struct {
		codec    Codec
		low, top int
	}{{Gzip, 1, 9}, {LZ4, 9, 17}, {Zstd, 1, 22}} {
		var sizes []int
		for _, level := range []int{c.low, c.top} {
			out, err := Compression{c.codec, level}.Append(nil, text)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := Decompress(c.codec, out, len(text)); err != nil || !bytes.Equal(back, text) {
				t.Fatalf("%s level %d: %d bytes came back as %d, %v", c.codec, level, len(text), len(back), err)
			}
			sizes = append(sizes, len(out))
		}
		if sizes[1] >= sizes[0] {
			t.Errorf("%s: %d bytes at level %d, %d at level %d", c.codec, sizes[0], c.low, sizes[1], c.top)
		}
	}
	for _, level := range []int{math.MinInt, -131072, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 17, 18, 22, math.MaxInt} {
		for _, codec := range codecs {
			out, err := Compression{codec, level}.Append(nil, text[:1000])
			if err != nil {
				t.Fatalf("%s level %d: %v", codec, level, err)
			}
			if back, err := Decompress(codec, out, 1000); err != nil || !bytes.Equal(back, text[:1000]) {
				t.Errorf("%s level %d: %d bytes came back, %v", codec, level, len(back), err)
			}
		}
	}
}

// What the broker writes itself is recompressed, but for control batches.
func TestRecompressOwnBatches(t *testing.T) {
	own, marker := plain(t, None), must(EndTransaction(Commit, 7, 3, 21, 1234))
	for _, codec := range codecs {
		c := &Compression{Codec: codec}
		got, err := Recompress(own, c)
		if err != nil || got.Codec() != codec || fmt.Sprintf("%#v", decoded(t, got)) != fmt.Sprintf("%#v", decoded(t, own)) {
			t.Errorf("%s: %v, %v", codec, got.Codec(), err)
		}
		if got, err := Recompress(marker, c); err != nil || &got[0] != &marker[0] {
			t.Errorf("%s: a marker was rebuilt: %v", codec, err)
		}
	}
	if got, err := Recompress(own, nil); err != nil || &got[0] != &own[0] {
		t.Errorf("without a compression: %v", err)
	}
}

func must(b Batch, err error) Batch {
	if err != nil {
		panic(err)
	}
	return b
}

// spoiled is a valid batch but for what change does to its records.
func spoiled(t testing.TB, codec Codec, change func(payload []byte) []byte) Batch {
	t.Helper()
	b := plain(t, None)
	payload := change(bytes.Clone(b.Payload()))
	out, err := b.recompressed(Compression{Codec: codec}, payload, b.MaxTimestamp())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Whatever makes us look into a batch finds what is wrong with it, in every
// codec, and gives nothing to store.
func TestAdmitRefusesBadRecords(t *testing.T) {
	looks := map[string]func(*Admission){
		"recompress": func(a *Admission) { a.Recompress = &Compression{Codec: Gzip} },
		"keys":       func(a *Admission) { a.NeedKeys = true },
		"oldest":     func(a *Admission) { a.Oldest = 0 },
		"newest":     func(a *Admission) { a.Newest = 10_000; a.Validation = ValidateFull },
	}
	for why, change := range map[string]func([]byte) []byte{
		"a record too few":      func(p []byte) []byte { n, s := binary.Varint(p); return p[int(n)+s:] },
		"bytes after the last":  func(p []byte) []byte { return append(p, 0) },
		"cut":                   func(p []byte) []byte { return p[:len(p)-1] },
		"no records":            func([]byte) []byte { return nil },
		"an offset delta twice": func(p []byte) []byte { n, s := binary.Varint(p); p[int(n)+s+4] = 0; return p }, // behind length, attributes and timestamp delta
	} {
		for look, set := range looks {
			for _, codec := range codecs {
				a := anything()
				set(&a)
				if a.Recompress != nil && a.Recompress.Codec == codec {
					a.Recompress.Codec = Zstd
				}
				if b, err := a.Admit(spoiled(t, codec, change)); !errors.Is(err, ErrInvalidRecord) || b != nil {
					t.Errorf("%s, %s, for %s: %d bytes, %v", why, codec, look, len(b), err)
				}
			}
		}
	}
	for _, codec := range codecs[1:] {
		b := plain(t, codec)
		b[HeaderSize+2] ^= 0xff // in the compressed bytes' own header
		b.rewriteCRC()
		if kept, err := into(None).Admit(b); !errors.Is(err, ErrCorrupt) || kept != nil {
			t.Errorf("%s: what does not decompress: %v", codec, err)
		}
	}
	b := plain(t, LZ4)
	b[len(b)-1] ^= 1
	if kept, err := into(None).Admit(b); !errors.Is(err, ErrChecksum) || kept != nil {
		t.Errorf("a wrong CRC: %v", err)
	}
}

// Every rule on single records names the records that break it.
func TestAdmitNamesRefusedRecords(t *testing.T) {
	rs := []Record{
		{Timestamp: 1000, Key: []byte("k")},
		{Timestamp: 3000},
		{Timestamp: 2000, Key: []byte{}},
		{Timestamp: -1, Key: []byte("without a timestamp")},
		{Timestamp: 1, Key: []byte("old")},
	}
	for _, test := range []struct {
		why   string
		admit Admission
		want  []int32
		kind  error
	}{
		{"nothing is asked", anything(), nil, nil},
		{"keys", Admission{NeedKeys: true, Oldest: math.MinInt64, Newest: math.MaxInt64}, []int32{1}, ErrInvalidRecord},
		{"just new enough", Admission{Oldest: math.MinInt64, Newest: 3000}, nil, nil},
		{"too new", Admission{Oldest: math.MinInt64, Newest: 2999}, []int32{1}, ErrInvalidTimestamp},
		{"just old enough", Admission{Oldest: 1, Newest: math.MaxInt64}, nil, nil},
		{"too old though the first is not", Admission{Oldest: 2, Newest: math.MaxInt64}, []int32{4}, ErrInvalidTimestamp},
		{"too old, too new", Admission{Oldest: 1500, Newest: 2500}, []int32{0, 1, 4}, ErrInvalidTimestamp},
		{"one reason a record, the key first", Admission{NeedKeys: true, Oldest: math.MinInt64, Newest: 2999}, []int32{1}, ErrInvalidRecord},
		{"a timestamp among keys tells the kind", Admission{NeedKeys: true, Oldest: 500, Newest: math.MaxInt64}, []int32{1, 4}, ErrInvalidTimestamp},
	} {
		for _, codec := range codecs {
			for _, to := range []*Compression{nil, {Codec: Snappy}, {Codec: None}} {
				b, err := Builder{Codec: codec, ProducerID: -1}.Build(rs)
				if err != nil {
					t.Fatal(err)
				}
				a := test.admit
				a.Recompress, a.Validation = to, ValidateRecords
				kept, err := a.Admit(b)
				if len(test.want) == 0 {
					if err != nil || kept.Count() != 5 {
						t.Errorf("%s, %s: %v", test.why, codec, err)
					}
					continue
				}
				var refused *RefusedError
				if !errors.As(err, &refused) || kept != nil || !errors.Is(err, test.kind) || errors.Is(err, ErrInvalidTimestamp) != (test.kind == ErrInvalidTimestamp) {
					t.Fatalf("%s, %s: %v, want %v", test.why, codec, err, test.kind)
				}
				var got []int32
				for _, r := range refused.Records {
					got = append(got, r.Index)
					if r.Reason == "" {
						t.Errorf("%s: no reason for record %d", test.why, r.Index)
					}
				}
				if !slices.Equal(got, test.want) || refused.Count != len(test.want) {
					t.Errorf("%s, %s: refused %v, want %v", test.why, codec, got, test.want)
				}
			}
		}
	}
}

// A header that lies about the newest record refuses nothing and is put right.
func TestAdmitPutsMaxTimestampRight(t *testing.T) {
	for _, codec := range codecs {
		b := plain(t, codec)
		b.setMaxTimestamp(1 << 50)
		a := Admission{Oldest: math.MinInt64, Newest: 5000}
		kept, err := a.Admit(b)
		if err != nil || kept.MaxTimestamp() != 3000 || Verify(kept) != nil {
			t.Errorf("%s: %v", codec, err)
		}
		b.setMaxTimestamp(1)
		kept, err = into(Codec((codec + 1) % 5)).Admit(b)
		if err != nil || kept.MaxTimestamp() != 3000 || Verify(kept) != nil {
			t.Errorf("%s, recompressed: %v", codec, err)
		}
	}
}

// The timestamp type is the topic's: a producer's LogAppendTime is taken off
// where the topic has CreateTime, and refused where the broker's time would be hidden by it.
func TestAdmitLogAppendTimeOfProducers(t *testing.T) {
	for _, codec := range codecs {
		for _, to := range []*Compression{nil, {Codec: Zstd}, {Codec: None}} {
			for _, test := range []struct {
				why     string
				change  func(*Admission)
				newest  int64 // what the producer says
				refused int
			}{
				{"CreateTime", func(*Admission) {}, 9000, 0},
				{"its time is every record's", func(a *Admission) { a.Newest = 9000 }, 9000, 0},
				{"its time is too new", func(a *Admission) { a.Newest = 8999 }, 9000, 3},
				{"no time", func(*Admission) {}, -1, 3},
				{"LogAppendTime", func(a *Admission) { a.AppendTime = true }, 9000, 3},
			} {
				b := plain(t, codec)
				b.SetLogAppendTime(test.newest)
				a := anything()
				a.Recompress, a.Validation = to, ValidateHeader
				test.change(&a)
				kept, err := a.Admit(b)
				var refused *RefusedError
				switch {
				case test.refused == 0:
					if err != nil || kept.IsLogAppendTime() || kept.MaxTimestamp() != test.newest || Verify(kept) != nil {
						t.Errorf("%s, %s to %v: %v", test.why, codec, to, err)
					}
				case kept != nil || !errors.As(err, &refused) || !errors.Is(err, ErrInvalidTimestamp) || refused.Count != test.refused:
					t.Errorf("%s, %s to %v: %v, want %d records refused", test.why, codec, to, err, test.refused)
				}
			}
		}
	}
}

func TestManyRefusedRecordsAreBounded(t *testing.T) {
	rs := make([]Record, MaxRefused+500)
	rs[len(rs)-1] = Record{Key: []byte("k"), Timestamp: 100}
	b, err := Builder{Codec: Zstd, ProducerID: -1}.Build(rs)
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&Admission{NeedKeys: true, Oldest: math.MinInt64, Newest: 50}).Admit(b)
	var refused *RefusedError
	if !errors.As(err, &refused) || !errors.Is(err, ErrInvalidTimestamp) {
		t.Fatal(err)
	}
	if len(refused.Records) != MaxRefused || refused.Count != len(rs) {
		t.Fatalf("%d of %d are named, want %d of %d", len(refused.Records), refused.Count, MaxRefused, len(rs))
	}
}

// The limit holds for what is sent and for what is stored.
func TestAdmitSizes(t *testing.T) {
	rs := []Record{{Value: bytes.Repeat([]byte("value "), 500)}}
	small := must(Builder{Codec: Gzip, ProducerID: -1}.Build(rs))
	large := must(Builder{ProducerID: -1}.Build(rs))
	for _, test := range []struct {
		why   string
		sent  Batch
		to    Codec
		limit int
		want  error
	}{
		{"fits as sent and as stored", small, None, len(large), nil},
		{"one byte short as stored", small, None, len(large) - 1, ErrTooLarge},
		{"small as stored does not count", large, Gzip, len(large) - 1, ErrTooLarge},
		{"small as stored", large, Gzip, len(large), nil},
		{"no limit", small, None, 0, nil},
		{"a limit below a header", small, None, 10, ErrTooLarge},
	} {
		a := into(test.to)
		a.MaxBatchBytes = int64(test.limit)
		if kept, err := a.Admit(bytes.Clone(test.sent)); !errors.Is(err, test.want) || (kept != nil) != (test.want == nil) {
			t.Errorf("%s: %d bytes, %v, want %v", test.why, len(kept), err, test.want)
		}
	}
}

// A batch that unpacks to more than the bound is refused whatever it would
// become.
func TestAdmitRefusesBombs(t *testing.T) {
	zeros := make([]byte, MaxDecompressedBytes+1)
	header := plain(t, None)
	for _, codec := range []Codec{LZ4, Zstd} { // the cheap ones to pack
		bomb, err := header.recompressed(Compression{Codec: codec}, zeros, 3000)
		if err != nil {
			t.Fatal(err)
		}
		if len(bomb) > 1<<20 {
			t.Fatalf("%s: a bomb of %d bytes", codec, len(bomb))
		}
		for _, to := range []Codec{None, Gzip} {
			if kept, err := into(to).Admit(bomb); !errors.Is(err, ErrTooLarge) || kept != nil {
				t.Errorf("%s to %s: %d bytes of bomb: %v", codec, to, len(bomb), err)
			}
		}
	}
}

// A batch that stays as it is costs no allocation, whatever the topic asks
// that its header or its plain records tell.
func TestAdmitDoesNotAllocate(t *testing.T) {
	keyed := must(Builder{ProducerID: -1}.Build([]Record{{Timestamp: 5, Key: []byte("k")}, {Timestamp: 6, Key: []byte("l")}}))
	lz, raw := plain(t, LZ4), plain(t, None)
	same := into(LZ4)
	strict := Admission{Validation: ValidateRecords, NeedKeys: true, Oldest: 1, Newest: 10, MaxBatchBytes: 1 << 20}
	loose := Admission{Validation: ValidateRecords, Oldest: math.MinInt64, Newest: 10_000, MaxBatchBytes: 1 << 20}
	if n := testing.AllocsPerRun(100, func() {
		for _, c := range []struct {
			a *Admission
			b Batch
		}{{same, lz}, {&strict, keyed}, {&loose, raw}, {&loose, lz}} {
			if kept, err := c.a.Admit(c.b); err != nil || &kept[0] != &c.b[0] {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Fatalf("%v allocations, want 0", n)
	}
}

// Whatever a client sends, what is stored is valid, and what is refused is
// refused for a reason that has a code.
func FuzzAdmit(f *testing.F) {
	for _, codec := range codecs {
		f.Add([]byte(plain(f, codec)), int8(codec+1)%5, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, to int8, keys bool) {
		first, _, err := Next(data)
		if err != nil {
			return
		}
		b := Batch(bytes.Clone(first))
		binary.BigEndian.PutUint64(b, 0)
		b.rewriteCRC() // get past the checksum
		a := into(Codec(uint8(to) % 5))
		a.NeedKeys = keys
		kept, err := a.Admit(b)
		if err != nil {
			for _, known := range []error{ErrCorrupt, ErrInvalidRecord, ErrUnsupportedCodec, ErrTooLarge} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("not a known error: %v", err)
		}
		if err := Verify(kept); err != nil || kept.Count() != b.Count() {
			t.Fatalf("stored: %v, %d records of %d", err, kept.Count(), b.Count())
		}
		if kept.Codec() != b.Codec() {
			if err := Validate(kept, ValidateFull); err != nil {
				t.Fatalf("stored: %v", err)
			}
		}
	})
}
