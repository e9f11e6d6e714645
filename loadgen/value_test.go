package loadgen

import (
	"testing"

	"pgregory.net/rapid"
)

// A header comes back as it was put, and no single changed byte goes unnoticed.
func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SliceOfN(rapid.Byte(), headerBytes, 300).Draw(t, "value")
		want := ValueHeader{
			RunTag: rapid.Uint64().Draw(t, "tag"), Producer: rapid.Uint32().Draw(t, "producer"),
			Sequence: rapid.Uint64().Draw(t, "sequence"), IntendedUnixNs: rapid.Int64().Draw(t, "intended"),
		}
		PutHeader(value, want)
		got, ok := ReadHeader(value, len(value))
		if !ok || got != want {
			t.Fatalf("got %+v %v, want %+v", got, ok, want)
		}
		if _, ok := ReadHeader(value, len(value)+1); ok {
			t.Fatal("a wrong length must not pass")
		}
		at := rapid.IntRange(0, len(value)-1).Draw(t, "at")
		value[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		if _, ok := ReadHeader(value, len(value)); ok {
			t.Fatalf("a changed byte at %d must not pass", at)
		}
	})
}

// The layout is the contract's: this value was written down by hand from docs/load-contract.md.
func TestHeaderLayout(t *testing.T) {
	value := make([]byte, 40)
	PutHeader(value, ValueHeader{RunTag: 0x0102030405060708, Producer: 9, Sequence: 10, IntendedUnixNs: 11})
	want := []byte{'F', 'X', 'M', '1', 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 11}
	if string(value[:32]) != string(want) {
		t.Errorf("got % x, want % x", value[:32], want)
	}
}

func FuzzReadHeader(f *testing.F) {
	value := make([]byte, 50)
	PutHeader(value, ValueHeader{RunTag: 1})
	f.Add(value, 50)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, value []byte, want int) {
		if h, ok := ReadHeader(value, want); ok {
			again := append([]byte(nil), value...)
			PutHeader(again, h)
			if string(again) != string(value) {
				t.Fatal("what passes must be what PutHeader writes")
			}
		}
	})
}
