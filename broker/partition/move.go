package partition

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// A move of a log to another directory (KIP-113). While the partition serves,
// its batches are copied to topic-index.<uuid>-future in the other directory.
// When nothing is left to copy, the writers are held and the two are exchanged:
//
//  1. the old directory gets the mark fluxmq.moving, which names the other one
//  2. the copy is completed and synced, all of it
//  3. it is renamed to topic-index, and that synced: from here on it is the partition
//  4. the old directory is renamed to -delete, and that synced; then writers go on
//
// A start that finds a copy beside the partition (a crash before 3) removes the
// mark and copies anew; one that finds the partition twice (before 4) keeps the
// one without the mark and removes the other; one that finds the mark alone, and
// cannot look into the directory that it names, does not open the partition:
// the other may have taken more since. Cleaning pauses for the move, as in
// Kafka: the copy has no place for what it changes.

const (
	// moveChunk is how many bytes are copied at once.
	moveChunk = 256 << 10
	// moveRoundsHeld is how many chunks are copied while writers are held; with
	// more to copy they go on, and it is tried again.
	moveRoundsHeld = 16
	// maxQueuedMoves bounds the moves that wait, cancelled ones too.
	maxQueuedMoves = 20_000
	// partitionMetadata is the file that says whose directory it is.
	partitionMetadata = "partition.metadata"
)

// errMoveEnded: the move was cancelled, or its partition is gone.
var errMoveEnded = errors.New("the move is over")

// move is one log's way to another directory.
type move struct {
	to   *directory
	path string                        // of the copy
	log  atomic.Pointer[commitlog.Log] // the copy, nil until it was begun; only RunMoves sets it
	// marked: the directory that is left may have the mark. RunMoves alone uses it.
	marked bool
}

type queuedMove struct {
	partition *Partition
	move      *move
}

// moveQueue are the moves that RunMoves has not come to.
type moveQueue struct {
	mu      sync.Mutex // guards pending
	pending []queuedMove
	wake    chan struct{} // capacity 1: pending is not empty
}

// add queues a move; false when there are too many.
func (q *moveQueue) add(m queuedMove) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) >= maxQueuedMoves {
		return false
	}
	q.pending = append(q.pending, m)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

func (q *moveQueue) next() (queuedMove, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) == 0 {
		return queuedMove{}, false
	}
	first := q.pending[0]
	q.pending = q.pending[1:]
	return first, true
}

// MoveTo has a partition's log moved to the log directory of an absolute path,
// by RunMoves; nil when that was begun or the log is there. Another move of it
// is cancelled. Errors are those of Kafka's ReplicaManager: LOG_DIR_NOT_FOUND,
// KAFKA_STORAGE_ERROR for a directory that failed or a partition that is offline,
// REPLICA_NOT_AVAILABLE for one that is not here: it will be made there. Any goroutine.
func (s *Set) MoveTo(topic string, index int32, path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	to, err := s.findByPath(path)
	if err != nil {
		return err
	}
	p := s.Find([]byte(topic), index)
	if p == nil {
		s.prefer(commitlog.TopicPartition{Topic: topic, Index: index}, to)
		return fmt.Errorf("%w: %s-%d", protocol.ErrReplicaNotAvailable, topic, index)
	}
	if err := p.Offline(); err != nil || s.closed {
		return fmt.Errorf("%w: %s is offline", protocol.ErrKafkaStorageError, p)
	}
	if m := p.moving.Load(); m != nil {
		if m.to == to {
			return nil
		}
		s.cancelMove(p, m)
	}
	if p.directory.Load() == to {
		return nil
	}
	m := &move{to: to, path: futurePath(to, p)}
	// The name is the move's memory: it is durable before the move was promised.
	err = s.fs.MkdirAll(m.path)
	if err == nil {
		err = commitlog.WritePartitionMetadata(s.fs, m.path, p.ID())
	}
	if err == nil {
		err = errors.Join(s.fs.SyncTree(m.path), s.fs.SyncDir(to.Path))
	}
	if err != nil {
		s.failDir(to, err)
		return fmt.Errorf("%w: %s: %w", protocol.ErrKafkaStorageError, p, err)
	}
	return s.queueMove(p, m)
}

// cancelMove ends a move that another wish replaces, so that a start does not go on
// with it either; s.mu is held.
func (s *Set) cancelMove(p *Partition, m *move) {
	s.endMove(p)
	gone := strings.TrimSuffix(m.path, futureDirSuffix) + deletedDirSuffix
	err := s.fs.Rename(m.path, gone)
	if err == nil {
		s.retired = append(s.retired, retiredDir{m.to, gone, s.nowMs()})
		err = s.fs.SyncDir(m.to.Path)
	}
	if err != nil {
		s.failDir(m.to, err)
	}
}

// queueMove begins a move; s.mu is held or the set is not published yet.
func (s *Set) queueMove(p *Partition, m *move) error {
	p.moving.Store(m)
	m.to.hosted++
	if !s.moves.add(queuedMove{p, m}) {
		s.endMove(p)
		return errors.Join(fmt.Errorf("%w: %d moves are waiting", protocol.ErrKafkaStorageError, maxQueuedMoves), s.fs.RemoveAll(m.path))
	}
	return nil
}

// endMove forgets a partition's move, if it has one; s.mu is held. RunMoves
// notices and removes the copy.
func (s *Set) endMove(p *Partition) {
	if m := p.moving.Load(); m != nil {
		p.moving.Store(nil)
		m.to.hosted--
	}
}

// futurePath is a new name for a copy of p in d.
func futurePath(d *directory, p *Partition) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	return filepath.Join(d.Path, fmt.Sprintf("%s.%x%s", p, b[:], futureDirSuffix))
}

// resumeMoves begins the moves again that the last stop cut short, and removes
// copies that no partition wants. A partition that is offline keeps its copy, and
// one that was not found does while a directory has failed: it may come back.
func (s *Set) resumeMoves(futures []futureDir) error {
	var errs []error
	for _, f := range futures {
		p := s.Find([]byte(f.name), f.index)
		if p == nil && s.FailedDirs() > 0 || p != nil && p.Offline() != nil || f.in.Failed() != nil {
			continue
		}
		if p == nil || p.ID() != f.id || p.directory.Load() == f.in || p.moving.Load() != nil {
			errs = append(errs, s.refused(f.in, s.fs.RemoveAll(f.path)))
			continue
		}
		errs = append(errs, s.queueMove(p, &move{to: f.in, path: f.path}))
	}
	return errors.Join(errs...)
}

// Future is a log that is being copied.
type Future struct {
	Dir                  string // the log directory it is in
	SizeBytes, OffsetLag int64  // what it holds, and how many offsets it is behind
}

// Future tells of the move that is under way; false when there is none. Any goroutine.
func (p *Partition) Future() (Future, bool) {
	m := p.moving.Load()
	if m == nil {
		return Future{}, false
	}
	o := p.Offsets()
	log := m.log.Load()
	if log == nil {
		return Future{m.to.Path, 0, o.LogEnd - o.LogStart}, true
	}
	return Future{m.to.Path, log.SizeBytes(), max(o.LogEnd-log.Offsets().LogEnd, 0)}, true
}

// LogDir is the path of the log directory that the partition is in, "" when it
// is not known. Any goroutine.
func (p *Partition) LogDir() string {
	if d := p.directory.Load(); d != nil {
		return d.Path
	}
	return ""
}

// RunMoves moves logs, one at a time, until ctx ends; what is not done then is
// begun again by the next start. Each end is told through OnMoved. node calls
// it from one goroutine and waits for it before Close. It returns nil.
func (s *Set) RunMoves(ctx context.Context) error {
	for {
		if stopped(ctx) {
			return nil
		}
		q, ok := s.moves.next()
		if !ok {
			select {
			case <-ctx.Done():
				return nil
			case <-s.moves.wake:
			}
			continue
		}
		s.runMove(ctx, q.partition, q.move)
	}
}

// runMove moves one log and tells how that ended.
func (s *Set) runMove(ctx context.Context, p *Partition, m *move) {
	from := p.LogDir()
	exchanged, err := s.moveLog(ctx, p, m)
	if !exchanged {
		s.undoMove(p, m)
		if stopped(ctx) {
			return // the next start begins it again
		}
		err = s.giveUp(p, m, err)
	}
	if s.onMoved != nil && !errors.Is(err, errMoveEnded) {
		s.onMoved(p, from, m.to.Path, err)
	}
}

// undoMove takes back what a move that was not ended did to the partition.
func (s *Set) undoMove(p *Partition, m *move) {
	if log := m.log.Load(); log != nil {
		log.Discard()
	}
	from := p.directory.Load()
	if !m.marked || from == nil || from.Failed() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Offline() == nil { // else the directory may be gone, or another topic's
		if err := commitlog.RemoveMoveMark(s.fs, from.partitionDir(p.Topic(), p.index)); err != nil {
			s.failDir(from, err)
		}
	}
}

// giveUp ends a move after an error and removes the copy. It returns what there is to tell.
func (s *Set) giveUp(p *Partition, m *move, cause error) error {
	s.mu.Lock()
	cancelled := p.moving.Load() != m // or the topic was deleted: whatever else went wrong came of it
	if !cancelled {
		s.endMove(p)
	}
	s.mu.Unlock()
	switch {
	case cancelled:
		cause = errMoveEnded
	case errors.Is(cause, commitlog.ErrOffline) && p.log() != nil && p.log().Failed() == nil:
		s.failDir(m.to, cause) // it is the copy that failed
	}
	if m.to.Failed() != nil {
		return cause
	}
	return errors.Join(cause, s.refused(m.to, s.fs.RemoveAll(m.path)))
}

// moveLog copies and exchanges. exchanged tells that the copy has taken the
// log's place, with or without an error of what comes after.
func (s *Set) moveLog(ctx context.Context, p *Partition, m *move) (exchanged bool, err error) {
	p.cleanMu.Lock() // a cleaning under way ends first; one that lasts ends with the node
	defer p.cleanMu.Unlock()
	for {
		if err := s.moveOver(ctx, p, m); err != nil {
			return false, err
		}
		n, err := s.copyRound(p, m)
		if err != nil {
			return false, err
		}
		if n > 0 {
			if err := s.paceMove(ctx, p, m, n); err != nil {
				return false, err
			}
			continue
		}
		if exchanged, err := s.exchange(p, m); exchanged || err != nil {
			return exchanged, err
		}
	}
}

// moveOver tells why a move must not go on, or nil.
func (s *Set) moveOver(ctx context.Context, p *Partition, m *move) error {
	switch {
	case stopped(ctx):
		return ctx.Err()
	case p.moving.Load() != m:
		return errMoveEnded
	case m.to.Failed() != nil:
		return fmt.Errorf("log directory %s failed: %w", m.to.Path, m.to.Failed())
	}
	return p.Offline()
}

// paceMove waits so long as the limit of bytes a second wants, as it is now, or until the move is over.
func (s *Set) paceMove(ctx context.Context, p *Partition, m *move, bytes int64) error {
	return s.movePace.Wait(ctx, bytes, func() (float64, error) { return float64(max(s.moveRate(), 1)), s.moveOver(ctx, p, m) })
}

// copyRound copies some of what the copy lacks and returns how many bytes; 0
// when it lacks nothing. A copy that ends below the log start is begun again there.
func (s *Set) copyRound(p *Partition, m *move) (int64, error) {
	log, copied := p.log(), m.log.Load()
	o := log.Offsets()
	next := o.LogStart
	if copied != nil {
		next = max(copied.Offsets().LogEnd, o.LogStart)
	}
	b, err := readCopy(log, next, o.LogEnd)
	if errors.Is(err, commitlog.ErrOffsetOutOfRange) {
		return 1, nil // retention was faster: look again
	}
	if err != nil {
		return 0, err
	}
	if copied == nil || copied.Offsets().LogEnd < o.LogStart {
		start := o.LogStart
		if len(b) > 0 {
			first, _, err := record.Next(b)
			if err != nil {
				return 0, err
			}
			start = min(start, first.BaseOffset()) // DeleteRecords may have ended inside a batch
		}
		if copied, err = s.beginCopy(p, m, start); err != nil {
			return 0, err
		}
	}
	if err := copied.AppendCopied(b); err != nil {
		return 0, err
	}
	return int64(len(b)), nil
}

// readCopy reads whole batches from next on, at least one where there is one.
func readCopy(log *commitlog.Log, next, end int64) ([]byte, error) {
	r, err := log.Read(next, end, moveChunk, true)
	if err != nil || r.Size == 0 {
		return nil, err
	}
	defer r.Release()()
	return r.Bytes()
}

// beginCopy makes the copy an empty log that begins at start.
func (s *Set) beginCopy(p *Partition, m *move, start int64) (*commitlog.Log, error) {
	if former := m.log.Load(); former != nil {
		former.Discard()
	}
	entries, err := s.fs.ReadDir(m.path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name() == partitionMetadata {
			continue // says whose copy it is, should it be found again
		}
		if err := s.fs.RemoveAll(filepath.Join(m.path, e.Name())); err != nil {
			return nil, err
		}
	}
	log, err := commitlog.Open(s.logOptions(m.to, m.path, *p.cfg.Load(), opening{clean: true, logStart: start, cleaned: p.cleaned.Load()}))
	if err != nil {
		return nil, err
	}
	m.log.Store(log)
	return log, nil
}

// exchange puts the copy in the log's place; false without an error when there
// is too much left to copy.
func (s *Set) exchange(p *Partition, m *move) (exchanged bool, err error) {
	// Most of what must be durable is made so before anybody waits for it.
	if _, err := m.log.Load().Sync(); err != nil {
		return false, err
	}
	if err := s.fs.SyncTree(m.path); err != nil {
		return false, err
	}
	from := p.directory.Load()
	if err := s.markMoving(p, m); err != nil {
		return false, err
	}
	p.arriving.Store(m.to)
	defer p.arriving.Store(nil)
	if err := s.writeCheckpoints(); err != nil {
		return false, err
	}
	s.mu.Lock()
	p.mu.Lock()
	whole, err := s.completeCopy(p, m)
	if err == nil && whole {
		exchanged, err = s.commitMove(p, m)
	}
	durable := p.log().Durable()
	p.mu.Unlock()
	if exchanged {
		s.endMove(p) // also where the copy cannot be opened
	}
	s.mu.Unlock()
	switch {
	case !exchanged:
		return false, err
	case p.directory.Load() != m.to: // the copy has its name and cannot be opened
		_ = p.fail(fmt.Errorf("%w: %s was moved to %s: %w", protocol.ErrKafkaStorageError, p, m.to.Path, err)) // told through OnOffline
		s.failDir(m.to, err)
		return true, err
	}
	if err != nil { // the old directory is still there, marked
		s.failDir(from, err)
	}
	if failed := m.to.Failed(); failed != nil { // meanwhile: failDir may not have seen the partition there
		_ = p.fail(fmt.Errorf("%w: %s: %w", protocol.ErrKafkaStorageError, p, failed)) // told through OnOffline
	}
	p.settle(durable, nil)
	p.wake()
	return true, errors.Join(err, s.writeCheckpoints())
}

// markMoving marks the directory that is left, unless that was done.
func (s *Set) markMoving(p *Partition, m *move) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case p.moving.Load() != m: // its place may be another topic's by now
		return errMoveEnded
	case m.marked:
		return nil
	}
	m.marked = true
	from := p.directory.Load()
	return s.refused(from, commitlog.WriteMoveMark(s.fs, from.partitionDir(p.Topic(), p.index), m.to.LogDir))
}

// completeCopy copies what is left, syncs it and closes the copy; false when
// it is too much. s.mu and p.mu are held.
func (s *Set) completeCopy(p *Partition, m *move) (bool, error) {
	if s.closed || p.moving.Load() != m {
		return false, errMoveEnded
	}
	if err := errors.Join(p.Offline(), m.to.Failed()); err != nil {
		return false, err
	}
	for round := 0; ; round++ {
		n, err := s.copyRound(p, m)
		if err != nil {
			return false, err
		}
		if n == 0 {
			break
		}
		if round == moveRoundsHeld {
			return false, nil
		}
	}
	log := m.log.Load()
	if err := log.TakeOver(p.log()); err != nil {
		return false, err
	}
	if _, err := log.Sync(); err != nil {
		return false, err
	}
	if err := log.Close(); err != nil {
		return false, err
	}
	return true, errors.Join(commitlog.WritePartitionMetadata(s.fs, m.path, p.ID()), s.fs.SyncTree(m.path))
}

// commitMove renames the copy, makes it the partition's log and puts the old
// one aside. s.mu and p.mu are held. done tells that the copy has the name.
func (s *Set) commitMove(p *Partition, m *move) (done bool, err error) {
	target := m.to.partitionDir(p.Topic(), p.index)
	if err := s.refuseUnknown(target); err != nil {
		return false, err
	}
	if _, err := s.fs.Stat(target); err == nil { // an empty directory
		if err := s.fs.Remove(target); err != nil {
			return false, err
		}
	}
	if err := s.fs.Rename(m.path, target); err != nil {
		_, statErr := s.fs.Stat(m.path)
		return statErr != nil, err // where nobody can tell, the next start does
	}
	if err := s.fs.SyncDir(m.to.Path); err != nil {
		return true, err // it may or may not last: both are whole, and a start takes either
	}
	old := p.log()
	o := old.Offsets()
	log, err := commitlog.Open(s.logOptions(m.to, target, *p.cfg.Load(),
		opening{clean: true, recoveryPoint: o.LogEnd, logStart: o.LogStart, cleaned: p.cleaned.Load()}))
	if err == nil {
		if err = log.TakeOver(old); err != nil {
			log.Discard()
		}
	}
	if err != nil {
		return true, err
	}
	from := p.directory.Load()
	// In this order: who finds the old log closed finds the new one.
	s.endMove(p)
	p.directory.Store(m.to)
	p.current.Store(log)
	m.to.hosted++
	from.hosted--
	old.Discard()
	return true, s.setAside(from, p.Topic(), p.index, p.ID(), p.cfg.Load().FileDeleteDelay)
}
