package protocol

import "math"

// FetchRequest is a decoded Fetch request, versions 4 to 18. Names, rack and
// cluster id alias the body; the slices are the struct's own and are reused by
// the next Decode, so that a connection's steady state allocates nothing.
type FetchRequest struct {
	Version int16
	// ReplicaID is -1 for a consumer (from v15 on it comes in a tag).
	ReplicaID    int32
	ReplicaEpoch int64
	MaxWaitMs    int32
	MinBytes     int32
	MaxBytes     int32
	// IsolationLevel is 0 for read_uncommitted, 1 for read_committed.
	IsolationLevel int8
	// SessionID and SessionEpoch are 0 and -1 (no session) before v7 (KIP-227).
	SessionID, SessionEpoch int32
	Topics                  []FetchTopic
	Forgotten               []ForgottenTopic
	Rack                    []byte
	// ClusterID is nil when not sent.
	ClusterID []byte

	partitions []FetchPartition // behind every Topics[i].Partitions
	indexes    []int32          // behind every Forgotten[i].Partitions
}

// FetchTopic names a topic by name (up to v12) or by id (v13+).
type FetchTopic struct {
	Name       []byte
	ID         [16]byte
	Partitions []FetchPartition
}

// FetchPartition is what is asked of one partition.
type FetchPartition struct {
	Partition int32
	// CurrentLeaderEpoch is the leader epoch the client knows, -1 for none (v9+).
	CurrentLeaderEpoch int32
	FetchOffset        int64
	// LastFetchedEpoch is the epoch of the last record fetched, -1 for none (v12+).
	LastFetchedEpoch int32
	// LogStartOffset is a follower's, -1 from consumers (v5+).
	LogStartOffset int64
	MaxBytes       int32
	// ReplicaDirectoryID and HighWatermark come from followers (v17+, v18+);
	// zero and math.MaxInt64 when not sent.
	ReplicaDirectoryID [16]byte
	HighWatermark      int64
}

// ForgottenTopic names partitions that leave a fetch session (v7+).
type ForgottenTopic struct {
	Name       []byte
	ID         [16]byte
	Partitions []int32
}

// Decode reads a Fetch request body into f, overwriting all of it and reusing
// its slices. Bytes behind it are ignored, as in Kafka. The error is
// ErrMalformed, unwrapped; f is then not to be used. More than about a million
// topics and partitions are malformed too.
//
//	int32 replica id (≤v14) · int32 max wait · int32 min bytes · int32 max bytes · int8 isolation
//	int32 session id, epoch (v7+)
//	[topic: name (≤v12) or id (v13+)
//	  [partition: int32 index · int32 leader epoch (v9+) · int64 offset · int32 last epoch (v12+)
//	              int64 log start (v5+) · int32 max bytes · tags 0 directory id, 1 high watermark] tags]
//	[forgotten (v7+): name or id · [int32 index] · tags] · string rack (v11+)
//	tags 0 cluster id, 1 replica state {int32 id, int64 epoch, tags}
func (f *FetchRequest) Decode(version int16, body []byte) error {
	if version < 4 || version > 18 {
		return ErrMalformed
	}
	*f = FetchRequest{
		Version: version, ReplicaID: -1, ReplicaEpoch: -1, SessionEpoch: -1,
		Topics: f.Topics[:0], Forgotten: f.Forgotten[:0], partitions: f.partitions[:0], indexes: f.indexes[:0],
	}
	flexible := flexible(KeyFetch, version)
	r := reader{left: body}
	if version <= 14 {
		f.ReplicaID = r.int32()
	}
	f.MaxWaitMs = r.int32()
	f.MinBytes = r.int32()
	f.MaxBytes = r.int32()
	f.IsolationLevel = r.int8()
	if version >= 7 {
		f.SessionID = r.int32()
		f.SessionEpoch = r.int32()
	}
	f.readTopics(&r, flexible)
	if version >= 7 {
		f.readForgotten(&r, flexible)
	}
	if version >= 11 {
		if f.Rack = r.text(flexible); f.Rack == nil {
			r.fail()
		}
	}
	if flexible {
		f.readTags(&r)
	}
	return r.whole()
}

func (f *FetchRequest) readTopics(r *reader, flexible bool) {
	topics := r.count(flexible, 1)
	if topics < 0 {
		r.fail()
	}
	for i := 0; i < topics && !r.failed; i++ {
		var t FetchTopic
		t.Name, t.ID = readTopicName(r, flexible, f.Version >= 13)
		partitions := r.count(flexible, 16)
		if partitions < 0 {
			r.fail()
		}
		first := len(f.partitions)
		for j := 0; j < partitions && !r.failed; j++ {
			f.partitions = append(f.partitions, readFetchPartition(r, f.Version, flexible))
		}
		if flexible {
			r.skipTags()
		}
		// Where append moved the backing array, earlier topics keep the old
		// one: their values are complete and no longer change.
		t.Partitions = f.partitions[first:len(f.partitions):len(f.partitions)]
		f.Topics = append(f.Topics, t)
		if len(f.Topics)+len(f.partitions) > maxElements {
			r.fail()
		}
	}
}

// readTopicName reads a topic's name, never nil, or its id.
func readTopicName(r *reader, flexible, byID bool) (name []byte, id [16]byte) {
	if byID {
		return nil, r.uuid()
	}
	if name = r.text(flexible); name == nil {
		r.fail()
	}
	return name, id
}

func readFetchPartition(r *reader, version int16, flexible bool) FetchPartition {
	p := FetchPartition{
		Partition: r.int32(), CurrentLeaderEpoch: -1, LastFetchedEpoch: -1,
		LogStartOffset: -1, HighWatermark: math.MaxInt64,
	}
	if version >= 9 {
		p.CurrentLeaderEpoch = r.int32()
	}
	p.FetchOffset = r.int64()
	if version >= 12 {
		p.LastFetchedEpoch = r.int32()
	}
	if version >= 5 {
		p.LogStartOffset = r.int64()
	}
	p.MaxBytes = r.int32()
	if !flexible {
		return p
	}
	for n := r.uvarint(); n > 0 && !r.failed; n-- {
		number, content := r.tag()
		switch {
		case number == 0 && version >= 17:
			p.ReplicaDirectoryID = content.uuid()
		case number == 1 && version >= 18:
			p.HighWatermark = content.int64()
		default:
			continue
		}
		if content.end() != nil {
			r.fail()
		}
	}
	return p
}

func (f *FetchRequest) readForgotten(r *reader, flexible bool) {
	topics := r.count(flexible, 1)
	if topics < 0 {
		r.fail()
	}
	for i := 0; i < topics && !r.failed; i++ {
		var t ForgottenTopic
		t.Name, t.ID = readTopicName(r, flexible, f.Version >= 13)
		partitions := r.count(flexible, 4)
		if partitions < 0 {
			r.fail()
		}
		first := len(f.indexes)
		for j := 0; j < partitions && !r.failed; j++ {
			f.indexes = append(f.indexes, r.int32())
		}
		if flexible {
			r.skipTags()
		}
		t.Partitions = f.indexes[first:len(f.indexes):len(f.indexes)]
		f.Forgotten = append(f.Forgotten, t)
	}
}

func (f *FetchRequest) readTags(r *reader) {
	for n := r.uvarint(); n > 0 && !r.failed; n-- {
		number, content := r.tag()
		switch {
		case number == 0:
			f.ClusterID = content.text(true)
		case number == 1 && f.Version >= 15:
			f.ReplicaID = content.int32()
			f.ReplicaEpoch = content.int64()
			content.skipTags()
		default:
			continue
		}
		if content.end() != nil {
			r.fail()
		}
	}
}
