// Package errfs is a commitlog.FS that fails or delays operations of another
// one, for tests.
package errfs

import (
	"context"
	"io"
	"io/fs"

	"fluxmq/broker/commitlog"
)

// FS passes everything to Inner, asking Before first. Safe for concurrent use
// if Before is.
type FS struct {
	Inner commitlog.FS
	// Before is called with the operation ("write", "fdatasync", "open",
	// "rename", …) and the file's name. An error fails the operation, which then does not
	// happen; to delay, block.
	Before func(op, name string) error
}

func (f *FS) OpenFile(name string, flag int) (commitlog.File, error) {
	return f.open(name, func() (commitlog.File, error) { return f.Inner.OpenFile(name, flag) })
}

func (f *FS) OpenForBackground(name string) (commitlog.File, error) {
	return f.open(name, func() (commitlog.File, error) { return f.Inner.OpenForBackground(name) })
}

func (f *FS) open(name string, inner func() (commitlog.File, error)) (commitlog.File, error) {
	if err := f.Before("open", name); err != nil {
		return nil, err
	}
	opened, err := inner()
	if err != nil {
		return nil, err
	}
	return &file{File: opened, fs: f, name: name}, nil
}

func (f *FS) MkdirAll(name string) error {
	if err := f.Before("mkdir", name); err != nil {
		return err
	}
	return f.Inner.MkdirAll(name)
}

func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.Before("readdir", name); err != nil {
		return nil, err
	}
	return f.Inner.ReadDir(name)
}

func (f *FS) Stat(name string) (fs.FileInfo, error) {
	if err := f.Before("stat", name); err != nil {
		return nil, err
	}
	return f.Inner.Stat(name)
}

func (f *FS) Rename(from, to string) error {
	if err := f.Before("rename", from); err != nil {
		return err
	}
	return f.Inner.Rename(from, to)
}

func (f *FS) Remove(name string) error {
	if err := f.Before("remove", name); err != nil {
		return err
	}
	return f.Inner.Remove(name)
}

func (f *FS) RemoveAll(name string) error {
	if err := f.Before("removeall", name); err != nil {
		return err
	}
	return f.Inner.RemoveAll(name)
}

func (f *FS) Discard(ctx context.Context, name string, wait func(bytes int64) error) error {
	if err := f.Before("discard", name); err != nil {
		return err
	}
	return f.Inner.Discard(ctx, name, wait)
}

func (f *FS) SyncDir(name string) error {
	if err := f.Before("syncdir", name); err != nil {
		return err
	}
	return f.Inner.SyncDir(name)
}

func (f *FS) SyncTree(name string) error {
	if err := f.Before("synctree", name); err != nil {
		return err
	}
	return f.Inner.SyncTree(name)
}

func (f *FS) Lock(name string) (io.Closer, error) {
	if err := f.Before("lock", name); err != nil {
		return nil, err
	}
	return f.Inner.Lock(name)
}

type file struct {
	commitlog.File
	fs   *FS
	name string
}

func (f *file) ReadAt(b []byte, at int64) (int, error) {
	if err := f.fs.Before("read", f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, at)
}

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	if err := f.fs.Before("write", f.name); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, at)
}

func (f *file) Truncate(size int64) error {
	if err := f.fs.Before("truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *file) Datasync() error {
	if err := f.fs.Before("fdatasync", f.name); err != nil {
		return err
	}
	return f.File.Datasync()
}
