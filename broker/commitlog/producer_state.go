package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"fluxmq/broker/record"
)

// Errors of the idempotence check; partition turns them into Kafka's codes.
var (
	ErrOutOfOrderSequence   = errors.New("out of order sequence number")
	ErrInvalidProducerEpoch = errors.New("invalid producer epoch")
	ErrInvalidTxnState      = errors.New("invalid transaction state")
)

// remembered is how many batches of a producer are known for answering
// retries: clients have at most 5 requests in flight.
const remembered = 5

// producerBatch is one batch of a producer that a retry may repeat.
type producerBatch struct {
	lastSequence int32
	offsetDelta  int32
	lastOffset   int64
	timestamp    int64
}

func (b producerBatch) baseSequence() int32 { return decrementSequence(b.lastSequence, b.offsetDelta) }
func (b producerBatch) baseOffset() int64   { return b.lastOffset - int64(b.offsetDelta) }

// producerEntry is what the log knows of one producer id.
type producerEntry struct {
	batches          [remembered]producerBatch // oldest first
	count            int8
	epoch            int16 // -1 until a batch or marker was seen
	coordinatorEpoch int32
	lastSeen         int64 // unix ms, for expiry
	transactionStart int64 // first offset of the open transaction, -1 none
}

func (p *producerEntry) last() *producerBatch { return &p.batches[p.count-1] }

// producerState is the producers of one partition. Only the writer touches it.
type producerState struct {
	entries map[int64]*producerEntry
	open    []openTransaction // ordered by first offset
}

// openTransaction holds the last stable offset back.
type openTransaction struct{ producerID, firstOffset int64 }

func incrementSequence(sequence, by int32) int32 {
	if sequence > math.MaxInt32-by {
		return by - (math.MaxInt32 - sequence) - 1
	}
	return sequence + by
}

func decrementSequence(sequence, by int32) int32 {
	if sequence < by {
		return math.MaxInt32 - (by - sequence) + 1
	}
	return sequence - by
}

func inSequence(last, next int32) bool {
	return int64(next) == int64(last)+1 || next == 0 && last == math.MaxInt32
}

// check decides about a client's batch of an idempotent producer before it is
// written: nil to append, a known batch to answer a retry with, or an error.
// The rules are those of Kafka 4's ProducerAppendInfo: a producer id that the
// log does not know may begin at any sequence.
func (s *producerState) check(b record.Batch) (*producerBatch, error) {
	p := s.entries[b.ProducerID()]
	if p == nil {
		return nil, nil
	}
	epoch, first, last := b.ProducerEpoch(), b.BaseSequence(), b.LastSequence()
	if epoch == p.epoch {
		for i := range p.batches[:p.count] {
			if k := &p.batches[i]; k.lastSequence == last && k.baseSequence() == first {
				return k, nil
			}
		}
	}
	switch {
	case epoch < p.epoch:
		return nil, fmt.Errorf("%w: producer %d has epoch %d, the log has seen %d", ErrInvalidProducerEpoch, b.ProducerID(), epoch, p.epoch)
	case epoch != p.epoch:
		if first != 0 && p.epoch != -1 {
			return nil, fmt.Errorf("%w: producer %d begins epoch %d with sequence %d, not 0", ErrOutOfOrderSequence, b.ProducerID(), epoch, first)
		}
	case p.count == 0:
		// A marker was the last thing seen in this epoch: like Kafka, sequence -1 came before.
		if !inSequence(-1, first) {
			return nil, fmt.Errorf("%w: producer %d sends sequence %d, expected 0", ErrOutOfOrderSequence, b.ProducerID(), first)
		}
	case !inSequence(p.last().lastSequence, first):
		return nil, fmt.Errorf("%w: producer %d sends sequence %d after %d", ErrOutOfOrderSequence, b.ProducerID(), first, p.last().lastSequence)
	}
	if p.transactionStart >= 0 && !b.IsTransactional() {
		return nil, fmt.Errorf("%w: producer %d sends outside its open transaction", ErrInvalidTxnState, b.ProducerID())
	}
	return nil, nil
}

// note records a stored data batch (base offset stamped). nowMs is when, for expiry.
func (s *producerState) note(b record.Batch, nowMs int64) {
	if b.ProducerID() < 0 || b.IsControl() {
		return
	}
	p := s.entry(b.ProducerID())
	if p.epoch != b.ProducerEpoch() {
		p.epoch, p.count = b.ProducerEpoch(), 0
	}
	if p.count == remembered {
		copy(p.batches[:], p.batches[1:])
		p.count--
	}
	p.batches[p.count] = producerBatch{
		lastSequence: b.LastSequence(),
		offsetDelta:  b.LastOffsetDelta(),
		lastOffset:   b.LastOffset(),
		timestamp:    b.MaxTimestamp(),
	}
	p.count++
	p.lastSeen = nowMs
	if b.IsTransactional() && p.transactionStart < 0 {
		p.transactionStart = b.BaseOffset()
		s.open = append(s.open, openTransaction{b.ProducerID(), b.BaseOffset()})
	}
}

func (s *producerState) entry(id int64) *producerEntry {
	p := s.entries[id]
	if p == nil {
		if s.entries == nil {
			s.entries = make(map[int64]*producerEntry)
		}
		p = &producerEntry{epoch: -1, coordinatorEpoch: -1, transactionStart: -1}
		s.entries[id] = p
	}
	return p
}

// endTransaction records a marker: the producer's transaction is over.
// It returns the transaction's first offset, -1 when none was open.
func (s *producerState) endTransaction(id int64, epoch int16, coordinatorEpoch int32, nowMs int64) int64 {
	p := s.entry(id)
	if p.epoch != epoch {
		p.epoch, p.count = epoch, 0
	}
	p.coordinatorEpoch, p.lastSeen = coordinatorEpoch, nowMs
	first := p.transactionStart
	p.transactionStart = -1
	s.open = slices.DeleteFunc(s.open, func(t openTransaction) bool { return t.producerID == id })
	return first
}

// firstOpen is the first offset of the oldest open transaction, or none.
func (s *producerState) firstOpen(none int64) int64 {
	if len(s.open) == 0 {
		return none
	}
	return s.open[0].firstOffset
}

// expire forgets producers not seen for so long that have no open transaction.
func (s *producerState) expire(nowMs int64, after time.Duration) int {
	n := 0
	for id, p := range s.entries {
		if p.transactionStart < 0 && nowMs-p.lastSeen >= after.Milliseconds() {
			delete(s.entries, id)
			n++
		}
	}
	return n
}

// A .snapshot file, big endian:
//
//	| version int16 = 1 | crc uint32 | count int32 | count times:
//	| producer id int64 | epoch int16 | last sequence int32 | last offset int64 | offset delta int32 |
//	| timestamp int64 | coordinator epoch int32 | current transaction's first offset int64 |
//
// The CRC-32C covers what follows it. Kafka keeps one entry a producer; we
// write up to five, oldest first, and Kafka's reader lets the last one win. So
// a clean restart still knows the retries that may be on their way.
const (
	snapshotHeader = 2 + 4 + 4
	snapshotEntry  = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *producerState) snapshot() []byte {
	ids := make([]int64, 0, len(s.entries))
	for id := range s.entries {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	b := make([]byte, snapshotHeader, snapshotHeader+snapshotEntry*len(ids))
	entries := 0
	for _, id := range ids {
		p := s.entries[id]
		known := p.batches[:p.count]
		if len(known) == 0 {
			known = []producerBatch{{lastSequence: -1, lastOffset: -1}}
		}
		for _, k := range known {
			b = binary.BigEndian.AppendUint64(b, uint64(id))
			b = binary.BigEndian.AppendUint16(b, uint16(p.epoch))
			b = binary.BigEndian.AppendUint32(b, uint32(k.lastSequence))
			b = binary.BigEndian.AppendUint64(b, uint64(k.lastOffset))
			b = binary.BigEndian.AppendUint32(b, uint32(k.offsetDelta))
			b = binary.BigEndian.AppendUint64(b, uint64(p.lastSeen))
			b = binary.BigEndian.AppendUint32(b, uint32(p.coordinatorEpoch))
			b = binary.BigEndian.AppendUint64(b, uint64(p.transactionStart))
			entries++
		}
	}
	binary.BigEndian.PutUint16(b, 1)
	binary.BigEndian.PutUint32(b[6:], uint32(entries))
	binary.BigEndian.PutUint32(b[2:], crc32.Checksum(b[6:], castagnoli))
	return b
}

// loadSnapshot replaces the state by a snapshot's. The state is unchanged on error.
func (s *producerState) loadSnapshot(b []byte) error {
	if len(b) < snapshotHeader || binary.BigEndian.Uint16(b) != 1 {
		return errors.New("producer snapshot: not version 1")
	}
	if binary.BigEndian.Uint32(b[2:]) != crc32.Checksum(b[6:], castagnoli) {
		return errors.New("producer snapshot: wrong CRC")
	}
	count := int(int32(binary.BigEndian.Uint32(b[6:])))
	b = b[snapshotHeader:]
	if count < 0 || len(b) != count*snapshotEntry {
		return fmt.Errorf("producer snapshot: %d entries announced, %d bytes follow", count, len(b))
	}
	var fresh producerState
	for ; len(b) > 0; b = b[snapshotEntry:] {
		id := int64(binary.BigEndian.Uint64(b))
		p := fresh.entry(id)
		if epoch := int16(binary.BigEndian.Uint16(b[8:])); p.epoch != epoch {
			p.epoch, p.count = epoch, 0
		}
		p.lastSeen = int64(binary.BigEndian.Uint64(b[26:]))
		p.coordinatorEpoch = int32(binary.BigEndian.Uint32(b[34:]))
		p.transactionStart = int64(binary.BigEndian.Uint64(b[38:]))
		k := producerBatch{
			lastSequence: int32(binary.BigEndian.Uint32(b[10:])),
			lastOffset:   int64(binary.BigEndian.Uint64(b[14:])),
			offsetDelta:  int32(binary.BigEndian.Uint32(b[22:])),
			timestamp:    p.lastSeen,
		}
		if k.lastOffset < 0 || p.count == remembered {
			continue
		}
		p.batches[p.count] = k
		p.count++
	}
	for id, p := range fresh.entries {
		if p.transactionStart >= 0 {
			fresh.open = append(fresh.open, openTransaction{id, p.transactionStart})
		}
	}
	slices.SortFunc(fresh.open, func(a, b openTransaction) int { return int(min(max(a.firstOffset-b.firstOffset, -1), 1)) })
	*s = fresh
	return nil
}
