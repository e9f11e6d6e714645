package partition

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/errfs"
	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// openTwo opens a set over /one and /two.
func openTwo(fs commitlog.FS, boot string, change func(*SetConfig)) (*Set, error) {
	return openDirs(fs, []string{"/one", "/two"}, boot, change)
}

func openDirs(fs commitlog.FS, paths []string, boot string, change func(*SetConfig)) (*Set, error) {
	dirs, unopened, err := commitlog.OpenDirs(fs, paths, commitlog.Identity{NodeID: -1}, boot)
	if err != nil {
		return nil, err
	}
	c := SetConfig{
		LogDirs: dirs, Unopened: unopened, Workers: 1, OpenFiles: 6,
		ConfigFor:   func(string) Config { return crashConfig },
		OnDirFailed: func(string, error, int) {},
	}
	if change != nil {
		change(&c)
	}
	return OpenSet(c)
}

func mustOpenTwo(t testing.TB, fs commitlog.FS, change func(*SetConfig)) *Set {
	t.Helper()
	s, err := openTwo(fs, "boot", change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closed by most tests already
	return s
}

// runMoves runs the moves until count have ended, and returns their errors.
func runMoves(t testing.TB, s *Set, count int) []error {
	t.Helper()
	ended := make(chan error, 100)
	s.onMoved = func(_ *Partition, _, _ string, err error) { ended <- err }
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.RunMoves(ctx) }) // it returns nil
	var errs []error
	for range count {
		errs = append(errs, <-ended)
	}
	cancel()
	running.Wait()
	return errs
}

func TestPartitionsAreSpread(t *testing.T) {
	fs := memfs.New()
	s := mustOpenTwo(t, fs, nil)
	for i := range int32(6) {
		mustAppend(t, mustCreate(t, s, "t", i, crashConfig), "v")
	}
	for round := range 2 {
		count := map[string]int{}
		s.Each(func(p *Partition) bool {
			count[p.LogDir()]++
			if p.Offsets().LogEnd != 1 {
				t.Errorf("%s: %+v", p, p.Offsets())
			}
			return true
		})
		if count["/one"] != 3 || count["/two"] != 3 {
			t.Fatalf("round %d: %v", round, count)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			s = mustOpenTwo(t, fs, nil)
		}
	}
	for _, dir := range []string{"/one", "/two"} {
		if _, err := fs.ReadFile(dir + "/meta.properties"); err != nil {
			t.Error(err)
		}
	}
}

func TestMoveKeepsTheLog(t *testing.T) {
	fs := memfs.New()
	s := mustOpenTwo(t, fs, nil)
	w := newPromised()
	p := mustCreate(t, s, "a", 0, crashConfig)
	for i := range 40 {
		w.step(t, p, 1+i%3, false)
	}
	if _, err := p.DeleteRecords(8); err != nil {
		t.Fatal(err)
	}
	before := p.Offsets()
	if err := s.MoveTo("a", 0, "/two"); err != nil {
		t.Fatal(err)
	}
	f, moves := p.Future()
	if !moves || f.Dir != "/two" || f.OffsetLag != before.LogEnd-before.LogStart {
		t.Fatalf("%+v %v", f, moves)
	}
	w.step(t, p, 2, true)
	if err := errors.Join(runMoves(t, s, 1)...); err != nil {
		t.Fatal(err)
	}
	after := p.Offsets()
	if _, moves := p.Future(); moves || p.LogDir() != "/two" || after.LogStart != 8 || after.LogEnd != before.LogEnd+2 || after.HighWatermark != after.LogEnd {
		t.Fatalf("in %s with %+v, was %+v", p.LogDir(), after, before)
	}
	w.step(t, p, 1, true)
	if err := errors.Join(tick(s), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = mustOpenTwo(t, fs, nil)
	if p = s.Find([]byte("a"), 0); p == nil || p.LogDir() != "/two" {
		t.Fatalf("after a restart: %v", p)
	}
	if err := w.verifyPartition(t, p, w.tried["a-0"]); err != nil {
		t.Fatal(err)
	}
	for _, name := range fs.Names("/") {
		if strings.HasPrefix(name, "/one/a-0") || strings.Contains(name, futureDirSuffix) || name == commitlog.MoveMarkPath("/two/a-0") {
			t.Errorf("%s is left", name)
		}
	}
}

// Reads and waits for durability that meet the exchange of the logs go on.
func TestMoveWhileServing(t *testing.T) {
	for range 20 {
		s := mustOpenTwo(t, memfs.New(), nil)
		p := mustCreate(t, s, "a", 0, crashConfig)
		mustAppend(t, p, "first")
		var stop atomic.Bool
		var working sync.WaitGroup
		var appended, read atomic.Int64
		working.Go(func() {
			for !stop.Load() {
				r, err := p.Append(batchOf(t, 1, "v"), AppendOptions{Acks: -1, CurrentLeaderEpoch: -1})
				if err != nil {
					t.Error(err)
					return
				}
				done := make(chan error, 1)
				p.WhenDurable(r.LastOffset+1, func(err error) { done <- err })
				if err := <-done; err != nil {
					t.Error(err)
					return
				}
				appended.Add(1)
			}
		})
		working.Go(func() {
			for !stop.Load() {
				r, err := p.Read(ReadOptions{MaxBytes: 1 << 10, MinOneBatch: true, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
				if err != nil {
					t.Error(err)
					return
				}
				if r.Release != nil {
					r.Release()
				}
				if _, _, _, err := p.OffsetForTimestamp(0, false); err != nil {
					t.Error(err)
					return
				}
				read.Add(1)
			}
		})
		for _, to := range []string{"/two", "/one", "/two"} {
			if err := s.MoveTo("a", 0, to); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(runMoves(t, s, 1)...); err != nil {
				t.Fatal(err)
			}
			if err := tick(s); err != nil {
				t.Fatal(err)
			}
		}
		stop.Store(true)
		working.Wait()
		if got := int64(len(readAll(t, p, 0, 1<<20))); got != p.Offsets().LogEnd || got < appended.Load()+1 {
			t.Fatalf("%d records in a log that ends at %d, %d were acknowledged", got, p.Offsets().LogEnd, appended.Load())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMoveRefusals(t *testing.T) {
	s := mustOpenTwo(t, memfs.New(), nil)
	p := mustCreate(t, s, "a", 0, crashConfig)
	for _, c := range []struct {
		why, topic, dir string
		want            error
	}{
		{"to where it is", "a", "/one", nil},
		{"to no log directory", "a", "/three", protocol.ErrLogDirNotFound},
		{"by a relative path", "a", "two", protocol.ErrLogDirNotFound},
		{"of a partition that is not here", "b", "/one", protocol.ErrReplicaNotAvailable},
		{"to another one", "a", "/two", nil},
		{"to another one, again", "a", "/two", nil},
	} {
		if err := s.MoveTo(c.topic, 0, c.dir); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.why, err, c.want)
		}
	}
	// Back to where it is cancels the move.
	if err := s.MoveTo("a", 0, "/one"); err != nil {
		t.Fatal(err)
	}
	if _, moves := p.Future(); moves {
		t.Fatal("the move was not cancelled")
	}
	// The wish for a partition that was not here is kept, although /two has fewer.
	if b := mustCreate(t, s, "b", 0, crashConfig); b.LogDir() != "/one" {
		t.Fatalf("made in %s", b.LogDir())
	}
	if err := s.MoveTo("b", 0, "/two"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(runMoves(t, s, 1)...); err != nil {
		t.Fatal(err)
	}
}

// Whatever moment the machine stops at, a start finds the partition once and
// whole, and ends what was begun.
func TestCrashDuringMoves(t *testing.T) {
	states, served := 0, 0
	for _, percent := range []int{0, 50, 100} {
		fs := memfs.New()
		w := newPromised()
		random := rand.New(rand.NewPCG(7, uint64(percent)))
		boot := "another boot"
		if percent == 100 {
			boot = "boot"
		}
		var one sync.Mutex // operations of the syncer, the mover and the test come at once
		var armed atomic.Bool
		fs.AfterOp = func(n int, what string) {
			if !armed.Load() || t.Failed() {
				return
			}
			one.Lock()
			defer one.Unlock()
			states++
			clone, then := w.crash(fs, percent, random)
			where := fmt.Sprintf("%d%% kept, crash after operation %d (%s)", percent, n, what)
			for _, missing := range []string{"/one", "/two"} {
				// What is served while a directory is missing holds when it is back.
				again, after := clone.CrashClone(100, random), then.now()
				if after.serveWithout(t, again, missing, boot, where) {
					served++
				}
				again.Kill()
				after.verifyMoved(t, again, boot, where+", after a start without "+missing)
			}
			then.verifyMoved(t, clone, boot, where)
		}
		s := mustOpenTwo(t, fs, nil)
		p := mustCreate(t, s, "a", 0, crashConfig)
		w.lead(p.LeaderEpoch())
		for i := range 12 {
			w.step(t, p, 1+i%3, i == 11)
		}
		if _, err := p.DeleteRecords(5); err != nil {
			t.Fatal(err)
		}
		w.start["a-0"] = 5
		armed.Store(true)
		for _, to := range []string{"/two", "/one"} {
			if err := s.MoveTo("a", 0, to); err != nil {
				t.Fatal(err)
			}
			w.step(t, p, 1, true)
			if err := errors.Join(runMoves(t, s, 1)...); err != nil {
				t.Fatal(err)
			}
			w.step(t, p, 1, true)
		}
		armed.Store(false)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d states, %d times served with one directory", states, served)
	if states < 100 || served < 100 {
		t.Fatalf("only %d states were looked at, and %d times served with one directory", states, served)
	}
}

// serveWithout starts a broker to whom one directory is missing. Whatever it
// serves must be all there is, and what is appended to it is promised.
func (w *promised) serveWithout(t *testing.T, inner commitlog.FS, missing, boot, where string) (served bool) {
	t.Helper()
	fs := &errfs.FS{Inner: inner, Before: func(op, name string) error {
		if strings.HasPrefix(name, missing) {
			return fmt.Errorf("%s %s: input/output error", op, name)
		}
		return nil
	}}
	other := map[string]string{"/one": "/two", "/two": "/one"}[missing]
	s, err := openDirs(fs, []string{other, missing}, boot, nil)
	if err != nil {
		t.Errorf("%s, without %s: %v", where, missing, err)
		return false
	}
	defer func() { _ = s.Close() }() // with an error where the partition is offline
	p, err := s.Host("a", TopicID{1, 1}, 0, crashConfig)
	if err != nil {
		t.Errorf("%s, without %s: %v", where, missing, err)
		return false
	}
	if p.Offline() != nil {
		return false
	}
	if err := w.verifyPartition(t, p, w.durable["a-0"]); err != nil {
		t.Errorf("%s, without %s: %v", where, missing, err)
		return false
	}
	done := make(chan error, 1)
	end := p.Offsets().LogEnd
	p.WhenDurable(end, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Errorf("%s, without %s: %v", where, missing, err)
		return false
	}
	w.tried["a-0"], w.durable["a-0"] = max(w.tried["a-0"], end), end
	w.epoch = p.LeaderEpoch() - 1 // a clean stop follows: the same may lead again
	return true
}

// Whatever moment a directory stops working at, the partition is served from
// the other with all that was acknowledged, or waits for the directory.
func TestDirectoryFailsDuringMove(t *testing.T) {
	ended := map[string]int{}
	for _, victim := range []string{"/one", "/two"} {
		for fault := 1; ; fault++ {
			var operations atomic.Int64
			var armed, hit atomic.Bool
			inner := memfs.New()
			fs := &errfs.FS{Inner: inner, Before: func(op, name string) error {
				if !armed.Load() || !strings.HasPrefix(name, victim) {
					return nil
				}
				if operations.Add(1) < int64(fault) {
					return nil
				}
				hit.Store(true)
				return fmt.Errorf("%s %s: input/output error", op, name)
			}}
			where := fmt.Sprintf("%s fails from its operation %d on", victim, fault)
			s := mustOpenTwo(t, fs, nil)
			w := newPromised()
			p := mustCreate(t, s, "a", 0, crashConfig)
			w.lead(p.LeaderEpoch())
			for i := range 12 {
				w.step(t, p, 1+i%3, i == 11)
			}
			if _, err := p.DeleteRecords(5); err != nil {
				t.Fatal(err)
			}
			w.start["a-0"] = 5
			armed.Store(true)
			if s.MoveTo("a", 0, "/two") == nil {
				_ = runMoves(t, s, 1) // as the fault wants
			}
			w.stepUnlessOffline(t, p)
			if p.Offline() != nil {
				ended["offline"]++
			} else {
				ended[p.LogDir()]++
			}
			serves := p.Offline() == nil && p.LogDir() != victim
			_ = s.Close()       // it reports the directory
			w.lead(w.epoch - 1) // the directory that works was closed properly: its epoch may go on
			if !hit.Load() {
				break
			}
			inner.Kill()
			if w.serveWithout(t, inner, victim, "boot", where) {
				ended["served by the other"]++
			} else if serves {
				t.Errorf("%s: it was served by the other, and is not after a restart", where)
			}
			inner.Kill()
			w.verifyMoved(t, inner, "boot", where)
		}
	}
	t.Log(ended)
	for _, how := range []string{"offline", "/one", "/two", "served by the other"} {
		if ended[how] == 0 {
			t.Errorf("no partition ended %s: %v", how, ended)
		}
	}
}

// stepUnlessOffline appends a record and notes it as durable if that is what it was told.
func (w *promised) stepUnlessOffline(t *testing.T, p *Partition) {
	t.Helper()
	name := p.String()
	from := w.tried[name]
	b := producedBatch(t, record.Builder{ProducerID: 7, BaseSequence: int32(from)}, 1000+from, fmt.Sprintf("%s/%d/", name, from))
	w.tried[name]++
	if _, err := p.Append(b, AppendOptions{Acks: -1, CurrentLeaderEpoch: -1}); err != nil {
		return
	}
	done := make(chan error, 1)
	p.WhenDurable(from+1, func(err error) { done <- err })
	if <-done == nil {
		w.durable[name] = from + 1
	}
}

// moveTo moves a partition and waits for it.
func moveTo(t testing.TB, s *Set, p *Partition, dir string) {
	t.Helper()
	if err := s.MoveTo(p.Topic(), p.Index(), dir); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(runMoves(t, s, 1)...); err != nil {
		t.Fatal(err)
	}
	if p.LogDir() != dir {
		t.Fatalf("%s is in %s", p, p.LogDir())
	}
}

// crashed is what a broker finds after the machine lost power.
func crashed(t testing.TB, fs *memfs.FS) *Set {
	t.Helper()
	s, err := openTwo(fs.CrashClone(0, rand.New(rand.NewPCG(1, 1))), "another boot", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Where a log has no batch left, what it knows besides moves too: where it ends, and its producers.
func TestMoveOfEmptiedLog(t *testing.T) {
	fs := memfs.New()
	s := mustOpenTwo(t, fs, nil)
	p := mustCreate(t, s, "a", 0, crashConfig)
	batch := func(sequence int32) record.Batch {
		return producedBatch(t, record.Builder{ProducerID: 7, BaseSequence: sequence}, 1000, "v")
	}
	for i := range int32(40) {
		if _, err := p.Append(batch(i), AppendOptions{Acks: -1, CurrentLeaderEpoch: -1}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.DeleteRecords(-1); err != nil {
		t.Fatal(err)
	}
	if err := tick(s); err != nil {
		t.Fatal(err)
	}
	moveTo(t, s, p, "/two")
	for _, found := range []*Partition{crashed(t, fs).Find([]byte("a"), 0), p} {
		if o := found.Offsets(); o.LogStart != 40 || o.LogEnd != 40 || found.LogDir() != "/two" {
			t.Fatalf("in %s: %+v", found.LogDir(), o)
		}
		for _, c := range []struct {
			sequence  int32
			duplicate bool
		}{{39, true}, {40, false}} {
			r, err := found.Append(batch(c.sequence), AppendOptions{Acks: -1, CurrentLeaderEpoch: -1})
			if err != nil || r.Duplicate != c.duplicate || r.BaseOffset != int64(c.sequence) {
				t.Errorf("sequence %d: %+v, %v", c.sequence, r, err)
			}
		}
		if _, err := found.Append(batch(45), AppendOptions{Acks: -1, CurrentLeaderEpoch: -1}); !errors.Is(err, protocol.ErrOutOfOrderSequenceNumber) {
			t.Errorf("a gap in the sequence: %v", err)
		}
	}
}

// Readers of committed records find after a move what they found before, and
// transactions that were open, or about to open, go on.
func TestMoveOfTransactions(t *testing.T) {
	fs := memfs.New()
	s := mustOpenTwo(t, fs, nil)
	p := mustCreate(t, s, "a", 0, crashConfig)
	for i := range int32(6) { // over several segments, which begin in the middle of transactions
		mustVerified(t, p, transactional(t, 1, 0, 2*i, strings.Repeat("a", 300)))
		mustVerified(t, p, transactional(t, 2, 0, 2*i, strings.Repeat("b", 300)))
		mustVerified(t, p, transactional(t, 1, 0, 2*i+1, "c"))
		mustMark(t, p, 1, 0, i%2 == 0)
		mustVerified(t, p, transactional(t, 2, 0, 2*i+1, "d"))
		mustMark(t, p, 2, 0, false)
	}
	mustVerified(t, p, transactional(t, 3, 0, 0, "open"))
	guard, err := p.BeginVerification(4, 0, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	awaitDurable(t, p, p.Offsets().LogEnd)
	type view struct {
		bases   []int64
		aborted []AbortedTransaction
		offsets Offsets
	}
	look := func(p *Partition) string {
		var views []view
		for offset := int64(0); offset < p.Offsets().LastStable; offset++ {
			bases, aborted := readCommitted(t, p, offset)
			views = append(views, view{bases, aborted, p.Offsets()})
		}
		return fmt.Sprint(views)
	}
	before := look(p)
	moveTo(t, s, p, "/two")
	if after := look(p); after != before {
		t.Errorf("after the move\n%.2000s\nbefore\n%.2000s", after, before)
	}
	again := crashed(t, fs).Find([]byte("a"), 0)
	if after := look(again); after != before {
		t.Errorf("after a crash\n%.2000s\nbefore\n%.2000s", after, before)
	}
	if _, err := p.Append(transactional(t, 4, 0, 0, "verified"), AppendOptions{Acks: -1, CurrentLeaderEpoch: -1, Guard: guard}); err != nil {
		t.Errorf("after the verification: %v", err)
	}
	mustMark(t, p, 3, 0, true)
	if o, want := p.Offsets(), p.Offsets().LogEnd-2; o.LastStable != want { // producer 4's record
		t.Errorf("%+v, expected the last stable offset at %d", o, want)
	}
}

// A compacted log keeps its gaps, and is cleaned on from where it was.
func TestMoveOfCompactedLog(t *testing.T) {
	fs := memfs.New()
	configured := func(c *SetConfig) { c.ConfigFor = func(string) Config { return compacted } }
	s := mustOpenTwo(t, fs, configured)
	p := mustCreate(t, s, "a", 0, compacted)
	fill(t, p, 60, 5)
	compactAll(t, s)
	fill(t, p, 20, 7)
	cleaned := p.cleaned.Load()
	values, records := contents(t, p)
	before := p.Offsets()
	if cleaned <= 0 || int64(records) >= before.LogEnd-before.LogStart {
		t.Fatalf("cleaned to %d, %d records in %+v", cleaned, records, before)
	}
	moveTo(t, s, p, "/two")
	awaitDurable(t, p, before.LogEnd)
	clone, err := openTwo(fs.CrashClone(0, rand.New(rand.NewPCG(1, 1))), "another boot", configured)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range []*Partition{p, clone.Find([]byte("a"), 0)} {
		if got, n := contents(t, found); n != records || fmt.Sprint(got) != fmt.Sprint(values) || found.Offsets() != before || found.cleaned.Load() != cleaned {
			t.Errorf("%d records in %+v, cleaned to %d; had %d in %+v, %d", n, found.Offsets(), found.cleaned.Load(), records, before, cleaned)
		}
	}
	for _, of := range []*Set{s, clone} {
		if len(compactAll(t, of)) == 0 {
			t.Error("nothing was cleaned after the move")
		}
		if got, _ := contents(t, of.Find([]byte("a"), 0)); fmt.Sprint(got) != fmt.Sprint(values) {
			t.Errorf("cleaning after the move: %v, expected %v", got, values)
		}
		if err := of.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A move that another wish replaced is not taken up again after a crash.
func TestCancelledMoveStaysCancelled(t *testing.T) {
	fs := memfs.New()
	s := mustOpenTwo(t, fs, nil)
	mustAppend(t, mustCreate(t, s, "a", 0, crashConfig), "v")
	for _, to := range []string{"/two", "/one"} {
		if err := s.MoveTo("a", 0, to); err != nil {
			t.Fatal(err)
		}
	}
	clone := fs.CrashClone(0, rand.New(rand.NewPCG(1, 1)))
	again := mustOpenTwo(t, clone, nil)
	if _, moves := again.Find([]byte("a"), 0).Future(); moves {
		t.Error("it is moved")
	}
	if err := tick(s); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(fs.Names("/two"), clone.Names("/two")...) {
		if strings.Contains(name, "a-0") {
			t.Errorf("%s is left", name)
		}
	}
}

// A limit that is altered while a log is copied holds soon.
func TestMoveIsPaced(t *testing.T) {
	asked := make(chan struct{}, 100)
	var rate atomic.Int64
	s := mustOpenTwo(t, memfs.New(), func(c *SetConfig) {
		c.MoveBytesPerSecond = func() int64 {
			answer := rate.Load() // before it is altered below
			select {
			case asked <- struct{}{}:
			default:
			}
			return answer
		}
	})
	p := mustCreate(t, s, "a", 0, crashConfig)
	mustAppend(t, p, "v")
	if err := s.MoveTo("a", 0, "/two"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var lifted sync.WaitGroup
	lifted.Go(func() {
		<-asked
		rate.Store(1 << 62)
	})
	if err := errors.Join(runMoves(t, s, 1)...); err != nil {
		t.Fatal(err)
	}
	lifted.Wait()
	if took := time.Since(began); took < 400*time.Millisecond || took > 10*time.Second {
		t.Errorf("it took %v; at a byte a second it was to wait, and to look again after half a second", took)
	}
}

func (w *promised) verifyMoved(t *testing.T, fs *memfs.FS, boot, where string) {
	t.Helper()
	s, err := openTwo(fs, boot, nil)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	p := s.Find([]byte("a"), 0)
	switch {
	case p == nil:
		t.Errorf("%s: the partition is gone", where)
	case p.Offline() != nil:
		t.Errorf("%s: %v", where, p.Offline())
	case p.LeaderEpoch() <= w.epoch:
		t.Errorf("%s: it is led with epoch %d again", where, p.LeaderEpoch())
	default:
		if err := w.verifyPartition(t, p, w.durable["a-0"]); err != nil {
			t.Errorf("%s: in %s: %v", where, p.LogDir(), err)
			break
		}
		o := p.Offsets()
		if future, moves := p.Future(); moves {
			err := errors.Join(runMoves(t, s, 1)...)
			if err != nil || p.LogDir() != future.Dir || p.Offsets() != o {
				t.Errorf("%s: going on with the move: %v; in %s, %+v, was %+v", where, err, p.LogDir(), p.Offsets(), o)
			}
		}
		if got := int64(len(readAll(t, p, o.LogStart, 1<<20))); got != o.LogEnd-o.LogStart {
			t.Errorf("%s: %d records in [%d, %d)", where, got, o.LogStart, o.LogEnd)
		}
		other := map[string]string{"/one": "/two", "/two": "/one"}[p.LogDir()]
		if _, err := fs.Stat(filepath.Join(other, "a-0")); err == nil {
			t.Errorf("%s: it is in %s, and in %s too", where, p.LogDir(), other)
		}
	}
	if err := s.Close(); err != nil && !t.Failed() {
		t.Errorf("%s: %v", where, err)
	}
}

// failing is a file system whose /two does not work while broken is set.
func failing() (*errfs.FS, *atomic.Bool) {
	var broken atomic.Bool
	return &errfs.FS{Inner: memfs.New(), Before: func(op, name string) error {
		if broken.Load() && strings.HasPrefix(name, "/two") {
			return fmt.Errorf("%s %s: input/output error", op, name)
		}
		return nil
	}}, &broken
}

func TestFailedDirectoryTakesItsPartitionsOffline(t *testing.T) {
	fs, broken := failing()
	var failed []string
	var left int
	watch := func(c *SetConfig) {
		c.OnDirFailed = func(path string, _ error, n int) { failed, left = append(failed, path), n }
	}
	s := mustOpenTwo(t, fs, watch)
	for i := range int32(4) {
		mustAppend(t, mustCreate(t, s, "t", i, crashConfig), "v")
	}
	moving := s.Find([]byte("t"), 0)
	if err := s.MoveTo("t", 0, "/two"); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	bad := s.Find([]byte("t"), 1)
	if bad.LogDir() != "/two" {
		t.Fatalf("partition 1 is in %s", bad.LogDir())
	}
	if _, err := bad.Append(batchOf(t, 1, "v"), AppendOptions{CurrentLeaderEpoch: -1}); !errors.Is(err, protocol.ErrKafkaStorageError) {
		t.Fatalf("append: %v", err)
	}
	if len(failed) != 1 || failed[0] != "/two" || left != 1 || s.FailedDirs() != 1 {
		t.Fatalf("told of %v, %d left", failed, left)
	}
	for i := range int32(4) {
		p := s.Find([]byte("t"), i)
		_, err := p.Append(batchOf(t, 1, "v"), AppendOptions{CurrentLeaderEpoch: -1})
		if (err != nil) != (p.LogDir() == "/two") {
			t.Errorf("%s in %s: %v", p, p.LogDir(), err)
		}
	}
	// The move that was going there ends, and its partition goes on.
	if errs := runMoves(t, s, 1); errs[0] == nil {
		t.Error("a move to a failed directory went well")
	}
	if _, moves := moving.Future(); moves || moving.Offline() != nil || moving.LogDir() != "/one" {
		t.Errorf("%s: %v in %s", moving, moving.Offline(), moving.LogDir())
	}
	if err := s.MoveTo("t", 2, "/two"); !errors.Is(err, protocol.ErrKafkaStorageError) {
		t.Errorf("a move to it: %v", err)
	}
	if p := mustCreate(t, s, "new", 0, crashConfig); p.LogDir() != "/one" {
		t.Errorf("a new partition is in %s", p.LogDir())
	}
	if err := s.Close(); err == nil {
		t.Error("this was no clean stop")
	}
	// A start without the directory makes nothing anew that may lie there.
	fs.Inner.(*memfs.FS).Kill()
	s = mustOpenTwo(t, fs, watch)
	if p, err := s.Host("t", TopicID{1, 1}, 1, crashConfig); err != nil || !errors.Is(p.Offline(), protocol.ErrKafkaStorageError) {
		t.Fatalf("%v, %v", p, err)
	}
	if p, err := s.Create("fresh", TopicID{9}, 0, crashConfig); err != nil || p.Offline() != nil {
		t.Fatalf("a new topic: %v", err)
	}
	_ = s.Close() // with an offline partition; what follows looks at the files
	// It comes back with all that was acknowledged.
	broken.Store(false)
	fs.Inner.(*memfs.FS).Kill()
	s = mustOpenTwo(t, fs, watch)
	if p := s.Find([]byte("t"), 1); p == nil || p.LogDir() != "/two" || fmt.Sprint(readAll(t, p, 0, 1<<20)) != "[v]" {
		t.Fatalf("after its return: %v", p)
	}
}

// A topic that was deleted, and made again, while a directory had failed:
// what is left of the earlier one is not taken for the present one.
func TestTopicMadeAgainWhileDirectoryHadFailed(t *testing.T) {
	for _, deleted := range []bool{true, false} {
		fs, broken := failing()
		s := mustOpenTwo(t, fs, nil)
		for i := range int32(2) {
			mustAppend(t, mustCreate(t, s, "t", i, crashConfig), "old")
		}
		broken.Store(true)
		if _, err := s.Find([]byte("t"), 1).Append(batchOf(t, 1, "v"), AppendOptions{CurrentLeaderEpoch: -1}); err == nil {
			t.Fatal("an append to a failed directory")
		}
		if err := s.Delete("t"); err != nil {
			t.Fatal(err)
		}
		id := TopicID{9}
		for i := range int32(2) {
			p, err := s.Create("t", id, i, crashConfig)
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, p, "new")
		}
		_ = s.Close() // it tells of the directory
		broken.Store(false)
		fs.Inner.(*memfs.FS).Kill()
		s = mustOpenTwo(t, fs, func(c *SetConfig) {
			c.TopicID = func(string) (TopicID, bool) { return id, true }
			c.DeletedID = func(asked TopicID) bool { return deleted && asked != id }
		})
		for i := range int32(2) {
			p, err := s.Host("t", id, i, crashConfig)
			if err != nil || p.Offline() != nil || p.LogDir() != "/one" || fmt.Sprint(readAll(t, p, 0, 1<<20)) != "[new]" {
				t.Errorf("deleted %v: %v in %s: %v", deleted, p, p.LogDir(), err)
			}
		}
		if _, err := fs.Stat("/two/t-1"); (err == nil) == deleted {
			t.Errorf("deleted %v: the earlier topic's log: %v", deleted, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A partition in two directories, neither of which says that it is the newer
// one, is not opened: a person must choose.
func TestPartitionInTwoDirectories(t *testing.T) {
	fs := memfs.New()
	s := mustOpenTwo(t, fs, nil)
	mustAppend(t, mustCreate(t, s, "t", 0, crashConfig), "v")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.MkdirAll("/two/t-0"); err != nil {
		t.Fatal(err)
	}
	s = mustOpenTwo(t, fs, nil)
	if p := s.Find([]byte("t"), 0); p == nil || p.Offline() == nil || !strings.Contains(p.Offline().Error(), "remove one") {
		t.Fatalf("%v", p)
	}
}
