package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// oldCodecs are those that formats v0 and v1 have.
var oldCodecs = []Codec{None, Gzip, Snappy, LZ4}

// oldMessage is one message of format v0 or v1, written by kmsg.
func oldMessage(magic, attributes int8, offset, timestamp int64, key, value []byte) []byte {
	if magic == 0 {
		m := kmsg.MessageV0{Offset: offset, Attributes: attributes, Key: key, Value: value}
		return sealMessage(m.AppendTo(nil))
	}
	m := kmsg.MessageV1{Offset: offset, Magic: magic, Attributes: attributes, Timestamp: timestamp, Key: key, Value: value}
	return sealMessage(m.AppendTo(nil))
}

// sealMessage gives a message its size and its CRC.
func sealMessage(b []byte) []byte {
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-messageOverhead))
	binary.BigEndian.PutUint32(b[posMessageCRC:], crc32.ChecksumIEEE(b[posMessageMagic:]))
	return b
}

// wrap is one message that has a message set compressed in it, with the wrong
// LZ4 header checksum of format v0.
func wrap(t testing.TB, magic int8, codec Codec, offset int64, set []byte) []byte {
	t.Helper()
	value, err := Compress(nil, codec, set)
	if err != nil {
		t.Fatal(err)
	}
	if codec == LZ4 && magic == 0 {
		value[lz4FixedHeader] = byte(xxh32(value[:lz4FixedHeader]) >> 8)
	}
	return oldMessage(magic, int8(codec), offset, 1000, nil, value)
}

// oldSet is a message set of rs as a client of that format sends it.
func oldSet(t testing.TB, magic int8, codec Codec, rs []Record) []byte {
	t.Helper()
	var set []byte
	for i, r := range rs {
		set = append(set, oldMessage(magic, 0, int64(i), r.Timestamp, r.Key, r.Value)...)
	}
	if codec == None {
		return set
	}
	return wrap(t, magic, codec, int64(len(rs)-1), set)
}

// Any messages in any old format and codec become one batch of the same records,
// in the topic's codec or their own.
func TestMessageSetAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rs := drawRecords(rt)
		magic := rapid.SampledFrom([]int8{0, 1}).Draw(rt, "magic")
		codec := rapid.SampledFrom(oldCodecs).Draw(rt, "codec")
		newest := int64(-1)
		for i := range rs {
			rs[i].Headers, rs[i].Offset = nil, int64(i)
			if magic == 0 || rapid.IntRange(0, 5).Draw(rt, "no timestamp") == 0 {
				rs[i].Timestamp = -1
			}
			newest = max(newest, rs[i].Timestamp)
		}
		set := oldSet(t, magic, codec, rs)
		a, want := anything(), codec
		if rapid.Bool().Draw(rt, "recompress") {
			want = rapid.SampledFrom(codecs).Draw(rt, "to")
			a.Recompress = &Compression{Codec: want}
		}
		if !IsMessageSet(set) {
			rt.Fatal("it is not seen to be a message set")
		}
		sent := slices.Clone(set)
		b, err := a.AdmitMessageSet(set)
		if err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(sent, set) {
			rt.Fatal("the set was changed")
		}
		crc := b.CRC()
		if err := Validate(b, ValidateFull); err != nil {
			rt.Fatal(err)
		}
		if b.CRC() != crc || b.MaxTimestamp() != newest || b.BaseTimestamp() != rs[0].Timestamp {
			rt.Fatalf("max timestamp %d, base %d, want %d and %d", b.MaxTimestamp(), b.BaseTimestamp(), newest, rs[0].Timestamp)
		}
		if b.Codec() != want || b.ProducerID() != -1 || b.ProducerEpoch() != -1 || b.BaseSequence() != -1 || b.IsTransactional() {
			rt.Fatalf("the header is % x", b[:HeaderSize])
		}
		if got := decoded(rt, b); fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", rs) {
			rt.Fatalf("records %#v, want %#v", got, rs)
		}
	})
}

func TestMessageSetRefusals(t *testing.T) {
	message := func(magic int8) []byte { return oldMessage(magic, 0, 0, 1000, []byte("k"), []byte("v")) }
	changed := func(b []byte, change func([]byte)) []byte { change(b); return b }
	sealed := func(b []byte, change func([]byte)) []byte { change(b); return sealMessage(b) }
	two := func(magic int8) []byte {
		return append(oldMessage(magic, 0, 4, 1000, nil, nil), oldMessage(magic, 0, 5, 1000, nil, nil)...)
	}
	for _, test := range []struct {
		why  string
		set  []byte
		want error
	}{
		{"nothing", nil, ErrTruncated},
		{"cut before the magic", message(0)[:16], ErrTruncated},
		{"cut", message(1)[:30], ErrTruncated},
		{"a second one that is cut", append(message(1), message(1)[:30]...), ErrTruncated},
		{"a second one of a few bytes", append(message(0), 0, 0, 0), ErrTruncated},
		{"a bit of the value", changed(message(0), func(b []byte) { b[len(b)-1] ^= 1 }), ErrCorrupt},
		{"a bit of the CRC", changed(message(1), func(b []byte) { b[posMessageCRC] ^= 1 }), ErrCorrupt},
		{"a bit of the second", append(message(1), changed(message(1), func(b []byte) { b[30] ^= 1 })...), ErrCorrupt},
		{"a size of 0", changed(message(0), func(b []byte) { copy(b[8:], []byte{0, 0, 0, 0}) }), ErrCorrupt},
		{"a negative size", changed(message(0), func(b []byte) { copy(b[8:], []byte{0xff, 0xff, 0xff, 0xff}) }), ErrCorrupt},
		{"the largest size", changed(message(0), func(b []byte) { copy(b[8:], []byte{0x7f, 0xff, 0xff, 0xff}) }), ErrTruncated},
		{"v1 with the size of v0", append(changed(message(1)[:26], func(b []byte) { copy(b[8:], []byte{0, 0, 0, 14}) }), make([]byte, 20)...), ErrCorrupt},
		{"magic 3", changed(message(0), func(b []byte) { b[posMessageMagic] = 3 }), ErrCorrupt},
		{"magic 2 behind", append(message(1), plain(t, None)...), ErrInvalidRecord},
		{"two formats", append(message(0), message(1)...), ErrInvalidRecord},
		{"a key beyond the message", sealed(message(0), func(b []byte) { b[posMessageTimestamp+3] = 200 }), ErrInvalidRecord},
		{"a key of length -2", sealed(message(0), func(b []byte) { copy(b[posMessageTimestamp:], []byte{0xff, 0xff, 0xff, 0xfe}) }), ErrInvalidRecord},
		{"a value that leaves bytes", sealed(message(0), func(b []byte) { b[posMessageTimestamp+8] = 0 }), ErrInvalidRecord},
		{"a timestamp below -1", oldMessage(1, 0, 0, -2, nil, nil), ErrInvalidTimestamp},
		{"zstd in v1", oldMessage(1, int8(Zstd), 0, 1000, nil, []byte("v")), ErrOldZstd},
		{"zstd in v0", oldMessage(0, int8(Zstd), 0, 0, nil, []byte("v")), ErrOldZstd},
		{"codec 7", oldMessage(0, 7, 0, 0, nil, []byte("v")), ErrUnsupportedCodec},
		{"compressed without a value", oldMessage(1, int8(Gzip), 0, 1000, nil, nil), ErrInvalidRecord},
		{"compressed of nothing", wrap(t, 1, Gzip, 0, nil), ErrInvalidRecord},
		{"not gzip", oldMessage(1, int8(Gzip), 0, 1000, nil, []byte("plain")), ErrCorrupt},
		{"two compressed", append(wrap(t, 1, Gzip, 1, two(1)), wrap(t, 1, Gzip, 1, two(1))...), ErrInvalidRecord},
		{"a plain one before a compressed", append(message(1), wrap(t, 1, Gzip, 5, two(1))...), ErrInvalidRecord},
		{"a plain one behind a compressed", append(wrap(t, 1, Gzip, 5, two(1)), message(1)...), ErrInvalidRecord},
		{"compressed twice", wrap(t, 1, Gzip, 5, wrap(t, 1, Snappy, 5, two(1))), ErrInvalidRecord},
		{"v0 within v1", wrap(t, 1, Gzip, 5, two(0)), ErrInvalidRecord},
		{"v1 within v0", wrap(t, 0, Gzip, 5, two(1)), ErrInvalidRecord},
		{"a wrong CRC within", wrap(t, 1, Gzip, 5, changed(two(1), func(b []byte) { b[len(b)-1] ^= 1 })), ErrCorrupt},
		{"cut within", wrap(t, 1, Gzip, 5, two(1)[:50]), ErrTruncated},
		{"a wrapper before what it wraps", wrap(t, 1, Gzip, 4, two(1)), ErrInvalidRecord},
		{"the wrong LZ4 checksum of v0 in v1", sealed(wrap(t, 1, LZ4, 5, two(1)), func(b []byte) {
			frame := b[posMessageTimestamp+8+4+4:]
			frame[lz4FixedHeader] = byte(xxh32(frame[:lz4FixedHeader]) >> 8)
		}), ErrCorrupt},
	} {
		a := anything()
		if b, err := a.AdmitMessageSet(test.set); !errors.Is(err, test.want) || b != nil {
			t.Errorf("%s: %d bytes, %v, want %v", test.why, len(b), err, test.want)
		}
	}
}

// What clients of old really send, and what must not be held against them.
func TestMessageSetOffsets(t *testing.T) {
	for _, test := range []struct {
		why string
		set []byte
		n   int32
	}{
		{"a wrapper of librdkafka", wrap(t, 1, Snappy, 0, append(oldMessage(1, 0, 7, 1000, nil, nil), oldMessage(1, 0, 8, 1000, nil, nil)...)), 2},
		{"no relative offsets at all", wrap(t, 1, Gzip, 0, append(oldMessage(1, 0, 0, 1000, nil, nil), oldMessage(1, 0, 0, 1000, nil, nil)...)), 2},
		{"a wrapper far beyond", wrap(t, 1, Gzip, 1<<40, oldMessage(1, 0, 0, 1000, nil, nil)), 1},
		{"absolute offsets in v0", wrap(t, 0, Gzip, 3, append(oldMessage(0, 0, 77, 0, nil, nil), oldMessage(0, 0, 5, 0, nil, nil)...)), 2},
		{"any offsets of plain messages", append(oldMessage(1, 0, -5, 1000, nil, nil), oldMessage(1, 0, 1<<50, 1000, nil, nil)...), 2},
		{"a wrapper's time type is not its messages'", wrap(t, 1, Gzip, 0, oldMessage(1, messageLogAppendTime, 0, 1000, nil, nil)), 1},
		{"the right LZ4 checksum in v0", oldMessage(0, int8(LZ4), 0, 0, nil, mustCompress(LZ4, oldMessage(0, 0, 0, 0, nil, nil))), 1},
	} {
		a := anything()
		b, err := a.AdmitMessageSet(test.set)
		if err != nil || b.Count() != test.n || b.BaseOffset() != 0 || b.LastOffset() != int64(test.n-1) {
			t.Errorf("%s: %v", test.why, err)
		}
	}
}

// A client that says it stamped its messages as a broker does is refused where
// the broker does so, and elsewhere not held to it.
func TestMessageSetLogAppendTime(t *testing.T) {
	claimed := func(b []byte, timestamp uint64) []byte {
		b[posMessageAttributes] |= messageLogAppendTime
		binary.BigEndian.PutUint64(b[posMessageTimestamp:], timestamp)
		return sealMessage(b)
	}
	message := func() []byte { return oldMessage(1, 0, 0, 1000, nil, nil) }
	for _, test := range []struct {
		why        string
		set        []byte
		appendTime bool
		want       string // timestamps
		refused    int    // records
	}{
		{"plain", append(claimed(message(), 7), message()...), false, "[7 1000]", 0},
		{"plain, the topic has LogAppendTime", append(claimed(message(), 7), message()...), true, "[]", 1},
		{"plain, without a timestamp", claimed(message(), math.MaxUint64), false, "[]", 1},
		{"a wrapper, whose time counts", claimed(wrap(t, 1, Gzip, 0, append(message(), message()...)), 7), false, "[7 7]", 0},
		{"a wrapper, the topic has LogAppendTime", claimed(wrap(t, 1, Gzip, 0, append(message(), message()...)), 7), true, "[]", 2},
		{"within a wrapper it means nothing", wrap(t, 1, Gzip, 0, claimed(message(), 7)), true, "[7]", 0},
	} {
		a := anything()
		a.AppendTime = test.appendTime
		b, err := a.AdmitMessageSet(test.set)
		timestamps, refused := []int64{}, (*RefusedError)(nil)
		if err == nil {
			for _, r := range decoded(t, b) {
				timestamps = append(timestamps, r.Timestamp)
			}
		}
		if fmt.Sprint(timestamps) != test.want || (err == nil) != (test.refused == 0) || err == nil && b.IsLogAppendTime() {
			t.Errorf("%s: timestamps %v, %v", test.why, timestamps, err)
		}
		if err != nil && (!errors.As(err, &refused) || !errors.Is(err, ErrInvalidTimestamp) || refused.Count != test.refused) {
			t.Errorf("%s: %v", test.why, err)
		}
	}
}

func mustCompress(c Codec, src []byte) []byte {
	out, err := Compress(nil, c, src)
	if err != nil {
		panic(err)
	}
	return out
}

// The rules of the topic hold for old clients, too.
func TestMessageSetRules(t *testing.T) {
	rs := []Record{{Timestamp: 1000, Key: []byte("k"), Value: []byte("v")}, {Timestamp: 2000, Value: bytes.Repeat([]byte("v"), 300)}}
	for _, codec := range oldCodecs {
		for _, test := range []struct {
			why   string
			magic int8
			admit Admission
			want  error
			index int32
		}{
			{"keys", 0, Admission{NeedKeys: true, Oldest: math.MinInt64, Newest: math.MaxInt64}, ErrInvalidRecord, 1},
			{"too old", 1, Admission{Oldest: 1001, Newest: math.MaxInt64}, ErrInvalidTimestamp, 0},
			{"too new", 1, Admission{Oldest: math.MinInt64, Newest: 1999}, ErrInvalidTimestamp, 1},
			{"without a timestamp none is wrong", 0, Admission{Oldest: 5000, Newest: 6000}, nil, 0},
			{"room for the message and not for the batch", 1, Admission{Oldest: math.MinInt64, Newest: math.MaxInt64, MaxBatchBytes: 350, Recompress: &Compression{Codec: None}}, ErrTooLarge, -1},
			{"room for the batch", 1, Admission{Oldest: math.MinInt64, Newest: math.MaxInt64, MaxBatchBytes: 450}, nil, 0},
			{"no room for a message", 1, Admission{Oldest: math.MinInt64, Newest: math.MaxInt64, MaxBatchBytes: 50}, ErrTooLarge, -1},
		} {
			b, err := test.admit.AdmitMessageSet(oldSet(t, test.magic, codec, rs))
			if !errors.Is(err, test.want) || (b != nil) != (test.want == nil) {
				t.Errorf("%s, %s: %v, want %v", test.why, codec, err, test.want)
			}
			var refused *RefusedError
			if named := errors.As(err, &refused); named != (test.want != nil && test.index >= 0) || named && (refused.Count != 1 || refused.Records[0].Index != test.index) {
				t.Errorf("%s, %s: %v names records: %v", test.why, codec, err, named)
			}
		}
	}
}

// An old message may unpack to as much as a batch, and no more.
func TestMessageSetRefusesBombs(t *testing.T) {
	bomb := wrap(t, 0, LZ4, 0, make([]byte, MaxDecompressedBytes+1))
	a := anything()
	if b, err := a.AdmitMessageSet(bomb); !errors.Is(err, ErrTooLarge) || b != nil || len(bomb) > 1<<20 {
		t.Errorf("%d bytes of bomb: %v", len(bomb), err)
	}
}

// The header checksums that the reference implementation writes.
func TestLZ4HeaderChecksum(t *testing.T) {
	magic := []byte{0x04, 0x22, 0x4d, 0x18}
	for _, header := range [][]byte{{0x64, 0x40, 0xa7}, {0x64, 0x70, 0xb9}, {0x60, 0x40, 0x82}} {
		frame := append(bytes.Clone(magic), header...)
		broken := bytes.Clone(frame)
		broken[6] ^= 0x5a
		if got := withLZ4Checksum(broken); !bytes.Equal(got, frame) {
			t.Errorf("% x is put right to % x, want % x", broken, got, frame)
		}
		if got := withLZ4Checksum(frame); &got[0] != &frame[0] {
			t.Errorf("% x is right, and was copied", frame)
		}
	}
	for n := range 20 { // nothing to put right in a header that is cut
		frame := append(bytes.Clone(magic), 0x68|lz4HasDictionary, 0x40)
		frame = append(frame, make([]byte, 12)...)
		frame = frame[:min(n, len(frame))]
		if got := withLZ4Checksum(frame); !bytes.Equal(got, frame) {
			t.Errorf("% x became % x", frame, got)
		}
	}
	for _, text := range []string{"text", string(make([]byte, 100_000))} {
		frame := mustCompress(LZ4, []byte(text))
		if got := byte(xxh32(frame[posLZ4Flags:lz4FixedHeader]) >> 8); got != frame[lz4FixedHeader] {
			t.Errorf("the library writes %02x, we compute %02x", frame[lz4FixedHeader], got)
		}
	}
}

// Whatever bytes come, they are refused with a known error or become a valid batch.
func FuzzMessageSet(f *testing.F) {
	rs := []Record{{Timestamp: 1000, Key: []byte("k"), Value: []byte("v")}, {Timestamp: 2000}}
	for _, magic := range []int8{0, 1} {
		for _, codec := range oldCodecs {
			f.Add(oldSet(f, magic, codec, rs), false)
			f.Add(oldSet(f, magic, codec, rs), true)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		data = bytes.Clone(data)
		if seal && len(data) > posMessageMagic { // get past the first checksum
			sealMessage(data)
		}
		sent := bytes.Clone(data)
		a := Admission{Oldest: math.MinInt64, Newest: math.MaxInt64, MaxBatchBytes: 1 << 20, Recompress: &Compression{Codec: None}}
		b, err := a.AdmitMessageSet(data)
		if !bytes.Equal(sent, data) {
			t.Fatal("the set was changed")
		}
		if err != nil {
			for _, known := range []error{ErrTruncated, ErrCorrupt, ErrInvalidRecord, ErrUnsupportedCodec, ErrTooLarge} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("not a known error: %v", err)
		}
		if err := Validate(b, ValidateFull); err != nil {
			t.Fatal(err)
		}
	})
}
