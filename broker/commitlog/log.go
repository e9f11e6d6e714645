package commitlog

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"fluxmq/broker/record"
)

// Errors of a log.
var (
	// ErrCorrupt: bytes on disk are not what was written, at a place where a
	// crash cannot have left them so. Nothing is cut away.
	ErrCorrupt = errors.New("log is corrupt")
	// ErrOffline wraps the write or fsync error after which the log takes nothing more.
	ErrOffline = errors.New("log is offline")
	// ErrOffsetOutOfRange: an offset below the log start or above the log end.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("log is closed")
)

// writeChunk is the largest single write in bytes.
const writeChunk = 256 << 10

// Config is the topic's and broker's settings that a log needs. Zero values
// take Kafka's defaults.
type Config struct {
	SegmentBytes       int64         // segment.bytes
	SegmentAge         time.Duration // segment.ms
	SegmentIndexBytes  int64         // segment.index.bytes: how full the offset index may get
	IndexIntervalBytes int64         // index.interval.bytes
	Preallocate        bool          // preallocate
	RetentionBytes     int64         // retention.bytes; <0 no limit
	Retention          time.Duration // retention.ms; <0 for ever
	DeleteOld          bool          // cleanup.policy contains delete
	// AllowGaps accepts offsets missing between batches (cleanup.policy contains
	// compact); otherwise recovery takes a gap for damage.
	AllowGaps          bool
	FileDeleteDelay    time.Duration // file.delete.delay.ms
	ProducerExpiration time.Duration // producer.id.expiration.ms

	// For the cleaner. DeleteRetention is delete.retention.ms, MinDirtyRatio
	// min.cleanable.dirty.ratio; MinCompactionLag and MaxCompactionLag are the
	// settings of these names, without a limit when they are 0.
	DeleteRetention, MinCompactionLag, MaxCompactionLag time.Duration
	MinDirtyRatio                                       float64
}

func (c Config) withDefaults() Config {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.SegmentBytes, 1<<30)
	def(&c.SegmentIndexBytes, 10<<20)
	def(&c.IndexIntervalBytes, 4096)
	c.SegmentBytes = min(c.SegmentBytes, math.MaxInt32)
	if c.SegmentAge <= 0 {
		c.SegmentAge = 7 * 24 * time.Hour
	}
	if c.ProducerExpiration <= 0 {
		c.ProducerExpiration = 24 * time.Hour
	}
	if c.RetentionBytes == 0 {
		c.RetentionBytes = -1
	}
	if c.Retention == 0 {
		c.Retention = -1
	}
	if c.DeleteRetention <= 0 {
		c.DeleteRetention = 24 * time.Hour
	}
	if c.MinDirtyRatio <= 0 {
		c.MinDirtyRatio = 0.5
	}
	if c.AllowGaps && c.MaxCompactionLag > 0 {
		c.SegmentAge = min(c.SegmentAge, c.MaxCompactionLag) // the active segment is never cleaned
	}
	return c
}

// Options open a log.
type Options struct {
	FS     FS
	Dir    string
	Config Config
	// Files is shared by the logs of a directory; nil gives the log its own.
	Files *Files
	// NowMs is the clock in unix ms; nil is the system's.
	NowMs func() int64
	// Clean says that the log was closed properly: nothing is scanned.
	Clean bool
	// RecoveryPoint is the offset below which everything is known to have been
	// synced; LogStart the smallest offset that may be read. Both from the
	// directory's checkpoints, 0 when unknown.
	RecoveryPoint, LogStart int64
	// Cleaned is the cleaner's checkpoint: below it offsets may be missing,
	// whatever AllowGaps says, because the topic was compacted once.
	Cleaned int64
	// HostCrash says that the machine, not only the process, went down since
	// the log was written: what was not synced may be missing in any pattern, so
	// damage above the recovery point is cut. Without it only a torn tail is.
	HostCrash bool
	// StableWhenDurable is for readers that see only what is durable: a
	// transaction whose marker is not durable yet holds the last stable offset
	// back as an open one does.
	StableWhenDurable bool
}

// Log is one partition's log. See the package comment for who may call what.
type Log struct {
	fs    FS
	dir   string
	files *Files
	now   func() int64

	// producers is the writer's; see mu for what others see of it.
	producers producerState
	// sums is what the file of transaction index sums holds, "" when there is
	// none. The writer's.
	sums string

	stableWhenDurable bool
	published         publishedOffsets

	// rebuildMu makes rebuilds of transaction indexes one at a time. Taken before mu.
	rebuildMu sync.Mutex

	// cleanMu is held while the log is cleaned; closing is closed when the log
	// is, which ends the cleaning. cleanMu is taken before all others.
	cleanMu sync.Mutex
	closing chan struct{}

	// exchangeMu is held by whoever takes segments out of the log: the cleaner while it
	// exchanges some, retention while it deletes. Taken before syncMu.
	exchangeMu sync.Mutex

	// syncMu makes Sync and Seal one at a time. Taken before mu. It guards syncing.
	syncMu  sync.Mutex
	syncing []*segment // what the sync under way covers; kept for its memory

	// snapshotMu makes writing of producer snapshots one at a time: retention
	// writes that of a segment which Seal may be at. Nothing is taken under it.
	snapshotMu sync.Mutex

	// mu guards all that follows, and the segments' fields.
	mu        sync.Mutex
	cfg       Config
	segments  []*segment // by base offset; the last is active
	logStart  int64
	logEnd    int64
	durable   int64
	firstOpen int64 // first offset of the oldest open transaction, MaxInt64 none
	// undurable are the ended transactions whose markers are not durable, in the
	// order of the markers; empty unless stableWhenDurable is set.
	undurable []transaction
	epochs    epochCache
	size      int64
	failed    error
	closed    bool
	unsynced  []*segment    // in order: may hold bytes no fdatasync has covered
	unsealed  []*segment    // rolled, index files not written yet
	dirDirty  bool          // a segment was created since the directory's last fsync
	newDir    bool          // the directory itself was created, and its parent not synced since
	deleted   []deletedFile // renamed, to be unlinked when due
	appended  int64         // bytes, since Open
	changed   bool          // something was appended or cut since Open
	exchanges int64         // how often segments were exchanged for cleaned ones
	cleaned   int64         // below it offsets may be missing; set by Open

	recovered Recovered
}

// AppendOptions of one Append.
type AppendOptions struct {
	LeaderEpoch int32
	// Trusted skips the check of sequences: the broker's own writes. Epochs and
	// transactions are checked all the same.
	Trusted bool
	// Guard is what BeginVerification gave for a batch that may be the first of
	// its transaction here.
	Guard Guard
	// TransactionVersion is that of the transaction that a marker ends (KIP-1228).
	TransactionVersion int16
}

// AppendInfo tells what Append did.
type AppendInfo struct {
	BaseOffset, LastOffset int64
	MaxTimestamp           int64
	Records                int32
	// Duplicate: the batch was a retry; the offsets are those of the first write.
	Duplicate bool
}

// Append stamps base offset and leader epoch into the batches, in place, and
// writes them to the active segment, which it may roll before. The batches must be
// valid. Writer only. An error of the file system takes the log offline; any
// other error leaves the log as it was.
func (l *Log) Append(batches []byte, o AppendOptions) (AppendInfo, error) {
	active, err := l.active()
	if err != nil {
		return AppendInfo{}, err
	}
	info, err := l.prepare(batches, o)
	if err != nil || info.Duplicate {
		return info, err
	}
	if l.mustRoll(active, int64(len(batches)), info) {
		if active, err = l.roll(); err != nil {
			return AppendInfo{}, l.fail(err)
		}
	}
	if err := active.write(batches); err != nil {
		return AppendInfo{}, l.fail(err)
	}
	nowMs := l.now()
	l.mu.Lock()
	l.epochs.assign(o.LeaderEpoch, info.BaseOffset)
	for rest := batches; len(rest) > 0; {
		var b record.Batch
		b, rest = split(rest)
		active.publish(b)
		if t, aborted := l.track(b, nowMs); aborted {
			active.aborted = append(active.aborted, t)
		}
	}
	l.logEnd = info.LastOffset + 1
	l.size += int64(len(batches))
	l.appended += int64(len(batches))
	l.changed = true
	l.publish()
	if n := len(l.unsynced); n == 0 || l.unsynced[n-1] != active {
		l.unsynced = append(l.unsynced, active)
	}
	l.mu.Unlock()
	return info, nil
}

// active is the segment that is written to. Only the writer changes which it is.
func (l *Log) active() (*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.segments[len(l.segments)-1], l.usableLocked()
}

// split is record.Next for bytes that prepare has walked already.
func split(b []byte) (first record.Batch, rest []byte) {
	first, rest, err := record.Next(b)
	if err != nil {
		panic(fmt.Sprintf("commitlog: a batch changed while it was appended: %v", err))
	}
	return first, rest
}

// prepare checks the producers' epochs, sequences and transactions, and stamps
// offsets and leader epoch.
func (l *Log) prepare(batches []byte, o AppendOptions) (AppendInfo, error) {
	info := AppendInfo{BaseOffset: l.logEnd, LastOffset: l.logEnd - 1, MaxTimestamp: -1}
	var previous record.Batch
	for rest := batches; len(rest) > 0; {
		b, after, err := record.Next(rest)
		if err != nil {
			return AppendInfo{}, err
		}
		rest = after
		if b.ProducerID() >= 0 && (!o.Trusted || b.IsTransactional()) {
			known, err := l.checkProducer(b, previous, o)
			if err != nil {
				return AppendInfo{}, err
			}
			if known != nil {
				// Kafka answers the request with the retry's offsets alone.
				return AppendInfo{
					BaseOffset: known.baseOffset(), LastOffset: known.lastOffset,
					MaxTimestamp: known.timestamp, Records: known.offsetDelta + 1, Duplicate: true,
				}, nil
			}
			previous = b
		}
		b.SetBaseOffset(info.LastOffset + 1)
		b.SetPartitionLeaderEpoch(o.LeaderEpoch)
		info.LastOffset = b.LastOffset()
		info.MaxTimestamp = max(info.MaxTimestamp, b.MaxTimestamp())
		info.Records += b.Count()
	}
	if info.LastOffset < info.BaseOffset {
		return AppendInfo{}, fmt.Errorf("%w: no batch to append", record.ErrTruncated)
	}
	return info, nil
}

// checkProducer is producerState.check, where a batch may follow another of
// the same append that the state does not know yet.
func (l *Log) checkProducer(b, previous record.Batch, o AppendOptions) (*producerBatch, error) {
	if previous == nil || previous.ProducerID() != b.ProducerID() || previous.ProducerEpoch() != b.ProducerEpoch() {
		return l.producers.check(b, o)
	}
	if !o.Trusted && !inSequence(previous.LastSequence(), b.BaseSequence()) {
		return nil, fmt.Errorf("%w: producer %d sends sequence %d after %d", ErrOutOfOrderSequence, b.ProducerID(), b.BaseSequence(), previous.LastSequence())
	}
	return nil, nil
}

// track updates what the log knows of producers by one stored batch; mu is
// held. aborted tells that the batch aborted a transaction with records, t.
func (l *Log) track(b record.Batch, nowMs int64) (t transaction, aborted bool) {
	t, abort, ended := l.producers.apply(b, nowMs)
	if b.IsTransactional() {
		l.firstOpen = l.producers.firstOpen(math.MaxInt64)
	}
	if ended && l.stableWhenDurable {
		l.undurable = append(l.undurable, t)
	}
	return t, ended && abort
}

// mustRoll is Kafka's rule: size, age by record timestamps, index full, offset
// too far for 32 bits. That the transaction index may be full too is ours: it
// is in memory until the segment is rolled.
func (l *Log) mustRoll(s *segment, bytes int64, info AppendInfo) bool {
	if s.size == 0 {
		return false
	}
	waited := l.now() - s.created
	if s.firstTimestamp >= 0 && info.MaxTimestamp >= 0 {
		waited = info.MaxTimestamp - s.firstTimestamp
	}
	return s.size+bytes > l.cfg.SegmentBytes ||
		waited > l.cfg.SegmentAge.Milliseconds() ||
		int64(len(s.mem.offsets)+1)*offsetEntrySize > l.cfg.SegmentIndexBytes ||
		int64(len(s.mem.times)+2)*timeEntrySize > l.cfg.SegmentIndexBytes ||
		len(s.aborted) > 0 && int64(len(s.aborted)+1)*abortedSize > l.cfg.SegmentIndexBytes ||
		info.LastOffset-s.base > math.MaxInt32
}

// maxUnsealed bounds how many rolled segments wait in memory for Seal.
const maxUnsealed = 2

// roll starts a new segment at the log end. Index files of the old one are
// left to Seal, so that the append that rolls waits for one file creation only.
// Its transaction index, if it needs one, is durable before anything in the new
// segment is: recovery looks only above what was synced, and an entry that is
// missing there would show aborted records.
func (l *Log) roll() (*segment, error) {
	old, err := l.active()
	if err != nil {
		return nil, err
	}
	if err := l.storeAborted(old, true); err != nil {
		return nil, err
	}
	s, err := l.createSegment(l.logEnd)
	if err != nil {
		return nil, err
	}
	snapshot := l.producers.snapshot()
	l.mu.Lock()
	old.finishIndex()
	old.rollSnapshot = snapshot
	l.segments = append(slices.Clip(l.segments), s)
	l.unsealed = append(l.unsealed, old)
	l.dirDirty = true
	tooMany := len(l.unsealed) > maxUnsealed
	l.mu.Unlock()
	if tooMany {
		return s, l.seal(false)
	}
	return s, nil
}

// Roll starts a new segment if the active one holds anything. Writer only.
func (l *Log) Roll() error {
	active, err := l.active()
	if err != nil || active.size == 0 {
		return err
	}
	if _, err := l.roll(); err != nil {
		return l.fail(err)
	}
	return nil
}

// finishIndex adds the last time index entry, as Kafka does when a segment ends; mu is held.
func (s *segment) finishIndex() {
	if s.maxTimestamp >= 0 {
		s.mem.addTime(timeEntry{s.maxTimestamp, uint32(s.maxTimestampOffset - s.base)})
	}
}

// Seal writes the index files and producer snapshots of rolled segments and
// frees their memory. Any goroutine.
func (l *Log) Seal() error {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.seal(false); err != nil {
		return l.fail(err)
	}
	return nil
}

// seal may run twice at once (the writer's roll beside Seal): each takes
// another segment off the list.
func (l *Log) seal(sync bool) error {
	for {
		l.mu.Lock()
		if len(l.unsealed) == 0 {
			l.mu.Unlock()
			return nil
		}
		s := l.unsealed[0]
		l.unsealed = l.unsealed[1:]
		mem, size := s.mem, s.size
		snapshot := s.rollSnapshot
		next := l.baseAfter(s)
		preallocated := l.cfg.Preallocate
		gone := !slices.Contains(l.segments, s)
		l.mu.Unlock()
		if mem == nil || gone {
			continue
		}
		if preallocated {
			// Before the index files: they say that the segment needs no scan.
			if err := s.trimFile(size); err != nil {
				return err
			}
		}
		if err := s.writeIndexes(mem.offsets, mem.times, sync); err != nil {
			return err
		}
		if snapshot != nil && next > s.base {
			if err := l.writeSnapshot(next, snapshot, sync); err != nil {
				return err
			}
		}
		l.mu.Lock()
		s.mem, s.rollSnapshot = nil, nil
		l.mu.Unlock()
	}
}

// writeSnapshot writes the producer snapshot at an offset.
func (l *Log) writeSnapshot(at int64, state []byte, sync bool) error {
	l.snapshotMu.Lock()
	defer l.snapshotMu.Unlock()
	return replaceFileLazily(l.fs, l.Path(fileName(at, ".snapshot")), state, sync)
}

// baseAfter is where the segment after s begins, -1 when s is gone; mu is held.
func (l *Log) baseAfter(s *segment) int64 {
	if i := slices.Index(l.segments, s); i >= 0 && i+1 < len(l.segments) {
		return l.segments[i+1].base
	}
	return -1
}

// trimFile cuts preallocated space off, durably.
func (s *segment) trimFile(size int64) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.unref()
	return errors.Join(h.file.Truncate(size), h.file.Datasync())
}

// Sync makes everything appended so far durable and returns the offset below
// which that holds. Any goroutine; one at a time, others wait. An error takes
// the log offline.
func (l *Log) Sync() (durable int64, err error) { return l.syncTo(false) }

// SyncRolled is Sync for all but the active segment, as Kafka flushes behind a
// roll: what a later recovery has to scan stays bounded where nothing else syncs.
func (l *Log) SyncRolled() (durable int64, err error) { return l.syncTo(true) }

func (l *Log) syncTo(rolledOnly bool) (durable int64, err error) {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	if err := l.usableLocked(); err != nil {
		durable = l.durable
		l.mu.Unlock()
		return durable, err
	}
	active := l.segments[len(l.segments)-1]
	l.syncing = append(l.syncing, l.unsynced...)
	defer func() {
		clear(l.syncing)
		l.syncing = l.syncing[:0]
	}()
	end := l.logEnd
	if rolledOnly {
		l.syncing = slices.DeleteFunc(l.syncing, func(s *segment) bool { return s == active })
		end = active.base
	}
	dirDirty, newDir := l.dirDirty, l.newDir
	if end <= l.durable && (!dirDirty || rolledOnly) {
		durable = l.durable
		l.mu.Unlock()
		return durable, nil
	}
	l.dirDirty, l.newDir = false, false
	l.mu.Unlock()

	for _, s := range l.syncing {
		if err := s.sync(); err != nil {
			return l.Durable(), l.fail(err)
		}
	}
	if err := l.syncDirs(dirDirty, newDir); err != nil {
		return l.Durable(), l.fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return l.durable, l.failed
	}
	l.durable = max(l.durable, end)
	l.undurable = slices.DeleteFunc(l.undurable, func(t transaction) bool { return t.lastOffset < l.durable })
	l.publish()
	// A segment stays listed while it holds bytes above what was synced.
	l.unsynced = slices.DeleteFunc(l.unsynced, func(s *segment) bool {
		done := l.endOf(s) <= l.durable
		if done {
			s.unsynced.Store(false)
		}
		return done
	})
	return l.durable, nil
}

// syncDirs makes the segments' names durable, and the directory's own.
func (l *Log) syncDirs(entries, itself bool) error {
	if entries {
		if err := l.fs.SyncDir(l.dir); err != nil {
			return err
		}
	}
	if itself {
		return l.fs.SyncDir(filepath.Dir(l.dir))
	}
	return nil
}

// endOf is the offset after the last of s; mu is held.
func (l *Log) endOf(s *segment) int64 {
	if next := l.baseAfter(s); next >= 0 {
		return next
	}
	return l.logEnd
}

func (s *segment) sync() error {
	h, err := s.acquire()
	if err != nil {
		if notExist(err) && s.gone() {
			return nil
		}
		return err
	}
	defer h.unref()
	return h.file.Datasync()
}

// gone says that retention has taken the segment out of the log.
func (s *segment) gone() bool {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return !slices.Contains(s.log.segments, s)
}

// fail takes the log offline and returns the error it will answer with.
func (l *Log) fail(cause error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = fmt.Errorf("%w: %s: %w", ErrOffline, l.dir, cause)
	}
	return l.failed
}

func (l *Log) usable() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.usableLocked()
}

func (l *Log) usableLocked() error {
	if l.closed {
		return ErrClosed
	}
	return l.failed
}

// Failed is the error that took the log offline, or nil.
func (l *Log) Failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Offsets of a log, read together. FirstUnstable is the first offset of the
// oldest transaction that is not decided, or, with Options.StableWhenDurable,
// not durably so; math.MaxInt64 when there is none.
type Offsets struct{ LogStart, LogEnd, Durable, FirstUnstable int64 }

// publishedOffsets are the Offsets of a log for readers without a lock. The
// order makes them fit together: firstUnstable is lowered before logEnd passes
// the records that lower it, and is read after logEnd and durable.
type publishedOffsets struct{ logStart, logEnd, durable, firstUnstable atomic.Int64 }

// Offsets returns them; any goroutine, without a lock. LogStart and Durable
// are not above LogEnd, and whatever transaction begins below both
// FirstUnstable and LogEnd (Durable) was decided.
func (l *Log) Offsets() Offsets {
	o := Offsets{LogStart: l.published.logStart.Load(), Durable: l.published.durable.Load()}
	o.LogEnd = l.published.logEnd.Load()
	o.FirstUnstable = l.published.firstUnstable.Load()
	return o
}

// publish lets Offsets see what has changed; mu is held.
func (l *Log) publish() {
	unstable := l.firstOpen
	for i := range l.undurable {
		unstable = min(unstable, l.undurable[i].firstOffset)
	}
	p := &l.published
	p.firstUnstable.Store(unstable)
	p.logEnd.Store(l.logEnd)
	p.durable.Store(l.durable)
	p.logStart.Store(l.logStart)
}

// Durable is the offset below which everything was synced.
func (l *Log) Durable() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// AppendedBytes is how much was appended since Open; it only grows.
func (l *Log) AppendedBytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appended
}

// SizeBytes is what the segments hold, without indexes.
func (l *Log) SizeBytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

// Segments counts the segments.
func (l *Log) Segments() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.segments)
}

// Producers counts the producer ids that the log remembers. Writer only.
func (l *Log) Producers() int { return len(l.producers.entries) }

// DescribeProducers lists the producers that the log remembers, by id. Writer only.
func (l *Log) DescribeProducers() []Producer { return l.producers.describe() }

// SetConfig swaps the settings; they hold from the next append or tick on. Writer only.
func (l *Log) SetConfig(c Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cfg = c.withDefaults()
}

// LatestEpoch is the largest leader epoch in the log, -1 when it is empty.
func (l *Log) LatestEpoch() int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epochs.latest()
}

// BeginEpoch notes that a leader with this epoch writes from the log end on. Writer only.
func (l *Log) BeginEpoch(epoch int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epochs.assign(epoch, l.logEnd)
}

// EpochEnd answers OffsetForLeaderEpoch: the largest epoch not above the asked
// one and where it ended, (-1, -1) when the log cannot tell.
func (l *Log) EpochEnd(epoch int32) (int32, int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epochs.end(epoch, l.logEnd)
}

// Close writes what a clean restart needs and closes the files. Nothing is
// fsynced: the caller syncs the whole directory once for all its logs and only
// then writes the clean shutdown marker. A log that is offline writes nothing
// and returns its error. Writer only; Sync may not run any more. A cleaning is
// waited for: it ends when it notices.
func (l *Log) Close() error {
	if !l.shut() {
		return nil
	}
	l.cleanMu.Lock()
	defer l.cleanMu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	failed, changed := l.failed, l.changed
	active := l.segments[len(l.segments)-1]
	l.mu.Unlock()
	var err error
	if failed == nil && changed {
		err = l.writeClosing(active)
	}
	for _, s := range l.segments {
		s.close()
	}
	return errors.Join(failed, err)
}

// shut ends the use of the log; false when it was ended already.
func (l *Log) shut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.closed = true
	close(l.closing)
	return true
}

func (l *Log) writeClosing(active *segment) error {
	if err := l.seal(false); err != nil {
		return err
	}
	l.mu.Lock()
	active.finishIndex()
	l.mu.Unlock()
	if err := active.writeIndexes(active.mem.offsets, active.mem.times, false); err != nil {
		return err
	}
	if l.cfg.Preallocate {
		if err := active.trimFile(active.size); err != nil {
			return err
		}
	}
	if err := l.writeSnapshot(l.logEnd, l.producers.snapshot(), false); err != nil {
		return err
	}
	for _, s := range l.segments {
		if err := l.storeAborted(s, false); err != nil {
			return err
		}
	}
	if err := l.writeTxnSums(false); err != nil {
		return err
	}
	return l.writeEpochs(false)
}

// Discard closes the files of a log that is being deleted and writes nothing.
// Writer only. When it returns, a cleaning has ended and no file is touched any more.
func (l *Log) Discard() {
	l.shut()
	l.cleanMu.Lock()
	defer l.cleanMu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	segments := l.segments
	l.mu.Unlock()
	for _, s := range segments {
		s.close()
	}
}

// writeEpochs writes the leader epoch checkpoint if it changed.
func (l *Log) writeEpochs(sync bool) error {
	l.mu.Lock()
	dirty := l.epochs.dirty
	content := l.epochs.encode()
	l.epochs.dirty = false
	l.mu.Unlock()
	if !dirty {
		return nil
	}
	return replaceFileLazily(l.fs, filepath.Join(l.dir, leaderEpochFile), content, sync)
}
