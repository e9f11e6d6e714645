package partition

import (
	"fmt"
	"os"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/protocol"
)

// ReadOptions of one partition of a Fetch.
type ReadOptions struct {
	Offset             int64
	MaxBytes           int  // below 0 fails when there is something to read
	MinOneBatch        bool // return the first batch even if larger than MaxBytes
	ReadCommitted      bool
	CurrentLeaderEpoch int32 // -1: not given
	LastFetchedEpoch   int32 // -1: not given
}

// ReadResult holds a file range, not bytes; Release must be called once when it was sent.
// It holds whole batches only, and may be empty although there is more to
// read when the first batch is larger than MaxBytes and MinOneBatch is not set.
type ReadResult struct {
	Offsets            Offsets
	File               *os.File // nil when there is nothing to send (or the log is in memory: then Bytes)
	Position, Size     int64
	Bytes              []byte
	DivergingEpoch     int32 // -1 none
	DivergingEndOffset int64
	Aborted            []AbortedTransaction // with ReadCommitted: those that overlap the range
	Release            func()               // nil when there is nothing to release
}

// AbortedTransaction is one that a reader of committed records leaves out, as
// in a Fetch response.
type AbortedTransaction = commitlog.AbortedTransaction

// Read finds what to send from Offset up to HW (or LSO). Errors are *protocol.Error
// (OFFSET_OUT_OF_RANGE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, KAFKA_STORAGE_ERROR;
// UNKNOWN_SERVER_ERROR, as in Kafka, of a negative MaxBytes).
func (p *Partition) Read(o ReadOptions) (ReadResult, error) {
	if err := p.Offline(); err != nil {
		return ReadResult{}, err
	}
	if err := p.checkEpoch(o.CurrentLeaderEpoch); err != nil {
		return ReadResult{}, err
	}
	result := ReadResult{Offsets: p.Offsets(), DivergingEpoch: -1, DivergingEndOffset: -1}
	if o.LastFetchedEpoch >= 0 {
		diverges, err := p.diverges(o, &result)
		if err != nil || diverges {
			return result, err
		}
	}
	limit := result.Offsets.HighWatermark
	if o.Offset < result.Offsets.LogStart || o.Offset > limit {
		return ReadResult{}, fmt.Errorf("%w: %s: %d is not within [%d, %d]", protocol.ErrOffsetOutOfRange, p, o.Offset, result.Offsets.LogStart, limit)
	}
	if o.ReadCommitted {
		limit = result.Offsets.LastStable
	}
	if o.MaxBytes < 0 && o.Offset < limit {
		return ReadResult{}, fmt.Errorf("%w: %s: at most %d bytes", protocol.ErrUnknownServerError, p, o.MaxBytes)
	}
	o.MaxBytes = max(o.MaxBytes, 0)
	var r commitlog.Range
	var err error
	log := p.log()
	if o.ReadCommitted {
		r, result.Aborted, err = log.ReadCommitted(o.Offset, limit, o.MaxBytes, o.MinOneBatch)
	} else {
		r, err = log.Read(o.Offset, limit, o.MaxBytes, o.MinOneBatch)
	}
	if err != nil {
		if err = p.translateFrom(log, err); err == errMoved {
			return p.Read(o) // from the log that it has now
		}
		return ReadResult{}, err
	}
	if r.Size == 0 {
		return result, nil
	}
	result.File, result.Position, result.Size, result.Release = r.OS(), r.Position, r.Size, r.Release()
	if result.File == nil {
		return p.readBytes(result, r)
	}
	return result, nil
}

// readBytes serves a log that has no operating system's file.
func (p *Partition) readBytes(result ReadResult, r commitlog.Range) (ReadResult, error) {
	b, err := r.Bytes()
	result.Release()
	if err != nil {
		return ReadResult{}, p.translate(err)
	}
	result.Bytes, result.Release = b, nil
	return result, nil
}

// diverges is KIP-595's check: does the fetcher's log end in an epoch that we
// know to have ended before its fetch offset?
func (p *Partition) diverges(o ReadOptions, result *ReadResult) (bool, error) {
	epoch, end := p.log().EpochEnd(o.LastFetchedEpoch)
	if epoch < 0 || end < 0 {
		return false, fmt.Errorf("%w: %s: nothing is known of leader epoch %d", protocol.ErrOffsetOutOfRange, p, o.LastFetchedEpoch)
	}
	if epoch < o.LastFetchedEpoch || end < o.Offset {
		result.DivergingEpoch, result.DivergingEndOffset = epoch, end
		return true, nil
	}
	return false, nil
}

// OffsetForTimestamp: the first record at or after unixMs (offset -1 when
// none), below the LSO when committed is set, else below the HW.
func (p *Partition) OffsetForTimestamp(unixMs int64, committed bool) (offset, timestamp int64, leaderEpoch int32, err error) {
	return p.stamped(committed, func(log *commitlog.Log, limit int64) (commitlog.Stamped, error) {
		return log.OffsetForTimestamp(unixMs, limit)
	})
}

// MaxTimestamp: offset and timestamp of the record with the largest timestamp
// (-1, -1 when empty, or when it is not below the LSO and committed is set).
func (p *Partition) MaxTimestamp(committed bool) (offset, timestamp int64, leaderEpoch int32, err error) {
	return p.stamped(committed, func(log *commitlog.Log, limit int64) (commitlog.Stamped, error) { return log.MaxTimestamp(limit) })
}

func (p *Partition) stamped(committed bool, find func(log *commitlog.Log, limit int64) (commitlog.Stamped, error)) (offset, timestamp int64, leaderEpoch int32, err error) {
	if err := p.Offline(); err != nil {
		return -1, -1, -1, err
	}
	limit := p.Offsets().HighWatermark
	if committed {
		limit = p.Offsets().LastStable
	}
	for {
		log := p.log()
		s, err := find(log, limit)
		if err = p.translateFrom(log, err); err != errMoved {
			return s.Offset, s.Timestamp, s.LeaderEpoch, err
		}
	}
}
