package partition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fluxmq/broker/commitlog"
)

// cleanRetry is how long a log is left alone after cleaning it failed for a
// reason that may pass, as a full disk does.
const cleanRetry = time.Minute

// CleanerStats is what the cleaner of a log directory found and did.
type CleanerStats struct {
	// Of the last look at all compacted logs, at LookedAtMs (unix ms, 0: none yet).
	LookedAtMs    int64
	MaxDirtyRatio float64       // of the dirtiest, 0 to 1
	MaxDelay      time.Duration // how much longer than max.compaction.lag.ms one has waited
	// Uncleanable logs hold something that the cleaner cannot read; they are
	// left alone until the next start.
	Uncleanable      int
	UncleanableBytes int64
	// Last is the last cleaning that ended well.
	Last commitlog.Compacted
}

// Cleaner tells what the cleaner found and did. Any goroutine.
func (s *Set) Cleaner() CleanerStats {
	if stats := s.cleanerStats.Load(); stats != nil {
		return *stats
	}
	return CleanerStats{}
}

// Compact cleans the dirtiest of the compacted logs that are due (Kafka's
// LogCleaner) and returns its partition; nil when none is. node calls it from one
// goroutine, again at once while there is work. It ends early, without an
// error, when ctx ends or the topic is deleted meanwhile. A log that cannot be
// cleaned does not stop the others: it is passed over from then on, or for a while.
func (s *Set) Compact(ctx context.Context, cfg commitlog.CleanerConfig) (*Partition, commitlog.Compacted, error) {
	p, err := s.dirtiest(ctx)
	if p == nil {
		// Its memory is free while there is nothing to do.
		return nil, commitlog.Compacted{}, errors.Join(err, s.closeCleaner())
	}
	if s.cleaner == nil || s.cleanerConfig != cfg {
		err = errors.Join(err, s.closeCleaner())
		s.cleaner, s.cleanerConfig = commitlog.NewCleaner(cfg), cfg
	}
	if !p.cleanMu.TryLock() {
		return nil, commitlog.Compacted{}, err // it is being moved; the pause is the caller's
	}
	defer p.cleanMu.Unlock()
	s.cleaner.Allowed = s.cleanerSees.cleaning(s, p.cfg.Load().log().MinDirtyRatio)
	done, cleanErr := p.log().Compact(ctx, s.cleaner, p.cleaned.Load(), p.Offsets().LastStable)
	if cleanErr != nil {
		return nil, done, errors.Join(err, p.notCleaned(ctx, cleanErr))
	}
	// The exchanged segments are durable: only now may the checkpoint say so.
	p.cleaned.Store(done.CleanedTo)
	stats := s.Cleaner()
	stats.Last = done
	s.cleanerStats.Store(&stats)
	err = errors.Join(err, s.writeCheckpoints())
	if done.BytesRead == 0 {
		return nil, done, err // its last segment is being rolled this moment
	}
	return p, done, err
}

// closeCleaner gives the memory for cleaning back. The goroutine of Compact, or
// Close behind it.
func (s *Set) closeCleaner() error {
	c := s.cleaner
	s.cleaner = nil
	if c == nil {
		return nil
	}
	return c.Close()
}

// dirtiest looks at all compacted logs.
func (s *Set) dirtiest(ctx context.Context) (dirtiest *Partition, err error) {
	stats := CleanerStats{LookedAtMs: s.nowMs(), Last: s.Cleaner().Last}
	var errs []error
	ratio := -1.0
	for _, p := range s.all() {
		if stopped(ctx) {
			return nil, nil
		}
		if !p.cfg.Load().Compact || p.Offline() != nil || p.moving.Load() != nil { // a move pauses cleaning, as in Kafka
			continue
		}
		c, err := p.log().Cleanable(p.cleaned.Load(), p.Offsets().LastStable)
		if err != nil {
			errs = append(errs, p.notCleaned(ctx, err))
			continue
		}
		if p.uncleanable {
			stats.Uncleanable++
			stats.UncleanableBytes += c.DirtyBytes
			continue
		}
		stats.MaxDirtyRatio = max(stats.MaxDirtyRatio, c.DirtyRatio())
		stats.MaxDelay = max(stats.MaxDelay, c.Overdue)
		if c.Due && c.DirtyRatio() > ratio && s.nowMs() >= p.cleanAfterMs {
			dirtiest, ratio = p, c.DirtyRatio()
		}
	}
	s.cleanerStats.Store(&stats)
	return dirtiest, errors.Join(errs...)
}

// notCleaned decides what a failed cleaning means for the partition; nil when
// there is nothing to tell.
func (p *Partition) notCleaned(ctx context.Context, err error) error {
	switch {
	case stopped(ctx), errors.Is(err, commitlog.ErrClosed):
		return nil
	case errors.Is(err, commitlog.ErrOffline):
		return p.translate(err)
	case errors.Is(err, commitlog.ErrUncleanable):
		p.uncleanable = true
	default:
		p.cleanAfterMs = p.set.nowMs() + cleanRetry.Milliseconds()
	}
	return fmt.Errorf("%s: %w", p, err)
}
