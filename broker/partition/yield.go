package partition

import (
	"math"
	"time"
)

const (
	// growthSample is how often the logs are looked at for what was appended.
	growthSample = 500 * time.Millisecond
	// growthLinger is for how long producers count as there after the last append.
	growthLinger = 2 * time.Second
	// yieldReserve is how many times faster than the logs grow work may be that must keep up with them.
	yieldReserve = 2
	// yieldLeastRatio is what a smaller min.cleanable.dirty.ratio counts as: one of 0
	// asks for a cleaning at every change, which nothing keeps up with.
	yieldLeastRatio = 0.01
	// purgeBusy is how many bytes a second are removed beside those who append. A
	// file system mounted with discard, as many images have it, tells the disk of the
	// blocks it freed; some disks serve nobody else for a tenth of a second when
	// they are told of more (BenchmarkDiscard).
	purgeBusy = 20e6
	// purgeWithin is in what time what was due at its beginning is removed all the same.
	purgeWithin = 5 * time.Minute
)

// growth is what is appended to the logs of a set, as the work of one goroutine sees it
// that others would wait behind.
type growth struct {
	sampledAt           time.Time
	all, compacted      int64     // bytes appended to all logs, and to compacted ones, at sampledAt
	appendedAt          time.Time // when all was last seen to grow
	allPerSecond        float64
	compactedsPerSecond float64
}

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

// removing returns how many bytes a second of deleted logs may be given back, of
// which so many are due: as many as the disk takes while nothing is appended, else
// purgeBusy, or more where more becomes due in the long run or purgeWithin asks for it.
func (g *growth) removing(s *Set, due int64) func() (float64, error) {
	busy := max(purgeBusy, float64(due)/purgeWithin.Seconds())
	return func() (float64, error) {
		if !g.look(s) {
			return math.MaxFloat64, nil
		}
		return max(busy, yieldReserve*g.allPerSecond), nil
	}
}

// look takes a sample when it is time and tells whether anything is appended these days.
func (g *growth) look(s *Set) (busy bool) {
	now := time.UnixMilli(s.nowMs())
	if passed := now.Sub(g.sampledAt); passed >= growthSample || passed < 0 {
		g.sample(now, s.all())
	}
	return now.Sub(g.appendedAt) <= growthLinger
}

func (g *growth) sample(now time.Time, partitions []*Partition) {
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
	if all > g.all {
		g.appendedAt = now
	}
	g.allPerSecond, g.compactedsPerSecond = 0, 0
	if passed := now.Sub(g.sampledAt); passed > 0 && !g.sampledAt.IsZero() {
		// Fewer bytes than before are those of a log that is gone.
		g.allPerSecond = float64(max(0, all-g.all)) / passed.Seconds()
		g.compactedsPerSecond = float64(max(0, compacted-g.compacted)) / passed.Seconds()
	}
	g.sampledAt, g.all, g.compacted = now, all, compacted
}
