// Package record reads, checks and writes record batches of format v2, the
// only one that is stored, and makes them of the message sets of formats v0 and v1
// that old clients send. It owns the byte layouts, the compression codecs and
// the control records; it does no I/O, holds no state, and knows no topics.
// commitlog, partition, group and the tests call it; everything here may be
// called concurrently on different batches.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// HeaderSize is the size in bytes of a v2 batch header up to and including
// the record count.
const HeaderSize = 61

// Magic is the format version of every batch.
const Magic = 2

// Batch is exactly one v2 record batch (12 + batchLength bytes). Getters and
// setters work by offset on the bytes; nothing is decoded or copied. They
// panic on fewer than HeaderSize bytes: take batches from Next or Build.
//
//	 0        8       12      16  17      21  23
//	+--------+-------+-------+---+-------+---+-------
//	| base   | batch | leader| m | CRC   | at| last …
//	| offset | length| epoch | a | 32C   | tr| offset
//	| int64  | int32 | int32 | g | uint32| 16| delta
//	+--------+-------+-------+---+-------+---+-------
//	 23      27         35         43         51    53       57       61
//	+-------+----------+----------+----------+-----+--------+--------+----
//	| last  | base     | max      | producer | pro | base   | record | records …
//	| offset| timestamp| timestamp| id       | ep. | seq.   | count  | (compressed
//	| delta | int64 ms | int64 ms | int64    | 16  | int32  | int32  |  as one)
//	+-------+----------+----------+----------+-----+--------+--------+----
//
// batch length counts what follows it (from byte 12). The CRC covers
// everything from byte 21 on, so base offset and leader epoch may be stamped
// without touching it.
//
// Attributes: bits 0-2 codec · 3 timestamp type (1 LogAppendTime) ·
// 4 transactional · 5 control · 6 delete horizon (compaction only) · 7-15 reserved:
// kept as they came, as in Kafka.
type Batch []byte

// Positions of the header's fields.
const (
	posBaseOffset      = 0
	posBatchLength     = 8
	posLeaderEpoch     = 12
	posMagic           = 16
	posCRC             = 17
	posAttributes      = 21
	posLastOffsetDelta = 23
	posBaseTimestamp   = 27
	posMaxTimestamp    = 35
	posProducerID      = 43
	posProducerEpoch   = 51
	posBaseSequence    = 53
	posCount           = 57

	// lengthEnd is where the bytes begin that batch length counts.
	lengthEnd = 12
)

// Bits of the attributes.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40
)

// The errors of this package; every error it returns wraps one of them.
var (
	// ErrTruncated: the bytes end before the batch does.
	ErrTruncated = errors.New("record batch is truncated")
	// ErrCorrupt: the bytes are not what was written. Kafka's CORRUPT_MESSAGE.
	ErrCorrupt = errors.New("record batch is corrupt")
	// ErrChecksum wraps ErrCorrupt: the CRC-32C does not match.
	ErrChecksum = fmt.Errorf("%w: wrong CRC-32C", ErrCorrupt)
	// ErrInvalidRecord: whole bytes that break a rule. Kafka's INVALID_RECORD.
	ErrInvalidRecord = errors.New("invalid record batch")
	// ErrInvalidTimestamp wraps ErrInvalidRecord: a timestamp, or a type of it,
	// that the topic does not take. Kafka's INVALID_TIMESTAMP.
	ErrInvalidTimestamp = fmt.Errorf("%w: invalid timestamp", ErrInvalidRecord)
	// ErrUnsupportedMagic: a message format other than v2.
	ErrUnsupportedMagic = errors.New("unsupported record format")
	// ErrUnsupportedCodec: a compression codec that Kafka does not have. There
	// it is UNKNOWN_SERVER_ERROR.
	ErrUnsupportedCodec = errors.New("unsupported compression codec")
	// ErrOldZstd wraps ErrUnsupportedCodec: zstd in a message of format v0 or v1.
	// Kafka's UNSUPPORTED_COMPRESSION_TYPE.
	ErrOldZstd = fmt.Errorf("%w: zstd came with format v2", ErrUnsupportedCodec)
	// ErrTooLarge: a batch is larger, or its records decompress to more, than
	// the caller allows. Kafka's MESSAGE_TOO_LARGE.
	ErrTooLarge = errors.New("record batch is too large")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (b Batch) int16At(pos int) int16 { return int16(binary.BigEndian.Uint16(b[pos:])) }
func (b Batch) int32At(pos int) int32 { return int32(binary.BigEndian.Uint32(b[pos:])) }
func (b Batch) int64At(pos int) int64 { return int64(binary.BigEndian.Uint64(b[pos:])) }

// BaseOffset is the offset of the first record (0 in a produced batch).
func (b Batch) BaseOffset() int64 { return b.int64At(posBaseOffset) }

// SetBaseOffset stamps the base offset; the CRC stays valid.
func (b Batch) SetBaseOffset(offset int64) {
	binary.BigEndian.PutUint64(b[posBaseOffset:], uint64(offset))
}

// SizeBytes is the size that the header declares for the whole batch.
func (b Batch) SizeBytes() int64 { return lengthEnd + int64(b.int32At(posBatchLength)) }

// PartitionLeaderEpoch is the epoch of the leader that appended the batch.
func (b Batch) PartitionLeaderEpoch() int32 { return b.int32At(posLeaderEpoch) }

// SetPartitionLeaderEpoch stamps the leader epoch; the CRC stays valid.
func (b Batch) SetPartitionLeaderEpoch(epoch int32) {
	binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(epoch))
}

// Magic is the format version; 2 in every valid batch.
func (b Batch) Magic() int8 { return int8(b[posMagic]) }

// CRC is the stored CRC-32C of everything from the attributes on.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[posCRC:]) }

// ComputeCRC is what CRC should be.
func (b Batch) ComputeCRC() uint32 { return crc32.Checksum(b[posAttributes:], castagnoli) }

func (b Batch) rewriteCRC() { binary.BigEndian.PutUint32(b[posCRC:], b.ComputeCRC()) }

// Attributes are the raw attribute bits.
func (b Batch) Attributes() int16 { return b.int16At(posAttributes) }

// Codec is the compression codec of the records; it may be one that does not exist.
func (b Batch) Codec() Codec { return Codec(b.Attributes() & attrCodec) }

// IsLogAppendTime tells that MaxTimestamp, set by the broker, is the timestamp of every record.
func (b Batch) IsLogAppendTime() bool { return b.Attributes()&attrLogAppendTime != 0 }

// IsTransactional tells that the batch belongs to a transaction (or ends one).
func (b Batch) IsTransactional() bool { return b.Attributes()&attrTransactional != 0 }

// IsControl tells that the batch holds a control record, never shown to consumers.
func (b Batch) IsControl() bool { return b.Attributes()&attrControl != 0 }

// HasDeleteHorizon tells that compaction put the time after which tombstones
// may go into BaseTimestamp (KIP-534).
func (b Batch) HasDeleteHorizon() bool { return b.Attributes()&attrDeleteHorizon != 0 }

// LastOffsetDelta is the last record's offset less the base offset. Compaction
// keeps it, so it may exceed Count-1 in a stored batch.
func (b Batch) LastOffsetDelta() int32 { return b.int32At(posLastOffsetDelta) }

// LastOffset is the offset of the last record.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// BaseTimestamp is what record timestamps are relative to, in unix ms.
func (b Batch) BaseTimestamp() int64 { return b.int64At(posBaseTimestamp) }

// MaxTimestamp is the largest timestamp of the records, in unix ms; -1 for none.
func (b Batch) MaxTimestamp() int64 { return b.int64At(posMaxTimestamp) }

// ProducerID is -1 for a producer that is not idempotent.
func (b Batch) ProducerID() int64 { return b.int64At(posProducerID) }

// ProducerEpoch is -1 without a producer id.
func (b Batch) ProducerEpoch() int16 { return b.int16At(posProducerEpoch) }

// BaseSequence is the sequence number of the first record, -1 for none.
func (b Batch) BaseSequence() int32 { return b.int32At(posBaseSequence) }

// LastSequence is the sequence number of the last record, -1 for none.
// Sequences go on at 0 after 2^31-1.
func (b Batch) LastSequence() int32 {
	base, delta := b.BaseSequence(), b.LastOffsetDelta()
	switch {
	case base < 0:
		return base
	case base > math.MaxInt32-delta:
		return delta - (math.MaxInt32 - base) - 1
	}
	return base + delta
}

// Count is the number of records.
func (b Batch) Count() int32 { return b.int32At(posCount) }

// Payload is the records' bytes as stored, compressed or not. It aliases b.
func (b Batch) Payload() []byte { return b[HeaderSize:] }

// SetLogAppendTime sets the timestamp type bit and max timestamp and rewrites the CRC.
func (b Batch) SetLogAppendTime(unixMs int64) {
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(b.Attributes()|attrLogAppendTime))
	b.setMaxTimestamp(unixMs)
}

// SetCreateTime clears the timestamp type bit, so that timestamps are the
// records' own, and rewrites the CRC.
func (b Batch) SetCreateTime() {
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(b.Attributes()&^attrLogAppendTime))
	b.rewriteCRC()
}

func (b Batch) setMaxTimestamp(unixMs int64) {
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(unixMs))
	b.rewriteCRC()
}

// Next splits the first batch off b, checking only that it is whole
// (ErrTruncated) and its declared length sane (ErrCorrupt); a batch that
// declares another format is ErrUnsupportedMagic. Both results alias b.
func Next(b []byte) (first Batch, rest []byte, err error) {
	if len(b) <= posMagic {
		return nil, b, fmt.Errorf("%w: %d bytes left, a batch header has %d", ErrTruncated, len(b), HeaderSize)
	}
	if magic := int8(b[posMagic]); magic != Magic {
		return nil, b, fmt.Errorf("%w: magic %d, want %d", ErrUnsupportedMagic, magic, Magic)
	}
	size := Batch(b).SizeBytes()
	if size < HeaderSize {
		return nil, b, fmt.Errorf("%w: declared size %d is below the header's %d", ErrCorrupt, size, HeaderSize)
	}
	if size > int64(len(b)) {
		return nil, b, fmt.Errorf("%w: declared size %d, %d bytes left", ErrTruncated, size, len(b))
	}
	return b[:size:size], b[size:], nil
}
