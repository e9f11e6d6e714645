// Package admin is the broker's HTTP door for operators: liveness and
// readiness, metrics for Prometheus, profiles, and a read-only view of the
// state as JSON. It changes nothing, has no authentication, and is therefore
// bound to loopback unless the configuration says otherwise. node starts and
// stops it; nothing else calls it.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Deps is what the server shows; read-only after New. Functions must be safe
// to call concurrently. A nil field leaves its page with its default.
type Deps struct {
	// Live returns nil while the process can still do its work; nil: always.
	Live func() error
	// Ready returns nil while requests are served, else why not (recovery is
	// running, the broker is stopping, a log directory failed); nil: always.
	Ready func() error
	// Status returns what /statusz shows, anything encoding/json can write.
	Status func() any
	// Metrics are what /metrics serves; without it the page is 404.
	Metrics prometheus.Gatherer
	// Log gets errors of the server; nil: slog's default.
	Log *slog.Logger
}

// Bounds on what a peer may take. Profiles and traces collect for ?seconds=N
// first; the page is then written within writeTimeout.
const (
	readTimeout      = 5 * time.Second
	writeTimeout     = 30 * time.Second
	idleTimeout      = time.Minute
	maxProfile       = 5 * time.Minute
	maxHeaderBytes   = 16 << 10
	maxConnections   = 64
	metricsInFlight  = 4
	shutdownDeadline = 2 * time.Second
)

// Server is the admin HTTP server. Start and Close may be called from any goroutine.
type Server struct {
	deps   Deps
	server *http.Server

	mu       sync.Mutex // guards what follows
	address  string
	listener net.Listener
	served   chan struct{} // closed when Serve returned; nil before Start
	closed   bool
}

// New returns a server that will listen on addr ("host:port", port 0 for any
// free one) when started.
func New(addr string, deps Deps) *Server {
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	s := &Server{deps: deps, address: addr}
	s.server = &http.Server{
		Handler: s.routes(), ReadTimeout: readTimeout, ReadHeaderTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(deps.Log.Handler(), slog.LevelWarn),
	}
	return s
}

// Start listens and serves until Close. The error names the address.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.served != nil {
		return errors.New("admin server was started before")
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("admin server on %q: %w", s.address, err)
	}
	s.listener, s.served = limit(l, maxConnections), make(chan struct{})
	// Stopped by Close, which closes the listener and waits for served.
	go func() {
		defer close(s.served)
		if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.deps.Log.Error("admin server stopped", "error", err)
		}
	}()
	return nil
}

// Addr is the address it listens on, nil before Start.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Close stops listening, gives running requests a moment to end, cuts those
// that do not, and waits for the server's goroutine. It may be called twice,
// and without Start.
func (s *Server) Close() error {
	s.mu.Lock()
	served := s.served
	s.closed = true
	s.mu.Unlock()
	if served == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownDeadline)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if err != nil {
		// A profile of minutes may be running: cutting it is what we want.
		err = s.server.Close()
	}
	<-served
	return err
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", index)
	for _, path := range []string{"/livez", "/healthz", "/-/healthy"} {
		mux.HandleFunc("GET "+path, check(s.deps.Live))
	}
	for _, path := range []string{"/readyz", "/-/ready"} {
		mux.HandleFunc("GET "+path, check(s.deps.Ready))
	}
	mux.HandleFunc("GET /statusz", s.status)
	if s.deps.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.deps.Metrics, promhttp.HandlerOpts{
			MaxRequestsInFlight: metricsInFlight, EnableOpenMetrics: true, ErrorLog: slog.NewLogLogger(s.deps.Log.Handler(), slog.LevelWarn),
		}))
	}
	mux.HandleFunc("GET /debug/pprof/", bounded(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", bounded(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/trace", bounded(pprof.Trace))
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol) // look-up; go tool pprof sends the addresses as a body
	return mux
}

func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprint(w, "FluxMQ\n\n/livez\n/readyz\n/metrics\n/statusz\n/debug/pprof/\n")
}

// check answers 200 "ok" or 503 with the reason.
func check(state func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if state != nil {
			if err := state(); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
				fmt.Fprintln(w, err)
				return
			}
		}
		fmt.Fprintln(w, "ok")
	}
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	var value any = struct{}{}
	if s.deps.Status != nil {
		value = s.deps.Status()
	}
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		http.Error(w, "status cannot be written as JSON: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(append(body, '\n')) //nolint:errcheck // the peer is gone: nobody is left to tell
}

// bounded refuses to collect a profile for longer than maxProfile. (The page
// itself moves the write deadline by the time that it collects.)
func bounded(page http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if v := r.FormValue("seconds"); v != "" {
			if seconds, err := strconv.ParseFloat(v, 64); err != nil || !(seconds > 0 && seconds <= maxProfile.Seconds()) {
				http.Error(w, fmt.Sprintf("seconds=%.20q: want a number above 0 and up to %d", v, maxProfile/time.Second), http.StatusBadRequest)
				return
			}
		}
		page(w, r)
	}
}
