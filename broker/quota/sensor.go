package quota

import (
	"math"
	"sync"
	"sync/atomic"
)

// sensor measures one client, or one user's clients together, in one kind.
// The limit is not the sensor's: it may change while the sensor goes on. Safe
// for concurrent use.
type sensor struct {
	lastMs atomic.Int64 // when it was asked for or charged last

	mu     sync.Mutex // guards what follows
	rate   rate       // of every kind but ControllerMutationRate
	bucket bucket     // of ControllerMutationRate
}

// charge records an amount. throttleMs is how long nothing must follow for the
// rate to fall to limit: with O the rate over W milliseconds, X such that
// O·W/(W+X) = limit (Kafka's QuotaUtils). alone tells that no window held
// anything before.
func (s *sensor) charge(w windows, nowMs int64, amount, limit float64) (throttleMs float64, alone bool) {
	s.lastMs.Store(nowMs)
	s.mu.Lock()
	defer s.mu.Unlock()
	alone = s.rate.sum(w, nowMs) <= 0
	s.rate.record(w, nowMs, amount)
	value, tookMs := s.rate.measure(w, nowMs)
	if value <= limit {
		return 0, alone
	}
	return math.Round((value - limit) / limit * float64(tookMs)), alone
}

// refund takes back what was charged a moment ago.
func (s *sensor) refund(w windows, nowMs int64, amount float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate.record(w, nowMs, -amount)
}

// take takes tokens from the bucket (see bucket.take).
func (s *sensor) take(w windows, nowMs int64, tokens, limit float64, strict bool) (owedMs float64, ok bool) {
	s.lastMs.Store(nowMs)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bucket.take(w, nowMs, tokens, limit, strict)
}

// read is the rate a second, or for ControllerMutationRate the tokens left.
func (s *sensor) read(kind Kind, w windows, nowMs int64) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind == ControllerMutationRate {
		s.bucket.refill(w, nowMs, s.bucket.limit)
		return s.bucket.tokens
	}
	value, _ := s.rate.measure(w, nowMs)
	return value
}
