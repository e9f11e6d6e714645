package partition

import (
	"context"
	"errors"
	"maps"
	"slices"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/protocol"
)

// Maintain is the tick of a log directory: retention, delayed deletion, index
// files of rolled segments, flushing by time, expiry of producers, and the
// checkpoints. node calls it every few seconds from one goroutine. It stops
// early when ctx ends. Errors of single partitions are joined; those that took
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
	errs = append(errs, s.removeRetired(), s.writeCheckpoints())
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
	durable, err := p.log().SyncRolled()
	if err == nil {
		p.settle(durable, nil)
		err = p.log().Seal()
	}
	if err == nil {
		err = p.log().WriteEpochs()
	}
	if err == nil {
		err = p.log().Purge()
	}
	return p.translate(err)
}

// removeRetired removes the directories of deleted partitions that are due.
func (s *Set) removeRetired() error {
	nowMs := s.nowMs()
	s.mu.Lock()
	var due []string
	s.retired = slices.DeleteFunc(s.retired, func(d retiredDir) bool {
		if d.dueMs <= nowMs {
			due = append(due, d.path)
		}
		return d.dueMs <= nowMs
	})
	s.mu.Unlock()
	var errs []error
	for _, path := range due {
		errs = append(errs, s.fs.RemoveAll(path))
	}
	return errors.Join(errs...)
}

// writeCheckpoints writes the checkpoint files whose content changed.
func (s *Set) writeCheckpoints() error {
	s.checkpointMu.Lock()
	defer s.checkpointMu.Unlock()
	points := map[commitlog.TopicPartition]int64{}
	starts := map[commitlog.TopicPartition]int64{}
	marks := map[commitlog.TopicPartition]int64{}
	cleaned := map[commitlog.TopicPartition]int64{}
	s.Each(func(p *Partition) bool {
		key := commitlog.TopicPartition{Topic: p.Topic(), Index: p.index}
		s.keepCheckpoint(key, p, false, points, starts)
		if at := p.cleaned.Load(); at >= 0 {
			cleaned[key] = at
		}
		if p.log() != nil {
			marks[key] = p.Offsets().HighWatermark
		}
		return true
	})
	return errors.Join(
		s.writeCheckpoint(commitlog.RecoveryPointFile, points),
		s.writeCheckpoint(commitlog.LogStartFile, starts),
		s.writeCheckpoint(commitlog.ReplicationFile, marks),
		s.writeCheckpoint(commitlog.CleanerFile, cleaned))
}

// keepCheckpoint notes p's recovery point and log start. A partition that
// could not be opened keeps what the files said. closed: the log takes no
// more, and the caller syncs the whole tree before it writes the files.
func (s *Set) keepCheckpoint(key commitlog.TopicPartition, p *Partition, closed bool, points, starts map[commitlog.TopicPartition]int64) {
	if p.log() == nil {
		if at, ok := s.written[commitlog.RecoveryPointFile][key]; ok {
			points[key] = at
		}
		if at, ok := s.written[commitlog.LogStartFile][key]; ok {
			starts[key] = at
		}
		return
	}
	o := p.log().Offsets()
	points[key] = o.Durable
	if closed {
		points[key] = o.LogEnd
	}
	if o.LogStart > 0 {
		starts[key] = o.LogStart
	}
}

// writeLogStarts makes moved log start offsets durable.
func (s *Set) writeLogStarts() error { return s.writeCheckpoints() }

func (s *Set) writeCheckpoint(name string, offsets map[commitlog.TopicPartition]int64) error {
	if known, ok := s.written[name]; ok && maps.Equal(known, offsets) {
		return nil
	}
	if err := s.dir.WriteOffsets(name, offsets); err != nil {
		return err
	}
	s.written[name] = offsets
	return nil
}
