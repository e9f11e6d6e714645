package partition

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/protocol"
)

// directory is one log directory of a set (KIP-112).
type directory struct {
	*commitlog.LogDir
	failed atomic.Pointer[error] // why it is not used any more, set once
	// written is what the checkpoint files hold; guarded by Set.checkpointMu.
	written checkpoints
	// hosted counts the partitions that are, or are about to be, here; guarded by Set.mu.
	hosted int
}

// Failed is why the directory is not used any more, or nil.
func (d *directory) Failed() error {
	if d == nil {
		return nil
	}
	if e := d.failed.Load(); e != nil {
		return *e
	}
	return nil
}

// partitionDir is where a partition's log lies.
func (d *directory) partitionDir(name string, index int32) string {
	return filepath.Join(d.Path, name+"-"+strconv.Itoa(int(index)))
}

// DirState is what is known of one log directory.
type DirState struct {
	Path   string
	Failed error // nil while it works
}

// Dirs lists the log directories in the order of the settings' paths that
// work, then those that could not be opened. Any goroutine.
func (s *Set) Dirs() []DirState {
	var states []DirState
	for _, d := range s.dirs {
		states = append(states, DirState{d.Path, d.Failed()})
	}
	for _, f := range s.unopened {
		states = append(states, DirState{f.Path, f.Err})
	}
	return states
}

// FailedDirs counts the log directories that are not used any more. Any goroutine.
func (s *Set) FailedDirs() int {
	n := 0
	for _, d := range s.Dirs() {
		if d.Failed != nil {
			n++
		}
	}
	return n
}

// FailDir takes a log directory that works, by its path in the settings, out of
// use, for who has found out in another way that its disk fails. No lock of the set may be held.
func (s *Set) FailDir(path string, cause error) error {
	for _, d := range s.dirs {
		if d.Path == path {
			return s.refused(d, cause)
		}
	}
	return fmt.Errorf("%w: %s", protocol.ErrLogDirNotFound, path)
}

// failDir takes every partition of a directory offline, for good, once: a disk
// that failed one log is not trusted with others (Kafka's
// LogDirFailureChannel). Not for a set whose owner does not ask for it
// (OnDirFailed): there a log fails alone. No lock may be held but Set.mu.
func (s *Set) failDir(d *directory, cause error) {
	if s.onDirFailed == nil || d == nil || !d.failed.CompareAndSwap(nil, &cause) {
		return
	}
	s.Each(func(p *Partition) bool {
		if p.directory.Load() == d {
			_ = p.fail(fmt.Errorf("%w: %s: log directory %s failed: %w", protocol.ErrKafkaStorageError, p, d.Path, cause)) // told through OnOffline
		}
		return true
	})
	left := 0
	for _, other := range s.dirs {
		if other.Failed() == nil {
			left++
		}
	}
	s.onDirFailed(d.Path, cause, left)
}

// isAt tells whether path is the absolute path of a log directory, as Kafka writes it.
func isAt(dir, path string) bool {
	absolute, err := filepath.Abs(dir)
	return err == nil && absolute == path
}

// place chooses the directory of a new partition: the one that was asked for,
// or the one with the fewest, in their order (Kafka's LogManager). nil when none works. s.mu is held.
func (s *Set) place(key commitlog.TopicPartition) *directory {
	if d := s.preferred[key]; d != nil && d.Failed() == nil {
		return d
	}
	var least *directory
	for _, d := range s.dirs {
		if d.Failed() == nil && (least == nil || d.hosted < least.hosted) {
			least = d
		}
	}
	return least
}

// maxPreferred bounds the wishes for partitions that are not there.
const maxPreferred = 10_000

// prefer notes where a partition that is not here shall be made; s.mu is held.
func (s *Set) prefer(key commitlog.TopicPartition, d *directory) {
	if _, known := s.preferred[key]; known || len(s.preferred) < maxPreferred {
		s.preferred[key] = d
	}
}

// findByPath is the log directory of that absolute path: LOG_DIR_NOT_FOUND when
// there is none, KAFKA_STORAGE_ERROR when it has failed (LogManager.isLogDirOnline).
func (s *Set) findByPath(path string) (*directory, error) {
	for _, d := range s.dirs {
		if !isAt(d.Path, path) {
			continue
		}
		if err := d.Failed(); err != nil {
			return nil, fmt.Errorf("%w: log directory %s failed: %w", protocol.ErrKafkaStorageError, path, err)
		}
		return d, nil
	}
	for _, f := range s.unopened {
		if isAt(f.Path, path) {
			return nil, fmt.Errorf("%w: log directory %s failed: %w", protocol.ErrKafkaStorageError, path, f.Err)
		}
	}
	return nil, fmt.Errorf("%w: %s", protocol.ErrLogDirNotFound, path)
}

const futureDirSuffix = "-future"

// futureDir is a partition's directory that was being filled.
type futureDir struct {
	name  string
	index int32
	id    TopicID
	in    *directory
	path  string
}

// splitFuture takes apart topic-index.<32 hex digits>-future.
func splitFuture(entry string) (name string, index int32, ok bool) {
	rest, ok := strings.CutSuffix(entry, futureDirSuffix)
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot <= 0 || len(rest)-dot-1 != 32 || strings.Trim(rest[dot+1:], "0123456789abcdef") != "" {
		return "", 0, false
	}
	return splitDir(rest[:dot])
}

// splitDir takes apart topic-index.
func splitDir(entry string) (name string, index int32, ok bool) {
	dash := strings.LastIndexByte(entry, '-')
	if dash <= 0 {
		return "", 0, false
	}
	n, err := strconv.ParseInt(entry[dash+1:], 10, 32)
	if err != nil || n < 0 || strconv.Itoa(int(n)) != entry[dash+1:] {
		return "", 0, false
	}
	return entry[:dash], int32(n), true
}

// settle decides about partitions that lie in several directories, because a
// move was cut short between their exchange and the removal of the old one, or
// because a topic was deleted, and perhaps made again, while a directory had
// failed. One for each is returned; damaged where a person must decide.
func (s *Set) settle(found []foundDir) ([]foundDir, error) {
	byKey := map[commitlog.TopicPartition][]foundDir{}
	for _, f := range found {
		key := commitlog.TopicPartition{Topic: f.name, Index: f.index}
		byKey[key] = append(byKey[key], f)
	}
	var settled []foundDir
	var errs []error
	for _, f := range found { // in their order
		key := commitlog.TopicPartition{Topic: f.name, Index: f.index}
		all := byKey[key]
		if all == nil {
			continue // settled with the first
		}
		delete(byKey, key)
		winner, gone := s.choose(all)
		for _, g := range gone {
			errs = append(errs, s.refused(g.in, s.setAside(g.in, g.name, g.index, g.id, 0)))
		}
		if winner.damaged == nil && winner.mark != nil {
			errs = append(errs, s.refused(winner.in, commitlog.RemoveMoveMark(s.fs, winner.in.partitionDir(f.name, f.index))))
		}
		settled = append(settled, winner)
	}
	return settled, errors.Join(errs...)
}

// refused is what an error of a directory means: it has failed, or, where
// directories do not fail, the error itself. No lock may be held but Set.mu.
func (s *Set) refused(d *directory, err error) error {
	if err == nil {
		return nil
	}
	if s.onDirFailed == nil {
		return fmt.Errorf("log directory %s: %w", d.Path, err)
	}
	s.failDir(d, err)
	return nil
}

// choose tells which of the directories of one partition is the partition, and
// which of the others may go.
func (s *Set) choose(all []foundDir) (winner foundDir, gone []foundDir) {
	left := all
	if len(left) > 1 {
		left, gone = s.ofTheTopic(left)
	}
	if i := slices.IndexFunc(left, func(f foundDir) bool { return f.damaged != nil }); i >= 0 {
		return left[i], gone
	}
	if len(left) > 1 {
		// One that is marked was moved to the other, which has the partition's name only
		// once it is whole. Of marked ones the last was moved to by those before it.
		last := slices.DeleteFunc(slices.Clone(left), func(f foundDir) bool { return f.mark != nil })
		if len(last) == 0 {
			last = slices.DeleteFunc(slices.Clone(left), func(f foundDir) bool {
				return slices.ContainsFunc(left, func(other foundDir) bool { return other.in != f.in && f.mark.Names(other.in.LogDir) })
			})
		}
		if len(last) != 1 {
			winner = left[0]
			winner.damaged = fmt.Errorf("it lies in %s and in %s; remove one of them", left[0].in.Path, left[1].in.Path)
			return winner, gone
		}
		for _, f := range left {
			if f.in != last[0].in {
				gone = append(gone, f)
			}
		}
		left = last
	}
	winner = left[0]
	if winner.mark != nil && !slices.ContainsFunc(s.dirs, func(d *directory) bool { return d.Failed() == nil && winner.mark.Names(d.LogDir) }) {
		// The other may have it, and have taken records that this one has not.
		winner.damaged = fmt.Errorf("it was being moved to %s, which is not there and may hold what came later; bring that back, or remove the mark %s",
			winner.mark.Path, commitlog.MoveMarkPath(winner.in.partitionDir(winner.name, winner.index)))
	}
	return winner, gone
}

// ofTheTopic leaves out what belongs to an earlier topic of that name, when
// something of the present one is there; gone are those of topics known to be deleted.
func (s *Set) ofTheTopic(all []foundDir) (left, gone []foundDir) {
	if s.topicID == nil {
		return all, nil
	}
	id, known := s.topicID(all[0].name)
	fits := func(f foundDir) bool { return f.id == id || f.id == TopicID{} }
	if !known || !slices.ContainsFunc(all, fits) {
		return all, nil
	}
	for _, f := range all {
		switch {
		case fits(f):
			left = append(left, f)
		case s.deletedID != nil && s.deletedID(f.id):
			gone = append(gone, f)
		}
	}
	return left, gone
}

// setAside renames a partition's directory to what is deleted, durably, and
// has it removed after a while; s.mu is held or the set is not published yet.
func (s *Set) setAside(d *directory, name string, index int32, id TopicID, delay time.Duration) error {
	gone := filepath.Join(d.Path, fmt.Sprintf("%s-%d.%x%s", name, index, id[:], deletedDirSuffix))
	if err := s.fs.RemoveAll(gone); err != nil { // of an earlier move that is not removed yet
		return err
	}
	if err := s.fs.Rename(d.partitionDir(name, index), gone); err != nil {
		return err
	}
	s.retired = append(s.retired, retiredDir{d, gone, s.nowMs() + delay.Milliseconds()})
	return s.fs.SyncDir(d.Path)
}
