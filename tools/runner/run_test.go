package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"fluxmq/profiles"
	"fluxmq/reports"
	"fluxmq/scenarios"
)

const fakeScenario = `name: fake
question: Does the runner keep its word?
clients: [franz-go, sarama]
threads: 1
partitions: 1
payload: {value_bytes: 256, compressed_ratio: 0.35}
measure: {records: 1000}
warm_up: {min_seconds: 0, max_seconds: 0}
rounds: 2
seed_exact: {records: 10}
`

// fakePlan is a plan whose broker and clients are this test binary.
func fakePlan(t *testing.T, client, broker string, change func(*Options)) (*Plan, string) {
	t.Helper()
	t.Setenv(fakeClientEnv, client)
	t.Setenv(fakeBrokerEnv, broker)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // a race-enabled child would sleep a second at its end
	scenario, err := scenarios.Parse("fake.yaml", []byte(fakeScenario))
	if err != nil {
		t.Fatal(err)
	}
	profile, err := profiles.Parse("fake.yaml", []byte("name: fake\ndescription: x\n"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	o := Options{Checkout: Checkout{Root: root, Commit: strings.Repeat("a", 40)}, Scenario: scenario, Form: scenarios.FormHonest, Profile: profile,
		Targets: []TargetSpec{{Kind: reports.TargetFluxMQ}}, BrokerBinary: os.Args[0], Rounds: 1, SkipSample: true,
		Store: reports.Store{Root: filepath.Join(root, "runs")}, WorkDir: filepath.Join(root, "work"), Command: []string{"fluxbench"}}
	if change != nil {
		change(&o)
	}
	plan, err := MakePlan(o)
	if err != nil {
		t.Fatal(err)
	}
	plan.builds, plan.clients.fluxload = nil, os.Args[0]
	return plan, root
}

func TestExitCodes(t *testing.T) {
	for _, row := range []struct {
		about, client, broker string
		exit                  int
		words                 string
	}{
		{"all is well", "ok", "", ExitOK, ""},
		{"records were lost", "lost", "", ExitCorrectness, "lost 64, duplicated 0"},
		{"the ledger counts more than the client's exit", "quietly lost", "", ExitCorrectness, "lost 64"},
		{"the client failed", "error", "", ExitRun, "no route to the broker"},
		{"the client says nonsense", "garbage", "", ExitRun, `no event: "hello"`},
		{"the client leaves no result", "silent", "", ExitRun, "no usable result"},
		{"the ledger was not checked", "unproven", "", ExitRun, "delivery is not proven"},
		{"the broker dies", "wait", "die", ExitRun, "the disk caught fire"},
		{"the broker does not stop cleanly", "ok", "dirty stop", ExitRun, "did not stop cleanly: exit status 3"},
	} {
		t.Run(row.about, func(t *testing.T) {
			plan, root := fakePlan(t, row.client, row.broker, nil)
			outcome, err := Run(t.Context(), plan)
			if got := ExitCode(err); got != row.exit {
				t.Fatalf("exit %d, want %d: %v", got, row.exit, err)
			}
			if row.words != "" && (err == nil || !strings.Contains(err.Error(), row.words)) {
				t.Errorf("error %v, want %q in it", err, row.words)
			}
			if len(outcome.Dirs) != 1 {
				t.Fatalf("%d results were stored, want 1", len(outcome.Dirs))
			}
			stored, err := reports.ReadResult(filepath.Join(outcome.Dirs[0], "result.json"))
			if err != nil {
				t.Fatal(err)
			}
			if stored.Exit != row.exit {
				t.Errorf("stored exit %d, want %d", stored.Exit, row.exit)
			}
			if failed := outcome.Summaries[0].Failed(); failed != (row.exit != 0) {
				t.Errorf("the summary says failed=%v", failed)
			}
			if row.exit == 0 && (stored.Target.Version != "9.9.9" || len(stored.ArmRuns) != 2 || !stored.ArmRuns[0].Broker.Measured) {
				t.Errorf("version %q, %d arm-runs, broker %+v", stored.Target.Version, len(stored.ArmRuns), stored.ArmRuns[0].Broker)
			}
			nothingLeft(t, filepath.Join(root, "work"))
		})
	}
}

// nothingLeft holds that a run removed its data and that no process of it lives.
func nothingLeft(t *testing.T, work string) {
	t.Helper()
	entries, err := os.ReadDir(work)
	if err != nil || len(entries) != 0 {
		t.Errorf("work directory: %v, %v", entries, err)
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range commands {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(work)) {
			t.Errorf("still alive: %s %q", file, bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
		}
	}
}

func TestAFailedClientIsNotRunAgainAndTheOthersAre(t *testing.T) {
	plan, _ := fakePlan(t, "lost", "", func(o *Options) { o.Rounds = 2 })
	outcome, err := Run(t.Context(), plan)
	if ExitCode(err) != ExitCorrectness {
		t.Fatalf("got %v", err)
	}
	var ran []string
	for _, arm := range outcome.Summaries[0].Result.ArmRuns {
		ran = append(ran, fmt.Sprintf("%s/%d", arm.Client, arm.Round))
	}
	if want := []string{"franz-go/1", "sarama/1"}; !slices.Equal(ran, want) {
		t.Errorf("ran %v, want %v", ran, want)
	}
	var out bytes.Buffer
	if err := outcome.Summaries[0].WriteTerminal(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "lost: partition 3 offset 48211") || strings.Contains(out.String(), "1,000 (") {
		t.Errorf("the table must name the place and give no rate:\n%s", out.String())
	}
}

func TestInterruptStopsEverythingAndLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	opened := make(chan struct{})
	plan, root := fakePlan(t, "wait", "", func(o *Options) {
		o.Watch = func(context.Context, Step, string) error { close(opened); return nil }
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { <-opened; cancel() }()
	start := time.Now()
	outcome, err := Run(ctx, plan)
	if ExitCode(err) != ExitInterrupted {
		t.Fatalf("got %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
	if len(outcome.Dirs) != 0 {
		t.Errorf("an interrupted run of nothing stored %v", outcome.Dirs)
	}
	nothingLeft(t, filepath.Join(root, "work"))
}

func TestPlanOrderAlternates(t *testing.T) {
	var got []string
	for _, s := range planOrder([]string{"j", "f"}, 2, 3) {
		got = append(got, fmt.Sprintf("%d:%d%s%c", s.Position, s.Round, s.Client, 'A'+rune(s.Target)))
	}
	want := []string{"1:1jA", "2:1jB", "3:1fA", "4:1fB", "5:2fB", "6:2fA", "7:2jB", "8:2jA", "9:3jA", "10:3jB", "11:3fA", "12:3fB"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestPlanRefusesEarly(t *testing.T) {
	scenario, err := scenarios.Parse("fake.yaml", []byte(strings.Replace(fakeScenario, "seed_exact: {records: 10}\n", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	profile, err := profiles.Load("pgo")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := profiles.Load("default")
	if err != nil {
		t.Fatal(err)
	}
	base := Options{Checkout: Checkout{Root: t.TempDir()}, Scenario: scenario, Form: scenarios.FormHonest, Profile: plain, Targets: []TargetSpec{{Kind: reports.TargetFluxMQ}}}
	for _, row := range []struct {
		about  string
		change func(*Options)
		exit   int
		words  string
	}{
		{"unknown client", func(o *Options) { o.Clients = []string{"librdkafka"} }, ExitUsage, `unknown client "librdkafka"; known clients: java, franz-go, sarama, wire`},
		{"a client twice", func(o *Options) { o.Clients = []string{"sarama", "sarama"} }, ExitUsage, "named twice"},
		{"no seed-exact form", func(o *Options) { o.Form = scenarios.FormSeedExact }, ExitUsage, "has no seed-exact form"},
		{"a profile without its file", func(o *Options) { o.Profile = profile }, ExitPreflight, "make pgo"},
		{"negative rounds", func(o *Options) { o.Rounds = -1 }, ExitUsage, "must not be negative"},
	} {
		o := base
		row.change(&o)
		_, err := MakePlan(o)
		if ExitCode(err) != row.exit || !strings.Contains(err.Error(), row.words) {
			t.Errorf("%s: exit %d, %v; want %d with %q", row.about, ExitCode(err), err, row.exit, row.words)
		}
	}
}

func TestPlanPrintsWhatItWillDo(t *testing.T) {
	plan, root := fakePlan(t, "ok", "", func(o *Options) { o.Overrides = map[string]string{"log.flush": "os"} })
	var out bytes.Buffer
	plan.Print(&out)
	for _, want := range []string{"scenario  fake", "--override log.flush=os", "step   1  round 1  franz-go  on fluxmq", "step   2  round 1  sarama    on fluxmq"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if _, err := os.Stat(filepath.Join(root, "runs")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("planning made a folder: %v", err)
	}
}

func TestParseTarget(t *testing.T) {
	for _, row := range []struct {
		text  string
		tuned bool
		want  TargetSpec
		bad   bool
	}{
		{text: "fluxmq", want: TargetSpec{Kind: reports.TargetFluxMQ}},
		{text: "kafka", want: TargetSpec{Kind: reports.TargetKafkaDefault}},
		{text: "kafka", tuned: true, want: TargetSpec{Kind: reports.TargetKafkaTuned}},
		{text: "10.0.0.1:9092", want: TargetSpec{Kind: reports.TargetAddress, Address: "10.0.0.1:9092"}},
		{text: "fluxmq", tuned: true, bad: true},
		{text: "redpanda", bad: true},
		{text: "host:0", bad: true},
		{text: ":9092", bad: true},
	} {
		got, err := ParseTarget(row.text, row.tuned)
		if row.bad != (err != nil) || got != row.want {
			t.Errorf("%s tuned=%v: %+v, %v", row.text, row.tuned, got, err)
		}
		if row.bad && ExitCode(err) != ExitUsage {
			t.Errorf("%s: exit %d", row.text, ExitCode(err))
		}
	}
}

func TestKafkaGetsTheSameSettings(t *testing.T) {
	asked := map[string]string{"message.max.bytes": "2097152", "log.flush": "acks", "log.validation": "full", "fluxmq.admin.listener": "x"}
	got := kafkaSettings(asked, false, "")
	if got["message.max.bytes"] != "2097152" || got["log.flush.interval.messages"] != "" {
		t.Errorf("%v", got)
	}
	for _, key := range []string{"log.flush", "log.validation", "fluxmq.admin.listener"} {
		if _, there := got[key]; there {
			t.Errorf("Kafka was given our %s", key)
		}
	}
	tuned := kafkaSettings(asked, true, "always")
	if tuned["num.io.threads"] != "4" || tuned["log.flush.interval.messages"] != "1" {
		t.Errorf("tuned: %v", tuned)
	}
	if text := string(kafkaProperties(1, 2, "/d", tuned)); !strings.Contains(text, "\nlog.dirs=/d\n") || !strings.Contains(text, "\nsocket.send.buffer.bytes=-1\n") {
		t.Errorf("server.properties:\n%s", text)
	}
}

func TestWindowMarksFollowThePhases(t *testing.T) {
	n := 0
	take := func(bool) mark { n++; return mark{set: true, cpuNs: int64(n)} }
	produce := windowMarks{mode: scenarios.ModeProduce}
	for _, e := range []event{{Event: "phase", Phase: "warm-up"}, {Event: "delivered"}, {Event: "phase", Phase: "measure"}, {Event: "phase", Phase: "flush"}, {Event: "delivered"}, {Event: "delivered"}} {
		produce.see(e, take)
	}
	if produce.open.cpuNs != 1 || produce.close.cpuNs != 2 || n != 2 {
		t.Errorf("produce: %+v after %d marks", produce, n)
	}
	n = 0
	consume := windowMarks{mode: scenarios.ModeConsume}
	for _, e := range []event{{Event: "phase", Phase: "fill"}, {Event: "delivered"}, {Event: "phase", Phase: "measure"}, {Event: "progress"}, {Event: "phase", Phase: "tail"}} {
		consume.see(e, take)
	}
	if !consume.open.set || !consume.close.set || n != 2 {
		t.Errorf("consume: %+v after %d marks", consume, n)
	}
}

func TestNotABrokerIsNotReady(t *testing.T) {
	if err := askApiVersions(t.Context(), "127.0.0.1:1", time.Second); err == nil {
		t.Error("nothing listens on port 1")
	}
}
