package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start returns a running server and a client that gets its pages.
func start(t *testing.T, deps Deps) (*Server, func(path string) (int, string)) {
	t.Helper()
	s := New("127.0.0.1:0", deps)
	if s.Addr() != nil {
		t.Fatal("an address before Start")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, func(path string) (int, string) {
		t.Helper()
		r, err := client.Get("http://" + s.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(body)
	}
}

func TestPages(t *testing.T) {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "answer", Help: "The answer."}, func() float64 { return 42 }))
	var ready atomic.Pointer[error]
	_, get := start(t, Deps{
		Metrics: metrics,
		Ready: func() error {
			if err := ready.Load(); err != nil {
				return *err
			}
			return nil
		},
		Status: func() any { return map[string]any{"node_id": 1, "topics": []string{"a"}} },
	})
	for _, c := range []struct {
		path     string
		code     int
		contains string
	}{
		{"/", 200, "/metrics"},
		{"/livez", 200, "ok"},
		{"/healthz", 200, "ok"},
		{"/readyz", 200, "ok"},
		{"/metrics", 200, "answer 42"},
		{"/debug/pprof/", 200, "goroutine"},
		{"/debug/pprof/heap?debug=1", 200, "heap profile"},
		{"/debug/pprof/cmdline", 200, ""},
		{"/debug/pprof/profile?seconds=0.01x", 400, "want a number"},
		{"/debug/pprof/profile?seconds=1e9", 400, "up to 300"},
		{"/debug/pprof/heap?seconds=NaN", 400, "want a number"},
		{"/debug/pprof/trace?seconds=0.05", 200, "go 1."},
		{"/nothing", 404, ""},
	} {
		if code, body := get(c.path); code != c.code || !strings.Contains(body, c.contains) {
			t.Errorf("%s: %d %.80q, want %d with %q", c.path, code, body, c.code, c.contains)
		}
	}
	why := errors.New("recovering 3 of 10 logs")
	ready.Store(&why)
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "recovering 3 of 10") {
		t.Errorf("not ready: %d %q", code, body)
	}
	if code, _ := get("/livez"); code != 200 {
		t.Errorf("a broker that recovers is live, got %d", code)
	}
	code, body := get("/statusz")
	var status struct {
		NodeID int `json:"node_id"`
		Topics []string
	}
	if err := json.Unmarshal([]byte(body), &status); code != 200 || err != nil || status.NodeID != 1 || len(status.Topics) != 1 {
		t.Errorf("/statusz: %d %q, %v", code, body, err)
	}
}

func TestDefaults(t *testing.T) {
	_, get := start(t, Deps{})
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/statusz": 200, "/metrics": 404} {
		if code, _ := get(path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	_, get = start(t, Deps{Status: func() any { return func() {} }})
	if code, body := get("/statusz"); code != 500 || !strings.Contains(body, "JSON") {
		t.Errorf("what JSON cannot hold: %d %q", code, body)
	}
}

func TestOnlyReads(t *testing.T) {
	s, _ := start(t, Deps{})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for _, path := range []string{"/livez", "/statusz", "/debug/pprof/heap"} {
		r, err := client.Post("http://"+s.Addr().String()+path, "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, r.StatusCode)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	s, _ := start(t, Deps{})
	other := New(s.Addr().String(), Deps{})
	if err := other.Start(); err == nil || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Fatalf("got %v, want an error that names %s", err, s.Addr())
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil {
		t.Fatal("started twice")
	}
}

// Close ends while a profile is being taken, cutting it, and may be repeated.
func TestCloseCutsLongRequests(t *testing.T) {
	s := New("127.0.0.1:0", Deps{})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Addr().String()+"/debug/pprof/trace?seconds=20", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answered := make(chan error, 1)
	// Ends when the server cuts the connection or ctx ends; answered is read below.
	go func() {
		r, err := transport.RoundTrip(q)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		answered <- err
	}()
	for { // until the request has reached the server
		s.mu.Lock()
		busy := len(s.listener.(*limited).slots) > 1 // one slot waits in Accept
		s.mu.Unlock()
		if busy {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the request never arrived")
		}
	}
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Fatalf("Close took %v", took)
	}
	<-answered
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// More connections than slots wait, and are served when one is given back.
func TestConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner, 1)
	dial := func() net.Conn {
		c, err := net.DialTimeout("tcp", l.Addr().String(), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	dial()
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error)
	// Ends when Accept returns: after first.Close below, or l.Close.
	go func() {
		second, err := l.Accept()
		if err == nil {
			err = second.Close()
		}
		accepted <- err
	}()
	select {
	case err := <-accepted:
		t.Fatalf("two connections at once (%v)", err)
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	first.Close() // twice gives one slot
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	if len(l.slots) != 0 {
		t.Fatalf("%d slots taken", len(l.slots))
	}
	l.slots <- struct{}{}
	// Ends when Accept returns, because of l.Close.
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Fatal(fmt.Errorf("a closed listener: %w", err))
	}
}
