// Package partition owns one replica of one partition: a commitlog.Log plus
// its place in the cluster: leader epoch, high watermark, and those who wait
// for either end of it to move. Set holds all partitions of
// the node's log directories.
//
// handler and group call it on the data path, node creates, maintains and
// closes it. It knows no requests and no connections. Errors that a client
// may see wrap *protocol.Error.
//
// A partition has no goroutine. Callers append under its mutex; readers take
// only the log's short one, and so does the cleaner. Group commit is the Set's
// single syncer.
//
// Lock order: Partition.cleanMu, Set.mu, Partition.mu, Set.checkpointMu, then the log's own; Partition.waitMu and
// syncer.mu are leaves.
package partition

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// TopicID is a Kafka topic id (UUID bytes).
type TopicID = [16]byte

// Durability is how the broker treats fdatasync (`log.flush`).
type Durability uint8

const (
	FlushAcks   Durability = iota // acks=all replies wait for fdatasync
	FlushOS                       // nothing waits
	FlushAlways                   // nothing is acknowledged or readable before fdatasync
)

// Config is what a partition needs of its topic's and the broker's settings;
// SetConfig swaps it at run time.
type Config struct {
	SegmentBytes, RetentionBytes, IndexIntervalBytes, SegmentIndexBytes, MaxMessageBytes int64
	SegmentAge, Retention, FileDeleteDelay                                               time.Duration // Retention < 0: for ever
	FlushMessages                                                                        int64
	FlushInterval                                                                        time.Duration
	LogAppendTime                                                                        bool
	TimestampBeforeMax, TimestampAfterMax                                                time.Duration // 0 and the largest: no limit
	Compact, DeleteOld                                                                   bool          // cleanup.policy
	Preallocate                                                                          bool
	Validation                                                                           record.Validation
	Recompress                                                                           *record.Compression // of what is stored; nil: as the producer sent it
	// ProducerExpiration is producer.id.expiration.ms; 0 takes Kafka's day.
	ProducerExpiration time.Duration
	// For compacted topics: delete.retention.ms, min.compaction.lag.ms,
	// max.compaction.lag.ms and min.cleanable.dirty.ratio; 0 takes Kafka's default.
	DeleteRetention, MinCompactionLag, MaxCompactionLag time.Duration
	MinDirtyRatio                                       float64
}

func (c *Config) log() commitlog.Config {
	return commitlog.Config{
		SegmentBytes: c.SegmentBytes, SegmentAge: c.SegmentAge, SegmentIndexBytes: c.SegmentIndexBytes,
		IndexIntervalBytes: c.IndexIntervalBytes, Preallocate: c.Preallocate,
		RetentionBytes: c.RetentionBytes, Retention: c.Retention, DeleteOld: c.DeleteOld, AllowGaps: c.Compact,
		FileDeleteDelay: c.FileDeleteDelay, ProducerExpiration: c.ProducerExpiration,
		DeleteRetention: c.DeleteRetention, MinCompactionLag: c.MinCompactionLag, MaxCompactionLag: c.MaxCompactionLag,
		MinDirtyRatio: c.MinDirtyRatio,
	}
}

// Partition is safe for concurrent use.
type Partition struct {
	set   *Set
	topic *topic
	index int32
	epoch int32

	// current is the log, nil when it could not be opened. A move to another
	// directory changes it, under Set.mu and mu.
	current atomic.Pointer[commitlog.Log]

	cfg     atomic.Pointer[Config]
	offline atomic.Pointer[error] // why nothing works any more, set once

	// mu makes writers one at a time; it guards the log's writer side.
	mu        sync.Mutex
	unflushed int64 // records since the last flush by count
	lastFlush int64 // unix ms

	// waitMu guards waiters and pending. waiting and awaited are their lengths,
	// read without the lock.
	waitMu  sync.Mutex
	waiters []*Waiter
	pending []durableWait
	waiting atomic.Int32
	awaited atomic.Int32

	queued bool // in the syncer's list; guarded by syncer.mu

	cleaned atomic.Int64 // the cleaner's checkpoint: where the last cleaning ended, -1 none
	// uncleanable and cleanAfterMs (unix ms) are the cleaner's alone.
	uncleanable  bool
	cleanAfterMs int64
	// cleanMu is held while the log is cleaned, and while it is moved: one or the
	// other. Taken before all others.
	cleanMu sync.Mutex

	// directory is where the log lies, nil when that is not known; it changes with current.
	directory atomic.Pointer[directory]
	// moving is the move to another directory that is under way, nil none; set under Set.mu.
	moving atomic.Pointer[move]
	// arriving is the directory whose checkpoints know the partition before it is there.
	arriving atomic.Pointer[directory]
}

// log is the partition's log of this moment. What is done with it outside mu
// may meet its end, when the partition moves: see translateFrom.
func (p *Partition) log() *commitlog.Log { return p.current.Load() }

// Topic is the topic's name.
func (p *Partition) Topic() string { return p.topic.name }

// ID is the topic's id.
func (p *Partition) ID() TopicID { return *p.topic.id.Load() }

// Index is the partition's number.
func (p *Partition) Index() int32 { return p.index }

// LeaderEpoch is the epoch that this broker leads the partition with. It is
// higher than any before after every unclean stop.
func (p *Partition) LeaderEpoch() int32 { return p.epoch }

// SizeBytes is what the log's segments hold, without indexes.
func (p *Partition) SizeBytes() int64 {
	log := p.log()
	if log == nil {
		return 0
	}
	return log.SizeBytes()
}

// Recovered tells what opening the log found and did.
func (p *Partition) Recovered() commitlog.Recovered {
	log := p.log()
	if log == nil {
		return commitlog.Recovered{}
	}
	return log.Recovered()
}

// SetConfig swaps the settings; they hold from the next append on.
func (p *Partition) SetConfig(cfg Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cfg.Store(&cfg)
	if p.log() != nil {
		p.log().SetConfig(cfg.log())
	}
}

// StoresZstd tells that what clients send is stored in zstd (compression.type).
func (p *Partition) StoresZstd() bool {
	c := p.cfg.Load().Recompress
	return c != nil && c.Codec == record.Zstd
}

// Offline is why the partition takes and gives nothing any more; nil while the log is usable.
func (p *Partition) Offline() error {
	if e := p.offline.Load(); e != nil {
		return *e
	}
	return nil
}

// Offsets are read together: log start <= last stable <= high watermark <= log end.
type Offsets struct{ LogStart, HighWatermark, LastStable, LogEnd int64 }

// Offsets of an offline partition are the last it had, -1 when it could not be
// opened. It takes no lock. LastStable (LSO) is the high watermark, or the first
// offset of the oldest transaction that is open, or ended by a marker that is
// not below the high watermark; when that record was deleted, the log start.
func (p *Partition) Offsets() Offsets {
	log := p.log()
	if log == nil {
		return Offsets{-1, -1, -1, -1}
	}
	o := log.Offsets()
	hw := o.LogEnd
	if p.set.durability == FlushAlways {
		hw = o.Durable
	}
	return Offsets{o.LogStart, hw, max(min(hw, o.FirstUnstable), o.LogStart), o.LogEnd}
}

// EpochEndOffset answers OffsetForLeaderEpoch (KIP-101/320): (-1, -1) when the log cannot tell.
func (p *Partition) EpochEndOffset(epoch int32) (foundEpoch int32, endOffset int64) {
	log := p.log()
	if log == nil {
		return -1, -1
	}
	return log.EpochEnd(epoch)
}

// fail takes the partition offline for good and tells everybody who waits.
func (p *Partition) fail(cause error) error {
	if p.offline.CompareAndSwap(nil, &cause) {
		if p.set.onOffline != nil && !errors.Is(cause, protocol.ErrUnknownTopicOrPartition) {
			p.set.onOffline(p, cause)
		}
		p.settle(-1, cause)
		p.wake()
	}
	return *p.offline.Load()
}

// translate turns an error of the log into what a client may see. An offline
// log takes the partition with it.
func (p *Partition) translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, commitlog.ErrOffline), errors.Is(err, commitlog.ErrClosed):
		failed := p.fail(fmt.Errorf("%w: %s: %w", protocol.ErrKafkaStorageError, p, err))
		if errors.Is(err, commitlog.ErrOffline) {
			p.set.failDir(p.directory.Load(), err)
		}
		return failed
	case errors.Is(err, commitlog.ErrOffsetOutOfRange):
		return fmt.Errorf("%w: %s: %w", protocol.ErrOffsetOutOfRange, p, err)
	case errors.Is(err, commitlog.ErrOutOfOrderSequence):
		return fmt.Errorf("%w: %s: %w", protocol.ErrOutOfOrderSequenceNumber, p, err)
	case errors.Is(err, commitlog.ErrInvalidProducerEpoch):
		return fmt.Errorf("%w: %s: %w", protocol.ErrInvalidProducerEpoch, p, err)
	case errors.Is(err, commitlog.ErrInvalidTxnState):
		return fmt.Errorf("%w: %s: %w", protocol.ErrInvalidTxnState, p, err)
	case errors.Is(err, commitlog.ErrCoordinatorFenced):
		return fmt.Errorf("%w: %s: %w", protocol.ErrTransactionCoordinatorFenced, p, err)
	default:
		return fmt.Errorf("%w: %s: %w", protocol.ErrKafkaStorageError, p, err)
	}
}

// errMoved means that the partition has moved to another directory while its
// log was used: what failed is done again with the present one.
var errMoved = errors.New("the partition has moved to another log directory")

// translateFrom is translate for an error of a log that was used outside mu;
// errMoved, as it is, when that is not the partition's log any more.
func (p *Partition) translateFrom(log *commitlog.Log, err error) error {
	if err != nil && p.log() != log {
		return errMoved
	}
	return p.translate(err)
}

// String is Kafka's way to write a topic-partition.
func (p *Partition) String() string { return fmt.Sprintf("%s-%d", p.topic.name, p.index) }

// checkEpoch is Kafka's fencing of a client's idea of the leader epoch; -1 is none.
func (p *Partition) checkEpoch(epoch int32) error {
	switch {
	case epoch == -1 || epoch == p.epoch:
		return nil
	case epoch < p.epoch:
		return protocol.ErrFencedLeaderEpoch
	default:
		return protocol.ErrUnknownLeaderEpoch
	}
}
