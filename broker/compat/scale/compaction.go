package scale

import "fmt"

// CompactionVersion is the version of the file's form; LoadCompaction refuses others.
const CompactionVersion = 1

// Compaction is one run of `make compaction-scale`: a log is cleaned while another
// topic is produced to at a fixed rate. The cleaner is held and let work in turn,
// so that a machine that drifts does so for both.
type Compaction struct {
	Version      int      `json:"version"`
	Commit       string   `json:"commit"`   // that was measured, "-dirty" when it was changed
	Cores        int      `json:"cores"`    // that broker and client shared
	Settings     []string `json:"settings"` // of the broker, those that are not the default ones
	GiB          int      `json:"gib"`      // of the log
	Cold         bool     `json:"cold"`     // the log was not in the page cache when the cleaning began
	Keys         int64    `json:"keys"`
	Records      int64    `json:"records"`
	RecordsLeft  int64    `json:"records_left"`
	CleanSeconds float64  `json:"clean_seconds"` // of work, what the cleaner was held not counted
	IdleMiB      int64    `json:"idle_mib"`      // resident in the broker before it, without the page cache that it maps
	MostMiB      int64    `json:"most_mib"`      // beside it
	ProbeMs      float64  `json:"probe_ms"`      // from one request to the next

	Pairs       []CompactionPair `json:"pairs"`
	HeldP99     float64          `json:"held_p99_ms"` // of all windows together
	WorkingP99  float64          `json:"working_p99_ms"`
	RatioOfP50s Ratio            `json:"ratio_of_p50s"` // working to held, window by window
	RatioOfP99s Ratio            `json:"ratio_of_p99s"`
}

// CompactionPair is a window with the cleaner held and one, behind it, with the cleaner at work.
type CompactionPair struct {
	Held    Latencies `json:"held"`
	Working Latencies `json:"working"`
}

// Latencies are those of one window, from the intended times on.
type Latencies struct {
	Seconds float64 `json:"seconds"`
	Samples int64   `json:"samples"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
	// MovedMB is what the broker read and wrote by system calls meanwhile, in MB a second.
	MovedMB float64 `json:"moved_mb_per_second"`
}

// Ratio is the Hodges-Lehmann estimate over the pairs and its 95 % interval, by signed ranks of the logarithms.
type Ratio struct {
	Estimate float64 `json:"estimate"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
}

func (c Compaction) check() error {
	switch {
	case c.Version != CompactionVersion:
		return fmt.Errorf("%w: its version is %d, not %d", ErrNotAResult, c.Version, CompactionVersion)
	case c.Commit == "" || c.Cores < 1:
		return fmt.Errorf("%w: it lacks the commit or the cores", ErrNotAResult)
	case c.GiB < 1 || c.Keys < 1 || c.RecordsLeft < 1 || c.Records < c.RecordsLeft:
		return fmt.Errorf("%w: %d GiB, %d keys, %d records, %d left", ErrNotAResult, c.GiB, c.Keys, c.Records, c.RecordsLeft)
	case len(c.Pairs) == 0:
		return fmt.Errorf("%w: nothing was measured", ErrNotAResult)
	}
	for _, p := range c.Pairs {
		if p.Held.Samples < 1 || p.Working.Samples < 1 {
			return fmt.Errorf("%w: a window without a sample: %+v", ErrNotAResult, p)
		}
	}
	for _, r := range []Ratio{c.RatioOfP50s, c.RatioOfP99s} {
		if !(0 < r.Low && r.Low <= r.Estimate && r.Estimate <= r.High) {
			return fmt.Errorf("%w: the ratio %+v", ErrNotAResult, r)
		}
	}
	return nil
}

// Save writes the result to a file, in a folder that it makes. The file is whole or not there.
func (c Compaction) Save(path string) error { return save(path, c) }

// LoadCompaction reads a result; the error of a file that is not there is fs.ErrNotExist.
func LoadCompaction(path string) (Compaction, error) { return load[Compaction](path) }
