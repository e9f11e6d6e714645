package commitlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"time"

	"fluxmq/broker/record"
)

// ErrUncleanable: the log holds something that the cleaner cannot read. Nothing is
// lost by it, and nothing is gained by trying again.
var ErrUncleanable = errors.New("log cannot be cleaned")

// CleanerConfig is what a cleaner may use. Zero values take Kafka's defaults.
type CleanerConfig struct {
	DedupeBytes int64   // log.cleaner.dedupe.buffer.size: most memory of the offset map
	LoadFactor  float64 // log.cleaner.io.buffer.load.factor, in (0, 1]
	BufferBytes int     // log.cleaner.io.buffer.size: read and write buffer together; the former grows to the largest batch
}

func (c CleanerConfig) withDefaults() CleanerConfig {
	if c.DedupeBytes <= 0 {
		c.DedupeBytes = 128 << 20
	}
	if c.LoadFactor <= 0 || c.LoadFactor > 1 {
		c.LoadFactor = 0.9
	}
	if c.BufferBytes <= 0 {
		c.BufferBytes = 512 << 10
	}
	return c
}

// Cleaner holds the memory that compacting a log needs, for one log after the
// other: the offset map, never larger than log.cleaner.dedupe.buffer.size however many
// keys a log has, and the buffers. One batch is held decompressed beside them.
// One goroutine at a time; Close frees what the garbage collector does not know.
type Cleaner struct {
	// Allowed, unless nil, tells how many bytes a second may be read and written
	// now, more than 0, MaxFloat64: as many as it likes. It is asked before each
	// piece, and again while one waits.
	Allowed func() float64

	cfg         CleanerConfig
	keys        offsetMap
	read, write []byte
	pace        Pace
}

// NewCleaner makes a cleaner. The map's memory is taken when the first log needs it.
func NewCleaner(cfg CleanerConfig) *Cleaner {
	cfg = cfg.withDefaults()
	half := max(cfg.BufferBytes/2, 4<<10)
	return &Cleaner{cfg: cfg, read: make([]byte, half), write: make([]byte, half)}
}

// Close gives the offset map's memory back; a cleaning may follow all the same.
func (c *Cleaner) Close() error { return c.keys.free() }

// MapBytes is the memory that the offset map takes now.
func (c *Cleaner) MapBytes() int64 { return int64(cap(c.keys.entries)) * offsetMapEntrySize }

// slots is how large a map so many records need at most.
func (c *Cleaner) slots(records int64) int {
	most := float64(c.cfg.DedupeBytes / offsetMapEntrySize)
	return int(min(most, float64(records)/c.cfg.LoadFactor+2))
}

// Compacted tells what a cleaning did.
type Compacted struct {
	// CleanedTo is the offset up to which the log is clean now: the next checkpoint.
	CleanedTo int64
	// What the segments that were cleaned held, and what was written of it.
	BytesRead, BytesWritten  int64
	RecordsRead, RecordsKept int64
	// MapUse is the share of the memory for the offset map that was needed, 0 to 1.
	MapUse float64
	Took   time.Duration
}

// Compact cleans the log once (Kafka's Cleaner): it notes the last offset of each
// key in as much of the dirty part as the offset map can hold, then copies all
// segments up to there without the records that a later one of the same
// key replaces, and exchanges them group by group. checkpoint and stable
// are those of Cleanable; the caller keeps CleanedTo, durably, as the next checkpoint.
//
// It may run beside the writer and readers; Close and Discard wait until it has
// noticed them. It ends early with ctx's error, and with ErrUncleanable before
// it touches the segments with what cannot be read. An error of the file
// system leaves the log usable while it is certain that the old segments count;
// otherwise it is ErrOffline. What was exchanged before an error stays so.
func (l *Log) Compact(ctx context.Context, c *Cleaner, checkpoint, stable int64) (Compacted, error) {
	l.cleanMu.Lock()
	defer l.cleanMu.Unlock()
	began := time.Now()
	// What is exchanged has been made durable, so that nobody need sync it again,
	// and has its index files and the snapshots behind it.
	if _, err := l.SyncRolled(); err != nil {
		return Compacted{}, err
	}
	if err := l.Seal(); err != nil {
		return Compacted{}, err
	}
	part, err := l.Cleanable(checkpoint, min(stable, l.sealedTo()))
	if err != nil {
		return Compacted{}, err
	}
	if part.DirtyBytes == 0 {
		return Compacted{CleanedTo: part.FirstDirty}, nil
	}
	if err := c.keys.reset(c.slots(part.End-part.FirstDirty), c.cfg.LoadFactor); err != nil {
		return Compacted{}, err
	}
	r := l.newCleaning(c, part)
	if err = r.indexKeys(ctx); err == nil {
		err = r.cleanSegments(ctx)
	}
	if errors.Is(err, errOvertaken) {
		return r.done, nil // what is left of the log is looked at anew next time
	}
	if err != nil {
		return r.done, err
	}
	r.done.CleanedTo = c.keys.latest + 1
	r.done.MapUse = float64(c.keys.size) * offsetMapEntrySize / float64(c.cfg.DedupeBytes)
	r.done.Took = time.Since(began)
	return r.done, nil
}

// sealedTo is the offset below which all segments are durable and sealed.
func (l *Log) sealedTo() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.segments, func(s *segment) bool { return s.mem != nil }) // the active one has
	return min(l.durable, l.segments[i].base)
}

// cleaning is one run of Compact.
type cleaning struct {
	log     *Log
	cleaner *Cleaner
	cfg     Config
	part    Cleanable
	nowMs   int64
	sealed  []extent // the segments below part.End

	filter       record.Filter
	transactions cleanedTransactions
	decided      bool // transactions knows those of the dirty part
	producers    map[int64]lastOfProducer
	done         Compacted
}

// lastOfProducer is where a producer stands: its last batch, offset -1 when a
// marker was the last thing in its epoch.
type lastOfProducer struct {
	offset int64
	epoch  int16
}

func (l *Log) newCleaning(c *Cleaner, part Cleanable) *cleaning {
	r := &cleaning{log: l, cleaner: c, part: part, nowMs: l.now(), done: Compacted{CleanedTo: part.FirstDirty}, producers: map[int64]lastOfProducer{}}
	l.mu.Lock()
	r.cfg = l.cfg
	for _, e := range l.extents() {
		if e.end <= part.End && e.base < part.End {
			r.sealed = append(r.sealed, e)
		}
	}
	for id, p := range l.producers.entries {
		last := lastOfProducer{-1, p.epoch}
		if p.count > 0 {
			last.offset = p.last().lastOffset
		}
		r.producers[id] = last
	}
	l.mu.Unlock()
	return r
}

// pause lets the order to stop and the limit of bytes a second have their way.
func (r *cleaning) pause(ctx context.Context, bytes int64) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.log.closing:
		return ErrClosed
	default:
	}
	c := r.cleaner
	if c.Allowed == nil {
		return nil
	}
	return c.pace.wait(ctx, r.log.closing, bytes, func() (float64, error) { return c.Allowed(), nil })
}

// errMapFull ends the walk over the dirty part.
var errMapFull = errors.New("the offset map is full")

// indexKeys fills the offset map from the dirty part.
func (r *cleaning) indexKeys(ctx context.Context) error {
	keys := &r.cleaner.keys
	for _, e := range r.sealed {
		if e.end <= r.part.FirstDirty {
			continue
		}
		err := r.batches(ctx, e, func(b record.Batch, f found) error {
			if f.lastOffset < r.part.FirstDirty {
				return nil
			}
			if err := r.indexBatch(ctx, e, b, f.position); err != nil {
				return err
			}
			keys.latest = max(keys.latest, f.lastOffset)
			return nil
		})
		if errors.Is(err, errMapFull) {
			return nil
		}
		if err != nil {
			return err
		}
		keys.latest = max(keys.latest, e.end-1) // there is nothing between its last batch and the next segment
	}
	return nil
}

// indexBatch notes the keys of one batch; those of aborted transactions replace nothing.
func (r *cleaning) indexBatch(ctx context.Context, e extent, b record.Batch, position int64) error {
	if b.IsControl() {
		return nil
	}
	aborted, err := r.isAborted(ctx, e, b, position)
	if err != nil || aborted {
		return err
	}
	it, err := record.NewIterator(b, record.MaxDecompressedBytes)
	if err != nil {
		return e.uncleanable(position, err)
	}
	for it.Next() {
		offset := it.Offset()
		if offset < b.BaseOffset() || offset > b.LastOffset() {
			return e.uncleanable(position, fmt.Errorf("a record of offset %d in a batch of [%d, %d]", offset, b.BaseOffset(), b.LastOffset()))
		}
		if offset >= r.part.FirstDirty && it.Key() != nil && !r.cleaner.keys.put(it.Key(), offset) {
			return errMapFull
		}
	}
	if it.Err() != nil {
		return e.uncleanable(position, it.Err())
	}
	return nil
}

// uncleanable says where in a segment the cleaner met an error.
func (e extent) uncleanable(position int64, err error) error {
	return fmt.Errorf("%w: %s at position %d: %w", ErrUncleanable, e.path(".log"), position, err)
}

// isAborted tells whether a batch belongs to an aborted transaction. Those of
// the clean part have lost their records already. The dirty part's markers are
// looked for when its first transactional batch is met: most logs have none.
func (r *cleaning) isAborted(ctx context.Context, e extent, b record.Batch, position int64) (bool, error) {
	if !b.IsTransactional() || b.LastOffset() < r.part.FirstDirty {
		return false, nil
	}
	if !r.decided {
		if err := r.findAborted(ctx, e, position); err != nil {
			return false, err
		}
		r.decided = true
	}
	return r.transactions.isAborted(b), nil
}

// findAborted reads batch headers from a position of a segment on, until
// every transaction with a batch below part.End has met its marker, which may
// lie above it.
func (r *cleaning) findAborted(ctx context.Context, from extent, position int64) error {
	r.log.mu.Lock()
	all := r.log.extents()
	r.log.mu.Unlock()
	undecided := map[int64]int64{} // first offset by producer id
	for _, e := range all {
		if e.base < from.base {
			continue
		}
		if e.segment != from.segment {
			position = 0
		}
		if e.base >= r.part.End && len(undecided) == 0 {
			return nil
		}
		if err := r.findMarkers(ctx, e, position, undecided); err != nil {
			return err
		}
	}
	for id, first := range undecided {
		return fmt.Errorf("%w: %s: the transaction of producer %d from offset %d on has no marker below the log end", ErrUncleanable, r.log.dir, id, first)
	}
	return nil
}

// findMarkers notes the transactions that begin in a segment below part.End, and
// those that end in it.
func (r *cleaning) findMarkers(ctx context.Context, e extent, position int64, undecided map[int64]int64) error {
	file, err := e.openForCleaning()
	if err != nil {
		return err
	}
	defer file.Close() // it is only read
	in := scanner{file: file, size: e.bytes}
	for position < e.bytes {
		if err := r.pause(ctx, headerSize); err != nil {
			return err
		}
		b, f, err := in.header(position)
		if err != nil {
			return e.uncleanable(position, errors.Join(err, in.failed))
		}
		producer := b.ProducerID() // b may be gone once more of the batch is read
		first, open := undecided[producer]
		switch {
		case b.IsControl() && open:
			aborted, err := in.isAbort(f)
			if err != nil {
				return e.uncleanable(position, err)
			}
			if aborted {
				r.transactions.abort(producer, abortedRange{first, f.baseOffset})
			}
			delete(undecided, producer)
		case b.IsTransactional() && !b.IsControl() && !open && f.baseOffset < r.part.End:
			undecided[producer] = f.baseOffset
		}
		position = f.end()
	}
	return nil
}

// isAbort tells whether the control batch at f is an ABORT marker.
func (in *scanner) isAbort(f found) (bool, error) {
	b := record.Batch(in.bytes(f.position, int(min(f.size, scanWindow))))
	if int64(len(b)) < f.size {
		return false, errors.Join(fmt.Errorf("%w: a control batch of %d bytes", ErrCorrupt, f.size), in.failed)
	}
	if b.Count() == 0 {
		return false, nil
	}
	kind, _, err := record.ControlOf(b)
	return kind == record.Abort, err
}

// openForCleaning opens the segment's log file apart from its readers, whose
// descriptor reads ahead. errOvertaken: retention was faster.
func (e extent) openForCleaning() (File, error) {
	file, err := e.openForBackground()
	if err != nil && notExist(err) && e.gone() {
		err = errOvertaken
	}
	return file, err
}

// batches visits every batch of a segment, its CRC checked: what is rewritten
// gets a new one, which must not vouch for damage. b is valid during the visit.
func (r *cleaning) batches(ctx context.Context, e extent, visit func(b record.Batch, f found) error) error {
	file, err := e.openForCleaning()
	if err != nil {
		return err
	}
	defer file.Close() // it is only read
	in := scanner{file: file, size: e.bytes, window: r.cleaner.read[:0]}
	for position := int64(0); position < e.bytes; {
		b, f, err := in.batch(position)
		r.cleaner.read = in.window
		if err != nil {
			return e.uncleanable(position, err)
		}
		if err := r.pause(ctx, f.size); err != nil {
			return err
		}
		if err := visit(b, f); err != nil {
			return err
		}
		position = f.end()
	}
	return nil
}

// batch returns the whole batch at a position, valid until the next is read. The
// window grows for one that is larger only after its CRC has proved its length.
func (in *scanner) batch(position int64) (record.Batch, found, error) {
	b, f, err := in.header(position)
	if err != nil {
		return nil, f, errors.Join(err, in.failed)
	}
	if f.size > int64(cap(in.window)) {
		whole, err := in.checksum(f, b.CRC())
		if err == nil && !whole {
			err = fmt.Errorf("%w: %w", ErrCorrupt, record.ErrChecksum)
		}
		if err != nil {
			return nil, f, err
		}
		in.window = make([]byte, 0, min(int64(1)<<bits.Len64(uint64(f.size-1)), in.size))
	}
	b = in.bytes(position, int(f.size))
	if int64(len(b)) < f.size {
		return nil, f, errors.Join(io.ErrUnexpectedEOF, in.failed)
	}
	if err := record.Verify(b); err != nil {
		return nil, f, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return b, f, nil
}

// cleanSegments copies and exchanges every segment that the offset map knows
// anything of, and all before it.
func (r *cleaning) cleanSegments(ctx context.Context) error {
	below := r.sealed
	for len(below) > 0 && below[len(below)-1].base > r.cleaner.keys.latest {
		below = below[:len(below)-1]
	}
	for _, group := range r.groups(below) {
		if err := r.cleanGroup(ctx, group); err != nil {
			return err
		}
	}
	return nil
}

// groups puts neighbouring segments together that make one segment within
// segment.bytes and segment.index.bytes, so that cleaned ones do not get ever smaller.
func (r *cleaning) groups(sealed []extent) [][]extent {
	var groups [][]extent
	for len(sealed) > 0 {
		bytes, offsets, times := sealed[0].bytes, r.log.fileBytes(sealed[0], ".index"), r.log.fileBytes(sealed[0], ".timeindex")
		n := 1
		for ; n < len(sealed); n++ {
			e := sealed[n]
			bytes += e.bytes
			offsets += r.log.fileBytes(e, ".index")
			times += r.log.fileBytes(e, ".timeindex")
			if bytes > r.cfg.SegmentBytes || max(offsets, times) > r.cfg.SegmentIndexBytes || e.bytes > 0 && e.end-1-sealed[0].base > math.MaxInt32 {
				break
			}
		}
		groups = append(groups, sealed[:n])
		sealed = sealed[n:]
	}
	return groups
}

// fileBytes is the size of one of a segment's files, 0 when there is none: an
// index file that is missing is built anew when it is needed.
func (l *Log) fileBytes(e extent, suffix string) int64 {
	info, err := l.fs.Stat(e.path(suffix))
	if err != nil {
		return 0
	}
	return info.Size()
}

// cleanGroup copies what stays of some neighbouring segments into one, which takes their place.
func (r *cleaning) cleanGroup(ctx context.Context, group []extent) error {
	lastFull := -1 // the segment with the last batch
	old := make([]*segment, len(group))
	for i, e := range group {
		old[i] = e.segment
		if e.bytes > 0 {
			lastFull = i
		}
	}
	if lastFull < 0 {
		return nil
	}
	out, err := r.log.createCleaned(group[0].segment, r.cleaner.write[:0], r.cfg.IndexIntervalBytes)
	if err != nil {
		return err
	}
	defer out.abandon()
	changed := len(group) > 1
	for i, e := range group {
		err := r.batches(ctx, e, func(b record.Batch, f found) error {
			kept, err := r.cleanBatch(ctx, e, b, f.position, i == lastFull && f.end() == e.bytes)
			if err != nil {
				return err
			}
			changed = changed || len(kept) == 0 || &kept[0] != &b[0]
			if len(kept) == 0 {
				return nil
			}
			if err := r.pause(ctx, int64(len(kept))); err != nil {
				return err
			}
			return out.append(kept)
		})
		if err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	if err := out.finish(group[len(group)-1].createdMs); err != nil {
		return err
	}
	return r.log.exchange(out, old)
}

// cleanBatch is what is left of one batch, nil when nothing is. The last one of
// a group stays, at least without its records, and so does the last one of
// every producer that the log knows: it holds the producer's sequence.
func (r *cleaning) cleanBatch(ctx context.Context, e extent, b record.Batch, position int64, last bool) (record.Batch, error) {
	expired := b.HasDeleteHorizon() && b.BaseTimestamp() <= r.nowMs
	o := record.FilterOptions{MaxBytes: record.MaxDecompressedBytes, DeleteHorizon: -1, KeepEmpty: last || r.isLastOfProducer(b)}
	if b.LastOffset() <= r.cleaner.keys.latest {
		// What lies behind is not clean yet, and its time does not run.
		o.DeleteHorizon = r.nowMs + r.cfg.DeleteRetention.Milliseconds()
	}
	discard, err := false, error(nil)
	if b.IsControl() {
		if o.Marker, err = r.transactions.control(b); err != nil {
			return nil, e.uncleanable(position, err)
		}
		discard = o.Marker && expired
	} else {
		r.transactions.data(b)
		if discard, err = r.isAborted(ctx, e, b, position); err != nil {
			return nil, err
		}
	}
	if !discard {
		o.Keep = func(it *record.Iterator) bool { return b.IsControl() || r.keeps(it, expired) }
	}
	left, err := r.filter.Apply(b, o)
	if err != nil {
		return nil, e.uncleanable(position, err)
	}
	r.done.BytesRead += int64(len(b))
	r.done.BytesWritten += int64(len(left.Batch))
	r.done.RecordsRead += int64(left.Read)
	r.done.RecordsKept += int64(left.Kept)
	return left.Batch, nil
}

func (r *cleaning) isLastOfProducer(b record.Batch) bool {
	if b.ProducerID() < 0 {
		return false
	}
	last, known := r.producers[b.ProducerID()]
	switch {
	case !known:
		return false
	case last.offset >= 0:
		return b.LastOffset() == last.offset
	}
	return b.IsControl() && b.ProducerEpoch() == last.epoch
}

// keeps tells whether a record is the last one of its key, and no tombstone
// whose time is over. One without a key, which a topic may have from before it
// was compacted, cannot be replaced by anything and goes, as in Kafka.
func (r *cleaning) keeps(it *record.Iterator, expired bool) bool {
	if it.Offset() > r.cleaner.keys.latest {
		return true
	}
	if it.Key() == nil || r.cleaner.keys.get(it.Key()) > it.Offset() {
		return false
	}
	return it.Value() != nil || !expired
}
