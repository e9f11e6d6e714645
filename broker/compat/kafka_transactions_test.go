package compat

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestTransactionalMessageCopier lets Apache Kafka's own copier consume, produce
// and commit in transactions, a part of which it aborts: the output read
// committed holds every input record once, in order.
func TestTransactionalMessageCopier(t *testing.T) {
	if os.Getenv("KAFKA_LIBS") == "" {
		t.Skip("KAFKA_LIBS is not set: `make compat` sets it to the folder of Apache Kafka's jars")
	}
	b := newProcess(t, "--override", "group.initial.rebalance.delay.ms=0")
	b.start(t)
	const records = 20000
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.DefaultProduceTopic("copier-in"), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range records {
		client.Produce(t.Context(), kgo.StringRecord(fmt.Sprint(i)), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	out := kafkaTool(t, "org.apache.kafka.tools.TransactionalMessageCopier", "--broker-list", b.addr(), "--input-topic", "copier-in", "--input-partition", "0",
		"--output-topic", "copier-out", "--max-messages", fmt.Sprint(records), "--consumer-group", "copier", "--transaction-size", "500",
		"--transactional-id", "copier", "--enable-random-aborts", "--use-group-metadata")
	if !strings.Contains(out, "ShutdownComplete") {
		t.Errorf("the copier did not end well:\n%s", out[max(0, len(out)-2000):])
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.ConsumeTopics("copier-out"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	next := 0
	for next < records {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", next, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if string(r.Value) != fmt.Sprint(next) {
				t.Fatalf("record %d of the output, at offset %d, is %q", next, r.Offset, r.Value)
			}
			next++
		})
	}
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), "copier-out")
	if err != nil {
		t.Fatal(err)
	}
	// Every committed transaction has a marker; what is beyond those was aborted.
	if end, _ := ends.Lookup("copier-out", 0); end.Offset <= records+records/500 {
		t.Errorf("the output ends at %d: nothing was aborted, so nothing was tested", end.Offset)
	}
}

// TestKafkaToolsOnTransactions drives the tools for transactions, features and quotas.
func TestKafkaToolsOnTransactions(t *testing.T) {
	if os.Getenv("KAFKA_LIBS") == "" {
		t.Skip("KAFKA_LIBS is not set: `make compat` sets it to the folder of Apache Kafka's jars")
	}
	b := newProcess(t)
	b.start(t)
	run := func(class string, args ...string) string {
		return kafkaTool(t, class, append([]string{"--bootstrap-server", b.addr()}, args...)...)
	}
	want := func(out string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("%q is missing in:\n%.3000s", w, out)
			}
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.DefaultProduceTopic("hanging"), kgo.AllowAutoTopicCreation(), kgo.TransactionalID("hanging-id"), kgo.TransactionTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), kgo.StringRecord("open")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	const transactions = "org.apache.kafka.tools.TransactionsCommand"
	want(run(transactions, "list"), "hanging-id", "Ongoing")
	want(run(transactions, "describe", "--transactional-id", "hanging-id"), "Ongoing", "hanging-0")
	want(run(transactions, "describe-producers", "--topic", "hanging", "--partition", "0"), "ProducerId", "LatestCoordinatorEpoch")
	run(transactions, "abort", "--topic", "hanging", "--partition", "0", "--start-offset", "0")
	want(run("org.apache.kafka.tools.FeatureCommand", "describe"), "group.version", "transaction.version")
	const configs = "kafka.admin.ConfigCommand"
	want(run(configs, "--alter", "--entity-type", "clients", "--entity-name", "greedy", "--add-config", "producer_byte_rate=1048576"), "Completed updating config")
	want(run(configs, "--describe", "--entity-type", "clients", "--entity-name", "greedy"), "producer_byte_rate=1048576")
}
