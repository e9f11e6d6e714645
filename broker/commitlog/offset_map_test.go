package commitlog

import (
	"fmt"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestOffsetMapAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m offsetMap
		defer m.free()
		for range rapid.IntRange(1, 3).Draw(t, "uses") {
			slots := rapid.IntRange(0, 40).Draw(t, "slots")
			if err := m.reset(slots, rapid.Float64Range(0.01, 1).Draw(t, "load factor")); err != nil {
				t.Fatal(err)
			}
			if len(m.entries) != max(slots, 2) || m.limit < 1 || m.limit >= len(m.entries) {
				t.Fatalf("%d slots asked for, %d made, %d may be used", slots, len(m.entries), m.limit)
			}
			model := map[string]int64{}
			for offset := range int64(rapid.IntRange(0, 120).Draw(t, "records")) {
				key := fmt.Sprint(rapid.IntRange(0, 60).Draw(t, "key"))
				_, known := model[key]
				taken := m.put([]byte(key), offset)
				if want := known || len(model) < m.limit; taken != want {
					t.Fatalf("key %s with %d of %d entries used: taken %v, want %v", key, len(model), m.limit, taken, want)
				}
				if taken {
					model[key] = offset
					if m.latest != offset {
						t.Fatalf("latest offset %d, want %d", m.latest, offset)
					}
				}
			}
			for key := range 61 {
				want, known := model[fmt.Sprint(key)]
				if !known {
					want = -1
				}
				if got := m.get([]byte(fmt.Sprint(key))); got != want {
					t.Fatalf("key %d: offset %d, want %d", key, got, want)
				}
			}
			if m.size != len(model) {
				t.Fatalf("size %d, want %d", m.size, len(model))
			}
		}
	})
}

// The bound that the settings promise: 24 bytes an entry, the memory kept from one use to the next.
func TestOffsetMapMemory(t *testing.T) {
	if size := unsafe.Sizeof(offsetMapEntry{}); size != offsetMapEntrySize {
		t.Fatalf("an entry takes %d bytes", size)
	}
	var m offsetMap
	defer m.free()
	if err := m.reset(1000, 0.9); err != nil {
		t.Fatal(err)
	}
	first := &m.entries[0]
	for i := range 2000 {
		m.put(fmt.Appendf(nil, "key-%d", i), int64(i))
	}
	if m.size != 900 || cap(m.entries) != 1000 {
		t.Fatalf("%d entries in %d slots", m.size, cap(m.entries))
	}
	if err := m.reset(500, 0.9); err != nil {
		t.Fatal(err)
	}
	if &m.entries[0] != first || m.get([]byte("key-1")) != -1 {
		t.Fatal("the memory was not used again, or not emptied")
	}
}

func BenchmarkOffsetMap(b *testing.B) {
	var m offsetMap
	defer m.free()
	if err := m.reset(1<<20, 0.9); err != nil {
		b.Fatal(err)
	}
	keys := make([][]byte, 1<<20)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key-%d", i)
	}
	for i := 0; b.Loop(); i++ {
		m.put(keys[i&(1<<20-1)], int64(i))
	}
}
