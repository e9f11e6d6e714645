package quota

import "time"

// Mutations is what one request may still do to partitions
// (ControllerMutationRate, KIP-599). The zero value allows everything. One
// goroutine at a time.
type Mutations struct {
	manager *Manager
	sensor  *sensor // nil: no limit
	limit   float64
	strict  bool
	owedMs  float64 // from atMs on, of the last Take that was owed tokens
	atMs    int64
}

// Mutations begins a request. A strict one is refused what the client has no
// tokens for; any other is carried out, and the client silenced afterwards
// (versions of requests that do not know THROTTLING_QUOTA_EXCEEDED).
func (m *Manager) Mutations(user string, clientID []byte, strict bool) Mutations {
	table := m.limiting(ControllerMutationRate)
	if table == nil {
		return Mutations{}
	}
	s, limit := m.find(table, ControllerMutationRate, user, clientID)
	return Mutations{manager: m, sensor: s, limit: limit, strict: strict}
}

// Take asks to create or delete that many partitions together. false is no,
// for Throttle long.
func (a *Mutations) Take(partitions int32) bool {
	if a.sensor == nil {
		return true
	}
	nowMs := a.manager.nowMs()
	owedMs, ok := a.sensor.take(a.manager.controllers, nowMs, float64(partitions), a.limit, a.strict)
	if owedMs == 0 {
		return ok
	}
	if a.owedMs == 0 {
		a.manager.throttled[ControllerMutationRate].Add(1)
	}
	a.owedMs, a.atMs = owedMs, nowMs
	return ok
}

// Throttle is for how long the client is to be silenced: what the last Take
// that had to wait found, less the time since.
func (a *Mutations) Throttle() time.Duration {
	if a.owedMs == 0 {
		return 0
	}
	return milliseconds(a.owedMs - float64(a.manager.nowMs()-a.atMs))
}
