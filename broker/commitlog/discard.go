package commitlog

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// discardStep is how much of a file is given back at once. ext4 frees the blocks
// of a file that is unlinked in one go, and who waits for an fdatasync on the same
// file system waits for that (BenchmarkDiscard).
const discardStep = 512 << 10

// Discard is FS.Discard. Large files are shortened step by step before they are
// unlinked; those that somebody still reads, or that are small, are unlinked at once.
func (o OS) Discard(ctx context.Context, name string, wait func(bytes int64) error) error {
	info, err := os.Lstat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if !shrink(ctx, name, info.Size(), wait) {
			return nil
		}
		return os.Remove(name)
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			if !shrink(ctx, filepath.Join(name, e.Name()), info.Size(), wait) {
				return nil
			}
		}
	}
	return os.RemoveAll(name)
}

// shrink takes a file's end away until it is small. Whatever hinders it is left to
// the unlinking, which must follow unless it reports false: ctx or wait has ended it.
func shrink(ctx context.Context, name string, size int64, wait func(bytes int64) error) bool {
	if size <= discardStep {
		return true
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return true
	}
	defer f.Close() // nothing was written
	if !openedByNobodyElse(f) {
		return true
	}
	for size > discardStep {
		if ctx.Err() != nil || wait != nil && wait(discardStep) != nil {
			return false
		}
		size -= discardStep
		if f.Truncate(size) != nil {
			return true
		}
	}
	return true
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
