package logdump

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/record"
)

// ErrUnknownFile: a name that no file of a partition has.
var ErrUnknownFile = errors.New("neither a partition's directory nor one of its files")

// Options say how deep a dump goes.
type Options struct {
	// Records decodes the records of every batch; without it batches are checked by their CRC alone.
	Records bool
	// From and To bound the batches of segments: those that hold an offset of
	// [From, To]. To below 0 is no bound. Indexes are dumped whole.
	From, To int64
}

// Dump visits the entries of files and of partitions' directories, and returns
// how many problems it found. Entries are valid during the visit. An error is
// a file that cannot be read or what visit returned.
func Dump(fsys commitlog.FS, paths []string, o Options, visit func(Entry) error) (problems int, err error) {
	d := &dumper{fs: fsys, o: o, visit: visit}
	for _, path := range paths {
		files, err := d.files(path)
		if err != nil {
			return d.problems, err
		}
		for _, file := range files {
			if err := d.file(file); err != nil {
				return d.problems, err
			}
		}
	}
	return d.problems, nil
}

// dumper is one dump; it is used by one goroutine.
type dumper struct {
	fs       commitlog.FS
	o        Options
	visit    func(Entry) error
	problems int
}

func (d *dumper) problem(path string, position int64, format string, args ...any) error {
	d.problems++
	p := Problem{Kind: "problem", Path: path, Problem: fmt.Sprintf(format, args...)}
	if position >= 0 {
		p.Position = &position
	}
	return d.visit(p)
}

// contentsOf tells what a file of that name holds, and for segments' files the
// base offset.
func contentsOf(path string) (contents string, base *int64, ok bool) {
	name := filepath.Base(path)
	if name == commitlog.LeaderEpochFile {
		return "leader-epochs", nil, true
	}
	digits, suffix, _ := strings.Cut(name, ".")
	offset, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || len(digits) != 20 || offset < 0 {
		return "", nil, false
	}
	switch suffix {
	case "log", "index", "timeindex", "txnindex", "snapshot":
		return suffix, &offset, true
	}
	return "", nil, false
}

// files are those of a directory in the order of their names, or the one that is named.
func (d *dumper) files(path string) ([]string, error) {
	info, err := d.fs.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if _, _, ok := contentsOf(path); !ok {
			return nil, fmt.Errorf("%s: %w", path, ErrUnknownFile)
		}
		return []string{path}, nil
	}
	entries, err := d.fs.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if _, _, ok := contentsOf(e.Name()); ok && !e.IsDir() {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrUnknownFile)
	}
	return files, nil
}

func (d *dumper) file(path string) error {
	contents, base, _ := contentsOf(path)
	if err := d.visit(File{Kind: "file", Path: path, Contents: contents, BaseOffset: base}); err != nil {
		return err
	}
	var err error
	switch contents {
	case "log":
		err = d.segment(path, *base)
	case "index":
		err = d.offsetIndex(path, *base)
	case "timeindex":
		err = d.timeIndex(path, *base)
	case "txnindex":
		err = d.transactionIndex(path)
	case "snapshot":
		err = d.snapshot(path)
	case "leader-epochs":
		err = d.leaderEpochs(path)
	}
	if errors.Is(err, commitlog.ErrCorrupt) {
		return d.problem(path, -1, "%v", err)
	}
	return err
}

func (d *dumper) segment(path string, base int64) error {
	next := base // the least offset that may follow
	tail, err := commitlog.VisitBatches(d.fs, path, func(s commitlog.StoredBatch) error {
		b := s.Batch
		if b.BaseOffset() < next {
			if err := d.problem(path, s.Position, "base offset %d follows offset %d", b.BaseOffset(), next-1); err != nil {
				return err
			}
		}
		next = max(next, b.LastOffset()+1)
		if b.LastOffset() < d.o.From || d.o.To >= 0 && b.BaseOffset() > d.o.To {
			return nil
		}
		return d.batch(path, s)
	})
	if err != nil || tail.Size == 0 {
		return err
	}
	if err := d.visit(Tail{Kind: "tail", Position: tail.Position, SizeBytes: tail.Size, Zeros: tail.Zeros}); err != nil || tail.Zeros {
		return err
	}
	return d.problem(path, tail.Position, "%d bytes at the end are no whole batch", tail.Size)
}

func (d *dumper) batch(path string, s commitlog.StoredBatch) error {
	b := s.Batch
	out := Batch{
		Kind: "batch", BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Count: b.Count(),
		BaseSequence: b.BaseSequence(), LastSequence: b.LastSequence(), ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(),
		PartitionLeaderEpoch: b.PartitionLeaderEpoch(), IsTransactional: b.IsTransactional(), IsControl: b.IsControl(),
		Position: s.Position, TimestampType: "CreateTime", MaxTimestampMs: b.MaxTimestamp(), SizeBytes: b.SizeBytes(),
		Magic: b.Magic(), Compression: b.Codec().String(), CRC: b.CRC(), IsValid: s.Err == nil,
	}
	if b.IsLogAppendTime() {
		out.TimestampType = "LogAppendTime"
	}
	if b.HasDeleteHorizon() {
		horizon := b.BaseTimestamp()
		out.DeleteHorizonMs = &horizon
	}
	if err := d.visit(out); err != nil {
		return err
	}
	if s.Err != nil {
		return d.problem(path, s.Position, "%v", s.Err)
	}
	if !d.o.Records {
		return nil
	}
	return d.records(path, s)
}

// errVisit carries what visit returned through the record iterator.
type errVisit struct{ error }

func (d *dumper) records(path string, s commitlog.StoredBatch) error {
	b := s.Batch
	control, coordinatorEpoch := "", (*int32)(nil)
	if b.IsControl() && b.Count() > 0 {
		kind, epoch, err := record.ControlOf(b)
		control = kind.String()
		if err != nil {
			if err := d.problem(path, s.Position, "%v", err); err != nil {
				return err
			}
		} else if epoch >= 0 {
			coordinatorEpoch = &epoch
		}
	}
	previous := b.BaseOffset() - 1
	err := record.Records(b, record.MaxDecompressedBytes, func(r record.Record) error {
		out := Record{
			Kind: "record", Offset: r.Offset, TimestampMs: r.Timestamp, KeySize: size(r.Key), ValueSize: size(r.Value),
			Sequence: sequenceOf(b, r.Offset), HeaderKeys: []string{}, Control: control, CoordinatorEpoch: coordinatorEpoch,
			Key: r.Key, Value: r.Value,
		}
		for _, h := range r.Headers {
			out.HeaderKeys = append(out.HeaderKeys, h.Key)
			out.Headers = append(out.Headers, Header{h.Key, h.Value})
		}
		if r.Offset <= previous || r.Offset > b.LastOffset() {
			if err := d.problem(path, s.Position, "offset %d follows offset %d in a batch that ends at %d", r.Offset, previous, b.LastOffset()); err != nil {
				return errVisit{err}
			}
		}
		previous = r.Offset
		if err := d.visit(out); err != nil {
			return errVisit{err}
		}
		return nil
	})
	if visited := (errVisit{}); errors.As(err, &visited) {
		return visited.error
	}
	if err != nil {
		return d.problem(path, s.Position, "%v", err)
	}
	return nil
}

// size is the length of a key or value, -1 of a null.
func size(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

// sequenceOf is the sequence number of the record at an offset, -1 where the
// batch has none. Sequences go on at 0 after 2^31-1.
func sequenceOf(b record.Batch, offset int64) int32 {
	base := int64(b.BaseSequence())
	if base < 0 {
		return -1
	}
	return int32((base + offset - b.BaseOffset()) & math.MaxInt32)
}

// offsetIndex dumps the entries and looks each up in the segment beside them.
func (d *dumper) offsetIndex(path string, base int64) error {
	segment := strings.TrimSuffix(path, ".index") + ".log"
	log, err := d.fs.OpenFile(segment, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer log.Close()
	previous := commitlog.IndexedOffset{Offset: base - 1, Position: -1}
	return untilZeros(commitlog.VisitOffsetIndex(d.fs, path, base, func(e commitlog.IndexedOffset) error {
		if previous.Position >= 0 && e.Offset == base && e.Position == 0 {
			return errZeros
		}
		if e.Offset <= previous.Offset || e.Position <= previous.Position {
			if err := d.problem(path, -1, "entry %d:%d follows %d:%d", e.Offset, e.Position, previous.Offset, previous.Position); err != nil {
				return err
			}
		}
		previous = e
		if err := d.visit(IndexEntry{"index", e.Offset, e.Position}); err != nil {
			return err
		}
		at, err := commitlog.ReadBatchPlace(log, e.Position)
		switch {
		case errors.Is(err, commitlog.ErrCorrupt):
			return d.problem(path, -1, "offset %d: %v", e.Offset, err)
		case err != nil:
			return err
		case at.LastOffset != e.Offset:
			return d.problem(path, -1, "offset %d is indexed at position %d, where the batch ends with offset %d", e.Offset, e.Position, at.LastOffset)
		}
		return nil
	}))
}

// errZeros ends an index at the zeros that Apache Kafka preallocates in its
// active segment.
var errZeros = errors.New("zeros")

func untilZeros(err error) error {
	if errors.Is(err, errZeros) {
		return nil
	}
	return err
}

// timeIndex dumps the entries and walks through the segment's headers beside
// them: both are in the order of offsets.
func (d *dumper) timeIndex(path string, base int64) error {
	segment := strings.TrimSuffix(path, ".timeindex") + ".log"
	log, err := d.fs.OpenFile(segment, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer log.Close()
	var at commitlog.BatchPlace
	next, ended := int64(0), false
	at.LastOffset = math.MinInt64
	previous := commitlog.IndexedTimestamp{TimestampMs: math.MinInt64, Offset: base - 1}
	return untilZeros(commitlog.VisitTimeIndex(d.fs, path, base, func(e commitlog.IndexedTimestamp) error {
		if previous.Offset >= base && e.Offset == base && e.TimestampMs == 0 {
			return errZeros
		}
		if e.TimestampMs <= previous.TimestampMs || e.Offset <= previous.Offset {
			if err := d.problem(path, -1, "entry %d:%d does not move forward", e.TimestampMs, e.Offset); err != nil {
				return err
			}
		}
		previous = e
		if err := d.visit(TimeIndexEntry{"timeindex", e.TimestampMs, e.Offset}); err != nil {
			return err
		}
		for !ended && at.LastOffset < e.Offset {
			place, err := commitlog.ReadBatchPlace(log, next)
			switch {
			case errors.Is(err, commitlog.ErrCorrupt):
				ended = true
			case err != nil:
				return err
			default:
				at, next = place, next+place.Size
			}
		}
		switch {
		case at.LastOffset != e.Offset:
			return d.problem(path, -1, "offset %d is indexed, and no batch ends with it", e.Offset)
		case at.MaxTimestampMs != e.TimestampMs:
			return d.problem(path, -1, "offset %d is indexed with timestamp %d, its batch has %d", e.Offset, e.TimestampMs, at.MaxTimestampMs)
		}
		return nil
	}))
}

func (d *dumper) transactionIndex(path string) error {
	return commitlog.VisitTransactionIndex(d.fs, path, func(a commitlog.StoredAbort) error {
		return d.visit(AbortedTransaction{"txnindex", a.Version, a.ProducerID, a.FirstOffset, a.LastOffset, a.StableOffset})
	})
}

func (d *dumper) snapshot(path string) error {
	producers, err := commitlog.ReadProducerSnapshot(d.fs, path)
	if err != nil {
		return err
	}
	for _, p := range producers {
		out := Producer{
			Kind: "producer", ProducerID: p.ProducerID, ProducerEpoch: p.Epoch, CoordinatorEpoch: p.CoordinatorEpoch,
			CurrentTxnFirstOffset: p.TransactionStart, FirstSequence: -1, LastSequence: p.LastSequence, LastOffset: p.LastOffset,
			OffsetDelta: p.OffsetDelta, TimestampMs: p.TimestampMs,
		}
		if p.LastSequence >= 0 {
			out.FirstSequence = (p.LastSequence - p.OffsetDelta) & math.MaxInt32
		}
		if err := d.visit(out); err != nil {
			return err
		}
	}
	return nil
}

func (d *dumper) leaderEpochs(path string) error {
	epochs, err := commitlog.ReadLeaderEpochs(d.fs, path)
	if err != nil {
		return d.problem(path, -1, "%v", err)
	}
	for _, e := range epochs {
		if err := d.visit(LeaderEpoch{"leader-epoch", e.Epoch, e.StartOffset}); err != nil {
			return err
		}
	}
	return nil
}
