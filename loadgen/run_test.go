package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"fluxmq/reports"
	"fluxmq/scenarios"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runInMemory runs a job; the result as it lies in the file, and the events.
func runInMemory(t *testing.T, ctx context.Context, b *memoryBroker, job scenarios.Job) (reports.ClientResult, []map[string]any, error) {
	t.Helper()
	var out bytes.Buffer
	dir := t.TempDir()
	_, err := Run(ctx, job, Options{
		Dir: dir, Driver: Driver{NewClient: func(scenarios.Job) (Client, error) { return b, nil }},
		NewAdmin: func(string) (Admin, error) { return b, nil }, Events: NewEvents(&out), Log: io.Discard,
	})
	var events []map[string]any
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var event map[string]any
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		events = append(events, event)
	}
	if err != nil {
		return reports.ClientResult{}, events, err
	}
	text, readErr := os.ReadFile(filepath.Join(dir, resultFile))
	if readErr != nil {
		t.Fatal(readErr)
	}
	var result reports.ClientResult
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&result); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadIntervalLog(filepath.Join(dir, result.LatencyLog)); err != nil {
		t.Fatal(err)
	}
	return result, events, nil
}

func phases(events []map[string]any) (out []string) {
	for _, e := range events {
		if e["event"] == "phase" {
			out = append(out, e["phase"].(string))
		}
	}
	return out
}

func TestRunProduce(t *testing.T) {
	result, events, err := runInMemory(t, t.Context(), &memoryBroker{}, memoryJob())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(phases(events), " "); got != "create measure flush deliver verify done" {
		t.Errorf("phases %s", got)
	}
	if ExitCode(result) != ExitOK || result.Records != 1000 || result.Acknowledged != 1000 || result.RawBytes != 1000*112 || result.WarmUpRecords != 0 {
		t.Errorf("got %+v", result)
	}
	if result.Ledger.Expected != 1000 || result.Ledger.Read != 1000 || !result.Ledger.Proven() || !result.Ledger.Complete {
		t.Errorf("ledger %+v", result.Ledger)
	}
	order := []int64{result.WindowStartUnixNs, result.LastSendUnixNs, result.FlushedUnixNs, result.DeliveredUnixNs}
	for i := 1; i < len(order); i++ {
		if order[i] < order[i-1] || order[0] == 0 {
			t.Errorf("the window's times are out of order: %v", order)
		}
	}
	if want := 1000 * 1e9 / float64(result.DeliveredUnixNs-result.WindowStartUnixNs); math.Abs(result.DeliveredRate/want-1) > 1e-9 {
		t.Errorf("delivered rate %v, want %v", result.DeliveredRate, want)
	}
	sent := int64(0)
	for _, s := range result.PerSecond {
		sent += s.Sent
	}
	if sent != 1000 {
		t.Errorf("the seconds hold %d records", sent)
	}
}

func TestRunWarmsUp(t *testing.T) {
	job := memoryJob()
	job.MeasureRecords, job.MeasureSeconds = 0, 0.3
	job.RatePerSecond = 2000
	job.EndToEnd = true
	job.WarmUp = scenarios.WarmUp{MinSeconds: 0.2, MaxSeconds: 3, BucketMillis: 50, WindowBuckets: 3, Tolerance: 0.5}
	result, events, err := runInMemory(t, t.Context(), &memoryBroker{}, job)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(phases(events), " "); got != "create warm-up measure flush deliver verify done" {
		t.Errorf("phases %s", got)
	}
	if result.WarmUp.Seconds < 0.2 || len(result.WarmUp.BucketRates) < 3 || result.WarmUp.Reason == "" {
		t.Errorf("warm-up %+v", result.WarmUp)
	}
	// Open loop: every record intended in the window is sent, however late the machine is.
	if result.Records < 590 || result.Records > 610 || result.WarmUpRecords == 0 {
		t.Errorf("%d records in 0.3 s at 2000/s, %d before", result.Records, result.WarmUpRecords)
	}
	if result.Ledger.Expected != result.Records+result.WarmUpRecords || ExitCode(result) != ExitOK {
		t.Errorf("ledger %+v", result.Ledger)
	}
}

func TestRunConsume(t *testing.T) {
	if testing.Short() {
		t.Skip("the tail takes five seconds")
	}
	job := memoryJob()
	job.Mode, job.FillRecords, job.MeasureRecords, job.MeasureSeconds, job.RatePerSecond = scenarios.ModeConsume, 5000, 0, 0.2, 200
	result, events, err := runInMemory(t, t.Context(), &memoryBroker{}, job)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(phases(events), " "); got != "create fill measure tail verify done" {
		t.Errorf("phases %s", got)
	}
	if result.Records < 5000 || result.Records%2500 != 0 || ExitCode(result) != ExitOK {
		t.Errorf("got %+v", result)
	}
	if result.TailRecords < 990 || result.TailRecords > 1010 || result.Ledger.Expected != 5000+result.TailRecords || result.Ledger.Read != result.Ledger.Expected {
		t.Errorf("tail %d, ledger %+v", result.TailRecords, result.Ledger)
	}
}

// A broker that lies is found out, with exit 6 and the place.
func TestRunFindsFaults(t *testing.T) {
	table := []struct {
		what  string
		fault func(n int) (int, error)
		kind  string
		exit  int
	}{
		{"a record that is acknowledged and dropped", func(n int) (int, error) {
			if n == 500 {
				return 0, nil
			}
			return 1, nil
		}, "lost", ExitIncorrect},
		{"a record that is stored twice", func(n int) (int, error) {
			if n == 500 {
				return 2, nil
			}
			return 1, nil
		}, "duplicated", ExitIncorrect},
		{"a record that is refused", func(n int) (int, error) {
			if n == 500 {
				return 0, errors.New("refused")
			}
			return 1, nil
		}, "", ExitOK},
		{"nothing is acknowledged", func(int) (int, error) { return 0, errors.New("refused") }, "", ExitRunError},
	}
	for _, row := range table {
		t.Run(row.what, func(t *testing.T) {
			result, events, err := runInMemory(t, t.Context(), &memoryBroker{fault: row.fault}, memoryJob())
			if err != nil {
				t.Fatal(err)
			}
			if got := ExitCode(result); got != row.exit {
				t.Errorf("exit %d, want %d: %+v", got, row.exit, result.Ledger)
			}
			if row.kind == "" {
				return
			}
			for _, e := range events {
				if e["event"] == "finding" && e["kind"] == row.kind && e["partition"] == float64(2) && e["count"] == float64(1) && e["offset"].(float64) >= -1 { // -1: the producer's first record there
					return
				}
			}
			t.Errorf("no %s finding in partition 2 among %v", row.kind, events)
		})
	}
}

// An interrupted run ends at once, even while a client blocks.
func TestRunIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	started := time.Now()
	_, _, err := runInMemory(t, ctx, &memoryBroker{hang: make(chan struct{})}, memoryJob())
	if err == nil || ctx.Err() == nil {
		t.Errorf("got %v", err)
	}
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestRunRefusesAUsedDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, resultFile), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := &memoryBroker{}
	_, err := Run(t.Context(), memoryJob(), Options{
		Dir: dir, Driver: Driver{NewClient: func(scenarios.Job) (Client, error) { return b, nil }},
		NewAdmin: func(string) (Admin, error) { return b, nil }, Events: NewEvents(nil), Log: io.Discard,
	})
	if err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("got %v", err)
	}
}

// instantProducer acknowledges at once.
type instantProducer struct{}

func (instantProducer) Send(_ context.Context, s *Slot) error { s.Done(1, nil); return nil }
func (instantProducer) Flush(context.Context) error           { return nil }
func (instantProducer) Close()                                {}

// The harness's own part of the way of a record allocates nothing.
func TestSendAllocatesNothing(t *testing.T) {
	pool, err := NewPool(memoryJob().Payload, "lz4", 0)
	if err != nil {
		t.Fatal(err)
	}
	g := newGate()
	w := &worker{clock: NewClock(), gate: g, keys: nil, ledger: &sentLog{}, latency: NewRecorder(), producer: instantProducer{}}
	w.fillSlots(64, pool)
	g.open(w.clock.Now(), 0)
	allocations := testing.AllocsPerRun(10_000, func() {
		if err := w.send(context.Background(), w.clock.Now(), true); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations a record", allocations)
	}
}

func BenchmarkSend(b *testing.B) {
	pool, err := NewPool(scenarios.Payload{ValueBytes: 256, CompressedRatio: 0.35}, "lz4", 0)
	if err != nil {
		b.Fatal(err)
	}
	w := &worker{clock: NewClock(), gate: newGate(), ledger: &sentLog{}, latency: NewRecorder(), producer: instantProducer{}}
	w.fillSlots(1024, pool)
	w.gate.open(w.clock.Now(), 0)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.send(context.Background(), w.clock.Now(), true); err != nil {
			b.Fatal(err)
		}
	}
}
