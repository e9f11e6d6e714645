package partition

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
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
	// OnOffline is called once for each partition that goes, or comes up,
	// offline. It must not block nor call the Set.
	OnOffline func(p *Partition, err error)
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
	dir         *commitlog.LogDir
	fs          commitlog.FS
	files       *commitlog.Files
	durability  Durability
	nowMs       func() int64
	workers     int
	onOffline   func(*Partition, error)
	onRecovered func(*Partition, commitlog.Recovered)
	onFlush     func(time.Duration)
	syncer      *syncer

	seed   maphash.Seed
	byName [topicShards]atomic.Pointer[map[string]*topic]
	byID   [topicShards]atomic.Pointer[map[TopicID]*topic]

	// mu serialises changes: Create, Delete, Close.
	mu      sync.Mutex
	closed  bool
	retired []retiredDir

	// The cleaner and its settings are those of the goroutine that calls Compact.
	cleaner       *commitlog.Cleaner
	cleanerConfig commitlog.CleanerConfig
	cleanerStats  atomic.Pointer[CleanerStats]

	// checkpointMu serialises the writing of checkpoint files; written is what they hold.
	checkpointMu sync.Mutex
	written      map[string]map[commitlog.TopicPartition]int64
}

// topic is published once and changes only by its atomics.
type topic struct {
	name       string
	id         atomic.Pointer[TopicID]
	partitions atomic.Pointer[[]*Partition] // by index; nil where not hosted here
}

type retiredDir struct {
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
	dir := c.LogDir
	if dir == nil {
		if c.BootID == "" {
			c.BootID = DefaultBootID()
		}
		var err error
		if dir, err = commitlog.OpenDir(c.FS, c.Dir, c.Identity, c.BootID); err != nil {
			return nil, err
		}
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
		dir: dir, fs: dir.FS, files: commitlog.NewFiles(c.OpenFiles), durability: c.Durability, nowMs: c.NowMs,
		workers: c.Workers, onOffline: c.OnOffline, onRecovered: c.OnRecovered, onFlush: c.OnFlush, seed: maphash.MakeSeed(),
		written: map[string]map[commitlog.TopicPartition]int64{},
	}
	for i := range topicShards {
		s.byName[i].Store(&map[string]*topic{})
		s.byID[i].Store(&map[TopicID]*topic{})
	}
	if err := s.load(c.ConfigFor); err != nil {
		return nil, errors.Join(err, dir.Close(false))
	}
	s.syncer = newSyncer()
	return s, nil
}

// Dir is the log directory of the set.
func (s *Set) Dir() *commitlog.LogDir { return s.dir }

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
	dir := s.partitionDir(name, index)
	if err := s.refuseUnknown(dir); err != nil {
		return nil, err
	}
	p, err := s.openPartition(name, id, index, cfg, opening{clean: true, cleaned: -1})
	if err != nil {
		return nil, fmt.Errorf("%w: %s-%d: %w", protocol.ErrKafkaStorageError, name, index, err)
	}
	if err := commitlog.WritePartitionMetadata(s.fs, dir, id); err != nil {
		p.log().Discard()
		return nil, fmt.Errorf("%w: %s: %w", protocol.ErrKafkaStorageError, p, err)
	}
	s.publish(t, p)
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
		if p == nil {
			continue
		}
		if err := commitlog.WritePartitionMetadata(s.fs, s.partitionDir(t.name, p.index), id); err != nil {
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

func (s *Set) partitionDir(name string, index int32) string {
	return filepath.Join(s.dir.Path, name+"-"+strconv.Itoa(int(index)))
}

// opening is what is known of a partition's log before it is opened.
type opening struct {
	clean                   bool
	recoveryPoint, logStart int64
	cleaned                 int64 // the cleaner's checkpoint, -1 none
}

// openPartition makes a partition; s.mu is held or the set is not published yet.
func (s *Set) openPartition(name string, id TopicID, index int32, cfg Config, o opening) (*Partition, error) {
	p := &Partition{set: s, index: index, topic: &topic{name: name}, lastFlush: s.nowMs()}
	p.topic.id.Store(&id)
	p.cfg.Store(&cfg)
	p.cleaned.Store(o.cleaned)
	log, err := commitlog.Open(commitlog.Options{
		FS: s.fs, Dir: s.partitionDir(name, index), Config: cfg.log(), Files: s.files, NowMs: s.nowMs,
		Clean: o.clean, RecoveryPoint: o.recoveryPoint, LogStart: o.logStart, HostCrash: s.dir.HostCrash,
		Cleaned: o.cleaned, StableWhenDurable: s.durability == FlushAlways,
	})
	if err != nil {
		return p, err
	}
	p.current.Store(log)
	p.epoch = max(s.dir.LeaderEpoch, log.LatestEpoch())
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
	errs = append(errs, s.fs.SyncDir(s.dir.Path), s.writeCheckpoints())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: delete topic %s: %w", protocol.ErrKafkaStorageError, name, err)
	}
	return nil
}

// retire ends a partition and moves its directory out of the way.
func (s *Set) retire(p *Partition) error {
	_ = p.fail(protocol.ErrUnknownTopicOrPartition) // the error is what clients get, not ours to return
	if p.log() != nil {
		p.mu.Lock()
		p.log().Discard()
		p.mu.Unlock()
	}
	dir := s.partitionDir(p.Topic(), p.index)
	id := p.ID()
	gone := filepath.Join(s.dir.Path, fmt.Sprintf("%s-%d.%x%s", p.Topic(), p.index, id[:], deletedDirSuffix))
	if err := s.fs.Rename(dir, gone); err != nil {
		return err
	}
	s.retired = append(s.retired, retiredDir{gone, s.nowMs() + p.cfg.Load().FileDeleteDelay.Milliseconds()})
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
	var mu sync.Mutex // guards errs and offsets
	var errs []error
	points := map[commitlog.TopicPartition]int64{}
	starts := map[commitlog.TopicPartition]int64{}
	s.parallel(s.all(), func(p *Partition) {
		err := p.close()
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
		key := commitlog.TopicPartition{Topic: p.Topic(), Index: p.index}
		s.keepCheckpoint(key, p, err == nil, points, starts)
	})
	errs = append(errs, s.fs.SyncTree(s.dir.Path))
	err := errors.Join(errs...)
	if err == nil {
		err = errors.Join(
			s.dir.WriteOffsets(commitlog.RecoveryPointFile, points),
			s.dir.WriteOffsets(commitlog.LogStartFile, starts),
			s.dir.WriteOffsets(commitlog.ReplicationFile, points))
	}
	return errors.Join(err, s.dir.Close(err == nil))
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
}

// load opens what is in the directory; the set is not published yet.
func (s *Set) load(configFor func(string) Config) error {
	found, err := s.findDirs()
	if err != nil {
		return fmt.Errorf("log directory %s: %w", s.dir.Path, err)
	}
	points := s.dir.ReadOffsets(commitlog.RecoveryPointFile)
	starts := s.dir.ReadOffsets(commitlog.LogStartFile)
	cleaned := s.dir.ReadOffsets(commitlog.CleanerFile)
	var mu sync.Mutex // guards the maps while opened partitions are published
	parallel(s.workers, found, func(f foundDir) {
		var cfg Config
		if configFor != nil {
			cfg = configFor(f.name)
		}
		key := commitlog.TopicPartition{Topic: f.name, Index: f.index}
		o := opening{clean: s.dir.Clean, recoveryPoint: points[key], logStart: starts[key], cleaned: -1}
		if at, ok := cleaned[key]; ok {
			o.cleaned = at
		}
		p, err := s.openPartition(f.name, f.id, f.index, cfg, o)
		mu.Lock()
		s.publish((*s.nameShard([]byte(f.name)).Load())[f.name], p)
		mu.Unlock()
		if err != nil {
			_ = p.fail(fmt.Errorf("%w: %w", protocol.ErrKafkaStorageError, err)) // told through OnOffline
		} else if s.onRecovered != nil && !s.dir.Clean {
			s.onRecovered(p, p.log().Recovered())
		}
	})
	for _, key := range slices.Collect(maps.Keys(points)) {
		if s.Find([]byte(key.Topic), key.Index) == nil {
			delete(points, key)
		}
	}
	s.written[commitlog.RecoveryPointFile], s.written[commitlog.LogStartFile], s.written[commitlog.CleanerFile] = points, starts, cleaned
	// Lines of partitions that are gone must not meet a new topic of that name.
	return s.writeCheckpoints()
}

// clusterMetadataDir is where Kafka keeps the metadata log; it is the cluster room's.
const clusterMetadataDir = "__cluster_metadata"

// findDirs lists the partitions' directories and removes deleted ones.
func (s *Set) findDirs() ([]foundDir, error) {
	entries, err := s.fs.ReadDir(s.dir.Path)
	if err != nil {
		return nil, err
	}
	var found []foundDir
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		path := filepath.Join(s.dir.Path, e.Name())
		if isDeleted(e.Name()) {
			if err := s.fs.RemoveAll(path); err != nil {
				return nil, err
			}
			continue
		}
		dash := strings.LastIndexByte(e.Name(), '-')
		if dash <= 0 {
			continue
		}
		name := e.Name()[:dash]
		index, err := strconv.ParseInt(e.Name()[dash+1:], 10, 32)
		if err != nil || index < 0 || strconv.Itoa(int(index)) != e.Name()[dash+1:] || name == clusterMetadataDir {
			continue
		}
		id, ok := commitlog.ReadPartitionMetadata(s.fs, path)
		if !ok && !s.looksOurs(path) {
			continue
		}
		found = append(found, foundDir{name, int32(index), id})
	}
	return found, nil
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
