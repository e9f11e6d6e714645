package formats

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

func benchfmtFiles(j Judged) ([]File, error) {
	var files []File
	for _, arm := range j.arms() {
		files = append(files, File{armName(arm) + ".txt", func(w io.Writer) error { return WriteBenchfmt(w, j.Trial, arm) }})
	}
	return files, nil
}

// WriteBenchfmt writes one arm in the Go benchmark format, a line for each run
// of a kept block, all of a workload under one name: benchstat groups by the
// full name. `benchstat base.txt head.txt` compares the arms; its test is not
// paired by block, ours is.
//
// Configuration lines hold what both arms share. What is the arm's own is a
// comment, for benchstat makes a table of its own for each set of configuration
// lines and would compare nothing.
func WriteBenchfmt(w io.Writer, t *trial.Trial, arm string) error {
	side := sideOf(t, arm)
	dirty := ""
	if side.Dirty {
		dirty = " (dirty)"
	}
	fmt.Fprintf(w, "# trial %s, arm %s: %s %s%s\n# benchstat's p-value knows nothing of the blocks; fluxbench's is paired by them\n",
		oneLine(t.ID), armName(arm), oneLine(side.Label), oneLine(reports.ShortCommit(side.Commit)), dirty)
	for _, line := range [][2]string{{"goos", t.Host.OS}, {"cpu", t.Host.CPUModel}} {
		if line[1] != "" {
			fmt.Fprintf(w, "%s: %s\n", line[0], oneLine(line[1]))
		}
	}
	declared := map[string]bool{}
	for _, workload := range t.Workloads {
		for _, m := range workload.Metrics {
			if declared[m.Unit] {
				continue
			}
			declared[m.Unit] = true
			better := "lower"
			if m.HigherWins {
				better = "higher"
			}
			fmt.Fprintf(w, "Unit %s better=%s\n", m.Unit, better)
		}
	}
	for _, workload := range t.Workloads {
		fmt.Fprintf(w, "durability: %s\nvalidation: %s\nrate: %s\n", oneLine(reports.OrDash(workload.Durability)), oneLine(reports.OrDash(workload.Validation)), plain(workload.RatePerSecond))
		name := fmt.Sprintf("Benchmark%s/client=%s-%d", reports.BenchName(workload.Scenario.Name), strings.Join(strings.Fields(workload.Client), "_"), max(t.Host.CPUs, 1))
		for _, run := range runsOf(workload, arm) {
			line := fmt.Sprintf("%s %d", name, max(run.Expected, 1))
			known := 0
			for _, m := range workload.Metrics {
				if v, ok := valueOf(run, m); ok {
					line += " " + plain(v) + " " + m.Unit
					known++
				}
			}
			if known == 0 { // the format wants a value
				continue
			}
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// plain writes a number with all its digits.
func plain(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
