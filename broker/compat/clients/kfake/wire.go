package kfake

import (
	"encoding/binary"
	"hash/crc32"
)

// Where a v2 record batch has its length and its CRC-32C, and from where each counts.
const (
	batchLengthAt    = 8
	batchLengthFrom  = 12
	batchChecksumAt  = 17
	batchChecksumEnd = 21
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealBatch writes the length and the checksum into a batch that tests made by hand, and returns it.
func sealBatch(batch []byte) []byte {
	binary.BigEndian.PutUint32(batch[batchLengthAt:], uint32(len(batch)-batchLengthFrom))
	binary.BigEndian.PutUint32(batch[batchChecksumAt:], crc32.Checksum(batch[batchChecksumEnd:], castagnoli))
	return batch
}
