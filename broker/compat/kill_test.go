package compat

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKillLoop kills the broker with SIGKILL in the middle of produce
// (idempotent, acks=all) at a random moment, FLUXMQ_KILLS times (default 3),
// while the same producers go on through every restart. After each restart
// every acknowledged record must be there, in order, once.
func TestKillLoop(t *testing.T) {
	kills := fromEnvironment(t, "FLUXMQ_KILLS", 3)
	rng := seeded(t)

	const topic, partitions, producers = "kill-loop", 4, 3
	b := newProcess(t, "--override", "log.segment.bytes=1048576") // rolls happen under fire too
	b.start(t)
	admin, err := kgo.NewClient(kgo.SeedBrokers(b.addr()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kadm.NewClient(admin).CreateTopic(t.Context(), partitions, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	admin.Close()

	// acked[producer][partition] is one more than the highest acknowledged sequence.
	var acked [producers][partitions]atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	// gate is held by the reader while it reads back: no new record is offered meanwhile,
	// or the log would outgrow the reading. What was in flight at the kill is retried all the same.
	var gate sync.RWMutex
	for p := range producers {
		client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.ProducerLinger(0), kgo.MaxBufferedRecords(2000), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		sending.Add(1)
		go func() { // ends with ctx; sending waits
			defer sending.Done()
			var next [partitions]int64
			padding := make([]byte, 200)
			for i := 0; ctx.Err() == nil; i++ {
				part := i % partitions
				seq := next[part]
				next[part]++
				value := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(p)), uint64(seq))
				gate.RLock()
				client.Produce(ctx, &kgo.Record{Partition: int32(part), Value: append(value, padding...)}, func(r *kgo.Record, err error) {
					if err != nil {
						if ctx.Err() == nil {
							t.Errorf("producer %d partition %d sequence %d: %v", p, part, seq, err)
						}
						return
					}
					if before := acked[p][part].Swap(seq + 1); before > seq {
						t.Errorf("producer %d partition %d: acknowledged %d after %d", p, part, seq, before-1)
					}
				})
				gate.RUnlock()
			}
		}()
	}
	defer func() { cancel(); sending.Wait() }()

	var checked int64
	for k := range kills {
		moment := time.Duration(rng.Int64N(int64(900*time.Millisecond))) + 20*time.Millisecond
		<-time.After(moment) // the random moment is the point of the test, not a condition
		b.kill(t)
		var promised [producers][partitions]int64
		for p := range producers {
			for part := range partitions {
				promised[p][part] = acked[p][part].Load()
			}
		}
		b.start(t)
		func() {
			gate.Lock()
			defer gate.Unlock() // also when the check fails, or the producers would never end
			checked = readBack(t, b.addr(), topic, promised)
		}()
		t.Logf("kill %d after %v: %d records in the log, every acknowledged one there, in order, once", k+1, moment.Round(time.Millisecond), checked)
		if t.Failed() {
			t.FailNow()
		}
	}
	if checked == 0 {
		t.Fatal("nothing was acknowledged: the test proved nothing")
	}
}

// readBack reads every partition from the start and holds it against what was acknowledged.
func readBack(t *testing.T, addr, topic string, promised [3][4]int64) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var next [3][4]int64
	var read int64
	missing := func() bool {
		for p := range promised {
			for part := range promised[p] {
				if next[p][part] < promised[p][part] {
					return true
				}
			}
		}
		return false
	}
	for missing() {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("not read back within a minute: acknowledged %v, read %v", promised, next)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			p, seq := binary.BigEndian.Uint64(r.Value), int64(binary.BigEndian.Uint64(r.Value[8:]))
			if want := next[p][r.Partition]; seq != want {
				t.Errorf("partition %d offset %d: producer %d sequence %d, wanted %d (higher: lost; lower: duplicated or reordered)", r.Partition, r.Offset, p, seq, want)
			}
			next[p][r.Partition] = seq + 1
			read++
		})
		if t.Failed() {
			t.FailNow()
		}
	}
	return read
}
