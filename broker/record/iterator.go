package record

import "fmt"

// Record is one record of a batch; Key, Value and header bytes alias the
// (decompressed) batch. A nil Key or Value is a Kafka null.
type Record struct {
	Offset, Timestamp int64
	Key, Value        []byte
	Headers           []Header
}

// Header is one record header. A nil Value is a Kafka null.
type Header struct {
	Key   string
	Value []byte
}

// rawRecord is one record read in place.
//
//	varint length of what follows · int8 attributes (unused) · varlong timestamp delta ·
//	varint offset delta · varint key length (-1 null) · key · varint value length (-1 null) ·
//	value · varint header count · per header: varint key length · key · varint value length (-1 null) · value
type rawRecord struct {
	timestampDelta int64
	offsetDelta    int32
	key, value     []byte
	headerCount    int32
	headers        []byte
}

// read fills r from the first record of b and returns its size, its length
// prefix included. A record that breaks the layout gives a reason (constant
// words, so that a valid record costs nothing).
func (r *rawRecord) read(b []byte) (size int, reason string) {
	length, n := varint(b)
	if n == 0 {
		return 0, "its length is not a varint"
	}
	if length < minRecordSize-1 || int(length) > len(b)-n {
		return 0, "its length does not fit its batch"
	}
	size = n + int(length)
	left := b[n+1 : size] // 1: attributes
	if r.timestampDelta, n = varlong(left); n == 0 {
		return 0, "its timestamp delta is not a varlong"
	}
	left = left[n:]
	if r.offsetDelta, n = varint(left); n == 0 {
		return 0, "its offset delta is not a varint"
	}
	left = left[n:]
	var ok bool
	if r.key, left, ok = lengthPrefixed(left); !ok {
		return 0, "its key does not fit"
	}
	if r.value, left, ok = lengthPrefixed(left); !ok {
		return 0, "its value does not fit"
	}
	if r.headerCount, n = varint(left); n == 0 || r.headerCount < 0 {
		return 0, "its header count is invalid"
	}
	r.headers = left[n:]
	left = r.headers
	for range r.headerCount {
		var key []byte
		if key, left, ok = lengthPrefixed(left); !ok || key == nil {
			return 0, "a header key does not fit"
		}
		if _, left, ok = lengthPrefixed(left); !ok {
			return 0, "a header value does not fit"
		}
	}
	if len(left) != 0 {
		return 0, "bytes remain after its headers"
	}
	return size, ""
}

// lengthPrefixed reads a varint length and so many bytes; -1 is nil.
func lengthPrefixed(b []byte) (v, rest []byte, ok bool) {
	length, n := varint(b)
	b = b[n:]
	switch {
	case n == 0 || length < -1 || int(length) > len(b):
		return nil, nil, false
	case length == -1:
		return nil, b, true
	}
	return b[:length:length], b[length:], true
}

// varint reads a zigzag varint of at most 5 bytes; n is 0 when there is none.
func varint(b []byte) (v int32, n int) {
	if len(b) > 0 && b[0] < 0x80 { // most are
		return int32(b[0]>>1) ^ -int32(b[0]&1), 1
	}
	var u uint32
	for i := 0; i < 5 && i < len(b); i++ {
		if i == 4 && b[i] > 0x0f {
			return 0, 0
		}
		u |= uint32(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return int32(u>>1) ^ -int32(u&1), i + 1
		}
	}
	return 0, 0
}

// varlong reads a zigzag varint of at most 10 bytes; n is 0 when there is none.
func varlong(b []byte) (v int64, n int) {
	var u uint64
	for i := 0; i < 10 && i < len(b); i++ {
		if i == 9 && b[i] > 1 {
			return 0, 0
		}
		u |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return int64(u>>1) ^ -int64(u&1), i + 1
		}
	}
	return 0, 0
}

// Iterator walks the records of one batch without allocating (beyond what
// decompression needs). It is not safe for concurrent use.
//
//	it, err := record.NewIterator(batch, maxBytes)
//	for it.Next() { … it.Offset(), it.Key() … }
//	if err := it.Err(); …
type Iterator struct {
	left          []byte
	todo          int32
	raw           rawRecord
	bytes         []byte
	baseOffset    int64
	baseTimestamp int64
	// appendTimestamp is every record's timestamp when logAppendTime is set.
	appendTimestamp int64
	logAppendTime   bool
	err             error
}

// NewIterator decompresses b when needed, to at most maxBytes, and returns an
// iterator before its first record. It trusts the header; Verify it first
// where it may be damaged.
func NewIterator(b Batch, maxBytes int) (Iterator, error) {
	if len(b) < HeaderSize {
		return Iterator{}, fmt.Errorf("%w: %d bytes", ErrTruncated, len(b))
	}
	payload := b.Payload()
	if b.Codec() != None {
		var err error
		if payload, err = Decompress(b.Codec(), payload, maxBytes); err != nil {
			return Iterator{}, err
		}
	}
	return Iterator{
		left: payload, todo: b.Count(), baseOffset: b.BaseOffset(), baseTimestamp: b.BaseTimestamp(),
		appendTimestamp: b.MaxTimestamp(), logAppendTime: b.IsLogAppendTime(),
	}, nil
}

// Next moves to the next record; false at the end or on an error.
func (it *Iterator) Next() bool {
	if it.todo <= 0 || it.err != nil {
		return false
	}
	size, reason := it.raw.read(it.left)
	if reason != "" {
		it.err = fmt.Errorf("%w: record with %d still to read: %s", ErrInvalidRecord, it.todo, reason)
		return false
	}
	it.bytes, it.left = it.left[:size], it.left[size:]
	it.todo--
	return true
}

// Err is why Next stopped early, nil at a proper end.
func (it *Iterator) Err() error { return it.err }

// Offset is the record's offset.
func (it *Iterator) Offset() int64 { return it.baseOffset + int64(it.raw.offsetDelta) }

// Timestamp is the record's timestamp in unix ms.
func (it *Iterator) Timestamp() int64 {
	if it.logAppendTime {
		return it.appendTimestamp
	}
	return it.baseTimestamp + it.raw.timestampDelta
}

// Key is the record's key, nil for null; it aliases the batch.
func (it *Iterator) Key() []byte { return it.raw.key }

// Value is the record's value, nil for null; it aliases the batch.
func (it *Iterator) Value() []byte { return it.raw.value }

// Bytes is the whole record as stored, its length included; it aliases the
// batch. Compaction copies it as it is.
func (it *Iterator) Bytes() []byte { return it.bytes }

// Headers decodes the record's headers; values alias the batch.
func (it *Iterator) Headers() []Header {
	if it.raw.headerCount == 0 {
		return nil
	}
	var headers []Header // grown as they are read, never from the count
	left := it.raw.headers
	for range it.raw.headerCount {
		var key, value []byte
		key, left, _ = lengthPrefixed(left)
		value, left, _ = lengthPrefixed(left)
		headers = append(headers, Header{Key: string(key), Value: value})
	}
	return headers
}

// Records decodes the records of a batch, decompressing when needed, never
// more than maxBytes of them (ErrTooLarge). It stops at the first error that
// visit returns and returns it.
func Records(b Batch, maxBytes int, visit func(Record) error) error {
	it, err := NewIterator(b, maxBytes)
	if err != nil {
		return err
	}
	for it.Next() {
		r := Record{Offset: it.Offset(), Timestamp: it.Timestamp(), Key: it.Key(), Value: it.Value(), Headers: it.Headers()}
		if err := visit(r); err != nil {
			return err
		}
	}
	return it.Err()
}
