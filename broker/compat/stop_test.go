package compat

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestStopUnderLoad sends SIGTERM while producers and a group are at work:
// the broker exits 0 within 10 s, calls nothing an error, and comes back
// without recovering a log.
func TestStopUnderLoad(t *testing.T) {
	b := newProcess(t, "--override", "group.initial.rebalance.delay.ms=0", "--override", "num.partitions=8")
	b.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	var clients []*kgo.Client
	produced := make(chan struct{}, 1)
	consumed := make(chan struct{}, 1)
	for _, topic := range []string{"a", "b"} {
		client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation(),
			kgo.ConsumerGroup("g"), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		must(t, "NewClient", err)
		clients = append(clients, client)
		working.Add(2)
		go func() { // ends with ctx
			defer working.Done()
			for ctx.Err() == nil {
				client.Produce(ctx, &kgo.Record{Value: make([]byte, 200)}, func(_ *kgo.Record, err error) { signal(produced, err == nil) })
			}
		}()
		go func() { // ends with ctx
			defer working.Done()
			for ctx.Err() == nil {
				signal(consumed, client.PollFetches(ctx).NumRecords() > 0)
			}
		}()
	}
	for range 200 { // acknowledgements and polls, so that the load is well under way
		awaitSignal(t, produced)
	}
	awaitSignal(t, consumed)
	begin := time.Now()
	b.stop(t)
	took := time.Since(begin)
	t.Logf("the broker took %v to stop", took)
	if took > 10*time.Second {
		t.Error("that is longer than 10 s")
	}
	cancel()
	working.Wait()
	log, err := os.ReadFile(b.log.Name())
	must(t, "the log", err)
	if !strings.Contains(string(log), "clean=true") {
		t.Errorf("the broker did not say that it stopped cleanly:\n%s", b.tail())
	}
	b.start(t)
	for _, client := range clients {
		client.Close() // with a broker to leave the group at
	}
	b.stop(t)
	if log, err = os.ReadFile(b.log.Name()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "was recovered") {
			t.Errorf("after a clean stop: %s", line)
		}
	}
}

// signal says on a channel of capacity 1 that something happened.
func signal(c chan<- struct{}, happened bool) {
	if !happened {
		return
	}
	select {
	case c <- struct{}{}:
	default:
	}
}

func awaitSignal(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came through within 20 s")
	}
}
