package group

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The values of KIP-848's records are Kafka's flexible form: strings, bytes and
// arrays begin with their length plus one as an unsigned varint, 0 is null, and
// each struct ends with its tagged fields. Keys are the older, plain form.

func appendPlain(dst []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(text))), text...)
}

func appendCompact[T string | []byte](dst []byte, text T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))+1), text...)
}

func appendOptional(dst []byte, text *string) []byte {
	if text == nil {
		return append(dst, 0)
	}
	return appendCompact(dst, *text)
}

func appendInt16(dst []byte, v int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(v)) }
func appendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }
func appendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

// appendLength begins an array.
func appendLength(dst []byte, n int) []byte { return binary.AppendUvarint(dst, uint64(n)+1) }

// appendTag is a section of one tagged field, number 0.
func appendTag(dst, content []byte) []byte {
	dst = append(dst, 1, 0)
	dst = binary.AppendUvarint(dst, uint64(len(content)))
	return append(dst, content...)
}

// fields reads a stored key or value. The first read that does not fit makes
// all later ones yield zero values; a decoder asks for the error at its end.
// What it returns is copied.
type fields struct {
	left []byte
	bad  bool
}

func (f *fields) span(n uint64) []byte {
	if n > uint64(len(f.left)) {
		f.bad, f.left = true, nil
		return nil
	}
	s := f.left[:n]
	f.left = f.left[n:]
	return s
}

func (f *fields) int8() int8 {
	if s := f.span(1); s != nil {
		return int8(s[0])
	}
	return 0
}

func (f *fields) int16() int16 {
	if s := f.span(2); s != nil {
		return int16(binary.BigEndian.Uint16(s))
	}
	return 0
}

func (f *fields) int32() int32 {
	if s := f.span(4); s != nil {
		return int32(binary.BigEndian.Uint32(s))
	}
	return 0
}

func (f *fields) int64() int64 {
	if s := f.span(8); s != nil {
		return int64(binary.BigEndian.Uint64(s))
	}
	return 0
}

func (f *fields) id() (id [16]byte) {
	copy(id[:], f.span(16))
	return id
}

func (f *fields) uvarint() uint64 {
	v, n := binary.Uvarint(f.left)
	if n <= 0 || v > math.MaxUint32 {
		f.bad, f.left = true, nil
		return 0
	}
	f.left = f.left[n:]
	return v
}

// plain reads a string of a key.
func (f *fields) plain() string {
	s := f.span(2)
	if s == nil {
		return ""
	}
	return string(f.span(uint64(binary.BigEndian.Uint16(s))))
}

// compact reads a string or bytes; null reads as empty.
func (f *fields) compact() string {
	n := f.uvarint()
	if n == 0 {
		return ""
	}
	return string(f.span(n - 1))
}

// optional reads a string that may be null.
func (f *fields) optional() *string {
	n := f.uvarint()
	if n == 0 {
		return nil
	}
	text := string(f.span(n - 1))
	return &text
}

// length begins an array whose elements take at least size bytes each.
func (f *fields) length(size int) int {
	n := f.uvarint()
	if n == 0 {
		return 0
	}
	if n--; n*uint64(size) > uint64(len(f.left)) {
		f.bad, f.left = true, nil
		return 0
	}
	return int(n)
}

// tags reads a section of tagged fields and returns the content of number 0,
// in most structs the only one there is; present tells whether it was there.
func (f *fields) tags() (zero fields, present bool) {
	f.eachTag(func(number uint64, content fields) {
		if number == 0 {
			zero, present = content, true
		}
	})
	return zero, present
}

// eachTag reads a section of tagged fields.
func (f *fields) eachTag(visit func(number uint64, content fields)) {
	for n := f.uvarint(); n > 0 && !f.bad; n-- {
		number := f.uvarint()
		content := f.span(f.uvarint())
		if !f.bad {
			visit(number, fields{left: content})
		}
	}
}

// end returns an error when something was missing. Bytes left over are of a
// later version.
func (f *fields) end(what string) error {
	if f.bad {
		return fmt.Errorf("%s is cut short", what)
	}
	return nil
}
