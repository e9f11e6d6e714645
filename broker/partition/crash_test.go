package partition

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// The crash tests run a workload on a file system in memory, stop the machine
// after every operation that changes something, and look at what a broker
// finds that starts on what is left.

// promised is what the workload was told, at one moment.
type promised struct {
	mu       sync.Mutex
	tried    map[string]int64 // records appended, acknowledged or not
	durable  map[string]int64 // end offset of what was acknowledged as durable
	start    map[string]int64 // log start offset that DeleteRecords returned
	deleted  map[string]bool  // topics whose deletion returned
	deleting map[string]bool  // topics whose deletion began
	epoch    int32            // of the running broker, -1 while it starts or stops
}

func newPromised() *promised {
	return &promised{tried: map[string]int64{}, durable: map[string]int64{}, start: map[string]int64{}, deleted: map[string]bool{}, deleting: map[string]bool{}, epoch: -1}
}

func (w *promised) lead(epoch int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.epoch = epoch
}

const crashDir = "/data"

func crashSet(t testing.TB, fs commitlog.FS, boot string, d Durability) (*Set, error) {
	return OpenSet(SetConfig{Dir: crashDir, FS: fs, Durability: d, BootID: boot, Workers: 1, OpenFiles: 3,
		ConfigFor: func(string) Config { return crashConfig }})
}

var crashConfig = Config{SegmentBytes: 1500, IndexIntervalBytes: 200, MaxMessageBytes: 1 << 20, Retention: -1, RetentionBytes: -1}

// step appends one batch of n records to a partition, idempotently, and, when wait is set,
// returns once it is durable.
func (w *promised) step(t testing.TB, p *Partition, n int, wait bool) {
	t.Helper()
	name := p.String()
	w.mu.Lock()
	from := w.tried[name]
	w.tried[name] += int64(n)
	w.mu.Unlock()
	vs := make([]string, n)
	for i := range vs {
		vs[i] = fmt.Sprintf("%s/%d/%0*d", name, from+int64(i), int(from*37%120), 0)
	}
	b := producedBatch(t, record.Builder{ProducerID: 7, ProducerEpoch: 0, BaseSequence: int32(from)}, 1000+from, vs...)
	r, err := p.Append(b, AppendOptions{Acks: -1, CurrentLeaderEpoch: -1})
	if err != nil || r.BaseOffset != from {
		t.Fatalf("append to %s: offset %d, want %d, %v", name, r.BaseOffset, from, err)
	}
	if !wait {
		return
	}
	done := make(chan error, 1)
	p.WhenDurable(r.LastOffset+1, func(err error) {
		if err == nil {
			w.mu.Lock()
			w.durable[name] = max(w.durable[name], r.LastOffset+1)
			w.mu.Unlock()
		}
		done <- err
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// workload is what a broker does in its life, in little.
func (w *promised) workload(t testing.TB, fs *memfs.FS, d Durability) {
	t.Helper()
	s, err := crashSet(t, fs, "boot", d)
	if err != nil {
		t.Fatal(err)
	}
	a, b := mustCreate(t, s, "a", 0, crashConfig), mustCreate(t, s, "bb", 1, crashConfig)
	w.lead(a.LeaderEpoch())
	for i := range 14 {
		w.step(t, a, 1+i%3, i%2 == 0)
		w.step(t, b, 1+i%2, i%5 == 4)
		if i%6 == 5 {
			if err := tick(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	if start, err := a.DeleteRecords(9); err != nil || start != 9 {
		t.Fatalf("DeleteRecords: %d, %v", start, err)
	}
	w.mu.Lock()
	w.start["a-0"] = 9
	w.mu.Unlock()
	if err := tick(s); err != nil {
		t.Fatal(err)
	}
	w.step(t, a, 2, true)
	w.lead(-1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	for name, n := range w.tried {
		w.durable[name] = n // a clean stop keeps everything
	}
	w.mu.Unlock()
	if s, err = crashSet(t, fs, "boot", d); err != nil {
		t.Fatal(err)
	}
	a = s.Find([]byte("a"), 0)
	w.lead(a.LeaderEpoch())
	w.step(t, a, 1, false)
	w.step(t, a, 3, true)
	w.mu.Lock()
	w.deleting["bb-1"] = true
	w.mu.Unlock()
	if err := s.Delete("bb"); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.deleted["bb-1"] = true
	w.mu.Unlock()
	w.step(t, a, 1, true)
	if err := tick(s); err != nil {
		t.Fatal(err)
	}
	w.lead(-1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// now is a copy of the promises. Those of before a crash must hold after it;
// what was tried is known after it.
func (w *promised) now() *promised {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &promised{
		tried: maps.Clone(w.tried), durable: maps.Clone(w.durable), start: maps.Clone(w.start),
		deleted: maps.Clone(w.deleted), deleting: maps.Clone(w.deleting), epoch: w.epoch,
	}
}

// crash clones the file system together with what had been promised by then.
func (w *promised) crash(fs *memfs.FS, percent int, random *rand.Rand) (*memfs.FS, *promised) {
	before := w.now()
	clone := fs.CrashClone(percent, random)
	after := w.now()
	before.tried, before.deleting = after.tried, after.deleting
	before.epoch = min(before.epoch, after.epoch)
	return clone, before
}

// verify starts a broker on what a crash left and checks every promise.
func (w *promised) verify(t *testing.T, fs commitlog.FS, boot, where string) {
	t.Helper()
	s, err := crashSet(t, fs, boot, FlushAcks)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	defer func() {
		if err := s.Close(); err != nil && !t.Failed() {
			t.Errorf("%s: %v", where, err)
		}
	}()
	for name, durable := range w.durable {
		topic, index := name[:len(name)-2], int32(name[len(name)-1]-'0')
		p := s.Find([]byte(topic), index)
		switch {
		case w.deleting[name]:
			if p != nil && w.deleted[name] {
				t.Errorf("%s: %s is back", where, name)
			}
		case p == nil:
			t.Errorf("%s: %s is gone, %d records were durable", where, name, durable)
		case p.Offline() != nil:
			t.Errorf("%s: %v", where, p.Offline())
		case w.epoch >= 0 && p.LeaderEpoch() <= w.epoch:
			t.Errorf("%s: %s is led with epoch %d again", where, name, p.LeaderEpoch())
		default:
			if err := w.verifyPartition(t, p, durable); err != nil {
				t.Errorf("%s: %s: %v", where, name, err)
			}
		}
	}
}

func (w *promised) verifyPartition(t *testing.T, p *Partition, durable int64) error {
	name := p.String()
	o := p.Offsets()
	if o.LogEnd < durable || o.LogEnd > w.tried[name] {
		return fmt.Errorf("ends at %d; %d were durable, %d tried", o.LogEnd, durable, w.tried[name])
	}
	if o.LogStart < w.start[name] {
		return fmt.Errorf("starts at %d, deleted up to %d", o.LogStart, w.start[name])
	}
	got := readAll(t, p, o.LogStart, 700)
	if int64(len(got)) != o.LogEnd-o.LogStart {
		return fmt.Errorf("%d records in [%d, %d)", len(got), o.LogStart, o.LogEnd)
	}
	for i, v := range got {
		if !strings.HasPrefix(v, fmt.Sprintf("%s/%d/", name, o.LogStart+int64(i))) {
			return fmt.Errorf("offset %d holds %q", o.LogStart+int64(i), v)
		}
	}
	// The producer goes on where the log ends, and its retries are known.
	for _, retry := range []bool{false, true} {
		b := producedBatch(t, record.Builder{ProducerID: 7, BaseSequence: int32(o.LogEnd)}, 1, fmt.Sprintf("%s/%d/", name, o.LogEnd))
		r, err := p.Append(b, AppendOptions{Acks: -1, CurrentLeaderEpoch: -1})
		if err != nil || r.BaseOffset != o.LogEnd || r.Duplicate != retry {
			return fmt.Errorf("going on at %d, retry %v: %+v, %v", o.LogEnd, retry, r, err)
		}
	}
	return nil
}

func TestCrashAfterEveryOperation(t *testing.T) {
	states := 0
	for _, durability := range []Durability{FlushAcks, FlushAlways} {
		for _, percent := range []int{0, 50, 100} {
			fs := memfs.New()
			w := newPromised()
			random := rand.New(rand.NewPCG(1, uint64(percent)))
			boot := "another boot"
			if percent == 100 {
				boot = "boot"
			}
			var one sync.Mutex // operations of the syncer and of the workload come at once
			fs.AfterOp = func(n int, what string) {
				one.Lock()
				defer one.Unlock()
				states++
				where := fmt.Sprintf("durability %d, %d%% kept, crash after operation %d (%s)", durability, percent, n, what)
				clone, then := w.crash(fs, percent, random)
				again := clone.CrashClone(100, random)
				then.verify(t, clone, boot, where)
				if n%7 != 0 || t.Failed() {
					return
				}
				// Crash again, somewhere within the recovery.
				stop := random.IntN(20)
				var second *memfs.FS
				again.AfterOp = func(n int, _ string) {
					if n == stop {
						second = again.CrashClone(percent, random)
					}
				}
				if s, err := crashSet(t, again, boot, durability); err == nil {
					s.syncer.stop() // the machine is gone; only the goroutine must not stay
				}
				if second != nil {
					then.verify(t, second, "third boot", where+", and again in recovery")
				}
			}
			w.workload(t, fs, durability)
			if t.Failed() {
				return
			}
		}
	}
	if states < 500 {
		t.Fatalf("only %d crashes: the test proves little", states)
	}
	t.Logf("%d crashes", states)
}

// A checker that finds nothing is worth nothing: without fdatasync, records are lost.
func TestCrashTestFindsMissingSync(t *testing.T) {
	fs := memfs.New()
	s, err := crashSet(t, fs, "boot", FlushAcks)
	if err != nil {
		t.Fatal(err)
	}
	p := mustCreate(t, s, "a", 0, crashConfig)
	w := newPromised()
	w.step(t, p, 3, true)
	w.step(t, p, 3, false)
	clone := fs.CrashClone(0, rand.New(rand.NewPCG(1, 1)))
	after, err := crashSet(t, clone, "other", FlushAcks)
	if err != nil {
		t.Fatal(err)
	}
	if o := after.Find([]byte("a"), 0).Offsets(); o.LogEnd != 3 {
		t.Fatalf("log ends at %d after the crash, want 3: unsynced records survived 0%%", o.LogEnd)
	}
	for _, set := range []*Set{s, after} {
		if err := set.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What a restarted broker serves must survive the machine's crash after it,
// although the process that wrote it had not synced it.
func TestDoubleCrashLeavesNoPhantom(t *testing.T) {
	fs := memfs.New()
	s, err := crashSet(t, fs, "boot", FlushAcks)
	if err != nil {
		t.Fatal(err)
	}
	w := newPromised()
	p := mustCreate(t, s, "a", 0, crashConfig)
	for range 10 {
		w.step(t, p, 3, false)
	}
	s.syncer.stop()
	fs.Kill()
	if s, err = crashSet(t, fs, "boot", FlushAcks); err != nil {
		t.Fatal(err)
	}
	served := s.Find([]byte("a"), 0).Offsets().HighWatermark
	if served != 30 {
		t.Fatalf("a killed process lost records: %d of 30 left", served)
	}
	after, err := crashSet(t, fs.CrashClone(0, rand.New(rand.NewPCG(1, 1))), "other", FlushAcks)
	if err != nil {
		t.Fatal(err)
	}
	if end := after.Find([]byte("a"), 0).Offsets().LogEnd; end != served {
		t.Fatalf("%d records were served after the first crash, %d are left after the second", served, end)
	}
	for _, set := range []*Set{s, after} {
		if err := set.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullDiskTakesOffline(t *testing.T) {
	fs := memfs.New()
	var offline error
	s, err := OpenSet(SetConfig{Dir: crashDir, FS: fs, OnOffline: func(_ *Partition, err error) { offline = err }})
	if err != nil {
		t.Fatal(err)
	}
	p := mustCreate(t, s, "a", 0, Config{})
	mustAppend(t, p, "one")
	fs.Quota = 100
	_, err = p.Append(batchOf(t, 1, "two"), AppendOptions{CurrentLeaderEpoch: -1})
	if !errors.Is(err, protocol.ErrKafkaStorageError) || offline == nil {
		t.Fatalf("append to a full disk: %v; told: %v", err, offline)
	}
	fs.Quota = 0
	if _, err = p.Append(batchOf(t, 1, "three"), AppendOptions{CurrentLeaderEpoch: -1}); err == nil {
		t.Fatal("the log took records after a failed write")
	}
	if err := s.Close(); err == nil {
		t.Fatal("Close of a set with an offline partition must tell")
	}
	if s, err = OpenSet(SetConfig{Dir: crashDir, FS: fs}); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, s.Find([]byte("a"), 0), 0, 1000); fmt.Sprint(got) != "[one]" {
		t.Fatalf("after the restart: %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
