package compat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// kafkaTool runs one of Apache Kafka's own tools (a main class) and returns what it printed.
func kafkaTool(t *testing.T, class string, args ...string) string {
	t.Helper()
	libs := os.Getenv("KAFKA_LIBS")
	if libs == "" {
		t.Skip("KAFKA_LIBS is not set: `make compat` sets it to the folder of Apache Kafka's jars")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "java", append([]string{"-Xmx256m", "-cp", filepath.Join(libs, "*"), class}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", class, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestDumpLogSegments lets Apache Kafka's DumpLogSegments walk every record
// of segments that our broker wrote, in each codec, with rolls, and with the
// producer snapshots and indexes beside them.
func TestDumpLogSegments(t *testing.T) {
	if os.Getenv("KAFKA_LIBS") == "" {
		t.Skip("KAFKA_LIBS is not set: `make compat` sets it to the folder of Apache Kafka's jars")
	}
	b := newProcess(t, "--override", "log.segment.bytes=1048576")
	b.start(t)
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	noise := rand.New(rand.NewPCG(1, 2)) // what does not compress rolls segments in every codec
	const records = 50000
	for name, codec := range codecs {
		client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()), kgo.DefaultProduceTopic("dump-"+name), kgo.AllowAutoTopicCreation(),
			kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(16<<10))
		if err != nil {
			t.Fatal(err)
		}
		for i := range records {
			client.Produce(t.Context(), &kgo.Record{Key: []byte(strconv.Itoa(i)), Value: []byte(fmt.Sprintf("value %d %016x%016x%016x%016x", i, noise.Uint64(), noise.Uint64(), noise.Uint64(), noise.Uint64())),
				Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		client.Close()
	}
	b.stop(t)

	for name := range codecs {
		segments, err := filepath.Glob(filepath.Join(b.dataDir, "dump-"+name+"-*", "*.log"))
		if err != nil || len(segments) == 0 {
			t.Fatalf("%s: no segment found (%v)", name, err)
		}
		indexes, _ := filepath.Glob(filepath.Join(b.dataDir, "dump-"+name+"-*", "*index")) // the pattern is well formed
		out := kafkaTool(t, "org.apache.kafka.tools.DumpLogSegments", "--deep-iteration", "--print-data-log", "--files", strings.Join(append(segments, indexes...), ","))
		if n := strings.Count(out, "payload: value "); n != records {
			t.Errorf("%s: %d records printed, want %d\n%.2000s", name, n, records, out)
		}
		if strings.Contains(out, "isvalid: false") || strings.Contains(out, "Mismatches in") || strings.Contains(out, "not found") || strings.Contains(out, "Exception") {
			t.Errorf("%s: DumpLogSegments complains:\n%.4000s", name, out)
		}
		if len(segments) < 2 {
			t.Errorf("%s: no roll happened", name)
		}
		t.Logf("%s: %d segments, %d records", name, len(segments), records)
	}
}

// TestDumpConvertedSegments lets Apache Kafka's DumpLogSegments, whose decoders
// are not ours, walk what the broker compressed anew, at the ends of each
// codec's levels, and what it made of messages of formats v0 and v1.
func TestDumpConvertedSegments(t *testing.T) {
	if os.Getenv("KAFKA_LIBS") == "" {
		t.Skip("KAFKA_LIBS is not set: `make compat` sets it to the folder of Apache Kafka's jars")
	}
	b := newProcess(t)
	b.start(t)
	topics := map[string][]string{ // the codec, and the key and value of its level
		"uncompressed": {"uncompressed"}, "snappy": {"snappy"},
		"gzip-1": {"gzip", "compression.gzip.level", "1"}, "gzip-9": {"gzip", "compression.gzip.level", "9"},
		"lz4-1": {"lz4", "compression.lz4.level", "1"}, "lz4-9": {"lz4", "compression.lz4.level", "9"}, "lz4-17": {"lz4", "compression.lz4.level", "17"},
		"zstd-low": {"zstd", "compression.zstd.level", "-131072"}, "zstd-22": {"zstd", "compression.zstd.level", "22"},
	}
	const each = 2000
	clients := map[string][]kgo.Opt{
		"0.9":  {kgo.MaxVersions(kversion.V0_9_0()), kgo.DisableIdempotentWrite(), kgo.ProducerBatchCompression(kgo.SnappyCompression())},
		"0.10": {kgo.MaxVersions(kversion.V0_10_0()), kgo.DisableIdempotentWrite(), kgo.ProducerBatchCompression(kgo.Lz4Compression())},
		"now":  {kgo.ProducerBatchCompression(kgo.GzipCompression())},
		"bare": {kgo.ProducerBatchCompression(kgo.NoCompression())},
	}
	for topic, setting := range topics {
		configs := map[string]*string{"compression.type": &setting[0]}
		if len(setting) > 1 {
			configs[setting[1]] = &setting[2]
		}
		admin, err := kgo.NewClient(kgo.SeedBrokers(b.addr()))
		must(t, topic, err)
		created, err := kadm.NewClient(admin).CreateTopic(t.Context(), 1, 1, configs, topic)
		must(t, topic, err)
		must(t, topic, created.Err)
		admin.Close()
		for name, opts := range clients {
			client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(b.addr()), kgo.DefaultProduceTopic(topic))...)
			must(t, name, err)
			var records []*kgo.Record
			for i := range each {
				records = append(records, &kgo.Record{Key: []byte(strconv.Itoa(i)), Value: []byte("value " + strings.Repeat(strconv.Itoa(i)+" ", 20))})
			}
			must(t, topic+" by "+name, client.ProduceSync(t.Context(), records...).FirstErr())
			client.Close()
		}
	}
	b.stop(t)
	for topic, setting := range topics {
		segments, err := filepath.Glob(filepath.Join(b.dataDir, topic+"-0", "*.log"))
		if err != nil || len(segments) == 0 {
			t.Fatalf("%s: no segment found (%v)", topic, err)
		}
		out := kafkaTool(t, "org.apache.kafka.tools.DumpLogSegments", "--deep-iteration", "--print-data-log", "--files", strings.Join(segments, ","))
		if n, want := strings.Count(out, "payload: value "), each*len(clients); n != want {
			t.Errorf("%s: %d records printed, want %d\n%.2000s", topic, n, want, out)
		}
		codec := strings.Replace(setting[0], "uncompressed", "none", 1)
		if batches := strings.Count(out, "baseOffset: "); batches == 0 || strings.Count(strings.ToLower(out), "compresscodec: "+codec) != batches {
			t.Errorf("%s: not all of %d batches are in %s\n%.2000s", topic, batches, codec, out)
		}
		if strings.Contains(out, "isvalid: false") || strings.Contains(out, "Exception") {
			t.Errorf("%s: DumpLogSegments complains:\n%.4000s", topic, out)
		}
	}
}

// TestKafkaTools drives our broker with Apache Kafka's command-line tools.
func TestKafkaTools(t *testing.T) {
	if os.Getenv("KAFKA_LIBS") == "" {
		t.Skip("KAFKA_LIBS is not set: `make compat` sets it to the folder of Apache Kafka's jars")
	}
	b := newProcess(t, "--override", "group.initial.rebalance.delay.ms=0")
	b.start(t)
	bootstrap := []string{"--bootstrap-server", b.addr()}
	run := func(class string, args ...string) string {
		return kafkaTool(t, class, append(append([]string{}, bootstrap...), args...)...)
	}
	want := func(out string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("%q is missing in:\n%.3000s", w, out)
			}
		}
	}
	want(run("org.apache.kafka.tools.TopicCommand", "--create", "--topic", "tools", "--partitions", "3", "--config", "retention.ms=100000"), "Created topic tools")
	want(run("org.apache.kafka.tools.TopicCommand", "--describe", "--topic", "tools"), "PartitionCount: 3", "retention.ms=100000", "Leader:")
	want(run("org.apache.kafka.tools.TopicCommand", "--list"), "tools")
	kafkaTool(t, "org.apache.kafka.tools.ProducerPerformance", "--topic", "tools", "--num-records", "1000", "--record-size", "100", "--throughput", "-1", "--producer-props", "bootstrap.servers="+b.addr())
	want(run("org.apache.kafka.tools.GetOffsetShell", "--topic", "tools"), "tools:0:", "tools:2:")
	want(run("org.apache.kafka.tools.ConsumerPerformance", "--topic", "tools", "--messages", "1000", "--group", "perf"), "1000")
	want(run("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--describe", "--group", "perf"), "tools", "perf")
	want(run("org.apache.kafka.tools.LogDirsCommand", "--describe", "--topic-list", "tools"), "tools-0")
	want(run("org.apache.kafka.tools.BrokerApiVersionsCommand"), "Produce(0)", "Fetch(1)")
	want(run("kafka.admin.ConfigCommand", "--alter", "--entity-type", "topics", "--entity-name", "tools", "--add-config", "segment.bytes=1048576"), "Completed updating config")
	want(run("kafka.admin.ConfigCommand", "--describe", "--entity-type", "topics", "--entity-name", "tools"), "segment.bytes=1048576", "retention.ms=100000")
	want(run("org.apache.kafka.tools.TopicCommand", "--alter", "--topic", "tools", "--partitions", "5"))
	want(run("org.apache.kafka.tools.TopicCommand", "--describe", "--topic", "tools"), "PartitionCount: 5")
	want(run("kafka.admin.ConfigCommand", "--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "log.cleaner.backoff.ms=14000"), "Completed updating")
	want(run("kafka.admin.ConfigCommand", "--describe", "--entity-type", "brokers", "--entity-default"), "log.cleaner.backoff.ms=14000", "DYNAMIC_DEFAULT_BROKER_CONFIG")
	run("kafka.admin.ConfigCommand", "--describe", "--entity-type", "users") // asks for SCRAM credentials, too
	want(run("kafka.admin.ConfigCommand", "--alter", "--entity-type", "client-metrics", "--entity-name", "watch", "--add-config", "interval.ms=1000,metrics=org.apache.kafka.producer."), "Completed updating")
	want(run("org.apache.kafka.tools.ClientMetricsCommand", "--list"), "watch")
	want(run("org.apache.kafka.tools.FeatureCommand", "describe"), "group.version", "share.version", "streams.version", "transaction.version")
	want(run("org.apache.kafka.tools.MetadataQuorumCommand", "describe", "--status"), "LeaderId:", "HighWatermark:")
	run("org.apache.kafka.tools.TopicCommand", "--delete", "--topic", "tools")

	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	topics, err := kadm.NewClient(client).ListTopics(t.Context())
	if err != nil || topics.Has("tools") {
		t.Errorf("after --delete: topics %v, %v", topics.Names(), err)
	}
}

// TestKafkaToolsMoveLogs has kafka-reassign-partitions move logs between two
// log directories at a limit of bytes a second that the tool sets and takes away, and
// looks at it with kafka-log-dirs, and with a restart in the middle.
func TestKafkaToolsMoveLogs(t *testing.T) {
	if os.Getenv("KAFKA_LIBS") == "" {
		t.Skip("KAFKA_LIBS is not set: `make compat` sets it to the folder of Apache Kafka's jars")
	}
	b := newProcess(t)
	one, two := filepath.Join(b.dataDir, "one"), filepath.Join(b.dataDir, "two")
	b.dataDir = one + "," + two
	b.start(t)
	run := func(class string, args ...string) string {
		return kafkaTool(t, class, append([]string{"--bootstrap-server", b.addr()}, args...)...)
	}
	logDirs := func() string {
		return run("org.apache.kafka.tools.LogDirsCommand", "--describe", "--topic-list", "moved")
	}
	run("org.apache.kafka.tools.TopicCommand", "--create", "--topic", "moved", "--partitions", "2")
	kafkaTool(t, "org.apache.kafka.tools.ProducerPerformance", "--topic", "moved", "--num-records", "10000", "--record-size", "1000", "--throughput", "-1", "--producer-props", "bootstrap.servers="+b.addr())
	before := logDirs()
	if strings.Count(before, `"error":null`) != 2 || strings.Count(before, `"isFuture":false`) != 2 || strings.Contains(before, `"isFuture":true`) {
		t.Fatalf("before the move:\n%s", before)
	}
	other := func(index int) string { // where that partition is not
		if _, err := os.Stat(filepath.Join(one, "moved-"+strconv.Itoa(index))); err == nil {
			return two
		}
		return one
	}
	places := []string{other(0), other(1)}
	plan := filepath.Join(t.TempDir(), "plan.json")
	must(t, "plan", os.WriteFile(plan, fmt.Appendf(nil, `{"version":1,"partitions":[{"topic":"moved","partition":0,"replicas":[0],"log_dirs":[%q]},{"topic":"moved","partition":1,"replicas":[0],"log_dirs":[%q]}]}`, places[0], places[1]), 0o600))
	const reassign = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
	out := run(reassign, "--reassignment-json-file", plan, "--execute", "--replica-alter-log-dirs-throttle", "1000")
	if strings.Count(out, "Successfully started moving log directory to ") != 2 || !strings.Contains(out, "throttle limit was set to 1000 B/s") {
		t.Fatalf("execute:\n%s", out)
	}
	inProgress := func(when string) {
		t.Helper()
		if out := run(reassign, "--reassignment-json-file", plan, "--verify"); strings.Count(out, "is still in progress") != 2 {
			t.Errorf("%s:\n%s", when, out)
		}
		if out := logDirs(); strings.Count(out, `"isFuture":true`) != 2 || strings.Count(out, `"isFuture":false`) != 2 {
			t.Errorf("%s:\n%s", when, out)
		}
	}
	inProgress("at 1000 bytes a second")
	b.kill(t)
	b.start(t)
	inProgress("after a kill") // and the limit is kept
	run(reassign, "--reassignment-json-file", plan, "--execute", "--additional", "--replica-alter-log-dirs-throttle", "1000000000")
	for deadline := time.Now().Add(30 * time.Second); ; {
		out := run(reassign, "--reassignment-json-file", plan, "--verify")
		if strings.Count(out, "completed successfully") == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the limit was lifted:\n%s", out)
		}
	}
	if out := run("kafka.admin.ConfigCommand", "--describe", "--entity-type", "brokers", "--entity-name", "0"); strings.Contains(out, "replica.alter.log.dirs") {
		t.Errorf("--verify takes the limit away:\n%s", out)
	}
	for index, place := range places {
		if _, err := os.Stat(filepath.Join(place, "moved-"+strconv.Itoa(index), "00000000000000000000.log")); err != nil {
			t.Errorf("partition %d: %v", index, err)
		}
	}
	if out := kafkaTool(t, "org.apache.kafka.tools.ConsumerPerformance", "--bootstrap-server", b.addr(), "--topic", "moved", "--messages", "10000", "--group", "after"); !strings.Contains(out, "10000") {
		t.Errorf("read after the move:\n%s", out)
	}
	b.stop(t)
}
