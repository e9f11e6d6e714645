package record

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Positions in an LZ4 frame: magic number, flags, block descriptor, then an
// 8-byte content size and a 4-byte dictionary id where the flags say so, then
// the header checksum.
const (
	posLZ4Flags      = 4
	lz4FixedHeader   = 6
	lz4HasSize       = 0x08
	lz4HasDictionary = 0x01
)

// withLZ4Checksum returns an LZ4 frame with the header checksum that the frame
// format asks for. Clients that write messages of format v0 take the magic
// number into it, and Kafka's reader passes over it (KIP-57). frame is not changed.
func withLZ4Checksum(frame []byte) []byte {
	if len(frame) <= posLZ4Flags {
		return frame // the decoder refuses it
	}
	at := lz4FixedHeader
	if frame[posLZ4Flags]&lz4HasSize != 0 {
		at += 8
	}
	if frame[posLZ4Flags]&lz4HasDictionary != 0 {
		at += 4
	}
	if len(frame) <= at {
		return frame
	}
	checksum := byte(xxh32(frame[posLZ4Flags:at]) >> 8)
	if frame[at] == checksum {
		return frame
	}
	frame = bytes.Clone(frame)
	frame[at] = checksum
	return frame
}

// The primes of xxHash.
const (
	xxhPrime1 uint32 = 2654435761
	xxhPrime2 uint32 = 2246822519
	xxhPrime3 uint32 = 3266489917
	xxhPrime4 uint32 = 668265263
	xxhPrime5 uint32 = 374761393
)

// xxh32 is the 32-bit xxHash with seed 0 of fewer than 16 bytes, which is all
// that an LZ4 frame's header has.
func xxh32(b []byte) uint32 {
	h := xxhPrime5 + uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(b)*xxhPrime3, 17) * xxhPrime4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*xxhPrime5, 11) * xxhPrime1
	}
	h = (h ^ h>>15) * xxhPrime2
	h = (h ^ h>>13) * xxhPrime3
	return h ^ h>>16
}
