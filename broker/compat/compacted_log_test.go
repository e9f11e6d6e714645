package compat

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestDumpCompactedLog lets Apache Kafka's DumpLogSegments walk, with its
// indexes, what our cleaner left of compacted logs in each codec.
func TestDumpCompactedLog(t *testing.T) {
	if os.Getenv("KAFKA_LIBS") == "" {
		t.Skip("KAFKA_LIBS is not set: `make compat` sets it to the folder of Apache Kafka's jars")
	}
	b := newProcess(t, "--override", "log.segment.bytes=1048576", "--override", "log.cleanup.policy=compact",
		"--override", "log.cleaner.backoff.ms=100", "--override", "log.segment.delete.delay.ms=0")
	b.start(t)
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	noise := rand.New(rand.NewPCG(3, 4)) // what does not compress rolls segments in every codec
	const rounds, keys = 40, 1000
	for name, codec := range codecs {
		client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.DefaultProduceTopic("table-"+name), kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(16<<10))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, nil, "table-"+name); err != nil {
			t.Fatal(err)
		}
		for round := range rounds {
			for key := range keys {
				r := &kgo.Record{Key: []byte(strconv.Itoa(key)), Value: fmt.Appendf(nil, "value %d %016x%016x%016x%016x", round, noise.Uint64(), noise.Uint64(), noise.Uint64(), noise.Uint64())}
				if round == 1 && key%10 == 0 {
					r.Key, r.Value = []byte("gone-"+strconv.Itoa(key)), nil
				}
				client.Produce(t.Context(), r, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		client.Close()
	}
	for name := range codecs {
		for deadline := time.Now().Add(time.Minute); !isClean(t, b.dataDir, "table-"+name); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("table-%s was not cleaned within a minute\n%s", name, b.tail())
			}
		}
	}
	b.stop(t)

	line := regexp.MustCompile(`key: (\S+) payload: value (\d+) `)
	for name := range codecs {
		files, err := filepath.Glob(filepath.Join(b.dataDir, "table-"+name+"-0", "*.log"))
		if err != nil || len(files) < 2 {
			t.Fatalf("%s: %d segments found (%v)", name, len(files), err)
		}
		indexes, _ := filepath.Glob(filepath.Join(b.dataDir, "table-"+name+"-0", "*index")) // the pattern is well formed
		out := kafkaTool(t, "org.apache.kafka.tools.DumpLogSegments", "--deep-iteration", "--print-data-log", "--files", strings.Join(append(files, indexes...), ","))
		if strings.Contains(out, "isvalid: false") || strings.Contains(out, "Mismatches in") || strings.Contains(out, "not found") || strings.Contains(out, "Exception") {
			t.Errorf("%s: DumpLogSegments complains:\n%.4000s", name, out)
		}
		if !strings.Contains(out, "deleteHorizonMs: OptionalLong[") {
			t.Errorf("%s: no batch with tombstones has a delete horizon", name)
		}
		last, records := map[string]string{}, 0
		for _, m := range line.FindAllStringSubmatch(out, -1) {
			last[m[1]] = m[2]
			records++
		}
		for key := range keys {
			if got := last[strconv.Itoa(key)]; got != strconv.Itoa(rounds-1) {
				t.Errorf("%s: the last value of key %d is of round %q, want %d", name, key, got, rounds-1)
				break
			}
		}
		if records > rounds*keys*2/3 {
			t.Errorf("%s: %d records are left of %d", name, records, rounds*keys)
		}
		t.Logf("%s: %d segments, %d records of %d keys", name, len(files), records, len(last))
	}
}

// isClean tells whether the cleaner's checkpoint has reached the active segment of a topic's only partition.
func isClean(t *testing.T, dataDir, topic string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dataDir, topic+"-0", "*.log"))
	must(t, "Glob", err)
	if len(files) < 2 {
		return false // one of them is being exchanged
	}
	active := strings.TrimLeft(strings.TrimSuffix(filepath.Base(files[len(files)-1]), ".log"), "0")
	checkpoint, err := os.ReadFile(filepath.Join(dataDir, "cleaner-offset-checkpoint"))
	return err == nil && strings.Contains(string(checkpoint), "\n"+topic+" 0 "+active+"\n")
}
