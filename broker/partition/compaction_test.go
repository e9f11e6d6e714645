package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/errfs"
	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/record"
)

var compacted = Config{SegmentBytes: 1000, IndexIntervalBytes: 200, MaxMessageBytes: 1 << 20, Retention: -1, RetentionBytes: -1, Compact: true}

func keyed(t testing.TB, key, value string) record.Batch {
	t.Helper()
	b, err := record.Builder{ProducerID: -1}.Build([]record.Record{{Timestamp: 1000, Key: []byte(key), Value: []byte(value)}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t testing.TB, p *Partition, key, value string) {
	t.Helper()
	if _, err := p.Append(keyed(t, key, value), AppendOptions{Acks: -1, CurrentLeaderEpoch: -1}); err != nil {
		t.Fatal(err)
	}
}

// fill writes n records under k keys, a segment holding eight or so.
func fill(t testing.TB, p *Partition, n, k int) {
	t.Helper()
	for i := range n {
		put(t, p, fmt.Sprintf("key-%d", i%k), fmt.Sprintf("%d-%s", i, strings.Repeat("v", 40)))
	}
}

// compactAll cleans until nothing is due and returns the partitions in the order of their cleaning.
func compactAll(t testing.TB, s *Set) []string {
	t.Helper()
	var order []string
	for {
		p, _, err := s.Compact(context.Background(), commitlog.CleanerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if p == nil {
			return order
		}
		if order = append(order, p.String()); len(order) > 100 {
			t.Fatalf("no end: %v", order[90:])
		}
	}
}

// contents are the last values by key, and how many records hold them.
func contents(t testing.TB, p *Partition) (values map[string]string, records int) {
	t.Helper()
	values = map[string]string{}
	o := p.Offsets()
	for offset := o.LogStart; offset < o.HighWatermark; {
		r, err := p.Read(ReadOptions{Offset: offset, MaxBytes: 2000, MinOneBatch: true, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
		if err != nil || len(r.Bytes) == 0 {
			t.Fatalf("read at %d: %d bytes, %v", offset, len(r.Bytes), err)
		}
		for b := r.Bytes; len(b) > 0; {
			batch, rest, err := record.Next(b)
			if err != nil {
				t.Fatal(err)
			}
			if err := record.Records(batch, 1<<20, func(r record.Record) error {
				values[string(r.Key)] = string(r.Value)
				records++
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			offset, b = batch.LastOffset()+1, rest
		}
	}
	return values, records
}

func compactingSet(t testing.TB, fs commitlog.FS, boot string) *Set {
	t.Helper()
	s, err := OpenSet(SetConfig{Dir: "/data", FS: fs, BootID: boot, ConfigFor: func(topic string) Config {
		if topic == "plain" {
			return Config{}
		}
		return compacted
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closed by most tests already
	return s
}

func checkpoint(t testing.TB, fs *memfs.FS) string {
	t.Helper()
	b, err := fs.ReadFile("/data/cleaner-offset-checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCompactTakesTheDirtiestFirst(t *testing.T) {
	fs := memfs.New()
	s := compactingSet(t, fs, "boot")
	a, b := mustCreate(t, s, "a", 0, compacted), mustCreate(t, s, "bb", 0, compacted)
	mustCreate(t, s, "little", 0, compacted)
	plain := mustCreate(t, s, "plain", 0, Config{SegmentBytes: 1000})
	fill(t, a, 40, 3)
	fill(t, plain, 40, 3)
	if got := fmt.Sprint(compactAll(t, s)); got != "[a-0]" {
		t.Fatalf("cleaned %s", got)
	}
	fill(t, b, 40, 3)
	fill(t, a, 9, 3)
	if stats := s.Cleaner(); stats.LookedAtMs == 0 || stats.Last.BytesRead == 0 || stats.Last.Took <= 0 {
		t.Fatalf("%+v", stats)
	}
	order := compactAll(t, s)
	if len(order) == 0 || order[0] != "bb-0" {
		t.Fatalf("cleaned %v, bb is the dirtiest", order)
	}
	for _, p := range []*Partition{a, b} {
		values, records := contents(t, p)
		if len(values) != 3 || records > 3+16 {
			t.Fatalf("%s holds %d records of %d keys", p, records, len(values))
		}
	}
	if values, records := contents(t, plain); len(values) != 3 || records != 40 {
		t.Fatalf("a topic that is not compacted holds %d records", records)
	}
	if s.cleaner != nil {
		t.Fatal("the cleaner's memory is held while nothing is due")
	}
}

func TestCleanerCheckpointOutlivesRestarts(t *testing.T) {
	fs := memfs.New()
	s := compactingSet(t, fs, "boot")
	a := mustCreate(t, s, "a", 0, compacted)
	fill(t, a, 40, 3)
	compactAll(t, s)
	want := fmt.Sprintf("0\n1\na 0 %d\n", a.cleaned.Load())
	if got := checkpoint(t, fs); got != want || a.cleaned.Load() < 25 {
		t.Fatalf("checkpoint %q, want %q", got, want)
	}
	before, _ := contents(t, a)
	// What the checkpoint tells is there after a crash that lost all it could.
	crashed := compactingSet(t, fs.CrashClone(0, nil), "another boot").Find([]byte("a"), 0)
	if crashed == nil || crashed.cleaned.Load() != a.cleaned.Load() {
		t.Fatalf("after a crash: %v, cleaned to %d before", crashed, a.cleaned.Load())
	}
	if values, records := contents(t, crashed); len(values) != 3 || records > 3+8 {
		t.Fatalf("after a crash: %d records of %d keys", records, len(values))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = compactingSet(t, fs, "boot")
	a = s.Find([]byte("a"), 0)
	if order := compactAll(t, s); len(order) != 0 {
		t.Fatalf("cleaned %v again", order)
	}
	if after, _ := contents(t, a); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Fatalf("%v after the restart, %v before", after, before)
	}
	// A topic of the same name begins anew.
	if err := s.Delete("a"); err != nil {
		t.Fatal(err)
	}
	if got := checkpoint(t, fs); got != "0\n0\n" {
		t.Fatalf("checkpoint %q after the topic's deletion", got)
	}
	a = mustCreate(t, s, "a", 0, compacted)
	fill(t, a, 60, 3)
	compactAll(t, s)
	if _, records := contents(t, a); records > 3+9 {
		t.Fatalf("%d records are left of 3 keys", records)
	}
}

// While a topic is deleted its log may be under the cleaner's hands; the
// directory of the next topic of that name must not be.
func TestDeletingWhileCleaning(t *testing.T) {
	inner := memfs.New()
	copying, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fs := &errfs.FS{Inner: inner, Before: func(op, name string) error {
		if op == "fdatasync" && strings.HasSuffix(name, ".cleaned") {
			once.Do(func() { close(copying); <-goOn })
		}
		return nil
	}}
	s := compactingSet(t, fs, "boot")
	a := mustCreate(t, s, "a", 0, compacted)
	fill(t, a, 60, 3)
	type result struct {
		p   *Partition
		err error
	}
	cleaned, deleted := make(chan result, 1), make(chan error, 1)
	go func() { // awaited below
		p, _, err := s.Compact(context.Background(), commitlog.CleanerConfig{})
		cleaned <- result{p, err}
	}()
	<-copying
	go func() { deleted <- s.Delete("a") }() // awaited below
	for a.Offline() == nil {
		time.Sleep(time.Millisecond) // until the deletion has begun
	}
	select {
	case err := <-deleted:
		t.Fatalf("deleted under the cleaner's hands: %v", err)
	default:
	}
	close(goOn)
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
	if r := <-cleaned; r.p != nil || r.err != nil {
		t.Fatalf("the cleaning of a deleted log: %v, %v", r.p, r.err)
	}
	a = mustCreate(t, s, "a", 0, compacted)
	put(t, a, "k", "fresh")
	if values, _ := contents(t, a); len(values) != 1 || values["k"] != "fresh" {
		t.Fatalf("the new topic holds %v", values)
	}
	names := slices.DeleteFunc(inner.Names("/data"), func(n string) bool { return !strings.HasPrefix(n, "/data/a-0/") })
	if len(names) != 2 { // its segment and partition.metadata
		t.Fatalf("the new topic's directory holds %v", names)
	}
}

func TestUncleanablePartitionIsPassedOver(t *testing.T) {
	fs := memfs.New()
	s := compactingSet(t, fs, "boot")
	fill(t, mustCreate(t, s, "damaged", 0, compacted), 40, 3)
	fill(t, mustCreate(t, s, "sound", 0, compacted), 40, 4)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join("/data/damaged-0", "00000000000000000000.log")
	b, err := fs.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-5] ^= 1
	fs.WriteFile(name, b)
	s = compactingSet(t, fs, "boot")
	_, _, err = s.Compact(context.Background(), commitlog.CleanerConfig{})
	for range 3 { // whichever comes first
		if err != nil {
			break
		}
		_, _, err = s.Compact(context.Background(), commitlog.CleanerConfig{})
	}
	if !errors.Is(err, commitlog.ErrUncleanable) || !strings.Contains(err.Error(), "damaged-0") {
		t.Fatal(err)
	}
	compactAll(t, s)
	if _, records := contents(t, s.Find([]byte("sound"), 0)); records > 4+9 {
		t.Fatalf("the other log holds %d records", records)
	}
	if stats := s.Cleaner(); stats.Uncleanable != 1 || stats.UncleanableBytes < 1000 {
		t.Fatalf("%+v", stats)
	}
	if s.Find([]byte("damaged"), 0).Offline() != nil {
		t.Fatal("what cannot be cleaned can still be used")
	}
	if after, _ := fs.ReadFile(name); !bytes.Equal(after, b) {
		t.Fatal("the damaged file was touched")
	}
}

// A full disk stops the cleaner, not the log; when there is room again it goes on.
func TestFullDiskStopsTheCleanerOnly(t *testing.T) {
	fs := memfs.New()
	now := int64(10_000_000)
	s, err := OpenSet(SetConfig{Dir: "/data", FS: fs, BootID: "b", NowMs: func() int64 { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := mustCreate(t, s, "a", 0, compacted)
	fill(t, a, 60, 3)
	if err := tick(s); err != nil {
		t.Fatal(err)
	}
	fs.Quota = 1
	if p, _, err := s.Compact(context.Background(), commitlog.CleanerConfig{}); p != nil || !errors.Is(err, memfs.ErrNoSpace) || a.Offline() != nil {
		t.Fatalf("%v, %v, offline: %v", p, err, a.Offline())
	}
	if p, _, err := s.Compact(context.Background(), commitlog.CleanerConfig{}); p != nil || err != nil {
		t.Fatalf("tried again at once: %v, %v", p, err)
	}
	fs.Quota = 0
	now += cleanRetry.Milliseconds()
	if order := compactAll(t, s); len(order) != 1 {
		t.Fatalf("cleaned %v", order)
	}
	if _, records := contents(t, a); records > 3+9 {
		t.Fatalf("%d records are left", records)
	}
}

// cleanup.policy=compact,delete: what is old goes, of the rest the last by key stays.
func TestCompactAndDelete(t *testing.T) {
	now := int64(1000)
	s, err := OpenSet(SetConfig{Dir: "/data", FS: memfs.New(), BootID: "b", NowMs: func() int64 { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cfg := compacted
	cfg.DeleteOld, cfg.Retention = true, time.Hour
	a := mustCreate(t, s, "a", 0, cfg)
	fill(t, a, 60, 3)
	compactAll(t, s)
	if _, records := contents(t, a); records > 3+9 {
		t.Fatalf("%d records are left", records)
	}
	now += 2 * time.Hour.Milliseconds()
	if err := tick(s); err != nil {
		t.Fatal(err)
	}
	if o := a.Offsets(); o.LogStart != 60 || o.LogEnd != 60 {
		t.Fatalf("all of it is old: %+v", o)
	}
	if order := compactAll(t, s); len(order) != 0 {
		t.Fatalf("cleaned %v", order)
	}
}
