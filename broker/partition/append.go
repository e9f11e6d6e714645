package partition

import (
	"errors"
	"fmt"
	"math"

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
	LogAppendTime                          int64 // unix ms, -1 with CreateTime but of a duplicate
	Records                                int32
	Duplicate                              bool // an idempotent retry; BaseOffset is the first write's
	Converted                              bool // stored in another format or compression than sent
}

// Append validates, stamps base offset and epoch in place and writes the
// batches (in a Produce request exactly one, or a message set of format v0 or
// v1, of which it makes one). batches may be reused by the caller as soon as
// Append returns. Errors are *protocol.Error; one that names single records has
// a *record.RefusedError in it.
func (p *Partition) Append(batches []byte, o AppendOptions) (AppendResult, error) {
	if err := p.Offline(); err != nil {
		return AppendResult{}, err
	}
	if err := p.checkEpoch(o.CurrentLeaderEpoch); err != nil {
		return AppendResult{}, err
	}
	cfg := p.cfg.Load()
	// All that needs only the bytes is done before the mutex.
	stored, err := p.admit(batches, cfg, o)
	if err != nil {
		return AppendResult{}, err
	}
	appendTime := int64(-1)
	p.mu.Lock()
	if cfg.LogAppendTime { // under the mutex: a later offset has no earlier time
		appendTime = p.set.nowMs()
		stamp(stored, appendTime)
	}
	info, err := p.write(stored, o)
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
		LogStartOffset: p.log().Offsets().LogStart, Records: info.Records, Duplicate: info.Duplicate, Converted: &stored[0] != &batches[0],
	}
	if info.Duplicate {
		result.LogAppendTime = info.MaxTimestamp // of the first write; Kafka tells it with CreateTime, too
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
	return p.log().Append(batches, p.logOptions(o))
}

func (p *Partition) logOptions(o AppendOptions) commitlog.AppendOptions {
	return commitlog.AppendOptions{LeaderEpoch: p.epoch, Trusted: o.Internal, Guard: o.Guard, TransactionVersion: o.TransactionVersion}
}

// admit checks what is to be appended and returns what is written: the same
// bytes, or others made of them.
func (p *Partition) admit(sent []byte, cfg *Config, o AppendOptions) ([]byte, error) {
	if len(sent) == 0 {
		return nil, fmt.Errorf("%w: no batch", protocol.ErrInvalidRecord)
	}
	a := cfg.admission(p.set.nowMs())
	var stored []byte
	var err error
	if !o.Internal && record.IsMessageSet(sent) {
		stored, err = a.AdmitMessageSet(sent)
	} else {
		stored, err = admitEach(sent, &a, o.Internal)
	}
	if err != nil {
		return nil, invalid(err)
	}
	if !o.Internal && cfg.SegmentBytes > 0 && int64(len(stored)) > cfg.SegmentBytes {
		return nil, fmt.Errorf("%w: %d bytes, segment.bytes is %d", protocol.ErrRecordListTooLarge, len(stored), cfg.SegmentBytes)
	}
	return stored, nil
}

// admitEach does so batch by batch. The usual case, that each stays where it
// is, allocates nothing.
func admitEach(sent []byte, a *record.Admission, internal bool) ([]byte, error) {
	var rebuilt []byte // once a batch has changed: all up to it
	for rest := sent; len(rest) > 0; {
		b, after, err := record.Next(rest)
		if err != nil {
			return nil, err
		}
		var kept record.Batch
		if internal { // made by our own encoder a moment ago
			kept, err = record.Recompress(b, a.Recompress)
		} else {
			kept, err = a.Admit(b)
		}
		if err != nil {
			return nil, err
		}
		switch {
		case rebuilt != nil:
			rebuilt = append(rebuilt, kept...)
		case &kept[0] == &b[0]:
		case len(rest) == len(sent):
			rebuilt = kept
		default:
			rebuilt = append(append(rebuilt, sent[:len(sent)-len(rest)]...), kept...)
		}
		rest = after
	}
	if rebuilt != nil {
		return rebuilt, nil
	}
	return sent, nil
}

// admission is what the topic asks of a client's batch at that time. With
// LogAppendTime the producer's timestamps are not kept, and may be any.
func (c *Config) admission(nowMs int64) record.Admission {
	a := record.Admission{
		Validation: c.Validation, Recompress: c.Recompress, NeedKeys: c.Compact, MaxBatchBytes: c.MaxMessageBytes, AppendTime: c.LogAppendTime,
		Oldest: math.MinInt64, Newest: math.MaxInt64,
	}
	if a.AppendTime {
		return a
	}
	if before := c.TimestampBeforeMax; before > 0 && before < math.MaxInt64 {
		a.Oldest = nowMs - before.Milliseconds()
	}
	if after := c.TimestampAfterMax; after > 0 && after < math.MaxInt64 {
		a.Newest = nowMs + after.Milliseconds()
	}
	return a
}

// stamp makes unixMs the timestamp of every record (LogAppendTime).
func stamp(batches []byte, unixMs int64) {
	for len(batches) > 0 {
		b, rest, err := record.Next(batches)
		if err != nil {
			panic(fmt.Sprintf("partition: a batch changed while it was appended: %v", err))
		}
		b.SetLogAppendTime(unixMs)
		batches = rest
	}
}

// invalid gives an error of the record room its Kafka code.
func invalid(err error) error {
	switch {
	case errors.Is(err, record.ErrOldZstd):
		return fmt.Errorf("%w: %w", protocol.ErrUnsupportedCompressionType, err)
	case errors.Is(err, record.ErrUnsupportedCodec):
		return fmt.Errorf("%w: %w", protocol.ErrUnknownServerError, err) // Kafka fails inside
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
	err = p.log().SetLogStart(before)
	p.mu.Unlock()
	if err != nil {
		return -1, p.translate(err)
	}
	// The records below the new start must be durable before it is: recovery
	// would otherwise find a log that ends before it starts.
	if err := p.syncLog(); err != nil {
		return -1, err
	}
	if err := p.set.writeLogStarts(); err != nil {
		return -1, fmt.Errorf("%w: %s: %w", protocol.ErrKafkaStorageError, p, err)
	}
	if err := p.Offline(); err != nil { // its directory refused
		return -1, err
	}
	return p.log().Offsets().LogStart, nil
}

// syncLog makes the log durable, also when it moves meanwhile.
func (p *Partition) syncLog() error {
	for {
		log := p.log()
		_, err := log.Sync()
		if err = p.translateFrom(log, err); err != errMoved {
			return err
		}
	}
}
