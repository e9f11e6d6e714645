package protocol

// ProduceRequest is a view over the body of a Produce request, versions 0 to
// 13. Nothing is copied: TransactionalID, topic names and records alias the
// body. Decode has walked the whole body, so iterating cannot fail.
//
// Not safe for concurrent use with changes to the body.
type ProduceRequest struct {
	Version int16
	// TransactionalID is nil for a producer that is not transactional.
	TransactionalID []byte
	Acks            int16
	TimeoutMs       int32
	// TopicCount and PartitionCount are the entries that iteration will meet.
	TopicCount, PartitionCount int
	topics                     []byte // from the first topic on
}

// Decode reads a Produce request body into p, overwriting all of it. It
// allocates nothing. Bytes behind it are ignored, as in Kafka. The error is
// ErrMalformed, unwrapped; more than about a million topics and partitions are
// malformed too, as what answers them takes more than they do.
//
//	string? transactional id (v3+) · int16 acks · int32 timeout
//	[topic: string name (≤v12) or uuid id (v13+)
//	        [partition: int32 index · bytes? records · tags] · tags] · tags
func (p *ProduceRequest) Decode(version int16, body []byte) error {
	if version < 0 || version > 13 {
		return ErrMalformed
	}
	*p = ProduceRequest{Version: version}
	flexible := flexible(KeyProduce, version)
	r := reader{left: body}
	if version >= 3 {
		p.TransactionalID = r.text(flexible)
	}
	p.Acks = r.int16()
	p.TimeoutMs = r.int32()
	p.TopicCount = r.count(flexible, 1)
	if p.TopicCount < 0 {
		return ErrMalformed // the array is not nullable
	}
	p.topics = r.left
	for range p.TopicCount {
		if version >= 13 {
			r.span(16)
		} else if r.text(flexible) == nil {
			return ErrMalformed
		}
		partitions := r.count(flexible, 4)
		if partitions < 0 {
			return ErrMalformed
		}
		if p.PartitionCount += partitions; p.TopicCount+p.PartitionCount > maxElements {
			return ErrMalformed
		}
		for range partitions {
			r.int32()
			r.blob(flexible)
			if flexible {
				r.skipTags()
			}
			if r.failed {
				return ErrMalformed
			}
		}
		if flexible {
			r.skipTags()
		}
		if r.failed {
			return ErrMalformed
		}
	}
	if flexible {
		r.skipTags()
	}
	return r.whole()
}

// Topics starts an iteration; several may run over one request.
//
//	for t := request.Topics(); t.Next(); {
//		for t.NextPartition() { … t.Partition(), t.Records() … }
//	}
func (p *ProduceRequest) Topics() ProduceTopics {
	return ProduceTopics{
		r: reader{left: p.topics}, topicsLeft: p.TopicCount,
		byID: p.Version >= 13, flexible: flexible(KeyProduce, p.Version),
	}
}

// ProduceTopics iterates over the topics of a Produce request and, inside
// each, over its partitions. It is a value on the caller's stack.
type ProduceTopics struct {
	r                          reader
	topicsLeft, partitionsLeft int
	partitionCount             int
	opened                     bool // a topic's header was read, its tags were not
	byID, flexible             bool
	name                       []byte
	id                         [16]byte
	partition                  int32
	records                    []byte
}

// Next moves to the next topic, passing over what NextPartition did not visit.
func (t *ProduceTopics) Next() bool {
	for t.NextPartition() {
	}
	if t.opened && t.flexible {
		t.r.skipTags()
	}
	t.opened = false
	if t.topicsLeft == 0 {
		return false
	}
	t.topicsLeft--
	t.opened = true
	if t.byID {
		copy(t.id[:], t.r.span(16))
	} else {
		t.name = t.r.text(t.flexible)
	}
	t.partitionCount = t.r.count(t.flexible, 4)
	t.partitionsLeft = t.partitionCount
	return true
}

// NextPartition moves to the next partition of the topic.
func (t *ProduceTopics) NextPartition() bool {
	if t.partitionsLeft <= 0 {
		return false
	}
	t.partitionsLeft--
	t.partition = t.r.int32()
	t.records = t.r.blob(t.flexible)
	if t.flexible {
		t.r.skipTags()
	}
	return true
}

// Topic is the topic's name, aliasing the body; nil from version 13 on.
func (t *ProduceTopics) Topic() []byte { return t.name }

// TopicID is the topic's id, from version 13 on.
func (t *ProduceTopics) TopicID() [16]byte { return t.id }

// ByID tells that topics are named by id (version 13 on), not by name.
func (t *ProduceTopics) ByID() bool { return t.byID }

// PartitionCount is the number of partitions of the topic.
func (t *ProduceTopics) PartitionCount() int { return t.partitionCount }

// Partition is the partition's index.
func (t *ProduceTopics) Partition() int32 { return t.partition }

// Records are the partition's record batches, aliasing the body. They may be
// stamped in place. nil is Kafka's null.
func (t *ProduceTopics) Records() []byte { return t.records }
