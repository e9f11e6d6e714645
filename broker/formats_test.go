package broker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var producerCodecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// onDisk returns the batches of partition 0 of a topic as they lie in the data directory.
func onDisk(t *testing.T, dir, topic string) []record.Batch {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, topic+"-0", "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no segment: %v", topic, err)
	}
	slices.Sort(files)
	var all []record.Batch
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			var one record.Batch
			if one, b, err = record.Next(b); err != nil {
				t.Fatal(err)
			}
			if err := record.Verify(one); err != nil {
				t.Fatal(err)
			}
			all = append(all, one)
		}
	}
	return all
}

// shown is what must stay of a record, in words.
func shown(r *kgo.Record) string {
	return fmt.Sprintf("%s=%s %v @%d", r.Key, r.Value, r.Headers, r.Timestamp.UnixMilli())
}

func alterTopic(t *testing.T, b *Broker, topic, key, value string) {
	t.Helper()
	r, err := kadm.NewClient(client(t, b)).AlterTopicConfigs(within(t, 10*time.Second), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	if err == nil {
		err = r[0].Err
	}
	if err != nil {
		t.Fatalf("%s=%s of %s: %v", key, value, topic, err)
	}
}

// TestCompressionType sends every codec to topics of every compression.type:
// what is read is what was sent, and what is stored is in the topic's codec.
func TestCompressionType(t *testing.T) {
	dir := t.TempDir()
	b := run(t, Config{DataDir: dir})
	for name, want := range map[string]record.Codec{"uncompressed": record.None, "gzip": record.Gzip, "snappy": record.Snappy, "lz4": record.LZ4, "zstd": record.Zstd} {
		t.Run(name, func(t *testing.T) {
			topic := "to-" + name
			createTopic(t, client(t, b), topic, 1, map[string]*string{"compression.type": &name})
			var sent []string
			for codec, compression := range producerCodecs {
				for _, opts := range [][]kgo.Opt{nil, {kgo.DisableIdempotentWrite()}} {
					c := client(t, b, append(opts, kgo.ProducerBatchCompression(compression), kgo.DefaultProduceTopic(topic))...)
					var records []*kgo.Record
					for i := range 200 {
						records = append(records, &kgo.Record{
							Key: fmt.Appendf(nil, "key-%d", i), Value: []byte(strings.Repeat(codec+" ", i)), Timestamp: time.Now().Add(time.Duration(-i) * time.Second),
							Headers: []kgo.RecordHeader{{Key: "n", Value: []byte{byte(i)}}},
						})
					}
					if err := c.ProduceSync(within(t, 10*time.Second), records...).FirstErr(); err != nil {
						t.Fatal(err)
					}
					for _, r := range records {
						sent = append(sent, shown(r))
					}
				}
			}
			for i, r := range consume(t, b, topic, len(sent)) {
				if r.Offset != int64(i) || shown(r) != sent[i] {
					t.Fatalf("offset %d: read %s, sent %s", r.Offset, shown(r), sent[i])
				}
			}
			for _, one := range onDisk(t, dir, topic) {
				if one.Codec() != want {
					t.Errorf("the batch at %d is stored in %s, want %s", one.BaseOffset(), one.Codec(), want)
				}
			}
		})
	}
}

// The setting can be altered while clients write, at the topic and at the
// broker, and holds from the next batch on.
func TestCompressionTypeIsAltered(t *testing.T) {
	dir := t.TempDir()
	b := run(t, Config{DataDir: dir, Properties: map[string]string{"compression.type": "lz4"}})
	createTopic(t, client(t, b), "t", 1, nil)
	c := client(t, b, kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(kgo.SnappyCompression()))
	send := func() {
		t.Helper()
		if err := c.ProduceSync(within(t, 10*time.Second), kgo.StringRecord(strings.Repeat("value ", 100))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	send()
	alterTopic(t, b, "t", "compression.type", "producer")
	send()
	alterTopic(t, b, "t", "compression.type", "zstd")
	alterTopic(t, b, "t", "compression.zstd.level", "12")
	send()
	alterTopic(t, b, "t", "compression.type", "uncompressed")
	send()
	var got []record.Codec
	for _, one := range onDisk(t, dir, "t") {
		got = append(got, one.Codec())
	}
	if want := []record.Codec{record.LZ4, record.Snappy, record.Zstd, record.None}; !slices.Equal(got, want) {
		t.Errorf("stored in %v, want %v", got, want)
	}
	if n := len(consume(t, b, "t", 4)); n != 4 {
		t.Errorf("read %d records", n)
	}
}

// Transactions keep their meaning in a topic that compresses anew: the markers
// are there, and what was aborted is not read.
func TestTransactionsAreRecompressed(t *testing.T) {
	dir := t.TempDir()
	b := run(t, Config{DataDir: dir})
	gzip, appendTime := "gzip", "LogAppendTime"
	createTopic(t, client(t, b), "t", 1, map[string]*string{"compression.type": &gzip, "message.timestamp.type": &appendTime})
	c := client(t, b, kgo.TransactionalID("x"), kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	ctx := within(t, time.Minute)
	var want []string
	for round := range 5 { // the last one is committed: when it is read, its marker is there
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		value := fmt.Sprintf("%d %s", round, strings.Repeat("value ", 100))
		if err := c.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
			t.Fatal(err)
		}
		commit := kgo.TransactionEndTry(round%2 == 0)
		if err := c.EndTransaction(ctx, commit); err != nil {
			t.Fatal(err)
		}
		if commit {
			want = append(want, value)
		}
	}
	if got := valuesOf(t, b, "t", len(want)); !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	markers := 0
	for _, one := range onDisk(t, dir, "t") {
		if one.IsControl() {
			markers++
		}
		if one.IsControl() == (one.Codec() == record.Gzip) || !one.IsTransactional() || !one.IsLogAppendTime() {
			t.Errorf("the batch at %d: %s, control %v, transactional %v, LogAppendTime %v", one.BaseOffset(), one.Codec(), one.IsControl(), one.IsTransactional(), one.IsLogAppendTime())
		}
	}
	if markers != 5 {
		t.Errorf("%d markers, want 5", markers)
	}
}

// TestLogAppendTime: the producer's timestamps give way to the broker's clock,
// in every codec, and consumers are told the type.
func TestLogAppendTime(t *testing.T) {
	b := run(t, Config{})
	appendTime := "LogAppendTime"
	for codec, compression := range producerCodecs {
		for _, kind := range []string{"producer", "gzip"} {
			topic := codec + "-" + kind
			createTopic(t, client(t, b), topic, 1, map[string]*string{"message.timestamp.type": &appendTime, "compression.type": &kind})
			c := client(t, b, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(compression))
			begin := time.Now().Truncate(time.Millisecond)
			for i := range 3 { // too far in the future for CreateTime
				if err := c.ProduceSync(within(t, 10*time.Second), &kgo.Record{Value: fmt.Append(nil, i), Timestamp: begin.Add(100 * time.Hour)}).FirstErr(); err != nil {
					t.Fatalf("%s: %v", topic, err)
				}
			}
			last := begin
			for _, r := range consume(t, b, topic, 3) {
				if r.Attrs.TimestampType() != 1 || r.Timestamp.Before(last) || r.Timestamp.After(time.Now()) {
					t.Errorf("%s: offset %d at %v of type %d, not before %v", topic, r.Offset, r.Timestamp, r.Attrs.TimestampType(), last)
				}
				last = r.Timestamp
			}
		}
	}
}

// TestTimestampsAreRefused: nothing of a batch with a record beyond the limits
// is written.
func TestTimestampsAreRefused(t *testing.T) {
	b := run(t, Config{})
	minute := "60000"
	for codec, compression := range producerCodecs {
		createTopic(t, client(t, b), codec, 1, map[string]*string{"message.timestamp.before.max.ms": &minute, "message.timestamp.after.max.ms": &minute})
		c := client(t, b, kgo.DefaultProduceTopic(codec), kgo.ProducerBatchCompression(compression), kgo.DisableIdempotentWrite())
		now := time.Now()
		for why, bad := range map[string]time.Duration{"old": -2 * time.Minute, "new": 2 * time.Minute} {
			results := c.ProduceSync(within(t, 20*time.Second), &kgo.Record{Timestamp: now}, &kgo.Record{Timestamp: now.Add(bad)}, &kgo.Record{Timestamp: now})
			refused := 0
			for _, r := range results {
				if errors.Is(r.Err, kerr.InvalidTimestamp) {
					refused++
				}
			}
			if refused == 0 { // how records fall into batches is the client's affair
				t.Errorf("%s, %s: no record was refused: %v", codec, why, results.FirstErr())
			}
		}
		if err := c.ProduceSync(within(t, 10*time.Second), &kgo.Record{Value: []byte("good")}).FirstErr(); err != nil {
			t.Errorf("%s: %v", codec, err)
		}
	}
}

// TestCoordinatorTopicsInACodec alters what __consumer_offsets is stored in:
// the offsets outlive a restart.
func TestCoordinatorTopicsInACodec(t *testing.T) {
	dir := t.TempDir()
	b := run(t, Config{DataDir: dir, Properties: map[string]string{"offsets.topic.num.partitions": "1"}})
	c := client(t, b)
	createTopic(t, c, "t", 1, nil)
	admin := kadm.NewClient(c)
	commit := func(at int64) {
		t.Helper()
		offsets := kadm.Offsets{}
		offsets.Add(kadm.Offset{Topic: "t", Partition: 0, At: at, LeaderEpoch: -1})
		if err := admin.CommitAllOffsets(within(t, 10*time.Second), "g", offsets); err != nil {
			t.Fatal(err)
		}
	}
	commit(3)
	alterTopic(t, b, "__consumer_offsets", "compression.type", "gzip")
	commit(4)
	compressed := 0
	for _, one := range onDisk(t, dir, "__consumer_offsets") {
		if one.Codec() == record.Gzip {
			compressed++
		}
	}
	if compressed == 0 {
		t.Error("nothing was compressed")
	}
	c.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = run(t, Config{DataDir: dir, Properties: map[string]string{"offsets.topic.num.partitions": "1"}})
	offsets, err := kadm.NewClient(client(t, b)).FetchOffsets(within(t, 10*time.Second), "g")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup("t", 0); !ok || o.At != 4 {
		t.Errorf("after the restart: %+v, want offset 4", o)
	}
}
