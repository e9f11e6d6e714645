package commitlog

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// discardStep is how much of a file is given back at once. ext4 frees the blocks
// of a file that is unlinked in one go, a quarter of a second for a gigabyte, and
// who waits for an fdatasync on the same file system waits up to a tenth of one
// (BenchmarkDiscard).
const discardStep = 16 << 20

// Discard is FS.Discard. Large files are shortened step by step, as long a pause
// behind each as it took, before they are unlinked; those that somebody still
// reads, or that are small, are unlinked at once.
func (o OS) Discard(name string) error {
	info, err := os.Lstat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		shrink(name, info.Size())
		return os.Remove(name)
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			shrink(filepath.Join(name, e.Name()), info.Size())
		}
	}
	return os.RemoveAll(name)
}

// shrink takes a file's end away until it is small. Whatever hinders it is left to
// the unlinking, which must follow.
func shrink(name string, size int64) {
	if size <= discardStep {
		return
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close() // nothing was written
	if !openedByNobodyElse(f) {
		return
	}
	for size > discardStep {
		size -= discardStep
		began := time.Now()
		if f.Truncate(size) != nil {
			return
		}
		time.Sleep(time.Since(began)) // the pace: half of the time is others'
	}
}

// openedByNobodyElse tells whether f's is the only open file description of its
// file: the kernel gives a write lease, fcntl(2), on no other condition. A file system
// that has no leases knows no answer, which is false.
func openedByNobodyElse(f *os.File) bool {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		return false
	}
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return err == nil
}
