package loadgen

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codec is one of Kafka's compression types: its number in batch attributes
// and its encoder. Not for concurrent use.
type Codec struct {
	Name   string
	Number int16
	// Encode compresses src into a new slice, in the framing that Kafka's clients write.
	Encode func(src []byte) ([]byte, error)
}

// NewCodec makes the codec of a compression.type; "" and "none" copy.
func NewCodec(name string) (*Codec, error) {
	switch name {
	case "", "none":
		return &Codec{Name: "none", Encode: func(src []byte) ([]byte, error) { return bytes.Clone(src), nil }}, nil
	case "gzip":
		return &Codec{Name: name, Number: 1, Encode: encodeGzip}, nil
	case "snappy":
		return &Codec{Name: name, Number: 2, Encode: encodeSnappy}, nil
	case "lz4":
		return &Codec{Name: name, Number: 3, Encode: encodeLZ4}, nil
	case "zstd":
		encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("zstd encoder: %w", err)
		}
		return &Codec{Name: name, Number: 4, Encode: func(src []byte) ([]byte, error) { return encoder.EncodeAll(src, nil), nil }}, nil
	}
	return nil, fmt.Errorf("unknown compression type %q", name)
}

func encodeGzip(src []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(src); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// encodeSnappy writes the framing of snappy-java, which the Java client
// requires: a 16-byte header, then blocks of at most 32 KiB with their lengths.
func encodeSnappy(src []byte) ([]byte, error) {
	const blockBytes = 32 << 10
	out := []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}
	for len(src) > 0 {
		n := min(len(src), blockBytes)
		block := s2.EncodeSnappy(nil, src[:n])
		out = binary.BigEndian.AppendUint32(out, uint32(len(block)))
		out = append(out, block...)
		src = src[n:]
	}
	return out, nil
}

// encodeLZ4 writes frames as the Java client does: independent 64 KiB blocks, no content checksum.
func encodeLZ4(src []byte) ([]byte, error) {
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1)); err != nil {
		return nil, err
	}
	if _, err := w.Write(src); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
