package partition

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkRead is a fetch of the last of many batches, and BenchmarkOffsets
// what it and every reply ask besides.
func BenchmarkRead(b *testing.B) {
	s, err := OpenSet(SetConfig{Dir: filepath.Join(b.TempDir(), "d"), Durability: FlushOS})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	p := mustCreate(b, s, "t", 0, Config{SegmentBytes: 64 << 20, RetentionBytes: -1, Retention: -1})
	for range 1000 {
		if _, err := p.Append(batchOf(b, time.Now().UnixMilli(), strings.Repeat("v", 1000)), AppendOptions{CurrentLeaderEpoch: -1}); err != nil {
			b.Fatal(err)
		}
	}
	last := p.Offsets().LogEnd - 1
	for name, committed := range map[string]bool{"uncommitted": false, "committed": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := p.Read(ReadOptions{Offset: last, MaxBytes: 1 << 20, MinOneBatch: true, ReadCommitted: committed, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
				if err != nil || r.Size == 0 {
					b.Fatal(r, err)
				}
				r.Release()
			}
		})
	}
}

func BenchmarkOffsets(b *testing.B) {
	s, err := OpenSet(SetConfig{Dir: filepath.Join(b.TempDir(), "d"), Durability: FlushOS})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	p := mustCreate(b, s, "t", 0, Config{})
	b.ReportAllocs()
	for b.Loop() {
		if o := p.Offsets(); o.LogEnd != 0 {
			b.Fatal(o)
		}
	}
}
