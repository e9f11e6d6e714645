package wire

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"fluxmq/loadgen"
	"fluxmq/reports"
	"fluxmq/scenarios"
)

// testCycle is one connection with one partition and eight batches in its cycle.
func testCycle(t *testing.T, compression string, batchBytes int) (*encoder, *cycle) {
	t.Helper()
	payload := scenarios.Payload{ValueBytes: 256, CompressedRatio: 0.35, Seed: 1}
	pool, err := loadgen.NewPool(payload, compression, batchBytes)
	if err != nil {
		t.Fatal(err)
	}
	codec, err := loadgen.NewCodec(compression)
	if err != nil {
		t.Fatal(err)
	}
	e := &encoder{job: scenarios.Job{Topic: "topic", RunTag: 9, Payload: payload}, pool: pool, codec: codec, version: 12, batch: batchBytes, acks: 1, nowNs: 1_795_452_688e9}
	c, err := e.encode(3, []int32{0}, 8)
	if err != nil {
		t.Fatal(err)
	}
	return e, c
}

// batchOf takes the record batch out of frame i, as a broker would.
func batchOf(t *testing.T, c *cycle, version int16, i int) []byte {
	t.Helper()
	f := c.frames[i%len(c.frames)]
	text := c.bytes[f.from:f.to]
	if got := int(binary.BigEndian.Uint32(text)); got != len(text)-4 {
		t.Fatalf("frame %d says %d bytes and has %d", i, got, len(text)-4)
	}
	if got := int(binary.BigEndian.Uint32(text[8:])); got != i%len(c.frames) {
		t.Fatalf("correlation id %d in frame %d", got, i)
	}
	request := kmsg.NewPtrProduceRequest()
	request.SetVersion(version)
	if err := request.ReadFrom(text[4+2+2+4+2+len(clientID)+1:]); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(request.Topics[0].Partitions[0].Records)
}

// Every batch is as large as asked for, but not larger, and a frame is a Produce request.
func TestBatchesFitTheirSize(t *testing.T) {
	sizes := map[string][]int{"none": {1024, 16384}, "lz4": {16384, 131072}, "gzip": {16384}, "snappy": {16384}, "zstd": {16384}}
	for compression := range sizes {
		for _, size := range sizes[compression] {
			e, c := testCycle(t, compression, size)
			sequence := uint64(0)
			for i := range c.frames {
				batch := batchOf(t, c, e.version, i)
				if len(batch) > size || (len(batch) < size*3/4 && size > 1024) {
					t.Errorf("%s: batch %d has %d bytes, %d are wanted", compression, i, len(batch), size)
				}
				image := c.images[0][i]
				if image.firstSequence != sequence || image.bytes != len(batch) || image.records < 1 {
					t.Errorf("%s: image %+v, sequence %d, %d bytes", compression, image, sequence, len(batch))
				}
				sequence += uint64(image.records)
			}
		}
	}
	if _, c := testCycle(t, "none", 100); c.frames[0].records != 1 {
		t.Errorf("a record larger than the batch is sent alone, got %d", c.frames[0].records)
	}
}

func TestCycleAudit(t *testing.T) {
	e, c := testCycle(t, "none", 4096)
	per := int64(c.images[0][0].records)
	for _, image := range c.images[0] {
		if int64(image.records) != per {
			t.Fatalf("batches of different record counts: %d and %d", image.records, per)
		}
	}
	type counts struct{ lost, duplicated, reordered, corrupt int64 }
	table := []struct {
		what    string
		stored  []int // indexes of the batches sent, in the order stored; negative: damaged
		sent    int64
		want    counts // in batches
		finding reports.Finding
	}{
		{"the cycle twice and a half", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, 20, counts{}, reports.Finding{}},
		{"one is lost", []int{0, 1, 2, 4, 5}, 6, counts{lost: 1}, reports.Finding{Kind: "lost", Offset: 100 + 3*per - 1, FirstSequence: uint64(3 * per), LastSequence: uint64(4*per - 1), Count: per}},
		{"the first is lost", []int{1, 2}, 3, counts{lost: 1}, reports.Finding{Kind: "lost", Offset: -1, FirstSequence: 0, LastSequence: uint64(per - 1), Count: per}},
		{"the last two are lost", []int{0, 1, 2}, 5, counts{lost: 2}, reports.Finding{Kind: "lost", Offset: 100 + 3*per - 1, FirstSequence: uint64(3 * per), LastSequence: uint64(5*per - 1), Count: 2 * per}},
		{"all are lost", nil, 3, counts{lost: 3}, reports.Finding{Kind: "lost", Offset: -1, FirstSequence: 0, LastSequence: uint64(3*per - 1), Count: 3 * per}},
		{"one is stored twice", []int{0, 1, 2, 2, 3}, 4, counts{duplicated: 1}, reports.Finding{Kind: "duplicated", Offset: 100 + 3*per, FirstOffset: 100 + 2*per, FirstSequence: uint64(2 * per), LastSequence: uint64(3*per - 1), Count: per}},
		{"the last is stored twice", []int{0, 1, 1}, 2, counts{duplicated: 1}, reports.Finding{Kind: "duplicated", Offset: 100 + 2*per, FirstOffset: 100 + per, FirstSequence: uint64(per), LastSequence: uint64(2*per - 1), Count: per}},
		{"two have changed places", []int{0, 2, 1, 3}, 4, counts{reordered: 1}, reports.Finding{Kind: "reordered", Offset: 100 + 2*per, FirstSequence: uint64(per), LastSequence: uint64(2*per - 1), Count: per}},
		{"one is damaged", []int{0, 1, -2, 3}, 4, counts{corrupt: 1}, reports.Finding{Kind: "corrupt", Offset: 100 + 2*per, Count: per}},
		{"one is lost and a later one doubled", []int{0, 2, 3, 3, 4}, 5, counts{lost: 1, duplicated: 1}, reports.Finding{}},
	}
	for _, row := range table {
		t.Run(row.what, func(t *testing.T) {
			a := newCycleAudit(5, 3, loadgen.PartitionRange{Start: 100, End: 100 + per*int64(len(row.stored))}, c.images[0], row.sent)
			offset := int64(100)
			for _, i := range row.stored {
				batch := batchOf(t, c, e.version, max(i, -i))
				if i < 0 {
					batch[80] ^= 1
				}
				binary.BigEndian.PutUint64(batch, uint64(offset)) // what a broker changes
				binary.BigEndian.PutUint32(batch[12:], 4)
				a.observe(batch)
				offset += per
			}
			l := mergeAudits([]*cycleAudit{a}, 1)
			got := counts{l.Lost / per, l.Duplicated / per, l.Reordered / per, l.Corrupt / per}
			if got != row.want || l.Expected != row.sent*per || l.Read != per*int64(len(row.stored)) {
				t.Fatalf("got %+v, want %+v; ledger %+v", got, row.want, l)
			}
			if row.finding.Kind == "" {
				return
			}
			row.finding.Partition = 5
			if row.finding.Kind != "corrupt" {
				row.finding.Producer = 3
			}
			if !slices.Contains(l.Findings, row.finding) {
				t.Errorf("want %+v in %+v", row.finding, l.Findings)
			}
		})
	}
}
