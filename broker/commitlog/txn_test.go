package commitlog_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/errfs"
	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/record"
)

// naiveBatch is a batch of a producer as a naive reader of the whole log sees it.
type naiveBatch struct {
	base, last    int64
	id            int64
	epoch         int16
	sequence      int32 // last
	transactional bool
	marker        bool
	commit        bool
}

// naive is the model that the log is compared to: everything ever appended.
type naive []naiveBatch

// decided is a transaction as the model finds it by reading from the start.
type decided struct {
	id     int64
	first  int64
	marker int64 // -1 while it is open
	abort  bool
	last   int64 // last offset of its last data batch
}

// transactions lists all that have records, the ended ones in the order of their markers.
func (m naive) transactions() (ended, open []decided) {
	for _, b := range m {
		i := slices.IndexFunc(open, func(d decided) bool { return d.id == b.id })
		switch {
		case b.marker && i >= 0:
			d := open[i]
			d.marker, d.abort = b.base, !b.commit
			ended, open = append(ended, d), slices.Delete(open, i, i+1)
		case b.marker || !b.transactional:
		case i < 0:
			open = append(open, decided{id: b.id, first: b.base, marker: -1, last: b.last})
		default:
			open[i].last = b.last
		}
	}
	return ended, open
}

// unstable is the first offset of the oldest transaction that is open, or
// ended at or above durable.
func (m naive) unstable(durable int64) int64 {
	first := int64(math.MaxInt64)
	ended, open := m.transactions()
	for _, d := range open {
		first = min(first, d.first)
	}
	for _, d := range ended {
		if d.marker >= durable {
			first = min(first, d.first)
		}
	}
	return first
}

// visible lists the offsets of the batches of [from, to) that a reader of
// committed records gets.
func (m naive) visible(from, to int64) []int64 {
	ended, _ := m.transactions()
	var out []int64
	for _, b := range m {
		aborted := slices.ContainsFunc(ended, func(d decided) bool {
			return d.abort && b.transactional && d.id == b.id && d.first <= b.base && b.base < d.marker
		})
		if !b.marker && !aborted && b.last >= from && b.base < to {
			out = append(out, b.base)
		}
	}
	return out
}

// truncated is the model of a log that lost what is not below end.
func (m naive) truncated(end int64) naive {
	if i := slices.IndexFunc(m, func(b naiveBatch) bool { return b.base >= end }); i >= 0 {
		m = m[:i]
	}
	return slices.Clone(m)
}

// producer is where a producer stands by the model.
func (m naive) producer(id int64) (epoch int16, next int32, open bool) {
	for _, b := range m {
		if b.id != id {
			continue
		}
		if b.epoch != epoch {
			epoch, next = b.epoch, 0
		}
		if b.marker {
			open = false
			continue
		}
		next, open = b.sequence+1, open || b.transactional
	}
	return epoch, next, open
}

// txnLog is a log and the model of it.
type txnLog struct {
	*commitlog.Log
	m   naive
	end int64
}

// put appends one data batch of n records, as the model's producer stands.
func (x *txnLog) put(t tb, id int64, n, size int, transactional bool) {
	t.Helper()
	epoch, next, _ := x.m.producer(id)
	b := build(t, record.Builder{ProducerID: id, ProducerEpoch: epoch, BaseSequence: next, Transactional: transactional}, 1000+x.end, n, size)
	// Noted first: a crash in the middle may leave the batch in the log.
	x.m = append(x.m, naiveBatch{base: x.end, last: x.end + int64(n) - 1, id: id, epoch: epoch, sequence: next + int32(n) - 1, transactional: transactional})
	x.end += int64(n)
	var g commitlog.Guard
	if transactional {
		var err error
		if g, err = x.BeginVerification(id, epoch, next, next == 0); err != nil {
			t.Fatalf("verification of producer %d: %v", id, err)
		}
	}
	info, err := x.Append(b, commitlog.AppendOptions{Guard: g})
	if err != nil || info.Duplicate || info.LastOffset != x.end-1 {
		t.Fatalf("batch of producer %d at %d: %+v, %v", id, x.end, info, err)
	}
}

// mark ends a producer's transaction; with bump as transaction version 2 does.
func (x *txnLog) mark(t tb, id int64, commit, bump bool) {
	t.Helper()
	epoch, _, _ := x.m.producer(id)
	o := commitlog.AppendOptions{Trusted: true}
	if bump {
		epoch++
		o.TransactionVersion = 2
	}
	x.m = append(x.m, naiveBatch{base: x.end, last: x.end, id: id, epoch: epoch, marker: true, commit: commit})
	x.end++
	info, err := x.Append(marker(t, id, epoch, 1, commit), o)
	if err != nil || info.BaseOffset != x.end-1 {
		t.Fatalf("marker of producer %d at %d: %+v, %v", id, x.end-1, info, err)
	}
}

func marker(t tb, id int64, epoch int16, coordinatorEpoch int32, commit bool) record.Batch {
	t.Helper()
	kind := record.Abort
	if commit {
		kind = record.Commit
	}
	b, err := record.EndTransaction(kind, id, epoch, coordinatorEpoch, 5000)
	if err != nil {
		t.Fatalf("marker: %v", err)
	}
	return b
}

// checkStable compares the first unstable offset. Of a transaction whose first
// records were deleted, the log may know a later record only.
func (x *txnLog) checkStable(t tb, stableWhenDurable bool) {
	t.Helper()
	o := x.Offsets()
	durable := int64(math.MaxInt64)
	if stableWhenDurable {
		durable = o.Durable
	}
	want, atMost := x.m.unstable(durable), int64(math.MaxInt64)
	_, open := x.m.transactions()
	for _, b := range x.m {
		if b.last >= o.LogStart && b.transactional && slices.ContainsFunc(open, func(d decided) bool { return d.id == b.id && d.first <= b.base }) {
			atMost = b.base
			break
		}
	}
	if want >= o.LogStart {
		atMost = want
	}
	if o.FirstUnstable < want || o.FirstUnstable > atMost {
		t.Fatalf("the first unstable offset is %d, want %d (at most %d); offsets %+v", o.FirstUnstable, want, atMost, o)
	}
}

// checkRead reads once from an offset as a reader of committed records does
// and compares what it gets; it returns the offset behind what was read.
func (x *txnLog) checkRead(t tb, offset, limit int64, maxBytes int) int64 {
	t.Helper()
	r, err := x.Read(offset, limit, maxBytes, true)
	if err != nil {
		t.Fatalf("read %d: %v", offset, err)
	}
	if r.Size == 0 {
		return limit
	}
	aborted, err := x.Aborted(r, offset, limit)
	if err != nil {
		t.Fatalf("aborted transactions from %d: %v", offset, err)
	}
	b, err := r.Bytes()
	if err != nil {
		t.Fatalf("read %d: %v", offset, err)
	}
	r.Release()()
	got, to := committed(t, b, aborted)
	if want := x.m.visible(offset, to); !slices.Equal(got, want) {
		t.Fatalf("committed batches of [%d, %d): %v, want %v; aborted transactions: %+v", offset, to, got, want, aborted)
	}
	x.checkAborted(t, offset, to, aborted)
	return to
}

// committed does what a consumer does with a fetched range, and returns the
// base offsets of the batches it shows, and where the range ends.
func committed(t tb, b []byte, aborted []commitlog.AbortedTransaction) (shown []int64, end int64) {
	t.Helper()
	left := slices.Clone(aborted)
	slices.SortFunc(left, func(a, b commitlog.AbortedTransaction) int { return int(a.FirstOffset - b.FirstOffset) })
	hidden := map[int64]bool{}
	for len(b) > 0 {
		batch, rest, err := record.Next(b)
		if err != nil {
			t.Fatalf("a range cut within a batch: %v", err)
		}
		b, end = rest, batch.LastOffset()+1
		for len(left) > 0 && left[0].FirstOffset <= batch.LastOffset() {
			hidden[left[0].ProducerID] = true
			left = left[1:]
		}
		if batch.IsControl() {
			delete(hidden, batch.ProducerID())
			continue
		}
		if !batch.IsTransactional() || !hidden[batch.ProducerID()] {
			shown = append(shown, batch.BaseOffset())
		}
	}
	return shown, end
}

// checkAborted compares the list itself: whole, in the order of the markers,
// and without what does not overlap. A transaction whose records were all deleted may be missing.
func (x *txnLog) checkAborted(t tb, from, to int64, got []commitlog.AbortedTransaction) {
	t.Helper()
	start := x.Offsets().LogStart
	ended, _ := x.m.transactions()
	for _, d := range ended {
		if !d.abort || d.marker < from || d.first >= to {
			continue
		}
		if len(got) > 0 && got[0].ProducerID == d.id && (got[0].FirstOffset == d.first || d.first < start && got[0].FirstOffset >= d.first && got[0].FirstOffset <= d.last) {
			got = got[1:]
		} else if d.last >= start {
			t.Fatalf("[%d, %d): the next aborted transactions are %+v, want %+v", from, to, got, d)
		}
	}
	if len(got) > 0 {
		t.Fatalf("[%d, %d): %+v do not overlap", from, to, got)
	}
}

// checkAll compares everything from every batch on.
func (x *txnLog) checkAll(t tb, stableWhenDurable bool) {
	t.Helper()
	o := x.Offsets()
	if o.LogEnd != x.end {
		t.Fatalf("the log ends at %d, the model at %d", o.LogEnd, x.end)
	}
	x.checkStable(t, stableWhenDurable)
	limit := max(min(o.LogEnd, o.FirstUnstable), o.LogStart)
	for offset := o.LogStart; offset < limit; {
		next := x.checkRead(t, offset, limit, 400)
		if next <= offset {
			t.Fatalf("nothing at %d below %d", offset, limit)
		}
		x.checkRead(t, offset, limit, 5000)
		offset = next
	}
}

func txnConfig() commitlog.Config {
	return commitlog.Config{SegmentBytes: 900, IndexIntervalBytes: 100, DeleteOld: true, Retention: -1, RetentionBytes: -1}
}

// Any mix of producers, markers, segment rolls, deletions, restarts, crashes
// and one damaged file shows readers of committed records what a naive reading of
// the whole log would.
func TestTransactionsAgainstModel(t *testing.T) {
	aborts, crashes := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		fs := memfs.New()
		if err := errors.Join(fs.MkdirAll("/log"), fs.SyncTree("/")); err != nil {
			t.Fatal(err)
		}
		cfg := txnConfig()
		cfg.SegmentBytes = int64(rapid.IntRange(300, 1500).Draw(t, "segment.bytes"))
		cfg.IndexIntervalBytes = int64(rapid.IntRange(1, 300).Draw(t, "interval"))
		o := commitlog.Options{FS: fs, Dir: dir, Config: cfg, Files: commitlog.NewFiles(2), StableWhenDurable: rapid.Bool().Draw(t, "stable when durable")}
		x := &txnLog{Log: open(t, o)}
		damaged := false
		pid := rapid.Int64Range(1, 3)
		limit := func() int64 { o := x.Offsets(); return max(min(o.LogEnd, o.FirstUnstable), o.LogStart) }
		t.Repeat(map[string]func(*rapid.T){
			"transactional": func(t *rapid.T) {
				x.put(t, pid.Draw(t, "producer"), rapid.IntRange(1, 3).Draw(t, "records"), rapid.IntRange(0, 60).Draw(t, "size"), true)
			},
			"plain": func(t *rapid.T) {
				id := pid.Draw(t, "producer")
				if _, _, open := x.m.producer(id); open {
					t.Skip("a transaction is open")
				}
				x.put(t, id, rapid.IntRange(1, 3).Draw(t, "records"), rapid.IntRange(0, 60).Draw(t, "size"), false)
			},
			"abort": func(t *rapid.T) {
				x.mark(t, pid.Draw(t, "producer"), false, rapid.Bool().Draw(t, "bump"))
				aborts++
			},
			"commit": func(t *rapid.T) { x.mark(t, pid.Draw(t, "producer"), true, rapid.Bool().Draw(t, "bump")) },
			"read": func(t *rapid.T) {
				start, limit := x.Offsets().LogStart, limit()
				if start < limit {
					x.checkRead(t, rapid.Int64Range(start, limit-1).Draw(t, "offset"), limit, rapid.IntRange(0, 2000).Draw(t, "max"))
				}
			},
			"roll": func(t *rapid.T) {
				if err := x.Roll(); err != nil {
					t.Fatalf("roll: %v", err)
				}
			},
			"seal": func(t *rapid.T) {
				if err := x.Seal(); err != nil {
					t.Fatalf("seal: %v", err)
				}
			},
			"sync": func(t *rapid.T) {
				if _, err := x.Sync(); err != nil {
					t.Fatalf("sync: %v", err)
				}
			},
			"delete": func(t *rapid.T) {
				start := rapid.Int64Range(x.Offsets().LogStart, x.end).Draw(t, "before")
				err := x.SetLogStart(start)
				if err == nil {
					_, err = x.Sync() // as the partition does before it promises the start
				}
				if err == nil {
					_, err = x.Retain(x.end)
				}
				if err == nil {
					// What the producers did before the log start is in a snapshot only.
					err = errors.Join(x.Seal(), fs.SyncTree("/"))
				}
				if err != nil {
					t.Fatalf("delete: %v", err)
				}
				o.LogStart = start
			},
			"restart": func(t *rapid.T) {
				o.LogStart = x.Offsets().LogStart
				if err := errors.Join(x.Close(), fs.SyncTree("/")); err != nil {
					t.Fatalf("close: %v", err)
				}
				if !damaged && rapid.Bool().Draw(t, "damage") {
					damaged = damageTxnIndex(t, fs, rapid.IntRange(0, 100).Draw(t, "which"))
				}
				o.Clean, o.HostCrash, o.RecoveryPoint, o.Files = true, false, x.end, commitlog.NewFiles(2)
				x.Log = open(t, o)
			},
			"crash": func(t *rapid.T) {
				percent := rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "percent")
				durable := x.Durable()
				o.LogStart = min(x.Offsets().LogStart, durable)
				fs = fs.CrashClone(percent, rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed"))))
				o.FS, o.Files, o.Clean, o.HostCrash = fs, commitlog.NewFiles(2), false, percent < 100
				o.RecoveryPoint = rapid.Int64Range(o.LogStart, durable).Draw(t, "recovery point")
				x.Log = open(t, o)
				end := x.Offsets().LogEnd
				if end < durable || end > x.end || percent == 100 && end != x.end {
					t.Fatalf("after a crash the log ends at %d; %d were durable, %d appended", end, durable, x.end)
				}
				x.m, x.end = x.m.truncated(end), end
				if start := x.Offsets().LogStart; start > o.LogStart {
					// Nothing of the first segment was durable, not even its name.
					if start > durable {
						x.m = slices.DeleteFunc(x.m, func(b naiveBatch) bool { return b.base < start })
					}
					o.LogStart = start
				}
				crashes++
			},
			"": func(t *rapid.T) {
				x.checkStable(t, o.StableWhenDurable)
			},
		})
		x.checkAll(t, o.StableWhenDurable)
	})
	if aborts < 100 || crashes < 20 {
		t.Fatalf("only %d aborts and %d crashes: the test proves little", aborts, crashes)
	}
}

// damageTxnIndex spoils one transaction index, or the file of their sums, if there is one.
func damageTxnIndex(t tb, fs *memfs.FS, which int) bool {
	t.Helper()
	names := slices.DeleteFunc(fs.Names(dir), func(n string) bool {
		return !strings.HasSuffix(n, ".txnindex") && !strings.HasSuffix(n, "/transaction-index-checkpoint")
	})
	if len(names) == 0 {
		return false
	}
	name := names[which%len(names)]
	b, err := fs.ReadFile(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	switch which % 5 {
	case 0:
		if err := fs.Remove(name); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return true
	case 1:
		b = nil
	case 2:
		b = b[:len(b)-min(len(b), 34)]
	case 3:
		b = slices.Clone(b)
		b[which%len(b)] ^= 0x10
	case 4:
		b = make([]byte, len(b))
	}
	fs.WriteFile(name, b)
	return true
}

// A machine that stops after any file operation leaves a log whose transactions
// are those of the records that it still has.
func TestTransactionsCrashAfterEveryOperation(t *testing.T) {
	states, cuts := 0, 0
	for _, percent := range []int{0, 50, 100} {
		fs := memfs.New()
		if err := errors.Join(fs.MkdirAll("/log"), fs.SyncTree("/")); err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(7, uint64(percent)))
		o := commitlog.Options{FS: fs, Dir: dir, Config: txnConfig(), Files: commitlog.NewFiles(2)}
		x := &txnLog{}
		durable := int64(0)
		var recoverFrom func(fs *memfs.FS, again bool, where string)
		recoverFrom = func(fs *memfs.FS, again bool, where string) {
			second := fs.CrashClone(100, random)
			after, err := commitlog.Open(commitlog.Options{
				FS: fs, Dir: dir, Config: txnConfig(), Files: commitlog.NewFiles(2), RecoveryPoint: durable, HostCrash: percent < 100,
			})
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			end := after.Offsets().LogEnd
			if end < durable || end > x.end {
				t.Fatalf("%s: the log ends at %d; %d were durable, %d appended", where, end, durable, x.end)
			}
			if end < x.end {
				cuts++
			}
			(&txnLog{Log: after, m: x.m.truncated(end), end: end}).checkAll(t, false)
			if !again {
				return
			}
			// And again, somewhere within the recovery.
			stop := random.IntN(12)
			var third *memfs.FS
			second.AfterOp = func(int, string) {
				if stop == 0 {
					third = second.CrashClone(percent, random)
				}
				stop--
			}
			if _, err := commitlog.Open(commitlog.Options{
				FS: second, Dir: dir, Config: txnConfig(), Files: commitlog.NewFiles(2), RecoveryPoint: durable, HostCrash: percent < 100,
			}); err != nil {
				t.Fatalf("%s, recovery: %v", where, err)
			}
			if third != nil {
				recoverFrom(third, false, where+", and again in recovery")
			}
		}
		fs.AfterOp = func(n int, what string) {
			states++
			where := fmt.Sprintf("%d%% kept, crash after operation %d (%s)", percent, n, what)
			recoverFrom(fs.CrashClone(percent, random), n%5 == 0, where)
		}
		x.Log = open(t, o)
		for i := range 26 {
			x.put(t, 1, 1+i%2, i, true)
			x.put(t, 2, 1, 20, i%3 != 0)
			if _, _, open := x.m.producer(1); open && i%4 != 3 {
				x.mark(t, 1, i%3 == 0, i%2 == 0)
			}
			x.mark(t, 2, i%5 == 0, i%2 == 1)
			switch i % 7 {
			case 2:
				d, err := x.Sync()
				if err != nil {
					t.Fatal(err)
				}
				durable = d
			case 4:
				if err := x.Seal(); err != nil {
					t.Fatal(err)
				}
			}
			if i == 13 {
				if err := errors.Join(x.Close(), fs.SyncTree("/")); err != nil {
					t.Fatal(err)
				}
				durable = x.end
				o.Clean, o.RecoveryPoint = true, x.end
				x.Log = open(t, o)
			}
		}
		if x.Segments() < 5 {
			t.Fatalf("only %d segments", x.Segments())
		}
	}
	if states < 300 || cuts < 20 {
		t.Fatalf("only %d crashes, %d of them lost something: the test proves little", states, cuts)
	}
	t.Logf("%d crashes", states)
}

// transactionLog is a closed log of several segments with aborted transactions, and its model.
func transactionLog(t tb, fs *memfs.FS) *txnLog {
	t.Helper()
	x := &txnLog{Log: open(t, commitlog.Options{FS: fs, Dir: dir, Config: txnConfig()})}
	for i := range 20 {
		x.put(t, 1, 2, 30, true)
		x.put(t, 2, 1, 30, true)
		x.put(t, 3, 1, 10, false)
		x.mark(t, 2, i%3 == 0, false)
		if i%4 == 3 {
			x.mark(t, 1, i%8 == 3, true)
		}
	}
	if x.Segments() < 5 {
		t.Fatalf("only %d segments", x.Segments())
	}
	if err := errors.Join(x.Close(), fs.SyncTree("/")); err != nil {
		t.Fatalf("close: %v", err)
	}
	return x
}

// One file of a log in any state shows nobody an aborted record, and hides no
// committed one.
func TestEveryTransactionSidecarTornEmptyOrGarbage(t *testing.T) {
	fs := memfs.New()
	x := transactionLog(t, fs)
	damages := map[string]func([]byte) []byte{
		"missing":    func([]byte) []byte { return nil },
		"empty":      func([]byte) []byte { return []byte{} },
		"one byte":   func([]byte) []byte { return []byte{7} },
		"torn":       func(b []byte) []byte { return b[:len(b)*2/3] },
		"short":      func(b []byte) []byte { return b[:len(b)-min(len(b), 34)] },
		"zeros":      func(b []byte) []byte { return make([]byte, len(b)) },
		"too long":   func(b []byte) []byte { return append(slices.Clone(b), b...) },
		"first byte": func(b []byte) []byte { b = slices.Clone(b); b[0] ^= 0x01; return b },
		"in between": func(b []byte) []byte { b = slices.Clone(b); b[len(b)/2] ^= 0x04; return b },
		"last byte":  func(b []byte) []byte { b = slices.Clone(b); b[len(b)-1] ^= 0x01; return b },
	}
	indexes := 0
	for _, name := range fs.Names(dir) {
		original, err := fs.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		switch suffix := path.Ext(name); {
		case suffix == ".txnindex":
			indexes++
		case suffix != ".snapshot" && suffix != "":
			continue // TestEverySidecarTornEmptyOrGarbage has them
		}
		for damage, change := range damages {
			for _, clean := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %s, clean %v", path.Base(name), damage, clean), func(t *testing.T) {
					c := fs.CrashClone(100, nil)
					if b := change(original); b != nil {
						c.WriteFile(name, b)
					} else if err := c.Remove(name); err != nil {
						t.Fatal(err)
					}
					for _, clean := range []bool{clean, true} {
						l := open(t, commitlog.Options{FS: c, Dir: dir, Config: txnConfig(), Clean: clean, RecoveryPoint: x.end})
						(&txnLog{Log: l, m: x.m, end: x.end}).checkAll(t, false)
						// What was built anew is written, and serves the second start.
						if err := l.Close(); err != nil {
							t.Fatal(err)
						}
					}
				})
			}
		}
	}
	if indexes < 4 {
		t.Fatalf("only %d transaction indexes", indexes)
	}
}

// The index is Kafka's byte for byte, and there is none without an aborted transaction.
func TestTransactionIndexFormat(t *testing.T) {
	fs := memfs.New()
	x := &txnLog{Log: open(t, commitlog.Options{FS: fs, Dir: dir, Config: txnConfig()})}
	x.put(t, 7, 2, 10, true)   // 0, 1
	x.put(t, 8, 1, 10, true)   // 2
	x.mark(t, 7, false, false) // 3
	x.mark(t, 8, false, false) // 4
	if err := x.Roll(); err != nil {
		t.Fatal(err)
	}
	x.put(t, 7, 1, 10, true)  // 5
	x.mark(t, 7, true, false) // 6
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := fs.ReadFile(dir + "/00000000000000000000.txnindex")
	want := "" +
		"\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x07" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x03" + "\x00\x00\x00\x00\x00\x00\x00\x02" +
		"\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x08" + "\x00\x00\x00\x00\x00\x00\x00\x02" + "\x00\x00\x00\x00\x00\x00\x00\x04" + "\x00\x00\x00\x00\x00\x00\x00\x05"
	if err != nil || string(b) != want {
		t.Fatalf("the index is %q, want %q, %v", b, want, err)
	}
	if b, err := fs.ReadFile(dir + "/00000000000000000005.txnindex"); err == nil {
		t.Fatalf("a segment without an aborted transaction has %q", b)
	}
}

// Retention takes a segment's transaction index with it, and what is left is whole.
func TestRetentionTakesTransactionIndexes(t *testing.T) {
	now := int64(1000)
	fs := memfs.New()
	x := transactionLog(t, fs)
	o := commitlog.Options{FS: fs, Dir: dir, Config: txnConfig(), Clean: true, RecoveryPoint: x.end, NowMs: func() int64 { return now }}
	x.Log = open(t, o)
	before := len(txnIndexes(fs))
	if err := x.SetLogStart(x.end / 2); err != nil {
		t.Fatal(err)
	}
	n, err := x.Retain(x.end)
	if err != nil || n < 2 {
		t.Fatalf("%d segments went, %v", n, err)
	}
	now++
	if err := x.Purge(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if after := len(txnIndexes(fs)); after >= before || after == 0 {
		t.Fatalf("%d transaction indexes are left of %d", after, before)
	}
	x.checkAll(t, false)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	o.LogStart = x.Offsets().LogStart
	x.Log = open(t, o)
	x.checkAll(t, false)
}

func txnIndexes(fs *memfs.FS) []string {
	return slices.DeleteFunc(fs.Names(dir), func(n string) bool { return !strings.Contains(n, ".txnindex") })
}

// A range in a segment that retention takes while it is read has no list of
// aborted transactions any more: the reader is told that the offset is gone.
func TestAbortedOfDeletedSegment(t *testing.T) {
	fs := memfs.New()
	x := transactionLog(t, fs)
	x.Log = open(t, commitlog.Options{FS: fs, Dir: dir, Config: txnConfig(), Clean: true, RecoveryPoint: x.end})
	r, err := x.Read(0, x.end, 500, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()()
	if err := x.SetLogStart(x.end / 2); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Retain(x.end); err != nil {
		t.Fatal(err)
	}
	if a, err := x.Aborted(r, 0, x.end); !errors.Is(err, commitlog.ErrOffsetOutOfRange) {
		t.Fatalf("%+v, %v", a, err)
	}
}

// A failed write of the index takes the log offline, a failed read of it is an
// error, never an empty list.
func TestTransactionIndexErrors(t *testing.T) {
	broken := errors.New("input/output error")
	for _, c := range []struct{ op, file string }{
		{"open", ".txnindex.tmp"}, {"write", ".txnindex.tmp"}, {"fdatasync", ".txnindex.tmp"}, {"rename", ".txnindex.tmp"},
		{"write", "transaction-index-checkpoint.tmp"}, {"rename", "transaction-index-checkpoint.tmp"}, {"syncdir", dir},
	} {
		failing := false
		inner := memfs.New()
		fs := &errfs.FS{Inner: inner, Before: func(op, name string) error {
			if failing && op == c.op && strings.HasSuffix(name, c.file) {
				return broken
			}
			return nil
		}}
		x := &txnLog{Log: open(t, commitlog.Options{FS: fs, Dir: dir, Config: txnConfig()})}
		x.put(t, 1, 2, 30, true)
		x.mark(t, 1, false, false)
		x.put(t, 1, 2, 30, true)
		if _, err := x.Sync(); err != nil {
			t.Fatal(err)
		}
		failing = true
		if err := x.Roll(); !errors.Is(err, commitlog.ErrOffline) || !errors.Is(err, broken) {
			t.Fatalf("%s %s: %v", c.op, c.file, err)
		}
		failing = false
		if err := x.Roll(); !errors.Is(err, commitlog.ErrOffline) {
			t.Fatalf("%s %s: it was tried again: %v", c.op, c.file, err)
		}
		l := open(t, commitlog.Options{FS: inner.CrashClone(100, nil), Dir: dir, Config: txnConfig(), RecoveryPoint: x.end})
		(&txnLog{Log: l, m: x.m, end: x.end}).checkAll(t, false)
	}

	inner := memfs.New()
	x := transactionLog(t, inner)
	for _, op := range []string{"open", "read"} {
		failing := true
		fs := &errfs.FS{Inner: inner.CrashClone(100, nil), Before: func(o, name string) error {
			if failing && o == op && strings.HasSuffix(name, "00000000.txnindex") {
				return broken
			}
			return nil
		}}
		l := open(t, commitlog.Options{FS: fs, Dir: dir, Config: txnConfig(), Clean: true, RecoveryPoint: x.end})
		r, err := l.Read(0, x.end, 500, true)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := l.Aborted(r, 0, x.end); !errors.Is(err, broken) {
			t.Fatalf("%s: %+v, %v", op, a, err)
		}
		r.Release()()
		failing = false
		(&txnLog{Log: l, m: x.m, end: x.end}).checkAll(t, false)
	}
}

// Reading committed records costs nothing where nothing was aborted.
func TestAbortedAllocatesNothing(t *testing.T) {
	x := &txnLog{Log: open(t, commitlog.Options{FS: memfs.New(), Dir: dir})}
	x.put(t, 1, 2, 30, true)
	x.mark(t, 1, true, false)
	r, err := x.Read(0, x.end, 5000, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()()
	if n := testing.AllocsPerRun(100, func() {
		if a, err := x.Aborted(r, 0, x.end); len(a) > 0 || err != nil {
			t.Fatal(a, err)
		}
	}); n > 0 {
		t.Fatalf("%v allocations", n)
	}
}

// With StableWhenDurable a marker counts when it is durable, not before.
func TestStableWhenDurable(t *testing.T) {
	x := &txnLog{Log: open(t, commitlog.Options{FS: memfs.New(), Dir: dir, StableWhenDurable: true})}
	x.put(t, 1, 2, 10, true)
	if _, err := x.Sync(); err != nil {
		t.Fatal(err)
	}
	x.put(t, 2, 1, 10, true)
	x.mark(t, 1, true, false)
	if o := x.Offsets(); o.FirstUnstable != 0 {
		t.Fatalf("the marker is not durable, yet: %+v", o)
	}
	x.checkStable(t, true)
	if _, err := x.Sync(); err != nil {
		t.Fatal(err)
	}
	if o := x.Offsets(); o.FirstUnstable != 2 {
		t.Fatalf("the marker is durable, yet: %+v", o)
	}
	x.mark(t, 2, false, true)
	if _, err := x.Sync(); err != nil {
		t.Fatal(err)
	}
	if o := x.Offsets(); o.FirstUnstable != math.MaxInt64 {
		t.Fatalf("nothing is open, yet: %+v", o)
	}
}

// step is one call on the log in the tables below.
type step struct {
	what     string // "begin", "data", "own" (the broker's), "plain", "commit", "abort"
	id       int64
	epoch    int16
	sequence int32
	// guard 0: none, 1: that of the last begin, 2: that of the one before.
	guard       int
	version     int16 // transaction version
	coordinator int32
	want        error
	why         string
}

func (s step) run(t *testing.T, l *commitlog.Log, guards *[]commitlog.Guard) error {
	t.Helper()
	var g commitlog.Guard
	if s.guard > 0 {
		g = (*guards)[len(*guards)-s.guard]
	}
	switch s.what {
	case "begin":
		g, err := l.BeginVerification(s.id, s.epoch, s.sequence, s.version >= 2)
		if err == nil && g == 0 {
			return errOpenAlready
		}
		*guards = append(*guards, g)
		return err
	case "commit", "abort":
		_, err := l.Append(marker(t, s.id, s.epoch, s.coordinator, s.what == "commit"), commitlog.AppendOptions{Trusted: true, TransactionVersion: s.version})
		return err
	}
	b := build(t, record.Builder{ProducerID: s.id, ProducerEpoch: s.epoch, BaseSequence: s.sequence, Transactional: s.what != "plain"}, 1, 1, 3)
	_, err := l.Append(b, commitlog.AppendOptions{Guard: g, Trusted: s.what == "own"})
	return err
}

var errOpenAlready = errors.New("the transaction is open already")

func TestTransactionRules(t *testing.T) {
	for _, c := range [][]step{
		{
			{what: "data", id: 1, want: commitlog.ErrInvalidTxnState, why: "nothing was verified"},
			{what: "begin", id: 1},
			{what: "data", id: 1, want: commitlog.ErrInvalidTxnState, why: "the coordinator has not answered"},
			{what: "data", id: 1, guard: 1},
			{what: "begin", id: 1, sequence: 1, want: errOpenAlready},
			{what: "data", id: 1, sequence: 1, why: "it is open"},
			{what: "plain", id: 1, sequence: 2, want: commitlog.ErrInvalidTxnState, why: "within a transaction"},
			{what: "commit", id: 1},
			{what: "data", id: 1, sequence: 2, want: commitlog.ErrInvalidTxnState, why: "it has ended"},
			{what: "plain", id: 1, sequence: 2},
		},
		{
			{what: "begin", id: 1},
			{what: "abort", id: 1, why: "before the coordinator's answer is used"},
			{what: "data", id: 1, guard: 1, want: commitlog.ErrInvalidTxnState, why: "the answer was about the transaction before"},
			{what: "begin", id: 1},
			{what: "data", id: 1, guard: 2, want: commitlog.ErrInvalidTxnState, why: "an answer of the transaction before"},
			{what: "data", id: 1, guard: 1},
		},
		{
			{what: "begin", id: 1},
			{what: "begin", id: 2},
			{what: "data", id: 1, guard: 1, want: commitlog.ErrInvalidTxnState, why: "another producer's"},
			{what: "data", id: 1, guard: 2},
			{what: "data", id: 2, guard: 1},
		},
		{
			{what: "begin", id: 1, sequence: 5},
			{what: "begin", id: 1, sequence: 3},
			{what: "data", id: 1, sequence: 5, guard: 1, want: commitlog.ErrOutOfOrderSequence, why: "3 will be tried again"},
			{what: "data", id: 1, sequence: 3, guard: 1},
			{what: "data", id: 1, sequence: 4, why: "it is open"},
		},
		{
			{what: "begin", id: 1, sequence: 5, version: 2},
			{what: "data", id: 1, sequence: 5, guard: 1, want: commitlog.ErrOutOfOrderSequence, why: "an unknown producer of version 2 begins at 0"},
			{what: "begin", id: 1, epoch: 1, version: 2},
			{what: "data", id: 1, epoch: 1, guard: 1, why: "the new epoch begins anew"},
		},
		{
			{what: "begin", id: 1, epoch: 4},
			{what: "data", id: 1, epoch: 4, guard: 1},
			{what: "begin", id: 1, epoch: 3, want: commitlog.ErrInvalidProducerEpoch},
			{what: "data", id: 1, epoch: 3, want: commitlog.ErrInvalidProducerEpoch, why: "the epoch says more than the state"},
			{what: "begin", id: 1, epoch: 5, why: "a new epoch is verified though the old one's transaction is open"},
			{what: "data", id: 1, epoch: 5, guard: 1},
		},
		{
			{what: "own", id: 1, want: commitlog.ErrInvalidTxnState, why: "the group coordinator verifies as well"},
			{what: "begin", id: 1},
			{what: "own", id: 1, sequence: 9, guard: 1, why: "its batches have no sequences"},
			{what: "own", id: 1, sequence: 9},
			{what: "own", id: 1, epoch: -1, want: commitlog.ErrInvalidProducerEpoch},
			{what: "abort", id: 1},
		},
		{
			{what: "commit", id: 1, epoch: 3, coordinator: 7, why: "a producer that wrote nothing here"},
			{what: "commit", id: 1, epoch: 2, coordinator: 7, want: commitlog.ErrInvalidProducerEpoch},
			{what: "commit", id: 1, epoch: 3, coordinator: 6, want: commitlog.ErrCoordinatorFenced},
			{what: "commit", id: 1, epoch: 3, coordinator: 7},
			{what: "begin", id: 1, epoch: 3},
			{what: "data", id: 1, epoch: 3, guard: 1, why: "after a marker of its epoch a producer begins at 0"},
			{what: "abort", id: 1, epoch: 3, coordinator: 8, why: "version 1: a marker has the epoch of the records"},
		},
	} {
		l := open(t, commitlog.Options{FS: memfs.New(), Dir: dir})
		var guards []commitlog.Guard
		for i, s := range c {
			before := l.Offsets()
			if err := s.run(t, l, &guards); !errors.Is(err, s.want) || (err == nil) != (s.want == nil) {
				t.Fatalf("step %d, %+v: %v", i, s, err)
			}
			if after := l.Offsets(); s.want != nil && after != before {
				t.Fatalf("step %d, %+v: it was refused, but %+v became %+v", i, s, before, after)
			}
		}
	}
}

// B13 (KAFKA-17754): a marker that was delayed until the producer's next
// transaction is open must not end that one.
func TestDelayedEndTxn_TV2Fenced(t *testing.T) {
	l := open(t, commitlog.Options{FS: memfs.New(), Dir: dir})
	var guards []commitlog.Guard
	for i, s := range []step{
		{what: "begin", id: 1, version: 2},
		{what: "data", id: 1, guard: 1},
		{what: "commit", id: 1, epoch: 1, version: 2},
		{what: "begin", id: 1, epoch: 1, version: 2},
		{what: "data", id: 1, epoch: 1, guard: 1},
		{what: "abort", id: 1, epoch: 1, version: 2, want: commitlog.ErrInvalidProducerEpoch, why: "of the first transaction"},
		{what: "commit", id: 1, epoch: 0, version: 2, want: commitlog.ErrInvalidProducerEpoch, why: "older still"},
	} {
		if err := s.run(t, l, &guards); !errors.Is(err, s.want) {
			t.Fatalf("step %d, %+v: %v", i, s, err)
		}
	}
	if o := l.Offsets(); o.FirstUnstable != 2 {
		t.Fatalf("the second transaction is not open any more: %+v", o)
	}
}

// B15 (KIP-1228): a marker of the epoch that has written since is a late one.
func TestLateMarkerRejected(t *testing.T) {
	l := open(t, commitlog.Options{FS: memfs.New(), Dir: dir})
	var guards []commitlog.Guard
	for i, s := range []step{
		{what: "begin", id: 1, epoch: 6, version: 2},
		{what: "data", id: 1, epoch: 6, guard: 1},
		{what: "abort", id: 1, epoch: 6, version: 2, want: commitlog.ErrInvalidProducerEpoch, why: "version 2 has bumped the epoch before a marker"},
		{what: "abort", id: 1, epoch: 7, version: 2},
	} {
		if err := s.run(t, l, &guards); !errors.Is(err, s.want) {
			t.Fatalf("step %d, %+v: %v", i, s, err)
		}
	}
}

// B15 (KAFKA-19999): a coordinator that did not hear of a marker writes it
// again, also after both have restarted.
func TestMarkerRetryIdempotent(t *testing.T) {
	fs := memfs.New()
	o := commitlog.Options{FS: fs, Dir: dir}
	x := &txnLog{Log: open(t, o)}
	x.put(t, 1, 1, 10, true)
	x.mark(t, 1, false, true)
	for i := range 3 {
		info, err := x.Append(marker(t, 1, 1, 1, false), commitlog.AppendOptions{Trusted: true, TransactionVersion: 2})
		if err != nil {
			t.Fatalf("retry %d: %v", i, err)
		}
		x.m = append(x.m, naiveBatch{base: info.BaseOffset, last: info.LastOffset, id: 1, epoch: 1, marker: true})
		x.end = info.LastOffset + 1
		x.checkAll(t, false)
		if i == 1 {
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			o.Clean, o.RecoveryPoint = true, x.end
			x.Log = open(t, o)
		}
	}
}

// B15 (KAFKA-18660): the largest epoch ends its transaction like any other.
func TestTxnEpochOverflow(t *testing.T) {
	l := open(t, commitlog.Options{FS: memfs.New(), Dir: dir})
	var guards []commitlog.Guard
	for i, s := range []step{
		{what: "begin", id: 1, epoch: math.MaxInt16 - 1, version: 2},
		{what: "data", id: 1, epoch: math.MaxInt16 - 1, guard: 1},
		{what: "commit", id: 1, epoch: math.MaxInt16, version: 2},
		{what: "begin", id: 1, epoch: math.MinInt16, version: 2, want: commitlog.ErrInvalidProducerEpoch, why: "it does not wrap"},
		{what: "commit", id: 1, epoch: math.MinInt16, version: 2, want: commitlog.ErrInvalidProducerEpoch},
		{what: "commit", id: 1, epoch: math.MaxInt16, version: 2, why: "a retry"},
	} {
		if err := s.run(t, l, &guards); !errors.Is(err, s.want) {
			t.Fatalf("step %d, %+v: %v", i, s, err)
		}
	}
	if o := l.Offsets(); o.FirstUnstable != math.MaxInt64 {
		t.Fatalf("a transaction is still open: %+v", o)
	}
}

// B16: what comes after an abort, or was never added, opens no transaction that nobody ends.
func TestProduceToUnaddedPartitionRejected(t *testing.T) {
	l := open(t, commitlog.Options{FS: memfs.New(), Dir: dir})
	var guards []commitlog.Guard
	for i, s := range []step{
		{what: "begin", id: 1},
		{what: "data", id: 1, guard: 1},
		{what: "abort", id: 1},
		{what: "data", id: 1, sequence: 1, want: commitlog.ErrInvalidTxnState, why: "late, of the same epoch"},
		{what: "data", id: 1, sequence: 1, guard: 1, want: commitlog.ErrInvalidTxnState, why: "late, with the guard of the aborted one"},
		{what: "data", id: 2, want: commitlog.ErrInvalidTxnState, why: "never added"},
	} {
		if err := s.run(t, l, &guards); !errors.Is(err, s.want) {
			t.Fatalf("step %d, %+v: %v", i, s, err)
		}
	}
	if o := l.Offsets(); o.FirstUnstable != math.MaxInt64 || o.LogEnd != 2 {
		t.Fatalf("a transaction hangs: %+v", o)
	}
}

func TestVerificationsExpireAndAreAbandoned(t *testing.T) {
	now := int64(1_000_000)
	l := open(t, commitlog.Options{FS: memfs.New(), Dir: dir, NowMs: func() int64 { return now }, Config: commitlog.Config{ProducerExpiration: time.Minute}})
	begin := func() commitlog.Guard {
		t.Helper()
		g, err := l.BeginVerification(1, 0, 0, false)
		if err != nil || g == 0 {
			t.Fatalf("%d, %v", g, err)
		}
		return g
	}
	first := begin()
	if again := begin(); again != first {
		t.Fatalf("guard %d, then %d of one verification", first, again)
	}
	l.AbandonVerification(1, first+1) // another one's
	if again := begin(); again != first {
		t.Fatal("somebody else's guard ended the verification")
	}
	l.AbandonVerification(1, first)
	second := begin()
	if second == first {
		t.Fatal("an abandoned verification goes on")
	}
	now += 60_000
	if err := l.Tidy(); err != nil {
		t.Fatal(err)
	}
	if third := begin(); third == second {
		t.Fatal("an old verification did not expire")
	}
}

func TestDescribeProducers(t *testing.T) {
	fs := memfs.New()
	o := commitlog.Options{FS: fs, Dir: dir, NowMs: func() int64 { return 9000 }}
	x := &txnLog{Log: open(t, o)}
	x.put(t, 5, 3, 10, true)  // 0-2, newest timestamp 1002
	x.put(t, 2, 1, 10, false) // 3
	x.put(t, 9, 1, 10, true)  // 4
	x.mark(t, 9, true, true)  // 5, timestamp 5000
	want := []commitlog.Producer{
		{ID: 2, LastTimestamp: 1003, CoordinatorEpoch: -1, TransactionStart: -1},
		{ID: 5, LastSequence: 2, LastTimestamp: 1002, CoordinatorEpoch: -1},
		{ID: 9, Epoch: 1, LastSequence: -1, LastTimestamp: 5000, CoordinatorEpoch: 1, TransactionStart: -1},
	}
	if got := x.DescribeProducers(); !slices.Equal(got, want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	o.Clean, o.RecoveryPoint = true, x.end
	x.Log = open(t, o)
	for i := range want {
		want[i].LastTimestamp = 9000 // Kafka's snapshot has one time: ours is when it was written
	}
	if got := x.DescribeProducers(); !slices.Equal(got, want) {
		t.Fatalf("after a restart: %+v, want %+v", got, want)
	}
}

// FuzzTransactionIndex: whatever stands in an index, a log opens, answers
// without a panic, and, while the sums are there, answers the truth.
func FuzzTransactionIndex(f *testing.F) {
	fs := memfs.New()
	x := transactionLog(f, fs)
	names := slices.DeleteFunc(txnIndexes(fs), func(n string) bool { return strings.HasSuffix(n, ".tmp") })
	sums := dir + "/transaction-index-checkpoint"
	index, err := fs.ReadFile(names[0])
	if err != nil {
		f.Fatal(err)
	}
	content, err := fs.ReadFile(sums)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(index, content)
	f.Add(index[:len(index)-34], content)
	f.Add(index, []byte("0\n1\n0 1 1\n"))
	f.Add([]byte{}, []byte{})
	f.Add(slices.Repeat([]byte{0}, 68), []byte("0\n0\n"))
	f.Fuzz(func(t *testing.T, index, content []byte) {
		c := fs.CrashClone(100, nil)
		c.WriteFile(names[0], index)
		l := open(t, commitlog.Options{FS: c, Dir: dir, Config: txnConfig(), Clean: true, RecoveryPoint: x.end})
		(&txnLog{Log: l, m: x.m, end: x.end}).checkAll(t, false)

		c.WriteFile(sums, content)
		l = open(t, commitlog.Options{FS: c, Dir: dir, Config: txnConfig(), Clean: true, RecoveryPoint: x.end})
		for offset := int64(0); offset < x.end; offset += 7 {
			r, err := l.Read(offset, x.end, 600, true)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Aborted(r, offset, x.end); err != nil {
				t.Fatalf("from %d: %v", offset, err)
			}
			r.Release()()
		}
	})
}
