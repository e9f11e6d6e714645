package partition

import (
	"context"
	"errors"

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
