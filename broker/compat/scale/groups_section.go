package scale

import (
	"fmt"
	"slices"
	"strings"
)

// inCell takes out what would end a cell of a table.
var inCell = strings.NewReplacer("|", "¦", "\n", " ")

// Section is the part of the page about groups at scale. Of a result in which
// nothing was measured it is empty.
func (r Groups) Section() string {
	if len(r.Settles)+len(r.Heartbeats) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## Groups at scale\n\n`make group-scale`, at %s, broker and clients on the same %d cores.\n", r.Commit, r.Cores)
	if len(r.Settles) > 0 {
		b.WriteString("\nHow long a group takes until the broker calls it Stable and each partition has one owner by its members' own account, in seconds, median and maximum: from the start of all clients at once, " +
			"after some left at once, and after as many came back. Settings are the broker's and the client's defaults but for those named.\n\n" +
			"| protocol | settings | members | partitions | rounds | start | leave | return | load |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	}
	for _, s := range r.Settles {
		fmt.Fprintf(&b, "| %s | %s | %d ∓ %d | %d | %d | %s | %s | %s | %.1f |\n", inCell.Replace(s.Protocol), named(s.Settings), s.Members, s.Moving, s.Partitions, len(s.Start), spread(s.Start), spread(s.Leave), spread(s.Return), s.Load)
	}
	if len(r.Heartbeats) > 0 {
		b.WriteString("\nWhat heartbeats of groups of one member cost the broker, in % of one core, user and system, what it takes idle not counted. Each heartbeat is a request and a write of its own.\n\n" +
			"| protocol | settings | groups | connections | interval | joined in | heartbeats a second | % of a core, each window | answered in, p50 / p99 | idle | resident | load |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	}
	for _, h := range r.Heartbeats {
		var percents, times, loads []string
		var beats, seconds float64
		for _, w := range h.Windows {
			percents, loads = append(percents, fmt.Sprintf("%.1f", w.Percent)), append(loads, fmt.Sprintf("%.1f", w.Load))
			times = append(times, fmt.Sprintf("%.1f / %.1f ms", w.P50, w.P99))
			beats, seconds = beats+float64(w.Beats), seconds+w.Seconds
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d ms | %.1f s | %.0f | %s | %s | %.1f | %d MiB | %s |\n", inCell.Replace(h.Protocol), named(h.Settings), h.Groups, h.Connections, h.IntervalMs, h.JoinSeconds,
			beats/max(seconds, 1e-9), strings.Join(percents, ", "), strings.Join(times, ", "), h.IdlePercent, h.ResidentMiB, strings.Join(loads, ", "))
	}
	return b.String()
}

// named are settings as a cell shows them.
func named(settings []string) string {
	if len(settings) == 0 {
		return "defaults"
	}
	return "`" + inCell.Replace(strings.Join(settings, "`, `")) + "`"
}

// spread of at least one figure.
func spread(figures []float64) string {
	return fmt.Sprintf("%.2f, %.2f", Median(figures), slices.Max(figures))
}

// Median of at least one figure, the mean of the middle two of an even count.
func Median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
