package node

import (
	"context"
	"time"
)

// rateInterval is how often the rate is logged while there is load.
const rateInterval = 10 * time.Second

// totals are counts since the start.
type totals struct{ recordsIn, bytesIn, bytesOut, networkIn, networkOut int64 }

func (n *Node) totals() totals {
	s := n.metrics.Totals()
	t := totals{recordsIn: s.RecordsIn.Load(), bytesIn: s.BytesIn.Load(), bytesOut: s.BytesOut.Load()}
	for _, l := range n.server.TrafficOf() {
		t.networkIn += l.In
		t.networkOut += l.Out
	}
	return t
}

// logRates writes one line every rateInterval in which records came or went.
func (n *Node) logRates(ctx context.Context) error {
	ticker := time.NewTicker(rateInterval)
	defer ticker.Stop()
	before, at := n.totals(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now, time := n.totals(), time.Now()
		if seconds := time.Sub(at).Seconds(); now.recordsIn != before.recordsIn || now.bytesOut != before.bytesOut {
			per := func(now, before int64) int64 { return int64(float64(now-before) / seconds) }
			n.log.Info("Load",
				"Messages/sec", per(now.recordsIn, before.recordsIn),
				"bytes_in_per_sec", per(now.bytesIn, before.bytesIn),
				"bytes_out_per_sec", per(now.bytesOut, before.bytesOut),
				"network_in_per_sec", per(now.networkIn, before.networkIn),
				"network_out_per_sec", per(now.networkOut, before.networkOut),
				"records_total", now.recordsIn, "connections", n.server.Connections())
		}
		before, at = now, time
	}
}
