package datasheet

import (
	"math"

	"fluxmq/reports/inference"
)

// boundConfidence is that of every bound on a rate and of every interval of an
// effect, and of the one-sided upper bound that a pass rests on (verdict.Row.Upper).
const boundConfidence = 0.95

// Rate is how often something happened, counted: Low and High are its
// Clopper–Pearson 95 % interval. A nil Rate was not measured.
type Rate struct {
	Hits  int     `json:"hits"`
	Of    int     `json:"of"`
	Share float64 `json:"share"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// newRate is nil for nothing tried.
func newRate(hits, of int) *Rate {
	if of == 0 {
		return nil
	}
	r := &Rate{Hits: hits, Of: of, Share: float64(hits) / float64(of)}
	r.Low, r.High = inference.ClopperPearson(hits, of, boundConfidence)
	return r
}

// Simulated is a rate over resampled gates. Low and High (Clopper–Pearson 95 %)
// say how exactly the resampling knows it for this pool; PoolLow and PoolHigh
// (percentile 95 % over bootstrapped pools) how far another pool of this size
// would have given another rate. The second is the one that matters. A nil
// Simulated was not measured.
type Simulated struct {
	Gates    int     `json:"gates"`
	Share    float64 `json:"share"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Pools    int     `json:"pools"`
	PoolLow  float64 `json:"pool_low"`
	PoolHigh float64 `json:"pool_high"`
}

// newSimulated takes hits of gates drawn from the pool, and the shares that bootstrapped pools gave.
func newSimulated(hits, gates int, shares []float64) *Simulated {
	rate := newRate(hits, gates)
	s := &Simulated{Gates: gates, Share: rate.Share, Low: rate.Low, High: rate.High, Pools: len(shares)}
	s.PoolLow = inference.Quantile(shares, (1-boundConfidence)/2)
	s.PoolHigh = inference.Quantile(shares, (1+boundConfidence)/2)
	return s
}

// Effect is a relative worsening (0.05: 5 % worse, below 0: better) with its
// two-sided 95 % signed-rank interval; the estimate is Hodges–Lehmann's. A nil
// Effect was not measured.
type Effect struct {
	Estimate float64 `json:"estimate"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Blocks   int     `json:"blocks" jsonschema:"kept blocks that know the metric"`
}

// bounds is what the rate may be, all told: both intervals together. A pool in
// which something never happens bootstraps to never, so the resampling's own
// interval keeps 0 of 10,000 from reading as impossible.
func (s *Simulated) bounds() (low, high float64) {
	return min(s.Low, s.PoolLow), max(s.High, s.PoolHigh)
}

// newEffect is nil for fewer blocks than a 95 % interval needs, which is 6.
func newEffect(d []float64, worsening func(float64) float64) *Effect {
	low, high := inference.SignedRankInterval(d, boundConfidence)
	if len(d) == 0 || math.IsInf(low, 0) {
		return nil
	}
	return &Effect{Estimate: worsening(inference.HodgesLehmann(d)), Low: worsening(low), High: worsening(high), Blocks: len(d)}
}
