package record

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Filter rebuilds stored batches without some of their records, as compaction
// does (Kafka's MemoryRecords.filterTo). It reuses its buffers from batch to
// batch; not for concurrent use. The zero value is ready.
//
// A rebuilt batch keeps base and last offset, producer id, epoch and base
// sequence, leader epoch, codec, timestamp type and the offsets of its records,
// so that fetch positions and sequence numbers stay true. Count, max timestamp,
// length and CRC are those of what is left.
type Filter struct{ kept, stamped, out []byte }

// FilterOptions say what becomes of one batch.
type FilterOptions struct {
	// MaxBytes bounds what the records may decompress to.
	MaxBytes int
	// Keep tells whether the record that the iterator stands on stays. Nil keeps
	// none, and nothing is decompressed.
	Keep func(*Iterator) bool
	// KeepEmpty leaves a header without records of a batch that loses them all;
	// otherwise the batch goes.
	KeepEmpty bool
	// DeleteHorizon, in unix ms, is put into a batch that has none yet and in
	// which a tombstone is left, or, when Marker is set, any record (KIP-534).
	// A negative one is not put in.
	DeleteHorizon int64
	Marker        bool
}

// Filtered is what is left of a batch.
type Filtered struct {
	// Batch is nil when nothing is left, the given batch itself when nothing
	// changed, and otherwise valid until the Filter's next Apply.
	Batch Batch
	// Read and Kept count records.
	Read, Kept int
}

// picked is what the first pass over a batch found; the bytes of the records that
// stay are in Filter.kept.
type picked struct {
	kept       int
	newest     int64 // largest timestamp of those that stay
	tombstones bool  // one of them has no value
}

// Apply filters one whole batch whose CRC the caller has checked. Errors wrap
// ErrCorrupt, ErrInvalidRecord, ErrUnsupportedCodec or ErrTooLarge.
func (f *Filter) Apply(b Batch, o FilterOptions) (Filtered, error) {
	p, err := f.pick(b, o)
	if err != nil {
		return Filtered{}, err
	}
	result := Filtered{Read: int(b.Count()), Kept: p.kept}
	setHorizon := p.kept > 0 && (p.tombstones || o.Marker) && !b.HasDeleteHorizon() && o.DeleteHorizon >= 0
	switch {
	case p.kept == 0 && !o.KeepEmpty:
		return result, nil
	case p.kept == result.Read && !setHorizon:
		result.Batch = b
	case p.kept == 0:
		result.Batch = f.empty(b)
	default:
		horizon := int64(-1)
		if setHorizon {
			horizon = o.DeleteHorizon
		}
		result.Batch, err = f.rebuild(b, p, horizon)
	}
	return result, err
}

func (f *Filter) pick(b Batch, o FilterOptions) (picked, error) {
	p := picked{newest: -1}
	f.kept = f.kept[:0]
	if o.Keep == nil {
		return p, nil
	}
	it, err := NewIterator(b, o.MaxBytes)
	if err != nil {
		return p, err
	}
	for it.Next() {
		if offset := it.Offset(); offset < b.BaseOffset() || offset > b.LastOffset() {
			return p, fmt.Errorf("%w: a record of offset %d in a batch of [%d, %d]", ErrInvalidRecord, offset, b.BaseOffset(), b.LastOffset())
		}
		if !o.Keep(&it) {
			continue
		}
		p.kept++
		p.newest = max(p.newest, it.Timestamp())
		p.tombstones = p.tombstones || it.Value() == nil
		f.kept = append(f.kept, it.Bytes()...)
	}
	return p, it.Err()
}

// empty is the header of b without a record: no codec, no base timestamp, no
// delete horizon (Kafka's DefaultRecordBatch.writeEmptyHeader).
func (f *Filter) empty(b Batch) Batch {
	out := Batch(append(f.out[:0], b[:HeaderSize]...))
	f.out = out
	binary.BigEndian.PutUint32(out[posBatchLength:], HeaderSize-lengthEnd)
	binary.BigEndian.PutUint16(out[posAttributes:], uint16(b.Attributes()&(attrLogAppendTime|attrTransactional|attrControl)))
	noTimestamp := int64(-1)
	binary.BigEndian.PutUint64(out[posBaseTimestamp:], uint64(noTimestamp))
	binary.BigEndian.PutUint32(out[posCount:], 0)
	out.rewriteCRC()
	return out
}

// rebuild makes the batch of the records in f.kept. A horizon of 0 or more
// becomes the base timestamp, which the records' timestamps are then relative to.
func (f *Filter) rebuild(b Batch, p picked, horizon int64) (Batch, error) {
	payload, base, attributes := f.kept, b.BaseTimestamp(), b.Attributes()
	if horizon >= 0 {
		var err error
		if payload, err = f.restamp(b, p.kept, horizon); err != nil {
			return nil, err
		}
		base, attributes = horizon, attributes|attrDeleteHorizon
	}
	bytes, err := Compress(append(f.out[:0], b[:HeaderSize]...), b.Codec(), payload)
	if err != nil {
		return nil, err
	}
	if len(bytes) > math.MaxInt32 {
		return nil, fmt.Errorf("%w: a filtered batch of %d bytes", ErrTooLarge, len(bytes))
	}
	f.out = bytes
	out := Batch(bytes)
	binary.BigEndian.PutUint32(out[posBatchLength:], uint32(len(out)-lengthEnd))
	binary.BigEndian.PutUint16(out[posAttributes:], uint16(attributes))
	binary.BigEndian.PutUint64(out[posBaseTimestamp:], uint64(base))
	binary.BigEndian.PutUint32(out[posCount:], uint32(p.kept))
	out.setMaxTimestamp(p.newest) // with LogAppendTime it is every record's, and stays
	return out, nil
}

// restamp writes the records in f.kept with timestamps relative to base.
func (f *Filter) restamp(b Batch, count int, base int64) ([]byte, error) {
	it := Iterator{
		left: f.kept, todo: int32(count), baseTimestamp: b.BaseTimestamp(),
		appendTimestamp: b.MaxTimestamp(), logAppendTime: b.IsLogAppendTime(),
	}
	f.stamped = f.stamped[:0]
	for it.Next() {
		f.stamped = appendRestamped(f.stamped, it.Bytes(), it.Timestamp()-base)
	}
	return f.stamped, it.Err()
}

// appendRestamped writes a stored record with another timestamp delta. The
// record was read before: its layout holds.
func appendRestamped(dst, stored []byte, delta int64) []byte {
	_, lengthSize := varint(stored)
	attributes := stored[lengthSize]
	_, deltaSize := varlong(stored[lengthSize+1:])
	rest := stored[lengthSize+1+deltaSize:]
	var scratch [binary.MaxVarintLen64]byte
	stamp := binary.AppendVarint(scratch[:0], delta)
	dst = binary.AppendVarint(dst, int64(1+len(stamp)+len(rest)))
	dst = append(dst, attributes)
	dst = append(dst, stamp...)
	return append(dst, rest...)
}
