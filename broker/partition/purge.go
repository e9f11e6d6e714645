package partition

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"time"

	"fluxmq/broker/protocol"
)

const (
	// purgeBusy is how many bytes a second are removed beside those who append: much
	// freed at once can make a disk answer others late, the more so when the file system
	// is mounted with discard and tells it of the blocks. `make compaction-scale` shows what is left of it.
	purgeBusy = 20e6
	// purgeWithin is in what time what was due at its beginning is removed all the same.
	purgeWithin = 5 * time.Minute
)

// Purge removes the files and directories of deleted segments and partitions
// that are due. It takes minutes for many gigabytes while others append, so node calls it
// from a goroutine of its own. It stops early when ctx ends; the next start removes what is left.
func (s *Set) Purge(ctx context.Context) error {
	retired := s.takeRetired()
	limit := s.purgeSees.removing(s, s.dueBytes(retired))
	wait := func(bytes int64) error { return s.purgePace.Wait(ctx, bytes, limit) }
	var errs []error
	for _, p := range s.all() {
		if stopped(ctx) {
			return errors.Join(errs...)
		}
		if p.Offline() != nil {
			continue
		}
		log := p.log()
		if err := p.translateFrom(log, log.Purge(ctx, wait)); err != nil && err != errMoved && !errors.Is(err, protocol.ErrUnknownTopicOrPartition) {
			errs = append(errs, err)
		}
	}
	for _, d := range retired {
		if d.in.Failed() == nil && !stopped(ctx) { // else the next start removes it
			errs = append(errs, s.fs.Discard(ctx, d.path, wait))
		}
	}
	return errors.Join(errs...)
}

// takeRetired returns the directories of deleted partitions that are due, which are the caller's from now on.
func (s *Set) takeRetired() (due []retiredDir) {
	nowMs := s.nowMs()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = slices.DeleteFunc(s.retired, func(d retiredDir) bool {
		if d.dueMs <= nowMs {
			due = append(due, d)
		}
		return d.dueMs <= nowMs
	})
	return due
}

// dueBytes is how much a round of Purge has to remove. What cannot be looked at counts
// nothing here; that it cannot be removed either is told by the removal.
func (s *Set) dueBytes(retired []retiredDir) (total int64) {
	for _, p := range s.all() {
		if p.Offline() == nil {
			total += p.log().DueBytes()
		}
	}
	for _, d := range retired {
		entries, err := s.fs.ReadDir(d.path)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if info, err := s.fs.Stat(filepath.Join(d.path, e.Name())); err == nil {
				total += info.Size()
			}
		}
	}
	return total
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
