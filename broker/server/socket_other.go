//go:build unix && (!linux || race)

package server

import "golang.org/x/sys/unix"

// The race detector learns from package unix what a socket orders.

func readOnce(fd uintptr, b []byte) (int, error) { return unix.Read(int(fd), b) }

func writeOnce(fd uintptr, b []byte) (int, error) { return unix.Write(int(fd), b) }
