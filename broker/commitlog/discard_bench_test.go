package commitlog_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fluxmq/broker/commitlog"
)

// BenchmarkDiscard removes a gigabyte beside a writer that syncs every 2 ms, and
// reports the 99th percentile and the longest of its fdatasyncs. Run it with -benchtime 3x.
func BenchmarkDiscard(b *testing.B) {
	paced := func(perSecond float64) func(string) error {
		var pace commitlog.Pace
		return func(name string) error {
			return commitlog.OS{}.Discard(b.Context(), name, func(bytes int64) error {
				return pace.Wait(b.Context(), bytes, func() (float64, error) { return perSecond, nil })
			})
		}
	}
	for _, c := range []struct {
		name   string
		remove func(string) error
	}{{"nothing", func(string) error { time.Sleep(10 * time.Second); return nil }}, {"unlink", os.Remove}, {"steps", paced(math.MaxFloat64)},
		{"80MB/s", paced(80e6)}, {"40MB/s", paced(40e6)}, {"20MB/s", paced(20e6)}} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			syncs := newSyncsBeside(b, dir)
			for b.Loop() {
				b.StopTimer()
				large := filepath.Join(dir, "large")
				fill(b, large, 1<<30)
				b.StartTimer()
				syncs.during(b, func() error { return c.remove(large) })
			}
			syncs.report(b)
		})
	}
}

func fill(b *testing.B, name string, size int) {
	b.Helper()
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for range size / len(block) {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
}
