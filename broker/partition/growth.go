package partition

import "time"

const (
	// growthSample is how often the logs are looked at for what was appended.
	growthSample = 500 * time.Millisecond
	// growthLinger is for how long producers count as there after the last append.
	growthLinger = 2 * time.Second
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
