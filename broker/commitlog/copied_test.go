package commitlog_test

import (
	"errors"
	"testing"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/record"
)

// A copy refuses what cannot follow, and what is damaged, and stays as it was.
func TestAppendCopiedRefusals(t *testing.T) {
	batchAt := func(offset int64) record.Batch {
		b := build(t, record.Builder{ProducerID: -1}, 1, 1, 10)
		b.SetBaseOffset(offset)
		return b
	}
	l, err := commitlog.Open(commitlog.Options{FS: memfs.New(), Dir: "/copy", Clean: true, LogStart: 3})
	if err != nil {
		t.Fatal(err)
	}
	damaged := batchAt(7)
	damaged[len(damaged)-1] ^= 1
	for _, c := range []struct {
		why  string
		b    record.Batch
		want error
		end  int64
	}{
		{"below the start", batchAt(2), commitlog.ErrCorrupt, 3},
		{"the first", batchAt(3), nil, 4},
		{"again", batchAt(3), commitlog.ErrCorrupt, 4},
		{"after a gap", batchAt(6), nil, 7},
		{"damaged", damaged, commitlog.ErrCorrupt, 7},
	} {
		if err := l.AppendCopied(c.b); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || l.Offsets().LogEnd != c.end {
			t.Errorf("%s: %v, ends at %d; want %v, %d", c.why, err, l.Offsets().LogEnd, c.want, c.end)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
