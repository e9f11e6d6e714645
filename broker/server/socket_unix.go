//go:build unix

package server

import (
	"errors"

	"golang.org/x/sys/unix"
)

// readSocket is read(2), repeated when a signal interrupts it.
func readSocket(fd uintptr, b []byte) (int, error) {
	for {
		n, err := readOnce(fd, b)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// writeSocket is write(2), repeated when a signal interrupts it. It may write a part.
func writeSocket(fd uintptr, b []byte) (int, error) {
	for {
		n, err := writeOnce(fd, b)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// wouldBlock tells that the socket has nothing (or no room) now.
func wouldBlock(err error) bool { return errors.Is(err, unix.EAGAIN) }
