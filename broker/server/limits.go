package server

import (
	"math"
	"time"
)

// Limits bound the connections of a server.
type Limits struct {
	// Connections is max.connections, PerIP max.connections.per.ip: both 0 is no limit.
	Connections, PerIP int
	// Of are the exceptions to PerIP, by the client's address.
	Of map[string]int
	// Rate is max.connection.creation.rate, in connections a second; negative is no limit.
	Rate int
}

// unlessZero is a limit, none when it is 0 or less.
func unlessZero(limit int) int {
	if limit <= 0 {
		return math.MaxInt
	}
	return limit
}

// SetLimits makes limits what binds from now on, before Serve or while it
// runs. Connections that are open stay open.
func (s *Server) SetLimits(limits Limits) {
	perHost := make(map[string]int, len(limits.Of))
	for address, most := range limits.Of {
		perHost["/"+address] = most // as Request.Peer shows it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.MaxConnections, s.MaxConnectionsPerIP, s.perHost = unlessZero(limits.Connections), unlessZero(limits.PerIP), perHost
	s.pace.set(limits.Rate)
}

// pace spreads events over time: as many a second as its rate, and those of
// one second at once. The zero pace lets all pass.
type pace struct {
	rate   int  // events a second; at 0 nothing passes
	bound  bool // whether rate is a limit
	tokens float64
	at     time.Time // when there were so many tokens; zero at first
}

// unlimitedRate is the default of max.connection.creation.rate.
const unlimitedRate = math.MaxInt32

func (p *pace) set(rate int) {
	p.rate, p.bound = rate, rate >= 0 && rate < unlimitedRate
	p.tokens, p.at = float64(rate), time.Time{}
}

// wait takes the next turn and returns 0, or tells when to ask again.
func (p *pace) wait(now time.Time) time.Duration {
	switch {
	case !p.bound:
		return 0
	case p.rate == 0:
		return time.Second
	case !p.at.IsZero():
		p.tokens = min(p.tokens+now.Sub(p.at).Seconds()*float64(p.rate), float64(p.rate))
	}
	p.at = now
	if p.tokens >= 1 {
		p.tokens--
		return 0
	}
	return time.Duration((1 - p.tokens) / float64(p.rate) * float64(time.Second))
}

// turnPause bounds how long the accept loop waits before it looks whether the
// server stops or the rate was altered.
const turnPause = 100 * time.Millisecond

// awaitTurn returns when max.connection.creation.rate allows one more
// connection: true; or when the server stops. Meanwhile clients wait in the
// system's accept queue, as in Kafka.
func (s *Server) awaitTurn() bool {
	for {
		s.mu.Lock()
		wait, stopped := s.pace.wait(time.Now()), s.stopped
		s.mu.Unlock()
		switch {
		case stopped:
			return false
		case wait <= 0:
			return true
		case !s.pause(min(wait, turnPause)):
			return false
		}
	}
}
