package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run starts a broker that ends with the test.
func run(t testing.TB, c Config) *Broker {
	t.Helper()
	if c.DataDir == "" {
		c.DataDir = t.TempDir()
	}
	properties := map[string]string{"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "2"}
	for k, v := range c.Properties {
		properties[k] = v
	}
	c.Properties = properties
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

func client(t testing.TB, b *Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Addr()), kgo.MetadataMinAge(10 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func createTopic(t testing.TB, c *kgo.Client, topic string, partitions int32, configs map[string]*string) {
	t.Helper()
	r, err := kadm.NewClient(c).CreateTopic(within(t, 10*time.Second), partitions, 1, configs, topic)
	if err == nil {
		err = r.Err
	}
	if err != nil {
		t.Fatalf("creating %s: %v", topic, err)
	}
}

// consume reads n records of a topic from the start, in a client of its own.
func consume(t testing.TB, b *Broker, topic string, n int, opts ...kgo.Opt) []*kgo.Record {
	t.Helper()
	c := client(t, b, append([]kgo.Opt{kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, opts...)...)
	defer c.Close()
	var records []*kgo.Record
	for ctx := within(t, 20*time.Second); len(records) < n; {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(records), n, err)
		}
		records = append(records, fetches.Records()...)
	}
	if len(records) > n {
		t.Fatalf("got %d records, want %d", len(records), n)
	}
	return records
}

func TestEveryCodecThroughEveryAcks(t *testing.T) {
	b := run(t, Config{})
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	acks := map[string][]kgo.Opt{
		"0":   {kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()},
		"1":   {kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()},
		"all": {kgo.RequiredAcks(kgo.AllISRAcks())},
	}
	for codec, compression := range codecs {
		for ack, opts := range acks {
			t.Run(codec+"/acks="+ack, func(t *testing.T) {
				topic := codec + "-" + ack
				c := client(t, b, append(opts, kgo.ProducerBatchCompression(compression), kgo.DefaultProduceTopic(topic))...)
				createTopic(t, c, topic, 1, nil)
				want := make([]*kgo.Record, 500)
				for i := range want {
					want[i] = &kgo.Record{Key: fmt.Appendf(nil, "key-%d", i), Value: bytes.Repeat([]byte{byte(i)}, i), Headers: []kgo.RecordHeader{{Key: "n", Value: []byte{byte(i)}}}}
				}
				want[3].Value, want[4].Key = nil, nil
				if err := c.ProduceSync(within(t, 10*time.Second), want...).FirstErr(); err != nil {
					t.Fatal(err)
				}
				for i, r := range consume(t, b, topic, len(want)) {
					w := want[i]
					if r.Offset != int64(i) || !bytes.Equal(r.Key, w.Key) || !bytes.Equal(r.Value, w.Value) || (r.Value == nil) != (w.Value == nil) ||
						(r.Key == nil) != (w.Key == nil) || len(r.Headers) != 1 || r.Headers[0].Value[0] != byte(i) || r.Timestamp.UnixMilli() != w.Timestamp.UnixMilli() {
						t.Fatalf("record %d came back as %+v, want %+v", i, r, w)
					}
				}
			})
		}
	}
}

func TestRestartKeepsData(t *testing.T) {
	dir := t.TempDir()
	const rounds, each = 3, 200
	for round := range rounds {
		b := run(t, Config{DataDir: dir})
		c := client(t, b, kgo.DefaultProduceTopic("kept"))
		if round == 0 {
			createTopic(t, c, "kept", 3, nil)
		}
		for i := range each {
			if err := c.ProduceSync(within(t, 10*time.Second), kgo.KeySliceRecord([]byte{byte(i)}, fmt.Appendf(nil, "%d/%d", round, i))).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[string]bool{}
		for _, r := range consume(t, b, "kept", (round+1)*each) {
			seen[string(r.Value)] = true
		}
		if len(seen) != (round+1)*each {
			t.Fatalf("round %d: %d different records, want %d", round, len(seen), (round+1)*each)
		}
		c.Close()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, ".kafka_cleanshutdown")); err != nil {
			t.Fatalf("no marker of a clean stop: %v", err)
		}
	}
}

func TestConcurrentProducersAndConsumers(t *testing.T) {
	b := run(t, Config{})
	admin := client(t, b)
	createTopic(t, admin, "busy", 4, nil)
	const producers, each = 6, 3000
	var wg sync.WaitGroup
	for p := range producers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := client(t, b, kgo.DefaultProduceTopic("busy"), kgo.ProducerLinger(time.Millisecond))
			for i := range each {
				c.Produce(context.Background(), kgo.KeySliceRecord([]byte{byte(p)}, fmt.Appendf(nil, "%d:%d", p, i)), func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("producer %d: %v", p, err)
					}
				})
			}
			if err := c.Flush(within(t, 30*time.Second)); err != nil {
				t.Error(err)
			}
		}()
	}
	for range 2 { // read while it is written
		wg.Add(1)
		go func() {
			defer wg.Done()
			next := map[byte]int{}
			for _, r := range consume(t, b, "busy", producers*each) {
				var p, i int
				if _, err := fmt.Sscanf(string(r.Value), "%d:%d", &p, &i); err != nil {
					t.Error(err)
					return
				}
				if next[byte(p)] != i {
					t.Errorf("producer %d: record %d came where %d was due", p, i, next[byte(p)])
					return
				}
				next[byte(p)]++
			}
		}()
	}
	wg.Wait()
}

func TestConsumerGroupMovesAndCommits(t *testing.T) {
	t.Run("classic", func(t *testing.T) { moveAndCommit(t) })
	t.Run("consumer", func(t *testing.T) { moveAndCommit(t, kgo.ServerSideBalancer()) }) // KIP-848
}

func moveAndCommit(t *testing.T, protocol ...kgo.Opt) {
	dir := t.TempDir()
	b := run(t, Config{DataDir: dir})
	c := client(t, b, kgo.DefaultProduceTopic("work"))
	createTopic(t, c, "work", 4, nil)
	produce := func(n int) {
		var records []*kgo.Record
		for i := range n {
			records = append(records, kgo.KeySliceRecord([]byte{byte(i)}, []byte{byte(i)}))
		}
		if err := c.ProduceSync(within(t, 10*time.Second), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	member := func(b *Broker) *kgo.Client {
		return client(t, b, append(protocol, kgo.ConsumeTopics("work"), kgo.ConsumerGroup("workers"), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(50*time.Millisecond),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	}
	read := func(m *kgo.Client, n int) {
		t.Helper()
		got := 0
		for ctx := within(t, 20*time.Second); got < n; {
			fetches := m.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				t.Fatalf("after %d of %d records: %v", got, n, err)
			}
			got += fetches.NumRecords()
		}
		if got != n {
			t.Fatalf("read %d records, want %d", got, n)
		}
		if err := m.CommitUncommittedOffsets(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	produce(100)
	first := member(b)
	read(first, 100)
	first.Close()
	produce(50)
	second := member(b)
	read(second, 50) // only what came after the commit
	second.Close()
	groups, err := kadm.NewClient(c).ListGroups(within(t, 10*time.Second))
	if err != nil || groups["workers"].State != "Empty" {
		t.Fatalf("the group is %q, %v", groups["workers"].State, err)
	}
	c.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = run(t, Config{DataDir: dir})
	c = client(t, b, kgo.DefaultProduceTopic("work"))
	produce(10)
	read(member(b), 10) // offsets survive a restart
}

func TestLongPollWakesOnAppend(t *testing.T) {
	b := run(t, Config{})
	c := client(t, b, kgo.DefaultProduceTopic("tail"), kgo.ProducerLinger(0))
	createTopic(t, c, "tail", 2, nil)
	reader := client(t, b, kgo.ConsumeTopics("tail"), kgo.FetchMaxWait(10*time.Second))
	ctx := within(t, 20*time.Second)
	ready := make(chan struct{})
	got := make(chan time.Time, 1)
	go func() {
		close(ready)
		if fetches := reader.PollFetches(ctx); fetches.NumRecords() > 0 {
			got <- time.Now()
		}
	}()
	<-ready
	time.Sleep(300 * time.Millisecond) // lets the fetch be parked; without it the test still passes
	at := time.Now()
	if err := c.ProduceSync(ctx, kgo.StringRecord("now")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	select {
	case arrived := <-got:
		if late := arrived.Sub(at); late > 2*time.Second {
			t.Fatalf("the record took %v", late)
		}
	case <-ctx.Done():
		t.Fatal("the fetch was not woken")
	}
}

func TestAdminThroughTheClient(t *testing.T) {
	b := run(t, Config{})
	c := client(t, b)
	adm := kadm.NewClient(c)
	ctx := within(t, 20*time.Second)
	createTopic(t, c, "a", 2, map[string]*string{"retention.ms": kadm.StringPtr("1000")})
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "a", Partition: 0, Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	topics, err := adm.ListTopics(ctx)
	if err != nil || !topics.Has("a") || len(topics["a"].Partitions) != 2 {
		t.Fatalf("topics %v, %v", topics, err)
	}
	configs, err := adm.DescribeTopicConfigs(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(configs[0].Configs, func(c kadm.Config) bool { return c.Key == "retention.ms" }); i < 0 || *configs[0].Configs[i].Value != "1000" {
		t.Fatalf("configs %v", configs)
	}
	if _, err := adm.CreatePartitions(ctx, 1, "a"); err != nil {
		t.Fatal(err)
	}
	ends, err := adm.ListEndOffsets(ctx, "a")
	if err != nil || len(ends["a"]) != 3 {
		t.Fatalf("end offsets %v, %v", ends, err)
	}
	var total int64
	ends.Each(func(o kadm.ListedOffset) { total += o.Offset })
	if total != 1 {
		t.Fatalf("end offsets sum up to %d, want 1", total)
	}
	if deleted, err := adm.DeleteTopics(ctx, "a"); err != nil || deleted["a"].Err != nil {
		t.Fatalf("deleting: %v, %v", deleted, err)
	}
	fresh := kadm.NewClient(client(t, b)) // the other one may answer from what it knows
	if topics, err := fresh.ListTopics(ctx, "a"); err != nil || topics.Has("a") && topics["a"].Err == nil {
		t.Fatalf("the deleted topic is still there: %v, %v", topics, err)
	}
	dirs, err := adm.DescribeAllLogDirs(ctx, nil)
	if err != nil || len(dirs) != 1 {
		t.Fatalf("log dirs: %v, %v", dirs, err)
	}
}

func TestRefusals(t *testing.T) {
	b := run(t, Config{Properties: map[string]string{"message.max.bytes": "2000", "auto.create.topics.enable": "false"}})
	c := client(t, b, kgo.RecordRetries(0), kgo.UnknownTopicRetries(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
	createTopic(t, c, "small", 1, nil)
	ctx := within(t, 20*time.Second)
	err := c.ProduceSync(ctx, &kgo.Record{Topic: "small", Value: make([]byte, 5000)}).FirstErr()
	if !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("a batch beyond max.message.bytes: %v", err)
	}
	err = c.ProduceSync(ctx, &kgo.Record{Topic: "absent", Value: []byte("x")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("an unknown topic: %v", err)
	}
}

// Sizes below and above the sendfile threshold, several partitions, fetch
// limits that cut: what comes back is what was sent.
func TestFetchSizes(t *testing.T) {
	b := run(t, Config{Properties: map[string]string{"log.segment.bytes": "2097152", "message.max.bytes": "3000000"}})
	c := client(t, b, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(2<<20), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	createTopic(t, c, "sizes", 3, nil)
	r := rand.New(rand.NewPCG(3, 4))
	sent := map[int32][][]byte{}
	for i := range 300 {
		v := make([]byte, r.IntN(1<<(4+i%15)))
		for j := range v {
			v[j] = byte(r.Uint32())
		}
		if i == 100 {
			v = bytes.Repeat([]byte("large"), 300_000) // larger than any fetch limit below
		}
		p := int32(i % 3)
		sent[p] = append(sent[p], v)
		if err := c.ProduceSync(within(t, 10*time.Second), &kgo.Record{Topic: "sizes", Partition: p, Value: v}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, opts := range [][]kgo.Opt{
		nil,
		{kgo.FetchMaxBytes(100_000), kgo.FetchMaxPartitionBytes(20_000)},
		{kgo.DisableFetchSessions(), kgo.FetchMaxBytes(200_000)},
		{kgo.FetchIsolationLevel(kgo.ReadCommitted())},
	} {
		got := map[int32][][]byte{}
		for _, r := range consume(t, b, "sizes", 300, opts...) {
			got[r.Partition] = append(got[r.Partition], r.Value)
		}
		for p := range sent {
			if !slices.EqualFunc(sent[p], got[p], bytes.Equal) {
				t.Fatalf("partition %d came back different", p)
			}
		}
	}
}

func TestStartErrorsAreOneSentence(t *testing.T) {
	b := run(t, Config{})
	start := func(c Config) error {
		if c.DataDir == "" {
			c.DataDir = t.TempDir()
		}
		other, err := New(c)
		if err != nil {
			return err
		}
		if err := other.Start(context.Background()); err != nil {
			return err
		}
		return other.Close()
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.txt"), []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		config     Config
	}{
		{"taken port", "is in use", Config{Listen: b.Addr()}},
		{"locked directory", "locked", Config{DataDir: b.settings.LogDir}},
		{"foreign directory", "thesis.txt", Config{DataDir: foreign}},
		{"unknown setting", "log.segment.byte", Config{Properties: map[string]string{"log.segment.byte": "1"}}},
		{"open to others", "--insecure", Config{Listen: "0.0.0.0:0"}},
	} {
		err := start(c.config)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if left, err := os.ReadDir(foreign); err != nil || len(left) != 1 {
		t.Errorf("the foreign directory now holds %v, %v", left, err)
	}
}
