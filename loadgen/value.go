package loadgen

import (
	"encoding/binary"
	"hash/crc32"

	"fluxmq/scenarios"
)

// A record value, big-endian:
//
//	 0  4  magic "FXM1"
//	 4  8  run tag
//	12  4  producer
//	16  8  sequence, per producer from 0
//	24  8  intended send time, Unix ns
//	32  4  CRC-32C of bytes 0..31 and 36..end
//	36  …  payload
const (
	headerBytes = scenarios.RecordOverheadBytes
	valueMagic  = 0x46584d31 // "FXM1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ValueHeader is what a record says about itself.
type ValueHeader struct {
	RunTag         uint64
	Producer       uint32
	Sequence       uint64
	IntendedUnixNs int64
}

// PutHeader writes the header, checksum included, over the first 36 bytes of value, whose payload is already in place.
func PutHeader(value []byte, h ValueHeader) {
	binary.BigEndian.PutUint32(value[0:], valueMagic)
	binary.BigEndian.PutUint64(value[4:], h.RunTag)
	binary.BigEndian.PutUint32(value[12:], h.Producer)
	binary.BigEndian.PutUint64(value[16:], h.Sequence)
	binary.BigEndian.PutUint64(value[24:], uint64(h.IntendedUnixNs))
	binary.BigEndian.PutUint32(value[32:], valueChecksum(value))
}

// ReadHeader reads the header of a value of exactly wantBytes; ok is false
// when length, magic or checksum are wrong.
func ReadHeader(value []byte, wantBytes int) (h ValueHeader, ok bool) {
	if len(value) < headerBytes || len(value) != wantBytes || binary.BigEndian.Uint32(value) != valueMagic {
		return ValueHeader{}, false
	}
	if binary.BigEndian.Uint32(value[32:]) != valueChecksum(value) {
		return ValueHeader{}, false
	}
	return ValueHeader{
		RunTag:         binary.BigEndian.Uint64(value[4:]),
		Producer:       binary.BigEndian.Uint32(value[12:]),
		Sequence:       binary.BigEndian.Uint64(value[16:]),
		IntendedUnixNs: int64(binary.BigEndian.Uint64(value[24:])),
	}, true
}

func valueChecksum(value []byte) uint32 {
	return crc32.Update(crc32.Checksum(value[:32], castagnoli), castagnoli, value[headerBytes:])
}
