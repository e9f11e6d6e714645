package loadgen

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// DialWithBuffers dials TCP with the socket buffers of send.buffer.bytes and
// receive.buffer.bytes; 0 or less leaves them to the operating system, as
// Kafka's -1 does. They are set before connecting, so that the window scale fits.
func DialWithBuffers(sendBytes, receiveBytes int) *net.Dialer {
	return &net.Dialer{
		Timeout: 10 * time.Second,
		ControlContext: func(_ context.Context, _, _ string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) {
				if sendBytes > 0 {
					failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBytes)
				}
				if receiveBytes > 0 && failed == nil {
					failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBytes)
				}
			})
			if err != nil {
				return err
			}
			return failed
		},
	}
}
