package differential

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	dialPatience = 5 * time.Second
	// replyPatience bounds the wait for a reply; requests that wait say so themselves.
	replyPatience = 10 * time.Second
	// replyLimit bounds a reply in bytes.
	replyLimit = 64 << 20
)

// clientID of every connection; Kafka begins member ids with it.
const clientID = "differential"

// connection sends whole frames and reads whole frames, one at a time. It is
// a raw one because a client library would choose versions, retry and hide
// what a broker does to a request that is no request.
type connection struct {
	tcp         net.Conn
	formatter   *kmsg.RequestFormatter
	correlation int32
}

func connect(address string) (*connection, error) {
	tcp, err := net.DialTimeout("tcp", address, dialPatience)
	if err != nil {
		return nil, err
	}
	return &connection{tcp: tcp, formatter: kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID))}, nil
}

// close drops the connection; the broker's side is of no interest any more.
func (c *connection) close() { _ = c.tcp.Close() }

// send writes a request at the version it is set to.
func (c *connection) send(request kmsg.Request) error {
	c.correlation++
	return c.write(c.formatter.AppendRequest(nil, request, c.correlation))
}

// sendBody writes a frame of the request's API and version with another body.
func (c *connection) sendBody(request kmsg.Request, body []byte) error {
	c.correlation++
	whole := c.formatter.AppendRequest(nil, request, c.correlation)
	frame := append(whole[:len(whole)-len(request.AppendTo(nil))], body...)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return c.write(frame)
}

func (c *connection) write(frame []byte) error {
	if err := c.tcp.SetWriteDeadline(time.Now().Add(replyPatience)); err != nil {
		return err
	}
	_, err := c.tcp.Write(frame)
	return err
}

// fate is what became of a request that has no reply.
type fate string

const (
	closed   fate = "the connection was closed"
	silent   fate = "no reply" // within the patience given
	answered fate = "answered"
)

// outcome of one request: a reply, or a fate.
type outcome struct {
	fate  fate
	reply kmsg.Response // when answered
	// garbled is why an answer does not decode.
	garbled error
}

// receive waits for the reply to a request that was sent.
func (c *connection) receive(request kmsg.Request, patience time.Duration) outcome {
	frame, err := c.read(patience)
	var n net.Error
	switch {
	case errors.As(err, &n) && n.Timeout():
		return outcome{fate: silent}
	case err != nil:
		return outcome{fate: closed}
	}
	reply, err := decode(request, c.correlation, frame)
	return outcome{fate: answered, reply: reply, garbled: err}
}

func (c *connection) read(patience time.Duration) ([]byte, error) {
	if err := c.tcp.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	var length [4]byte
	if _, err := io.ReadFull(c.tcp, length[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(length[:]))
	if size > replyLimit {
		return nil, fmt.Errorf("a reply of %d bytes", size)
	}
	var frame bytes.Buffer // grows with what arrives
	_, err := io.CopyN(&frame, c.tcp, size)
	return frame.Bytes(), err
}

var errGarbled = errors.New("the reply does not decode")

// decode reads a reply without its length.
func decode(request kmsg.Request, correlation int32, frame []byte) (kmsg.Response, error) {
	if len(frame) < 4 || int32(binary.BigEndian.Uint32(frame)) != correlation {
		return nil, fmt.Errorf("%w: want correlation id %d, got %x", errGarbled, correlation, frame[:min(len(frame), 40)])
	}
	body := frame[4:]
	reply := request.ResponseKind()
	reply.SetVersion(request.GetVersion())
	if request.Key() == protocol.KeyApiVersions && len(body) >= 2 && binary.BigEndian.Uint16(body) == unsupportedVersion {
		reply.SetVersion(0) // KIP-511: the refusal is in the form that every client reads
	} else if reply.IsFlexible() && request.Key() != protocol.KeyApiVersions {
		var err error
		if body, err = skipTags(body); err != nil {
			return nil, err
		}
	}
	if err := reply.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%w: %w: %x", errGarbled, err, body[:min(len(body), 200)])
	}
	return reply, nil
}

const unsupportedVersion = 35

// skipTags steps over the tagged fields of a response header.
func skipTags(b []byte) ([]byte, error) {
	count, n := binary.Uvarint(b)
	for b = b[max(n, 0):]; n > 0 && count > 0; count-- {
		_, n = binary.Uvarint(b)
		if n <= 0 {
			break
		}
		b = b[n:]
		var size uint64
		if size, n = binary.Uvarint(b); n <= 0 || size > uint64(len(b)-n) {
			n = 0
			break
		}
		b = b[n+int(size):]
	}
	if n <= 0 {
		return nil, fmt.Errorf("%w: the tagged fields of the header are cut", errGarbled)
	}
	return b, nil
}
