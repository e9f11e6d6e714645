package logdump_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/logdump"
	"fluxmq/broker/record"
)

const dir = "/log/orders-0"

// filled is a directory of several segments: plain, compressed, transactional
// and control batches, closed properly.
func filled(t *testing.T) (fs *memfs.FS, records int) {
	t.Helper()
	fs = memfs.New()
	l, err := commitlog.Open(commitlog.Options{FS: fs, Dir: dir, Config: commitlog.Config{SegmentBytes: 2000, IndexIntervalBytes: 150}})
	if err != nil {
		t.Fatal(err)
	}
	add := func(b record.Batch, err error) {
		t.Helper()
		o := commitlog.AppendOptions{Trusted: true}
		if err == nil && b.IsTransactional() {
			o.Guard, err = l.BeginVerification(b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), false)
		}
		if err == nil {
			_, err = l.Append(b, o)
		}
		if err != nil {
			t.Fatal(err)
		}
		records += int(b.Count())
	}
	for n := range 40 {
		builder := record.Builder{ProducerID: -1, Codec: record.Codec(n % 5)}
		if n%4 == 3 {
			builder = record.Builder{ProducerID: 9, ProducerEpoch: 1, BaseSequence: int32(n / 4 * 2), Transactional: true}
		}
		add(builder.Build([]record.Record{
			{Timestamp: int64(1000 + n), Key: fmt.Appendf(nil, "key-%d", n), Value: bytes.Repeat([]byte{'v'}, 60)},
			{Timestamp: int64(1001 + n), Value: nil, Headers: []record.Header{{Key: "h", Value: []byte{0xff}}}},
		}))
	}
	add(record.EndTransaction(record.Commit, 9, 1, 3, 2000))
	if l.Segments() < 3 {
		t.Fatalf("only %d segments", l.Segments())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return fs, records
}

// dump collects the entries, records with their bytes copied.
func dump(t *testing.T, fs commitlog.FS, o logdump.Options, paths ...string) (entries []logdump.Entry, problems []string) {
	t.Helper()
	count, err := logdump.Dump(fs, paths, o, func(e logdump.Entry) error {
		switch e := e.(type) {
		case logdump.Record:
			e.Key, e.Value = bytes.Clone(e.Key), bytes.Clone(e.Value)
			entries = append(entries, e)
		case logdump.Problem:
			problems = append(problems, e.Problem)
		default:
			entries = append(entries, e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if count != len(problems) {
		t.Errorf("%d problems are counted, %d were visited", count, len(problems))
	}
	return entries, problems
}

var all = logdump.Options{Records: true, To: -1}

func TestDumpDirectory(t *testing.T) {
	fs, records := filled(t)
	entries, problems := dump(t, fs, all, dir)
	if len(problems) > 0 {
		t.Fatalf("problems in a sound log: %q", problems)
	}
	kinds := map[string]int{}
	next := int64(0)
	var last logdump.Record
	for _, e := range entries {
		kinds[fmt.Sprintf("%T", e)]++
		if r, ok := e.(logdump.Record); ok {
			if r.Offset != next {
				t.Fatalf("record %d, want %d", r.Offset, next)
			}
			next, last = next+1, r
			if r.Control == "" && r.Offset%2 == 0 && string(r.Key) != fmt.Sprintf("key-%d", r.Offset/2) {
				t.Errorf("record %d has key %q", r.Offset, r.Key)
			}
			if r.Control == "" && r.Offset%2 == 1 && (r.ValueSize != -1 || r.KeySize != -1 || !slices.Equal(r.HeaderKeys, []string{"h"})) {
				t.Errorf("record %d: %+v", r.Offset, r)
			}
		}
	}
	if next != int64(records) || kinds["logdump.Record"] != records || kinds["logdump.Batch"] != 41 {
		t.Errorf("%d records and %v, want %d", next, kinds, records)
	}
	if last.Control != "COMMIT" || last.CoordinatorEpoch == nil || *last.CoordinatorEpoch != 3 {
		t.Errorf("the last record is %+v, want a commit marker of coordinator epoch 3", last)
	}
	for _, kind := range []string{"IndexEntry", "TimeIndexEntry", "Producer", "File"} {
		if kinds["logdump."+kind] < 2 {
			t.Errorf("%d entries of %s", kinds["logdump."+kind], kind)
		}
	}
}

func TestDumpBounds(t *testing.T) {
	fs, _ := filled(t)
	entries, _ := dump(t, fs, logdump.Options{From: 11, To: 14}, dir)
	var offsets []int64
	for _, e := range entries {
		if b, ok := e.(logdump.Batch); ok {
			offsets = append(offsets, b.BaseOffset)
		}
		if _, ok := e.(logdump.Record); ok {
			t.Fatal("a record that was not asked for")
		}
	}
	if !slices.Equal(offsets, []int64{10, 12, 14}) {
		t.Errorf("batches at %v, want 10, 12, 14", offsets)
	}
}

func TestDumpFindsDamage(t *testing.T) {
	first := filepath.Join(dir, "00000000000000000000")
	for name, c := range map[string]struct {
		file   string
		damage func([]byte) []byte
		want   string
	}{
		"a flipped bit in records":   {first + ".log", func(b []byte) []byte { b[100] ^= 1; return b }, "wrong CRC"},
		"a torn end":                 {first + ".log", func(b []byte) []byte { return b[:len(b)-1] }, "no whole batch"},
		"a base offset that is back": {first + ".log", func(b []byte) []byte { b[7] = 90; return b }, "follows offset"},
		"an index entry elsewhere":   {first + ".index", func(b []byte) []byte { b[3]++; return b }, "is indexed at position"},
		"part of an index entry":     {first + ".index", func(b []byte) []byte { return b[:len(b)-3] }, "ends with"},
		"a wrong timestamp":          {first + ".timeindex", func(b []byte) []byte { b[7]++; return b }, "is indexed with timestamp"},
		"a time of no batch":         {first + ".timeindex", func(b []byte) []byte { b[11]--; return b }, "no batch ends with it"},
		"a wrong leader epoch file":  {filepath.Join(dir, commitlog.LeaderEpochFile), func([]byte) []byte { return []byte("1\n0\n") }, "no version 0"},
	} {
		t.Run(name, func(t *testing.T) {
			fs, _ := filled(t)
			content, err := fs.ReadFile(c.file)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			fs.WriteFile(c.file, c.damage(content))
			_, problems := dump(t, fs, all, c.file)
			if len(problems) == 0 || !strings.Contains(strings.Join(problems, "\n"), c.want) {
				t.Errorf("problems %q, want one of %q", problems, c.want)
			}
		})
	}
}

func TestDumpOfWhatIsNoLog(t *testing.T) {
	fs, _ := filled(t)
	if err := fs.MkdirAll("/empty"); err != nil {
		t.Fatal(err)
	}
	fs.WriteFile(dir+"/notes.txt", []byte("hello"))
	for _, path := range []string{"/empty", dir + "/notes.txt"} {
		if _, err := logdump.Dump(fs, []string{path}, all, func(logdump.Entry) error { return nil }); !errors.Is(err, logdump.ErrUnknownFile) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := logdump.Dump(fs, []string{"/absent"}, all, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent path: %v", err)
	}
	stop := errors.New("stop")
	if _, err := logdump.Dump(fs, []string{dir}, all, func(e logdump.Entry) error {
		if _, ok := e.(logdump.Record); ok {
			return stop
		}
		return nil
	}); err != stop {
		t.Errorf("a visit that stops: %v", err)
	}
}
