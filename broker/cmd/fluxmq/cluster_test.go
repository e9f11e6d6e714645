package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"fluxmq/broker"
	"fluxmq/broker/client"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts in testdata anew instead of comparing")

// startBroker starts a broker that ends with the test, and to which commands go.
func startBroker(t *testing.T) *broker.Broker {
	t.Helper()
	return startBrokerIn(t, filepath.Join(t.TempDir(), "data"))
}

func startBrokerIn(t *testing.T, dataDir string) *broker.Broker {
	t.Helper()
	b, err := broker.New(broker.Config{DataDir: dataDir, Properties: map[string]string{
		"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "2", "num.partitions": "2",
	}})
	if err == nil {
		err = b.Start(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	t.Setenv(bootstrapVariable, b.Addr())
	return b
}

// outcome is what a command did.
type outcome struct {
	out, err string
	code     int
}

// fluxmq runs a command as main does.
func fluxmq(ctx context.Context, stdin string, args ...string) outcome {
	root := newRoot()
	var out, errs bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(&errs, "fluxmq:", err)
	}
	return outcome{out.String(), errs.String(), exitCode(err)}
}

// must runs a command that succeeds and returns what it printed.
func must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	o := fluxmq(t.Context(), stdin, args...)
	if o.code != 0 {
		t.Fatalf("fluxmq %s: exit %d\n%s%s", strings.Join(args, " "), o.code, o.out, o.err)
	}
	return o.out
}

// transcript runs commands, one a line, and compares what they print with a
// file in testdata. `< "text"` at the end of a line is the standard input.
func transcript(t *testing.T, b *broker.Broker, name, script string) {
	t.Helper()
	var got strings.Builder
	steps := 0
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		steps++
		command, stdin, _ := strings.Cut(line, " < ")
		if stdin != "" {
			var err error
			if stdin, err = strconv.Unquote(stdin); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		o := fluxmq(t.Context(), stdin, strings.Fields(command)...)
		fmt.Fprintf(&got, "$ fluxmq %s\n%s", line, masked(t, b, o.out+o.err))
		if o.code != 0 {
			fmt.Fprintf(&got, "exit %d\n", o.code)
		}
		got.WriteByte('\n')
	}
	if steps < 3 {
		t.Fatalf("only %d steps", steps)
	}
	golden(t, name, got.String())
}

// golden compares with a file in testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-rewrite to accept), got:\n%s", path, firstDifference(got, string(want)))
	}
}

// firstDifference is the first line that differs, with its number.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for n := range g {
		if n >= len(w) || g[n] != w[n] {
			wanted := "the end"
			if n < len(w) {
				wanted = w[n]
			}
			return fmt.Sprintf("line %d: %s\nwant: %s", n+1, g[n], wanted)
		}
	}
	return fmt.Sprintf("the end after line %d\nwant: %s", len(g), w[len(g)])
}

var (
	recentMs = regexp.MustCompile(`\b1[7-9]\d{11}\b`)
	memberID = regexp.MustCompile(`\b(reader|fluxmq)-[0-9a-f-]{36}\b`)
)

// masked puts constants of the same width where every run has another value.
func masked(t *testing.T, b *broker.Broker, text string) string {
	t.Helper()
	cluster, err := client.Connect(t.Context(), client.Options{Bootstrap: b.Addr()}) // a new one remembers no metadata
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	text = recentMs.ReplaceAllString(text, "1700000000000")
	text = memberID.ReplaceAllString(text, "$1-00000000-0000-0000-0000-000000000000")
	topics, err := cluster.ListTopics(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		text = strings.ReplaceAll(text, topic.TopicID, "topic-id--------------")
	}
	_, port, _ := strings.Cut(b.Addr(), ":")
	for _, before := range []string{":", `"port": `, "port: "} {
		text = strings.ReplaceAll(text, before+port, before+strings.Repeat("9", len(port)))
	}
	return text
}

func TestTopicCommands(t *testing.T) {
	transcript(t, startBroker(t), "topic", `
		topic list
		topic list -o json
		topic create orders --partitions 3 --config retention.bytes=1000000 --config segment.ms=3600000
		topic create payments -o json
		topic create orders
		topic create orders --if-not-exists -o yaml
		topic create orders refunds
		topic create checked --validate-only
		topic create bad/name
		topic create odd --config no.such.key=1
		topic create odd --config segment.ms
		topic create odd --partitions 0
		topic create odd --partitions many
		topic create odd --replication-factor 3
		topic create
		topic list
		topic list -o yaml
		topic describe orders
		topic describe orders -o json
		topic describe orders payments -o yaml
		topic describe absent
		topic describe -o xml
		topic alter orders --partitions 4 --config segment.ms=7200000 --delete-config retention.bytes
		topic alter orders --partitions 2
		topic alter orders --partitions 9 --validate-only
		topic alter orders --config segment.ms=soon -o json
		topic alter orders
		topic alter absent --partitions 3
		topic describe orders
		topic add-partitions orders --add 1
		topic add-partitions orders payments --total 6 -o json
		topic add-partitions orders --add 1 --total 9
		topic add-partitions absent --add 1
		topic add-partitions orders --add -1
		produce orders --partition 0 < "one\ntwo\nthree\n"
		topic offsets orders
		topic offsets orders:0 -o json
		topic offsets orders:0,1 --time earliest
		topic offsets orders:0,1 --time 2000-01-01T00:00:00.000
		topic offsets orders:0,1 --time 2100-01-01T00:00:00.000 -o json
		produce orders --partition 2 < "one\n"
		topic offsets orders:2 --time max-timestamp -o yaml
		topic offsets orders:99
		topic offsets absent
		topic offsets orders:x
		topic offsets orders --time soon
		topic offsets orders --isolation-level strict
		topic delete-records orders:0 --offset 2
		topic delete-records orders:0 --offset -1 -o json
		topic delete-records orders:0 --offset 9
		topic delete-records orders:0
		topic delete-records --offset 1
		topic delete-records orders:0 --offset -5
		topic delete-records --offset-json-file testdata/absent.json
		topic offsets orders:0
		topic delete payments
		topic delete payments
		topic delete payments --if-exists
		topic delete payments refunds -o json
		topic delete
		topic
		topic rename orders
	`)
}

func TestDeleteRecordsFromFile(t *testing.T) {
	startBroker(t)
	must(t, "", "topic", "create", "orders", "--partitions", "2")
	must(t, "a\nb\nc\n", "produce", "orders", "--partition", "1")
	file := filepath.Join(t.TempDir(), "offsets.json")
	for content, code := range map[string]int{
		`{"partitions": [{"topic": "orders", "partition": 1, "offset": 2}], "version": 1}`:                                                   0,
		`{"partitions": [{"topic": "orders", "partition": 1, "offset": 2}, {"topic": "orders", "partition": 1, "offset": 1}], "version": 1}`: 2,
		`{"partitions": [{"topic": "orders", "partition": 1, "ofset": 2}], "version": 1}`:                                                    2,
		`{"partitions": [], "version": 1}`:                                                 2,
		`{"partitions": [{"topic": "orders", "partition": 7, "offset": 2}], "version": 1}`: 1,
		`not json`: 2,
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if o := fluxmq(t.Context(), "", "topic", "delete-records", "--offset-json-file", file); o.code != code {
			t.Errorf("%s: exit %d, want %d\n%s%s", content, o.code, code, o.out, o.err)
		}
	}
	if out := must(t, "", "consume", "orders", "--from-beginning", "--exit-eof"); out != "c\n" {
		t.Errorf("what is left: %q", out)
	}
}

func TestConfigCommandsOfACluster(t *testing.T) {
	b := startBroker(t)
	must(t, "", "topic", "create", "orders")
	transcript(t, b, "config", `
		config describe topic orders
		config set topic orders retention.ms=86400000 segment.bytes=1048576
		config describe topic orders
		config describe topic orders -o json
		config describe topic orders retention.ms segment.bytes -o yaml
		config describe topic orders no.such.key
		config describe topic absent
		config describe user alice
		config describe topic
		config set topic orders retention.ms=soon
		config set topic orders retention.ms=5 --validate-only
		config set topic orders retention.ms
		config set topic orders a=1 a=2
		config set topic orders
		config delete topic orders retention.ms -o json
		config delete topic orders
		config delete topic absent retention.ms
		config list topic
		config list topics -o json
		config list planets
		config describe broker 0 offsets.topic.num.partitions
		config describe broker x
		config describe broker 7
		config set broker default log.retention.ms=86400000
		config describe broker default
		config delete broker default log.retention.ms
		config rename topic orders
	`)
	all := must(t, "", "config", "describe", "topic", "orders", "--all", "--documentation", "-o", "json")
	for _, want := range []string{`"key": "min.insync.replicas"`, `"documentation": "`, `"synonyms": [`, `"DEFAULT_CONFIG"`} {
		if !strings.Contains(all, want) {
			t.Errorf("--all --documentation does not show %s", want)
		}
	}
	if out := must(t, "", "config", "list", "broker"); !strings.Contains(out, "num.partitions=2") || !strings.Contains(out, "broker  default") {
		t.Errorf("what is set on brokers:\n%s", out)
	}
	// Whether the broker has settings of groups is its own affair; the command asks for them.
	if o := fluxmq(t.Context(), "", "config", "describe", "group", "g"); o.code != 0 && !strings.HasPrefix(o.err, "fluxmq: group g: ") {
		t.Errorf("settings of a group: exit %d\n%s", o.code, o.err)
	}
}

func TestGroupCommands(t *testing.T) {
	b := startBroker(t)
	must(t, "", "topic", "create", "orders", "--partitions", "1")
	must(t, "", "topic", "create", "payments", "--partitions", "2")
	must(t, "one\ntwo\nthree\n", "produce", "orders")
	must(t, "one\ntwo\n", "produce", "payments", "--partition", "1")
	transcript(t, b, "group", `
		group list
		group list -o json
		group describe readers
		consume orders --group readers --from-beginning --exit-eof
		group list
		group list --state stable
		group list --state Empty --type classic -o yaml
		group describe readers
		group describe readers --state
		group describe readers --members
		group describe readers -o json
		group describe readers -o yaml
		group describe readers absent
		group describe --members --state
		group reset-offsets readers --topic orders --to-earliest
		group describe readers
		group reset-offsets readers --topic orders --to-earliest --execute
		group describe readers
		group reset-offsets readers --topic orders --to-offset 2 --dry-run -o json
		group reset-offsets readers --topic orders --to-offset 200 --execute
		group reset-offsets readers --topic orders --shift-by -2 --execute
		group reset-offsets readers --all-topics --shift-by 1 --execute -o yaml
		group reset-offsets readers --topic orders --to-current --dry-run
		group reset-offsets readers --topic payments --to-current --dry-run
		group reset-offsets readers --topic payments:0 --shift-by 1 --dry-run
		group reset-offsets readers --topic orders --to-datetime 2000-01-01T00:00:00.000 --dry-run
		group reset-offsets readers --topic orders --by-duration PT0S --dry-run
		group reset-offsets readers --from-file - --execute < "orders,0,1\npayments,1,2\n"
		group reset-offsets readers other --from-file - --execute < "readers,orders,0,2\nother,payments,1,1\n"
		group reset-offsets --all-groups --all-topics --to-earliest --execute
		group reset-offsets readers --all-topics --to-latest --export
		group reset-offsets made --topic payments --to-latest --execute
		group reset-offsets nobody --all-topics --to-latest --execute
		group reset-offsets readers --topic orders
		group reset-offsets readers --topic orders --to-earliest --to-latest
		group reset-offsets readers --topic orders --to-earliest --execute --dry-run
		group reset-offsets readers --to-earliest
		group reset-offsets readers --topic orders --all-topics --to-earliest
		group reset-offsets --topic orders --to-earliest
		group reset-offsets readers --all-groups --topic orders --to-earliest
		group reset-offsets readers --topic orders --to-offset -1
		group reset-offsets readers --topic orders --to-datetime yesterday
		group reset-offsets readers --topic orders --by-duration 1h
		group reset-offsets readers --topic absent --to-earliest
		group reset-offsets readers --topic orders:7 --to-earliest
		group reset-offsets readers --topic orders: --to-earliest
		group reset-offsets readers --from-file testdata/absent.csv
		group reset-offsets readers --from-file - < "orders,0\n"
		group reset-offsets readers --from-file - < "orders,9,0\n"
		group reset-offsets readers --topic orders --from-file - < "orders,0,1\n"
		group delete-offsets readers --topic payments:1
		group delete-offsets readers --topic payments
		group delete-offsets readers --topic orders -o json
		group delete-offsets readers
		group delete-offsets absent --topic orders
		group delete readers
		group delete readers
		group delete made other -o json
		group delete
		group list
		group rename readers
	`)
}

// A group with a member is described with it, and is not reset or deleted.
func TestGroupWithAMember(t *testing.T) {
	b := startBroker(t)
	must(t, "", "topic", "create", "orders", "--partitions", "2")
	must(t, "one\n", "produce", "orders", "--partition", "0")
	member, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ClientID("reader"), kgo.ConsumerGroup("live"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	fetches := member.PollFetches(ctx)
	if err := fetches.Err(); err != nil {
		t.Fatal(err)
	}
	if err := member.CommitRecords(ctx, fetches.Records()...); err != nil {
		t.Fatal(err)
	}
	transcript(t, b, "group_live", `
		group list
		group describe live
		group describe live --members
		group describe live --state
		group describe live -o json
		group reset-offsets live --topic orders --to-earliest --execute
		group delete live
		group delete-offsets live --topic orders
	`)
}

func TestProduceAndConsumeCommands(t *testing.T) {
	b := startBroker(t)
	for _, topic := range []string{"orders", "payments", "binary"} {
		must(t, "", "topic", "create", topic, "--partitions", "1")
	}
	must(t, "", "topic", "create", "wide", "--partitions", "3")
	transcript(t, b, "records", `
		produce orders --key-separator : -H source=test -H empty= < "k1:one\nk2:two:2\nk3:\n"
		produce orders --key-separator : --null-value --compression zstd < "k4:\n"
		produce orders --key fixed --acks 1 --compression gzip < "five"
		produce orders --acks 0 --delimiter ; < "six;seven;"
		produce binary < "\xff\xfe\n"
		produce payments -o json < "paid\n"
		produce payments -o yaml < "again\n"
		produce payments < ""
		produce wide --partition 2 < "a\nb\nc\n"
		produce absent < "x\n"
		produce wide --partition 3 < "x\n"
		produce orders --key-separator : < "none\n"
		produce orders --max-record-bytes 3 < "1234\n"
		produce orders --acks 2 < "x\n"
		produce orders --compression brotli < "x\n"
		produce orders --key a --key-separator : < "x\n"
		produce orders -H novalue < "x\n"
		produce orders --delimiter ab < "x\n"
		produce orders testdata/absent.txt
		produce
		consume orders --from-beginning --exit-eof -f %o:%k(%K)=%s(%S)[%h]\n
		consume orders --from-beginning --exit-eof -o json
		consume orders --offset -2 --exit-eof -o yaml
		consume orders --offset 1 --max-messages 2
		consume orders --offset @2000-01-01T00:00:00.000 --max-messages 1
		consume orders --offset @2100-01-01T00:00:00.000 --exit-eof
		consume orders --offset end --exit-eof
		consume binary --from-beginning --exit-eof -o json
		consume binary --from-beginning --exit-eof -f %t-%p:\x41\t%%\n
		consume wide --from-beginning --exit-eof -f %p:%s\n
		consume wide:2 --offset 1 --exit-eof
		consume wide:2 --offset -1 --exit-eof
		consume orders wide:2 --from-beginning --exit-eof --max-messages 3 --isolation-level read_committed -f %t:%s\n
		consume orders --group readers --from-beginning --max-messages 2
		consume orders --group readers --from-beginning --exit-eof
		consume orders --group readers --from-beginning --exit-eof
		consume orders --group late --exit-eof
		consume absent --from-beginning --exit-eof
		consume absent --group readers --exit-eof
		consume wide:9 --exit-eof
		consume orders --offset 100
		consume orders --offset middle
		consume orders --from-beginning --offset end
		consume orders --group readers --offset 5
		consume orders:0 --group readers
		consume orders --max-messages -1
		consume orders --isolation-level strict
		consume orders -f %x
		consume orders -f \q
		consume orders -o xml
		consume
	`)
}

// Everything that is produced is consumed: every codec, many lines.
func TestProduceConsumeRoundTrip(t *testing.T) {
	startBroker(t)
	const lines = 20000
	var in strings.Builder
	for n := range lines {
		fmt.Fprintf(&in, "key-%d:value %d %s\n", n%100, n, strings.Repeat("x", n%200))
	}
	file := filepath.Join(t.TempDir(), "lines.txt")
	if err := os.WriteFile(file, []byte(in.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		must(t, "", "topic", "create", codec, "--partitions", "1")
		must(t, "", "produce", codec, file, "--key-separator", ":", "--compression", codec)
		if out := must(t, "", "consume", codec, "--from-beginning", "--exit-eof", "-f", `%k:%s\n`); out != in.String() {
			t.Errorf("%s: %d bytes came back of %d", codec, len(out), in.Len())
		}
	}
	must(t, "", "topic", "create", "wide", "--partitions", "8")
	must(t, "", "produce", "wide", file, "--key-separator", ":")
	seen := map[string]int{}
	for line := range strings.Lines(must(t, "", "consume", "wide", "--from-beginning", "--exit-eof", "--group", "g", "-f", `%k:%s\n`)) {
		seen[line]++
	}
	for line := range strings.Lines(in.String()) {
		if seen[line] != 1 {
			t.Fatalf("%.40q came %d times through the group", line, seen[line])
		}
	}
	if len(seen) != lines {
		t.Errorf("%d different lines through the group, want %d", len(seen), lines)
	}
}

// signalled closes a channel at the first write.
type signalled struct {
	bytes.Buffer
	first chan struct{}
	once  bool
}

func (w *signalled) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if !w.once {
		w.once = true
		close(w.first)
	}
	return n, err
}

// An interrupt ends consume without an error, and what came was printed at once.
func TestInterruptedConsume(t *testing.T) {
	b := startBroker(t)
	must(t, "", "topic", "create", "orders", "--partitions", "1")
	for _, more := range [][]string{nil, {"--group", "readers"}} {
		must(t, "one\n", "produce", "orders")
		ctx, interrupt := context.WithCancel(t.Context())
		out := &signalled{first: make(chan struct{})}
		root := newRoot()
		root.SetOut(out)
		root.SetErr(new(bytes.Buffer))
		root.SetArgs(append([]string{"consume", "orders", "--from-beginning", "--bootstrap-server", b.Addr()}, more...))
		ended := make(chan error, 1)
		go func() { ended <- root.ExecuteContext(ctx) }()
		select {
		case <-out.first:
		case err := <-ended:
			t.Fatalf("%v: it ended: %v", more, err)
		case <-time.After(20 * time.Second):
			t.Fatalf("%v: nothing was printed", more)
		}
		interrupt()
		if err := <-ended; err != nil {
			t.Errorf("%v: %v", more, err)
		}
		if !strings.HasPrefix(out.String(), "one\n") {
			t.Errorf("%v: printed %q", more, out.String())
		}
	}
}

// An interrupt ends produce although its input never does.
func TestInterruptedProduce(t *testing.T) {
	b := startBroker(t)
	must(t, "", "topic", "create", "orders", "--partitions", "1")
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer feed.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	out := &signalled{first: make(chan struct{})}
	root := newRoot()
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(new(bytes.Buffer))
	root.SetArgs([]string{"produce", "orders", "--bootstrap-server", b.Addr()})
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	if _, err := feed.WriteString("one\n"); err != nil {
		t.Fatal(err)
	}
	// The record is acknowledged while the input is still open.
	if got := must(t, "", "consume", "orders", "--from-beginning", "--max-messages", "1"); got != "one\n" {
		t.Errorf("consumed %q", got)
	}
	interrupt()
	if err := <-ended; exitCode(err) != exitError || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("%v", err)
	}
}

func TestClusterThatIsNotThere(t *testing.T) {
	for _, args := range []string{
		"topic list", "topic describe x", "group list", "config describe topic x", "consume x --exit-eof", "consume x --group g", "produce x",
	} {
		o := fluxmq(t.Context(), "x\n", append(strings.Fields(args), "--bootstrap-server", "127.0.0.1:1")...)
		if o.code != exitError || !strings.HasPrefix(o.err, "fluxmq: no answer from 127.0.0.1:1: ") || strings.Count(o.err, "\n") != 1 {
			t.Errorf("%s: exit %d\n%s", args, o.code, o.err)
		}
	}
	for _, args := range []string{
		"topic list --bootstrap-server nowhere:port", "topic list --bootstrap-server ,", "topic list --timeout 0s", "topic list --timeout soon",
	} {
		if o := fluxmq(t.Context(), "", strings.Fields(args)...); o.code != exitUsage {
			t.Errorf("%s: exit %d\n%s", args, o.code, o.err)
		}
	}
}

func TestWhereTheClusterIsNamed(t *testing.T) {
	b := startBroker(t)
	file := filepath.Join(t.TempDir(), "client.properties")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list := func(more ...string) outcome {
		return fluxmq(t.Context(), "", append([]string{"topic", "list"}, more...)...)
	}
	t.Setenv(bootstrapVariable, "")
	write("bootstrap.servers=" + b.Addr() + "\nclient.id=tests\nrequest.timeout.ms=5000\nsecurity.protocol=plaintext\n")
	if o := list("--command-config", file); o.code != 0 || o.err != "" {
		t.Errorf("named by the properties: exit %d\n%s", o.code, o.err)
	}
	t.Setenv(bootstrapVariable, "127.0.0.1:1")
	if o := list("--command-config", file); o.code != exitError {
		t.Errorf("the environment goes before the properties: exit %d\n%s", o.code, o.err)
	}
	if o := list("--bootstrap-server", b.Addr()); o.code != 0 {
		t.Errorf("the flag goes before the environment: exit %d\n%s", o.code, o.err)
	}
	t.Setenv(bootstrapVariable, b.Addr())
	if o := list(); o.code != 0 {
		t.Errorf("named by the environment: exit %d\n%s", o.code, o.err)
	}
	write("retry.backoff.ms=5\n")
	if o := list("--command-config", file); o.code != 0 || !strings.Contains(o.err, "warning: --command-config: retry.backoff.ms: ignored") {
		t.Errorf("a key of no use: exit %d\n%s", o.code, o.err)
	}
	for content, want := range map[string]string{
		"security.protocol=SASL_SSL":     "TLS and SASL are not supported",
		"ssl.truststore.location=/x":     "TLS and SASL are not supported",
		"sasl.jaas.config=x":             "security.protocol=PLAINTEXT",
		"request.timeout.ms=soon":        "no number of milliseconds",
		"default.api.timeout.ms=0":       "no number of milliseconds",
		`client.id=\u12`:                 "line 1",
		"bootstrap.servers=nowhere:port": "not host:port",
	} {
		t.Setenv(bootstrapVariable, "")
		write(content)
		if o := list("--command-config", file); o.code != exitUsage || !strings.Contains(o.err, want) {
			t.Errorf("%s: exit %d, want %q\n%s", content, o.code, want, o.err)
		}
	}
	if o := list("--command-config", file+".absent"); o.code != exitUsage {
		t.Errorf("an absent file: exit %d\n%s", o.code, o.err)
	}
}

// The variable that names a cluster is no setting of a broker.
func TestBootstrapVariableIsNoSetting(t *testing.T) {
	t.Setenv(bootstrapVariable, "127.0.0.1:1")
	if o := fluxmq(t.Context(), "", "config", "show", "--strict-config"); o.code != 0 || strings.Contains(o.out+o.err, "bootstrap") {
		t.Errorf("exit %d\n%s%s", o.code, o.out, o.err)
	}
}

func TestCompletion(t *testing.T) {
	startBroker(t)
	must(t, "", "topic", "create", "orders", "orders-old", "payments", "--partitions", "1")
	must(t, "a\n", "produce", "orders")
	must(t, "", "consume", "orders", "--group", "billing", "--from-beginning", "--exit-eof")
	complete := func(words ...string) []string {
		t.Helper()
		out := must(t, "", append([]string{"__complete"}, words...)...)
		return strings.Fields(out)
	}
	for _, c := range []struct{ words, want string }{
		{"topic describe or", "orders orders-old :4"},
		{"consume pay", "payments :4"},
		{"group reset-offsets b", "billing :4"},
		{"config describe topic pay", "payments :4"},
	} {
		if got := complete(strings.Fields(c.words)...); strings.Join(got, " ") != c.want {
			t.Errorf("%s completes to %q, want %q", c.words, got, c.want)
		}
	}
	for _, c := range []struct{ words, want string }{
		{"topic list -o", "table json yaml :4"},
		{"config describe", "topic broker group client-metrics :4"},
		{"produce x --compression", "none gzip snappy lz4 zstd :4"},
		{"consume x --group", "billing :4"},
		{"consume x --isolation-level", "read_uncommitted read_committed :4"},
	} {
		if got := complete(append(strings.Fields(c.words), "")...); strings.Join(got, " ") != c.want {
			t.Errorf("%s completes to %q, want %q", c.words, got, c.want)
		}
	}
	t.Setenv(bootstrapVariable, "127.0.0.1:1")
	if got := complete("topic", "describe", ""); len(got) != 1 || got[0] != ":4" {
		t.Errorf("without a cluster: %v", got)
	}
	if out := must(t, "", "completion", "bash"); !strings.Contains(out, "__start_fluxmq") {
		t.Error("no script for bash")
	}
}

// A silent server keeps nobody who pressed TAB waiting for longer than the deadline.
func TestCompletionGivesUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // connections wait in its backlog and are never answered
	t.Setenv(bootstrapVariable, silent.Addr().String())
	ended := make(chan outcome, 1)
	go func() { ended <- fluxmq(t.Context(), "", "__complete", "group", "describe", "") }()
	select {
	case o := <-ended:
		if strings.TrimSpace(o.out) != ":4" {
			t.Errorf("completed to %q", o.out)
		}
	case <-time.After(20 * completionTimeout):
		t.Error("it still waits")
	}
}

// Every command says what it is for and shows how it is used.
func TestEveryCommandHasExamples(t *testing.T) {
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.HasSubCommands() || c.Flags().Lookup("output") == nil {
			return
		}
		seen++
		if c.Short == "" || !strings.Contains(c.Example, "fluxmq ") {
			t.Errorf("%s has no example", c.CommandPath())
		}
		o := fluxmq(t.Context(), "", append(strings.Fields(c.CommandPath())[1:], "--help")...)
		if o.code != 0 || !strings.Contains(o.out, "Examples:") || strings.Contains(o.out, "--data-dir") {
			t.Errorf("%s --help: exit %d\n%s", c.CommandPath(), o.code, o.out)
		}
	}
	walk(newRoot())
	if seen < 20 {
		t.Errorf("only %d commands were looked at", seen)
	}
}
