package handler

import (
	"hash/maphash"
	"math/bits"
)

// seen tells whether something was noted before, by its hash: who is told so
// looks closer, since two things may have one hash. It is there because requests
// that name a partition twice are legal and never come, so that looking for
// them must cost next to nothing. It is reused and allocates only to grow. Not
// for concurrent use.
type seen struct {
	// slots are open addressing; 0 is free. The length is a power of two and at
	// least twice what is noted.
	slots []uint64
}

// reset empties it and makes room for n.
func (s *seen) reset(n int) {
	size := 1 << bits.Len(uint(2*n))
	if cap(s.slots) < size {
		s.slots = make([]uint64, size)
		return
	}
	s.slots = s.slots[:size]
	clear(s.slots)
}

// add notes a hash and tells whether it was there. No more may be added than
// reset made room for.
func (s *seen) add(hash uint64) bool {
	hash = max(hash, 1)
	mask := uint64(len(s.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		switch s.slots[at] {
		case 0:
			s.slots[at] = hash
			return false
		case hash:
			return true
		}
	}
}

// hashSeed keeps clients from choosing names that share slots.
var hashSeed = maphash.MakeSeed()

// topicHash is the hash of a topic's name or id.
func topicHash(nameOrID []byte) uint64 { return maphash.Bytes(hashSeed, nameOrID) }

// partitionHash is the hash of a partition of the topic of that hash. It is the
// end of splitmix64, so that partitions in a row are not slots in a row.
func partitionHash(topic uint64, partition int32) uint64 {
	h := topic + uint64(uint32(partition)) + 1
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
