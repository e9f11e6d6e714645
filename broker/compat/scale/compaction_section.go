package scale

import (
	"fmt"
	"slices"
	"strings"
)

// Section is the part of the page about a large log that is compacted. Of a result
// in which nothing was measured it is empty.
func (c Compaction) Section() string {
	if len(c.Pairs) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## Compaction at scale\n\n`make compaction-scale`, at %s, broker and client on the same %d cores, settings: %s.\n", c.Commit, c.Cores, named(c.Settings))
	where := ""
	if c.Cold {
		where = " on the disk, not in the page cache,"
	}
	fmt.Fprintf(&b, "\nA log of %d GiB%s with %s keys: of %s records %s are left, the last of each key among them, and no key twice below the cleaner's checkpoint. "+
		"It took %.0f s of cleaning; the broker's memory was %d MiB before it and %d MiB at most beside it.\n", c.GiB, where, grouped(c.Keys), grouped(c.Records), grouped(c.RecordsLeft), c.CleanSeconds, c.IdleMiB, c.MostMiB)
	fmt.Fprintf(&b, "\nWhat it does to others: one record with acks=all is sent to another topic every %g ms, while the cleaner is held and let work in turn, %d times each. "+
		"Latencies count from the intended times; of the windows' figures the median, least and greatest; the ratio is that of a window to the one before it, with its 95 %% interval.\n\n"+
		"| | cleaner held | cleaner at work | ratio |\n|---|--:|--:|--:|\n", c.ProbeMs, len(c.Pairs))
	row := func(name, unit string, of func(Latencies) float64, ratio string) {
		var held, working []float64
		for _, p := range c.Pairs {
			held, working = append(held, of(p.Held)), append(working, of(p.Working))
		}
		fmt.Fprintf(&b, "| %s | %s %s | %s %s | %s |\n", name, ranged(held), unit, ranged(working), unit, ratio)
	}
	row("produce p50", "ms", func(l Latencies) float64 { return l.P50 }, c.RatioOfP50s.String())
	row("produce p99", "ms", func(l Latencies) float64 { return l.P99 }, c.RatioOfP99s.String())
	fmt.Fprintf(&b, "| produce p99, all windows together | %.2f ms | %.2f ms | %.2f |\n", c.HeldP99, c.WorkingP99, c.WorkingP99/c.HeldP99)
	row("slowest", "ms", func(l Latencies) float64 { return l.Max }, "")
	row("read and written", "MB/s", func(l Latencies) float64 { return l.MovedMB }, "")
	return b.String()
}

// String is the estimate with its interval.
func (r Ratio) String() string { return fmt.Sprintf("%.2f [%.2f, %.2f]", r.Estimate, r.Low, r.High) }

// ranged is the median of at least one figure, and between what they lie.
func ranged(figures []float64) string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", Median(figures), slices.Min(figures), slices.Max(figures))
}

// grouped writes a number with a comma at each thousand.
func grouped(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
