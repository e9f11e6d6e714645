package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// beat is one Heartbeat v0 request with that body; the fake handler looks at
// the body alone.
func beat(id int32, body ...byte) []byte {
	b := frame(id, body...)
	binary.BigEndian.PutUint16(b[lengthSize:], 12)
	return b
}

// startParking starts a server that parks connections.
func startParking(t *testing.T, change func(*Server)) *fixture {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("connections are parked on Linux only")
	}
	return start(t, func(s *Server) {
		s.HeartbeatCoalescing = 2 * time.Millisecond
		if change != nil {
			change(s)
		}
	})
}

// parkOne brings a connection into the lot.
func (f *fixture) parkOne(t *testing.T) net.Conn {
	t.Helper()
	c := f.dial(t)
	f.park(t, c)
	return c
}

// park sends heartbeats until one more connection is parked. parkAfter are
// enough, but for those served behind a request that waits.
func (f *fixture) park(t *testing.T, c net.Conn) {
	t.Helper()
	before := f.Parked()
	id := int32(0)
	for deadline := time.Now().Add(5 * time.Second); f.Parked() == before; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection is not parked")
		}
		send(t, c, beat(id, doEcho))
		wantIDs(t, c, id)
		id++
	}
}

func (f *fixture) waitParked(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); f.Parked() != n; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are parked, want %d", f.Parked(), n)
		}
	}
}

func wantIDs(t *testing.T, c net.Conn, ids ...int32) {
	t.Helper()
	for _, want := range ids {
		if id, _ := receive(t, c); id != want {
			t.Fatalf("response %d, want %d", id, want)
		}
	}
}

func TestHeartbeatsParkAConnection(t *testing.T) {
	var ended atomic.Int32
	f := startParking(t, func(s *Server) { s.Ended = func(uint64) { ended.Add(1) } })
	c := f.dial(t)
	for id := range int32(parkAfter) {
		send(t, c, beat(id, doEcho))
		wantIDs(t, c, id)
	}
	f.waitParked(t, 1)
	send(t, c, beat(1, doEcho), beat(2, doEcho, 'x'), beat(3, doEcho))
	wantIDs(t, c, 1, 2, 3)
	send(t, c, beat(4, doSilent), beat(5, doEcho))
	wantIDs(t, c, 5)
	if n := f.Parked(); n != 1 {
		t.Errorf("%d connections are parked after heartbeats, want 1", n)
	}
	if n := f.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	beats := int64(parkAfter + 5)
	f.stopNow(t)
	wantClosed(t, c)
	if got, want := f.TrafficOf()[0], (Traffic{In: beats*15 + 1, Out: (beats-1)*9 + 1}); got != want {
		t.Errorf("traffic %+v, want %+v", got, want)
	}
	if n := ended.Load(); n != 1 {
		t.Errorf("the end of the connection was told %d times", n)
	}
}

func TestHeartbeatsAreNotParkedWhenOff(t *testing.T) {
	f := start(t, nil)
	c := f.dial(t)
	for id := range int32(3 * parkAfter) {
		send(t, c, beat(id, doEcho))
		wantIDs(t, c, id)
	}
	if n := f.Parked(); n != 0 {
		t.Errorf("%d connections are parked", n)
	}
}

func TestOtherRequestsInBetweenDoNotPark(t *testing.T) {
	f := startParking(t, nil)
	c := f.dial(t)
	for id := range int32(10 * parkAfter) {
		request := beat(id, doEcho)
		if id%parkAfter == 0 {
			request = frame(id, doEcho)
		}
		send(t, c, request)
		wantIDs(t, c, id)
		if n := f.Parked(); n != 0 {
			t.Fatalf("%d connections are parked after request %d", n, id)
		}
	}
}

// TestParkedConnectionGoesOn sends a parked connection what the lot does not serve.
func TestParkedConnectionGoesOn(t *testing.T) {
	large := append([]byte{doEcho}, bytes.Repeat([]byte{'l'}, 300<<10)...)
	for name, c := range map[string]struct {
		send   [][]byte
		grants int
		want   []int32
		parks  bool // it is parked again at once
	}{
		"another request":                    {send: [][]byte{frame(1, doEcho)}, want: []int32{1}},
		"heartbeats before and behind":       {send: [][]byte{beat(1, doEcho), frame(2, doEcho), beat(3, doEcho)}, want: []int32{1, 2, 3}},
		"a heartbeat that waits":             {send: [][]byte{beat(1, doWait), beat(2, doEcho)}, grants: 1, want: []int32{1, 2}},
		"one answered, one waits":            {send: [][]byte{beat(1, doEcho), beat(2, doSerial), beat(3, doWait), frame(4, doEcho)}, grants: 2, want: []int32{1, 2, 3, 4}},
		"a heartbeat that mutes for 20 ms":   {send: [][]byte{beat(1, muting(doMute, 20*time.Millisecond)...), beat(2, doEcho)}, want: []int32{1, 2}},
		"an answer that does not fit":        {send: [][]byte{beat(1, doFlood), beat(2, doEcho)}, want: []int32{1, 2}},
		"a large request":                    {send: [][]byte{frame(1, large...), beat(2, doEcho)}, want: []int32{1, 2}},
		"a heartbeat larger than one read":   {send: [][]byte{beat(1, large[:classSizes[smallClass]]...)}, want: []int32{1}},
		"more heartbeats than one read ends": {send: [][]byte{bytes.Repeat(beat(1, large[:300]...), 40)}, want: repeated(1, 40), parks: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := startParking(t, nil)
			client := f.parkOne(t)
			for range 2 { // it comes back to the lot, and leaves it again
				for range c.grants {
					f.fake.release <- struct{}{}
				}
				send(t, client, c.send...)
				wantIDs(t, client, c.want...)
				if c.parks {
					f.waitParked(t, 1)
				} else {
					f.waitParked(t, 0)
					f.park(t, client)
				}
			}
		})
	}
}

// repeated is the id n times.
func repeated(id int32, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = id
	}
	return ids
}

func TestParkedConnectionGetsAFrameInPieces(t *testing.T) {
	f := startParking(t, nil)
	for cut := 1; cut < len(beat(1, doEcho)); cut++ {
		c := f.parkOne(t)
		whole := beat(1, doEcho)
		send(t, c, beat(0, doEcho), whole[:cut])
		wantIDs(t, c, 0)
		f.waitParked(t, 0)
		send(t, c, whole[cut:])
		wantIDs(t, c, 1)
		c.Close()
	}
}

func TestParkedConnectionEnds(t *testing.T) {
	for name, input := range map[string][]byte{
		"length 0":           {0, 0, 0, 0},
		"beyond the maximum": {0x7f, 0xff, 0xff, 0xff},
		"HTTP":               []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"cut header":         {0, 0, 0, 9, 0, 12, 0, 1, 0, 0, 0, 1, 0},
		"asked to":           beat(2, doClose),
		"asked to, and more": append(beat(2, doClose), beat(3, doEcho)...),
	} {
		t.Run(name, func(t *testing.T) {
			f := startParking(t, nil)
			c := f.parkOne(t)
			send(t, c, beat(1, doEcho), input)
			wantIDs(t, c, 1)
			wantClosed(t, c)
			f.waitParked(t, 0)
		})
	}
	t.Run("the client leaves", func(t *testing.T) {
		f := startParking(t, nil)
		f.parkOne(t).Close()
		f.waitConnections(t, 0)
	})
	t.Run("the client resets", func(t *testing.T) {
		f := startParking(t, nil)
		c := f.parkOne(t)
		if err := c.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		c.Close()
		f.waitConnections(t, 0)
	})
	t.Run("the client is idle", func(t *testing.T) {
		f := startParking(t, func(s *Server) { s.MaxIdle = 300 * time.Millisecond })
		c := f.parkOne(t)
		wantClosed(t, c)
		f.waitConnections(t, 0)
	})
}

func (f *fixture) waitConnections(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); f.Connections() != n; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open, want %d", f.Connections(), n)
		}
	}
}

func TestStopEndsParkedConnections(t *testing.T) {
	f := startParking(t, func(s *Server) { s.HeartbeatCoalescing = time.Hour })
	var clients []net.Conn
	for range 5 {
		clients = append(clients, f.parkOne(t))
	}
	f.stopNow(t)
	for _, c := range clients {
		wantClosed(t, c)
	}
}

// TestClientsComeAndGoInTheLot lets many clients send heartbeats, other
// requests and halves of them, leave and come back, and then stops the server,
// whose connections are still open, some of them parked.
func TestClientsComeAndGoInTheLot(t *testing.T) {
	f := startParking(t, nil)
	var crew sync.WaitGroup
	var everParked atomic.Int32
	const clients, rounds = 16, 40
	for n := range clients {
		crew.Go(func() { // ends after its rounds, or at the deadline of its connection
			r := rand.New(rand.NewPCG(uint64(n), 7))
			c := f.dial(t)
			for round := range rounds {
				if r.IntN(10) == 0 {
					c.Close()
					c = f.dial(t)
				}
				ids, out := []int32{}, []byte{}
				for i := range int32(1 + r.IntN(4)) {
					id := int32(round)*100 + i
					switch what := r.IntN(20); {
					case what == 0:
						out = append(out, frame(id, append([]byte{doEcho}, make([]byte, r.IntN(9000))...)...)...)
					case what == 1:
						f.fake.release <- struct{}{}
						out = append(out, beat(id, doWait)...)
					default:
						out = append(out, beat(id, doEcho)...)
					}
					ids = append(ids, id)
				}
				if cut := r.IntN(4 * len(out)); cut < len(out) {
					send(t, c, out[:cut])
					runtime.Gosched()
					out = out[cut:]
				}
				send(t, c, out)
				wantIDs(t, c, ids...)
				if f.Parked() > 0 {
					everParked.Add(1)
				}
			}
		})
	}
	crew.Wait()
	if everParked.Load() == 0 {
		t.Error("no connection was ever parked")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := f.Stop(ctx); err != nil || ctx.Err() != nil {
		t.Fatalf("Stop: %v, %v", err, ctx.Err())
	}
}
