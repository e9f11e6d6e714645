package formats

import (
	"encoding/csv"
	"io"
	"slices"
	"strconv"

	"fluxmq/reports/trial"
)

// WriteCSV writes a line for each run, rejected and broken ones included, with
// everything the trial knows of it. An empty cell is what is not known.
func WriteCSV(w io.Writer, t *trial.Trial) error {
	metrics := metricNames(t)
	header := []string{"workload", "block", "order", "rejected", "kept", "arm", "position", "start_unix_ns", "end_unix_ns"}
	header = append(header, metrics...)
	header = append(header, "steal_share", "foreign_share", "canary_ns", "first_touch_ns_per_kib", "reported_kib",
		"expected", "read", "lost", "duplicated", "reordered", "corrupt", "exit", "failure")
	out := csv.NewWriter(w)
	if err := out.Write(header); err != nil {
		return err
	}
	whole := func(v int64) string { return strconv.FormatInt(v, 10) }
	noise := func(v float64) string {
		if v < 0 || !finite(v) {
			return ""
		}
		return plain(v)
	}
	for _, workload := range t.Workloads {
		for _, b := range workload.Blocks {
			kept := strconv.FormatBool(b.Rejected == "" && b.Sound())
			for _, r := range b.Runs {
				line := []string{workload.Name(), strconv.Itoa(b.Number), b.Order, b.Rejected, kept, armName(r.Arm), strconv.Itoa(r.Position), whole(r.StartUnixNs), whole(r.EndUnixNs)}
				for _, name := range metrics {
					cell := ""
					if v, ok := r.Values[name]; ok && finite(v) {
						cell = plain(v)
					}
					line = append(line, cell)
				}
				n := r.Noise
				line = append(line, noise(n.StealShare), noise(n.ForeignShare), noise(n.CanaryNs), noise(n.FirstTouchNsPerKiB), noise(n.ReportedKiB),
					whole(r.Expected), whole(r.Read), whole(r.Lost), whole(r.Duplicated), whole(r.Reordered), whole(r.Corrupt), strconv.Itoa(r.Exit), r.Failure)
				if err := out.Write(line); err != nil {
					return err
				}
			}
		}
	}
	out.Flush()
	return out.Error()
}

// metricNames are the columns: the table of metrics first, then what the trial alone knows.
func metricNames(t *trial.Trial) []string {
	var names []string
	add := func(metrics []trial.Metric) {
		for _, m := range metrics {
			if !slices.Contains(names, m.Name) {
				names = append(names, m.Name)
			}
		}
	}
	add(trial.Metrics())
	for _, w := range t.Workloads {
		add(w.Metrics)
	}
	return names
}
