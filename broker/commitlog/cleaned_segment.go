package commitlog

import (
	"fmt"
	"math"
	"os"

	"fluxmq/broker/record"
)

// cleanedSyncBytes is how much is written between two syncs of a segment under
// construction: an fdatasync of a producer waits behind one such piece at most,
// and so does who waits for the cleaner to stop.
const cleanedSyncBytes = 128 << 10

// cleanedSegment is a segment under construction, which nobody else knows.
type cleanedSegment struct {
	seg      *segment
	file     File   // nil once it is the log's
	buffer   []byte // appended, not written yet
	written  int64
	synced   int64
	interval int64 // index.interval.bytes
}

// createCleaned begins the successor of the segments from first on.
func (l *Log) createCleaned(first *segment, buffer []byte, interval int64) (*cleanedSegment, error) {
	s := &segment{log: l, base: first.base, mem: &memoryIndex{}, maxTimestamp: -1, maxTimestampOffset: -1, firstTimestamp: -1}
	file, err := l.fs.OpenFile(s.path(".log"+cleanedSuffix), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	return &cleanedSegment{seg: s, file: file, buffer: buffer, interval: interval}, nil
}

// append adds a batch, whose offsets follow those before it.
func (c *cleanedSegment) append(b record.Batch) error {
	size := int64(len(b))
	if c.seg.size+size > math.MaxInt32 {
		return fmt.Errorf("%w: a cleaned segment is larger than those it is made of", record.ErrTooLarge)
	}
	c.seg.index(found{position: c.seg.size, size: size, baseOffset: b.BaseOffset(), lastOffset: b.LastOffset()}, b.MaxTimestamp(), c.interval)
	if len(c.buffer)+len(b) > cap(c.buffer) {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if len(b) > cap(c.buffer) {
		return c.write(b)
	}
	c.buffer = append(c.buffer, b...)
	return nil
}

func (c *cleanedSegment) flush() error {
	err := c.write(c.buffer)
	c.buffer = c.buffer[:0]
	return err
}

func (c *cleanedSegment) write(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), writeChunk)
		if _, err := c.file.WriteAt(b[:n], c.written); err != nil {
			return err
		}
		b, c.written = b[n:], c.written+int64(n)
		if c.written-c.synced >= cleanedSyncBytes {
			if err := c.file.Datasync(); err != nil {
				return err
			}
			c.synced = c.written
		}
	}
	return nil
}

// finish makes the files complete and durable, under their first names.
func (c *cleanedSegment) finish(createdMs int64) error {
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.file.Datasync(); err != nil {
		return err
	}
	c.seg.created = createdMs
	c.seg.finishIndex()
	return c.seg.writeIndexesAs(cleanedSuffix, c.seg.mem.offsets, c.seg.mem.times, true)
}

// abandon removes what did not become part of the log. What cannot be removed
// is in nobody's way, and goes at the next start.
func (c *cleanedSegment) abandon() {
	if c.file == nil {
		return
	}
	_ = c.file.Close() // nothing in it counts
	for _, suffix := range segmentSuffixes {
		_ = c.seg.log.removeFiles(c.seg.path(suffix + cleanedSuffix)) // the next start would
	}
}
