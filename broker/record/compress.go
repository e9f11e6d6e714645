package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"runtime"
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

// zstdEncodersAtOnce bounds how many batches one level of zstd compresses at
// the same time: an encoder of the highest takes 34 MB.
const zstdEncodersAtOnce = 4

var (
	gzipWriters [gzip.BestCompression + 1]sync.Pool // by level; 0 is the default
	gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}
	lz4Writers  = sync.Pool{New: func() any { return lz4.NewWriter(nil) }}
	lz4Readers  = sync.Pool{New: func() any { return lz4.NewReader(nil) }}

	// zstdEncoders holds one encoder for each speed that klauspost has.
	zstdEncoders [zstd.SpeedBestCompression + 1]struct {
		once sync.Once
		e    *zstd.Encoder
		err  error
	}
	// zstdDecoders holds one decoder for each power of two as output limit;
	// klauspost fixes the limit when a decoder is made.
	zstdDecoders [63]struct {
		once sync.Once
		d    *zstd.Decoder
		err  error
	}
)

// Compression is a codec and how hard it tries.
type Compression struct {
	Codec Codec
	// Level is Kafka's: 1 to 9 of gzip, 1 to 17 of lz4, -131072 to 22 of zstd.
	// 0 and what is out of range are the codec's default; the other codecs have none.
	Level int
}

// Kafka's default levels, as numbers.
const (
	lz4DefaultLevel  = 9
	zstdDefaultLevel = 3
)

// Compress appends src, compressed with c at its default level, to dst.
func Compress(dst []byte, c Codec, src []byte) ([]byte, error) {
	return Compression{Codec: c}.Append(dst, src)
}

// Append appends src, compressed, to dst. It may be called concurrently.
func (c Compression) Append(dst, src []byte) ([]byte, error) {
	switch c.Codec {
	case None:
		return append(dst, src...), nil
	case Gzip:
		w, pool := gzipWriter(c.Level)
		defer pool.Put(w)
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
		if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.CompressionLevelOption(lz4Level(c.Level))); err != nil {
			return nil, err
		}
		return writeAll(w, out, src)
	case Zstd:
		e, err := zstdEncoder(c.Level)
		if err != nil {
			return nil, err
		}
		return e.EncodeAll(src, dst), nil
	}
	return nil, fmt.Errorf("%w: codec %d", ErrUnsupportedCodec, c.Codec)
}

// gzipWriter is a writer of that level and the pool that it goes back to.
func gzipWriter(level int) (*gzip.Writer, *sync.Pool) {
	if level < gzip.BestSpeed || level > gzip.BestCompression {
		level = 0
	}
	pool := &gzipWriters[level]
	if w, ok := pool.Get().(*gzip.Writer); ok {
		return w, pool
	}
	if level == 0 {
		return gzip.NewWriter(nil), pool
	}
	w, err := gzip.NewWriterLevel(nil, level)
	if err != nil {
		panic(fmt.Sprintf("record: gzip does not know level %d: %v", level, err))
	}
	return w, pool
}

// lz4Level is the library's name of Kafka's level. Kafka's default is the fast
// compressor, any other the one that searches; the library's searches no
// deeper than at 9.
func lz4Level(level int) lz4.CompressionLevel {
	switch {
	case level < 1 || level == lz4DefaultLevel:
		return lz4.Fast
	case level > lz4DefaultLevel:
		return lz4.Level9
	}
	return lz4.Level1 << (level - 1)
}

// zstdEncoder is the encoder for Kafka's level. The library has four speeds,
// at about the levels 1, 3, 7 and 11 of the reference implementation.
func zstdEncoder(level int) (*zstd.Encoder, error) {
	if level == 0 {
		level = zstdDefaultLevel
	}
	speed := zstd.EncoderLevelFromZstd(level)
	slot := &zstdEncoders[speed]
	slot.once.Do(func() {
		slot.e, slot.err = zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithWindowSize(1<<20),
			zstd.WithEncoderConcurrency(min(runtime.GOMAXPROCS(0), zstdEncodersAtOnce)))
	})
	return slot.e, slot.err
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

func tooLarge(maxBytes int) error {
	return fmt.Errorf("%w: its records decompress to more than %d bytes", ErrTooLarge, maxBytes)
}

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

// zstdWindowPower is the largest window that the reference library's decoder
// takes, as a power of two. The Go library refuses a frame whose window is above
// its output limit, though streaming encoders, as Java's is, claim a window of
// megabytes for records of a few bytes: so no decoder's limit is below it, and
// a lower maxBytes is judged by what came out.
const zstdWindowPower = 27

func decompressZstd(src []byte, maxBytes int) ([]byte, error) {
	if maxBytes < 0 {
		return nil, tooLarge(maxBytes)
	}
	power := min(max(bits.Len(uint(max(maxBytes, 1)-1)), zstdWindowPower), 62)
	slot := &zstdDecoders[power]
	slot.once.Do(func() {
		slot.d, slot.err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(1<<power), zstd.WithDecoderMaxWindow(1<<zstdWindowPower))
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
