//go:build linux && !race

package server

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// shortCall is the most bytes that are moved without telling the scheduler of
// the system call. The sockets do not block, so such a call is over in microseconds and
// its thread needs no relief. On a broker with little to do, telling costs more
// than the call: the first one after a pause wakes the runtime's monitor thread,
// which finds nothing and sleeps again.
const shortCall = 64 << 10

func readOnce(fd uintptr, b []byte) (int, error) {
	if len(b) == 0 || len(b) > shortCall {
		return unix.Read(int(fd), b)
	}
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

func writeOnce(fd uintptr, b []byte) (int, error) {
	if len(b) == 0 || len(b) > shortCall {
		return unix.Write(int(fd), b)
	}
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
