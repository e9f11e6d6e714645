package telemetry

import (
	"encoding/binary"
	"errors"
)

// errMalformed says that bytes are not the protobuf message they should be.
var errMalformed = errors.New("malformed protobuf")

// Wire types of protobuf. The two of groups (3 and 4) are not in OTLP.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// field is one field of a message.
type field struct {
	number uint64
	wire   byte
	// bits is the value of a varint or fixed field; of fixed32 the lower half.
	bits uint64
	// bytes is the value of a length-delimited field: a string, or a message to
	// be visited in turn. It aliases the message.
	bytes []byte
}

// fields visits the fields of a message in the order of its bytes. It stops at
// the first error, its own (errMalformed) or the visitor's.
func fields(message []byte, visit func(field) error) error {
	for len(message) > 0 {
		key, n := binary.Uvarint(message)
		if n <= 0 || key>>3 == 0 || key>>3 >= 1<<29 {
			return errMalformed
		}
		message = message[n:]
		f := field{number: key >> 3, wire: byte(key & 7)}
		switch f.wire {
		case wireVarint:
			if f.bits, n = binary.Uvarint(message); n <= 0 {
				return errMalformed
			}
			message = message[n:]
		case wireFixed64:
			if len(message) < 8 {
				return errMalformed
			}
			f.bits, message = binary.LittleEndian.Uint64(message), message[8:]
		case wireFixed32:
			if len(message) < 4 {
				return errMalformed
			}
			f.bits, message = uint64(binary.LittleEndian.Uint32(message)), message[4:]
		case wireBytes:
			size, n := binary.Uvarint(message)
			if n <= 0 || size > uint64(len(message)-n) {
				return errMalformed
			}
			message = message[n:]
			f.bytes, message = message[:size:size], message[size:]
		default:
			return errMalformed
		}
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// wants is an error unless the field has that wire type.
func (f field) wants(wire byte) error {
	if f.wire != wire {
		return errMalformed
	}
	return nil
}
