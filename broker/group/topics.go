package group

import (
	"encoding/binary"
	"hash/fnv"
)

// Topic is what a consumer group knows of one topic.
type Topic struct {
	Name       string
	ID         [16]byte
	Partitions int32
}

// Topics are the cluster's topics at one moment: immutable, and safe for
// concurrent use.
type Topics interface {
	// Named and WithID find one topic.
	Named(name string) (Topic, bool)
	WithID(id [16]byte) (Topic, bool)
	// Each visits every topic, in any order.
	Each(visit func(Topic))
	// Version rises whenever a topic is created, is deleted or grows.
	Version() int64
}

// noTopics is a cluster without topics.
type noTopics struct{}

func (noTopics) Named(string) (Topic, bool)    { return Topic{}, false }
func (noTopics) WithID([16]byte) (Topic, bool) { return Topic{}, false }
func (noTopics) Each(func(Topic))              {}
func (noTopics) Version() int64                { return 0 }

// metadataHash is a number that changes when one of the named topics appears,
// goes, grows or is made anew; 0 when none exists. It is stored with the group
// epoch, so that after a restart, too, a change is noticed. names are sorted.
//
// Kafka hashes the same facts with XXH3 (Utils.computeGroupHash); a group that
// came from a log of Kafka's therefore gets one new target assignment, which
// sticks to the one before.
func metadataHash(topics Topics, names []string) int64 {
	h := fnv.New64a()
	known := false
	for _, name := range names {
		t, exists := topics.Named(name)
		if !exists {
			continue
		}
		known = true
		var size [8]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(name)))
		binary.BigEndian.PutUint32(size[4:], uint32(t.Partitions))
		h.Write(size[:]) // a hash.Hash never returns an error
		h.Write([]byte(name))
		h.Write(t.ID[:])
	}
	if !known {
		return 0
	}
	return int64(h.Sum64())
}
