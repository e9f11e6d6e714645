package partition

import (
	"fmt"
	"os"
	"testing"
	"time"

	"fluxmq/broker/record"
)

// batchOf builds one uncompressed batch of records with these values, with now as timestamp.
func batchOf(t testing.TB, nowMs int64, values ...string) record.Batch {
	t.Helper()
	return producedBatch(t, record.Builder{ProducerID: -1, BaseSequence: -1}, nowMs, values...)
}

func producedBatch(t testing.TB, b record.Builder, nowMs int64, values ...string) record.Batch {
	t.Helper()
	rs := make([]record.Record, len(values))
	for i, v := range values {
		rs[i] = record.Record{Timestamp: nowMs + int64(i), Key: []byte("k"), Value: []byte(v)}
	}
	batch, err := b.Build(rs)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func values(n int, from int) []string {
	vs := make([]string, n)
	for i := range vs {
		vs[i] = fmt.Sprintf("value-%d", from+i)
	}
	return vs
}

func openSet(t testing.TB, dir string, d Durability) *Set {
	t.Helper()
	s, err := OpenSet(SetConfig{Dir: dir, Durability: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closed by most tests already
	return s
}

func mustCreate(t testing.TB, s *Set, topic string, index int32, cfg Config) *Partition {
	t.Helper()
	p, err := s.Create(topic, TopicID{1, byte(len(topic))}, index, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustAppend(t testing.TB, p *Partition, values ...string) AppendResult {
	t.Helper()
	r, err := p.Append(batchOf(t, time.Now().UnixMilli(), values...), AppendOptions{Acks: -1, CurrentLeaderEpoch: -1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readAll reads every value from offset on, checking that offsets have no gap.
func readAll(t testing.TB, p *Partition, offset int64, maxBytes int) []string {
	t.Helper()
	var out []string
	for {
		r, err := p.Read(ReadOptions{Offset: offset, MaxBytes: maxBytes, MinOneBatch: true, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
		if err != nil {
			t.Fatal(err)
		}
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
		if len(b) == 0 {
			return out
		}
		for len(b) > 0 {
			batch, rest, err := record.Next(b)
			if err != nil {
				t.Fatal(err)
			}
			b = rest
			if err := record.Verify(batch); err != nil {
				t.Fatal(err)
			}
			err = record.Records(batch, 1<<20, func(rec record.Record) error {
				if rec.Offset >= offset {
					if rec.Offset != offset {
						return fmt.Errorf("offset %d after %d", rec.Offset, offset-1)
					}
					out = append(out, string(rec.Value))
					offset++
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAppendReadReopen(t *testing.T) {
	dir := t.TempDir()
	s := openSet(t, dir, FlushAcks)
	p := mustCreate(t, s, "orders", 0, Config{SegmentBytes: 4096, IndexIntervalBytes: 256})
	var want []string
	for i := range 200 {
		vs := values(1+i%3, i*10)
		r := mustAppend(t, p, vs...)
		if r.BaseOffset != int64(len(want)) {
			t.Fatalf("append %d got base offset %d, want %d", i, r.BaseOffset, len(want))
		}
		want = append(want, vs...)
	}
	if n := p.log().Segments(); n < 3 {
		t.Fatalf("%d segments: the test does not roll", n)
	}
	check := func(p *Partition) {
		t.Helper()
		for _, maxBytes := range []int{1, 300, 5000, 1 << 20} {
			for _, from := range []int64{0, 1, 17, 250, int64(len(want)) - 1, int64(len(want))} {
				got := readAll(t, p, from, maxBytes)
				if fmt.Sprint(got) != fmt.Sprint(want[from:]) {
					t.Fatalf("from %d with %d bytes: got %d values, want %d", from, maxBytes, len(got), len(want[from:]))
				}
			}
		}
	}
	check(p)
	if err := tick(s); err != nil {
		t.Fatal(err)
	}
	check(p)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir + "/.kafka_cleanshutdown"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = openSet(t, dir, FlushAcks)
		p = s.Find([]byte("orders"), 0)
		if p == nil || p.Offline() != nil {
			t.Fatalf("partition after reopen: %v", p)
		}
		if r := p.Recovered(); r.ScannedBytes != 0 {
			t.Fatalf("clean restart scanned: %+v", r)
		}
		check(p)
		vs := values(2, 9000)
		mustAppend(t, p, vs...)
		want = append(want, vs...)
		check(p)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// The same after an unclean stop.
	if err := os.Remove(dir + "/.kafka_cleanshutdown"); err != nil {
		t.Fatal(err)
	}
	s = openSet(t, dir, FlushAcks)
	p = s.Find([]byte("orders"), 0)
	check(p)
	if p.LeaderEpoch() != 1 {
		t.Fatalf("leader epoch %d after an unclean start, want 1", p.LeaderEpoch())
	}
}
