package commitlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/errfs"
	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/record"
)

// keyed is one record in short: "k=v", "k" for a tombstone, "=v" without a key.
func keyed(t tb, bd record.Builder, ts int64, records ...string) record.Batch {
	t.Helper()
	rs := make([]record.Record, len(records))
	for i, text := range records {
		key, value, hasValue := strings.Cut(text, "=")
		rs[i] = record.Record{Timestamp: ts + int64(i)}
		if key != "" {
			rs[i].Key = []byte(key)
		}
		if hasValue {
			rs[i].Value = []byte(value)
		}
	}
	b, err := bd.Build(rs)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	return b
}

// batchesOf reads every batch from the log start on, passing over what is missing.
func batchesOf(t tb, l *commitlog.Log) []record.Batch {
	t.Helper()
	var all []record.Batch
	o := l.Offsets()
	for offset := o.LogStart; offset < o.LogEnd; {
		r, err := l.Read(offset, math.MaxInt64, 700, true)
		if err != nil {
			t.Fatalf("read %d: %v", offset, err)
		}
		b, err := r.Bytes()
		if err != nil || len(b) == 0 {
			t.Fatalf("read %d: %d bytes, %v", offset, len(b), err)
		}
		r.Release()()
		for len(b) > 0 {
			batch, rest, err := record.Next(b)
			if err == nil {
				err = record.Verify(batch)
			}
			if err != nil || batch.LastOffset() < offset {
				t.Fatalf("read %d: batch of [%d, %d], %v", offset, batch.BaseOffset(), batch.LastOffset(), err)
			}
			all = append(all, batch)
			offset, b = batch.LastOffset()+1, rest
		}
	}
	return all
}

// survivors are the records of a log in short, data and markers, by offset: "3:k=v".
func survivors(t tb, l *commitlog.Log) string {
	t.Helper()
	var all []string
	for _, b := range batchesOf(t, l) {
		if b.IsControl() && b.Count() > 0 {
			kind, _, err := record.ControlOf(b)
			if err != nil {
				t.Fatalf("marker: %v", err)
			}
			all = append(all, fmt.Sprintf("%d:%s", b.BaseOffset(), kind))
			continue
		}
		if b.Count() == 0 {
			all = append(all, fmt.Sprintf("[%d-%d]", b.BaseOffset(), b.LastOffset()))
		}
		if err := record.Records(b, 1<<20, func(r record.Record) error {
			text := fmt.Sprintf("%d:%s", r.Offset, r.Key)
			if r.Value != nil {
				text += "=" + string(r.Value)
			}
			all = append(all, text)
			return nil
		}); err != nil {
			t.Fatalf("records: %v", err)
		}
	}
	return strings.Join(all, " ")
}

// compacting is a log on a clock of its own whose segments are rolled by hand.
type compacting struct {
	t          tb
	fs         commitlog.FS
	now        int64
	cfg        commitlog.Config
	l          *commitlog.Log
	c          *commitlog.Cleaner
	checkpoint int64
}

func newCompacting(t tb, cfg commitlog.Config) *compacting {
	t.Helper()
	cfg.AllowGaps = true
	if cfg.IndexIntervalBytes == 0 {
		cfg.IndexIntervalBytes = 100
	}
	w := &compacting{t: t, fs: memfs.New(), now: 1_000_000, cfg: cfg, c: commitlog.NewCleaner(commitlog.CleanerConfig{}), checkpoint: -1}
	w.open(commitlog.Options{})
	return w
}

func (w *compacting) open(o commitlog.Options) {
	w.t.Helper()
	o.FS, o.Dir, o.Config, o.NowMs = w.fs, dir, w.cfg, func() int64 { return w.now }
	w.l = open(w.t, o)
}

func (w *compacting) append(b record.Batch) commitlog.AppendInfo {
	w.t.Helper()
	return appendTo(w.t, w.l, b)
}

func (w *compacting) put(records ...string) {
	w.t.Helper()
	w.append(keyed(w.t, plain, w.now, records...))
}

func (w *compacting) roll() {
	w.t.Helper()
	if err := w.l.Roll(); err != nil {
		w.t.Fatalf("roll: %v", err)
	}
}

func (w *compacting) stable() int64 { o := w.l.Offsets(); return min(o.LogEnd, o.FirstUnstable) }

func (w *compacting) clean() commitlog.Compacted {
	w.t.Helper()
	done, err := w.l.Compact(context.Background(), w.c, w.checkpoint, w.stable())
	if err != nil {
		w.t.Fatalf("compact: %v", err)
	}
	w.checkpoint = done.CleanedTo
	return done
}

func (w *compacting) want(why, want string) {
	w.t.Helper()
	if got := survivors(w.t, w.l); got != want {
		w.t.Fatalf("%s:\n got %s\nwant %s", why, got, want)
	}
}

func TestCompactionKeepsTheLastOfEachKey(t *testing.T) {
	w := newCompacting(t, commitlog.Config{})
	w.put("a=1", "b=1", "a=2")
	w.put("c=1", "=lost")
	w.roll()
	w.put("b=2", "d=1")
	w.roll()
	w.put("a=3", "c=2")
	done := w.clean()
	w.want("the active segment is not cleaned, and replaces nothing", "2:a=2 3:c=1 5:b=2 6:d=1 7:a=3 8:c=2")
	if done.CleanedTo != 7 || done.RecordsRead != 7 || done.RecordsKept != 4 || w.l.Segments() != 2 {
		t.Fatalf("%+v, %d segments", done, w.l.Segments())
	}
	w.roll()
	w.clean()
	w.want("what was clean is cleaned again by what was dirty", "5:b=2 6:d=1 7:a=3 8:c=2")
	if again := w.clean(); again.BytesRead != 0 || again.CleanedTo != 9 {
		t.Fatalf("nothing is dirty: %+v", again)
	}
	for _, clean := range []bool{false, true} {
		if err := w.l.Close(); err != nil {
			t.Fatal(err)
		}
		w.open(commitlog.Options{Clean: clean, RecoveryPoint: 9})
		w.want("after a restart", "5:b=2 6:d=1 7:a=3 8:c=2")
	}
}

func TestTombstonesGoAfterTheirTime(t *testing.T) {
	w := newCompacting(t, commitlog.Config{DeleteRetention: time.Second})
	w.put("a=1", "b=1")
	w.put("a", "c=1")
	w.roll()
	w.now += 5000
	w.clean()
	w.want("a tombstone is kept from its first cleaning on, however old it is", "1:b=1 2:a 3:c=1")
	horizon := w.now + 1000
	for _, b := range batchesOf(t, w.l) {
		if has := b.BaseOffset() == 2; b.HasDeleteHorizon() != has || has && b.BaseTimestamp() != horizon {
			t.Fatalf("batch %d: delete horizon %v, %d", b.BaseOffset(), b.HasDeleteHorizon(), b.BaseTimestamp())
		}
	}
	again := func() {
		w.put("x=1")
		w.roll()
		w.clean()
	}
	w.now = horizon - 1
	again()
	w.want("before the horizon", "1:b=1 2:a 3:c=1 4:x=1")
	w.now = horizon
	again()
	w.want("at the horizon", "1:b=1 3:c=1 5:x=1")
	for _, b := range batchesOf(t, w.l) {
		if b.BaseOffset() == 2 && (!b.HasDeleteHorizon() || b.MaxTimestamp() != 1_000_001) {
			t.Fatalf("what is left of the batch: horizon %v, max timestamp %d", b.HasDeleteHorizon(), b.MaxTimestamp())
		}
	}
}

func TestCleanableRange(t *testing.T) {
	w := newCompacting(t, commitlog.Config{MinCompactionLag: 10 * time.Second, MaxCompactionLag: time.Minute, MinDirtyRatio: 0.6})
	check := func(why string, end int64, due bool, overdue time.Duration) {
		t.Helper()
		c, err := w.l.Cleanable(w.checkpoint, w.stable())
		if err != nil || c.End != end || c.Due != due || c.Overdue != overdue {
			t.Fatalf("%s: %+v, %v", why, c, err)
		}
	}
	check("an empty log", 0, false, 0)
	w.put("a=1", "b=1")
	check("the active segment alone", 0, false, 0)
	w.roll()
	check("too young", 0, false, 0)
	w.now += 10_001
	w.put("a=2")
	w.roll()
	w.put("a=3")
	check("the first segment is old enough, the second is not", 2, true, 0)
	w.clean()
	w.want("cleaned up to there", "0:a=1 1:b=1 2:a=2 3:a=3")
	check("nothing is dirty but what is too young", 2, false, 0)
	w.now += 10_000
	check("as old as the lag, clean for a good part", 3, false, 0)
	w.now += 50_001
	check("overdue", 3, true, time.Millisecond)
	w.checkpoint = 77
	check("a checkpoint beyond the log end counts for nothing", 3, true, 10_001*time.Millisecond)
	w.checkpoint = -1
	if c, err := w.l.Cleanable(-1, 2); err != nil || c.End != 2 || c.DirtyRatio() != 1 {
		t.Fatalf("an open transaction from offset 2 on: %+v, %v", c, err)
	}
	if err := w.l.SetLogStart(1); err != nil {
		t.Fatal(err)
	}
	if c, err := w.l.Cleanable(0, 3); err != nil || c.FirstDirty != 1 {
		t.Fatalf("below the log start: %+v, %v", c, err)
	}
	// What was read from disk tells the same.
	if err := w.l.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(commitlog.Options{Clean: true, LogStart: 1})
	check("after a restart", 3, true, 10_001*time.Millisecond)
}

// transactional are batches of producer 7 and the markers that end its transactions.
func (w *compacting) transactional(sequence int32, records ...string) {
	w.t.Helper()
	b := keyed(w.t, record.Builder{ProducerID: 7, BaseSequence: sequence, Transactional: true}, w.now, records...)
	guard, err := w.l.BeginVerification(7, 0, sequence, false)
	if err == nil {
		_, err = w.l.Append(b, commitlog.AppendOptions{Guard: guard})
	}
	if err != nil {
		w.t.Fatalf("append: %v", err)
	}
}

func (w *compacting) end(kind record.ControlType) {
	w.t.Helper()
	b, err := record.EndTransaction(kind, 7, 0, 3, w.now)
	if err != nil {
		w.t.Fatalf("marker: %v", err)
	}
	if _, err := w.l.Append(b, commitlog.AppendOptions{Trusted: true}); err != nil {
		w.t.Fatalf("marker: %v", err)
	}
}

func TestCompactionRespectsTransactions(t *testing.T) {
	w := newCompacting(t, commitlog.Config{DeleteRetention: time.Second})
	w.put("a=0", "b=0")
	w.transactional(0, "a=1", "c=1")
	w.end(record.Abort)
	w.transactional(2, "b=1", "d=1")
	w.end(record.Commit)
	w.roll()
	w.transactional(4, "e=1")
	w.roll()
	w.put("z=1")
	w.roll()
	w.end(record.Abort)
	w.transactional(5, "f=1")
	c, err := w.l.Cleanable(-1, w.stable())
	if err != nil || c.End != 10 {
		t.Fatalf("an open transaction stops the cleaner at its segment: %+v, %v", c, err)
	}
	w.clean()
	// The marker of e=1 lies above what is cleaned, and is found all the same.
	w.want("aborted records go at once and replace nothing; markers stay", "0:a=0 4:ABORT 5:b=1 6:d=1 7:COMMIT 9:z=1 10:ABORT 11:f=1")

	w.end(record.Commit)
	w.put("b=2", "d=2")
	w.roll()
	w.clean()
	// A marker gets its horizon when nothing of its transaction is left before it; the last record
	// of the cleaning stays at least as a header.
	w.want("the first abort's transaction is gone, the commit's goes now", "0:a=0 4:ABORT 7:COMMIT 9:z=1 10:ABORT 11:f=1 12:COMMIT 13:b=2 14:d=2")
	horizons := map[int64]bool{}
	for _, b := range batchesOf(t, w.l) {
		horizons[b.BaseOffset()] = b.HasDeleteHorizon()
	}
	if !horizons[4] || horizons[7] || !horizons[10] || horizons[12] {
		t.Fatalf("delete horizons: %v", horizons)
	}
	w.now += 1000
	w.put("y=1")
	w.roll()
	w.clean()
	w.want("at their horizon markers go", "0:a=0 7:COMMIT 9:z=1 11:f=1 12:COMMIT 13:b=2 14:d=2 15:y=1")
}

func TestUndecidedTransactionStopsCleaning(t *testing.T) {
	w := newCompacting(t, commitlog.Config{})
	w.transactional(0, "a=1")
	w.roll()
	before := survivors(t, w.l)
	_, err := w.l.Compact(context.Background(), w.c, -1, 1) // a last stable offset that is not true
	if !errors.Is(err, commitlog.ErrUncleanable) || survivors(t, w.l) != before {
		t.Fatalf("%v, left: %s", err, survivors(t, w.l))
	}
}

// A cleaned segment has no transaction index: who reads it meets no aborted
// record, and who has the old one open is told that its list is gone.
func TestCommittedReadersOfCleanedSegments(t *testing.T) {
	w := newCompacting(t, commitlog.Config{})
	w.transactional(0, "a=1")
	w.put("b=1")
	w.roll()
	w.transactional(1, "c=1")
	w.end(record.Abort)
	w.transactional(2, "d=1")
	w.end(record.Commit)
	w.roll()
	w.put("e=1")
	end := w.l.Offsets().LogEnd
	held, aborted, err := w.l.ReadCommitted(0, end, 1<<20, true)
	if err != nil || !slices.Equal(aborted, []commitlog.AbortedTransaction{{ProducerID: 7, FirstOffset: 0}}) {
		t.Fatalf("before the cleaning: %+v, %v", aborted, err)
	}
	w.clean()
	w.want("aborted records are gone", "1:b=1 3:ABORT 4:d=1 5:COMMIT 6:e=1")
	if aborted, err := w.l.Aborted(held, 0, end); !errors.Is(err, commitlog.ErrOffsetOutOfRange) {
		t.Fatalf("of the old segment: %+v, %v", aborted, err)
	}
	held.Release()()
	for _, restart := range []string{"none", "clean", "unclean"} {
		if restart != "none" {
			if err := w.l.Close(); err != nil {
				t.Fatal(err)
			}
			w.open(commitlog.Options{Clean: restart == "clean"})
		}
		r, aborted, err := w.l.ReadCommitted(0, end, 1<<20, true)
		if err != nil {
			t.Fatalf("restart %s: %v", restart, err)
		}
		b, err := r.Bytes()
		if err != nil {
			t.Fatalf("restart %s: %v", restart, err)
		}
		r.Release()()
		if shown, _ := committed(t, b, aborted); !slices.Equal(shown, []int64{1, 4}) {
			t.Fatalf("restart %s: batches %v are shown, aborted transactions: %+v", restart, shown, aborted)
		}
	}
}

// A transaction that was open where a cleaned segment begins is not open again
// when its marker is gone and the producers are read from there.
func TestDecidedTransactionStaysDecided(t *testing.T) {
	fs := memfs.New()
	w := newCompacting(t, commitlog.Config{SegmentBytes: 400, DeleteRetention: time.Second})
	w.fs = fs
	w.open(commitlog.Options{})
	large := "=" + strings.Repeat("v", 150) // no two segments make one
	w.transactional(0, "a=1")
	w.put("x" + large)
	w.roll()
	b, err := record.EndTransaction(record.Abort, 7, 1, 3, w.now)
	if err == nil {
		_, err = w.l.Append(b, commitlog.AppendOptions{Trusted: true, TransactionVersion: 2})
	}
	if err != nil {
		t.Fatal(err)
	}
	w.put("y" + large)
	for i := range 3 { // the records go, the marker gets its horizon, it goes
		w.put(fmt.Sprintf("z%d=1", i))
		w.roll()
		w.clean()
		w.now += 1000
	}
	w.want("of the marker only the producer's epoch is left", "1:x"+large+" [2-2] 3:y"+large+" 4:z0=1 5:z1=1 6:z2=1")
	if err := w.l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove(filepath.Join(dir, "00000000000000000002.index")); err != nil {
		t.Fatal(err)
	}
	w.open(commitlog.Options{RecoveryPoint: 7})
	if o := w.l.Offsets(); o.FirstUnstable != math.MaxInt64 || o.LogEnd != 7 {
		t.Fatalf("a transaction is open: %+v", o)
	}
}

// A producer goes on where it was although all of its records were replaced,
// even when its state has to be read from the cleaned log.
func TestProducerStateSurvivesCompaction(t *testing.T) {
	for _, restart := range []string{"none", "clean", "unclean", "without snapshots"} {
		fs := memfs.New()
		w := newCompacting(t, commitlog.Config{})
		w.fs = fs
		w.open(commitlog.Options{})
		producer := func(sequence int32, records ...string) record.Batch {
			return keyed(t, record.Builder{ProducerID: 5, ProducerEpoch: 2, BaseSequence: sequence}, w.now, records...)
		}
		if _, err := w.l.Append(producer(0, "a=1", "b=1"), commitlog.AppendOptions{LeaderEpoch: 3}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.l.Append(producer(2, "a=2"), commitlog.AppendOptions{LeaderEpoch: 4}); err != nil {
			t.Fatal(err)
		}
		w.roll()
		if _, err := w.l.Append(keyed(t, plain, w.now, "a=3", "b=3"), commitlog.AppendOptions{LeaderEpoch: 6}); err != nil {
			t.Fatal(err)
		}
		w.roll()
		w.clean()
		w.want("the producer's last batch stays without its record", "[2-2] 3:a=3 4:b=3")
		if restart != "none" {
			if err := w.l.Close(); err != nil {
				t.Fatal(err)
			}
			if restart == "without snapshots" {
				for _, name := range fs.Names(dir) {
					if strings.HasSuffix(name, ".snapshot") {
						if err := fs.Remove(name); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			w.open(commitlog.Options{Clean: restart == "clean", RecoveryPoint: 5})
		}
		if info, err := w.l.Append(producer(2, "a=2"), commitlog.AppendOptions{LeaderEpoch: 6}); err != nil || !info.Duplicate || info.BaseOffset != 2 {
			t.Fatalf("restart %s: a retry: %+v, %v", restart, info, err)
		}
		if _, err := w.l.Append(producer(4, "a=4"), commitlog.AppendOptions{LeaderEpoch: 6}); !errors.Is(err, commitlog.ErrOutOfOrderSequence) {
			t.Fatalf("restart %s: a gap in the sequence: %v", restart, err)
		}
		if _, err := w.l.Append(producer(3, "a=4"), commitlog.AppendOptions{LeaderEpoch: 6}); err != nil {
			t.Fatalf("restart %s: in sequence: %v", restart, err)
		}
		for asked, end := range map[int32]int64{3: 2, 4: 3, 6: 6} {
			if epoch, at := w.l.EpochEnd(asked); epoch != asked || at != end {
				t.Fatalf("restart %s: epoch %d ends at %d (epoch %d), want %d", restart, asked, at, epoch, end)
			}
		}
	}
}

// The offset map is as large as the setting allows, no larger than the log needs,
// and a log with more keys than it holds is cleaned in rounds.
func TestCompactionMemoryIsBounded(t *testing.T) {
	const keys = 300
	for _, c := range []struct {
		slots, most int64
		rounds      int
	}{{60, 60, 6}, {100_000, keys*2/9*10 + 10, 1}} {
		w := newCompacting(t, commitlog.Config{SegmentBytes: 3000})
		w.c = commitlog.NewCleaner(commitlog.CleanerConfig{DedupeBytes: c.slots * 24, LoadFactor: 0.9})
		for round := range 2 {
			for key := range keys {
				w.put(fmt.Sprintf("key-%d=%d", key, round))
			}
		}
		w.roll()
		rounds, last := 0, int64(-1)
		for ; last < keys*2; rounds++ {
			done := w.clean()
			if done.CleanedTo <= last {
				t.Fatalf("%d slots: round %d ends at %d again", c.slots, rounds, last)
			}
			last = done.CleanedTo
			if got := w.c.MapBytes(); got == 0 || got > c.most*24 {
				t.Fatalf("%d slots: the map takes %d bytes, %d allowed", c.slots, got, c.most*24)
			}
			if done.MapUse > 0.9+1e-9 {
				t.Fatalf("%d slots: %.3f of them used", c.slots, done.MapUse)
			}
		}
		if rounds < c.rounds {
			t.Fatalf("%d slots: done in %d rounds", c.slots, rounds)
		}
		if got := pieces(t, w.l); len(got) != keys {
			t.Fatalf("%d slots: %d records are left, want %d: %v", c.slots, len(got), keys, got)
		}
	}
}

func TestCompactionMergesSmallSegments(t *testing.T) {
	w := newCompacting(t, commitlog.Config{SegmentBytes: 1500})
	for i := range 200 {
		w.put(fmt.Sprintf("key-%d=%s", i%40, strings.Repeat("v", 40)))
	}
	w.roll()
	before := w.l.Segments()
	w.clean()
	if after := w.l.Segments(); after != before {
		t.Fatalf("%d segments before, %d after: what was full when it was read is not merged", before, after)
	}
	w.put("x=1")
	w.roll()
	w.clean()
	if after := w.l.Segments(); before < 15 || after > 8 || w.l.SizeBytes() > 8000 {
		t.Fatalf("%d segments before, %d after the second cleaning, %d bytes", before, after, w.l.SizeBytes())
	}
	for _, name := range w.fs.(*memfs.FS).Names(dir) {
		if strings.HasSuffix(name, ".swap") || strings.HasSuffix(name, ".cleaned") {
			t.Fatalf("%s is left", name)
		}
	}
	if err := w.l.Purge(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	logs := slices.DeleteFunc(w.fs.(*memfs.FS).Names(dir), func(n string) bool { return !strings.HasSuffix(n, ".log") })
	if len(logs) != w.l.Segments() {
		t.Fatalf("%d files for %d segments", len(logs), w.l.Segments())
	}
}

// Time look-ups and batch headers of what was cleaned, in every codec.
func TestCompactionInEveryCodec(t *testing.T) {
	for codec := record.None; codec <= record.Zstd; codec++ {
		w := newCompacting(t, commitlog.Config{SegmentBytes: 4000})
		for i := range 120 {
			records := make([]string, 6)
			for j := range records {
				records[j] = fmt.Sprintf("key-%d=%d-%s", (i*7+j*3)%50, i, strings.Repeat("value ", 5))
			}
			w.append(keyed(t, record.Builder{Codec: codec, ProducerID: -1, BaseSequence: -1}, int64(1000+10*i), records...))
		}
		w.roll()
		done := w.clean()
		if done.BytesWritten >= done.BytesRead/2 {
			t.Fatalf("%s: %+v", codec, done)
		}
		var stamps []int64
		seen := map[string]bool{}
		for _, b := range batchesOf(t, w.l) {
			if b.Count() > 0 && b.Codec() != codec || b.LastOffsetDelta() != 5 || b.BaseOffset()%6 != 0 {
				t.Fatalf("%s: codec %s, offsets [%d, %d]", codec, b.Codec(), b.BaseOffset(), b.LastOffset())
			}
			newest := int64(-1)
			if err := record.Records(b, 1<<20, func(r record.Record) error {
				if seen[string(r.Key)] {
					return fmt.Errorf("key %s twice", r.Key)
				}
				seen[string(r.Key)] = true
				newest = max(newest, r.Timestamp)
				stamps = append(stamps, r.Timestamp)
				return nil
			}); err != nil {
				t.Fatalf("%s: %v", codec, err)
			}
			if b.Count() > 0 && b.MaxTimestamp() != newest {
				t.Fatalf("%s: max timestamp %d, want %d", codec, b.MaxTimestamp(), newest)
			}
		}
		if len(seen) != 50 {
			t.Fatalf("%s: %d keys", codec, len(seen))
		}
		for _, ts := range []int64{0, 1500, 2000, stamps[len(stamps)-1]} {
			i := slices.IndexFunc(stamps, func(s int64) bool { return s >= ts })
			if got, err := w.l.OffsetForTimestamp(ts, math.MaxInt64); err != nil || got.Timestamp != stamps[i] {
				t.Fatalf("%s: at or after %d: %+v, want %d, %v", codec, ts, got, stamps[i], err)
			}
		}
		if got, err := w.l.MaxTimestamp(math.MaxInt64); err != nil || got.Timestamp != slices.Max(stamps) {
			t.Fatalf("%s: newest: %+v, %v", codec, got, err)
		}
	}
}

// A topic that was compacted once has gaps for good, which are no damage.
func TestGapsOutliveThePolicy(t *testing.T) {
	w := newCompacting(t, commitlog.Config{})
	for i := range 5 {
		w.put("a=1", "b=1")
		w.put(fmt.Sprintf("c=%d", i))
		w.roll()
	}
	cleaned := w.clean().CleanedTo
	w.put("z=1")
	want := survivors(t, w.l)
	if err := w.l.Close(); err != nil {
		t.Fatal(err)
	}
	w.cfg.AllowGaps = false
	if _, err := commitlog.Open(commitlog.Options{FS: w.fs, Dir: dir, Config: w.cfg}); !errors.Is(err, commitlog.ErrCorrupt) {
		t.Fatalf("this test shows nothing: %v", err)
	}
	w.open(commitlog.Options{Cleaned: cleaned})
	w.want("the policy is delete now", want)
}

func TestDamageIsNotCleaned(t *testing.T) {
	fs := memfs.New()
	w := newCompacting(t, commitlog.Config{})
	w.fs = fs
	w.open(commitlog.Options{})
	for range 6 {
		w.put("a="+strings.Repeat("x", 50), "b="+strings.Repeat("y", 50))
		w.roll()
	}
	names := slices.DeleteFunc(fs.Names(dir), func(n string) bool { return !strings.HasSuffix(n, ".log") })
	if err := w.l.Close(); err != nil {
		t.Fatal(err)
	}
	file, _ := fs.ReadFile(names[2])
	file[len(file)-20] ^= 1
	fs.WriteFile(names[2], file)
	w.open(commitlog.Options{Clean: true, RecoveryPoint: 12})
	_, err := w.l.Compact(context.Background(), w.c, -1, w.stable())
	if !errors.Is(err, commitlog.ErrUncleanable) || !errors.Is(err, record.ErrChecksum) || !strings.Contains(err.Error(), names[2][len(dir):]) {
		t.Fatalf("%v", err)
	}
	if after, _ := fs.ReadFile(names[2]); !bytes.Equal(after, file) || w.l.Failed() != nil {
		t.Fatalf("the damaged file was touched, or the log is offline: %v", w.l.Failed())
	}
	for _, name := range fs.Names(dir) {
		if strings.HasSuffix(name, ".cleaned") {
			t.Fatalf("%s is left", name)
		}
	}
}

// modelBatch is a batch as the naive model knows it.
type modelBatch struct {
	header  string // what may never change
	last    int64  // offset
	horizon int64  // -1 none
	records []modelRecord
}

type modelRecord struct {
	offset, timestamp int64
	key               string
	value             string // "" is a tombstone
}

// cleanModel is compaction as one would write it without a care for memory:
// of all records below end the last of each key, tombstones until their horizon.
func cleanModel(batches []*modelBatch, end, nowMs, retentionMs int64) {
	last := map[string]int64{}
	for _, b := range batches {
		for _, r := range b.records {
			if r.offset < end {
				last[r.key] = r.offset
			}
		}
	}
	for _, b := range batches {
		tombstone := false
		b.records = slices.DeleteFunc(b.records, func(r modelRecord) bool {
			if r.offset >= end {
				return false
			}
			gone := r.offset != last[r.key] || r.value == "" && b.horizon >= 0 && b.horizon <= nowMs
			tombstone = tombstone || !gone && r.value == ""
			return gone
		})
		if tombstone && b.horizon < 0 && b.last < end {
			b.horizon = nowMs + retentionMs
		}
	}
}

func modelled(batches []*modelBatch) string {
	var out []string
	for _, b := range batches {
		for _, r := range b.records {
			out = append(out, fmt.Sprintf("%s %d %d %d %s=%q", b.header, b.horizon, r.offset, r.timestamp, r.key, r.value))
		}
	}
	return strings.Join(out, "\n")
}

func header(b record.Batch) string {
	return fmt.Sprint(b.BaseOffset(), b.LastOffset(), b.PartitionLeaderEpoch(), b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.Codec(), b.IsLogAppendTime())
}

func stored(t tb, l *commitlog.Log) string {
	var batches []*modelBatch
	for _, b := range batchesOf(t, l) {
		m := &modelBatch{header: header(b), horizon: -1}
		if b.HasDeleteHorizon() {
			m.horizon = b.BaseTimestamp()
		}
		newest := int64(-1)
		if err := record.Records(b, 1<<20, func(r record.Record) error {
			m.records = append(m.records, modelRecord{r.Offset, r.Timestamp, string(r.Key), string(r.Value)})
			newest = max(newest, r.Timestamp)
			return nil
		}); err != nil {
			t.Fatalf("records: %v", err)
		}
		if len(m.records) > 0 && newest != b.MaxTimestamp() {
			t.Fatalf("batch %d: max timestamp %d, want %d", b.BaseOffset(), b.MaxTimestamp(), newest)
		}
		batches = append(batches, m)
	}
	return modelled(batches)
}

func TestCompactionAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		retention := rapid.Int64Range(1, 3000).Draw(t, "delete.retention.ms")
		lag := rapid.SampledFrom([]int64{0, 0, 500, 2000}).Draw(t, "min.compaction.lag.ms")
		w := newCompacting(t, commitlog.Config{
			SegmentBytes: int64(rapid.IntRange(200, 2500).Draw(t, "segment.bytes")), IndexIntervalBytes: int64(rapid.IntRange(1, 400).Draw(t, "index.interval.bytes")),
			Preallocate:     rapid.Bool().Draw(t, "preallocate"),
			DeleteRetention: time.Duration(retention) * time.Millisecond, MinCompactionLag: time.Duration(lag) * time.Millisecond,
		})
		w.c = commitlog.NewCleaner(commitlog.CleanerConfig{
			BufferBytes: rapid.SampledFrom([]int{1, 20_000}).Draw(t, "buffer"),
			DedupeBytes: rapid.SampledFrom([]int64{24 * 5, 24 * 9, 24 * 10_000}).Draw(t, "dedupe.buffer.size"),
		})
		var model []*modelBatch
		sequence := int32(0)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				bd := record.Builder{ProducerID: -1, BaseSequence: -1, Codec: record.Codec(rapid.IntRange(0, 4).Draw(t, "codec"))}
				records := make([]string, rapid.IntRange(1, 5).Draw(t, "records"))
				for i := range records {
					records[i] = fmt.Sprintf("k%d", rapid.IntRange(0, 12).Draw(t, "key"))
					if rapid.IntRange(0, 3).Draw(t, "tombstone") > 0 {
						records[i] += "=" + strings.Repeat("v", rapid.IntRange(1, 60).Draw(t, "size"))
					}
				}
				if rapid.Bool().Draw(t, "idempotent") {
					bd.ProducerID, bd.BaseSequence = 3, sequence
					sequence += int32(len(records))
				}
				b := keyed(t, bd, w.now, records...)
				if rapid.IntRange(0, 5).Draw(t, "log append time") == 0 {
					b.SetLogAppendTime(w.now)
				}
				info := w.append(b)
				m := &modelBatch{header: header(b), last: info.LastOffset, horizon: -1}
				for i, text := range records {
					key, value, _ := strings.Cut(text, "=")
					r := modelRecord{info.BaseOffset + int64(i), w.now + int64(i), key, value}
					if b.IsLogAppendTime() {
						r.timestamp = w.now
					}
					m.records = append(m.records, r)
				}
				model = append(model, m)
			},
			"roll": func(t *rapid.T) { w.t = t; w.roll() },
			"wait": func(t *rapid.T) { w.now += rapid.Int64Range(1, 1500).Draw(t, "ms") },
			"clean": func(t *rapid.T) {
				w.t = t
				before := w.checkpoint
				done := w.clean()
				if done.CleanedTo < before || done.CleanedTo > w.l.Offsets().LogEnd {
					t.Fatalf("cleaned up to %d after %d, the log ends at %d", done.CleanedTo, before, w.l.Offsets().LogEnd)
				}
				if done.BytesRead == 0 {
					return
				}
				for _, b := range model {
					for _, r := range b.records {
						if r.offset < done.CleanedTo && r.offset >= before && r.timestamp > w.now-lag && lag > 0 {
							t.Fatalf("offset %d is younger than the lag, and was cleaned", r.offset)
						}
					}
				}
				cleanModel(model, done.CleanedTo, w.now, retention)
			},
			"restart": func(t *rapid.T) {
				w.t = t
				clean := rapid.Bool().Draw(t, "clean")
				if err := w.l.Close(); err != nil {
					t.Fatalf("close: %v", err)
				}
				w.open(commitlog.Options{Clean: clean, RecoveryPoint: rapid.Int64Range(0, w.l.Offsets().LogEnd).Draw(t, "recovery point")})
			},
			"": func(t *rapid.T) {
				if got, want := stored(t, w.l), modelled(model); got != want {
					t.Fatalf("the log holds\n%s\nwant\n%s", got, want)
				}
			},
		})
	})
}

// dirtyLog is a log with three groups of segments to clean, all of it synced.
func dirtyLog(t tb, fs commitlog.FS) *compacting {
	t.Helper()
	w := newCompacting(t, commitlog.Config{SegmentBytes: 900, DeleteRetention: time.Second})
	w.fs = fs
	w.open(commitlog.Options{})
	for i := range 60 {
		w.put(fmt.Sprintf("a%d=%d-%s", i%7, i, strings.Repeat("x", 30)), fmt.Sprintf("b%d=%d", i, i))
	}
	w.put("a0", "a1")
	w.roll()
	w.put("active=1")
	if _, err := w.l.Sync(); err != nil {
		t.Fatalf("sync: %v", err)
	}
	if err := w.l.Seal(); err != nil {
		t.Fatalf("seal: %v", err)
	}
	return w
}

// pieces are a log's records, cut where cleaned groups may end.
func pieces(t tb, l *commitlog.Log) map[string]bool {
	t.Helper()
	set := map[string]bool{}
	for _, s := range strings.Fields(survivors(t, l)) {
		if !strings.HasPrefix(s, "[") {
			set[s] = true
		}
	}
	return set
}

// states is what a log may hold while it is cleaned: each group's old records
// or its new ones, the groups one after the other.
type states struct {
	old, cleaned map[string]bool
	bases        []int64 // of the old segments, each a group of its own
}

func offsetOf(piece string) (offset int64) {
	_, _ = fmt.Sscanf(piece, "%d:", &offset) // pieces begin with one
	return offset
}

// dirtyStates is those of dirtyLog.
func dirtyStates(t *testing.T) states {
	t.Helper()
	fs := memfs.New()
	w := dirtyLog(t, fs)
	s := states{old: pieces(t, w.l)}
	for _, name := range fs.Names(dir) {
		if base, ok := strings.CutSuffix(filepath.Base(name), ".log"); ok {
			offset, err := strconv.ParseInt(base, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			s.bases = append(s.bases, offset)
		}
	}
	w.clean()
	s.cleaned = pieces(t, w.l)
	if len(s.old)-len(s.cleaned) < 20 || len(s.bases) < 5 || w.l.Segments() != len(s.bases) {
		t.Fatalf("%d records, %d after cleaning, %d segments, then %d: the test shows little", len(s.old), len(s.cleaned), len(s.bases), w.l.Segments())
	}
	return s
}

// at is the state with every group cleaned that begins below an offset.
func (s states) at(edge int64) map[string]bool {
	state := map[string]bool{}
	for piece := range s.old {
		if s.cleaned[piece] || offsetOf(piece) >= edge {
			state[piece] = true
		}
	}
	return state
}

// check wants one of the states; it returns how many groups are cleaned in it.
func (s states) check(t *testing.T, where string, l *commitlog.Log) int {
	t.Helper()
	got := pieces(t, l)
	for i, edge := range s.bases {
		if maps.Equal(got, s.at(edge)) {
			return i
		}
	}
	var lost []string
	for piece := range s.cleaned {
		if !got[piece] {
			lost = append(lost, piece)
		}
	}
	t.Errorf("%s: %d records are neither the old nor the new ones; lost: %v", where, len(got), lost)
	return -1
}

// A machine that stops after any operation of a cleaning finds the old segments or the new one.
func TestCompactionCrashAtEveryOperation(t *testing.T) {
	want := dirtyStates(t)
	crashes, met := 0, map[int]bool{}
	for _, percent := range []int{0, 30, 70, 100} {
		fs := memfs.New()
		w := dirtyLog(t, fs)
		end := w.l.Offsets().LogEnd
		if err := fs.SyncTree("/"); err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(5, uint64(percent)))
		// verify starts on what a crash left, and cleans once more.
		verify := func(where string, fs *memfs.FS) {
			l, err := commitlog.Open(commitlog.Options{FS: fs, Dir: dir, Config: w.cfg, NowMs: func() int64 { return w.now }, RecoveryPoint: end, HostCrash: percent < 100})
			if err != nil {
				t.Errorf("%s: %v", where, err)
				return
			}
			crashes++
			met[want.check(t, where, l)] = true
			if o, r := l.Offsets(), l.Recovered(); o.LogEnd != end || len(r.Kept) > 0 {
				t.Errorf("%s: log end %d, want %d; set aside: %v", where, o.LogEnd, end, r.Kept)
			}
			if _, err := l.Compact(context.Background(), commitlog.NewCleaner(commitlog.CleanerConfig{}), -1, end); err != nil {
				t.Errorf("%s: cleaning again: %v", where, err)
				return
			}
			if got := pieces(t, l); !maps.Equal(got, want.cleaned) {
				t.Errorf("%s: cleaning again leaves %d records, want %d", where, len(got), len(want.cleaned))
			}
			noRemnants(t, where, fs)
		}
		fs.AfterOp = func(n int, what string) {
			if t.Failed() {
				return
			}
			where := fmt.Sprintf("%d%% kept, crash after operation %d (%s)", percent, n, what)
			verify(where, fs.CrashClone(percent, random))
			// Crash once more, somewhere within the recovery.
			clone, second, stop := fs.CrashClone(percent, random), (*memfs.FS)(nil), 1+random.IntN(12)
			clone.AfterOp = func(n int, _ string) {
				if n == stop {
					second = clone.CrashClone(percent, random)
				}
			}
			if _, err := commitlog.Open(commitlog.Options{FS: clone, Dir: dir, Config: w.cfg, RecoveryPoint: end, HostCrash: percent < 100}); err != nil {
				t.Errorf("%s: %v", where, err)
			} else if second != nil {
				verify(where+", and again in recovery", second)
			}
		}
		w.clean()
		if t.Failed() {
			return
		}
	}
	if crashes < 300 || len(met) < len(want.bases) {
		t.Fatalf("%d crashes, %d different states of %d: the test shows little", crashes, len(met), len(want.bases))
	}
	t.Logf("%d crashes, %d different states", crashes, len(met))
}

// noRemnants wants no file of an unfinished exchange.
func noRemnants(t *testing.T, where string, fs *memfs.FS) {
	t.Helper()
	for _, name := range fs.Names(dir) {
		if strings.HasSuffix(name, ".swap") || strings.HasSuffix(name, ".cleaned") {
			t.Errorf("%s: %s is left", where, name)
		}
	}
}

// Any single operation of a cleaning may fail: the log goes on with the old
// segments or the new one, or is offline, and a restart finds one of them.
func TestCompactionErrorAtEveryOperation(t *testing.T) {
	broken := errors.New("input/output error")
	want := dirtyStates(t)
	failures, offline := 0, 0
	for fail := 1; ; fail++ {
		inner, calls, armed := memfs.New(), 0, false
		fs := &errfs.FS{Inner: inner, Before: func(op, name string) error {
			if !armed || op == "stat" { // an index file whose size is not known counts as empty
				return nil
			}
			if calls++; calls == fail {
				return fmt.Errorf("%s %s: %w", op, name, broken)
			}
			return nil
		}}
		w := dirtyLog(t, fs)
		end := w.l.Offsets().LogEnd
		if err := inner.SyncTree("/"); err != nil {
			t.Fatal(err)
		}
		armed = true
		_, err := w.l.Compact(context.Background(), w.c, -1, end)
		armed = false
		if calls < fail {
			break // every operation has failed once
		}
		failures++
		where := fmt.Sprintf("operation %d failed: %v", fail, err)
		if w.l.Failed() == nil {
			want.check(t, where, w.l)
			w.put("more=1")
			if _, err := w.l.Compact(context.Background(), w.c, -1, end); err != nil {
				t.Fatalf("%s; cleaning again: %v", where, err)
			}
			got := pieces(t, w.l)
			delete(got, fmt.Sprintf("%d:more=1", end))
			if !maps.Equal(got, want.cleaned) {
				t.Fatalf("%s; cleaning again leaves %d records, want %d", where, len(got), len(want.cleaned))
			}
			noRemnants(t, where, inner)
			continue
		}
		offline++
		if !errors.Is(err, commitlog.ErrOffline) || !errors.Is(err, broken) {
			t.Fatal(where)
		}
		for _, percent := range []int{0, 100} {
			l := open(t, commitlog.Options{FS: inner.CrashClone(percent, nil), Dir: dir, Config: w.cfg, RecoveryPoint: end, HostCrash: percent == 0})
			want.check(t, fmt.Sprintf("%s; restarted, %d%% kept", where, percent), l)
		}
		if t.Failed() {
			return
		}
	}
	if failures < 100 || offline < 30 || failures-offline < 30 {
		t.Fatalf("%d failures, %d took the log offline: the test shows little", failures, offline)
	}
	t.Logf("%d failures, %d took the log offline", failures, offline)
}

// Readers, the writer, the syncer, retention and time look-ups beside the cleaner.
func TestCompactionBesideReadersAndWriter(t *testing.T) {
	tmp := filepath.Join(t.TempDir(), "t-0")
	cfg := commitlog.Config{SegmentBytes: 8000, IndexIntervalBytes: 300, AllowGaps: true, DeleteOld: true, RetentionBytes: 200_000, MinDirtyRatio: 0.01}
	l := open(t, commitlog.Options{Dir: tmp, Config: cfg, Files: commitlog.NewFiles(3)})
	var done atomic.Bool
	var cleanings, lookUps atomic.Int64
	var reads [3]atomic.Int64
	var running sync.WaitGroup
	for i := range reads {
		running.Go(func() {
			random := rand.New(rand.NewPCG(11, uint64(i)))
			for !done.Load() {
				if err := readSomewhere(l, random); err != nil {
					t.Error(err)
					return
				}
				reads[i].Add(1)
			}
		})
	}
	running.Go(func() {
		for ts := int64(0); !done.Load(); ts = (ts + 7) % 3000 {
			got, err := l.OffsetForTimestamp(ts, math.MaxInt64)
			if err != nil || got.Offset >= 0 && got.Timestamp < ts {
				t.Errorf("at or after %d: %+v, %v", ts, got, err)
				return
			}
			lookUps.Add(1)
		}
	})
	running.Go(func() {
		for !done.Load() {
			if _, err := l.Sync(); err != nil {
				t.Errorf("sync: %v", err)
				return
			}
			if err := errors.Join(l.Seal(), l.Purge(context.Background(), nil), l.WriteEpochs()); err != nil {
				t.Errorf("seal: %v", err)
				return
			}
		}
	})
	running.Go(func() {
		c, checkpoint := commitlog.NewCleaner(commitlog.CleanerConfig{}), int64(-1)
		for !done.Load() {
			cleaned, err := l.Compact(context.Background(), c, checkpoint, l.Offsets().LogEnd)
			if err != nil {
				t.Errorf("compact: %v", err)
				return
			}
			if checkpoint = cleaned.CleanedTo; cleaned.BytesRead > 0 {
				cleanings.Add(1)
			}
		}
	})
	enough := func() bool {
		return cleanings.Load() >= 5 && lookUps.Load() >= 20 && reads[0].Load() >= 50 && reads[1].Load() >= 50 && reads[2].Load() >= 50
	}
	last := map[string]string{}
	random := rand.New(rand.NewPCG(2, 3))
	for i := 0; (i < 2500 || !enough()) && !t.Failed(); i++ {
		if i == 1_000_000 {
			t.Fatalf("after a million batches: %d cleanings, %d look-ups", cleanings.Load(), lookUps.Load())
		}
		records := make([]string, 1+random.IntN(4))
		for j := range records {
			key := fmt.Sprintf("key-%d", random.IntN(60))
			last[key] = fmt.Sprintf("%d-%d-%s", i, j, strings.Repeat("v", random.IntN(60)))
			records[j] = key + "=" + last[key]
		}
		appendTo(t, l, keyed(t, record.Builder{ProducerID: -1, BaseSequence: -1, Codec: record.Codec(i % 5)}, int64(i), records...))
		if i%100 == 0 {
			if _, err := l.Retain(l.Offsets().LogEnd); err != nil {
				t.Fatal(err)
			}
		}
	}
	done.Store(true)
	running.Wait()
	if t.Failed() {
		return
	}
	end := l.Offsets().LogEnd
	for _, clean := range []bool{false, true} { // what is there, then all but the active segment cleaned
		if clean {
			if _, err := l.Compact(context.Background(), commitlog.NewCleaner(commitlog.CleanerConfig{}), -1, end); err != nil {
				t.Fatal(err)
			}
		}
		got := map[string]string{}
		for _, b := range batchesOf(t, l) {
			if err := record.Records(b, 1<<20, func(r record.Record) error { got[string(r.Key)] = string(r.Value); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if !maps.Equal(got, last) {
			t.Fatalf("cleaned at last %v: %d keys are left, want %d, or a value is not the last", clean, len(got), len(last))
		}
	}
	if size := l.SizeBytes(); size > 40_000 {
		t.Fatalf("%d bytes are left of 60 keys", size)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, commitlog.Options{Dir: tmp, Config: cfg, Clean: true})
	if batchesOf(t, l); l.Offsets().LogEnd != end {
		t.Fatalf("log end %d after reopen, want %d", l.Offsets().LogEnd, end)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// readSomewhere reads from and up to any offsets, and checks what comes.
func readSomewhere(l *commitlog.Log, random *rand.Rand) error {
	o := l.Offsets()
	offset := o.LogStart + random.Int64N(o.LogEnd-o.LogStart+1)
	r, err := l.Read(offset, o.LogStart+random.Int64N(o.LogEnd-o.LogStart+1), 2000, true)
	if errors.Is(err, commitlog.ErrOffsetOutOfRange) {
		return nil // retention was faster
	}
	if err != nil || r.Size == 0 {
		return err
	}
	b, err := r.Bytes()
	r.Release()()
	for err == nil && len(b) > 0 {
		var batch record.Batch
		if batch, b, err = record.Next(b); err == nil {
			err = record.Verify(batch)
		}
		if err == nil && batch.LastOffset() < offset {
			err = fmt.Errorf("batch of [%d, %d]", batch.BaseOffset(), batch.LastOffset())
		}
	}
	if err != nil {
		return fmt.Errorf("read at %d: %w", offset, err)
	}
	return nil
}

// A consumer that holds a range reads on in it after the segment was replaced and its file removed.
func TestHeldRangeOutlivesCompaction(t *testing.T) {
	w := newCompacting(t, commitlog.Config{})
	for range 3 {
		w.put("a=1", "b=1")
		w.roll()
	}
	held, err := w.l.Read(0, math.MaxInt64, 1<<20, true)
	if err != nil {
		t.Fatal(err)
	}
	w.clean()
	if err := w.l.Purge(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	b, err := held.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if first, _, err := record.Next(b); err != nil || first.BaseOffset() != 0 || first.Count() != 2 {
		t.Fatalf("the held range: %v", err)
	}
	held.Release()()
	w.want("beside it", "4:a=1 5:b=1")
}

// Closing, deleting and the order to stop end a cleaning soon, wherever it is.
func TestCompactionStops(t *testing.T) {
	for name, end := range map[string]func(w *compacting, cancel func()) error{
		"close":   func(w *compacting, _ func()) error { return w.l.Close() },
		"discard": func(w *compacting, _ func()) error { w.l.Discard(); return nil },
		"context": func(_ *compacting, cancel func()) error { cancel(); return nil },
	} {
		for _, after := range []time.Duration{0, 9000 * time.Second} { // while keys are gathered, while a group is copied
			synctest.Test(t, func(t *testing.T) {
				fs := memfs.New()
				w := dirtyLog(t, fs)
				w.c.Allowed = func() float64 { return 1 } // it is caught in its throttle
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				result, ended := make(chan error), make(chan error)
				go func() { // ends with the cleaning, whose result is awaited
					_, err := w.l.Compact(ctx, w.c, -1, w.stable())
					result <- err
				}()
				time.Sleep(after)
				synctest.Wait()
				if copying := slices.ContainsFunc(fs.Names(dir), func(n string) bool { return strings.HasSuffix(n, ".cleaned") }); copying != (after > 0) {
					t.Errorf("%s after %v: copying: %v", name, after, copying)
				}
				began := time.Now()
				go func() { ended <- end(w, cancel) }() // awaited below
				if err := <-result; !errors.Is(err, commitlog.ErrClosed) && !errors.Is(err, context.Canceled) {
					t.Errorf("%s: %v", name, err)
				}
				if err := <-ended; err != nil || time.Since(began) != 0 {
					t.Errorf("%s: after %v, %v", name, time.Since(began), err)
				}
				noRemnants(t, name, fs)
			})
		}
	}
}

func TestCompactionIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dirtyLog(t, memfs.New())
		w.c.Allowed = func() float64 { return 10_000 }
		began := time.Now()
		dirty := w.l.SizeBytes()
		done := w.clean()
		// The dirty part is read twice, for its keys and for its records.
		bytes := float64(dirty + done.BytesRead + done.BytesWritten)
		if took := time.Since(began).Seconds(); took < bytes/10_000*0.9 || took > bytes/10_000*1.2 {
			t.Fatalf("%.0f bytes in %.2f s", bytes, took)
		}
	})
}

// A cleaning whose limit is altered while it waits goes on by the new one.
func TestAnAlteredThrottleHoldsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dirtyLog(t, memfs.New())
		began := time.Now()
		w.c.Allowed = func() float64 {
			if time.Since(began) < 10*time.Second {
				return 1
			}
			return math.MaxFloat64
		}
		w.clean()
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("it ended after %v", took)
		}
	})
}
