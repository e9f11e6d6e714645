package protocol

import "encoding/binary"

// reader is a cursor over wire bytes. The first read that does not fit sets
// failed and empties it; every later read then yields a zero value, so that a
// decoder checks once at its end. It never allocates: slices alias the input.
type reader struct {
	left   []byte
	failed bool
}

func (r *reader) fail() {
	r.failed = true
	r.left = nil
}

// span takes the next n bytes; capacity is cut so that an append by the
// caller cannot write into what follows.
func (r *reader) span(n int) []byte {
	if n < 0 || n > len(r.left) {
		r.fail()
		return nil
	}
	s := r.left[:n:n]
	r.left = r.left[n:]
	return s
}

func (r *reader) int8() int8 {
	if s := r.span(1); s != nil {
		return int8(s[0])
	}
	return 0
}

func (r *reader) int16() int16 {
	if s := r.span(2); s != nil {
		return int16(binary.BigEndian.Uint16(s))
	}
	return 0
}

func (r *reader) int32() int32 {
	if s := r.span(4); s != nil {
		return int32(binary.BigEndian.Uint32(s))
	}
	return 0
}

func (r *reader) int64() int64 {
	if s := r.span(8); s != nil {
		return int64(binary.BigEndian.Uint64(s))
	}
	return 0
}

func (r *reader) uuid() (id [16]byte) {
	copy(id[:], r.span(16))
	return id
}

// uvarint reads an unsigned varint of at most 32 bits (5 bytes).
func (r *reader) uvarint() uint32 {
	var v uint32
	for i := 0; i < 5 && i < len(r.left); i++ {
		b := r.left[i]
		if i == 4 && b > 0x0f {
			break // more than 32 bits
		}
		v |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.left = r.left[i+1:]
			return v
		}
	}
	r.fail()
	return 0
}

// count reads an array length: -1 for a null array, which any negative length
// is, as in Kafka. A length that the bytes left cannot hold (each element takes
// at least minSize) fails.
func (r *reader) count(flexible bool, minSize int) int {
	var n int
	if flexible {
		n = int(r.uvarint()) - 1
	} else {
		n = int(r.int32())
	}
	if r.failed {
		return 0
	}
	if n < 0 {
		return -1
	}
	if n*minSize > len(r.left) {
		r.fail()
		return 0
	}
	return n
}

// text reads a string; nil is Kafka's null, which any negative length is. An
// empty string is not nil.
func (r *reader) text(flexible bool) []byte {
	var n int
	if flexible {
		n = int(r.uvarint()) - 1
	} else {
		n = int(r.int16())
	}
	if n < 0 || r.failed {
		return nil
	}
	return r.span(n)
}

// blob reads bytes with a 4-byte (or compact) length; nil is Kafka's null,
// which any negative length is.
func (r *reader) blob(flexible bool) []byte {
	var n int
	if flexible {
		n = int(r.uvarint()) - 1
	} else {
		n = int(r.int32())
	}
	if n < 0 || r.failed {
		return nil
	}
	return r.span(n)
}

// tag reads the next tag's number and content. Content is a reader of its own.
func (r *reader) tag() (uint32, reader) {
	number := r.uvarint()
	size := r.uvarint()
	if uint64(size) > uint64(len(r.left)) {
		r.fail()
		return 0, reader{failed: true}
	}
	return number, reader{left: r.span(int(size))}
}

// skipTags passes over a section of tagged fields that nobody here reads.
func (r *reader) skipTags() {
	for n := r.uvarint(); n > 0 && !r.failed; n-- {
		r.tag()
	}
}

// whole returns ErrMalformed when a byte was missing. Bytes behind a request
// are ignored, as in Kafka.
func (r *reader) whole() error {
	if r.failed {
		return ErrMalformed
	}
	return nil
}

// end returns ErrMalformed unless every byte was used and none was missing.
func (r *reader) end() error {
	if r.failed || len(r.left) != 0 {
		return ErrMalformed
	}
	return nil
}
