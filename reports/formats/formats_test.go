package formats

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchunit"

	"fluxmq/reports"
	"fluxmq/reports/golden"
	"fluxmq/reports/specimen"
	"fluxmq/reports/trial"
	"fluxmq/reports/verdict"
)

// slower is a trial of three blocks a workload, the middle one rejected, whose head costs more and delivers more.
func slower() Judged {
	t := specimen.Trial(3, map[string]float64{trial.BrokerCPU: 0.06, trial.Delivered: 0.1})
	for i := range t.Workloads {
		t.Workloads[i].Blocks = t.Workloads[i].Blocks[3:6]
	}
	delete(t.Workloads[0].Blocks[0].Runs[0].Values, trial.PeakRSS)
	v := specimen.Verdict(t, verdict.Regression, "broker CPU-ns/msg of megabatch/wire is 6 % worse", map[string]string{
		trial.BrokerCPU: verdict.Regression, trial.Delivered: verdict.Improvement, trial.ProduceP99: verdict.Inconclusive})
	return Judged{Trial: t, Verdict: v}
}

func text(t *testing.T, write func(io.Writer) error) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestGoldenFilesOfEveryFormat(t *testing.T) {
	j := slower()
	dir := t.TempDir()
	if err := specimen.WriteFolder(j.Trial, dir); err != nil {
		t.Fatal(err)
	}
	j.Folder = dir
	written := 0
	for _, f := range All() {
		if f.Trial == nil || f.Name == "html" || f.Name == "markdown" { // those are held by reports/verdict
			continue
		}
		files, err := f.Trial(j)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		for _, file := range files {
			if strings.Contains(file.Name, "franz-go") { // the same again
				continue
			}
			golden.Check(t, file.Name, text(t, file.Write))
			written++
		}
	}
	if written < 11 {
		t.Errorf("only %d files were compared", written)
	}
}

func TestFindNamesTheKnownFormats(t *testing.T) {
	if _, err := Find("xml"); err == nil || !strings.Contains(err.Error(), "benchfmt, junit, otava, github-action, bencher, omb, hgrm, hlog, csv, markdown, html") {
		t.Errorf("%v", err)
	}
	for _, f := range All() {
		if f.Trial == nil && f.Result == nil && f.Extend == nil {
			t.Errorf("%s has no form at all", f.Name)
		}
	}
}

func TestBenchfmtKeepsEveryNumberAndTheDirections(t *testing.T) {
	j := slower()
	for _, arm := range []string{trial.Base, trial.Head} {
		reader := benchfmt.NewReader(bytes.NewReader(text(t, func(w io.Writer) error { return WriteBenchfmt(w, j.Trial, arm) })), "arm")
		var got []map[string]float64
		names, configs := map[string]int{}, map[string]bool{}
		for reader.Scan() {
			switch line := reader.Result().(type) {
			case *benchfmt.SyntaxError:
				t.Fatal(line)
			case *benchfmt.Result:
				names[string(line.Name.Full())]++
				configs[fmt.Sprint(line.Config)] = true
				values := map[string]float64{}
				for _, v := range line.Values {
					values[v.Unit] = v.Value
				}
				got = append(got, values)
			}
		}
		if err := reader.Err(); err != nil {
			t.Fatal(err)
		}
		if want := map[string]int{"Megabatch/client=wire-2": 4, "Megabatch/client=franz-go-2": 4}; !maps.Equal(names, want) {
			t.Errorf("%s: names %v, want %v: the runs of a workload share one name", arm, names, want)
		}
		if len(configs) != 1 {
			t.Errorf("%s: %d sets of configuration lines, and so as many tables", arm, len(configs))
		}
		i := 0
		for _, w := range j.Trial.Workloads {
			for _, run := range runsOf(w, arm) {
				for _, m := range w.Metrics {
					value, known := run.Values[m.Name]
					want, unit := benchunit.Tidy(value, m.Unit)
					if got, ok := got[i][unit]; ok != known || math.Abs(got-want) > 1e-15*math.Abs(want) {
						t.Errorf("run %d: %s %v, want %v", i, unit, got, want)
					}
				}
				i++
			}
		}
		for _, m := range trial.Metrics() {
			_, unit := benchunit.Tidy(1, m.Unit)
			want := -1
			if m.HigherWins {
				want = 1
			}
			if better := reader.Units().GetBetter(unit); better != want {
				t.Errorf("%s: better %d, want %d", unit, better, want)
			}
		}
	}
}

func TestBothArmsHaveTheSameConfigurationSoThatBenchstatComparesThem(t *testing.T) {
	j := slower()
	config := func(arm string) (lines []string) {
		for line := range strings.Lines(string(text(t, func(w io.Writer) error { return WriteBenchfmt(w, j.Trial, arm) }))) {
			if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "Benchmark") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	if diff := cmp.Diff(config(trial.Base), config(trial.Head)); diff != "" {
		t.Error(diff)
	}
}

func TestJUnitCountsAndWords(t *testing.T) {
	j := slower()
	read := func() junitSuites {
		var suites junitSuites
		decoder := xml.NewDecoder(bytes.NewReader(text(t, func(w io.Writer) error { return WriteJUnit(w, j.Trial, j.Verdict) })))
		decoder.Strict = true
		if err := decoder.Decode(&suites); err != nil {
			t.Fatal(err)
		}
		return suites
	}
	suites := read()
	if suites.Tests != 18 || suites.Failures != 2 || suites.Skipped != 2 || suites.Errors != 0 || len(suites.Suites) != 2 {
		t.Errorf("%d tests, %d failures, %d skipped, %d errors in %d suites", suites.Tests, suites.Failures, suites.Skipped, suites.Errors, len(suites.Suites))
	}
	for _, suite := range suites.Suites {
		sum := 0.0
		for _, c := range suite.Cases {
			v, err := strconv.ParseFloat(c.Time, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += v
			if (c.Failure != nil) != (c.Name == trial.BrokerCPU) || (c.Skipped != nil) != (c.Name == trial.ProduceP99) {
				t.Errorf("%s: %+v", c.Name, c)
			}
		}
		if total, _ := strconv.ParseFloat(suite.Time, 64); total < 100 || math.Abs(sum-total) > 0.01 {
			t.Errorf("%s takes %s s, its cases %.3f s", suite.Name, suite.Time, sum)
		}
	}
	run := &j.Trial.Workloads[1].Blocks[0].Runs[2]
	run.Lost, run.Exit, run.Failure = 64, 6, "lost <64> & more \x00"
	j.Verdict = &verdict.Verdict{Outcome: verdict.Correctness, Exit: 6, Reason: "lost"}
	if suites = read(); suites.Errors != 9 || suites.Skipped != 9 || suites.Failures != 0 {
		t.Errorf("after a loss: %d errors, %d skipped, %d failures", suites.Errors, suites.Skipped, suites.Failures)
	}
}

func TestGitHubActionSplitsByDirection(t *testing.T) {
	j := slower()
	seen := map[string]bool{}
	for _, bigger := range []bool{false, true} {
		var points []githubPoint
		if err := json.Unmarshal(text(t, func(w io.Writer) error { return WriteGitHubAction(w, j.Trial, j.Verdict, trial.Head, bigger) }), &points); err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			seen[p.Name] = true
			i := slices.IndexFunc(j.Verdict.Rows, func(r verdict.Row) bool { return r.Workload+" "+r.Metric.Label == p.Name })
			if r := j.Verdict.Rows[i]; r.Metric.HigherWins != bigger || r.Head.Median != p.Value || p.Unit != r.Metric.Unit {
				t.Errorf("%+v of %+v", p, r)
			}
		}
	}
	if len(seen) != len(j.Verdict.Rows) {
		t.Errorf("%d of %d rows are there", len(seen), len(j.Verdict.Rows))
	}
}

func TestBencherBoundsHoldTheValue(t *testing.T) {
	j := slower()
	j.Verdict.Rows[0].High = math.Inf(1)
	var out map[string]map[string]bencherMetric
	if err := json.Unmarshal(text(t, func(w io.Writer) error { return WriteBencher(w, j.Verdict, trial.Head) }), &out); err != nil {
		t.Fatal(err)
	}
	bounded := 0
	for _, r := range j.Verdict.Rows {
		m, ok := out[r.Workload][strings.ReplaceAll(r.Metric.Name, "_", "-")]
		if !ok || m.Value != r.Head.Median {
			t.Errorf("%s: %+v", r.Metric.Name, m)
		}
		if m.Lower != nil && m.Upper != nil {
			bounded++
			if *m.Lower > m.Value || *m.Upper < m.Value {
				t.Errorf("%s: %v is not in [%v, %v]", r.Metric.Name, m.Value, *m.Lower, *m.Upper)
			}
		}
	}
	if bounded != len(j.Verdict.Rows)-1 {
		t.Errorf("%d rows of %d have bounds", bounded, len(j.Verdict.Rows))
	}
	if got := cut(strings.Repeat("é", 40), bencherMeasureLength); len(got) != 64 || got != strings.Repeat("é", 32) || cut("aé", 2) != "a" {
		t.Errorf("cut: %q", got)
	}
}

func TestCSVHoldsEveryRunAndEveryNumber(t *testing.T) {
	j := slower()
	j.Trial.Workloads[0].Blocks[0].Runs[0].Failure = "a \"quoted\",\nbroken line"
	lines, err := csv.NewReader(bytes.NewReader(text(t, func(w io.Writer) error { return WriteCSV(w, j.Trial) }))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	i := 0
	for _, w := range j.Trial.Workloads {
		for _, b := range w.Blocks {
			for _, r := range b.Runs {
				i++
				line := lines[i]
				for _, m := range w.Metrics {
					want, known := r.Values[m.Name]
					got, err := strconv.ParseFloat(line[column[m.Name]], 64)
					if known != (err == nil) || got != want {
						t.Errorf("line %d: %s is %q, want %v", i, m.Name, line[column[m.Name]], want)
					}
				}
				if line[column["failure"]] != r.Failure || line[column["reported_kib"]] != "" || line[column["kept"]] != strconv.FormatBool(b.Rejected == "" && b.Sound()) {
					t.Errorf("line %d: %v", i, line)
				}
			}
		}
	}
	if i != len(lines)-1 || i != 24 {
		t.Errorf("%d runs in %d lines", i, len(lines)-1)
	}
}

func TestOtavaHistoryGrowsByOneLineATrial(t *testing.T) {
	folder := t.TempDir()
	extend := func(j Judged) {
		t.Helper()
		if err := ExtendOtava(folder, j.Trial, j.Verdict, trial.Head); err != nil {
			t.Fatal(err)
		}
	}
	first, second := slower(), slower()
	second.Trial.StartedUnixNs += 3600e9
	extend(second)
	extend(first) // an older one, later
	extend(second)
	path := filepath.Join(folder, "megabatch-wire.csv")
	history, err := readOtava(path)
	if err != nil || len(history.lines) != 2 || history.lines[0][0] > history.lines[1][0] {
		t.Fatalf("%+v, %v", history, err)
	}
	before := slices.Clone(history.columns)
	third := slower()
	third.Trial.StartedUnixNs += 7200e9
	third.Verdict.Rows[0].Metric.Name = "a_new_metric"
	extend(third)
	if history, err = readOtava(path); err != nil || len(history.lines) != 3 || !slices.Equal(history.columns, append(before, "a_new_metric")) {
		t.Fatalf("%+v, %v", history, err)
	}
	if full := history.full(); slices.Contains(full, "a_new_metric") || slices.Contains(full, trial.BrokerCPU) || !slices.Contains(full, trial.Delivered) {
		t.Errorf("metrics without a gap: %v", full)
	}
	for _, w := range []string{"time", "commit", "branch"} {
		if history.columns[slices.Index(otavaFixed, w)] != w {
			t.Errorf("columns %v", history.columns)
		}
	}
	if _, err := time.Parse(otavaTime, history.lines[0][0]); err != nil {
		t.Error(err)
	}
	config, err := os.ReadFile(filepath.Join(folder, "otava.yaml"))
	if err != nil || !strings.Contains(string(config), "megabatch-franz-go:") || !strings.Contains(string(config), "direction: 1") {
		t.Errorf("%v\n%s", err, config)
	}
	if err := os.WriteFile(path, []byte("a,b,c\n1,2,3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := ExtendOtava(folder, first.Trial, first.Verdict, trial.Head); err == nil {
		t.Error("a file of somebody else was overwritten")
	}
}

// chartKeys are what create_charts.py asks every result for.
var chartKeys = []string{"workload", "driver", "publishLatency99pct", "publishDelayLatency99pct", "publishRate", "publishErrorRate", "endToEndLatency95pct", "consumeRate",
	"endToEndLatencyAvg", "aggregatedPublishLatencyQuantiles", "aggregatedPublishDelayLatencyQuantiles", "aggregatedEndToEndLatencyQuantiles"}

func TestOMBHasWhatItsChartsNeed(t *testing.T) {
	j := slower()
	dir := t.TempDir()
	if err := specimen.WriteFolder(j.Trial, dir); err != nil {
		t.Fatal(err)
	}
	for about, folder := range map[string]string{"with latency logs": dir, "without": ""} {
		j.Folder = folder
		var out map[string]any
		if err := json.Unmarshal(text(t, func(w io.Writer) error { return WriteOMBArm(w, j, j.Trial.Workloads[0], trial.Head) }), &out); err != nil {
			t.Fatal(err)
		}
		for _, key := range chartKeys {
			if array, isArray := out[key].([]any); out[key] == nil || isArray && len(array) != 4 {
				t.Errorf("%s: %s is %v", about, key, out[key])
			}
		}
		quantiles := out["aggregatedPublishLatencyQuantiles"].(map[string]any)
		if p50, ok := quantiles["50"].(float64); !ok || p50 < 1.8 || p50 > 2.1 {
			t.Errorf("%s: the median is %v ms", about, quantiles["50"])
		}
	}
}

func TestLatencyFilesReadBack(t *testing.T) {
	j := slower()
	dir := t.TempDir()
	if err := specimen.WriteFolder(j.Trial, dir); err != nil {
		t.Fatal(err)
	}
	j.Folder = dir
	files, err := hlogTrialFiles(j)
	if err != nil || len(files) != 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	path := filepath.Join(dir, "x.hlog")
	if err := os.WriteFile(path, text(t, files[0].Write), 0o644); err != nil {
		t.Fatal(err)
	}
	back, err := reports.ReadLatencyIntervals(path, 0)
	if err != nil || len(back) != 12 { // 4 runs of the base, 3 intervals each
		t.Fatalf("%d intervals, %v", len(back), err)
	}
	groups, err := trialLatencies(j)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range groups[0].intervals {
		if !h.Equals(back[i]) || h.StartTimeMs() != back[i].StartTimeMs() || h.Tag() != back[i].Tag() {
			t.Errorf("interval %d changed", i)
		}
	}
	var lines, lastCount int
	var last float64
	for line := range strings.Lines(string(text(t, func(w io.Writer) error { return WriteHgrm(w, merge(groups[0].intervals)["produce"]) }))) {
		var value, percentile float64
		var count int
		if n, _ := fmt.Sscan(line, &value, &percentile, &count); n != 3 {
			continue
		}
		if value < last || count < lastCount || percentile > 1 {
			t.Errorf("the distribution goes back at %q", line)
		}
		last, lastCount = value, count
		lines++
	}
	if lines < 20 || lastCount != 1200 || last < 3.7 || last > 4.2 {
		t.Errorf("%d lines end at %v ms of %d", lines, last, lastCount)
	}
	j.Folder = ""
	if _, err := hgrmTrialFiles(j); err == nil {
		t.Error("a trial without logs has a distribution")
	}
}

// TestWriteSpecimens leaves trials for tools/checks/formats.sh: twelve without a
// change, and twelve whose head costs a fifth more.
func TestWriteSpecimens(t *testing.T) {
	folder := os.Getenv("FLUXMQ_SPECIMENS")
	if folder == "" {
		t.Skip("FLUXMQ_SPECIMENS names no folder")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for i := range 24 {
		change := map[string]float64{}
		if i >= 12 {
			change[trial.BrokerCPU] = 0.2
		}
		tr := specimen.Trial(seed+uint64(i), change)
		tr.StartedUnixNs += int64(i-30) * 24 * 3600e9
		tr.Head.Commit, tr.Head.Dirty = fmt.Sprintf("%040x", 0xabc00+i), false
		dir := filepath.Join(folder, fmt.Sprintf("%02d", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		write := tr.Write
		if i == 23 { // one with its latency logs will do
			write = func(dir string) error { return specimen.WriteFolder(tr, dir) }
		}
		if err := write(dir); err != nil {
			t.Fatal(err)
		}
	}
}
