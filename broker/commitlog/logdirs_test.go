package commitlog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/errfs"
	"fluxmq/broker/commitlog/memfs"
)

func closeDirs(t testing.TB, dirs []*commitlog.LogDir, clean bool) {
	t.Helper()
	for _, d := range dirs {
		if err := d.Close(clean); err != nil {
			t.Error(err)
		}
	}
}

// brokenAt fails every operation below one of the paths.
func brokenAt(inner commitlog.FS, paths ...string) *errfs.FS {
	return &errfs.FS{Inner: inner, Before: func(op, name string) error {
		for _, path := range paths {
			if strings.HasPrefix(name, path) {
				return fmt.Errorf("%s %s: input/output error", op, name)
			}
		}
		return nil
	}}
}

// The directories of a node have one owner and one leader epoch, and none has
// the same id as another.
func TestOpenDirs(t *testing.T) {
	fs := memfs.New()
	unknown := commitlog.Identity{NodeID: -1}
	dirs, failed, err := commitlog.OpenDirs(fs, []string{"/one", "/two"}, unknown, "boot")
	if err != nil || len(dirs) != 2 || len(failed) != 0 {
		t.Fatalf("%v, %v, %v", dirs, failed, err)
	}
	if dirs[0].Identity != dirs[1].Identity || dirs[0].DirectoryID == dirs[1].DirectoryID || dirs[0].Identity.ClusterID == "" {
		t.Errorf("%+v and %+v", dirs[0], dirs[1])
	}
	owner := dirs[0].Identity
	// The second was not closed properly: its epoch rises, and that of all.
	closeDirs(t, dirs[:1], true)
	closeDirs(t, dirs[1:], false)
	dirs, _, err = commitlog.OpenDirs(fs, []string{"/one", "/two"}, unknown, "boot")
	if err != nil {
		t.Fatal(err)
	}
	if !dirs[0].Clean || dirs[1].Clean || dirs[0].LeaderEpoch != 1 || dirs[1].LeaderEpoch != 1 {
		t.Errorf("clean %v with epoch %d, clean %v with epoch %d", dirs[0].Clean, dirs[0].LeaderEpoch, dirs[1].Clean, dirs[1].LeaderEpoch)
	}
	closeDirs(t, dirs, true)
	// A new one that is named first is not made another cluster's.
	dirs, _, err = commitlog.OpenDirs(fs, []string{"/new", "/one", "/two"}, unknown, "boot")
	if err != nil || dirs[0].Identity != owner || dirs[0].LeaderEpoch != 1 {
		t.Fatalf("%+v, %v", dirs, err)
	}
	closeDirs(t, dirs, true)
}

func TestOpenDirsThatFail(t *testing.T) {
	unknown := commitlog.Identity{NodeID: -1}
	for _, c := range []struct {
		why    string
		broken []string
		before func(fs *memfs.FS)
		want   error // nil: they are opened
		failed int
	}{
		{"a disk that fails", []string{"/two"}, nil, nil, 1},
		{"all but the first", []string{"/two", "/three"}, nil, nil, 2},
		{"a disk that fails when the epoch is written", []string{"/two/fluxmq.properties"}, nil, nil, 1},
		{"the first, which has the metadata", []string{"/one"}, nil, errAny, 0},
		{"what is not a broker's", nil, func(fs *memfs.FS) { fs.WriteFile("/two/thesis.txt", nil) }, commitlog.ErrForeignDir, 0},
		{"one that another process has", nil, func(fs *memfs.FS) {
			if _, err := commitlog.OpenDir(fs, "/two", unknown, ""); err != nil {
				t.Fatal(err)
			}
		}, commitlog.ErrLocked, 0},
		{"another cluster's", nil, func(fs *memfs.FS) {
			d, err := commitlog.OpenDir(fs, "/one", commitlog.Identity{ClusterID: "mine"}, "")
			if err != nil {
				t.Fatal(err)
			}
			closeDirs(t, []*commitlog.LogDir{d}, true)
			d, err = commitlog.OpenDir(fs, "/three", commitlog.Identity{ClusterID: "theirs"}, "")
			if err != nil {
				t.Fatal(err)
			}
			closeDirs(t, []*commitlog.LogDir{d}, true)
		}, commitlog.ErrOtherOwner, 0},
		{"a copy of another", nil, func(fs *memfs.FS) {
			d, err := commitlog.OpenDir(fs, "/one", unknown, "")
			if err != nil {
				t.Fatal(err)
			}
			closeDirs(t, []*commitlog.LogDir{d}, true)
			b, err := fs.ReadFile("/one/meta.properties")
			if err != nil {
				t.Fatal(err)
			}
			if err := fs.MkdirAll("/three"); err != nil {
				t.Fatal(err)
			}
			fs.WriteFile("/three/meta.properties", b)
		}, commitlog.ErrOtherOwner, 0},
	} {
		fs := memfs.New()
		if c.before != nil {
			if err := fs.MkdirAll("/two"); err != nil {
				t.Fatal(err)
			}
			c.before(fs)
		}
		dirs, failed, err := commitlog.OpenDirs(brokenAt(fs, c.broken...), []string{"/one", "/two", "/three"}, unknown, "boot")
		if (err != nil) != (c.want != nil) || c.want != nil && c.want != errAny && !errors.Is(err, c.want) || len(failed) != c.failed || err == nil && len(dirs) != 3-c.failed {
			t.Errorf("%s: %d opened, %v failed, %v", c.why, len(dirs), failed, err)
		}
		closeDirs(t, dirs, true)
		// What was opened before the error is released.
		if err != nil && c.want != commitlog.ErrLocked {
			if d, err := commitlog.OpenDir(fs, "/one", unknown, "boot"); err != nil {
				t.Errorf("%s: /one is not released: %v", c.why, err)
			} else {
				closeDirs(t, []*commitlog.LogDir{d}, true)
			}
		}
	}
}

var errAny = errors.New("any")

func TestMoveMark(t *testing.T) {
	fs := memfs.New()
	if err := fs.MkdirAll("/one/t-0"); err != nil {
		t.Fatal(err)
	}
	if m, err := commitlog.ReadMoveMark(fs, "/one/t-0"); m != nil || err != nil {
		t.Fatalf("without a mark: %v, %v", m, err)
	}
	two := &commitlog.LogDir{Path: "/two", DirectoryID: "AAAAAAAAAAAAAAAAAAAAAA"}
	old := &commitlog.LogDir{Path: "/old"} // of a Kafka that gave no directory.id
	for _, to := range []*commitlog.LogDir{two, old} {
		if err := commitlog.WriteMoveMark(fs, "/one/t-0", to); err != nil {
			t.Fatal(err)
		}
		m, err := commitlog.ReadMoveMark(fs, "/one/t-0")
		if err != nil || !m.Names(to) || m.Path != to.Path {
			t.Errorf("%+v, %v", m, err)
		}
		if to == two {
			if !m.Names(&commitlog.LogDir{Path: "/elsewhere", DirectoryID: two.DirectoryID}) || m.Names(&commitlog.LogDir{Path: "/two", DirectoryID: "B"}) {
				t.Error("a directory that was mounted elsewhere is not it, or another in its place is")
			}
		}
	}
	for range 2 { // the second finds none
		if err := commitlog.RemoveMoveMark(fs, "/one/t-0"); err != nil {
			t.Fatal(err)
		}
	}
	fs.WriteFile(commitlog.MoveMarkPath("/one/t-0"), []byte("?"))
	if m, err := commitlog.ReadMoveMark(fs, "/one/t-0"); err == nil {
		t.Errorf("a mark that says nothing: %+v", m)
	}
}
