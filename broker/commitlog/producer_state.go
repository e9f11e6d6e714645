package commitlog

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"fluxmq/broker/record"
)

// Errors of the checks of a producer's batches and markers; partition turns
// them into Kafka's codes.
var (
	ErrOutOfOrderSequence   = errors.New("out of order sequence number")
	ErrInvalidProducerEpoch = errors.New("invalid producer epoch")
	ErrInvalidTxnState      = errors.New("invalid transaction state")
	// ErrCoordinatorFenced: a marker of a transaction coordinator that another has followed.
	ErrCoordinatorFenced = errors.New("transaction coordinator is fenced")
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
	coordinatorEpoch int32 // of the last marker, -1 none
	lastSeen         int64 // unix ms, for expiry
	lastTimestamp    int64 // unix ms, of the last batch or marker
	transactionStart int64 // first offset of the open transaction, -1 none
}

func (p *producerEntry) last() *producerBatch { return &p.batches[p.count-1] }

// find returns the known batch that b is a retry of, or nil.
func (p *producerEntry) find(b record.Batch) *producerBatch {
	if b.ProducerEpoch() != p.epoch {
		return nil
	}
	first, last := b.BaseSequence(), b.LastSequence()
	for i := range p.batches[:p.count] {
		if k := &p.batches[i]; k.lastSequence == last && k.baseSequence() == first {
			return k
		}
	}
	return nil
}

// inTransaction tells whether the producer has a transaction open in that epoch.
func (p *producerEntry) inTransaction(epoch int16) bool {
	return p.transactionStart >= 0 && p.epoch == epoch
}

// producerState is the producers of one partition. Only the writer touches it.
type producerState struct {
	entries map[int64]*producerEntry
	open    []openTransaction // ordered by first offset
	// verifications are under way, by producer id; they are not stored.
	verifications map[int64]*verification
	guards        Guard // the last one given out
}

// openTransaction holds the last stable offset back.
type openTransaction struct{ producerID, firstOffset int64 }

func decrementSequence(sequence, by int32) int32 {
	if sequence < by {
		return math.MaxInt32 - (by - sequence) + 1
	}
	return sequence - by
}

func inSequence(last, next int32) bool {
	return int64(next) == int64(last)+1 || next == 0 && last == math.MaxInt32
}

// check decides about a batch or marker of a producer before it is written:
// nil to append, a known batch to answer a retry with, or an error. The rules
// are those of Kafka 4's ProducerAppendInfo: a producer id that the log does
// not know may begin at any sequence.
func (s *producerState) check(b record.Batch, o AppendOptions) (*producerBatch, error) {
	p := s.entries[b.ProducerID()]
	if b.IsControl() {
		return nil, checkMarker(p, b, o.TransactionVersion)
	}
	if p != nil && !o.Trusted {
		if k := p.find(b); k != nil {
			return k, nil
		}
	}
	if b.IsTransactional() {
		if err := s.checkVerified(p, b, o); err != nil {
			return nil, err
		}
	}
	if p == nil {
		return nil, nil
	}
	if b.ProducerEpoch() < p.epoch {
		return nil, staleEpoch(p, b)
	}
	if !o.Trusted {
		if err := p.checkSequence(b); err != nil {
			return nil, err
		}
	}
	if p.transactionStart >= 0 && !b.IsTransactional() {
		return nil, fmt.Errorf("%w: producer %d sends outside its open transaction", ErrInvalidTxnState, b.ProducerID())
	}
	return nil, nil
}

func staleEpoch(p *producerEntry, b record.Batch) error {
	return fmt.Errorf("%w: producer %d has epoch %d, the log has seen %d", ErrInvalidProducerEpoch, b.ProducerID(), b.ProducerEpoch(), p.epoch)
}

// checkSequence is for a client's batch of the producer's epoch or a later one.
func (p *producerEntry) checkSequence(b record.Batch) error {
	first := b.BaseSequence()
	switch {
	case b.ProducerEpoch() != p.epoch:
		if first != 0 && p.epoch != -1 {
			return fmt.Errorf("%w: producer %d begins epoch %d with sequence %d, not 0", ErrOutOfOrderSequence, b.ProducerID(), b.ProducerEpoch(), first)
		}
	case p.count == 0:
		// A marker was the last thing seen in this epoch: like Kafka, sequence -1 came before.
		if !inSequence(-1, first) {
			return fmt.Errorf("%w: producer %d sends sequence %d, expected 0", ErrOutOfOrderSequence, b.ProducerID(), first)
		}
	case !inSequence(p.last().lastSequence, first):
		return fmt.Errorf("%w: producer %d sends sequence %d after %d", ErrOutOfOrderSequence, b.ProducerID(), first, p.last().lastSequence)
	}
	return nil
}

// checkMarker decides about a marker; p is nil for a producer that the log
// does not know. Other control batches pass.
//
// From transaction version 2 on the coordinator bumps the epoch with every
// transaction, so a marker has a larger one than the records it ends. One of
// the epoch that the log knows is the last marker again, whose reply was lost
// (KAFKA-19999), unless that epoch has written since: then it is a late one,
// which would end the next transaction (KIP-1228).
func checkMarker(p *producerEntry, b record.Batch, transactionVersion int16) error {
	kind, coordinatorEpoch, err := record.ControlOf(b)
	if err != nil {
		return err
	}
	if p == nil || kind != record.Abort && kind != record.Commit {
		return nil
	}
	if b.ProducerEpoch() < p.epoch || transactionVersion >= 2 && p.inTransaction(b.ProducerEpoch()) {
		return fmt.Errorf("%w: a marker of epoch %d for producer %d, the log has seen %d (transaction version %d)",
			ErrInvalidProducerEpoch, b.ProducerEpoch(), b.ProducerID(), p.epoch, transactionVersion)
	}
	if coordinatorEpoch < p.coordinatorEpoch {
		return fmt.Errorf("%w: a marker for producer %d from coordinator epoch %d, the log has seen %d",
			ErrCoordinatorFenced, b.ProducerID(), coordinatorEpoch, p.coordinatorEpoch)
	}
	return nil
}

// apply records a stored batch (base offset stamped), a header alone unless
// it is a control batch. nowMs is when, for expiry. ended tells that it is a marker that
// ended a transaction with records, t; abort how.
func (s *producerState) apply(b record.Batch, nowMs int64) (t transaction, abort, ended bool) {
	if b.ProducerID() < 0 {
		return transaction{}, false, false
	}
	if b.IsTransactional() {
		delete(s.verifications, b.ProducerID())
	}
	if !b.IsControl() {
		s.note(b, nowMs)
		return transaction{}, false, false
	}
	kind, coordinatorEpoch, err := record.ControlOf(b)
	if err != nil || kind != record.Abort && kind != record.Commit {
		return transaction{}, false, false // nothing that a transaction depends on
	}
	t, ended = s.end(b, coordinatorEpoch, nowMs)
	return t, kind == record.Abort, ended
}

// note records a data batch.
func (s *producerState) note(b record.Batch, nowMs int64) {
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
	p.lastSeen, p.lastTimestamp = nowMs, b.MaxTimestamp()
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

// end records a marker: the producer's transaction, if it had one, is over.
func (s *producerState) end(marker record.Batch, coordinatorEpoch int32, nowMs int64) (t transaction, ended bool) {
	id := marker.ProducerID()
	p := s.entry(id)
	if p.epoch != marker.ProducerEpoch() {
		p.epoch, p.count = marker.ProducerEpoch(), 0
	}
	p.coordinatorEpoch, p.lastSeen, p.lastTimestamp = coordinatorEpoch, nowMs, marker.MaxTimestamp()
	if p.transactionStart < 0 {
		return transaction{}, false
	}
	t = transaction{producerID: id, firstOffset: p.transactionStart, lastOffset: marker.LastOffset()}
	p.transactionStart = -1
	s.open = slices.DeleteFunc(s.open, func(o openTransaction) bool { return o.producerID == id })
	t.lastStable = s.firstOpen(t.lastOffset + 1)
	return t, true
}

// firstOpen is the first offset of the oldest open transaction, or none.
func (s *producerState) firstOpen(none int64) int64 {
	if len(s.open) == 0 {
		return none
	}
	return s.open[0].firstOffset
}

// expire forgets producers not seen for so long that have no open transaction,
// and verifications that came to nothing.
func (s *producerState) expire(nowMs int64, after time.Duration) int {
	n := 0
	for id, p := range s.entries {
		if p.transactionStart < 0 && nowMs-p.lastSeen >= after.Milliseconds() {
			delete(s.entries, id)
			n++
		}
	}
	for id, v := range s.verifications {
		if nowMs-v.beganMs >= after.Milliseconds() {
			delete(s.verifications, id)
		}
	}
	return n
}

// Producer is what the log knows of a producer id, as DescribeProducers shows it.
type Producer struct {
	ID               int64
	Epoch            int16
	LastSequence     int32 // -1 none
	LastTimestamp    int64 // unix ms, of the last batch or marker
	CoordinatorEpoch int32 // -1 none
	TransactionStart int64 // first offset of the open transaction, -1 none
}

// describe lists the producers by id.
func (s *producerState) describe() []Producer {
	producers := make([]Producer, 0, len(s.entries))
	for id, p := range s.entries {
		d := Producer{
			ID: id, Epoch: p.epoch, LastSequence: -1, LastTimestamp: p.lastTimestamp,
			CoordinatorEpoch: p.coordinatorEpoch, TransactionStart: p.transactionStart,
		}
		if p.count > 0 {
			d.LastSequence = p.last().lastSequence
		}
		producers = append(producers, d)
	}
	slices.SortFunc(producers, func(a, b Producer) int { return cmp.Compare(a.ID, b.ID) })
	return producers
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
		p.lastTimestamp = p.lastSeen
		p.coordinatorEpoch = int32(binary.BigEndian.Uint32(b[34:]))
		p.transactionStart = int64(binary.BigEndian.Uint64(b[38:]))
		k := producerBatch{
			lastSequence: int32(binary.BigEndian.Uint32(b[10:])),
			lastOffset:   int64(binary.BigEndian.Uint64(b[14:])),
			offsetDelta:  int32(binary.BigEndian.Uint32(b[22:])),
			timestamp:    p.lastTimestamp,
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
	slices.SortFunc(fresh.open, func(a, b openTransaction) int { return cmp.Compare(a.firstOffset, b.firstOffset) })
	*s = fresh
	return nil
}
