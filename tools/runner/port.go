package runner

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

const (
	// lowestPort leaves out the ports that services have by name.
	lowestPort = 15000
	// portTries is how many ports are tried below the ephemeral range.
	portTries = 64
)

// freePort finds a loopback port that is free now and that no outgoing
// connection is given: the kernel takes those of the ephemeral range for itself,
// also for the connections that ask whether the broker answers yet, and then the
// broker finds its port in use. Where nothing lies below that range, any free
// port must do. Safe for concurrent use.
func freePort() (int, error) {
	if end := ephemeralFrom(); end > lowestPort {
		for range portTries {
			if port, err := listenOnce(lowestPort + rand.IntN(end-lowestPort)); err == nil {
				return port, nil
			}
		}
	}
	port, err := listenOnce(0)
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	return port, nil
}

// listenOnce listens on a loopback port, 0: any, and lets it go.
func listenOnce(port int) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// ephemeralFrom is the first port that outgoing connections are given; 0 when it is not known.
//
// Source: Linux, Documentation/networking/ip-sysctl, ip_local_port_range.
func ephemeralFrom() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0
	}
	var from, to int
	if _, err := fmt.Sscan(string(text), &from, &to); err != nil {
		return 0
	}
	return from
}
