package node

import (
	"context"
	"time"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/config"
	"fluxmq/broker/metrics"
	"fluxmq/broker/partition"
)

// minCleanerBackoff is the least pause between two looks for a log to clean.
const minCleanerBackoff = 100 * time.Millisecond

// compact is the log cleaner: it cleans the dirtiest of the compacted logs until
// none is due, then looks again after log.cleaner.backoff.ms. It is a
// goroutine of its own beside the maintenance: cleaning a large log takes minutes, in
// which retention and flushing go on.
func (n *Node) compact(ctx context.Context) error {
	for {
		settings := n.metadata.Image().Settings.Cleaner
		began := time.Now()
		p, done, err := n.partitions.Compact(ctx, cleanerConfig(settings))
		if err != nil && ctx.Err() == nil {
			n.log.Error("Cleaning a log failed", "error", err)
		}
		if p != nil {
			n.log.Info("A log was cleaned", "topic", p.Topic(), "partition", p.Index(), "cleaned_to", done.CleanedTo,
				"bytes_before", done.BytesRead, "bytes_after", done.BytesWritten,
				"records_before", done.RecordsRead, "records_after", done.RecordsKept,
				"map_use", done.MapUse, "duration_ms", time.Since(began).Milliseconds())
			if ctx.Err() == nil {
				continue
			}
		}
		if !waited(ctx, max(settings.Backoff, minCleanerBackoff)) {
			return nil
		}
	}
}

// waited tells whether the time passed before ctx ended.
func waited(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func cleanerConfig(s config.Cleaner) commitlog.CleanerConfig {
	return commitlog.CleanerConfig{DedupeBytes: s.DedupeBytes, LoadFactor: s.LoadFactor, BufferBytes: s.BufferBytes}
}

// cleanerRates are those of this moment: a cleaning that takes minutes heeds what is altered meanwhile.
func (n *Node) cleanerRates() partition.CleanerRates {
	s := n.metadata.Image().Settings.Cleaner
	return partition.CleanerRates{Most: s.BytesPerSecond, Busy: s.BusyBytesPerSecond}
}

// cleanerState is what the metrics show of the cleaner.
func (n *Node) cleanerState() metrics.Cleaner {
	s := n.partitions.Cleaner()
	state := metrics.Cleaner{
		MaxDirtyRatio: s.MaxDirtyRatio, MaxDelay: s.MaxDelay, UncleanablePartitions: s.Uncleanable, UncleanableBytes: s.UncleanableBytes,
		MapUse: s.Last.MapUse, CleanTime: s.Last.Took,
	}
	if s.Last.BytesRead > 0 {
		state.RecopyRatio = float64(s.Last.BytesWritten) / float64(s.Last.BytesRead)
	}
	if s.LookedAtMs > 0 {
		state.SinceLastRun = time.Since(time.UnixMilli(s.LookedAtMs))
	}
	return state
}
