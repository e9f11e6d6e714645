package partition

import (
	"math"
	"strings"
	"testing"
	"time"

	"fluxmq/broker/commitlog/memfs"
)

func TestRemovalYieldsToProducers(t *testing.T) {
	nowMs := int64(1_000_000)
	s, err := OpenSet(SetConfig{Dir: "/data", FS: memfs.New(), BootID: "b", NowMs: func() int64 { return nowMs }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.Create("events", TopicID{1}, 0, Config{Retention: -1, RetentionBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	var g growth
	want := func(what string, due int64, want float64) {
		t.Helper()
		if got, err := g.removing(s, due)(); got != want || err != nil {
			t.Errorf("%s: %v bytes a second, want %v; %v", what, got, want, err)
		}
	}
	pass := func(d time.Duration) { nowMs += d.Milliseconds() }

	want("nothing was ever appended", 1<<40, math.MaxFloat64)
	put(t, p, "a", "1")
	pass(growthSample)
	want("little is appended and little is due", 1<<30, purgeBusy)
	want("little is appended and much is due", 1<<40, (1<<40)/purgeWithin.Seconds())
	before := p.log().AppendedBytes()
	for range 30 {
		put(t, p, "a", strings.Repeat("v", 900<<10))
	}
	pass(growthSample)
	want("much is appended", 1<<30, 2*float64(p.log().AppendedBytes()-before)/growthSample.Seconds())
	pass(growthSample)
	want("a moment later", 1<<30, purgeBusy)
	pass(growthLinger)
	want("long after it", 1<<30, math.MaxFloat64)
}

// What a round of removal is fast enough for is all that is due, in logs and in directories of deleted ones.
func TestDueBytes(t *testing.T) {
	nowMs := int64(1_000_000)
	fs := memfs.New()
	s, err := OpenSet(SetConfig{Dir: "/data", FS: fs, BootID: "b", NowMs: func() int64 { return nowMs }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const delay = 10 * time.Second
	var kept, gone int64
	for id, topic := range []string{"kept", "gone"} {
		p, err := s.Create(topic, TopicID{byte(id + 1)}, 0, Config{SegmentBytes: 300, Retention: -1, RetentionBytes: 1, DeleteOld: true, FileDeleteDelay: delay})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, p, 1000, 10)
		gone = p.log().SizeBytes()
		if topic == "kept" {
			if err := s.Maintain(t.Context()); err != nil {
				t.Fatal(err)
			}
			kept = gone - p.log().SizeBytes()
		}
	}
	if err := s.Delete("gone"); err != nil {
		t.Fatal(err)
	}
	if got := s.dueBytes(s.takeRetired()); got != 0 {
		t.Errorf("before the delay %d bytes are due", got)
	}
	nowMs += delay.Milliseconds()
	retired := s.takeRetired()
	if got := s.dueBytes(nil); kept == 0 || got != kept {
		t.Errorf("in logs %d bytes are due, want %d", got, kept)
	}
	// Its index files are of no fixed size.
	if got := s.dueBytes(retired) - kept; got < gone || got > 2*gone {
		t.Errorf("in directories %d bytes are due, want %d and some of indexes", got, gone)
	}
}
