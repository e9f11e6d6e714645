package share

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"fluxmq/broker/protocol"

	"pgregory.net/rapid"
)

// someBatches draws batches in any order, overlapping or not.
func someBatches(t *rapid.T, most int) []Batch {
	var list []Batch
	for range rapid.IntRange(0, most).Draw(t, "batches") {
		first := rapid.Int64Range(0, 60).Draw(t, "first")
		list = append(list, Batch{
			First: first, Last: first + rapid.Int64Range(0, 12).Draw(t, "length"),
			State: rapid.SampledFrom([]DeliveryState{Available, Acknowledged, Archived}).Draw(t, "state"),
			Count: rapid.Int16Range(0, 3).Draw(t, "count"),
		})
	}
	return list
}

// offsets is what batches say, offset by offset: of two the stronger.
func offsets(lists ...[]Batch) map[int64]Batch {
	of := map[int64]Batch{}
	for _, list := range lists {
		for _, b := range list {
			for offset := b.First; offset <= b.Last; offset++ {
				if there, known := of[offset]; !known || there.weaker(b) {
					of[offset] = Batch{State: b.State, Count: b.Count}
				}
			}
		}
	}
	return of
}

// TestCombine: what batches say of each offset is what a map of offsets says,
// in batches that are ascending, apart, and as long as can be.
func TestCombine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 40).Draw(t, "start")
		there := combine(start, nil, someBatches(t, 6))
		newer := someBatches(t, 8)
		shown := fmt.Sprint(there, newer)
		got := combine(start, there, newer)
		if fmt.Sprint(there, newer) != shown {
			t.Fatalf("the batches that were put together are changed: %s became %v and %v", shown, there, newer)
		}
		want := offsets(there, newer)
		for offset := range want {
			if offset < start {
				delete(want, offset)
			}
		}
		if is := offsets(got); fmt.Sprint(is) != fmt.Sprint(want) {
			t.Fatalf("%s\nbecame %v\n got %v\nwant %v", shown, got, is, want)
		}
		for i := 1; i < len(got); i++ {
			a, b := got[i-1], got[i]
			if b.First <= a.Last || b.First == a.Last+1 && a.same(b) {
				t.Fatalf("%v and %v lie side by side in %v", a, b, got)
			}
		}
		if other := combine(start, combine(start, nil, newer), there); fmt.Sprint(other) != fmt.Sprint(got) {
			t.Fatalf("in the other order: %v, not %v", other, got)
		}
	})
}

func TestManyBatchesAreCombinedInTime(t *testing.T) {
	var list []Batch
	for i := range int64(maxBatches) {
		list = append(list, Batch{First: 2 * (maxBatches - i), Last: 2*(maxBatches-i) + 3, State: Available, Count: int16(i % 3)})
	}
	if got := combine(0, nil, list); len(got) < maxBatches/2 {
		t.Errorf("%d batches", len(got))
	}
}

func TestKeys(t *testing.T) {
	key := Key{Group: "a:b", Topic: [16]byte{0xfb, 0xff, 1}, Partition: 7}
	if got := key.String(); got != "a:b:-_8BAAAAAAAAAAAAAAAAAA:7" {
		t.Errorf("named %s", got)
	}
	back, err := ParseKey(key.String())
	if err != nil || back != key {
		t.Errorf("read back as %+v: %v", back, err)
	}
	id := "-_8BAAAAAAAAAAAAAAAAAA"
	for _, text := range []string{
		"", "g", "g:" + id, ":" + id + ":0", "g:" + id + ":", "g:" + id + ":-1", "g:" + id + ":2147483648", "g:short:0", "g:" + strings.Repeat("A", 40) + ":0", id + ":0",
	} {
		if k, err := ParseKey(text); !errors.Is(err, protocol.ErrInvalidRequest) {
			t.Errorf("%q is read as %+v: %v", text, k, err)
		}
	}
}
