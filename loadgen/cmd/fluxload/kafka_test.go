package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxmq/loadgen"
	"fluxmq/reports"
	"fluxmq/scenarios"
)

// kafkaAddress is the broker of KAFKA_ADDR; without it the test is skipped.
func kafkaAddress(t *testing.T) string {
	t.Helper()
	address := os.Getenv("KAFKA_ADDR")
	if address == "" {
		t.Skip("KAFKA_ADDR names no broker")
	}
	return address
}

func kafkaJob(t *testing.T, client string, producer map[string]string) scenarios.Job {
	t.Helper()
	tag := rand.Uint64()
	return scenarios.Job{
		Schema: 1, RunID: "test", RunTag: tag, Scenario: "test", Form: scenarios.FormHonest, Client: client, Round: 1,
		Bootstrap: kafkaAddress(t), Topic: fmt.Sprintf("fluxload-test-%016x", tag), Partitions: 3, ReplicationFactor: -1,
		Mode: scenarios.ModeProduce, Threads: 2, Producer: producer,
		Payload:        scenarios.Payload{ValueBytes: 256, KeySpread: 0, CompressedRatio: 0.35, Seed: 1},
		MeasureRecords: 20_000, DeliverTimeoutSeconds: 20, VerifyTimeoutSeconds: 60, VerifyFraction: 1,
	}
}

// runOn runs a job through the program's own door and reads its result file.
func runOn(t *testing.T, ctx context.Context, job scenarios.Job) (exit int, result reports.ClientResult, events string) {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	var out, errOut bytes.Buffer
	exit = execute(ctx, []string{"run", "--job", "-", "--out", dir}, bytes.NewReader(text), &out, &errOut)
	if raw, err := os.ReadFile(filepath.Join(dir, "client-result.json")); err == nil {
		if err := json.Unmarshal(raw, &result); err != nil {
			t.Fatal(err)
		}
	}
	if exit != 0 {
		t.Logf("%s", errOut.String())
	}
	return exit, result, out.String()
}

// Delivered equals sent, at every acknowledgement and with every codec, through each client.
func TestDeliveredEqualsSent(t *testing.T) {
	kafkaAddress(t)
	for _, client := range []string{scenarios.ClientFranz, scenarios.ClientSarama, scenarios.ClientWire} {
		for _, acks := range []string{"0", "1", "all"} {
			for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
				t.Run(fmt.Sprintf("%s acks=%s %s", client, acks, codec), func(t *testing.T) {
					job := kafkaJob(t, client, map[string]string{
						"acks": acks, "compression.type": codec, "batch.size": "16384", "linger.ms": "2",
						"enable.idempotence": "false", "max.in.flight.requests.per.connection": "5", "send.buffer.bytes": "262144",
					})
					exit, result, events := runOn(t, t.Context(), job)
					l := result.Ledger
					if exit != loadgen.ExitOK || !l.Proven() || !l.Complete || l.Expected != l.Read || l.Read != result.Acknowledged || result.Records < job.MeasureRecords {
						t.Fatalf("exit %d, records %d, acknowledged %d, ledger %+v", exit, result.Records, result.Acknowledged, l)
					}
					if result.DeliveredRate <= 0 || result.DeliveredUnixNs < result.FlushedUnixNs || result.Batches == 0 || result.CPUUserNs <= 0 || result.PeakRSS <= 0 {
						t.Errorf("got %+v", result)
					}
					if codec == "none" != (strings.HasPrefix(result.RatioSource, "payload pool") || result.CompressedRatio > 0.99) {
						t.Errorf("ratio %.3f from %s", result.CompressedRatio, result.RatioSource)
					}
					lines := strings.Split(strings.TrimSpace(events), "\n")
					if lines[len(lines)-1] != `{"event":"done","exit":0}` {
						t.Errorf("the last event is %s", lines[len(lines)-1])
					}
				})
			}
		}
	}
}

func TestIdempotentAndKeyed(t *testing.T) {
	kafkaAddress(t)
	for _, client := range []string{scenarios.ClientFranz, scenarios.ClientSarama} {
		t.Run(client, func(t *testing.T) {
			job := kafkaJob(t, client, map[string]string{"acks": "all", "enable.idempotence": "true"})
			job.Payload.KeySpread = 100
			exit, result, _ := runOn(t, t.Context(), job)
			if exit != 0 || result.Ledger.Read != 20_000 || result.RawBytes != 20_000*(256+12) {
				t.Fatalf("exit %d, %+v", exit, result)
			}
		})
	}
}

func TestOpenLoopEndToEnd(t *testing.T) {
	kafkaAddress(t)
	for _, client := range []string{scenarios.ClientFranz, scenarios.ClientSarama} {
		t.Run(client, func(t *testing.T) {
			job := kafkaJob(t, client, map[string]string{"acks": "1", "linger.ms": "0"})
			job.RatePerSecond, job.MeasureRecords, job.MeasureSeconds, job.EndToEnd = 2000, 0, 1.5, true
			job.WarmUp = scenarios.WarmUp{MinSeconds: 0.5, MaxSeconds: 1.5, BucketMillis: 100, WindowBuckets: 4, Tolerance: 0.2}
			job.Threads = 1
			dir := filepath.Join(t.TempDir(), "out")
			text, _ := json.Marshal(job)
			var out, errOut bytes.Buffer
			if exit := execute(t.Context(), []string{"run", "--job", "-", "--out", dir}, bytes.NewReader(text), &out, &errOut); exit != 0 {
				t.Fatalf("exit %d: %s", exit, errOut.String())
			}
			totals, err := loadgen.ReadIntervalLog(filepath.Join(dir, "latency.hlog"))
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range []string{loadgen.TagProduce, loadgen.TagEndToEnd} {
				h := totals[tag]
				if h == nil || h.TotalCount() < 2950 || h.TotalCount() > 3050 || h.Min() < 20_000 {
					t.Errorf("%s: %+v", tag, h)
				}
			}
		})
	}
}

func TestConsumeMode(t *testing.T) {
	kafkaAddress(t)
	for _, client := range []string{scenarios.ClientFranz, scenarios.ClientSarama} {
		t.Run(client, func(t *testing.T) {
			job := kafkaJob(t, client, map[string]string{"compression.type": "lz4"})
			job.Mode, job.FillRecords, job.MeasureRecords, job.MeasureSeconds, job.RatePerSecond = scenarios.ModeConsume, 50_000, 0, 0.5, 500
			exit, result, _ := runOn(t, t.Context(), job)
			if exit != 0 || result.Records < 50_000 || result.TailRecords < 2400 || result.Ledger.Expected != 50_000+result.TailRecords || result.DeliveredRate <= 0 {
				t.Fatalf("exit %d, %+v", exit, result)
			}
		})
	}
}

// An interrupted run ends with 130 and says so.
func TestInterrupted(t *testing.T) {
	kafkaAddress(t)
	for _, client := range []string{scenarios.ClientFranz, scenarios.ClientSarama, scenarios.ClientWire} {
		t.Run(client, func(t *testing.T) {
			job := kafkaJob(t, client, map[string]string{"acks": "1"})
			job.MeasureRecords, job.MeasureSeconds = 0, 60
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			text, _ := json.Marshal(job)
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan int, 1)
			go func() { // ends when interrupted; awaited below
				ended <- execute(ctx, []string{"run", "--job", "-", "--out", t.TempDir()}, bytes.NewReader(text), writer, &bytes.Buffer{})
				writer.Close()
			}()
			last := ""
			for lines := bufio.NewScanner(reader); lines.Scan(); {
				last = lines.Text()
				if strings.Contains(last, `"progress"`) && strings.Contains(last, `"measure"`) {
					cancel()
				}
			}
			if exit := <-ended; exit != loadgen.ExitInterrupted || last != `{"event":"done","exit":130}` {
				t.Errorf("exit %d, last event %s", exit, last)
			}
		})
	}
}

func TestTopicThatExists(t *testing.T) {
	job := kafkaJob(t, scenarios.ClientFranz, nil)
	job.MeasureRecords = 10
	if exit, _, _ := runOn(t, t.Context(), job); exit != 0 {
		t.Fatalf("exit %d", exit)
	}
	if exit, _, _ := runOn(t, t.Context(), job); exit != loadgen.ExitRunError {
		t.Fatalf("a topic that exists: exit %d", exit)
	}
}
