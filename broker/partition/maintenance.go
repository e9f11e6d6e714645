package partition

import (
	"context"
	"errors"
	"slices"
	"time"

	"fluxmq/broker/protocol"
)

// Maintain is the tick of the log directories: retention, index files of rolled
// segments, flushing by time, expiry of producers, and the checkpoints. node
// calls it every few seconds from one goroutine. It stops early when ctx ends. Errors of single partitions are joined; those that took
// a partition offline are told through OnOffline as well.
func (s *Set) Maintain(ctx context.Context) error {
	var errs []error
	for _, p := range s.all() {
		if stopped(ctx) {
			return errors.Join(errs...)
		}
		if p.Offline() == nil {
			if err := p.maintain(); err != nil && !errors.Is(err, protocol.ErrUnknownTopicOrPartition) {
				errs = append(errs, err)
			}
		}
	}
	errs = append(errs, s.writeCheckpoints())
	return errors.Join(errs...)
}

// gentlePurge is how long a round of Purge is gentle with those who append. What
// is left then goes faster: a round that is longer has much to remove, and must keep up.
const gentlePurge = 10 * time.Second

// Purge removes the files and directories of deleted segments and partitions
// that are due. It takes some seconds for a gigabyte, so node calls it from a goroutine
// of its own. It stops early when ctx ends; the next start removes what is left.
func (s *Set) Purge(ctx context.Context) error {
	gentleUntil := time.Now().Add(gentlePurge)
	var errs []error
	for _, p := range s.all() {
		if stopped(ctx) {
			return errors.Join(errs...)
		}
		if p.Offline() != nil {
			continue
		}
		log := p.log()
		if err := p.translateFrom(log, log.Purge(ctx, gentleUntil)); err != nil && err != errMoved && !errors.Is(err, protocol.ErrUnknownTopicOrPartition) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, s.removeRetired(ctx))...)
}

func (p *Partition) maintain() error {
	cfg := p.cfg.Load()
	p.mu.Lock()
	err := p.log().Tidy()
	if err == nil {
		_, err = p.log().Retain(p.Offsets().HighWatermark)
	}
	due := cfg.FlushInterval > 0 && p.set.nowMs()-p.lastFlush >= cfg.FlushInterval.Milliseconds()
	if due {
		p.lastFlush, p.unflushed = p.set.nowMs(), 0
	}
	p.mu.Unlock()
	if err != nil {
		return p.translate(err)
	}
	if due {
		p.set.syncer.enqueue(p)
	}
	log := p.log()
	durable, err := log.SyncRolled()
	if err == nil {
		p.settle(durable, nil)
		err = log.Seal()
	}
	if err == nil {
		err = log.WriteEpochs()
	}
	if err = p.translateFrom(log, err); err == errMoved {
		return nil // the next tick finds the new log
	}
	return err
}

// removeRetired removes the directories of deleted partitions that are due.
func (s *Set) removeRetired(ctx context.Context) error {
	nowMs := s.nowMs()
	s.mu.Lock()
	var due []retiredDir
	s.retired = slices.DeleteFunc(s.retired, func(d retiredDir) bool {
		if d.dueMs <= nowMs {
			due = append(due, d)
		}
		return d.dueMs <= nowMs
	})
	s.mu.Unlock()
	var errs []error
	for _, d := range due {
		if d.in.Failed() == nil && !stopped(ctx) { // else the next start removes it
			errs = append(errs, s.fs.Discard(ctx, d.path, false))
		}
	}
	return errors.Join(errs...)
}
