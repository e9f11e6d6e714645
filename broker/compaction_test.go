package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func text(s string) *string { return &s }

// sizeOf is what a partition's log holds, by DescribeLogDirs.
func sizeOf(t *testing.T, adm *kadm.Client, topic string, partition int32) int64 {
	t.Helper()
	dirs, err := adm.DescribeAllLogDirs(within(t, 10*time.Second), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, broker := range dirs {
		if p, ok := broker.LookupPartition(topic, partition); ok {
			return p.Size
		}
	}
	t.Fatalf("%s-%d is in no log directory", topic, partition)
	return 0
}

// eventually asks every few milliseconds until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// A compacted topic of a running broker shrinks to the last record of each
// key, for every client that reads it, and across a restart.
func TestCompactedTopicIsCompacted(t *testing.T) {
	dir := t.TempDir()
	properties := map[string]string{"log.cleaner.backoff.ms": "100"}
	b := run(t, Config{DataDir: dir, Properties: properties})
	c := client(t, b, kgo.DefaultProduceTopic("table"), kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerLinger(0))
	createTopic(t, c, "table", 1, map[string]*string{
		"cleanup.policy": text("compact"), "internal.segment.bytes": text("4000"), "min.cleanable.dirty.ratio": text("0.01"), "delete.retention.ms": text("0"), "file.delete.delay.ms": text("0"),
	})
	const rounds, keys = 40, 20
	for round := range rounds {
		records := make([]*kgo.Record, keys)
		for key := range keys {
			records[key] = &kgo.Record{Key: fmt.Appendf(nil, "key-%d", key), Value: fmt.Appendf(nil, "%d %s", round, strings.Repeat("v", 50))}
			if key == 7 && round == rounds-10 {
				records[key].Value = nil // a tombstone
			}
			if key == 7 && round > rounds-10 {
				records[key].Key = []byte("key-8")
			}
		}
		if err := c.ProduceSync(within(t, 10*time.Second), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	noise, next := rand.New(rand.NewPCG(1, 2)), 0
	produce := func() { // fills segments, so that even the tombstone's is cleaned twice
		next++
		value := []byte("roll")
		for range 90 {
			value = fmt.Appendf(value, " %016x", noise.Uint64())
		}
		if err := c.ProduceSync(within(t, 10*time.Second), &kgo.Record{Key: fmt.Appendf(nil, "roll-%d", next%3), Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the topic shrinks and its tombstone goes", func() bool {
		produce()
		values, records, tombstones := readTable(t, b)
		if len(values) != keys-1+min(next, 3) || values["key-3"] != fmt.Sprint(rounds-1) {
			t.Fatalf("after %d more records: %v", next, values)
		}
		return tombstones == 0 && records < keys+15
	})
	want, _, _ := readTable(t, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := New(Config{DataDir: dir, Properties: properties})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, _, _ := readTable(t, again); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("after a restart: %v, before: %v", got, want)
	}
}

// readTable reads the topic from its start to its end.
func readTable(t *testing.T, b *Broker) (values map[string]string, records, tombstones int) {
	t.Helper()
	c := client(t, b, kgo.ConsumeTopics("table"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(within(t, 10*time.Second), "table")
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup("table", 0)
	values = map[string]string{}
	for ctx, last := within(t, 20*time.Second), int64(-1); last+1 < end.Offset; { // the active segment has the last record
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			records++
			last = r.Offset
			if r.Value == nil {
				tombstones++
				delete(values, string(r.Key))
			} else {
				values[string(r.Key)] = strings.Fields(string(r.Value))[0]
			}
		})
	}
	return values, records, tombstones
}

// __consumer_offsets is compacted, and the groups come back from what is left of it.
func TestOffsetsTopicIsCompacted(t *testing.T) {
	dir := t.TempDir()
	properties := map[string]string{"log.cleaner.backoff.ms": "100", "offsets.topic.num.partitions": "1", "offsets.topic.segment.bytes": "1048576", "log.segment.delete.delay.ms": "0"}
	b := run(t, Config{DataDir: dir, Properties: properties})
	adm := kadm.NewClient(client(t, b))
	const partitions = 200
	createTopic(t, client(t, b), "source", partitions, nil)
	commits := 0
	commit := func() {
		commits++
		offsets := kadm.Offsets{}
		for p := range int32(partitions) {
			offsets.Add(kadm.Offset{Topic: "source", Partition: p, At: int64(commits), LeaderEpoch: -1, Metadata: strings.Repeat("m", 300)})
		}
		if err := adm.CommitAllOffsets(within(t, 10*time.Second), "readers", offsets); err != nil {
			t.Fatal(err)
		}
	}
	for range 60 { // more than four segments
		commit()
	}
	eventually(t, "__consumer_offsets shrinks", func() bool { return sizeOf(t, adm, "__consumer_offsets", 0) < 2<<20 })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = run(t, Config{DataDir: dir, Properties: properties})
	fetched, err := kadm.NewClient(client(t, b)).FetchOffsets(within(t, 10*time.Second), "readers")
	if err != nil || len(fetched["source"]) != partitions {
		t.Fatalf("%d partitions have offsets, %v", len(fetched["source"]), err)
	}
	for p, o := range fetched["source"] {
		if o.Err != nil || o.At != int64(commits) {
			t.Fatalf("partition %d: offset %d, %v, want %d", p, o.At, o.Err, commits)
		}
	}
}
