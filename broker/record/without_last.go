//go:build faultinject

package record

import (
	"encoding/binary"
	"fmt"
)

// WithoutLast returns the batch without its last n records, at least one of
// which must stay: compressed again with the same codec, and as valid as b
// was. It exists to lose records on purpose.
func (b Batch) WithoutLast(n int32) (Batch, error) {
	left := b.Count() - n
	if n <= 0 || left <= 0 {
		return nil, fmt.Errorf("record: %d of %d records cannot be left out", n, b.Count())
	}
	it, err := NewIterator(b, MaxDecompressedBytes)
	if err != nil {
		return nil, err
	}
	var payload []byte
	newest := int64(-1)
	for range left {
		if !it.Next() {
			return nil, fmt.Errorf("%w: %d records are fewer than the header's %d: %w", ErrInvalidRecord, b.Count()-it.todo, b.Count(), it.Err())
		}
		payload = append(payload, it.Bytes()...)
		newest = max(newest, it.Timestamp())
	}
	out, err := Compress(append(Batch(nil), b[:HeaderSize]...), b.Codec(), payload)
	if err != nil {
		return nil, err
	}
	rest := Batch(out)
	binary.BigEndian.PutUint32(rest[posBatchLength:], uint32(len(rest)-lengthEnd))
	binary.BigEndian.PutUint32(rest[posLastOffsetDelta:], uint32(left-1))
	binary.BigEndian.PutUint32(rest[posCount:], uint32(left))
	rest.setMaxTimestamp(newest) // with LogAppendTime it is every record's, and stays
	return rest, nil
}
