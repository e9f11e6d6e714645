package share

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"fluxmq/broker/config"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// Fetch is what a member asks of one share partition.
type Fetch struct {
	Member string
	// MaxBytes bounds how much of the log is looked at; with MinOneBatch its
	// first batch is, whatever its size.
	MaxBytes    int
	MinOneBatch bool
	// MaxRecords bounds the records acquired: exactly, if Strict is set, else
	// up to the end of the log's batch that reaches it.
	MaxRecords int64
	Strict     bool
	// BatchSize is how many records are acquired as one batch at most, if the
	// log's batches allow it.
	BatchSize int64
}

// Fetched is what a member got.
type Fetched struct {
	// Acquired are the records that are the member's now, with the number of
	// their delivery.
	Acquired []Batch
	// Records are the log's batches that hold them, and perhaps others.
	Records []byte
}

// Fetch acquires records for a member; it gets none when none is available.
func (p *Partition) Fetch(q Fetch) (Fetched, error) {
	found, err := p.acquire(q)
	if err != nil || len(found.given) == 0 {
		return Fetched{}, err
	}
	defer found.release()
	records, err := found.read()
	if err != nil {
		p.giveBack(q.Member, found.given)
		return Fetched{}, err
	}
	return Fetched{found.given, records}, nil
}

// giveBack makes available again what was acquired and could not be read, so
// that a disk that fails does not use up the deliveries of what lies on it.
func (p *Partition) giveBack(member string, given []Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.machine.unacquire(member, given)
	p.wake()
}

// found is what an acquisition gave, and where it lies.
type found struct {
	result  partition.ReadResult
	batches []scanned
	given   []Batch
}

func (f *found) release() {
	if f.result.Release != nil {
		f.result.Release()
	}
}

// acquire reads the log from the first available record on, and acquires what
// is there; where there is nothing to deliver it goes on.
func (p *Partition) acquire(q Fetch) (found, error) {
	c := p.set.settings(p.key.Group)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.gone {
			return found{}, errGone
		}
		offset, more, err := p.readable(c)
		if err != nil || !more {
			return found{}, err
		}
		f := found{}
		if f.result, err = p.read(offset, q.MaxBytes, q.MinOneBatch, c); err != nil {
			return found{}, err
		}
		if f.batches, err = scan(f.result, c.ReadCommitted, p.machine.next, q.MaxRecords); err == nil && len(f.batches) > 0 {
			f.given = p.machine.acquire(acquisition{
				member: q.Member, offset: offset, batches: logBatches(f.batches),
				most: q.MaxRecords, strict: q.Strict, batchSize: q.BatchSize,
				lockMs:        p.set.now().Add(c.LockDuration).UnixMilli(),
				deliveryLimit: c.DeliveryCountLimit, locks: int64(c.MaxRecordLocks),
			})
		}
		if len(f.given) > 0 {
			p.keepLocks()
			return f, nil
		}
		f.release()
		if err != nil || p.machine.fetchOffset() <= offset {
			return found{}, err
		}
	}
}

// readable is where to read next; more is false when there is nothing to
// acquire for now. p.mu is held.
func (p *Partition) readable(c config.ShareGroup) (offset int64, more bool, err error) {
	if err := p.log.Offline(); err != nil {
		return -1, false, err
	}
	offsets := p.log.Offsets()
	if p.machine.start < offsets.LogStart {
		p.machine.trim(offsets.LogStart)
	}
	end := offsets.HighWatermark
	if c.ReadCommitted {
		end = offsets.LastStable
	}
	offset = p.machine.fetchOffset()
	return offset, offset < end && p.machine.mayAcquire(int64(c.MaxRecordLocks)), nil
}

func (p *Partition) read(offset int64, maxBytes int, minOneBatch bool, c config.ShareGroup) (partition.ReadResult, error) {
	r, err := p.log.Read(partition.ReadOptions{
		Offset: offset, MaxBytes: maxBytes, MinOneBatch: minOneBatch, ReadCommitted: c.ReadCommitted,
		CurrentLeaderEpoch: -1, LastFetchedEpoch: -1,
	})
	if errors.Is(err, protocol.ErrOffsetOutOfRange) {
		return partition.ReadResult{}, nil // the log's start moved; the next fetch sees it
	}
	return r, err
}

// Readable is how many bytes a fetch would look at, up to most.
func (p *Partition) Readable(most int) int64 {
	c := p.set.settings(p.key.Group)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return 0
	}
	offset, more, err := p.readable(c)
	if err != nil || !more {
		return 0
	}
	r, err := p.read(offset, most, true, c)
	if err != nil {
		return 0
	}
	if r.Release != nil {
		r.Release()
	}
	return sizeOf(r)
}

func sizeOf(r partition.ReadResult) int64 {
	if r.File == nil {
		return int64(len(r.Bytes))
	}
	return r.Size
}

// read copies the batches that hold acquired records.
func (f *found) read() ([]byte, error) {
	var parts []scanned // of neighbours one
	size, at := int64(0), 0
	for _, b := range f.batches {
		for at < len(f.given) && f.given[at].Last < b.Base {
			at++
		}
		if at == len(f.given) {
			break
		}
		if f.given[at].First > b.Last {
			continue
		}
		size += b.size
		if n := len(parts); n > 0 && parts[n-1].at+parts[n-1].size == b.at {
			parts[n-1].size += b.size
		} else {
			parts = append(parts, b)
		}
	}
	records := make([]byte, 0, size)
	for _, part := range parts {
		if f.result.File == nil {
			records = append(records, f.result.Bytes[part.at:part.at+part.size]...)
			continue
		}
		into := records[len(records) : len(records)+int(part.size)]
		if n, err := f.result.File.ReadAt(into, f.result.Position+part.at); n < len(into) {
			return nil, fmt.Errorf("%w: %w", protocol.ErrKafkaStorageError, err)
		}
		records = records[:len(records)+int(part.size)]
	}
	return records, nil
}

// scanned is a batch of the log, and where it lies in what was read.
type scanned struct {
	LogBatch
	at, size int64
}

func logBatches(list []scanned) []LogBatch {
	batches := make([]LogBatch, len(list))
	for i, s := range list {
		batches[i] = s.LogBatch
	}
	return batches
}

// scan reads the headers of the batches that were found, until there are most
// records from next on.
func scan(r partition.ReadResult, committed bool, next, most int64) ([]scanned, error) {
	h := headers{result: r, size: sizeOf(r)}
	aborted := newAborted(r.Aborted)
	var list []scanned
	fresh := int64(0)
	for at := int64(0); at+record.HeaderSize <= h.size && fresh < most; {
		b, err := h.at(at)
		if err != nil {
			return nil, err
		}
		size := b.SizeBytes()
		if size < record.HeaderSize || at+size > h.size {
			return nil, fmt.Errorf("%w: a batch of %d bytes in a read of %d", protocol.ErrCorruptMessage, size, h.size)
		}
		s := scanned{LogBatch{Base: b.BaseOffset(), Last: b.LastOffset()}, at, size}
		if committed {
			s.Skip = aborted.holds(b)
		}
		if s.Skip = s.Skip || b.IsControl(); !s.Skip && s.Last >= next {
			fresh += s.Last - max(s.Base, next) + 1
		}
		list = append(list, s)
		at += size
	}
	return list, nil
}

// headers reads batch headers out of what was read, several at once where they
// are small.
type headers struct {
	result partition.ReadResult
	size   int64
	window [4096]byte
	from   int64 // of the window
	have   int64 // bytes in it
}

func (h *headers) at(position int64) (record.Batch, error) {
	if h.result.File == nil {
		return record.Batch(h.result.Bytes[position:]), nil
	}
	if position < h.from || position+record.HeaderSize > h.from+h.have {
		h.from, h.have = position, min(int64(len(h.window)), h.size-position)
		if _, err := h.result.File.ReadAt(h.window[:h.have], h.result.Position+position); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: %w", protocol.ErrKafkaStorageError, err)
		}
	}
	return record.Batch(h.window[position-h.from : h.have]), nil
}

// aborted finds the batches of aborted transactions, as consumers do.
type aborted struct {
	coming []partition.AbortedTransaction // by their first offset
	open   map[int64]struct{}             // producer ids
}

func newAborted(list []partition.AbortedTransaction) *aborted {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b partition.AbortedTransaction) int {
		switch {
		case a.FirstOffset < b.FirstOffset:
			return -1
		case a.FirstOffset > b.FirstOffset:
			return 1
		}
		return 0
	})
	return &aborted{coming: list, open: map[int64]struct{}{}}
}

// holds tells whether the next batch is of an aborted transaction.
func (a *aborted) holds(b record.Batch) bool {
	for len(a.coming) > 0 && a.coming[0].FirstOffset <= b.LastOffset() {
		a.open[a.coming[0].ProducerID] = struct{}{}
		a.coming = a.coming[1:]
	}
	_, open := a.open[b.ProducerID()]
	if open && b.IsControl() {
		delete(a.open, b.ProducerID()) // its end
	}
	return open && b.IsTransactional()
}
