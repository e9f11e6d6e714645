package coordinator

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"fluxmq/broker/coordinator/memlog"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

func TestWhatIsStoredComesBack(t *testing.T) {
	logs := memoryLogs()
	c := counters(t, time.Minute, logs)
	want := map[string]int{}
	for round := range 5 {
		for key := range 40 {
			name := fmt.Sprint("key-", key)
			want[name]++
			expectCount(t, name, count(t.Context(), c, name).Wait(t.Context()), round+1, nil)
		}
	}
	if got := total(t, c); !maps.Equal(got, want) {
		t.Errorf("counted are %v", got)
	}
	for i, l := range logs {
		if l.Count() == 0 {
			t.Errorf("partition %d holds nothing: the keys are not spread", i)
		}
	}
	c.Close()
	c = counters(t, time.Minute, logs)
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := total(t, c); !maps.Equal(got, want) {
		t.Errorf("after a restart they are %v", got)
	}
}

func TestRecordsThatAreNotKnownAreSkipped(t *testing.T) {
	logs := memoryLogs()
	batch, err := record.Builder{ProducerID: -1}.Build([]record.Record{{}, {Key: []byte("a")}, {}, {Key: []byte("a")}})
	if err != nil {
		t.Fatal(err)
	}
	partition := protocol.CoordinatorPartition("a", counterPartitions)
	if _, err := logs[partition].Append(batch); err != nil {
		t.Fatal(err)
	}
	c := counters(t, time.Minute, logs)
	expectCount(t, "a", count(t.Context(), c, "a").Wait(t.Context()), 3, nil)
	if s, err := c.At(partition); err != nil || s.End() != 5 {
		t.Errorf("the log ends at %d, want 5 (%v)", s.End(), err)
	}
}

func TestWhileAPartitionLoads(t *testing.T) {
	logs := memoryLogs()
	for _, l := range logs {
		l.ReplayAt = make(chan struct{})
	}
	c := counters(t, time.Minute, logs)
	begin := time.Now()
	expectCount(t, "asked", count(t.Context(), c, "a").Wait(t.Context()), 0, protocol.ErrCoordinatorLoadInProgress)
	if took := time.Since(begin); took < loadWait {
		t.Errorf("it was refused after %v", took)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	expectCount(t, "asked by a client that left", count(gone, c, "a").Wait(gone), 0, protocol.ErrCoordinatorNotAvailable)
	if err := c.Start(gone); err == nil {
		t.Error("Start did not see that its context has ended")
	}
	for _, l := range logs {
		close(l.ReplayAt)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectCount(t, "asked when it has loaded", count(t.Context(), c, "a").Wait(t.Context()), 1, nil)
}

func TestShardsThatAreNotThere(t *testing.T) {
	none := counters(t, time.Minute, new([counterPartitions]*memlog.Log))
	expectCount(t, "not hosted", count(t.Context(), none, "a").Wait(t.Context()), 0, protocol.ErrNotCoordinator)
	if err := none.Start(t.Context()); err == nil {
		t.Error("Start found partitions that are not hosted")
	}
	noLog := func(int32) *memlog.Log { t.Error("a log of no topic was asked for"); return nil }
	empty := NewShards(func() int32 { return 0 }, noLog, func(int32, *memlog.Log) *counter { return nil })
	expectCount(t, "no topic", count(t.Context(), empty, "a").Wait(t.Context()), 0, protocol.ErrNotCoordinator)
	if got := total(t, empty); len(got) != 0 {
		t.Errorf("no shard counted %v", got)
	}
}

func TestClose(t *testing.T) {
	logs := memoryLogs()
	for _, l := range logs {
		l.Waits = true
	}
	c := counters(t, time.Minute, logs)
	waits := count(t.Context(), c, "a")
	awaitBatches(t, logs[protocol.CoordinatorPartition("a", counterPartitions)], 1)
	c.Close()
	c.Close()
	expectCount(t, "what waited", waits.Wait(t.Context()), 0, protocol.ErrNotCoordinator)
	expectCount(t, "asked later", count(t.Context(), c, "a").Wait(t.Context()), 0, protocol.ErrNotCoordinator)
}
