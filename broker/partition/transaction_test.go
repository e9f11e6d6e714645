package partition

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

func transactional(t testing.TB, id int64, epoch int16, sequence int32, values ...string) record.Batch {
	t.Helper()
	return producedBatch(t, record.Builder{ProducerID: id, ProducerEpoch: epoch, BaseSequence: sequence, Transactional: true}, 1000, values...)
}

// mustVerified appends a transactional batch as if the coordinator had confirmed it.
func mustVerified(t testing.TB, p *Partition, b record.Batch) AppendResult {
	t.Helper()
	g, err := p.BeginVerification(b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), false)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Append(b, AppendOptions{Acks: -1, CurrentLeaderEpoch: -1, Guard: g})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustMark(t testing.TB, p *Partition, id int64, epoch int16, commit bool) AppendResult {
	t.Helper()
	r, err := p.AppendMarker(Marker{ProducerID: id, ProducerEpoch: epoch, Commit: commit})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// awaitDurable returns when all below end is on stable storage.
func awaitDurable(t testing.TB, p *Partition, end int64) {
	t.Helper()
	done := make(chan error, 1)
	p.WhenDurable(end, func(err error) { done <- err })
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a sync hangs")
	}
}

// readCommitted reads once and returns the base offsets of the batches, and
// the aborted transactions.
func readCommitted(t testing.TB, p *Partition, offset int64) ([]int64, []AbortedTransaction) {
	t.Helper()
	r, err := p.Read(ReadOptions{Offset: offset, MaxBytes: 1 << 20, MinOneBatch: true, ReadCommitted: true, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
	if err != nil {
		t.Fatal(err)
	}
	var bases []int64
	for _, b := range batchesOf(t, r) {
		bases = append(bases, b.BaseOffset())
	}
	return bases, r.Aborted
}

// batchesOf takes what a read found and releases it.
func batchesOf(t testing.TB, r ReadResult) []record.Batch {
	t.Helper()
	b := r.Bytes
	if r.File != nil {
		b = make([]byte, r.Size)
		if _, err := r.File.ReadAt(b, r.Position); err != nil {
			t.Fatal(err)
		}
	}
	if r.Release != nil {
		r.Release()
	}
	var batches []record.Batch
	for len(b) > 0 {
		batch, rest, err := record.Next(b)
		if err != nil {
			t.Fatal(err)
		}
		batches, b = append(batches, batch), rest
	}
	return batches
}

// Readers of committed records stop at the first open transaction, are told
// what was aborted, and are woken when a marker moves the last stable offset.
func TestReadCommitted(t *testing.T) {
	for _, dir := range []string{t.TempDir(), ""} { // a real file, and memory
		var s *Set
		if dir != "" {
			s = openSet(t, dir, FlushAcks)
		} else {
			s = openWith(t, memfs.New(), FlushAcks)
		}
		p := mustCreate(t, s, "t", 0, Config{})
		mustAppend(t, p, "plain")                               // 0
		mustVerified(t, p, transactional(t, 7, 0, 0, "a", "b")) // 1, 2
		mustAppend(t, p, "behind")                              // 3
		mustVerified(t, p, transactional(t, 8, 0, 0, "c"))      // 4
		if o := p.Offsets(); o.LastStable != 1 || o.HighWatermark != 5 {
			t.Fatalf("%+v", o)
		}
		if bases, aborted := readCommitted(t, p, 0); !slices.Equal(bases, []int64{0}) || len(aborted) != 0 {
			t.Fatalf("batches %v, aborted %v", bases, aborted)
		}
		if bases, _ := readCommitted(t, p, 1); len(bases) != 0 {
			t.Fatalf("batches %v of an open transaction", bases)
		}
		w := NewWaiter()
		p.Watch(w)
		mustMark(t, p, 8, 0, true) // 5
		select {
		case <-w.C: // the high watermark moved, the last stable offset did not
		default:
			t.Fatal("a marker woke nobody")
		}
		if o := p.Offsets(); o.LastStable != 1 {
			t.Fatalf("%+v", o)
		}
		mustMark(t, p, 7, 0, false) // 6
		select {
		case <-w.C:
		default:
			t.Fatal("a marker woke nobody")
		}
		p.Forget(w)
		if o := p.Offsets(); o.LastStable != 7 {
			t.Fatalf("%+v", o)
		}
		bases, aborted := readCommitted(t, p, 0)
		if !slices.Equal(bases, []int64{0, 1, 3, 4, 5, 6}) || !slices.Equal(aborted, []AbortedTransaction{{ProducerID: 7, FirstOffset: 1}}) {
			t.Fatalf("batches %v, aborted %v", bases, aborted)
		}
		if r, err := p.Read(ReadOptions{MaxBytes: 1 << 20, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1}); err != nil || r.Aborted != nil || len(batchesOf(t, r)) != 6 {
			t.Fatalf("read_uncommitted: %+v, %v", r.Aborted, err)
		}
	}
}

// Look-ups by time end where the reader's log ends.
func TestTimeLookUpOfCommitted(t *testing.T) {
	p := mustCreate(t, openWith(t, memfs.New(), FlushOS), "t", 0, Config{})
	mustVerified(t, p, transactional(t, 7, 0, 0, "a"))
	for committed, want := range map[bool]int64{false: 0, true: -1} {
		if offset, _, _, err := p.OffsetForTimestamp(0, committed); err != nil || offset != want {
			t.Errorf("committed %v: offset %d, want %d, %v", committed, offset, want, err)
		}
		if offset, _, _, err := p.MaxTimestamp(committed); err != nil || offset != want {
			t.Errorf("committed %v: offset %d of the newest, want %d, %v", committed, offset, want, err)
		}
	}
	mustMark(t, p, 7, 0, true)
	if offset, ts, _, err := p.OffsetForTimestamp(0, true); err != nil || offset != 0 || ts != 1000 {
		t.Errorf("offset %d of time %d, %v", offset, ts, err)
	}
}

// B11: a commit whose marker a power cut could take back is not shown. A reader
// that saw it would see the transaction undone.
func TestHalfDurableCommitIsNotStable(t *testing.T) {
	g := newGate()
	p := mustCreate(t, openWith(t, g, FlushAlways), "t", 0, Config{})
	mustVerified(t, p, transactional(t, 7, 0, 0, "a"))
	awaitDurable(t, p, 1)
	g.close()
	defer g.release()
	mustMark(t, p, 7, 0, true)
	<-g.waiting // the marker's sync has begun, and does not end
	if o := p.Offsets(); o.LastStable != 0 || o.HighWatermark != 1 || o.LogEnd != 2 {
		t.Fatalf("%+v", o)
	}
	if bases, _ := readCommitted(t, p, 0); len(bases) != 0 {
		t.Fatalf("batches %v", bases)
	}
	g.release()
	awaitDurable(t, p, 2)
	if o := p.Offsets(); o.LastStable != 2 {
		t.Fatalf("%+v", o)
	}
}

// B16 and its kind, with Kafka's codes.
func TestTransactionErrors(t *testing.T) {
	p := mustCreate(t, openWith(t, memfs.New(), FlushOS), "t", 0, Config{})
	if _, err := p.Append(transactional(t, 7, 3, 0, "a"), AppendOptions{CurrentLeaderEpoch: -1}); !errors.Is(err, protocol.ErrInvalidTxnState) {
		t.Errorf("an unverified batch: %v", err)
	}
	mustVerified(t, p, transactional(t, 7, 3, 0, "a"))
	if _, err := p.BeginVerification(7, 2, 0, true); !errors.Is(err, protocol.ErrInvalidProducerEpoch) {
		t.Errorf("verification of a stale epoch: %v", err)
	}
	for _, c := range []struct {
		why  string
		m    Marker
		want error
	}{
		{"of the epoch that is writing, version 2", Marker{ProducerID: 7, ProducerEpoch: 3, TransactionVersion: 2}, protocol.ErrInvalidProducerEpoch},
		{"of an older epoch", Marker{ProducerID: 7, ProducerEpoch: 2}, protocol.ErrInvalidProducerEpoch},
		{"of a bumped epoch", Marker{ProducerID: 7, ProducerEpoch: 4, CoordinatorEpoch: 5, TransactionVersion: 2}, nil},
		{"of a former coordinator", Marker{ProducerID: 7, ProducerEpoch: 4, CoordinatorEpoch: 4, TransactionVersion: 2}, protocol.ErrTransactionCoordinatorFenced},
		{"the same again", Marker{ProducerID: 7, ProducerEpoch: 4, CoordinatorEpoch: 5, TransactionVersion: 2}, nil},
		{"without a producer", Marker{ProducerID: -1}, protocol.ErrInvalidRequest},
		{"without an epoch", Marker{ProducerID: 7, ProducerEpoch: -1}, protocol.ErrInvalidRequest},
	} {
		before := p.Offsets().LogEnd
		_, err := p.AppendMarker(c.m)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("a marker %s: %v, want %v", c.why, err, c.want)
		}
		if grew := p.Offsets().LogEnd > before; grew != (c.want == nil) {
			t.Errorf("a marker %s: the log grew: %v", c.why, grew)
		}
	}
	known, err := p.Producers()
	if err != nil || len(known) != 1 || known[0].ID != 7 || known[0].Epoch != 4 || known[0].TransactionStart != -1 {
		t.Errorf("producers %+v, %v", known, err)
	}
	p.AbandonVerification(7, 99) // unknown: nothing happens
}

// B14: what a reader is told as the end of its log never goes back, to 0 least
// of all, and fits what was told with it; and what it is shown turns out to have
// been committed. The writer, readers and the syncer run beside each other.
func TestLastStableOffsetNeverGoesBack(t *testing.T) {
	for name, durability := range map[string]Durability{"os": FlushOS, "always": FlushAlways} {
		t.Run(name, func(t *testing.T) {
			p := mustCreate(t, openWith(t, memfs.New(), durability), "t", 0, Config{SegmentBytes: 20_000, IndexIntervalBytes: 300})
			stop := make(chan struct{})
			var running sync.WaitGroup
			var seen [3][]observed
			for i := range seen {
				running.Go(func() { seen[i] = observe(t, p, rand.New(rand.NewPCG(5, uint64(i))), stop) })
			}
			hidden := writeTransactions(t, p, 2500)
			awaitDurable(t, p, p.Offsets().LogEnd)
			close(stop)
			running.Wait()
			for i := range seen {
				shown := 0
				for _, o := range seen[i] {
					for base := range hidden {
						if want := !hidden[base]; base >= o.from && base < o.to && slices.Contains(o.shown, base) != want {
							t.Fatalf("reader %d of [%d, %d): batch %d was shown: %v", i, o.from, o.to, base, !want)
						}
					}
					shown += len(o.shown)
				}
				if shown < 50 {
					t.Fatalf("reader %d saw only %d batches", i, shown)
				}
			}
		})
	}
}

// observed is one read: the batches of [from, to) that a reader of committed records shows.
type observed struct {
	from, to int64
	shown    []int64
}

// observe reads until stop closes, and often enough to see something.
func observe(t *testing.T, p *Partition, random *rand.Rand, stop chan struct{}) (seen []observed) {
	last := Offsets{}
	for {
		select {
		case <-stop:
			if len(seen) >= 60 {
				return seen
			}
		default:
		}
		o := p.Offsets()
		if o.LogStart > o.LastStable || o.LastStable > o.HighWatermark || o.HighWatermark > o.LogEnd {
			t.Errorf("offsets out of order: %+v", o)
			return seen
		}
		if o.LastStable < last.LastStable || o.HighWatermark < last.HighWatermark {
			t.Errorf("%+v after %+v", o, last)
			return seen
		}
		last = o
		if o.LastStable == 0 || len(seen) == 300 {
			continue
		}
		from := random.Int64N(o.LastStable)
		r, err := p.Read(ReadOptions{Offset: from, MaxBytes: 2000, MinOneBatch: true, ReadCommitted: true, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
		if err != nil {
			t.Error(err)
			return seen
		}
		seen = append(seen, consume(batchesOf(t, r), r.Aborted))
	}
}

// consume shows what a consumer would of a fetched range.
func consume(batches []record.Batch, aborted []AbortedTransaction) observed {
	if len(batches) == 0 {
		return observed{}
	}
	o := observed{from: batches[0].BaseOffset(), to: batches[len(batches)-1].LastOffset() + 1}
	hidden := map[int64]bool{}
	for _, b := range batches {
		for _, a := range aborted {
			if a.FirstOffset >= o.from && a.FirstOffset == b.BaseOffset() || a.FirstOffset < o.from && b.BaseOffset() == o.from {
				hidden[a.ProducerID] = true
			}
		}
		switch {
		case b.IsControl():
			delete(hidden, b.ProducerID())
		case !b.IsTransactional() || !hidden[b.ProducerID()]:
			o.shown = append(o.shown, b.BaseOffset())
		}
	}
	return o
}

// writeTransactions appends batches of three producers, in transactions and
// outside, and markers; at the end nothing is open. It returns for every data
// batch, by base offset, whether it was aborted.
func writeTransactions(t *testing.T, p *Partition, n int) map[int64]bool {
	random := rand.New(rand.NewPCG(1, 2))
	aborted := map[int64]bool{}
	open := map[int64][]int64{} // by producer: the batches of its transaction
	next := map[int64]int32{}
	end := func(id int64) {
		commit := random.IntN(2) == 0
		mustMark(t, p, id, 0, commit)
		for _, base := range open[id] {
			aborted[base] = !commit
		}
		delete(open, id)
	}
	for range n {
		id := 1 + random.Int64N(3)
		switch random.IntN(4) {
		case 0:
			aborted[mustAppend(t, p, "plain").BaseOffset] = false
		case 1:
			end(id)
		default:
			r := mustVerified(t, p, transactional(t, id, 0, next[id], "in a transaction"))
			next[id]++
			open[id] = append(open[id], r.BaseOffset)
		}
	}
	for id := range open {
		end(id)
	}
	return aborted
}
