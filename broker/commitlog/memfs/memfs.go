// Package memfs is a commitlog.FS in memory that can crash: a clone of it
// holds what was synced and, of what was not, as much as the caller wants.
// Tests of this and other rooms use it to stop a machine after every single
// file operation.
//
// The model: file contents survive in blocks of BlockSize bytes. A block that
// was written since the file's last Datasync survives or not; the file's size is
// that of the last Datasync, or larger by what survived, and blocks in between
// that did not survive read as zeros. A directory entry (a creation, a rename or a
// removal) that was not made durable by SyncDir is there or not, each on its own;
// but a file that had a durable name and was renamed has one of its names, or both.
package memfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"fluxmq/broker/commitlog"
)

// BlockSize is the unit in which unsynced contents survive a crash.
const BlockSize = 4096

// FS is safe for concurrent use.
type FS struct {
	mu    sync.Mutex
	nodes map[string]*node // by clean path, as programs see it
	saved map[string]*node // the entries that a crash leaves for certain
	locks map[string]bool
	moved []move // renames of directories not yet durable, in order
	ops   int
	// AfterOp is called, without locks held, after each operation that changes
	// something; n counts them from 1.
	AfterOp func(n int, what string)
	// Quota, when above 0, is how many bytes all files may hold.
	Quota int64
}

// node is a file or a directory. Entries of both maps share it.
type node struct {
	dir     bool
	data    []byte
	durable []byte         // contents at the last Datasync
	dirty   map[int64]bool // blocks written since
	shrunk  bool           // truncated below the durable size since
	modTime time.Time
}

// New returns an empty file system with a root directory.
func New() *FS {
	root := &node{dir: true}
	return &FS{nodes: map[string]*node{"/": root}, saved: map[string]*node{"/": root}, locks: map[string]bool{}}
}

// move is the rename of a directory: it survives as a whole or not at all.
type move struct{ from, to string }

func (v move) apply(nodes map[string]*node) {
	for p, n := range below(nodes, v.from) {
		delete(nodes, p)
		nodes[v.to+strings.TrimPrefix(p, v.from)] = n
	}
	if n := nodes[v.from]; n != nil {
		delete(nodes, v.from)
		nodes[v.to] = n
	}
}

var epoch = time.Unix(1_700_000_000, 0)

func clean(name string) string { return path.Clean("/" + filepath.ToSlash(name)) }

func (m *FS) changed(what string) {
	m.mu.Lock()
	m.ops++
	n, f := m.ops, m.AfterOp
	m.mu.Unlock()
	if f != nil {
		f(n, what)
	}
}

// Ops counts the operations so far that changed something.
func (m *FS) Ops() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ops
}

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// OpenFile implements commitlog.FS.
func (m *FS) OpenFile(name string, flag int) (commitlog.File, error) {
	name = clean(name)
	m.mu.Lock()
	n := m.nodes[name]
	created, cut := false, false
	switch {
	case n != nil && n.dir:
		m.mu.Unlock()
		return nil, pathError("open", name, errors.New("is a directory"))
	case n == nil && flag&os.O_CREATE == 0:
		m.mu.Unlock()
		return nil, pathError("open", name, fs.ErrNotExist)
	case n == nil:
		if d := m.nodes[path.Dir(name)]; d == nil || !d.dir {
			m.mu.Unlock()
			return nil, pathError("open", name, fs.ErrNotExist)
		}
		n = &node{modTime: epoch, dirty: map[int64]bool{}}
		m.nodes[name] = n
		created = true
	case flag&os.O_TRUNC != 0 && len(n.data) > 0:
		n.truncate(0)
		cut = true
	}
	m.mu.Unlock()
	if created || cut {
		m.changed("create " + name)
	}
	return &file{fs: m, n: n, name: name}, nil
}

// OpenForBackground implements commitlog.FS.
func (m *FS) OpenForBackground(name string) (commitlog.File, error) {
	return m.OpenFile(name, os.O_RDONLY)
}

// MkdirAll implements commitlog.FS.
func (m *FS) MkdirAll(name string) error {
	name = clean(name)
	m.mu.Lock()
	made := false
	for at := name; m.nodes[at] == nil; at = path.Dir(at) {
		m.nodes[at] = &node{dir: true, modTime: epoch}
		made = true
	}
	m.mu.Unlock()
	if made {
		m.changed("mkdir " + name)
	}
	return nil
}

type info struct {
	name string
	n    *node
	size int64
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return i.size }
func (i info) ModTime() time.Time         { return i.n.modTime }
func (i info) IsDir() bool                { return i.n.dir }
func (i info) Sys() any                   { return nil }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) Type() fs.FileMode          { return i.Mode().Type() }
func (i info) Mode() fs.FileMode {
	if i.n.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// ReadDir implements commitlog.FS.
func (m *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	name = clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.nodes[name]; n == nil || !n.dir {
		return nil, pathError("readdir", name, fs.ErrNotExist)
	}
	var out []fs.DirEntry
	for p, n := range m.nodes {
		if p != "/" && path.Dir(p) == name {
			out = append(out, info{path.Base(p), n, int64(len(n.data))})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name() < out[j].Name() })
	return out, nil
}

// Stat implements commitlog.FS.
func (m *FS) Stat(name string) (fs.FileInfo, error) {
	name = clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.nodes[name]
	if n == nil {
		return nil, pathError("stat", name, fs.ErrNotExist)
	}
	return info{path.Base(name), n, int64(len(n.data))}, nil
}

// Rename implements commitlog.FS.
func (m *FS) Rename(from, to string) error {
	from, to = clean(from), clean(to)
	m.mu.Lock()
	n := m.nodes[from]
	if n == nil {
		m.mu.Unlock()
		return pathError("rename", from, fs.ErrNotExist)
	}
	if n.dir {
		v := move{from, to}
		v.apply(m.nodes)
		m.moved = append(m.moved, v)
	} else {
		delete(m.nodes, from)
		m.nodes[to] = n
	}
	m.mu.Unlock()
	m.changed("rename " + from + " " + to)
	return nil
}

func below(nodes map[string]*node, dir string) map[string]*node {
	out := map[string]*node{}
	for p, n := range nodes {
		if strings.HasPrefix(p, dir+"/") {
			out[p] = n
		}
	}
	return out
}

// Remove implements commitlog.FS.
func (m *FS) Remove(name string) error {
	name = clean(name)
	m.mu.Lock()
	if m.nodes[name] == nil {
		m.mu.Unlock()
		return pathError("remove", name, fs.ErrNotExist)
	}
	delete(m.nodes, name)
	m.mu.Unlock()
	m.changed("remove " + name)
	return nil
}

// RemoveAll implements commitlog.FS.
func (m *FS) RemoveAll(name string) error {
	name = clean(name)
	m.mu.Lock()
	for p := range below(m.nodes, name) {
		delete(m.nodes, p)
	}
	delete(m.nodes, name)
	m.mu.Unlock()
	m.changed("remove all " + name)
	return nil
}

// Discard implements commitlog.FS.
func (m *FS) Discard(_ context.Context, name string, _ func(int64) error) error {
	return m.RemoveAll(name)
}

// SyncDir implements commitlog.FS.
func (m *FS) SyncDir(name string) error {
	name = clean(name)
	m.mu.Lock()
	if n := m.nodes[name]; n == nil || !n.dir {
		m.mu.Unlock()
		return pathError("syncdir", name, fs.ErrNotExist)
	}
	m.syncEntries(name)
	m.mu.Unlock()
	m.changed("syncdir " + name)
	return nil
}

func (m *FS) syncEntries(dir string) {
	kept := m.moved[:0]
	for _, v := range m.moved {
		if path.Dir(v.from) == dir || path.Dir(v.to) == dir {
			v.apply(m.saved)
		} else {
			kept = append(kept, v)
		}
	}
	m.moved = kept
	for p := range m.saved {
		if p != "/" && path.Dir(p) == dir && m.nodes[p] == nil {
			delete(m.saved, p)
		}
	}
	for p, n := range m.nodes {
		if p != "/" && path.Dir(p) == dir {
			m.saved[p] = n
		}
	}
}

// SyncTree implements commitlog.FS: like syncfs, it makes everything durable.
func (m *FS) SyncTree(name string) error {
	m.mu.Lock()
	for p, n := range m.nodes {
		if n.dir {
			m.syncEntries(p)
		} else {
			n.sync()
		}
	}
	m.mu.Unlock()
	m.changed("synctree " + name)
	return nil
}

type lock struct {
	fs   *FS
	name string
}

func (l lock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.name)
	return nil
}

// Lock implements commitlog.FS. A crash clone has no locks.
func (m *FS) Lock(name string) (io.Closer, error) {
	f, err := m.OpenFile(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	name = clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, commitlog.ErrLocked
	}
	m.locks[name] = true
	return lock{m, name}, nil
}

type file struct {
	fs     *FS
	n      *node
	name   string
	closed bool
}

func (f *file) OS() *os.File { return nil }

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

func (f *file) ReadAt(b []byte, at int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return 0, pathError("read", f.name, fs.ErrClosed)
	}
	if at >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// ErrNoSpace is what a write above the quota fails with.
var ErrNoSpace = errors.New("no space left on device")

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	f.fs.mu.Lock()
	if f.closed {
		f.fs.mu.Unlock()
		return 0, pathError("write", f.name, fs.ErrClosed)
	}
	if q := f.fs.Quota; q > 0 && f.fs.usedLocked()+int64(len(b)) > q {
		f.fs.mu.Unlock()
		return 0, pathError("write", f.name, ErrNoSpace)
	}
	end := at + int64(len(b))
	if end > int64(len(f.n.data)) {
		f.n.data = append(f.n.data, make([]byte, end-int64(len(f.n.data)))...)
	}
	copy(f.n.data[at:], b)
	for block := at / BlockSize; block*BlockSize < end; block++ {
		f.n.dirty[block] = true
	}
	f.fs.mu.Unlock()
	f.fs.changed(fmt.Sprintf("write %s %d+%d", f.name, at, len(b)))
	return len(b), nil
}

func (m *FS) usedLocked() int64 {
	used := int64(0)
	for _, n := range m.nodes {
		used += int64(len(n.data))
	}
	return used
}

func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (n *node) truncate(size int64) {
	if size < int64(len(n.data)) {
		n.data = n.data[:size:size]
		n.shrunk = n.shrunk || size < int64(len(n.durable))
	} else {
		n.data = append(n.data, make([]byte, size-int64(len(n.data)))...)
	}
}

func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	same := size == int64(len(f.n.data))
	f.n.truncate(size)
	f.fs.mu.Unlock()
	if !same {
		f.fs.changed(fmt.Sprintf("truncate %s %d", f.name, size))
	}
	return nil
}

func (n *node) sync() {
	n.durable = append(n.durable[:0:0], n.data...)
	n.dirty = map[int64]bool{}
	n.shrunk = false
}

func (f *file) Datasync() error {
	f.fs.mu.Lock()
	if f.closed {
		f.fs.mu.Unlock()
		return pathError("fdatasync", f.name, fs.ErrClosed)
	}
	f.n.sync()
	f.fs.mu.Unlock()
	f.fs.changed("fdatasync " + f.name)
	return nil
}

// Kill releases what a killed process held; contents stay as they are, synced or not.
func (m *FS) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.locks = map[string]bool{}
}

// CrashClone returns the file system as a machine would find it that lost
// power now and kept percent (0 to 100) of each unsynced block and entry, by the
// random source. 100 keeps everything: a killed process on a machine that stayed up.
func (m *FS) CrashClone(percent int, random *rand.Rand) *FS {
	m.mu.Lock()
	defer m.mu.Unlock()
	survives := func() bool { return percent > 0 && (percent >= 100 || random.IntN(100) < percent) }
	c := New()
	c.nodes, c.saved = map[string]*node{}, map[string]*node{}
	clones := map[*node]*node{}
	take := func(p string, n *node) {
		if clones[n] == nil {
			clones[n] = n.crash(survives)
		}
		c.nodes[p] = clones[n]
	}
	nodes, saved := maps.Clone(m.nodes), maps.Clone(m.saved)
	for _, v := range m.moved {
		if survives() {
			v.apply(saved)
		} else {
			move{v.to, v.from}.apply(nodes)
		}
	}
	names := make([]string, 0, len(nodes)+len(saved))
	for p := range nodes {
		names = append(names, p)
	}
	for p := range saved {
		if nodes[p] == nil {
			names = append(names, p)
		}
	}
	sort.Strings(names) // one seed, one outcome; and parents come first
	durable := map[*node]bool{}
	for _, n := range saved {
		durable[n] = true
	}
	for _, p := range names {
		if p != "/" {
			if parent := c.nodes[path.Dir(p)]; parent == nil || !parent.dir {
				continue
			}
		}
		now, before := nodes[p], saved[p]
		switch {
		case now == before || now != nil && survives():
			take(p, now)
		case now == nil && survives(): // the removal reached the disk
		case before != nil:
			take(p, before)
		}
	}
	for _, p := range names {
		if n := nodes[p]; n != nil && !n.dir && clones[n] == nil && durable[n] && c.nodes[path.Dir(p)] != nil {
			take(p, n)
		}
	}
	for p, n := range c.nodes {
		c.saved[p] = n
	}
	return c
}

// crash is what is left of a node's contents.
func (n *node) crash(survives func() bool) *node {
	out := &node{dir: n.dir, modTime: n.modTime, dirty: map[int64]bool{}}
	if n.dir {
		return out
	}
	data := append([]byte(nil), n.durable...)
	if n.shrunk && survives() {
		data = data[:min(len(data), len(n.data))]
	}
	blocks := make([]int64, 0, len(n.dirty))
	for b := range n.dirty {
		blocks = append(blocks, b)
	}
	sort.Slice(blocks, func(i, j int) bool { return blocks[i] < blocks[j] })
	for _, b := range blocks {
		from := b * BlockSize
		if from >= int64(len(n.data)) || !survives() {
			continue
		}
		to := min(from+BlockSize, int64(len(n.data)))
		if to > int64(len(data)) {
			data = append(data, make([]byte, to-int64(len(data)))...)
		}
		copy(data[from:to], n.data[from:to])
	}
	out.data = data
	out.durable = append([]byte(nil), data...)
	return out
}

// ReadFile returns a file's contents, for tests.
func (m *FS) ReadFile(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.nodes[clean(name)]
	if n == nil {
		return nil, pathError("open", name, fs.ErrNotExist)
	}
	return append([]byte(nil), n.data...), nil
}

// WriteFile sets a file's contents, durably, for tests that damage files.
func (m *FS) WriteFile(name string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := &node{data: append([]byte(nil), data...), modTime: epoch, dirty: map[int64]bool{}}
	n.sync()
	m.nodes[clean(name)], m.saved[clean(name)] = n, n
}

// Names lists every file below a directory.
func (m *FS) Names(dir string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for p, n := range m.nodes {
		if !n.dir && strings.HasPrefix(p, clean(dir)) {
			out = append(out, p)
		}
	}
	sort.Strings(out)
	return out
}
