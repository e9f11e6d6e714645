package commitlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// FS is every file operation this room makes. Three implementations: OS, the
// crash-clone memory FS (memfs) and the error and latency injector (errfs).
// All methods are safe for concurrent use; names are slash-separated paths.
type FS interface {
	// OpenFile opens a file with os.O_* flags; new files get mode 0644.
	OpenFile(name string, flag int) (File, error)
	// OpenForBackground opens a file for reading in a way that holds up others on the
	// same disk little, and is slower than it need be: nothing is read ahead.
	OpenForBackground(name string) (File, error)
	// MkdirAll makes a directory and its parents; an existing one is no error.
	MkdirAll(name string) error
	// ReadDir lists a directory sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Stat fails with fs.ErrNotExist when there is nothing of that name.
	Stat(name string) (fs.FileInfo, error)
	Rename(from, to string) error
	Remove(name string) error
	// RemoveAll removes a tree; nothing there is no error.
	RemoveAll(name string) error
	// Discard removes a file, or a tree, that no name in use leads to any more,
	// without holding up who writes beside it: it takes its time. Nothing there is
	// no error. Until it returns, and after a crash, some of it may be left, shorter.
	// Before so many bytes are given back wait is called, unless it is nil. When it
	// fails, or ctx ends, Discard returns soon, without an error, and the rest is left.
	Discard(ctx context.Context, name string, wait func(bytes int64) error) error
	// SyncDir makes the entries of one directory durable.
	SyncDir(name string) error
	// SyncTree makes everything below a directory durable, contents and entries.
	SyncTree(name string) error
	// Lock takes an exclusive lock that dies with the process. ErrLocked when
	// another holds it.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt and WriteAt may run concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Size() (int64, error)
	// Datasync makes the contents, and the metadata needed to read them back, durable.
	Datasync() error
	// OS is the operating system's file, or nil when there is none.
	OS() *os.File
}

// ErrLocked means that another process holds the lock of a log directory.
var ErrLocked = errors.New("locked by another process")

// OS is the operating system's file system.
type OS struct{}

type osFile struct{ f *os.File }

func (OS) OpenFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (OS) MkdirAll(name string) error                 { return os.MkdirAll(name, 0o755) }
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (OS) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }
func (OS) Rename(from, to string) error               { return os.Rename(from, to) }
func (OS) Remove(name string) error                   { return os.Remove(name) }
func (OS) RemoveAll(name string) error                { return os.RemoveAll(name) }

func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// SyncTree is syncfs(2): one call instead of one per file, which is what makes
// closing ten thousand partitions bearable. It also writes back what others
// have dirty on the same file system.
func (OS) SyncTree(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = retryInterrupted(func() error { return unix.Syncfs(int(d.Fd())) })
	if err != nil {
		err = fmt.Errorf("syncfs %s: %w", name, err)
	}
	return errors.Join(err, d.Close())
}

func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = retryInterrupted(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f osFile) ReadAt(b []byte, at int64) (int, error)  { return f.f.ReadAt(b, at) }
func (f osFile) WriteAt(b []byte, at int64) (int, error) { return f.f.WriteAt(b, at) }
func (f osFile) Close() error                            { return f.f.Close() }
func (f osFile) Truncate(size int64) error               { return f.f.Truncate(size) }
func (f osFile) OS() *os.File                            { return f.f }

func (f osFile) Size() (int64, error) {
	info, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Datasync() error {
	if err := retryInterrupted(func() error { return unix.Fdatasync(int(f.f.Fd())) }); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.f.Name(), Err: err}
	}
	return nil
}

// retryInterrupted calls f again while a signal interrupted it; no other error is retried.
func retryInterrupted(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// DefaultOpenFiles is how many segments may be open at once: a quarter of the
// process's descriptors, at most 4096.
func DefaultOpenFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 256
	}
	return int(min(limit.Cur/4, 4096))
}
