package loadgen

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"fluxmq/scenarios"
)

func TestPoolReachesTheRatio(t *testing.T) {
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		for wanted, sizes := range map[float64][]int{0.35: {256}, 0.7: {1024}} {
			for _, valueBytes := range sizes {
				t.Run(fmt.Sprintf("%s %v of %d", codec, wanted, valueBytes), func(t *testing.T) {
					pool, err := NewPool(scenarios.Payload{ValueBytes: valueBytes, CompressedRatio: wanted, Seed: 1}, codec, 16384)
					if err != nil {
						t.Fatal(err)
					}
					if math.Abs(pool.Ratio-wanted) > ratioTolerance || !pool.Reached(wanted) {
						t.Errorf("reached %.3f, wanted %.3f", pool.Ratio, wanted)
					}
					if len(pool.Bodies) < 1024 {
						t.Errorf("%d bodies", len(pool.Bodies))
					}
					for _, body := range pool.Bodies {
						if len(body) != valueBytes-headerBytes {
							t.Fatalf("a body of %d bytes", len(body))
						}
					}
				})
			}
		}
	}
}

func TestPoolIsSeeded(t *testing.T) {
	payload := scenarios.Payload{ValueBytes: 100, KeySpread: 3, CompressedRatio: 0.5, Seed: 7}
	a, _ := NewPool(payload, "lz4", 16384)
	b, _ := NewPool(payload, "lz4", 16384)
	payload.Seed = 8
	c, _ := NewPool(payload, "lz4", 16384)
	if !bytes.Equal(bytes.Join(a.Bodies, nil), bytes.Join(b.Bodies, nil)) {
		t.Error("the same seed must give the same bodies")
	}
	if bytes.Equal(bytes.Join(a.Bodies, nil), bytes.Join(c.Bodies, nil)) {
		t.Error("another seed must give other bodies")
	}
	if len(a.Keys) != 3 || string(a.Keys[2]) != "key-00000002" {
		t.Errorf("keys %q", a.Keys)
	}
}

func TestPoolAtTheEdges(t *testing.T) {
	empty, err := NewPool(scenarios.Payload{ValueBytes: headerBytes, CompressedRatio: 0.35}, "lz4", 0)
	if err != nil || empty.Reached(0.01) {
		t.Errorf("a value that is all header: %v, ratio %v", err, empty.Ratio)
	}
	large, err := NewPool(scenarios.Payload{ValueBytes: 1 << 20, CompressedRatio: 1}, "lz4", 0)
	if err != nil || len(large.Bodies) > 64 || !large.Reached(1) {
		t.Errorf("large values: %v, %d bodies, ratio %v", err, len(large.Bodies), large.Ratio)
	}
	if _, err := NewPool(scenarios.Payload{ValueBytes: 10, CompressedRatio: 1}, "lz4", 0); err == nil {
		t.Error("a value shorter than its header must be refused")
	}
	if _, err := NewPool(scenarios.Payload{ValueBytes: 100, CompressedRatio: 1}, "lzma", 0); err == nil {
		t.Error("an unknown codec must be refused")
	}
	// zstd sees a whole batch: its bodies must not repeat within one.
	zstd, err := NewPool(scenarios.Payload{ValueBytes: 256, CompressedRatio: 0.35}, "zstd", 2<<20)
	if err != nil || len(zstd.Bodies)*256 <= 2<<20 {
		t.Errorf("zstd: %v, %d bodies", err, len(zstd.Bodies))
	}
}
