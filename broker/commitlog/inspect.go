package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"fluxmq/broker/record"
)

// This file reads a partition's files one by one for people (fluxmq log dump).
// It opens them for reading alone and takes no lock, so that it may look at
// the files of a running broker; the end of an active segment may then be half
// written. Nothing here allocates from a length that a file declares beyond
// the bytes that the file has.

// StoredBatch is one batch as it lies in a segment file.
type StoredBatch struct {
	Position int64
	// Batch is valid during the visit only.
	Batch record.Batch
	// Err is what record.Verify says about it.
	Err error
}

// Tail is what follows the last whole batch of a segment file.
type Tail struct {
	Position, Size int64
	// Zeros says that it is preallocated and unused.
	Zeros bool
}

// maxVisitedBatch is the largest batch that is taken for one: more than a
// request may carry.
const maxVisitedBatch = 256 << 20

// VisitBatches reads a segment file (.log) from the front and visits every
// batch until visit fails, the file ends, or no batch header stands where one
// should: the rest is the tail.
func VisitBatches(fsys FS, name string, visit func(StoredBatch) error) (Tail, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return Tail{}, err
	}
	defer f.Close()
	end, err := f.Size()
	if err != nil {
		return Tail{}, err
	}
	var header [record.HeaderSize]byte
	var buffer []byte
	position := int64(0)
	for position < end {
		n, err := readUpTo(f, header[:], position)
		if err != nil {
			return Tail{}, err
		}
		at, err := parseHeader(header[:n], position, end)
		if errors.Is(err, ErrCorrupt) || err == nil && at.size > maxVisitedBatch {
			break
		}
		if err != nil {
			return Tail{}, err
		}
		if int64(cap(buffer)) < at.size {
			buffer = make([]byte, at.size) // no larger than what the file has: parseHeader
		}
		b := record.Batch(buffer[:at.size])
		if n, err := readUpTo(f, b, position); err != nil {
			return Tail{}, err
		} else if int64(n) < at.size {
			break // cut while it was read
		}
		if err := visit(StoredBatch{position, b, record.Verify(b)}); err != nil {
			return Tail{}, err
		}
		position += at.size
	}
	zeros, err := onlyZeros(f, position, end)
	return Tail{position, end - position, zeros}, err
}

// onlyZeros tells that the file holds nothing but zeros in a range.
func onlyZeros(f File, from, to int64) (bool, error) {
	chunk := make([]byte, 64<<10)
	for from < to {
		n, err := readUpTo(f, chunk[:min(int64(len(chunk)), to-from)], from)
		if err != nil {
			return false, err
		}
		for _, b := range chunk[:n] {
			if b != 0 {
				return false, nil
			}
		}
		if n == 0 {
			break
		}
		from += int64(n)
	}
	return true, nil
}

// BatchPlace is what the header at some position of a segment file says.
type BatchPlace struct{ BaseOffset, LastOffset, MaxTimestampMs, Size int64 }

// ReadBatchPlace reads the header that begins at a position of a segment file;
// ErrCorrupt where none can.
func ReadBatchPlace(f File, position int64) (BatchPlace, error) {
	end, err := f.Size()
	if err != nil {
		return BatchPlace{}, err
	}
	if position < 0 || position >= end {
		return BatchPlace{}, fmt.Errorf("%w: position %d of a file of %d bytes", ErrCorrupt, position, end)
	}
	var header [record.HeaderSize]byte
	n, err := readUpTo(f, header[:], position)
	if err != nil {
		return BatchPlace{}, err
	}
	at, err := parseHeader(header[:n], position, end)
	if err != nil {
		return BatchPlace{}, err
	}
	return BatchPlace{at.baseOffset, at.lastOffset, record.Batch(header[:]).MaxTimestamp(), at.size}, nil
}

// IndexedOffset is an entry of an .index file with its offset made absolute.
type IndexedOffset struct{ Offset, Position int64 }

// VisitOffsetIndex visits the entries of an .index file of a segment that begins at base.
func VisitOffsetIndex(fsys FS, name string, base int64, visit func(IndexedOffset) error) error {
	return visitEntries(fsys, name, offsetEntrySize, func(b []byte) error {
		return visit(IndexedOffset{base + int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))})
	})
}

// IndexedTimestamp is an entry of a .timeindex file with its offset made absolute.
type IndexedTimestamp struct{ TimestampMs, Offset int64 }

// VisitTimeIndex visits the entries of a .timeindex file of a segment that begins at base.
func VisitTimeIndex(fsys FS, name string, base int64, visit func(IndexedTimestamp) error) error {
	return visitEntries(fsys, name, timeEntrySize, func(b []byte) error {
		return visit(IndexedTimestamp{int64(binary.BigEndian.Uint64(b)), base + int64(binary.BigEndian.Uint32(b[8:]))})
	})
}

// StoredAbort is an entry of a .txnindex file (Kafka's AbortedTxn): a
// transaction that was aborted, and the last stable offset that followed.
type StoredAbort struct {
	Version                                           int16
	ProducerID, FirstOffset, LastOffset, StableOffset int64
}

// VisitTransactionIndex visits the entries of a .txnindex file.
func VisitTransactionIndex(fsys FS, name string, visit func(StoredAbort) error) error {
	return visitEntries(fsys, name, abortedSize, func(b []byte) error {
		at := func(n int) int64 { return int64(binary.BigEndian.Uint64(b[2+8*n:])) }
		return visit(StoredAbort{int16(binary.BigEndian.Uint16(b)), at(0), at(1), at(2), at(3)})
	})
}

// visitEntries reads a file of entries of one size; a part of one at the end is an error.
func visitEntries(fsys FS, name string, size int, visit func([]byte) error) error {
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	chunk := make([]byte, 1024*size)
	for position := int64(0); ; {
		n, err := readUpTo(f, chunk, position)
		if err != nil {
			return err
		}
		whole := n / size * size
		for at := 0; at < whole; at += size {
			if err := visit(chunk[at : at+size]); err != nil {
				return err
			}
		}
		position += int64(whole)
		switch {
		case n == len(chunk):
		case n > whole:
			return fmt.Errorf("%w: %s ends with %d bytes, an entry has %d", ErrCorrupt, name, n-whole, size)
		default:
			return nil
		}
	}
}

// StoredProducer is what a .snapshot file knows of a producer: one of its last batches.
type StoredProducer struct {
	ProducerID                int64
	Epoch                     int16
	LastSequence, OffsetDelta int32
	LastOffset, TimestampMs   int64
	CoordinatorEpoch          int32
	TransactionStart          int64 // first offset of the open transaction, -1 none
}

// maxSnapshotBytes bounds what is read of a producer snapshot.
const maxSnapshotBytes = 1 << 30

// ReadProducerSnapshot reads a .snapshot file; damage is an error.
func ReadProducerSnapshot(fsys FS, name string) ([]StoredProducer, error) {
	b, err := readFile(fsys, name, maxSnapshotBytes)
	if err != nil {
		return nil, err
	}
	if err := new(producerState).loadSnapshot(b); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, name, err)
	}
	var producers []StoredProducer
	for b = b[snapshotHeader:]; len(b) > 0; b = b[snapshotEntry:] {
		producers = append(producers, StoredProducer{
			ProducerID:       int64(binary.BigEndian.Uint64(b)),
			Epoch:            int16(binary.BigEndian.Uint16(b[8:])),
			LastSequence:     int32(binary.BigEndian.Uint32(b[10:])),
			LastOffset:       int64(binary.BigEndian.Uint64(b[14:])),
			OffsetDelta:      int32(binary.BigEndian.Uint32(b[22:])),
			TimestampMs:      int64(binary.BigEndian.Uint64(b[26:])),
			CoordinatorEpoch: int32(binary.BigEndian.Uint32(b[34:])),
			TransactionStart: int64(binary.BigEndian.Uint64(b[38:])),
		})
	}
	return producers, nil
}

// EpochStart says where a leader epoch began.
type EpochStart struct {
	Epoch       int32
	StartOffset int64
}

// LeaderEpochFile is Kafka's name of the leader epoch checkpoint.
const LeaderEpochFile = leaderEpochFile

// ReadLeaderEpochs reads a leader epoch checkpoint; damage is an error.
func ReadLeaderEpochs(fsys FS, name string) ([]EpochStart, error) {
	entries, err := readEpochs(fsys, name)
	if err != nil {
		return nil, err
	}
	var epochs []EpochStart
	for _, e := range entries {
		epochs = append(epochs, EpochStart{e.epoch, e.start})
	}
	return epochs, nil
}
