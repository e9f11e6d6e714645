package loadgen

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"fluxmq/scenarios"
)

const (
	poolBodies     = 1024
	poolMaxBytes   = 16 << 20 // large values: fewer bodies, never less than 8
	ratioTolerance = 0.02
	blockBytes     = 64 << 10 // calibration compresses blocks of that size
	phraseCount    = 24
)

// Pool is the seeded supply of record bodies and keys. Once made it is
// read-only and may be shared.
type Pool struct {
	Bodies [][]byte
	Keys   [][]byte // nil: null keys
	// Ratio is the compressed/raw size that was reached with Codec over 64 KiB blocks of values.
	Ratio float64
	Codec string
	// RandomShare of each body is incompressible.
	RandomShare float64
}

// NewPool makes the bodies so that values compress to p.CompressedRatio with
// the codec of compressionType (lz4 when the job does not compress).
//
// batchBytes is the job's batch size: zstd, and the Go clients' snappy, look
// back over a whole batch, so the pool then holds more bodies than one batch,
// else their repetition would be compressed away.
func NewPool(p scenarios.Payload, compressionType string, batchBytes int) (*Pool, error) {
	if compressionType == "" || compressionType == "none" {
		compressionType = "lz4"
	}
	codec, err := NewCodec(compressionType)
	if err != nil {
		return nil, err
	}
	if p.ValueBytes < headerBytes {
		return nil, fmt.Errorf("payload: value_bytes %d is less than the header's %d", p.ValueBytes, headerBytes)
	}
	bodyBytes := p.ValueBytes - headerBytes
	count := poolBodies
	if compressionType == "zstd" || compressionType == "snappy" {
		count = max(count, 3*batchBytes/(2*p.ValueBytes))
	}
	count = max(8, min(count, poolMaxBytes/p.ValueBytes))

	source := newBodySource(p.Seed, count, bodyBytes)
	pool := &Pool{Codec: compressionType}
	// More randomness never compresses better, so bisection finds the share.
	low, high := 0.0, 1.0
	for range 10 { // to a thousandth of the body
		share := (low + high) / 2
		ratio, err := source.ratio(share, codec)
		if err != nil {
			return nil, fmt.Errorf("payload: %s: %w", compressionType, err)
		}
		if math.Abs(ratio-p.CompressedRatio) < math.Abs(pool.Ratio-p.CompressedRatio) || pool.Ratio == 0 {
			pool.Ratio, pool.RandomShare = ratio, share
		}
		if ratio < p.CompressedRatio {
			low = share
		} else {
			high = share
		}
	}
	pool.Bodies = make([][]byte, count)
	for i := range pool.Bodies {
		pool.Bodies[i] = source.body(i, pool.RandomShare)
	}
	pool.Keys = make([][]byte, 0, p.KeySpread)
	for i := range p.KeySpread {
		pool.Keys = append(pool.Keys, fmt.Appendf(nil, "key-%08d", i))
	}
	return pool, nil
}

// Reached tells whether the ratio came within the tolerance of the wanted one.
func (p *Pool) Reached(wanted float64) bool { return math.Abs(p.Ratio-wanted) <= ratioTolerance }

// Describe is one sentence for people.
func (p *Pool) Describe() string {
	return fmt.Sprintf("payload pool of %d bodies compresses to %s of its size with %s", len(p.Bodies), strconv.FormatFloat(p.Ratio, 'f', 3, 64), p.Codec)
}

// bodySource holds, for each body, its random bytes and its text; a share of the first replaces the head of the second.
type bodySource struct {
	random, text [][]byte
	seed         uint64
}

func newBodySource(seed uint64, count, bodyBytes int) *bodySource {
	rng := rand.New(rand.NewPCG(seed, 0x464c55584d51))
	phrases := make([][]byte, phraseCount)
	for i := range phrases {
		phrases[i] = make([]byte, 40+rng.IntN(24))
		for j := range phrases[i] {
			phrases[i][j] = "abcdefghijklmnopqrstuvwxyz     "[rng.IntN(31)]
		}
	}
	s := &bodySource{random: make([][]byte, count), text: make([][]byte, count), seed: seed}
	for i := range count {
		s.random[i] = make([]byte, bodyBytes)
		fillRandom(rng, s.random[i])
		text := make([]byte, 0, bodyBytes+64)
		for len(text) < bodyBytes {
			text = append(text, phrases[rng.IntN(len(phrases))]...)
		}
		s.text[i] = text[:bodyBytes:bodyBytes]
	}
	return s
}

// body makes body i. Shares between two whole bytes are reached by rounding up in so many of the bodies.
func (s *bodySource) body(i int, share float64) []byte {
	exact := share * float64(len(s.random[i]))
	n := int(exact)
	if float64(i%64)/64 < exact-float64(n) {
		n++
	}
	out := append([]byte(nil), s.random[i][:n]...)
	return append(out, s.text[i][n:]...)
}

// ratio is compressed/raw over 64 KiB blocks of values as a producer would send them, headers included.
func (s *bodySource) ratio(share float64, codec *Codec) (float64, error) {
	rng := rand.New(rand.NewPCG(s.seed, 7))
	runTag := rng.Uint64()
	var raw, compressed int
	next := 0
	for range 4 {
		var block []byte
		for len(block) < blockBytes && (len(block) == 0 || next < len(s.random)) {
			body := s.body(next%len(s.random), share)
			start := len(block)
			block = append(block, make([]byte, headerBytes)...)
			block = append(block, body...)
			PutHeader(block[start:], ValueHeader{RunTag: runTag, Sequence: uint64(next), IntendedUnixNs: 1_795_452_688_000_000_000 + int64(next)*1000 + rng.Int64N(1000)})
			next++
		}
		out, err := codec.Encode(block)
		if err != nil {
			return 0, err
		}
		raw += len(block)
		compressed += len(out)
		if next >= len(s.random) || raw >= 4*blockBytes {
			break
		}
	}
	return float64(compressed) / float64(raw), nil
}

func fillRandom(rng *rand.Rand, out []byte) {
	for len(out) >= 8 {
		binary.LittleEndian.PutUint64(out, rng.Uint64())
		out = out[8:]
	}
	for i := range out {
		out[i] = byte(rng.Uint32())
	}
}
