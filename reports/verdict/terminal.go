package verdict

import (
	"fmt"
	"io"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// WriteTerminal prints what was compared, a table for each workload, the
// outcome in one loud line, and how to measure it again.
func WriteTerminal(w io.Writer, t *trial.Trial, v *Verdict) error {
	fmt.Fprintln(w)
	for _, line := range headings(t) {
		fmt.Fprintln(w, line)
	}
	for _, workload := range t.Workloads {
		fmt.Fprintf(w, "\n%s\n", workloadLine(workload))
		rows := v.Of(workload.Name())
		if len(rows) == 0 {
			fmt.Fprintln(w, "  no metric was judged")
			continue
		}
		if err := reports.RenderTable(w, tableHeader(t), tableRows(rows), false); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\n━━━━━ %s ━━━━━\n\n", headline(v))
	for _, r := range rejectedReasons(v) {
		fmt.Fprintf(w, "  • %s blocks rejected: %s\n", r.Cells[0], r.Label)
	}
	if t.Failure != "" {
		fmt.Fprintf(w, "  • the trial ended early: %s\n", oneLine(t.Failure))
	}
	if line := unfilteredLine(v); line != "" {
		fmt.Fprintf(w, "  • %s\n", line)
	}
	_, err := fmt.Fprintf(w, "  • %s\n\n%s\n", originLine(t), commandLine(t))
	return err
}
