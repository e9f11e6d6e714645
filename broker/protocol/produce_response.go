package protocol

import "encoding/binary"

// ProducePartitionResponse answers for one partition of a Produce request.
type ProducePartitionResponse struct {
	Partition int32
	ErrorCode int16
	// BaseOffset is that of the first record written, -1 on an error.
	BaseOffset int64
	// LogAppendTimeMs is -1 unless the topic uses LogAppendTime.
	LogAppendTimeMs int64
	// LogStartOffset is -1 when not known (v5+).
	LogStartOffset int64
	// RecordErrors name single records that made the batch fail (v8+, KIP-467).
	RecordErrors []RecordError
	// ErrorMessage says why the batch failed (v8+); "" is sent as null.
	ErrorMessage string
	// Leader is sent (v10+) when HasLeader is set, with NOT_LEADER_OR_FOLLOWER (KIP-951).
	Leader    LeaderIDAndEpoch
	HasLeader bool
}

// RecordError is one record of a refused batch.
type RecordError struct {
	BatchIndex int32
	Message    string // "" is sent as null
}

// LeaderIDAndEpoch is a partition's leader as replies tell it; -1 for unknown.
type LeaderIDAndEpoch struct{ LeaderID, LeaderEpoch int32 }

// ProduceResponseWriter writes one Produce response frame, versions 0 to 13,
// in the order Begin, (Topic, Partition…)…, End. Counts must be kept. The
// zero value is ready; it may be reused. It allocates only to grow dst.
type ProduceResponseWriter struct {
	topicWriter
}

// Begin starts a frame at the end of dst.
func (w *ProduceResponseWriter) Begin(dst []byte, version int16, correlationID int32, topicCount int) {
	*w = ProduceResponseWriter{topicWriter{start: len(dst), version: version, flexible: flexible(KeyProduce, version)}}
	dst = AppendInt32(dst, 0) // the frame's length, patched by End
	dst = AppendResponseHeader(dst, KeyProduce, version, correlationID)
	w.dst = appendCount(dst, w.flexible, topicCount)
}

// Partition appends one partition of the topic.
func (w *ProduceResponseWriter) Partition(p *ProducePartitionResponse) {
	dst := AppendInt32(w.dst, p.Partition)
	dst = AppendInt16(dst, p.ErrorCode)
	dst = AppendInt64(dst, p.BaseOffset)
	if w.version >= 2 {
		dst = AppendInt64(dst, p.LogAppendTimeMs)
	}
	if w.version >= 5 {
		dst = AppendInt64(dst, p.LogStartOffset)
	}
	if w.version >= 8 {
		dst = appendCount(dst, w.flexible, len(p.RecordErrors))
		for i := range p.RecordErrors {
			dst = AppendInt32(dst, p.RecordErrors[i].BatchIndex)
			dst = appendOptionalText(dst, w.flexible, p.RecordErrors[i].Message)
			dst = appendNoTags(dst, w.flexible)
		}
		dst = appendOptionalText(dst, w.flexible, p.ErrorMessage)
	}
	if p.HasLeader && w.version >= 10 {
		dst = append(dst, 1, 0) // one tag, number 0
		dst = appendLeader(dst, p.Leader)
	} else {
		dst = appendNoTags(dst, w.flexible)
	}
	w.dst = dst
}

// appendLeader writes size and content of a current-leader tag.
func appendLeader(dst []byte, l LeaderIDAndEpoch) []byte {
	dst = append(dst, 9)
	dst = AppendInt32(dst, l.LeaderID)
	dst = AppendInt32(dst, l.LeaderEpoch)
	return append(dst, 0)
}

// End finishes the frame and returns dst with it. The node endpoints of
// KIP-951 are not sent: clients then ask for metadata, as before version 10.
func (w *ProduceResponseWriter) End(throttleMs int32) []byte {
	w.endTopic()
	if w.version >= 1 {
		w.dst = AppendInt32(w.dst, throttleMs)
	}
	dst := appendNoTags(w.dst, w.flexible)
	binary.BigEndian.PutUint32(dst[w.start:], uint32(len(dst)-w.start-4))
	w.dst = nil
	return dst
}
