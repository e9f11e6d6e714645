package reports

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"unicode"
)

// WriteBenchfmt prints the sound arm-runs in the Go benchmark format, one line
// each, so that benchstat counts rounds rightly. Arm-runs that do not hold are
// named in a comment. What differs between two results that are to be compared
// (commit, target, profile) is a comment too: benchstat makes one table for
// each set of configuration lines.
func (s *Summary) WriteBenchfmt(w io.Writer, folder string) error {
	r := s.Result
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\n", runtime.GOOS, runtime.GOARCH)
	for _, line := range [][2]string{
		{"# commit", ShortCommit(r.Commit) + dirtySuffix(r.Dirty)}, {"# profile", r.Profile.Name}, {"# target", r.Target.Label()},
		{"cpu", r.Host.CPUModel}, {"scenario", r.Scenario.Name}, {"form", r.Scenario.Form}, {"durability", OrDash(r.Target.Durability)}, {"validation", OrDash(r.Target.Validation)},
	} {
		fmt.Fprintf(w, "%s: %s\n", line[0], strings.ReplaceAll(line[1], "\n", " "))
	}
	fmt.Fprint(w, "Unit msg/s better=higher\nUnit raw-B/s better=higher\nUnit broker-cpu-ns/msg better=lower\nUnit client-cpu-ns/msg better=lower\n"+
		"Unit p50-ns better=lower\nUnit p99-ns better=lower\nUnit p99.9-ns better=lower\nUnit peak-RSS-bytes better=lower\n")
	var err error
	for _, run := range r.ArmRuns {
		if !run.Sound() {
			fmt.Fprintf(w, "# failed: round %d client %s\n", run.Round, run.Client)
			continue
		}
		latencies := Latencies{}
		one := *r
		one.ArmRuns = []ArmRun{run}
		if latencies, err = latencyLogs(&one, folder, run.Client); err != nil {
			return err
		}
		if err = writeBenchLine(w, r, run, latencies.Quantiles(TagProduce)); err != nil {
			return err
		}
	}
	return err
}

func writeBenchLine(w io.Writer, r *Result, run ArmRun, q Quantiles) error {
	records := run.Result.Records
	line := fmt.Sprintf("Benchmark%s/client=%s-%d %d", BenchName(r.Scenario.Name), run.Client, max(r.Host.CPUs, 1), records)
	add := func(value float64, unit string) {
		if value > 0 {
			line += fmt.Sprintf(" %.6g %s", value, unit)
		}
	}
	rate := deliveredRate(run)
	add(rate, "msg/s")
	if records > 0 {
		add(rate*float64(run.Result.RawBytes)/float64(records), "raw-B/s")
		add(float64(run.Result.CPUUserNs+run.Result.CPUSystemNs)/float64(records), "client-cpu-ns/msg")
	}
	if cost := CostOf(run); cost.Known {
		add(cost.CPUNsPerRecord, "broker-cpu-ns/msg")
	}
	add(float64(q.P50), "p50-ns")
	add(float64(q.P99), "p99-ns")
	add(float64(q.P999), "p99.9-ns")
	add(float64(run.Broker.PeakRSSBytes), "peak-RSS-bytes")
	_, err := fmt.Fprintln(w, line)
	return err
}

func dirtySuffix(dirty bool) string {
	if dirty {
		return "-dirty"
	}
	return ""
}

// BenchName makes "wire_1mb" into "Wire1mb": the format wants an upper-case start after Benchmark.
func BenchName(scenario string) string {
	var b strings.Builder
	up := true
	for _, r := range scenario {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			up = true
			continue
		}
		if up {
			r = unicode.ToUpper(r)
		}
		up = false
		b.WriteRune(r)
	}
	return b.String()
}
