package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// valuesOf reads n records, committed ones only, and returns their values in order.
func valuesOf(t *testing.T, b *Broker, topic string, n int) []string {
	t.Helper()
	var values []string
	for _, r := range consume(t, b, topic, n, kgo.FetchIsolationLevel(kgo.ReadCommitted())) {
		values = append(values, string(r.Value))
	}
	slices.Sort(values)
	return values
}

// TestTransactions commits and aborts with a real client; only what was
// committed is read, before and after a restart.
func TestTransactions(t *testing.T) {
	dir := t.TempDir()
	b := run(t, Config{DataDir: dir})
	createTopic(t, client(t, b), "t", 3, nil)
	p := client(t, b, kgo.TransactionalID("x"), kgo.DefaultProduceTopic("t"))
	ctx := within(t, time.Minute)
	var want []string
	for round := range 30 {
		if err := p.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		commit := kgo.TransactionEndTry(round%3 != 0)
		for i := range 4 {
			value := fmt.Sprintf("%02d-%d", round, i)
			if err := p.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if commit {
				want = append(want, value)
			}
		}
		if err := p.EndTransaction(ctx, commit); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	if got := valuesOf(t, b, "t", len(want)); !slices.Equal(got, want) {
		t.Errorf("read %d values, want %d", len(got), len(want))
	}

	// One is left open; another client takes the transactional id over.
	if err := p.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := p.ProduceSync(ctx, kgo.StringRecord("open")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	other := client(t, b, kgo.TransactionalID("x"), kgo.DefaultProduceTopic("t"))
	if err := other.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := other.ProduceSync(ctx, kgo.StringRecord("zz")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := p.EndTransaction(ctx, kgo.TryCommit); err == nil {
		t.Error("the client that was replaced could commit")
	}
	if err := other.EndTransaction(ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	want = append(want, "zz")
	admin := kadm.NewClient(client(t, b))
	described, err := admin.DescribeTransactions(ctx, "x")
	if err != nil || described["x"].Err != nil || described["x"].ProducerID < 0 {
		t.Errorf("described as %+v: %v", described, err)
	}
	if listed, err := admin.ListTransactions(ctx, nil, nil); err != nil || len(listed) != 1 {
		t.Errorf("listed %+v: %v", listed, err)
	}
	p.Close()
	other.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = run(t, Config{DataDir: dir})
	if got := valuesOf(t, b, "t", len(want)); !slices.Equal(got, want) {
		t.Errorf("after a restart: read %d values, want %d", len(got), len(want))
	}
}

// TestConsumeTransformProduce copies a topic in transactions, some of which
// abort: every record arrives once.
func TestConsumeTransformProduce(t *testing.T) {
	b := run(t, Config{})
	createTopic(t, client(t, b), "in", 2, nil)
	createTopic(t, client(t, b), "out", 2, nil)
	source := client(t, b, kgo.DefaultProduceTopic("in"))
	ctx := within(t, 2*time.Minute)
	const records = 300
	var want []string
	for i := range records {
		want = append(want, fmt.Sprintf("%03d", i))
		if err := source.ProduceSync(ctx, kgo.StringRecord(want[i])).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(b.Addr()), kgo.TransactionalID("copier"), kgo.ConsumerGroup("copiers"), kgo.ConsumeTopics("in"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
		kgo.DefaultProduceTopic("out"), kgo.MetadataMinAge(10*time.Millisecond), kgo.FetchMaxBytes(2000), kgo.FetchMaxPartitionBytes(1000),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	copied, aborted := 0, 0
	for round := 0; copied < records; round++ {
		fetches := session.PollRecords(ctx, 20)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		if err := session.Begin(); err != nil {
			t.Fatal(err)
		}
		n := 0
		fetches.EachRecord(func(r *kgo.Record) {
			session.Produce(ctx, kgo.StringRecord(string(r.Value)), nil)
			n++
		})
		committed, err := session.End(ctx, kgo.TransactionEndTry(round%4 != 1))
		switch {
		case err != nil && !errors.Is(err, kerr.TransactionAbortable):
			t.Fatalf("round %d: %v", round, err)
		case committed:
			copied += n
		default:
			aborted++
		}
	}
	if aborted == 0 {
		t.Error("nothing was aborted")
	}
	if got := valuesOf(t, b, "out", records); !slices.Equal(got, want) {
		t.Errorf("%d records arrived, want %d once each", len(got), len(want))
	}
	// The markers of the last transaction may still be on their way.
	for ctx.Err() == nil {
		offsets, err := kadm.NewClient(source).FetchOffsets(ctx, "copiers")
		if err != nil {
			t.Fatal(err)
		}
		sum := int64(0)
		offsets.Each(func(o kadm.OffsetResponse) { sum += o.At })
		if sum == records {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error(context.Cause(ctx))
}
