package protocol

import (
	"encoding/binary"
	"fmt"
	"math"
)

// FetchPartitionResponse answers for one partition of a Fetch request.
type FetchPartitionResponse struct {
	Partition        int32
	ErrorCode        int16
	HighWatermark    int64 // -1 on an error
	LastStableOffset int64 // -1 on an error
	LogStartOffset   int64 // -1 when not known (v5+)
	// Aborted lists aborted transactions for a read_committed reader; nil is
	// sent as null, which is what read_uncommitted gets.
	Aborted []AbortedTransaction
	// PreferredReadReplica is -1 for none (v11+).
	PreferredReadReplica int32
	// RecordsSize is the size of the records in bytes; the caller sends them
	// at the Cut that the writer notes.
	RecordsSize int64
	// DivergingEpoch and DivergingEndOffset are sent (v12+) when HasDivergingEpoch is set.
	DivergingEpoch     int32
	DivergingEndOffset int64
	HasDivergingEpoch  bool
	// Leader is sent (v12+) when HasLeader is set.
	Leader    LeaderIDAndEpoch
	HasLeader bool
}

// AbortedTransaction is a producer's aborted transaction that overlaps a read.
type AbortedTransaction struct{ ProducerID, FirstOffset int64 }

// Cut says that Size bytes of records go out after the first Position bytes
// of what the writer wrote since Begin (the frame's length included).
type Cut struct {
	Position int
	Size     int64
	// Ordinal counts Partition calls since Begin, from 0: whose records these are.
	Ordinal int
}

// FetchResponseWriter writes one Fetch response frame, versions 4 to 18, as
// header bytes with cuts where records go, so that records may be file ranges
// that this process never reads. In the order Begin, (Topic, Partition…)…,
// End; counts must be kept. It may be reused, and then allocates only to grow.
type FetchResponseWriter struct {
	topicWriter
	partitions  int
	recordsSize int64
	cuts        []Cut
}

// Begin starts a frame at the end of dst. errorCode and sessionID are the
// session's (v7+); in older versions they are not sent.
func (w *FetchResponseWriter) Begin(dst []byte, version int16, correlationID, throttleMs int32, errorCode int16, sessionID int32, topicCount int) {
	*w = FetchResponseWriter{topicWriter: topicWriter{start: len(dst), version: version, flexible: flexible(KeyFetch, version)}, cuts: w.cuts[:0]}
	dst = AppendInt32(dst, 0) // the frame's length, patched by End
	dst = AppendResponseHeader(dst, KeyFetch, version, correlationID)
	dst = AppendInt32(dst, throttleMs)
	if version >= 7 {
		dst = AppendInt16(dst, errorCode)
		dst = AppendInt32(dst, sessionID)
	}
	w.dst = appendCount(dst, w.flexible, topicCount)
}

// Partition appends one partition of the topic and, where it has records,
// notes the cut. No records are sent as an empty field, never as null: old
// clients do not expect null.
func (w *FetchResponseWriter) Partition(p *FetchPartitionResponse) {
	dst := AppendInt32(w.dst, p.Partition)
	dst = AppendInt16(dst, p.ErrorCode)
	dst = AppendInt64(dst, p.HighWatermark)
	dst = AppendInt64(dst, p.LastStableOffset)
	if w.version >= 5 {
		dst = AppendInt64(dst, p.LogStartOffset)
	}
	if p.Aborted == nil {
		dst = appendCount(dst, w.flexible, -1)
	} else {
		dst = appendCount(dst, w.flexible, len(p.Aborted))
		for _, a := range p.Aborted {
			dst = AppendInt64(dst, a.ProducerID)
			dst = AppendInt64(dst, a.FirstOffset)
			dst = appendNoTags(dst, w.flexible)
		}
	}
	if w.version >= 11 {
		dst = AppendInt32(dst, p.PreferredReadReplica)
	}
	if w.flexible {
		dst = appendUvarint(dst, uint32(p.RecordsSize+1))
	} else {
		dst = AppendInt32(dst, int32(p.RecordsSize))
	}
	if p.RecordsSize > 0 {
		w.cuts = append(w.cuts, Cut{Position: len(dst) - w.start, Size: p.RecordsSize, Ordinal: w.partitions})
		w.recordsSize += p.RecordsSize
	}
	w.partitions++
	if w.flexible {
		dst = appendFetchPartitionTags(dst, p)
	}
	w.dst = dst
}

func appendFetchPartitionTags(dst []byte, p *FetchPartitionResponse) []byte {
	var count byte
	if p.HasDivergingEpoch {
		count++
	}
	if p.HasLeader {
		count++
	}
	dst = append(dst, count)
	if p.HasDivergingEpoch {
		dst = append(dst, 0, 13)
		dst = AppendInt32(dst, p.DivergingEpoch)
		dst = AppendInt64(dst, p.DivergingEndOffset)
		dst = append(dst, 0)
	}
	if p.HasLeader {
		dst = append(dst, 1)
		dst = appendLeader(dst, p.Leader)
	}
	return dst
}

// End finishes the frame. It returns dst with the header bytes appended, and
// the cuts in order of position, valid until the next Begin. The frame's
// length covers the records. A frame that would not fit Kafka's int32 length
// is an error; keep Fetch's max bytes below that.
func (w *FetchResponseWriter) End() ([]byte, []Cut, error) {
	w.endTopic()
	dst := appendNoTags(w.dst, w.flexible)
	w.dst = nil
	size := int64(len(dst)-w.start-4) + w.recordsSize
	if size > math.MaxInt32 {
		return dst, nil, fmt.Errorf("%w: fetch response of %d bytes exceeds the frame limit of %d", ErrMessageTooLarge, size, math.MaxInt32)
	}
	binary.BigEndian.PutUint32(dst[w.start:], uint32(size))
	return dst, w.cuts, nil
}
