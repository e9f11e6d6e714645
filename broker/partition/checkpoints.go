package partition

import (
	"errors"
	"maps"

	"fluxmq/broker/commitlog"
)

// offsetsByPartition is the content of a checkpoint file.
type offsetsByPartition = map[commitlog.TopicPartition]int64

// checkpoints are the files of one log directory, by name.
type checkpoints map[string]offsetsByPartition

func newCheckpoints() checkpoints {
	return checkpoints{commitlog.RecoveryPointFile: {}, commitlog.LogStartFile: {}, commitlog.ReplicationFile: {}, commitlog.CleanerFile: {}}
}

// writeCheckpoints writes the checkpoint files whose content changed, of every
// directory that works. One that refuses has failed, and its partitions with it:
// that is no error, unless directories do not fail (see refused).
func (s *Set) writeCheckpoints() error {
	s.checkpointMu.Lock()
	present := map[*directory]checkpoints{}
	for _, d := range s.dirs {
		present[d] = newCheckpoints()
	}
	s.Each(func(p *Partition) bool {
		key := commitlog.TopicPartition{Topic: p.Topic(), Index: p.index}
		d := p.directory.Load()
		if d == nil {
			return true
		}
		of := present[d]
		d.keepCheckpoint(key, p, false, of[commitlog.RecoveryPointFile], of[commitlog.LogStartFile])
		if at := p.cleaned.Load(); at >= 0 {
			of[commitlog.CleanerFile][key] = at
		}
		log := p.log()
		if log != nil {
			of[commitlog.ReplicationFile][key] = p.Offsets().HighWatermark
		}
		if to := p.arriving.Load(); to != nil && to != d && log != nil {
			// What is not in the log itself must be there before the log is.
			if start := log.Offsets().LogStart; start > 0 {
				present[to][commitlog.LogStartFile][key] = start
			}
			if at := p.cleaned.Load(); at >= 0 {
				present[to][commitlog.CleanerFile][key] = at
			}
		}
		return true
	})
	refused := map[*directory]error{}
	for _, d := range s.dirs {
		if d.Failed() == nil {
			refused[d] = d.writeCheckpoints(present[d])
		}
	}
	s.checkpointMu.Unlock()
	var errs []error
	for d, err := range refused {
		errs = append(errs, s.refused(d, err))
	}
	return errors.Join(errs...)
}

// writeCheckpoints writes the files that differ; Set.checkpointMu is held.
func (d *directory) writeCheckpoints(present checkpoints) error {
	var errs []error
	for name, offsets := range present {
		if known, ok := d.written[name]; ok && maps.Equal(known, offsets) {
			continue
		}
		if err := d.WriteOffsets(name, offsets); err != nil {
			errs = append(errs, err)
			continue
		}
		d.written[name] = offsets
	}
	return errors.Join(errs...)
}

// keepCheckpoint notes p's recovery point and log start. A partition that
// could not be opened keeps what the files said. closed: the log takes no
// more, and the caller syncs the whole tree before it writes the files.
func (d *directory) keepCheckpoint(key commitlog.TopicPartition, p *Partition, closed bool, points, starts offsetsByPartition) {
	log := p.log()
	if log == nil {
		if at, ok := d.written[commitlog.RecoveryPointFile][key]; ok {
			points[key] = at
		}
		if at, ok := d.written[commitlog.LogStartFile][key]; ok {
			starts[key] = at
		}
		return
	}
	o := log.Offsets()
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
