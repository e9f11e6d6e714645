//go:build !linux

package server

import (
	"errors"
	"net"
	"syscall"
)

// lot is for Linux; elsewhere no connection is parked.
type lot struct{}

func (l *lot) reserve(*Server) bool { return false }

func (l *lot) enter(*conn, int) {}

func (l *lot) close() {}

func (l *lot) size() int { return 0 }

func duplicate(syscall.RawConn) (int, error) { return 0, errors.ErrUnsupported }

func reopen(int) (*net.TCPConn, error) { return nil, errors.ErrUnsupported }

func closeSocket(int) {}
