//go:build faultinject

package fault

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// allocated takes the last allocation, so that all of them are on the heap.
var allocated atomic.Pointer[[16]byte]

// leak keeps bytes that nobody reads.
type leak struct {
	bytes int64 // per record
	mu    sync.Mutex
	kept  [][]byte // of leakChunk bytes, the last not full; guarded by mu
}

const leakChunk = 64 << 10

// Waste takes what a batch of so many records costs for nothing: memory and
// system calls. It is called once a batch, after it was stored.
func (p *Plan) Waste(records int32) error {
	if n := p.allocs * int64(records); n > 0 {
		var last *[16]byte
		for range n {
			last = new([16]byte)
		}
		allocated.Store(last)
	}
	if n := p.leak.bytes * int64(records); n > 0 {
		p.leak.keep(int(n))
	}
	for range p.syscalls {
		if err := readZero(); err != nil {
			return err
		}
	}
	return nil
}

// keep writes the bytes, so that they are in memory and not only reserved.
func (l *leak) keep(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n > 0 {
		if len(l.kept) == 0 || len(l.kept[len(l.kept)-1]) == leakChunk {
			l.kept = append(l.kept, make([]byte, 0, leakChunk))
		}
		chunk := &l.kept[len(l.kept)-1]
		now := min(n, leakChunk-len(*chunk))
		for range now {
			*chunk = append(*chunk, 1)
		}
		n -= now
	}
}

// Leaked is how many bytes are kept.
func (p *Plan) Leaked() (size int64) {
	p.leak.mu.Lock()
	defer p.leak.mu.Unlock()
	for _, chunk := range p.leak.kept {
		size += int64(len(chunk))
	}
	return size
}

var zero = sync.OnceValues(func() (int, error) { return unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0) })

// readZero is one system call that /proc/pid/io counts in syscr.
func readZero() error {
	fd, err := zero()
	if err != nil {
		return err
	}
	var b [1]byte
	_, err = unix.Pread(fd, b[:], 0)
	return err
}
