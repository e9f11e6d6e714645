package partition

import (
	"sync"
	"time"
)

// syncParallel is how many fdatasyncs of one group run at once: the file
// system commits its journal once for those that wait together.
const syncParallel = 8

// syncer is group commit for one log directory: it takes the partitions that
// somebody wants durable, syncs each, releases who waited; the next group
// gathers meanwhile. There is no timer: the sync itself is what batches.
type syncer struct {
	// mu guards dirty, stopped and every Partition.queued.
	mu      sync.Mutex
	dirty   []*Partition
	stopped bool

	wake chan struct{} // capacity 1: dirty is not empty, or stopped
	done chan struct{} // closed when run has returned
}

// newSyncer starts the goroutine; stop ends it and waits.
func newSyncer() *syncer {
	s := &syncer{wake: make(chan struct{}, 1), done: make(chan struct{})}
	// Ends when stop is called; stop waits for it.
	go s.run()
	return s
}

// enqueue has p synced by the next group.
func (s *syncer) enqueue(p *Partition) {
	s.mu.Lock()
	fresh := !p.queued && !s.stopped
	if fresh {
		p.queued = true
		s.dirty = append(s.dirty, p)
	}
	stopped := s.stopped
	s.mu.Unlock()
	switch {
	case stopped:
		p.syncOnce() // Close is under way: nobody else would
	case fresh:
		s.signal()
	}
}

func (s *syncer) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// stop syncs what is queued, ends the goroutine and waits for it.
func (s *syncer) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.signal()
	<-s.done
}

func (s *syncer) run() {
	defer close(s.done)
	var group []*Partition
	for range s.wake {
		s.mu.Lock()
		group, s.dirty = s.dirty, group[:0]
		for _, p := range group {
			p.queued = false // what is appended from here on queues it again
		}
		stopped := s.stopped
		s.mu.Unlock()
		syncGroup(group)
		clear(group)
		if stopped {
			return
		}
	}
}

func syncGroup(group []*Partition) {
	if len(group) == 1 {
		group[0].syncOnce()
		return
	}
	var running sync.WaitGroup
	turn := make(chan struct{}, syncParallel)
	for _, p := range group {
		turn <- struct{}{}
		// Ends with its one sync; the group waits for all.
		running.Go(func() {
			p.syncOnce()
			<-turn
		})
	}
	running.Wait()
}

// syncOnce makes the log durable and tells those who waited for it.
func (p *Partition) syncOnce() {
	if err := p.Offline(); err != nil {
		p.settle(-1, err)
		return
	}
	begin := time.Now()
	durable, err := p.log.Sync()
	if err != nil {
		p.settle(-1, p.translate(err))
		return
	}
	if p.set.onFlush != nil {
		p.set.onFlush(time.Since(begin))
	}
	p.settle(durable, nil)
	if p.set.durability == FlushAlways {
		p.wake()
	}
}
