package commitlog_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"fluxmq/broker/commitlog"
)

// BenchmarkCopyBeside writes a file at 30 MB/s, as the cleaner does where most records
// stay, beside a writer that syncs every 2 ms, and reports the latencies of its
// fdatasyncs from the intended times. The ways take turns, five of two seconds
// each. Run it with -benchtime 3x.
func BenchmarkCopyBeside(b *testing.B) {
	const (
		piece  = 128 << 10
		rate   = 30e6
		turn   = 2 * time.Second
		rounds = 5
	)
	ways := []struct {
		name string
		sync func(f commitlog.File, at int64) error // nil: nothing is written
	}{
		{"nothing", nil},
		{"datasync", func(f commitlog.File, _ int64) error { return f.Datasync() }},
		{"writeback", func(f commitlog.File, at int64) error { return f.WriteBack(at, piece) }},
	}
	dir := b.TempDir()
	open := func(name string) commitlog.File {
		f, err := (commitlog.OS{}).OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		return f
	}
	small, copied := open("small"), open("copy")
	took := make([][]time.Duration, len(ways))
	at := int64(0)
	for b.Loop() {
		for i := range rounds * len(ways) {
			way := i % len(ways)
			until := time.Now().Add(turn)
			done := make(chan error, 1)
			go func() { // ends with its turn, which is awaited
				done <- func() error {
					for next := time.Now(); ways[way].sync != nil && next.Before(until); next = next.Add(time.Second * piece / rate) {
						time.Sleep(time.Until(next))
						if _, err := copied.WriteAt(make([]byte, piece), at); err != nil {
							return err
						}
						if err := ways[way].sync(copied, at); err != nil {
							return err
						}
						at += piece
					}
					return nil
				}()
			}()
			for intended := time.Now(); intended.Before(until); intended = intended.Add(2 * time.Millisecond) {
				time.Sleep(time.Until(intended))
				if _, err := small.WriteAt(make([]byte, 200), int64(len(took[way]))*200); err != nil {
					b.Fatal(err)
				}
				if err := small.Datasync(); err != nil {
					b.Fatal(err)
				}
				took[way] = append(took[way], time.Since(intended))
			}
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
	}
	for i, w := range ways {
		slices.Sort(took[i])
		b.ReportMetric(float64(took[i][len(took[i])*99/100].Microseconds())/1e3, w.name+"-p99-ms")
	}
}
