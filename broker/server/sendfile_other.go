//go:build !linux

package server

import (
	"errors"
	"os"
	"syscall"
)

// Elsewhere file ranges are read and written.
const canSendfile = false

type fileSender struct{}

func (f *fileSender) init(syscall.RawConn) {}

func (f *fileSender) more([]byte) error { return errors.ErrUnsupported }

func (f *fileSender) send(*os.File, int64, int64) (int64, error) { return 0, errors.ErrUnsupported }
