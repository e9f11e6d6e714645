package compat

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// copiers are processes that copy a partition each.
const copiers = 2

// TestExactlyOnce lets Apache Kafka's TransactionalMessageCopier, one process
// a partition, copy FLUXMQ_EXACTLY_ONCE records in transactions of which it
// aborts a third, while the broker is killed with SIGKILL FLUXMQ_KILLS times
// (default 10), spread over the copying. Read committed, the output is the
// input: nothing lost, nothing twice, nothing aborted, in order.
func TestExactlyOnce(t *testing.T) {
	libs := os.Getenv("KAFKA_LIBS")
	if os.Getenv("FLUXMQ_EXACTLY_ONCE") == "" || libs == "" {
		t.Skip("FLUXMQ_EXACTLY_ONCE is not set: `make compat-exactly-once` sets it, and KAFKA_LIBS")
	}
	each := fromEnvironment(t, "FLUXMQ_EXACTLY_ONCE", 1_000_000) / copiers
	kills := fromEnvironment(t, "FLUXMQ_KILLS", 10)
	rng := seeded(t)
	b := newProcess(t, "--override", "group.initial.rebalance.delay.ms=0")
	b.start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.DefaultProduceTopic("exactly-in"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond))
	must(t, "NewClient", err)
	defer client.Close()
	admin := kadm.NewClient(client)
	for _, topic := range []string{"exactly-in", "exactly-out"} {
		_, err := admin.CreateTopic(t.Context(), copiers, 1, nil, topic)
		must(t, "CreateTopic", err)
	}
	for i := range each {
		for p := range int32(copiers) {
			client.Produce(t.Context(), &kgo.Record{Partition: p, Value: []byte(fmt.Sprint(i))}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("record %d of partition %d: %v", i, p, err)
				}
			})
		}
	}
	must(t, "the input", client.Flush(t.Context()))
	if t.Failed() {
		t.FailNow()
	}

	var running []*javaProcess
	for p := range copiers {
		j := newJava(t, fmt.Sprintf("copier-%d", p), "-Xmx256m", "-Dlog4j2.configurationFile="+quietLogging(t), "-cp", filepath.Join(libs, "*"), "org.apache.kafka.tools.TransactionalMessageCopier",
			"--broker-list", b.addr(), "--input-topic", "exactly-in", "--input-partition", fmt.Sprint(p), "--output-topic", "exactly-out",
			"--max-messages", fmt.Sprint(each), "--consumer-group", "exactly", "--transaction-size", "1000", "--transactional-id", fmt.Sprintf("copier-%d", p),
			"--enable-random-aborts", "--use-group-metadata")
		j.start(t)
		running = append(running, j)
	}
	// The log also has what was aborted, half as much again as the input in
	// the mean; kills are spread over what is sure to come.
	for k := range kills {
		await := int64(k+1) * int64(each*copiers) / int64(kills+1)
		awaitEnd(t, admin, "exactly-out", await, 5*time.Minute)
		moment(rng, 300*time.Millisecond)
		b.kill(t)
		b.start(t)
	}
	for _, j := range running {
		j.wait(t, 15*time.Minute)
	}
	aborted := awaitEnd(t, admin, "exactly-out", 0, time.Minute)
	for p := range int32(copiers) {
		aborted -= readExactly(t, b.addr(), "exactly-out", p, each)
	}
	if aborted <= 0 {
		t.Error("nothing was aborted, so nothing was tested")
	}
	t.Logf("%d records copied once, in order, over %d kills of the broker; %d records of aborted transactions are in the log and not seen", each*copiers, kills, aborted)
}

// awaitEnd waits until the ends of a topic's partitions add up to that, and returns their sum.
func awaitEnd(t *testing.T, admin *kadm.Client, topic string, want int64, limit time.Duration) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var sum int64
	for {
		ends, err := admin.ListEndOffsets(ctx, topic)
		if err == nil && ends.Error() == nil {
			sum = 0
			ends.Each(func(end kadm.ListedOffset) { sum += end.Offset })
			if sum >= want {
				return sum
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the log of %s ends at %d, want %d (%v)", topic, sum, want, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// readExactly reads a partition read committed to its end, wants the numbers
// from 0 to count-1 in order, and returns how many offsets were theirs and the markers'.
func readExactly(t *testing.T, addr, topic string, partition int32, count int) int64 {
	t.Helper()
	reader, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))
	must(t, "NewClient", err)
	defer reader.Close()
	ends, err := kadm.NewClient(reader).ListEndOffsets(t.Context(), topic)
	must(t, "ListEndOffsets", err)
	end, known := ends.Lookup(topic, partition)
	if !known || end.Err != nil {
		t.Fatalf("no end of %s %d: %v", topic, partition, end.Err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	next, seen, read := 0, int64(0), int64(0)
	for seen < end.Offset {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%s %d after %d records, at offset %d of %d: %v", topic, partition, next, seen, end.Offset, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			seen = r.Offset + 1
			read++
			if r.Attrs.IsControl() {
				return
			}
			if string(r.Value) != fmt.Sprint(next) {
				t.Fatalf("%s %d offset %d is %q, want %d (higher: lost; lower: twice, or of an aborted transaction)", topic, partition, r.Offset, r.Value, next)
			}
			next++
		})
	}
	if next != count {
		t.Fatalf("%s %d has %d records, want %d", topic, partition, next, count)
	}
	return read
}
