package protocol

import (
	"encoding/binary"
	"fmt"
)

// Fields reads what a coordinator stored: keys in Kafka's plain form, values in
// the flexible one, in which strings, bytes and arrays begin with their length
// plus one as an unsigned varint, 0 is null, and each struct ends with its
// tagged fields. The first read that does not fit makes all later ones yield zero
// values; a decoder asks for the error at its end. What it returns is copied. The
// zero value has nothing to read. One goroutine.
type Fields struct{ r reader }

// NewFields reads b.
func NewFields(b []byte) Fields { return Fields{reader{left: b}} }

// Failed tells whether a read did not fit.
func (f *Fields) Failed() bool { return f.r.failed }

// Fail is for a value that cannot be: as if the bytes were cut short before it.
func (f *Fields) Fail() { f.r.fail() }

// Include makes f fail if a part of it, such as a tagged field, did.
func (f *Fields) Include(part Fields) { f.r.failed = f.r.failed || part.r.failed }

// Int8, and so on, read what they are named after, big-endian.
func (f *Fields) Int8() int8      { return f.r.int8() }
func (f *Fields) Int16() int16    { return f.r.int16() }
func (f *Fields) Int32() int32    { return f.r.int32() }
func (f *Fields) Int64() int64    { return f.r.int64() }
func (f *Fields) ID() [16]byte    { return f.r.uuid() }
func (f *Fields) Uvarint() uint32 { return f.r.uvarint() }

// Plain reads a string of a key: a length of 16 bits, unsigned, and the text.
func (f *Fields) Plain() string { return string(f.r.span(int(uint16(f.r.int16())))) }

// Compact reads a string or bytes; null reads as empty.
func (f *Fields) Compact() string { return string(f.r.text(true)) }

// Optional reads a string that may be null.
func (f *Fields) Optional() *string {
	text := f.r.text(true)
	if text == nil {
		return nil
	}
	copied := string(text)
	return &copied
}

// Length begins an array whose elements take at least size bytes each; null is 0.
func (f *Fields) Length(size int) int { return max(f.r.count(true, size), 0) }

// Tags reads a section of tagged fields and returns the content of number 0,
// in most structs the only one there is; present tells whether it was there.
func (f *Fields) Tags() (zero Fields, present bool) {
	f.EachTag(func(number uint32, content Fields) {
		if number == 0 {
			zero, present = content, true
		}
	})
	return zero, present
}

// EachTag reads a section of tagged fields.
func (f *Fields) EachTag(visit func(number uint32, content Fields)) {
	for n := f.r.uvarint(); n > 0 && !f.r.failed; n-- {
		if number, content := f.r.tag(); !f.r.failed {
			visit(number, Fields{content})
		}
	}
}

// End returns an error when something was missing. Bytes left over are of a
// later version.
func (f *Fields) End(what string) error {
	if f.r.failed {
		return fmt.Errorf("%s is cut short", what)
	}
	return nil
}

// AppendPlain appends a string as Plain reads it.
func AppendPlain(dst []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(text))), text...)
}

// AppendCompact appends a string or bytes as Compact reads them.
func AppendCompact[T string | []byte](dst []byte, text T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))+1), text...)
}

// AppendOptional appends a string that may be null.
func AppendOptional(dst []byte, text *string) []byte {
	if text == nil {
		return append(dst, 0)
	}
	return AppendCompact(dst, *text)
}

// AppendLength begins an array.
func AppendLength(dst []byte, n int) []byte { return binary.AppendUvarint(dst, uint64(n)+1) }

// AppendTag appends a section of one tagged field, number 0.
func AppendTag(dst, content []byte) []byte {
	dst = append(dst, 1, 0)
	dst = binary.AppendUvarint(dst, uint64(len(content)))
	return append(dst, content...)
}
