package commitlog_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/record"
)

// segments are the .log files of the test's directory.
func segments(fs *memfs.FS) []string {
	return slices.DeleteFunc(fs.Names(dir), func(n string) bool { return !strings.HasSuffix(n, ".log") })
}

// What is visited is every byte of the segments, and indexes point at batches.
func TestVisitWholeLog(t *testing.T) {
	fs := memfs.New()
	want, end := filled(t, fs)
	var got []byte
	next, indexed, timed := int64(0), 0, 0
	for _, name := range segments(fs) {
		tail, err := commitlog.VisitBatches(fs, name, func(s commitlog.StoredBatch) error {
			if s.Err != nil || s.Batch.BaseOffset() != next {
				t.Errorf("%s at %d: offset %d, want %d: %v", name, s.Position, s.Batch.BaseOffset(), next, s.Err)
			}
			next = s.Batch.LastOffset() + 1
			got = append(got, s.Batch...)
			return nil
		})
		if err != nil || tail.Size != 0 {
			t.Fatalf("%s: tail %+v, %v", name, tail, err)
		}
		base := strings.TrimSuffix(name, ".log")
		first := baseOf(t, name)
		f, err := fs.OpenFile(name, os.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		err = commitlog.VisitOffsetIndex(fs, base+".index", first, func(e commitlog.IndexedOffset) error {
			indexed++
			at, err := commitlog.ReadBatchPlace(f, e.Position)
			if err != nil || at.LastOffset != e.Offset {
				t.Errorf("%s.index: %+v points at %+v: %v", base, e, at, err)
			}
			return nil
		})
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if err := commitlog.VisitTimeIndex(fs, base+".timeindex", first, func(e commitlog.IndexedTimestamp) error {
			timed++
			if e.TimestampMs < 1000 || e.Offset < first || e.Offset >= end {
				t.Errorf("%s.timeindex: %+v", base, e)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if string(got) != string(want) || next != end {
		t.Errorf("visited %d bytes up to %d, want %d up to %d", len(got), next, len(want), end)
	}
	if indexed < 10 || timed < 4 {
		t.Errorf("only %d offset and %d time entries", indexed, timed)
	}
	snapshots := slices.DeleteFunc(fs.Names(dir), func(n string) bool { return !strings.HasSuffix(n, ".snapshot") })
	if len(snapshots) == 0 {
		t.Fatal("no producer snapshot")
	}
	producers, err := commitlog.ReadProducerSnapshot(fs, snapshots[len(snapshots)-1])
	if err != nil || len(producers) == 0 || producers[0].ProducerID != 5 || producers[0].TransactionStart != -1 {
		t.Errorf("snapshot: %+v, %v", producers, err)
	}
}

func baseOf(t *testing.T, name string) int64 {
	t.Helper()
	var base int64
	for _, digit := range strings.TrimSuffix(filepath.Base(name), ".log") {
		base = base*10 + int64(digit-'0')
	}
	return base
}

func TestVisitDamage(t *testing.T) {
	fs := memfs.New()
	filled(t, fs)
	name := segments(fs)[0]
	whole, err := fs.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := record.Next(whole)
	if err != nil {
		t.Fatal(err)
	}
	visit := func(content []byte) (batches, bad int, tail commitlog.Tail) {
		t.Helper()
		fs.WriteFile(name, content)
		tail, err := commitlog.VisitBatches(fs, name, func(s commitlog.StoredBatch) error {
			batches++
			if s.Err != nil {
				bad++
				if !errors.Is(s.Err, record.ErrChecksum) {
					t.Errorf("%v", s.Err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return batches, bad, tail
	}
	all, _, _ := visit(whole)

	flipped := slices.Clone(whole)
	flipped[len(first)-1] ^= 1
	if n, bad, tail := visit(flipped); n != all || bad != 1 || tail.Size != 0 {
		t.Errorf("a flipped bit: %d of %d batches, %d bad, tail %+v", n, all, bad, tail)
	}
	if n, _, tail := visit(whole[:len(whole)-1]); n != all-1 || tail.Size == 0 || tail.Zeros {
		t.Errorf("torn: %d of %d batches, tail %+v", n, all, tail)
	}
	if n, _, tail := visit(append(slices.Clone(whole), make([]byte, 5000)...)); n != all || tail.Size != 5000 || !tail.Zeros || tail.Position != int64(len(whole)) {
		t.Errorf("preallocated: %d of %d batches, tail %+v", n, all, tail)
	}
	huge := slices.Clone(whole)
	binary.BigEndian.PutUint32(huge[8:], 1<<31-1)
	if n, _, tail := visit(huge); n != 0 || tail.Size != int64(len(huge)) {
		t.Errorf("a huge length: %d batches, tail %+v", n, tail)
	}
	stop := errors.New("stop")
	if _, err := commitlog.VisitBatches(fs, dir+"/absent.log", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
	fs.WriteFile(name, whole)
	if _, err := commitlog.VisitBatches(fs, name, func(commitlog.StoredBatch) error { return stop }); err != stop {
		t.Errorf("a visit that stops: %v", err)
	}
}

func TestVisitSmallFiles(t *testing.T) {
	fs := memfs.New()
	if err := fs.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	aborted := dir + "/00000000000000000000.txnindex"
	entry := binary.BigEndian.AppendUint16(nil, 0)
	for _, n := range []uint64{7, 10, 20, 15} {
		entry = binary.BigEndian.AppendUint64(entry, n)
	}
	fs.WriteFile(aborted, append(slices.Clone(entry), entry...))
	count := 0
	visit := func(a commitlog.StoredAbort) error {
		count++
		if want := (commitlog.StoredAbort{ProducerID: 7, FirstOffset: 10, LastOffset: 20, StableOffset: 15}); a != want {
			t.Errorf("%+v, want %+v", a, want)
		}
		return nil
	}
	if err := commitlog.VisitTransactionIndex(fs, aborted, visit); err != nil || count != 2 {
		t.Errorf("%d entries, %v", count, err)
	}
	fs.WriteFile(aborted, append(slices.Clone(entry), 1))
	if err := commitlog.VisitTransactionIndex(fs, aborted, visit); !errors.Is(err, commitlog.ErrCorrupt) {
		t.Errorf("part of an entry: %v", err)
	}
	epochs := dir + "/" + commitlog.LeaderEpochFile
	fs.WriteFile(epochs, []byte("0\n2\n0 0\n3 25\n"))
	if got, err := commitlog.ReadLeaderEpochs(fs, epochs); err != nil || !slices.Equal(got, []commitlog.EpochStart{{Epoch: 0}, {Epoch: 3, StartOffset: 25}}) {
		t.Errorf("%v, %v", got, err)
	}
	fs.WriteFile(epochs, []byte("0\n1\n0 0\n3 25\n"))
	if _, err := commitlog.ReadLeaderEpochs(fs, epochs); err == nil {
		t.Error("a wrong count is taken")
	}
	snapshot := dir + "/00000000000000000000.snapshot"
	fs.WriteFile(snapshot, []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	if _, err := commitlog.ReadProducerSnapshot(fs, snapshot); !errors.Is(err, commitlog.ErrCorrupt) {
		t.Errorf("a wrong CRC: %v", err)
	}
}

// Whatever a segment file holds, visiting it ends, and covers it.
func FuzzVisitBatches(f *testing.F) {
	fs := memfs.New()
	filled(f, fs)
	whole, err := fs.ReadFile(segments(fs)[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[:500])
	f.Add([]byte{})
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, content []byte) {
		name := dir + "/00000000000000000000.log"
		fs.WriteFile(name, content)
		covered := int64(0)
		tail, err := commitlog.VisitBatches(fs, name, func(s commitlog.StoredBatch) error {
			if s.Position != covered {
				t.Fatalf("a batch at %d after %d bytes", s.Position, covered)
			}
			covered += int64(len(s.Batch))
			return nil
		})
		if err != nil || tail.Position != covered || covered+tail.Size != int64(len(content)) {
			t.Fatalf("%d of %d bytes, tail %+v: %v", covered, len(content), tail, err)
		}
	})
}
