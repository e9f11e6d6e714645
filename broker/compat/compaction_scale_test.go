package compat

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"

	"fluxmq/broker/compat/scale"
	"fluxmq/reports/inference"
)

const (
	// A pair of windows: the cleaner held, the cleaner at work.
	heldWindow    = 10 * time.Second
	workingWindow = 15 * time.Second
	leastWindow   = 5 * time.Second // of the last one; a shorter one is no pair
	probeWarmUp   = 3 * time.Second
	// heldMost is what the broker moves in bytes a second at most while the cleaner is held: the probe's own.
	heldMost = 2e6
	// ratioLimit is how much slower the cleaner may make the p99 of others.
	ratioLimit = 2
	// mapBytes is log.cleaner.dedupe.buffer.size by default: nobody knows how many keys so many
	// records have. The rest of the allowance is buffers and the heap's slack.
	mapBytes       = 128 << 20
	memoryBesideIt = 32 << 20
)

// TestCompactionAtScale compacts a log of COMPACTION_GIB GiB with 1,000,000 keys,
// which is not in the page cache, while another topic is produced to at a fixed rate: what is left is the last
// record of each key, once below the cleaner's checkpoint, the broker's memory
// grew by the offset map and little more, and the other topic's p99 is at most doubled:
// the 95 % interval of its ratio, from windows with the cleaner held and at work in
// turn, lies below 2. `make compaction-scale` asks for it with COMPACTION_COMMIT; with
// COMPACTION_RESULT the result is kept in that file, also when a limit was broken.
func TestCompactionAtScale(t *testing.T) {
	commit := os.Getenv("COMPACTION_COMMIT")
	if commit == "" {
		t.Skip("COMPACTION_COMMIT is not set: `make compaction-scale` sets it")
	}
	result := scale.Compaction{Version: scale.CompactionVersion, Commit: commit, Cores: runtime.NumCPU(), Keys: scaleKeys, ProbeMs: float64(probeEvery) / 1e6,
		GiB: fromEnvironment(t, "COMPACTION_GIB", 10), Settings: strings.Fields(os.Getenv("COMPACTION_SETTINGS"))}
	if result.GiB < 2 {
		t.Fatalf("COMPACTION_GIB is %d: a log of a single segment is not cleaned, 2 is the least", result.GiB)
	}
	result.Records = int64(result.GiB) << 30 / (scaleValue + 40)
	args := []string{"--override", "log.cleaner.backoff.ms=100", "--override", "log.segment.delete.delay.ms=0"}
	for _, setting := range result.Settings {
		args = append(args, "--override", setting)
	}
	b := newProcess(t, args...)
	b.start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	policy, never := "compact", strconv.FormatInt(int64(24*time.Hour/time.Millisecond), 10)
	if _, err := admin.CreateTopic(t.Context(), 1, 1, map[string]*string{"cleanup.policy": &policy, "min.compaction.lag.ms": &never}, "table"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "beside"); err != nil {
		t.Fatal(err)
	}
	last := fillTable(t, b.addr(), int(result.Records))
	unix.Sync() // else the first windows would measure how the log reaches the disk
	forgetPages(t, filepath.Join(b.dataDir, "table-0"))
	result.Cold = true

	turns := cleaningInTurns(t, b, admin)
	result.RecordsLeft = checkTable(t, b, last) // before any figure is judged
	result.IdleMiB, result.MostMiB, result.CleanSeconds = turns.idle>>20, turns.most>>20, turns.worked.Seconds()
	result.Pairs, result.HeldP99, result.WorkingP99 = turns.pairs()
	for _, p := range result.Pairs {
		t.Logf("held %+v, working %+v", p.Held, p.Working)
	}
	result.RatioOfP50s = ratioOf(t, result.Pairs, func(l scale.Latencies) float64 { return l.P50 })
	result.RatioOfP99s = ratioOf(t, result.Pairs, func(l scale.Latencies) float64 { return l.P99 })
	t.Logf("%s", result.Section())
	if path := os.Getenv("COMPACTION_RESULT"); path != "" {
		if err := result.Save(path); err != nil {
			t.Error(err)
		}
	}
	if grown := turns.most - turns.idle; grown > mapBytes+memoryBesideIt {
		t.Errorf("memory grew by %d MiB, want %d at most", grown>>20, int64(mapBytes+memoryBesideIt)>>20)
	}
	switch r := result.RatioOfP99s; {
	case r.Low > ratioLimit:
		t.Errorf("produce p99 beside the cleaner is %s times that without, %d at most was wanted", r, ratioLimit)
	case r.High > ratioLimit:
		t.Errorf("produce p99 beside the cleaner is %s times that without: that it is %d at most is not shown", r, ratioLimit)
	}
}

// forgetPages drops a log from the page cache, so that the cleaner reads it from the
// disk: what nobody reads of a log larger than memory is not there either.
func forgetPages(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no segments in %s: %v", dir, err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_ = f.Close() // nothing was written
	}
}

// turns are what was measured while the cleaner was held and let work in turn.
type turns struct {
	held, working []window
	worked        time.Duration // what the cleaner was let work
	idle, most    int64         // resident bytes before the first cleaning, and at most
}

// window is one stretch of measuring.
type window struct {
	latencies *hdrhistogram.Histogram // nanoseconds
	took      time.Duration
	moved     int64 // bytes
}

// cleaningInTurns has the table cleaned. A window of work lasts until what was cleaned
// away in it is removed, too.
func cleaningInTurns(t *testing.T, b *brokerProcess, admin *kadm.Client) (all turns) {
	t.Helper()
	const throttle = "log.cleaner.io.max.bytes.per.second"
	hold, now := "1", "0" // a byte a second
	alter := func(c kadm.AlterConfig) {
		t.Helper()
		if _, err := admin.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{c}); err != nil {
			t.Fatal(err)
		}
	}
	probe := startProbe(t, b.addr())
	defer probe.stop(t)
	time.Sleep(probeWarmUp)
	all.idle = residentBytes(t, b)
	deadline := time.Now().Add(30 * time.Minute)
	until := func(what string, done func() bool) {
		t.Helper()
		for ; !done(); time.Sleep(50 * time.Millisecond) {
			if all.most = max(all.most, residentBytes(t, b)); time.Now().After(deadline) {
				t.Fatalf("%s: not within 30 minutes\n%s", what, b.tail())
			}
		}
	}
	measure := func(what string, done func(began time.Time) bool) window {
		t.Helper()
		w := window{latencies: probe.open(), moved: -movedBytes(t, b)}
		began := time.Now()
		until(what, func() bool { return done(began) })
		probe.close()
		w.took, w.moved = time.Since(began), w.moved+movedBytes(t, b)
		return w
	}
	alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: throttle, Value: &hold})
	if _, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "min.compaction.lag.ms", Value: &now}}, "table"); err != nil {
		t.Fatal(err)
	}
	for clean := false; !clean; {
		held := measure("the cleaner is held", func(began time.Time) bool { return time.Since(began) >= heldWindow })
		if rate := float64(held.moved) / held.took.Seconds(); rate > heldMost {
			t.Fatalf("the broker moved %.1f MB/s with the cleaner held", rate/1e6)
		}
		all.held = append(all.held, held)
		moved, released := movedBytes(t, b), time.Now()
		alter(kadm.AlterConfig{Op: kadm.DeleteConfig, Name: throttle})
		until("the cleaner goes on", func() bool { return movedBytes(t, b)-moved > heldMost })
		all.working = append(all.working, measure("the cleaner is at work", func(began time.Time) bool {
			if clean = isClean(t, b.dataDir, "table"); !clean && time.Since(began) < workingWindow {
				return false
			}
			all.worked += time.Since(released)
			alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: throttle, Value: &hold})
			until("what was cleaned away is removed", func() bool {
				removed, err := filepath.Glob(filepath.Join(b.dataDir, "table-0", "*.deleted"))
				return err == nil && len(removed) == 0
			})
			return true
		}))
	}
	return all
}

// pairs are the windows as the result keeps them, and the p99 of all held and all
// working ones together, in ms. The probe has stopped.
func (a turns) pairs() (pairs []scale.CompactionPair, held, working float64) {
	heldAll, workingAll := hdrhistogram.New(1, int64(time.Minute), 3), hdrhistogram.New(1, int64(time.Minute), 3)
	for i, w := range a.working {
		heldAll.Merge(a.held[i].latencies)
		workingAll.Merge(w.latencies)
		if w.took >= leastWindow {
			pairs = append(pairs, scale.CompactionPair{Held: a.held[i].summary(), Working: w.summary()})
		}
	}
	return pairs, quantileMs(heldAll, 99), quantileMs(workingAll, 99)
}

func (w window) summary() scale.Latencies {
	return scale.Latencies{Seconds: w.took.Seconds(), Samples: w.latencies.TotalCount(), P50: quantileMs(w.latencies, 50), P99: quantileMs(w.latencies, 99),
		Max: float64(w.latencies.Max()) / 1e6, MovedMB: float64(w.moved) / 1e6 / w.took.Seconds()}
}

func quantileMs(h *hdrhistogram.Histogram, q float64) float64 {
	return float64(h.ValueAtQuantile(q)) / 1e6
}

// ratioOf compares each working window with the held one before it.
func ratioOf(t *testing.T, pairs []scale.CompactionPair, of func(scale.Latencies) float64) scale.Ratio {
	t.Helper()
	logs := make([]float64, len(pairs))
	for i, p := range pairs {
		logs[i] = math.Log(of(p.Working) / of(p.Held))
	}
	low, high := inference.SignedRankInterval(logs, 0.95)
	if math.IsInf(low, 0) || math.IsInf(high, 0) || math.IsNaN(low) {
		t.Fatalf("%d pairs of windows are too few for an interval: the log wants to be larger", len(pairs))
	}
	return scale.Ratio{Estimate: math.Exp(inference.HodgesLehmann(logs)), Low: math.Exp(low), High: math.Exp(high)}
}
