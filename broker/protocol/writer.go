package protocol

import "encoding/binary"

// AppendInt16, and so on, append big-endian.
func AppendInt16(dst []byte, v int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(v)) }
func AppendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }
func AppendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

func appendUvarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// appendCount writes an array length; -1 is a null array.
func appendCount(dst []byte, flexible bool, n int) []byte {
	if flexible {
		return appendUvarint(dst, uint32(n+1))
	}
	return AppendInt32(dst, int32(n))
}

// appendText writes a string that is never null.
func appendText[T string | []byte](dst []byte, flexible bool, s T) []byte {
	if flexible {
		dst = appendUvarint(dst, uint32(len(s)+1))
	} else {
		dst = AppendInt16(dst, int16(len(s)))
	}
	return append(dst, s...)
}

// appendOptionalText writes a nullable string, "" as null.
func appendOptionalText(dst []byte, flexible bool, s string) []byte {
	if s != "" {
		return appendText(dst, flexible, s)
	}
	if flexible {
		return append(dst, 0)
	}
	return AppendInt16(dst, -1)
}

// appendNoTags writes an empty section of tagged fields in flexible versions.
func appendNoTags(dst []byte, flexible bool) []byte {
	if flexible {
		return append(dst, 0)
	}
	return dst
}
