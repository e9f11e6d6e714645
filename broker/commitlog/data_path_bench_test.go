package commitlog_test

import (
	"testing"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/record"
)

// BenchmarkLog is an append of one record and a read of the last batch, on files.
func BenchmarkLog(b *testing.B) {
	l := open(b, commitlog.Options{FS: commitlog.OS{}, Dir: b.TempDir(), Clean: true, Config: commitlog.Config{SegmentBytes: 1 << 30}})
	defer l.Close()
	batch := build(b, record.Builder{ProducerID: -1}, 1000, 1, 1000)
	appendTo(b, l, batch)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.Append(batch, commitlog.AppendOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		end := l.Offsets().LogEnd
		for b.Loop() {
			r, err := l.Read(end-1, end, 1<<20, true)
			if err != nil || r.Size == 0 {
				b.Fatal(r, err)
			}
			r.Release()()
		}
	})
}
