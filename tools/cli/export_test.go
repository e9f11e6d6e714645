package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxmq/reports"
	"fluxmq/reports/formats"
	"fluxmq/reports/specimen"
	"fluxmq/reports/trial"
)

// storedTrial leaves a made-up trial whose head costs a fifth more.
func storedTrial(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	tr := specimen.Trial(5, map[string]float64{trial.BrokerCPU: 0.2})
	tr.Workloads = tr.Workloads[:1]
	if err := specimen.WriteFolder(tr, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// storedResult leaves a result of one sound arm-run of two seconds beside the latency log of a trial's run.
func storedResult(t *testing.T, trialDir string) string {
	t.Helper()
	const second = int64(1e9)
	dir, start := t.TempDir(), specimen.Start
	log, err := os.ReadFile(filepath.Join(trialDir, "wire-01-1-cost.hlog"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "01-wire.hlog"), log, 0o644); err != nil {
		t.Fatal(err)
	}
	run := reports.ArmRun{Client: "wire", Round: 1, Position: 1, LatencyLog: "01-wire.hlog", Job: map[string]any{"partitions": 8, "threads": 4, "payload": map[string]any{"value_bytes": 256}},
		Result: &reports.ClientResult{Schema: 1, Client: "wire", Records: 2000, RawBytes: 512000, WindowStartUnixNs: start, DeliveredUnixNs: start + 2*second, DeliveredRate: 1000, ClientRate: 1000,
			PerSecond: []reports.Second{{UnixNs: start + second, Seconds: 1, Acknowledged: 1500, Measured: true}, {UnixNs: start + 2*second, Seconds: 1, Acknowledged: 500, Measured: true}},
			Ledger:    reports.Ledger{Checked: true, Complete: true, Expected: 2000, Read: 2000}}}
	result := reports.Result{Schema: reports.ResultSchema, ID: "x", StartedUnixNs: start, Scenario: reports.ScenarioRecord{Name: "megabatch", Form: reports.FormHonest},
		Target: reports.TargetRecord{Kind: reports.TargetFluxMQ}, Clients: []string{"wire"}, Rounds: 1, ArmRuns: []reports.ArmRun{run}}
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "result.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEveryFormatIsExportedOrSaysWhyNot(t *testing.T) {
	trialDir := storedTrial(t)
	resultDir := storedResult(t, trialDir)
	for _, f := range formats.All() {
		t.Run(f.Name, func(t *testing.T) {
			for from, possible := range map[string]bool{trialDir: f.Trial != nil || f.Extend != nil, resultDir: f.Result != nil} {
				out := filepath.Join(t.TempDir(), "out") + string(filepath.Separator)
				code, _, stderr := call(t, "export", from, "--format", f.Name, "-o", out)
				entries, err := os.ReadDir(out)
				switch {
				case possible && (code != 0 || err != nil || len(entries) == 0):
					t.Errorf("%s: exit %d, %d files, %v: %s", from, code, len(entries), err, stderr)
				case !possible && (code != 2 || len(entries) != 0):
					t.Errorf("%s: exit %d, %d files: %s", from, code, len(entries), stderr)
				}
			}
		})
	}
}

func TestExportChoosesFileFolderOrStandardOutput(t *testing.T) {
	dir := storedTrial(t)
	out := t.TempDir()
	for _, row := range []struct {
		about  string
		args   []string
		code   int
		stdout string
		words  string
		files  []string
	}{
		{"one arm goes to standard output", []string{"--format", "benchfmt", "--arm", "head"}, 0, "BenchmarkMegabatch/client=wire-2", "", nil},
		{"two files need a folder", []string{"--format", "benchfmt"}, 2, "", "base.txt, head.txt): give -o FOLDER or --arm", nil},
		{"a file of a name", []string{"--format", "junit", "-o", filepath.Join(out, "x.xml")}, 0, "", "", []string{"x.xml"}},
		{"a folder that is not there", []string{"--format", "benchfmt", "-o", filepath.Join(out, "new")}, 0, "", "", []string{"new"}},
		{"an arm that is none", []string{"--format", "csv", "--arm", "A"}, 2, "", "base or head", nil},
		{"Otava without a folder", []string{"--format", "otava"}, 2, "", "give -o FOLDER", nil},
		{"an unknown format", []string{"--format", "yaml"}, 2, "", "known formats: benchfmt, junit, otava", nil},
	} {
		t.Run(row.about, func(t *testing.T) {
			code, stdout, stderr := call(t, append([]string{"export", dir}, row.args...)...)
			if code != row.code || !strings.Contains(stdout, row.stdout) || !strings.Contains(stderr, row.words) || row.stdout == "" && stdout != "" {
				t.Errorf("exit %d, want %d; %q, %q", code, row.code, stdout, stderr)
			}
			for _, name := range row.files {
				if _, err := os.Stat(filepath.Join(out, name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestOMBOfAStoredResultHoldsTheMeasuredSeconds(t *testing.T) {
	dir := storedResult(t, storedTrial(t))
	code, stdout, stderr := call(t, "export", dir, "--format", "omb")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var result struct {
		Partitions   int64              `json:"partitions"`
		MessageSize  int64              `json:"messageSize"`
		PublishRate  []float64          `json:"publishRate"`
		ConsumeRate  []float64          `json:"consumeRate"`
		Latency99    []float64          `json:"publishLatency99pct"`
		EndToEnd     []float64          `json:"endToEndLatencyAvg"`
		PublishDelay []float64          `json:"publishDelayLatency99pct"`
		Quantiles    map[string]float64 `json:"aggregatedPublishLatencyQuantiles"`
	}
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(result.PublishRate, []float64{1000}) || result.Partitions != 8 || result.MessageSize != 256 || len(result.Latency99) != 1 || len(result.EndToEnd) != 1 ||
		len(result.PublishDelay) != 1 || len(result.ConsumeRate) != 1 || result.Latency99[0] < 3 || result.Quantiles["100"] < result.Quantiles["50"] {
		t.Errorf("%+v", result)
	}
}

func TestReportShowsATrial(t *testing.T) {
	dir := storedTrial(t)
	for format, want := range map[string]string{"terminal": "━━━━━ REGRESSION: ", "markdown": "### REGRESSION: ", "html": `<div class="verdict c-bad"><b>REGRESSION</b>`} {
		t.Run(format, func(t *testing.T) {
			code, stdout, stderr := call(t, "report", filepath.Join(dir, trial.FileName), "--format", format)
			if code != 0 || !strings.Contains(stdout, want) || !strings.Contains(stdout, "broker CPU-ns/msg") {
				t.Errorf("exit %d, no %q; %s", code, want, stderr)
			}
		})
	}
	t.Run("a trial of a newer layout", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "trial.json")
		if err := os.WriteFile(path, []byte(`{"schema":99,"workloads":[]}`), 0o644); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := call(t, "report", path); code != 2 || !strings.Contains(stderr, "schema 99") {
			t.Errorf("exit %d: %s", code, stderr)
		}
	})
}
