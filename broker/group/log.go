package group

import (
	"errors"
	"fmt"
	"io"

	"fluxmq/broker/partition"
	"fluxmq/broker/record"
)

// Log is what a shard needs of its partition of __consumer_offsets.
type Log interface {
	// Append writes one batch and returns the offset after it. An error is
	// final: the log is offline.
	Append(batch record.Batch) (end int64, err error)
	// MustWait tells whether acknowledged means durable.
	MustWait() bool
	// WhenDurable calls done once when all below end is durable or the log
	// failed; done does not block.
	WhenDurable(end int64, done func(error))
	// Replay visits every record from the log's start; what visit gets is not kept.
	Replay(visit func(record.Record) error) error
}

// PartitionLog is the Log of a real partition.
func PartitionLog(p *partition.Partition) Log { return partitionLog{p} }

type partitionLog struct{ *partition.Partition }

// acksAll: an offset is committed when it would survive what acks=all survives.
const acksAll = -1

func (l partitionLog) Append(batch record.Batch) (int64, error) {
	r, err := l.Partition.Append(batch, partition.AppendOptions{Acks: acksAll, CurrentLeaderEpoch: -1, Internal: true})
	if err != nil {
		return 0, err
	}
	return r.LastOffset + 1, nil
}

func (l partitionLog) MustWait() bool { return l.Partition.MustWait(acksAll) }

// replayBytes is how much one read of a replay asks for; recordsBytes bounds
// what a compressed batch may decompress to (ours are never compressed).
const (
	replayBytes  = 1 << 20
	recordsBytes = 64 << 20
)

func (l partitionLog) Replay(visit func(record.Record) error) error {
	o := l.Offsets()
	var buffer []byte
	for next := o.LogStart; next < o.HighWatermark; {
		var err error
		if buffer, err = l.read(next, buffer); err != nil {
			return fmt.Errorf("read at offset %d: %w", next, err)
		}
		after, err := replayBatches(buffer, visit)
		if err != nil {
			return fmt.Errorf("batches from offset %d: %w", next, err)
		}
		if after <= next {
			return fmt.Errorf("read at offset %d found no batch, although the log ends at %d", next, o.HighWatermark)
		}
		next = after
	}
	return nil
}

// read copies what a fetch from offset would send into buffer, growing it when needed.
func (l partitionLog) read(offset int64, buffer []byte) ([]byte, error) {
	r, err := l.Read(partition.ReadOptions{Offset: offset, MaxBytes: replayBytes, MinOneBatch: true, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
	if err != nil {
		return buffer, err
	}
	if r.Release != nil {
		defer r.Release()
	}
	buffer = append(buffer[:0], r.Bytes...)
	if r.File == nil {
		return buffer, nil
	}
	if int64(cap(buffer)) < r.Size {
		buffer = make([]byte, r.Size)
	}
	buffer = buffer[:r.Size]
	if _, err := r.File.ReadAt(buffer, r.Position); err != nil && !errors.Is(err, io.EOF) {
		return buffer, err
	}
	return buffer, nil
}

// replayBatches visits the records of whole batches and returns the offset
// after the last of them; -1 when there is none. A batch cut short at the end
// of b is left for the next read.
func replayBatches(b []byte, visit func(record.Record) error) (int64, error) {
	after := int64(-1)
	for len(b) > 0 {
		batch, rest, err := record.Next(b)
		if errors.Is(err, record.ErrTruncated) && after >= 0 {
			return after, nil
		}
		if err != nil {
			return after, err
		}
		if !batch.IsControl() {
			if err := record.Records(batch, recordsBytes, visit); err != nil {
				return after, fmt.Errorf("batch at offset %d: %w", batch.BaseOffset(), err)
			}
		}
		after, b = batch.LastOffset()+1, rest
	}
	return after, nil
}
