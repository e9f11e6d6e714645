//go:build faultinject

package partition

import (
	"slices"
	"testing"

	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/fault"
	"fluxmq/broker/record"
)

// startFault makes this process misbehave until the test ends.
func startFault(t *testing.T, spec string) {
	t.Helper()
	if _, err := fault.Start(spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := fault.Start(""); err != nil {
			t.Error(err)
		}
	})
}

// appendNumbered appends batches of size records whose values count from 0.
// Every one of them must be acknowledged with its records.
func appendNumbered(t *testing.T, p *Partition, codec record.Codec, batches, size int) {
	t.Helper()
	for i := range batches {
		b := record.Builder{Codec: codec, ProducerID: 1, BaseSequence: int32(i * size)}
		r, err := p.Append(producedBatch(t, b, 1, values(size, i*size)...), AppendOptions{Acks: -1, CurrentLeaderEpoch: -1})
		if err != nil {
			t.Fatal(err)
		}
		if int(r.Records) != size || r.Duplicate {
			t.Fatalf("batch %d is acknowledged as %+v", i, r)
		}
	}
}

func TestFaultBatches(t *testing.T) {
	for _, c := range []struct {
		spec string
		want []string
		why  string
	}{
		{"", values(9, 0), "nothing was asked for"},
		{"drop-batch:4", slices.Concat(values(3, 0), values(3, 4), values(1, 8)), "the fourth and the eighth"},
		{"duplicate-batch:4", slices.Concat(values(4, 0), values(5, 3), values(2, 7)), "the fourth and the eighth"},
		{"drop-record:4", slices.Concat(values(3, 0), values(3, 4), values(1, 8)), "a batch of one record is dropped whole"},
		{"drop-batch:2+duplicate-batch:3", []string{"value-0", "value-2", "value-2", "value-4", "value-6", "value-8", "value-8"}, "both; what is dropped is not stored twice"},
		{"fsync:1+alloc:1+leak:16+syscall:1+mutex", values(9, 0), "what costs time or memory loses nothing"},
	} {
		startFault(t, c.spec)
		p := mustCreate(t, openWith(t, memfs.New(), FlushAcks), "t", 0, Config{})
		appendNumbered(t, p, record.None, 9, 1)
		if got := readAll(t, p, 0, 1<<20); !slices.Equal(got, c.want) {
			t.Errorf("%q (%s): stored %v, want %v", c.spec, c.why, got, c.want)
		}
	}
}

// Of 4 batches of 5 records every seventh record is to be lost: the last ones
// of the second and the third batch. What is stored is valid.
func TestFaultRecords(t *testing.T) {
	for codec := record.None; codec <= record.Zstd; codec++ {
		t.Run(codec.String(), func(t *testing.T) {
			startFault(t, "drop-record:7")
			p := mustCreate(t, openWith(t, memfs.New(), FlushAcks), "t", 0, Config{})
			appendNumbered(t, p, codec, 4, 5)
			want := slices.Concat(values(9, 0), values(4, 10), values(5, 15))
			var got []string
			for offset := int64(0); offset < p.Offsets().LogEnd; {
				r, err := p.Read(ReadOptions{Offset: offset, MaxBytes: 1, MinOneBatch: true, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
				if err != nil {
					t.Fatal(err)
				}
				b, rest, err := record.Next(r.Bytes)
				if err != nil || len(rest) != 0 || b.Codec() != codec || b.BaseOffset() != offset {
					t.Fatalf("at %d: a batch of %s at %d, %d bytes after it, %v", offset, b.Codec(), b.BaseOffset(), len(rest), err)
				}
				if err := record.ValidateInternal(b, record.ValidateFull); err != nil {
					t.Fatal(err)
				}
				if err := record.Records(b, 1<<20, func(r record.Record) error { got = append(got, string(r.Value)); return nil }); err != nil {
					t.Fatal(err)
				}
				offset = b.LastOffset() + 1
			}
			if !slices.Equal(got, want) {
				t.Fatalf("stored %v, want %v", got, want)
			}
		})
	}
}

func TestFaultSyncs(t *testing.T) {
	for _, c := range []struct {
		spec string
		want int64
	}{{"", 0}, {"fsync:1", 3}, {"fsync:2", 2}} {
		startFault(t, c.spec)
		p := mustCreate(t, openWith(t, memfs.New(), FlushOS), "t", 0, Config{})
		appendNumbered(t, p, record.None, 3, 1)
		if got := p.log().Durable(); got != c.want {
			t.Errorf("%q: durable up to %d after 3 records, want %d", c.spec, got, c.want)
		}
	}
}

func TestFaultLeaks(t *testing.T) {
	startFault(t, "leak:16")
	p := mustCreate(t, openWith(t, memfs.New(), FlushOS), "t", 0, Config{})
	appendNumbered(t, p, record.Zstd, 3, 50)
	if got := fault.Active().Leaked(); got != 3*50*16 {
		t.Fatalf("%d bytes are leaked by 150 records", got)
	}
	if _, err := p.Append(batchOf(t, 1, "internal"), AppendOptions{Internal: true, CurrentLeaderEpoch: -1}); err != nil {
		t.Fatal(err)
	}
	if got := fault.Active().Leaked(); got != 3*50*16 {
		t.Fatalf("the broker's own batch leaks: %d bytes", got)
	}
}
