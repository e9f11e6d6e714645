package record

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Admission is what a topic asks of a batch that a client sends, and what it
// makes of it (Kafka's LogValidator). It is not changed by use, and may be
// used concurrently. The zero value takes only records of timestamp -1 and 0:
// set Oldest and Newest.
type Admission struct {
	// Validation is how much is looked at where nothing below needs more.
	Validation Validation
	// Recompress is the compression of what is stored (compression.type); nil is the producer's own.
	Recompress *Compression
	// NeedKeys: the topic is compacted, and takes no record without a key.
	NeedKeys bool
	// Oldest and Newest bound the records' timestamps, in unix ms;
	// math.MinInt64 and math.MaxInt64 do not. A record without one (-1) is taken.
	// With an Oldest every compressed batch is decompressed: its header does
	// not tell its oldest record. The newest is taken from the header where
	// nothing else makes us look, and checked where it seems too new.
	Oldest, Newest int64
	// AppendTime: the topic has LogAppendTime. Whoever appends sets the time, with
	// SetLogAppendTime; a client that claims to have set it is refused. In a topic
	// with CreateTime the claim means nothing, and is taken off.
	AppendTime bool
	// MaxBatchBytes is max.message.bytes: the largest batch, or message of
	// format v0 or v1, as it is sent, and the largest batch as it is stored; 0 is no limit.
	MaxBatchBytes int64
}

// noTimestamp is the timestamp of a record that has none.
const noTimestamp = -1

// Admit checks one batch and returns what is to be stored: b itself, with its
// max timestamp and timestamp type put right in place where the records were looked at, or a new
// batch in the topic's compression, everything else in its header unchanged. Errors
// wrap those of Validate, or are a *RefusedError; nothing may be stored then.
//
// A valid batch that is kept as it is and that nothing makes us look into costs
// what Validate costs, and no allocation.
func (a *Admission) Admit(b Batch) (Batch, error) {
	if err := a.checkSize(len(b)); err != nil {
		return nil, err
	}
	if err := validateHeader(b); err != nil {
		return nil, err
	}
	if err := validateClient(b); err != nil {
		return nil, err
	}
	if !a.recompresses(b.Codec()) && !a.NeedKeys && a.Oldest == math.MinInt64 && !b.IsLogAppendTime() {
		if err := validatePayload(b, a.Validation); err != nil {
			return nil, err
		}
		if b.MaxTimestamp() <= a.Newest {
			return b, nil
		}
	}
	return a.examine(b)
}

// recompresses tells whether records in that codec are stored in another.
func (a *Admission) recompresses(c Codec) bool { return a.Recompress != nil && a.Recompress.Codec != c }

func (a *Admission) checkSize(sizeBytes int) error {
	if a.MaxBatchBytes > 0 && int64(sizeBytes) > a.MaxBatchBytes {
		return fmt.Errorf("%w: a batch of %d bytes, max.message.bytes is %d", ErrTooLarge, sizeBytes, a.MaxBatchBytes)
	}
	return nil
}

// examine looks at every record of a batch whose header is valid, and
// compresses it anew where the topic wants another codec.
func (a *Admission) examine(b Batch) (Batch, error) {
	recompress, limit := a.recompresses(b.Codec()), MaxDecompressedBytes
	if recompress && a.Recompress.Codec == None && a.MaxBatchBytes > 0 {
		limit = int(min(int64(limit), max(a.MaxBatchBytes-HeaderSize, 0))) // what it becomes is as large
	}
	payload, err := Decompress(b.Codec(), b.Payload(), limit)
	if err != nil {
		return nil, err
	}
	newest, err := walk(payload, b.Count(), b.BaseTimestamp())
	if err != nil {
		return nil, err
	}
	if b.IsLogAppendTime() {
		newest = b.MaxTimestamp() // and every record's, says the type
	}
	if err := a.checkRecords(b, payload, newest); err != nil {
		return nil, err
	}
	kept := b
	if recompress {
		if kept, err = b.recompressed(*a.Recompress, payload, newest); err != nil {
			return nil, err
		}
		if err := a.checkSize(len(kept)); err != nil {
			return nil, err
		}
	} else if newest != b.MaxTimestamp() {
		b.setMaxTimestamp(newest)
	}
	if kept.IsLogAppendTime() { // the topic says which it is, not the producer
		kept.SetCreateTime()
	}
	return kept, nil
}

// checkRecords holds every record of payload, which walk has read, to the
// topic's rules.
func (a *Admission) checkRecords(b Batch, payload []byte, newest int64) error {
	if !a.NeedKeys && a.Oldest == math.MinInt64 && newest <= a.Newest && !b.IsLogAppendTime() {
		return nil
	}
	var refused *RefusedError
	it := Iterator{left: payload, todo: b.Count(), baseTimestamp: b.BaseTimestamp(), appendTimestamp: b.MaxTimestamp(), logAppendTime: b.IsLogAppendTime()}
	for i := int32(0); it.Next(); i++ {
		refused = a.check(refused, i, it.Key() != nil, it.Timestamp(), b.IsLogAppendTime())
	}
	if refused != nil {
		return refused
	}
	return nil
}

// check holds one record to the topic's rules and adds it to the refused where
// it breaks one. claimed says that its sender set the type LogAppendTime. Like Kafka
// it names one reason a record, the key first.
func (a *Admission) check(refused *RefusedError, index int32, hasKey bool, timestamp int64, claimed bool) *RefusedError {
	switch {
	case a.NeedKeys && !hasKey:
		return refused.add(index, ErrInvalidRecord, func() string { return "a compacted topic takes no record without a key" })
	case claimed && (a.AppendTime || timestamp == noTimestamp):
		return refused.add(index, ErrInvalidTimestamp, func() string { return "a producer may not set the timestamp type to LogAppendTime" })
	case timestamp == noTimestamp:
	case timestamp < a.Oldest:
		return refused.add(index, ErrInvalidTimestamp, func() string {
			return fmt.Sprintf("timestamp %d is before %d, the oldest that the topic takes", timestamp, a.Oldest)
		})
	case timestamp > a.Newest:
		return refused.add(index, ErrInvalidTimestamp, func() string {
			return fmt.Sprintf("timestamp %d is after %d, the newest that the topic takes", timestamp, a.Newest)
		})
	}
	return refused
}

// Recompress returns b with its records in that compression, or b itself when
// they are in its codec or it is a control batch, which stays as it was
// written. It is for batches that the broker made: nothing is checked. nil is any compression.
func Recompress(b Batch, c *Compression) (Batch, error) {
	if c == nil || c.Codec == b.Codec() || b.IsControl() {
		return b, nil
	}
	payload, err := Decompress(b.Codec(), b.Payload(), MaxDecompressedBytes)
	if err != nil {
		return nil, err
	}
	return b.recompressed(*c, payload, b.MaxTimestamp())
}

// recompressed is a batch with b's header and the records of payload, which is
// not compressed, in another compression and with that max timestamp.
func (b Batch) recompressed(c Compression, payload []byte, newest int64) (Batch, error) {
	size := HeaderSize + len(payload)
	if c.Codec != None {
		size = HeaderSize + len(payload)/2 // grows where that is too little
	}
	bytes, err := c.Append(append(make([]byte, 0, size), b[:HeaderSize]...), payload)
	if err != nil {
		return nil, err
	}
	if len(bytes) > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %d bytes in another compression", ErrTooLarge, len(bytes))
	}
	out := Batch(bytes)
	binary.BigEndian.PutUint32(out[posBatchLength:], uint32(len(out)-lengthEnd))
	binary.BigEndian.PutUint16(out[posAttributes:], uint16(b.Attributes()&^attrCodec|int16(c.Codec)))
	out.setMaxTimestamp(newest)
	return out, nil
}

// MaxRefused bounds how many records a RefusedError names.
const MaxRefused = 1000

// RefusedError names the records for which a batch is refused, whole (KIP-467).
// It wraps ErrInvalidTimestamp when one of them is refused for its timestamp,
// else ErrInvalidRecord.
type RefusedError struct {
	// Records are the first MaxRefused of them, in order.
	Records []RefusedRecord
	// Count is of all of them.
	Count int
	kind  error
}

// RefusedRecord is one record by its place in the batch, from 0.
type RefusedRecord struct {
	Index  int32
	Reason string
}

// Error tells how many there are and about the first.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%v: %d records are refused, the first is record %d: %s", e.kind, e.Count, e.Records[0].Index, e.Records[0].Reason)
}

// Unwrap is ErrInvalidTimestamp or ErrInvalidRecord.
func (e *RefusedError) Unwrap() error { return e.kind }

// add notes a record; e may be nil. reason is asked only where there is room.
func (e *RefusedError) add(index int32, kind error, reason func() string) *RefusedError {
	if e == nil {
		e = &RefusedError{kind: kind}
	}
	if kind == ErrInvalidTimestamp {
		e.kind = kind
	}
	if e.Count++; e.Count <= MaxRefused {
		e.Records = append(e.Records, RefusedRecord{index, reason()})
	}
	return e
}
