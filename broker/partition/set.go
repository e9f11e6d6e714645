package partition

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/protocol"
	"time"
)

// SetConfig opens a Set.
type SetConfig struct {
	// Dir is the log directory; it is locked and, when empty, made ours. LogDir
	// is one that the caller has opened already (and goes on owning: Close
	// writes the clean shutdown marker, the caller needs not close it).
	Dir    string
	LogDir *commitlog.LogDir
	// LogDirs are several (KIP-112), opened by the caller, instead of the above;
	// Unopened those that could not be.
	LogDirs  []*commitlog.LogDir
	Unopened []commitlog.FailedDir
	// MoveBytesPerSecond is how fast logs are copied to other directories, asked
	// again and again by whoever runs RunMoves; nil, or math.MaxInt64: no limit.
	MoveBytesPerSecond func() int64
	// CleanerRates are the limits of the cleaner, asked again and again by whoever
	// runs Compact; nil: none.
	CleanerRates func() CleanerRates

	FS         commitlog.FS // nil: the operating system's
	Durability Durability
	NowMs      func() int64 // the clock in unix ms; nil: the system's
	Identity   commitlog.Identity
	// BootID identifies this run of the machine; "": DefaultBootID. Used with Dir only.
	BootID string

	// OpenFiles bounds the segment files open at once; 0: a quarter of the
	// process's limit, at most 4096. A segment in use may hold four descriptors.
	OpenFiles int
	// Workers bounds how many partitions are opened or closed at once; 0: twice the CPUs.
	Workers int
	// ConfigFor gives the settings of a topic found on disk; nil: defaults.
	ConfigFor func(topic string) Config
	// TopicID is the id of the topic of that name, if there is one, and DeletedID tells
	// whether a topic of that id is known to be deleted. They are asked, while the
	// set is opened, about partitions that lie in several directories; may be nil.
	TopicID   func(topic string) (TopicID, bool)
	DeletedID func(id TopicID) bool
	// OnOffline is called once for each partition that goes, or comes up,
	// offline. It must not block nor call the Set.
	OnOffline func(p *Partition, err error)
	// OnDirFailed is called once for each directory that fails, after its partitions
	// went offline; left is how many still work. It must not block nor call the
	// Set. nil: directories do not fail, only logs.
	OnDirFailed func(path string, err error, left int)
	// OnMoved is called for each move of a log to another directory that ended,
	// by whoever runs RunMoves. It must not block nor call the Set.
	OnMoved func(p *Partition, from, to string, err error)
	// OnRecovered is called, concurrently, for each partition that was opened after an
	// unclean stop. It must not block nor call the Set.
	OnRecovered func(p *Partition, r commitlog.Recovered)
	// OnFlush is called, concurrently, with the duration of each group commit's fdatasync. It must not block.
	OnFlush func(took time.Duration)
}

// topicShards is how many maps the topics are spread over: creating one topic copies one of them.
const topicShards = 64

// Set maps topic-partition to *Partition. Look-ups take no lock and do not
// allocate; safe for concurrent use.
type Set struct {
	dirs        []*directory // at least one; the first is that of the metadata
	unopened    []commitlog.FailedDir
	fs          commitlog.FS
	files       *commitlog.Files
	durability  Durability
	nowMs       func() int64
	workers     int
	onOffline   func(*Partition, error)
	onDirFailed func(string, error, int)
	onMoved     func(*Partition, string, string, error)
	onRecovered func(*Partition, commitlog.Recovered)
	onFlush     func(time.Duration)
	topicID     func(string) (TopicID, bool)
	deletedID   func(TopicID) bool
	syncer      *syncer

	seed   maphash.Seed
	byName [topicShards]atomic.Pointer[map[string]*topic]
	byID   [topicShards]atomic.Pointer[map[TopicID]*topic]

	// mu serialises changes: Create, Delete, Close.
	mu      sync.Mutex
	closed  bool
	retired []retiredDir
	// preferred are the wished directories of partitions that are not here.
	preferred map[commitlog.TopicPartition]*directory

	moves    moveQueue
	moveRate func() int64
	movePace commitlog.Pace // of the goroutine that calls RunMoves

	// The cleaner and its settings are those of the goroutine that calls Compact.
	cleaner       *commitlog.Cleaner
	cleanerConfig commitlog.CleanerConfig
	cleanerRates  func() CleanerRates
	cleanerSees   growth
	cleanerStats  atomic.Pointer[CleanerStats]

	// These are of the goroutine that calls Purge.
	purgePace commitlog.Pace
	purgeSees growth

	// checkpointMu serialises the writing of checkpoint files; it guards every directory.written.
	checkpointMu sync.Mutex
}

// topic is published once and changes only by its atomics.
type topic struct {
	name       string
	id         atomic.Pointer[TopicID]
	partitions atomic.Pointer[[]*Partition] // by index; nil where not hosted here
}

type retiredDir struct {
	in    *directory
	path  string
	dueMs int64
}

// DefaultBootID identifies this run of the machine, "" where it cannot be told.
func DefaultBootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// OpenSet opens every partition in a log directory, several at once. A
// partition whose log is damaged comes up offline and does not stop the others;
// directories that are not a partition's are left alone. The error says in one sentence
// what is wrong with the directory.
func OpenSet(c SetConfig) (*Set, error) {
	if c.FS == nil {
		c.FS = commitlog.OS{}
	}
	dirs := c.LogDirs
	if len(dirs) == 0 && c.LogDir != nil {
		dirs = []*commitlog.LogDir{c.LogDir}
	}
	if len(dirs) == 0 {
		if c.BootID == "" {
			c.BootID = DefaultBootID()
		}
		dir, err := commitlog.OpenDir(c.FS, c.Dir, c.Identity, c.BootID)
		if err != nil {
			return nil, err
		}
		dirs = []*commitlog.LogDir{dir}
	}
	if c.OpenFiles <= 0 {
		c.OpenFiles = commitlog.DefaultOpenFiles()
	}
	if c.Workers <= 0 {
		c.Workers = 2 * runtime.GOMAXPROCS(0)
	}
	if c.NowMs == nil {
		c.NowMs = commitlog.SystemNowMs
	}
	s := &Set{
		unopened: c.Unopened, fs: dirs[0].FS, files: commitlog.NewFiles(c.OpenFiles), durability: c.Durability, nowMs: c.NowMs,
		workers: c.Workers, onOffline: c.OnOffline, onRecovered: c.OnRecovered, onFlush: c.OnFlush, seed: maphash.MakeSeed(),
		onDirFailed: c.OnDirFailed, onMoved: c.OnMoved, preferred: map[commitlog.TopicPartition]*directory{},
		topicID: c.TopicID, deletedID: c.DeletedID, moveRate: c.MoveBytesPerSecond, cleanerRates: c.CleanerRates, moves: moveQueue{wake: make(chan struct{}, 1)},
	}
	if s.moveRate == nil {
		s.moveRate = func() int64 { return math.MaxInt64 }
	}
	if s.cleanerRates == nil {
		s.cleanerRates = func() CleanerRates { return CleanerRates{Most: math.MaxFloat64, Busy: math.MaxFloat64} }
	}
	for _, d := range dirs {
		s.dirs = append(s.dirs, &directory{LogDir: d, written: checkpoints{}})
	}
	for i := range topicShards {
		s.byName[i].Store(&map[string]*topic{})
		s.byID[i].Store(&map[TopicID]*topic{})
	}
	if err := s.load(c.ConfigFor); err != nil {
		for _, d := range dirs {
			err = errors.Join(err, d.Close(false))
		}
		return nil, err
	}
	s.syncer = newSyncer()
	return s, nil
}

// Dir is the first log directory of the set.
func (s *Set) Dir() *commitlog.LogDir { return s.dirs[0].LogDir }

func (s *Set) nameShard(name []byte) *atomic.Pointer[map[string]*topic] {
	return &s.byName[maphash.Bytes(s.seed, name)%topicShards]
}

func (s *Set) idShard(id TopicID) *atomic.Pointer[map[TopicID]*topic] {
	return &s.byID[(id[0]^id[15])%topicShards]
}

func (t *topic) at(index int32) *Partition {
	if t == nil {
		return nil
	}
	ps := *t.partitions.Load()
	if index < 0 || int(index) >= len(ps) {
		return nil
	}
	return ps[index]
}

// Find returns the partition, or nil. topic may alias a frame.
func (s *Set) Find(topic []byte, index int32) *Partition {
	return (*s.nameShard(topic).Load())[string(topic)].at(index)
}

// FindByID is Find by topic id; the name is returned for replies that need it.
func (s *Set) FindByID(id TopicID, index int32) (*Partition, string) {
	t := (*s.idShard(id).Load())[id]
	if t == nil {
		return nil, ""
	}
	return t.at(index), t.name
}

// TopicID tells whether a topic of that name is hosted here, and its id.
func (s *Set) TopicID(topic []byte) (TopicID, bool) {
	t := (*s.nameShard(topic).Load())[string(topic)]
	if t == nil {
		return TopicID{}, false
	}
	return *t.id.Load(), true
}

// TopicName tells whether a topic of that id is hosted here, and its name.
func (s *Set) TopicName(id TopicID) (string, bool) {
	t := (*s.idShard(id).Load())[id]
	if t == nil {
		return "", false
	}
	return t.name, true
}

// Each visits every partition until visit returns false. Partitions created
// meanwhile may be missed.
func (s *Set) Each(visit func(*Partition) bool) {
	for i := range s.byName {
		for _, t := range *s.byName[i].Load() {
			for _, p := range *t.partitions.Load() {
				if p != nil && !visit(p) {
					return
				}
			}
		}
	}
}

// Create opens (creating where absent) one partition and publishes it. One
// that is there already gets the settings and is returned; if it belongs to
// another topic id that is INCONSISTENT_TOPIC_ID.
func (s *Set) Create(name string, id TopicID, index int32, cfg Config) (*Partition, error) {
	return s.host(name, id, index, cfg, true)
}

// Host is Create for a partition that was made before. While a log directory
// has failed it may lie there: one that is not found elsewhere is not made anew, but offline.
func (s *Set) Host(name string, id TopicID, index int32, cfg Config) (*Partition, error) {
	return s.host(name, id, index, cfg, false)
}

func (s *Set) host(name string, id TopicID, index int32, cfg Config, fresh bool) (*Partition, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || index < 0 {
		return nil, fmt.Errorf("%w: %q partition %d", protocol.ErrInvalidTopicException, name, index)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("%w: the log directory is closed", protocol.ErrKafkaStorageError)
	}
	t := (*s.nameShard([]byte(name)).Load())[name]
	if t != nil {
		if err := s.adopt(t, id); err != nil {
			return nil, err
		}
		if p := t.at(index); p != nil {
			p.SetConfig(cfg)
			return p, nil
		}
	}
	if !fresh && s.FailedDirs() > 0 {
		p := s.newPartition(name, id, index, cfg, -1)
		s.publish(t, p)
		_ = p.fail(fmt.Errorf("%w: %s may lie in a log directory that failed", protocol.ErrKafkaStorageError, p)) // told through OnOffline
		return p, nil
	}
	key := commitlog.TopicPartition{Topic: name, Index: index}
	d := s.place(key)
	if d == nil {
		return nil, fmt.Errorf("%w: %s-%d: no log directory is left", protocol.ErrKafkaStorageError, name, index)
	}
	dir := d.partitionDir(name, index)
	if err := s.refuseUnknown(dir); err != nil {
		return nil, err
	}
	p, err := s.openPartition(d, name, id, index, cfg, opening{clean: true, cleaned: -1})
	if err != nil {
		s.failDir(d, err)
		return nil, fmt.Errorf("%w: %s-%d: %w", protocol.ErrKafkaStorageError, name, index, err)
	}
	if err := commitlog.WritePartitionMetadata(s.fs, dir, id); err != nil {
		p.log().Discard()
		s.failDir(d, err)
		return nil, fmt.Errorf("%w: %s: %w", protocol.ErrKafkaStorageError, p, err)
	}
	delete(s.preferred, key)
	s.publish(t, p)
	if err := d.Failed(); err != nil { // meanwhile: failDir may not have seen it
		_ = p.fail(fmt.Errorf("%w: %s: %w", protocol.ErrKafkaStorageError, p, err)) // told through OnOffline
	}
	return p, nil
}

// adopt gives a topic that was found without its id the one the cluster knows.
func (s *Set) adopt(t *topic, id TopicID) error {
	known := *t.id.Load()
	switch {
	case known == id:
		return nil
	case known != TopicID{}:
		return fmt.Errorf("%w: topic %s has id %s on disk, not %s", protocol.ErrInconsistentTopicID, t.name, commitlog.EncodeID(known), commitlog.EncodeID(id))
	}
	t.id.Store(&id)
	s.publishID(t)
	for _, p := range *t.partitions.Load() {
		var d *directory
		if p != nil {
			d = p.directory.Load()
		}
		if d == nil || d.Failed() != nil {
			continue
		}
		if err := commitlog.WritePartitionMetadata(s.fs, d.partitionDir(t.name, p.index), id); err != nil {
			return fmt.Errorf("%w: %s: %w", protocol.ErrKafkaStorageError, p, err)
		}
	}
	return nil
}

// refuseUnknown keeps hands off a directory that holds something else.
func (s *Set) refuseUnknown(dir string) error {
	entries, err := s.fs.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s exists and is not a partition of ours; nothing was changed", protocol.ErrKafkaStorageError, dir)
}

// opening is what is known of a partition's log before it is opened.
type opening struct {
	clean                   bool
	recoveryPoint, logStart int64
	cleaned                 int64 // the cleaner's checkpoint, -1 none
}

// newPartition makes one without a log.
func (s *Set) newPartition(name string, id TopicID, index int32, cfg Config, cleaned int64) *Partition {
	p := &Partition{set: s, index: index, topic: &topic{name: name}, lastFlush: s.nowMs()}
	p.topic.id.Store(&id)
	p.cfg.Store(&cfg)
	p.cleaned.Store(cleaned)
	return p
}

// logOptions are those of a log at path in d.
func (s *Set) logOptions(d *directory, path string, cfg Config, o opening) commitlog.Options {
	return commitlog.Options{
		FS: s.fs, Dir: path, Config: cfg.log(), Files: s.files, NowMs: s.nowMs,
		Clean: o.clean, RecoveryPoint: o.recoveryPoint, LogStart: o.logStart, HostCrash: d.HostCrash,
		Cleaned: o.cleaned, StableWhenDurable: s.durability == FlushAlways,
	}
}

// openPartition makes a partition; s.mu is held or the set is not published yet.
func (s *Set) openPartition(d *directory, name string, id TopicID, index int32, cfg Config, o opening) (*Partition, error) {
	p := s.newPartition(name, id, index, cfg, o.cleaned)
	p.directory.Store(d)
	log, err := commitlog.Open(s.logOptions(d, d.partitionDir(name, index), cfg, o))
	if err != nil {
		return p, err
	}
	p.current.Store(log)
	p.epoch = max(d.LeaderEpoch, log.LatestEpoch())
	if !o.clean && p.epoch == log.LatestEpoch() {
		p.epoch++ // the directory's epoch was lost: what follows a crash must differ from what preceded it
	}
	log.BeginEpoch(p.epoch)
	return p, nil
}

// publish makes p visible; s.mu is held. t is its topic if that is published already.
func (s *Set) publish(t *topic, p *Partition) {
	fresh := t == nil
	if fresh {
		t = p.topic
		t.partitions.Store(&[]*Partition{})
	}
	p.topic = t
	if d := p.directory.Load(); d != nil {
		d.hosted++
	}
	ps := *t.partitions.Load()
	grown := make([]*Partition, max(len(ps), int(p.index)+1))
	copy(grown, ps)
	grown[p.index] = p
	t.partitions.Store(&grown)
	if fresh {
		shard := s.nameShard([]byte(t.name))
		copied := maps.Clone(*shard.Load())
		copied[t.name] = t
		shard.Store(&copied)
		s.publishID(t)
	}
}

func (s *Set) publishID(t *topic) {
	id := *t.id.Load()
	if id == (TopicID{}) {
		return
	}
	shard := s.idShard(id)
	copied := maps.Clone(*shard.Load())
	copied[id] = t
	shard.Store(&copied)
}

// Delete unpublishes every partition of a topic, fails its waiters with
// ErrUnknownTopicOrPartition, renames the directories to -delete and removes them later.
func (s *Set) Delete(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	shard := s.nameShard([]byte(name))
	t := (*shard.Load())[name]
	if t == nil {
		return fmt.Errorf("%w: %s", protocol.ErrUnknownTopicOrPartition, name)
	}
	copied := maps.Clone(*shard.Load())
	delete(copied, name)
	shard.Store(&copied)
	ids := s.idShard(*t.id.Load())
	copiedIDs := maps.Clone(*ids.Load())
	delete(copiedIDs, *t.id.Load())
	ids.Store(&copiedIDs)
	var errs []error
	for _, p := range *t.partitions.Load() {
		if p != nil {
			errs = append(errs, s.retire(p))
		}
	}
	// Durable before the name may be used again: checkpoint lines of the old
	// topic must not be taken for the new one's.
	for _, d := range s.dirs {
		if d.Failed() == nil {
			errs = append(errs, s.refused(d, s.fs.SyncDir(d.Path)))
		}
	}
	errs = append(errs, s.writeCheckpoints())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: delete topic %s: %w", protocol.ErrKafkaStorageError, name, err)
	}
	return nil
}

// retire ends a partition and moves its directory out of the way.
func (s *Set) retire(p *Partition) error {
	_ = p.fail(protocol.ErrUnknownTopicOrPartition) // the error is what clients get, not ours to return
	s.endMove(p)
	if p.log() != nil {
		p.mu.Lock()
		p.log().Discard()
		p.mu.Unlock()
	}
	d := p.directory.Load()
	if d == nil || d.Failed() != nil {
		return nil // the start that finds the directory again finds the topic deleted
	}
	d.hosted--
	dir := d.partitionDir(p.Topic(), p.index)
	id := p.ID()
	gone := filepath.Join(d.Path, fmt.Sprintf("%s-%d.%x%s", p.Topic(), p.index, id[:], deletedDirSuffix))
	if len(s.dirs) > 1 {
		if err := s.fs.RemoveAll(gone); err != nil { // of a move away from here that is not removed yet
			return s.refused(d, err)
		}
	}
	if err := s.fs.Rename(dir, gone); err != nil {
		return s.refused(d, err)
	}
	s.retired = append(s.retired, retiredDir{d, gone, s.nowMs() + p.cfg.Load().FileDeleteDelay.Milliseconds()})
	return nil
}

const deletedDirSuffix = "-delete"

// Close ends all partitions: syncs and closes every log, writes checkpoints
// and the clean shutdown marker, and releases the directory. Appends fail from
// here on. Without an error the next start scans nothing.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.syncer.stop()
	var mu sync.Mutex // guards what follows
	var errs []error
	bad := map[*directory]error{}
	last := map[*directory]checkpoints{}
	for _, d := range s.dirs {
		last[d] = newCheckpoints()
		bad[d] = d.Failed()
	}
	s.parallel(s.all(), func(p *Partition) {
		err := p.close()
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
		key := commitlog.TopicPartition{Topic: p.Topic(), Index: p.index}
		d := p.directory.Load()
		if d == nil {
			return
		}
		bad[d] = errors.Join(bad[d], err)
		d.keepCheckpoint(key, p, err == nil, last[d][commitlog.RecoveryPointFile], last[d][commitlog.LogStartFile])
	})
	for _, d := range s.dirs {
		errs = append(errs, s.closeDir(d, last[d], bad[d]))
	}
	return errors.Join(append(errs, s.closeCleaner())...) // whoever called Compact has ended
}

// closeDir makes a directory's closed logs durable and releases it; bad is what
// went wrong with them. The clean shutdown marker is each directory's own.
func (s *Set) closeDir(d *directory, last checkpoints, bad error) error {
	var err error
	if d.Failed() == nil {
		err = s.fs.SyncTree(d.Path)
	}
	if err == nil && bad == nil {
		points := last[commitlog.RecoveryPointFile]
		err = errors.Join(
			d.WriteOffsets(commitlog.RecoveryPointFile, points),
			d.WriteOffsets(commitlog.LogStartFile, last[commitlog.LogStartFile]),
			d.WriteOffsets(commitlog.ReplicationFile, points))
	}
	return errors.Join(err, d.Close(err == nil && bad == nil))
}

// close ends one partition.
func (p *Partition) close() error {
	if p.log() == nil {
		return p.Offline()
	}
	p.mu.Lock()
	err := p.log().Close()
	p.mu.Unlock()
	_ = p.fail(fmt.Errorf("%w: the broker is stopping", protocol.ErrNotLeaderOrFollower)) // for those who still wait
	return err
}

func (s *Set) all() []*Partition {
	var ps []*Partition
	s.Each(func(p *Partition) bool { ps = append(ps, p); return true })
	return ps
}

// parallel calls f for every partition, by a bounded number of goroutines that
// it waits for.
func (s *Set) parallel(ps []*Partition, f func(*Partition)) {
	parallel(s.workers, ps, f)
}

func parallel[T any](workers int, items []T, f func(T)) {
	var next atomic.Int64
	var running sync.WaitGroup
	for range min(workers, len(items)) {
		// Ends when the items are used up.
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(items)); i = next.Add(1) - 1 {
				f(items[i])
			}
		})
	}
	running.Wait()
}

// foundDir is a partition's directory.
type foundDir struct {
	name  string
	index int32
	id    TopicID
	in    *directory
	mark  *commitlog.MoveMark // of a move that was not finished, nil without one
	// damaged says why it cannot be opened.
	damaged error
}

// load opens what is in the directories; the set is not published yet.
func (s *Set) load(configFor func(string) Config) error {
	var found []foundDir
	var futures []futureDir
	for i, d := range s.dirs {
		here, growing, err := s.findDirs(d)
		if err != nil && i == 0 {
			return fmt.Errorf("log directory %s: %w", d.Path, err)
		}
		if err != nil {
			if err := s.refused(d, err); err != nil {
				return err
			}
			continue
		}
		found, futures = append(found, here...), append(futures, growing...)
		for _, name := range []string{commitlog.RecoveryPointFile, commitlog.LogStartFile, commitlog.CleanerFile} {
			d.written[name] = d.ReadOffsets(name)
		}
	}
	found, err := s.settle(found)
	if err != nil {
		return err
	}
	var mu sync.Mutex // guards the maps while opened partitions are published
	parallel(s.workers, found, func(f foundDir) {
		p, err := s.openFound(f, configFor)
		mu.Lock()
		s.publish((*s.nameShard([]byte(f.name)).Load())[f.name], p)
		mu.Unlock()
		if err != nil {
			_ = p.fail(fmt.Errorf("%w: %w", protocol.ErrKafkaStorageError, err)) // told through OnOffline
		} else if s.onRecovered != nil && !f.in.Clean {
			s.onRecovered(p, p.log().Recovered())
		}
	})
	for _, d := range s.dirs {
		points := d.written[commitlog.RecoveryPointFile]
		for _, key := range slices.Collect(maps.Keys(points)) {
			if s.Find([]byte(key.Topic), key.Index) == nil {
				delete(points, key)
			}
		}
	}
	// Lines of partitions that are gone must not meet a new topic of that name.
	if err := s.writeCheckpoints(); err != nil {
		return err
	}
	return s.resumeMoves(futures)
}

// openFound opens a partition that was found on disk.
func (s *Set) openFound(f foundDir, configFor func(string) Config) (*Partition, error) {
	var cfg Config
	if configFor != nil {
		cfg = configFor(f.name)
	}
	key := commitlog.TopicPartition{Topic: f.name, Index: f.index}
	written := f.in.written
	o := opening{clean: f.in.Clean, recoveryPoint: written[commitlog.RecoveryPointFile][key], logStart: written[commitlog.LogStartFile][key], cleaned: -1}
	if at, ok := written[commitlog.CleanerFile][key]; ok {
		o.cleaned = at
	}
	if f.damaged == nil {
		f.damaged = f.in.Failed() // since it was found
	}
	if f.damaged != nil {
		p := s.newPartition(f.name, f.id, f.index, cfg, o.cleaned)
		p.directory.Store(f.in)
		return p, fmt.Errorf("%s: %w", p, f.damaged)
	}
	return s.openPartition(f.in, f.name, f.id, f.index, cfg, o)
}

// clusterMetadataDir is where Kafka keeps the metadata log; it is the cluster room's.
const clusterMetadataDir = "__cluster_metadata"

// findDirs lists the partitions' directories, those that were being filled,
// and removes deleted ones.
func (s *Set) findDirs(d *directory) (found []foundDir, futures []futureDir, err error) {
	entries, err := s.fs.ReadDir(d.Path)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		path := filepath.Join(d.Path, e.Name())
		if isDeleted(e.Name()) {
			if err := s.fs.RemoveAll(path); err != nil {
				return nil, nil, err
			}
			continue
		}
		if name, index, ok := splitFuture(e.Name()); ok {
			id, _ := commitlog.ReadPartitionMetadata(s.fs, path)
			futures = append(futures, futureDir{name, index, id, d, path})
			continue
		}
		name, index, ok := splitDir(e.Name())
		if !ok || name == clusterMetadataDir {
			continue
		}
		id, ok := commitlog.ReadPartitionMetadata(s.fs, path)
		if !ok && !s.looksOurs(path) {
			continue
		}
		mark, err := commitlog.ReadMoveMark(s.fs, path)
		found = append(found, foundDir{name: name, index: index, id: id, in: d, mark: mark, damaged: err})
	}
	return found, futures, nil
}

// isDeleted matches what retire and Kafka name a deleted partition:
// topic-index.<32 hex digits>-delete.
func isDeleted(name string) bool {
	rest, ok := strings.CutSuffix(name, deletedDirSuffix)
	dot := strings.LastIndexByte(rest, '.')
	return ok && dot > 0 && len(rest)-dot-1 == 32 && strings.Trim(rest[dot+1:], "0123456789abcdef") == ""
}

// looksOurs is for a directory whose partition.metadata did not survive a crash.
func (s *Set) looksOurs(path string) bool {
	entries, err := s.fs.ReadDir(path)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if n := e.Name(); len(n) == 24 && strings.HasSuffix(n, ".log") && strings.Trim(n[:20], "0123456789") == "" {
			return true
		}
	}
	return len(entries) == 0
}

// stopped tells whether ctx is over, for loops over many partitions.
func stopped(ctx context.Context) bool { return ctx.Err() != nil }
