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

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/errfs"
	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/protocol"
)

// openTwo opens a set over /one and /two.
func openTwo(fs commitlog.FS, boot string, change func(*SetConfig)) (*Set, error) {
	dirs, unopened, err := commitlog.OpenDirs(fs, []string{"/one", "/two"}, commitlog.Identity{NodeID: -1}, boot)
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
	if err := errors.Join(s.Maintain(context.Background()), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = mustOpenTwo(t, fs, nil)
	if p = s.Find([]byte("a"), 0); p == nil || p.LogDir() != "/two" {
		t.Fatalf("after a restart: %v", p)
	}
	if err := w.verifyPartition(t, p, w.tried["a-0"]); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(fs.Names("/one"), fs.Names("/two/a-0")...) {
		if strings.HasPrefix(name, "/one/a-0/") || strings.HasSuffix(name, movedFile) {
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
			if err := s.Maintain(context.Background()); err != nil {
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
	states := 0
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
			then.verifyMoved(t, clone, boot, fmt.Sprintf("%d%% kept, crash after operation %d (%s)", percent, n, what))
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
	if states < 100 {
		t.Fatalf("only %d states were looked at", states)
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
	if err := s.MoveTo("t", 2, "/two"); !errors.Is(err, protocol.ErrLogDirNotFound) {
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
