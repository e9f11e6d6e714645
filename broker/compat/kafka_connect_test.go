package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKafkaConnect runs a standalone worker of Kafka Connect with the file
// source and the file sink over one topic. Lines are written to the one file;
// the worker is stopped in the middle, more lines are written, the broker is
// restarted, the worker comes back. The other file must have every line, once, in order.
func TestKafkaConnect(t *testing.T) {
	plugins := os.Getenv("FLUXMQ_CONNECT_PLUGINS")
	libs := os.Getenv("KAFKA_LIBS")
	if plugins == "" || libs == "" {
		t.Skip("FLUXMQ_CONNECT_PLUGINS or KAFKA_LIBS is not set: the suite `connect` of broker/compat/clients fetches the connectors and sets them")
	}
	b := newProcess(t, "--override", "group.initial.rebalance.delay.ms=0")
	b.start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()))
	must(t, "NewClient", err)
	defer client.Close()
	_, err = kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, nil, "lines")
	must(t, "CreateTopic", err)

	dir := t.TempDir()
	from, to := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out.txt")
	source, err := os.Create(from)
	must(t, "the source's file", err)
	defer source.Close()
	// The source keeps whole lines back when a batch is full and its file has no more: no batch gets full here.
	worker := newJava(t, "connect", "-Xmx384m", "-Dlog4j2.configurationFile="+quietLogging(t), "-cp", filepath.Join(libs, "*"), "org.apache.kafka.connect.cli.ConnectStandalone",
		properties(t, map[string]string{
			"bootstrap.servers": b.addr(), "plugin.path": plugins, "listeners": fmt.Sprintf("http://127.0.0.1:%d", freePort(t)),
			"key.converter": "org.apache.kafka.connect.storage.StringConverter", "value.converter": "org.apache.kafka.connect.storage.StringConverter",
			"offset.storage.file.filename": filepath.Join(dir, "offsets"), "offset.flush.interval.ms": "500", "task.shutdown.graceful.timeout.ms": "20000",
			"consumer.session.timeout.ms": "6000",
		}),
		properties(t, map[string]string{"name": "source", "connector.class": "FileStreamSource", "tasks.max": "1", "file": from, "topic": "lines", "batch.size": "100000"}),
		properties(t, map[string]string{"name": "sink", "connector.class": "FileStreamSink", "tasks.max": "1", "file": to, "topics": "lines"}))

	var wrote []string
	write := func(n int) {
		t.Helper()
		var text strings.Builder
		for range n {
			line := fmt.Sprintf("line %d %s", len(wrote), strings.Repeat("x", len(wrote)%50))
			wrote = append(wrote, line)
			text.WriteString(line + "\n")
		}
		_, err := source.WriteString(text.String())
		must(t, "writing lines", err)
	}
	worker.start(t)
	write(1000)
	awaitLines(t, to, wrote)
	for range 10 { // so that the stop falls among lines on their way
		write(200)
	}
	worker.stop(t, time.Minute)
	write(1000)
	b.stop(t)
	b.start(t)
	worker.start(t)
	awaitLines(t, to, wrote)
	write(1000)
	awaitLines(t, to, wrote)
	worker.stop(t, time.Minute)
	lines := readLines(t, to)
	if len(lines) != len(wrote) {
		t.Fatalf("%d lines came out, %d went in", len(lines), len(wrote))
	}
	t.Logf("%d lines went in and came out, with a restart of the worker and one of the broker in the middle", len(wrote))
}

// properties writes a properties file and returns its path.
func properties(t *testing.T, of map[string]string) string {
	t.Helper()
	var text strings.Builder
	for key, value := range of {
		fmt.Fprintf(&text, "%s=%s\n", key, value)
	}
	path := filepath.Join(t.TempDir(), "file.properties")
	must(t, "writing properties", os.WriteFile(path, []byte(text.String()), 0o644))
	return path
}

// quietLogging is a log4j2 configuration of warnings and worse, to standard error.
func quietLogging(t *testing.T) string {
	t.Helper()
	return properties(t, map[string]string{
		"status": "error", "appender.err.type": "Console", "appender.err.name": "err", "appender.err.target": "SYSTEM_ERR",
		"appender.err.layout.type": "PatternLayout", "appender.err.layout.pattern": "%d{ISO8601} %p %c{1}: %m%n",
		"rootLogger.level": "warn", "rootLogger.appenderRef.err.ref": "err",
	})
}

// readLines returns the whole lines of a file; one that is not there has none.
func readLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	return lines[:len(lines)-1]
}

// awaitLines waits until the file has these lines. A line that cannot come any more ends the test.
func awaitLines(t *testing.T, path string, want []string) {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		got := readLines(t, path)
		for i, line := range got {
			if i >= len(want) || line != want[i] {
				t.Fatalf("line %d of %d is %q: one was lost, doubled or moved", i, len(got), line)
			}
		}
		if len(got) == len(want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d lines after 90 s", len(got), len(want))
		}
		<-time.After(50 * time.Millisecond)
	}
}
