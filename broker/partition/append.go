package partition

import (
	"errors"
	"fmt"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/fault"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// AppendOptions come from the request.
type AppendOptions struct {
	Acks               int16 // 0, 1, -1
	CurrentLeaderEpoch int32 // -1: not given
	// Internal marks the broker's own writes (coordinators): control batches allowed, size limit off.
	Internal bool
	// Guard is what BeginVerification gave for a transactional batch, once the
	// coordinator has confirmed it. Without one such a batch is taken only when its
	// transaction is open here already.
	Guard Guard
	// TransactionVersion is that of the transaction that a marker ends.
	TransactionVersion int16
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
	if err := p.Offline(); err != nil {
		return AppendResult{}, err
	}
	if err := p.checkEpoch(o.CurrentLeaderEpoch); err != nil {
		return AppendResult{}, err
	}
	cfg := p.cfg.Load()
	// All that needs only the bytes is done before the mutex.
	appendTime, err := p.validate(batches, cfg, o)
	if err != nil {
		return AppendResult{}, err
	}
	p.mu.Lock()
	info, err := p.write(batches, o)
	if err == nil && !info.Duplicate {
		p.unflushed += int64(info.Records)
	}
	flush := p.unflushed >= cfg.FlushMessages && cfg.FlushMessages > 0
	if flush {
		p.unflushed = 0
	}
	p.mu.Unlock()
	if err != nil {
		return AppendResult{}, p.translate(err)
	}
	if fault.Built && !o.Internal {
		if err := p.appendedFaulty(info.Records); err != nil {
			return AppendResult{}, p.translate(err)
		}
	}
	result := AppendResult{
		BaseOffset: info.BaseOffset, LastOffset: info.LastOffset, LogAppendTime: appendTime,
		LogStartOffset: p.log.Offsets().LogStart, Records: info.Records, Duplicate: info.Duplicate,
	}
	if info.Duplicate {
		if appendTime >= 0 {
			result.LogAppendTime = info.MaxTimestamp
		}
		return result, nil
	}
	if flush || p.set.durability == FlushAlways {
		p.set.syncer.enqueue(p)
	}
	if p.set.durability != FlushAlways {
		p.wake()
	}
	return result, nil
}

// write appends under p.mu, or does what the faultinject build is told to.
func (p *Partition) write(batches []byte, o AppendOptions) (commitlog.AppendInfo, error) {
	if fault.Built {
		return p.writeFaulty(batches, o)
	}
	return p.log.Append(batches, p.logOptions(o))
}

func (p *Partition) logOptions(o AppendOptions) commitlog.AppendOptions {
	return commitlog.AppendOptions{LeaderEpoch: p.epoch, Trusted: o.Internal, Guard: o.Guard, TransactionVersion: o.TransactionVersion}
}

// validate checks every batch and, with LogAppendTime, stamps it. It returns
// the append time in unix ms, -1 with CreateTime.
func (p *Partition) validate(batches []byte, cfg *Config, o AppendOptions) (int64, error) {
	if !o.Internal && cfg.SegmentBytes > 0 && int64(len(batches)) > cfg.SegmentBytes {
		return -1, fmt.Errorf("%w: %d bytes, segment.bytes is %d", protocol.ErrRecordListTooLarge, len(batches), cfg.SegmentBytes)
	}
	if len(batches) == 0 {
		return -1, fmt.Errorf("%w: no batch", protocol.ErrInvalidRecord)
	}
	nowMs := p.set.nowMs()
	for rest := batches; len(rest) > 0; {
		b, after, err := record.Next(rest)
		if err != nil {
			return -1, invalid(err)
		}
		rest = after
		if err := p.validateOne(b, cfg, o, nowMs); err != nil {
			return -1, err
		}
		if cfg.LogAppendTime {
			b.SetLogAppendTime(nowMs)
		}
	}
	if cfg.LogAppendTime {
		return nowMs, nil
	}
	return -1, nil
}

func (p *Partition) validateOne(b record.Batch, cfg *Config, o AppendOptions, nowMs int64) error {
	if o.Internal {
		return nil // made by our own encoder a moment ago
	}
	if cfg.MaxMessageBytes > 0 && int64(len(b)) > cfg.MaxMessageBytes {
		return fmt.Errorf("%w: a batch of %d bytes, max.message.bytes is %d", protocol.ErrMessageTooLarge, len(b), cfg.MaxMessageBytes)
	}
	if err := record.Validate(b, cfg.Validation); err != nil {
		return invalid(err)
	}
	if cfg.Compact {
		if err := record.RequireKeys(b, record.MaxDecompressedBytes); err != nil {
			return invalid(err)
		}
	}
	if !cfg.LogAppendTime {
		return checkTimestamps(b, cfg, nowMs)
	}
	return nil
}

// checkTimestamps is message.timestamp.before.max.ms and .after.max.ms, by the
// batch's header; a negative timestamp is none.
func checkTimestamps(b record.Batch, cfg *Config, nowMs int64) error {
	before, after := cfg.TimestampBeforeMax.Milliseconds(), cfg.TimestampAfterMax.Milliseconds()
	if newest := b.MaxTimestamp(); after > 0 && newest > nowMs && newest-nowMs > after {
		return fmt.Errorf("%w: %d is more than %d ms after now", protocol.ErrInvalidTimestamp, newest, after)
	}
	if oldest := b.BaseTimestamp(); before > 0 && oldest >= 0 && nowMs-oldest > before {
		return fmt.Errorf("%w: %d is more than %d ms before now", protocol.ErrInvalidTimestamp, oldest, before)
	}
	return nil
}

// invalid gives an error of the record room its Kafka code.
func invalid(err error) error {
	switch {
	case errors.Is(err, record.ErrUnsupportedCodec):
		return fmt.Errorf("%w: %w", protocol.ErrUnsupportedCompressionType, err)
	case errors.Is(err, record.ErrUnsupportedMagic):
		return fmt.Errorf("%w: %w", protocol.ErrUnsupportedForMessageFormat, err)
	case errors.Is(err, record.ErrInvalidTimestamp):
		return fmt.Errorf("%w: %w", protocol.ErrInvalidTimestamp, err)
	case errors.Is(err, record.ErrInvalidRecord):
		return fmt.Errorf("%w: %w", protocol.ErrInvalidRecord, err)
	case errors.Is(err, record.ErrTooLarge):
		return fmt.Errorf("%w: %w", protocol.ErrMessageTooLarge, err)
	default:
		return fmt.Errorf("%w: %w", protocol.ErrCorruptMessage, err)
	}
}

// MustWait tells whether a reply with these acks waits for durability.
func (p *Partition) MustWait(acks int16) bool {
	switch p.set.durability {
	case FlushAlways:
		return true
	case FlushAcks:
		return acks == -1 || p.flushesEach()
	default:
		return p.flushesEach()
	}
}

// flushesEach is flush.messages=1, which in Kafka makes every append wait for its fsync.
func (p *Partition) flushesEach() bool { return p.cfg.Load().FlushMessages == 1 }

// DeleteRecords moves the log start offset (KIP-107); -1 means the HW. The new
// start is durable when it returns. Whole segments below it go with the next maintenance.
func (p *Partition) DeleteRecords(before int64) (lowWatermark int64, err error) {
	if err := p.Offline(); err != nil {
		return -1, err
	}
	cfg := p.cfg.Load()
	if cfg.Compact && !cfg.DeleteOld {
		return -1, fmt.Errorf("%w: %s is compacted and not deleted from", protocol.ErrPolicyViolation, p)
	}
	hw := p.Offsets().HighWatermark
	if before == -1 {
		before = hw
	}
	if before < 0 || before > hw {
		return -1, fmt.Errorf("%w: %d is not within [0, %d]", protocol.ErrOffsetOutOfRange, before, hw)
	}
	p.mu.Lock()
	err = p.log.SetLogStart(before)
	p.mu.Unlock()
	if err != nil {
		return -1, p.translate(err)
	}
	// The records below the new start must be durable before it is: recovery
	// would otherwise find a log that ends before it starts.
	if _, err := p.log.Sync(); err != nil {
		return -1, p.translate(err)
	}
	if err := p.set.writeLogStarts(); err != nil {
		return -1, fmt.Errorf("%w: %s: %w", protocol.ErrKafkaStorageError, p, err)
	}
	return p.log.Offsets().LogStart, nil
}
