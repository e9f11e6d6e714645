package scale

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func soundCompaction() Compaction {
	return Compaction{Version: CompactionVersion, Commit: "abc", Cores: 2, Settings: []string{"a=1"}, GiB: 10, Keys: 1_000_000, Records: 10_001_002, RecordsLeft: 1_500_000,
		CleanSeconds: 385.4, IdleMiB: 5, MostMiB: 143, ProbeMs: 2,
		Pairs: []CompactionPair{
			{Held: Latencies{Seconds: 10, Samples: 5000, P50: 1, P99: 2, Max: 5, MovedMB: 0.1}, Working: Latencies{Seconds: 15, Samples: 7500, P50: 1.5, P99: 3, Max: 20, MovedMB: 60}},
			{Held: Latencies{Seconds: 10, Samples: 5000, P50: 2, P99: 4, Max: 7, MovedMB: 0.2}, Working: Latencies{Seconds: 15, Samples: 7500, P50: 2.5, P99: 5, Max: 30, MovedMB: 62}},
		},
		HeldP99: 3, WorkingP99: 4.5, RatioOfP50s: Ratio{1.3, 1.2, 1.5}, RatioOfP99s: Ratio{1.4, 1.25, 1.5}}
}

func TestACompactionIsKeptAsItWas(t *testing.T) { testKept(t, soundCompaction(), LoadCompaction) }

func TestWhatIsNoCompactionIsRefused(t *testing.T) {
	testRefused(t, soundCompaction, map[string]func(*Compaction){
		"another version":           func(c *Compaction) { c.Version++ },
		"no commit":                 func(c *Compaction) { c.Commit = "" },
		"no cores":                  func(c *Compaction) { c.Cores = 0 },
		"no log":                    func(c *Compaction) { c.GiB = 0 },
		"no record left":            func(c *Compaction) { c.RecordsLeft = 0 },
		"more left than there were": func(c *Compaction) { c.RecordsLeft = c.Records + 1 },
		"nothing measured":          func(c *Compaction) { c.Pairs = nil },
		"a window without samples":  func(c *Compaction) { c.Pairs[1].Working.Samples = 0 },
		"no ratio":                  func(c *Compaction) { c.RatioOfP99s = Ratio{} },
		"a ratio outside itself":    func(c *Compaction) { c.RatioOfP50s.High = 1.25 },
	})
	path := filepath.Join(t.TempDir(), "groups.json")
	if err := soundGroups().Save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCompaction(path); !errors.Is(err, ErrNotAResult) {
		t.Errorf("a result of another measurement: %v", err)
	}
}

func TestSectionOfCompaction(t *testing.T) {
	if text := (Compaction{}).Section(); text != "" {
		t.Errorf("nothing measured: %q", text)
	}
	text := soundCompaction().Section()
	for _, part := range []string{
		"`make compaction-scale`, at abc, broker and client on the same 2 cores, settings: `a=1`.\n",
		"A log of 10 GiB with 1,000,000 keys: of 10,001,002 records 1,500,000 are left,",
		"It took 385 s of cleaning; the broker's memory was 5 MiB before it and 143 MiB at most beside it.\n",
		"every 2 ms, while the cleaner is held and let work in turn, 2 times each.",
		"| produce p50 | 1.50 (1.00–2.00) ms | 2.00 (1.50–2.50) ms | 1.30 [1.20, 1.50] |\n",
		"| produce p99 | 3.00 (2.00–4.00) ms | 4.00 (3.00–5.00) ms | 1.40 [1.25, 1.50] |\n",
		"| produce p99, all windows together | 3.00 ms | 4.50 ms | 1.50 |\n",
		"| slowest | 6.00 (5.00–7.00) ms | 25.00 (20.00–30.00) ms |  |\n",
		"| read and written | 0.15 (0.10–0.20) MB/s | 61.00 (60.00–62.00) MB/s |  |\n",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}
