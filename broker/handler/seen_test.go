package handler

import (
	"testing"

	"pgregory.net/rapid"
)

// What was added is there, what was not is not, however often it is reused.
func TestSeenAgainstAMap(t *testing.T) {
	var s seen
	rapid.Check(t, func(t *rapid.T) {
		hashes := rapid.SliceOf(rapid.Uint64Range(0, 40)).Draw(t, "hashes")
		s.reset(len(hashes))
		noted := map[uint64]bool{}
		for _, h := range hashes {
			want := noted[max(h, 1)] // 0 is a free slot, so it counts as 1
			if got := s.add(h); got != want {
				t.Fatalf("%d: %v, want %v", h, got, want)
			}
			noted[max(h, 1)] = true
		}
	})
}

func TestPartitionHashesDiffer(t *testing.T) {
	var s seen
	s.reset(4 * 1001)
	for _, topic := range []string{"a", "b", "ab", "\x00"} {
		for index := int32(-1); index < 1000; index++ {
			if s.add(partitionHash(topicHash([]byte(topic)), index)) {
				t.Fatalf("the hash of %q-%d is taken", topic, index)
			}
		}
	}
}
