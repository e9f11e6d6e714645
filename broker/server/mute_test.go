package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"
)

// muting is the body of a request that silences its connection.
func muting(kind byte, d time.Duration) []byte {
	return binary.BigEndian.AppendUint32([]byte{kind}, uint32(d.Milliseconds()))
}

// echo wants an answer on a connection of its own: the server has had time
// for whatever came before.
func (f *fixture) echo(t *testing.T) {
	t.Helper()
	c := f.dial(t)
	for id := range int32(3) {
		send(t, c, frame(id, doEcho))
		receive(t, c)
	}
}

// stopNow wants the server to stop though connections are silenced for long.
func (f *fixture) stopNow(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := f.Stop(ctx); err != nil || ctx.Err() != nil {
		t.Fatalf("Stop: %v, %v", err, ctx.Err())
	}
}

func TestMutedConnectionIsNotServed(t *testing.T) {
	f := start(t, nil)
	c := f.dial(t)
	send(t, c, frame(1, doEcho), frame(2, muting(doMute, time.Hour)...), frame(3, doEcho))
	for want := int32(1); want <= 2; want++ { // the answer leaves at once
		if id, _ := receive(t, c); id != want {
			t.Fatalf("response %d, want %d", id, want)
		}
	}
	send(t, c, frame(4, doEcho))
	f.echo(t) // others are served
	f.stopNow(t)
	if f.fake.served[0] != doEcho || f.fake.served[1] != doMute || len(f.fake.served) != 2+3 {
		t.Errorf("served %q", f.fake.served)
	}
	wantClosed(t, c)
}

func TestAnswerThatComesLaterMutes(t *testing.T) {
	f := start(t, nil)
	c := f.dial(t)
	send(t, c, frame(1, muting(doMuteAt, time.Hour)...))
	f.waitServed(t, 1)
	f.fake.release <- struct{}{}
	if id, _ := receive(t, c); id != 1 {
		t.Fatalf("response %d", id)
	}
	send(t, c, frame(2, doEcho))
	f.echo(t)
	f.stopNow(t)
	if len(f.fake.served) != 1+3 {
		t.Errorf("served %q", f.fake.served)
	}
	wantClosed(t, c)
}

func TestMutedConnectionGoesOn(t *testing.T) {
	f := start(t, nil)
	c := f.dial(t)
	large := append([]byte{doEcho}, make([]byte, 300<<10)...)
	var all [][]byte
	for n := range int32(5) {
		all = append(all, frame(3*n, muting(doMute, 5*time.Millisecond)...), frame(3*n+1, muting(doMuteAt, 5*time.Millisecond)...), frame(3*n+2, large...))
		f.fake.release <- struct{}{}
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(bytes.Join(all, nil))
		sent <- err
	}()
	for want := range int32(15) {
		if id, body := receive(t, c); id != want || want%3 == 2 && !bytes.Equal(body, large) {
			t.Fatalf("response %d of %d bytes, want %d", id, len(body), want)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// The idle deadline that passed in silence does not end the connection.
func TestMuteIsNotIdleTime(t *testing.T) {
	f := start(t, func(s *Server) { s.MaxIdle = 200 * time.Millisecond })
	c := f.dial(t)
	for id := range int32(4) {
		send(t, c, frame(id, muting(doMute, 150*time.Millisecond)...))
		if got, _ := receive(t, c); got != id {
			t.Fatalf("response %d, want %d", got, id)
		}
	}
}

func TestMuteBeyondIdleTimeEndsTheConnection(t *testing.T) {
	f := start(t, func(s *Server) { s.MaxIdle = 50 * time.Millisecond })
	c := f.dial(t)
	send(t, c, frame(1, muting(doMute, time.Hour)...))
	if id, _ := receive(t, c); id != 1 {
		t.Fatalf("response %d", id)
	}
	wantClosed(t, c)
}

func TestTooManyConnectionsWaitAndEnd(t *testing.T) {
	var mu sync.Mutex // guards asked
	var asked []netip.Addr
	answers := []time.Duration{0, time.Millisecond, time.Hour}
	f := start(t, func(s *Server) {
		s.Admit = func(from netip.Addr) time.Duration {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, from)
			return answers[len(asked)-1]
		}
	})
	times := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(asked)
	}
	good := f.dial(t)
	send(t, good, frame(1, doEcho))
	if id, _ := receive(t, good); id != 1 {
		t.Fatalf("response %d", id)
	}
	short := f.dial(t)
	send(t, short, frame(1, doEcho))
	wantClosed(t, short)
	long := f.dial(t)
	send(t, long, frame(1, doEcho))
	for deadline := time.Now().Add(5 * time.Second); times() != 3 || f.Connections() != 2; runtime.Gosched() { // the one that waits counts
		if time.Now().After(deadline) {
			t.Fatalf("%d connections, asked for %d", f.Connections(), times())
		}
	}
	send(t, good, frame(2, doEcho))
	if id, _ := receive(t, good); id != 2 {
		t.Fatalf("response %d", id)
	}
	f.stopNow(t)
	if asked[0] != netip.MustParseAddr("127.0.0.1") || len(f.fake.served) != 2 {
		t.Errorf("asked for %v, served %q", asked, f.fake.served)
	}
}
