package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"

	"fluxmq/loadgen"
)

const (
	writeMostBytes   = 256 << 10 // of whole frames in one write, unless one frame is larger
	responseMost     = 1 << 20   // a larger response is no answer to a Produce request
	responseDeadline = 30 * time.Second
)

// connection replays one cycle over one TCP connection, with at most depth
// requests without a response.
type connection struct {
	loadgen.Tally
	number  int
	cycle   *cycle
	socket  net.Conn
	acks    bool
	depth   int
	clock   *loadgen.Clock
	gate    *loadgen.Gate
	pacer   loadgen.Pacer
	latency *loadgen.Recorder
	quota   int64 // records of the window; 0: until the gate closes

	sent      atomic.Int64 // requests written
	completed atomic.Int64 // requests answered; acks=0: written
	waiting   atomic.Bool
	wakeAt    atomic.Int64 // the waiter wants fewer than that many without response
	wake      chan struct{}
	times     []requestTime // ring of depth
	prefixes  [][]byte      // per partition slot: a response after its correlation id, up to the error code
	readEnded chan struct{}
	readErr   error // why reading ended; after readEnded
	closing   atomic.Bool

	raw, compressed atomic.Int64 // record bytes sent
}

type requestTime struct {
	intendedNs int64
	measured   bool
}

// run sends until the gate closes, the quota is reached, ctx ends or the broker fails.
func (c *connection) run(ctx context.Context, startNs int64) error {
	defer func() { c.Ended(c.clock.Now()) }()
	release := context.AfterFunc(ctx, func() { _ = c.socket.SetWriteDeadline(time.Now()) }) // wakes a blocked write; a closed socket is fine
	defer release()
	at := 0
	for n := int64(0); ; {
		if err := c.awaitRoom(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		intended := c.clock.Now()
		if c.pacer.Paced() {
			now := intended
			intended = startNs + c.pacer.Offset(n)
			if intended > now && !c.gate.Over(intended) {
				if loadgen.SleepNs(ctx, intended-now) != nil {
					return nil
				}
			}
		}
		if c.gate.Over(intended) {
			return nil
		}
		measured := c.gate.Measured(intended)
		if measured && c.quota > 0 && c.Tally.Measured() >= c.quota {
			return nil
		}
		count, err := c.write(at, c.room(measured), intended, measured)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return c.failure(err)
		}
		n += int64(count)
		at = (at + count) % len(c.cycle.frames)
	}
}

// room is how many requests may be written at once.
func (c *connection) room(measured bool) int {
	if c.pacer.Paced() || (measured && c.quota > 0) {
		return 1
	}
	if !c.acks {
		return c.depth
	}
	return c.depth - int(c.open())
}

// awaitRoom waits until fewer than depth requests are without response. Once
// the pipeline is full, a closed loop waits until half of it is answered and
// then writes that half at once: one system call for many small requests.
func (c *connection) awaitRoom(ctx context.Context) error {
	if !c.acks || c.open() < int64(c.depth) {
		return c.ended()
	}
	low := int64(c.depth)
	if !c.pacer.Paced() {
		low = int64(c.depth - c.depth/2)
	}
	c.wakeAt.Store(low)
	for c.open() >= low {
		c.waiting.Store(true)
		if c.open() < low {
			break
		}
		if err := c.awaitWake(ctx); err != nil {
			return err
		}
	}
	return c.ended()
}

// open counts requests without response.
func (c *connection) open() int64 { return c.sent.Load() - c.completed.Load() }

// ended is why the reader ended, nil while it reads.
func (c *connection) ended() error {
	select {
	case <-c.readEnded:
		return c.failure(io.EOF)
	default:
		return nil
	}
}

func (c *connection) awaitWake(ctx context.Context) error {
	select {
	case <-c.wake:
		return nil
	case <-c.readEnded:
		return c.failure(io.EOF)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failure prefers the reader's reason, which is the cause, over the writer's.
func (c *connection) failure(err error) error {
	select {
	case <-c.readEnded:
		if c.readErr != nil {
			err = c.readErr
		}
	default:
	}
	return fmt.Errorf("wire: connection %d: %w", c.number, err)
}

// write sends whole frames from index at on in one call: at most most, up to
// the cycle's end or writeMostBytes, and at least one.
func (c *connection) write(at, most int, intended int64, measured bool) (int, error) {
	frames := c.cycle.frames
	from, count := frames[at].from, 1
	for count < most && at+count < len(frames) && frames[at+count].to-from <= writeMostBytes {
		count++
	}
	var records, raw int
	first := c.sent.Load()
	for i := range count {
		f := &frames[at+i]
		records += f.records
		raw += f.rawBytes
		c.raw.Add(int64(f.rawRecord))
		c.compressed.Add(int64(f.encoded))
		c.times[(first+int64(i))%int64(len(c.times))] = requestTime{intended, measured}
	}
	c.Sent(int64(records), int64(raw), measured)
	c.sent.Store(first + int64(count)) // before the write: its responses may overtake what follows it
	if _, err := c.socket.Write(c.cycle.bytes[from:frames[at+count-1].to]); err != nil {
		return 0, err
	}
	if !c.acks {
		now := c.clock.Now()
		if measured {
			c.latency.Record(now-intended, int64(records))
		}
		c.Acknowledged(int64(records))
		c.completed.Store(first + int64(count))
	}
	return count, nil
}

// read takes responses until the connection ends. It runs for acks=0 too, where the only thing to read is the end.
func (c *connection) read() {
	defer close(c.readEnded)
	in := bufio.NewReaderSize(c.socket, 64<<10)
	deadline := time.Now()
	for {
		if in.Buffered() < 4 {
			if now := time.Now(); deadline.Sub(now) < responseDeadline-time.Second {
				deadline = now.Add(responseDeadline)
				if c.readErr = c.socket.SetReadDeadline(deadline); c.readErr != nil {
					return
				}
			}
		}
		head, err := in.Peek(8)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && c.sent.Load() == c.completed.Load() && !c.closing.Load() {
				continue // nothing is due
			}
			c.readErr = c.endOf(err)
			return
		}
		if size := binary.BigEndian.Uint32(head); size < 4 || size > responseMost || !c.acks {
			c.readErr = fmt.Errorf("a response of %d bytes to a Produce request with acks=%v", size, c.acks)
			return
		}
		if err := c.response(in, int(binary.BigEndian.Uint32(head))); err != nil {
			c.readErr = err
			return
		}
	}
}

func (c *connection) endOf(err error) error {
	switch {
	case c.closing.Load():
		return nil
	case errors.Is(err, io.EOF):
		return errors.New("the broker closed the connection")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no response within %v", responseDeadline)
	}
	return err
}

// response checks one response: the correlation id that is due, the partition asked for, no error.
func (c *connection) response(in *bufio.Reader, size int) error {
	due := c.completed.Load()
	if due >= c.sent.Load() {
		return errors.New("a response without a request")
	}
	index := int(due % int64(len(c.cycle.frames)))
	f := &c.cycle.frames[index]
	prefix := c.prefixes[f.slot]
	body, err := in.Peek(min(8+len(prefix)+2, size+4))
	if err != nil {
		return c.endOf(err)
	}
	if got := int32(binary.BigEndian.Uint32(body[4:])); got != int32(index) {
		return fmt.Errorf("correlation id %d came where %d was due", got, index)
	}
	rest := body[8:]
	if len(rest) < len(prefix)+2 || !bytes.Equal(rest[:len(prefix)], prefix) {
		return fmt.Errorf("the response to partition %d does not look like a Produce response: % x", c.cycle.partitions[f.slot], rest)
	}
	if code := int16(binary.BigEndian.Uint16(rest[len(prefix):])); code != 0 {
		failed := kerr.ErrorForCode(code)
		c.Failed(failed, int64(f.records))
		return fmt.Errorf("partition %d: %w", c.cycle.partitions[f.slot], failed)
	}
	if _, err := in.Discard(size + 4); err != nil {
		return c.endOf(err)
	}
	if t := c.times[due%int64(len(c.times))]; t.measured {
		c.latency.Record(c.clock.Now()-t.intendedNs, int64(f.records))
	}
	c.Acknowledged(int64(f.records))
	c.completed.Store(due + 1)
	if c.waiting.Load() && c.open() < c.wakeAt.Load() && c.waiting.CompareAndSwap(true, false) {
		select {
		case c.wake <- struct{}{}:
		default: // one wake-up is already on its way
		}
	}
	return nil
}

// flush waits until nothing is without response.
func (c *connection) flush(ctx context.Context) error {
	c.wakeAt.Store(1)
	for c.completed.Load() < c.sent.Load() {
		c.waiting.Store(true)
		if c.completed.Load() >= c.sent.Load() {
			break
		}
		if err := c.awaitWake(ctx); err != nil {
			return err
		}
	}
	return nil
}

// responsePrefix is what a Produce response holds between correlation id and error code.
func responsePrefix(version int16, topic string, partition int32) []byte {
	var b []byte
	if version >= 9 {
		b = append(b, 0) // no tags in the response header
		b = append(b, 2) // one topic
		b = binary.AppendUvarint(b, uint64(len(topic))+1)
		b = append(b, topic...)
		b = append(b, 2) // one partition
	} else {
		b = kbin.AppendInt32(b, 1)
		b = kbin.AppendString(b, topic)
		b = kbin.AppendInt32(b, 1)
	}
	return kbin.AppendInt32(b, partition)
}
