package commitlog_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fluxmq/broker/commitlog"
)

// sparse makes a file of that size without as many blocks.
func sparse(t *testing.T, name string, size int64) {
	t.Helper()
	if err := os.WriteFile(name, []byte("begin"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
}

func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	sparse(t, filepath.Join(dir, "large"), 100<<20)
	sparse(t, filepath.Join(dir, "small"), 5)
	tree := filepath.Join(dir, "tree")
	if err := os.MkdirAll(filepath.Join(tree, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	sparse(t, filepath.Join(tree, "large"), 100<<20)
	sparse(t, filepath.Join(tree, "below", "small"), 5)
	for _, name := range []string{"large", "small", "tree", "none"} {
		if err := (commitlog.OS{}).Discard(t.Context(), filepath.Join(dir, name), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Who has the file open reads it to its end, as after an unlink.
func TestDiscardOfWhatIsRead(t *testing.T) {
	const size = 100 << 20
	dir := t.TempDir()
	for _, name := range []string{filepath.Join(dir, "file"), filepath.Join(dir, "tree", "file")} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		sparse(t, name, size)
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		gone := name
		if filepath.Dir(name) != dir {
			gone = filepath.Dir(name)
		}
		if err := (commitlog.OS{}).Discard(t.Context(), gone, nil); err != nil {
			t.Fatal(err)
		}
		if info, err := f.Stat(); err != nil || info.Size() != size {
			t.Errorf("%s: the reader's file has %d bytes, want %d: %v", name, info.Size(), size, err)
		}
		if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", gone, err)
		}
	}
}

// What is given back is asked for before, but for what is left to the unlinking.
func TestDiscardWaits(t *testing.T) {
	const size = 100 << 20
	dir := t.TempDir()
	name := filepath.Join(dir, "tree", "file")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{name, filepath.Dir(name)} {
		sparse(t, name, size)
		asked, refuse := int64(0), errors.New("enough")
		wait := func(bytes int64) error {
			info, err := os.Stat(name)
			if err != nil || info.Size() != size-asked {
				t.Fatalf("%s: asked for %d after %d, %d of %d bytes are left: %v", path, bytes, asked, info.Size(), size, err)
			}
			if asked >= size/2 {
				return refuse
			}
			asked += bytes
			return nil
		}
		if err := (commitlog.OS{}).Discard(t.Context(), path, wait); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(name); err != nil || info.Size() != size-asked {
			t.Fatalf("%s: refused after %d: %v, %v", path, asked, info, err)
		}
		refuse = nil
		if err := (commitlog.OS{}).Discard(t.Context(), path, func(bytes int64) error { asked += bytes; return nil }); err != nil || asked < size-1<<20 || asked > size {
			t.Errorf("%s: asked for %d of %d bytes: %v", path, asked, size, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

// Who is told to stop leaves the rest, in fewer bytes or none.
func TestDiscardEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "tree", "file")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	sparse(t, name, 1<<40) // in steps it would take long
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{name, filepath.Dir(name)} {
		if err := (commitlog.OS{}).Discard(ctx, path, nil); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(name); err != nil || info.Size() == 0 {
			t.Fatalf("%s: %v, %v", path, info, err)
		}
	}
}
