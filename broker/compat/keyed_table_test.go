package compat

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	scaleKeys  = 1_000_000
	scaleValue = 1 << 10 // bytes, of noise
)

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

// checkTable reads the whole log back and returns how many records it holds.
func checkTable(t *testing.T, b *brokerProcess, last []int64) (records int64) {
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
	return records
}
