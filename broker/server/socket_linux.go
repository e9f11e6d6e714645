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
	return untold(unix.SYS_READ, fd, b)
}

func writeOnce(fd uintptr, b []byte) (int, error) {
	if len(b) == 0 || len(b) > shortCall {
		return unix.Write(int(fd), b)
	}
	return untold(unix.SYS_WRITE, fd, b)
}

// untold makes a call that the scheduler is not told of.
func untold(call, fd uintptr, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
