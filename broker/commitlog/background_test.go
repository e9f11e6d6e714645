package commitlog_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/memfs"
)

// A file opened for background reads like any other, up to its end and past it.
func TestOpenForBackground(t *testing.T) {
	written := make([]byte, 300<<10+7)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range written {
		written[i] = byte(random.Uint32())
	}
	for _, c := range []struct {
		name string
		fs   commitlog.FS
		dir  string
	}{{"os", commitlog.OS{}, t.TempDir()}, {"memfs", memfs.New(), "/data"}} {
		if err := c.fs.MkdirAll(c.dir); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(c.dir, "file")
		if _, err := c.fs.OpenForBackground(name); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s: before it is there: %v", c.name, err)
		}
		plain, err := c.fs.OpenFile(name, os.O_RDWR|os.O_CREATE)
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		if _, err := plain.WriteAt(written, 0); err != nil {
			t.Fatal(err)
		}
		background, err := c.fs.OpenForBackground(name)
		if err != nil {
			t.Fatal(err)
		}
		defer background.Close()
		if err := c.fs.Remove(name); err != nil {
			t.Fatal(err)
		}
		for _, r := range []struct{ at, size int }{{0, 0}, {0, 1}, {0, 128 << 10}, {3, 128<<10 + 1}, {0, len(written)}, {0, len(written) + 1}, {len(written) - 5, 1 << 20}, {len(written), 1}, {len(written) + 9, 300 << 10}} {
			got, want := make([]byte, r.size), make([]byte, r.size)
			n, err := background.ReadAt(got, int64(r.at))
			wantN, wantErr := plain.ReadAt(want, int64(r.at))
			if n != wantN || !bytes.Equal(got[:n], want[:n]) || errors.Is(err, io.EOF) != errors.Is(wantErr, io.EOF) || (err == nil) != (wantErr == nil) {
				t.Errorf("%s: %d bytes at %d: %d, %v, want %d, %v", c.name, r.size, r.at, n, err, wantN, wantErr)
			}
		}
	}
}
