package quota

import "math"

// bucket is a token bucket (KIP-599, Kafka's TokenBucket): it fills by limit
// tokens a second up to what all windows together hold, and may be overdrawn
// by one request. A rate would hold one large request against a client until
// its window has passed, however small the limit makes what came after it.
// The zero bucket is full.
type bucket struct {
	used   bool
	tokens float64
	limit  float64 // that it was filled by last
	lastMs int64
}

// refill adds what time has brought.
func (b *bucket) refill(w windows, nowMs int64, limit float64) {
	burst := float64(w.spanMs()) / 1000 * limit
	if !b.used {
		*b = bucket{used: true, tokens: burst, limit: limit, lastMs: nowMs}
		return
	}
	b.limit = limit
	passedMs := max(nowMs-b.lastMs, 0)
	b.tokens = min(burst, b.tokens+limit*float64(passedMs)/1000)
	b.lastMs += passedMs
}

// take takes tokens. With strict it takes nothing, and says so, while the
// bucket is overdrawn; without, it always takes. owedMs is how long the bucket
// takes to be at zero again, when that is to be waited for.
func (b *bucket) take(w windows, nowMs int64, tokens, limit float64, strict bool) (owedMs float64, ok bool) {
	b.refill(w, nowMs, limit)
	if strict && b.tokens < 0 {
		return b.owedMs(limit), false
	}
	b.tokens -= tokens
	if strict {
		return 0, true
	}
	return b.owedMs(limit), true
}

func (b *bucket) owedMs(limit float64) float64 {
	return math.Round(max(-b.tokens, 0) / limit * 1000)
}
