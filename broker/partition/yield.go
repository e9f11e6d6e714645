package partition

import "time"

const (
	// yieldSample is how often the cleaner looks how much is appended.
	yieldSample = 500 * time.Millisecond
	// yieldLinger is for how long producers count as there after the last append.
	yieldLinger = 2 * time.Second
	// yieldReserve is how many times faster than the logs grow the cleaner may be.
	yieldReserve = 2
	// yieldLeastRatio is what a smaller min.cleanable.dirty.ratio counts as: one of 0
	// asks for a cleaning at every change, which nothing keeps up with.
	yieldLeastRatio = 0.01
)

// yielding is what the cleaner leaves to those who append, who wait behind what
// it reads and writes. The goroutine of Set.Compact owns it.
type yielding struct {
	sampledAt       time.Time
	all, compacted  int64     // bytes appended to all logs, and to compacted ones, at sampledAt
	appendedAt      time.Time // when all was last seen to grow
	growthPerSecond float64   // of compacted logs
}

// CleanerRates is how many bytes a second the cleaner may read and write together,
// more than 0; math.MaxFloat64: as many as it likes.
type CleanerRates struct {
	Most float64 // log.cleaner.io.max.bytes.per.second
	// Busy holds beside it while anything is appended to any log, unless compacted
	// logs outgrow it: fluxmq.log.cleaner.busy.io.max.bytes.per.second.
	Busy float64
}

// allowance returns what a Cleaner asks how many bytes a second it may move: as
// many as it likes while nothing is appended, else those of Busy, or more where the
// compacted logs would outgrow that. A log that is cleaned at a dirty ratio of r is
// 1/r times as long as what was appended: that is read once to index it, and all
// is read and at most written once more, 2/r + 1 bytes for each.
func (y *yielding) allowance(s *Set, dirtyRatio float64) func() float64 {
	if dirtyRatio <= 0 {
		dirtyRatio = 0.5 // as commitlog takes it
	}
	dirtyRatio = max(dirtyRatio, yieldLeastRatio)
	work := yieldReserve * (2/dirtyRatio + 1)
	return func() float64 {
		rates := s.cleanerRates()
		if rates.Busy >= rates.Most {
			return rates.Most // nobody need look at the logs
		}
		now := time.UnixMilli(s.nowMs())
		if passed := now.Sub(y.sampledAt); passed >= yieldSample || passed < 0 {
			y.sample(now, s.all())
		}
		if now.Sub(y.appendedAt) > yieldLinger {
			return rates.Most
		}
		return min(rates.Most, max(rates.Busy, work*y.growthPerSecond))
	}
}

func (y *yielding) sample(now time.Time, partitions []*Partition) {
	var all, compacted int64
	for _, p := range partitions {
		if p.Offline() != nil {
			continue
		}
		n := p.log().AppendedBytes()
		all += n
		if p.cfg.Load().Compact {
			compacted += n
		}
	}
	if all > y.all {
		y.appendedAt = now
	}
	y.growthPerSecond = 0
	// Fewer bytes than before are those of a log that is gone.
	if passed := now.Sub(y.sampledAt); passed > 0 && compacted > y.compacted && !y.sampledAt.IsZero() {
		y.growthPerSecond = float64(compacted-y.compacted) / passed.Seconds()
	}
	y.sampledAt, y.all, y.compacted = now, all, compacted
}
