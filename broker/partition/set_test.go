package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
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

// gate is a file system whose fdatasync waits until it is let through.
type gate struct {
	errfs.FS
	mu      sync.Mutex
	closed  bool
	waiting chan struct{}
	open    chan struct{}
	err     error
	syncs   atomic.Int64
}

func newGate() *gate {
	g := &gate{waiting: make(chan struct{}, 1000), open: make(chan struct{})}
	g.FS = errfs.FS{Inner: memfs.New(), Before: func(op, name string) error {
		if op != "fdatasync" || !strings.HasSuffix(name, ".log") {
			return nil
		}
		g.syncs.Add(1)
		g.mu.Lock()
		closed := g.closed
		g.mu.Unlock()
		if closed {
			g.waiting <- struct{}{}
			<-g.open
		}
		return g.err
	}}
	return g
}

func (g *gate) close() { g.mu.Lock(); g.closed = true; g.mu.Unlock() }

// release lets everything through from now on; deferred, so that a test that
// fails does not hang in Close.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		g.closed = false
		close(g.open)
	}
}

// tick is what node does every few seconds.
func tick(s *Set) error {
	return errors.Join(s.Maintain(context.Background()), s.Purge(context.Background()))
}

func openWith(t testing.TB, fs commitlog.FS, d Durability) *Set {
	t.Helper()
	s, err := OpenSet(SetConfig{Dir: "/data", FS: fs, Durability: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // a failed sync makes it fail; tests that care close it themselves
	return s
}

func TestDurabilityModes(t *testing.T) {
	for _, c := range []struct {
		mode     Durability
		acks     int16
		messages int64
		waits    bool
	}{
		{FlushAcks, -1, 0, true}, {FlushAcks, 1, 0, false}, {FlushAcks, 0, 0, false},
		{FlushOS, -1, 0, false}, {FlushOS, 1, 0, false}, {FlushOS, 1, 1, true},
		{FlushAlways, -1, 0, true}, {FlushAlways, 1, 0, true}, {FlushAlways, 0, 0, true},
	} {
		p := mustCreate(t, openWith(t, memfs.New(), c.mode), "t", 0, Config{FlushMessages: c.messages})
		if got := p.MustWait(c.acks); got != c.waits {
			t.Errorf("%+v: MustWait is %v", c, got)
		}
	}
}

// Group commit: what arrives while one sync runs is released by the next, all at once.
func TestGroupCommit(t *testing.T) {
	g := newGate()
	s := openWith(t, g, FlushAcks)
	p := mustCreate(t, s, "t", 0, Config{})
	g.close()
	defer g.release()
	released := make(chan int, 100)
	wait := func(i int) {
		r := mustAppend(t, p, "v")
		p.WhenDurable(r.LastOffset+1, func(err error) {
			if err != nil {
				t.Error(err)
			}
			released <- i
		})
	}
	wait(0)
	<-g.waiting
	for i := 1; i <= 50; i++ {
		wait(i)
	}
	if len(released) != 0 {
		t.Fatal("acknowledged before the sync was over")
	}
	g.open <- struct{}{}
	if i := <-released; i != 0 {
		t.Fatalf("%d was released by a sync that began before it", i)
	}
	<-g.waiting
	if n := len(released); n != 0 {
		t.Fatalf("%d were released by a sync that began before their append", n)
	}
	g.open <- struct{}{}
	for i := 1; i <= 50; i++ {
		if got := <-released; got != i {
			t.Fatalf("released %d, want %d", got, i)
		}
	}
	if n := g.syncs.Load(); n != 2 {
		t.Fatalf("%d syncs for 51 waiting, want 2", n)
	}
	p.WhenDurable(51, func(err error) { released <- -1 })
	if got := <-released; got != -1 {
		t.Fatal("what is durable already must not wait")
	}
}

func TestFailedSyncFailsEveryWaiter(t *testing.T) {
	g := newGate()
	var told atomic.Int64
	s, err := OpenSet(SetConfig{Dir: "/data", FS: g, OnOffline: func(*Partition, error) { told.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	p, other := mustCreate(t, s, "t", 0, Config{}), mustCreate(t, s, "t", 1, Config{})
	g.err = errors.New("input/output error")
	w := NewWaiter()
	p.Watch(w)
	mustAppend(t, p, "v")
	<-w.C
	errs := make(chan error, 3)
	for range 3 {
		p.WhenDurable(1, func(err error) { errs <- err })
	}
	for range 3 {
		if err := <-errs; !errors.Is(err, protocol.ErrKafkaStorageError) {
			t.Fatalf("after a failed fsync: %v", err)
		}
	}
	<-w.C
	if _, err := p.Read(ReadOptions{CurrentLeaderEpoch: -1, LastFetchedEpoch: -1}); !errors.Is(err, protocol.ErrKafkaStorageError) {
		t.Fatalf("read: %v", err)
	}
	p.WhenDurable(1, func(err error) { errs <- err })
	if err := <-errs; err == nil {
		t.Fatal("durable after a failed fsync")
	}
	if told.Load() != 1 || other.Offline() != nil {
		t.Fatalf("told %d times; the other partition: %v", told.Load(), other.Offline())
	}
	if err := s.Close(); err == nil {
		t.Fatal("this was no clean stop")
	}
}

// flush=always: nothing is readable before it is durable.
func TestFlushAlwaysHidesWhatIsNotDurable(t *testing.T) {
	g := newGate()
	p := mustCreate(t, openWith(t, g, FlushAlways), "t", 0, Config{SegmentBytes: 150, IndexIntervalBytes: 10})
	w := NewWaiter()
	p.Watch(w)
	defer p.Forget(w)
	g.close()
	defer g.release()
	mustAppend(t, p, "a")
	<-g.waiting
	mustAppend(t, p, "b")
	mustAppend(t, p, "c")
	o := p.Offsets()
	if o.HighWatermark != 0 || o.LogEnd != 3 {
		t.Fatalf("before the sync: %+v", o)
	}
	read := func(from int64) (ReadResult, error) {
		return p.Read(ReadOptions{Offset: from, MaxBytes: 1 << 20, MinOneBatch: true, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
	}
	if r, err := read(0); err != nil || len(r.Bytes) != 0 {
		t.Fatalf("read %d bytes, %v", len(r.Bytes), err)
	}
	if _, err := read(2); !errors.Is(err, protocol.ErrOffsetOutOfRange) {
		t.Fatalf("above the high watermark: %v", err)
	}
	select {
	case <-w.C:
		t.Fatal("woken before anything was readable")
	default:
	}
	g.open <- struct{}{}
	<-w.C
	r, err := read(0)
	if b, rest, e := record.Next(r.Bytes); err != nil || e != nil || b.LastOffset() != 0 || len(rest) != 0 {
		t.Fatalf("after the first sync: %v, %v, %d bytes too many", err, e, len(rest))
	}
	g.release()
	<-w.C
	if got := readAll(t, p, 0, 1<<20); fmt.Sprint(got) != "[a b c]" {
		t.Fatalf("at last: %v", got)
	}
}

func TestWatchLosesNothing(t *testing.T) {
	s := openSet(t, t.TempDir(), FlushOS)
	p := mustCreate(t, s, "t", 0, Config{})
	const n = 3000
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			for next := int64(0); next < n; {
				w := NewWaiter()
				p.Watch(w)
				if p.Offsets().HighWatermark == next {
					select {
					case <-w.C:
					case <-time.After(10 * time.Second):
						t.Errorf("nobody woke the waiter at %d, the log ends at %d", next, p.Offsets().LogEnd)
						p.Forget(w)
						return
					}
				}
				p.Forget(w)
				next = p.Offsets().HighWatermark
			}
		})
	}
	b := batchOf(t, 1, "v")
	for range n {
		b.SetBaseOffset(0)
		if _, err := p.Append(b, AppendOptions{CurrentLeaderEpoch: -1}); err != nil {
			t.Fatal(err)
		}
	}
	running.Wait()
	if p.waiting.Load() != 0 {
		t.Fatalf("%d waiters are left", p.waiting.Load())
	}
}

func TestDeleteTopic(t *testing.T) {
	dir := t.TempDir()
	s := openSet(t, dir, FlushAcks)
	p := mustCreate(t, s, "gone", 0, Config{})
	mustCreate(t, s, "stays", 0, Config{})
	mustAppend(t, p, "v")
	if _, err := p.DeleteRecords(-1); err != nil {
		t.Fatal(err)
	}
	w := NewWaiter()
	p.Watch(w)
	if err := s.Delete("gone"); err != nil {
		t.Fatal(err)
	}
	<-w.C
	if s.Find([]byte("gone"), 0) != nil {
		t.Fatal("still found")
	}
	if q, _ := s.FindByID(p.ID(), 0); q != nil {
		t.Fatal("still found by id")
	}
	if _, err := p.Append(batchOf(t, 1, "v"), AppendOptions{CurrentLeaderEpoch: -1}); !errors.Is(err, protocol.ErrUnknownTopicOrPartition) {
		t.Fatalf("append: %v", err)
	}
	if err := s.Delete("gone"); !errors.Is(err, protocol.ErrUnknownTopicOrPartition) {
		t.Fatalf("again: %v", err)
	}
	fresh := mustCreate(t, s, "gone", 0, Config{})
	if o := fresh.Offsets(); o != (Offsets{}) {
		t.Fatalf("the new topic has offsets %+v", o)
	}
	if err := tick(s); err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "-delete") {
			t.Fatalf("%s is left", e.Name())
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSet(t, dir, FlushAcks)
	if o := s.Find([]byte("gone"), 0).Offsets(); o != (Offsets{}) {
		t.Fatalf("after a restart: %+v", o)
	}
}

func TestUnknownThingsAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	s := openSet(t, dir, FlushAcks)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"photos-2024/cat.jpg", "notes/x", "__cluster_metadata-0/00000000000000000000.log", "a-b/c", "backup-delete/y", "t-01/00000000000000000000.log"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("precious"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	s = openSet(t, dir, FlushAcks)
	s.Each(func(p *Partition) bool { t.Errorf("%s was opened", p); return true })
	if _, err := s.Create("photos", TopicID{1}, 2024, Config{}); err == nil {
		t.Fatal("a partition was made in somebody's directory")
	}
	if err := errors.Join(tick(s), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"photos-2024/cat.jpg", "notes/x", "backup-delete/y"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); string(b) != "precious" {
			t.Fatalf("%s: %q, %v", name, b, err)
		}
	}
}

// One damaged log takes one partition offline.
func TestCorruptPartitionComesUpOffline(t *testing.T) {
	dir := t.TempDir()
	s := openSet(t, dir, FlushAcks)
	for i := range int32(3) {
		p := mustCreate(t, s, "t", i, Config{})
		for range 20 {
			mustAppend(t, p, "value")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "t-1", "00000000000000000000.log")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 0xff
	if err := errors.Join(os.WriteFile(name, b, 0o644), os.Remove(filepath.Join(dir, ".kafka_cleanshutdown")),
		os.Remove(filepath.Join(dir, commitlog.RecoveryPointFile))); err != nil {
		t.Fatal(err)
	}
	s = openSet(t, dir, FlushAcks)
	for i := range int32(3) {
		p := s.Find([]byte("t"), i)
		if offline := p.Offline(); (offline != nil) != (i == 1) {
			t.Fatalf("partition %d: %v", i, offline)
		}
		_, err := p.Append(batchOf(t, 1, "v"), AppendOptions{CurrentLeaderEpoch: -1})
		if want := i == 1; errors.Is(err, protocol.ErrKafkaStorageError) != want {
			t.Fatalf("append to partition %d: %v", i, err)
		}
		if _, _, _, err := p.OffsetForTimestamp(0, false); (err != nil) != (i == 1) {
			t.Fatalf("partition %d: %v", i, err)
		}
	}
	if after, _ := os.ReadFile(name); string(after) != string(b) {
		t.Fatal("the damaged file was changed")
	}
}

func TestAppendRefusals(t *testing.T) {
	now := int64(1_000_000_000)
	s, err := OpenSet(SetConfig{Dir: "/data", FS: memfs.New(), NowMs: func() int64 { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cfg := Config{MaxMessageBytes: 300, SegmentBytes: 1000, TimestampBeforeMax: time.Hour, TimestampAfterMax: time.Minute}
	p := mustCreate(t, s, "t", 0, cfg)
	corrupt := batchOf(t, now, "v")
	corrupt[len(corrupt)-1] ^= 1
	for _, c := range []struct {
		why   string
		b     []byte
		epoch int32
		want  error
	}{
		{"fine", batchOf(t, now, "v"), -1, nil},
		{"fine with the right epoch", batchOf(t, now, "v"), 0, nil},
		{"a newer epoch", batchOf(t, now, "v"), 1, protocol.ErrUnknownLeaderEpoch},
		{"too large", batchOf(t, now, strings.Repeat("v", 300)), -1, protocol.ErrMessageTooLarge},
		{"far too large", batchOf(t, now, strings.Repeat("v", 2000)), -1, protocol.ErrMessageTooLarge}, // before anything else, as in Kafka
		{"together larger than a segment", bytes.Repeat(batchOf(t, now, strings.Repeat("v", 200)), 4), -1, protocol.ErrRecordListTooLarge},
		{"corrupt", corrupt, -1, protocol.ErrCorruptMessage},
		{"cut short", batchOf(t, now, "v")[:66], -1, protocol.ErrCorruptMessage},
		{"nothing", nil, -1, protocol.ErrInvalidRecord},
		{"in the future", batchOf(t, now+61_000, "v"), -1, protocol.ErrInvalidTimestamp},
		{"in the past", batchOf(t, now-3_601_000, "v"), -1, protocol.ErrInvalidTimestamp},
		{"transactional", producedBatch(t, record.Builder{ProducerID: 1, Transactional: true}, now, "v"), -1, protocol.ErrInvalidTxnState},
		{"a gap in the sequence", producedBatch(t, record.Builder{ProducerID: 2}, now, "v"), -1, nil},
		{"a gap in the sequence", producedBatch(t, record.Builder{ProducerID: 2, BaseSequence: 5}, now, "v"), -1, protocol.ErrOutOfOrderSequenceNumber},
	} {
		before := p.Offsets().LogEnd
		_, err := p.Append(c.b, AppendOptions{CurrentLeaderEpoch: c.epoch})
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.why, err, c.want)
		}
		if grew := p.Offsets().LogEnd > before; grew != (c.want == nil) {
			t.Errorf("%s: the log grew: %v", c.why, grew)
		}
	}
}

func TestLogAppendTime(t *testing.T) {
	now := int64(5000)
	s, err := OpenSet(SetConfig{Dir: "/data", FS: memfs.New(), NowMs: func() int64 { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := mustCreate(t, s, "t", 0, Config{LogAppendTime: true})
	b := func() record.Batch { return producedBatch(t, record.Builder{ProducerID: 1}, 77, "a", "b") }
	r, err := p.Append(b(), AppendOptions{CurrentLeaderEpoch: -1})
	if err != nil || r.LogAppendTime != 5000 {
		t.Fatalf("%+v, %v", r, err)
	}
	now = 6000
	if r, err = p.Append(b(), AppendOptions{CurrentLeaderEpoch: -1}); err != nil || !r.Duplicate || r.LogAppendTime != 5000 {
		t.Fatalf("a retry: %+v, %v", r, err)
	}
	if offset, ts, _, err := p.OffsetForTimestamp(4999, false); err != nil || offset != 0 || ts != 5000 {
		t.Fatalf("found %d at %d, %v", offset, ts, err)
	}
	if offset, _, _, err := p.OffsetForTimestamp(5001, false); err != nil || offset != -1 {
		t.Fatalf("found %d, %v", offset, err)
	}
}

func TestManyPartitions(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSet(SetConfig{Dir: dir, OpenFiles: 20})
	if err != nil {
		t.Fatal(err)
	}
	const n = 400
	for i := range int32(n) {
		mustAppend(t, mustCreate(t, s, fmt.Sprintf("topic-%d", i/100), i%100, Config{}), "v")
	}
	if open := s.files.Open(); open > 20 {
		t.Fatalf("%d files are open", open)
	}
	var missing error
	allocs := testing.AllocsPerRun(1000, func() {
		if s.Find([]byte("topic-3"), 99) == nil || s.Find([]byte("topic-4"), 0) != nil || s.Find([]byte("topic-3"), 100) != nil {
			missing = errors.New("look-up")
		}
	})
	if allocs != 0 || missing != nil {
		t.Fatalf("%.1f allocations a look-up, %v", allocs, missing)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenSet(SetConfig{Dir: dir, OpenFiles: 20}); err != nil {
		t.Fatal(err)
	}
	seen := 0
	s.Each(func(p *Partition) bool {
		if p.Offsets().LogEnd == 1 {
			seen++
		}
		return true
	})
	if seen != n {
		t.Fatalf("%d partitions after a restart, want %d", seen, n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			s, err := OpenSet(SetConfig{Dir: filepath.Join(b.TempDir(), "d"), Durability: FlushOS})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			p := mustCreate(b, s, "t", 0, Config{SegmentBytes: 64 << 20, RetentionBytes: 64 << 20, DeleteOld: true})
			batch := batchOf(b, time.Now().UnixMilli(), strings.Repeat("v", size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				batch.SetBaseOffset(0)
				if _, err := p.Append(batch, AppendOptions{CurrentLeaderEpoch: -1}); err != nil {
					b.Fatal(err)
				}
				if i%((128<<20)/size) == 0 {
					if err := tick(s); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
