package loadgen

import (
	"sync"
	"time"

	"fluxmq/reports"
)

// totals are counters over all workers at one moment.
type totals struct{ sent, acknowledged, failed, received int64 }

func sumTallies(tallies []*Tally) (t totals) {
	for _, one := range tallies {
		t.sent += one.sent.Load()
		t.acknowledged += one.acknowledged.Load()
		t.failed += one.failed.Load()
	}
	return t
}

// sampler turns live counters into one Second a second, a progress event and
// intervals of the latency log.
type sampler struct {
	clock  *Clock
	events *Events
	log    *IntervalLog

	mu        sync.Mutex // guards what follows
	phase     string
	measured  bool
	read      func() totals
	latencies map[string][]*Recorder
	last      totals
	lastNs    int64
	seconds   []reports.Second
	err       error // the first of the latency log

	stopping chan struct{}
	stopped  chan struct{}
}

func newSampler(clock *Clock, events *Events, log *IntervalLog) *sampler {
	return &sampler{clock: clock, events: events, log: log, latencies: map[string][]*Recorder{}, read: func() totals { return totals{} }}
}

// observe sets what is counted from now on.
func (s *sampler) observe(read func() totals, tag string, recorders []*Recorder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.last, s.lastNs = read, read(), s.clock.Now()
	s.latencies[tag] = recorders
}

// alsoLatency adds recorders of another tag.
func (s *sampler) alsoLatency(tag string, recorders []*Recorder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latencies[tag] = recorders
}

// enter ends the running interval and begins a phase's first.
func (s *sampler) enter(phase string, measured bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interval(leastInterval)
	s.phase, s.measured = phase, measured
}

// leastInterval is the shortest one that is told apart from the next.
const leastInterval = time.Millisecond

// interval closes the interval since the last one; one that is shorter than least
// goes on. mu is held.
func (s *sampler) interval(least time.Duration) {
	now := s.clock.Now()
	length := now - s.lastNs
	if s.lastNs == 0 || length < int64(least) {
		return
	}
	t := s.read()
	s.seconds = append(s.seconds, reports.Second{
		UnixNs: now, Seconds: float64(length) / 1e9, Sent: t.sent - s.last.sent,
		Acknowledged: t.acknowledged - s.last.acknowledged, Received: t.received - s.last.received, Measured: s.measured,
	})
	for tag, recorders := range s.latencies {
		if err := s.log.Write(tag, s.lastNs, now, recorders); err != nil && s.err == nil {
			s.err = err
		}
	}
	done := t.acknowledged - s.last.acknowledged + t.received - s.last.received
	s.events.write(progressEvent{"progress", now, s.phase, t.sent, t.acknowledged, t.received, float64(done) * 1e9 / float64(length)})
	s.last, s.lastNs = t, now
}

// start begins to sample once a second.
func (s *sampler) start() {
	s.stopping, s.stopped = make(chan struct{}), make(chan struct{})
	go func() { // ends when stop closes stopping, and is awaited there
		defer close(s.stopped)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				s.mu.Lock()
				s.interval(leastInterval)
				s.mu.Unlock()
			case <-s.stopping:
				return
			}
		}
	}()
}

// stop takes the last interval and ends the sampling; the seconds and the log's first error. It may be called twice.
func (s *sampler) stop() ([]reports.Second, error) {
	if s.stopping != nil {
		close(s.stopping)
		<-s.stopped
		s.stopping = nil
		s.interval(time.Nanosecond) // there is no next one that it could be part of
	}
	return s.seconds, s.err
}
