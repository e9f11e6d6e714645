// Package partition owns one replica of one partition: a commitlog.Log plus
// its place in the cluster (leader epoch, high watermark, waiters).
package partition

import (
	"os"
	"time"

	"fluxmq/broker/record"
)

// TopicID is a Kafka topic id (UUID bytes).
type TopicID = [16]byte

// Set maps topic-partition to *Partition. Look-ups take no lock and do not
// allocate; safe for concurrent use.
type Set struct{}

// Find returns the partition, or nil. topic may alias a frame.
func (s *Set) Find(topic []byte, index int32) *Partition { panic("not built") }

// FindByID is Find by topic id; the name is returned for replies that need it.
func (s *Set) FindByID(id TopicID, index int32) (*Partition, string) { panic("not built") }

// Topic tells whether a topic of that name or id is hosted here.
func (s *Set) TopicID(topic []byte) (TopicID, bool) { panic("not built") }
func (s *Set) TopicName(id TopicID) (string, bool)  { panic("not built") }

// Create opens (creating where absent) one partition and publishes it.
func (s *Set) Create(topic string, id TopicID, index int32, cfg Config) (*Partition, error) {
	panic("not built")
}

// Delete unpublishes every partition of a topic, fails its waiters with
// ErrUnknownTopicOrPartition, renames the directories to -delete and removes them later.
func (s *Set) Delete(topic string) error { panic("not built") }

// Each visits every partition.
func (s *Set) Each(visit func(*Partition) bool) { panic("not built") }

// Config is what a partition needs of its topic's and the broker's settings;
// SetConfig swaps it at run time.
type Config struct {
	SegmentBytes, RetentionBytes, IndexIntervalBytes, SegmentIndexBytes, MaxMessageBytes int64
	SegmentAge, Retention, FileDeleteDelay                                               time.Duration // Retention < 0: for ever
	FlushMessages                                                                        int64
	FlushInterval                                                                        time.Duration
	LogAppendTime                                                                        bool
	TimestampBeforeMax, TimestampAfterMax                                                time.Duration
	Compact, DeleteOld                                                                   bool // cleanup.policy
	Preallocate                                                                          bool
	Validation                                                                           record.Validation
	Codec                                                                                int8 // -1 producer (keep); otherwise recompress (not built yet: refused by config)
}

// Partition is safe for concurrent use.
type Partition struct{}

func (p *Partition) Topic() string        { panic("not built") }
func (p *Partition) ID() TopicID          { panic("not built") }
func (p *Partition) Index() int32         { panic("not built") }
func (p *Partition) LeaderEpoch() int32   { panic("not built") }
func (p *Partition) SizeBytes() int64     { panic("not built") }
func (p *Partition) SetConfig(cfg Config) { panic("not built") }
func (p *Partition) Offline() error       { panic("not built") } // nil while the log is usable

// Offsets are read together.
type Offsets struct{ LogStart, HighWatermark, LastStable, LogEnd int64 }

func (p *Partition) Offsets() Offsets { panic("not built") }

// AppendOptions come from the request.
type AppendOptions struct {
	Acks               int16 // 0, 1, -1
	CurrentLeaderEpoch int32 // -1: not given
	// Internal marks the broker's own writes (coordinators): control batches allowed, size limit off.
	Internal bool
}

// AppendResult is Kafka's LogAppendInfo as far as a Produce reply needs it.
type AppendResult struct {
	BaseOffset, LastOffset, LogStartOffset int64
	LogAppendTime                          int64 // unix ms, -1 with CreateTime
	Records                                int32
	Duplicate                              bool // an idempotent retry; BaseOffset is the first write's
}

// Append validates, stamps base offset and epoch in place and writes the
// batches (in a Produce request exactly one). batches may be reused by the
// caller as soon as Append returns. Errors are *protocol.Error.
func (p *Partition) Append(batches []byte, o AppendOptions) (AppendResult, error) {
	panic("not built")
}

// Durability is how the broker treats fdatasync (`log.flush`).
type Durability uint8

const (
	FlushAcks   Durability = iota // acks=all replies wait for fdatasync
	FlushOS                       // nothing waits
	FlushAlways                   // nothing is acknowledged or readable before fdatasync
)

// MustWait tells whether a reply with these acks waits for durability.
func (p *Partition) MustWait(acks int16) bool { panic("not built") }

// WhenDurable calls done once (from the syncer's goroutine, or at once) when
// everything below endOffset is on stable storage or the log failed. done must not block.
func (p *Partition) WhenDurable(endOffset int64, done func(error)) { panic("not built") }

// ReadOptions of one partition of a Fetch.
type ReadOptions struct {
	Offset             int64
	MaxBytes           int
	MinOneBatch        bool // return the first batch even if larger than MaxBytes
	ReadCommitted      bool
	CurrentLeaderEpoch int32 // -1: not given
	LastFetchedEpoch   int32 // -1: not given
}

// ReadResult holds a file range, not bytes; Release must be called once when it was sent.
type ReadResult struct {
	Offsets            Offsets
	File               *os.File // nil when there is nothing to send (or the log is in memory: then Bytes)
	Position, Size     int64
	Bytes              []byte
	DivergingEpoch     int32 // -1 none
	DivergingEndOffset int64
	Aborted            []AbortedTransaction
	Release            func()
}

// AbortedTransaction as in a Fetch response.
type AbortedTransaction struct{ ProducerID, FirstOffset int64 }

// Read finds what to send from Offset up to HW (or LSO). Errors are *protocol.Error
// (OFFSET_OUT_OF_RANGE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, KAFKA_STORAGE_ERROR).
func (p *Partition) Read(o ReadOptions) (ReadResult, error) { panic("not built") }

// Waiter is one long-polling fetch. Several partitions may hold it.
type Waiter struct {
	// C receives once (capacity 1) when a watched partition's readable end moved.
	C chan struct{}
}

func NewWaiter() *Waiter              { panic("not built") }
func (p *Partition) Watch(w *Waiter)  { panic("not built") }
func (p *Partition) Forget(w *Waiter) { panic("not built") }

// OffsetForTimestamp: the first record at or after unixMs (offset -1 when none).
func (p *Partition) OffsetForTimestamp(unixMs int64) (offset, timestamp int64, leaderEpoch int32, err error) {
	panic("not built")
}

// MaxTimestamp: offset and timestamp of the record with the largest timestamp (-1,-1 when empty).
func (p *Partition) MaxTimestamp() (offset, timestamp int64, leaderEpoch int32, err error) {
	panic("not built")
}

// EpochEndOffset answers OffsetForLeaderEpoch (KIP-101/320).
func (p *Partition) EpochEndOffset(epoch int32) (foundEpoch int32, endOffset int64) {
	panic("not built")
}

// DeleteRecords moves the log start offset (KIP-107); -1 means the HW.
func (p *Partition) DeleteRecords(before int64) (lowWatermark int64, err error) { panic("not built") }
