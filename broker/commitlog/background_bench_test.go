package commitlog_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fluxmq/broker/commitlog"
)

// BenchmarkBackgroundRead reads 256 MB that are not in the page cache, 1 MiB at a
// time and 40 MB a second, beside a writer that syncs every 2 ms, and reports the
// 99th percentile and the longest of its fdatasyncs: reading nothing, through a plain
// descriptor, through one without readahead, and as the cleaner does, in pieces.
// Run it with -benchtime 3x.
func BenchmarkBackgroundRead(b *testing.B) {
	const size, rate = 256 << 20, 40e6
	nothing := func(string) (io.ReaderAt, error) { return nil, nil }
	plain := func(name string) (io.ReaderAt, error) { return os.Open(name) }
	random := func(name string) (io.ReaderAt, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		return f, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM)
	}
	background := func(name string) (io.ReaderAt, error) { return commitlog.OS{}.OpenForBackground(name) }
	for _, c := range []struct {
		name string
		open func(name string) (io.ReaderAt, error)
	}{{"nothing", nothing}, {"plain", plain}, {"random", random}, {"background", background}} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			large := filepath.Join(dir, "large")
			fill(b, large, size)
			syncs := newSyncsBeside(b, dir)
			chunk := make([]byte, 1<<20)
			for b.Loop() {
				b.StopTimer()
				forget(b, large)
				f, err := c.open(large)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				syncs.during(b, func() error {
					began := time.Now()
					for at := int64(0); at < size; at += int64(len(chunk)) {
						time.Sleep(time.Until(began.Add(time.Duration(float64(at) / rate * 1e9))))
						if f == nil {
							continue
						}
						if _, err := f.ReadAt(chunk, at); err != nil {
							return err
						}
					}
					return nil
				})
				if closer, is := f.(io.Closer); is {
					_ = closer.Close() // it was only read
				}
			}
			syncs.report(b)
		})
	}
}

// forget drops a file from the page cache.
func forget(b *testing.B, name string) {
	b.Helper()
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		b.Fatal(err)
	}
}
