package partition

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

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

// samePath compares two paths of directories.
func samePath(a, b string) bool {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return errA == nil && errB == nil && a == b
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

// findByPath is the working directory of that absolute path, or nil.
func (s *Set) findByPath(path string) *directory {
	for _, d := range s.dirs {
		if d.Failed() == nil && filepath.IsAbs(path) && samePath(d.Path, path) {
			return d
		}
	}
	return nil
}

const (
	futureDirSuffix = "-future"
	// movedFile stands in a partition's directory from the moment that it is whole
	// until the one that it replaces is gone: of two, the one with it is the partition.
	movedFile = "fluxmq.moved"
)

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

// settle decides about partitions that lie in two directories, because a move
// was cut short between their exchange and the removal of the old one. What was
// found without a doubt is returned; the others carry an error.
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
		winner, err := s.settleOne(all)
		errs = append(errs, err)
		settled = append(settled, winner)
	}
	return settled, errors.Join(errs...)
}

func (s *Set) settleOne(all []foundDir) (foundDir, error) {
	winner, moved := all[0], 0
	for _, f := range all {
		if f.moved {
			winner = f
			moved++
		}
	}
	if len(all) > 1 && moved != 1 {
		winner.damaged = fmt.Errorf("it lies in %s and in %s; remove one of them", all[0].in.Path, all[1].in.Path)
		return winner, nil
	}
	for _, f := range all {
		if f.in == winner.in {
			continue
		}
		if _, err := s.setAside(f.in, f.name, f.index, f.id); err != nil {
			return winner, fmt.Errorf("%s-%d was moved to %s: %w", f.name, f.index, winner.in.Path, err)
		}
	}
	if winner.moved {
		return winner, s.dropMark(winner.in.partitionDir(winner.name, winner.index))
	}
	return winner, nil
}

// dropMark removes the mark of a move that is over, durably.
func (s *Set) dropMark(dir string) error {
	if err := s.fs.Remove(filepath.Join(dir, movedFile)); err != nil {
		return err
	}
	return s.fs.SyncDir(dir)
}

// setAside renames a partition's directory to what is deleted, durably.
func (s *Set) setAside(d *directory, name string, index int32, id TopicID) (string, error) {
	gone := filepath.Join(d.Path, fmt.Sprintf("%s-%d.%x%s", name, index, id[:], deletedDirSuffix))
	if err := s.fs.RemoveAll(gone); err != nil { // of an earlier move that is not removed yet
		return gone, err
	}
	if err := s.fs.Rename(d.partitionDir(name, index), gone); err != nil {
		return gone, err
	}
	return gone, s.fs.SyncDir(d.Path)
}
