package commitlog_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// syncsBeside are the fdatasyncs of a writer beside whom others work on the same disk.
type syncsBeside struct {
	small *os.File
	took  []time.Duration
}

func newSyncsBeside(b *testing.B, dir string) *syncsBeside {
	small, err := os.Create(filepath.Join(dir, "small"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = small.Close() })
	return &syncsBeside{small: small}
}

// during syncs every 2 ms until work is done, and once more: what it left to the journal counts.
func (s *syncsBeside) during(b *testing.B, work func() error) {
	worked := make(chan error, 1)
	go func() { worked <- work() }() // ends with its answer, which is awaited
	for done := false; !done; {
		select {
		case err := <-worked:
			if err != nil {
				b.Fatal(err)
			}
			done = true
		case <-time.After(2 * time.Millisecond):
		}
		began := time.Now()
		if _, err := s.small.WriteAt(make([]byte, 200), 0); err != nil {
			b.Fatal(err)
		}
		if err := s.small.Sync(); err != nil {
			b.Fatal(err)
		}
		s.took = append(s.took, time.Since(began))
	}
}

func (s *syncsBeside) report(b *testing.B) {
	slices.Sort(s.took)
	b.ReportMetric(float64(s.took[len(s.took)*99/100].Microseconds())/1e3, "p99-sync-ms")
	b.ReportMetric(float64(s.took[len(s.took)-1].Microseconds())/1e3, "longest-sync-ms")
}
