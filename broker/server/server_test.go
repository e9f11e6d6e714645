package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"fluxmq/broker/handler"
	"fluxmq/broker/metrics"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The fake handler's requests are Metadata frames whose body begins with one
// of these. It answers with the correlation id and what the table says.
const (
	doEcho   = 'e' // the body back
	doWait   = 'w' // the body back, when the test lets it
	doSerial = 's' // the same, and nothing is served before
	doSilent = '0' // nothing, like acks=0
	doClose  = 'c'
	doFile   = 'f' // a range of the test's file: position and size follow
	doMute   = 'm' // the body back, and silence for as many milliseconds as follow
	doMuteAt = 'M' // the same, when the test lets it
	doFlood  = 'n' // more than a socket takes at once
)

type fakeHandler struct {
	file    *os.File
	release chan struct{} // one token lets one waiting request go

	mu     sync.Mutex
	served []byte // what was served, in order
	freed  int
}

func (f *fakeHandler) Serve(ctx context.Context, r *handler.Request, out *handler.Response) {
	what := r.Body[0]
	f.mu.Lock()
	f.served = append(f.served, what)
	file := f.file
	f.mu.Unlock()
	answer := func(out *handler.Response, body []byte, inRanges int) {
		out.Bytes = binary.BigEndian.AppendUint32(out.Bytes, uint32(4+len(body)+inRanges))
		out.Bytes = binary.BigEndian.AppendUint32(out.Bytes, uint32(r.CorrelationID))
		out.Bytes = append(out.Bytes, body...)
	}
	switch what {
	case doEcho:
		answer(out, r.Body, 0)
	case doFlood:
		answer(out, make([]byte, 16<<20), 0)
	case doMute:
		out.Mute = muteTime(r.Body)
		answer(out, r.Body, 0)
	case doWait, doSerial, doMuteAt:
		body, id := bytes.Clone(r.Body), r.CorrelationID
		out.Serial = what == doSerial
		out.Wait = func(ctx context.Context, out *handler.Response) {
			select {
			case <-f.release:
			case <-ctx.Done():
			}
			out.Bytes = binary.BigEndian.AppendUint32(out.Bytes, uint32(4+len(body)))
			out.Bytes = binary.BigEndian.AppendUint32(out.Bytes, uint32(id))
			out.Bytes = append(out.Bytes, body...)
			if what == doMuteAt {
				out.Mute = muteTime(body)
			}
		}
	case doClose:
		out.Close = errors.New("asked to")
	case doFile:
		position, size := int64(binary.BigEndian.Uint32(r.Body[1:])), int64(binary.BigEndian.Uint32(r.Body[5:]))
		answer(out, []byte("head"), int(size)+4)
		out.Ranges = append(out.Ranges, handler.Range{At: len(out.Bytes), File: file, Position: position, Size: size, Release: func() {
			f.mu.Lock()
			f.freed++
			f.mu.Unlock()
		}})
		out.Bytes = append(out.Bytes, "tail"...)
	}
}

// muteTime is how long a doMute or doMuteAt asks for.
func muteTime(body []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(body[1:])) * time.Millisecond
}

// frame is one Metadata v1 request with that body.
func frame(id int32, body ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(10+len(body)))
	b = append(b, 0, 3, 0, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(id))
	b = append(b, 0xff, 0xff) // no client id
	return append(b, body...)
}

type fixture struct {
	*Server
	fake *fakeHandler
	addr string
}

func start(t *testing.T, change func(*Server)) *fixture {
	t.Helper()
	fake := &fakeHandler{release: make(chan struct{}, 1000)}
	s := &Server{
		Handler: fake, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: new(metrics.Registry),
		MaxRequestBytes: 100 << 20, MaxConnections: 100, MaxIdle: time.Minute, FrameMemory: 64 << 20,
	}
	if change != nil {
		change(s)
	}
	addr, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := s.Connections(); n != 0 {
			t.Errorf("%d connections are left after Stop", n)
		}
	})
	return &fixture{s, fake, addr.String()}
}

func (f *fixture) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func send(t *testing.T, c net.Conn, b ...[]byte) {
	t.Helper()
	if _, err := c.Write(bytes.Join(b, nil)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, c net.Conn) (id int32, body []byte) {
	t.Helper()
	var head [8]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatalf("reading a response: %v", err)
	}
	body = make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatalf("reading a response's body: %v", err)
	}
	return int32(binary.BigEndian.Uint32(head[4:])), body
}

// wantClosed wants the broker to end the connection without a further byte.
func wantClosed(t *testing.T, c net.Conn) {
	t.Helper()
	rest, err := io.ReadAll(c)
	var netErr net.Error
	if errors.As(err, &netErr) && netErr.Timeout() {
		t.Fatal("the connection stayed open")
	}
	if len(rest) != 0 {
		t.Fatalf("got %d bytes before the end: %x", len(rest), rest)
	}
}

func TestManySizesInOrder(t *testing.T) {
	f := start(t, nil)
	c := f.dial(t)
	r := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 100, 4 << 10, 60 << 10, 65526, 65527, 66 << 10, 300 << 10, 1 << 20, 2<<20 + 17, 5 << 20, 1, 9 << 20, 70 << 10}
	for range 100 {
		sizes = append(sizes, 1+r.IntN(1<<r.IntN(20)))
	}
	var bodies [][]byte
	for _, size := range sizes {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		b[0] = doEcho
		bodies = append(bodies, b)
	}
	sent := make(chan error, 1)
	go func() {
		for i, b := range bodies {
			whole := frame(int32(i), b...)
			for len(whole) > 0 { // in pieces that respect no frame
				n := min(len(whole), 1+r.IntN(100<<10))
				if _, err := c.Write(whole[:n]); err != nil {
					sent <- err
					return
				}
				whole = whole[n:]
			}
		}
		sent <- nil
	}()
	for i := range bodies {
		id, body := receive(t, c)
		if int(id) != i || !bytes.Equal(body, bodies[i]) {
			t.Fatalf("response %d: id %d, %d bytes, want %d bytes", i, id, len(body), len(bodies[i]))
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestPipelinedOrderWithWaits(t *testing.T) {
	f := start(t, nil)
	c := f.dial(t)
	var all [][]byte
	kinds := []byte{doEcho, doWait, doEcho, doSilent, doWait, doWait, doEcho, doSerial, doEcho, doWait, doEcho}
	for i, kind := range kinds {
		all = append(all, frame(int32(i), kind, byte(i)))
	}
	send(t, c, all...)
	if id, _ := receive(t, c); id != 0 {
		t.Fatalf("the first response is %d", id)
	}
	// Everything up to and with the serial request is served while the first wait holds.
	f.waitServed(t, 8)
	time.Sleep(20 * time.Millisecond) // gives a wrong server time to go on
	if n := f.servedCount(); n != 8 {
		t.Fatalf("%d requests were served while a serial one waits, want 8", n)
	}
	for range 5 {
		f.fake.release <- struct{}{}
	}
	for i := 1; i < len(kinds); i++ {
		if kinds[i] == doSilent {
			continue
		}
		id, body := receive(t, c)
		if int(id) != i || body[1] != byte(i) {
			t.Fatalf("got response %d (%v), want %d", id, body, i)
		}
	}
}

func (f *fixture) servedCount() int {
	f.fake.mu.Lock()
	defer f.fake.mu.Unlock()
	return len(f.fake.served)
}

func (f *fixture) waitServed(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); f.servedCount() < n; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests were served, want %d", f.servedCount(), n)
		}
	}
}

func TestSlotsAreBounded(t *testing.T) {
	f := start(t, nil)
	c := f.dial(t)
	const requests = 3 * maxSlots
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range requests {
			c.Write(frame(int32(i), doWait))
		}
	}()
	f.waitServed(t, maxSlots+1)
	time.Sleep(20 * time.Millisecond) // gives a wrong server time to go on
	if n := f.servedCount(); n > maxSlots+3 {
		t.Fatalf("%d requests wait at once, want at most %d", n, maxSlots+3)
	}
	go func() {
		for range requests {
			f.fake.release <- struct{}{}
		}
	}()
	for i := range requests {
		if id, _ := receive(t, c); int(id) != i {
			t.Fatalf("got response %d, want %d", id, i)
		}
	}
	<-sent
}

func TestBadInputEndsTheConnection(t *testing.T) {
	for name, input := range map[string][]byte{
		"length 0":           {0, 0, 0, 0},
		"length 7":           {0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7},
		"negative length":    {0xff, 0xff, 0xff, 0xff},
		"beyond the maximum": {0x7f, 0xff, 0xff, 0xff},
		"HTTP":               []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"TLS":                {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01},
		"unknown API":        {0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"cut header":         {0, 0, 0, 9, 0, 3, 0, 1, 0, 0, 0, 1, 0},
		"long client id":     {0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, nil)
			c := f.dial(t)
			send(t, c, frame(1, doEcho), input)
			if id, _ := receive(t, c); id != 1 {
				t.Fatalf("response %d", id)
			}
			wantClosed(t, c)
		})
	}
}

func TestCloseKeepsEarlierAnswers(t *testing.T) {
	f := start(t, nil)
	c := f.dial(t)
	f.fake.release <- struct{}{}
	send(t, c, frame(1, doEcho), frame(2, doWait), frame(3, doEcho), frame(4, doClose), frame(5, doEcho))
	for want := int32(1); want <= 3; want++ {
		if id, _ := receive(t, c); id != want {
			t.Fatalf("response %d, want %d", id, want)
		}
	}
	wantClosed(t, c)
}

func TestDeclaredLengthAllocatesNothing(t *testing.T) {
	f := start(t, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const clients = 50
	for range clients {
		c := f.dial(t)
		huge := frame(1, doEcho)
		binary.BigEndian.PutUint32(huge, 100<<20)
		send(t, c, huge)
	}
	for deadline := time.Now().Add(5 * time.Second); f.TrafficOf()[0].In < clients*15; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the bytes did not arrive")
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > clients*64<<10 {
		t.Fatalf("%d clients that declared 100 MiB each made the broker allocate %d bytes", clients, grown)
	}
}

func TestHalfFrame(t *testing.T) {
	f := start(t, nil)
	c := f.dial(t)
	whole := frame(1, append([]byte{doEcho}, make([]byte, 200<<10)...)...)
	send(t, c, whole[:150<<10])
	c.(*net.TCPConn).CloseWrite()
	wantClosed(t, c)
	if n := f.servedCount(); n != 0 {
		t.Fatalf("%d requests were served of half a frame", n)
	}
}

func TestIdleConnectionEnds(t *testing.T) {
	f := start(t, func(s *Server) { s.MaxIdle = 50 * time.Millisecond })
	c := f.dial(t)
	send(t, c, frame(1, doEcho))
	receive(t, c)
	wantClosed(t, c)
}

func TestMaxConnections(t *testing.T) {
	f := start(t, func(s *Server) { s.MaxConnections = 2 })
	a, b := f.dial(t), f.dial(t)
	for _, c := range []net.Conn{a, b} {
		send(t, c, frame(1, doEcho))
		receive(t, c)
	}
	wantClosed(t, f.dial(t))
	send(t, a, frame(2, doEcho))
	receive(t, a)
}

func TestFileRanges(t *testing.T) {
	f := start(t, nil)
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = byte(i * 7)
	}
	path := filepath.Join(t.TempDir(), "segment")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f.fake.mu.Lock()
	f.fake.file = file
	f.fake.mu.Unlock()
	c := f.dial(t)
	request := func(id int32, position, size uint32) []byte {
		b := binary.BigEndian.AppendUint32([]byte{doFile}, position)
		return frame(id, binary.BigEndian.AppendUint32(b, size)...)
	}
	cases := [][2]uint32{{0, 1}, {5, 1000}, {7, sendfileMin - 1}, {9, sendfileMin}, {1, 1 << 20}, {3, 2<<20 + 5}, {0, 3 << 20}}
	for _, behind := range []byte{doEcho, doWait} { // written by the reader, then by the second goroutine
		var all [][]byte
		for i, r := range cases {
			if behind == doWait {
				all = append(all, frame(100, doWait))
			}
			all = append(all, request(int32(i), r[0], r[1]), frame(101, doEcho))
		}
		send(t, c, all...)
		for i, r := range cases {
			if behind == doWait {
				f.fake.release <- struct{}{}
				receive(t, c)
			}
			id, body := receive(t, c)
			want := append(append([]byte("head"), content[r[0]:r[0]+r[1]]...), "tail"...)
			if int(id) != i || !bytes.Equal(body, want) {
				t.Fatalf("range %v: id %d, %d bytes, want %d", r, id, len(body), len(want))
			}
			receive(t, c)
		}
	}
	f.fake.mu.Lock()
	defer f.fake.mu.Unlock()
	if f.fake.freed != 2*len(cases) {
		t.Fatalf("%d ranges were released, want %d", f.fake.freed, 2*len(cases))
	}
}

// Every byte on the wire is counted once: those of an open connection and those
// of one that ended, read by the reader, written by either goroutine, by
// sendfile or not.
func TestTrafficCountsEveryByte(t *testing.T) {
	f := start(t, nil)
	path := filepath.Join(t.TempDir(), "segment")
	if err := os.WriteFile(path, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f.fake.mu.Lock()
	f.fake.file = file
	f.fake.mu.Unlock()
	var want Traffic
	exchange := func(c net.Conn) {
		t.Helper()
		var requests [][]byte
		for _, size := range []uint32{1, sendfileMin - 1, sendfileMin, 2 << 20} {
			b := binary.BigEndian.AppendUint32([]byte{doFile}, 0)
			requests = append(requests, frame(1, binary.BigEndian.AppendUint32(b, size)...), frame(2, doWait), frame(3, append([]byte{doEcho}, make([]byte, 100<<10)...)...))
		}
		for range 4 {
			f.fake.release <- struct{}{}
		}
		go func() { // ends with the write; what it wrote is answered below
			_, _ = c.Write(bytes.Join(requests, nil))
		}()
		for range requests {
			_, body := receive(t, c)
			want.Out += 8 + int64(len(body))
		}
		want.In += int64(len(bytes.Join(requests, nil)))
	}
	check := func() {
		t.Helper()
		var got []Traffic
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if got = f.TrafficOf(); len(got) == 1 && got[0] == want { // the client may have read before the write returned
				return
			}
		}
		t.Fatalf("counted %+v, want %+v", got, want)
	}
	check()
	first, second := f.dial(t), f.dial(t)
	exchange(first)
	check()
	exchange(second)
	first.Close()
	for f.Connections() != 1 {
		runtime.Gosched()
	}
	check()
	exchange(second)
	check()
	if want.In < 1<<20 || want.Out < 6<<20 {
		t.Fatalf("only %+v went over the wire", want)
	}
}

// A file that is shorter than its range must not be answered with other bytes.
func TestShortFileEndsTheConnection(t *testing.T) {
	f := start(t, nil)
	path := filepath.Join(t.TempDir(), "segment")
	if err := os.WriteFile(path, make([]byte, 40<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f.fake.mu.Lock()
	f.fake.file = file
	f.fake.mu.Unlock()
	for _, size := range []uint32{100 << 10, 20 << 10} {
		c := f.dial(t)
		b := binary.BigEndian.AppendUint32([]byte{doFile}, 30<<10)
		send(t, c, frame(1, binary.BigEndian.AppendUint32(b, size)...))
		got, err := io.ReadAll(c)
		var netErr net.Error
		if errors.As(err, &netErr) && netErr.Timeout() {
			t.Fatal("the connection stayed open")
		}
		if len(got) > 8+4+10<<10 {
			t.Fatalf("got %d bytes of a file that holds 10 KiB there", len(got))
		}
	}
}

func TestStopAnswersWhatWaits(t *testing.T) {
	f := start(t, nil)
	c := f.dial(t)
	send(t, c, frame(1, doWait), frame(2, doWait), frame(3, doEcho))
	f.waitServed(t, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := f.Stop(ctx); err != nil || ctx.Err() != nil {
		t.Fatalf("Stop: %v, %v", err, ctx.Err())
	}
	for want := int32(1); want <= 3; want++ {
		if id, _ := receive(t, c); id != want {
			t.Fatalf("response %d, want %d", id, want)
		}
	}
	wantClosed(t, c)
}

// A client that does not read must not hold up Stop beyond its deadline.
func TestStopIsBounded(t *testing.T) {
	f := start(t, nil)
	c := f.dial(t)
	go func() {
		body := append([]byte{doEcho}, make([]byte, 1<<20)...)
		for range 100 {
			if _, err := c.Write(frame(1, body...)); err != nil {
				return
			}
		}
	}()
	f.waitServed(t, 2)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := f.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Fatalf("Stop took %v", took)
	}
	c.Close()
}

func TestTakenPortIsOneSentence(t *testing.T) {
	f := start(t, nil)
	_, err := (&Server{}).Listen(f.addr)
	if err == nil || err.Error() != "the address "+f.addr+" is in use by another process" {
		t.Fatalf("got %v", err)
	}
}

// Connections that together need more than the limit make progress one after
// the other, and the memory comes back.
func TestFrameMemoryIsBounded(t *testing.T) {
	f := start(t, func(s *Server) { s.FrameMemory = 1 })
	const clients, size = 8, 6 << 20
	var wg sync.WaitGroup
	for i := range clients {
		c := f.dial(t)
		wg.Add(1)
		go func() {
			defer wg.Done()
			body := append([]byte{doEcho}, bytes.Repeat([]byte{byte(i)}, size)...)
			go c.Write(frame(int32(i), body...))
			if id, got := receive(t, c); int(id) != i || !bytes.Equal(got, body) {
				t.Errorf("client %d got response %d of %d bytes", i, id, len(got))
			}
		}()
	}
	wg.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // a response leaves before its request's memory is given back
		f.frames.mu.Lock()
		inUse, tokens := f.frames.inUse, len(f.frames.overrun)
		f.frames.mu.Unlock()
		if inUse == 0 && tokens == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes and %d tokens are still in use", inUse, tokens)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(frame(1, doEcho))
	f.Add([]byte{0, 0, 0, 10, 0, 3})
	f.Add(append(frame(1, doEcho), 0xff, 0xff, 0xff, 0xff))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	fake := &fakeHandler{release: make(chan struct{})}
	s := &Server{Handler: echoOnly{fake}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: new(metrics.Registry), MaxRequestBytes: 1 << 20, MaxIdle: time.Minute}
	addr, err := s.Listen("127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	f.Cleanup(func() {
		s.Stop(context.Background())
		<-served
	})
	f.Fuzz(func(t *testing.T, input []byte) {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Skip(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			c.Write(input)
			c.(*net.TCPConn).CloseWrite()
		}()
		out, err := io.ReadAll(c)
		var netErr net.Error
		if errors.As(err, &netErr) && netErr.Timeout() {
			t.Fatalf("the connection stayed open after %d bytes", len(out))
		}
	})
}

// echoOnly answers every request with its body.
type echoOnly struct{ *fakeHandler }

func (e echoOnly) Serve(_ context.Context, r *handler.Request, out *handler.Response) {
	out.Bytes = binary.BigEndian.AppendUint32(out.Bytes, uint32(4+len(r.Body)))
	out.Bytes = binary.BigEndian.AppendUint32(out.Bytes, uint32(r.CorrelationID))
	out.Bytes = append(out.Bytes, r.Body...)
}
