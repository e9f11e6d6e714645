package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/record"
)

// dumpDirectory is a partition's directory whose every byte is the same in
// every run, and the working directory, so that no path is in the output.
func dumpDirectory(t *testing.T) string {
	t.Helper()
	t.Chdir(t.TempDir())
	l, err := commitlog.Open(commitlog.Options{
		FS: commitlog.OS{}, Dir: "orders-0", Config: commitlog.Config{SegmentBytes: 600, IndexIntervalBytes: 100}, NowMs: func() int64 { return 5000 },
	})
	if err != nil {
		t.Fatal(err)
	}
	add := func(b record.Batch, err error) {
		t.Helper()
		o := commitlog.AppendOptions{LeaderEpoch: 2, Trusted: true}
		if err == nil && b.IsTransactional() {
			o.Guard, err = l.BeginVerification(b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), false)
		}
		if err == nil {
			_, err = l.Append(b, o)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range 6 {
		b := record.Builder{ProducerID: -1}
		if n%2 == 1 {
			b = record.Builder{ProducerID: 9, ProducerEpoch: 1, BaseSequence: int32(n), Transactional: true}
		}
		add(b.Build([]record.Record{
			{Timestamp: int64(1000 + n), Key: fmt.Appendf(nil, "key %d", n), Value: bytes.Repeat([]byte("v"), 40)},
			{Timestamp: int64(2000 + n), Value: []byte{0xff, 0, 'x'}, Headers: []record.Header{{Key: "h", Value: []byte("1")}, {Key: "none"}}},
		}))
	}
	add(record.EndTransaction(record.Commit, 9, 1, 4, 3000))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return "orders-0"
}

func TestLogDumpCommand(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := dumpDirectory(t)
	var got strings.Builder
	for _, args := range []string{
		"log dump " + dir,
		"log dump " + dir + " --records --from-offset 3 --to-offset 4",
		"log dump " + dir + "/00000000000000000000.log --records -o json",
		"log dump " + dir + "/00000000000000000000.log --records --to-offset 0 -o yaml",
		"log dump " + dir + " -o json",
		"log dump " + dir + " --verify-only",
		"log dump absent",
		"log dump",
		"log dump " + dir + " -o xml",
		"log undump " + dir,
	} {
		o := fluxmq(t.Context(), "", strings.Fields(args)...)
		fmt.Fprintf(&got, "$ fluxmq %s\n%s%s", args, o.out, o.err)
		if o.code != 0 {
			fmt.Fprintf(&got, "exit %d\n", o.code)
		}
		got.WriteByte('\n')
	}
	t.Chdir(here)
	golden(t, "log_dump", got.String())
}

func TestLogDumpOfDamage(t *testing.T) {
	dir := dumpDirectory(t)
	segment := filepath.Join(dir, "00000000000000000000.log")
	content, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	content[80] ^= 1
	if err := os.WriteFile(segment, content, 0o600); err != nil {
		t.Fatal(err)
	}
	o := fluxmq(t.Context(), "", "log", "dump", dir, "--verify-only")
	if o.code != exitError || !strings.Contains(o.out, "wrong CRC-32C") || !strings.Contains(o.err, "one problem was found") {
		t.Errorf("exit %d\n%s%s", o.code, o.out, o.err)
	}
}

// The files of a broker that runs can be looked at, and are not changed by it.
func TestLogDumpOfARunningBroker(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	startBrokerIn(t, data)
	must(t, "", "topic", "create", "orders", "--partitions", "1")
	must(t, "k:one\nk:two\n", "produce", "orders", "--key-separator", ":")
	dir := filepath.Join(data, "orders-0")
	before := contentsOf(t, dir)
	o := fluxmq(t.Context(), "", "log", "dump", dir, "--records", "-o", "json")
	if o.code != 0 || !strings.Contains(o.out, `"key":"k"`) || !strings.Contains(o.out, `"value":"two"`) {
		t.Errorf("exit %d\n%s%s", o.code, o.out, o.err)
	}
	if after := contentsOf(t, dir); after != before {
		t.Errorf("the files have changed:\n%s\n%s", before, after)
	}
}

// contentsOf lists a directory's files with their bytes.
func contentsOf(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %x\n", e.Name(), content)
	}
	return all.String()
}
