package compat

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	scaleKeys   = 1_000_000
	scaleValue  = 1 << 10 // bytes, of noise
	probeEvery  = 2 * time.Millisecond
	probeBefore = 20 * time.Second
	// mapBytes is log.cleaner.dedupe.buffer.size by default: nobody knows how many keys so many
	// records have. The rest of the allowance is buffers and the heap's slack.
	mapBytes       = 128 << 20
	memoryBesideIt = 32 << 20
)

// TestCompactionAtScale compacts a log of COMPACTION_GIB GiB with 1,000,000 keys
// while another topic is produced to at a fixed rate: what is left is the last
// record of each key, once below the cleaner's checkpoint, and the broker's memory
// grew by the offset map and little more. What the cleaning does to the other
// topic's latency is printed, not judged. `make compaction-scale` runs it.
func TestCompactionAtScale(t *testing.T) {
	gib, err := strconv.Atoi(os.Getenv("COMPACTION_GIB"))
	if err != nil {
		t.Skip("COMPACTION_GIB is not set: `make compaction-scale` sets it")
	}
	if gib < 2 {
		t.Fatalf("COMPACTION_GIB is %d: a log of a single segment is not cleaned, 2 is the least", gib)
	}
	args := []string{"--override", "log.cleaner.backoff.ms=100", "--override", "log.segment.delete.delay.ms=0"}
	for _, setting := range strings.Fields(os.Getenv("COMPACTION_SETTINGS")) {
		args = append(args, "--override", setting)
	}
	b := newProcess(t, args...)
	b.start(t)
	admin, err := kgo.NewClient(kgo.SeedBrokers(b.addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	policy, never := "compact", strconv.FormatInt(int64(24*time.Hour/time.Millisecond), 10)
	if _, err := kadm.NewClient(admin).CreateTopic(t.Context(), 1, 1, map[string]*string{"cleanup.policy": &policy, "min.compaction.lag.ms": &never}, "table"); err != nil {
		t.Fatal(err)
	}
	if _, err := kadm.NewClient(admin).CreateTopic(t.Context(), 1, 1, nil, "beside"); err != nil {
		t.Fatal(err)
	}
	last := fillTable(t, b.addr(), gib<<30/(scaleValue+40))

	before, stop := probe(t, b.addr())
	time.Sleep(probeBefore) // the length of the measurement
	stop()
	memory := residentBytes(t, b)
	beside, stop := probe(t, b.addr())
	began, now := time.Now(), "0"
	if _, err := kadm.NewClient(admin).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "min.compaction.lag.ms", Value: &now}}, "table"); err != nil {
		t.Fatal(err)
	}
	most := memory
	for deadline := began.Add(30 * time.Minute); !isClean(t, b.dataDir, "table"); time.Sleep(50 * time.Millisecond) {
		if most = max(most, residentBytes(t, b)); time.Now().After(deadline) {
			t.Fatalf("not cleaned within 30 minutes\n%s", b.tail())
		}
	}
	took := time.Since(began)
	stop()
	t.Logf("%d GiB, %d keys: cleaned in %.0f s; resident %d MiB before, %d MiB at most beside it; produce p99 %.2f ms before, %.2f ms beside it (%d and %d samples)",
		gib, scaleKeys, took.Seconds(), memory>>20, most>>20, float64(before.ValueAtQuantile(99))/1e6, float64(beside.ValueAtQuantile(99))/1e6, before.TotalCount(), beside.TotalCount())
	if grown := most - memory; grown > mapBytes+memoryBesideIt {
		t.Errorf("memory grew by %d MiB, want %d at most", grown>>20, int64(mapBytes+memoryBesideIt)>>20)
	}
	checkTable(t, b, last)
}

// fillTable produces records of random keys and returns the number of the last one of each key, -1: none.
func fillTable(t *testing.T, addr string, records int) []int64 {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("table"), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(900<<10),
		kgo.MaxBufferedRecords(50_000))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	last := make([]int64, scaleKeys)
	for i := range last {
		last[i] = -1
	}
	random := rand.New(rand.NewPCG(5, 6))
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(random.Uint64())
	}
	for i := range records {
		key := random.IntN(scaleKeys)
		last[key] = int64(i)
		from := random.IntN(len(noise) - scaleValue)
		value := append(binary.BigEndian.AppendUint64(make([]byte, 0, scaleValue), uint64(i)), noise[from:from+scaleValue-8]...)
		client.Produce(t.Context(), &kgo.Record{Key: []byte(strconv.Itoa(key)), Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return last
}

// probe produces to the other topic at a fixed rate and takes latencies from the intended times, in nanoseconds, until stop returns.
func probe(t *testing.T, addr string) (latencies *hdrhistogram.Histogram, stop func()) {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("beside"), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	latencies = hdrhistogram.New(1, int64(time.Minute), 3)
	var mutex sync.Mutex // guards latencies
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // stop waits for it
		defer close(ended)
		ticker := time.NewTicker(probeEvery)
		defer ticker.Stop()
		for intended := time.Now(); ; intended = intended.Add(probeEvery) {
			for time.Now().Before(intended) {
				select {
				case <-ticker.C:
				case <-ctx.Done():
					return
				}
			}
			client.Produce(t.Context(), kgo.SliceRecord(make([]byte, 100)), func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
				mutex.Lock()
				defer mutex.Unlock()
				_ = latencies.RecordValue(min(int64(time.Since(intended)), int64(time.Minute))) // in range
			})
		}
	}()
	return latencies, func() {
		cancel()
		<-ended
		if err := client.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		client.Close()
	}
}

// residentBytes of the broker, without the page cache that it maps.
func residentBytes(t *testing.T, b *brokerProcess) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	total, found := int64(0), 0
	for line := range strings.Lines(string(text)) {
		for _, kind := range []string{"RssAnon:", "RssShmem:"} { // the map of keys is of the second kind
			var kib int64
			if n, _ := fmt.Sscanf(line, kind+" %d kB", &kib); n == 1 {
				total, found = total+kib<<10, found+1
			}
		}
	}
	if found != 2 {
		t.Fatalf("the status says nothing of memory:\n%s", text)
	}
	return total
}

// checkTable reads the whole log back.
func checkTable(t *testing.T, b *brokerProcess, last []int64) {
	checkpoint, err := os.ReadFile(filepath.Join(b.dataDir, "cleaner-offset-checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	var cleanedTo int64
	for line := range strings.Lines(string(checkpoint)) {
		if n, _ := fmt.Sscanf(line, "table 0 %d", &cleanedTo); n == 1 {
			break
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.ConsumeTopics("table"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), "table")
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup("table", 0)
	seen, clean := make([]int64, scaleKeys), make([]bool, scaleKeys)
	for i := range seen {
		seen[i] = -1
	}
	records := 0
	for at := int64(0); at < end.Offset; {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			key, err := strconv.Atoi(string(r.Key))
			if err != nil || key < 0 || key >= scaleKeys || len(r.Value) != scaleValue {
				t.Fatalf("offset %d: key %q, value of %d bytes", r.Offset, r.Key, len(r.Value))
			}
			if r.Offset < cleanedTo {
				if clean[key] {
					t.Fatalf("offset %d: key %d stands twice below the checkpoint %d", r.Offset, key, cleanedTo)
				}
				clean[key] = true
			}
			seen[key] = int64(binary.BigEndian.Uint64(r.Value))
			records, at = records+1, r.Offset+1
		})
	}
	for key := range last {
		if seen[key] != last[key] {
			t.Fatalf("key %d: its last record is %d, want %d", key, seen[key], last[key])
		}
	}
	t.Logf("%d records are left below the end %d, cleaned to %d", records, end.Offset, cleanedTo)
}
