package protocol

import (
	"math"
	"unicode/utf16"
	"unicode/utf8"
)

// CoordinatorPartition returns the partition, of count, of an internal topic
// (__consumer_offsets, __transaction_state) in which Kafka keeps what belongs
// to a group or transactional id: Java's String.hashCode, made non-negative as
// Kafka does. count must be positive.
func CoordinatorPartition(id string, count int32) int32 {
	var h int32
	for _, r := range id {
		if r1, r2 := utf16.EncodeRune(r); r1 != utf8.RuneError {
			h = 31*(31*h+r1) + r2
			continue
		}
		h = 31*h + r
	}
	switch {
	case h == math.MinInt32:
		h = 0
	case h < 0:
		h = -h
	}
	return h % count
}
