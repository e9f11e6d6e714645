package scale

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// saved is a result that can be kept.
type saved interface {
	result
	Save(path string) error
}

// testKept wants a sound result read back as it was, and ErrNotExist before.
func testKept[R saved](t *testing.T, sound R, load func(string) (R, error)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "deep", "result.json")
	if _, err := load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	if err := sound.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sound, got); diff != "" {
		t.Errorf("-saved +loaded:\n%s", diff)
	}
}

// testRefused wants each change of a sound result refused by Save, which leaves nothing.
func testRefused[R saved](t *testing.T, sound func() R, changes map[string]func(*R)) {
	t.Helper()
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			r := sound()
			change(&r)
			folder := t.TempDir()
			if err := r.Save(filepath.Join(folder, "r.json")); !errors.Is(err, ErrNotAResult) {
				t.Errorf("Save: %v", err)
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
				t.Errorf("it left %v, %v", left, err)
			}
		})
	}
}
