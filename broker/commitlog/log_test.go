package commitlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/errfs"
	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/record"
)

type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// build makes a batch of n records of size bytes each, with timestamps from ts on.
func build(t tb, b record.Builder, ts int64, n, size int) record.Batch {
	t.Helper()
	rs := make([]record.Record, n)
	for i := range rs {
		rs[i] = record.Record{Timestamp: ts + int64(i), Value: bytes.Repeat([]byte{byte(ts + int64(i))}, size)}
	}
	batch, err := b.Build(rs)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	return batch
}

var plain = record.Builder{ProducerID: -1, BaseSequence: -1}

func open(t tb, o commitlog.Options) *commitlog.Log {
	t.Helper()
	l, err := commitlog.Open(o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l
}

func appendTo(t tb, l *commitlog.Log, b record.Batch) commitlog.AppendInfo {
	t.Helper()
	info, err := l.Append(b, commitlog.AppendOptions{})
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return info
}

// contents returns the bytes of every batch from offset to the log end.
func contents(t tb, l *commitlog.Log, offset int64, maxBytes int) []byte {
	t.Helper()
	var out []byte
	end := l.Offsets().LogEnd
	for offset < end {
		r, err := l.Read(offset, math.MaxInt64, maxBytes, true)
		if err != nil {
			t.Fatalf("read %d: %v", offset, err)
		}
		b, err := r.Bytes()
		if err != nil {
			t.Fatalf("read %d: %v", offset, err)
		}
		r.Release()()
		for rest := b; len(rest) > 0; {
			batch, after, err := record.Next(rest)
			if err != nil {
				t.Fatalf("read %d: %v", offset, err)
			}
			if batch.BaseOffset() > offset || batch.LastOffset() < offset {
				t.Fatalf("read %d: batch of [%d, %d]", offset, batch.BaseOffset(), batch.LastOffset())
			}
			if err := record.Verify(batch); err != nil {
				t.Fatalf("read %d: %v", offset, err)
			}
			offset, rest = batch.LastOffset()+1, after
		}
		out = append(out, b...)
	}
	return out
}

const dir = "/log/t-0"

func small() commitlog.Config {
	return commitlog.Config{SegmentBytes: 2000, IndexIntervalBytes: 150, DeleteOld: true}
}

// filled is a log with several segments, closed properly, and what it holds.
func filled(t tb, fs *memfs.FS) (want []byte, end int64) {
	t.Helper()
	l := open(t, commitlog.Options{FS: fs, Dir: dir, Config: small()})
	for i := range 60 {
		b := build(t, record.Builder{ProducerID: 5, BaseSequence: int32(end)}, int64(1000+i*10), 1+i%3, 20+i%50)
		end = appendTo(t, l, b).LastOffset + 1
		want = append(want, b...)
	}
	if l.Segments() < 4 {
		t.Fatalf("only %d segments", l.Segments())
	}
	if err := errors.Join(l.Close(), fs.SyncTree("/")); err != nil {
		t.Fatalf("close: %v", err)
	}
	return want, end
}

func TestTornTailAtEveryByte(t *testing.T) {
	fs := memfs.New()
	want, _ := filled(t, fs)
	name := lastLog(fs)
	file, err := fs.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lastSize := 0
	for rest := file; len(rest) > 0; {
		b, after, err := record.Next(rest)
		if err != nil {
			t.Fatal(err)
		}
		lastSize, rest = len(b), after
	}
	whole := len(file) - lastSize
	kept := want[:len(want)-lastSize]
	tails := map[string][]byte{"": nil, " then zeros": make([]byte, 700), " then garbage": bytes.Repeat([]byte{0xa5, 2}, 300)}
	cuts := 0
	for tail, extra := range tails {
		for cut := whole; cut < len(file); cut++ {
			c := fs.CrashClone(100, nil)
			torn := append(slices.Clone(file[:cut]), extra...)
			if bytes.HasPrefix(torn, file) {
				continue // the lost bytes were zeros
			}
			c.WriteFile(name, torn)
			for again := range 2 {
				l := open(t, commitlog.Options{FS: c, Dir: dir, Config: small()})
				if got := contents(t, l, 0, 500); !bytes.Equal(got, kept) {
					t.Fatalf("cut at byte %d%s, start %d: %d bytes, want %d", cut, tail, again, len(got), len(kept))
				}
				if r := l.Recovered(); again == 1 && r.CutBytes != 0 {
					t.Fatalf("cut at byte %d%s: the second start cut again: %+v", cut, tail, r)
				}
			}
			cuts++
		}
	}
	if cuts < 100 {
		t.Fatalf("only %d cuts", cuts)
	}
}

func lastLog(fs *memfs.FS) string {
	last := ""
	for _, n := range fs.Names(dir) {
		if strings.HasSuffix(n, ".log") {
			last = n
		}
	}
	return last
}

// Every bit flipped in the log itself, at a place where no crash does it, is
// reported; and never is a wrong byte served.
func TestDamageInTheMiddleIsReported(t *testing.T) {
	fs := memfs.New()
	want, end := filled(t, fs)
	random := rand.New(rand.NewPCG(1, 2))
	reported, lost := 0, 0
	for range 300 {
		c := fs.CrashClone(100, nil)
		names := slices.DeleteFunc(c.Names(dir), func(n string) bool { return !strings.HasSuffix(n, ".log") })
		name := names[random.IntN(len(names))]
		file, _ := c.ReadFile(name)
		at := random.IntN(len(file))
		file[at] ^= 1 << random.IntN(8)
		c.WriteFile(name, file)
		for _, point := range []int64{0, end} {
			l, err := commitlog.Open(commitlog.Options{FS: c.CrashClone(100, nil), Dir: dir, Config: small(), RecoveryPoint: point})
			if errors.Is(err, commitlog.ErrCorrupt) {
				reported++
				continue
			}
			if err != nil {
				t.Fatalf("%s byte %d: %v", name, at, err)
			}
			if point == end {
				continue // what was synced is not read again at start
			}
			// Only the leader epoch (outside the CRC) or the very last batch may differ.
			got := contents(t, l, 0, 1000)
			if len(got) < len(want) {
				lost++
				if name != names[len(names)-1] {
					t.Fatalf("%s byte %d: records were cut away in the middle", name, at)
				}
			}
		}
	}
	if reported < 200 || lost > 60 {
		t.Fatalf("%d damages reported, %d last batches cut", reported, lost)
	}
}

func TestHostCrashCutsOnlyAboveRecoveryPoint(t *testing.T) {
	fs := memfs.New()
	want, end := filled(t, fs)
	names := slices.DeleteFunc(fs.Names(dir), func(n string) bool { return !strings.HasSuffix(n, ".log") })
	file, _ := fs.ReadFile(names[1])
	clear(file[400:600]) // a block that never reached the disk
	fs.WriteFile(names[1], file)
	o := commitlog.Options{FS: fs, Dir: dir, Config: small(), RecoveryPoint: 5, HostCrash: true}
	l := open(t, o)
	r := l.Recovered()
	if r.CutAt < 5 || r.CutAt >= end || len(r.Kept) < 2 {
		t.Fatalf("recovered: %+v", r)
	}
	if got := contents(t, l, 0, 1000); !bytes.Equal(got, want[:len(got)]) {
		t.Fatal("what is left is not the beginning")
	}
	appendTo(t, l, build(t, plain, 1, 1, 10))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, kept := range r.Kept {
		if b, err := fs.ReadFile(kept); err != nil || len(b) == 0 {
			t.Fatalf("%s: %d bytes, %v", kept, len(b), err)
		}
	}
}

func TestMissingSegmentIsReported(t *testing.T) {
	fs := memfs.New()
	filled(t, fs)
	names := slices.DeleteFunc(fs.Names(dir), func(n string) bool { return !strings.HasSuffix(n, ".log") })
	if err := fs.Remove(names[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := commitlog.Open(commitlog.Options{FS: fs, Dir: dir, Config: small()}); !errors.Is(err, commitlog.ErrCorrupt) {
		t.Fatalf("a missing segment: %v", err)
	}
}

// Sidecar files in any state prevent no start and no right answer.
func TestEverySidecarTornEmptyOrGarbage(t *testing.T) {
	fs := memfs.New()
	want, end := filled(t, fs)
	garbage := func(n int) []byte { return bytes.Repeat([]byte{0, 0, 0, 9, 1, 2, 3, 250}, n/8+1)[:n] }
	damages := map[string]func([]byte) []byte{
		"missing":    func([]byte) []byte { return nil },
		"empty":      func([]byte) []byte { return []byte{} },
		"one byte":   func([]byte) []byte { return []byte{7} },
		"torn":       func(b []byte) []byte { return b[:len(b)*2/3] },
		"zeros":      func(b []byte) []byte { return make([]byte, len(b)) },
		"garbage":    func(b []byte) []byte { return garbage(len(b)) },
		"too long":   func(b []byte) []byte { return append(slices.Clone(b), garbage(240)...) },
		"last bytes": func(b []byte) []byte { b = slices.Clone(b); b[len(b)-1] ^= 0xff; return b },
	}
	tested := 0
	for _, name := range fs.Names(dir) {
		original, _ := fs.ReadFile(name)
		if strings.HasSuffix(name, ".log") || len(original) == 0 {
			continue
		}
		for damage, change := range damages {
			for _, clean := range []bool{true, false} {
				c := fs.CrashClone(100, nil)
				if b := change(original); b != nil {
					c.WriteFile(name, b)
				} else if err := c.Remove(name); err != nil {
					t.Fatal(err)
				}
				l, err := commitlog.Open(commitlog.Options{FS: c, Dir: dir, Config: small(), Clean: clean, RecoveryPoint: end})
				if err != nil {
					t.Fatalf("%s %s, clean %v: %v", name, damage, clean, err)
				}
				for offset := int64(0); offset < end; offset += 7 {
					if got := contents(t, l, offset, 600); !bytes.HasSuffix(want, got) {
						t.Fatalf("%s %s, clean %v: wrong bytes from %d", name, damage, clean, offset)
					}
				}
				if s, err := l.OffsetForTimestamp(1300, math.MaxInt64); err != nil || s.Timestamp != 1300 {
					t.Fatalf("%s %s, clean %v: time look-up: %+v, %v", name, damage, clean, s, err)
				}
				retry := build(t, record.Builder{ProducerID: 5, BaseSequence: int32(end)}, 1, 1, 1)
				if info, err := l.Append(retry, commitlog.AppendOptions{}); err != nil || info.BaseOffset != end {
					t.Fatalf("%s %s, clean %v: append: %+v, %v", name, damage, clean, info, err)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				tested++
			}
		}
	}
	if tested < 100 {
		t.Fatalf("only %d damages", tested)
	}
}

func TestCleanCloseKeepsFiveRetries(t *testing.T) {
	fs := memfs.New()
	l := open(t, commitlog.Options{FS: fs, Dir: dir})
	batch := func(i int) record.Batch {
		return build(t, record.Builder{ProducerID: 9, ProducerEpoch: 3, BaseSequence: int32(2 * i)}, int64(i), 2, 5)
	}
	for i := range 8 {
		appendTo(t, l, batch(i))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, commitlog.Options{FS: fs, Dir: dir, Clean: true})
	if r := l.Recovered(); r.ScannedBytes != 0 {
		t.Fatalf("a clean start scanned: %+v", r)
	}
	for i := 3; i < 8; i++ {
		info, err := l.Append(batch(i), commitlog.AppendOptions{})
		if err != nil || !info.Duplicate || info.BaseOffset != int64(2*i) || info.LastOffset != int64(2*i+1) {
			t.Fatalf("retry of batch %d: %+v, %v", i, info, err)
		}
	}
	if _, err := l.Append(batch(2), commitlog.AppendOptions{}); !errors.Is(err, commitlog.ErrOutOfOrderSequence) {
		t.Fatalf("the sixth last batch: %v", err)
	}
}

func TestProducerRules(t *testing.T) {
	type sent struct {
		id    int64
		epoch int16
		base  int32
		n     int
		want  error
		dup   bool
		why   string
	}
	for _, c := range [][]sent{
		{{1, 0, 77, 2, nil, false, "an unknown producer begins anywhere"}, {1, 0, 79, 1, nil, false, "in sequence"}},
		{{1, 0, 0, 2, nil, false, ""}, {1, 0, 3, 1, commitlog.ErrOutOfOrderSequence, false, "a gap"}, {1, 0, 2, 1, nil, false, "an error leaves the state as it was"}},
		{{1, 0, 0, 2, nil, false, ""}, {1, 0, 1, 1, commitlog.ErrOutOfOrderSequence, false, "part of a known batch is no retry"}},
		{{1, 0, 0, 2, nil, false, ""}, {1, 0, 0, 2, nil, true, "a retry"}, {1, 0, 2, 2, nil, false, ""}},
		{{1, 4, 0, 1, nil, false, ""}, {1, 3, 1, 1, commitlog.ErrInvalidProducerEpoch, false, "an older epoch"}},
		{{1, 4, 0, 1, nil, false, ""}, {1, 5, 1, 1, commitlog.ErrOutOfOrderSequence, false, "a new epoch begins at 0"}, {1, 5, 0, 1, nil, false, ""}},
		{{1, 4, 0, 1, nil, false, ""}, {2, 0, 0, 1, nil, false, "producers are apart"}, {1, 4, 0, 1, nil, true, ""}},
		{{1, 0, math.MaxInt32 - 1, 2, nil, false, ""}, {1, 0, 0, 1, nil, false, "0 follows 2^31-1"}, {1, 0, math.MaxInt32 - 1, 2, nil, true, ""}},
		{{1, 0, math.MaxInt32, 3, nil, false, "a batch over the wrap"}, {1, 0, 2, 1, nil, false, ""}, {1, 0, math.MaxInt32, 3, nil, true, ""}},
	} {
		l := open(t, commitlog.Options{FS: memfs.New(), Dir: dir})
		for i, s := range c {
			b := build(t, record.Builder{ProducerID: s.id, ProducerEpoch: s.epoch, BaseSequence: s.base}, 1, s.n, 3)
			before := l.Offsets().LogEnd
			info, err := l.Append(b, commitlog.AppendOptions{})
			if !errors.Is(err, s.want) || info.Duplicate != s.dup {
				t.Fatalf("%+v step %d (%s): %+v, %v", c, i, s.why, info, err)
			}
			if grew := l.Offsets().LogEnd > before; grew != (err == nil && !s.dup) {
				t.Fatalf("%+v step %d: log grew: %v", c, i, grew)
			}
		}
	}
}

func TestProducersExpire(t *testing.T) {
	now := int64(1_000_000)
	l := open(t, commitlog.Options{FS: memfs.New(), Dir: dir, NowMs: func() int64 { return now }, Config: commitlog.Config{ProducerExpiration: time.Minute}})
	appendTo(t, l, build(t, record.Builder{ProducerID: 1, BaseSequence: 0}, 1, 1, 1))
	now += 59_999
	if err := l.Tidy(); err != nil || l.Producers() != 1 {
		t.Fatalf("%d producers, %v", l.Producers(), err)
	}
	now++
	if err := l.Tidy(); err != nil || l.Producers() != 0 {
		t.Fatalf("%d producers, %v", l.Producers(), err)
	}
}

func TestRetention(t *testing.T) {
	now := int64(100_000)
	fs := memfs.New()
	if err := errors.Join(fs.MkdirAll("/log"), fs.SyncTree("/")); err != nil {
		t.Fatal(err)
	}
	cfg := small()
	cfg.Retention, cfg.RetentionBytes = -1, -1
	l := open(t, commitlog.Options{FS: fs, Dir: dir, Config: cfg, NowMs: func() int64 { return now }})
	for i := range 100 {
		appendTo(t, l, build(t, plain, int64(i*1000), 1, 100))
	}
	segments, size := l.Segments(), l.SizeBytes()
	if n, err := l.Retain(math.MaxInt64); n != 0 || err != nil {
		t.Fatalf("nothing may go: %d, %v", n, err)
	}
	held, err := l.Read(0, math.MaxInt64, 300, true) // a consumer in the middle of the oldest segment
	if err != nil {
		t.Fatal(err)
	}
	cfg.RetentionBytes = size / 2
	l.SetConfig(cfg)
	n, err := l.Retain(math.MaxInt64)
	if err != nil || n == 0 || l.SizeBytes() < size/2 || l.SizeBytes()-2000 > size/2 {
		t.Fatalf("by size: %d of %d segments, %d of %d bytes left, %v", n, segments, l.SizeBytes(), size, err)
	}
	if b, err := held.Bytes(); err != nil || int64(len(b)) != held.Size {
		t.Fatalf("reading on in a deleted segment: %d bytes, %v", len(b), err)
	}
	held.Release()()
	start := l.Offsets().LogStart
	if _, err := l.Read(start-1, math.MaxInt64, 100, true); !errors.Is(err, commitlog.ErrOffsetOutOfRange) {
		t.Fatalf("below the log start: %v", err)
	}
	if n, err := l.Retain(start + 1); n != 0 || err != nil {
		t.Fatalf("nothing above the limit may go: %d, %v", n, err)
	}
	cfg.RetentionBytes, cfg.Retention = -1, 10*time.Second
	l.SetConfig(cfg)
	if _, err := l.Retain(math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	if s, err := l.OffsetForTimestamp(0, math.MaxInt64); err != nil || s.Timestamp < 80_000 || s.Timestamp > 90_000 {
		t.Fatalf("by time: the oldest record is of %d, %v", s.Timestamp, err)
	}
	now += 1_000_000
	if _, err := l.Retain(math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	if o := l.Offsets(); o.LogStart != 100 || o.LogEnd != 100 || l.SizeBytes() != 0 {
		t.Fatalf("everything expired: %+v, %d bytes", o, l.SizeBytes())
	}
	if err := l.Purge(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	for _, n := range fs.Names(dir) {
		if strings.HasSuffix(n, ".deleted") {
			t.Fatalf("%s is left", n)
		}
	}
	// Offsets must not begin anew, not even after a crash right now.
	l = open(t, commitlog.Options{FS: fs.CrashClone(0, nil), Dir: dir, Config: cfg, HostCrash: true})
	if o := l.Offsets(); o.LogEnd != 100 {
		t.Fatalf("after a crash: %+v", o)
	}
}

func TestTimeLookUp(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	fs := memfs.New()
	l := open(t, commitlog.Options{FS: fs, Dir: dir, Config: small()})
	var stamps []int64
	for range 150 { // timestamps out of order, as producers may send them
		rs := make([]record.Record, 1+random.IntN(4))
		for i := range rs {
			rs[i] = record.Record{Timestamp: 1 + random.Int64N(500), Value: make([]byte, 30)}
			stamps = append(stamps, rs[i].Timestamp)
		}
		b, err := record.Builder{ProducerID: -1, BaseSequence: -1, Codec: record.Codec(random.IntN(5))}.Build(rs)
		if err != nil {
			t.Fatal(err)
		}
		appendTo(t, l, b)
	}
	check := func(l *commitlog.Log) {
		t.Helper()
		for ts := int64(0); ts <= 502; ts++ {
			want := slices.IndexFunc(stamps, func(s int64) bool { return s >= ts })
			got, err := l.OffsetForTimestamp(ts, math.MaxInt64)
			if err != nil || got.Offset != int64(want) {
				t.Fatalf("at or after %d: %+v, want offset %d, %v", ts, got, want, err)
			}
			if want >= 0 && got.Timestamp != stamps[want] {
				t.Fatalf("at or after %d: timestamp %d, want %d", ts, got.Timestamp, stamps[want])
			}
		}
		newest := slices.Max(stamps)
		got, err := l.MaxTimestamp(math.MaxInt64)
		if err != nil || got.Timestamp != newest || stamps[got.Offset] != newest {
			t.Fatalf("newest: %+v, want %d, %v", got, newest, err)
		}
	}
	check(l)
	if err := l.Seal(); err != nil {
		t.Fatal(err)
	}
	check(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, commitlog.Options{FS: fs, Dir: dir, Config: small(), Clean: true}))
}

func TestFailedSyncAndWriteAreFinal(t *testing.T) {
	broken := errors.New("input/output error")
	for _, op := range []string{"fdatasync", "write", "syncdir"} {
		var mu sync.Mutex
		failing, calls := false, 0
		fs := &errfs.FS{Inner: memfs.New(), Before: func(o, name string) error {
			mu.Lock()
			defer mu.Unlock()
			if failing && o == op {
				calls++
				return broken
			}
			return nil
		}}
		l := open(t, commitlog.Options{FS: fs, Dir: dir})
		if op != "syncdir" {
			appendTo(t, l, build(t, plain, 1, 1, 10))
			if _, err := l.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		mu.Lock()
		failing = true
		mu.Unlock()
		_, err := l.Append(build(t, plain, 1, 1, 10), commitlog.AppendOptions{})
		if op != "write" {
			if err != nil {
				t.Fatal(err)
			}
			_, err = l.Sync()
		}
		if !errors.Is(err, commitlog.ErrOffline) || !errors.Is(err, broken) {
			t.Fatalf("%s: %v", op, err)
		}
		mu.Lock()
		failing = false
		mu.Unlock()
		if d, err := l.Sync(); !errors.Is(err, commitlog.ErrOffline) || d > 1 {
			t.Fatalf("%s: a second Sync says %d, %v", op, d, err)
		}
		if _, err := l.Append(build(t, plain, 1, 1, 10), commitlog.AppendOptions{}); !errors.Is(err, commitlog.ErrOffline) {
			t.Fatalf("%s: a second Append: %v", op, err)
		}
		if calls != 1 {
			t.Fatalf("%s was tried %d times", op, calls)
		}
		if err := l.Close(); err == nil {
			t.Fatalf("%s: Close must not look clean", op)
		}
	}
}

func TestLeaderEpochs(t *testing.T) {
	fs := memfs.New()
	l := open(t, commitlog.Options{FS: fs, Dir: dir})
	for i, epoch := range []int32{0, 0, 2, 2, 5} {
		if _, err := l.Append(build(t, plain, 1, 10, 1), commitlog.AppendOptions{LeaderEpoch: epoch}); err != nil {
			t.Fatal(i, err)
		}
	}
	check := func(l *commitlog.Log) {
		t.Helper()
		for _, c := range []struct {
			asked, epoch int32
			end          int64
		}{{-1, -1, -1}, {0, 0, 20}, {1, 0, 20}, {2, 2, 40}, {4, 2, 40}, {5, 5, 50}, {6, -1, -1}} {
			if epoch, end := l.EpochEnd(c.asked); epoch != c.epoch || end != c.end {
				t.Fatalf("epoch %d ends: (%d, %d), want (%d, %d)", c.asked, epoch, end, c.epoch, c.end)
			}
		}
	}
	check(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if b, _ := fs.ReadFile(dir + "/leader-epoch-checkpoint"); string(b) != "0\n3\n0 0\n2 20\n5 40\n" {
		t.Fatalf("checkpoint %q", b)
	}
	check(open(t, commitlog.Options{FS: fs.CrashClone(100, nil), Dir: dir, Clean: true}))
	fs.WriteFile(dir+"/leader-epoch-checkpoint", nil)
	check(open(t, commitlog.Options{FS: fs, Dir: dir, Clean: true, RecoveryPoint: 50}))
}

// The log against a model: any mix of operations, including restarts.
func TestLogAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := memfs.New()
		files := commitlog.NewFiles(2)
		cfg := commitlog.Config{
			SegmentBytes: int64(rapid.IntRange(200, 3000).Draw(t, "segment.bytes")), IndexIntervalBytes: int64(rapid.IntRange(1, 500).Draw(t, "interval")),
			Preallocate: rapid.Bool().Draw(t, "preallocate"), DeleteOld: true, Retention: -1, RetentionBytes: -1,
		}
		o := commitlog.Options{FS: fs, Dir: dir, Config: cfg, Files: files}
		l := open(t, o)
		var model []byte      // all batches ever
		starts := []int64{}   // their base offsets
		at := map[int64]int{} // base offset → position in model
		start, end := int64(0), int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var bytes []byte
				for range rapid.IntRange(1, 3).Draw(t, "batches") {
					b := build(t, plain, rapid.Int64Range(1, 1000).Draw(t, "ts"), rapid.IntRange(1, 5).Draw(t, "records"), rapid.IntRange(0, 200).Draw(t, "size"))
					bytes = append(bytes, b...)
				}
				info, err := l.Append(bytes, commitlog.AppendOptions{})
				if err != nil || info.BaseOffset != end {
					t.Fatalf("append: %+v, %v, want base %d", info, err, end)
				}
				for rest := bytes; len(rest) > 0; {
					b, after, _ := record.Next(rest)
					at[b.BaseOffset()] = len(model) + len(bytes) - len(rest)
					starts = append(starts, b.BaseOffset())
					rest = after
				}
				model, end = append(model, bytes...), info.LastOffset+1
			},
			"read": func(t *rapid.T) {
				offset := rapid.Int64Range(start, end).Draw(t, "offset")
				limit := end
				if i := rapid.IntRange(0, len(starts)).Draw(t, "limit"); i < len(starts) {
					limit = starts[i]
				}
				maxBytes := rapid.IntRange(0, 5000).Draw(t, "max")
				minOne := rapid.Bool().Draw(t, "min one")
				r, err := l.Read(offset, limit, maxBytes, minOne)
				if err != nil {
					t.Fatalf("read: %v", err)
				}
				if r.Size == 0 {
					if minOne && offset < limit {
						t.Fatalf("nothing read at %d below %d", offset, limit)
					}
					return
				}
				b, err := r.Bytes()
				if err != nil {
					t.Fatalf("read: %v", err)
				}
				r.Release()()
				i, _ := slices.BinarySearch(starts, offset+1)
				from := at[starts[i-1]]
				if !bytes.Equal(b, model[from:from+len(b)]) {
					t.Fatalf("wrong bytes at %d", offset)
				}
				first, rest, err := record.Next(b)
				if err != nil || len(b) > maxBytes && !(minOne && len(rest) == 0) {
					t.Fatalf("%d bytes for max %d, first batch %d, %v", len(b), maxBytes, len(first), err)
				}
				last := first
				for len(rest) > 0 {
					if last, rest, err = record.Next(rest); err != nil {
						t.Fatalf("a cut batch: %v", err)
					}
				}
				if last.LastOffset() >= limit {
					t.Fatalf("read up to %d, limit %d", last.LastOffset(), limit)
				}
			},
			"seal": func(t *rapid.T) {
				if err := l.Seal(); err != nil {
					t.Fatalf("seal: %v", err)
				}
			},
			"sync": func(t *rapid.T) {
				if d, err := l.Sync(); err != nil || d != end {
					t.Fatalf("sync: %d, %v", d, err)
				}
			},
			"roll": func(t *rapid.T) {
				if err := l.Roll(); err != nil {
					t.Fatalf("roll: %v", err)
				}
			},
			"delete": func(t *rapid.T) {
				start = rapid.Int64Range(start, end).Draw(t, "before")
				if err := l.SetLogStart(start); err != nil {
					t.Fatalf("delete: %v", err)
				}
				if _, err := l.Retain(end); err != nil {
					t.Fatalf("retain: %v", err)
				}
			},
			"restart": func(t *rapid.T) {
				clean := rapid.Bool().Draw(t, "clean")
				if clean {
					if err := l.Close(); err != nil {
						t.Fatalf("close: %v", err)
					}
				} else if _, err := l.Sync(); err != nil {
					t.Fatalf("sync: %v", err)
				}
				o.Clean, o.LogStart = clean, start
				if !clean {
					o.RecoveryPoint = rapid.Int64Range(0, end).Draw(t, "recovery point")
				} else {
					o.RecoveryPoint = end
				}
				if o.Clean = clean; rapid.Bool().Draw(t, "new cache") {
					o.Files = commitlog.NewFiles(1)
				}
				l = open(t, o)
			},
			"": func(t *rapid.T) {
				if got := l.Offsets(); got.LogStart != start || got.LogEnd != end {
					t.Fatalf("offsets %+v, want [%d, %d)", got, start, end)
				}
				if n := files.Open(); n > 2 {
					t.Fatalf("%d files open, 2 allowed", n)
				}
			},
		})
	})
}

// Readers, the syncer, sealing and retention beside the writer, with few file handles.
func TestConcurrentReadersAndWriter(t *testing.T) {
	tmp := t.TempDir()
	cfg := commitlog.Config{SegmentBytes: 20_000, IndexIntervalBytes: 500, DeleteOld: true, RetentionBytes: 60_000}
	l := open(t, commitlog.Options{Dir: filepath.Join(tmp, "t-0"), Config: cfg, Files: commitlog.NewFiles(2)})
	const batches = 1500
	stop := make(chan struct{})
	var running sync.WaitGroup
	var reads [4]int
	for i := range reads {
		running.Go(func() {
			random := rand.New(rand.NewPCG(9, uint64(i)))
			for {
				select {
				case <-stop:
					return
				default:
				}
				o := l.Offsets()
				offset := o.LogStart + random.Int64N(o.LogEnd-o.LogStart+1)
				r, err := l.Read(offset, math.MaxInt64, 3000, true)
				if errors.Is(err, commitlog.ErrOffsetOutOfRange) {
					continue // retention was faster
				}
				if err != nil {
					t.Errorf("read %d: %v", offset, err)
					return
				}
				if r.Size == 0 {
					continue
				}
				b, err := r.Bytes()
				r.Release()()
				if err != nil {
					t.Errorf("read %d: %v", offset, err)
					return
				}
				first, _, err := record.Next(b)
				if err != nil || first.BaseOffset() > offset || first.LastOffset() < offset || record.Verify(first) != nil {
					t.Errorf("read %d: batch [%d, %d], %v", offset, first.BaseOffset(), first.LastOffset(), err)
					return
				}
				reads[i]++
			}
		})
	}
	running.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
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
	for i := range batches {
		appendTo(t, l, build(t, plain, int64(i), 1+i%3, 50+i%200))
		if i%200 == 0 {
			if _, err := l.Retain(l.Offsets().LogEnd); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	running.Wait()
	for i, n := range reads {
		if n < 50 {
			t.Fatalf("reader %d read only %d times", i, n)
		}
	}
	if l.Offsets().LogStart == 0 {
		t.Fatal("retention never took anything")
	}
	end := l.Offsets().LogEnd
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, commitlog.Options{Dir: filepath.Join(tmp, "t-0"), Config: cfg, Clean: true})
	contents(t, l, l.Offsets().LogStart, 4000)
	if l.Offsets().LogEnd != end {
		t.Fatalf("log end %d after reopen, want %d", l.Offsets().LogEnd, end)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	l := open(t, commitlog.Options{Dir: filepath.Join(t.TempDir(), "t-0")})
	b := build(t, plain, 1, 10, 100)
	for range 100 {
		b.SetBaseOffset(0)
		appendTo(t, l, b)
	}
	allocs := testing.AllocsPerRun(2000, func() {
		b.SetBaseOffset(0)
		if _, err := l.Append(b, commitlog.AppendOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0.1 { // the indexes grow now and then
		t.Fatalf("%.2f allocations a batch", allocs)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// FuzzRecoverSegment: arbitrary bytes as a partition's files never panic; what is
// kept is whole, and a second start keeps the same.
func FuzzRecoverSegment(f *testing.F) {
	fs := memfs.New()
	filled(f, fs)
	names := fs.Names(dir)
	seed := func(suffix string) []byte {
		for _, n := range names {
			if strings.HasSuffix(n, suffix) {
				if b, _ := fs.ReadFile(n); len(b) > 0 {
					return b
				}
			}
		}
		return nil
	}
	log := seed(".log")
	f.Add(log, seed(".index"), seed(".timeindex"), seed(".snapshot"), seed("checkpoint"), true)
	f.Add(log[:len(log)-5], []byte{}, []byte{1}, []byte{0, 1}, []byte("0\n1\n"), false)
	f.Add(append(slices.Clone(log), make([]byte, 100)...), []byte{}, []byte{}, []byte{}, []byte("0\n0\n"), false)
	f.Fuzz(func(t *testing.T, log, index, timeIndex, snapshot, epochs []byte, clean bool) {
		fs := memfs.New()
		if err := fs.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
		const base = "/00000000000000000000"
		fs.WriteFile(dir+base+".log", log)
		fs.WriteFile(dir+base+".index", index)
		fs.WriteFile(dir+base+".timeindex", timeIndex)
		fs.WriteFile(dir+base+".snapshot", snapshot)
		fs.WriteFile(dir+"/leader-epoch-checkpoint", epochs)
		var first []byte
		for i := range 2 {
			l, err := commitlog.Open(commitlog.Options{FS: fs, Dir: dir, Config: small(), Clean: clean && i == 0, HostCrash: true})
			if err != nil {
				if !errors.Is(err, commitlog.ErrCorrupt) {
					t.Fatalf("start %d: %v", i, err)
				}
				return
			}
			if clean && i == 0 {
				_, _ = l.OffsetForTimestamp(5, math.MaxInt64) // what a lying marker says is not checked, but must not panic
				continue
			}
			got := contents(t, l, 0, 500)
			if first != nil && !bytes.Equal(first, got) {
				t.Fatalf("the second start keeps %d bytes, the first kept %d", len(got), len(first))
			}
			first = got
			if !bytes.HasPrefix(log, got) {
				t.Fatal("what was kept is not the beginning")
			}
			if _, err := l.OffsetForTimestamp(5, math.MaxInt64); err != nil && !errors.Is(err, record.ErrCorrupt) && !errors.Is(err, record.ErrInvalidRecord) {
				_ = fmt.Sprint(err) // bytes with a right CRC may still hold no records; an error is fine, a panic is not
			}
		}
	})
}

func TestLogDir(t *testing.T) {
	tmp := t.TempDir()
	id := commitlog.Identity{NodeID: 1}
	foreign := filepath.Join(tmp, "foreign")
	if err := errors.Join(os.Mkdir(foreign, 0o755), os.WriteFile(filepath.Join(foreign, "thesis.txt"), []byte("x"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := commitlog.OpenDir(commitlog.OS{}, foreign, id, ""); !errors.Is(err, commitlog.ErrForeignDir) {
		t.Fatalf("a foreign directory: %v", err)
	}
	if entries, _ := os.ReadDir(foreign); len(entries) != 1 {
		t.Fatalf("something was changed: %v", entries)
	}
	ours := filepath.Join(tmp, "ours")
	d, err := commitlog.OpenDir(commitlog.OS{}, ours, id, "b1")
	if err != nil || !d.Clean || d.LeaderEpoch != 0 || d.Identity.ClusterID == "" {
		t.Fatalf("a new directory: %+v, %v", d, err)
	}
	if _, err := commitlog.OpenDir(commitlog.OS{}, ours, id, "b1"); !errors.Is(err, commitlog.ErrLocked) {
		t.Fatalf("a locked directory: %v", err)
	}
	if err := d.Close(true); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		boot             string
		clean, hostCrash bool
		epoch            int32
	}{{"b1", true, false, 0}, {"b1", false, false, 1}, {"b2", false, true, 2}, {"b2", false, false, 3}} {
		d, err := commitlog.OpenDir(commitlog.OS{}, ours, id, c.boot)
		if err != nil || d.Clean != c.clean || d.HostCrash != c.hostCrash || d.LeaderEpoch != c.epoch {
			t.Fatalf("want %+v, got %+v, %v", c, d, err)
		}
		if err := d.Close(false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := commitlog.OpenDir(commitlog.OS{}, ours, commitlog.Identity{NodeID: 2}, ""); err == nil || !strings.Contains(err.Error(), "node 1") {
		t.Fatalf("another node's directory: %v", err)
	}
	if _, err := commitlog.OpenDir(commitlog.OS{}, ours, commitlog.Identity{NodeID: -1, ClusterID: "x"}, ""); err == nil || !strings.Contains(err.Error(), "cluster") {
		t.Fatalf("another cluster's directory: %v", err)
	}
}
