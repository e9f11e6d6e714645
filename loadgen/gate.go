package loadgen

import (
	"math"
	"sync/atomic"
)

// Gate opens and closes the window for all workers at once: a record belongs
// to the window when its intended time lies in [start, end).
type Gate struct {
	start, end atomic.Int64 // Unix ns; MaxInt64 until known
}

func newGate() *Gate {
	g := &Gate{}
	g.start.Store(math.MaxInt64)
	g.end.Store(math.MaxInt64)
	return g
}

// open begins the window now; lengthNs 0 leaves its end to the workers' record counts.
func (g *Gate) open(nowNs, lengthNs int64) {
	if lengthNs > 0 {
		g.end.Store(nowNs + lengthNs)
	}
	g.start.Store(nowNs)
}

// close ends the load at once.
func (g *Gate) close(nowNs int64) { g.end.Store(min(nowNs, g.end.Load())) }

// Measured tells whether a record intended then belongs to the window, or comes after it.
func (g *Gate) Measured(intendedNs int64) bool { return intendedNs >= g.start.Load() }

// Over tells whether the load ends before a record intended then.
func (g *Gate) Over(intendedNs int64) bool { return intendedNs >= g.end.Load() }

// Tally is what one worker did. Each field is written by one goroutine and may be read by any.
type Tally struct {
	sent         atomic.Int64 // records, warm-up included
	measured     atomic.Int64 // of them in the window
	rawBytes     atomic.Int64 // keys and values of those in the window
	lastSendNs   atomic.Int64 // when the last Send returned
	_            [32]byte     // the two sides write from two goroutines
	acknowledged atomic.Int64
	failed       atomic.Int64
	firstError   atomic.Pointer[string]
	_            [32]byte
}

// add is for a field with a single writer: cheaper than an atomic addition.
func add(field *atomic.Int64, n int64) { field.Store(field.Load() + n) }

// Sent counts records handed to the client; rawBytes are those of their keys and values.
func (t *Tally) Sent(records, rawBytes int64, measured bool) {
	add(&t.sent, records)
	if measured {
		add(&t.measured, records)
		add(&t.rawBytes, rawBytes)
	}
}

// Measured is how many of the sent records belong to the window.
func (t *Tally) Measured() int64 { return t.measured.Load() }

// Ended notes when the last send returned.
func (t *Tally) Ended(unixNs int64) { t.lastSendNs.Store(unixNs) }

// Acknowledged counts records whose send succeeded.
func (t *Tally) Acknowledged(records int64) { add(&t.acknowledged, records) }

// Failed counts records whose send failed.
func (t *Tally) Failed(err error, records int64) {
	add(&t.failed, records)
	if t.firstError.Load() == nil {
		text := err.Error()
		t.firstError.Store(&text)
	}
}
