package partition

const (
	// yieldReserve is how many times faster than the logs grow work may be that must keep up with them.
	yieldReserve = 2
	// yieldLeastRatio is what a smaller min.cleanable.dirty.ratio counts as: one of 0
	// asks for a cleaning at every change, which nothing keeps up with.
	yieldLeastRatio = 0.01
)

// CleanerRates is how many bytes a second the cleaner may read and write together,
// more than 0; math.MaxFloat64: as many as it likes.
type CleanerRates struct {
	Most float64 // log.cleaner.io.max.bytes.per.second
	// Busy holds beside it while anything is appended to any log, unless compacted
	// logs outgrow it: fluxmq.log.cleaner.busy.io.max.bytes.per.second.
	Busy float64
}

// cleaning returns what a Cleaner asks how many bytes a second it may move: as
// many as it likes while nothing is appended, else those of Busy, or more where the
// compacted logs would outgrow that. A log that is cleaned at a dirty ratio of r is
// 1/r times as long as what was appended: that is read once to index it, and all
// is read and at most written once more, 2/r + 1 bytes for each.
func (g *growth) cleaning(s *Set, dirtyRatio float64) func() float64 {
	if dirtyRatio <= 0 {
		dirtyRatio = 0.5 // as commitlog takes it
	}
	dirtyRatio = max(dirtyRatio, yieldLeastRatio)
	work := yieldReserve * (2/dirtyRatio + 1)
	return func() float64 {
		rates := s.cleanerRates()
		if rates.Busy >= rates.Most || !g.look(s) {
			return rates.Most
		}
		return min(rates.Most, max(rates.Busy, work*g.compactedsPerSecond))
	}
}
