package loadgen

import (
	"errors"
	"fmt"
	"sync/atomic"
)

const (
	chunkSequences   = 1 << 16
	chunksPerWorker  = 1 << 14 // 2^30 records a worker
	unknownPartition = 0xFFFF
)

// ErrTooManyRecords ends a worker whose ledger is full.
var ErrTooManyRecords = errors.New("ledger: a worker can send at most 2^30 records")

// sentLog is the sent side of the ledger for one worker: for every sequence
// its partition and whether its send was reported as failed. The sender calls
// reserve, the completing goroutine note; both are free of locks and, but for
// one chunk every 65,536 records, of allocations.
type sentLog struct {
	chunks [chunksPerWorker]atomic.Pointer[sentChunk]
	count  atomic.Uint64 // sequences reserved
}

type sentChunk struct {
	partition [chunkSequences]uint16
	failed    [chunkSequences / 64]uint64
}

// reserve gives the next sequence.
func (l *sentLog) reserve() (uint64, error) {
	sequence := l.count.Load()
	if sequence%chunkSequences == 0 {
		if sequence/chunkSequences >= chunksPerWorker {
			return 0, ErrTooManyRecords
		}
		chunk := new(sentChunk)
		for i := range chunk.partition {
			chunk.partition[i] = unknownPartition
		}
		l.chunks[sequence/chunkSequences].Store(chunk)
	}
	l.count.Store(sequence + 1)
	return sequence, nil
}

// note keeps what the client said about a sequence.
func (l *sentLog) note(sequence uint64, partition int32, failed bool) {
	chunk := l.chunks[sequence/chunkSequences].Load()
	at := sequence % chunkSequences
	if partition >= 0 && partition < unknownPartition {
		chunk.partition[at] = uint16(partition)
	}
	if failed {
		chunk.failed[at/64] |= 1 << (at % 64)
	}
}

// at reads a sequence back; only after the worker ended and flushed.
func (l *sentLog) at(sequence uint64) (partition int32, failed bool) {
	chunk := l.chunks[sequence/chunkSequences].Load()
	if chunk == nil {
		panic(fmt.Sprintf("ledger: sequence %d was never reserved", sequence))
	}
	i := sequence % chunkSequences
	partition = int32(chunk.partition[i])
	if partition == unknownPartition {
		partition = -1
	}
	return partition, chunk.failed[i/64]&(1<<(i%64)) != 0
}
