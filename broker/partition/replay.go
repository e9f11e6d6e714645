package partition

import (
	"errors"
	"fmt"
	"io"

	"fluxmq/broker/record"
)

// replayBytes is how much one read of a replay asks for; recordsBytes bounds
// what a compressed batch may decompress to (a coordinator's are compressed
// only where compression.type of its topic says so).
const (
	replayBytes  = 1 << 20
	recordsBytes = 64 << 20
)

// Replay visits every record from the log's start to the high watermark, each
// with the batch that it lies in, control records too: how a coordinator finds
// again what it stored. What visit gets is overwritten when it returns. It ends
// with the first error of visit or of the log.
func (p *Partition) Replay(visit func(record.Batch, record.Record) error) error {
	o := p.Offsets()
	var buffer []byte
	for next := o.LogStart; next < o.HighWatermark; {
		var err error
		if buffer, err = p.readInto(buffer, next); err != nil {
			return fmt.Errorf("read at offset %d: %w", next, err)
		}
		after, err := ReplayBatches(buffer, visit)
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

// readInto copies what a fetch from offset would send into buffer, growing it when needed.
func (p *Partition) readInto(buffer []byte, offset int64) ([]byte, error) {
	r, err := p.Read(ReadOptions{Offset: offset, MaxBytes: replayBytes, MinOneBatch: true, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
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

// ReplayBatches visits the records of whole batches, each with its batch, and
// returns the offset after the last of them; -1 when there is none. A batch cut
// short at the end of b is left for the next read.
func ReplayBatches(b []byte, visit func(record.Batch, record.Record) error) (int64, error) {
	after := int64(-1)
	for len(b) > 0 {
		batch, rest, err := record.Next(b)
		if errors.Is(err, record.ErrTruncated) && after >= 0 {
			return after, nil
		}
		if err != nil {
			return after, err
		}
		if err := record.Records(batch, recordsBytes, func(r record.Record) error { return visit(batch, r) }); err != nil {
			return after, fmt.Errorf("batch at offset %d: %w", batch.BaseOffset(), err)
		}
		after, b = batch.LastOffset()+1, rest
	}
	return after, nil
}
