package metrics

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Counter only grows. Add may be called from any goroutine and does not allocate.
type Counter struct{ v atomic.Int64 }

// Add counts n more; n must not be negative.
func (c *Counter) Add(n int64) { c.v.Add(n) }

// Load returns the count so far.
func (c *Counter) Load() int64 { return c.v.Load() }

// histogramBuckets have the upper bounds 1 µs, 2 µs, 4 µs … 2^24 µs (16.8 s);
// one more holds the rest.
const histogramBuckets = 25

// Histogram counts durations in buckets of powers of two. Observe may be
// called from any goroutine, does not allocate and searches nothing.
type Histogram struct {
	buckets  [histogramBuckets + 1]atomic.Int64
	sumNanos atomic.Int64
}

// Observe counts one duration; below zero counts as zero.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	// The bucket of d is the smallest i with d <= 2^i µs.
	i := bits.Len64(uint64(max(d-1, 0)) / uint64(time.Microsecond))
	h.buckets[min(i, histogramBuckets)].Add(1)
	h.sumNanos.Add(int64(d))
}

// snapshot returns count, sum in seconds and cumulative counts by upper bound.
// Under concurrent Observe the three may differ by what is in flight.
func (h *Histogram) snapshot() (count uint64, sumSeconds float64, cumulative map[float64]uint64) {
	cumulative = make(map[float64]uint64, histogramBuckets)
	for i := range histogramBuckets {
		count += uint64(h.buckets[i].Load())
		cumulative[float64(int64(1)<<i)/1e6] = count
	}
	count += uint64(h.buckets[histogramBuckets].Load())
	return count, time.Duration(h.sumNanos.Load()).Seconds(), cumulative
}

// Traffic is what is counted for each topic and for the whole broker. Count a
// thing once: in its topic's counters, or in the Registry's own where there is
// no topic to count it for (an unknown one, say). The broker's sample is the
// sum of all. A request touches several of these together, so they share
// cache lines on purpose.
type Traffic struct {
	RecordsIn, BytesIn, BytesOut   Counter
	ProduceRequests, FetchRequests Counter
	FailedProduce, FailedFetch     Counter
	Conversions                    Counter
}

// each visits the counters with their definitions.
func (t *Traffic) each(visit func(definition int, c *Counter)) {
	visit(recordsIn, &t.RecordsIn)
	visit(bytesIn, &t.BytesIn)
	visit(bytesOut, &t.BytesOut)
	visit(produceRequests, &t.ProduceRequests)
	visit(fetchRequests, &t.FetchRequests)
	visit(failedProduce, &t.FailedProduce)
	visit(failedFetch, &t.FailedFetch)
	visit(conversions, &t.Conversions)
}

// TopicCounters are one topic's; keep the pointer, do not look it up again.
type TopicCounters struct {
	Traffic
	_ [128 - 8*8]byte // keep topics off each other's cache lines
}

// The arrays of requests are indexed by API key and version.
const (
	keyCount     = 96
	versionCount = 24
)

// Registry is the broker's counters. The zero value counts; it must not be
// copied. Everything but Sources may be used from any goroutine; Sources is
// filled before the first scrape and then read-only.
type Registry struct {
	// Traffic that belongs to no topic.
	Traffic
	Append, Fetch, Flush                    Histogram
	ConnectionsAccepted, ConnectionsRefused Counter
	MalformedRequests                       Counter
	Sources                                 Sources

	requestCounts   [keyCount][versionCount]Counter
	requestTimes    [keyCount]Histogram
	unknownRequests Counter

	mu     sync.Mutex // guards topics
	topics map[string]*TopicCounters
	gone   Traffic // what topics had counted before they were forgotten
}

// Requests counts one request of that API key and version.
func (m *Registry) Requests(key, version int16) {
	if uint16(key) >= keyCount || uint16(version) >= versionCount {
		m.unknownRequests.Add(1)
		return
	}
	m.requestCounts[key][version].Add(1)
}

// RequestTime counts the time that one request of that API key took.
func (m *Registry) RequestTime(key int16, d time.Duration) {
	if uint16(key) < keyCount {
		m.requestTimes[key].Observe(d)
	}
}

// Topic returns the counters of a topic, making them at first. It takes a
// lock: call it when a partition opens and keep the pointer.
func (m *Registry) Topic(name string) *TopicCounters {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.topics[name]
	if t == nil {
		if m.topics == nil {
			m.topics = make(map[string]*TopicCounters)
		}
		t = new(TopicCounters)
		m.topics[name] = t
	}
	return t
}

// ForgetTopic ends a deleted topic's samples; the broker's sums keep what it
// had counted. What is still counted through an old pointer is not seen.
func (m *Registry) ForgetTopic(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.topics[name]
	if t == nil {
		return
	}
	delete(m.topics, name)
	m.gone.add(&t.Traffic)
}

// add adds every counter of o to t's.
func (t *Traffic) add(o *Traffic) {
	var counts []int64
	o.each(func(_ int, c *Counter) { counts = append(counts, c.Load()) })
	t.each(func(_ int, c *Counter) { c.Add(counts[0]); counts = counts[1:] })
}

// Totals returns the broker's sums over all topics, past and present.
func (m *Registry) Totals() *Traffic {
	sum := new(Traffic)
	m.mu.Lock()
	defer m.mu.Unlock()
	sum.add(&m.Traffic)
	sum.add(&m.gone)
	for _, t := range m.topics {
		sum.add(&t.Traffic)
	}
	return sum
}
