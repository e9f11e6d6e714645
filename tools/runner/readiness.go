package runner

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// apiVersionsRequest is ApiVersions version 0 with a null client id: size, key 18, version 0, correlation id 1, length -1.
var apiVersionsRequest = []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}

// largestReadyAnswer bounds what is read of the answer.
const largestReadyAnswer = 64 << 10

// askApiVersions asks once; nil means that a Kafka broker answered without an error code.
func askApiVersions(ctx context.Context, address string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write(apiVersionsRequest); err != nil {
		return err
	}
	var head [10]byte // size, correlation id, error code
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return fmt.Errorf("no answer to ApiVersions: %w", err)
	}
	size := binary.BigEndian.Uint32(head[0:])
	switch {
	case size < 6 || size > largestReadyAnswer:
		return fmt.Errorf("answer to ApiVersions of %d bytes: not a Kafka broker", size)
	case binary.BigEndian.Uint32(head[4:]) != 1:
		return errors.New("answer to ApiVersions with another correlation id: not a Kafka broker")
	case binary.BigEndian.Uint16(head[8:]) != 0:
		return fmt.Errorf("ApiVersions answered with error code %d", int16(binary.BigEndian.Uint16(head[8:])))
	}
	return nil
}

// awaitReady asks until the broker answers, the process ends, or the deadline passes.
func awaitReady(ctx context.Context, address string, p *process, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready: %s", p.name, p.exitText())
		case <-pause.C:
		}
		err := askApiVersions(ctx, address, time.Second)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not answer on %s within %s: %w", p.name, address, limit, err)
		}
		pause.Reset(2 * time.Millisecond)
	}
}
