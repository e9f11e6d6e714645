package history

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"fluxmq/reports"
)

// sparkWidth is how many of the newest points a sparkline shows.
const sparkWidth = 40

// WriteTerminal prints a sparkline, the newest index and the changes of every
// gated metric; all shows the others too.
func (v *View) WriteTerminal(w io.Writer, all bool) error {
	if v.Reference == nil {
		fmt.Fprintln(w, "no reference is pinned")
	} else {
		fmt.Fprintf(w, "reference %s %s, pinned %s: %s\n", reports.ShortCommit(v.Reference.SHA), v.Reference.Subject, v.Reference.PinnedAt.Format("2006-01-02"), v.Reference.Why)
	}
	if len(v.Workloads) == 0 {
		_, err := fmt.Fprintln(w, "no points yet; measure some: fluxbench history measure REV…")
		return err
	}
	for _, load := range v.Workloads {
		var rows []reports.Row
		var changes []string
		for _, s := range load.Metrics {
			for i, c := range s.Chains {
				label := s.Metric.Label
				if len(s.Chains) > 1 {
					label += fmt.Sprintf(" [%d, root %s]", i+1, reports.ShortCommit(c.Root))
				}
				for _, change := range c.Changes {
					changes = append(changes, fmt.Sprintf("%s %s %s: %s", change.mark(), reports.ShortCommit(change.SHA), label, change.words()), "    "+change.Subject)
				}
				if !all && !s.Metric.Gated && len(c.Changes) == 0 {
					continue
				}
				last := c.Points[len(c.Points)-1]
				rows = append(rows, reports.Row{Label: label, Cells: []string{sparkline(c.Points), strconv.Itoa(len(c.Points)), reports.ShortCommit(last.SHA), interval95(last.Index)}})
			}
		}
		fmt.Fprintf(w, "\n%s\n", load.Name)
		if err := reports.RenderTable(w, []string{"index, root = 1", "oldest → newest", "points", "newest", "index (95 %)"}, rows, false); err != nil {
			return err
		}
		if len(changes) == 0 {
			changes = []string{"no change of level found"}
		}
		for _, line := range changes {
			fmt.Fprintf(w, "  %s\n", line)
		}
		for _, note := range load.Notes {
			fmt.Fprintf(w, "  • %s\n", note)
		}
	}
	return nil
}

// mark tells a worsening from an improvement without colour.
func (c Change) mark() string {
	if c.Worse {
		return "✗ worse "
	}
	return "✓ better"
}

func interval95(r Ratio) string { return fmt.Sprintf("%.3f (%.3f–%.3f)", r.Ratio, r.Low, r.High) }

// sparkline draws the newest points between the chain's lowest and highest.
func sparkline(points []Indexed) string {
	const bars = "▁▂▃▄▅▆▇█"
	glyphs := []rune(bars)
	points = points[max(0, len(points)-sparkWidth):]
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range points {
		low, high = math.Min(low, p.log()), math.Max(high, p.log())
	}
	// Below half a percent of range a line is flat: noise must not look like mountains.
	if spread := high - low; spread < 0.005 {
		low, high = low-(0.005-spread)/2, high+(0.005-spread)/2
	}
	var b strings.Builder
	for _, p := range points {
		at := (p.log() - low) / (high - low) * float64(len(glyphs)-1)
		b.WriteRune(glyphs[int(math.Round(at))])
	}
	return b.String()
}
