package kfake

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// frameLimit bounds a frame in bytes, as Kafka's socket.request.max.bytes does by default.
const frameLimit = 100 << 20

// proxy stands between clients and the broker, where the fake's controls act:
// it takes each request apart as far as they need, and passes on the bytes. The
// broker advertises its address, so that every client of a test goes through it.
type proxy struct {
	listener net.Listener
	broker   string // set before serve
	controls *controls
	faults   *faults
	done     chan struct{} // closed by stop

	mu    sync.Mutex // guards what follows
	conns map[net.Conn]bool
	ended bool
	tasks sync.WaitGroup // the listener's goroutine and those of all connections
}

// newProxy opens a port; idOf tells a topic's id.
func newProxy(idOf func(topic string) [16]byte) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	return &proxy{listener: listener, controls: newControls(done), faults: newFaults(idOf), done: done, conns: map[net.Conn]bool{}}, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// serve accepts clients until stop.
func (p *proxy) serve(broker string) {
	p.broker = broker
	p.tasks.Go(func() { // ends when stop closes the listener, and stop waits for it
		for {
			client, err := p.listener.Accept()
			if err != nil {
				return
			}
			if p.keep(client) {
				p.tasks.Go(func() { p.connection(client) }) // ends when either end closes, or stop closes both
			}
		}
	})
}

// stop closes everything, wakes controls that sleep and waits for all that runs, but not for a control that called it.
func (p *proxy) stop() {
	p.mu.Lock()
	if !p.ended {
		p.ended = true
		close(p.done)
		_ = p.listener.Close() // it took connections only
		for conn := range p.conns {
			_ = conn.Close() // clients see the broker go
		}
	}
	p.mu.Unlock()
	if !p.controls.isRunning() {
		p.tasks.Wait()
	}
}

// keep has stop close the connection; false when it is too late for that.
func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		_ = conn.Close() // nothing was said on it
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close() // the other end is gone already, or is told so
		delete(p.conns, conn)
	}
}

// answer is a reply in the order of its request: the broker's next, or frame, or frame in place of the broker's next.
type answer struct {
	ofBroker bool
	frame    []byte
}

// pipelined bounds the requests of a connection that have no reply yet; clients have far fewer.
const pipelined = 1 << 10

// connection passes requests on, and replies back in their order.
func (p *proxy) connection(client net.Conn) {
	broker, err := net.Dial("tcp", p.broker)
	if err != nil {
		p.drop(client)
		return
	}
	if !p.keep(broker) {
		p.drop(client)
		return
	}
	answers := make(chan answer, pipelined)
	replies := make(chan struct{})
	go func() { // ends when answers is closed; awaited below
		defer close(replies)
		for a := range answers {
			frame, err := a.frame, error(nil)
			if a.ofBroker {
				if frame, err = readFrame(broker); a.frame != nil {
					frame = a.frame
				}
			}
			if err == nil {
				_, err = client.Write(frame)
			}
			if err != nil {
				p.drop(client, broker) // and so the requests end too
			}
		}
	}()
	for {
		frame, err := readFrame(client)
		if err != nil {
			break
		}
		if err := p.request(frame, broker, answers); err != nil {
			break
		}
	}
	p.drop(client, broker)
	close(answers)
	<-replies
}

var errControlled = errors.New("a control closes the connection")

// request has the controls answer a request, or the broker.
func (p *proxy) request(frame []byte, broker net.Conn, answers chan<- answer) error {
	h, err := readHeader(frame)
	if err != nil {
		return err
	}
	wantsReply := true
	var instead []byte
	if h.key == int16(kmsg.Produce) || p.controls.want(h.key) || p.faults.want(h.key) {
		request := kmsg.RequestForKey(h.key)
		if request == nil {
			return fmt.Errorf("no request has the key %d", h.key)
		}
		request.SetVersion(h.version)
		if err := request.ReadFrom(h.body); err != nil {
			return err
		}
		if produce, ok := request.(*kmsg.ProduceRequest); ok {
			wantsReply = produce.Acks != 0
		}
		reply, err, handled := p.controls.try(request)
		switch {
		case err != nil:
			return errors.Join(errControlled, err)
		case handled && reply == nil:
			return nil // it is never answered
		case handled:
			answers <- answer{frame: h.reply(reply)}
			return nil
		}
		if refused, after := p.faults.try(request); refused != nil && wantsReply {
			if instead = h.reply(refused); !after {
				answers <- answer{frame: instead}
				return nil
			}
		}
	}
	if wantsReply {
		answers <- answer{ofBroker: true, frame: instead}
	}
	_, err = broker.Write(frame)
	return err
}

// header is what precedes a request's body.
type header struct {
	key, version int16
	correlation  int32
	body         []byte
}

var errShort = errors.New("the frame is too short")

func readHeader(frame []byte) (h header, err error) {
	b := frame[4:]
	if len(b) < 10 {
		return h, errShort
	}
	h.key, h.version, h.correlation = int16(binary.BigEndian.Uint16(b)), int16(binary.BigEndian.Uint16(b[2:])), int32(binary.BigEndian.Uint32(b[4:]))
	clientID := max(0, int(int16(binary.BigEndian.Uint16(b[8:])))) // -1 is none
	if b = b[10:]; len(b) < clientID {
		return h, errShort
	}
	b = b[clientID:]
	if request := kmsg.RequestForKey(h.key); request != nil {
		request.SetVersion(h.version)
		if request.IsFlexible() {
			if len(b) < 1 || b[0] != 0 {
				return h, errors.New("a header with tags, which no client of a test sends")
			}
			b = b[1:]
		}
	}
	h.body = b
	return h, nil
}

// reply is the frame of a response to the header's request.
func (h header) reply(response kmsg.Response) []byte {
	frame := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(h.correlation))
	if response.IsFlexible() && h.key != int16(kmsg.ApiVersions) {
		frame = append(frame, 0) // no tags
	}
	frame = response.AppendTo(frame)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return frame
}

// readFrame reads one frame, its size included. Memory grows with what arrives, not with what is declared.
func readFrame(from io.Reader) ([]byte, error) {
	frame := make([]byte, 4, 4<<10)
	if _, err := io.ReadFull(from, frame); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(frame))
	if size > frameLimit {
		return nil, fmt.Errorf("a frame of %d bytes", size)
	}
	rest := appendingTo{frame}
	if n, err := io.Copy(&rest, io.LimitReader(from, size)); err != nil || n < size {
		return nil, errors.Join(err, errShort)
	}
	return rest.bytes, nil
}

// appendingTo is a writer into bytes.
type appendingTo struct{ bytes []byte }

func (a *appendingTo) Write(p []byte) (int, error) {
	a.bytes = append(a.bytes, p...)
	return len(p), nil
}
