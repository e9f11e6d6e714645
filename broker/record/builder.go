package record

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Builder writes uncompressed or compressed batches for the broker's own
// topics and for tests. The zero value belongs to producer id 0: set
// ProducerID to -1 for none, and epoch and sequence are then -1 too.
type Builder struct {
	Codec                  Codec
	ProducerID             int64 // -1 for none
	ProducerEpoch          int16
	BaseSequence           int32
	Transactional, Control bool
}

// Build returns one whole batch with base offset 0 and epoch 0 holding rs
// (Offset ignored, Timestamp kept). It may be called concurrently.
func (bd Builder) Build(rs []Record) (Batch, error) {
	if len(rs) == 0 {
		return nil, errors.New("record: a batch needs at least one record")
	}
	base, maxTimestamp := rs[0].Timestamp, rs[0].Timestamp
	var payload, one []byte
	for i := range rs {
		maxTimestamp = max(maxTimestamp, rs[i].Timestamp)
		one = appendRecordBody(one[:0], &rs[i], rs[i].Timestamp-base, int32(i))
		payload = binary.AppendVarint(payload, int64(len(one)))
		payload = append(payload, one...)
	}
	b, err := bd.assemble(Compression{Codec: bd.Codec}, payload, int32(len(rs)), base, maxTimestamp)
	if err != nil {
		return nil, fmt.Errorf("record: building a batch of %d records: %w", len(rs), err)
	}
	return b, nil
}

// assemble makes a batch of payload, which holds count records, not compressed
// yet, with timestamps relative to base, the newest of them newest. c stands in
// for bd's codec.
func (bd Builder) assemble(c Compression, payload []byte, count int32, base, newest int64) (Batch, error) {
	b := make(Batch, HeaderSize, HeaderSize+len(payload))
	b, err := c.Append(b, payload)
	if err != nil {
		return nil, err
	}
	attributes := int16(c.Codec)
	if bd.Transactional {
		attributes |= attrTransactional
	}
	if bd.Control {
		attributes |= attrControl
	}
	if bd.ProducerID < 0 {
		bd.ProducerID, bd.ProducerEpoch, bd.BaseSequence = -1, -1, -1
	}
	binary.BigEndian.PutUint32(b[posBatchLength:], uint32(len(b)-lengthEnd))
	b[posMagic] = Magic
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(attributes))
	binary.BigEndian.PutUint32(b[posLastOffsetDelta:], uint32(count-1))
	binary.BigEndian.PutUint64(b[posBaseTimestamp:], uint64(base))
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(newest))
	binary.BigEndian.PutUint64(b[posProducerID:], uint64(bd.ProducerID))
	binary.BigEndian.PutUint16(b[posProducerEpoch:], uint16(bd.ProducerEpoch))
	binary.BigEndian.PutUint32(b[posBaseSequence:], uint32(bd.BaseSequence))
	binary.BigEndian.PutUint32(b[posCount:], uint32(count))
	b.rewriteCRC()
	return b, nil
}

// appendRecordBody writes a record without its length. encoding/binary's
// signed varint is the zigzag one that Kafka uses.
func appendRecordBody(dst []byte, r *Record, timestampDelta int64, offsetDelta int32) []byte {
	dst = append(dst, 0) // attributes
	dst = binary.AppendVarint(dst, timestampDelta)
	dst = binary.AppendVarint(dst, int64(offsetDelta))
	dst = appendLengthPrefixed(dst, r.Key)
	dst = appendLengthPrefixed(dst, r.Value)
	dst = binary.AppendVarint(dst, int64(len(r.Headers)))
	for _, h := range r.Headers {
		dst = binary.AppendVarint(dst, int64(len(h.Key)))
		dst = append(dst, h.Key...)
		dst = appendLengthPrefixed(dst, h.Value)
	}
	return dst
}

func appendLengthPrefixed(dst, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(dst, -1)
	}
	dst = binary.AppendVarint(dst, int64(len(v)))
	return append(dst, v...)
}
