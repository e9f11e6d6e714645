package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codec is a compression codec id as in the batch attributes.
type Codec int8

// Kafka's codecs.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4
)

// String is Kafka's name of the codec, as in compression.type.
func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("Codec(%d)", int8(c))
}

// ParseCodec is the inverse of String; false for any other name.
func ParseCodec(name string) (Codec, bool) {
	for c := None; c <= Zstd; c++ {
		if c.String() == name {
			return c, true
		}
	}
	return None, false
}

// xerialHeader begins snappy data as Java's clients write it: magic, version
// 1, compatible with 1; then chunks of a 4-byte length and a snappy block.
// Other clients write one bare snappy block; both are read.
var xerialHeader = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}

// xerialChunk is the size of the input of one snappy block.
const xerialChunk = 32 << 10

var (
	gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
	gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}
	lz4Writers  = sync.Pool{New: func() any { return lz4.NewWriter(nil) }}
	lz4Readers  = sync.Pool{New: func() any { return lz4.NewReader(nil) }}

	zstdEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	})
	// zstdDecoders holds one decoder for each power of two as output limit;
	// klauspost fixes the limit when a decoder is made.
	zstdDecoders [63]struct {
		once sync.Once
		d    *zstd.Decoder
		err  error
	}
)

// Compress appends src, compressed with c, to dst.
func Compress(dst []byte, c Codec, src []byte) ([]byte, error) {
	switch c {
	case None:
		return append(dst, src...), nil
	case Gzip:
		w := gzipWriters.Get().(*gzip.Writer)
		defer gzipWriters.Put(w)
		out := bytes.NewBuffer(dst)
		w.Reset(out)
		return writeAll(w, out, src)
	case Snappy:
		dst = append(dst, xerialHeader...)
		for len(src) > 0 {
			chunk := src[:min(len(src), xerialChunk)]
			src = src[len(chunk):]
			block := s2.EncodeSnappy(nil, chunk)
			dst = binary.BigEndian.AppendUint32(dst, uint32(len(block)))
			dst = append(dst, block...)
		}
		return dst, nil
	case LZ4:
		w := lz4Writers.Get().(*lz4.Writer)
		defer lz4Writers.Put(w)
		out := bytes.NewBuffer(dst)
		w.Reset(out)
		if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)); err != nil {
			return nil, err
		}
		return writeAll(w, out, src)
	case Zstd:
		e, err := zstdEncoder()
		if err != nil {
			return nil, err
		}
		return e.EncodeAll(src, dst), nil
	}
	return nil, fmt.Errorf("%w: codec %d", ErrUnsupportedCodec, c)
}

func writeAll(w io.WriteCloser, out *bytes.Buffer, src []byte) ([]byte, error) {
	if _, err := w.Write(src); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Decompress returns what src holds. More than maxBytes is ErrTooLarge, bytes
// that c cannot read are ErrCorrupt. maxBytes also bounds what is allocated:
// output buffers grow with what is really decoded, except that zstd may
// allocate the size a frame declares where that is below the limit. The
// result is the caller's; with None it aliases src.
func Decompress(c Codec, src []byte, maxBytes int) ([]byte, error) {
	switch c {
	case None:
		if len(src) > maxBytes {
			return nil, tooLarge(maxBytes)
		}
		return src, nil
	case Gzip:
		r := gzipReaders.Get().(*gzip.Reader)
		defer gzipReaders.Put(r)
		if err := r.Reset(bytes.NewReader(src)); err != nil {
			return nil, corrupt(c, err)
		}
		return readAll(c, r, len(src), maxBytes)
	case Snappy:
		return decompressSnappy(src, maxBytes)
	case LZ4:
		r := lz4Readers.Get().(*lz4.Reader)
		defer lz4Readers.Put(r)
		r.Reset(bytes.NewReader(src))
		return readAll(c, r, len(src), maxBytes)
	case Zstd:
		return decompressZstd(src, maxBytes)
	}
	return nil, fmt.Errorf("%w: codec %d", ErrUnsupportedCodec, c)
}

func tooLarge(maxBytes int) error { return fmt.Errorf("%w of %d bytes", ErrTooLarge, maxBytes) }

func corrupt(c Codec, err error) error { return fmt.Errorf("%w: %s: %w", ErrCorrupt, c, err) }

func readAll(c Codec, r io.Reader, sizeHint, maxBytes int) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(min(2*sizeHint, maxBytes) + bytes.MinRead)
	n, err := out.ReadFrom(io.LimitReader(r, int64(maxBytes)+1))
	switch {
	case n > int64(maxBytes):
		return nil, tooLarge(maxBytes)
	case err != nil:
		return nil, corrupt(c, err)
	}
	return out.Bytes(), nil
}

func decompressSnappy(src []byte, maxBytes int) ([]byte, error) {
	if !bytes.HasPrefix(src, xerialHeader[:8]) {
		return appendSnappyBlock(nil, src, maxBytes)
	}
	if len(src) < len(xerialHeader) {
		return nil, fmt.Errorf("%w: snappy: header of %d bytes", ErrCorrupt, len(src))
	}
	var out []byte
	for src = src[len(xerialHeader):]; len(src) > 0; {
		if len(src) < 4 {
			return nil, fmt.Errorf("%w: snappy: %d bytes where a chunk begins", ErrCorrupt, len(src))
		}
		size := binary.BigEndian.Uint32(src)
		if uint64(size) > uint64(len(src)-4) {
			return nil, fmt.Errorf("%w: snappy: chunk of %d bytes, %d left", ErrCorrupt, size, len(src)-4)
		}
		var err error
		if out, err = appendSnappyBlock(out, src[4:4+size], maxBytes); err != nil {
			return nil, err
		}
		src = src[4+size:]
	}
	return out, nil
}

// appendSnappyBlock decodes one block behind dst; together at most maxBytes.
func appendSnappyBlock(dst, block []byte, maxBytes int) ([]byte, error) {
	size, err := s2.DecodedLen(block)
	if err != nil {
		return nil, corrupt(Snappy, err)
	}
	if size > maxBytes-len(dst) {
		return nil, tooLarge(maxBytes)
	}
	// A copy element of 3 bytes yields at most 64: a larger claim is a lie,
	// and would be allocated before it is found out.
	if size > 64+len(block)*64/3 {
		return nil, fmt.Errorf("%w: snappy: %d bytes claim to hold %d", ErrCorrupt, len(block), size)
	}
	out, err := s2.Decode(nil, block)
	if err != nil {
		return nil, corrupt(Snappy, err)
	}
	if dst == nil {
		return out, nil
	}
	return append(dst, out...), nil
}

func decompressZstd(src []byte, maxBytes int) ([]byte, error) {
	if maxBytes < 0 {
		return nil, tooLarge(maxBytes)
	}
	slot := &zstdDecoders[min(max(bits.Len(uint(maxBytes)), 10), 62)]
	slot.once.Do(func() {
		limit := uint64(1) << min(max(bits.Len(uint(maxBytes)), 10), 62)
		slot.d, slot.err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(limit), zstd.WithDecoderMaxWindow(128<<20))
	})
	if slot.err != nil {
		return nil, slot.err
	}
	out, err := slot.d.DecodeAll(src, nil)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), len(out) > maxBytes:
		return nil, tooLarge(maxBytes)
	case err != nil:
		return nil, corrupt(Zstd, err)
	}
	return out, nil
}
