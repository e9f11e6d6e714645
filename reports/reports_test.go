package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/perf/benchfmt"

	"fluxmq/reports/golden"
)

const second = int64(time.Second)

// sampleStart is the wall clock of the sample: a fixed moment.
const sampleStart = 1_795_452_688 * second

// sampleRun is one sound arm-run of 2,000,000 records in 4 s.
func sampleRun(client string, round int, rate float64) ArmRun {
	start := sampleStart + int64(round)*60*second
	window := start + 10*second
	records := int64(rate * 4)
	run := ArmRun{
		Client: client, Round: round, Position: round, StartUnixNs: start, EndUnixNs: start + 20*second,
		Job: map[string]any{"mode": "produce", "rate_per_second": 0.0},
		Result: &ClientResult{Schema: 1, Client: client, ClientVersion: client + " 1.0", Round: round, Records: records, RawBytes: records * 256,
			WarmUp: WarmUpResult{Steady: round != 2, Seconds: 3}, ClientRate: rate * 1.1, DeliveredRate: rate, WindowStartUnixNs: window,
			LastSendUnixNs: window + 39*second/10, FlushedUnixNs: window + 4*second, DeliveredUnixNs: window + 4*second, CPUUserNs: records * 700, CPUSystemNs: records * 300,
			PeakRSS: 300 << 20, CompressedRatio: 0.35, ProduceLatencyMeaning: "acknowledged", Effective: map[string]string{"linger.ms": "Linger(15ms)"}, Unmapped: []string{"buffer.memory"},
			Ledger: Ledger{Checked: true, Complete: true, Expected: 2 * records, Read: 2 * records}},
		Broker: BrokerCost{Measured: true, StartToReadyMs: 20 + float64(round), ReadyRSSBytes: 11 << 20, PeakRSSBytes: int64(50+round) << 20, WindowNs: 4 * second, CPUNs: records * 200,
			LogBytesWindow: records * 100, LogBytesTotal: 2 * records * 100},
		Machine: MachineCost{CPUs: 2, UserNs: 5 * second, SystemNs: 2 * second, IdleNs: second / 2, StealNs: second / 2},
	}
	for i := range 6 {
		run.Result.PerSecond = append(run.Result.PerSecond, Second{UnixNs: window + int64(i-1)*second, Seconds: 1, Sent: records / 4, Acknowledged: records / 4, Measured: i >= 2})
		run.Samples = append(run.Samples, HostSample{UnixNs: start + int64(i+1)*second, Seconds: 1, UserCores: 1, SystemCores: .5, IdleCores: .4, StealCores: .1, BrokerCores: .3, ClientCores: 1,
			BrokerRSSBytes: int64(20+i) << 20, ClientRSSBytes: 200 << 20})
	}
	return run
}

func sampleResult() *Result {
	r := &Result{
		Schema: ResultSchema, ID: "20261123T000000Z-00000000", StartedUnixNs: sampleStart, FinishedUnixNs: sampleStart + 600*second, Command: []string{"fluxbench", "run", "megabatch"},
		Commit: strings.Repeat("ab", 20), Scenario: ScenarioRecord{Name: "megabatch", Question: "How many?", Form: FormHonest, Text: "name: megabatch\n", SHA256: strings.Repeat("0", 64)},
		Profile:   ProfileRecord{Name: "default", Text: "name: default\n", BuildArgs: []string{"-pgo=off"}},
		Target:    TargetRecord{Kind: TargetFluxMQ, Version: "0.1.0", Settings: map[string]string{"log.flush": "os"}, Durability: "os", Validation: "records"},
		Host:      HostFingerprint{CPUModel: "AMD EPYC", CPUs: 2, CPUFlagsLevel: "v3", MemoryBytes: 24 << 30, Kernel: "6.18", Filesystem: "ext4"},
		Preflight: []Check{{Condition: "steal", Required: "≤ 5 %", Current: "7.0 %", Severity: "warning"}, {Condition: "swap", Required: "off", Current: "off", Severity: "warning", Passed: true}},
		Clients:   []string{"franz-go", "sarama"}, Rounds: 3, Order: []string{},
	}
	for round := 1; round <= 3; round++ {
		r.ArmRuns = append(r.ArmRuns, sampleRun("franz-go", round, 500_000+float64(round)*10_000), sampleRun("sarama", round, 300_000-float64(round)*10_000))
	}
	return r
}

// loseRecords breaks one promise of one arm-run.
func loseRecords(r *Result) {
	ledger := &r.ArmRuns[3].Result.Ledger
	ledger.Lost, ledger.Read = 64, ledger.Read-64
	ledger.Findings = []Finding{{Kind: "lost", Partition: 3, Offset: 48211, Producer: 2, FirstSequence: 100, LastSequence: 163, Count: 64}}
	r.ArmRuns[3].Exit = 6
}

// writeLatencyLog leaves a log whose first interval lies before the window.
func writeLatencyLog(t *testing.T, dir string, run *ArmRun) {
	t.Helper()
	run.LatencyLog = fmt.Sprintf("%02d-%s.hlog", run.Round, run.Client)
	file, err := os.Create(filepath.Join(dir, run.LatencyLog))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := hdr.NewHistogramLogWriter(file)
	if err := w.OutputLogFormatVersion(); err != nil {
		t.Fatal(err)
	}
	window := run.Result.WindowStartUnixNs / 1e6
	for i := range int64(4) {
		h := hdr.New(latencyLowest, latencyHighest, latencyDigits)
		for v := int64(1); v <= 1000; v++ {
			value := v * 10_000 // 10 µs to 10 ms
			if i == 0 {
				value = 30 * second // warm-up: must not be counted
			}
			if err := h.RecordValue(value); err != nil {
				t.Fatal(err)
			}
		}
		h.SetTag(TagProduce)
		h.SetStartTimeMs(window + (i-1)*1000)
		h.SetEndTimeMs(window + i*1000)
		if err := w.OutputIntervalHistogram(h); err != nil {
			t.Fatal(err)
		}
	}
}

func views(t *testing.T, r *Result, dir, name string) {
	t.Helper()
	summary, err := Summarize(r, dir)
	if err != nil {
		t.Fatal(err)
	}
	for suffix, write := range map[string]func(io.Writer) error{".txt": summary.WriteTerminal, ".md": summary.WriteMarkdown,
		".bench": func(w io.Writer) error { return summary.WriteBenchfmt(w, dir) }} {
		var out bytes.Buffer
		if err := write(&out); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, name+suffix, out.Bytes())
	}
}

func TestViewsOfASoundRun(t *testing.T) {
	r, dir := sampleResult(), t.TempDir()
	for i := range r.ArmRuns {
		writeLatencyLog(t, dir, &r.ArmRuns[i])
	}
	views(t, r, dir, "sound")
}

func TestViewsOfARunThatLostRecords(t *testing.T) {
	r := sampleResult()
	loseRecords(r)
	views(t, r, "", "lost")
	summary, err := Summarize(r, "")
	if err != nil {
		t.Fatal(err)
	}
	if !summary.Failed() {
		t.Error("the summary does not say that it failed")
	}
	sarama := summary.Clients[1]
	if sarama.Delivered.N != 0 || sarama.ClientRate.N != 0 || sarama.BrokerCPUPerRecord.N != 0 {
		t.Errorf("a client that lost records has rates: %+v", sarama)
	}
	if names := fmt.Sprint(summary.throughputChart().Series); !strings.Contains(names, "franz-go") || strings.Contains(names, "sarama") {
		t.Errorf("the plot must show the proven client alone: %s", names)
	}
	if summary.Clients[0].Delivered.N != 3 {
		t.Error("the other client lost its rates with it")
	}
}

func TestSeedExactIsLabelledInEveryView(t *testing.T) {
	r := sampleResult()
	r.Scenario.Form = FormSeedExact
	views(t, r, "", "seed-exact")
	summary, err := Summarize(r, "")
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := summary.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page.String(), "SEED-EXACT") {
		t.Error("the page does not say so")
	}
	bundle, err := (Store{t.TempDir()}).Create(r)
	if err != nil || !strings.Contains(bundle.Dir, "seed-exact") {
		t.Errorf("folder %+v, %v", bundle, err)
	}
}

func TestWhatVoidsANumber(t *testing.T) {
	for about, spoil := range map[string]func(*ArmRun){
		"duplicated":            func(a *ArmRun) { a.Result.Ledger.Duplicated = 1 },
		"reordered":             func(a *ArmRun) { a.Result.Ledger.Reordered = 1 },
		"corrupt":               func(a *ArmRun) { a.Result.Ledger.Corrupt = 1 },
		"not checked":           func(a *ArmRun) { a.Result.Ledger.Checked = false },
		"read back did not end": func(a *ArmRun) { a.Result.Ledger.FailureText = "timeout" },
		"never delivered":       func(a *ArmRun) { a.Result.DeliveredRate = 0 },
		"the client failed":     func(a *ArmRun) { a.Exit = 1 },
		"no result":             func(a *ArmRun) { a.Result = nil },
		"the broker died":       func(a *ArmRun) { a.Failure = "the broker died" },
	} {
		r := sampleResult()
		spoil(&r.ArmRuns[2])
		summary, err := Summarize(r, "")
		if err != nil {
			t.Fatal(err)
		}
		if c := summary.Clients[0]; c.Failed == "" || c.Delivered.N != 0 {
			t.Errorf("%s: failed %q, %d rates", about, c.Failed, c.Delivered.N)
		}
	}
}

func TestBrokerCostCountsWhatTheLogStoredInTheWindow(t *testing.T) {
	run := sampleRun("franz-go", 1, 500_000)
	run.Broker.LogBytesWindow *= 2 // a deep client buffer from the warm-up was stored too
	cost := CostOf(run)
	if !cost.Known || cost.CPUNsPerRecord != 100 {
		t.Errorf("%+v, want 100 ns a record", cost)
	}
	run.Broker.LogBytesTotal = 0
	if cost := CostOf(run); cost.CPUNsPerRecord != 200 || cost.CPUSecondsPerLogGB != 0 {
		t.Errorf("without the log's size: %+v, want 200 ns a record and no wire figure", cost)
	}
	run.Broker.Measured = false
	if CostOf(run).Known {
		t.Error("a broker that was not measured has a cost")
	}
}

func TestBottleneck(t *testing.T) {
	run := func(client, broker, idle, steal, rate float64) ArmRun {
		const total = 10 * float64(time.Second)
		a := sampleRun("x", 1, 1000)
		a.Result.CPUUserNs, a.Result.CPUSystemNs, a.Broker.CPUNs = int64(client*total), 0, int64(broker*total)
		a.Machine = MachineCost{IdleNs: int64(idle * total), StealNs: int64(steal * total), UserNs: int64((1 - idle - steal) * total)}
		a.Job["rate_per_second"] = rate
		return a
	}
	for _, row := range []struct {
		about string
		run   ArmRun
		want  string
	}{
		{"the client takes nearly all", run(.75, .15, .05, 0, 0), "client"},
		{"the broker does", run(.2, .7, .05, 0, 0), "broker"},
		{"both share", run(.45, .40, .10, 0, 0), "client and broker"},
		{"nobody is busy", run(.2, .1, .6, 0, 0), "not CPU"},
		{"the hypervisor took it", run(.4, .1, .1, .3, 0), "steal"},
		{"somebody else took it", run(.2, .1, .05, 0, 0), "others"},
		{"a fixed rate was held", run(.2, .1, .6, 0, 1000), "none (offered rate held)"},
		{"a fixed rate was missed", run(.75, .15, .05, 0, 5000), "client"},
		{"no CPU split", ArmRun{}, "unknown"},
	} {
		if got := JudgeBottleneck(row.run).Side; got != row.want {
			t.Errorf("%s: %s, want %s", row.about, got, row.want)
		}
	}
}

func TestStoreNeverOverwrites(t *testing.T) {
	r, store := sampleResult(), Store{filepath.Join(t.TempDir(), "runs")}
	var dirs []string
	for range 3 {
		bundle, err := store.Create(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.Finish(r); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, bundle.Dir)
	}
	if dirs[0] == dirs[1] || dirs[1] == dirs[2] || !strings.HasSuffix(dirs[2], "-3") {
		t.Errorf("folders %v", dirs)
	}
	if want := filepath.Join("megabatch", "abababababab", "20261123T165128Z-fluxmq-default"); !strings.HasSuffix(dirs[0], want) {
		t.Errorf("folder %s, want it to end in %s", dirs[0], want)
	}
	before, err := os.ReadFile(filepath.Join(dirs[0], "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	bundle := &Bundle{Dir: dirs[0]}
	if _, err := bundle.Finish(r); err == nil {
		t.Error("a finished bundle could be finished again")
	}
	if err := bundle.WriteFile("../escape", func(io.Writer) error { return nil }); err == nil {
		t.Error("a file could be written outside the bundle")
	}
	after, err := os.ReadFile(filepath.Join(dirs[0], "result.json"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the stored result changed, %v", err)
	}
	if got := fileName("../../etc/pass wd"); strings.ContainsAny(got, "/ ") || strings.HasPrefix(got, ".") {
		t.Errorf("file name %q", got)
	}
}

func TestStoredResultReadsBackAndJudgesTheSame(t *testing.T) {
	r := sampleResult()
	bundle, err := (Store{t.TempDir()}).Create(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Finish(r); err != nil {
		t.Fatal(err)
	}
	back, err := ReadResult(filepath.Join(bundle.Dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back); diff != "" {
		t.Errorf("-written +read\n%s", diff)
	}
	for about, text := range map[string]string{"a newer layout": `{"schema":99}`, "an unknown field": `{"schema":1,"frob":1}`, "not JSON": `hello`} {
		if _, err := DecodeResult(strings.NewReader(text)); err == nil {
			t.Errorf("%s was read", about)
		}
	}
}

func TestPublishedSchemaIsCurrentAndHoldsASample(t *testing.T) {
	now, err := GenerateSchema()
	if err != nil {
		t.Fatal(err)
	}
	if golden.Rewriting() {
		if err := os.WriteFile(filepath.Join("schema", "result.schema.json"), now, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(string(PublishedSchema), string(now)); diff != "" {
		t.Errorf("reports/schema/result.schema.json is not what the types say; fluxbench schema prints it:\n%s", diff)
	}
	text, err := json.Marshal(sampleResult())
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckSchema(text); err != nil {
		t.Errorf("the sample breaks the schema: %v", err)
	}
	for about, broken := range map[string]string{
		"a number for text":    strings.Replace(string(text), `"commit":"abab`, `"commit":1,"x":"`, 1),
		"a missing field":      strings.Replace(string(text), `"clients":["franz-go","sarama"],`, "", 1),
		"a field nobody knows": strings.Replace(string(text), `{"schema":1`, `{"frob":1,"schema":1`, 1),
	} {
		if broken == string(text) {
			t.Fatalf("%s: the sample has changed, the test breaks nothing", about)
		}
		if CheckSchema([]byte(broken)) == nil {
			t.Errorf("%s passes the schema", about)
		}
	}
}

// loadsSomething finds what would make a browser ask the network.
var loadsSomething = regexp.MustCompile(`(?i)<[a-z][^<>]*(src|href|action|poster|srcset)\s*=\s*["']?\s*(https?:)?//|url\(|@import|<script|<iframe|<object|<link[^>]+stylesheet`)

func TestPageLoadsNothingAndEscapes(t *testing.T) {
	r, dir := sampleResult(), t.TempDir()
	for i := range r.ArmRuns {
		writeLatencyLog(t, dir, &r.ArmRuns[i])
	}
	r.Scenario.Question = `</title><script src="https://example.com/x.js"></script>`
	r.ArmRuns[0].Result.Effective["x"] = `<img src=//example.com/y>`
	summary, err := Summarize(r, dir)
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := summary.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(`href="data:,"`, "").Replace(page.String())
	if found := loadsSomething.FindString(text); found != "" {
		t.Errorf("the page holds %q", found)
	}
	for _, want := range []string{"Produce latency by percentile", "Throughput over time", "CPU, franz-go", "Resident memory, sarama", `class="s0 line"`, "prefers-color-scheme:dark"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "ZgotmplZ") {
		t.Error("the page holds NaN, Inf or a value that the template refused")
	}
	if page.Len() > 200<<10 {
		t.Errorf("the page has %d bytes", page.Len())
	}
}

func TestLatencyOfTheWindowOnly(t *testing.T) {
	run, dir := sampleRun("franz-go", 1, 1000), t.TempDir()
	writeLatencyLog(t, dir, &run)
	latencies, err := ReadLatencyLog(filepath.Join(dir, run.LatencyLog), run.Result.WindowStartUnixNs)
	if err != nil {
		t.Fatal(err)
	}
	q := latencies.Quantiles(TagProduce)
	if q.Count != 3000 || q.P50 < 4_990_000 || q.P50 > 5_010_000 || q.Max > 10_010_000 {
		t.Errorf("%+v: the warm-up's 30 s must not be in it", q)
	}
	curve := latencies.Curve(TagProduce)
	for i := 1; i < len(curve); i++ {
		if curve[i].Percentile <= curve[i-1].Percentile || curve[i].ValueNs < curve[i-1].ValueNs {
			t.Fatalf("the curve goes back at %d: %+v", i, curve[i-1:i+1])
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.hlog"), []byte("1,1,1,HISTFnonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLatencyLog(filepath.Join(dir, "bad.hlog"), 0); err == nil {
		t.Error("nonsense was read as a histogram")
	}
}

func TestCompareTakesRatiosRoundByRound(t *testing.T) {
	a, b := sampleResult(), sampleResult()
	b.Target = TargetRecord{Kind: TargetKafkaTuned, Version: "4.3.1", Durability: "os (page cache)", Validation: "kafka's own"}
	for i := range b.ArmRuns {
		factor := float64(b.ArmRuns[i].Round) // 1, 2, 3
		b.ArmRuns[i].Result.DeliveredRate /= factor
	}
	sa, err := Summarize(a, "")
	if err != nil {
		t.Fatal(err)
	}
	sb, err := Summarize(b, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Compare(sa, sb, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Clients[0].Rows[0]; r.Label != "delivered msg/s" || r.Ratio != (Spread{2, 1, 3, 3}) {
		t.Errorf("%+v", r)
	}
	var out bytes.Buffer
	if err := c.WriteMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "versus.md", out.Bytes())
	loseRecords(b)
	if sb, err = Summarize(b, ""); err != nil {
		t.Fatal(err)
	}
	if c, err = Compare(sa, sb, "", ""); err != nil || c.Clients[1].Failed == "" || len(c.Clients[1].Rows) != 0 {
		t.Errorf("a client that lost records was compared: %+v, %v", c.Clients[1], err)
	}
}

func TestBenchstatReadsTheExport(t *testing.T) {
	r := sampleResult()
	loseRecords(r)
	summary, err := Summarize(r, "")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := summary.WriteBenchfmt(&out, ""); err != nil {
		t.Fatal(err)
	}
	reader, lines := benchfmt.NewReader(&out, "export"), 0
	for reader.Scan() {
		switch line := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Error(line)
		case *benchfmt.Result:
			lines++
			if rate, ok := line.Value("msg/s"); !ok || rate == 0 {
				t.Errorf("no msg/s in %+v", line)
			}
		}
	}
	if err := reader.Err(); err != nil || lines != 5 {
		t.Errorf("%d lines of 5 sound arm-runs, %v", lines, err)
	}
}

func TestFormats(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1234567: "1,234,567", 999: "999", 12.34: "12.3", 1.234: "1.23", 0.5: "0.500", 0.041: "0.041", -1234: "-1,234"} {
		if got := FormatCount(v); got != want {
			t.Errorf("FormatCount(%v) = %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{812: "812 ns", 19_400: "19.4 µs", 3_210_000: "3.21 ms", 1.07e9: "1.07 s"} {
		if got := FormatNs(v); got != want {
			t.Errorf("FormatNs(%v) = %s, want %s", v, got, want)
		}
	}
}
