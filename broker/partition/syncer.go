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

	// Of run: helpers sync the partitions of one group side by side. They are
	// started when a group is large enough for them, and kept.
	work    chan *Partition
	helping int // helpers started
	helpers sync.WaitGroup
	syncing sync.WaitGroup // partitions of the group under way
}

// newSyncer starts the goroutine; stop ends it and waits.
func newSyncer() *syncer {
	s := &syncer{wake: make(chan struct{}, 1), done: make(chan struct{}), work: make(chan *Partition)}
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
	defer s.helpers.Wait()
	defer close(s.work)
	var group []*Partition
	for range s.wake {
		s.mu.Lock()
		group, s.dirty = s.dirty, group[:0]
		for _, p := range group {
			p.queued = false // what is appended from here on queues it again
		}
		stopped := s.stopped
		s.mu.Unlock()
		s.syncGroup(group)
		clear(group)
		if stopped {
			return
		}
	}
}

func (s *syncer) syncGroup(group []*Partition) {
	if len(group) == 1 {
		group[0].syncOnce()
		return
	}
	for s.helping < min(len(group), syncParallel) {
		s.helping++
		s.helpers.Go(s.help)
	}
	s.syncing.Add(len(group))
	for _, p := range group {
		s.work <- p
	}
	s.syncing.Wait()
}

// help syncs one partition at a time; it ends when run does, which waits for it.
func (s *syncer) help() {
	for p := range s.work {
		p.syncOnce()
		s.syncing.Done()
	}
}

// syncOnce makes the log durable and tells those who waited for it.
func (p *Partition) syncOnce() {
	if err := p.Offline(); err != nil {
		p.settle(-1, err)
		return
	}
	begin := time.Now()
	log := p.log()
	durable, err := log.Sync()
	for err != nil {
		if err = p.translateFrom(log, err); err != errMoved {
			p.settle(-1, err)
			return
		}
		log = p.log()
		durable, err = log.Sync()
	}
	if p.set.onFlush != nil {
		p.set.onFlush(time.Since(begin))
	}
	p.settle(durable, nil)
	if p.set.durability == FlushAlways {
		p.wake()
	}
}
