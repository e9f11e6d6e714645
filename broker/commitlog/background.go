package commitlog

import (
	"os"

	"golang.org/x/sys/unix"
)

// backgroundPiece is how much of a file that is opened for background is read at
// once, and so what a producer's sync waits behind (BenchmarkBackgroundRead).
const backgroundPiece = 128 << 10

// OpenForBackground advises the kernel with POSIX_FADV_RANDOM, which holds for this
// descriptor alone, and reads piece by piece. Else each read that misses the page cache
// fetches read_ahead_kb, which hosts tuned for reading logs set to 4 MiB and more.
func (OS) OpenForBackground(name string) (File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM) // advice: without it reads are as right
	return backgroundFile{osFile{f}}, nil
}

type backgroundFile struct{ osFile }

func (f backgroundFile) ReadAt(b []byte, at int64) (n int, err error) {
	for n < len(b) && err == nil {
		var got int
		got, err = f.osFile.ReadAt(b[n:min(n+backgroundPiece, len(b))], at+int64(n))
		n += got
	}
	return n, err
}
