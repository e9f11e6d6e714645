package partition

import (
	"math"
	"testing"
	"time"

	"fluxmq/broker/commitlog/memfs"
)

func TestCleanerYieldsToProducers(t *testing.T) {
	nowMs := int64(1_000_000)
	const busy = 1000.0
	rates := CleanerRates{Most: math.MaxFloat64, Busy: busy}
	s, err := OpenSet(SetConfig{Dir: "/data", FS: memfs.New(), BootID: "b", NowMs: func() int64 { return nowMs }, CleanerRates: func() CleanerRates { return rates }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.Create("table", TopicID{1}, 0, compacted)
	if err != nil {
		t.Fatal(err)
	}
	allowed := (&growth{}).cleaning(s, 0.5)
	want := func(what string, want float64) {
		t.Helper()
		if got := allowed(); got != want {
			t.Errorf("%s: %v bytes a second, want %v", what, got, want)
		}
	}
	pass := func(d time.Duration) { nowMs += d.Milliseconds() }

	want("nothing was ever appended", math.MaxFloat64)
	put(t, p, "a", "1")
	want("within one sample nothing is seen", math.MaxFloat64)
	pass(growthSample)
	before := p.log().AppendedBytes()
	want("one small record, which is much for a busy of so little", 10*float64(before)/growthSample.Seconds())
	pass(growthSample)
	want("a moment later", busy)
	pass(growthLinger)
	want("long after it", math.MaxFloat64)

	fill(t, p, 1000, 10)
	pass(growthSample)
	want("many records", 10*float64(p.log().AppendedBytes()-before)/growthSample.Seconds())
	pass(growthSample)
	want("when they have ended", busy)
	rates = CleanerRates{Most: busy / 2, Busy: busy}
	want("with a limit that is altered meanwhile", busy/2)
	rates = CleanerRates{Most: 2 * busy, Busy: math.MaxFloat64}
	want("without a limit beside producers", 2*busy)
	rates = CleanerRates{Most: 20, Busy: 10}
	fill(t, p, 1000, 10)
	pass(growthSample)
	want("many records and a limit that they outgrow", 20)
	rates = CleanerRates{Most: math.MaxFloat64, Busy: busy}
	pass(growthSample)

	if err := s.Delete(p.Topic()); err != nil {
		t.Fatal(err)
	}
	pass(growthSample)
	want("the log is gone", busy)
	pass(growthLinger)
	want("long after that", math.MaxFloat64)
}
